//! The state folder: who this agent is, and nothing else of the machine.
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | held while an agent uses the folder |
//! | `agent.json` | device id, name, class, endpoints; written last, so a folder with it is enrolled |
//! | `credentials.pem` | the private key, the agent's certificate, the CA that issued it; mode 0600 |
//! | `trusted.pem` | the CAs that the collector has named since; missing until it has |
//! | `agent.toml` | the admin's configuration, optional |
//! | `enrol.toml` | what the first start enrols with; gone once it has |
//! | `updates-waiting` | since when each update has been seen to wait, where the system does not tell |
//! | `snmp-engine` | of a closet that takes traps in: its engine ID, and how often it has started |
//! | `spool/` | readings that the collector has not acknowledged |
//!
//! Every file is replaced whole: written beside, synced, renamed, and the folder synced, so that a power cut leaves
//! the old one or the new one; key and certificate are one file, so that no power cut leaves the one without the other.
//! A folder of a newer format is refused untouched. Format 1 kept `key.pem` and `chain.pem`; they are brought together
//! at the first start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bellwether_proto::trust::CAS_MAX;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::private;

/// The admin's configuration.
pub const CONFIG_FILE: &str = "agent.toml";
/// Where readings wait.
pub const SPOOL_DIR: &str = "spool";

const IDENTITY_FILE: &str = "agent.json";
const CREDENTIALS_FILE: &str = "credentials.pem";
const TRUSTED_FILE: &str = "trusted.pem";
const LOCK_FILE: &str = "lock";
/// Of format 1.
const KEY_FILE: &str = "key.pem";
const CHAIN_FILE: &str = "chain.pem";

/// The format that this version writes.
const FORMAT: u32 = 2;

/// How a certificate begins in PEM: what stands before the first one is the key.
const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";

/// Why a state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be made, read or written.
    #[error("can't {step} {path}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another agent runs on it.
    #[error("{path} is in use by another agent")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Nobody has enrolled it.
    #[error("{path} is not enrolled: run `bellwether-agent enrol` first")]
    NotEnrolled {
        /// The folder.
        path: PathBuf,
    },
    /// It belongs to a machine already.
    #[error("{path} is already enrolled as {device_id}: use --again to replace that")]
    AlreadyEnrolled {
        /// The folder.
        path: PathBuf,
        /// Who it is.
        device_id: String,
    },
    /// A newer version wrote it.
    #[error("{path} has format {found}, this version knows up to {FORMAT}: it is left untouched")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It says what can't be.
    #[error("{path} is damaged ({reason}): enrol again with --again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Who this agent is: `agent.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The format of the folder.
    pub format: u32,
    /// Given at enrolment.
    pub device_id: String,
    /// What the admin called the machine; may be empty.
    pub name: String,
    /// What it is for.
    pub class: String,
    /// Where the collector can be reached, `HOST:PORT`, the first tried first.
    pub endpoints: Vec<String>,
}

impl Identity {
    /// The identity of a folder of this format.
    #[must_use]
    pub const fn new(device_id: String, name: String, class: String, endpoints: Vec<String>) -> Self {
        Self { format: FORMAT, device_id, name, class, endpoints }
    }
}

/// What an enrolled agent proves itself with. Never shown.
pub struct Credentials {
    /// PKCS#8 in PEM.
    pub key_pem: String,
    /// The agent's certificate, then the CA, in PEM.
    pub chain_pem: String,
}

/// A state folder that is held by this process.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Unlocked by the operating system when the process ends, however it ends.
    _lock: File,
}

impl StateDir {
    /// Takes the folder, making it if `create`.
    ///
    /// # Errors
    /// When it is not there, can't be written, or another agent has it.
    pub fn take(path: &Path, create: bool) -> Result<Self, StateError> {
        if create {
            private::create_dir(path).map_err(|source| StateError::Io {
                step: "make",
                path: path.to_owned(),
                source,
            })?;
        } else if !path.join(IDENTITY_FILE).exists() {
            return Err(StateError::NotEnrolled { path: path.to_owned() });
        }
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            // A disk that turned read-only can still be locked.
            .or_else(|error| if create { Err(error) } else { File::open(&lock_path).map_err(|_| error) })
            .and_then(|lock| private::hand_over(&lock, path).map(|()| lock))
            .map_err(|source| StateError::Io { step: "write", path: lock_path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StateError::Io { step: "lock", path: lock_path, source }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who this agent is.
    ///
    /// # Errors
    /// When nobody enrolled it, a newer version did, or the file is damaged.
    pub fn identity(&self) -> Result<Identity, StateError> {
        read_identity(&self.path)
    }

    /// What it proves itself with.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn credentials(&self) -> Result<Credentials, StateError> {
        read_credentials(&self.path)
    }

    /// Makes the folder this agent's. The identity goes last: until then the folder counts as not enrolled.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn store(&self, identity: &Identity, credentials: &Credentials) -> Result<(), StateError> {
        self.renew(credentials)?;
        self.remove(TRUSTED_FILE)?;
        self.rename_to(identity)?;
        self.remove(KEY_FILE)?;
        self.remove(CHAIN_FILE)
    }

    /// Replaces key and certificate, both or neither.
    ///
    /// # Errors
    /// When the file can't be written; the old ones are then still there.
    pub fn renew(&self, credentials: &Credentials) -> Result<(), StateError> {
        let Credentials { key_pem, chain_pem } = credentials;
        let between = if key_pem.ends_with('\n') { "" } else { "\n" };
        self.replace(CREDENTIALS_FILE, format!("{key_pem}{between}{chain_pem}").as_bytes())
    }

    /// Replaces what is known of this agent, such as its endpoints.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn rename_to(&self, identity: &Identity) -> Result<(), StateError> {
        let identity = Identity { format: FORMAT, ..identity.clone() };
        let mut text = serde_json::to_string_pretty(&identity).expect("an identity is plain text");
        text.push('\n');
        self.replace(IDENTITY_FILE, text.as_bytes())
    }

