//! Enrolment: a token is exchanged for a certificate, once; the private key never leaves the machine.

mod later;

use std::path::PathBuf;
use std::time::Duration;

use bellwether_logic::device::Class;
use bellwether_proto::token::{BadToken, EnrolToken};
use bellwether_proto::trust::is_endpoint;
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{DeviceClass, EnrolReply, EnrolRequest};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::hardware;
use crate::host::Host;
use crate::state::{Credentials, Identity, StateDir, StateError, certificates_pem};
use crate::tls::{self, ConnectError, Trust};

pub(crate) use later::later;
pub use later::{LATER_FILE, Later, LaterError};

/// A collector answers at once; a person waits.
const REPLY_WAIT: Duration = Duration::from_secs(30);

/// What an admin says when a machine is enrolled.
#[derive(Clone)]
pub struct Enrolment {
    /// Where the agent keeps its state; made if it is not there.
    pub state_dir: PathBuf,
    /// `HOST:PORT` of the collector.
    pub collector: String,
    /// The token's text, as `token enrol` prints it.
    pub token: String,
    /// What the machine is called (an asset tag); the device id if nobody says.
    pub name: Option<String>,
    /// What the machine is for; the case tells if nobody says.
    pub class: Option<Class>,
    /// Whether a folder that is already enrolled may be enrolled again.
    pub again: bool,
    /// Whose hardware tells this machine from others.
    pub hardware: Host,
}

/// Without the token, which must not end up in a log.
impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").field("collector", &self.collector).finish_non_exhaustive()
    }
}

/// What enrolment gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The collector's word for this machine.
    pub device_id: String,
}

