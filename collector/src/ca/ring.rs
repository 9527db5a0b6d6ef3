//! The authorities in force: one, and while the CA is rotated, two that overlap.
//!
//! | file | what |
//! | --- | --- |
//! | `authority.pem` | issues everything |
//! | `next.pem` | announced to agents, issues nothing yet |
//! | `previous.pem` | still believed; signs the certificate that is shown to agents which know no other |
//! | `retired.txt` | SHA-256 of those that are believed no more, so that their tokens can be told from foreign ones |
//!
//! `rotate` makes the next, `switch` lets it issue, `finish` forgets the previous. Between the steps lies the time that
//! agents need to hear of it; who was away all summer still finds the previous one. Each step is one file that takes its
//! place, so a crash leaves a state from which the step can be taken again. A running collector looks at the files every two seconds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bellwether_logic::time::Timestamp;
use bellwether_proto::v1::Contacts;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;

use super::{
    Authority, CA_FILE, CA_PUBLIC_FILE, CaError, CaFileError, PREVIOUS_SERVER_FILE, SERVER_FILE, ServerIdentity,
};
use super::{make_ca, store};
use crate::folder;
use crate::tls::{self, Shown, TlsError};

const NEXT_FILE: &str = "next.pem";
const PREVIOUS_FILE: &str = "previous.pem";
const RETIRED_FILE: &str = "retired.txt";

/// The authorities as their files are.
pub struct Standing {
    /// Issues everything.
    pub current: Authority,
    /// Takes over at the next `switch`.
    pub next: Option<Authority>,
    /// Was current before the last `switch`.
    pub previous: Option<Authority>,
    /// Believed no more.
    pub retired: BTreeSet<String>,
}

/// Why a step of a rotation is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// There is one already.
    #[error("a rotation is under way: `ca switch` and `ca finish` come first")]
    UnderWay,
    /// Nothing to switch to.
    #[error("there is no next authority: `ca rotate` comes first")]
    NoNext,
    /// Nothing to finish.
    #[error("there is no previous authority: nothing is to be finished")]
    NoPrevious,
    /// The files.
    #[error(transparent)]
    Ca(#[from] CaError),
}

impl Standing {
    /// Reads the authorities in `folder`, making the first one at the first start.
    ///
    /// # Errors
    /// When files can't be read or written, or are damaged.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, CaError> {
        let current = Authority::open(folder, now)?;
        let other =
            |file| Authority::read(&folder.join(file)).map(|other| other.filter(|it| it.sha256() != current.sha256()));
        let retired = std::fs::read_to_string(folder.join(RETIRED_FILE)).unwrap_or_default();
        Ok(Self {
            next: other(NEXT_FILE)?,
            previous: other(PREVIOUS_FILE)?,
            current,
            retired: retired.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// Makes the next authority.
    ///
    /// # Errors
    /// When a rotation is under way, or the file can't be written.
    pub fn rotate(&self, folder: &Path, now: Timestamp) -> Result<Self, RotationError> {
        if self.next.is_some() || self.previous.is_some() {
            return Err(RotationError::UnderWay);
        }
        let (key, certificate) = make_ca(now)?;
        store::write(&folder.join(NEXT_FILE), &key, &[&certificate]).map_err(CaError::File)?;
        Ok(Self::open(folder, now)?)
    }

    /// Lets the next authority issue.
    ///
    /// # Errors
    /// When there is none, or a file can't be written.
    pub fn switch(&self, folder: &Path, now: Timestamp) -> Result<Self, RotationError> {
        if self.next.is_none() {
            return Err(RotationError::NoNext);
        }
        // After a crash here the next one is still the next, and the previous one is the current one, which counts once.
        store::copy(&folder.join(CA_FILE), &folder.join(PREVIOUS_FILE)).map_err(CaError::File)?;
        store::rename(&folder.join(NEXT_FILE), &folder.join(CA_FILE)).map_err(CaError::File)?;
        Ok(Self::open(folder, now)?)
    }

    /// Forgets the previous authority.
    ///
    /// # Errors
    /// When there is none, or a file can't be written.
    pub fn finish(&self, folder: &Path, now: Timestamp) -> Result<Self, RotationError> {
        let previous = self.previous.as_ref().ok_or(RotationError::NoPrevious)?;
        let mut retired = self.retired.clone();
        retired.insert(previous.fingerprint());
        let text: String = retired.iter().map(|hash| format!("{hash}\n")).collect();
        let path = folder.join(RETIRED_FILE);
        folder::write_whole(&path, text.as_bytes(), folder::Reach::Everyone)
            .map_err(|source| CaError::File(CaFileError::Write { path, source }))?;
        for file in [PREVIOUS_FILE, PREVIOUS_SERVER_FILE] {
            store::remove(&folder.join(file)).map_err(CaError::File)?;
        }
        Ok(Self::open(folder, now)?)
    }

    /// Those that agents may believe, the one that issues first.
    pub fn all(&self) -> impl Iterator<Item = &Authority> {
        std::iter::once(&self.current).chain(&self.next).chain(&self.previous)
    }

    /// What agents are told.
    #[must_use]
    pub fn contacts(&self, endpoints: &[String]) -> Contacts {
        Contacts { cas: self.all().map(|ca| ca.certificate().to_vec()).collect(), endpoints: endpoints.to_vec() }
    }

    /// How a token of another CA is refused; none if it may be used.
    #[must_use]
    pub fn token_refusal(&self, ca_sha256: &[u8; 32]) -> Option<&'static str> {
        if self.all().any(|ca| ca.sha256() == *ca_sha256) {
            return None;
        }
        let is_retired = self.retired.contains(&data_encoding::HEXLOWER.encode(ca_sha256));
        Some(if is_retired {
            "this token is from before the collector's authority was replaced: make a new one"
        } else {
            "this token belongs to another collector"
        })
    }

    fn server(
        &self,
        folder: &Path,
        name: &str,
        now: Timestamp,
    ) -> Result<(ServerIdentity, Option<ServerIdentity>), CaError> {
        let previous = self.previous.as_ref().map(|ca| ca.server(&folder.join(PREVIOUS_SERVER_FILE), name, now));
        Ok((self.current.server(&folder.join(SERVER_FILE), name, now)?, previous.transpose()?))
    }
}

/// The authorities as the running collector uses them.
pub struct Ring {
    folder: PathBuf,
    name: String,
    endpoints: Vec<String>,
    standing: ArcSwap<Standing>,
    verifier: ArcSwap<Arc<dyn ClientCertVerifier>>,
    shown: ArcSwap<Shown>,
    contacts: watch::Sender<Arc<Contacts>>,
    files: std::sync::Mutex<Vec<Option<SystemTime>>>,
}

/// Why the authorities can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The authorities.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// TLS with them.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Ring {
    /// Opens the authorities in `folder`, with server certificates for `name`.
    ///
    /// # Errors
    /// When files can't be read or written, or are damaged.
    pub fn open(folder: &Path, name: &str, endpoints: Vec<String>, now: Timestamp) -> Result<Arc<Self>, RingError> {
        let standing = Standing::open(folder, now)?;
        let (verifier, shown) = prepare(&standing, folder, name, now)?;
        let contacts = watch::channel(Arc::new(standing.contacts(&endpoints))).0;
        Ok(Arc::new(Self {
            files: std::sync::Mutex::new(stamps(folder)),
            folder: folder.to_owned(),
            name: name.to_owned(),
            endpoints,
            standing: ArcSwap::from_pointee(standing),
            verifier: ArcSwap::from_pointee(verifier),
            shown: ArcSwap::from_pointee(shown),
            contacts,
        }))
    }

