//! Gear that switches tell of and that nobody manages: what announces itself by LLDP or CDP, and what draws power from a
//! port and says nothing. It is proposed as what answers SNMP is; gear that is managed from a cloud often shows itself no
//! other way.
//!
//! What announced itself is known by its base address, or by its name if it tells none. What only draws power is known by
//! the port alone: its address never left the closet.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::device::Class;
use crate::discovery::Facts;
use crate::topology::{How, Mac, Map, Neighbor, Place, Seen, plain_name};

/// Gear that is proposed so at once; whoever has more should accept some first.
pub const HEARD_MAX: usize = 1_000;

/// Letters of a model that is cut out of a description.
const MODEL_CHARS_MAX: usize = 40;

/// Words of descriptions and names by which a maker is known, the longer ones first. Source: what these devices announce.
const MAKERS: &[(&str, &str)] = &[
    ("meraki", "Cisco Meraki"),
    ("mist systems", "Juniper Mist"),
    ("juniper", "Juniper"),
    ("arubaos", "Aruba"),
    ("aruba", "Aruba"),
    ("aerohive", "Extreme"),
    ("hiveos", "Extreme"),
    ("iq engine", "Extreme"),
    ("extreme", "Extreme"),
    ("ruckus", "Ruckus"),
    ("fortiap", "Fortinet"),
    ("fortiswitch", "Fortinet"),
    ("unifi", "Ubiquiti"),
    ("ubiquiti", "Ubiquiti"),
    ("uap-", "Ubiquiti"),
    ("u6-", "Ubiquiti"),
    ("u7-", "Ubiquiti"),
    ("usw-", "Ubiquiti"),
    ("cnpilot", "Cambium"),
    ("cambium", "Cambium"),
    ("omada", "TP-Link"),
    ("polycom", "Poly"),
    ("yealink", "Yealink"),
    ("grandstream", "Grandstream"),
    ("cisco", "Cisco"),
];

/// Words of descriptions that only access points have; many announce themselves as bridges.
const ACCESS_POINTS: &[&str] = &[
    "access point",
    "wireless ap",
    "cloud managed ap",
    "fortiap",
    "uap-",
    "u6-",
    "u7-",
    "air-ap",
    "air-cap",
    "cisco ap ",
    "hiveos",
];

/// Gear of which only others tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// By which it is known again.
    pub key: String,
    /// What it says of itself.
    pub facts: Facts,
    /// The port on which it was seen; of several the first.
    pub on: Place,
    /// Its own port; empty: not told.
    pub own_port: String,
    /// How it is known.
    pub how: How,
    /// Its IP address; empty: not known.
    pub address: String,
}

/// All of it, by their keys: those that announced themselves, then those that only draw power; and how many found no room.
#[must_use]
pub fn gear(devices: &[Seen], map: &Map) -> (Vec<Heard>, usize) {
    let mut all: BTreeMap<String, Heard> = BTreeMap::new();
    // What speaks both LLDP and CDP is told twice by one port; LLDP comes first and tells more.
    let mut told: BTreeSet<(&str, &str, String)> = BTreeSet::new();
    let mut strangers: Vec<_> = map.strangers.iter().collect();
    strangers.sort_by_key(|stranger| stranger.said.by_cdp);
    for stranger in strangers {
        let said = &stranger.said;
        let Some(kind) = kind(said) else { continue };
        let address = address(said, devices);
        let mac = identity(&said.chassis);
        let name = if said.name.is_empty() && mac.is_none() { &said.chassis } else { &said.name };
        let place = (&*stranger.switch, &*said.port);
        let names = [plain_name(name), plain_name(&said.chassis)];
        let again = |name: &String| !name.is_empty() && told.contains(&(place.0, place.1, name.clone()));
        if said.by_cdp && names.iter().any(again) {
            continue;
        }
        told.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (place.0, place.1, name)));
        let (vendor, model) = make(said);
        let facts = Facts {
            kind: kind.as_str().into(),
            vendor,
            model,
            name: name.clone(),
            mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
            ..Facts::default()
        }
        .cleaned();
        let Some(key) = key(&facts) else { continue };
        let (how, own_port) = (if said.by_cdp { How::Cdp } else { How::Lldp }, said.remote_port.clone());
        let on = Place { switch: stranger.switch.clone(), port: said.port.clone() };
        all.entry(key.clone()).or_insert(Heard { key, facts, on, own_port, how, address });
    }
    let mut all: Vec<Heard> = all.into_values().collect();
    all.extend(powered(devices, map));
    let dropped = all.len().saturating_sub(HEARD_MAX);
    all.truncate(HEARD_MAX);
    (all, dropped)
}

