//! Where the machine is: at school, or somewhere that is nobody's business.
//!
//! The school is where the collector answers inside the listed networks: both ends of the connection lie in them, and
//! TLS has proven that it is the collector. An address alone would not do, because homes use the same ones.
//!
//! While the collector is away nobody answers anywhere. So the networks where it once did are remembered, by what their
//! default gateway is called and its hardware address: a school whose collector is down stays a school. What is
//! remembered is a salted hash, it stays in the state folder, and nothing of it is ever sent.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Networks;
use crate::host::Host;
use crate::state::replace_file;

/// Where places are remembered.
const FILE: &str = "places.json";

/// Access points and subnets of a large district that one laptop sees; the one seen longest ago goes.
const MAX_PLACES: usize = 256;

/// Where the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At school, or nobody has said where that is.
    School,
    /// Elsewhere, or nobody knows.
    Elsewhere,
}

/// The two ends of a connection to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// This machine's.
    pub own: IpAddr,
    /// The collector's.
    pub collector: IpAddr,
}

impl Ends {
    fn lie_in(self, school: &Networks) -> bool {
        // The collector's own machine is where the collector is.
        self.collector.is_loopback() || (school.contains(self.own) && school.contains(self.collector))
    }
}

/// Which network the machine is in; means nothing to anybody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network(String);

/// Knows the school's networks by sight.
///
/// Tell it of each connection ([`Whereabouts::handle_connected`]) and its end ([`Whereabouts::handle_disconnected`]);
/// then ask for the place at each round ([`Whereabouts::place`]).
#[derive(Debug)]
pub struct Whereabouts {
    path: PathBuf,
    known: Known,
    /// The network in which the collector answers just now, and whether it does so at school.
    connected: Option<(Option<Network>, bool)>,
    /// The network in which it answered last.
    last: Option<Option<Network>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// Random; makes the hashes mean nothing outside of this folder.
    salt: String,
    /// The one seen last comes last.
    schools: VecDeque<Network>,
    /// The last day of which something was sent from elsewhere.
    #[serde(default)]
    last_day: Option<i64>,
}

impl Whereabouts {
    /// What a state folder remembers; a file that can't be read is nothing known.
    #[must_use]
    pub fn load(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut known: Known = serde_json::from_str(&text).unwrap_or_default();
        if known.salt.is_empty() {
            known.salt = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        }
        Self { path, known, connected: None, last: None }
    }

    /// The network that the machine is in, by its default gateway; none if it has none that answers.
    #[must_use]
    pub fn here(&self, host: &Host) -> Option<Network> {
        let (_, gateway, hardware) = gateway(host)?;
        let mut hasher = Sha256::new();
        hasher.update(&self.known.salt);
        hasher.update(gateway.octets());
        hasher.update(hardware);
        Some(Network(HEXLOWER.encode(&hasher.finalize())))
    }

    /// The collector answers.
    pub fn handle_connected(&mut self, ends: Ends, here: Option<Network>, school: &Networks) {
        let at_school = school.is_empty() || ends.lie_in(school);
        if let (true, false, Some(here)) = (at_school, school.is_empty(), &here) {
            self.remember(here.clone());
        }
        self.last = Some(here.clone());
        self.connected = Some((here, at_school));
    }

    /// The connection is over.
    pub fn handle_disconnected(&mut self) {
        self.connected = None;
    }

    /// Where the machine is.
    #[must_use]
    pub fn place(&self, here: Option<&Network>, school: &Networks) -> Place {
        let by_sight = here.is_some_and(|here| self.known.schools.contains(here));
        let by_connection =
            self.connected.as_ref().is_some_and(|(there, at_school)| *at_school && there.as_ref() == here);
        if school.is_empty() || by_sight || by_connection { Place::School } else { Place::Elsewhere }
    }

    /// Whether the collector has not answered in this network since it answered in another.
    #[must_use]
    pub fn is_new(&self, here: Option<&Network>) -> bool {
        self.last.as_ref().is_some_and(|last| last.as_ref() != here)
    }

    /// Whether something of this day may still be sent from elsewhere; from now on it may not.
    pub fn begin_day(&mut self, day: i64) -> bool {
        let is_new = self.known.last_day != Some(day);
        if is_new {
            self.known.last_day = Some(day);
            self.store();
        }
        is_new
    }

    fn remember(&mut self, here: Network) {
        if self.known.schools.back() == Some(&here) {
            return;
        }
        self.known.schools.retain(|other| *other != here);
        self.known.schools.push_back(here);
        while self.known.schools.len() > MAX_PLACES {
            self.known.schools.pop_front();
        }
        self.store();
    }

    fn store(&self) {
        let text = serde_json::to_string(&self.known).expect("places are plain text");
        if let Err(error) = replace_file(&self.path, text.as_bytes(), true) {
            tracing::debug!(%error, "places can't be remembered");
        }
    }
}

