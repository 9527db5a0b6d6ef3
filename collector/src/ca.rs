//! The collector's own certificate authority: one CA for ten years, a server certificate for a year, and certificates
//! for agents for thirty days.
//!
//! A machine that enrols sends a request, of which nothing but its public key is used: names, lifetimes and rights are
//! ours to give. Signing what a request asks for would hand the CA itself to whoever asks for it.

mod ring;
mod store;

use std::path::Path;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::COLLECTOR_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use ring::{Ring, RingError, RotationError, Standing};
pub use store::CaFileError;

/// The CA's life. Rotation, with two CAs overlapping, is due long before.
const CA_LIFE: Duration = days(3650);

/// The server certificate's life; browsers accept no more than 398 days.
const SERVER_LIFE: Duration = days(365);

/// An agent's certificate's life: a stolen one that nobody noticed ends by itself.
pub const AGENT_LIFE: Duration = days(30);

/// How far certificates are dated back, since the other end's clock may be a little slow.
const BACKDATED: Duration = Duration::from_secs(3600);

/// The largest certificate request that is looked at; a real one is below 1 KiB.
const CSR_BYTES_MAX: usize = 16 << 10;

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// The CA with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// What the server shows and how it proves it.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The server's certificate, then the CA's.
    pub chain: Vec<CertificateDer<'static>>,
    /// The server's key.
    pub key: PrivateKeyDer<'static>,
}

/// A certificate that was just issued to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// SHA-256 of its public key, lower-case hexadecimal.
    pub key: String,
}

/// Why the CA can't work.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Its files.
    #[error("cannot use the certificate authority's files")]
    File(#[from] CaFileError),
    /// A certificate could not be made.
    #[error("cannot make the {what} certificate")]
    Make {
        /// Which.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
}

/// Why a certificate request is refused.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// Nobody needs one that large.
    #[error("the certificate request has {0} bytes: the limit is {CSR_BYTES_MAX}")]
    TooLarge(usize),
    /// It is not one, or not signed by the key that it names.
    #[error("the certificate request is malformed")]
    Malformed(#[source] rcgen::Error),
    /// The signature failed.
    #[error("the certificate could not be signed")]
    Sign(#[source] rcgen::Error),
}

impl Authority {
    /// Opens the CA in `folder`, making one at the first start.
    ///
    /// # Errors
    /// When its files can't be read or written, or are damaged.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, CaError> {
        let (key, certificate) = match store::read(&folder.join(CA_FILE))? {
            Some(bundle) => bundle.into_parts(&folder.join(CA_FILE))?,
            None => {
                let (key, certificate) = make_ca(now)?;
                store::write(&folder.join(CA_FILE), &key, &[&certificate])?;
                (key, certificate)
            }
        };
        store::write_public(&folder.join(CA_PUBLIC_FILE), &certificate)?;
        Self::of(key, certificate)
    }

    /// The CA of one file; none when there is no such file.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>, CaError> {
        let Some(bundle) = store::read(path)? else { return Ok(None) };
        let (key, certificate) = bundle.into_parts(path)?;
        Self::of(key, certificate).map(Some)
    }

    fn of(key: KeyPair, certificate: CertificateDer<'static>) -> Result<Self, CaError> {
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|source| CaError::Make { what: "issuing", source })?;
        Ok(Self { issuer, certificate })
    }

    /// Its SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.sha256())
    }

    /// When it ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        validity(&self.certificate).map_or(Timestamp(0), |(_, until)| until)
    }

    /// The CA's certificate, DER.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the CA's certificate: the last part of every token.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// The server's certificate for `collector.bellwether` and for `name` unless that is empty: the one in `path`, or
    /// a new one when there is none, a third of its life is left, or the name is another.
    ///
    /// # Errors
    /// When its file can't be read or written, or is damaged.
    pub fn server(&self, path: &Path, name: &str, now: Timestamp) -> Result<ServerIdentity, CaError> {
        let names = server_names(name);
        let kept = store::read(path)?.filter(|bundle| is_fresh(&bundle.certificates, &self.certificate, &names, now));
        let (key, certificate) = match kept {
            Some(bundle) => bundle.into_parts(path)?,
            None => {
                let (key, certificate) = self.make_server(names, now)?;
                store::write(path, &key, &[&certificate, &self.certificate])?;
                (key, certificate)
            }
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(ServerIdentity { chain: vec![certificate, self.certificate.clone()], key })
    }

    fn make_server(&self, names: Vec<String>, now: Timestamp) -> Result<(KeyPair, CertificateDer<'static>), CaError> {
        let make = |source| CaError::Make { what: "server", source };
        let mut params = CertificateParams::new(names).map_err(make)?;
        params.distinguished_name = named("Bellwether collector");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(random_serial());
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = lifetime(now, SERVER_LIFE);
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(make)?;
        Ok((key, certificate.into()))
    }

    /// Signs the public key of a request, for this device and for nothing else.
    ///
    /// # Errors
    /// When it is no certificate request, or not signed by its own key.
    pub fn issue(&self, csr: &[u8], device: &str, now: Timestamp) -> Result<Issued, CsrError> {
        let request = read_request(csr)?;
        let serial = random_serial();
        let hex = data_encoding::HEXLOWER.encode(serial.as_ref());
        let mut params = CertificateParams::default();
        params.distinguished_name = named(device);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(serial);
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = lifetime(now, AGENT_LIFE);
        let not_after = Timestamp(params.not_after.unix_timestamp().saturating_mul(1000));
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(CsrError::Sign)?;
        let certificate: CertificateDer<'static> = certificate.into();
        let key = key_of(&certificate).map(|key| data_encoding::HEXLOWER.encode(&Sha256::digest(key)));
        Ok(Issued { certificate, serial: hex, not_after, key: key.unwrap_or_default() })
    }
}

