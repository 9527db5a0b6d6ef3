//! `backup` and `restore`: everything in a data folder, copied while the collector writes, and put back elsewhere.
//!
//! A backup is a folder of the same shape as the data folder, and `backup.json` with the SHA-256 of each file. It takes its
//! name only once it is whole, and a restored folder does, too: what was interrupted is taken for neither.
//!
//! Databases and journal have to fit: a reader's place in a database must not lie before the beginning of the journal. So no
//! segment is deleted while the databases are copied, and then all segments are opened (open files stay, whoever deletes
//! them) and copied.

mod manifest;
mod restore;
mod take;

use std::io;
use std::path::{Path, PathBuf};

pub use restore::restore;
pub use take::{copy_series, take};

use crate::folder::FolderError;

/// What is copied by SQLite: their files change while they are read.
const DATABASES: [&str; 2] = ["state.sqlite", "series/series.sqlite"];
/// The journal's folder.
const JOURNAL: &str = "journal";
/// What a copy holds in memory.
const COPY_BYTES: usize = 1 << 20;

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why nothing was backed up or restored. Where it should have gone there is nothing new.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is something already.
    #[error("{} is not empty: name a folder that is not there yet", path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// A backup inside of what it is of would be part of the next.
    #[error("{} lies in the data folder: name a place outside of it", path.display())]
    Inside {
        /// Where.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {step} {}", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A database could not be copied.
    #[error("cannot copy the database {}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What should be a backup is none, or an interrupted one.
    #[error("{} is no backup: it has no backup.json", path.display())]
    NoBackup {
        /// Where.
        path: PathBuf,
    },
    /// Its list of files can't be read.
    #[error("cannot read {}", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer program made it.
    #[error("{} has format {found}, written by a newer version; this version reads formats up to {known}", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// A file of the backup is not what was written.
    #[error("{} is damaged: its SHA-256 is not the one in backup.json", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The list names something outside of the backup.
    #[error("backup.json names {name:?}, which is no file of a backup")]
    Name {
        /// The name.
        name: String,
    },
}

/// Makes an error of a step with a file.
fn failed<'a>(step: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BackupError + 'a {
    move |source| BackupError::File { step, path: path.to_owned(), source }
}

/// Refuses a place where there is something already.
fn refuse_occupied(path: &Path) -> Result<(), BackupError> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look into", path)(source)),
    };
    if entries.next().is_some() { Err(BackupError::Occupied { path: path.to_owned() }) } else { Ok(()) }
}

/// A folder beside `path` that becomes it when everything is there, and vanishes otherwise.
fn beside(path: &Path) -> Result<tempfile::TempDir, BackupError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed("make", parent))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial-");
    let mut folder = tempfile::Builder::new();
    folder.prefix(&name);
    for_owner(&mut folder);
    folder.tempdir_in(parent).map_err(failed("make a folder in", parent))
}

#[cfg(unix)]
fn for_owner(folder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;
    folder.permissions(std::fs::Permissions::from_mode(0o700));
}

/// The rights come from the folder above.
#[cfg(windows)]
fn for_owner(_: &mut tempfile::Builder<'_, '_>) {}

/// Gives a finished folder its name.
fn settle(partial: tempfile::TempDir, path: &Path) -> Result<(), BackupError> {
    bellwether_agent::private::sync_dir(partial.path()).map_err(failed("write", partial.path()))?;
    // On Windows nothing can be renamed onto a folder, be it empty.
    match std::fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", path)(error)),
        _ => {}
    }
    std::fs::rename(partial.path(), path).map_err(failed("name", path))?;
    let _ = partial.keep();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    bellwether_agent::private::sync_dir(parent).map_err(failed("write", parent))
}

#[cfg(test)]
mod tests;
