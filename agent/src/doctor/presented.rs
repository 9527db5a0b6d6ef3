//! What answers at an address, whoever it is: the certificates that it shows, believed by nobody.
//!
//! Only for naming who it is that stands there instead of the collector. The handshake is always refused.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_proto::COLLECTOR_NAME;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::judge::{self, Judge};

/// For the connection and the handshake together.
const WAIT: Duration = Duration::from_secs(10);

/// What the issuer of a collector's certificate is called (`collector/src/ca.rs`).
const OURS: &str = "Bellwether CA";

/// An issuer's name beyond this is no name.
const NAME_CHARS_MAX: usize = 120;

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    /// A collector, by the look of it, and the fingerprint of its CA.
    Collector {
        /// SHA-256 of the last certificate of the chain.
        ca: [u8; 32],
    },
    /// Somebody else, by the name of whoever issued the certificate.
    Foreign {
        /// As the certificate says.
        issuer: String,
    },
    /// Something that speaks no TLS.
    NoTls,
    /// It ended the connection before it showed anything.
    CutOff,
    /// It said nothing at all.
    Silence,
}

/// Looks who answers at `endpoint`.
pub(super) async fn presented(endpoint: &str) -> Presented {
    let provider = Arc::new(ring::default_provider());
    let seen = Arc::new(Mutex::default());
    let verifier = judge::verifier(Onlooker { seen: Arc::clone(&seen) }, &provider);
    // The older version, too: there are filters that speak nothing newer.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider speaks both versions");
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let handshake = async {
        let tcp = TcpStream::connect(endpoint).await?;
        let name = ServerName::try_from(COLLECTOR_NAME).expect("the collector's name is a DNS name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map(drop)
    };
    let outcome = tokio::time::timeout(WAIT, handshake).await;
    let chain = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    match (chain.is_empty(), outcome) {
        (false, _) => who(&chain),
        (true, Err(_)) => Presented::Silence,
        (true, Ok(Err(error))) if speaks_no_tls(&error) => Presented::NoTls,
        (true, Ok(_)) => Presented::CutOff,
    }
}

fn who(chain: &[CertificateDer<'_>]) -> Presented {
    let Some((own, ca)) = chain.first().zip(chain.last()) else { return Presented::CutOff };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(own) else {
        return Presented::Foreign { issuer: "a certificate that can't be read".to_owned() };
    };
    let issuer: String = certificate.issuer().to_string().chars().take(NAME_CHARS_MAX).collect();
    match issuer.contains(OURS) {
        true => Presented::Collector { ca: Sha256::digest(ca).into() },
        false => Presented::Foreign { issuer },
    }
}

fn speaks_no_tls(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidMessage(_)))
}

/// Keeps what is shown and refuses it.
#[derive(Debug)]
struct Onlooker {
    seen: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

impl Judge for Onlooker {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates).map(|one| one.clone().into_owned());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        Err(rustls::Error::General("only looked at".to_owned()))
    }
}
