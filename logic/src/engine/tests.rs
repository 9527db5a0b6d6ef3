//! What stories can't tell: limits, rules that change, and random histories. The stories are in `tests/stories`.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::device::{Class, LifeState};
use crate::incidents::Fault;
use crate::presence::GoodbyeReason;
use crate::rules::{Pack, Rule};
use crate::sample::Value;
use crate::tickets::{LINES_MAX, Refusal, RepairNote, TicketEvent, TicketState, What};

mod duty;
mod groups;
mod hours;
mod planned;
mod random;
mod reference;
mod school;
mod sight;

const SHIPPED: [&str; 3] = [
    include_str!("../../../collector/rules/closets.toml"),
    include_str!("../../../collector/rules/disks.toml"),
    include_str!("../../../collector/rules/reachability.toml"),
];

const MINUTE: Duration = Duration::from_secs(60);

fn shipped() -> Vec<Rule> {
    SHIPPED.iter().flat_map(|text| toml::from_str::<Pack>(text).unwrap().rule).collect()
}

fn rules() -> RuleSet {
    RuleSet::merge(shipped(), vec![]).unwrap()
}

fn minute(minute: u32) -> Timestamp {
    Timestamp(1_788_177_600_000) + MINUTE * minute
}

fn device(id: &str, class: Class) -> Device {
    Device {
        id: id.to_string(),
        name: id.to_string(),
        class,
        site: "Lincoln".to_string(),
        room: String::new(),
        state: LifeState::InUse,
        model: String::new(),
    }
}

fn disk(path: &str, used: f64, time: Timestamp) -> Sample {
    Sample {
        measurement: "disk".into(),
        tags: vec![("path".into(), path.to_string())],
        target: String::new(),
        time,
        fields: vec![
            ("used_percent".into(), Value::Float(used)),
            ("free".into(), Value::Integer(1_000)),
            ("total".into(), Value::Integer(20_000)),
        ],
    }
}

fn live(device: &str, samples: Vec<Sample>) -> Input {
    Input::Samples { device: device.to_string(), lane: Lane::Live, samples }
}

fn effects(engine: &mut Engine) -> Vec<Effect> {
    core::iter::from_fn(|| engine.poll_effect()).collect()
}

/// Settings for devices that are no news: what is wrong makes tickets from the first moment on.
fn known(settings: Settings) -> Settings {
    Settings { first_sight: crate::span::Span::default(), ..settings }
}

/// An engine that watches one server, `files`, from minute 0 on.
fn watching(settings: Settings) -> Engine {
    let mut engine = Engine::new(rules(), known(settings));
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Device(device("files", Class::Server)));
    effects(&mut engine);
    engine
}

/// Fills these paths for so many minutes.
fn fill(engine: &mut Engine, paths: &[String], minutes: core::ops::Range<u32>) {
    for at in minutes {
        let samples = paths.iter().map(|path| disk(path, 95.0, minute(at))).collect();
        engine.handle(minute(at), live("files", samples));
    }
}

/// Lets minutes pass in which nothing happens.
fn doze(engine: &mut Engine, minutes: core::ops::Range<u32>) {
    minutes.for_each(|at| engine.handle(minute(at), Input::Wake));
}

fn open(engine: &Engine) -> usize {
    engine.tickets().filter(|ticket| ticket.state.is_open()).count()
}

fn restart_with(engine: &Engine, rules: RuleSet) -> Engine {
    let text = serde_json::to_string(engine.snapshot()).unwrap();
    Engine::restore(rules, known(Settings::default()), serde_json::from_str(&text).unwrap())
}

#[test]
fn a_fault_whose_rule_is_gone_resolves_with_that_reason_at_the_next_start() {
    let mut engine = watching(Settings::default());
    fill(&mut engine, &["/".to_string()], 0..5);
    assert_eq!(open(&engine), 1);
    let mut engine = restart_with(&engine, RuleSet::default());
    effects(&mut engine);
    engine.handle(minute(5), live("files", vec![disk("/", 96.0, minute(5))]));
    assert_eq!(open(&engine), 1, "the old rules stand until the start");
    engine.handle(minute(6), Input::CollectorStarted);
    assert_eq!(open(&engine), 0);
    let texts: Vec<String> = effects(&mut engine)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::TicketEvent(event) => Some(event.what.text()),
            _ => None,
        })
        .collect();
    assert_eq!(
        texts,
        ["Over: files: / is almost full (the rule was switched off)", "Resolved by itself: the rule was switched off"]
    );
    assert!(engine.rules().is_empty());
}

