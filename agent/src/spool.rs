//! The spool: batches wait here until the collector has them.
//!
//! Promises, and how they are kept:
//! - **Bounded.** At most `max_bytes` on disk and `max_age`; the oldest segment goes first, and every batch that goes
//!   unacknowledged is counted. In memory an index of runs, a few bytes for each segment.
//! - **A power cut loses at most `sync`.** Frames are written at once and synced at that interval and at a clean stop;
//!   what was acknowledged meanwhile is not synced at all, which spares the disk of a machine that is connected.
//! - **Never a broken batch.** Frames bear checksums; at start each segment is cut at its first frame that is not
//!   whole. Whatever is in the files, opening them does not fail, except for a newer format, which is left untouched.
//! - **Never sent again for nothing.** Acknowledged segments are deleted whole; acknowledgements of what is left are
//!   kept in a file.
//! - **A full or read-only disk does not stop the agent.** New batches stay in memory, bounded, until the disk takes
//!   them.
//!
//! On disk: `NUMBER.spool` (hexadecimal, ascending), each a header and frames (`frame`), each frame one batch that
//! stands alone; `acked`, one frame; `births`, one frame.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bellwether_logic::ranges::RangeSet;
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::Receipt;
use bellwether_proto::batch::{Alone, BatchId};
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use bellwether_proto::v1;
use prost::Message;

pub use self::births::Birth;
use self::segment::{Cursor, Head, Segment};
use crate::config::SpoolConfig;
use crate::gather::Gather;
use crate::reading::{integer, sample};

mod acks;
mod births;
mod frame;
mod segment;

/// What the spool says of itself.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "agent_spool",
    tags: &[],
    fields: &[
        Field { name: "batches", kind: FieldKind::Integer, unit: "", description: "Batches that wait." },
        Field { name: "bytes", kind: FieldKind::Integer, unit: "bytes", description: "What they take on disk." },
        Field {
            name: "dropped",
            kind: FieldKind::Integer,
            unit: "",
            description: "Batches that were dropped unsent since the agent started.",
        },
        Field {
            name: "on_disk",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether the disk takes new batches; otherwise they wait in memory.",
        },
    ],
    privacy: Privacy::Own,
    description: "Readings that wait for the collector.",
}];

/// Large enough that files are few, small enough that dropping one loses little.
const SEGMENT_BYTES: u64 = 256 << 10;

/// What may wait in memory when the disk takes nothing: at a kibibyte a minute the whole day.
const MEMORY_BYTES: usize = 1 << 20;

/// An acknowledged file below this is written on instead of deleted.
const REUSE_BYTES: u64 = 64 << 10;

/// Batches before this time bear a clock that was never set: their age is unknown. 2020-01-01.
const CLOCK_WAS_SET_MS: i64 = 1_577_836_800_000;

/// Why a spool can't be opened. Nothing else that is wrong with it stops an agent.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A newer version wrote it.
    #[error("{path} has format {found}, this version knows format 1: it is left untouched")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
    },
}

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Batches that wait.
    pub batches: u64,
    /// Bytes that were cut because they are no whole frame.
    pub torn_bytes: u64,
}

/// How the spool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Batches that wait.
    pub batches: u64,
    /// What the files take.
    pub bytes: u64,
    /// Batches that were dropped unacknowledged since the start.
    pub dropped: u64,
    /// Whether the disk takes new batches.
    pub on_disk: bool,
}

/// The spool of one agent. Calls may wait for the disk, but only `sync` waits for it to be durable.
pub struct Spool {
    dir: PathBuf,
    config: SpoolConfig,
    /// The oldest first; the last may be open for writing.
    segments: VecDeque<Segment>,
    writer: Option<File>,
    next_number: u64,
    /// Acknowledged, and still in a segment.
    acked: BTreeMap<u64, RangeSet>,
    acked_changed: bool,
    /// The clocks of the generations, the oldest first.
    births: Vec<Birth>,
    memory: VecDeque<(BatchId, Vec<u8>)>,
    cursor: Option<Cursor>,
    unsynced: bool,
    dropped: u64,
    /// Why the disk took nothing at the last attempt.
    trouble: Option<String>,
}

