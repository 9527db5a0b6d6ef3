//! TLS for both ports: TLS 1.3 with the own CA for agents, by name for people.
//!
//! Sessions are never resumed at the agents' port. A resumed session brings its client certificate along without a new
//! look at it, so that a revoked agent could come back for a day; a full handshake costs a millisecond.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::ca::ServerIdentity;

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

/// What the server shows; a renewed certificate takes its place without a restart.
pub struct ServerKeys(ArcSwap<CertifiedKey>);

impl ServerKeys {
    /// Shows `identity` until it is replaced.
    ///
    /// # Errors
    /// When key and certificate don't go together.
    pub fn new(identity: ServerIdentity) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(identity)?))))
    }

    /// Shows `identity` from now on.
    ///
    /// # Errors
    /// When key and certificate don't go together; the old one stays.
    pub fn replace(&self, identity: ServerIdentity) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified(identity)?));
        Ok(())
    }
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKeys")
    }
}

impl ResolvesServerCert for ServerKeys {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(identity: ServerIdentity) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(identity.chain, identity.key, &provider()).map_err(TlsError::Identity)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// For the agents' port: a certificate of our CA is asked for, and verified when there is one. Which call needs one is
/// the service's word: enrolment comes without.
///
/// # Errors
/// When the CA's certificate can't be used.
pub fn for_agents(keys: Arc<ServerKeys>, ca: &CertificateDer<'static>) -> Result<ServerConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).map_err(TlsError::Root)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::Verifier)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(keys);
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
pub fn for_people(keys: Arc<ServerKeys>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_no_client_auth()
        .with_cert_resolver(keys);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
