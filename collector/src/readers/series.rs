//! The series reader: batches from the journal into the store.
//!
//! The store keeps the place itself, in the same file as the values, and writes it at its checkpoints. After a crash
//! the records behind the last checkpoint are applied again, which changes nothing: the last write of a point wins.

use std::sync::Arc;

use bellwether_journal::{Entry, Journal, JournalError, Position};
use bellwether_logic::sample::Sample;
use bellwether_proto::batch::decode_alone;
use bellwether_proto::record::v1::{BatchReceived, Record, record};
use bellwether_series::{Change, Store, StoreError};
use prost::Message;
use tokio::sync::watch;

use super::{IDLE, READ_BYTES, Reader, SERIES, Step};
use crate::clock::Clock;
use crate::{figures, points};

/// Applies batches to the store.
pub struct SeriesReader {
    journal: Arc<Journal>,
    store: Arc<Store>,
    clock: Clock,
    /// Tells who waits for it how far queries see.
    visible: watch::Sender<u64>,
    position: Position,
    /// Whether points are stored here, or elsewhere alone.
    keeps_points: bool,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The journal could not be read.
    #[error("cannot read the journal")]
    Journal(#[from] JournalError),
    /// The store could not be written.
    #[error("cannot write to the series store")]
    Store(#[from] StoreError),
}

impl SeriesReader {
    /// Goes on where the store's content ends.
    #[must_use]
    pub fn new(journal: Arc<Journal>, store: Arc<Store>, clock: Clock, visible: watch::Sender<u64>) -> Self {
        let position = Position(store.position());
        if position < journal.start() {
            // The store was put back to an older copy, or the disk has forgotten what it had promised.
            tracing::error!(from = position.0, to = journal.start().0, "records that the store has not read are gone");
            figures::refused("released_record");
        }
        let position = position.max(journal.start());
        visible.send_replace(position.0);
        Self { journal, store, clock, visible, position, keeps_points: true }
    }

    /// Stores no points, because they are kept elsewhere: only databases and policies, so that the door knows them.
    #[must_use]
    pub fn without_points(self) -> Self {
        Self { keeps_points: false, ..self }
    }

    fn apply(&self, entry: &Entry) -> Result<(), StoreError> {
        let content = content(entry).filter(|content| self.keeps_points || content.is_statement());
        let applied = match content {
            None => {
                self.store.advance(entry.next.0);
                return Ok(());
            }
            Some(Content::Batch(received, samples)) => {
                let identity = received.identity.unwrap_or_default();
                let points = points::of(&identity, &received.targets, &samples);
                self.store.apply(entry.next.0, points::DATABASE, &points)?
            }
            Some(Content::Change(change)) => self.store.apply_change(entry.next.0, &change)?,
        };
        if applied.old_points > 0 {
            figures::refused_many("older_than_kept", usize::try_from(applied.old_points).unwrap_or(usize::MAX));
        }
        let refused = applied.refused_points + applied.refused_values;
        if refused > 0 {
            figures::refused_many("store", usize::try_from(refused).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn maintain(&self) -> Result<(), StoreError> {
        let now_ns = self.clock.now().0.saturating_mul(1_000_000);
        if let Some(durable) = self.store.maintain(now_ns)? {
            self.journal.release(SERIES, Position(durable));
        }
        Ok(())
    }
}

/// What a record has for the store.
pub enum Content {
    /// A batch and its samples.
    Batch(Box<BatchReceived>, Vec<Sample>),
    /// What others wrote or deleted.
    Change(Change),
}

impl Content {
    /// Whether it brings no points.
    fn is_statement(&self) -> bool {
        matches!(self, Self::Change(Change::Statement(_)))
    }
}

/// What a record has for the store, if it has anything and can be read.
pub(crate) fn content(entry: &Entry) -> Option<Content> {
    let record =
        Record::decode(entry.payload.as_slice()).inspect_err(|_| figures::refused("undecodable_record")).ok()?;
    let position = entry.position.0;
    match record.body? {
        record::Body::Batch(received) => {
            let samples = decode_alone(received.batch.as_ref()?).inspect_err(|error| {
                figures::refused("undecodable_batch");
                tracing::error!(%error, position, "a batch in the journal can't be read");
            });
            Some(Content::Batch(Box::new(received), samples.ok()?))
        }
        record::Body::Series(changed) => {
            let change = Change::decode(changed.change).inspect_err(|error| {
                figures::refused("undecodable_change");
                tracing::error!(%error, position, "a change in the journal can't be read");
            });
            Some(Content::Change(change.ok()?))
        }
        _ => None,
    }
}

impl Reader for SeriesReader {
    const NAME: &'static str = SERIES;
    type Error = SeriesError;

    fn step(&mut self) -> Result<Step, SeriesError> {
        self.maintain()?;
        let entries = self.journal.read(self.position, READ_BYTES)?;
        for entry in &entries {
            self.apply(entry)?;
            self.position = entry.next;
        }
        if entries.is_empty() {
            let _ = self.journal.wait_beyond(self.position, IDLE);
            return Ok(Step::Idle);
        }
        self.visible.send_replace(self.position.0);
        figures::reader_position(SERIES, self.position.0);
        Ok(Step::Moved)
    }

    fn finish(&mut self) -> Result<(), SeriesError> {
        let durable = self.store.checkpoint()?;
        self.journal.release(SERIES, Position(durable));
        Ok(())
    }
}
