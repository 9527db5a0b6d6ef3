//! What the loop waits for: a table with a name for each purpose. No task sleeps on its own.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Nothing is ever due later than this: a timer that is never set.
const NEVER: Duration = Duration::from_secs(86_400);

/// When to ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// ... begin a round of readings.
    Tick,
    /// ... close the round with what there is.
    Round,
    /// ... call the collector.
    Call,
    /// ... make the spool durable.
    Sync,
    /// ... ask the lanes again.
    Pace,
    /// ... give a new configuration back, because the collector was not reached with it.
    Trial,
    /// ... ask for another certificate.
    Renew,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets a timer anew.
    pub(super) fn set(&mut self, timer: Timer, after: Duration) {
        self.due.insert(timer, Instant::now() + after);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// The earliest. Without any: some timer, in a day.
    pub(super) fn next(&self) -> (Timer, Instant) {
        let earliest = self.due.iter().min_by_key(|(_, due)| **due);
        earliest.map_or_else(|| (Timer::Sync, Instant::now() + NEVER), |(timer, due)| (*timer, *due))
    }
}
