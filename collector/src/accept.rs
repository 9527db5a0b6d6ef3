//! The accept loop of both ports: bounded connections, bounded handshakes, and TLS when asked for.
//!
//! The loop itself never waits for a peer. A handshake runs in a task of its own with a deadline; what is over a bound
//! is dropped at once and counted, so that strangers can't crowd out agents: whoever shows no certificate shares a
//! small number of places and keeps one for [`STRANGER_LIFE`] at most.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::Clock;
use crate::{ca, figures};

/// How long a connection without a certificate may last: an enrolment takes a second.
const STRANGER_LIFE: Duration = Duration::from_secs(60);

/// Finished handshakes that wait for the server; it takes them at once.
const READY_MAX: usize = 64;

/// The wait after a failed accept: out of file descriptors, and trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of one port.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections open at once, in all.
    pub connections: usize,
    /// Of these, without a client certificate.
    pub strangers: usize,
    /// Handshakes under way at once.
    pub handshakes: usize,
    /// The time for a handshake.
    pub handshake_timeout: Duration,
    /// How long a connection without a client certificate may last.
    pub stranger_life: Option<Duration>,
}

impl Bounds {
    /// For agents, from the configuration.
    #[must_use]
    pub const fn for_agents(limits: &crate::config::Limits) -> Self {
        Self {
            connections: limits.connections,
            strangers: limits.strangers,
            handshakes: limits.handshakes,
            handshake_timeout: limits.handshake_timeout.0,
            stranger_life: Some(STRANGER_LIFE),
        }
    }

    /// For people and tools, who show no certificates.
    #[must_use]
    pub const fn for_people(limits: &crate::config::Limits) -> Self {
        Self {
            connections: PEOPLE_CONNECTIONS_MAX,
            strangers: PEOPLE_CONNECTIONS_MAX,
            handshakes: limits.handshakes,
            handshake_timeout: limits.handshake_timeout.0,
            stranger_life: None,
        }
    }
}

/// Connections to the pages and the API: browsers keep six each, and file descriptors are for agents.
const PEOPLE_CONNECTIONS_MAX: usize = 2048;

/// A connection that has shaken hands, with its places.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    deadline: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address, for logs: identity is never an address.
    pub address: SocketAddr,
    /// Its certificate, verified, if it showed one.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Accepts until the receiver is dropped or `stop` turns true.
#[must_use]
pub fn listen(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    bounds: Bounds,
    stop: watch::Receiver<bool>,
) -> mpsc::Receiver<Connection> {
    let (ready, accepted) = mpsc::channel(READY_MAX);
    let gate = Gate {
        acceptor: tls.map(TlsAcceptor::from),
        bounds,
        connections: Arc::new(Semaphore::new(bounds.connections)),
        strangers: Arc::new(Semaphore::new(bounds.strangers)),
        handshakes: Arc::new(Semaphore::new(bounds.handshakes)),
        ready,
    };
    tokio::spawn(gate.run(listener, stop));
    accepted
}

#[derive(Clone)]
struct Gate {
    acceptor: Option<TlsAcceptor>,
    bounds: Bounds,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    ready: mpsc::Sender<Connection>,
}

impl Gate {
    async fn run(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.ready.closed() => return,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address),
                Err(error) => {
                    figures::refused("accept");
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Begins a handshake if there is room for one.
    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let places = Arc::clone(&self.connections)
            .try_acquire_owned()
            .and_then(|place| Ok((place, Arc::clone(&self.handshakes).try_acquire_owned()?)));
        let Ok((place, handshake)) = places else {
            figures::refused("connections");
            return;
        };
        let gate = self.clone();
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(gate.bounds.handshake_timeout, gate.shake(stream)).await;
            drop(handshake);
            match shaken {
                Ok(Ok(io)) => gate.pass(io, address, place).await,
                Ok(Err(error)) => {
                    figures::refused("handshake");
                    tracing::info!(from = shown(address), %error, "a TLS handshake failed");
                }
                Err(_) => {
                    figures::refused("handshake");
                    tracing::info!(from = shown(address), "a TLS handshake took too long");
                }
            }
        });
    }

    async fn shake(&self, stream: TcpStream) -> io::Result<Io> {
        stream.set_nodelay(true)?;
        match &self.acceptor {
            None => Ok(Io::Plain(stream)),
            Some(acceptor) => Ok(Io::Tls(Box::new(acceptor.accept(stream).await?))),
        }
    }

    /// Hands a connection on, with a place among strangers if it showed no certificate.
    async fn pass(&self, io: Io, address: SocketAddr, place: OwnedSemaphorePermit) {
        let certificate = io.certificate();
        // One that has ended is good for being told so, and no more than none.
        let is_known =
            certificate.as_ref().and_then(ca::validity).is_some_and(|(_, until)| until > Clock::system().now());
        let stranger = match is_known {
            true => None,
            false => match Arc::clone(&self.strangers).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => {
                    figures::refused("strangers");
                    return;
                }
            },
        };
        let life = self.bounds.stranger_life.filter(|_| !is_known);
        let connection = Connection {
            io,
            peer: Peer { address, certificate },
            deadline: life.map(|life| Box::pin(tokio::time::sleep_until(Instant::now() + life))),
            _place: place,
            _stranger: stranger,
        };
        // The server is gone: so is this connection.
        let _ = self.ready.send(connection).await;
    }
}

impl Io {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first().cloned(),
        }
    }
}

impl Connection {
    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            figures::refused("stranger_life");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// An address as it may stand in a log. A laptop at home calls from its family's address, which says where they live: of
/// what does not lie in a private network nothing is kept.
#[must_use]
pub fn shown(address: SocketAddr) -> String {
    let is_private = match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if is_private { address.to_string() } else { "a public address".to_owned() }
}

/// Accepted connections, as axum takes them.
#[derive(Debug)]
pub struct Accepted {
    connections: mpsc::Receiver<Connection>,
    address: SocketAddr,
}

impl Accepted {
    /// What [`listen`] returned, and the address that it listens on.
    #[must_use]
    pub const fn new(connections: mpsc::Receiver<Connection>, address: SocketAddr) -> Self {
        Self { connections, address }
    }
}

impl axum::serve::Listener for Accepted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => {
                let address = connection.peer.address;
                (connection, address)
            }
            // The loop has ended with the program: there will be no other connection.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_has_the_address_of_somebody_s_home() {
        for school in ["10.1.2.3:4", "192.168.7.7:1", "[fd00::5]:9", "127.0.0.1:80", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(shown(school.parse().unwrap()), school);
        }
        for home in ["203.0.113.7:443", "[2001:db8::7]:1", "[::ffff:203.0.113.7]:1", "100.64.0.1:2"] {
            assert_eq!(shown(home.parse().unwrap()), "a public address");
        }
    }
}
