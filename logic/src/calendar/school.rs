//! The questions that rules ask of school time.

use core::time::Duration;

use super::{Book, Calendar, Date, Day, Parts, Testing};
use crate::time::Timestamp;

/// A calendar with what people said of its days.
#[derive(Clone, Copy, Debug)]
pub struct School<'calendar> {
    parts: &'calendar Parts,
    changes: Option<(&'calendar Book, &'calendar str)>,
}

impl<'calendar> School<'calendar> {
    pub(super) const fn new(calendar: &'calendar Calendar, changes: Option<(&'calendar Book, &'calendar str)>) -> Self {
        Self { parts: calendar.parts(), changes }
    }

    /// Whether the calendar is an assumption that nobody has entered.
    #[must_use]
    pub const fn is_assumed(&self) -> bool {
        self.parts.assumed
    }

    /// Whether the calendar speaks of this moment.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.parts.begins <= at && at < self.parts.ends
    }

    /// Whether this moment is school time.
    #[must_use]
    pub fn in_session(&self, at: Timestamp) -> bool {
        !self.covers(at) || self.from(at).next().is_some_and(|day| day.holds(at))
    }

    /// How much school time lies between two moments; none if they are in the wrong order.
    #[must_use]
    pub fn between(&self, begin: Timestamp, end: Timestamp) -> Duration {
        let Parts { begins, ends, .. } = self.parts;
        let unknown = (*begins).min(end).since(begin) + end.since((*ends).max(begin));
        let days = self.from(begin).take_while(|day| day.opens < end);
        days.fold(unknown, |sum, day| sum + day.closes.min(end).since(day.opens.max(begin)))
    }

    /// The moment at which so much school time has passed after another.
    #[must_use]
    pub fn after(&self, begin: Timestamp, span: Duration) -> Timestamp {
        let mut left = span;
        let before = self.parts.begins.since(begin);
        if left <= before {
            return begin + left;
        }
        left -= before;
        for day in self.from(begin) {
            let from = day.opens.max(begin);
            let long = day.closes.since(from);
            if left <= long {
                return from + left;
            }
            left -= long;
        }
        self.parts.ends.max(begin) + left
    }

    /// The next moment from this one on that is school time: this one if it is.
    #[must_use]
    pub fn opening(&self, from: Timestamp) -> Timestamp {
        if !self.covers(from) {
            return from;
        }
        self.from(from).next().map_or(self.parts.ends, |day| day.opens.max(from))
    }

    /// The first moment at which something has lasted so long within one day that began at `begin` and is looked for
    /// anew each time that the building opens.
    #[must_use]
    pub fn after_opening(&self, begin: Timestamp, span: Duration) -> Timestamp {
        if !self.covers(begin) {
            return begin + span;
        }
        let due = |day: Day| Some(day.opens.max(begin) + span).filter(|due| *due <= day.closes);
        self.from(begin).find_map(due).unwrap_or(self.parts.ends + span)
    }

    /// How many school days open after one moment and not after another.
    #[must_use]
    pub fn days_between(&self, begin: Timestamp, end: Timestamp) -> usize {
        self.from(begin).filter(|day| day.opens > begin).take_while(|day| day.opens <= end).count()
    }

    /// The school day of a date.
    #[must_use]
    pub fn day(&self, date: Date) -> Option<Day> {
        let at = self.parts.days.binary_search_by_key(&date, |day| day.date).ok()?;
        self.changed(self.parts.days[at])
    }

    /// The tests that are held at this moment.
    #[must_use]
    pub fn testing(&self, at: Timestamp) -> Option<&'calendar str> {
        let begun = self.parts.tests.iter().take_while(|test| test.begins <= at);
        let mut running = begun.filter(|test| at < test.ends);
        // Nobody is tested in a building that is closed.
        running.next().filter(|_| self.in_session(at)).map(|test| test.name.as_str())
    }

    /// The tests that are held at this moment, or will be within so much time.
    #[must_use]
    pub fn testing_near(&self, at: Timestamp, ahead: Duration) -> Option<&'calendar str> {
        let near = self.parts.tests.iter().take_while(|test| test.begins <= at + ahead);
        near.into_iter().find(|test| at < test.ends && self.is_held(test)).map(|test| test.name.as_str())
    }

    /// When another answer to [`Self::testing_near`] may be true.
    #[must_use]
    pub fn testing_turn(&self, at: Timestamp, ahead: Duration) -> Option<Timestamp> {
        let turns = self.parts.tests.iter().flat_map(|test| [test.begins - ahead, test.ends]);
        turns.filter(|turn| *turn > at).min()
    }

    /// Nobody is tested in a building that is closed all the while.
    fn is_held(&self, test: &Testing) -> bool {
        !self.covers(test.begins) || self.from(test.begins).next().is_some_and(|day| day.opens < test.ends)
    }

    /// The class, or break between two, at this moment, where bells are known.
    #[must_use]
    pub fn period(&self, at: Timestamp) -> Option<&'calendar str> {
        let day = self.from(at).next().filter(|day| day.holds(at))?;
        let schedule = self.parts.schedules.get(usize::from(day.schedule?))?;
        let into = at.0 - day.opens.0;
        let mut now = schedule.periods.iter().filter(|period| (period.begins_ms..period.ends_ms).contains(&into));
        now.next().map(|period| period.name.as_str())
    }

    /// The school days from the one that has not closed at this moment, with what people said of them.
    pub fn from(&self, at: Timestamp) -> impl Iterator<Item = Day> + use<'calendar> {
        let first = self.parts.days.partition_point(|day| day.closes <= at);
        let school = *self;
        self.parts.days[first..].iter().filter_map(move |day| school.changed(*day))
    }

    fn changed(&self, day: Day) -> Option<Day> {
        day.changed(self.changes.and_then(|(book, site)| book.change(site, day.date)))
    }
}
