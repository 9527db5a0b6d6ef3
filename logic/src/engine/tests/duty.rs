//! How tickets are handled in the engine: how soon, by whom, and what waits, is passed up or merged.

use alloc::boxed::Box;

use super::school::week;
use super::*;
use crate::calendar::{Calendar, Testing};
use crate::responsibilities::{Lane as Work, Party, PartyKind, Responsibilities, Row, TEAM};
use crate::rules::Severity;
use crate::tickets::{Priority, Step, WaitFor};

const HOUR: u32 = 60;

fn matrix() -> Responsibilities {
    let row = |building: &str, who: &str| Row {
        buildings: vec![building.to_string()],
        who: who.to_string(),
        ..Row::default()
    };
    Responsibilities {
        assumed: false,
        source: "responsibilities.toml".to_string(),
        parties: vec![
            Party::new("kim", PartyKind::Person),
            Party::new("lee", PartyKind::Person),
            Party::new("pat", PartyKind::Person),
            Party::new("sam", PartyKind::Person),
            Party { lane: Work::EdTech, ..Party::new("ana", PartyKind::Person) },
            Party::new("Server Co", PartyKind::Vendor),
        ],
        rows: vec![row("Lincoln", "kim"), row("Oak", "lee"), row("Annex", "Server Co")],
        coordinator: "pat".to_string(),
        lead: "sam".to_string(),
    }
}

/// Rules that see no silence: in these tests nobody says anything for days.
fn quiet() -> RuleSet {
    let rules = shipped().into_iter().filter(|rule| !rule.id.starts_with("silence."));
    RuleSet::merge(rules.collect(), vec![]).unwrap()
}

/// Ticket 1: a disk of `files` that is full since minute 0.
fn full() -> Engine {
    let mut engine = Engine::new(quiet(), known(Settings::default()));
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Device(device("files", Class::Server)));
    engine.handle(minute(0), Input::Responsibilities(Some(Box::new(matrix()))));
    fill(&mut engine, &["/".to_string()], 0..5);
    assert_eq!(open(&engine), 1);
    engine
}

fn run_to(engine: &mut Engine, until: u32) {
    while let Some(wake) = engine.poll_wake().filter(|wake| *wake <= minute(until)) {
        engine.handle(wake, Input::Wake);
    }
}

fn act(engine: &mut Engine, at: u32, ticket: u64, action: Action) {
    engine.handle(minute(at), Input::Act { ticket, actor: "kim".to_string(), action });
}

fn told(engine: &mut Engine) -> Vec<String> {
    let text = |effect| match effect {
        Effect::TicketEvent(event) => Some(format!("#{} {}", event.ticket, event.what.text())),
        Effect::Refused(refused) => Some(format!("#{} refused: {}", refused.ticket, refused.because)),
        _ => None,
    };
    effects(engine).into_iter().filter_map(text).collect()
}

fn ticket(engine: &Engine) -> &Ticket {
    engine.ticket(1).unwrap()
}

fn owner(engine: &Engine) -> &str {
    &ticket(engine).handling.owner.as_ref().unwrap().key
}

#[test]
fn a_ticket_is_handed_to_whom_its_building_belongs_and_follows_its_device_until_somebody_takes_it() {
    let mut engine = full();
    assert_eq!(owner(&engine), "kim");
    let opened = effects(&mut engine).into_iter().find_map(|effect| match effect {
        Effect::TicketEvent(TicketEvent { what: What::Opened { handed, .. }, .. }) => handed,
        _ => None,
    });
    assert_eq!(opened.map(|handed| (handed.priority, handed.owner)), Some((Priority::P3, "kim".to_string())));
    let at_oak = || Device { site: "Oak".to_string(), ..device("files", Class::Server) };
    engine.handle(minute(6), Input::Device(at_oak()));
    assert_eq!(owner(&engine), "lee");
    assert_eq!(told(&mut engine), ["#1 lee is responsible instead of kim: everything at Oak"]);
    act(&mut engine, 7, 1, Action::Take);
    engine.handle(minute(8), Input::Device(device("files", Class::Server)));
    engine.handle(minute(9), Input::Responsibilities(None));
    assert_eq!(owner(&engine), "lee", "somebody has taken it");
    assert_eq!(engine.owner_key(minute(9), "Oak", Some(Class::Server), "storage"), TEAM);
}