impl Spool {
    /// Opens the folder, making it if need be.
    ///
    /// # Errors
    /// Only when a newer version wrote it.
    pub fn open(dir: &Path, config: SpoolConfig) -> Result<(Self, Recovery), SpoolError> {
        let mut spool = Self {
            dir: dir.to_owned(),
            config,
            segments: VecDeque::new(),
            writer: None,
            next_number: 1,
            acked: BTreeMap::new(),
            acked_changed: false,
            births: births::load(dir),
            memory: VecDeque::new(),
            cursor: None,
            unsynced: false,
            dropped: 0,
            trouble: None,
        };
        if let Err(error) = fs::create_dir_all(dir) {
            spool.note_trouble(&error);
        }
        let mut torn_bytes = 0;
        for number in segment::list(dir).unwrap_or_default() {
            let (segment, torn) = Segment::recover(dir, number)?;
            torn_bytes += torn;
            spool.segments.extend(segment);
            spool.next_number = number.saturating_add(1);
        }
        spool.handle_known_acks(acks::load(dir));
        let recovery = Recovery { batches: spool.status().batches, torn_bytes };
        Ok((spool, recovery))
    }

    /// A generation begins: the clock that its batches bear. What is known of generations that are gone is forgotten.
    pub fn handle_birth(&mut self, birth: Birth) {
        let held: BTreeSet<u64> = self.held().iter().map(|receipt| receipt.generation).gather();
        self.births.retain(|birth| held.contains(&birth.generation));
        self.births.push(birth);
        self.keep_births();
    }

    /// The collector has heard of a generation's clock, and corrects its times from now on.
    pub fn handle_heard(&mut self, generation: u64) {
        let birth = self.births.iter_mut().find(|birth| birth.generation == generation && !birth.heard);
        if let Some(birth) = birth {
            birth.heard = true;
            self.keep_births();
        }
    }

    /// The generations that wait, of whose clock the collector has never heard, and never will: what began them has ended.
    #[must_use]
    pub fn unheard(&self) -> Vec<Birth> {
        self.births.iter().filter(|birth| !birth.heard).cloned().collect()
    }

    /// Drops what waits of a generation and bears a clock that was never set.
    pub fn drop_undated(&mut self, generation: u64) -> Vec<BatchId> {
        let mut gone = Vec::new();
        for id in self.waiting(generation) {
            if self.read(id).is_some_and(|batch| batch.time_unix_ms < CLOCK_WAS_SET_MS) {
                gone.push(id);
            }
        }
        self.forget_batches(&gone);
        self.count_dropped(gone)
    }

    /// What waits of a generation, in order.
    #[must_use]
    pub fn waiting(&self, generation: u64) -> Vec<BatchId> {
        let held = self.held().into_iter().filter(|receipt| receipt.generation == generation);
        let sequences = held.flat_map(|receipt| receipt.ranges.iter().flatten().collect::<Vec<_>>());
        sequences.map(|sequence| BatchId { generation, sequence }).collect()
    }

    /// These wait no longer.
    pub fn forget_batches(&mut self, ids: &[BatchId]) {
        let receipt = |id: &BatchId| Receipt {
            generation: id.generation,
            ranges: [id.sequence..=id.sequence].into_iter().collect(),
        };
        self.handle_ack(&ids.iter().map(receipt).collect::<Vec<_>>());
    }

    /// Other limits from now on. What is over them goes with the next batch.
    pub fn handle_config(&mut self, config: SpoolConfig) {
        self.config = config;
    }

    /// What waits, by generation, the oldest first.
    #[must_use]
    pub fn held(&self) -> Vec<Receipt> {
        let mut held: Vec<Receipt> = Vec::new();
        let in_memory = self.memory.iter().map(|(id, _)| (id.generation, id.sequence..=id.sequence));
        for (generation, range) in self.segments.iter().flat_map(Segment::ranges).chain(in_memory) {
            let place = held.iter().position(|receipt| receipt.generation == generation).unwrap_or_else(|| {
                held.push(Receipt { generation, ranges: RangeSet::default() });
                held.len() - 1
            });
            held[place].ranges.insert_range(range);
        }
        for receipt in &mut held {
            for range in self.acked.get(&receipt.generation).into_iter().flat_map(RangeSet::iter) {
                receipt.ranges.remove_range(range);
            }
        }
        held.retain(|receipt| !receipt.ranges.is_empty());
        held
    }

    /// Stores a batch that stands alone; returns the batches that had to go for it.
    pub fn append(&mut self, batch: impl Into<Alone>) -> Vec<BatchId> {
        let Alone { id, time_unix_ms, bytes } = batch.into();
        let head = Head { generation: id.generation, sequence: id.sequence, time_unix_ms };
        let mut gone = Vec::new();
        self.move_memory_to_disk(&mut gone);
        if !self.memory.is_empty() || !self.write(&head, &bytes, &mut gone) {
            self.keep_in_memory(id, bytes, &mut gone);
        }
        self.count_dropped(gone)
    }

