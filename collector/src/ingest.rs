//! From a batch on the wire to a record in the journal.
//!
//! In this order: told apart from a duplicate, times corrected, samples checked against what is declared and against
//! what the store can take, put together again as a batch that stands alone, appended. What a sample does wrong costs
//! that sample alone, counted: the batch is acknowledged, or the agent would send it for ever.

mod ledger;
mod prepare;
mod targets;

use std::sync::{Arc, LazyLock};

use bellwether_agent::schema;
use bellwether_journal::{AppendError, Journal, Receipt};
use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::receipts::Offer;
use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::encode_alone;
use bellwether_proto::record::v1::{BatchReceived, Identity, Record, Target, record};
use bellwether_proto::schema::Measurement;
use bellwether_series::Store;
use prost::Message;

use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::{figures, points};

pub use ledger::{Ledger, LedgerError, Ledgers};

/// What all streams share.
#[derive(Clone)]
pub struct Ingest {
    /// Where records go.
    pub journal: Arc<Journal>,
    /// Asked before a sample is promised to anyone.
    pub series: Arc<Store>,
    /// Who is who.
    pub inventory: Arc<Inventory>,
    /// What was received of whom.
    pub ledgers: Arc<Ledgers>,
    /// The receive stamp.
    pub clock: Clock,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Taken {
    /// It is on its way into the journal.
    Queued(Receipt),
    /// It is there already: to be acknowledged again.
    Duplicate,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The queue to the disk is full, or the journal is: to be tried again with the same batch.
    #[error("the journal takes nothing just now")]
    Wait(#[source] AppendError),
    /// It can't be taken, ever.
    #[error("the batch can't be stored")]
    Append(#[source] AppendError),
    /// Another stream of the same device is still bringing it.
    #[error("another stream is bringing the same batch")]
    InFlight,
    /// A bound on what is remembered of one device.
    #[error("too many gaps in the sequence, or too many batches at once")]
    Bound,
}

impl Ingest {
    /// The receive stamp for what happens now; the journal sees to it that stamps never go back.
    #[must_use]
    pub fn stamp(&self) -> Timestamp {
        self.clock.now()
    }

    /// Queues any record.
    ///
    /// # Errors
    /// When the journal does not take it.
    pub fn append(&self, body: record::Body) -> Result<Receipt, AppendError> {
        append(&self.journal, self.stamp(), body)
    }

    /// Queues a batch of one device, unless it is there already. `ledger` is that device's.
    ///
    /// # Errors
    /// When the batch is not taken; a batch that was not taken may be offered again.
    pub fn take(
        &self,
        identity: &Identity,
        ledger: &Ledger,
        id: BatchId,
        lane: Lane,
        samples: &[Sample],
    ) -> Result<Taken, TakeError> {
        self.take_declared(declared(), identity, ledger, id, lane, samples)
    }

    /// The same of what the collector measures itself, which no agent may send.
    ///
    /// # Errors
    /// When the batch is not taken; a batch that was not taken may be offered again.
    pub fn take_own(
        &self,
        declared: &'static [Measurement],
        identity: &Identity,
        ledger: &Ledger,
        id: BatchId,
        sample: Sample,
    ) -> Result<Taken, TakeError> {
        let declared: Vec<&'static Measurement> = declared.iter().collect();
        self.take_declared(&declared, identity, ledger, id, Lane::Live, &[sample])
    }

    fn take_declared(
        &self,
        declared: &[&'static Measurement],
        identity: &Identity,
        ledger: &Ledger,
        id: BatchId,
        lane: Lane,
        samples: &[Sample],
    ) -> Result<Taken, TakeError> {
        match ledger.offer(id) {
            Offer::Accept => {}
            Offer::Duplicate => {
                figures::batch("duplicate");
                return Ok(Taken::Duplicate);
            }
            Offer::InFlight => return Err(TakeError::InFlight),
            Offer::Refused => {
                figures::refused("ranges");
                return Err(TakeError::Bound);
            }
        }
        let offset_ms = ledger.clock_offset_ms(id.generation);
        let now = self.stamp();
        let (kept, targets) = self.prepare(declared, identity, offset_ms, now, samples);
        let values = kept.iter().map(|sample| sample.fields.len()).sum();
        let body = record::Body::Batch(BatchReceived {
            identity: Some(identity.clone()),
            batch: Some(encode_alone(id, lane, &kept)),
            clock_offset_ms: offset_ms,
            targets,
        });
        match append(&self.journal, now, body) {
            Ok(receipt) => {
                figures::values(values);
                Ok(Taken::Queued(receipt))
            }
            Err(error) => {
                ledger.abandoned(id);
                Err(match error {
                    AppendError::Busy | AppendError::Full { .. } => TakeError::Wait(error),
                    AppendError::TooLarge { .. } | AppendError::Closed => TakeError::Append(error),
                })
            }
        }
    }

    /// The samples that may be stored, with their times corrected, and the devices that some of them are of.
    fn prepare(
        &self,
        declared: &[&'static Measurement],
        identity: &Identity,
        offset_ms: i64,
        now: Timestamp,
        samples: &[Sample],
    ) -> (Vec<Sample>, Vec<Target>) {
        let (mut kept, refused) = prepare::prepare(declared, offset_ms, now, samples);
        for (reason, count) in refused.counted() {
            figures::refused_many(reason, count);
        }
        if let Some(why) = refused.example {
            tracing::warn!(device = identity.device_id, why, "samples were refused");
        }
        let (targets, unassigned) = targets::admit(&self.inventory, &identity.device_id, &mut kept);
        if unassigned > 0 {
            figures::refused_many("unassigned", unassigned);
            tracing::warn!(
                device = identity.device_id,
                unassigned,
                "samples of devices that it does not watch were refused"
            );
        }
        self.drop_conflicts(identity, &targets, &mut kept);
        (kept, targets)
    }

    /// Drops what the store would refuse, such as a field that has another type there.
    fn drop_conflicts(&self, identity: &Identity, targets: &[Target], samples: &mut Vec<Sample>) {
        let points = points::of(identity, targets, samples);
        let Err(conflicts) = self.series.check(points::DATABASE, &points) else { return };
        let mut wrong: Vec<usize> = conflicts.iter().map(|conflict| conflict.point).collect();
        wrong.sort_unstable();
        wrong.dedup();
        figures::refused_many("conflict", wrong.len());
        if let Some(conflict) = conflicts.first() {
            tracing::warn!(device = identity.device_id, why = %conflict, "samples were refused");
        }
        for at in wrong.into_iter().rev() {
            samples.remove(at);
        }
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ingest")
    }
}

/// Queues a record with its stamp.
///
/// # Errors
/// When the journal does not take it.
pub fn append(journal: &Journal, stamp: Timestamp, body: record::Body) -> Result<Receipt, AppendError> {
    journal.append(stamp.0, Record { body: Some(body) }.encode_to_vec())
}

/// Everything that our own agents may send.
fn declared() -> &'static [&'static Measurement] {
    static DECLARED: LazyLock<Vec<&'static Measurement>> = LazyLock::new(|| schema::all().collect());
    &DECLARED
}