/// The interface, address and hardware address of the default gateway, if it has answered.
pub(crate) fn gateway(host: &Host) -> Option<(String, Ipv4Addr, String)> {
    let (interface, gateway) = default_route(&host.read("proc/net/route").ok()?)?;
    let hardware = hardware_address(&host.read("proc/net/arp").ok()?, gateway, &interface)?;
    Some((interface, gateway, hardware))
}

/// Interface and gateway of the default route in `/proc/net/route`.
fn default_route(table: &str) -> Option<(String, Ipv4Addr)> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (interface, destination, gateway) = (words.next()?, words.next()?, words.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        (destination == "00000000").then(|| (interface.to_owned(), Ipv4Addr::from(gateway.to_ne_bytes())))
    })
}

/// The hardware address of a neighbour in `/proc/net/arp`, if it has answered.
fn hardware_address(table: &str, neighbour: Ipv4Addr, interface: &str) -> Option<String> {
    let neighbour = neighbour.to_string();
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, flags, hardware, _, device] = words[..] else { return None };
        let is_it = address == neighbour && device == interface && flags != "0x0" && hardware != "00:00:00:00:00:00";
        is_it.then(|| hardware.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn school() -> Networks {
        Config::parse(Path::new("agent.toml"), "school.networks = [\"10.0.0.0/8\"]").unwrap().school
    }

    fn ends(own: &str, collector: &str) -> Ends {
        Ends { own: own.parse().unwrap(), collector: collector.parse().unwrap() }
    }

    fn network(name: &str) -> Network {
        Network(name.to_owned())
    }

    #[test]
    fn without_a_list_every_place_is_school() {
        let dir = tempfile::tempdir().unwrap();
        let whereabouts = Whereabouts::load(dir.path());
        assert_eq!(whereabouts.place(None, &Networks::default()), Place::School);
        assert_eq!(whereabouts.place(None, &school()), Place::Elsewhere);
    }

    #[test]
    fn a_school_whose_collector_is_down_stays_a_school_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut whereabouts = Whereabouts::load(dir.path());
        let campus = network("campus");
        whereabouts.handle_connected(ends("10.1.2.3", "10.9.9.9"), Some(campus.clone()), &school());
        whereabouts.handle_disconnected();
        assert_eq!(whereabouts.place(Some(&campus), &school()), Place::School);
        assert_eq!(Whereabouts::load(dir.path()).place(Some(&campus), &school()), Place::School);
        assert_eq!(whereabouts.place(Some(&network("home")), &school()), Place::Elsewhere);
        assert_eq!(whereabouts.place(None, &school()), Place::Elsewhere);
    }

    #[test]
    fn a_home_with_the_school_s_addresses_is_no_school() {
        let dir = tempfile::tempdir().unwrap();
        let mut whereabouts = Whereabouts::load(dir.path());
        let home = network("home");
        whereabouts.handle_connected(ends("10.1.2.3", "203.0.113.7"), Some(home.clone()), &school());
        assert_eq!(whereabouts.place(Some(&home), &school()), Place::Elsewhere);
        whereabouts.handle_disconnected();
        assert_eq!(whereabouts.place(Some(&home), &school()), Place::Elsewhere);
    }

    #[test]
    fn a_machine_that_is_carried_home_is_no_longer_at_school_though_the_connection_has_not_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut whereabouts = Whereabouts::load(dir.path());
        whereabouts.handle_connected(ends("10.1.2.3", "10.9.9.9"), Some(network("campus")), &school());
        assert_eq!(whereabouts.place(Some(&network("home")), &school()), Place::Elsewhere);
        assert_eq!(whereabouts.place(None, &school()), Place::Elsewhere);
    }

    #[test]
    fn one_day_is_sent_once_also_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Whereabouts::load(dir.path()).begin_day(20_000));
        let mut again = Whereabouts::load(dir.path());
        assert!(!again.begin_day(20_000));
        assert!(again.begin_day(20_001));
    }

    #[test]
    fn the_gateway_is_known_by_its_hardware_and_written_down_as_a_hash_alone() {
        let machine = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(machine.path().join("proc/net")).unwrap();
        let routes = "Iface\tDestination\tGateway\nwlan0\t00000000\t0101A8C0\t0003\nwlan0\t0001A8C0\t00000000\t0001\n";
        let neighbours = "IP address       HW type     Flags       HW address            Mask     Device\n\
                          192.168.1.1      0x1         0x2         02:00:5e:10:20:30     *        wlan0\n";
        std::fs::write(machine.path().join("proc/net/route"), routes).unwrap();
        std::fs::write(machine.path().join("proc/net/arp"), neighbours).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut whereabouts = Whereabouts::load(dir.path());
        let here = whereabouts.here(&Host::at(machine.path())).unwrap();
        whereabouts.handle_connected(ends("10.1.2.3", "10.9.9.9"), Some(here), &school());
        let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!kept.contains("192.168") && !kept.contains("02:00:5e"), "{kept}");
        std::fs::write(machine.path().join("proc/net/arp"), neighbours.replace("5e:10", "5e:11")).unwrap();
        assert_eq!(
            whereabouts.place(whereabouts.here(&Host::at(machine.path())).as_ref(), &school()),
            Place::Elsewhere
        );
    }
}
