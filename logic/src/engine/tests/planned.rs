//! Planned changes, and rules that wait for the end of tests.

use super::*;
use crate::calendar::{Calendar, Date, Day, DayKind, Parts, Testing};
use crate::plans::{NewPlan, PLANS_MAX, Plan, PlanRefusal, Scope};
use crate::rules::Severity;

fn scope() -> Scope {
    Scope { device: "files".to_string(), ..Scope::default() }
}

fn plan(from: u32, until: u32) -> Input {
    let plan = NewPlan { scope: scope(), from: minute(from), until: minute(until), why: "new disks".to_string() };
    Input::Plan { actor: "kim".to_string(), plan }
}

fn end(takes_back: bool) -> Input {
    Input::EndPlan { number: 1, actor: "lee".to_string(), takes_back }
}

fn read(engine: &mut Engine, used: f64, minutes: core::ops::Range<u32>) {
    for at in minutes {
        engine.handle(minute(at), live("files", vec![disk("/", used, minute(at))]));
    }
}

fn last_plan(engine: &mut Engine) -> Plan {
    let mut plans = effects(engine).into_iter().rev().filter_map(|effect| match effect {
        Effect::Plan(plan) => Some(*plan),
        _ => None,
    });
    plans.next().expect("something was told of it")
}

#[test]
fn what_opens_inside_is_noted_and_what_is_left_ten_minutes_after_has_its_ticket() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(0), plan(5, 60));
    read(&mut engine, 20.0, 0..10);
    read(&mut engine, 95.0, 10..70);
    assert_eq!(open(&engine), 0);
    let told = last_plan(&mut engine);
    assert_eq!((told.silenced, told.named[0].title.as_str(), told.over), (1, "files: / is almost full", false));
    read(&mut engine, 95.0, 70..71);
    assert_eq!(open(&engine), 1);
    let told = last_plan(&mut engine);
    assert_eq!((told.silenced, told.left, told.over), (1, 1, true));
}

#[test]
fn what_is_mended_inside_makes_nothing_and_what_begins_after_it_makes_its_ticket_at_once() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(0), plan(0, 60));
    read(&mut engine, 95.0, 0..20);
    read(&mut engine, 20.0, 20..62);
    read(&mut engine, 95.0, 62..64);
    assert_eq!(open(&engine), 0);
    read(&mut engine, 95.0, 64..65);
    assert_eq!(open(&engine), 1, "it began after the end");
}

#[test]
fn a_ticket_that_is_open_before_stays_and_is_told() {
    let mut engine = watching(Settings::default());
    read(&mut engine, 95.0, 0..5);
    engine.handle(minute(5), plan(6, 60));
    read(&mut engine, 95.0, 6..8);
    assert_eq!(open(&engine), 1);
    let remarks: Vec<String> = effects(&mut engine)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::TicketEvent(TicketEvent { what: What::Commented { text }, .. }) => Some(text),
            _ => None,
        })
        .collect();
    let said = "Planned change 1 by kim covers this: new disks. What it silences until its end makes no tickets.";
    assert_eq!(remarks, [said]);
}

#[test]
fn one_that_is_ended_early_settles_from_then_and_one_taken_back_hides_nothing_any_more() {
    for (takes_back, at_once) in [(false, 0), (true, 1)] {
        let mut engine = watching(Settings::default());
        engine.handle(minute(0), plan(0, 600));
        read(&mut engine, 95.0, 0..20);
        engine.handle(minute(20), end(takes_back));
        assert_eq!(open(&engine), at_once);
        read(&mut engine, 95.0, 21..31);
        assert_eq!(open(&engine), 1);
        assert!(last_plan(&mut engine).over);
        engine.handle(minute(40), end(true));
        assert_eq!(engine.counters().plans_refused, 1);
    }
}

#[test]
fn one_that_makes_no_sense_is_refused() {
    let now = minute(10);
    let good = NewPlan { scope: scope(), from: minute(0), until: minute(20), why: "x".to_string() };
    assert_eq!(good.check(now), Ok(()));
    let room = Scope { room: "214".to_string(), class: Some(Class::Desktop), ..Scope::default() };
    for (plan, why) in [
        (NewPlan { scope: Scope::default(), ..good.clone() }, PlanRefusal::Everything),
        (NewPlan { scope: room, ..good.clone() }, PlanRefusal::Everything),
        (NewPlan { until: minute(10), ..good.clone() }, PlanRefusal::Times),
        (NewPlan { from: minute(20), ..good.clone() }, PlanRefusal::Times),
        (NewPlan { until: minute(1_000_000), ..good.clone() }, PlanRefusal::Times),
        (NewPlan { why: " ".to_string(), ..good.clone() }, PlanRefusal::Why),
    ] {
        assert_eq!(plan.check(now), Err(why));
    }
    let mut engine = watching(Settings::default());
    (0..=PLANS_MAX).for_each(|_| engine.handle(minute(1), plan(100, 200)));
    assert_eq!(engine.counters().plans_refused, 1);
}

#[test]
fn what_hangs_on_a_switch_under_change_is_explained_by_it_and_named_once_there_is_a_ticket() {
    let mut engine = watching(Settings::default());
    engine.handle(minute(0), Input::Device(device("mdf", Class::Server)));
    engine.handle(minute(0), Input::Hanging(vec![("files".to_string(), Some("mdf".to_string()))]));
    let scope = Scope { device: "mdf".to_string(), ..Scope::default() };
    let change = NewPlan { scope, from: minute(0), until: minute(60), why: "new switch".to_string() };
    engine.handle(minute(0), Input::Plan { actor: "kim".to_string(), plan: change });
    for device in ["mdf", "files"] {
        let (device, interval) = (device.to_string(), MINUTE);
        engine.handle(minute(1), Input::Connected { device: device.clone(), generation: 1, interval });
        engine.handle(minute(2), Input::Left { device, generation: 1, reason: None });
    }
    doze(&mut engine, 3..70);
    assert_eq!(open(&engine), 0);
    doze(&mut engine, 70..72);
    assert_eq!(open(&engine), 1);
    let ticket = engine.ticket(1).unwrap();
    assert_eq!((ticket.device.as_str(), ticket.affected.len()), ("mdf", 1));
}

#[test]
fn a_rule_that_waits_for_tests_makes_its_tickets_after_them() {
    let change = |rule: &mut Rule| rule.waits_for_tests = true;
    let mut rules = shipped();
    rules.iter_mut().for_each(change);
    for severity in [Severity::Major, Severity::Critical] {
        rules.iter_mut().for_each(|rule| rule.severity = severity);
        let set = RuleSet::merge(rules.clone(), vec![]).unwrap();
        let mut engine = Engine::new(set, known(Settings::default()));
        let day = Day { date: Date(0), opens: minute(0), closes: minute(600), kind: DayKind::Full, schedule: None };
        let tests = Testing { begins: minute(0), ends: minute(60), name: "State test".to_string() };
        let parts =
            Parts { begins: minute(0), ends: minute(9_000), days: vec![day], tests: vec![tests], ..Parts::default() };
        engine.handle(minute(0), Input::CollectorStarted);
        engine.handle(minute(0), Input::Device(device("files", Class::Server)));
        let calendar = Some(Calendar::new(parts).unwrap());
        engine.handle(minute(0), Input::Calendar { site: "Lincoln".to_string(), calendar });
        read(&mut engine, 95.0, 0..60);
        assert_eq!(open(&engine), usize::from(severity == Severity::Critical));
        read(&mut engine, 95.0, 60..62);
        assert_eq!(open(&engine), 1);
    }
}
