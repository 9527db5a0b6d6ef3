//! One poll of one device.
//!
//! Before anything is believed, the device is known: at the first poll, after it was away or began anew, and with each
//! slow poll. Another device at its address gives no samples; what it is, is said.

use std::time::Duration;

use bellwether_logic::sample::{Name, Sample, Value as Sampled};
use bellwether_logic::time::Timestamp;
use bellwether_proto::v1;

use super::{Memory, Plan, Shared, Target};
use crate::reading::millis;
use crate::snmp::Oid;
use crate::snmp::answers::Answers;
use crate::snmp::ask::{Binding, Client, Held, Trouble};
use crate::snmp::budget::Budget;
use crate::snmp::client::{Device, Login, Patience, Turnstile};
use crate::snmp::facts::Facts;
use crate::snmp::profile::{Pace, Row, Shelf};
use crate::snmp::rates;
use crate::snmp::sweep::{self, Swept, drive};
use crate::snmp::walk::End;
use std::sync::Arc;

/// What the device says that it is, and what its vendor calls the model; the next names after these are theirs.
const SYS_DESCR: [u32; 8] = [1, 3, 6, 1, 2, 1, 1, 1];
const SYS_OBJECT_ID: [u32; 8] = [1, 3, 6, 1, 2, 1, 1, 2];
/// Names in one of the first questions: old devices bear no more.
const FIRST_NAMES: usize = 16;
/// Of these so many in a row without an answer, and the device counts as gone.
const FIRST_SILENCES_MAX: usize = 2;

/// What came of a poll.
#[derive(Debug)]
pub struct Visited {
    /// What is known of the device now.
    pub memory: Memory,
    /// What was found.
    pub outcome: Outcome,
    /// What the device is; none if it was not asked.
    pub facts: Option<v1::DeviceFacts>,
}

/// How a poll ended.
#[derive(Debug)]
pub enum Outcome {
    /// The device answered.
    Answered {
        /// How it is.
        samples: Vec<Sample>,
        /// Who hangs on it; of a slow poll.
        rows: Vec<Row>,
    },
    /// Nothing came of any question, for this reason.
    Unanswered(Trouble),
    /// There is another device.
    Stranger,
}

/// Who is asked, how and when.
pub struct Visit {
    /// What all share.
    pub shared: Arc<Shared>,
    /// Who.
    pub target: Arc<Target>,
    /// As whom.
    pub login: Arc<Login>,
    /// In turn with its other poll.
    pub turnstile: Turnstile,
    /// What samples bear.
    pub time: Timestamp,
    /// The same by a clock that never goes back.
    pub at_ms: u64,
}

/// What a device said of itself.
pub struct Met {
    plan: Arc<Plan>,
    answers: Answers,
    facts: Facts,
}

impl Visit {
    /// Asks for counters and states.
    pub async fn fast(self, memory: Memory) -> Visited {
        match self.caller().await {
            Ok(caller) => self.fast_of(&caller, memory).await,
            Err(trouble) => Visited { memory, outcome: Outcome::Unanswered(trouble), facts: None },
        }
    }

    async fn fast_of(&self, caller: &(impl Client + Sync), mut memory: Memory) -> Visited {
        memory.budget.handle_turn();
        let mut facts = None;
        let outcome = self.ask_fast(caller, &mut memory, &mut facts).await.unwrap_or_else(|trouble| {
            memory.known = false;
            Outcome::Unanswered(trouble)
        });
        memory.silent = matches!(outcome, Outcome::Unanswered(Trouble::NoAnswer));
        Visited { memory, outcome, facts }
    }

    async fn ask_fast(
        &self,
        caller: &(impl Client + Sync),
        memory: &mut Memory,
        facts: &mut Option<v1::DeviceFacts>,
    ) -> Result<Outcome, Trouble> {
        if memory.silent {
            knock(caller).await?;
        }
        if (!memory.known || memory.plan.is_none()) && !self.recognize(caller, memory, facts).await? {
            return Ok(Outcome::Stranger);
        }
        let Some(plan) = memory.plan.clone() else { return Ok(Outcome::Stranger) };
        let columns = plan.fast.len();
        let of_columns = memory.sweep.get_or_insert_with(|| sweep::Memory::new(columns));
        let swept = drive::sweep(caller, &plan.fast, of_columns, self.has_bulk(), &mut memory.budget).await;
        if let (false, End::Trouble(trouble)) = (is_worth(&swept), &swept.end) {
            return Err(trouble.clone());
        }
        if swept.requests == 0 {
            // It has nothing that is asked for, which is remembered; whether it is there is not.
            knock(caller).await?;
        }
        let mut samples = plan.choice.read(&swept.answers, Pace::Fast, &self.target.id, self.time).samples;
        let look = rates::Look::of(&samples, self.at_ms);
        if let Some(before) = &memory.look {
            // Whoever was switched off may have been replaced.
            if look.restarted_since(before) && facts.is_none() && !self.recognize(caller, memory, facts).await? {
                return Ok(Outcome::Stranger);
            }
            let before = memory.look.as_ref().expect("just seen");
            rates::add(&rates::between(before, &look), &mut samples);
        }
        memory.look = Some(Box::new(look));
        self.describe(&mut samples, &memory.budget, swept.cut);
        Ok(Outcome::Answered { samples, rows: Vec::new() })
    }

