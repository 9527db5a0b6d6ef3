//! Buckets of time: counted from 1970 in UTC, or in a zone's local time.

use super::range::{MAX_TIME, MIN_TIME};

/// `GROUP BY time(every, offset)`.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) every: i64,
    pub(crate) offset: i64,
    pub(crate) zone: Option<jiff::tz::TimeZone>,
}

impl Window {
    /// The bucket of a time: its start, and the start of the next.
    pub(crate) fn bucket(&self, time: i64) -> (i64, i64) {
        let shifted = time.saturating_sub(self.offset);
        let zone = self.zone_offset(shifted);
        let into = shifted.saturating_add(zone).rem_euclid(self.every);
        let start = shifted.saturating_sub(into).max(MIN_TIME).saturating_add(self.offset);
        let end = shifted.saturating_add(self.every - into).saturating_add(self.offset);
        (self.across_change(start, zone), self.across_change(end.min(MAX_TIME), zone))
    }

    /// A bound on the other side of a change of the clocks is that much earlier or later.
    fn across_change(&self, bound: i64, zone: i64) -> i64 {
        let change = zone - self.zone_offset(bound);
        if change.abs() < self.every { bound.saturating_add(change) } else { bound }
    }

    fn zone_offset(&self, time: i64) -> i64 {
        let Some(zone) = &self.zone else { return 0 };
        let instant = jiff::Timestamp::from_nanosecond(i128::from(time));
        let seconds = instant.map_or(0, |instant| zone.to_offset(instant).seconds());
        i64::from(seconds) * 1_000_000_000
    }
}
