//! Files and folders that only their owner (and the machine's administrators) may read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// Makes a folder, and those above it, that only its owner may enter. One that is there already stays as it is.
///
/// # Errors
/// What the system said.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() { Ok(()) } else { system::create_dir(path) }
}

/// Makes a file that is created with these options private from its first byte on. On Windows it is private by its
/// folder.
pub fn for_owner(options: &mut OpenOptions) {
    system::for_owner(options);
}

/// Gives a file to whom its folder belongs: an admin enrols as root, and the service, which runs as a user of its own,
/// must be able to read what came of it. Nobody but root can give files away, so for others this does nothing; nor does
/// it on Windows, where the folder's rights say it.
///
/// # Errors
/// What the system said.
pub fn hand_over(file: &File, folder: &Path) -> io::Result<()> {
    system::hand_over(file, folder)
}

/// Makes what was renamed or made in a folder durable.
///
/// # Errors
/// What the system said.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    system::sync_dir(path)
}
