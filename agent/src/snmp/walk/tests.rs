//! Walks over devices that are honest, weak, broken or hostile.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A device with these names, each holding its own number; it answers as the standard says, within its weakness.
struct Device {
    rows: BTreeMap<Oid, i64>,
    /// No answer has more rows.
    fits: u32,
    /// Questions for more rows than this are refused.
    bears: u32,
    refusal: Trouble,
}

impl Device {
    fn honest(rows: impl IntoIterator<Item = Oid>) -> Self {
        let rows = rows.into_iter().zip(1..).collect();
        Self { rows, fits: u32::MAX, bears: u32::MAX, refusal: Trouble::TooBig }
    }

    fn answer(&self, request: &Request) -> Result<Vec<Binding>, Trouble> {
        let (after, repetitions) = match request {
            Request::Get(names) => return Ok(names.iter().map(|name| self.itself(name)).collect()),
            Request::GetNext(names) => (&names[0], 1),
            Request::GetBulk { repetitions, .. } if *repetitions > self.bears => return Err(self.refusal.clone()),
            Request::GetBulk { after, repetitions } => (&after[0], *repetitions),
        };
        let after = std::ops::Bound::Excluded(after.clone());
        let mut bindings: Vec<Binding> = self
            .rows
            .range((after, std::ops::Bound::Unbounded))
            .take(repetitions.min(self.fits) as usize)
            .map(|(name, value)| bound(name.clone(), *value))
            .collect();
        if bindings.len() < repetitions.min(self.fits) as usize {
            bindings.push(Binding { name: Oid::from([1, 3]), held: Held::EndOfView });
        }
        Ok(bindings)
    }

    fn itself(&self, name: &Oid) -> Binding {
        let held = self.rows.get(name).map_or(Held::NoSuchInstance, |value| Held::Value(Value::Integer(*value)));
        Binding { name: name.clone(), held }
    }

    fn below(&self, root: &Oid) -> Vec<(Oid, Value)> {
        let rows = self.rows.iter().filter(|(name, _)| name.starts_with(root));
        rows.map(|(name, value)| (name.clone(), Value::Integer(*value))).collect()
    }
}

fn bound(name: Oid, value: i64) -> Binding {
    Binding { name, held: Held::Value(Value::Integer(value)) }
}

fn table(rows: u32) -> Vec<Oid> {
    (1..=rows).map(|row| Oid::from([1, 3, 6, 1, 2, row])).collect()
}

fn play(mut walk: Walk, mut answer: impl FnMut(&Request) -> Result<Vec<Binding>, Trouble>) -> Walked {
    while let Some(request) = walk.poll_request() {
        match answer(&request) {
            Ok(bindings) => walk.handle_answer(bindings, false),
            Err(trouble) => walk.handle_trouble(trouble),
        }
    }
    walk.finish()
}

