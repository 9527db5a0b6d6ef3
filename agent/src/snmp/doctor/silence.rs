//! Why nothing comes back: from a socket of its own, because only one that is tied to the device is told that a port is
//! closed.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::probe::icmp;

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
    /// It answers to ping.
    Pingable,
    /// It does not even answer to ping.
    Nothing,
    /// It can't be told whether it answers to ping.
    PingUnknown(String),
}

pub(super) async fn reason(address: SocketAddr) -> Silence {
    match stranger(address).await {
        Some(silence) => silence,
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
