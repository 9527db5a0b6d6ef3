//! What a watched device knows of others, as it goes to the collector.
//!
//! A switch has learned the address of every machine in the building, most of them nobody's business: phones in pockets,
//! visitors' laptops. Only addresses that the district manages get into the message; the others are a number for each
//! port. Neighbors get in if they say that they are network gear or phones: the name of a computer can be a person's. The
//! description that an admin gave a port is not asked for, for the same reason.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bellwether_logic::topology::Mac;
use bellwether_proto::v1;

use super::profile::Row;
use crate::gather::Gather;

/// Ports of one device; a stack of ten has fewer.
pub const PORTS_MAX: usize = 1_024;

/// Addresses of its own: one for each port, and a few of its VLANs.
pub const OWN_MAX: usize = 512;

/// Neighbors of one device; a port has one, or a few behind a switch that nobody manages.
pub const NEIGHBORS_MAX: usize = 512;

/// Managed addresses that one device has learned; a core switch sees all of a district's.
pub const LEARNED_MAX: usize = 16_384;

/// Letters of a name or description.
const TEXT_MAX: usize = 120;

/// `ifType` of sockets and bundles of them (IANAifType-MIB): Ethernet of any age, link aggregation.
const SOCKETS: [&str; 5] = ["6", "62", "69", "117", "161"];

/// The bits of LLDP's capabilities, from the highest (LLDP-MIB, `LldpSystemCapabilitiesMap`).
const LLDP: [&str; 8] = ["other", "repeater", "bridge", "access_point", "router", "phone", "cable_modem", "station"];

/// The bits of CDP's capabilities, from the lowest (CISCO-CDP-MIB, `cdpCacheCapabilities`).
const CDP: [&str; 8] = ["router", "bridge", "bridge", "bridge", "host", "igmp", "repeater", "phone"];

/// One of these is network gear, or a phone.
const GEAR: [&str; 4] = ["access_point", "bridge", "phone", "router"];

/// Makes the message of what a device's slow columns said; `base` is its own first address. Says also how much found no room in it.
#[must_use]
pub fn of(target: &str, base: &str, rows: &[Row], managed: &BTreeSet<Mac>) -> (v1::Neighborhood, usize) {
    let bridge: BTreeMap<&str, &str> =
        of_kind(rows, "bridge_port").filter_map(|row| Some((row.get("port")?, row.get("ifName")?))).gather();
    let own = own(base, rows);
    let table = Table::new(rows, &bridge, managed, &own);
    let mut resolved: BTreeSet<(Mac, &str)> = BTreeSet::new();
    for row in of_kind(rows, "resolved") {
        if let (Some(mac), Some(address)) = (row.mac(), row.get("address"))
            && managed.contains(&mac)
        {
            resolved.insert((mac, address));
        }
    }
    let ports = ports(rows, &table.others);
    let mut told: BTreeMap<Heard<'_>, BTreeSet<(bool, &str)>> = BTreeMap::new();
    for row in of_kind(rows, "neighbor_address") {
        if let Some(address) = row.get("address") {
            told.entry(row.heard()).or_default().insert((address.contains(':'), address));
        }
    }
    let neighbors = of_kind(rows, "neighbor").filter_map(|row| neighbor(row, &told)).gather::<BTreeMap<_, _>>();
    let mut dropped = 0;
    let neighborhood = v1::Neighborhood {
        target_id: target.to_owned(),
        macs: some(own.iter().map(Mac::to_string), OWN_MAX, &mut dropped),
        ports: some(ports, PORTS_MAX, &mut dropped),
        neighbors: some(neighbors.into_values(), NEIGHBORS_MAX, &mut dropped),
        learned: some(table.learned.into_iter().map(learned), LEARNED_MAX, &mut dropped),
        resolved: some(
            resolved
                .into_iter()
                .map(|(mac, address)| v1::Resolved { mac: mac.to_string(), address: address.to_owned() }),
            LEARNED_MAX,
            &mut dropped,
        ),
        gateway_address: String::new(),
        gateway_mac: String::new(),
    };
    (neighborhood, dropped)
}

/// The addresses that the collector says are managed, whatever it says.
#[must_use]
pub fn managed(list: &[String]) -> BTreeSet<Mac> {
    list.iter().filter_map(|mac| mac.parse().ok()).filter(|mac: &Mac| !mac.is_nobodys()).gather()
}

/// The port that heard a neighbor and the number that it gave it.
type Heard<'a> = (Option<&'a str>, Option<&'a str>);

/// A row of one kind.
struct Line<'a>(&'a BTreeMap<&'static str, String>);

