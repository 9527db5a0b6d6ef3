//! TLS to servers that are looked at: the handshake always goes on, and what is wrong with the chain is told as a fact.
//!
//! Nothing secret is ever said on such a connection, so an untrusted one does no harm. The chain is held against the
//! system's own list of authorities, because a school puts its own there.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::judge::{self, Judge};

/// How long the system's list is kept: an administrator who adds an authority sees it soon.
const ROOTS_AGE: Duration = Duration::from_secs(600);

/// More authorities than any system has.
const ROOTS_MAX: usize = 1_000;

/// The system's authorities, read when the first certificate is looked at.
#[derive(Debug, Default)]
pub struct Roots {
    read: Mutex<Option<(Instant, Arc<RootCertStore>)>>,
}

/// What a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// What is wrong with the chain.
    pub fault: Option<Fault>,
}

/// What is wrong with a chain, most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its time is over.
    Expired,
    /// Its time has not come: usually a clock is wrong.
    NotYetValid,
    /// It is of another server.
    WrongName,
    /// It vouches for itself.
    SelfSigned,
    /// This system knows none of those who vouch for it.
    Untrusted,
    /// Anything else.
    Bad,
}

impl Fault {
    /// The word that is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::SelfSigned => "self_signed",
            Self::Untrusted => "untrusted",
            Self::Bad => "bad",
        }
    }
}

impl Roots {
    /// Only these authorities.
    #[must_use]
    pub fn only(store: RootCertStore) -> Self {
        Self { read: Mutex::new(Some((Instant::now() + Duration::from_secs(86_400), Arc::new(store)))) }
    }

    fn get(&self) -> Arc<RootCertStore> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, store)) = read.as_ref()
            && at.elapsed() < ROOTS_AGE
        {
            return Arc::clone(store);
        }
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs().certs;
        store.add_parsable_certificates(found.into_iter().take(ROOTS_MAX));
        let store = Arc::new(store);
        *read = Some((Instant::now(), Arc::clone(&store)));
        store
    }
}

/// A handshake, whatever is wrong with the chain; and what is.
///
/// # Errors
/// When the other side does not speak TLS.
pub async fn handshake(
    stream: TcpStream,
    server: ServerName<'static>,
    roots: &Roots,
) -> std::io::Result<(TlsStream<TcpStream>, Option<Shown>)> {
    let seen = Arc::new(Mutex::new(None));
    let config = config(roots, Arc::clone(&seen)).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
    let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((stream, shown))
}

/// The name that a server is asked for by, and held against.
#[must_use]
pub fn server_name(text: &str) -> Option<ServerName<'static>> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Some(ServerName::IpAddress(ip.into())),
        Err(_) => ServerName::try_from(text.to_owned()).ok(),
    }
}

fn config(roots: &Roots, seen: Arc<Mutex<Option<Shown>>>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let store = roots.get();
    // Without any authority nothing is trusted, which is the truth.
    let inner = (!store.is_empty()).then(|| {
        WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))
    });
    let verifier = judge::verifier(Observer { inner: inner.transpose()?, seen }, &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // Each look proves the chain anew.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Writes down what the chain is worth and lets it pass.
#[derive(Debug)]
struct Observer {
    inner: Option<Arc<WebPkiServerVerifier>>,
    seen: Arc<Mutex<Option<Shown>>>,
}

impl Judge for Observer {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let untrusted = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let verdict = match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, server, &[], now),
            None => Err(untrusted),
        };
        let fault = verdict.err().map(|error| fault(&error, end_entity, now));
        let shown = Shown { certificate: end_entity.clone().into_owned(), fault };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(())
    }
}

/// The verifier stops at the first thing that is wrong, which for a self-signed certificate is that nobody vouches for
/// it; that its time is over as well says more.
fn fault(error: &Error, certificate: &CertificateDer<'_>, now: UnixTime) -> Fault {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    let Error::InvalidCertificate(error) = error else { return Fault::Bad };
    match error {
        Expired | ExpiredContext { .. } => Fault::Expired,
        NotValidYet | NotValidYetContext { .. } => Fault::NotYetValid,
        NotValidForName | NotValidForNameContext { .. } => Fault::WrongName,
        _ => {
            let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Fault::Bad };
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            if parsed.validity().not_after.timestamp() < now {
                Fault::Expired
            } else if parsed.subject() == parsed.issuer() {
                Fault::SelfSigned
            } else if *error == UnknownIssuer {
                Fault::Untrusted
            } else {
                Fault::Bad
            }
        }
    }
}