    /// The authorities in force.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// What verifies agents' certificates now.
    #[must_use]
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier.load_full())
    }

    /// What the server shows now.
    #[must_use]
    pub fn shown(&self) -> Arc<Shown> {
        self.shown.load_full()
    }

    /// What agents are told, and when it changes.
    #[must_use]
    pub fn contacts(&self) -> watch::Receiver<Arc<Contacts>> {
        self.contacts.subscribe()
    }

    /// Whether a command has changed the files since they were read.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        *self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner) != stamps(&self.folder)
    }

    /// Reads the files again and renews the server's certificates when their time has come.
    ///
    /// # Errors
    /// When something can't be used; then everything stays as it was.
    pub fn refresh(&self, now: Timestamp) -> Result<(), RingError> {
        let files = stamps(&self.folder);
        let standing = Standing::open(&self.folder, now)?;
        let (verifier, shown) = prepare(&standing, &self.folder, &self.name, now)?;
        let contacts = Arc::new(standing.contacts(&self.endpoints));
        self.verifier.store(Arc::new(verifier));
        self.shown.store(Arc::new(shown));
        self.standing.store(Arc::new(standing));
        *self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = files;
        self.contacts.send_if_modified(|now| {
            let changes = *now != contacts;
            *now = contacts;
            changes
        });
        Ok(())
    }

    /// Whether a certificate was issued by one of ours, whenever it ended.
    #[must_use]
    pub fn issued(&self, certificate: &CertificateDer<'_>) -> bool {
        tls::verify_whenever(&*self.verifier(), certificate, &[]).is_ok()
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}

fn prepare(
    standing: &Standing,
    folder: &Path,
    name: &str,
    now: Timestamp,
) -> Result<(Arc<dyn ClientCertVerifier>, Shown), RingError> {
    let verifier = tls::verifier(standing.all().map(Authority::certificate))?;
    let (current, previous) = standing.server(folder, name, now)?;
    let hash = |ca: &Authority| ca.sha256();
    let previous = standing.previous.as_ref().map(hash).zip(previous);
    Ok((verifier, Shown::new((standing.current.sha256(), current), previous)?))
}

/// When the files were changed last.
fn stamps(folder: &Path) -> Vec<Option<SystemTime>> {
    let files = [CA_FILE, NEXT_FILE, PREVIOUS_FILE, RETIRED_FILE, CA_PUBLIC_FILE];
    files.iter().map(|file| std::fs::metadata(folder.join(file)).ok()?.modified().ok()).collect()
}
