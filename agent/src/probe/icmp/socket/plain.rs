//! Unix without Linux's extras: macOS gives unprivileged sockets, and the IP header with every IPv4 packet. Errors about
//! our requests come only to raw sockets.

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Duration;

use super::Received;
use crate::probe::icmp::packet::Family;

/// macOS gives it on unprivileged sockets, too.
pub(super) const ALWAYS_WITH_HEADER: bool = true;

/// The system's own, set again after a request with fewer.
pub(super) const DEFAULT_HOPS: u32 = 64;

/// Nothing is said about a packet.
pub(super) type Control = ();

pub(super) const fn control() -> Control {}

/// A buffer for many answers, or as many as the system allows.
pub(super) fn tune(socket: &socket2::Socket, _: Family, _: Option<u16>, buffer: usize) -> io::Result<()> {
    let sizes = [buffer, buffer / 4, buffer / 16];
    let _ = sizes.iter().find(|size| socket.set_recv_buffer_size(**size).is_ok());
    Ok(())
}

/// The length of a packet and whose it is.
pub(super) fn receive(
    socket: &socket2::Socket,
    buffer: &mut [u8],
    (): &mut Control,
) -> io::Result<(usize, IpAddr, Duration)> {
    // The sender's address is looked at first: reading takes the packet away.
    let (_, from) = socket.peek_sender().map(|from| ((), from))?;
    let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?.ip();
    let mut socket = socket;
    Ok((socket.read(buffer)?, from, Duration::ZERO))
}

/// There is no such queue here.
pub(super) fn receive_error(
    _: &socket2::Socket,
    _: Family,
    _: &mut [u8],
    (): &mut Control,
) -> io::Result<Option<Received>> {
    Err(io::ErrorKind::WouldBlock.into())
}
