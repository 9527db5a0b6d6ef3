//! What was received of each device, kept in memory: rebuilt at the start from the table that the engine reader keeps,
//! and from the part of the journal that the engine reader has not come to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_journal::{Journal, JournalError, Position};
use bellwether_logic::batch::BatchId;
use bellwether_logic::receipts::{Offer, Receipts};
use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::Receipt;
use bellwether_proto::record::v1::{Record, record};
use prost::Message;

use crate::readers::ENGINE;
use crate::state::{State, StateError};

/// What is read of the journal at a time.
const READ_BYTES: usize = 4 << 20;

/// Every device's ledger.
#[derive(Debug, Default)]
pub struct Ledgers(Mutex<HashMap<String, Ledger>>);

/// One device's: shared by its streams, of which an old one may still be ending.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Receipts>>);

/// Why the ledgers could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The table.
    #[error("cannot read what was received")]
    State(#[from] StateError),
    /// The journal.
    #[error("cannot read the journal's end")]
    Journal(#[from] JournalError),
}

impl Ledgers {
    /// As table and journal have it.
    ///
    /// # Errors
    /// When either can't be read.
    pub fn rebuild(state: &State, journal: &Journal) -> Result<Self, LedgerError> {
        let ledgers = Self::default();
        for row in state.all_receipts()? {
            let receipt = Receipt { generation: row.generation, ranges: row.ranges };
            ledgers.of(&row.device).lock().restore(receipt, row.clock_offset_ms);
        }
        let mut position = Position(state.cursor(ENGINE)?.unwrap_or(0)).max(journal.start());
        loop {
            let entries = journal.read(position, READ_BYTES)?;
            let Some(last) = entries.last() else { return Ok(ledgers) };
            position = last.next;
            for entry in &entries {
                // What can't be read is the readers' to report.
                if let Ok(Record { body: Some(body) }) = Record::decode(entry.payload.as_slice()) {
                    ledgers.learn(&body);
                }
            }
        }
    }

    fn learn(&self, body: &record::Body) {
        match body {
            record::Body::Batch(received) => {
                if let (Some(identity), Some(batch)) = (&received.identity, &received.batch) {
                    self.of(&identity.device_id).committed(batch.id());
                }
            }
            record::Body::Connected(connected) => {
                let ledger = self.of(&connected.device_id);
                ledger.lock().hello_seen(connected.generation, connected.clock_offset_ms);
            }
            _ => {}
        }
    }

    /// One device's ledger.
    #[must_use]
    pub fn of(&self, device: &str) -> Ledger {
        let mut ledgers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = ledgers.get(device) {
            return ledger.clone();
        }
        ledgers.entry(device.to_owned()).or_default().clone()
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Receipts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An agent said hello: what to add to this generation's times, in milliseconds.
    #[must_use]
    pub fn hello(&self, generation: u64, agent: Timestamp, collector: Timestamp) -> i64 {
        self.lock().hello(generation, agent, collector)
    }

    /// What was received of these generations.
    #[must_use]
    pub fn received(&self, generations: impl IntoIterator<Item = u64>) -> Vec<Receipt> {
        self.lock().received(generations)
    }

    /// What to add to the times of a generation's samples.
    #[must_use]
    pub fn clock_offset_ms(&self, generation: u64) -> i64 {
        self.lock().clock_offset_ms(generation)
    }

    /// A batch came: what to do with it.
    #[must_use]
    pub fn offer(&self, id: BatchId) -> Offer {
        self.lock().offer(id)
    }

    /// A batch is durable.
    pub fn committed(&self, id: BatchId) {
        self.lock().committed(id);
    }

    /// A batch could not be appended.
    pub fn abandoned(&self, id: BatchId) {
        self.lock().abandoned(id);
    }
}
