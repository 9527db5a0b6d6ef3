//! What devices know of others, between the wire and the deciders.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bellwether_agent::snmp::neighborhood::{LEARNED_MAX, NEIGHBORS_MAX, OWN_MAX, PORTS_MAX};
use bellwether_logic::device::Class;
use bellwether_logic::topology::{self, Mac, Seen, View};
use bellwether_proto::v1::{Neighbor, Neighborhood};

/// Letters of a name or description; agents send fewer.
const TEXT_MAX: usize = 120;

/// What a neighbor can be, as agents say it; a machine that says `station` is nobody's business.
const CAPABILITIES: [&str; 9] =
    ["access_point", "bridge", "cable_modem", "host", "igmp", "other", "phone", "repeater", "router"];

/// Whether these capabilities are those of network gear; a phone hangs on a network and is none.
#[must_use]
pub fn is_gear(capabilities: &[String]) -> bool {
    capabilities.iter().any(|word| matches!(word.as_str(), "access_point" | "bridge" | "router"))
}

/// What an agent says of its own machine: its addresses and its gateway, and nothing else whatever it says.
#[must_use]
pub fn own(said: Neighborhood) -> Neighborhood {
    Neighborhood {
        macs: addresses(said.macs),
        gateway_address: said.gateway_address.parse::<IpAddr>().map(|ip| ip.to_string()).unwrap_or_default(),
        gateway_mac: said.gateway_mac.parse::<Mac>().map(|mac| mac.to_string()).unwrap_or_default(),
        ..Neighborhood::default()
    }
}

/// What an agent says of a device that it watches, without what must not get into the journal: addresses that nobody
/// manages, neighbors that may be a person's, what admins write beside ports. Says also how much that was.
#[must_use]
pub fn watched(mut said: Neighborhood, managed: &BTreeSet<Mac>) -> (Neighborhood, usize) {
    let before = said.learned.len() + said.resolved.len() + said.neighbors.len();
    let is_managed = |mac: &str| mac.parse().is_ok_and(|mac| managed.contains(&mac));
    said.target_id.clear();
    said.macs = addresses(said.macs);
    said.learned.retain(|learned| is_managed(&learned.mac));
    said.learned.truncate(LEARNED_MAX);
    said.resolved.retain(|resolved| is_managed(&resolved.mac) && resolved.address.parse::<IpAddr>().is_ok());
    said.resolved.truncate(LEARNED_MAX);
    said.neighbors.retain(is_told);
    said.neighbors.truncate(NEIGHBORS_MAX);
    said.ports.truncate(PORTS_MAX);
    for port in &mut said.ports {
        port.alias.clear();
        shorten(&mut port.name);
    }
    said.learned.iter_mut().for_each(|learned| shorten(&mut learned.port));
    for neighbor in &mut said.neighbors {
        let said = std::mem::take(&mut neighbor.capabilities);
        let known = CAPABILITIES.iter().filter(|known| said.iter().any(|word| word == *known));
        neighbor.capabilities = known.map(|known| (*known).to_owned()).collect();
        let Neighbor { port, protocol, chassis, remote_port, name, description, address, .. } = neighbor;
        for text in [port, protocol, chassis, remote_port, name, description, address] {
            shorten(text);
        }
    }
    (said.gateway_address, said.gateway_mac) = (String::new(), String::new());
    let after = said.learned.len() + said.resolved.len() + said.neighbors.len();
    (said, before - after)
}

/// Whether a neighbor says that it is network gear or a phone.
fn is_told(neighbor: &Neighbor) -> bool {
    let capabilities = &neighbor.capabilities;
    let is = |word: &str| capabilities.iter().any(|known| known == word);
    (is_gear(capabilities) || is("phone")) && !is("station")
}

fn shorten(text: &mut String) {
    if text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        *text = text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
    }
}

fn addresses(said: Vec<String>) -> Vec<String> {
    let macs: BTreeSet<Mac> =
        said.iter().filter_map(|mac| mac.parse().ok()).filter(|mac: &Mac| !mac.is_nobodys()).collect();
    macs.into_iter().take(OWN_MAX).map(|mac| mac.to_string()).collect()
}

