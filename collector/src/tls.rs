//! TLS for both ports: TLS 1.3 with the own CA for agents, by name for people.
//!
//! Sessions are never resumed at the agents' port. A resumed session brings its client certificate along without a new
//! look at it, so that a revoked agent could come back for a day; a full handshake costs a millisecond.

use std::sync::Arc;
use std::time::Duration;

use bellwether_proto::trust::ca_hint;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};

use crate::ca::{Ring, ServerIdentity, validity};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Key and certificate of the server.
    #[error("cannot use the server's certificate")]
    Identity(#[source] rustls::Error),
    /// The CA that signs agents' certificates.
    #[error("cannot use the CA's certificate")]
    Root(#[source] rustls::Error),
    /// The verifier of agents' certificates.
    #[error("cannot verify agents' certificates")]
    Verifier(#[source] VerifierBuilderError),
    /// The protocol versions.
    #[error("cannot offer TLS")]
    Versions(#[source] rustls::Error),
}

/// What the server shows: the certificate by the current CA, and while two overlap, one by the previous CA as well.
pub struct Shown {
    current: (Vec<u8>, Arc<CertifiedKey>),
    previous: Option<(Vec<u8>, Arc<CertifiedKey>)>,
}

impl Shown {
    /// Each with the SHA-256 of its CA.
    ///
    /// # Errors
    /// When a key and its certificate don't go together.
    pub fn new(
        (current_ca, current): ([u8; 32], ServerIdentity),
        previous: Option<([u8; 32], ServerIdentity)>,
    ) -> Result<Self, TlsError> {
        let previous = previous.map(|(ca, identity)| Ok((ca_hint(&ca), certified(identity)?))).transpose()?;
        Ok(Self { current: (ca_hint(&current_ca), certified(current)?), previous })
    }

    /// For an agent that believes these CAs. One that does not say is of before there was a rotation.
    fn for_agent(&self, believed: Option<&[DistinguishedName]>) -> &Arc<CertifiedKey> {
        let knows = |hint: &[u8]| believed.is_some_and(|names| names.iter().any(|name| name.as_ref() == hint));
        match &self.previous {
            Some((hint, previous)) if !knows(&self.current.0) && (believed.is_none() || knows(hint)) => previous,
            _ => &self.current.1,
        }
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

/// What is shown to agents, as it is at each handshake: a renewed certificate or a new CA needs no restart.
#[derive(Debug)]
struct ToAgents(Arc<Ring>);

impl ResolvesServerCert for ToAgents {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.0.shown().for_agent(hello.certificate_authorities())))
    }
}

/// What is shown to browsers.
#[derive(Debug)]
struct ToPeople(Arc<Ring>);

impl ResolvesServerCert for ToPeople {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.shown().current.1))
    }
}

fn certified(identity: ServerIdentity) -> Result<Arc<CertifiedKey>, TlsError> {
    CertifiedKey::from_der(identity.chain, identity.key, &provider()).map(Arc::new).map_err(TlsError::Identity)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Verifies agents' certificates by these CAs.
///
/// # Errors
/// When one of them can't be used.
pub fn verifier<'a>(
    cas: impl Iterator<Item = &'a CertificateDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(TlsError::Root)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::Verifier)
}

/// Verifies an agent's certificate, also one that has ended: at its own beginning then. What may be done with such a one
/// is the service's word, which can say it in a sentence; TLS only has an alert for it.
///
/// # Errors
/// When it is not ours, or not yet valid.
pub fn verify_whenever(
    verifier: &dyn ClientCertVerifier,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<ClientCertVerified, rustls::Error> {
    use rustls::CertificateError::{Expired, ExpiredContext};
    match verifier.verify_client_cert(certificate, intermediates, UnixTime::now()) {
        Err(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. })) => {
            let begin = validity(certificate).and_then(|(from, _)| u64::try_from(from.0).ok()).unwrap_or(0);
            let begin = UnixTime::since_unix_epoch(Duration::from_secs(begin.div_ceil(1_000)));
            verifier.verify_client_cert(certificate, intermediates, begin)
        }
        verified => verified,
    }
}

/// Verifies agents' certificates by the CAs that are in force at each handshake.
#[derive(Debug)]
struct OfAgents(Arc<Ring>);

impl ClientCertVerifier for OfAgents {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // An agent has one certificate and needs no hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        verify_whenever(&*self.0.verifier(), end_entity, intermediates)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verifier().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verifier().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.verifier().supported_verify_schemes()
    }
}

/// Whether `signature` is by the key of `certificate`: ECDSA P-256 with SHA-256, the only kind that agents make.
#[must_use]
pub fn is_signed_by(certificate: &CertificateDer<'_>, message: &[u8], signature: &[u8]) -> bool {
    let Some(key) = crate::ca::key_of(certificate) else { return false };
    let algorithms = provider().signature_verification_algorithms;
    let of_kind = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256);
    of_kind.flat_map(|(_, kind)| kind.first()).any(|kind| kind.verify_signature(&key, message, signature).is_ok())
}

/// For the agents' port: a certificate of our CA is asked for, and verified when there is one. Which call needs one is
/// the service's word: enrolment and renewal come without.
///
/// # Errors
/// When TLS can't be offered.
pub fn for_agents(ring: Arc<Ring>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Versions)?
        .with_client_cert_verifier(Arc::new(OfAgents(Arc::clone(&ring))))
        .with_cert_resolver(Arc::new(ToAgents(ring)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// For the pages.
///
/// # Errors
/// When TLS can't be offered.
pub fn for_people(ring: Arc<Ring>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ToPeople(ring)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
