//! The default gateway, from the kernel's routing tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::Host;

/// A route's flags: up, and by a gateway.
const UP_AND_GATEWAY: u32 = 0x3;

/// Where everything goes that is not near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// The interface's number, for an address that is only valid on its link.
    pub scope: u32,
}

/// The default gateway with the lowest metric; IPv4 if there is one, because that is what more of a school depends on.
#[must_use]
pub fn find(host: &Host) -> Option<Gateway> {
    ask_system().or_else(|| read(host))
}

#[cfg(windows)]
fn ask_system() -> Option<Gateway> {
    crate::windows::gateway().map(|(address, scope)| Gateway { address, scope })
}

/// Here it is read from a file.
#[cfg(not(windows))]
const fn ask_system() -> Option<Gateway> {
    None
}

fn read(host: &Host) -> Option<Gateway> {
    let v4 = host.read("proc/net/route").ok().and_then(|text| v4(&text));
    v4.map(|address| Gateway { address: IpAddr::V4(address), scope: 0 }).or_else(|| {
        let text = host.read("proc/net/ipv6_route").ok()?;
        let (address, interface) = v6(&text)?;
        let number = host.word(&format!("sys/class/net/{interface}/ifindex")).and_then(|word| word.parse().ok());
        Some(Gateway { address: IpAddr::V6(address), scope: number.unwrap_or(0) })
    })
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, addresses as hexadecimal in the machine's own order.
fn v4(text: &str) -> Option<Ipv4Addr> {
    let route = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = words[..] else { return None };
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let default = destination == "00000000" && mask == "00000000";
        (default && flags & UP_AND_GATEWAY == UP_AND_GATEWAY && gateway != 0)
            .then_some((metric.parse::<u32>().ok()?, Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    text.lines().filter_map(route).min_by_key(|(metric, _)| *metric).map(|(_, gateway)| gateway)
}

/// `destination length source length gateway metric refcnt use flags interface`, all hexadecimal.
fn v6(text: &str) -> Option<(Ipv6Addr, &str)> {
    let route = |line| -> Option<(u32, Ipv6Addr, &str)> {
        let words: Vec<&str> = str::split_ascii_whitespace(line).collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, interface] = words[..] else { return None };
        let gateway = u128::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let default = length == "00" && destination.bytes().all(|byte| byte == b'0');
        (default && flags & UP_AND_GATEWAY == UP_AND_GATEWAY && !interface.contains(['/', '.'])).then_some((
            u32::from_str_radix(metric, 16).ok()?,
            Ipv6Addr::from_bits(gateway),
            interface,
        ))
    };
    text.lines().filter_map(route).min_by_key(|(metric, _, _)| *metric).map(|(_, gateway, name)| (gateway, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";

    const ROUTES_V6: &str = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_with_the_lowest_metric_wins() {
        assert_eq!(v4(ROUTES), Some(Ipv4Addr::new(192, 168, 1, 1)));
    }

    #[test]
    fn a_link_local_gateway_comes_with_its_interface() {
        assert_eq!(v6(ROUTES_V6), Some(("fe80::1".parse().unwrap(), "eth0")));
    }

    #[test]
    fn a_machine_without_a_way_out_has_no_gateway() {
        for text in ["", "Iface\tDestination\n", "eth0 00000000 zz 0003 0 0 0 00000000"] {
            assert_eq!(v4(text), None);
            assert_eq!(v6(text), None);
        }
        assert_eq!(find(&Host::at("/nonexistent")), None);
    }
}
