//! Where each device hangs: on the lowest of the switches that see it below themselves.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::evidence::Evidence;
use super::orient::Orientation;
use super::{Attachment, Class, How, Place};

/// Switches that see a device below themselves, and on which ports.
type Above<'a> = BTreeMap<usize, BTreeSet<&'a str>>;

/// Where a device hangs, by numbers.
#[derive(Clone, Debug)]
struct Hangs<'a> {
    on: Option<(usize, &'a str)>,
    how: How,
    sure: bool,
    /// Where else it may be.
    or: BTreeSet<(usize, &'a str)>,
    own_port: &'a str,
}

/// Everything that is decided about one device after another.
struct Places<'e, 'a> {
    evidence: &'e Evidence<'a>,
    orientation: &'e Orientation<'a>,
    above: Vec<Above<'a>>,
    /// The switches that are seen behind a port.
    behind: BTreeMap<(usize, &'a str), Vec<usize>>,
    /// Switches of which neither way up nor place is known: they may lie anywhere.
    adrift: Vec<usize>,
}

/// Where each device hangs, as far as anything is known of it.
pub(super) fn all(evidence: &Evidence<'_>, orientation: &Orientation<'_>) -> BTreeMap<String, Attachment> {
    let places = Places::new(evidence, orientation);
    let mut hangs: BTreeMap<usize, Hangs<'_>> =
        (0..evidence.devices.len()).filter_map(|device| Some((device, places.of(device)?))).collect();
    break_circles(&mut hangs);
    let through = through(evidence, &hangs);
    let named =
        |(switch, port): (usize, &str)| Place { switch: evidence.devices[switch].id.clone(), port: port.into() };
    let attachment = |(device, hangs): (&usize, &Hangs<'_>)| {
        let attachment = Attachment {
            place: hangs.on.map(named),
            how: hangs.how,
            sure: hangs.sure,
            candidates: hangs.or.iter().filter(|place| Some(**place) != hangs.on).map(|place| named(*place)).collect(),
            through: through.get(device).map(|carrier| evidence.devices[*carrier].id.clone()),
            own_port: hangs.own_port.into(),
        };
        (evidence.devices[*device].id.clone(), attachment)
    };
    hangs.iter().map(attachment).collect()
}

impl<'e, 'a> Places<'e, 'a> {
    fn new(evidence: &'e Evidence<'a>, orientation: &'e Orientation<'a>) -> Self {
        let above: Vec<Above<'a>> = above(evidence, orientation);
        let mut behind: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
        for (switch, above) in above.iter().enumerate().filter(|(switch, _)| evidence.learns(*switch)) {
            for (on, ports) in above {
                ports.iter().for_each(|port| behind.entry((*on, *port)).or_default().push(switch));
            }
        }
        let adrift = (0..above.len())
            .filter(|switch| evidence.learns(*switch) && !orientation.knows[*switch] && above[*switch].is_empty())
            .collect();
        Self { evidence, orientation, above, behind, adrift }
    }

    fn of(&self, device: usize) -> Option<Hangs<'a>> {
        let own_port = self.orientation.up[device].unwrap_or_default();
        if let Some(&(switch, port)) = self.evidence.links.get(&device) {
            let on = Some((switch, port));
            return Some(Hangs { on, how: How::Person, sure: true, or: BTreeSet::new(), own_port });
        }
        self.heard(device, own_port).or_else(|| self.seen(device, own_port)).or_else(|| self.top(device, own_port))
    }

    fn class(&self, device: usize) -> Option<Class> {
        self.evidence.devices[device].class
    }

    /// It and one other heard each other's own words.
    fn heard(&self, device: usize, own_port: &'a str) -> Option<Hangs<'a>> {
        let mut on: BTreeMap<usize, (&str, How, &str)> = BTreeMap::new();
        // What it heard itself on its way up; what its parent heard says the port better.
        for (other, sight) in &self.evidence.sights[device] {
            let gear = matches!(self.class(*other), Some(Class::Switch | Class::Router | Class::Firewall));
            // One that sees it above itself, or aside, is no parent.
            let may = gear && !self.evidence.sights[*other].contains_key(&device);
            if may && sight.is_near() && sight.ports.contains(own_port) {
                on.insert(*other, (sight.remote, sight.how, own_port));
            }
        }
        for (switch, ports) in &self.above[device] {
            let sight = self.evidence.sights[*switch].get(&device).filter(|sight| sight.is_near());
            if let (Some(sight), Some(port)) = (sight, ports.first()) {
                let own = if own_port.is_empty() { sight.remote } else { own_port };
                on.insert(*switch, (port, sight.how, own));
            }
        }
        // A switch that nobody manages may pass on what it should not: then only those that say whom they see help.
        if on.len() > 1 && on.keys().all(|switch| self.evidence.speaks(*switch)) {
            let lowest = self.lowest(on.keys().copied());
            on.retain(|switch, _| lowest.contains(switch));
        }
        let sure = on.len() == 1;
        let (first, (port, how, own_port)) = on.iter().next().map(|(switch, found)| (*switch, *found))?;
        let or = on.iter().map(|(switch, (port, ..))| (*switch, *port)).collect();
        Some(Hangs { on: Some((first, port)).filter(|_| sure), how, sure, or, own_port })
    }

    /// Forwarding tables say so.
    fn seen(&self, device: usize, own_port: &'a str) -> Option<Hangs<'a>> {
        let above = &self.above[device];
        let lowest = self.lowest(above.keys().copied());
        let mut or: BTreeSet<(usize, &str)> =
            lowest.iter().flat_map(|switch| above[switch].iter().map(|port| (*switch, *port))).collect();
        let on = or.first().filter(|_| or.len() == 1).copied();
        for &place in &or.clone() {
            or.extend(self.doubts(device, place));
        }
        // Those further up must see it where they see the lowest: else it has moved, and not all have forgotten it.
        for (switch, ports) in above.iter().filter(|(switch, _)| !lowest.contains(switch)) {
            if !lowest.iter().any(|low| self.above[*low].get(switch) == Some(ports)) {
                or.extend(ports.iter().map(|port| (*switch, *port)));
            }
        }
        // One that knows not where up is may be anything: above, below or aside.
        let adrift =
            self.adrift.iter().filter_map(|switch| Some((*switch, self.evidence.sights[*switch].get(&device)?)));
        or.extend(adrift.flat_map(|(switch, sight)| sight.ports.iter().map(move |port| (switch, *port))));
        if or.is_empty() {
            return None;
        }
        if on.is_none()
            && let Some(on) = self.only_powered(device, &or)
        {
            return Some(Hangs { on: Some(on), how: How::Power, sure: false, or, own_port });
        }
        let sure = on.is_some() && or.len() == 1;
        Some(Hangs { on, how: How::Forwarding, sure, or, own_port })
    }

    /// Switches behind the same port that do not see the device above themselves: it may hang on them.
    fn doubts(&self, device: usize, place: (usize, &'a str)) -> BTreeSet<(usize, &'a str)> {
        let behind = self.behind.get(&place).into_iter().flatten().filter(|switch| **switch != device);
        let mut doubts = BTreeSet::new();
        for &switch in behind {
            let sight = self.evidence.sights[switch].get(&device);
            match (sight, self.orientation.up[switch]) {
                (Some(sight), Some(up)) if sight.ports.iter().all(|port| *port == up) => {}
                (Some(sight), _) => doubts.extend(sight.ports.iter().map(|port| (switch, *port))),
                (None, _) => drop(doubts.insert((switch, ""))),
            }
        }
        doubts
    }

    /// The highest switch on the way to the gateway, as long as no silent one is seen in between.
    fn top(&self, device: usize, own_port: &'a str) -> Option<Hangs<'a>> {
        let up = self.orientation.up[device]?;
        let root = self.orientation.root();
        let sights = &self.evidence.sights[device];
        let between: Vec<usize> = sights
            .iter()
            .filter(|(other, sight)| {
                let beside = self.orientation.up[**other].is_some_and(|up| {
                    self.evidence.sights[**other]
                        .get(&device)
                        .is_some_and(|sight| sight.ports.iter().all(|port| *port == up))
                });
                Some(**other) != root
                    && self.class(**other) == Some(Class::Switch)
                    && sight.ports.contains(up)
                    && !beside
            })
            .map(|(other, _)| *other)
            .collect();
        let gateway =
            root.filter(|root| *root != device && sights.get(root).is_some_and(|sight| sight.ports.contains(up)));
        let or: BTreeSet<(usize, &str)> = between.iter().chain(&gateway).map(|switch| (*switch, "")).collect();
        let sure = between.is_empty();
        let on = gateway.filter(|_| sure).map(|gateway| (gateway, ""));
        Some(Hangs { on, how: How::Gateway, sure, or, own_port })
    }

    /// Those of some switches above one device that have none of the others below them.
    fn lowest(&self, switches: impl Iterator<Item = usize> + Clone) -> BTreeSet<usize> {
        let has_below = |switch: usize| switches.clone().any(|other| self.above[other].contains_key(&switch));
        let lowest: BTreeSet<usize> = switches.clone().filter(|switch| !has_below(*switch)).collect();
        // Each is below another: then nothing is said.
        if lowest.is_empty() { switches.collect() } else { lowest }
    }

    /// What needs power hangs on the only port that gives it.
    fn only_powered(&self, device: usize, or: &BTreeSet<(usize, &'a str)>) -> Option<(usize, &'a str)> {
        if !matches!(self.class(device), Some(Class::AccessPoint | Class::Phone | Class::Camera)) {
            return None;
        }
        let powers = |(switch, port): &&(usize, &str)| {
            self.evidence.devices[*switch].view.ports.iter().any(|known| known.powers && known.name == *port)
        };
        let mut powered = or.iter().filter(powers);
        powered.next().filter(|_| powered.next().is_none()).copied()
    }
}

/// The switches above each device.
fn above<'a>(evidence: &Evidence<'a>, orientation: &Orientation<'a>) -> Vec<Above<'a>> {
    let mut above: Vec<Above<'a>> = vec![Above::new(); evidence.devices.len()];
    for (switch, sights) in evidence.sights.iter().enumerate().filter(|(switch, _)| orientation.knows[*switch]) {
        for (device, sight) in sights {
            let down: BTreeSet<&str> =
                sight.ports.iter().copied().filter(|port| Some(*port) != orientation.up[switch]).collect();
            let is_top = orientation.root() == Some(*device);
            if !down.is_empty() && !is_top {
                // Seen above as well: it moved, and the whole is in doubt.
                above[*device].insert(switch, sight.ports.clone());
            }
        }
    }
    for (device, (switch, port)) in &evidence.links {
        above[*device] = Above::from([(*switch, BTreeSet::from([*port]))]);
    }
    above
}

/// Devices that hang on themselves by way of others hang nowhere; what people said is given up last.
fn break_circles(hangs: &mut BTreeMap<usize, Hangs<'_>>) {
    // Each round breaks one at least.
    for _ in 0..=hangs.len() {
        let circle = circle(hangs);
        let loosened = circle.iter().filter(|device| hangs[*device].how != How::Person);
        let mut loosened: Vec<usize> = loosened.copied().collect();
        if loosened.is_empty() {
            loosened.extend(circle.last());
        }
        if loosened.is_empty() {
            return;
        }
        for device in loosened {
            if let Some(hangs) = hangs.get_mut(&device) {
                hangs.or.extend(hangs.on.take());
                hangs.sure = false;
            }
        }
    }
}

/// The devices of one circle, in the order of their numbers; empty if there is none.
fn circle(hangs: &BTreeMap<usize, Hangs<'_>>) -> Vec<usize> {
    let up = |device: usize| hangs.get(&device).and_then(|hangs| hangs.on).map(|(switch, _)| switch);
    let mut done: BTreeSet<usize> = BTreeSet::new();
    for &start in hangs.keys() {
        let mut walk = Vec::new();
        let mut at = Some(start);
        while let Some(device) = at.filter(|device| !done.contains(device)) {
            if let Some(begin) = walk.iter().position(|passed| *passed == device) {
                let mut circle = walk.split_off(begin);
                circle.sort_unstable();
                return circle;
            }
            walk.push(device);
            at = up(device);
        }
        done.extend(walk);
    }
    Vec::new()
}

/// Behind a port with an access point, a phone or a silent switch, other things probably hang on that.
fn through(evidence: &Evidence<'_>, hangs: &BTreeMap<usize, Hangs<'_>>) -> BTreeMap<usize, usize> {
    let mut shared: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (device, hangs) in hangs {
        if let Some(place) = hangs.on.filter(|(_, port)| !port.is_empty()) {
            shared.entry(place).or_default().push(*device);
        }
    }
    let class = |device: &usize| evidence.devices[*device].class;
    let mut through = BTreeMap::new();
    for devices in shared.values().filter(|devices| devices.len() > 1) {
        let of = |wanted: Class| {
            devices.iter().filter(move |device| class(device) == Some(wanted) && !evidence.learns(**device))
        };
        let carrier = match (of(Class::Switch).count(), of(Class::AccessPoint).count(), of(Class::Phone).count()) {
            (1, _, _) => of(Class::Switch).next(),
            (0, 1, _) => of(Class::AccessPoint).next(),
            (0, 0, 1) if devices.len() == 2 => of(Class::Phone).next(),
            _ => None,
        };
        let Some(&carrier) = carrier else { continue };
        let hears = class(&carrier) == Some(Class::Switch);
        let is_carried = |device: &&usize| {
            let gear = matches!(class(device), Some(Class::Router | Class::Firewall | Class::Switch));
            let powered = matches!(class(device), Some(Class::AccessPoint | Class::Phone | Class::Camera));
            **device != carrier && hangs[*device].how != How::Person && !gear && (hears || !powered)
        };
        through.extend(devices.iter().filter(is_carried).map(|device| (*device, carrier)));
    }
    through
}
