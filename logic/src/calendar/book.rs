//! The calendars of all buildings, and what people said of single days.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::{Calendar, Date, School};
use crate::pairs;

/// Buildings with a calendar of their own. The largest district of all has some 1,600 schools.
pub const SITES_MAX: usize = 2_000;

/// Days of which people said something: a bad winter at every building of a large district.
pub const CHANGES_MAX: usize = 20_000;

/// The longest delay of an opening; a day that begins later is one on which the building is closed.
pub const LATE_MAX_MS: u32 = 8 * 60 * 60 * 1_000;

/// What a person says of one day at one building.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There is no school.
    Closed,
    /// School begins later.
    Late {
        /// By so much, at most [`LATE_MAX_MS`].
        by_ms: u32,
    },
}

/// Why a calendar or a change was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarRefusal {
    /// A limit was reached.
    #[error("no more than {SITES_MAX} buildings have a calendar, and no more than {CHANGES_MAX} days are changed")]
    Full,
    /// It can't be meant.
    #[error("school can begin late by up to eight hours: a day that begins later is closed")]
    TooLate,
}

/// All of it. A building without a calendar of its own has that of the empty name, which stands for the district.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    calendars: BTreeMap<String, Calendar>,
    #[serde(with = "pairs")]
    changes: BTreeMap<(String, Date), Change>,
}

impl Book {
    /// A building's school time; none while there is no calendar for it: then every moment counts.
    #[must_use]
    pub fn school<'book>(&'book self, site: &'book str) -> Option<School<'book>> {
        let calendar = self.calendars.get(site).or_else(|| self.calendars.get(""))?;
        Some(School::new(calendar, Some((self, site))))
    }

    /// Takes a building's calendar in place of the one that it had, or away. Says whether anything is different now.
    ///
    /// # Errors
    /// When there are too many.
    pub fn enter(&mut self, site: &str, calendar: Option<Calendar>) -> Result<bool, CalendarRefusal> {
        let Some(calendar) = calendar else { return Ok(self.calendars.remove(site).is_some()) };
        if self.calendars.len() >= SITES_MAX && !self.calendars.contains_key(site) {
            return Err(CalendarRefusal::Full);
        }
        let old = self.calendars.insert(site.to_string(), calendar);
        Ok(old.as_ref() != self.calendars.get(site))
    }

    /// Takes a person's word on a day, or takes it back. Says whether anything is different now. Days that no calendar
    /// speaks of any more make room.
    ///
    /// # Errors
    /// When there are too many, or it can't be meant.
    pub fn say(&mut self, site: &str, date: Date, change: Option<Change>) -> Result<bool, CalendarRefusal> {
        let key = (site.to_string(), date);
        let Some(change) = change else { return Ok(self.changes.remove(&key).is_some()) };
        if matches!(change, Change::Late { by_ms } if by_ms > LATE_MAX_MS) {
            return Err(CalendarRefusal::TooLate);
        }
        if self.changes.len() >= CHANGES_MAX && !self.changes.contains_key(&key) {
            self.forget_past();
            if self.changes.len() >= CHANGES_MAX {
                return Err(CalendarRefusal::Full);
            }
        }
        Ok(self.changes.insert(key, change) != Some(change))
    }

    /// What people said of a day at a building.
    #[must_use]
    pub fn change(&self, site: &str, date: Date) -> Option<Change> {
        if self.changes.is_empty() {
            return None;
        }
        self.changes.get(&(site.to_string(), date)).copied()
    }

    fn forget_past(&mut self) {
        let first = self.calendars.values().filter_map(|calendar| calendar.parts().days.first()).map(|day| day.date);
        if let Some(first) = first.min() {
            self.changes.retain(|(_, date), _| *date >= first);
        }
    }
}
