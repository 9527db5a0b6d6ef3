//! The system's side of the echo engine: one socket of one family.
//!
//! On Linux the kernel stamps what comes in, and gives errors about our requests back on a queue of their own. A raw
//! socket hears all ICMP of the machine, so a filter in the kernel keeps what is not for us from waking the agent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::packet::{self, Family, Heard};

#[cfg(target_os = "linux")]
#[path = "socket/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "socket/plain.rs"]
mod system;

/// The buffer that is wished for: an administrator may set a lower limit (`net.core.rmem_max`).
const BUFFER_BYTES: usize = 4 << 20;

/// What one waiting answer takes of the buffer: 832 bytes were measured on Linux; twice that is on the safe side.
const ANSWER_BYTES: usize = 1_664;

/// Requests under way at once, whatever the buffer. The upper end bounds how many dead targets are waited for together.
const ROOM: RangeInclusive<usize> = 32..=4_096;

/// The largest packet that can concern us: an IP header with options, an ICMP header and a quoted packet of ours.
const PACKET_BYTES: usize = 256;

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Received {
    pub heard: Heard,
    pub from: IpAddr,
    /// How long it has lain in the kernel.
    pub age: Duration,
}

pub(super) struct Socket {
    /// To the runtime an echo socket is like any other that takes datagrams.
    io: UdpSocket,
    family: Family,
    identifier: u16,
    raw: bool,
    room: usize,
}

impl Socket {
    /// The unprivileged kind, else the raw one.
    pub(super) fn open(family: Family) -> io::Result<Self> {
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let identifier = rand::random();
        let make = |kind| socket2::Socket::new(domain, kind, Some(protocol));
        let (socket, raw) = match make(Type::DGRAM) {
            Ok(socket) => (socket, false),
            Err(_) => (make(Type::RAW)?, true),
        };
        socket.set_nonblocking(true)?;
        system::tune(&socket, family, raw.then_some(identifier), BUFFER_BYTES)?;
        let room = (socket.recv_buffer_size()? / ANSWER_BYTES).clamp(*ROOM.start(), *ROOM.end());
        let io = UdpSocket::from_std(socket.into())?;
        Ok(Self { io, family, identifier, raw, room })
    }

    /// Requests that may be under way without an answer being lost here.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Sends an echo request.
    pub(super) fn send(&self, to: SocketAddr, sequence: u16, token: u64, hops: Option<u8>) -> io::Result<()> {
        let request = packet::request(self.family, self.identifier, sequence, token);
        let socket = SockRef::from(&self.io);
        let Some(hops) = hops else { return socket.send_to(&request, &to.into()).map(drop) };
        self.set_hops(u32::from(hops))?;
        let sent = socket.send_to(&request, &to.into());
        self.set_hops(system::DEFAULT_HOPS)?;
        sent.map(drop)
    }

    fn set_hops(&self, hops: u32) -> io::Result<()> {
        match self.family {
            Family::V4 => SockRef::from(&self.io).set_ttl_v4(hops),
            Family::V6 => SockRef::from(&self.io).set_unicast_hops_v6(hops),
        }
    }

    /// Waits until something is there.
    pub(super) async fn ready(&self) {
        // An error here is one of the runtime's end.
        let _ = self.io.ready(Interest::READABLE.add(Interest::ERROR)).await;
    }

    /// Hands over at most `most` packets that are there. The runtime keeps what is to be read apart from errors, and
    /// each is asked for by itself: together they are never ready.
    pub(super) fn take(&self, most: usize, mut take: impl FnMut(Received)) {
        let socket = SockRef::from(&self.io);
        let mut control = system::control();
        let mut buffer = [0; PACKET_BYTES];
        for _ in 0..most {
            match self.io.try_io(Interest::READABLE, || self.take_one(&socket, &mut buffer, &mut control)) {
                Ok(Some(received)) => take(received),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        for _ in 0..most {
            let error = || system::receive_error(&socket, self.family, &mut buffer, &mut control);
            match self.io.try_io(Interest::ERROR, error) {
                Ok(Some(received)) => take(received),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }

    /// One packet, if it is for us; an error of the kind "would block" if there is none.
    fn take_one(
        &self,
        socket: &socket2::Socket,
        buffer: &mut [u8; PACKET_BYTES],
        control: &mut system::Control,
    ) -> io::Result<Option<Received>> {
        match system::receive(socket, buffer, control) {
            Ok((length, from, age)) => {
                let with_header = self.family == Family::V4 && (self.raw || system::ALWAYS_WITH_HEADER);
                let heard = packet::parse(self.family, &buffer[..length.min(PACKET_BYTES)], with_header);
                Ok(heard.filter(|heard| self.is_ours(heard)).map(|heard| Received { heard, from, age }))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // About an earlier request; it is told again in full on the queue of errors.
            Err(_) => Ok(None),
        }
    }

    /// The unprivileged socket's identifier is the kernel's, and the kernel gives us only our own.
    fn is_ours(&self, heard: &Heard) -> bool {
        let (Heard::Reply { identifier, .. } | Heard::Refused { identifier, .. }) = heard;
        !self.raw || *identifier == self.identifier
    }
}
