//! The list of a backup's files, and copies that are checked while they are made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupError, COPY_BYTES, failed};
use crate::folder::{self, Reach, write_whole};

/// The name of the list.
pub(super) const FILE: &str = "backup.json";
/// The format of a backup. A change that an older program would misread raises it.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The version of the program that made it.
    version: String,
    /// When it was begun, in milliseconds since 1970.
    pub(super) begun_ms: i64,
    /// By name below the backup, with `/` between folders.
    pub(super) files: BTreeMap<String, Sum>,
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    pub(super) fn new(begun_ms: i64) -> Self {
        Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), begun_ms, files: BTreeMap::new() }
    }

    pub(super) fn read(from: &Path) -> Result<Self, BackupError> {
        let path = from.join(FILE);
        if !path.exists() {
            return Err(BackupError::NoBackup { path: from.to_owned() });
        }
        let text = std::fs::read(&path).map_err(failed("read", &path))?;
        let read: Self =
            serde_json::from_slice(&text).map_err(|source| BackupError::Manifest { path: path.clone(), source })?;
        if read.format > FORMAT {
            return Err(BackupError::Newer { path, found: read.format, known: FORMAT });
        }
        match read.files.keys().find(|name| !is_below(name)) {
            Some(name) => Err(BackupError::Name { name: name.clone() }),
            None => Ok(read),
        }
    }

    pub(super) fn write(&self, to: &Path) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(self).expect("names and numbers are JSON");
        write_whole(&to.join(FILE), &text, Reach::Owner).map_err(failed("write", to))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|sum| sum.bytes).sum()
    }
}

/// Whether a name leads to something below the folder in which it is looked up.
fn is_below(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Copies what is open to `to`, private and durable, and says what it was.
pub(super) fn copy(from: &mut File, source: &Path, to: &Path) -> Result<Sum, BackupError> {
    if let Some(parent) = to.parent() {
        folder::create(parent).map_err(failed("make", parent))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    bellwether_agent::private::for_owner(&mut options);
    let mut file = options.open(to).map_err(failed("make", to))?;
    let sum = pass(from, source, |part| file.write_all(part).map_err(failed("write", to)))?;
    file.sync_all().map_err(failed("write", to))?;
    Ok(sum)
}

/// Reads what is open to its end and says what it was.
pub(super) fn sum(from: &mut File, source: &Path) -> Result<Sum, BackupError> {
    pass(from, source, |_| Ok(()))
}

fn pass(
    from: &mut File,
    source: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<Sum, BackupError> {
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; COPY_BYTES]);
    loop {
        let read = from.read(&mut buffer).map_err(failed("read", source))?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        bytes += read as u64;
        each(&buffer[..read])?;
    }
    let sha256 = digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(Sum { bytes, sha256 })
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_list_names_files_of_the_backup_and_nothing_beside_it() {
        for name in ["state.sqlite", "journal/0.journal"] {
            assert!(is_below(name), "{name}");
        }
        for name in ["", "..", "../state.sqlite", "/etc/passwd", "ca/../../key"] {
            assert!(!is_below(name), "{name}");
        }
    }
}