impl<'a> Line<'a> {
    fn get(&self, column: &str) -> Option<&'a str> {
        self.0.get(column).map(String::as_str)
    }

    fn mac(&self) -> Option<Mac> {
        self.get("mac")?.parse().ok()
    }

    fn heard(&self) -> Heard<'a> {
        (self.get("heard_on"), self.get("number"))
    }

    fn text(&self, column: &str) -> String {
        let text = self.get(column).unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
    }
}

fn of_kind<'a>(rows: &'a [Row], kind: &'static str) -> impl Iterator<Item = Line<'a>> {
    rows.iter().filter(move |row| row.kind == kind).map(|row| Line(&row.columns))
}

/// As many as there is room for.
fn some<T>(all: impl IntoIterator<Item = T>, max: usize, dropped: &mut usize) -> Vec<T> {
    let mut all = all.into_iter();
    let some = all.by_ref().take(max).collect();
    *dropped += all.count();
    some
}

/// The device's own addresses.
fn own(base: &str, rows: &[Row]) -> BTreeSet<Mac> {
    let ports = of_kind(rows, "port").filter_map(|row| row.mac());
    base.parse().ok().into_iter().chain(ports).filter(|mac: &Mac| !mac.is_nobodys()).gather()
}

/// A forwarding table.
#[derive(Default)]
struct Table<'a> {
    learned: BTreeSet<(&'a str, Mac, u32)>,
    /// What nobody manages, for each port.
    others: BTreeMap<&'a str, u32>,
}

impl<'a> Table<'a> {
    fn new(rows: &'a [Row], bridge: &BTreeMap<&'a str, &'a str>, managed: &BTreeSet<Mac>, own: &BTreeSet<Mac>) -> Self {
        let mut table = Self::default();
        // The same address in another VLAN is no other.
        let mut counted: BTreeSet<(&str, Mac)> = BTreeSet::new();
        for row in of_kind(rows, "forwarding") {
            let (Some(mac), Some(port)) = (row.mac(), row.get("port")) else { continue };
            let port = bridge.get(port).copied().unwrap_or(port);
            let vlan = row.get("vlan").and_then(|vlan| vlan.parse().ok()).unwrap_or(0);
            if managed.contains(&mac) && !own.contains(&mac) {
                table.learned.insert((port, mac, vlan));
            } else if mac.0[0] & 1 == 0 && !own.contains(&mac) && counted.insert((port, mac)) {
                *table.others.entry(port).or_default() += 1;
            }
        }
        table
    }
}

fn learned((port, mac, vlan): (&str, Mac, u32)) -> v1::Learned {
    v1::Learned { port: port.to_owned(), mac: mac.to_string(), vlan }
}

fn ports(rows: &[Row], others: &BTreeMap<&str, u32>) -> Vec<v1::Port> {
    let powers: BTreeSet<&str> = of_kind(rows, "power")
        .filter(|row| row.get("status") == Some("delivering"))
        .filter_map(|row| row.get("ifName"))
        .gather();
    let mut known = BTreeSet::new();
    let mut ports: Vec<v1::Port> = Vec::new();
    let port = |name: &str, up| v1::Port {
        name: name.to_owned(),
        up,
        others: others.get(name).copied().unwrap_or(0),
        powers: powers.contains(name),
        alias: String::new(),
    };
    // In the order of the device: port 10 comes after port 9.
    for row in of_kind(rows, "port").filter(|row| row.get("type").is_some_and(|kind| SOCKETS.contains(&kind))) {
        if let Some(name) = row.get("ifName").filter(|name| known.insert(*name)) {
            ports.push(port(name, row.get("status") == Some("up")));
        }
    }
    ports.extend(others.keys().filter(|name| !known.contains(*name)).map(|name| port(name, true)));
    ports
}

