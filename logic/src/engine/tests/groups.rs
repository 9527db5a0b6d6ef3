//! Random histories of a small school: whatever falls silent, breaks, floods and comes back together, no problem is lost,
//! none is told twice.

use super::*;
use crate::incidents::Standing;
use crate::tickets::About;

const RULES: &str = r#"
format = 1

[[rule]]
id = "silence"
title = "{device} is silent"
advice = "Look."
severity = "major"
ticket = "REPAIR"
category = "reachability"
classes = ["server", "closet", "desktop"]
runbook = "1. Look."
source = "House"
check.absence = { for = "2m", clear_for = "1m" }

[[rule]]
id = "unreachable"
title = "{device} does not answer"
advice = "Look."
severity = "minor"
ticket = "REPAIR"
category = "reachability"
classes = ["access_point", "switch"]
outage = true
runbook = "1. Look."
source = "House"
[rule.check.threshold]
measurement = "snmp"
open = [{ field = "answered", is = false }]
clear = [{ field = "answered", is = true }]
for = "1m"
clear_for = "1m"
evidence = []

[[rule]]
id = "full"
title = "{device} is full"
advice = "Make room."
severity = "minor"
ticket = "REPAIR"
category = "disk"
classes = ["server", "closet", "desktop", "access_point", "switch"]
runbook = "1. Look."
source = "House"
[rule.check.threshold]
measurement = "disk"
open = [{ field = "used_percent", above = 90 }]
clear = [{ field = "used_percent", below = 80 }]
for = "1m"
clear_for = "1m"
evidence = ["{used_percent:percent} used"]

[[rule]]
id = "worn"
title = "{device} is worn"
advice = "Exchange it."
severity = "minor"
ticket = "REPLACEMENT"
category = "battery"
classes = ["desktop", "access_point"]
cohort = true
plural = "worn batteries"
runbook = "1. Look."
source = "House"
[rule.check.threshold]
measurement = "battery"
open = [{ field = "wear", below = 50 }]
clear = [{ field = "wear", above = 60 }]
for = "1m"
clear_for = "1m"
evidence = []

[[rule]]
id = "hot"
title = "{device} is hot"
advice = "Switch it off."
severity = "minor"
ticket = "REPAIR"
category = "disk"
classes = ["server", "desktop"]
safety = true
runbook = "1. Look."
source = "House"
[rule.check.threshold]
measurement = "heat"
open = [{ field = "celsius", above = 90 }]
clear = [{ field = "celsius", below = 80 }]
for = "1m"
clear_for = "1m"
evidence = []
"#;

/// The school: two rooms, a closet with a switch, a second building.
fn school() -> Vec<Device> {
    let place = |id: String, class, room: &str, model: &str| Device {
        room: room.to_string(),
        model: model.to_string(),
        ..device(&id, class)
    };
    let mut school = vec![
        place("closet".to_string(), Class::Closet, "MDF", ""),
        place("files".to_string(), Class::Server, "MDF", "Acme Server"),
        place("sw".to_string(), Class::Switch, "MDF", ""),
    ];
    for room in ["214", "215"] {
        school.extend((0..4).map(|number| place(format!("pc-{room}-{number}"), Class::Desktop, room, "Acme 100")));
        school.push(place(format!("ap-{room}"), Class::AccessPoint, room, "Acme Air"));
    }
    school.push(Device { site: "Oak".to_string(), ..place("oak".to_string(), Class::Desktop, "1", "Acme 100") });
    school
}

