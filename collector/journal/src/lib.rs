//! A durable log of opaque records, and readers that keep their place in it.
//!
//! # What it promises
//!
//! - A record whose [`Receipt`] resolved without an error is on the disk: no crash of the program or loss of power takes
//!   it away. A record that is not on the disk is shown to no reader.
//! - Records are read in the order in which they were appended, each exactly as it was given, each with a position that
//!   is never used again and a stamp that never goes back.
//! - Readers keep their own cursors, in the same transaction as what they make of the records. The log only learns what
//!   nobody needs any more, and deletes that.
//! - What is damaged on the disk is skipped, counted and reported. It is never a panic, and never a wrong record.
//! - The log never grows beyond [`Options::max_bytes`]: appending fails with [`AppendError::Full`] until readers catch
//!   up. Whoever feeds the log stops acknowledging then, and nothing is lost. Before that, readers that
//!   [yield](Options::yielding) lose the oldest segments that nobody else needs; how much is counted.
//!
//! # On the disk
//!
//! One folder, a file `lock`, perhaps a file `pin` (see [`Pin`]), and segments. A [`Position`] counts the bytes of all frames since the log began. A segment
//! is named after its first position, in twenty digits, so that the names sort as the log runs:
//!
//! ```text
//! 00000000000000000000.journal
//!   header   magic (8)  format version (4)  zero (4)  first position (8)  stamp floor (8)  crc32 (4)  zero (4)
//!   frame    payload length (4)  crc32 of stamp and payload (4)  stamp (8)  payload
//!   frame    ...
//! 00000000000067108912.journal
//! ```
//!
//! Numbers are little-endian. The stamp floor is the last stamp before the segment, so that stamps stay monotone across
//! a restart without a look at older segments. Magic and version keep their place in every format there will be: a newer
//! version is refused before anything is touched.
//!
//! # Appending
//!
//! [`Journal::append`] puts a record into a queue bounded by [`QUEUE_RECORDS`] and [`QUEUE_BYTES`]. One thread, the
//! committer, takes what has gathered, writes it in one go, calls `fdatasync` once, moves the durable end and resolves
//! the receipts. While it waits for the disk the next group gathers: the slower the disk, the larger the groups, without
//! a timer. A segment that has reached [`Options::segment_bytes`] is followed by a new one, whose header and folder
//! entry are on the disk before its first frame.
//!
//! If the write or the `fdatasync` fails (the disk is full), the group's receipts fail, and the file is cut back to the
//! last good length before anything else is written to it: at once if possible, else before the next group. A later
//! append may well succeed.
//!
//! # Opening
//!
//! Only the last segment can have a torn tail, since a segment is complete before the next one begins. It is read from
//! its start and cut at the first bad frame. What is left is synced before a reader sees it: a killed program leaves
//! frames that are whole in the kernel's memory and not yet on the disk.
//!
//! A disk that loses what it had promised can bring a log that ends before a reader's cursor. New records at positions
//! that the reader believes to have would be lost on it, so the callers hand their cursors to [`Journal::open`], and the
//! log goes on after the farthest one.
//!
//! Older segments are checked as they are read. A bad frame there ends the segment: the reader goes on at the next one.

mod committer;
mod error;
mod frame;
mod medium;
mod pin;
mod read;
mod receipt;
mod recover;
mod segment;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use error::{AppendError, CommitError, JournalError};
pub use pin::Pin;
pub use receipt::{Committed, Receipt};
pub use recover::Recovery;

use medium::MediumMaker;
use state::Shared;

/// Records that may wait for the committer: ten thousand agents that reconnect at once, a batch each.
pub const QUEUE_RECORDS: usize = 16_384;

/// Bytes that may wait for the committer: what a slow disk swallows in about a second.
pub const QUEUE_BYTES: u64 = 32 << 20;

/// The largest record: four times the largest message of the wire. A length above it is damage.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// A place in the log: the bytes of all frames before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One record, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins.
    pub position: Position,
    /// Where to read on: the cursor of a reader that is done with this record.
    pub next: Position,
    /// When it was received, in milliseconds since 1970; never less than that of the record before it.
    pub stamp_ms: i64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// How large the log may become, and who reads it.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment that has reached this is followed by a new one. Deletion is by whole segments, so a quarter of
    /// `max_bytes` is the most that is taken.
    pub segment_bytes: u64,
    /// The most that all segments may take on the disk.
    pub max_bytes: u64,
    /// Everyone who must have released a record before it may be deleted, with the cursor that they have committed.
    pub readers: BTreeMap<String, Position>,
    /// Those among them that lose the oldest segments when the log is full, instead of stopping everyone: readers that
    /// wait for somebody else's program. They read [`JournalError::Released`] then.
    pub yielding: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_bytes: 20 << 30, readers: BTreeMap::new(), yielding: BTreeSet::new() }
    }
}