    /// Asks for inventory, neighbours, tables and supplies, and which profiles apply. What it learns goes to `memory`, of
    /// which the fast poll has its own.
    pub async fn slow(self, mut memory: Memory) -> Visited {
        memory.budget.handle_turn();
        let mut facts = None;
        let outcome = self.ask_slow(&mut memory, &mut facts).await.unwrap_or_else(Outcome::Unanswered);
        Visited { memory, outcome, facts }
    }

    async fn ask_slow(&self, memory: &mut Memory, facts: &mut Option<v1::DeviceFacts>) -> Result<Outcome, Trouble> {
        let caller = self.caller().await?;
        let answers = first(&caller, &self.shared.shelf).await?;
        let plan = self.shared.plan(self.shared.shelf.choose(&answers));
        let mut of_columns = sweep::Memory::new(plan.slow.len());
        let swept = drive::sweep(&caller, &plan.slow, &mut of_columns, self.has_bulk(), &mut memory.budget).await;
        if let (false, End::Trouble(trouble)) = (is_worth(&swept), &swept.end) {
            return Err(trouble.clone());
        }
        let found = plan.choice.facts(&swept.answers);
        *facts = Some(on_the_wire(&found, &answers));
        memory.known = self.target.is(&found);
        memory.plan = Some(Arc::clone(&plan));
        if !memory.known {
            return Ok(Outcome::Stranger);
        }
        let read = plan.choice.read(&swept.answers, Pace::Slow, &self.target.id, self.time);
        let (mut samples, mut rows) = (read.samples, read.rows);
        let left_out = self.add_vlans(&plan, &swept.answers, &mut memory.budget, &mut rows).await;
        self.describe(&mut samples, &memory.budget, swept.cut + left_out);
        Ok(Outcome::Answered { samples, rows })
    }

    /// Whether the device is the one that is meant; its profiles are chosen on the way.
    async fn recognize(
        &self,
        caller: &(impl Client + Sync),
        memory: &mut Memory,
        facts: &mut Option<v1::DeviceFacts>,
    ) -> Result<bool, Trouble> {
        let met = meet(caller, &self.shared, self.has_bulk(), &mut memory.budget).await?;
        *facts = Some(on_the_wire(&met.facts, &met.answers));
        memory.known = self.target.is(&met.facts);
        if memory.plan.as_ref().is_none_or(|plan| !Arc::ptr_eq(plan, &met.plan)) {
            memory.sweep = None;
        }
        memory.plan = Some(met.plan);
        if !memory.known {
            (memory.look, memory.sweep) = (None, None);
        }
        Ok(memory.known)
    }

    async fn caller(&self) -> Result<Device, Trouble> {
        self.shared.device(self.target.address, &self.login, Patience::Long, self.turnstile.clone()).await
    }

    fn has_bulk(&self) -> bool {
        !self.login.is_v1()
    }

    /// The row that tells how the device answers: with what it says of itself, if it does.
    fn describe(&self, samples: &mut Vec<Sample>, budget: &Budget, cut: usize) {
        let mut fields = vec![(Name::Borrowed("answered"), Sampled::Boolean(true))];
        let ms = |span: Duration| millis(span.as_secs_f64() * 1_000.0);
        if cut > 0 {
            fields.push((Name::Borrowed("cut"), crate::reading::count(cut)));
        }
        fields.extend(budget.usual().map(|usual| (Name::Borrowed("response_ms"), ms(usual))));
        fields.push((Name::Borrowed("slowed"), Sampled::Boolean(budget.slowed().is_some())));
        fields.extend(budget.slowed().map(|slowed| (Name::Borrowed("best_ms"), ms(slowed.best))));
        match samples.iter_mut().find(|sample| sample.measurement == "snmp") {
            Some(row) => row.fields.extend(fields),
            None => samples.push(row(&self.target.id, self.time, fields)),
        }
    }
}

