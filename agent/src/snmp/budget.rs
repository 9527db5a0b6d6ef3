//! How gently one device is asked. A device whose answers become slow has something better to do: it is asked for less
//! at once and with a rest between questions, until it recovers. No clock here: times come in as spans.

use std::fmt;
use std::time::Duration;

/// Answers slower than this are slow, if the device has been much quicker before.
pub const SLOW: Duration = Duration::from_millis(250);
/// So many times slower than its own best is "much".
const MUCH_SLOWER: u32 = 4;
/// Answers slower than this are slow however it has been before.
pub const VERY_SLOW: Duration = Duration::from_secs(1);
/// The longest rest between two questions.
pub const REST_MAX: Duration = Duration::from_secs(2);
/// The longest that one walk may take: a switch with all its tables takes a minute; what takes longer is cut, and the
/// device is left alone until its next turn.
pub const SPAN_MAX: Duration = Duration::from_secs(300);
/// Each answer changes the usual time by this part: a single slow one is no reason for a rest.
const WEIGHT: u32 = 4;

/// What is known of one device's patience.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    best: Option<Duration>,
    usual: Duration,
    spent: Duration,
    slowed: Option<Slowed>,
}

/// That a device was asked less, and why: for whoever looks after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// How long its answers took at best.
    pub best: Duration,
    /// How long they took at the worst of it.
    pub usual: Duration,
}

impl fmt::Display for Slowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (usual, best) = (self.usual.as_millis(), self.best.as_millis());
        write!(f, "its answers took {usual} ms, and {best} ms at best, so it was asked for less and given rests")
    }
}

impl Budget {
    /// An answer came after `took`.
    pub fn handle_answer(&mut self, took: Duration) {
        self.handle_time(took);
        self.usual = if self.best.is_none() { took } else { (self.usual * (WEIGHT - 1) + took) / WEIGHT };
        let best = self.best.map_or(took, |best| best.min(took));
        self.best = Some(best);
        if self.is_slow() && self.slowed.is_none_or(|slowed| slowed.usual < self.usual) {
            self.slowed = Some(Slowed { best, usual: self.usual });
        }
    }

    /// Time went by: waiting for what never came, or resting.
    pub fn handle_time(&mut self, took: Duration) {
        self.spent = self.spent.saturating_add(took);
    }

    /// A new turn of the device begins: what it has spent is forgotten, what it is like is not.
    pub fn handle_turn(&mut self) {
        self.spent = Duration::ZERO;
        self.slowed = None;
    }

    /// How long its answers take, once there was one.
    #[must_use]
    pub fn usual(&self) -> Option<Duration> {
        self.best.map(|_| self.usual)
    }

    /// Whether its answers have become slow.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        let best = self.best.unwrap_or_default();
        self.usual > VERY_SLOW || self.usual > SLOW.max(best * MUCH_SLOWER)
    }

    /// How long it is left alone before the next question: a slow one as long as it worked for the last.
    #[must_use]
    pub fn poll_rest(&self) -> Duration {
        if self.is_slow() { self.usual.min(REST_MAX) } else { Duration::ZERO }
    }

    /// Whether its turn is over.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.spent >= SPAN_MAX
    }

    /// Whether it was slowed down in this turn, and why.
    #[must_use]
    pub const fn slowed(&self) -> Option<Slowed> {
        self.slowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_device_that_slows_down_gets_rests_until_it_recovers() {
        let mut budget = Budget::default();
        (0..10).for_each(|_| budget.handle_answer(ms(20)));
        assert_eq!(budget.poll_rest(), Duration::ZERO);
        budget.handle_answer(ms(600));
        assert_eq!(budget.poll_rest(), Duration::ZERO, "one slow answer is nothing");
        (0..10).for_each(|_| budget.handle_answer(ms(600)));
        assert!(budget.is_slow() && budget.poll_rest() > ms(400));
        let why = budget.slowed().expect("said").to_string();
        assert!(why.contains("20 ms at best"), "{why}");
        (0..20).for_each(|_| budget.handle_answer(ms(20)));
        assert_eq!(budget.poll_rest(), Duration::ZERO);
        budget.handle_turn();
        assert_eq!(budget.slowed(), None);
    }

    #[test]
    fn a_device_at_the_end_of_a_long_line_is_far_not_slow() {
        let mut budget = Budget::default();
        (0..50).for_each(|_| budget.handle_answer(ms(240)));
        assert!(!budget.is_slow());
        (0..50).for_each(|_| budget.handle_answer(ms(1_500)));
        assert!(budget.is_slow(), "but this is too slow for anyone");
        assert!(budget.poll_rest() <= REST_MAX);
    }

    #[test]
    fn a_turn_ends_however_little_the_device_says() {
        let mut budget = Budget::default();
        (0..60).for_each(|_| budget.handle_time(ms(5_000)));
        assert!(budget.is_spent());
        budget.handle_turn();
        assert!(!budget.is_spent());
    }
}
