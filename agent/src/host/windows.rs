//! Programs of a Windows system.

use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The environment stays as it is: programs of Windows find their libraries by it.
pub(super) fn clear_environment(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW);
}
