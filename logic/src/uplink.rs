//! The agent's side of the stream: which batch goes next, by which lane.
//!
//! The spool holds batches; this decider knows their names alone. It may not read, send or wait: it answers
//! [`Uplink::poll_send`] and says when to ask again.
//!
//! What it keeps:
//! - live batches go first, in ascending order, at most [`LIVE_WINDOW`] of them unacknowledged;
//! - back-fill goes in ascending order, the oldest generation first, within the window and the rate that the
//!   collector named;
//! - the split between the two is fixed when a stream begins and moves only with the next stream;
//! - nothing is sent twice in one stream; what a stream left unacknowledged is back-fill of the next one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::batch::{BatchId, Lane};
use crate::ranges::RangeSet;
use crate::time::Timestamp;

/// Live batches that may be under way unacknowledged: at one a minute an hour of them, while one stream's loss
/// repeats no more than this.
pub const LIVE_WINDOW: usize = 64;

/// What the spool holds of one generation, or what the collector has of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which generation.
    pub generation: u64,
    /// Which sequences of it.
    pub ranges: RangeSet,
}

/// What the agent's `Hello` says about its lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The generation that new batches belong to.
    pub generation: u64,
    /// Batches of that generation from here on go live.
    pub live_from: u64,
    /// What the spool holds, the oldest generation first.
    pub held: Vec<Receipt>,
}

/// How much back-fill the collector wants. Zero in either stops back-fill; live batches go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Back-fill batches that may be under way unacknowledged.
    pub window: u32,
    /// Back-fill batches a second.
    pub per_s: u32,
}

/// Decides what an agent sends next.
///
/// At the start tell it what the spool holds ([`Uplink::handle_held`], the oldest generation first). While running:
/// [`Uplink::handle_spooled`] and [`Uplink::handle_dropped`] as the spool changes. For each stream:
/// [`Uplink::begin_stream`] for the `Hello`, [`Uplink::handle_welcome`], then [`Uplink::poll_send`] until it has
/// nothing, [`Uplink::handle_ack`] and [`Uplink::handle_pace`] as they come, [`Uplink::handle_disconnected`] at the
/// end. [`Uplink::poll_wake`] says when to poll again though nothing happened.
#[derive(Clone, Debug)]
pub struct Uplink {
    generation: u64,
    /// One past the highest sequence spooled of `generation`.
    next_sequence: u64,
    /// What is not acknowledged, the oldest generation first.
    held: Vec<Receipt>,
    /// What is under way in this stream.
    under_way: BTreeMap<BatchId, Lane>,
    stream: Stream,
}

#[derive(Clone, Debug)]
enum Stream {
    Down,
    /// Hello is sent, nothing else may be.
    Greeting {
        live_from: u64,
    },
    Up(Lanes),
}

/// Where both lanes stand in one stream.
#[derive(Clone, Debug)]
struct Lanes {
    live_from: u64,
    /// Live batches below were sent.
    live_next: u64,
    /// Back-fill before this place in `held` was sent.
    backfill_next: (usize, u64),
    pace: Pace,
    /// Thousandths of a back-fill batch that may go now.
    allowance: u64,
    /// When the allowance was last topped up.
    topped_up: Timestamp,
}

/// What one batch takes from the allowance.
const BATCH_COST: u64 = 1000;

impl Uplink {
    /// An agent that has just drawn `generation` and will number its batches from `first_sequence`.
    #[must_use]
    pub const fn new(generation: u64, first_sequence: u64) -> Self {
        Self {
            generation,
            next_sequence: first_sequence,
            held: Vec::new(),
            under_way: BTreeMap::new(),
            stream: Stream::Down,
        }
    }

