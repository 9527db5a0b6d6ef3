//! Keeps segments on the disk while they are copied, also those of another process's log.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The file whose lock says it. The lock goes with whoever holds it, also in a crash.
const FILE: &str = "pin";

/// As long as this is held, no segment of a log is deleted; those that nobody needs are once it is gone.
#[derive(Debug)]
pub struct Pin(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Pin {
    /// Pins the log in `folder`.
    ///
    /// # Errors
    /// When the file beside the segments can't be made or locked.
    pub fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        file.lock_shared()?;
        Ok(Self(file))
    }
}

/// Whether somebody holds a pin.
pub(crate) fn is_pinned(folder: &Path) -> bool {
    File::open(folder.join(FILE)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
