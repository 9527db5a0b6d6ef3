//! School time in the engine: what counts, what is withdrawn, what comes back.

use alloc::format;

use super::*;
use crate::calendar::{Calendar, Change, Date, Day, DayKind, Parts};
use crate::rules::Check;

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

/// School from eight to four of each day but the second, in a world that begins at midnight.
pub(super) fn week() -> Calendar {
    let day = |date: u32| Day {
        date: Date(i32::try_from(date).unwrap()),
        opens: minute(date * DAY + 8 * HOUR),
        closes: minute(date * DAY + 16 * HOUR),
        kind: DayKind::Full,
        schedule: None,
    };
    let days = [0, 2, 3, 4].map(day).to_vec();
    Calendar::new(Parts { begins: minute(0), ends: minute(30 * DAY), days, ..Parts::default() }).unwrap()
}

/// A desktop's silence counts in school hours, a server's always; a full disk of a desktop by school time.
fn school_rules() -> RuleSet {
    let desktop = |rule: &mut Rule| {
        if rule.id == "silence.desktop" {
            rule.check =
                toml::from_str("absence = { for = \"30m\", clear_for = \"5m\", expected = \"in_session\" }").unwrap();
        }
        if let (true, Check::Threshold(threshold)) = (rule.id == "disk.full.client", &mut rule.check) {
            threshold.r#for = "2h school".parse().unwrap();
        }
    };
    let mut rules = shipped();
    rules.iter_mut().for_each(desktop);
    RuleSet::merge(rules, vec![]).unwrap()
}

/// A school whose desktop and server were heard of last at this minute.
fn heard_until(last: u32) -> Engine {
    let mut engine = Engine::new(school_rules(), known(Settings::default()));
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Calendar { site: String::new(), calendar: Some(week()) });
    for (id, class) in [("lab-1", Class::Desktop), ("files", Class::Server)] {
        engine.handle(minute(0), Input::Device(device(id, class)));
        let connected = Input::Connected { device: id.to_string(), generation: 1, interval: MINUTE };
        engine.handle(minute(last), connected);
        engine.handle(minute(last), Input::Left { device: id.to_string(), generation: 1, reason: None });
    }
    engine
}

fn run_to(engine: &mut Engine, until: u32) {
    while let Some(wake) = engine.poll_wake().filter(|wake| *wake <= minute(until)) {
        engine.handle(wake, Input::Wake);
    }
}

fn tickets(engine: &Engine) -> Vec<String> {
    let shown = |ticket: &Ticket| format!("{} {}", ticket.device, ticket.state);
    engine.tickets().map(shown).collect()
}

fn say(engine: &mut Engine, at: u32, date: i32, change: Option<Change>) {
    run_to(engine, at);
    engine.handle(minute(at), Input::DayChanged { site: "Lincoln".to_string(), date: Date(date), change });
}

#[test]
fn a_desktop_is_missed_half_an_hour_after_the_opening_and_a_server_at_once() {
    let mut engine = heard_until(15 * HOUR + 50);
    run_to(&mut engine, 2 * DAY + 8 * HOUR + 29);
    assert_eq!(tickets(&engine), ["files new"], "nobody misses a desktop in the evening, or on a day off");
    run_to(&mut engine, 2 * DAY + 8 * HOUR + 30);
    assert_eq!(tickets(&engine), ["files new", "lab-1 new"]);
}

#[test]
fn closed_today_withdraws_what_it_explains_and_taking_it_back_restores_what_is_still_bad() {
    let mut engine = heard_until(15 * HOUR);
    run_to(&mut engine, 15 * HOUR + 40);
    assert_eq!(tickets(&engine), ["files new", "lab-1 new"]);
    say(&mut engine, 15 * HOUR + 41, 0, Some(Change::Closed));
    assert_eq!(tickets(&engine), ["files new", "lab-1 resolved"]);
    let told = effects(&mut engine);
    let because = "Resolved by itself: the building was closed";
    assert!(told.iter().any(|effect| matches!(effect, Effect::TicketEvent(event) if event.what.text() == because)));
    say(&mut engine, 15 * HOUR + 45, 0, None);
    assert_eq!(tickets(&engine), ["files new", "lab-1 reopened"]);
    // The same again, but the machine is back meanwhile.
    say(&mut engine, 15 * HOUR + 46, 0, Some(Change::Closed));
    let back = Input::Connected { device: "lab-1".to_string(), generation: 2, interval: MINUTE };
    engine.handle(minute(15 * HOUR + 47), back);
    say(&mut engine, 15 * HOUR + 48, 0, None);
    assert_eq!(tickets(&engine), ["files new", "lab-1 resolved"]);
}

