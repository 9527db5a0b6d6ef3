//! School time in a story: calendars as schools write them, made by the collector's own code.

use std::collections::BTreeMap;

use bellwether_collector::calendar::{Calendars, days_since_epoch, zone_named};
use bellwether_logic::calendar::{Calendar, Change, Date};
use bellwether_logic::engine::Input;
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::BEGIN;

/// What a person says of a day.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Closed,
    TwoHoursLate,
    AsPlanned,
}

impl Said {
    pub(super) const fn change(self) -> Option<Change> {
        match self {
            Self::Closed => Some(Change::Closed),
            Self::TwoHoursLate => Some(Change::Late { by_ms: 2 * 3_600_000 }),
            Self::AsPlanned => None,
        }
    }
}

/// A date as the engine counts it.
pub(super) fn date(text: &str) -> Date {
    days_since_epoch(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// The calendars of these files, for a story whose beginning stands for the moment `begins`: stories are told in their
/// own time, so the calendars' instants are moved, and a night on which clocks change is moved with them.
pub(super) fn inputs(files: &BTreeMap<String, String>, begins: Option<&str>) -> Vec<Input> {
    if files.is_empty() {
        return Vec::new();
    }
    let begins: jiff::Timestamp = match begins {
        Some(text) => text.parse().expect("a story begins at a moment such as 2026-10-30T19:00:00Z"),
        None => jiff::Timestamp::from_millisecond(BEGIN.0).expect("stories begin in our time"),
    };
    let folder = tempfile::tempdir().expect("a folder for a story's calendars");
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).expect("a calendar can be written");
    }
    let zone = zone_named("UTC").expect("UTC is known");
    let calendars = Calendars::load(folder.path(), zone).unwrap_or_else(|error| panic!("{error}"));
    let later = BEGIN.0 - begins.as_millisecond();
    let input = |site: &str| {
        let expanded = calendars.expand(site, begins).unwrap_or_else(|error| panic!("{error}"));
        Input::Calendar { site: site.to_owned(), calendar: Some(moved(&expanded.calendar, later)) }
    };
    calendars.sites().map(input).collect()
}

fn moved(calendar: &Calendar, later_ms: i64) -> Calendar {
    let mut parts = calendar.parts().clone();
    let shift = |at: &mut Timestamp| at.0 += later_ms;
    [&mut parts.begins, &mut parts.ends].into_iter().for_each(shift);
    parts.days.iter_mut().flat_map(|day| [&mut day.opens, &mut day.closes]).for_each(shift);
    parts.tests.iter_mut().flat_map(|test| [&mut test.begins, &mut test.ends]).for_each(shift);
    Calendar::new(parts).expect("a calendar that is moved as a whole stays one")
}
