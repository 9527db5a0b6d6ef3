//! The generation of an agent's batches: a random number, a count, and one clock.

use bellwether_proto::batch::BatchId;

use crate::clock::{self, Now};

/// How far the wall clock may stray from the boot clock within one generation. Slow corrections add up: the collector
/// knows one offset for the whole generation.
const STEP_MAX_MS: u64 = 2_000;

/// Names batches until the clock is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation {
    pub number: u64,
    next_sequence: u64,
    /// Both clocks when it began.
    begun: Now,
    /// Whether the collector has heard its hello, and so knows its clock.
    pub welcomed: bool,
}

impl Generation {
    pub(super) const fn new(number: u64, now: Now) -> Self {
        Self { number, next_sequence: 0, begun: now, welcomed: false }
    }

    /// The name of the next batch.
    pub(super) const fn next(&mut self) -> BatchId {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        BatchId { generation: self.number, sequence }
    }

    /// By how much the wall clock was set since the beginning, if it is too much for one generation.
    pub(super) fn step_ms(&self, now: Now) -> Option<i64> {
        Some(clock::step_ms(self.begun, now)).filter(|step| step.unsigned_abs() > STEP_MAX_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;
    use std::time::Duration;

    fn at(wall_s: i64, boot_s: u64) -> Now {
        Now { wall: Timestamp(wall_s * 1_000), boot: Duration::from_secs(boot_s) }
    }

    #[test]
    fn a_clock_that_is_set_either_way_ends_the_generation() {
        let generation = Generation::new(1, at(1_000, 100));
        assert_eq!(generation.step_ms(at(1_060, 160)), None);
        assert_eq!(generation.step_ms(at(1_062, 160)), None, "a small correction");
        assert_eq!(generation.step_ms(at(4_660, 160)), Some(3_600_000));
        assert_eq!(generation.step_ms(at(0, 160)), Some(-1_060_000));
    }

    #[test]
    fn a_night_asleep_does_not_end_it() {
        let generation = Generation::new(1, at(1_000, 100));
        assert_eq!(generation.step_ms(at(1_000 + 36_000, 100 + 36_000)), None);
    }

    #[test]
    fn batches_are_numbered_from_zero_without_gaps() {
        let mut generation = Generation::new(7, at(0, 0));
        let names: Vec<BatchId> = (0..3).map(|_| generation.next()).collect();
        assert_eq!(names.iter().map(|id| id.sequence).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(names.iter().all(|id| id.generation == 7));
    }
}
