//! What was seen, by device and port: whose an address is, and on which port a switch sees whom.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{How, Link, Mac, Neighbor, Seen, Stranger, View};

/// On which ports a switch sees a device.
#[derive(Clone, Debug)]
pub(super) struct Sight<'a> {
    pub(super) ports: BTreeSet<&'a str>,
    pub(super) how: How,
    /// The seen one's own port, if it told it.
    pub(super) remote: &'a str,
}

impl Sight<'_> {
    /// Whether the other was heard itself, not only learned of.
    pub(super) const fn is_near(&self) -> bool {
        matches!(self.how, How::Lldp | How::Cdp)
    }
}

/// Everything that is known, by the numbers of the devices.
pub(super) struct Evidence<'a> {
    /// By their ids, so that the same is decided whatever the order in which they came.
    pub(super) devices: Vec<&'a Seen>,
    by_id: BTreeMap<&'a str, usize>,
    owner: BTreeMap<Mac, usize>,
    by_name: BTreeMap<String, Option<usize>>,
    by_address: BTreeMap<&'a str, Option<usize>>,
    /// Whom each switch sees.
    pub(super) sights: Vec<BTreeMap<usize, Sight<'a>>>,
    /// Where each switch learned addresses that are no device's.
    loose: Vec<BTreeMap<Mac, BTreeSet<&'a str>>>,
    /// What people said of each device.
    pub(super) links: BTreeMap<usize, (usize, &'a str)>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(devices: &'a [Seen], links: &'a [Link]) -> Self {
        let by_id: BTreeMap<&str, &Seen> = devices.iter().map(|device| (&*device.id, device)).collect();
        let devices: Vec<&Seen> = by_id.into_values().collect();
        let by_id = devices.iter().enumerate().map(|(number, device)| (&*device.id, number)).collect();
        let mut evidence = Self {
            owner: owners(&devices),
            by_name: unique(devices.iter().enumerate().map(|(n, device)| (plain_name(&device.name), n))),
            by_address: unique(
                devices
                    .iter()
                    .enumerate()
                    .flat_map(|(n, device)| device.addresses.iter().map(move |address| (&**address, n))),
            ),
            by_id,
            devices,
            sights: Vec::new(),
            loose: Vec::new(),
            links: BTreeMap::new(),
        };
        for link in links {
            let (device, switch) = (evidence.by_id.get(&*link.device), evidence.by_id.get(&*link.switch));
            if let (Some(device), Some(switch)) = (device, switch)
                && device != switch
            {
                evidence.links.insert(*device, (*switch, &link.port));
            }
        }
        for number in 0..evidence.devices.len() {
            let (sights, loose) = evidence.look(number);
            evidence.sights.push(sights);
            evidence.loose.push(loose);
        }
        evidence
    }

    /// Whether it says whom it sees.
    pub(super) fn speaks(&self, device: usize) -> bool {
        let view = &self.devices[device].view;
        !view.learned.is_empty() || !view.neighbors.is_empty()
    }

    /// Whether it says which addresses it learned: only then does it mean something that it does not see a device.
    pub(super) fn learns(&self, device: usize) -> bool {
        !self.devices[device].view.learned.is_empty()
    }

    pub(super) fn owner(&self, mac: Mac) -> Option<usize> {
        self.owner.get(&mac).copied()
    }

    pub(super) fn at_address(&self, address: &str) -> Option<usize> {
        self.by_address.get(address).copied().flatten()
    }

    /// The ports on which a switch learned an address that is no device's.
    pub(super) fn loose(&self, switch: usize, mac: Mac) -> Option<&BTreeSet<&'a str>> {
        self.loose[switch].get(&mac)
    }

    /// What was heard of and is none of ours.
    pub(super) fn strangers(&self) -> Vec<Stranger> {
        let mut all: BTreeSet<Stranger> = BTreeSet::new();
        for device in &self.devices {
            let unknown = device.view.neighbors.iter().filter(|said| self.who(said).is_none());
            all.extend(unknown.map(|said| Stranger { switch: device.id.clone(), said: said.clone() }));
        }
        all.into_iter().collect()
    }

    /// Which device of ours a neighbor is.
    fn who(&self, said: &Neighbor) -> Option<usize> {
        let by_mac = said.chassis.parse().ok().and_then(|mac| self.owner(mac));
        let by_name = |name: &str| self.by_name.get(&plain_name(name)).copied().flatten();
        by_mac
            .or_else(|| self.at_address(&said.address))
            .or_else(|| by_name(&said.name))
            .or_else(|| by_name(&said.chassis))
    }

    fn look(&self, switch: usize) -> (BTreeMap<usize, Sight<'a>>, BTreeMap<Mac, BTreeSet<&'a str>>) {
        let view: &'a View = &self.devices[switch].view;
        let mut heard: BTreeMap<usize, Sight<'a>> = BTreeMap::new();
        for said in &view.neighbors {
            let Some(who) = self.who(said).filter(|who| *who != switch) else { continue };
            let how = if said.by_cdp { How::Cdp } else { How::Lldp };
            let new = || Sight { ports: BTreeSet::new(), how, remote: &said.remote_port };
            let sight = heard.entry(who).or_insert_with(new);
            sight.how = sight.how.min(how);
            sight.ports.insert(&said.port);
        }
        let mut learned: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        let mut loose: BTreeMap<Mac, BTreeSet<&str>> = BTreeMap::new();
        for (port, mac) in &view.learned {
            match self.owner(*mac) {
                Some(who) if who != switch => drop(learned.entry(who).or_default().insert(port)),
                Some(_) => {}
                None => drop(loose.entry(*mac).or_default().insert(port)),
            }
        }
        let bundles = bundles(&heard, &learned);
        let whole = |ports: &BTreeSet<&'a str>| -> BTreeSet<&'a str> {
            ports.iter().map(|port| *bundles.get(port).unwrap_or(port)).collect()
        };
        loose.values_mut().for_each(|ports| *ports = whole(ports));
        let mut sights: BTreeMap<usize, Sight<'a>> = learned
            .iter()
            .map(|(who, ports)| (*who, Sight { ports: whole(ports), how: How::Forwarding, remote: "" }))
            .collect();
        for (who, mut sight) in heard {
            sight.ports = whole(&sight.ports);
            sights.insert(who, sight);
        }
        for (device, (to, port)) in &self.links {
            if *to == switch {
                sights.insert(*device, Sight { ports: [*port].into(), how: How::Person, remote: "" });
            }
        }
        (sights, loose)
    }
}