    /// A batch that waits; none if its file does not give it back whole, in which case it waits no longer.
    pub fn read(&mut self, id: BatchId) -> Option<v1::Batch> {
        let in_memory = self.memory.iter().find(|(other, _)| *other == id).map(|(_, payload)| payload.clone());
        let payload = in_memory.or_else(|| {
            let segment = self.segments.iter().rfind(|segment| segment.contains(id))?;
            segment.read(id, &mut self.cursor)
        });
        let batch = payload.and_then(|payload| v1::Batch::decode(payload.as_slice()).ok());
        if batch.is_none() {
            self.dropped += 1;
            self.acked.entry(id.generation).or_default().insert(id.sequence);
        }
        batch
    }

    /// The collector has these: they wait no longer. A word about batches that are not here counts for nothing, least of
    /// all for those that are still to come by that name.
    pub fn handle_ack(&mut self, receipts: &[Receipt]) {
        for receipt in receipts {
            self.memory.retain(|(id, _)| id.generation != receipt.generation || !receipt.ranges.contains(id.sequence));
            let held = self.segments.iter().flat_map(Segment::ranges).filter(|(held, _)| *held == receipt.generation);
            for range in held.flat_map(|(_, held)| receipt.ranges.within(held)) {
                self.acked.entry(receipt.generation).or_default().insert_range(range);
                self.acked_changed = true;
            }
        }
        self.remove_acknowledged();
    }

    /// Drops what is older than its time, by a clock that is known to be right.
    pub fn drop_older(&mut self, now: Timestamp) -> Vec<BatchId> {
        let limit = (now - self.config.max_age).0;
        let mut gone = Vec::new();
        while self.segments.front().is_some_and(|segment| (CLOCK_WAS_SET_MS..limit).contains(&segment.newest_ms)) {
            self.drop_oldest(&mut gone);
        }
        self.count_dropped(gone)
    }

    /// Makes durable what waits. To be called every `sync` and at a clean stop.
    pub fn sync(&mut self) {
        let result = self.sync_file().and_then(|()| {
            if std::mem::take(&mut self.acked_changed) { acks::store(&self.dir, &self.acked) } else { Ok(()) }
        });
        if let Err(error) = result {
            self.note_trouble(&error);
        }
    }

    /// How the spool is.
    #[must_use]
    pub fn status(&self) -> Status {
        let count =
            |receipt: &Receipt| -> u64 { receipt.ranges.iter().map(|range| range.end() - range.start() + 1).sum() };
        Status {
            batches: self.held().iter().map(count).sum(),
            bytes: self.bytes(),
            dropped: self.dropped,
            on_disk: self.trouble.is_none(),
        }
    }

    /// The row of `agent_spool`.
    #[must_use]
    pub fn sample(&self, time: Timestamp) -> Sample {
        let status = self.status();
        let fields = vec![
            ("batches", integer(status.batches)),
            ("bytes", integer(status.bytes)),
            ("dropped", integer(status.dropped)),
            ("on_disk", Value::Boolean(status.on_disk)),
        ];
        sample("agent_spool", Vec::new(), time, fields)
    }

    /// What the index in memory has: one entry for each run of batches that follow each other.
    #[cfg(test)]
    pub(crate) fn index_entries(&self) -> usize {
        self.segments.iter().map(|segment| segment.ranges().count()).sum()
    }

