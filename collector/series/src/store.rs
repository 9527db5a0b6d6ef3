//! The store itself: who may write when, and what a caller can ask for.
//!
//! One mutex holds the writing connection, and whoever applies or checkpoints holds it; the memory (catalogue and heads) stands
//! behind a read-write lock that is only ever held for the time of a copy. Queries therefore wait for no disk but their own.

mod apply;
mod catalog;
mod checkpoint;
mod compact;
pub(crate) mod disk;
mod head;
mod kept;
mod remove;
mod retention;
mod rollup;
mod scan;
mod unpacked;
mod written;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use apply::{Applied, Conflict, ConflictKind};
pub use catalog::Place;
pub(crate) use catalog::{Catalog, Database, FIRST_POLICY, Measurement, Policy, Tags};
pub(crate) use kept::{Kept, Rolled};
pub(crate) use remove::Removal;
pub(crate) use rollup::{Aspects, Fields, Parts, Segment, Source, Spot, Summary};
pub(crate) use scan::{Flow, Reading, Scan, Weight};
pub(crate) use written::{Row, Written};

use crate::codec::CodecError;
use crate::limits::Options;
use crate::query::budget::Ended;
use crate::query::{QueryOptions, Response};

/// The name of the file in the store's folder.
pub(crate) const FILE: &str = "series.sqlite";

/// A time-series store in one folder.
///
/// Commands, in the order of a life: [`open`](Self::open), replay from [`position`](Self::position) with
/// [`apply`](Self::apply), then `apply` as points come, [`maintain`](Self::maintain) now and then,
/// [`checkpoint`](Self::checkpoint) before closing. Getters and [`query`](Self::query) at any time, from any thread.
pub struct Store {
    pub(crate) options: Options,
    path: PathBuf,
    memory: RwLock<Memory>,
    writer: Mutex<disk::Writer>,
    readers: disk::Readers,
    unpacked: unpacked::Unpacked,
    corrupt: Mutex<BTreeSet<i64>>,
    /// Lines that the door has read.
    pub(crate) waiting: written::Waiting,
    refused_points: AtomicU64,
    refused_values: AtomicU64,
    old_points: AtomicU64,
    refused_changes: AtomicU64,
    removed_rows: AtomicU64,
    keeper: Mutex<retention::Keeper>,
    interrupted_queries: AtomicU64,
    overlong_queries: AtomicU64,
}

/// What the lock protects.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) catalog: Catalog,
    head_values: u64,
    /// Where the points that were applied end.
    applied: u64,
    /// Where the content of the file ends.
    durable: u64,
    /// Values applied since the last checkpoint.
    since_checkpoint: u64,
    /// How often rows have moved from heads to blocks since the store was opened.
    settled: u64,
}

/// Why the store could not do its work. What was stored before stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or read.
    #[error("cannot use the series folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was written by a newer program. It was not touched.
    #[error("{} has format {found}, and this program knows formats up to {known}: use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The file is something else.
    #[error("{} is not a series file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refused.
    #[error("cannot {step} in the series file")]
    Sqlite {
        /// What was being done.
        step: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Rows could not be packed.
    #[error("cannot pack rows of stream {stream}")]
    Pack {
        /// The stream.
        stream: String,
        /// Why.
        source: CodecError,
    },
    /// Heads are at their limit and could not be sealed: the points were not applied.
    #[error("the heads are full ({limit} values), and sealing them failed")]
    HeadsFull {
        /// The limit.
        limit: u64,
        /// Why sealing failed.
        source: Box<StoreError>,
    },
}

/// What the store holds, for a page of an administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Streams of all databases.
    pub streams: u64,
    /// Measurements of all databases.
    pub measurements: u64,
    /// Cells of all heads.
    pub head_values: u64,
    /// Sealed blocks.
    pub blocks: u64,
    /// Rows of sealed blocks.
    pub block_rows: u64,
    /// Bytes of the file and its write-ahead log.
    pub disk_bytes: u64,
    /// Blocks that could not be read since the store was opened.
    pub corrupt_blocks: u64,
    /// Points refused since the store was opened: above a limit.
    pub refused_points: u64,
    /// Values refused since the store was opened: another type than their field, or not finite.
    pub refused_values: u64,
    /// Points refused since the store was opened: older than what is kept.
    pub old_points: u64,
    /// Statements refused since the store was opened: above a limit on databases or policies.
    pub refused_changes: u64,
    /// Rows that retention took away since the store was opened, in whole blocks.
    pub removed_rows: u64,
    /// Rows of roll-ups.
    pub rolled_rows: u64,
    /// Queries since the store was opened that ended because nobody wanted the answer any more.
    pub interrupted_queries: u64,
    /// Queries since the store was opened that ended at their deadline.
    pub overlong_queries: u64,
    /// Bytes of unpacked columns in memory.
    pub unpacked_bytes: u64,
    /// Where the points that queries see end.
    pub applied: u64,
    /// Where the content of the file ends.
    pub durable: u64,
}