/// Something that happens to some of the devices, each a bit of the first number.
#[derive(Clone, Debug)]
enum Play {
    Connect(u16),
    Drop(u16),
    Goodbye(u16),
    Say(u16, &'static str, &'static str, Value),
    Hang(u16, Option<usize>),
    Move(usize, &'static str),
    Act(u64, Act),
    Start,
    Wake,
}

#[derive(Clone, Debug)]
enum Act {
    Take,
    Close,
    Reopen,
    TakeOff(usize),
}

fn some() -> impl Strategy<Value = u16> {
    // All but one building, a room, the other, or any.
    prop_oneof![2 => Just(0x1fff), 2 => Just(0x00f8), 1 => Just(0x1f00), 3 => any::<u16>(), 2 => (0u32..14).prop_map(|bit| 1 << bit)]
}

fn any_play() -> impl Strategy<Value = Play> {
    let say = prop_oneof![
        3 => any::<bool>().prop_map(|answered| ("snmp", "answered", Value::Boolean(answered))),
        5 => prop::sample::select(&[50.0, 95.0, 99.0][..]).prop_map(|used| ("disk", "used_percent", Value::Float(used))),
        4 => prop::sample::select(&[40.0, 90.0][..]).prop_map(|wear| ("battery", "wear", Value::Float(wear))),
        1 => prop::sample::select(&[50.0, 95.0][..]).prop_map(|heat| ("heat", "celsius", Value::Float(heat))),
    ];
    let act = prop_oneof![
        3 => Just(Act::Take),
        3 => Just(Act::Close),
        1 => Just(Act::Reopen),
        3 => (0usize..6).prop_map(Act::TakeOff),
    ];
    prop_oneof![
        6 => some().prop_map(Play::Connect),
        4 => some().prop_map(Play::Drop),
        1 => some().prop_map(Play::Goodbye),
        20 => (some(), say).prop_map(|(some, (measurement, field, value))| Play::Say(some, measurement, field, value)),
        2 => (some(), prop::option::of(0usize..14)).prop_map(|(some, on)| Play::Hang(some, on)),
        1 => (0usize..14, prop::sample::select(&["214", "215", ""][..])).prop_map(|(device, room)| Play::Move(device, room)),
        5 => (1u64..30, act).prop_map(|(ticket, act)| Play::Act(ticket, act)),
        1 => Just(Play::Start),
        8 => Just(Play::Wake),
    ]
}

fn any_moment() -> impl Strategy<Value = (u32, Play, bool)> {
    let pause = prop_oneof![30 => 0u32..80, 3 => 300u32..2_000, 1 => 50_000u32..2_000_000];
    (pause, any_play(), prop::bool::weighted(0.3))
}

/// What of the inputs happens to which device.
fn inputs(play: &Play, engine: &Engine, now: Timestamp, school: &mut [Device]) -> Vec<Input> {
    let chosen = |some: u16| (0..school.len()).filter(move |at| some & (1 << at) != 0);
    let id = |at: usize| school[at].id.clone();
    match play {
        Play::Connect(some) => {
            chosen(*some).map(|at| Input::Connected { device: id(at), generation: 1, interval: MINUTE }).collect()
        }
        Play::Drop(some) => {
            chosen(*some).map(|at| Input::Left { device: id(at), generation: 1, reason: None }).collect()
        }
        Play::Goodbye(some) => {
            let reason = Some(GoodbyeReason::Shutdown);
            chosen(*some).map(|at| Input::Left { device: id(at), generation: 1, reason }).collect()
        }
        Play::Say(some, measurement, field, value) => chosen(*some)
            .map(|at| {
                let fields = vec![((*field).into(), value.clone())];
                let sample = Sample {
                    measurement: (*measurement).into(),
                    tags: vec![],
                    target: String::new(),
                    time: now,
                    fields,
                };
                live(&id(at), vec![sample])
            })
            .collect(),
        Play::Hang(some, on) => {
            let on = on.map(id);
            chosen(*some).map(|at| Input::Hanging(vec![(id(at), on.clone())])).collect()
        }
        Play::Move(at, room) => {
            school[*at].room = (*room).to_string();
            vec![Input::Device(school[*at].clone())]
        }
        Play::Act(ticket, act) => {
            let text = "because".to_string();
            let note = RepairNote { fault: text.clone(), action: text.clone(), ..RepairNote::default() };
            let action = match act {
                Act::Take => Action::Take,
                Act::Close => Action::Close(note),
                Act::Reopen => Action::Reopen { text },
                Act::TakeOff(nth) => {
                    let lines = engine.ticket(*ticket).map(|ticket| ticket.lines.clone()).unwrap_or_default();
                    let Some(line) = lines.into_iter().nth(*nth) else { return vec![] };
                    Action::TakeOff { device: line.device, fault: line.fault }
                }
            };
            vec![Input::Act { ticket: *ticket, actor: "kim".to_string(), action }]
        }
        Play::Start => vec![Input::CollectorStarted],
        Play::Wake => vec![Input::Wake],
    }
}

fn run(moments: &[(u32, Play, bool)], restarts: bool, mut look: impl FnMut(&Engine)) -> (Vec<Effect>, Counters) {
    let rules = RuleSet::merge(toml::from_str::<Pack>(RULES).unwrap().rule, vec![]).unwrap();
    let settings = Settings { tickets_a_day: 3, ..known(Settings::default()) };
    let mut engine = Engine::new(rules.clone(), settings);
    let (mut all, mut now, mut school) = (Vec::new(), minute(0), school());
    school.iter().for_each(|device| engine.handle(now, Input::Device(device.clone())));
    for (pause, play, restart) in moments {
        let until = now + Duration::from_secs(u64::from(*pause));
        // Two wakes are enough for what is due, more would only be slow.
        for _ in 0..2 {
            if let Some(wake) = engine.poll_wake().filter(|wake| *wake < until) {
                now = wake;
                engine.handle(now, Input::Wake);
                look(&engine);
            }
        }
        now = until;
        for input in inputs(play, &engine, now, &mut school) {
            engine.handle(now, input);
            look(&engine);
        }
        if restarts && *restart {
            let text = serde_json::to_string(engine.snapshot()).unwrap();
            engine = Engine::restore(rules.clone(), settings, serde_json::from_str(&text).unwrap());
        }
        all.extend(effects(&mut engine));
    }
    (all, engine.counters())
}

/// Every problem that counts is on exactly one ticket, explained, waiting or on the list; every line that is not over has its
/// problem; what stands beneath another or is put off is still there to be done.
pub(super) fn check_places(engine: &Engine) {
    let state = engine.snapshot();
    let mut lines: BTreeMap<(&str, &Fault), Vec<u64>> = BTreeMap::new();
    for ticket in engine.tickets() {
        // What was merged goes on in another, and keeps a copy of its lines.
        let own = ticket.lines.iter().filter(|line| !line.is_over() && ticket.handling.merged_into.is_none());
        for line in own {
            lines.entry((ticket.device_of(line), &line.fault)).or_default().push(ticket.number);
        }
        if let Some(parent) = ticket.under.filter(|_| ticket.state.is_open()) {
            let parent = engine.ticket(parent).expect("it is remembered while others stand beneath it");
            assert!(
                parent.state.is_open() && parent.category == "flood",
                "#{} is beneath #{}",
                ticket.number,
                parent.number
            );
            assert!(!ticket.touched && !ticket.deferred, "#{} is hidden though somebody has it", ticket.number);
        }
        let hidden = ticket.under.is_some() || ticket.deferred;
        assert!(!(ticket.state.is_open() && hidden && ticket.is_urgent()), "#{} is urgent and hidden", ticket.number);
        assert!(!ticket.why_one().is_empty());
        assert_eq!(ticket.about == About::Device, !ticket.device.is_empty());
    }
    for watched in state.devices.values() {
        for (fault, incident) in &watched.incidents {
            let on = lines.remove(&(watched.device.id.as_str(), fault)).unwrap_or_default();
            let own = incident.standing == Standing::Own && incident.quiet.is_none();
            assert_eq!(own, incident.ticket.is_some(), "{} {fault:?}: {incident:?}", watched.device.id);
            let home =
                |number: u64| engine.ticket(number).and_then(|ticket| ticket.handling.merged_into).unwrap_or(number);
            assert_eq!(
                on,
                Vec::from_iter(incident.ticket.map(home)),
                "{} {fault:?} is on one ticket",
                watched.device.id
            );
        }
    }
    assert!(lines.is_empty(), "lines without a problem: {lines:?}");
    for ticket in engine.tickets().filter(|ticket| ticket.deferred && ticket.state.is_open()) {
        assert!(state.timers.next().is_some(), "#{} is put off for ever", ticket.number);
    }
    assert!(state.groups.keys().all(|number| engine.ticket(*number).is_some_and(|ticket| ticket.state.is_open())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_together_no_problem_is_lost_and_none_told_twice(
        moments in prop::collection::vec(any_moment(), 1..100)
    ) {
        let (straight, _) = run(&moments, false, check_places);
        let (restarted, _) = run(&moments, true, |_| {});
        prop_assert_eq!(straight, restarted);
    }
}

#[test]
fn random_histories_make_every_kind_of_group() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut sum = Counters::default();
    for _ in 0..60 {
        let moments = prop::collection::vec(any_moment(), 100).new_tree(&mut runner).unwrap().current();
        let (_, counters) = run(&moments, false, |_| {});
        sum.rooms_out += counters.rooms_out;
        sum.buildings_out += counters.buildings_out;
        sum.cohorts += counters.cohorts;
        sum.lines_left_behind += counters.lines_left_behind;
        sum.lines_taken_off += counters.lines_taken_off;
        sum.floods += counters.floods;
        sum.tickets_deferred += counters.tickets_deferred;
        sum.tickets_released += counters.tickets_released;
    }
    let seen = [
        sum.rooms_out,
        sum.buildings_out,
        sum.cohorts,
        sum.lines_left_behind,
        sum.lines_taken_off,
        sum.floods,
        sum.tickets_deferred,
        sum.tickets_released,
    ];
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}