/// A device as the map sees it.
#[must_use]
pub fn seen(id: String, name: String, class: Option<Class>, mac: &str, address: &str, said: Neighborhood) -> Seen {
    let address = address.parse::<SocketAddr>().map(|at| at.ip().to_string()).unwrap_or_else(|_| address.to_owned());
    let own = said.macs.iter().filter_map(|mac| mac.parse().ok());
    Seen {
        id,
        name,
        class,
        macs: mac.parse().into_iter().chain(own).collect(),
        addresses: Some(address).into_iter().filter(|address| !address.is_empty()).collect(),
        view: view(said),
    }
}

fn view(said: Neighborhood) -> View {
    let port =
        |port: bellwether_proto::v1::Port| topology::Port { name: port.name, others: port.others, powers: port.powers };
    let neighbor = |said: Neighbor| topology::Neighbor {
        port: said.port,
        by_cdp: said.protocol == "cdp",
        chassis: said.chassis,
        remote_port: said.remote_port,
        name: said.name,
        description: said.description,
        capabilities: said.capabilities,
        address: said.address,
    };
    View {
        ports: said.ports.into_iter().map(port).collect(),
        neighbors: said.neighbors.into_iter().map(neighbor).collect(),
        learned: said.learned.into_iter().filter_map(|it| Some((it.port, it.mac.parse().ok()?))).collect(),
        resolved: said.resolved.into_iter().filter_map(|it| Some((it.mac.parse().ok()?, it.address))).collect(),
        gateway_address: said.gateway_address,
        gateway_mac: said.gateway_mac.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_proto::v1::{Learned, Port, Resolved};

    fn neighbor(name: &str, capabilities: &[&str]) -> Neighbor {
        let capabilities = capabilities.iter().map(|word| (*word).to_owned()).collect();
        Neighbor { name: name.into(), capabilities, ..Neighbor::default() }
    }

    #[test]
    fn what_a_neighbor_can_be_is_one_of_few_words() {
        let mut words = vec!["Jane's switch"; 20];
        words.push("bridge");
        let said = Neighborhood { neighbors: vec![neighbor("sw-core", &words)], ..Neighborhood::default() };
        let (kept, _) = watched(said, &BTreeSet::new());
        assert_eq!(kept.neighbors[0].capabilities, ["bridge"]);
        assert_eq!(watched(kept.clone(), &BTreeSet::new()), (kept, 0), "what was taken out once is out");
    }

    #[test]
    fn what_nobody_manages_is_taken_out_again_whatever_an_agent_sends() {
        let learned = |mac: &str| Learned { port: "7".into(), mac: mac.into(), vlan: 1 };
        let resolved = |mac: &str| Resolved { mac: mac.into(), address: "10.0.0.9".into() };
        let said = Neighborhood {
            target_id: "sw1".into(),
            macs: vec!["8C:04:BA:00:00:01".into(), "01:00:5e:00:00:01".into(), "Jane".into()],
            ports: vec![Port { name: "7".into(), others: 3, alias: "Jane's desk".into(), ..Port::default() }],
            neighbors: vec![
                neighbor("sw-core", &["bridge"]),
                neighbor("JANES-PC", &["station"]),
                neighbor("JANES-MAC", &[]),
                neighbor("JANES-HYPERVISOR", &["bridge", "station"]),
            ],
            learned: ["8c:04:ba:00:00:05", "da:a1:19:00:00:01", "8c:04:ba:00:00:06"].map(learned).to_vec(),
            resolved: ["8c:04:ba:00:00:05", "8c:04:ba:00:00:06"].map(resolved).to_vec(),
            gateway_address: "192.168.1.1".into(),
            gateway_mac: "8c:04:ba:00:00:06".into(),
        };
        let managed = BTreeSet::from(["8c:04:ba:00:00:05".parse().unwrap()]);
        let (kept, dropped) = watched(said.clone(), &managed);
        assert_eq!(dropped, 6);
        assert_eq!(kept.macs, ["8c:04:ba:00:00:01"]);
        assert_eq!((kept.learned.len(), kept.resolved.len(), kept.neighbors.len()), (1, 1, 1));
        assert_eq!(kept.ports[0].others, 3);
        let text = format!("{kept:?}");
        for gone in ["Jane", "JANE", "da:a1", "00:06", "192.168"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        let own = own(said);
        assert_eq!((own.gateway_address.as_str(), own.macs.len()), ("192.168.1.1", 1));
        assert!(own.learned.is_empty() && own.neighbors.is_empty() && own.ports.is_empty());
    }
}