/// What the log holds and what went wrong, for an administrator to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of all segments on the disk.
    pub stored_bytes: u64,
    /// Segments on the disk.
    pub segments: usize,
    /// Groups whose write or `fdatasync` failed since the log was opened.
    pub failed_groups: u64,
    /// Places since opening where readers met damage and skipped to the next segment.
    pub damaged_places: u64,
    /// Bytes of segments that were deleted before every yielding reader had released them, since the log was opened.
    pub yielded_bytes: u64,
    /// The farthest that each reader has released.
    pub released: BTreeMap<String, Position>,
}

/// An open log. Dropping it commits what is queued and ends the committer.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<()>>,
    /// Held for as long as the log is open: a second process on the same folder would interleave its frames with ours.
    _lock: File,
}

impl Journal {
    /// Opens the log in `folder`, or makes an empty one, and repairs what a crash left behind.
    ///
    /// # Errors
    /// If the folder cannot be used, is open elsewhere, or holds a newer format, in which case it is left untouched.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<(Self, Recovery), JournalError> {
        Self::open_on(folder.as_ref(), options, medium::plain_file())
    }

    fn open_on(folder: &Path, options: Options, make: MediumMaker) -> Result<(Self, Recovery), JournalError> {
        let lock = recover::lock(folder)?;
        let segment_bytes = options.segment_bytes.min(options.max_bytes / 4).max(1);
        let recovered = recover::recover(folder, &options, make)?;
        let shared = Arc::new(Shared::new(folder, options, &recovered));
        shared.delete_released();
        let committer = committer::start(shared.clone(), recovered.writer, segment_bytes)?;
        let journal = Self { shared, committer: Some(committer), _lock: lock };
        Ok((journal, recovered.report))
    }

    /// Queues a record for the committer and returns at once.
    ///
    /// # Errors
    /// [`AppendError::Busy`] when the queue is full, [`AppendError::Full`] when the log is: the record was not taken.
    pub fn append(&self, stamp_ms: i64, payload: Vec<u8>) -> Result<Receipt, AppendError> {
        self.shared.append(stamp_ms, payload)
    }

    /// Like [`append`](Self::append), but waits for room in the queue. For threads, not for tasks.
    ///
    /// # Errors
    /// As [`append`](Self::append), without [`AppendError::Busy`].
    pub fn append_blocking(&self, stamp_ms: i64, payload: Vec<u8>) -> Result<Receipt, AppendError> {
        self.shared.append_blocking(stamp_ms, payload)
    }

    /// The durable records from `from` on: at least one if there is any, and about `max_bytes` of memory at most (one
    /// record may be larger). Empty at the end of the log.
    ///
    /// # Errors
    /// [`JournalError::Released`] if what `from` names was deleted; otherwise if a segment cannot be read.
    pub fn read(&self, from: Position, max_bytes: usize) -> Result<Vec<Entry>, JournalError> {
        read::read(&self.shared, from, max_bytes)
    }

    /// The first position that can still be read.
    #[must_use]
    pub fn start(&self) -> Position {
        self.shared.start()
    }

    /// The end of what is durable: where the next record will be.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// Waits until there is a durable record at or after `position`; false if `timeout` passed first or the log closed.
    #[must_use]
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> bool {
        self.shared.wait_beyond(position, timeout)
    }

    /// `reader` needs nothing before `position` any more; segments that nobody needs are deleted. A cursor never moves
    /// back. A name that was not among [`Options::readers`] is a reader from now on.
    pub fn release(&self, reader: &str, position: Position) {
        self.shared.release(reader, position);
    }

    /// `reader` is no more: nothing waits for it any longer.
    pub fn forget(&self, reader: &str) {
        self.shared.forget(reader);
    }

    /// What an administrator may want to see.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(committer) = self.committer.take() {
            // It cannot have panicked without its receipts having failed, which is all there is to say.
            let _ = committer.join();
        }
    }
}

/// Where the segment that begins at `first` lies.
fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{}", segment::EXTENSION))
}