    fn keep_births(&mut self) {
        if let Err(error) = births::store(&self.dir, &mut self.births) {
            self.note_trouble(&error);
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES.min(self.config.max_bytes / 4)
    }

    /// Acknowledgements of batches that are gone are forgotten.
    fn handle_known_acks(&mut self, acked: BTreeMap<u64, RangeSet>) {
        let receipts: Vec<Receipt> =
            acked.into_iter().map(|(generation, ranges)| Receipt { generation, ranges }).collect();
        self.handle_ack(&receipts);
        self.acked_changed = false;
    }

    fn move_memory_to_disk(&mut self, gone: &mut Vec<BatchId>) {
        while let Some((id, payload)) = self.memory.pop_front() {
            let head = Head::decode(payload.as_slice()).unwrap_or_default();
            if !self.write(&head, &payload, gone) {
                self.memory.push_front((id, payload));
                return;
            }
        }
    }

    fn keep_in_memory(&mut self, id: BatchId, payload: Vec<u8>, gone: &mut Vec<BatchId>) {
        self.memory.push_back((id, payload));
        let mut bytes: usize = self.memory.iter().map(|(_, payload)| payload.len()).sum();
        while bytes > MEMORY_BYTES {
            let Some((id, payload)) = self.memory.pop_front() else { return };
            bytes -= payload.len();
            gone.push(id);
        }
    }

    /// Writes a frame; says whether the disk took it.
    fn write(&mut self, head: &Head, payload: &[u8], gone: &mut Vec<BatchId>) -> bool {
        let frame_bytes = (payload.len() + frame::HEAD_BYTES) as u64;
        while self.bytes() + frame_bytes > self.config.max_bytes && !self.segments.is_empty() {
            self.drop_oldest(gone);
        }
        let result = self.open_writer(frame_bytes).and_then(|()| {
            let (Some(segment), Some(file)) = (self.segments.back_mut(), self.writer.as_mut()) else {
                return Err(std::io::Error::other("no open segment"));
            };
            segment.append(file, head, payload).map_err(|failed| {
                if !failed.usable {
                    self.writer = None;
                }
                failed.error
            })
        });
        match result {
            Ok(()) => {
                self.unsynced = true;
                if self.trouble.take().is_some() {
                    tracing::info!(path = %self.dir.display(), "the disk takes readings again");
                }
                true
            }
            Err(error) => {
                self.note_trouble(&error);
                false
            }
        }
    }

    /// Makes the last segment one that takes so many more bytes.
    fn open_writer(&mut self, more: u64) -> std::io::Result<()> {
        let fits = self.segments.back().is_some_and(|segment| segment.bytes + more <= self.segment_bytes());
        if fits && self.writer.is_some() {
            return Ok(());
        }
        if self.writer.is_some() {
            self.sync_file()?;
            self.writer = None;
        }
        if let Some(segment) = self.segments.back().filter(|_| fits)
            && let Ok(file) = segment.reopen()
        {
            self.writer = Some(file);
            return Ok(());
        }
        let (segment, file) = Segment::create(&self.dir, self.next_number)?;
        self.next_number += 1;
        self.segments.push_back(segment);
        self.writer = Some(file);
        // The file's name must be durable with its first frames.
        crate::private::sync_dir(&self.dir)
    }

    fn sync_file(&mut self) -> std::io::Result<()> {
        let waits = self.segments.back().is_some_and(|segment| !segment.is_within(&self.acked));
        if let Some(file) = self.writer.as_ref().filter(|_| self.unsynced && waits) {
            file.sync_data()?;
        }
        self.unsynced = false;
        Ok(())
    }

    fn drop_oldest(&mut self, gone: &mut Vec<BatchId>) {
        let Some(segment) = self.segments.pop_front() else { return };
        for (generation, range) in segment.ranges() {
            let acked = self.acked.get(&generation);
            let waits = |sequence: &u64| !acked.is_some_and(|acked| acked.contains(*sequence));
            gone.extend(range.filter(waits).map(|sequence| BatchId { generation, sequence }));
        }
        self.forget(&segment);
    }

    fn remove_acknowledged(&mut self) {
        let mut index = 0;
        while let Some(segment) = self.segments.get(index) {
            // A disk in trouble may need just this room.
            let reused = segment.bytes < REUSE_BYTES && self.trouble.is_none();
            let active = index + 1 == self.segments.len() && reused;
            if active || !segment.is_within(&self.acked) {
                index += 1;
            } else if let Some(segment) = self.segments.remove(index) {
                self.forget(&segment);
            }
        }
    }

    fn forget(&mut self, segment: &Segment) {
        if segment.number + 1 == self.next_number {
            self.writer = None;
        }
        self.cursor = None;
        segment.remove();
        for (generation, range) in segment.ranges() {
            if let Some(set) = self.acked.get_mut(&generation) {
                set.remove_range(range);
                self.acked_changed = true;
            }
        }
        // The collector also names what has left the spool long ago.
        let held: BTreeSet<u64> =
            self.segments.iter().flat_map(Segment::ranges).map(|(generation, _)| generation).gather();
        self.acked.retain(|generation, set| !set.is_empty() && held.contains(generation));
    }

    fn count_dropped(&mut self, gone: Vec<BatchId>) -> Vec<BatchId> {
        self.dropped += gone.len() as u64;
        gone
    }

    /// One line for each distinct trouble, not one for each batch.
    fn note_trouble(&mut self, error: &std::io::Error) {
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(path = %self.dir.display(), error = text, "the disk takes no readings: they wait in memory");
            self.trouble = Some(text);
        }
    }
}

#[cfg(test)]
mod tests;
