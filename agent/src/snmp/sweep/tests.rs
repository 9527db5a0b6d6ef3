//! Sweeps over devices that are honest, weak, broken or hostile: they give what walks of each column give.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A device with these names, each holding its own number; it answers as the standard says, within its weakness.
#[derive(Debug)]
struct Device {
    rows: BTreeMap<Oid, i64>,
    /// No answer has more values.
    fits: usize,
    /// Questions for more values than this are refused.
    bears: usize,
    refusal: Trouble,
    /// Answers only for the first name of several.
    first_only: bool,
    v1: bool,
}

impl Device {
    fn honest(rows: impl IntoIterator<Item = Oid>) -> Self {
        let rows = rows.into_iter().zip(1..).collect();
        let (fits, bears, refusal) = (usize::MAX, usize::MAX, Trouble::TooBig);
        Self { rows, fits, bears, refusal, first_only: false, v1: false }
    }

    fn answer(&self, request: &Request) -> Result<Vec<Binding>, Trouble> {
        let (names, repetitions) = match request {
            Request::Get(names) => {
                let found: Vec<Binding> = names.iter().map(|name| self.itself(name)).collect();
                let lacks = found.iter().any(|binding| binding.held == Held::NoSuchInstance);
                return if self.v1 && lacks { Err(Trouble::NoSuchName) } else { Ok(found) };
            }
            Request::GetNext(names) => (names, 1),
            Request::GetBulk { .. } if self.v1 => panic!("version 1 has none"),
            Request::GetBulk { after, repetitions } => (after, *repetitions),
        };
        // A device answers one row of one column, whatever its weakness.
        if names.len() * repetitions as usize > self.bears.max(1) {
            return Err(self.refusal.clone());
        }
        let mut last: Vec<Oid> = names.clone();
        if self.first_only {
            last.truncate(1);
        }
        let mut bindings = Vec::new();
        for _ in 0..repetitions {
            for name in &mut last {
                let after = (std::ops::Bound::Excluded(name.clone()), std::ops::Bound::Unbounded);
                match self.rows.range(after).next() {
                    Some((next, value)) => {
                        bindings.push(bound(next.clone(), *value));
                        *name = next.clone();
                    }
                    None if self.v1 => return Err(Trouble::NoSuchName),
                    None => bindings.push(Binding { name: name.clone(), held: Held::EndOfView }),
                }
            }
        }
        bindings.truncate(self.fits);
        Ok(bindings)
    }

    fn itself(&self, name: &Oid) -> Binding {
        let held = self.rows.get(name).map_or(Held::NoSuchInstance, |value| Held::Value(Value::Integer(*value)));
        Binding { name: name.clone(), held }
    }
}

fn bound(name: Oid, value: i64) -> Binding {
    Binding { name, held: Held::Value(Value::Integer(value)) }
}

fn play(
    columns: &[Oid],
    memory: &mut Memory,
    bulk: bool,
    mut answer: impl FnMut(&Request) -> Result<Vec<Binding>, Trouble>,
) -> Swept {
    let mut sweep = Sweep::new(columns, memory, bulk);
    while let Some(request) = sweep.poll_request() {
        match answer(&request) {
            Ok(bindings) => sweep.handle_answer(bindings, false),
            Err(trouble) => sweep.handle_trouble(trouble),
        }
        assert!(sweep.requests < 20_000, "it ends");
    }
    sweep.finish()
}

fn walks(columns: &[Oid], bulk: bool, answer: impl Fn(&Request) -> Result<Vec<Binding>, Trouble>) -> Vec<(Oid, Value)> {
    let mut all = BTreeMap::new();
    for column in columns {
        let mut walk = Walk::new(column.clone(), bulk);
        while let Some(request) = walk.poll_request() {
            match answer(&request) {
                Ok(bindings) => walk.handle_answer(bindings, false),
                Err(trouble) => walk.handle_trouble(trouble),
            }
        }
        all.extend(walk.finish().answers.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    all.into_iter().collect()
}

fn rows(swept: &Swept) -> Vec<(Oid, Value)> {
    swept.answers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn column(number: u32) -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 2, 2, 1, number])
}

fn uptime() -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 1, 3])
}

/// Ports with ten columns, and a clock.
fn switch(ports: u32) -> Device {
    let cells = (1..=10).flat_map(|number| (1..=ports).map(move |port| column(number).join(&[port]).unwrap()));
    Device::honest(cells.chain([uptime().join(&[0]).unwrap()]))
}

