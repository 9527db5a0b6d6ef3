//! Why nothing comes back: from a socket of its own, because only one that is tied to the device is told that a port is
//! closed.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::probe::icmp;
use crate::snmp::credential::Credential;

/// The longest community that is tried: with it the length of a question still fits one byte.
const COMMUNITY_BYTES_MAX: usize = 90;

/// What follows the community in a question for sysObjectID.0.
const KIND: &[u8] = &[
    0xa0, 0x19, 0x02, 0x01, 0x01, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08, 0x2b, 0x06,
    0x01, 0x02, 0x01, 0x01, 0x02, 0x00, 0x05, 0x00,
];

/// For an answer or for word that there will be none.
const WAIT: Duration = Duration::from_secs(2);

/// Version 3's question for an engine ID, which every device of version 3 answers to anybody (RFC 3414, 4).
const WHO: &[u8] = &[
    0x30, 0x3a, 0x02, 0x01, 0x03, 0x30, 0x0f, 0x02, 0x02, 0x4a, 0x69, 0x02, 0x03, 0x00, 0xff, 0xe3, 0x04, 0x01, 0x04,
    0x02, 0x01, 0x03, 0x04, 0x10, 0x30, 0x0e, 0x04, 0x00, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00,
    0x04, 0x00, 0x30, 0x12, 0x04, 0x00, 0x04, 0x00, 0xa0, 0x0c, 0x02, 0x02, 0x37, 0xf0, 0x02, 0x01, 0x00, 0x02, 0x01,
    0x00, 0x30, 0x00,
];

/// What is known of a device that says nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The machine says that nothing listens there.
    Closed,
    /// It answers to strangers, in version 3.
    SpeaksVersion3,
    /// It answers, but from another address.
    Elsewhere(SocketAddr),
    /// It answers to ping.
    Pingable,
    /// It does not even answer to ping.
    Nothing,
    /// It can't be told whether it answers to ping.
    PingUnknown(String),
}

pub(super) async fn reason(address: SocketAddr, credential: &Credential) -> Silence {
    if let Some(silence) = stranger(address).await {
        return silence;
    }
    match elsewhere(address, &question(credential)).await {
        Some(other) => Silence::Elsewhere(other),
        None => match icmp::ping_once(&[address.ip()], WAIT).await {
            Ok(trips) if trips.iter().any(Option::is_some) => Silence::Pingable,
            Ok(_) => Silence::Nothing,
            Err(problem) => Silence::PingUnknown(problem.to_string()),
        },
    }
}

/// Asks as a stranger would; nothing if that tells nothing.
async fn stranger(address: SocketAddr) -> Option<Silence> {
    let own: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await.ok()?;
    socket.connect(address).await.ok()?;
    socket.send(WHO).await.ok()?;
    let mut answer = [0; 2_048];
    match timeout(WAIT, socket.recv(&mut answer)).await.ok()? {
        Ok(_) => Some(Silence::SpeaksVersion3),
        // Windows says it the other way.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {
            Some(Silence::Closed)
        }
        Err(_) => None,
    }
}

/// What a device that knows this credential answers to.
fn question(credential: &Credential) -> Vec<u8> {
    let (version, community) = match credential {
        Credential::V1 { community } => (0, community.reveal()),
        Credential::V2c { community } => (1, community.reveal()),
        Credential::V3(_) => return WHO.to_vec(),
    };
    let Some(length) = u8::try_from(community.len()).ok().filter(|_| community.len() <= COMMUNITY_BYTES_MAX) else {
        return WHO.to_vec();
    };
    let head = [0x30, length + 32, 0x02, 0x01, version, 0x04, length];
    [&head, community.as_bytes(), KIND].concat()
}

/// Asks from a socket that hears everybody: from which other address the answer comes.
async fn elsewhere(address: SocketAddr, question: &[u8]) -> Option<SocketAddr> {
    let own: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await.ok()?;
    socket.send_to(question, address).await.ok()?;
    let (_, from) = timeout(WAIT, socket.recv_from(&mut [0; 64])).await.ok()?.ok()?;
    (from != address).then_some(from)
}
