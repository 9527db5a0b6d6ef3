//! Programs of a Windows system.

use std::io;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Where programs of the system are, and what installs itself for everyone; never a folder that a user can write to.
const FOLDERS: &[&str] = &[r"C:\Windows\System32", r"C:\Program Files\smartmontools\bin"];

/// No window flashes up, should the agent run on a desktop.
/// <https://learn.microsoft.com/en-us/windows/win32/procthread/process-creation-flags>
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

pub(super) fn program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}.exe");
    let system = std::env::var_os("SystemRoot").map(|root| Path::new(&root).join("System32"));
    let folders = system.into_iter().chain(FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(&file)).find(|path| path.exists())
}

/// What nobody waits for yields to what somebody does.
const BELOW_NORMAL_PRIORITY_CLASS: u32 = 0x4000;

/// The environment stays as it is: programs of Windows find their libraries by it.
pub(super) fn prepare(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW | BELOW_NORMAL_PRIORITY_CLASS);
}

/// It was started so.
pub(super) const fn be_gentle(_: &Child) {}

/// Whether it has ended.
pub(super) fn has_ended(child: &mut Child) -> io::Result<bool> {
    Ok(child.try_wait()?.is_some())
}

/// Ends the program alone: what it started is not followed here, and nothing that is asked on Windows starts others.
pub(super) fn end(child: &mut Child) -> io::Result<()> {
    child.kill()
}