#[test]
fn a_matrix_that_names_nobody_is_not_taken() {
    let mut engine = full();
    let broken = Responsibilities { lead: "nobody".to_string(), ..matrix() };
    engine.handle(minute(6), Input::Responsibilities(Some(Box::new(broken))));
    assert_eq!((engine.counters().matrices_refused, owner(&engine)), (1, "kim"));
}

#[test]
fn nobody_takes_it_and_it_is_passed_up_once_a_step() {
    let mut engine = full();
    effects(&mut engine);
    // A P3 of a world without calendars: eight hours to take it, a day to solve it.
    run_to(&mut engine, 8 * HOUR);
    assert!(ticket(&engine).handling.escalated.is_empty());
    assert_eq!(ticket(&engine).handling.due(), Some(minute(8 * HOUR + 2)));
    run_to(&mut engine, 60 * HOUR);
    assert_eq!(
        told(&mut engine),
        [
            "#1 Passed up to pat: nobody took it within 8 hours of school time",
            "#1 Passed up to sam: it was not solved within 24 hours of school time"
        ]
    );
    assert_eq!(ticket(&engine).handling.step(), Some(Step::Lead));
}

#[test]
fn what_waits_for_a_part_is_passed_up_by_the_time_that_people_took() {
    let mut engine = full();
    act(&mut engine, HOUR + 2, 1, Action::Start);
    let until = Some(minute(30 * HOUR));
    let wait = Action::Wait { r#for: WaitFor::Part, text: "a disk".to_string(), until };
    act(&mut engine, 2 * HOUR + 2, 1, wait);
    effects(&mut engine);
    assert_eq!(ticket(&engine).state, TicketState::Waiting);
    assert_eq!(ticket(&engine).handling.due(), None);
    run_to(&mut engine, 29 * HOUR);
    let handling = &ticket(&engine).handling;
    assert_eq!(handling.resolution.as_ref().unwrap().elapsed_ms, u64::from(2 * HOUR) * 60_000);
    // The day comes by itself: work goes on, and 22 hours are left of the 24.
    run_to(&mut engine, 51 * HOUR);
    assert_eq!(told(&mut engine), ["#1 The day has come until which it waited: a disk"]);
    assert_eq!(ticket(&engine).state, TicketState::InProgress);
    assert_eq!(ticket(&engine).handling.waited_ms[&WaitFor::Part], u64::from(28 * HOUR - 2) * 60_000);
    run_to(&mut engine, 60 * HOUR);
    assert_eq!(told(&mut engine), ["#1 Passed up to sam: it was not solved within 24 hours of school time"]);
}

#[test]
fn a_vendor_has_a_clock_of_their_own() {
    let mut engine = full();
    let annex = Device { site: "Annex".to_string(), ..device("files", Class::Server) };
    engine.handle(minute(6), Input::Device(annex));
    act(&mut engine, 7, 1, Action::Wait { r#for: WaitFor::Vendor, text: "case 4711".to_string(), until: None });
    effects(&mut engine);
    run_to(&mut engine, 40 * HOUR);
    assert_eq!(told(&mut engine), ["#1 Server Co is late: nothing came of it within 24 hours of school time"]);
    let handling = &ticket(&engine).handling;
    assert!(handling.escalated.is_empty() && handling.vendor.as_ref().unwrap().clock.missed_at.is_some());
}

#[test]
fn a_server_that_went_at_night_presses_more_once_class_begins_and_stays_so() {
    let mut rules = shipped();
    rules.iter_mut().for_each(|rule| rule.severity = Severity::Major);
    let mut engine = Engine::new(RuleSet::merge(rules, vec![]).unwrap(), known(Settings::default()));
    engine.handle(minute(0), Input::CollectorStarted);
    engine.handle(minute(0), Input::Calendar { site: String::new(), calendar: Some(week()) });
    engine.handle(minute(0), Input::Device(device("files", Class::Server)));
    engine.handle(minute(0), Input::Connected { device: "files".to_string(), generation: 1, interval: MINUTE });
    engine.handle(minute(1), Input::Left { device: "files".to_string(), generation: 1, reason: None });
    run_to(&mut engine, 7 * HOUR);
    let at_night = ticket(&engine).handling.clone();
    effects(&mut engine);
    run_to(&mut engine, 9 * HOUR);
    let in_class = ticket(&engine).handling.clone();
    assert!(in_class.priority < at_night.priority, "{at_night:?} {in_class:?}");
    assert!(told(&mut engine)[0].ends_with("class is in session"));
    run_to(&mut engine, 20 * HOUR);
    assert_eq!(ticket(&engine).handling.priority, in_class.priority);
}

#[test]
fn tests_that_are_near_press_until_they_are_over() {
    let mut engine = full();
    let mut parts = week().parts().clone();
    parts.tests = vec![Testing { name: "SAT".to_string(), begins: minute(56 * HOUR), ends: minute(60 * HOUR) }];
    engine.handle(minute(6), Input::Calendar { site: String::new(), calendar: Some(Calendar::new(parts).unwrap()) });
    effects(&mut engine);
    let before = ticket(&engine).handling.reckoned;
    run_to(&mut engine, 32 * HOUR - 1);
    assert_eq!(ticket(&engine).handling.reckoned, before);
    run_to(&mut engine, 32 * HOUR);
    assert!(ticket(&engine).handling.reckoned < before);
    assert!(ticket(&engine).handling.because.ends_with("testing (SAT)"));
    run_to(&mut engine, 60 * HOUR);
    assert_eq!(ticket(&engine).handling.reckoned, before);
}

#[test]
fn a_persons_priority_stands_until_it_is_taken_back() {
    let mut engine = full();
    effects(&mut engine);
    let choose = |priority, note: &str| Action::Prioritize { priority, note: note.to_string() };
    act(&mut engine, 6, 1, choose(Some(Priority::P1), ""));
    act(&mut engine, 7, 1, choose(Some(Priority::P1), "board meeting"));
    act(&mut engine, 8, 1, choose(Some(Priority::P1), "again"));
    assert_eq!(ticket(&engine).handling.priority, Priority::P1);
    act(&mut engine, 9, 1, choose(None, "it is over"));
    assert_eq!(ticket(&engine).handling.priority, Priority::P3);
    assert_eq!(
        told(&mut engine),
        [
            "#1 refused: there is nothing written",
            "#1 Priority P3 to P1, by hand: board meeting",
            "#1 refused: a person has given it this priority already",
            "#1 Priority P1 to P3, by hand: it is over"
        ]
    );
}

/// Tickets 1 and 2, of two servers.
fn two() -> Engine {
    let mut engine = full();
    engine.handle(minute(5), Input::Device(device("mail", Class::Server)));
    for at in 5..10 {
        engine.handle(minute(at), live("files", vec![disk("/", 95.0, minute(at))]));
        engine.handle(minute(at), live("mail", vec![disk("/", 95.0, minute(at))]));
    }
    assert_eq!(open(&engine), 2);
    effects(&mut engine);
    engine
}

#[test]
fn a_merged_ticket_goes_on_in_the_other_which_ends_when_both_are_good() {
    let mut engine = two();
    act(&mut engine, 10, 2, Action::Merge { into: 1 });
    assert_eq!(engine.ticket(2).unwrap().state, TicketState::Closed);
    assert_eq!(ticket(&engine).lines.len(), 2);
    act(&mut engine, 11, 2, Action::Take);
    act(&mut engine, 11, 1, Action::Merge { into: 1 });
    act(&mut engine, 11, 1, Action::Merge { into: 2 });
    // A further fault of the merged ticket's device comes to the other one.
    for at in 11..16 {
        let disks = vec![disk("/", 95.0, minute(at)), disk("/data", 96.0, minute(at))];
        engine.handle(minute(at), live("mail", disks));
    }
    assert_eq!((open(&engine), ticket(&engine).lines.len()), (1, 3));
    for at in 16..40 {
        let disks = vec![disk("/", 20.0, minute(at)), disk("/data", 20.0, minute(at))];
        engine.handle(minute(at), live("mail", disks));
    }
    assert_eq!(open(&engine), 1, "the other server's disk is still full");
    for at in 40..60 {
        engine.handle(minute(at), live("files", vec![disk("/", 20.0, minute(at))]));
    }
    assert_eq!((open(&engine), ticket(&engine).state), (0, TicketState::Resolved));
    // What comes back of the merged one reopens that into which it was merged.
    fill_mail(&mut engine, 60..66);
    assert_eq!((open(&engine), ticket(&engine).state), (1, TicketState::Reopened));
    let told = told(&mut engine);
    assert_eq!(told[0], "#2 Merged into #1, where it goes on");
    assert!(told.contains(&"#2 refused: this ticket was merged into #1, where it goes on".to_string()));
    assert!(told.contains(&"#1 refused: a ticket cannot be merged into itself".to_string()));
    assert!(told.iter().any(|line| line.starts_with("#1 refused: other tickets were merged into this one")));
}

fn fill_mail(engine: &mut Engine, minutes: core::ops::Range<u32>) {
    for at in minutes {
        engine.handle(minute(at), live("mail", vec![disk("/", 95.0, minute(at))]));
    }
}

#[test]
fn a_merge_is_undone_unless_somebody_has_worked_on_the_other_since() {
    let mut engine = two();
    act(&mut engine, 10, 2, Action::Merge { into: 1 });
    act(&mut engine, 11, 2, Action::Split);
    assert_eq!((open(&engine), ticket(&engine).lines.len()), (2, 1));
    assert_eq!(engine.ticket(2).unwrap().state, TicketState::New);
    let clock = engine.ticket(2).unwrap().handling.resolution.clone().unwrap();
    assert!(clock.running_since.is_some() && clock.done_at.is_none() && clock.elapsed_ms > 0);
    act(&mut engine, 12, 2, Action::Split);
    act(&mut engine, 13, 2, Action::Merge { into: 1 });
    act(&mut engine, 14, 1, Action::Take);
    act(&mut engine, 15, 2, Action::Split);
    let refused: Vec<String> = told(&mut engine).into_iter().filter(|line| line.contains("refused")).collect();
    assert_eq!(
        refused,
        [
            "#2 refused: this ticket was not merged into another",
            "#2 refused: ticket #1, into which it was merged, has been worked on since"
        ]
    );
}

#[test]
fn a_ticket_of_before_is_handled_from_the_next_start_on() {
    let mut engine = full();
    let mut text: serde_json::Value = serde_json::to_value(engine.snapshot()).unwrap();
    for ticket in text["tickets"]["tickets"].as_object_mut().unwrap().values_mut() {
        ticket.as_object_mut().unwrap().remove("handling");
    }
    engine = Engine::restore(quiet(), known(Settings::default()), serde_json::from_value(text).unwrap());
    effects(&mut engine);
    engine.handle(minute(60 * HOUR), Input::CollectorStarted);
    let handling = &ticket(&engine).handling;
    assert_eq!((owner(&engine), handling.escalated.len()), ("kim", 0), "its clocks begin now");
    assert_eq!(handling.due(), Some(minute(68 * HOUR)));
}
