//! When to read: at full intervals of the wall clock, so that the points of all devices lie on each other, plus a
//! small delay of each device's own, so that they do not all send in the same instant.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use sha2::{Digest, Sha256};

/// No device is later than this, and none later than a tenth of the interval.
const JITTER_MAX_MS: i64 = 2_000;

/// The times of one device's readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    interval_ms: i64,
    jitter_ms: i64,
}

impl Ticks {
    pub(super) fn new(interval: Duration, device_id: &str) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let digest = Sha256::digest(device_id.as_bytes());
        let number = i64::from(u16::from_le_bytes([digest[0], digest[1]]));
        let widest = JITTER_MAX_MS.min(interval_ms / 10);
        Self { interval_ms, jitter_ms: number * widest / i64::from(u16::MAX) }
    }

    /// How long until the next reading; never longer than an interval, so that a clock that steps is noticed soon.
    pub(super) fn wait(&self, wall: Timestamp) -> Duration {
        let since = wall.0.saturating_sub(self.jitter_ms).rem_euclid(self.interval_ms);
        Duration::from_millis(u64::try_from(self.interval_ms - since).unwrap_or(0))
    }

    /// The time that a reading taken at `wall` bears: the nearest full interval.
    pub(super) fn time(&self, wall: Timestamp) -> Timestamp {
        let middle = wall.0.saturating_sub(self.jitter_ms).saturating_add(self.interval_ms / 2);
        Timestamp(middle - middle.rem_euclid(self.interval_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn readings_bear_full_minutes_whatever_the_device() {
        for device in ["d000000001", "d000000002", "dzzzzzzzzz"] {
            let ticks = Ticks::new(MINUTE, device);
            let mut wall = Timestamp(1_800_000_012_345);
            for minute in 1..5 {
                wall = wall + ticks.wait(wall);
                assert_eq!(ticks.time(wall), Timestamp(1_800_000_000_000 + minute * 60_000));
                assert!(wall.0 - ticks.time(wall).0 <= JITTER_MAX_MS);
            }
        }
    }

    #[test]
    fn a_timer_that_fires_early_or_late_still_bears_its_interval() {
        let ticks = Ticks::new(MINUTE, "d000000001");
        let due = Timestamp(1_800_000_000_000) + ticks.wait(Timestamp(1_800_000_000_000));
        for off in [-40, 0, 900] {
            assert_eq!(ticks.time(Timestamp(due.0 + off)).0 % 60_000, 0);
            assert_eq!(ticks.time(Timestamp(due.0 + off)), ticks.time(due));
        }
    }

    #[test]
    fn devices_spread_over_the_jitter() {
        let offsets: std::collections::BTreeSet<i64> =
            (0..50).map(|number| Ticks::new(MINUTE, &format!("d{number}")).jitter_ms).collect();
        assert!(offsets.len() > 40);
    }
}
