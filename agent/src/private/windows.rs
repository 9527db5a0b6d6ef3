//! By access control list: a folder inherits nothing and gives everything below it to the system, to administrators
//! and to whoever owns it. Without that, `%ProgramData%` lets every user of the machine read what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `SYSTEM`, `Administrators` and `OWNER RIGHTS`, by number because names are translated; full control, inherited by
/// files and folders.
/// <https://learn.microsoft.com/en-us/windows-server/identity/ad-ds/manage/understand-security-identifiers>
const GRANTS: &[&str] = &["*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "*S-1-3-4:(OI)(CI)F"];

const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// Nothing is in the folder yet when its rights are set, so there is no moment in which a secret is open.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    let status = Command::new(icacls())
        .arg(path)
        .args(["/inheritance:r", "/grant:r"])
        .args(GRANTS)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .creation_flags(CREATE_NO_WINDOW)
        .status()?;
    if status.success() {
        return Ok(());
    }
    // Left as it is, the next attempt would take it for a private one.
    let _ = std::fs::remove_dir(path);
    Err(io::Error::other(format!("icacls could not restrict the folder to its owner ({status})")))
}

/// <https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/icacls>
fn icacls() -> PathBuf {
    let root = std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from);
    root.join(r"System32\icacls.exe")
}

pub(super) fn for_owner(_options: &mut OpenOptions) {}

/// Windows orders names with their contents itself and can't open a folder as a file.
pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn hand_over(_file: &File, _folder: &Path) -> io::Result<()> {
    Ok(())
}
