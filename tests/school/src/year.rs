//! The district's school year: terms, breaks, half days, testing windows, and days on which it snows.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_logic::calendar::{Calendar, Date, Day, DayKind, Parts, Testing};
use bellwether_logic::time::Timestamp;

use crate::dates::{HOUR, MINUTE, Sec, at, date, date_at, weekday};
use crate::dice::Dice;

/// When school opens.
const OPENS: Sec = 8 * HOUR;
/// When it closes.
const CLOSES: Sec = 15 * HOUR + 30 * MINUTE;
/// When it closes on a half day.
const CLOSES_HALF: Sec = 11 * HOUR + 30 * MINUTE;

/// The first day of the year that is played.
#[must_use]
pub fn first_day() -> i32 {
    date(2026, 8, 1)
}

/// Days without school in term, from the first to the last, as many districts in the West have them.
fn breaks() -> [(i32, i32); 10] {
    [
        (date(2026, 9, 7), date(2026, 9, 7)),
        (date(2026, 10, 8), date(2026, 10, 12)),
        (date(2026, 11, 3), date(2026, 11, 3)),
        (date(2026, 11, 25), date(2026, 11, 27)),
        (date(2026, 12, 21), date(2027, 1, 4)),
        (date(2027, 1, 18), date(2027, 1, 18)),
        (date(2027, 2, 15), date(2027, 2, 15)),
        (date(2027, 3, 22), date(2027, 3, 26)),
        (date(2027, 4, 23), date(2027, 4, 23)),
        (date(2027, 5, 31), date(2027, 5, 31)),
    ]
}

/// Days on which nobody works, not even technicians.
fn holidays() -> [i32; 11] {
    [
        date(2026, 9, 7),
        date(2026, 11, 26),
        date(2026, 11, 27),
        date(2026, 12, 24),
        date(2026, 12, 25),
        date(2027, 1, 1),
        date(2027, 1, 18),
        date(2027, 2, 15),
        date(2027, 5, 31),
        date(2027, 7, 5),
        date(2027, 6, 18),
    ]
}

/// A day with school.
#[derive(Clone, Copy, Debug)]
pub struct SchoolDay {
    /// From when on.
    pub opens: Sec,
    /// Until when.
    pub closes: Sec,
    /// Whether it ends early.
    pub half: bool,
}

/// The year as it was planned, and the days on which it came otherwise.
#[derive(Clone, Debug)]
pub struct Year {
    planned: BTreeMap<i32, SchoolDay>,
    snow: BTreeSet<i32>,
}

impl Year {
    /// The year of 2026 with its own snow.
    #[must_use]
    pub fn new(dice: &mut Dice) -> Self {
        let mut planned = BTreeMap::new();
        for days in date(2026, 8, 17)..=date(2027, 6, 4) {
            let is_break = breaks().iter().any(|(first, last)| (*first..=*last).contains(&days));
            if weekday(days) > 4 || is_break {
                continue;
            }
            // Every third Friday, the day before Thanksgiving's break, and the last day.
            let half = weekday(days) == 4 && days % 21 < 7 || days == date(2026, 11, 24) || days == date(2027, 6, 4);
            let closes = at(days, if half { CLOSES_HALF } else { CLOSES });
            planned.insert(days, SchoolDay { opens: at(days, OPENS), closes, half });
        }
        let winter = |days: &&i32| (date(2026, 12, 1)..date(2027, 3, 15)).contains(*days);
        let snow = planned.keys().filter(winter).copied().filter(|_| dice.happens(0.05)).collect();
        Self { planned, snow }
    }

    /// School on a day, if there is any.
    #[must_use]
    pub fn day(&self, days: i32) -> Option<SchoolDay> {
        self.planned.get(&days).copied().filter(|_| !self.snows(days))
    }

    /// Whether school is called off.
    #[must_use]
    pub fn snows(&self, days: i32) -> bool {
        self.snow.contains(&days)
    }

    /// Whether technicians work.
    #[must_use]
    pub fn is_workday(&self, days: i32) -> bool {
        weekday(days) < 5 && !holidays().contains(&days)
    }

    /// Whether it is school time.
    #[must_use]
    pub fn in_session(&self, moment: Sec) -> bool {
        self.day(date_at(moment)).is_some_and(|day| day.opens <= moment && moment < day.closes)
    }

    /// The moment at which so much school time has passed. Beyond the last day of the plan: never.
    #[must_use]
    pub fn after(&self, from: Sec, span: Sec) -> Sec {
        let mut left = span;
        for days in self.planned.range(date_at(from)..).map(|(days, _)| *days) {
            let Some(day) = self.day(days) else { continue };
            let begins = day.opens.max(from);
            let long = (day.closes - begins).max(0);
            if left <= long {
                return begins + left;
            }
            left -= long;
        }
        Sec::MAX / 4
    }

    /// The moment after so much working time of technicians, who work from 7:30 to 16:00.
    #[must_use]
    pub fn after_work(&self, from: Sec, span: Sec) -> Sec {
        let mut left = span;
        for days in date_at(from).. {
            if !self.is_workday(days) {
                continue;
            }
            let begins = at(days, 7 * HOUR + 30 * MINUTE).max(from);
            let long = (at(days, 16 * HOUR) - begins).max(0);
            if left <= long {
                return begins + left;
            }
            left -= long;
        }
        from
    }

    /// The plan, as the collector is told of it.
    ///
    /// # Panics
    /// If the plan made here is out of order.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        let stamp = |moment: Sec| Timestamp(moment * 1_000);
        let days = self.planned.iter().map(|(days, day)| Day {
            date: Date(*days),
            opens: stamp(day.opens),
            closes: stamp(day.closes),
            kind: if day.half { DayKind::Half } else { DayKind::Full },
            schedule: None,
        });
        let testing = |name: &str, first, last| Testing {
            name: name.into(),
            begins: stamp(at(first, OPENS)),
            ends: stamp(at(last, CLOSES)),
        };
        let tests = vec![
            testing("Fall assessments", date(2026, 10, 19), date(2026, 10, 23)),
            testing("State tests", date(2027, 4, 12), date(2027, 4, 22)),
        ];
        let parts = Parts {
            begins: stamp(at(first_day(), 0)),
            ends: stamp(at(date(2027, 8, 15), 0)),
            days: days.collect(),
            tests,
            ..Parts::default()
        };
        Calendar::new(parts).expect("the plan is in order")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_some_170_to_180_school_days_and_its_calendar_is_taken() {
        let year = Year::new(&mut Dice::new(1));
        let days = (first_day()..first_day() + 365).filter(|days| year.day(*days).is_some()).count();
        assert!((165..=185).contains(&days), "{days}");
        assert!(year.calendar().parts().days.len() >= days);
    }

    #[test]
    fn school_time_passes_in_school_alone() {
        let year = Year::new(&mut Dice::new(1));
        let friday = at(date(2026, 9, 4), 15 * HOUR);
        // The Monday after is Labor Day.
        assert_eq!(year.after(friday, HOUR), at(date(2026, 9, 8), 8 * HOUR + 30 * MINUTE));
    }
}
