//! When a class of devices is usually on at a building: learned from what was there, for the class as a whole and never for a
//! single device, because a desk's hours are a person's.
//!
//! What it keeps:
//! - hours of school days are counted from the building's opening, those of other days by the clock, so that neither a night on
//!   which clocks change nor a late start moves them;
//! - an hour says nothing before it was seen [`SEEN_MIN`] times in at least [`LEARN_FOR`];
//! - what is learned only narrows what is expected: a silence in an hour in which the class is mostly off means nothing.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calendar::School;
use crate::device::Class;
use crate::time::Timestamp;

/// How often an hour must have been seen. House: two school weeks.
pub const SEEN_MIN: u16 = 10;

/// For how long a class must have been watched. House: three weeks, so that one unusual week is not the rule.
pub const LEARN_FOR: Duration = Duration::from_secs(21 * 24 * 60 * 60);

/// An hour is usual if so many permille of a class are on in it: most of them.
pub const USUAL_PERMILLE: u16 = 500;

/// Each new look weighs so many parts: what changes at a school is known after some weeks.
const SLOWNESS: i32 = 16;

/// Hours before a school day's opening that belong to it.
const BEFORE: Duration = Duration::from_secs(6 * 60 * 60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Hours of a day.
const HOURS: usize = 24;

/// Dues that are looked at before one is taken as it is: two weeks of hours.
const LOOKS_MAX: usize = 14 * HOURS;

/// Whether devices of a class stay where they are.
#[must_use]
pub const fn is_fixed(class: Class) -> bool {
    !matches!(class, Class::Laptop | Class::Phone | Class::Other)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    /// How many permille of the class are on in it.
    permille: u16,
    /// How often it was seen.
    seen: u16,
}

impl Slot {
    const fn is_known(&self) -> bool {
        self.seen >= SEEN_MIN
    }

    const fn is_usual(&self) -> bool {
        self.is_known() && self.permille >= USUAL_PERMILLE
    }
}

/// What is known of one class at one building.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usual {
    since: Option<Timestamp>,
    /// Hours of school days, then hours of others.
    slots: Vec<Slot>,
    told: Option<[u32; 4]>,
}

/// When a class of devices is usually on at a building, hour by hour, as bits: bit 0 is the first hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsualHours {
    /// The building.
    pub site: String,
    /// The class.
    pub class: Class,
    /// Hours of school days of which it is known; the first begins six hours before the opening.
    pub school_known: u32,
    /// Those in which it is usually on.
    pub school: u32,
    /// Hours of other days, by UTC, of which it is known.
    pub other_known: u32,
    /// Those in which it is usually on.
    pub other: u32,
}

impl Usual {
    /// So many of a class are on of so many.
    pub(crate) fn note(&mut self, now: Timestamp, school: Option<School<'_>>, on: usize, of: usize) {
        if of == 0 {
            return;
        }
        self.since.get_or_insert(now);
        self.slots.resize(2 * HOURS, Slot::default());
        let found = i32::try_from(on * 1_000 / of).unwrap_or(1_000);
        let slot = &mut self.slots[place(school, now).0];
        let before = i32::from(slot.permille);
        let after = if slot.seen == 0 { found } else { before + (found - before) / SLOWNESS };
        slot.permille = u16::try_from(after.clamp(0, 1_000)).unwrap_or(1_000);
        slot.seen = slot.seen.saturating_add(1);
    }

    /// The first moment from a due one on that lies in an hour in which the class is not mostly off; `anew` says when a silence
    /// is due that is looked for anew from a moment on.
    pub(crate) fn due(
        &self,
        school: Option<School<'_>>,
        due: Timestamp,
        anew: impl Fn(Timestamp) -> Timestamp,
    ) -> Timestamp {
        let mut due = due;
        if !self.knows(due) {
            return due;
        }
        for _ in 0..LOOKS_MAX {
            let (at, end) = place(school, due);
            // In the hour after which most are off they leave.
            if !self.is_off(at) && !self.is_off(place(school, end).0) {
                return due;
            }
            due = anew(end).max(end);
        }
        due
    }

    fn knows(&self, now: Timestamp) -> bool {
        self.since.is_some_and(|since| now.since(since) >= LEARN_FOR)
    }

    fn is_off(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.is_known() && !slot.is_usual())
    }

    /// What is known, if it is other than was last told.
    pub(crate) fn take_change(&mut self, now: Timestamp, site: &str, class: Class) -> Option<UsualHours> {
        if !self.knows(now) {
            return None;
        }
        let bits = |hours: core::ops::Range<usize>, is: fn(&Slot) -> bool| {
            let slots = self.slots.get(hours).unwrap_or_default().iter().enumerate();
            slots.filter(|(_, slot)| is(slot)).fold(0u32, |bits, (hour, _)| bits | 1 << hour)
        };
        let (days, others) = (0..HOURS, HOURS..2 * HOURS);
        let (known, usual) = (Slot::is_known, Slot::is_usual);
        let told = [bits(days.clone(), known), bits(days, usual), bits(others.clone(), known), bits(others, usual)];
        if self.told == Some(told) {
            return None;
        }
        self.told = Some(told);
        let [school_known, school, other_known, other] = told;
        Some(UsualHours { site: site.into(), class, school_known, school, other_known, other })
    }
}