/// A row of `snmp`.
#[must_use]
pub fn row(target: &str, time: Timestamp, fields: Vec<(Name, Sampled)>) -> Sample {
    Sample { measurement: Name::Borrowed("snmp"), tags: Vec::new(), target: target.to_owned(), time, fields }
}

/// A device that says nothing of itself is there all the same; one that lets nobody in is not worth a row of values.
fn is_worth(swept: &Swept) -> bool {
    swept.answered && !matches!(&swept.end, End::Trouble(trouble) if trouble.is_for_good() && swept.answers.is_empty())
}

/// Meets a device of which nothing is known: its profiles, and what it is.
///
/// # Errors
/// When it does not answer, or not this user.
pub async fn meet(
    client: &(impl Client + Sync),
    shared: &Shared,
    bulk: bool,
    budget: &mut Budget,
) -> Result<Met, Trouble> {
    let mut answers = first(client, &shared.shelf).await?;
    let plan = shared.plan(shared.shelf.choose(&answers));
    let mut memory = sweep::Memory::new(plan.facts.len());
    let swept = drive::sweep(client, &plan.facts, &mut memory, bulk, budget).await;
    if let End::Trouble(trouble @ Trouble::NoAnswer) = &swept.end {
        return Err(trouble.clone());
    }
    let facts = plan.choice.facts(&swept.answers);
    // The vendor's name of the model is not among the facts.
    answers.keep_only(&Oid::from(SYS_OBJECT_ID));
    Ok(Met { plan, answers, facts })
}

impl Met {
    /// What the device is.
    #[must_use]
    pub fn facts(&self) -> v1::DeviceFacts {
        on_the_wire(&self.facts, &self.answers)
    }
}

/// Asks whether a device is there. One that was silent is asked this small question instead of large ones that would be asked again in
/// parts. When a building is without power a thousand devices are silent at once, and what each is waited for keeps the
/// others waiting.
async fn knock(caller: &(impl Client + Sync)) -> Result<(), Trouble> {
    match caller.get_next(&[Oid::from(SYS_OBJECT_ID)]).await {
        Err(Trouble::NoAnswer) => Err(Trouble::NoAnswer),
        _ => Ok(()),
    }
}

/// What is asked of a device of which nothing is known: several names at once if it bears that, half as many where not.
async fn first(client: &(impl Client + Sync), shelf: &Shelf) -> Result<Answers, Trouble> {
    let names = [shelf.first().next, [SYS_DESCR, SYS_OBJECT_ID].map(Oid::from).to_vec()].concat();
    let mut open: Vec<&[Oid]> = names.chunks(FIRST_NAMES).rev().collect();
    let (mut answers, mut silences) = (Answers::default(), 0);
    while let Some(group) = open.pop() {
        match client.get_next(group).await {
            Ok(bindings) if bindings.len() == group.len() => keep(&mut answers, group, bindings),
            Err(trouble) if trouble.is_for_good() => return Err(trouble),
            other => {
                silences = if matches!(other, Err(Trouble::NoAnswer)) { silences + 1 } else { 0 };
                if silences >= FIRST_SILENCES_MAX {
                    return Err(Trouble::NoAnswer);
                }
                if group.len() > 1 {
                    let (one, other) = group.split_at(group.len() / 2);
                    open.extend([other, one]);
                }
                continue;
            }
        }
        silences = 0;
    }
    Ok(answers)
}

/// What is below the name that was asked about; what only comes after it says nothing of it.
fn keep(answers: &mut Answers, asked: &[Oid], bindings: Vec<Binding>) {
    for (binding, asked) in bindings.into_iter().zip(asked) {
        if let Held::Value(value) = binding.held
            && binding.name.starts_with(asked)
        {
            // A few dozen values have room.
            let _ = answers.insert(binding.name, value);
        }
    }
}

impl Target {
    /// Whether a device that says this of itself is the one that is meant. One that does not say who it is, is believed.
    fn is(&self, facts: &Facts) -> bool {
        let alike = |expected: &str, found: Option<&String>| {
            let found = found.map_or("", |found| found.trim());
            (!expected.is_empty() && !found.is_empty()).then(|| expected.trim().eq_ignore_ascii_case(found))
        };
        let serial = alike(&self.serial, facts.serial.as_ref());
        serial.or_else(|| alike(&self.mac, facts.mac.as_ref())).unwrap_or(true)
    }
}

