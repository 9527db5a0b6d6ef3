//! School time: which moments count at a building.
//!
//! A [`Calendar`] is a plain list of days with instants, made elsewhere from civil dates, time zones and bell
//! schedules; nothing here knows of a zone, so a night on which clocks change is nothing special. What people say of
//! single days ("closed today") lies above it as [`Change`]s and outlives a calendar that is made anew. [`School`] is
//! both together and answers questions.
//!
//! What it keeps:
//! - beyond what a calendar covers nobody knows; then every moment counts, so that a forgotten calendar hides no outage;
//! - all answers are of the calendar alone: the same question is answered the same way in a replay.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::words;
use crate::time::Timestamp;

mod book;
mod school;

pub use book::{Book, CHANGES_MAX, CalendarRefusal, Change, LATE_MAX_MS, SITES_MAX};
pub use school::School;

/// Days of one calendar: four years of every day, more than anyone expands.
pub const DAYS_MAX: usize = 1_500;

/// Bell schedules of one calendar: some for each weekday and grade, and one for each night on which clocks change.
pub const SCHEDULES_MAX: usize = 64;

/// Periods of one bell schedule, those between classes included.
pub const PERIODS_MAX: usize = 32;

/// Testing windows of one calendar: several tests a season, a window a day.
pub const TESTS_MAX: usize = 400;

/// Letters of a period's or a window's name.
pub const NAME_MAX: usize = 80;

/// A civil date at the building, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i32);

words! {
    /// What kind of school day it is.
    DayKind, "kind of day" {
        /// As usual.
        Full = "full",
        /// Ends early.
        Half = "half",
        /// Begins late.
        Late = "late",
        /// Of a term between two school years.
        Summer = "summer",
    }
}

/// A day on which the building is open for school. A day that is none has no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Which day.
    pub date: Date,
    /// From when on its time is school time.
    pub opens: Timestamp,
    /// Until when; not included.
    pub closes: Timestamp,
    /// What kind of day it is.
    pub kind: DayKind,
    /// Which of the calendar's schedules its bells follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<u16>,
}

/// One class, or a break between two, in milliseconds after the day's opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// As the school calls it.
    pub name: String,
    /// Its first moment.
    pub begins_ms: i64,
    /// Its end; not included.
    pub ends_ms: i64,
}

/// The bells of a kind of day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule {
    /// In order, none over another.
    pub periods: Vec<Period>,
}

/// A time in which tests are held and nothing must be touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testing {
    /// As the school calls it.
    pub name: String,
    /// Its first moment.
    pub begins: Timestamp,
    /// Its end; not included.
    pub ends: Timestamp,
}

/// What a calendar is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Whether nobody has entered it: an assumption that pages show as one.
    pub assumed: bool,
    /// The first moment that it speaks of.
    pub begins: Timestamp,
    /// The end of what it speaks of; not included.
    pub ends: Timestamp,
    /// School days in order.
    pub days: Vec<Day>,
    /// The bells that its days name.
    pub schedules: Vec<Schedule>,
    /// Testing windows in the order of their beginning.
    pub tests: Vec<Testing>,
}

/// One building's calendar, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calendar(Parts);

/// Why parts make no calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// More of something than a calendar takes.
    #[error("the calendar has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it takes.
        max: usize,
    },
    /// It ends before it begins.
    #[error("the calendar ends before it begins")]
    Backwards,
    /// A day ends before it begins, lies outside, or is not after the one before it.
    #[error("day {} of the calendar is not after the one before it, or ends before it begins", .0.0)]
    Day(Date),
    /// A day names bells that are not there.
    #[error("day {} of the calendar names a bell schedule that it does not have", .0.0)]
    Schedule(Date),
    /// Periods or windows are out of order, or bear no name that fits.
    #[error("the calendar's {0} are out of order or their names too long")]
    Order(&'static str),
}

impl Calendar {
    /// Takes only what is in order.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(parts: Parts) -> Result<Self, CalendarError> {
        let bounds = [
            (parts.days.len(), DAYS_MAX, "days"),
            (parts.schedules.len(), SCHEDULES_MAX, "bell schedules"),
            (parts.tests.len(), TESTS_MAX, "testing windows"),
            (
                parts.schedules.iter().map(|it| it.periods.len()).max().unwrap_or(0),
                PERIODS_MAX,
                "periods in a schedule",
            ),
        ];
        if let Some((_, max, what)) = bounds.into_iter().find(|(count, max, _)| count > max) {
            return Err(CalendarError::TooMany { what, max });
        }
        if parts.ends < parts.begins {
            return Err(CalendarError::Backwards);
        }
        let mut before: Option<&Day> = None;
        for day in &parts.days {
            let follows = before.is_none_or(|before| before.date < day.date && before.closes <= day.opens);
            if !follows || day.closes <= day.opens || day.opens < parts.begins || day.closes > parts.ends {
                return Err(CalendarError::Day(day.date));
            }
            if day.schedule.is_some_and(|at| usize::from(at) >= parts.schedules.len()) {
                return Err(CalendarError::Schedule(day.date));
            }
            before = Some(day);
        }
        if !parts.schedules.iter().all(Schedule::is_in_order) {
            return Err(CalendarError::Order("periods"));
        }
        let fits = |test: &Testing| test.begins < test.ends && test.name.chars().count() <= NAME_MAX;
        if !parts.tests.iter().all(fits) || !parts.tests.is_sorted_by_key(|test| test.begins) {
            return Err(CalendarError::Order("testing windows"));
        }
        Ok(Self(parts))
    }

    /// What it is made of.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.0
    }

    /// The calendar as it was entered, without what people said of single days.
    #[must_use]
    pub const fn plain(&self) -> School<'_> {
        School::new(self, None)
    }
}

impl Schedule {
    fn is_in_order(&self) -> bool {
        let fits = |period: &Period| {
            period.begins_ms >= 0 && period.begins_ms < period.ends_ms && period.name.chars().count() <= NAME_MAX
        };
        self.periods.iter().all(fits) && self.periods.windows(2).all(|pair| pair[0].ends_ms <= pair[1].begins_ms)
    }
}

impl Day {
    /// The day as it is with what people said of it; none if it is no school day then.
    #[must_use]
    pub fn changed(self, change: Option<Change>) -> Option<Self> {
        match change {
            None => Some(self),
            Some(Change::Closed) => None,
            Some(Change::Late { by_ms }) => {
                let opens = self.opens + Duration::from_millis(u64::from(by_ms));
                // Which classes are left out or shortened then is the school's to know.
                (opens < self.closes).then_some(Self { opens, kind: DayKind::Late, schedule: None, ..self })
            }
        }
    }

    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.opens <= at && at < self.closes
    }
}

#[cfg(test)]
mod tests;
