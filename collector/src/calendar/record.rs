//! A building's calendar as the journal holds it, and back.

use std::collections::BTreeSet;

use bellwether_logic::calendar::{self as logic, Calendar, Change, Date as Days, DayKind, Parts};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{
    BellPeriod, BellSchedule, CalendarSet, DayChanged, DayNote, SchoolDay, TestingWindow, day_changed,
};
use jiff::Span;
use jiff::civil::Date;

use super::expand::Expanded;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A civil date as the engine counts it.
#[must_use]
pub fn days_since_epoch(date: Date) -> Days {
    Days(EPOCH.until(date).map_or(0, |span| span.get_days()))
}

/// The civil date that the engine counts so.
#[must_use]
pub fn civil(date: Days) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(date.0).ok()?).ok()
}

pub(super) fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp(at.as_millisecond())
}

/// The record that says it.
#[must_use]
pub fn record_of(site: &str, expanded: &Expanded) -> CalendarSet {
    let parts = expanded.calendar.parts();
    CalendarSet {
        site: site.to_owned(),
        removed: false,
        assumed: parts.assumed,
        zone: expanded.zone.clone(),
        source: expanded.source.clone(),
        begins_ms: parts.begins.0,
        ends_ms: parts.ends.0,
        days: parts.days.iter().map(school_day).collect(),
        schedules: parts.schedules.iter().map(bell_schedule).collect(),
        tests: parts
            .tests
            .iter()
            .map(|test| TestingWindow { name: test.name.clone(), begins_ms: test.begins.0, ends_ms: test.ends.0 })
            .collect(),
        notes: expanded
            .notes
            .iter()
            .map(|(date, note)| DayNote {
                date: days_since_epoch(*date).0,
                why: note.why.clone(),
                source: note.source.clone(),
            })
            .collect(),
    }
}

/// Takes over what a calendar of before said of single days by these feeds, which can't be read now: what was written in the
/// file since is in force all the same, and has the last word on its days.
pub(super) fn keep_days_of(set: &mut CalendarSet, known: &CalendarSet, feeds: &BTreeSet<String>) {
    let by_file: BTreeSet<i32> =
        set.notes.iter().filter(|note| note.source == set.source).map(|note| note.date).collect();
    let kept: Vec<DayNote> = known
        .notes
        .iter()
        .filter(|note| feeds.contains(&note.source) && !by_file.contains(&note.date))
        .filter(|note| set.days.first().is_none_or(|first| note.date >= first.date))
        .cloned()
        .collect();
    for note in kept {
        set.days.retain(|day| day.date != note.date);
        set.notes.retain(|other| other.date != note.date);
        let day = known.days.iter().find(|day| day.date == note.date);
        // Days of feeds have no bells; another file's schedules would be others.
        set.days.extend(day.map(|day| SchoolDay { schedule: 0, ..day.clone() }));
        set.notes.push(note);
    }
    set.days.sort_by_key(|day| day.date);
    set.notes.sort_by_key(|note| note.date);
}

fn school_day(day: &logic::Day) -> SchoolDay {
    SchoolDay {
        date: day.date.0,
        opens_ms: day.opens.0,
        long_ms: u32::try_from(day.closes.0 - day.opens.0).unwrap_or(u32::MAX),
        kind: day.kind.as_str().to_owned(),
        schedule: day.schedule.map_or(0, |at| u32::from(at) + 1),
    }
}

fn bell_schedule(schedule: &logic::Schedule) -> BellSchedule {
    let period = |period: &logic::Period| BellPeriod {
        name: period.name.clone(),
        begins_ms: u32::try_from(period.begins_ms).unwrap_or(u32::MAX),
        ends_ms: u32::try_from(period.ends_ms).unwrap_or(u32::MAX),
    };
    BellSchedule { periods: schedule.periods.iter().map(period).collect() }
}

/// The calendar that a record says; none if it is out of order, or of words that this version does not know.
#[must_use]
pub fn calendar_of(set: &CalendarSet) -> Option<Calendar> {
    let day = |day: &SchoolDay| {
        Some(logic::Day {
            date: Days(day.date),
            opens: Timestamp(day.opens_ms),
            closes: Timestamp(day.opens_ms.checked_add(i64::from(day.long_ms))?),
            kind: day.kind.parse::<DayKind>().ok()?,
            schedule: day.schedule.checked_sub(1).map(u16::try_from).transpose().ok()?,
        })
    };
    let period = |period: &BellPeriod| logic::Period {
        name: period.name.clone(),
        begins_ms: i64::from(period.begins_ms),
        ends_ms: i64::from(period.ends_ms),
    };
    let schedule = |schedule: &BellSchedule| logic::Schedule { periods: schedule.periods.iter().map(period).collect() };
    let test = |test: &TestingWindow| logic::Testing {
        name: test.name.clone(),
        begins: Timestamp(test.begins_ms),
        ends: Timestamp(test.ends_ms),
    };
    let parts = Parts {
        assumed: set.assumed,
        begins: Timestamp(set.begins_ms),
        ends: Timestamp(set.ends_ms),
        days: set.days.iter().map(day).collect::<Option<_>>()?,
        schedules: set.schedules.iter().map(schedule).collect(),
        tests: set.tests.iter().map(test).collect(),
    };
    Calendar::new(parts).ok()
}

/// What a record says of a day; none if it takes back what was said.
#[must_use]
pub const fn change_of(changed: &DayChanged) -> Option<Change> {
    match &changed.change {
        Some(day_changed::Change::Closed(_)) => Some(Change::Closed),
        Some(day_changed::Change::LateMs(by_ms)) => Some(Change::Late { by_ms: *by_ms }),
        None => None,
    }
}