#[test]
fn a_fault_whose_rule_no_longer_looks_at_the_class_resolves() {
    let mut engine = watching(Settings::default());
    fill(&mut engine, &["/".to_string()], 0..5);
    engine.handle(minute(6), Input::Device(device("files", Class::Other)));
    assert_eq!(open(&engine), 0);
}

#[test]
fn records_fed_again_with_other_rules_are_decided_as_before() {
    let mut engine = watching(Settings::default());
    let before = restart_with(&engine, RuleSet::default());
    fill(&mut engine, &["/".to_string()], 0..5);
    let mut again = before;
    fill(&mut again, &["/".to_string()], 0..5);
    assert_eq!(effects(&mut engine), effects(&mut again));
}

#[test]
fn a_sample_from_far_ahead_is_not_believed() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(1), live("files", vec![disk("/", 95.0, minute(1_000_000))]));
    assert_eq!(engine.counters().samples_ahead, 1);
    fill(&mut engine, &["/".to_string()], 2..8);
    assert_eq!(open(&engine), 1, "true samples are not late because of it");
    assert_eq!(engine.counters().samples_late, 0);
}

#[test]
fn late_is_older_than_the_newest_minus_two_intervals() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(10), live("files", vec![disk("/", 10.0, minute(10))]));
    engine.handle(minute(10), live("files", vec![disk("/", 10.0, minute(8))]));
    assert_eq!(engine.counters().samples_late, 0);
    let just_late = minute(8) - Duration::from_millis(1);
    engine.handle(minute(10), live("files", vec![disk("/", 10.0, just_late)]));
    assert_eq!(engine.counters().samples_late, 1);
}

#[test]
fn a_sample_that_lacks_a_field_or_is_no_number_says_nothing() {
    let mut engine = watching(Settings::default());
    fill(&mut engine, &["/".to_string()], 0..5);
    for at in 5..60 {
        let mut sample = disk("/", f64::NAN, minute(at));
        if at % 2 == 0 {
            sample.fields.remove(0);
        }
        engine.handle(minute(at), live("files", vec![sample]));
    }
    assert_eq!(open(&engine), 1);
}

#[test]
fn a_device_with_countless_faults_has_a_full_ticket_and_counts_the_rest() {
    let mut engine = watching(Settings::default());
    let paths: Vec<String> = (0..HOLDS_MAX + 10).map(|number| format!("/{number}")).collect();
    fill(&mut engine, &paths, 0..5);
    assert_eq!(open(&engine), 1);
    assert_eq!(engine.ticket(1).unwrap().lines.len(), LINES_MAX);
    let counters = engine.counters();
    assert_eq!(counters.incidents, u64::try_from(HOLDS_MAX).unwrap());
    assert_eq!(counters.tickets_refused, u64::try_from(HOLDS_MAX - LINES_MAX).unwrap());
    assert!(counters.holds_refused >= 10);
}

#[test]
fn beyond_the_limit_of_open_tickets_faults_count_without_one() {
    let mut engine = watching(Settings { open_tickets_max: 1, ..Settings::default() });
    engine.handle(minute(0), Input::Device(device("mail", Class::Server)));
    for at in 0..5 {
        engine.handle(minute(at), live("files", vec![disk("/", 95.0, minute(at))]));
        engine.handle(minute(at), live("mail", vec![disk("/", 95.0, minute(at))]));
    }
    assert_eq!(open(&engine), 1);
    assert_eq!(engine.counters().tickets_refused, 1);
    assert_eq!(engine.device_state("mail").unwrap().worst, Some(crate::rules::Severity::Major));
}