/// The key by which a proposal of such a device goes.
#[must_use]
pub fn key(facts: &Facts) -> Option<String> {
    let name = plain_name(&facts.name);
    match (facts.mac.as_str(), name.as_str()) {
        ("", "") => None,
        ("", name) => Some(format!("name/{name}")),
        (mac, _) => Some(format!("mac/{mac}")),
    }
}

/// The IP address that devices tell of the one with this address on the wire: in what it announced, or in their tables.
#[must_use]
pub fn address_of(mac: Mac, devices: &[Seen]) -> Option<&str> {
    let announced = devices.iter().flat_map(|device| &device.view.neighbors);
    let announced = announced
        .filter(|said| !said.address.is_empty() && identity(&said.chassis) == Some(mac))
        .map(|said| said.address.as_str());
    let resolved = devices.iter().flat_map(|device| &device.view.resolved);
    let resolved = resolved.filter(|(of, _)| *of == mac).map(|(_, address)| address.as_str());
    // Of a device with several, the same one each time; version 4 first.
    let first = |address: &&str| (address.contains(':'), (*address).to_owned());
    announced.min_by_key(first).or_else(|| resolved.min_by_key(first))
}

/// The address on the wire by which a device announces itself; Cisco's phones write it behind a word, Meraki's bare.
#[must_use]
pub fn identity(chassis: &str) -> Option<Mac> {
    if let Ok(mac) = chassis.parse::<Mac>() {
        return (!mac.is_nobodys()).then_some(mac);
    }
    let bare = chassis.strip_prefix("SEP").unwrap_or(chassis);
    let is_bare = bare.len() == 12 && bare.bytes().all(|letter| letter.is_ascii_hexdigit());
    let bits = u64::from_str_radix(bare, 16).ok().filter(|_| is_bare)?;
    let [_, _, a, b, c, d, e, f] = bits.to_be_bytes();
    Some(Mac([a, b, c, d, e, f])).filter(|mac| !mac.is_nobodys())
}

fn address(said: &Neighbor, devices: &[Seen]) -> String {
    if !said.address.is_empty() {
        return said.address.clone();
    }
    identity(&said.chassis).and_then(|mac| address_of(mac, devices)).unwrap_or_default().to_owned()
}

/// What kind of gear it says it is; none: no gear.
fn kind(said: &Neighbor) -> Option<Class> {
    let is = |word: &str| said.capabilities.iter().any(|known| known == word);
    let text = said.description.to_lowercase();
    let is_wireless = ACCESS_POINTS.iter().any(|word| text.contains(word));
    if is("access_point") || (is_wireless && is("bridge")) {
        Some(Class::AccessPoint)
    } else if is("phone") {
        Some(Class::Phone)
    } else if is("bridge") {
        Some(Class::Switch)
    } else if is("router") {
        Some(Class::Router)
    } else {
        None
    }
}

/// Its maker and model, as far as its description tells them.
fn make(said: &Neighbor) -> (String, String) {
    let text = said.description.to_lowercase();
    let maker = MAKERS.iter().find(|(word, _)| text.contains(word)).map_or("", |(_, maker)| maker);
    // "ArubaOS (MODEL: 515), Version 8": the model is inside.
    let inside = said.description.split_once("MODEL: ").map(|(_, behind)| behind);
    let first = inside.unwrap_or(&said.description).split([',', ';', ')', '(', '/', '\n']).next().unwrap_or_default();
    let first = maker.rsplit(' ').next().and_then(|last| strip(first.trim(), last)).unwrap_or(first);
    (maker.to_owned(), first.trim().chars().take(MODEL_CHARS_MAX).collect::<String>().trim().to_owned())
}

