//! How long points are kept, as data, and the arithmetic of it. Nothing here touches a store.
//!
//! A retention policy with a duration says it for its own measurements. For the rest the owner gives [`KeepRule`]s: single points
//! for a while, then only what was summed up of them, in steps that grow.

use std::time::Duration;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The length of a roll-up's buckets, which begin at whole multiples since 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Step {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// Nanoseconds.
    #[must_use]
    pub const fn ns(self) -> i64 {
        match self {
            Self::FiveMinutes => 300 * SECOND,
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// As InfluxQL writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    pub(crate) fn from_ns(ns: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.ns() == ns)
    }
}

/// One kind of roll-ups, and how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The length of the buckets.
    pub step: Step,
    /// How long; whole days.
    pub keep: Duration,
    /// Whether it says when in a bucket the first, last, least and greatest value were. Without that, a day's roll-up does not
    /// tell when in the day somebody was at work; where points are gone, such a value bears the time of its bucket's start.
    pub timed: bool,
}

/// How long the points of a stream are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Single points; whole days.
    pub raw: Duration,
    /// What is summed up of them.
    pub tiers: Vec<Tier>,
    /// Whether the newest value of every field stays, however old it is: for what is said once.
    pub newest: bool,
}

/// How long some streams are kept. The first rule that fits a stream counts; one that none fits is kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepRule {
    /// The database.
    pub database: String,
    /// The measurement; none for every one.
    pub measurement: Option<String>,
    /// Only streams whose tag of this key has one of these values.
    pub tag: Option<(String, Vec<String>)>,
    /// How long.
    pub keep: Keep,
}

impl KeepRule {
    pub(crate) fn fits<'a>(&self, measurement: &str, mut tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let named = self.measurement.as_deref().is_none_or(|name| name == measurement);
        named
            && self.tag.as_ref().is_none_or(|(key, values)| {
                tags.any(|(known, value)| known == key && values.iter().any(|one| one == value))
            })
    }
}

/// How far the retention's own clock moves in one round, and how often there is one: a clock that jumps ahead by years costs a
/// day of the oldest points in an hour, not all of them at once. A store that lay still for a summer is through in four days.
pub(crate) const LEAP: i64 = DAY;
/// See [`LEAP`].
pub(crate) const ROUND_EVERY: i64 = HOUR;
/// How far `now` may be ahead of the newest point: a store that nobody writes to forgets nothing.
pub(crate) const AHEAD_MAX: i64 = DAY;

/// Where the retention's clock stands after a round at `now`. It never goes back, and only as far as there is data. `before` is
/// where it stood; with none it begins at the oldest point, for who would believe a clock more than the data.
pub(crate) fn tick(before: Option<i64>, now: i64, oldest: i64, newest: i64) -> i64 {
    let before = before.unwrap_or(oldest);
    let wanted = now.min(newest.saturating_add(AHEAD_MAX));
    wanted.min(before.saturating_add(LEAP)).max(before)
}

/// The beginning of what is kept for so long, a whole day.
pub(crate) fn horizon(tick: i64, keep: Duration) -> i64 {
    let keep = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    floor(tick.saturating_sub(keep), DAY)
}

/// The multiple of `step` at or before a time; the earliest time has none and is its own.
pub(crate) fn floor(time: i64, step: i64) -> i64 {
    time.checked_sub(time.rem_euclid(step)).unwrap_or(i64::MIN)
}

/// The multiple of `step` at or after a time; the latest time has none and is its own.
pub(crate) fn ceil(time: i64, step: i64) -> i64 {
    match time.rem_euclid(step) {
        0 => time,
        into => time.checked_add(step - into).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND;

    #[test]
    fn a_clock_that_jumps_to_another_decade_costs_one_day_an_hour_and_a_silent_store_nothing() {
        let year_2040 = NOW + 5000 * DAY;
        // The collector's own agent writes by the same wrong clock, so there is data that new.
        assert_eq!(tick(Some(NOW), year_2040, 0, year_2040), NOW + LEAP);
        // Nobody writes: however often it is asked, it stays a day behind the newest point at most.
        let mut at = NOW;
        for _ in 0..1000 {
            at = tick(Some(at), year_2040, 0, NOW - HOUR);
        }
        assert_eq!(at, NOW - HOUR + AHEAD_MAX);
    }

    #[test]
    fn the_clock_begins_where_the_data_does_and_never_goes_back() {
        assert_eq!(tick(None, NOW, NOW - 90 * DAY, NOW), NOW - 89 * DAY);
        assert_eq!(tick(Some(NOW), NOW - 9 * DAY, 0, NOW), NOW);
        assert_eq!(tick(None, NOW, i64::MAX, i64::MIN), i64::MAX);
    }

    #[test]
    fn multiples_hold_at_both_ends_of_time() {
        assert_eq!((floor(7, 5), ceil(7, 5), ceil(10, 5)), (5, 10, 10));
        assert_eq!((floor(-7, 5), ceil(-7, 5)), (-10, -5));
        assert_eq!(floor(i64::MIN + 1, DAY), i64::MIN);
        assert_eq!(ceil(i64::MAX, DAY), i64::MAX);
    }
}
