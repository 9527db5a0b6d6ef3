//! A back-test opens what the engine would have opened, and counts what was for nothing.

use super::*;
use crate::calendar::{Calendar, Date, Day, DayKind};
use crate::device::{Class, Device, LifeState};
use crate::rules::Pack;
use crate::sample::{Sample, Value};
use alloc::vec;

const MINUTE: i64 = 60_000;
/// A Monday, 12:00 UTC.
const BEGIN: i64 = 1_788_177_600_000;

fn rules() -> RuleSet {
    let packs = [
        include_str!("../../../collector/rules/disks.toml"),
        include_str!("../../../collector/rules/reachability.toml"),
    ];
    let rules = packs.iter().flat_map(|text| toml::from_str::<Pack>(text).unwrap().rule);
    RuleSet::merge(rules.collect(), vec![]).unwrap()
}

fn settings() -> Settings {
    Settings { first_sight: crate::span::Span::default(), ..Settings::default() }
}

fn device(id: &str) -> Device {
    Device {
        id: id.into(),
        name: id.into(),
        class: Class::Server,
        site: "Lincoln".into(),
        room: String::new(),
        state: LifeState::InUse,
        model: String::new(),
    }
}

fn disk(minute: i64, used: f64) -> Sample {
    Sample {
        measurement: "disk".into(),
        tags: vec![("path".into(), "/".into())],
        target: String::new(),
        time: Timestamp(BEGIN + minute * MINUTE),
        fields: vec![("used_percent".into(), Value::Float(used))],
    }
}

/// Two servers, of which one speaks of its disk for as long as the other fills and frees.
fn play(used: impl Fn(i64) -> Option<f64>, minutes: i64) -> BackTest {
    let mut test = BackTest::new(rules(), settings());
    for id in ["files", "other"] {
        test.feed(Timestamp(BEGIN), Input::Device(device(id)));
        let connected = Input::Connected { device: id.into(), generation: 1, interval: Duration::from_secs(60) };
        test.feed(Timestamp(BEGIN), connected);
    }
    for minute in 0..minutes {
        let at = Timestamp(BEGIN + minute * MINUTE);
        let of =
            |id: &str, used| Input::Samples { device: id.into(), lane: Lane::Live, samples: vec![disk(minute, used)] };
        test.feed(at, of("other", 10.0));
        if let Some(used) = used(minute) {
            test.feed(at, of("files", used));
        }
    }
    test
}

#[test]
fn a_fault_is_counted_by_rule_and_building() {
    let report = play(|minute| Some(if minute < 60 { 99.0 } else { 10.0 }), 120).finish();
    assert_eq!((report.tickets, report.listed), (1, 0));
    let tally = report.by_rule[&("disk.full.server".into(), "Lincoln".into())];
    assert_eq!(tally, Tally { faults: 1, soon_over: 0, off_days: 0 });
    assert_eq!(report.samples, 240);
}

#[test]
fn what_ends_by_itself_within_ten_minutes_is_counted() {
    let mut hasty = rules().iter().cloned().collect::<Vec<_>>();
    hasty.retain(|rule| rule.id == "disk.full.server");
    let crate::rules::Check::Threshold(threshold) = &mut hasty[0].check else { panic!() };
    threshold.clear_for = crate::span::Span::from_mins(2);
    let mut test = BackTest::new(RuleSet::merge(hasty, vec![]).unwrap(), settings());
    test.feed(Timestamp(BEGIN), Input::Device(device("files")));
    for minute in 0..60 {
        let used = if minute < 5 { 99.0 } else { 10.0 };
        let input = Input::Samples { device: "files".into(), lane: Lane::Live, samples: vec![disk(minute, used)] };
        test.feed(Timestamp(BEGIN + minute * MINUTE), input);
    }
    assert_eq!(test.finish().by_rule.values().next().unwrap().soon_over, 1);
}

#[test]
fn a_server_that_falls_silent_opens_one_and_a_collector_that_was_away_none() {
    let report = play(|minute| (minute < 30).then_some(10.0), 60).finish();
    assert_eq!(report.by_rule.keys().map(|(rule, _)| rule.as_str()).collect::<Vec<_>>(), ["silence.server"]);

    let mut test = play(|_| Some(10.0), 30);
    for minute in 200..230 {
        for id in ["files", "other"] {
            let input = Input::Samples { device: id.into(), lane: Lane::Live, samples: vec![disk(minute, 10.0)] };
            test.feed(Timestamp(BEGIN + minute * MINUTE), input);
        }
    }
    assert_eq!(test.finish().tickets, 0, "nobody spoke for hours: the collector itself was away");
}

#[test]
fn what_begins_to_count_on_a_day_off_is_told_apart() {
    // School on the next day alone; noon of the first is half a day before it opens.
    let opens = Timestamp(BEGIN + 20 * 60 * MINUTE);
    let day = Day {
        date: Date(20_697),
        opens,
        closes: opens + Duration::from_secs(7 * 3_600),
        kind: DayKind::Full,
        schedule: None,
    };
    let ends = Timestamp(BEGIN + 30 * 24 * 60 * MINUTE);
    let parts = crate::calendar::Parts {
        begins: Timestamp(BEGIN - 24 * 60 * MINUTE),
        ends,
        days: vec![day],
        ..crate::calendar::Parts::default()
    };
    let mut test = BackTest::new(rules(), settings());
    let calendar = Calendar::new(parts).unwrap();
    test.feed(Timestamp(BEGIN), Input::Calendar { site: String::new(), calendar: Some(calendar) });
    test.feed(Timestamp(BEGIN), Input::Device(device("files")));
    for minute in 0..30 {
        let input = Input::Samples { device: "files".into(), lane: Lane::Live, samples: vec![disk(minute, 99.0)] };
        test.feed(Timestamp(BEGIN + minute * MINUTE), input);
    }
    assert_eq!(test.finish().by_rule.values().next().unwrap().off_days, 1);
}
