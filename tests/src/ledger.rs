//! What a collector's journal holds, read after the collector has ended: the one truth to compare everything with.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_journal::{Journal, Options, Position};
use bellwether_logic::batch::BatchId;
use bellwether_logic::sample::Sample;
use bellwether_proto::batch::decode_alone;
use bellwether_proto::record::v1::{BatchReceived, Record, record};
use prost::Message;

/// Bytes asked for at once.
const READ_BYTES: usize = 4 << 20;

/// Everything in the journal of a data folder, in order, with its stamp.
///
/// # Panics
/// If the journal is open elsewhere, or damaged.
#[must_use]
pub fn records(data: &Path) -> Vec<(i64, Record)> {
    // A journal as large as its limit takes nothing, and this one is only read.
    let options = Options { max_bytes: u64::MAX, ..Options::default() };
    let (journal, recovery) = Journal::open(data.join("journal"), options).expect("the collector has ended");
    assert!(recovery.damaged_segments.is_empty() && recovery.missing_bytes == 0, "{recovery:?}");
    let mut records = Vec::new();
    let mut from = journal.start();
    loop {
        let entries = journal.read(from, READ_BYTES).expect("the journal can be read");
        let Some(last) = entries.last() else {
            assert_eq!(journal.statistics().damaged_places, 0, "the journal is damaged");
            assert!(from == journal.end() || from == Position(0));
            return records;
        };
        from = last.next;
        records.extend(entries.iter().map(|entry| {
            let record = Record::decode(&entry.payload[..]).expect("a journal holds records");
            (entry.stamp_ms, record)
        }));
    }
}

/// The batches of one device, how often each is in the journal, and what it held.
#[derive(Debug, Default)]
pub struct Batches {
    /// By name.
    pub by_id: BTreeMap<BatchId, Vec<Vec<Sample>>>,
}

impl Batches {
    /// Those of `device`.
    ///
    /// # Panics
    /// If a batch is malformed.
    #[must_use]
    pub fn of(records: &[(i64, Record)], device: &str) -> Self {
        let mut batches = Self::default();
        for (_, record) in records {
            let Some(record::Body::Batch(BatchReceived { identity: Some(identity), batch: Some(batch), .. })) =
                &record.body
            else {
                continue;
            };
            if identity.device_id == device {
                let samples = decode_alone(batch).expect("the journal's batches stand alone");
                batches.by_id.entry(batch.id()).or_default().push(samples);
            }
        }
        batches
    }

    /// Fails unless every batch is there once.
    ///
    /// # Panics
    /// If one is there twice.
    pub fn assert_each_once(&self) {
        let twice: Vec<_> = self.by_id.iter().filter(|(_, copies)| copies.len() != 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "more than once in the journal: {twice:?}");
    }

    /// Fails unless each generation's sequences have no gap between its first and its last.
    ///
    /// # Panics
    /// If one is missing.
    pub fn assert_no_gaps(&self) {
        let ids: Vec<_> = self.by_id.keys().collect();
        for pair in ids.windows(2).filter(|pair| pair[0].generation == pair[1].generation) {
            assert_eq!(pair[0].sequence + 1, pair[1].sequence, "a gap after {:?}", pair[0]);
        }
    }

    /// Every sample.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.by_id.values().flatten().flatten()
    }
}
