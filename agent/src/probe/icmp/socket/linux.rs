//! What only Linux has: stamps, a filter in the kernel, a queue of errors.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::{Ipv4RecvErr, Ipv6RecvErr, RcvBufForce, ReceiveTimestampns},
};
use socket2::SockFilter;

use super::Received;
use crate::probe::icmp::packet::{self, Family, Heard};

/// Only raw sockets give the IP header.
pub(super) const ALWAYS_WITH_HEADER: bool = false;

/// The kernel's own, set again after a request with fewer.
pub(super) const DEFAULT_HOPS: u32 = 64;

/// A stamp that says more than this is one of a clock that was set meanwhile.
const AGE_MAX: Duration = Duration::from_secs(10);

/// Who made an error: a router of IPv4 or of IPv6 (`linux/errqueue.h`).
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Room for what the kernel says about a packet.
pub(super) type Control = Vec<u8>;

pub(super) fn control() -> Control {
    nix::cmsg_space!(nix::sys::time::TimeSpec, [u8; 64])
}

/// A buffer for many answers, a stamp on each, and of a raw socket only what is for `identifier`.
pub(super) fn tune(socket: &socket2::Socket, family: Family, identifier: Option<u16>, buffer: usize) -> io::Result<()> {
    // Beyond the system's limit only with the right to administer the network.
    if setsockopt(socket, RcvBufForce, &buffer).is_err() {
        socket.set_recv_buffer_size(buffer)?;
    }
    setsockopt(socket, ReceiveTimestampns, &true)?;
    match (identifier, family) {
        (Some(identifier), _) => socket.attach_filter(&filter(family, identifier))?,
        (None, Family::V4) => setsockopt(socket, Ipv4RecvErr, &true)?,
        (None, Family::V6) => setsockopt(socket, Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Lets through answers to our identifier, and what routers say. A raw IPv4 packet begins with its IP header, whose
/// length the first instruction puts into the index register; an IPv6 one begins with the ICMP header.
fn filter(family: Family, identifier: u16) -> Vec<SockFilter> {
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const LOAD_BYTE_AT_INDEX: u16 = 0x50;
    const LOAD_HALF_AT_INDEX: u16 = 0x48;
    const LOAD_ZERO_INTO_INDEX: u16 = 0x01;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let (index, reply, unreachable, expired) = match family {
        Family::V4 => (LOAD_HEADER_LENGTH, 0, 3, 11),
        Family::V6 => (LOAD_ZERO_INTO_INDEX, 129, 1, 3),
    };
    vec![
        SockFilter::new(index, 0, 0, 0),
        SockFilter::new(LOAD_BYTE_AT_INDEX, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 4, 0, unreachable),
        SockFilter::new(JUMP_IF_EQUAL, 3, 0, expired),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, reply),
        SockFilter::new(LOAD_HALF_AT_INDEX, 0, 0, 4),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(identifier)),
        // What routers say lands here from above.
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// The length of a packet, whose it is, and how long it has waited here.
pub(super) fn receive(
    socket: &socket2::Socket,
    buffer: &mut [u8],
    control: &mut Control,
) -> io::Result<(usize, IpAddr, Duration)> {
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
    let from = message.address.as_ref().and_then(ip).ok_or(io::ErrorKind::InvalidData)?;
    let mut age = Duration::ZERO;
    for said in message.cmsgs()? {
        if let ControlMessageOwned::ScmTimestampns(stamp) = said {
            age = age_of(Duration::from(stamp), SystemTime::now());
        }
    }
    Ok((message.bytes, from, age))
}

fn age_of(stamp: Duration, now: SystemTime) -> Duration {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.checked_sub(stamp).filter(|age| *age <= AGE_MAX).unwrap_or_default()
}

/// The next of the queue of errors: which of our requests, and who refused it.
pub(super) fn receive_error(
    socket: &socket2::Socket,
    family: Family,
    buffer: &mut [u8],
    control: &mut Control,
) -> io::Result<Option<Received>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_ERRQUEUE;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
    let to = message.address.as_ref().and_then(ip);
    let by = message.cmsgs()?.find_map(|said| match said {
        ControlMessageOwned::Ipv4RecvErr(error, Some(by)) if error.ee_origin == ORIGIN_ICMP => {
            Some((error.ee_type, IpAddr::V4(Ipv4Addr::from(by.sin_addr.s_addr.to_ne_bytes()))))
        }
        ControlMessageOwned::Ipv6RecvErr(error, Some(by)) if error.ee_origin == ORIGIN_ICMP6 => {
            Some((error.ee_type, IpAddr::V6(Ipv6Addr::from(by.sin6_addr.s6_addr))))
        }
        _ => None,
    });
    let length = message.bytes;
    let (Some((kind, from)), Some(to)) = (by, to) else { return Ok(None) };
    let sequence = packet::parse_own(family, buffer.get(..length).unwrap_or_default());
    let (Some(refusal), Some(sequence)) = (family.refusal(kind), sequence) else { return Ok(None) };
    // The identifier on the wire was the kernel's choice.
    let heard = Heard::Refused { refusal, to, identifier: 0, sequence };
    Ok(Some(Received { heard, from, age: Duration::ZERO }))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_a_clock_that_was_set_says_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(age_of(Duration::from_millis(999_990), now), Duration::from_millis(10));
        assert_eq!(age_of(Duration::from_secs(1_001), now), Duration::ZERO);
        assert_eq!(age_of(Duration::from_secs(10), now), Duration::ZERO);
    }
}
