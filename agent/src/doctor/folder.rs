//! The state folder: whether this machine is enrolled, by whom its secrets can be read, and what waits in the spool.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bellwether_logic::time::Timestamp;

use super::{Finding, span, times};
use crate::config::Config;
use crate::run::whole_chain;
use crate::state::{self, StateError};
use crate::tls::{self, ClientIdentity, Proof};

/// A spool so full that the collector has been away for long.
const PILED_UP_PERCENT: u64 = 50;

/// What the folder tells the other checks.
#[derive(Default)]
pub(super) struct Known {
    /// Where the collector is.
    pub endpoints: Vec<String>,
    /// What the agent proves itself with, and whom it believes.
    pub proof: Option<Proof>,
}

/// Looks at the folder. `elsewhere`: a collector was named, so not being enrolled yet is no fault.
pub(super) fn check(dir: &Path, elsewhere: bool, now: Timestamp, findings: &mut Vec<Finding>) -> Known {
    let about = "enrolment";
    let identity = match state::read_identity(dir) {
        Ok(identity) => identity,
        Err(StateError::NotEnrolled { .. }) => {
            let seen = format!("{} is not enrolled", dir.display());
            let remedy = "run the command that the collector's page \"Connect a machine\" prints";
            findings.push(match elsewhere {
                true => Finding::notice(about, seen, remedy),
                false => Finding::bad(about, seen, remedy),
            });
            return Known::default();
        }
        Err(error) => {
            findings.push(Finding::bad(about, whole_chain(&error), whose_fault(&error)));
            return Known::default();
        }
    };
    findings.push(Finding::good(about, format!("this machine is {}", identity.device_id)));
    findings.push(privacy(dir));
    findings.extend(room(dir));
    findings.extend(spool(dir, now));
    let proof = credentials(dir, now, findings).map(|own| {
        let roots = own.roots(&state::read_trusted(dir));
        Proof { identity: Arc::new(own), roots }
    });
    Known { endpoints: identity.endpoints, proof }
}

fn credentials(dir: &Path, now: Timestamp, findings: &mut Vec<Finding>) -> Option<ClientIdentity> {
    let about = "certificate";
    let credentials = match state::read_credentials(dir) {
        Ok(credentials) => credentials,
        Err(error) => {
            findings.push(Finding::bad(about, whole_chain(&error), whose_fault(&error)));
            return None;
        }
    };
    let identity = match ClientIdentity::new(&credentials) {
        Ok(identity) => identity,
        Err(error) => {
            findings.push(Finding::bad(about, whole_chain(&error), "enrol again with --again"));
            return None;
        }
    };
    match tls::validity(&[&identity.chain[0]]) {
        Some(validity) => findings.push(times::own(validity, now)),
        None => findings.push(Finding::bad(about, "this agent's can't be read", "enrol again with --again")),
    }
    Some(identity)
}

fn whose_fault(error: &StateError) -> &'static str {
    match error {
        StateError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            "run this as root, or as the user that the agent runs as"
        }
        StateError::Newer { .. } => "use the newer program that wrote it",
        _ => "enrol again with --again",
    }
}

/// Whether anybody but the owner can read what the agent proves itself with.
#[cfg(unix)]
fn privacy(dir: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let about = "state folder";
    let open = |path: &Path| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
    let secrets = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let exposed = secrets.filter(|path| path.extension().is_some_and(|kind| kind == "pem")).find(|path| open(path));
    match exposed {
        Some(path) if open(dir) => {
            let remedy = format!("chmod 700 {}; chmod 600 {}", dir.display(), path.display());
            Finding::bad(about, format!("others can read {}", path.display()), remedy)
        }
        _ => Finding::good(about, format!("{} is readable by its owner alone", dir.display())),
    }
}

#[cfg(not(unix))]
fn privacy(dir: &Path) -> Finding {
    Finding::good("state folder", format!("{} is there", dir.display()))
}