    /// Brings a folder of format 1 to the present one. Whatever step a power cut comes after, the folder can be used.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn migrate(&self) -> Result<(), StateError> {
        let identity = self.identity()?;
        if identity.format >= FORMAT {
            return Ok(());
        }
        self.renew(&self.credentials()?)?;
        self.rename_to(&identity)?;
        self.remove(KEY_FILE)?;
        self.remove(CHAIN_FILE)
    }

    /// The CAs that the collector has named since enrolment.
    #[must_use]
    pub fn trusted(&self) -> Vec<CertificateDer<'static>> {
        read_trusted(&self.path)
    }

    /// Keeps the CAs that the collector has named.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn trust(&self, cas: &[CertificateDer<'_>]) -> Result<(), StateError> {
        let cas: Vec<&[u8]> = cas.iter().map(AsRef::as_ref).collect();
        self.replace(TRUSTED_FILE, certificates_pem(cas).as_bytes())
    }

    /// Removes one file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { step: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        replace_file(&path, bytes, true).map_err(|source| StateError::Io { step: "write", path, source })
    }
}

/// Whether a folder holds a key, without taking the folder.
#[must_use]
pub fn has_credentials(dir: &Path) -> bool {
    dir.join(CREDENTIALS_FILE).exists() || dir.join(KEY_FILE).exists()
}

/// Certificates as PEM.
pub(crate) fn certificates_pem<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> String {
    let block = |der| {
        let text = data_encoding::BASE64_MIME.encode(der).replace("\r\n", "\n");
        format!("{CERTIFICATE_BEGINS}\n{}\n-----END CERTIFICATE-----\n", text.trim_end())
    };
    certificates.into_iter().map(block).collect()
}

/// Who the agent of a folder is, without taking the folder.
///
/// # Errors
/// When nobody enrolled it, a newer version did, or the file is damaged.
pub fn read_identity(dir: &Path) -> Result<Identity, StateError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let path = dir.join(IDENTITY_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StateError::NotEnrolled { path: dir.to_owned() });
        }
        Err(source) => return Err(StateError::Io { step: "read", path, source }),
    };
    let damaged = |error: serde_json::Error| StateError::Damaged { path: path.clone(), reason: error.to_string() };
    let format: Format = serde_json::from_str(&text).map_err(damaged)?;
    if format.format > FORMAT {
        return Err(StateError::Newer { path, found: format.format });
    }
    serde_json::from_str(&text).map_err(damaged)
}

/// What the agent of a folder proves itself with, without taking the folder.
///
/// # Errors
/// When a file can't be read.
pub fn read_credentials(dir: &Path) -> Result<Credentials, StateError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|source| StateError::Io { step: "read", path, source })
    };
    if !dir.join(CREDENTIALS_FILE).exists() && dir.join(KEY_FILE).exists() {
        return Ok(Credentials { key_pem: read(KEY_FILE)?, chain_pem: read(CHAIN_FILE)? });
    }
    let text = read(CREDENTIALS_FILE)?;
    let (key, chain) = text.split_at(text.find(CERTIFICATE_BEGINS).unwrap_or(text.len()));
    Ok(Credentials { key_pem: key.to_owned(), chain_pem: chain.to_owned() })
}

/// The CAs that the collector has named to the agent of a folder, without taking the folder. A file that can't be read is
/// as good as none: the CA that issued the agent's certificate is believed in any case.
#[must_use]
pub fn read_trusted(dir: &Path) -> Vec<CertificateDer<'static>> {
    let text = fs::read(dir.join(TRUSTED_FILE)).unwrap_or_default();
    CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).take(CAS_MAX).collect()
}

