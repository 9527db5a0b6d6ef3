//! First sight, and rules that are lists by nature.

use super::*;
use crate::incidents::{Fault, Quiet};
use crate::rules::Severity;

/// Hours of a device that is new, on these settings.
fn new(rules: RuleSet) -> Engine {
    let mut engine = Engine::new(rules, Settings::default());
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Device(device("files", Class::Server)));
    effects(&mut engine);
    engine
}

fn read(engine: &mut Engine, used: f64, minutes: core::ops::Range<u32>) {
    for at in minutes {
        engine.handle(minute(at), live("files", vec![disk("/", used, minute(at))]));
    }
}

fn listed(engine: &Engine) -> usize {
    let all = engine.snapshot().devices.values().flat_map(|watched| watched.incidents.values());
    all.filter(|incident| incident.quiet.is_some()).count()
}

fn all_rules(change: impl Fn(&mut Rule)) -> RuleSet {
    let mut rules = shipped();
    rules.iter_mut().for_each(change);
    RuleSet::merge(rules, vec![]).unwrap()
}

#[test]
fn what_is_wrong_when_a_device_is_first_seen_is_listed_and_leaves_the_list_when_it_is_over() {
    let mut engine = new(rules());
    read(&mut engine, 91.0, 0..600);
    assert_eq!((open(&engine), listed(&engine), engine.counters().listed), (0, 1, 1));
    let told = effects(&mut engine);
    let listings: Vec<&Listing> = told
        .iter()
        .filter_map(|effect| match effect {
            Effect::Listed(listing) => Some(&**listing),
            _ => None,
        })
        .collect();
    assert_eq!(listings.len(), 1);
    assert_eq!((listings[0].because, listings[0].severity), (Quiet::FirstSight, Severity::Major));
    assert_eq!(listings[0].title, "files: / is almost full");
    read(&mut engine, 20.0, 600..620);
    assert_eq!(listed(&engine), 0);
    assert!(effects(&mut engine).iter().any(|effect| matches!(effect, Effect::Unlisted { .. })));
    read(&mut engine, 91.0, 620..640);
    assert_eq!(open(&engine), 1, "and what comes later is work");
}

#[test]
fn what_was_found_has_a_ticket_once_it_is_materially_worse() {
    let mut engine = new(rules());
    read(&mut engine, 91.0, 0..300);
    read(&mut engine, 95.0, 300..310);
    assert_eq!((open(&engine), listed(&engine)), (0, 1), "not for every percent");
    read(&mut engine, 95.5, 310..311);
    assert_eq!((open(&engine), listed(&engine)), (1, 0));
    let told = effects(&mut engine);
    assert!(told.iter().any(|effect| matches!(effect, Effect::Unlisted { .. })));
    let remark = "It was found when we first looked, and has become worse since.";
    assert!(told.iter().any(|effect| matches!(effect, Effect::TicketEvent(event) if event.what.text() == remark)));
}

#[test]
fn hours_in_which_nothing_is_said_are_no_first_look() {
    let mut engine = new(rules());
    read(&mut engine, 20.0, 0..5);
    let next_week = 7 * 24 * 60;
    engine.handle(minute(next_week), Input::Wake);
    read(&mut engine, 91.0, next_week..next_week + 30);
    assert_eq!((open(&engine), listed(&engine)), (0, 1));
}

#[test]
fn a_fault_that_began_while_the_device_was_new_was_found_though_it_counts_later() {
    let mut engine = new(all_rules(|rule| {
        if let crate::rules::Check::Threshold(threshold) = &mut rule.check {
            threshold.r#for.span = crate::span::Span::from_days(1).0;
        }
    }));
    read(&mut engine, 91.0, 0..1_500);
    assert_eq!((open(&engine), listed(&engine)), (0, 1));
}

#[test]
fn a_rule_that_is_new_looks_at_old_devices_for_the_first_time() {
    let mut engine = Engine::new(RuleSet::default(), Settings::default());
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Device(device("files", Class::Server)));
    read(&mut engine, 91.0, 0..600);
    let text = serde_json::to_string(engine.snapshot()).unwrap();
    let mut engine = Engine::restore(rules(), Settings::default(), serde_json::from_str(&text).unwrap());
    engine.handle(minute(600), Input::CollectorStarted);
    read(&mut engine, 91.0, 600..900);
    assert_eq!((open(&engine), listed(&engine)), (0, 1));
    let mail = Input::Device(device("mail", Class::Server));
    engine.handle(minute(900), mail);
    for at in 900..1_210 {
        let used = if at < 1_200 { 20.0 } else { 91.0 };
        engine.handle(minute(at), live("mail", vec![disk("/", used, minute(at))]));
        engine.handle(minute(at), live("files", vec![disk("/", 91.0, minute(at))]));
    }
    assert_eq!((open(&engine), listed(&engine)), (1, 1), "what is new about one is old about another");
}

#[test]
fn what_is_critical_or_about_safety_is_never_only_listed() {
    for change in [|rule: &mut Rule| rule.safety = true, |rule: &mut Rule| rule.severity = Severity::Critical] {
        let mut engine = new(all_rules(change));
        read(&mut engine, 91.0, 0..5);
        assert_eq!((open(&engine), listed(&engine)), (1, 0));
    }
}

#[test]
fn an_outage_is_never_only_listed() {
    let mut engine = new(rules());
    engine.handle(
        minute(0),
        Input::Connected { device: "files".to_string(), generation: 1, interval: Duration::from_secs(60) },
    );
    engine.handle(minute(1), Input::Left { device: "files".to_string(), generation: 1, reason: None });
    doze(&mut engine, 2..20);
    assert_eq!((open(&engine), listed(&engine)), (1, 0));
}

#[test]
fn first_sight_can_be_switched_off() {
    let mut engine = watching(Settings::default());
    read(&mut engine, 91.0, 0..5);
    assert_eq!((open(&engine), listed(&engine)), (1, 0));
}

#[test]
fn a_rule_that_is_a_list_by_nature_never_makes_a_ticket_by_itself_and_a_person_may_make_one_of_it() {
    let mut engine =
        new(all_rules(|rule| rule.list = !rule.is_outage() && !rule.safety && rule.severity != Severity::Critical));
    read(&mut engine, 20.0, 0..1_000);
    read(&mut engine, 91.0, 1_000..1_100);
    read(&mut engine, 99.9, 1_100..1_200);
    assert_eq!((open(&engine), listed(&engine)), (0, 1));
    effects(&mut engine);
    let fault = Fault { rule: "disk.full.server".to_string(), tags: vec![("path".to_string(), "/".to_string())] };
    let raise =
        |device: &str| Input::Raise { actor: "kim".to_string(), faults: vec![(device.to_string(), fault.clone())] };
    engine.handle(minute(1_200), raise("nobody"));
    assert_eq!(open(&engine), 0);
    engine.handle(minute(1_200), raise("files"));
    engine.handle(minute(1_200), raise("files"));
    assert_eq!((open(&engine), listed(&engine)), (1, 0));
    let texts: Vec<String> = effects(&mut engine)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::TicketEvent(event) => Some(format!("{}: {}", event.actor.as_str(), event.what.text())),
            _ => None,
        })
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[1], "kim: Turned into a ticket from the planning list.");
}

#[test]
fn a_list_of_what_is_urgent_is_refused() {
    let mut rule = shipped().into_iter().find(|rule| rule.id == "disk.full.server").unwrap();
    rule.list = true;
    rule.validate().unwrap();
    rule.safety = true;
    assert_eq!(rule.validate().unwrap_err().key, "list");
}