#[test]
fn a_word_on_an_old_ticket_is_kept_though_another_ticket_makes_it_forgotten_at_once() {
    let mut engine = watching(Settings::default());
    let connect = |generation| Input::Connected { device: "files".to_string(), generation, interval: MINUTE };
    let act = |action| Input::Act { ticket: 1, actor: "kim".to_string(), action };
    fill(&mut engine, &["/".to_string()], 0..5);
    let note = RepairNote { fault: "full".to_string(), action: "made room".to_string(), ..RepairNote::default() };
    engine.handle(minute(5), act(Action::Close(note)));
    engine.handle(minute(5), live("files", vec![disk("/", 10.0, minute(5))]));
    (6..72).for_each(|at| engine.handle(minute(at), live("files", vec![disk("/", 10.0, minute(at))])));
    engine.handle(minute(72), connect(1));
    let reason = Some(GoodbyeReason::Shutdown);
    engine.handle(minute(72), Input::Left { device: "files".to_string(), generation: 1, reason });
    let long_after = 72 + u32::try_from(Settings::default().reopen_within.0.as_secs() / 60).unwrap();
    doze(&mut engine, 73..long_after);
    engine.handle(minute(long_after), connect(2));
    effects(&mut engine);
    // Somebody writes each minute, so also in the turn in which the silence opens the second ticket.
    for at in long_after + 1..long_after + 10 {
        let written = engine.ticket(1).unwrap().events;
        engine.handle(minute(at), act(Action::Comment { text: "it was the logs".to_string() }));
        let told = effects(&mut engine);
        let told_of = |number| {
            told.iter().find_map(|effect| match effect {
                Effect::Ticket(ticket) if ticket.number == number => Some(ticket.events),
                _ => None,
            })
        };
        assert_eq!(told_of(1), Some(written + 1));
        if told_of(2).is_some() {
            return;
        }
    }
    panic!("the silence opened no ticket");
}

#[test]
fn an_act_on_nothing_is_refused_and_everything_unknown_is_counted() {
    let mut engine = watching(Settings::default());
    let act = Input::Act { ticket: 99, actor: "kim".to_string(), action: Action::Take };
    engine.handle(minute(1), act);
    engine.handle(minute(1), live("nobody", vec![disk("/", 95.0, minute(1))]));
    let refused =
        Refused { number: 1, ticket: 99, at: minute(1), actor: "kim".to_string(), because: Refusal::NoSuchTicket };
    assert_eq!(effects(&mut engine), [Effect::Refused(refused)]);
    assert_eq!((engine.counters().actions_refused, engine.counters().unknown_device), (1, 1));
}

#[test]
fn the_end_of_an_old_stream_says_nothing_about_the_new_one() {
    let mut engine = watching(Settings::default());
    let connect = |generation| Input::Connected { device: "files".to_string(), generation, interval: MINUTE };
    let left = Input::Left { device: "files".to_string(), generation: 1, reason: Some(GoodbyeReason::Restart) };
    engine.handle(minute(1), connect(1));
    engine.handle(minute(2), connect(2));
    engine.handle(minute(2), left);
    doze(&mut engine, 3..5);
    assert_eq!(engine.device_state("files").unwrap().presence, crate::presence::Presence::Present);
    doze(&mut engine, 5..8);
    assert_eq!(open(&engine), 1, "it never said goodbye");
}

#[test]
fn a_stamp_that_goes_back_counts_as_the_last_one() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(5), Input::Wake);
    engine.handle(minute(1), Input::Device(device("mail", Class::Server)));
    assert_eq!(engine.device_state("mail").unwrap().since, minute(5));
}

#[test]
fn a_snapshot_of_the_first_format_stays_readable() {
    let golden: Snapshot = serde_json::from_str(include_str!("golden_snapshot.json")).unwrap();
    let mut engine = Engine::restore(rules(), Settings::default(), golden);
    assert_eq!(open(&engine), 1);
    assert_eq!(engine.ticket(1).unwrap().state, TicketState::Assigned);
    let note = RepairNote { fault: "full".to_string(), action: "made room".to_string(), ..RepairNote::default() };
    engine.handle(minute(100), Input::Act { ticket: 1, actor: "kim".to_string(), action: Action::Close(note) });
    assert_eq!(open(&engine), 0);
    let events = effects(&mut engine);
    assert!(events.iter().any(|effect| matches!(
        effect,
        Effect::TicketEvent(TicketEvent { sequence: 3, what: What::Closed { .. }, .. })
    )));
}

#[test]
fn a_snapshot_without_any_field_is_an_engine_that_remembers_nothing() {
    let empty: Snapshot = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, Snapshot::default());
}
