//! Programs of a Unix system.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs of the system are; never a folder that a user can write to.
const FOLDERS: &[&str] = &[
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    // Where the programs of RAID controllers are installed.
    "/opt/MegaRAID/storcli",
    "/opt/MegaRAID/perccli",
];

pub(super) fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Leaves only what makes programs speak the language that the parsers understand.
pub(super) fn clear_environment(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C").env("PATH", FOLDERS.join(":"));
}
