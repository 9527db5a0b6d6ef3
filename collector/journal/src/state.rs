//! What the log's handle, its readers and its committer share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::{HEADER_BYTES, frame_bytes};
use crate::pin::is_pinned;
use crate::receipt::{Promise, Receipt, promise};
use crate::recover::Recovered;
use crate::{AppendError, MAX_RECORD_BYTES, Options, Position, QUEUE_BYTES, QUEUE_RECORDS, Statistics, segment_path};

/// One segment as far as it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The position after its last record.
    pub(crate) end: u64,
    /// Its size on the disk.
    pub(crate) bytes: u64,
    /// False if its header is broken: it is kept until released, and nothing is read from it.
    pub(crate) readable: bool,
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) stamp_ms: i64,
    pub(crate) payload: Vec<u8>,
    pub(crate) promise: Promise,
}

#[derive(Debug)]
pub(crate) struct State {
    /// By first position. The last one is being written. Never empty.
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// In order of arrival.
    pub(crate) queue: VecDeque<Pending>,
    /// Frame bytes in the queue and in the group that is being written.
    pub(crate) queued_bytes: u64,
    /// Records in the group that is being written.
    pub(crate) writing_records: usize,
    pub(crate) closed: bool,
    /// A reader met damage in the segment that is being written: begin a new one.
    pub(crate) wants_new_segment: bool,
    pub(crate) failed_groups: u64,
    readers: BTreeMap<String, Position>,
    yielding: BTreeSet<String>,
    yielded_bytes: u64,
    damaged: BTreeSet<u64>,
    damaged_places: u64,
}

impl State {
    /// The end of what is durable.
    pub(crate) fn end(&self) -> u64 {
        self.last().1.end
    }

    /// The segment that is being written.
    pub(crate) fn last(&self) -> (u64, Segment) {
        let (first, segment) = self.segments.last_key_value().expect("an open log has a segment");
        (*first, *segment)
    }

    fn stored_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Segments that no reader needs, oldest first; never the last one. They are ours no more after this.
    fn take_released(&mut self) -> Vec<u64> {
        let Some(needed) = self.readers.values().min().copied() else {
            return Vec::new();
        };
        let mut released = Vec::new();
        while let Some(first) = self.take_oldest(needed) {
            released.push(first);
        }
        released
    }

    /// As many of the oldest segments as must go for `added` bytes, as far as yielding readers alone need them.
    fn take_yielded(&mut self, added: u64, max_bytes: u64) -> Vec<u64> {
        let stern = self.readers.iter().filter(|(name, _)| !self.yielding.contains(*name));
        let Some(needed) = stern.map(|(_, position)| *position).min() else {
            return Vec::new();
        };
        let mut yielded = Vec::new();
        while self.stored_bytes() + self.queued_bytes + added > max_bytes {
            let before = self.stored_bytes();
            let Some(first) = self.take_oldest(needed) else { break };
            self.yielded_bytes += before - self.stored_bytes();
            yielded.push(first);
        }
        yielded
    }