/// The ten columns, the clock, and as many that no such device has.
fn columns() -> Vec<Oid> {
    let mut columns: Vec<Oid> = (1..=22).map(column).chain([uptime()]).collect();
    columns.sort();
    columns
}

#[test]
fn fifty_values_of_a_device_that_is_known_take_two_questions() {
    let (device, columns) = (switch(5), columns());
    let mut memory = Memory::new(columns.len());
    let first = play(&columns, &mut memory, true, |request| device.answer(request));
    assert_eq!((first.answers.len(), first.cut), (51, 0));
    assert!(first.requests <= 8, "{}", first.requests);
    let second = play(&columns, &mut memory, true, |request| device.answer(request));
    assert_eq!(rows(&second), rows(&first));
    assert!(second.requests <= 2, "{}", second.requests);
}

#[test]
fn a_port_that_was_added_is_seen_at_once_and_one_that_went_is_gone() {
    let columns = columns();
    let mut memory = Memory::new(columns.len());
    for ports in [5, 6, 9, 4, 48] {
        let device = switch(ports);
        let swept = play(&columns, &mut memory, true, |request| device.answer(request));
        assert_eq!((swept.answers.len(), swept.cut), (10 * ports as usize + 1, 0), "{ports}");
    }
}

#[test]
fn a_big_switch_is_read_in_as_few_questions_as_packets() {
    let (device, columns) = (switch(480), columns());
    let mut memory = Memory::new(columns.len());
    let _ = play(&columns, &mut memory, true, |request| device.answer(request));
    let again = play(&columns, &mut memory, true, |request| device.answer(request));
    assert_eq!(again.answers.len(), 4_801);
    assert!(again.requests <= 110, "{}", again.requests);
}

#[test]
fn a_device_without_getbulk_is_asked_for_several_columns_all_the_same() {
    let (device, columns) = (switch(5), columns());
    for refusal in [Trouble::DeviceFailed, Trouble::NoAnswer, Trouble::Garbled] {
        let mut memory = Memory::new(columns.len());
        let mut answer = |request: &Request| match request {
            Request::GetBulk { .. } => Err(refusal.clone()),
            request => device.answer(request),
        };
        for _ in 0..4 {
            let swept = play(&columns, &mut memory, true, &mut answer);
            assert_eq!((swept.answers.len(), swept.cut), (51, 0), "{refusal:?}");
        }
    }
}

#[test]
fn one_broken_column_does_not_cost_the_others() {
    let (device, columns) = (switch(5), columns());
    let broken = column(7);
    let mut memory = Memory::new(columns.len());
    let mut answer = |request: &Request| {
        let (Request::Get(names) | Request::GetNext(names) | Request::GetBulk { after: names, .. }) = request;
        if names.iter().any(|name| name.starts_with(&broken)) {
            Err(Trouble::DeviceFailed)
        } else {
            device.answer(request)
        }
    };
    let swept = play(&columns, &mut memory, true, &mut answer);
    assert_eq!((swept.answers.len(), swept.cut), (46, 1));
    let swept = play(&columns, &mut memory, true, &mut answer);
    assert_eq!(swept.answers.len(), 46);
    assert!(swept.requests < 12, "it is known: {}", swept.requests);
}

#[test]
fn a_silent_device_is_left_and_a_lost_question_is_not_the_end() {
    let (device, columns) = (switch(5), columns());
    let mut memory = Memory::new(columns.len());
    let swept = play(&columns, &mut memory, true, |_| Err(Trouble::NoAnswer));
    assert_eq!((swept.end, swept.requests, swept.answered), (End::Trouble(Trouble::NoAnswer), 2, false));
    assert_eq!(swept.cut, columns.len());

    let mut count = 0;
    let swept = play(&columns, &mut memory, true, |request| {
        count += 1;
        if count == 2 { Err(Trouble::NoAnswer) } else { device.answer(request) }
    });
    assert_eq!((swept.end.clone(), swept.answers.len(), swept.cut), (End::Complete, 51, 0));
}

#[test]
fn a_wrong_password_ends_a_sweep_at_once() {
    let columns = columns();
    let mut memory = Memory::new(columns.len());
    let swept = play(&columns, &mut memory, true, |_| Err(Trouble::WrongDigest));
    assert_eq!((swept.end, swept.requests, swept.answered), (End::Trouble(Trouble::WrongDigest), 1, true));
}

