//! The way out of this network, and who is asked for names.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use windows::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_SUCCESS};
use windows::Win32::NetworkManagement::IpHelper::{
    GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_FRIENDLY_NAME, GAA_FLAG_SKIP_MULTICAST, GAA_FLAG_SKIP_UNICAST,
    GetAdaptersAddresses, GetBestRoute2, IP_ADAPTER_ADDRESSES_LH, MIB_IPFORWARD_ROW2,
};
use windows::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows::Win32::Networking::WinSock::{AF_INET, AF_INET6, AF_UNSPEC, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET};

/// Where nobody is: the networks for documentation (RFC 5737, RFC 3849). Nothing is sent; the way there is the way to
/// everything that is far.
const FAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// Room for the adapters of a machine with many; asked for again with what the system says it needs.
const ROOM: u32 = 16 << 10;

/// More than a machine has.
const MAX_SERVERS: usize = 8;

/// The default gateway and the number of its interface; IPv4 if there is one.
pub(crate) fn gateway() -> Option<(IpAddr, u32)> {
    FAR.into_iter().find_map(next_hop)
}

fn next_hop(to: IpAddr) -> Option<(IpAddr, u32)> {
    let to = SOCKADDR_INET::from(SocketAddr::new(to, 0));
    let mut route = MIB_IPFORWARD_ROW2::default();
    let mut source = SOCKADDR_INET::default();
    // SAFETY: the address and both places live through the call.
    // <https://learn.microsoft.com/en-us/windows/win32/api/netioapi/nf-netioapi-getbestroute2>
    let found = unsafe { GetBestRoute2(None, 0, None, &raw const to, 0, &raw mut route, &raw mut source) };
    let hop = (found == ERROR_SUCCESS).then(|| address(&route.NextHop)).flatten()?;
    // A route of its own link has no gateway.
    (!hop.is_unspecified()).then_some((hop, route.InterfaceIndex))
}

fn address(place: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every member of the union begins with the family, which says which one it is; all are plain bytes.
    unsafe {
        match place.si_family {
            AF_INET => Some(IpAddr::V4(Ipv4Addr::from(place.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes()))),
            AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(place.Ipv6.sin6_addr.u.Byte))),
            _ => None,
        }
    }
}

/// Who is asked for names, by the adapters that are up.
pub(crate) fn name_servers() -> Vec<IpAddr> {
    let flags = GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_FRIENDLY_NAME | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_UNICAST;
    let mut size = ROOM;
    for _ in 0..3 {
        // Words of eight bytes, because the table wants to be aligned so.
        let mut room = vec![0_u64; size as usize / 8 + 1];
        let table = room.as_mut_ptr().cast::<IP_ADAPTER_ADDRESSES_LH>();
        // SAFETY: the table is as long as is said, and lives as long as what is read from it.
        // <https://learn.microsoft.com/en-us/windows/win32/api/iphlpapi/nf-iphlpapi-getadaptersaddresses>
        let asked = unsafe { GetAdaptersAddresses(AF_UNSPEC.0.into(), flags, None, Some(table), &raw mut size) };
        if asked == ERROR_SUCCESS.0 {
            // SAFETY: after success a list of adapters begins there, all of it within the table.
            return unsafe { servers(table) };
        }
        if asked != ERROR_BUFFER_OVERFLOW.0 {
            break;
        }
    }
    Vec::new()
}

/// # Safety
/// `adapter` must be null or the begin of a list that the system has written, and that is still whole.
unsafe fn servers(mut adapter: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<IpAddr> {
    let mut found = Vec::new();
    // SAFETY: as said above; each element is valid, and points to the next or nowhere.
    while let Some(this) = unsafe { adapter.as_ref() } {
        let mut server =
            if this.OperStatus == IfOperStatusUp { this.FirstDnsServerAddress } else { std::ptr::null_mut() };
        // SAFETY: the same for the list of servers.
        while let Some(entry) = unsafe { server.as_ref() } {
            let place = entry.Address.lpSockaddr;
            // SAFETY: the address is of the family that it says, and as long as that.
            let address = unsafe {
                match (*place).sa_family {
                    AF_INET => Some(IpAddr::V4(Ipv4Addr::from(
                        (*place.cast::<SOCKADDR_IN>()).sin_addr.S_un.S_addr.to_ne_bytes(),
                    ))),
                    AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from((*place.cast::<SOCKADDR_IN6>()).sin6_addr.u.Byte))),
                    _ => None,
                }
            };
            if let Some(address) = address.filter(|address| !found.contains(address) && found.len() < MAX_SERVERS) {
                found.push(address);
            }
            server = entry.Next;
        }
        adapter = this.Next;
    }
    found
}