impl Store {
    /// Opens the store in `folder`, and makes it if there is none. After this [`position`](Self::position) says where to replay from.
    ///
    /// # Errors
    /// When the folder or file cannot be used, or is from a newer program; then it is untouched.
    pub fn open(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let folder_error = |source| StoreError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(folder_error)?;
        let path = folder.join(FILE);
        disk::refuse_foreign(&path)?;
        let mut writer = disk::Writer::open(&path)?;
        let (mut memory, corrupt) = writer.load()?;
        for name in &options.databases {
            memory.catalog.database_or_new(name);
        }
        Ok(Self {
            readers: disk::Readers::new(path.clone(), options.readers),
            unpacked: unpacked::Unpacked::new(options.max_unpacked_bytes),
            options,
            path,
            memory: RwLock::new(memory),
            writer: Mutex::new(writer),
            corrupt: Mutex::new(corrupt),
            waiting: written::Waiting::default(),
            refused_points: AtomicU64::new(0),
            refused_values: AtomicU64::new(0),
            old_points: AtomicU64::new(0),
            refused_changes: AtomicU64::new(0),
            removed_rows: AtomicU64::new(0),
            keeper: Mutex::default(),
            interrupted_queries: AtomicU64::new(0),
            overlong_queries: AtomicU64::new(0),
        })
    }

    /// Where the durable content ends: what was applied beyond it must be applied again after a crash.
    pub fn position(&self) -> u64 {
        self.memory().durable
    }

    /// Where the points that queries see end.
    pub fn applied(&self) -> u64 {
        self.memory().applied
    }

    /// Makes a database, if it is not there.
    pub fn create_database(&self, name: &str) {
        self.memory_mut().catalog.database_or_new(name);
    }

    /// Answers InfluxQL. `database` is the one for statements that name none. What goes wrong is part of the answer.
    pub fn query(&self, database: &str, text: &str, options: &QueryOptions) -> Response {
        crate::query::run(self, database, text, options, None)
    }

    /// As [`query`](Self::query), and carries out statements that change something: `writer` makes them durable.
    pub fn query_and_change(
        &self,
        database: &str,
        text: &str,
        options: &QueryOptions,
        writer: &dyn crate::change::Writer,
    ) -> Response {
        crate::query::run(self, database, text, options, Some(writer))
    }

    /// What the store holds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let (blocks, block_rows) = self.readers.with(disk::count_blocks)?;
        let rolled_rows = self.readers.with(rollup::count)?;
        let memory = self.memory();
        Ok(Stats {
            streams: memory.catalog.live_streams() as u64,
            measurements: memory.catalog.live_measurements() as u64,
            head_values: memory.head_values,
            blocks,
            block_rows,
            disk_bytes: disk::bytes_on_disk(&self.path),
            corrupt_blocks: lock(&self.corrupt).len() as u64,
            refused_points: self.refused_points.load(Ordering::Relaxed),
            refused_values: self.refused_values.load(Ordering::Relaxed),
            old_points: self.old_points.load(Ordering::Relaxed),
            refused_changes: self.refused_changes.load(Ordering::Relaxed),
            removed_rows: self.removed_rows.load(Ordering::Relaxed),
            rolled_rows,
            interrupted_queries: self.interrupted_queries.load(Ordering::Relaxed),
            overlong_queries: self.overlong_queries.load(Ordering::Relaxed),
            unpacked_bytes: self.unpacked.bytes(),
            applied: memory.applied,
            durable: memory.durable,
        })
    }

    /// Points that were turned away at the door, and those among them that were too old.
    pub(crate) fn count_refused(&self, points: u64, old: u64) {
        self.refused_points.fetch_add(points, Ordering::Relaxed);
        self.old_points.fetch_add(old, Ordering::Relaxed);
    }

    /// A statement that would have made one database or policy too many.
    pub(crate) fn count_refused_change(&self) {
        self.refused_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A query that ended before its answer did.
    pub(crate) fn count_ended(&self, ended: Ended) {
        let counter = match ended {
            Ended::Interrupted => &self.interrupted_queries,
            Ended::TooLong => &self.overlong_queries,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts and names a block that cannot be read; once.
    fn lost_block(&self, id: i64, stream: u32, error: &dyn std::error::Error) {
        if lock(&self.corrupt).insert(id) {
            let key = self.memory().catalog.key(stream);
            tracing::error!(block = id, stream = %key, error = %error, "a block is corrupt and was skipped");
        }
    }
}

/// A panic elsewhere leaves no half-made state behind these locks that matters more than going on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
