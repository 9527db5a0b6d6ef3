//! What can go wrong, by the operation that meets it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::Position;

/// Why the log could not be opened or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The folder could not be made or listed.
    #[error("cannot use the journal's folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or another part of this one, has it open.
    #[error("the journal in {path} is open in another process")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Written by a later Bellwether; it was not touched.
    #[error("{path} has format {found}; this program knows formats up to {known}: use a newer program")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A segment could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment could not be written while opening.
    #[error("cannot write {path}")]
    Write {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Every reader had released this, and it was deleted.
    #[error("position {} was deleted; the journal begins at {}", from.0, start.0)]
    Released {
        /// What was asked for.
        from: Position,
        /// The first position that is left.
        start: Position,
    },
    /// The segment that is being written is damaged here. The committer closes it with the next group, and a reader can
    /// then go on behind it.
    #[error("the record at position {} is damaged", position.0)]
    Damaged {
        /// Where the bad frame begins.
        position: Position,
    },
    /// The committer's thread could not be started.
    #[error("cannot start the journal's committer")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The queue to the disk is full; a moment later it is not.
    #[error("the journal's queue is full")]
    Busy,
    /// The log has its greatest size, and a reader is behind.
    #[error("the journal is full: {stored} of {max} bytes")]
    Full {
        /// Bytes stored and queued.
        stored: u64,
        /// The bound.
        max: u64,
    },
    /// No record may be this large.
    #[error("a record of {size} bytes is larger than {}", crate::MAX_RECORD_BYTES)]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// The log is being closed.
    #[error("the journal is closed")]
    Closed,
}

/// Why a record that was taken is not in the log.
#[derive(Clone, Debug, Error)]
pub enum CommitError {
    /// The disk refused its group.
    #[error("cannot commit to {path}")]
    Disk {
        /// The segment.
        path: PathBuf,
        /// What the system said; shared by all records of the group.
        source: Arc<io::Error>,
    },
    /// The committer ended before the record's turn.
    #[error("the journal closed before the record was written")]
    Closed,
}
