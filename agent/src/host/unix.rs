//! Programs of a Unix system.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, setpriority_pgrp, waitid};

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

/// What nobody waits for yields to what somebody does, but is not starved: at this niceness a program still gets a
/// tenth of a processor beside one that wants it whole. The disk is shared by the same number.
const NICENESS: i32 = 10;

/// Leaves only what makes programs speak the language that the parsers understand, and makes the program the head of a
/// group, so that what it starts can be ended with it.
pub(super) fn prepare(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C").env("PATH", FOLDERS.join(":")).process_group(0);
}

/// Lets others go first. If it can't be had, the program runs like any other.
pub(super) fn be_gentle(child: &Child) {
    let _ = setpriority_pgrp(Some(Pid::from_child(child)), NICENESS);
}

/// Whether it has ended. The system still keeps its number, and with it that of its group, until it is waited for: so
/// neither can be somebody else's when the group is ended.
pub(super) fn has_ended(child: &mut Child) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(Pid::from_child(child)), options)?.is_some())
}

/// Ends a program that was not waited for yet, and what it started unless that has left its group.
pub(super) fn end(child: &mut Child) -> io::Result<()> {
    Ok(kill_process_group(Pid::from_child(child), Signal::KILL)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_pgrp;

    #[test]
    fn a_program_gives_way_to_everybody_else() {
        let mut command = Command::new("sleep");
        prepare(&mut command);
        let mut child = command.arg("600").spawn().unwrap();
        be_gentle(&child);
        assert!(getpriority_pgrp(Some(Pid::from_child(&child))).unwrap() >= NICENESS);
        end(&mut child).unwrap();
        child.wait().unwrap();
    }
}