    /// The oldest segment, if it ends before `needed` and is not the last.
    fn take_oldest(&mut self, needed: Position) -> Option<u64> {
        let (first, segment) = self.segments.first_key_value()?;
        let first = *first;
        if self.segments.len() < 2 || segment.end > needed.0 {
            return None;
        }
        self.segments.remove(&first);
        Some(first)
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    /// Segments that nobody needs, and that a pin has kept so far.
    postponed: Mutex<Vec<u64>>,
    /// There is something to write, or nothing will come any more.
    pub(crate) work: Condvar,
    /// The durable end moved, or the queue has room.
    pub(crate) progress: Condvar,
}

impl Shared {
    pub(crate) fn new(folder: &Path, options: Options, recovered: &Recovered) -> Self {
        Self {
            folder: folder.to_owned(),
            max_bytes: options.max_bytes,
            postponed: Mutex::default(),
            state: Mutex::new(State {
                segments: recovered.segments.clone(),
                queue: VecDeque::new(),
                queued_bytes: 0,
                writing_records: 0,
                closed: false,
                wants_new_segment: false,
                failed_groups: 0,
                readers: options.readers,
                yielding: options.yielding,
                yielded_bytes: 0,
                damaged: BTreeSet::new(),
                damaged_places: 0,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, stamp_ms: i64, payload: Vec<u8>) -> Result<Receipt, AppendError> {
        let mut state = self.lock();
        self.make_room(&mut state, payload.len());
        self.admit(&state, payload.len())?;
        Ok(self.enqueue(&mut state, stamp_ms, payload))
    }

    /// Readers that yield do so before anyone is refused.
    fn make_room(&self, state: &mut State, size: usize) {
        if state.yielding.is_empty() {
            return;
        }
        let yielded = state.take_yielded(added_bytes(size), self.max_bytes);
        if !yielded.is_empty() {
            let (from, readers) = (yielded[0], &state.yielding);
            tracing::error!(
                segments = yielded.len(),
                from,
                ?readers,
                "the journal is full: readers lost its oldest part"
            );
            self.delete(&yielded);
        }
    }

    pub(crate) fn append_blocking(&self, stamp_ms: i64, payload: Vec<u8>) -> Result<Receipt, AppendError> {
        let mut state = self.lock();
        loop {
            self.make_room(&mut state, payload.len());
            match self.admit(&state, payload.len()) {
                // The committer empties the queue whether the disk works or not, so this ends.
                Err(AppendError::Busy) => {
                    state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(self.enqueue(&mut state, stamp_ms, payload)),
            }
        }
    }

    fn admit(&self, state: &State, size: usize) -> Result<(), AppendError> {
        if size > MAX_RECORD_BYTES {
            return Err(AppendError::TooLarge { size });
        }
        if state.closed {
            return Err(AppendError::Closed);
        }
        let stored = state.stored_bytes() + state.queued_bytes;
        if stored + added_bytes(size) > self.max_bytes {
            return Err(AppendError::Full { stored, max: self.max_bytes });
        }
        let records = state.queue.len() + state.writing_records;
        if records >= QUEUE_RECORDS || state.queued_bytes >= QUEUE_BYTES {
            return Err(AppendError::Busy);
        }
        Ok(())
    }

    fn enqueue(&self, state: &mut State, stamp_ms: i64, payload: Vec<u8>) -> Receipt {
        let (promise, receipt) = promise();
        state.queued_bytes += frame_bytes(payload.len());
        state.queue.push_back(Pending { stamp_ms, payload, promise });
        self.work.notify_one();
        receipt
    }

    pub(crate) fn start(&self) -> Position {
        let state = self.lock();
        let first = state.segments.first_key_value();
        Position(*first.expect("an open log has a segment").0)
    }

    pub(crate) fn end(&self) -> Position {
        Position(self.lock().end())
    }

    pub(crate) fn wait_beyond(&self, position: Position, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if state.end() > position.0 {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return false;
            }
            (state, _) = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn release(&self, reader: &str, position: Position) {
        let mut state = self.lock();
        // Beyond the end there is nothing to be done with yet: what comes there must be kept.
        let position = Position(position.0.min(state.end()));
        let cursor = state.readers.entry(reader.to_owned()).or_default();
        *cursor = (*cursor).max(position);
        let released = state.take_released();
        drop(state);
        self.delete(&released);
    }

    pub(crate) fn forget(&self, reader: &str) {
        let mut state = self.lock();
        state.readers.remove(reader);
        let released = state.take_released();
        drop(state);
        self.delete(&released);
    }

    /// What the cursors that the log was opened with leave behind.
    pub(crate) fn delete_released(&self) {
        let released = self.lock().take_released();
        self.delete(&released);
    }

    fn delete(&self, firsts: &[u64]) {
        let mut postponed = self.postponed.lock().unwrap_or_else(PoisonError::into_inner);
        postponed.extend(firsts);
        if postponed.is_empty() || is_pinned(&self.folder) {
            return;
        }
        for first in postponed.drain(..) {
            let path = segment_path(&self.folder, first);
            if let Err(error) = std::fs::remove_file(&path) {
                // It comes back at the next start and is released again then.
                tracing::warn!(path = %path.display(), %error, "could not delete a journal segment");
            }
        }
    }

    /// A reader met a bad frame.
    pub(crate) fn report_damage(&self, position: u64, skipped_to: Option<u64>) {
        let mut state = self.lock();
        state.wants_new_segment |= skipped_to.is_none();
        if !state.damaged.insert(position) {
            return;
        }
        state.damaged_places += 1;
        // What was reported is remembered only to say it once; the count goes on.
        while state.damaged.len() > DAMAGE_REMEMBERED {
            state.damaged.pop_first();
        }
        drop(state);
        tracing::error!(position, skipped_to, "the journal is damaged");
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.progress.notify_all();
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let state = self.lock();
        Statistics {
            stored_bytes: state.stored_bytes(),
            segments: state.segments.len(),
            failed_groups: state.failed_groups,
            damaged_places: state.damaged_places,
            yielded_bytes: state.yielded_bytes,
            released: state.readers.clone(),
        }
    }
}

/// What a record adds to the disk, with a header, since it may be the first of a new segment.
const fn added_bytes(size: usize) -> u64 {
    frame_bytes(size) + HEADER_BYTES as u64
}

/// Damaged places that are told apart, so that a reader which starts over does not report them again.
const DAMAGE_REMEMBERED: usize = 1024;
