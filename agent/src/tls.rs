//! The way to the collector: TCP, then TLS that believes one CA and the fixed name, whatever the address.
//!
//! - First contact: the token's pin names the CA; a chain that does not contain it and verify to it is refused.
//! - Later: the stored CAs are the only roots. There are two while the collector's CA is rotated.
//! - The first message says which CAs this machine believes, so that a collector with two shows the right certificate.
//! - A machine with a wrong clock must still reach its collector: a chain that fails for its times alone is verified
//!   at its own beginning instead, and the caller learns the chain's times to hold the collector's word against.
//! - System proxies are ignored, TLS 1.3 alone is spoken, and sessions are never resumed, so that every connection
//!   proves both sides anew.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::COLLECTOR_NAME;
use bellwether_proto::trust::ca_hint;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DistinguishedName, RootCertStore};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use self::judge::Judge;
use crate::privacy::place::Ends;
use crate::state::Credentials;

pub(crate) mod judge;

/// For the name to be resolved, the connection and the handshake together.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Both ends ping an idle connection so often, and wait so long for the answer: a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Flow-control window of a stream: acknowledgements are small, memory is dear.
const WINDOW_BYTES: u32 = 64 << 10;

/// Which CA is believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The one with this SHA-256, which the collector must present.
    Pinned([u8; 32]),
    /// These.
    Cas(Vec<CertificateDer<'static>>),
}

/// The agent's own certificate and key.
pub struct ClientIdentity {
    /// The agent's certificate, then the CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// What a stream is opened with: how the agent proves itself, and whom it believes.
#[derive(Clone)]
pub struct Proof {
    /// Key and certificate.
    pub identity: Arc<ClientIdentity>,
    /// The CAs that the collector may stand under.
    pub roots: Vec<CertificateDer<'static>>,
}

/// From when to when a chain is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First instant.
    pub from: Timestamp,
    /// Last instant.
    pub until: Timestamp,
}

/// A connection that is up.
pub struct Connection {
    /// For gRPC; it does not connect again by itself.
    pub channel: Channel,
    /// Set if the machine's clock lies outside the collector's certificate: what the collector says the time to be
    /// must lie inside.
    pub clock_is_outside: Option<Validity>,
    /// Both ends' addresses: they say whether this is at school, and are never sent.
    pub ends: Option<Ends>,
    /// The CA that the collector was verified by.
    pub ca: CertificateDer<'static>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("can't connect to {endpoint}")]
    Tcp {
        /// `HOST:PORT`.
        endpoint: String,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else answers there: the usual reasons are a wrong address and a content filter.
    #[error(
        "what answers at {endpoint} is not the collector that this machine knows: the address is wrong, something \
         between opens the connection, or the collector's authority was replaced since this machine or its token knew it"
    )]
    Foreign {
        /// `HOST:PORT`.
        endpoint: String,
    },
    /// No TLS.
    #[error("no trusted connection to {endpoint}")]
    Tls {
        /// `HOST:PORT`.
        endpoint: String,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{endpoint} does not answer within {} s", CONNECT_WAIT.as_secs())]
    Silence {
        /// `HOST:PORT`.
        endpoint: String,
    },
    /// The agent's own certificate or key can't be used.
    #[error("can't use this agent's certificate and key")]
    Identity(#[source] rustls::Error),
    /// What speaks there is no collector.
    #[error("{endpoint} does not speak the collector's protocol")]
    Protocol {
        /// `HOST:PORT`.
        endpoint: String,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Why the stored certificate or key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// No PEM.
    #[error("{what} is no PEM")]
    Pem {
        /// Which of them.
        what: &'static str,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Not the agent's certificate and the CA.
    #[error("the chain has {0} certificates: expected the agent's own and the CA")]
    Chain(usize),
}

impl ClientIdentity {
    /// From the state folder.
    ///
    /// # Errors
    /// When they are no certificates or no key.
    pub fn new(credentials: &Credentials) -> Result<Self, BadCredentials> {
        let chain = CertificateDer::pem_slice_iter(credentials.chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| BadCredentials::Pem { what: "the chain", source })?;
        if chain.len() < 2 {
            return Err(BadCredentials::Chain(chain.len()));
        }
        let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes())
            .map_err(|source| BadCredentials::Pem { what: "the key", source })?;
        Ok(Self { chain, key })
    }

    /// The CA that issued its certificate: the last of its chain.
    #[must_use]
    pub fn ca(&self) -> CertificateDer<'static> {
        self.chain.last().expect("a chain has two certificates").clone()
    }

    /// The CAs that a connection believes: those that the collector has named, and in any case this agent's own.
    #[must_use]
    pub fn roots(&self, named: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
        let own = Some(self.ca()).filter(|own| !named.contains(own));
        named.iter().cloned().chain(own).collect()
    }
}

/// Connects to a collector.
///
/// # Errors
/// The step that failed.
pub async fn connect(
    endpoint: &str,
    trust: Trust,
    identity: Option<&ClientIdentity>,
) -> Result<Connection, ConnectError> {
    let found = Arc::new(Found::default());
    let config = client_config(trust, identity, Arc::clone(&found)).map_err(ConnectError::Identity)?;
    let stream = tokio::time::timeout(CONNECT_WAIT, open(endpoint, config))
        .await
        .map_err(|_| ConnectError::Silence { endpoint: endpoint.to_owned() })??;
    let ends = ends(stream.get_ref().0);
    let channel =
        speak(stream).await.map_err(|source| ConnectError::Protocol { endpoint: endpoint.to_owned(), source })?;
    let ca = found.ca.get().ok_or_else(|| ConnectError::Foreign { endpoint: endpoint.to_owned() })?.clone();
    Ok(Connection { channel, clock_is_outside: found.outside.get().copied(), ends, ca })
}

fn ends(tcp: &TcpStream) -> Option<Ends> {
    Some(Ends { own: tcp.local_addr().ok()?.ip(), collector: tcp.peer_addr().ok()?.ip() })
}

async fn open(endpoint: &str, config: ClientConfig) -> Result<TlsStream<TcpStream>, ConnectError> {
    let tcp = TcpStream::connect(endpoint)
        .await
        .map_err(|source| ConnectError::Tcp { endpoint: endpoint.to_owned(), source })?;
    // Without it a small batch waits for the acknowledgement of the one before. Failing is no harm.
    let _ = tcp.set_nodelay(true);
    let name = ServerName::try_from(COLLECTOR_NAME).expect("the collector's name is a DNS name");
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|source| match is_foreign(&source) {
        true => ConnectError::Foreign { endpoint: endpoint.to_owned() },
        false => ConnectError::Tls { endpoint: endpoint.to_owned(), source },
    })
}

