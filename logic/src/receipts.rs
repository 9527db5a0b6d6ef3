//! The collector's side of the stream: which batches of one device it has, and by how much that device's clock is off.
//!
//! One [`Receipts`] serves one device. It keeps: a batch is appended to the journal once, however often and by however
//! many streams it is offered, as long as its generation is remembered.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batch::BatchId;
use crate::ranges::RangeSet;
use crate::time::Timestamp;
use crate::uplink::Receipt;

/// Generations remembered for one device. An agent makes one a start; a laptop that restarts thrice a day is known
/// for three weeks, longer than its spool keeps anything.
pub const GENERATIONS_MAX: usize = 64;

/// Ranges remembered of one generation. Gaps come from a full spool, which drops its oldest in one run, so a sound
/// agent has a handful; thousands are an attack on the collector's memory.
pub const RANGES_MAX: usize = 1024;

/// Batches of one device that may wait for the journal at once; more than both lanes' windows together.
pub const PENDING_MAX: usize = 1024;

/// A clock that is off by less is right: a sample's time is a matter of seconds anyway.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// What to do with an offered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// New: append it, then call [`Receipts::committed`] or [`Receipts::abandoned`].
    Accept,
    /// Durable already: acknowledge it again, append nothing.
    Duplicate,
    /// Being appended on behalf of another stream: append nothing; it is acknowledged when that append is durable.
    InFlight,
    /// A limit is reached ([`RANGES_MAX`], [`PENDING_MAX`]): close the stream without acknowledging.
    Refused,
}

/// What the collector has of one device's batches.
///
/// [`Receipts::hello`] when a stream begins, [`Receipts::offer`] for each batch, then [`Receipts::committed`] once it
/// is durable or [`Receipts::abandoned`] if it couldn't be appended. Serialized without what is pending, which a
/// crash makes undone; rebuilt from the journal by [`Receipts::hello_seen`] and [`Receipts::committed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipts {
    generations: BTreeMap<u64, Generation>,
    /// Counts uses, so that the generation that was used longest ago is known.
    uses: u64,
    /// How many generations were dropped to keep the limit.
    dropped: u64,
    #[serde(skip)]
    pending: BTreeSet<BatchId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Generation {
    received: RangeSet,
    /// Set at the first hello, never again.
    clock_offset_ms: Option<i64>,
    last_use: u64,
}

impl Receipts {
    /// What the collector has of `generations`, for the `Welcome`.
    #[must_use]
    pub fn received(&self, generations: impl IntoIterator<Item = u64>) -> Vec<Receipt> {
        generations
            .into_iter()
            .filter_map(|generation| {
                let ranges = self.generations.get(&generation)?.received.clone();
                (!ranges.is_empty()).then_some(Receipt { generation, ranges })
            })
            .collect()
    }

    /// Everything that is remembered, for a table: generation, received ranges, clock offset.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &RangeSet, i64)> + '_ {
        self.generations.iter().map(|(id, kept)| (*id, &kept.received, kept.clock_offset_ms.unwrap_or(0)))
    }

    /// How many generations were dropped to keep [`GENERATIONS_MAX`].
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many batches wait for the journal.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What to add to the times of a generation's samples, in milliseconds; zero for one that never said hello.
    #[must_use]
    pub fn clock_offset_ms(&self, generation: u64) -> i64 {
        self.generations.get(&generation).and_then(|kept| kept.clock_offset_ms).unwrap_or(0)
    }

    /// An agent said hello with its clock. Returns the offset to add to the times of this generation, zero if the
    /// clock is right within [`CLOCK_TOLERANCE`].
    ///
    /// A generation has one clock on the agent's side. What was measured first therefore stands, unless this hello
    /// contradicts it: then the collector's own clock was set meanwhile, and keeping the old offset would put every
    /// reading of this agent beside its time until the agent's next start.
    pub fn hello(&mut self, generation: u64, agent: Timestamp, collector: Timestamp) -> i64 {
        let tolerance_ms = CLOCK_TOLERANCE.as_millis();
        let off_by = collector.0.saturating_sub(agent.0);
        let measured = if u128::from(off_by.unsigned_abs()) > tolerance_ms { off_by } else { 0 };
        let standing = self.generations.get(&generation).and_then(|kept| kept.clock_offset_ms);
        // Twice the tolerance: a clock at its edge must not move back and forth with each stream.
        let agrees = |standing: &i64| u128::from(off_by.saturating_sub(*standing).unsigned_abs()) <= 2 * tolerance_ms;
        let offset = standing.filter(agrees).unwrap_or(measured);
        self.hello_seen(generation, offset);
        offset
    }

    /// The journal says that a generation's offset is this from now on.
    pub fn hello_seen(&mut self, generation: u64, clock_offset_ms: i64) {
        self.touch(generation).clock_offset_ms = Some(clock_offset_ms);
    }

    /// A batch arrived: what to do with it.
    pub fn offer(&mut self, id: BatchId) -> Offer {
        if let Some(kept) = self.generations.get(&id.generation) {
            if kept.received.contains(id.sequence) {
                return Offer::Duplicate;
            }
            if kept.received.range_count() >= RANGES_MAX {
                return Offer::Refused;
            }
        }
        if self.pending.contains(&id) {
            return Offer::InFlight;
        }
        if self.pending.len() >= PENDING_MAX {
            return Offer::Refused;
        }
        self.pending.insert(id);
        Offer::Accept
    }

    /// The batch is durable in the journal. Also how the set is rebuilt from the journal after a restart.
    pub fn committed(&mut self, id: BatchId) {
        self.pending.remove(&id);
        self.touch(id.generation).received.insert(id.sequence);
    }

    /// The batch could not be appended: it may be offered again.
    pub fn abandoned(&mut self, id: BatchId) {
        self.pending.remove(&id);
    }

    /// Loads one remembered generation from a table, the one used longest ago first.
    pub fn restore(&mut self, receipt: Receipt, clock_offset_ms: i64) {
        let kept = self.touch(receipt.generation);
        kept.received = receipt.ranges;
        kept.clock_offset_ms = Some(clock_offset_ms);
    }

    /// The generation's entry, marked as used just now; makes room for it if it is new.
    fn touch(&mut self, generation: u64) -> &mut Generation {
        if !self.generations.contains_key(&generation) && self.generations.len() >= GENERATIONS_MAX {
            self.drop_oldest();
        }
        self.uses += 1;
        let kept = self.generations.entry(generation).or_default();
        kept.last_use = self.uses;
        kept
    }

    fn drop_oldest(&mut self) {
        let oldest = self.generations.iter().min_by_key(|(_, kept)| kept.last_use).map(|(id, _)| *id);
        if let Some(oldest) = oldest {
            self.generations.remove(&oldest);
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