/// Which hour a moment lies in, and when that ends.
fn place(school: Option<School<'_>>, at: Timestamp) -> (usize, Timestamp) {
    let after = HOUR.saturating_mul(24) - BEFORE;
    let near = school.into_iter().flat_map(|school| school.from(at - after).take(3));
    let mut next_begins = None;
    for day in near {
        let begins = day.opens - BEFORE;
        if begins > at {
            next_begins = Some(begins);
            break;
        }
        let hours = at.since(begins).as_secs() / HOUR.as_secs();
        if let Some(hour) = usize::try_from(hours).ok().filter(|hour| *hour < HOURS) {
            let end = begins + HOUR.saturating_mul(u32::try_from(hour + 1).unwrap_or(1));
            return (hour, end);
        }
    }
    let hour_ms = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    let hours = at.0.div_euclid(hour_ms);
    let end = Timestamp(hours.saturating_add(1).saturating_mul(hour_ms));
    let hour = usize::try_from(hours.rem_euclid(24)).unwrap_or_default();
    (HOURS + hour, next_begins.map_or(end, |begins| end.min(begins)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Date, Day, DayKind, Parts};

    const DAY: i64 = 86_400_000;

    /// Five days of seven, from 13:00 to 20:00 UTC, for ten weeks.
    fn calendar() -> Calendar {
        let day = |date: i64| Day {
            date: Date(i32::try_from(date).unwrap()),
            opens: Timestamp(date * DAY + 13 * 3_600_000),
            closes: Timestamp(date * DAY + 20 * 3_600_000),
            kind: DayKind::Full,
            schedule: None,
        };
        let days = (0..70).filter(|date| date % 7 < 5).map(day).collect();
        Calendar::new(Parts { ends: Timestamp(70 * DAY), days, ..Parts::default() }).unwrap()
    }

    fn is_on(hour: i64) -> bool {
        (hour / 24) % 7 < 5 && (12..22).contains(&(hour % 24))
    }

    fn learned(weeks: i64) -> Usual {
        let (mut usual, calendar) = (Usual::default(), calendar());
        for hour in 0..weeks * 7 * 24 {
            let on = if is_on(hour) { 9 } else { 1 };
            usual.note(Timestamp(hour * 3_600_000 + 1), Some(calendar.plain()), on, 10);
        }
        usual
    }

    fn due(usual: &Usual, hour: i64) -> i64 {
        let anew = |at: Timestamp| at + Duration::from_secs(600);
        usual.due(Some(calendar().plain()), Timestamp(hour * 3_600_000 + 600_000), anew).0 / 3_600_000
    }

    #[test]
    fn a_silence_in_an_hour_in_which_most_are_off_waits_for_one_in_which_they_are_on() {
        let usual = learned(6);
        let monday = 6 * 7 * 24;
        assert_eq!(due(&usual, monday + 14), monday + 14);
        assert_eq!(due(&usual, monday + 21), monday + 24 + 12, "in its last hour they leave");
        assert_eq!(due(&usual, monday + 2), monday + 12, "at night it waits for the morning");
        assert_eq!(due(&usual, monday + 4 * 24 + 23), monday + 7 * 24 + 12, "and on Friday for Monday");
    }

    #[test]
    fn nothing_is_known_before_its_weeks_are_over() {
        let usual = learned(2);
        assert_eq!(due(&usual, 2 * 7 * 24 + 2), 2 * 7 * 24 + 2);
    }

    #[test]
    fn what_changes_is_learned_slowly_and_told_once() {
        let mut usual = learned(4);
        let now = Timestamp(4 * 7 * DAY);
        let told = usual.take_change(now, "Lincoln", Class::Desktop).unwrap();
        assert_eq!((told.school_known, told.school), (0x00ff_ffff, 0b111_1111_1110_0000));
        assert_eq!(told.other, 0);
        assert_eq!(usual.take_change(now, "Lincoln", Class::Desktop), None);
        let at = |week: i64| Timestamp((week * 7 * 24 + 2) * 3_600_000 + 1);
        let calendar = calendar();
        usual.note(at(4), Some(calendar.plain()), 10, 10);
        assert_eq!(usual.take_change(now, "Lincoln", Class::Desktop), None, "one night is not the rule");
        (0..20).for_each(|_| usual.note(at(4), Some(calendar.plain()), 10, 10));
        assert!(usual.take_change(now, "Lincoln", Class::Desktop).is_some());
    }

    #[test]
    fn every_moment_has_an_hour_that_ends_after_it() {
        let calendar = calendar();
        for minute in 0..(9 * 7 * 24 * 60 / 7) {
            let at = Timestamp(minute * 7 * 60_000);
            let (hour, end) = place(Some(calendar.plain()), at);
            assert!(hour < 48 && end > at && end <= at + HOUR);
        }
    }
}