/// Ports that are one: neighbors are heard on each member of a bundle, addresses are learned on the bundle.
fn bundles<'a>(
    heard: &BTreeMap<usize, Sight<'a>>,
    learned: &BTreeMap<usize, BTreeSet<&'a str>>,
) -> BTreeMap<&'a str, &'a str> {
    let all: BTreeSet<&str> = heard.values().flat_map(|sight| sight.ports.iter().copied()).collect();
    let mut bundles = BTreeMap::new();
    for (who, sight) in heard {
        let ports = learned.get(who);
        let logical = ports.filter(|ports| ports.is_disjoint(&all) && ports.len() == 1);
        let whole = logical.or(Some(&sight.ports)).and_then(BTreeSet::first).copied();
        for port in &sight.ports {
            if let Some(whole) = whole.filter(|whole| whole != port) {
                bundles.insert(*port, whole);
            }
        }
    }
    bundles
}

/// Whose each address is; what two devices claim is nobody's, such as a docking station's that wanders.
fn owners(devices: &[&Seen]) -> BTreeMap<Mac, usize> {
    let mut owners: BTreeMap<Mac, Vec<usize>> = BTreeMap::new();
    for (number, device) in devices.iter().enumerate() {
        for mac in device.macs.iter().filter(|mac| !mac.is_nobodys()) {
            let claims = owners.entry(*mac).or_insert_with(|| vec![number]);
            if !claims.contains(&number) {
                claims.push(number);
            }
        }
    }
    owners.into_iter().filter(|(_, claims)| claims.len() == 1).map(|(mac, claims)| (mac, claims[0])).collect()
}

/// Without the domain, in lower case.
pub(crate) fn plain_name(name: &str) -> String {
    name.trim().split('.').next().unwrap_or_default().to_lowercase()
}

/// What several share tells none of them.
fn unique<K: Ord + Default>(all: impl Iterator<Item = (K, usize)>) -> BTreeMap<K, Option<usize>> {
    let mut unique: BTreeMap<K, Option<usize>> = BTreeMap::new();
    for (key, number) in all.filter(|(key, _)| *key != K::default()) {
        unique.entry(key).and_modify(|known| *known = known.filter(|known| *known == number)).or_insert(Some(number));
    }
    unique
}