/// HTTP/2 over this one stream. When it ends the channel fails, and the agent's own back-off decides what is next.
async fn speak(stream: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        std::future::ready(stream.take().ok_or_else(|| std::io::Error::other("the connection has ended")))
    });
    // TLS is below, so to HTTP this is plain.
    Endpoint::from_shared(format!("http://{COLLECTOR_NAME}"))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
}

fn client_config(
    trust: Trust,
    identity: Option<&ClientIdentity>,
    found: Arc<Found>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { hints: hints(&trust), trust, provider: Arc::clone(&provider), found };
    let verifier = judge::verifier(verifier, &provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// What a handshake found out.
#[derive(Debug, Default)]
struct Found {
    outside: OnceLock<Validity>,
    ca: OnceLock<CertificateDer<'static>>,
}

/// Names the believed CAs in the first message.
fn hints(trust: &Trust) -> Vec<DistinguishedName> {
    let hashes = match trust {
        Trust::Pinned(pin) => vec![*pin],
        Trust::Cas(cas) => cas.iter().map(|ca| Sha256::digest(ca).into()).collect(),
    };
    hashes.iter().map(|hash| DistinguishedName::from(ca_hint(hash))).collect()
}

/// Verifies the collector's chain for one connection.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
    found: Arc<Found>,
}

impl Verifier {
    /// The CAs that may have issued what is presented.
    fn roots(&self, presented: &[CertificateDer<'_>]) -> Vec<CertificateDer<'static>> {
        match &self.trust {
            Trust::Cas(cas) => cas.clone(),
            Trust::Pinned(pin) => {
                let pinned = presented.iter().find(|certificate| Sha256::digest(certificate)[..] == pin[..]);
                pinned.map(|certificate| certificate.clone().into_owned()).into_iter().collect()
            }
        }
    }

    /// Verifies by one root; by a wrong clock, too.
    fn verify_by(
        &self,
        root: &CertificateDer<'static>,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verify = |at| verifier.verify_server_cert(end_entity, intermediates, server_name, &[], at).map(drop);
        match verify(now) {
            Err(error) if is_about_time(&error) => {
                let validity = validity(&[end_entity, root]).ok_or_else(foreign)?;
                let begin = u64::try_from(validity.from.0).unwrap_or(0).div_ceil(1_000);
                verify(UnixTime::since_unix_epoch(Duration::from_secs(begin)))?;
                // One connection verifies once, so nothing is there yet.
                let _ = self.found.outside.set(validity);
            }
            result => result?,
        }
        let _ = self.found.ca.set(root.clone());
        Ok(())
    }
}

impl Judge for Verifier {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut refused = foreign();
        for root in self.roots(intermediates) {
            match self.verify_by(&root, (end_entity, intermediates), server, now) {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }
}

/// What webpki itself says of a chain that leads elsewhere.
const fn foreign() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

/// Whether a handshake failed because the chain is not that of a collector under the believed CA.
fn is_foreign(error: &std::io::Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(
        error,
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | NotValidForName | NotValidForNameContext { .. }))
    )
}

const fn is_about_time(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

/// When all of the certificates are valid; none if one can't be read.
pub(crate) fn validity(chain: &[&CertificateDer<'_>]) -> Option<Validity> {
    let mut all = Validity { from: Timestamp(i64::MIN), until: Timestamp(i64::MAX) };
    for certificate in chain {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let ms = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1_000));
        all.from = all.from.max(ms(parsed.validity().not_before));
        all.until = all.until.min(ms(parsed.validity().not_after));
    }
    Some(all)
}

impl Validity {
    /// Whether an instant lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        (self.from..=self.until).contains(&time)
    }
}
