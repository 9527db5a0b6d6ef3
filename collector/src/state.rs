//! The collector's small facts: people, secrets, devices, tickets, cursors, in `state.sqlite`.
//!
//! One writer connection behind a mutex and a few readers, in WAL mode, so that pages never wait for ingest and a
//! second process (`token enrol` beside a running collector) waits its turn instead of failing. All calls are
//! synchronous: call them from `spawn_blocking` or from a thread of your own.
//!
//! Facts about devices and tickets change only through journal records, inside [`State::commit_engine`]. People,
//! sessions, tokens and certificates are secrets: they are changed here directly and are in no record.

pub mod calendar;
pub mod certificates;
pub mod devices;
mod effects;
pub mod engine;
pub mod life;
pub mod machines;
mod migrate;
pub mod network;
pub mod people;
pub mod proposals;
pub mod responsibilities;
pub mod secret;
pub mod sessions;
pub mod sight;
pub mod tickets;
pub mod tokens;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use migrate::FORMAT;

/// Read connections: pages are short, and a school's collector has few cores.
const READERS: usize = 4;
/// How long a connection waits for another process that writes before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What can go wrong with `state.sqlite`.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file could not be read or copied.
    #[error("cannot {step} {}", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Written by a newer Bellwether; nothing in it was touched.
    #[error("{} has format {found}, this program knows formats up to {known}: use a newer Bellwether", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// Not a database of Bellwether.
    #[error("{} is not a state database of Bellwether", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A migration failed and was rolled back; the copy made before it is kept.
    #[error("cannot bring {} from format {from} to {to}", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// The format that the file has.
        from: u32,
        /// The format that was to be reached.
        to: u32,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("cannot {step} in the state database")]
    Query {
        /// What was being done.
        step: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A row holds something that this program never writes.
    #[error("the state database holds an unreadable {what}: `{value}`")]
    Unreadable {
        /// What it should have been.
        what: &'static str,
        /// What was found.
        value: String,
    },
    /// A password could not be hashed.
    #[error("cannot hash the password")]
    Password,
}

/// The state database.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
}

impl State {
    /// Opens the database, making or migrating it first when needed.
    ///
    /// # Errors
    /// When the file is unreadable, foreign, newer than this program, or cannot be migrated.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        migrate::refuse_unknown(path)?;
        let mut writer = connect(path)?;
        restrict_to_owner(path)?;
        migrate::bring_up_to_date(path, &mut writer)?;
        let readers =
            (0..READERS).map(|_| connect(path).and_then(read_only).map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers, next_reader: AtomicUsize::new(0) })
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one connection that writes.
    ///
    /// A panic while it was held leaves no half-done change: SQLite rolls an unfinished transaction back.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that only reads: a free one if there is one, else the next in turn.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        for reader in &self.readers {
            if let Ok(free) = reader.try_lock() {
                return free;
            }
        }
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.readers[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection, StateError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // In WAL mode NORMAL can lose the last commits at a power cut. The engine's cursor is among them, so it is
        // replayed; a session or a spent token use is not: FULL costs one fdatasync per commit, and commits are few.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|source| StateError::Open { path: path.to_owned(), source })
}

fn read_only(connection: Connection) -> Result<Connection, StateError> {
    connection.pragma_update(None, "query_only", true).during("open a read connection")?;
    Ok(connection)
}

/// The file holds password hashes: nobody but the collector's own account reads it.
#[cfg(unix)]
fn restrict_to_owner(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|source| StateError::File {
        step: "restrict",
        path: path.to_owned(),
        source,
    })
}

/// Elsewhere the folder's rights, which it inherits, say the same.
#[cfg(not(unix))]
fn restrict_to_owner(_path: &Path) -> Result<(), StateError> {
    Ok(())
}

/// Names the step that a failed statement was part of.
trait During<T> {
    fn during(self, step: &'static str) -> Result<T, StateError>;
}

impl<T> During<T> for rusqlite::Result<T> {
    fn during(self, step: &'static str) -> Result<T, StateError> {
        self.map_err(|source| StateError::Query { step, source })
    }
}

/// Reads a word of a closed list from a column.
fn word<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: &'static str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| {
        rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            format!("unknown word `{text}` in column {column}").into(),
        )
    })
}

#[cfg(test)]
pub(crate) mod testing {
    //! A state database in a folder of its own, for tests.

    use super::State;

    /// A fresh database; the folder goes when the value goes.
    pub(crate) fn fresh() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.sqlite")).unwrap();
        (folder, state)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn neither_the_file_nor_its_log_is_for_others_to_read() {
        let (folder, state) = super::testing::fresh();
        state.commit_engine(|tx| tx.put_cursor("engine", 1)).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert!(files.iter().any(|file| file.file_name() == "state.sqlite-wal"));
        for file in files {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.path().display());
        }
    }
}