/// Whether a request can be signed at all; nothing is signed.
///
/// # Errors
/// When it is no certificate request, or not signed by its own key.
pub fn check_request(csr: &[u8]) -> Result<(), CsrError> {
    read_request(csr).map(drop)
}

fn read_request(csr: &[u8]) -> Result<CertificateSigningRequestParams, CsrError> {
    if csr.len() > CSR_BYTES_MAX {
        return Err(CsrError::TooLarge(csr.len()));
    }
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).map_err(CsrError::Malformed)
}

/// The public key of a certificate, as its bits are.
#[must_use]
pub fn key_of(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.public_key().subject_public_key.data.to_vec())
}

/// From when to when a certificate is valid.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let ms = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1_000));
    Some((ms(parsed.validity().not_before), ms(parsed.validity().not_after)))
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// Key and certificate together, so that no crash parts them.
const CA_FILE: &str = "authority.pem";

/// The certificate alone, for browsers to trust.
const CA_PUBLIC_FILE: &str = "ca.pem";

/// Key and chain together.
const SERVER_FILE: &str = "server.pem";

/// The same under the previous CA, while two overlap.
const PREVIOUS_SERVER_FILE: &str = "server-previous.pem";

fn make_ca(now: Timestamp) -> Result<(KeyPair, CertificateDer<'static>), CaError> {
    let make = |source| CaError::Make { what: "CA", source };
    let mut params = CertificateParams::default();
    let mark: [u8; 4] = rand::random();
    params.distinguished_name = named(&format!("Bellwether CA {}", data_encoding::HEXLOWER.encode(&mark)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(random_serial());
    (params.not_before, params.not_after) = lifetime(now, CA_LIFE);
    let key = KeyPair::generate().map_err(make)?;
    let certificate = params.self_signed(&key).map_err(make)?;
    Ok((key, certificate.into()))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// The default would be a hash of the public key: a renewal with the same key would repeat the serial number, and a
/// revocation would hit both certificates or neither.
fn random_serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    // Positive and never shortened in DER, so that its hexadecimal form has one length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn lifetime(now: Timestamp, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    (moment(now - BACKDATED), moment(now + life))
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn server_names(name: &str) -> Vec<String> {
    let mut names = vec![COLLECTOR_NAME.to_owned()];
    if !name.is_empty() {
        names.push(name.to_ascii_lowercase());
    }
    names
}

/// Whether a kept server certificate still serves.
fn is_fresh(
    certificates: &[CertificateDer<'static>],
    ca: &CertificateDer<'static>,
    names: &[String],
    now: Timestamp,
) -> bool {
    let [certificate, issuer] = certificates else { return false };
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let has_names = parsed.subject_alternative_name().ok().flatten().is_some_and(|found| {
        let found: Vec<_> = found
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
        found == names
    });
    let from = parsed.validity().not_before.timestamp();
    let left = parsed.validity().not_after.timestamp() - now.0.div_euclid(1000);
    let third = (SERVER_LIFE.as_secs() / 3).cast_signed();
    issuer == ca && has_names && left > third && from <= now.0.div_euclid(1000)
}

/// Who shows a certificate: what its common name and serial number say. The chain was verified before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The device that the certificate names.
    pub device: String,
    /// Lower-case hexadecimal.
    pub serial: String,
}

impl Bearer {
    /// Reads a verified client certificate; none when it is not one of ours.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let device = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let serial = data_encoding::HEXLOWER.encode(parsed.raw_serial());
        Some(Self { device, serial })
    }
}

#[cfg(test)]
mod tests;