/// A neighbor that is network gear or a phone, by port and name: an LLDP neighbor that speaks CDP as well is told twice.
fn neighbor(
    row: Line<'_>,
    told: &BTreeMap<Heard<'_>, BTreeSet<(bool, &str)>>,
) -> Option<((String, bool, String), v1::Neighbor)> {
    let bits = row.get("capabilities")?;
    let octets: Vec<u8> =
        (0..bits.len() / 2).filter_map(|at| u8::from_str_radix(bits.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    // Only CDP's rows bear the platform; its capabilities are a number of four octets, LLDP's a string of bits.
    let by_cdp = row.get("platform").is_some() || octets.len() == 4;
    let octet = if by_cdp { octets.last() } else { octets.first() }.copied()?;
    let words: BTreeSet<&str> = (0..8)
        .filter(|bit| octet & if by_cdp { 1 << bit } else { 0x80 >> bit } != 0)
        .map(|bit| if by_cdp { CDP[bit] } else { LLDP[bit] })
        .gather();
    if !GEAR.iter().any(|gear| words.contains(gear)) || words.contains("station") {
        return None;
    }
    let neighbor = v1::Neighbor {
        port: row.text("local_port"),
        protocol: if by_cdp { "cdp" } else { "lldp" }.to_owned(),
        chassis: row.text("chassis"),
        remote_port: row.text("port"),
        name: row.text("name"),
        description: row.text(if by_cdp { "platform" } else { "description" }),
        capabilities: words.into_iter().map(str::to_owned).collect(),
        // Of several the same each time, version 4 first.
        address: row.get("address").and_then(address).unwrap_or_else(|| {
            let first = told.get(&row.heard()).and_then(|all| all.first());
            first.map(|(_, address)| (*address).to_owned()).unwrap_or_default()
        }),
    };
    Some(((neighbor.port.clone(), by_cdp, neighbor.chassis.clone()), neighbor))
}

/// Four octets in hexadecimal.
fn address(hex: &str) -> Option<String> {
    (hex.len() == 8).then(|| u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::look;
    use crate::snmp::profile::Shelf;

    const PRINTER: &str = "8c:04:ba:00:00:05";

    /// A switch of ten ports that learned a printer and two pockets' phones behind port 7, and heard a switch, an access
    /// point and somebody's computer.
    fn switch() -> String {
        let mut lines = vec![
            "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99999.1".to_owned(),
            "1.3.6.1.2.1.17.1.1.0|4x|8c04ba000001".to_owned(),
        ];
        for port in 1..=10 {
            lines.push(format!("1.3.6.1.2.1.2.2.1.3.{}|2|6", port + 100));
            lines.push(format!("1.3.6.1.2.1.2.2.1.6.{}|4x|8c04ba0001{port:02x}", port + 100));
            lines.push(format!("1.3.6.1.2.1.2.2.1.8.{}|2|{}", port + 100, if port == 7 { 1 } else { 2 }));
            lines.push(format!("1.3.6.1.2.1.31.1.1.1.1.{}|4|Gi0/{port}", port + 100));
            lines.push(format!("1.3.6.1.2.1.31.1.1.1.18.{}|4|desk of Jane Doe", port + 100));
            lines.push(format!("1.3.6.1.2.1.17.1.4.1.2.{port}|2|{}", port + 100));
        }
        for mac in ["140.4.186.0.0.5", "140.4.186.0.0.6", "218.161.25.1.2.3", "51.51.0.0.0.22"] {
            for vlan in [1, 20] {
                lines.push(format!("1.3.6.1.2.1.17.7.1.2.2.1.2.{vlan}.{mac}|2|7"));
                lines.push(format!("1.3.6.1.2.1.17.7.1.2.2.1.3.{vlan}.{mac}|2|3"));
            }
        }
        for (index, octets, bits, name) in [
            (1, "8c04ba000009", "2800", "sw-core"),
            (2, "8c04ba00000a", "1000", "ap-12"),
            (3, "8c04ba00000b", "2180", "JANES-PC"),
            (4, "8c04ba00000c", "80", "JANES-TABLET"),
        ] {
            lines.push(format!("1.0.8802.1.1.2.1.4.1.1.5.0.{index}.1|4x|{octets}"));
            lines.push(format!("1.0.8802.1.1.2.1.4.1.1.7.0.{index}.1|4|eth0"));
            lines.push(format!("1.0.8802.1.1.2.1.4.1.1.9.0.{index}.1|4|{name}"));
            lines.push(format!("1.0.8802.1.1.2.1.4.1.1.12.0.{index}.1|4x|{bits}"));
        }
        lines.push("1.0.8802.1.1.2.1.4.2.1.3.0.2.1.2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.10|2|2".to_owned());
        lines.push("1.0.8802.1.1.2.1.4.2.1.3.0.2.1.1.4.10.20.0.12|2|2".to_owned());
        lines.push("1.0.8802.1.1.2.1.4.2.1.3.0.3.1.1.4.10.20.0.66|2|2".to_owned());
        lines.push("1.3.6.1.4.1.9.9.23.1.2.1.1.6.105.1|4|SEP8C04BA00000D".to_owned());
        lines.push("1.3.6.1.4.1.9.9.23.1.2.1.1.8.105.1|4|Cisco IP Phone 7841".to_owned());
        lines.push("1.3.6.1.4.1.9.9.23.1.2.1.1.9.105.1|4x|00000490".to_owned());
        lines.push("1.3.6.1.4.1.9.9.23.1.2.1.1.4.105.1|4x|0a140009".to_owned());
        lines.push("1.3.6.1.2.1.105.1.1.1.6.1.2|2|3".to_owned());
        for (address, octets) in [("10.20.0.5", "8c04ba000005"), ("10.20.0.6", "8c04ba000006")] {
            lines.push(format!("1.3.6.1.2.1.4.22.1.2.1.{address}|4x|{octets}"));
            lines.push(format!("1.3.6.1.2.1.4.22.1.3.1.{address}|64|{address}"));
            lines.push(format!("1.3.6.1.2.1.4.22.1.4.1.{address}|2|3"));
        }
        for (host, octets) in [(5, "8c04ba000005"), (6, "8c04ba000006")] {
            for net in ["32.1.13.184.0.0.0.0", "254.128.0.0.0.0.0.0"] {
                let index = format!("1.2.16.{net}.0.0.0.0.0.0.0.{host}");
                lines.push(format!("1.3.6.1.2.1.4.35.1.4.{index}|4x|{octets}"));
                lines.push(format!("1.3.6.1.2.1.4.35.1.6.{index}|2|3"));
            }
        }
        lines.join("\n")
    }

    fn seen(managed_macs: &[&str]) -> v1::Neighborhood {
        let shelf = Shelf::built_in().unwrap();
        let look = look::at_recording(&shelf, switch().as_bytes());
        assert_eq!(look.bad_lines, 0);
        let list: Vec<String> = managed_macs.iter().map(|mac| (*mac).to_owned()).collect();
        let (seen, dropped) = of("d1", look.facts.mac.as_deref().unwrap_or_default(), &look.rows, &managed(&list));
        assert_eq!(dropped, 0);
        seen
    }

    #[test]
    fn managed_addresses_are_told_with_their_port_and_all_others_are_a_number() {
        let seen = seen(&[PRINTER]);
        let learned: Vec<_> = seen.learned.iter().map(|it| (&*it.port, &*it.mac, it.vlan)).collect();
        assert_eq!(learned, [("Gi0/7", PRINTER, 1), ("Gi0/7", PRINTER, 20)]);
        let others: Vec<_> = seen.ports.iter().map(|port| (&*port.name, port.others, port.up)).collect();
        assert_eq!(others[5..8], [("Gi0/6", 0, false), ("Gi0/7", 2, true), ("Gi0/8", 0, false)]);
        assert_eq!(others.len(), 10);
        let resolved: Vec<_> = seen.resolved.iter().map(|it| (&*it.mac, &*it.address)).collect();
        assert_eq!(
            resolved,
            [(PRINTER, "10.20.0.5"), (PRINTER, "2001:db8::5")],
            "both versions, and none of the link alone"
        );
        assert_eq!(seen.macs.len(), 11);
        assert!(seen.macs.contains(&"8c:04:ba:00:00:01".to_owned()));
        let text = format!("{seen:?}");
        for nobodys in ["8c:04:ba:00:00:06", "da:a1:19", "33:33", "10.20.0.6", "10.20.0.66", "db8::6", "Jane", "JANE"] {
            assert!(!text.contains(nobodys), "{nobodys} in {text}");
        }
    }

    #[test]
    fn neighbors_are_network_gear_and_phones() {
        let seen = seen(&[]);
        let told: Vec<_> =
            seen.neighbors.iter().map(|it| (&*it.port, &*it.protocol, &*it.name, &*it.chassis)).collect();
        assert_eq!(
            told,
            [
                ("Gi0/1", "lldp", "sw-core", "8c:04:ba:00:00:09"),
                ("Gi0/2", "lldp", "ap-12", "8c:04:ba:00:00:0a"),
                ("Gi0/5", "cdp", "", "SEP8C04BA00000D"),
            ]
        );
        assert_eq!(seen.neighbors[0].capabilities, ["bridge", "router"]);
        assert_eq!(seen.neighbors[1].address, "10.20.0.12", "where its management answers");
        assert_eq!(
            (&*seen.neighbors[2].address, &*seen.neighbors[2].description),
            ("10.20.0.9", "Cisco IP Phone 7841")
        );
        let powered: Vec<_> = seen.ports.iter().filter(|port| port.powers).map(|port| &*port.name).collect();
        assert_eq!(powered, ["Gi0/2"]);
        assert!(seen.learned.is_empty());
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let row = |number: u32| Row {
            kind: "forwarding",
            columns: [
                ("mac", format!("8c:04:{:02x}:{:02x}:{:02x}:00", number >> 16, number >> 8 & 255, number & 255)),
                ("port", "1".to_owned()),
            ]
            .into(),
        };
        let rows: Vec<Row> = (0..20_000).map(row).collect();
        let managed = rows.iter().map(|row| row.columns["mac"].parse().unwrap()).collect();
        let (seen, dropped) = of("d1", "", &rows, &managed);
        assert_eq!((seen.learned.len(), dropped), (LEARNED_MAX, 20_000 - LEARNED_MAX));
    }
}