/// Whether the disk takes a full spool.
#[cfg(unix)]
fn room(dir: &Path) -> Option<Finding> {
    let about = "disk";
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let config = Config::load(&dir.join(state::CONFIG_FILE)).unwrap_or_default();
    let wanted = config.spool.max_bytes.saturating_sub(spooled(dir).bytes);
    let remedy = "make room: readings that wait for the collector are kept here";
    Some(match free {
        0 => Finding::bad(about, "it is full: what can't be sent waits in memory and is lost at a power cut", remedy),
        _ if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => {
            let seen = "it is read-only: what can't be sent waits in memory and is lost at a power cut";
            Finding::bad(about, seen, "mount the state folder's disk for writing")
        }
        _ if free < wanted => Finding::notice(about, format!("{} MiB are free", free >> 20), remedy),
        _ => Finding::good(about, format!("{} MiB are free", free >> 20)),
    })
}

#[cfg(not(unix))]
const fn room(_: &Path) -> Option<Finding> {
    None
}

/// What lies in the spool's folder.
#[derive(Default)]
struct Spooled {
    bytes: u64,
    written: Option<std::time::SystemTime>,
}

fn spooled(dir: &Path) -> Spooled {
    let entries = fs::read_dir(dir.join(state::SPOOL_DIR)).into_iter().flatten();
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok()).filter(fs::Metadata::is_file);
    files.fold(Spooled::default(), |all, file| Spooled {
        bytes: all.bytes + file.len(),
        written: all.written.max(file.modified().ok()),
    })
}

fn spool(dir: &Path, now: Timestamp) -> Option<Finding> {
    let about = "spool";
    let config = Config::load(&dir.join(state::CONFIG_FILE)).unwrap_or_default();
    let Spooled { bytes, written } = spooled(dir);
    let Some(written) = written else { return Some(Finding::good(about, "empty: the agent has not run yet")) };
    let written = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    let ago = u64::try_from(now.0).ok()?.saturating_sub(u64::try_from(written.as_millis()).ok()?);
    let seen = format!("{} KiB, last written {} ago", bytes >> 10, span(ago));
    let piled_up = bytes * 100 > config.spool.max_bytes * PILED_UP_PERCENT;
    Some(match piled_up {
        true => Finding::notice(about, seen, "readings pile up: the agent does not reach the collector"),
        false => Finding::good(about, seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn a_machine_that_nobody_enrolled_is_told_where_to_begin() {
        let dir = tempfile::tempdir().unwrap();
        let mut findings = Vec::new();
        check(dir.path(), false, NOW, &mut findings);
        assert_eq!(findings[0].verdict, Verdict::Bad);
        assert!(findings[0].remedy.contains("Connect a machine"), "{}", findings[0]);
        findings.clear();
        check(dir.path(), true, NOW, &mut findings);
        assert_eq!(findings[0].verdict, Verdict::Notice, "it is about to be enrolled");
    }

    #[test]
    fn a_damaged_folder_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.json"), "{").unwrap();
        let mut findings = Vec::new();
        check(dir.path(), false, NOW, &mut findings);
        assert!(findings[0].seen.contains("agent.json is damaged"), "{}", findings[0]);
        assert_eq!(findings[0].verdict, Verdict::Bad);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_a_problem() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(dir.path().join("key.pem"), "key").unwrap();
        mode(&dir.path().join("key.pem"), 0o644);
        mode(dir.path(), 0o755);
        assert_eq!(privacy(dir.path()).verdict, Verdict::Bad);
        mode(dir.path(), 0o700);
        assert_eq!(privacy(dir.path()).verdict, Verdict::Good, "nobody else gets as far as the file");
    }

    #[test]
    fn a_spool_that_piles_up_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(spool(dir.path(), NOW).unwrap().seen.contains("has not run"));
        fs::create_dir(dir.path().join(state::SPOOL_DIR)).unwrap();
        fs::write(dir.path().join(state::CONFIG_FILE), "spool.max_mib = 1\n").unwrap();
        fs::write(dir.path().join(state::SPOOL_DIR).join("1.spool"), vec![0; 100]).unwrap();
        assert_eq!(spool(dir.path(), NOW).unwrap().verdict, Verdict::Good);
        fs::write(dir.path().join(state::SPOOL_DIR).join("2.spool"), vec![0; 600 << 10]).unwrap();
        assert_eq!(spool(dir.path(), NOW).unwrap().verdict, Verdict::Notice);
    }
}