/// Recorded devices: all that profiles want of each, in both ways, and a second time with what is remembered.
#[test]
fn of_every_recorded_device_a_sweep_gives_what_walks_give() {
    use crate::snmp::profile::{Pace, Shelf};
    use crate::snmp::recording;
    let shelf = Shelf::built_in().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snmp");
    let (mut recordings, mut asked, mut one_by_one) = (0, 0, 0);
    for profile in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(profile.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "snmprec") {
                continue;
            }
            let recorded = recording::read(&std::fs::read(&path).unwrap(), &[]).answers;
            let device = Device::honest(recorded.iter().map(|(name, _)| name.clone()));
            let choice = shelf.choose(&recorded);
            for pace in [Pace::Fast, Pace::Slow] {
                let columns = choice.wanted(pace);
                let questions = std::cell::Cell::new(0);
                let expected = walks(&columns, true, |request| {
                    questions.set(questions.get() + 1);
                    device.answer(request)
                });
                let mut memory = Memory::new(columns.len());
                for again in [false, true] {
                    let swept = play(&columns, &mut memory, true, |request| device.answer(request));
                    assert_eq!((rows(&swept), swept.cut), (expected.clone(), 0), "{}", path.display());
                    asked += if again { swept.requests } else { 0 };
                }
                one_by_one += questions.get();
            }
            recordings += 1;
        }
    }
    assert!(recordings > 20, "{recordings}");
    assert!(asked * 5 < one_by_one, "{asked} questions instead of {one_by_one}");
}

fn oid() -> impl Strategy<Value = Oid> {
    proptest::collection::vec(0_u32..4, 0..6).prop_map(|arcs| Oid::from([1, 3, 6]).join(&arcs).expect("short"))
}

/// Columns as profiles want them: in order, none below another.
fn wanted(all: std::collections::BTreeSet<Oid>) -> Vec<Oid> {
    let mut wanted: Vec<Oid> = Vec::new();
    for oid in all {
        if wanted.last().is_none_or(|last| !oid.starts_with(last)) {
            wanted.push(oid);
        }
    }
    wanted
}

fn trouble() -> impl Strategy<Value = Trouble> {
    proptest::sample::select(vec![
        Trouble::NoAnswer,
        Trouble::TooBig,
        Trouble::NoSuchName,
        Trouble::DeviceFailed,
        Trouble::Garbled,
        Trouble::UnknownEngine,
    ])
}

type Said = Result<Vec<(Oid, i64)>, Trouble>;

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        6 => proptest::collection::vec((oid(), any::<i64>()), 0..8).prop_map(Ok),
        1 => trouble().prop_map(Err),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_a_device_says_a_sweep_ends(
        script in proptest::collection::vec(said(), 1..40),
        columns in proptest::collection::btree_set(oid(), 1..12),
        bulk: bool,
    ) {
        let columns = wanted(columns);
        let mut memory = Memory::new(columns.len());
        let mut turn = 0;
        for _ in 0..3 {
            let swept = play(&columns, &mut memory, bulk, |_| {
                turn += 1;
                script[turn % script.len()].clone().map(|rows| rows.into_iter().map(|(name, value)| bound(name, value)).collect())
            });
            prop_assert!(swept.answers.iter().all(|(name, _)| columns.iter().any(|column| name.starts_with(column))));
        }
    }

    /// A known lone value is believed to stay one until the memory is made anew; all else is read anew each time.
    #[test]
    fn of_a_device_that_does_what_it_can_a_sweep_gives_what_walks_give(
        names in proptest::collection::btree_set(oid(), 0..200),
        columns in proptest::collection::btree_set(oid(), 1..12),
        fits in 1_usize..80,
        bears in 0_usize..80,
        first_only: bool,
        v1: bool,
        refusal in proptest::sample::select(vec![Trouble::TooBig, Trouble::DeviceFailed, Trouble::Garbled]),
    ) {
        let columns = wanted(columns);
        let device = Device { fits, bears, refusal, first_only, v1, ..Device::honest(names) };
        let expected = walks(&columns, !v1, |request| device.answer(request));
        let mut memory = Memory::new(columns.len());
        for _ in 0..3 {
            let swept = play(&columns, &mut memory, !v1, |request| device.answer(request));
            prop_assert_eq!(&swept.end, &End::Complete);
            prop_assert_eq!(rows(&swept), &expected[..]);
            prop_assert_eq!(swept.cut, 0);
        }
    }
}
