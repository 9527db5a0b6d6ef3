//! Echo requests, sent and waited for by the system itself: nobody needs a right for it.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use windows::Win32::Foundation::HANDLE;
use windows::Win32::NetworkManagement::IpHelper::{
    ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY_LH, IP_DEST_HOST_UNREACHABLE, IP_DEST_NET_UNREACHABLE, IP_DEST_UNREACHABLE,
    IP_OPTION_INFORMATION, IP_SUCCESS, IP_TTL_EXPIRED_TRANSIT, Icmp6CreateFile, Icmp6SendEcho2, IcmpCloseHandle,
    IcmpCreateFile, IcmpSendEcho2Ex,
};
use windows::Win32::Networking::WinSock::SOCKADDR_IN6;

/// As other programs of this system send.
const HOPS: u8 = 128;

/// What the requests carry; its content is nobody's business.
const PAYLOAD: [u8; PAYLOAD_BYTES as usize] = [0; PAYLOAD_BYTES as usize];
const PAYLOAD_BYTES: u16 = 8;

/// The reply, its payload, 8 bytes for an error, and what the system keeps at the end for itself.
const REPLY_WORDS: usize = 32;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// From the target.
    Reply,
    /// From a router: there is no way.
    Unreachable(IpAddr),
    /// From a router: it passed as many as it was allowed to.
    Expired(IpAddr),
    /// Nothing.
    Silence,
}

/// An open handle of the system's echo service.
struct Service(HANDLE);

impl Service {
    fn open(v6: bool) -> io::Result<Self> {
        // SAFETY: takes nothing.
        // <https://learn.microsoft.com/en-us/windows/win32/api/icmpapi/nf-icmpapi-icmpcreatefile>
        Ok(Self(unsafe { if v6 { Icmp6CreateFile() } else { IcmpCreateFile() } }?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, open, and closed this once. Nothing is left to do with a failure.
        let _ = unsafe { IcmpCloseHandle(self.0) };
    }
}

/// Whether this system can send echo requests of a family at all.
///
/// # Errors
/// Why not.
pub(crate) fn check(v6: bool) -> io::Result<()> {
    Service::open(v6).map(drop)
}

/// Sends one request and waits for its answer, on this thread.
///
/// # Errors
/// When the system does not take it.
pub(crate) fn echo(to: SocketAddr, hops: Option<u8>, wait: Duration) -> io::Result<Echo> {
    let service = Service::open(to.is_ipv6())?;
    let options = IP_OPTION_INFORMATION { Ttl: hops.unwrap_or(HOPS), ..IP_OPTION_INFORMATION::default() };
    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    // Words of eight bytes, because replies want to be aligned so.
    let mut room = [0_u64; REPLY_WORDS];
    let answer = match to {
        SocketAddr::V4(to) => ask_v4(&service, *to.ip(), &options, &mut room, wait_ms),
        SocketAddr::V6(to) => ask_v6(&service, to, &options, &mut room, wait_ms),
    };
    Ok(match answer {
        Some((_, IP_SUCCESS)) => Echo::Reply,
        Some((from, IP_TTL_EXPIRED_TRANSIT)) => Echo::Expired(from),
        Some((from, IP_DEST_HOST_UNREACHABLE | IP_DEST_NET_UNREACHABLE | IP_DEST_UNREACHABLE)) => {
            Echo::Unreachable(from)
        }
        _ => Echo::Silence,
    })
}

/// Who answered, and with which status.
type Answer = Option<(IpAddr, u32)>;

const fn bytes(words: &[u64; REPLY_WORDS]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "256 bytes")]
    let size = size_of_val(words) as u32;
    size
}

fn ask_v4(
    service: &Service,
    to: Ipv4Addr,
    options: &IP_OPTION_INFORMATION,
    room: &mut [u64; REPLY_WORDS],
    wait_ms: u32,
) -> Answer {
    let number = |address: Ipv4Addr| u32::from_ne_bytes(address.octets());
    let size = bytes(room);
    // SAFETY: without event and callback the call returns when it is done, so payload, options and room outlive it;
    // the room is as long as is said.
    // <https://learn.microsoft.com/en-us/windows/win32/api/icmpapi/nf-icmpapi-icmpsendecho2ex>
    let replies = unsafe {
        IcmpSendEcho2Ex(
            service.0,
            None,
            None,
            None,
            number(Ipv4Addr::UNSPECIFIED),
            number(to),
            PAYLOAD.as_ptr().cast(),
            PAYLOAD_BYTES,
            Some(options),
            room.as_mut_ptr().cast(),
            size,
            wait_ms,
        )
    };
    // SAFETY: the system has written a reply at the begin of the room, which is aligned for it and longer.
    let reply = (replies > 0).then(|| unsafe { room.as_ptr().cast::<ICMP_ECHO_REPLY>().read() })?;
    Some((IpAddr::V4(Ipv4Addr::from(reply.Address.to_ne_bytes())), reply.Status))
}

fn ask_v6(
    service: &Service,
    to: SocketAddrV6,
    options: &IP_OPTION_INFORMATION,
    room: &mut [u64; REPLY_WORDS],
    wait_ms: u32,
) -> Answer {
    let from = SOCKADDR_IN6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0));
    let to = SOCKADDR_IN6::from(to);
    let size = bytes(room);
    // SAFETY: as for the other family; both addresses outlive the call, too.
    // <https://learn.microsoft.com/en-us/windows/win32/api/icmpapi/nf-icmpapi-icmp6sendecho2>
    let replies = unsafe {
        Icmp6SendEcho2(
            service.0,
            None,
            None,
            None,
            &raw const from,
            &raw const to,
            PAYLOAD.as_ptr().cast(),
            PAYLOAD_BYTES,
            Some(options),
            room.as_mut_ptr().cast(),
            size,
            wait_ms,
        )
    };
    // SAFETY: the system has written a reply at the begin of the room, which is longer.
    let reply = (replies > 0).then(|| unsafe { room.as_ptr().cast::<ICMPV6_ECHO_REPLY_LH>().read_unaligned() })?;
    // Each word is in the order of the network.
    let words = reply.Address.sin6_addr;
    let address = Ipv6Addr::from(words.map(u16::from_be));
    Some((IpAddr::V6(address), reply.Status))
}