/// Why a machine was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The state folder.
    #[error("can't use the state folder")]
    State(#[from] StateError),
    /// The token is no token.
    #[error("can't use the token")]
    Token(#[from] BadToken),
    /// The address is none.
    #[error("--collector {0}: expected HOST:PORT")]
    Address(String),
    /// The key pair or the request for a certificate.
    #[error("can't make a key")]
    Key(#[source] rcgen::Error),
    /// No connection.
    #[error("can't reach the collector")]
    Connect(#[from] ConnectError),
    /// The collector said no, in its own words.
    #[error("the collector refused: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("the connection to the collector broke")]
    Lost(#[source] Box<tonic::Status>),
    /// The collector did not answer.
    #[error("the collector did not answer within {} s", REPLY_WAIT.as_secs())]
    Silence,
    /// The answer is not what a collector answers.
    #[error("the collector's answer can't be used: {0}")]
    Reply(&'static str),
}

/// Enrols this machine and leaves an enrolled state folder.
///
/// # Errors
/// The step that failed; the folder is then not enrolled, or still as before.
pub async fn enrol(enrolment: &Enrolment) -> Result<Enrolled, EnrolError> {
    let token: EnrolToken = enrolment.token.parse()?;
    check_address(&enrolment.collector)?;
    let state = StateDir::take(&enrolment.state_dir, true)?;
    match state.identity() {
        Ok(identity) if !enrolment.again => {
            let path = state.path().to_owned();
            return Err(StateError::AlreadyEnrolled { path, device_id: identity.device_id }.into());
        }
        Err(error @ StateError::Newer { .. }) => return Err(error.into()),
        _ => {}
    }
    let key = KeyPair::generate().map_err(EnrolError::Key)?;
    let class = enrolment.class.unwrap_or_else(|| hardware::class(&Host::default()));
    let request = request(enrolment, class, &key)?;
    let reply = exchange(&enrolment.collector, &token, request).await?;
    check_reply(&reply, &token, &key)?;
    let name = enrolment.name.clone().unwrap_or_default();
    let endpoints = vec![enrolment.collector.clone()];
    let identity = Identity::new(reply.device_id.clone(), name, class.as_str().to_owned(), endpoints);
    let credentials = Credentials {
        key_pem: key.serialize_pem(),
        chain_pem: certificates_pem(reply.chain.iter().map(Vec::as_slice)),
    };
    state.store(&identity, &credentials)?;
    Ok(Enrolled { device_id: reply.device_id })
}

/// Whether an address has a host and a port.
pub(crate) fn check_address(address: &str) -> Result<(), EnrolError> {
    if is_endpoint(address) { Ok(()) } else { Err(EnrolError::Address(address.to_owned())) }
}

fn request(enrolment: &Enrolment, class: Class, key: &KeyPair) -> Result<EnrolRequest, EnrolError> {
    let csr = CertificateParams::default().serialize_request(key).map_err(EnrolError::Key)?;
    Ok(EnrolRequest {
        token: enrolment.token.trim().to_owned(),
        csr: csr.der().to_vec(),
        hardware: Some(hardware::identity(&enrolment.hardware)),
        now_unix_ms: clock::now().wall.0,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: enrolment.name.clone().unwrap_or_default(),
        class: DeviceClass::from(class).into(),
    })
}

async fn exchange(collector: &str, token: &EnrolToken, request: EnrolRequest) -> Result<EnrolReply, EnrolError> {
    let connection = tls::connect(collector, Trust::Pinned(token.ca_sha256), None).await?;
    let mut client = CollectorClient::new(connection.channel)
        .max_decoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES);
    let reply = tokio::time::timeout(REPLY_WAIT, client.enrol(request)).await.map_err(|_| EnrolError::Silence)?;
    reply.map(tonic::Response::into_inner).map_err(|status| {
        // A status that has a cause was made on this side; one without is the collector's word.
        if std::error::Error::source(&status).is_some() {
            EnrolError::Lost(Box::new(status))
        } else {
            EnrolError::Refused(sentence(&status))
        }
    })
}

/// The collector's sentence, or the nearest thing to one.
pub(crate) fn sentence(status: &tonic::Status) -> String {
    let words = if status.message().is_empty() { status.code().description() } else { status.message() };
    words.lines().collect::<Vec<_>>().join("; ")
}

fn check_reply(reply: &EnrolReply, token: &EnrolToken, key: &KeyPair) -> Result<(), EnrolError> {
    let ca = check_chain(&reply.chain, key).map_err(EnrolError::Reply)?;
    // While two CAs overlap, a token of the one before is answered by the one of now; the connection was verified by
    // the token's, so the answer is as true as the token.
    let is_ca = x509_parser::parse_x509_certificate(ca).is_ok_and(|(_, certificate)| certificate.is_ca());
    if Sha256::digest(ca)[..] != token.ca_sha256[..] && !is_ca {
        return Err(EnrolError::Reply("its last certificate is no CA"));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if reply.device_id.is_empty() || reply.device_id.len() > 64 || !reply.device_id.bytes().all(plain) {
        return Err(EnrolError::Reply("its device id is none"));
    }
    Ok(())
}

/// Looks at a chain that was given for a key; answers its CA.
pub(crate) fn check_chain<'a>(chain: &'a [Vec<u8>], key: &KeyPair) -> Result<&'a [u8], &'static str> {
    let [own, .., ca] = chain else { return Err("the chain has fewer than two certificates") };
    let (_, certificate) = x509_parser::parse_x509_certificate(own).map_err(|_| "its certificate can't be read")?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err("its certificate is for another key");
    }
    Ok(ca)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_itself_in_a_log() {
        let enrolment = Enrolment {
            state_dir: PathBuf::new(),
            collector: "collector.example.org:7443".into(),
            token: "bw1.secret".into(),
            name: None,
            class: None,
            again: false,
            hardware: Host::default(),
        };
        assert!(!format!("{enrolment:?}").contains("secret"));
    }

    #[test]
    fn an_address_needs_a_host_and_a_port() {
        for good in ["collector.example.org:7443", "192.0.2.1:7443", "[2001:db8::1]:7443"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["collector", ":7443", "host:", "host:0", "host:port", "https://host", "https://host:7443"] {
            assert!(matches!(check_address(bad), Err(EnrolError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn certificates_are_written_as_pem_that_is_read_back() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let der = certificate.der().to_vec();
        let credentials =
            Credentials { key_pem: key.serialize_pem(), chain_pem: certificates_pem([der.as_slice(), der.as_slice()]) };
        let identity = tls::ClientIdentity::new(&credentials).unwrap();
        assert_eq!(identity.chain.len(), 2);
        assert_eq!(identity.ca().as_ref(), der);
    }
}
