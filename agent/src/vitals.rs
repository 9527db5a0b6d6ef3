//! How the agent itself is doing, as far as its loop alone knows: the loop writes it down here, and the source `own`
//! reads it. Both have the same one through their `Host`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_logic::uplink::Receipt;
use bellwether_proto::batch::BatchId;

/// Stands for "not known yet".
const UNKNOWN: i64 = i64::MIN;

/// What the loop knows of itself.
#[derive(Debug)]
pub struct Vitals {
    clock_skew_ms: AtomicI64,
    send_latency_ms: AtomicI64,
    probe_problems: AtomicI64,
    /// Of the round that is under way.
    problems_so_far: AtomicI64,
    /// The batch whose acknowledgement is waited for, and when it was sent, on the boot clock.
    sent: Mutex<Option<(BatchId, Duration)>>,
}

impl Default for Vitals {
    fn default() -> Self {
        let unknown = || AtomicI64::new(UNKNOWN);
        Self {
            clock_skew_ms: unknown(),
            send_latency_ms: unknown(),
            probe_problems: unknown(),
            problems_so_far: unknown(),
            sent: Mutex::default(),
        }
    }
}

/// Commands, in the order of a batch's life.
impl Vitals {
    /// The collector said what time it is: ours is ahead by so much.
    pub fn note_clock(&self, skew_ms: i64) {
        self.clock_skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// A round of looks at other devices begins: what the one before met is known now, late answers and all.
    pub fn note_round(&self) {
        self.probe_problems.store(self.problems_so_far.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The round that is under way met so many more problems. Answers come in parts, many of them without any.
    pub fn note_problems(&self, more: usize) {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        // The loop alone writes here.
        let so_far = known(&self.problems_so_far).unwrap_or(0);
        self.problems_so_far.store(so_far.saturating_add(more), Ordering::Relaxed);
    }

    /// A batch was sent. One at a time is followed.
    pub fn note_sent(&self, id: BatchId, boot: Duration) {
        if let Ok(mut sent) = self.sent.lock() {
            sent.get_or_insert((id, boot));
        }
    }

    /// Batches were acknowledged.
    pub fn note_acknowledged(&self, receipts: &[Receipt], boot: Duration) {
        let Ok(mut sent) = self.sent.lock() else { return };
        let Some((id, at)) = *sent else { return };
        let of_it = |receipt: &Receipt| receipt.generation == id.generation && receipt.ranges.contains(id.sequence);
        if receipts.iter().any(of_it) {
            let took = i64::try_from(boot.saturating_sub(at).as_millis()).unwrap_or(i64::MAX);
            self.send_latency_ms.store(took, Ordering::Relaxed);
            *sent = None;
        }
    }

    /// A stream has ended: what was sent by it is sent again, and says nothing of the line.
    pub fn note_end(&self) {
        if let Ok(mut sent) = self.sent.lock() {
            *sent = None;
        }
    }
}

/// What is known.
impl Vitals {
    /// By how much this machine's clock is ahead of the collector's.
    #[must_use]
    pub fn clock_skew_ms(&self) -> Option<i64> {
        known(&self.clock_skew_ms)
    }

    /// From sending a batch to its acknowledgement: the line, and the collector's disk.
    #[must_use]
    pub fn send_latency_ms(&self) -> Option<i64> {
        known(&self.send_latency_ms)
    }

    /// What kept the last whole round of looks at other devices from being made.
    #[must_use]
    pub fn probe_problems(&self) -> Option<i64> {
        known(&self.probe_problems)
    }
}

fn known(number: &AtomicI64) -> Option<i64> {
    Some(number.load(Ordering::Relaxed)).filter(|number| *number != UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn batch(sequence: u64) -> BatchId {
        BatchId { generation: 7, sequence }
    }

    fn receipt(generation: u64, sequence: u64) -> Receipt {
        Receipt { generation, ranges: [sequence..=sequence].into_iter().collect() }
    }

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_batch_is_followed_from_sending_to_its_own_acknowledgement() {
        let vitals = Vitals::default();
        assert_eq!(vitals.send_latency_ms(), None);
        vitals.note_sent(batch(1), at(1_000));
        vitals.note_sent(batch(2), at(1_010));
        vitals.note_acknowledged(&[receipt(7, 0), receipt(8, 1)], at(1_020));
        assert_eq!(vitals.send_latency_ms(), None, "of another batch, and of another generation");
        vitals.note_acknowledged(&[receipt(7, 1)], at(1_035));
        assert_eq!(vitals.send_latency_ms(), Some(35));
    }

    #[test]
    fn what_a_round_of_looks_met_is_told_when_it_is_over_however_many_parts_it_came_in() {
        let vitals = Vitals::default();
        vitals.note_round();
        assert_eq!(vitals.probe_problems(), None, "no round is over yet");
        vitals.note_problems(2);
        vitals.note_problems(0);
        assert_eq!(vitals.probe_problems(), None);
        vitals.note_round();
        assert_eq!(vitals.probe_problems(), Some(2));
        vitals.note_round();
        assert_eq!(vitals.probe_problems(), Some(0));
    }

    #[test]
    fn a_stream_that_ends_takes_what_was_followed_with_it() {
        let vitals = Vitals::default();
        vitals.note_sent(batch(1), at(1_000));
        vitals.note_end();
        vitals.note_acknowledged(&[receipt(7, 1)], at(900_000));
        assert_eq!(vitals.send_latency_ms(), None);
        vitals.note_sent(batch(2), at(900_001));
        vitals.note_acknowledged(&[receipt(7, 2)], at(900_003));
        assert_eq!(vitals.send_latency_ms(), Some(2));
    }
}