fn rows(walked: &Walked) -> Vec<(Oid, Value)> {
    walked.answers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn root() -> Oid {
    Oid::from([1, 3, 6])
}

#[test]
fn a_strong_device_is_asked_for_ever_more_at_once() {
    let device = Device::honest(table(2_000));
    let walked = play(Walk::new(root(), true), |request| device.answer(request));
    assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
    assert!(walked.requests <= 42, "{}", walked.requests);
}

#[test]
fn a_device_that_bears_little_is_asked_for_little() {
    for refusal in [Trouble::TooBig, Trouble::DeviceFailed, Trouble::Garbled] {
        let device = Device { bears: 4, refusal, ..Device::honest(table(300)) };
        let walked = play(Walk::new(root(), true), |request| device.answer(request));
        assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
        assert!(walked.requests < 110, "{}", walked.requests);
    }
}

#[test]
fn a_device_without_getbulk_is_walked_one_after_the_other() {
    for refusal in
        [Trouble::DeviceFailed, Trouble::NoAnswer, Trouble::Garbled, Trouble::Status(42), Trouble::NoSuchName]
    {
        let device = Device { bears: 0, refusal, ..Device::honest(table(100)) };
        let walked = play(Walk::new(root(), true), |request| device.answer(request));
        assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
        assert!(walked.requests < 112, "it is soon known: {}", walked.requests);
    }
}

#[test]
fn version_1_ends_with_no_such_name() {
    let device = Device::honest(table(30));
    let walked = play(Walk::new(root(), false), |request| {
        assert!(!matches!(request, Request::GetBulk { .. }));
        let bindings = device.answer(request)?;
        if bindings[0].held == Held::EndOfView { Err(Trouble::NoSuchName) } else { Ok(bindings) }
    });
    assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
}

#[test]
fn a_name_with_nothing_below_it_is_asked_for_itself() {
    let scalar = Oid::from([1, 3, 6, 1, 2, 7]);
    let device = Device::honest(table(9));
    let walked = play(Walk::new(scalar.clone(), true), |request| device.answer(request));
    assert_eq!((walked.end, walked.answers.get(&scalar)), (End::Complete, Some(&Value::Integer(7))));
}

#[test]
fn a_device_whose_getbulk_goes_in_circles_is_asked_one_after_the_other() {
    let device = Device::honest(table(100));
    let walked = play(Walk::new(root(), true), |request| {
        let mut bindings = device.answer(request)?;
        if bindings.len() > 10 {
            bindings.truncate(10);
            bindings.push(bindings[3].clone());
        }
        Ok(bindings)
    });
    assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
}

#[test]
fn a_device_that_goes_in_circles_is_cut_and_the_reason_names_the_place() {
    let device = Device::honest(table(50));
    let walked = play(Walk::new(root(), true), |request| match request {
        Request::GetNext(after) | Request::GetBulk { after, .. } if after[0] >= Oid::from([1, 3, 6, 1, 2, 20]) => {
            Ok(vec![bound(Oid::from([1, 3, 6, 1, 2, 5]), 5)])
        }
        request => device.answer(request).map(|mut bindings| {
            bindings.truncate(20);
            bindings
        }),
    });
    assert_eq!(walked.answers.len(), 20);
    let said = walked.end.to_string();
    assert!(said.contains("after 1.3.6.1.2.20 it gave 1.3.6.1.2.5"), "{said}");
}

#[test]
fn a_device_that_never_ends_is_cut() {
    let mut next = 0;
    let walked = play(Walk::new(root(), true), |request| {
        let Request::GetBulk { repetitions, .. } = request else { panic!("it bears GETBULK") };
        let bindings = (0..*repetitions).map(|row| bound(Oid::from([1, 3, 6, next + row]), 0)).collect();
        next += repetitions;
        Ok(bindings)
    });
    assert_eq!(walked.end, End::TooMuch);
    assert!(!walked.answers.is_empty());
}

#[test]
fn a_silent_device_is_left_and_a_lost_packet_is_not_the_end() {
    let walked = play(Walk::new(root(), true), |_| Err(Trouble::NoAnswer));
    assert_eq!((walked.end, walked.requests), (End::Trouble(Trouble::NoAnswer), 2));

    let device = Device::honest(table(500));
    let mut count = 0;
    let walked = play(Walk::new(root(), true), |request| {
        count += 1;
        if count == 3 { Err(Trouble::NoAnswer) } else { device.answer(request) }
    });
    assert_eq!((walked.end.clone(), rows(&walked)), (End::Complete, device.below(&root())));
    assert!(walked.requests < 60, "it is asked for many at once again: {}", walked.requests);
}

#[test]
fn a_wrong_password_ends_a_walk_at_once() {
    let walked = play(Walk::new(root(), true), |_| Err(Trouble::WrongDigest));
    assert_eq!((walked.end, walked.requests), (End::Trouble(Trouble::WrongDigest), 1));
}

fn oid() -> impl Strategy<Value = Oid> {
    proptest::collection::vec(0_u32..4, 0..6).prop_map(|arcs| Oid::from([1, 3, 6]).join(&arcs).expect("short"))
}

fn trouble() -> impl Strategy<Value = Trouble> {
    proptest::sample::select(vec![
        Trouble::NoAnswer,
        Trouble::TooBig,
        Trouble::NoSuchName,
        Trouble::DeviceFailed,
        Trouble::Garbled,
        Trouble::Status(99),
        Trouble::UnknownEngine,
    ])
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        8 => any::<i64>().prop_map(|value| Held::Value(Value::Integer(value))),
        2 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| Held::Value(Value::Octets(bytes))),
        1 => Just(Held::Odd),
        1 => Just(Held::NoSuchInstance),
        1 => Just(Held::EndOfView),
    ]
}

type Said = Result<Vec<(Oid, Held)>, Trouble>;

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        6 => proptest::collection::vec((oid(), held()), 0..8).prop_map(Ok),
        1 => trouble().prop_map(Err),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_a_device_says_a_walk_ends(script in proptest::collection::vec(said(), 1..40), bulk: bool) {
        let mut turn = 0;
        let mut walk = Walk::new(root(), bulk);
        walk.requests_max = 2_000;
        let walked = play(walk, |_| {
            let said = script[turn % script.len()].clone();
            turn += 1;
            said.map(|rows| rows.into_iter().map(|(name, held)| Binding { name, held }).collect())
        });
        prop_assert!(walked.requests <= 2_000);
        prop_assert!(walked.answers.iter().all(|(name, _)| name.starts_with(&root())));
        prop_assert!(!walked.end.to_string().is_empty());
    }

    #[test]
    fn of_an_honest_device_all_is_read(
        names in proptest::collection::btree_set(oid(), 0..200),
        root in oid(),
        fits in 1_u32..60,
        bears in 0_u32..60,
        bulk: bool,
        refusal in proptest::sample::select(vec![Trouble::TooBig, Trouble::DeviceFailed, Trouble::NoAnswer]),
    ) {
        let device = Device { fits, bears, refusal, ..Device::honest(names) };
        let walked = play(Walk::new(root.clone(), bulk), |request| device.answer(request));
        let mut expected = device.below(&root);
        // A root that is a value with others below it has them read; itself it is read when it stands alone.
        if expected.len() > 1 {
            expected.retain(|(name, _)| *name != root);
        }
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert_eq!(rows(&walked), expected);
    }
}