/// Without a maker's name before it.
fn strip<'a>(text: &'a str, maker: &str) -> Option<&'a str> {
    let begins = !maker.is_empty() && text.get(..maker.len())?.eq_ignore_ascii_case(maker);
    text.get(maker.len()..).filter(|rest| begins && rest.starts_with(' '))
}

/// What draws power from a port on which nothing is known to hang but computers, which draw none.
fn powered(devices: &[Seen], map: &Map) -> Vec<Heard> {
    let draws = |class: Option<Class>| !matches!(class, Some(Class::Laptop | Class::Desktop | Class::Server));
    let with_power: BTreeMap<&str, &Seen> =
        devices.iter().filter(|device| draws(device.class)).map(|device| (&*device.id, device)).collect();
    let hangs = map.attachments.iter().filter(|(device, _)| with_power.contains_key(&***device));
    let taken: BTreeSet<&Place> = hangs.flat_map(|(_, hangs)| hangs.place.iter().chain(&hangs.candidates)).collect();
    let ours: BTreeSet<Mac> = with_power.values().flat_map(|device| device.macs.iter().copied()).collect();
    let mut all = Vec::new();
    for switch in devices {
        let spoke = switch.view.neighbors.iter().map(|said| &said.port);
        let learned = switch.view.learned.iter().filter(|(_, mac)| ours.contains(mac)).map(|(port, _)| port);
        let known: BTreeSet<&String> = spoke.chain(learned).collect();
        for port in switch.view.ports.iter().filter(|port| port.powers && !known.contains(&port.name)) {
            let on = Place { switch: switch.id.clone(), port: port.name.clone() };
            if taken.contains(&on) {
                continue;
            }
            let name = format!("Powered device on {}, port {}", switch.name, port.name);
            let facts = Facts { kind: Class::Other.as_str().to_string(), name, ..Facts::default() }.cleaned();
            let key = format!("power/{}/{}", on.switch, on.port);
            let (own_port, address) = (String::new(), String::new());
            all.push(Heard { key, facts, on, own_port, how: How::Power, address });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::topology::{Port, View, map};

    fn said(port: &str, chassis: &str, name: &str, description: &str, capabilities: &[&str]) -> Neighbor {
        Neighbor {
            port: port.into(),
            chassis: chassis.into(),
            name: name.into(),
            description: description.into(),
            capabilities: capabilities.iter().map(|word| (*word).to_owned()).collect(),
            ..Neighbor::default()
        }
    }

    fn switch(neighbors: Vec<Neighbor>, ports: &[(&str, bool)]) -> Seen {
        let port = |(name, powers): &(&str, bool)| Port { name: (*name).into(), powers: *powers, others: 1 };
        let view = View { neighbors, ports: ports.iter().map(port).collect(), ..View::default() };
        Seen { id: "sw".into(), name: "sw-idf2".into(), class: Some(Class::Switch), view, ..Seen::default() }
    }

    fn heard(devices: &[Seen]) -> Vec<Heard> {
        let (all, dropped) = gear(devices, &map(devices, &[]));
        assert_eq!(dropped, 0);
        all
    }

    #[test]
    fn gear_of_a_cloud_is_known_by_its_address_and_told_with_maker_model_and_place() {
        let stories = [
            ("Meraki MR42 Cloud Managed AP", "access_point", "access_point", "Cisco Meraki", "MR42 Cloud Managed AP"),
            ("ArubaOS (MODEL: 515), Version 8.10.0.6", "bridge", "switch", "Aruba", "515"),
            (
                "Ruckus R650 Multimedia Hotzone Wireless AP/SW Version: 5.2",
                "bridge",
                "access_point",
                "Ruckus",
                "R650 Multimedia Hotzone Wireless AP",
            ),
            ("U6-Lite, 6.5.28.14491", "bridge", "access_point", "Ubiquiti", "U6-Lite"),
            ("Cisco IP Phone 7841", "phone", "phone", "Cisco", "IP Phone 7841"),
            (
                "Meraki MS120-8LP Cloud Managed PoE Switch",
                "bridge",
                "switch",
                "Cisco Meraki",
                "MS120-8LP Cloud Managed PoE Switch",
            ),
        ];
        for (description, capability, kind, vendor, model) in stories {
            let neighbor = Neighbor {
                address: "10.0.0.9".into(),
                ..said("7", "8c:04:ba:00:00:07", "ap-12", description, &[capability])
            };
            let [one] = &*heard(&[switch(vec![neighbor], &[("7", true)])]) else { panic!("{description}") };
            assert_eq!((&*one.key, &*one.address, &*one.on.port), ("mac/8c:04:ba:00:00:07", "10.0.0.9", "7"));
            assert_eq!(
                (&*one.facts.kind, &*one.facts.vendor, &*one.facts.model),
                (kind, vendor, model),
                "{description}"
            );
        }
    }

    #[test]
    fn what_speaks_two_languages_is_one_device_and_a_computer_is_none() {
        let lldp = said("7", "8c:04:ba:00:00:07", "ap-12.school.example", "", &["access_point"]);
        let cdp = Neighbor { by_cdp: true, ..said("7", "ap-12", "", "AIR-AP3802I", &["bridge"]) };
        let named = said("8", "core-2", "core-2", "", &["bridge"]);
        let meraki = Neighbor { by_cdp: true, ..said("9", "8c04ba000009", "", "Meraki MR36", &["bridge"]) };
        let pc = said("10", "8c:04:ba:00:00:0b", "JANES-PC", "", &[]);
        let keys: Vec<String> =
            heard(&[switch(vec![cdp, lldp, named, meraki, pc], &[])]).into_iter().map(|it| it.key).collect();
        assert_eq!(keys, ["mac/8c:04:ba:00:00:07", "mac/8c:04:ba:00:00:09", "name/core-2"]);
    }

    #[test]
    fn what_draws_power_and_says_nothing_is_known_by_its_port() {
        let mut one = switch(
            vec![said("2", "8c:04:ba:00:00:07", "", "", &["access_point"])],
            &[("1", true), ("2", true), ("3", false), ("4", true)],
        );
        one.view.ports.push(Port { name: "5".into(), powers: true, others: 0 });
        let mac = |last| Mac([0x8c, 4, 0xba, 0, 0, last]);
        one.view.learned.extend([("4".into(), mac(0x44)), ("5".into(), mac(0x55))]);
        let device =
            |id: &str, class, mac| Seen { id: id.into(), class: Some(class), macs: vec![mac], ..Seen::default() };
        let all = heard(&[one, device("camera", Class::Camera, mac(0x44)), device("laptop", Class::Laptop, mac(0x55))]);
        let told: Vec<_> = all.iter().map(|it| (&*it.key, &*it.facts.name, it.how)).collect();
        let name = |port| format!("Powered device on sw-idf2, port {port}");
        // Behind port 5 a laptop is known, and what it hangs on draws the power.
        assert_eq!(told[1..], [("power/sw/1", &*name(1), How::Power), ("power/sw/5", &*name(5), How::Power)]);
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[test]
    fn an_address_is_found_in_announcements_or_in_tables() {
        let mac: Mac = "8c:04:ba:00:00:07".parse().unwrap();
        let mut router = switch(vec![said("1", "8c04ba000007", "", "", &["bridge"])], &[]);
        assert_eq!(address_of(mac, &[router.clone()]), None);
        router.view.resolved = vec![(mac, "10.0.0.7".into())];
        assert_eq!(address_of(mac, &[router.clone()]), Some("10.0.0.7"));
        assert_eq!(heard(&[router.clone()])[0].address, "10.0.0.7");
        router.view.neighbors[0].address = "10.0.0.8".into();
        assert_eq!(address_of(mac, &[router]), Some("10.0.0.8"));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let all = (0..1_200).map(|n: u32| said(&n.to_string(), &format!("core-{n}"), "", "", &["bridge"])).collect();
        let devices = [switch(all, &[])];
        let (some, dropped) = gear(&devices, &map(&devices, &[]));
        assert_eq!((some.len(), dropped), (HEARD_MAX, 200));
    }
}
