//! The CA's files: a key and its certificates in one PEM file, written whole, readable by the owner alone.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::folder::{self, Reach, write_whole};

/// Why a file of the CA can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// It could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not hold what it should. It is left as it is: agents trust only this CA, so a new one in its place would
    /// cut them all off.
    #[error("{} is damaged: it should hold a key and certificates in PEM; restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

/// What one file holds.
pub(super) struct Bundle {
    key: PrivatePkcs8KeyDer<'static>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Bundle {
    pub(super) fn into_parts(self, path: &Path) -> Result<(KeyPair, CertificateDer<'static>), CaFileError> {
        let damaged = || CaFileError::Damaged { path: path.into() };
        let key = KeyPair::try_from(self.key.secret_pkcs8_der()).map_err(|_| damaged())?;
        let certificate = self.certificates.into_iter().next().ok_or_else(damaged)?;
        Ok((key, certificate))
    }
}

/// Reads a file; none when it does not exist yet.
pub(super) fn read(path: &Path) -> Result<Option<Bundle>, CaFileError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CaFileError::Read { path: path.into(), source }),
    };
    let damaged = |_| CaFileError::Damaged { path: path.into() };
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(damaged)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(damaged)?;
    Ok(Some(Bundle { key, certificates }))
}

/// Writes a key with its certificates.
pub(super) fn write(path: &Path, key: &KeyPair, certificates: &[&CertificateDer<'_>]) -> Result<(), CaFileError> {
    let mut text = key.serialize_pem();
    for certificate in certificates {
        text.push_str(&pem(certificate));
    }
    put(path, &text, Reach::Owner)
}

/// Writes a certificate for others to read, unless it is there already.
pub(super) fn write_public(path: &Path, certificate: &CertificateDer<'_>) -> Result<(), CaFileError> {
    let text = pem(certificate);
    if std::fs::read_to_string(path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    put(path, &text, Reach::Everyone)
}

/// Copies a private file whole.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), CaFileError> {
    let text = std::fs::read_to_string(from).map_err(|source| CaFileError::Read { path: from.into(), source })?;
    put(to, &text, Reach::Owner)
}

/// Lets a file take another's place, for good.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), CaFileError> {
    copy(from, to)?;
    remove(from)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), CaFileError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CaFileError::Write { path: path.into(), source })
        }
        _ => Ok(()),
    }
}

fn put(path: &Path, text: &str, reach: Reach) -> Result<(), CaFileError> {
    path.parent()
        .map_or(Ok(()), folder::create)
        .and_then(|()| write_whole(path, text.as_bytes(), reach))
        .map_err(|source| CaFileError::Write { path: path.into(), source })
}

/// The armour of a certificate, 64 characters a line.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let body = data_encoding::BASE64.encode(certificate);
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
