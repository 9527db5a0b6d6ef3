//! Putting a backup back.

use std::fs::File;
use std::path::Path;

use bellwether_agent::private;
use bellwether_logic::time::Timestamp;

use super::manifest::{self, Manifest};
use super::{BackupError, Copied, beside, failed, refuse_occupied, settle};

/// Makes the data folder `data`, which must not be there or be empty, from the backup `from`. Says what was copied, and when the
/// backup was begun.
///
/// # Errors
/// When `from` is no backup or is damaged, there is something at `data` already, or a file can't be read or written; then
/// `data` is as it was.
pub fn restore(from: &Path, data: &Path) -> Result<(Copied, Timestamp), BackupError> {
    let manifest = Manifest::read(from)?;
    refuse_occupied(data)?;
    let partial = beside(data)?;
    for (name, expected) in &manifest.files {
        let path = from.join(name);
        let mut file = File::open(&path).map_err(failed("read", &path))?;
        let found = manifest::copy(&mut file, &path, &partial.path().join(name))?;
        if found != *expected {
            return Err(BackupError::Damaged { path });
        }
    }
    // A package made the folder for the service's user: what is in it has to be that user's.
    if data.is_dir() {
        hand_over(partial.path(), data)?;
    }
    settle(partial, data)?;
    Ok((Copied { files: manifest.files.len(), bytes: manifest.bytes() }, Timestamp(manifest.begun_ms)))
}

fn hand_over(path: &Path, owner: &Path) -> Result<(), BackupError> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed("look into", path))? {
            hand_over(&entry.map_err(failed("look into", path))?.path(), owner)?;
        }
        // On Windows a folder can't be opened as a file, and rights come from above.
        if cfg!(windows) {
            return Ok(());
        }
    }
    let file = File::open(path).map_err(failed("open", path))?;
    private::hand_over(&file, owner).map_err(failed("give away", path))
}
