//! How long an agent waits before it calls again.
//!
//! Full jitter: after a power cut a thousand agents come back in the same second, and must not call in the same second.

use core::time::Duration;

/// The shortest wait: a collector that refuses at once must not be hammered.
pub const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait: half a minute after the collector is back, half of the agents are too.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Doublings after which the ceiling is reached for sure; keeps the shift in range.
const DOUBLINGS_MAX: u32 = 16;

/// The state of one agent's attempts.
///
/// Call [`Backoff::next_wait`] after each failed attempt or lost stream, [`Backoff::succeeded`] once a stream has
/// been welcomed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The collector welcomed us: the next failure is the first again.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and returns the wait before the next attempt: evenly spread from nothing to a ceiling that
    /// doubles with each failure, but never below [`WAIT_MIN`]. `random` is any evenly distributed number.
    pub fn next_wait(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let ceiling = WAIT_MIN.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX)).min(WAIT_MAX);
        let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(random % (ceiling_ms + 1)).max(WAIT_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_wait_lies_between_the_floor_and_the_cap(randoms in prop::collection::vec(any::<u64>(), 1..100)) {
            let mut backoff = Backoff::new();
            for random in randoms {
                let wait = backoff.next_wait(random);
                prop_assert!((WAIT_MIN..=WAIT_MAX).contains(&wait));
            }
        }
    }

    #[test]
    fn the_ceiling_doubles_and_a_success_starts_over() {
        let mut backoff = Backoff::new();
        let widest = |backoff: &mut Backoff, ceiling: u64| backoff.next_wait(ceiling).as_millis();
        assert_eq!(widest(&mut backoff, 2_000), 2_000);
        assert_eq!(widest(&mut backoff, 4_000), 4_000);
        assert_eq!(widest(&mut backoff, 8_000), 8_000);
        for _ in 0..40 {
            backoff.next_wait(0);
        }
        assert_eq!(widest(&mut backoff, 60_000), 60_000);
        backoff.succeeded();
        assert_eq!(widest(&mut backoff, 2_000), 2_000);
    }
}