fn on_the_wire(facts: &Facts, answers: &Answers) -> v1::DeviceFacts {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let column = Oid::from(SYS_OBJECT_ID);
    let object_id = answers.below(&column).find_map(|(_, value)| value.as_oid());
    v1::DeviceFacts {
        kind: facts.kind.map_or("", |kind| kind.as_str()).to_owned(),
        vendor: text(&facts.vendor),
        model: text(&facts.model),
        serial: text(&facts.serial),
        firmware: text(&facts.firmware),
        name: text(&facts.name),
        location: text(&facts.location),
        mac: text(&facts.mac),
        ports: facts.ports.unwrap_or(0),
        object_id: object_id.map(ToString::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{self, Future};
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::snmp::Value;
    use crate::snmp::ask::Request;
    use crate::snmp::credential::{Credential, Secret};

    /// Has a clock or nothing at all, and says so unless it is silent.
    #[derive(Default)]
    struct Little {
        clock: bool,
        silent: AtomicBool,
        questions: AtomicUsize,
    }

    impl Client for Little {
        fn ask(&self, request: &Request) -> impl Future<Output = Result<Vec<Binding>, Trouble>> + Send {
            self.questions.fetch_add(1, Ordering::Relaxed);
            let (Request::Get(names) | Request::GetNext(names) | Request::GetBulk { after: names, .. }) = request;
            let is_get = matches!(request, Request::Get(_));
            let clock = Oid::from([1, 3, 6, 1, 2, 1, 1, 3, 0]);
            let held = |name: &Oid| match *name == clock {
                same if self.clock && (same == is_get) && (is_get || clock.starts_with(name)) => {
                    Binding { name: clock.clone(), held: Held::Value(Value::TimeTicks(100)) }
                }
                _ => Binding { name: name.clone(), held: Held::EndOfView },
            };
            let answer = names.iter().map(held).collect();
            let silent = self.silent.load(Ordering::Relaxed);
            future::ready(if silent { Err(Trouble::NoAnswer) } else { Ok(answer) })
        }
    }

    /// One fast poll: what is remembered, how it ended, and how many questions it took.
    fn poll(device: &Little, memory: Memory) -> (Memory, Outcome, usize) {
        let address = "192.0.2.1:161".parse().unwrap();
        let (id, credential) = ("d1".into(), "district".into());
        let target = Target { id, address, credential, witness: false, serial: "".into(), mac: "".into() };
        let community = Credential::V2c { community: Secret::new("simulated") };
        let visit = Visit {
            shared: Arc::new(Shared::new(std::path::Path::new("none"))),
            target: Arc::new(target),
            login: Arc::new(Login::new(&community).unwrap()),
            turnstile: Turnstile::default(),
            time: Timestamp(1_790_000_000_000),
            at_ms: 0,
        };
        let before = device.questions.load(Ordering::Relaxed);
        let mut polled = pin!(visit.fast_of(device, memory));
        let Poll::Ready(visited) = polled.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing is waited for");
        };
        (visited.memory, visited.outcome, device.questions.load(Ordering::Relaxed) - before)
    }

    #[test]
    fn a_device_that_stays_silent_is_asked_one_question_a_poll_until_it_is_back() {
        let device = Little { clock: true, ..Little::default() };
        let (memory, outcome, whole) = poll(&device, Memory::default());
        assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        device.silent.store(true, Ordering::Relaxed);
        let (mut memory, outcome, questions) = poll(&device, memory);
        assert!(matches!(outcome, Outcome::Unanswered(Trouble::NoAnswer)), "{outcome:?}");
        assert!(memory.is_silent() && questions > 1, "one lost question is no silence: {questions}");
        for _ in 0..3 {
            let (after, outcome, questions) = poll(&device, memory);
            assert!(matches!(outcome, Outcome::Unanswered(Trouble::NoAnswer)), "{outcome:?}");
            assert_eq!(questions, 1);
            memory = after;
        }
        device.silent.store(false, Ordering::Relaxed);
        let (memory, outcome, questions) = poll(&device, memory);
        assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        assert_eq!((memory.is_silent(), questions), (false, 1 + whole), "met as if for the first time");
    }

    #[test]
    fn a_device_that_has_nothing_to_ask_for_is_noticed_when_it_falls_silent() {
        let device = Little::default();
        let (memory, _, _) = poll(&device, Memory::default());
        let (memory, outcome, questions) = poll(&device, memory);
        assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        assert_eq!(questions, 1);
        device.silent.store(true, Ordering::Relaxed);
        let (_, outcome, _) = poll(&device, memory);
        assert!(matches!(outcome, Outcome::Unanswered(Trouble::NoAnswer)), "{outcome:?}");
    }
}
