//! What kinds of probes share: finding an address, connecting, reading no more than was wished for.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use super::settings::Address;

/// For a name to be resolved, beside a look that has no time-out of its own around it.
const RESOLVE_WAIT: Duration = Duration::from_secs(2);

/// Why nobody is there.
#[derive(Debug)]
pub enum NoLink {
    /// No address under that name.
    NoName,
    /// Somebody is there and does not want to.
    Refused,
    /// There is no way.
    NoWay(IpAddr),
    /// Nothing came within the time.
    Silence(Option<IpAddr>),
}

impl NoLink {
    /// The address that should have answered, for a traceroute.
    #[must_use]
    pub const fn unreached(&self) -> Option<IpAddr> {
        match self {
            Self::NoWay(address) | Self::Silence(Some(address)) => Some(*address),
            Self::NoName | Self::Refused | Self::Silence(None) => None,
        }
    }
}

/// An address that need not be looked up.
#[must_use]
pub fn known(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Ip(ip) => Some(SocketAddr::new(*ip, 0)),
        Address::Scoped(IpAddr::V6(ip), scope) => Some(SocketAddrV6::new(*ip, 0, 0, *scope).into()),
        Address::Scoped(ip, _) => Some(SocketAddr::new(*ip, 0)),
        Address::Name(_) => None,
    }
}

/// The first address of a target.
pub async fn resolve(address: &Address, port: u16) -> Option<SocketAddr> {
    match address {
        Address::Ip(_) | Address::Scoped(..) => {
            let mut to = known(address)?;
            to.set_port(port);
            Some(to)
        }
        Address::Name(name) => {
            let found = tokio::time::timeout(RESOLVE_WAIT, tokio::net::lookup_host((&**name, port))).await;
            found.ok()?.ok()?.next()
        }
    }
}

/// A TCP connection within the time.
///
/// # Errors
/// When nobody is there.
pub async fn dial(address: &Address, port: u16, limit: Duration) -> Result<TcpStream, NoLink> {
    let to = resolve(address, port).await.ok_or(NoLink::NoName)?;
    match tokio::time::timeout(limit, TcpStream::connect(to)).await {
        Err(_) => Err(NoLink::Silence(Some(to.ip()))),
        Ok(Ok(stream)) => {
            // Small requests are not held back. Failing is no harm.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(NoLink::Refused),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(NoLink::Silence(Some(to.ip()))),
        Ok(Err(_)) => Err(NoLink::NoWay(to.ip())),
    }
}

/// Bytes up to and without `end`.
///
/// # Errors
/// When the other side ends before it, or says more than `most` bytes.
pub async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: u8, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let byte = stream.read_u8().await?;
        if byte == end {
            return Ok(bytes);
        }
        bytes.push(byte);
    }
    Err(io::ErrorKind::InvalidData.into())
}