#[test]
fn two_hours_late_withdraws_only_until_two_hours_later() {
    let mut engine = heard_until(15 * HOUR + 50);
    run_to(&mut engine, 2 * DAY + 8 * HOUR + 40);
    assert_eq!(tickets(&engine), ["files new", "lab-1 new"]);
    say(&mut engine, 2 * DAY + 8 * HOUR + 41, 2, Some(Change::Late { by_ms: 2 * 3_600_000 }));
    assert_eq!(tickets(&engine), ["files new", "lab-1 resolved"]);
    run_to(&mut engine, 2 * DAY + 10 * HOUR + 29);
    assert_eq!(tickets(&engine), ["files new", "lab-1 resolved"]);
    run_to(&mut engine, 2 * DAY + 10 * HOUR + 30);
    assert_eq!(tickets(&engine), ["files new", "lab-1 reopened"]);
}

#[test]
fn a_fault_in_school_time_grows_only_there_is_withdrawn_and_comes_back() {
    let mut engine = heard_until(7 * HOUR);
    let full = |engine: &mut Engine, from: u32, to: u32| {
        for at in from..=to {
            engine.handle(minute(at), live("lab-1", vec![disk("/", 99.0, minute(at))]));
        }
    };
    let is_open = |engine: &Engine| engine.tickets().any(|it| it.category == "disk" && it.state.is_open());
    full(&mut engine, 15 * HOUR, 2 * DAY + 8 * HOUR + 59);
    assert!(!is_open(&engine), "an hour before the end, and an hour less a minute after the next opening");
    full(&mut engine, 2 * DAY + 9 * HOUR, 2 * DAY + 9 * HOUR);
    assert!(is_open(&engine));
    say(&mut engine, 2 * DAY + 9 * HOUR + 1, 2, Some(Change::Closed));
    assert!(!is_open(&engine));
    full(&mut engine, 2 * DAY + 9 * HOUR + 2, 2 * DAY + 15 * HOUR);
    assert!(!is_open(&engine));
    say(&mut engine, 2 * DAY + 15 * HOUR + 1, 2, None);
    assert!(is_open(&engine), "it was there all the time");
    say(&mut engine, 2 * DAY + 15 * HOUR + 2, 2, Some(Change::Closed));
    engine
        .handle(minute(2 * DAY + 15 * HOUR + 3), live("lab-1", vec![disk("/", 10.0, minute(2 * DAY + 15 * HOUR + 3))]));
    say(&mut engine, 2 * DAY + 15 * HOUR + 4, 2, None);
    assert!(!is_open(&engine), "it was gone before");
}

#[test]
fn a_ticket_that_a_person_closed_is_left_alone() {
    let mut engine = heard_until(15 * HOUR);
    run_to(&mut engine, 15 * HOUR + 40);
    let number = engine.tickets().find(|ticket| ticket.device == "lab-1").unwrap().number;
    let note = RepairNote { fault: "cord".to_string(), action: "cord".to_string(), ..RepairNote::default() };
    let close = Input::Act { ticket: number, actor: "kim".to_string(), action: Action::Close(note) };
    engine.handle(minute(15 * HOUR + 41), close);
    say(&mut engine, 15 * HOUR + 42, 0, Some(Change::Closed));
    say(&mut engine, 15 * HOUR + 43, 0, None);
    run_to(&mut engine, 15 * HOUR + 59);
    assert_eq!(tickets(&engine), ["files new", "lab-1 closed"]);
}

#[test]
fn a_day_that_begins_too_late_is_refused_and_counted() {
    let mut engine = heard_until(15 * HOUR);
    say(&mut engine, 15 * HOUR + 1, 0, Some(Change::Late { by_ms: u32::MAX }));
    assert_eq!(engine.counters().calendars_refused, 1);
}