/// Replaces a file whole. `private`: only its owner may read it, from the first byte on.
///
/// # Errors
/// When any step fails; the old file is then still there.
pub(crate) fn replace_file(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let beside = path.with_extension("new");
    // A leftover of a crash may have other rights.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if private {
        private::for_owner(&mut options);
    }
    let mut file = options.open(&beside)?;
    path.parent().map_or(Ok(()), |folder| private::hand_over(&file, folder))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), private::sync_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolled(dir: &Path) -> StateDir {
        let state = StateDir::take(dir, true).unwrap();
        let identity =
            Identity::new("d123456789".into(), "LAB-1".into(), "desktop".into(), vec!["127.0.0.1:7443".into()]);
        let credentials = Credentials { key_pem: "key\n".into(), chain_pem: format!("{CERTIFICATE_BEGINS}\nchain\n") };
        state.store(&identity, &credentials).unwrap();
        state
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = enrolled(&dir.path().join("agent"));
        assert_eq!(state.identity().unwrap().device_id, "d123456789");
        let credentials = state.credentials().unwrap();
        assert_eq!((credentials.key_pem.as_str(), credentials.chain_pem.ends_with("chain\n")), ("key\n", true));
    }

    #[test]
    fn a_folder_of_the_first_format_is_brought_forward_whatever_step_the_power_cut_came_after() {
        for written in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            let state = StateDir::take(dir.path(), true).unwrap();
            let old = r#"{"format":1,"device_id":"d1","name":"","class":"desktop","endpoints":["h:1"]}"#;
            for (name, text) in [(IDENTITY_FILE, old), (KEY_FILE, "old key\n"), (CHAIN_FILE, CERTIFICATE_BEGINS)] {
                fs::write(dir.path().join(name), text).unwrap();
            }
            let steps: [&dyn Fn(); 3] = [
                &|| state.renew(&state.credentials().unwrap()).unwrap(),
                &|| state.rename_to(&state.identity().unwrap()).unwrap(),
                &|| state.remove(KEY_FILE).unwrap(),
            ];
            steps[..written].iter().for_each(|step| step());
            state.migrate().unwrap();
            let credentials = state.credentials().unwrap();
            assert_eq!(
                (credentials.key_pem.as_str(), credentials.chain_pem.as_str()),
                ("old key\n", CERTIFICATE_BEGINS)
            );
            assert_eq!(
                (state.identity().unwrap().format, state.identity().unwrap().device_id.as_str()),
                (FORMAT, "d1")
            );
        }
    }

    #[test]
    fn a_renewal_that_is_cut_off_leaves_the_old_key_with_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let state = enrolled(dir.path());
        // The power goes after the new file was written beside, before it took its place.
        fs::write(dir.path().join("credentials.new"), "half a key").unwrap();
        assert_eq!(state.credentials().unwrap().key_pem, "key\n");
        state.renew(&Credentials { key_pem: "k2\n".into(), chain_pem: CERTIFICATE_BEGINS.into() }).unwrap();
        assert_eq!(state.credentials().unwrap().key_pem, "k2\n");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = enrolled(&dir.path().join("agent"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.path().join(CREDENTIALS_FILE)), 0o600);
        assert_eq!(mode(state.path()), 0o700);
    }

    /// Only root can give the folder to another user; for others the test says that nothing stands in the way.
    #[cfg(unix)]
    #[test]
    fn what_root_enrols_belongs_to_the_user_of_the_service() {
        use std::os::unix::fs::{MetadataExt, chown};
        let dir = tempfile::tempdir().unwrap();
        let given = chown(dir.path(), Some(54_321), Some(54_321)).is_ok();
        enrolled(dir.path());
        let owner = fs::metadata(dir.path()).unwrap().uid();
        assert_eq!(owner == 54_321, given);
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().uid(), owner, "{}", entry.path().display());
        }
    }

    #[test]
    fn a_second_agent_on_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = enrolled(dir.path());
        assert!(matches!(StateDir::take(dir.path(), false), Err(StateError::InUse { .. })));
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"format\": 9, \"shape\": \"unknown\"}";
        fs::write(dir.path().join(IDENTITY_FILE), text).unwrap();
        assert!(matches!(read_identity(dir.path()), Err(StateError::Newer { found: 9, .. })));
        assert_eq!(fs::read_to_string(dir.path().join(IDENTITY_FILE)).unwrap(), text);
    }

    #[test]
    fn a_damaged_identity_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(IDENTITY_FILE), "{\"format\": 1").unwrap();
        assert!(matches!(read_identity(dir.path()), Err(StateError::Damaged { .. })));
        assert!(matches!(read_identity(&dir.path().join("other")), Err(StateError::NotEnrolled { .. })));
    }
}