    /// Whether a stream is up, so that batches may go.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.stream, Stream::Up(_))
    }

    /// How many batches are under way unacknowledged.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether the spool holds nothing that the collector hasn't acknowledged: a clean stop loses nothing.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.held.iter().all(|receipt| receipt.ranges.is_empty())
    }

    /// The spool was opened and holds these of an earlier run. Call it for the oldest generation first.
    pub fn handle_held(&mut self, generation: u64, ranges: RangeSet) {
        for range in ranges.iter() {
            self.ranges_of(generation).insert_range(range);
        }
        if generation == self.generation {
            self.next_sequence = self.next_sequence.max(after(ranges.last()));
        }
    }

    /// The spool has stored a new batch.
    pub fn handle_spooled(&mut self, id: BatchId) {
        self.ranges_of(id.generation).insert(id.sequence);
        if id.generation == self.generation {
            self.next_sequence = self.next_sequence.max(id.sequence.saturating_add(1));
        }
    }

    /// The spool was full and dropped a batch, or could not read it: it will never be sent.
    pub fn handle_dropped(&mut self, id: BatchId) {
        self.forget(id.generation, id.sequence, id.sequence);
    }

    /// The wall clock stepped, or the agent otherwise starts counting anew: new batches belong to `generation`.
    /// The stream that is up has a split of the old generation, so end it and begin another.
    pub fn handle_new_generation(&mut self, generation: u64, first_sequence: u64) {
        self.handle_disconnected();
        self.generation = generation;
        self.next_sequence = first_sequence;
    }

    /// A stream begins: fixes the split between the lanes and says what belongs in the `Hello`.
    pub fn begin_stream(&mut self) -> Opening {
        self.under_way.clear();
        self.held.retain(|receipt| !receipt.ranges.is_empty());
        let live_from = self.next_sequence;
        self.stream = Stream::Greeting { live_from };
        Opening { generation: self.generation, live_from, held: self.held.clone() }
    }

    /// The collector answered the `Hello`: it already has `received` (the spool may forget it), and wants back-fill
    /// at this pace. Ignored unless a stream has begun.
    pub fn handle_welcome(&mut self, now: Timestamp, received: &[Receipt], pace: Pace) {
        let Stream::Greeting { live_from } = self.stream else {
            return;
        };
        self.handle_ack(received);
        self.stream = Stream::Up(Lanes {
            live_from,
            live_next: live_from,
            backfill_next: (0, 0),
            pace,
            allowance: BATCH_COST,
            topped_up: now,
        });
    }

    /// The collector asks for another pace of back-fill.
    pub const fn handle_pace(&mut self, pace: Pace) {
        if let Stream::Up(lanes) = &mut self.stream {
            lanes.pace = pace;
        }
    }

    /// These are durable at the collector: the spool may forget them.
    pub fn handle_ack(&mut self, receipts: &[Receipt]) {
        for receipt in receipts {
            for range in receipt.ranges.iter() {
                self.forget(receipt.generation, *range.start(), *range.end());
            }
        }
    }

    /// The stream is over. Whatever was under way will be offered again as back-fill.
    pub fn handle_disconnected(&mut self) {
        self.under_way.clear();
        self.stream = Stream::Down;
    }

    /// The next batch to send and its lane; it counts as under way from now on. If the spool can't deliver it, say
    /// so by [`Uplink::handle_dropped`].
    pub fn poll_send(&mut self, now: Timestamp) -> Option<(BatchId, Lane)> {
        let next = self.poll_live().or_else(|| self.poll_backfill(now))?;
        self.under_way.insert(next.0, next.1);
        Some(next)
    }

    /// When to poll again though nothing was spooled or acknowledged: when the pace allows the next back-fill batch.
    #[must_use]
    pub fn poll_wake(&self) -> Option<Timestamp> {
        let Stream::Up(lanes) = &self.stream else {
            return None;
        };
        if !self.window_is_open(lanes) || self.next_backfill(lanes).is_none() {
            return None;
        }
        let missing = BATCH_COST.saturating_sub(lanes.allowance);
        let wait_ms = missing.div_ceil(u64::from(lanes.pace.per_s));
        Some(lanes.topped_up + core::time::Duration::from_millis(wait_ms))
    }

    fn poll_live(&mut self) -> Option<(BatchId, Lane)> {
        if self.count(Lane::Live) >= LIVE_WINDOW {
            return None;
        }
        let generation = self.generation;
        let Stream::Up(lanes) = &mut self.stream else {
            return None;
        };
        let receipt = self.held.iter().find(|receipt| receipt.generation == generation)?;
        let sequence = receipt.ranges.next_from(lanes.live_next)?;
        lanes.live_next = sequence.saturating_add(1);
        Some((BatchId { generation, sequence }, Lane::Live))
    }

    fn poll_backfill(&mut self, now: Timestamp) -> Option<(BatchId, Lane)> {
        let Stream::Up(lanes) = &mut self.stream else {
            return None;
        };
        lanes.top_up(now);
        let Stream::Up(lanes) = &self.stream else {
            return None;
        };
        if lanes.allowance < BATCH_COST || !self.window_is_open(lanes) {
            return None;
        }
        let (place, id) = self.next_backfill(lanes)?;
        if let Stream::Up(lanes) = &mut self.stream {
            lanes.allowance -= BATCH_COST;
            lanes.backfill_next = (place, id.sequence.saturating_add(1));
        }
        Some((id, Lane::Backfill))
    }

    /// The first batch of the back-fill lane that this stream has not sent, and its generation's place in `held`.
    fn next_backfill(&self, lanes: &Lanes) -> Option<(usize, BatchId)> {
        let (first_place, first_sequence) = lanes.backfill_next;
        for (place, receipt) in self.held.iter().enumerate().skip(first_place) {
            let from = if place == first_place { first_sequence } else { 0 };
            let Some(sequence) = receipt.ranges.next_from(from) else {
                continue;
            };
            if receipt.generation == self.generation && sequence >= lanes.live_from {
                continue;
            }
            let generation = receipt.generation;
            return Some((place, BatchId { generation, sequence }));
        }
        None
    }

    fn window_is_open(&self, lanes: &Lanes) -> bool {
        lanes.pace.per_s > 0
            && u64::try_from(self.count(Lane::Backfill)).is_ok_and(|count| count < u64::from(lanes.pace.window))
    }

    fn count(&self, lane: Lane) -> usize {
        self.under_way.values().filter(|other| **other == lane).count()
    }

    fn ranges_of(&mut self, generation: u64) -> &mut RangeSet {
        let place = self.held.iter().position(|receipt| receipt.generation == generation).unwrap_or_else(|| {
            self.held.push(Receipt { generation, ranges: RangeSet::default() });
            self.held.len() - 1
        });
        &mut self.held[place].ranges
    }

    fn forget(&mut self, generation: u64, first: u64, last: u64) {
        if first > last {
            return;
        }
        if let Some(receipt) = self.held.iter_mut().find(|receipt| receipt.generation == generation) {
            receipt.ranges.remove_range(first..=last);
        }
        let id = |sequence| BatchId { generation, sequence };
        let gone: Vec<BatchId> = self.under_way.range(id(first)..=id(last)).map(|(id, _)| *id).collect();
        for id in gone {
            self.under_way.remove(&id);
        }
    }
}

impl Lanes {
    /// Lets the allowance grow with time, up to one second's worth (at least one batch), so that a pause is not
    /// followed by a burst.
    fn top_up(&mut self, now: Timestamp) {
        let elapsed_ms = u64::try_from(now.since(self.topped_up).as_millis()).unwrap_or(u64::MAX);
        let cap = u64::from(self.pace.per_s).max(1) * BATCH_COST;
        self.allowance = elapsed_ms.saturating_mul(u64::from(self.pace.per_s)).saturating_add(self.allowance).min(cap);
        self.topped_up = now;
    }
}

fn after(last: Option<u64>) -> u64 {
    last.map_or(0, |last| last.saturating_add(1))
}

#[cfg(test)]
mod tests;
