//! A clock that counts how long people take, in school time or in all of it.
//!
//! It keeps what has passed as milliseconds and, while it runs, since when: what a calendar says later of a time that was
//! counted already changes nothing. When it will be up is known ahead.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calendar::School;
use crate::span::{Passing, Stretch};
use crate::time::Timestamp;

/// How long something may take, and how long it has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// How long it may take, and of which time.
    pub allowed: Stretch,
    /// How much has passed before it last began to run.
    pub elapsed_ms: u64,
    /// Since when it runs; none: it stands still.
    pub running_since: Option<Timestamp>,
    /// When it will be up if it goes on running.
    pub due: Option<Timestamp>,
    /// When it was up.
    pub missed_at: Option<Timestamp>,
    /// When what it counts for was done.
    pub done_at: Option<Timestamp>,
}

impl Clock {
    pub(crate) const fn new(allowed: Stretch) -> Self {
        Self { allowed, elapsed_ms: 0, running_since: None, due: None, missed_at: None, done_at: None }
    }

    /// How much has passed until now.
    #[must_use]
    pub fn elapsed(&self, now: Timestamp, school: Option<School<'_>>) -> Duration {
        let running = self.running_since.map(|since| passed(self.allowed.passing, school, since, now));
        Duration::from_millis(self.elapsed_ms) + running.unwrap_or_default()
    }

    /// Runs from now on, or stands still.
    pub(crate) fn run(&mut self, now: Timestamp, school: Option<School<'_>>, runs: bool) {
        let runs = runs && self.done_at.is_none();
        if runs != self.running_since.is_some() {
            self.settle(now, school);
            self.running_since = runs.then_some(now);
        }
        self.look_ahead(school);
    }

    /// What it counts for is done, or is not done after all.
    pub(crate) fn set_done(&mut self, now: Timestamp, school: Option<School<'_>>, done: bool) {
        match (done, self.done_at) {
            (true, None) => {
                self.run(now, school, false);
                self.done_at = Some(now);
            }
            (false, Some(_)) => self.done_at = None,
            _ => {}
        }
    }

    /// It may take so long from now on; what has passed stays.
    pub(crate) fn allow(&mut self, now: Timestamp, school: Option<School<'_>>, allowed: Stretch) {
        if allowed != self.allowed {
            if self.running_since.is_some() {
                self.settle(now, school);
                self.running_since = Some(now);
            }
            self.allowed = allowed;
            if self.elapsed_ms < millis(allowed.span) {
                self.missed_at = None;
            }
        }
        self.look_ahead(school);
    }

    /// Whether it is up now and was not before.
    pub(crate) fn is_up(&mut self, now: Timestamp) -> bool {
        let is_up = self.missed_at.is_none() && self.due.is_some_and(|due| due <= now);
        if is_up {
            self.missed_at = Some(now);
        }
        is_up
    }

    /// When to look at it again.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.filter(|_| self.missed_at.is_none())
    }

    fn settle(&mut self, now: Timestamp, school: Option<School<'_>>) {
        self.elapsed_ms = millis(self.elapsed(now, school));
        self.running_since = None;
    }

    fn look_ahead(&mut self, school: Option<School<'_>>) {
        let left = self.allowed.span.saturating_sub(Duration::from_millis(self.elapsed_ms));
        self.due = self.running_since.map(|since| after(self.allowed.passing, school, since, left));
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How much of a kind of time lies between two moments. Where no calendar speaks of a building, all of it counts.
pub(crate) fn passed(passing: Passing, school: Option<School<'_>>, from: Timestamp, to: Timestamp) -> Duration {
    match (passing, school) {
        (Passing::School, Some(school)) => school.between(from, to),
        _ => to.since(from),
    }
}

fn after(passing: Passing, school: Option<School<'_>>, from: Timestamp, span: Duration) -> Timestamp {
    match (passing, school) {
        (Passing::School, Some(school)) => school.after(from, span),
        _ => from + span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Date, Day, DayKind, Parts};

    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp(hours * HOUR)
    }

    /// Ten days, each open from 8 to 16.
    fn calendar() -> Calendar {
        let day = |day: i32| {
            let midnight = i64::from(day) * 24;
            Day {
                date: Date(day),
                opens: at(midnight + 8),
                closes: at(midnight + 16),
                kind: DayKind::Full,
                schedule: None,
            }
        };
        let parts = Parts { ends: at(240), days: (0..10).map(day).collect(), ..Parts::default() };
        Calendar::new(parts).unwrap()
    }

    fn hours(hours: u64, passing: Passing) -> Stretch {
        Stretch { span: Duration::from_secs(hours * 3_600), passing }
    }

    #[test]
    fn school_time_passes_only_while_the_building_is_open() {
        let calendar = calendar();
        let school = Some(calendar.plain());
        let mut clock = Clock::new(hours(4, Passing::School));
        clock.run(at(14), school, true);
        assert_eq!(clock.due, Some(at(24 + 10)));
        assert!(!clock.is_up(at(33)));
        assert!(clock.is_up(at(34)) && !clock.is_up(at(35)));
        assert_eq!(clock.next(), None);
    }

    #[test]
    fn a_pause_counts_for_nothing() {
        let calendar = calendar();
        let school = Some(calendar.plain());
        let mut clock = Clock::new(hours(4, Passing::School));
        clock.run(at(8), school, true);
        clock.run(at(9), school, false);
        assert_eq!((clock.elapsed_ms, clock.due), (3_600_000, None));
        clock.run(at(24 + 15), school, true);
        assert_eq!(clock.due, Some(at(48 + 10)));
    }

    #[test]
    fn all_time_passes_where_no_calendar_speaks() {
        let mut clock = Clock::new(hours(4, Passing::School));
        clock.run(at(14), None, true);
        assert_eq!(clock.due, Some(at(18)));
    }

    #[test]
    fn what_has_passed_stays_when_it_becomes_more_pressing() {
        let calendar = calendar();
        let school = Some(calendar.plain());
        let mut clock = Clock::new(hours(8, Passing::School));
        clock.run(at(14), school, true);
        clock.allow(at(24 + 8), school, hours(3, Passing::Clock));
        assert_eq!((clock.elapsed_ms, clock.due), (2 * 3_600_000, Some(at(24 + 9))));
        clock.set_done(at(24 + 9), school, true);
        assert_eq!((clock.due, clock.elapsed_ms), (None, 3 * 3_600_000));
        clock.run(at(24 + 10), school, true);
        assert_eq!(clock.due, None);
    }
}
