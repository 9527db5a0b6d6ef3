//! Which way is up: the gateway, and each switch's port towards it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::evidence::Evidence;
use super::{Class, Mac};

/// What leads out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gateway {
    Ours(usize),
    Foreign(Mac),
}

/// Which way is up.
pub(super) struct Orientation<'a> {
    /// What agents name as their gateway most often comes first: several buildings may have one each.
    gateways: Vec<Gateway>,
    /// The port towards the gateway.
    pub(super) up: Vec<Option<&'a str>>,
    /// Whether a switch knows which of its ports lead down: it has a way up, or it is the top.
    pub(super) knows: Vec<bool>,
}

impl<'a> Orientation<'a> {
    pub(super) fn new(evidence: &Evidence<'a>) -> Self {
        let mut gateways = named(evidence);
        if gateways.is_empty() {
            gateways.extend(guessed(evidence).map(Gateway::Ours));
        }
        let count = evidence.devices.len();
        let mut orientation = Self { gateways, up: vec![None; count], knows: vec![false; count] };
        for switch in (0..count).filter(|switch| evidence.speaks(*switch)) {
            orientation.up[switch] = orientation.towards_gateway(evidence, switch);
            orientation.knows[switch] =
                orientation.up[switch].is_some() || orientation.gateways.contains(&Gateway::Ours(switch));
        }
        orientation.follow_parents(evidence);
        orientation
    }

    /// The device that leads out.
    pub(super) fn root(&self) -> Option<usize> {
        match self.gateways.first() {
            Some(Gateway::Ours(device)) => Some(*device),
            _ => None,
        }
    }

    pub(super) fn uplinks(&self, evidence: &Evidence<'a>) -> BTreeMap<String, String> {
        let ports = evidence.devices.iter().zip(&self.up);
        ports.filter_map(|(device, up)| Some((device.id.clone(), String::from((*up)?)))).collect()
    }

    /// The one port behind which the first gateway sits that this switch sees; one that is a gateway itself looks only for
    /// greater ones.
    fn towards_gateway(&self, evidence: &Evidence<'a>, switch: usize) -> Option<&'a str> {
        let greater = self.gateways.iter().take_while(|gateway| **gateway != Gateway::Ours(switch));
        greater
            .filter_map(|gateway| match gateway {
                Gateway::Ours(device) => evidence.sights[switch].get(device).map(|sight| &sight.ports),
                Gateway::Foreign(mac) => evidence.loose(switch, *mac),
            })
            .find_map(|ports| ports.first().filter(|_| ports.len() == 1).copied())
    }

    /// A switch that does not see the gateway looks for the switches that see it below themselves.
    fn follow_parents(&mut self, evidence: &Evidence<'a>) {
        let blind: Vec<usize> =
            (0..self.up.len()).filter(|switch| evidence.speaks(*switch) && !self.knows[*switch]).collect();
        // Each round finds the way of one at least, or is the last.
        for _ in 0..blind.len() {
            let mut found = false;
            for &switch in blind.iter().filter(|switch| !self.knows[**switch]).collect::<Vec<_>>() {
                if let Some(port) = self.towards_parents(evidence, switch) {
                    self.up[switch] = Some(port);
                    self.knows[switch] = true;
                    found = true;
                }
            }
            if !found {
                break;
            }
        }
    }

    fn towards_parents(&self, evidence: &Evidence<'a>, switch: usize) -> Option<&'a str> {
        let mut ports: BTreeSet<&str> = BTreeSet::new();
        for (other, sight) in &evidence.sights[switch] {
            if self.knows[*other] && self.sees_below(evidence, *other, switch) {
                ports.extend(&sight.ports);
            }
        }
        ports.first().filter(|_| ports.len() == 1).copied()
    }

    /// Whether a switch sees a device on other ports than its way up.
    fn sees_below(&self, evidence: &Evidence<'a>, switch: usize, device: usize) -> bool {
        let sight = evidence.sights[switch].get(&device);
        sight.is_some_and(|sight| sight.ports.iter().all(|port| Some(*port) != self.up[switch]))
    }
}

/// What agents name as their gateway, most often named first.
fn named(evidence: &Evidence<'_>) -> Vec<Gateway> {
    let mut votes: BTreeMap<Gateway, u32> = BTreeMap::new();
    let resolved: BTreeMap<&str, Mac> = (evidence.devices.iter())
        .flat_map(|device| device.view.resolved.iter().map(|(mac, address)| (&**address, *mac)))
        .collect();
    for device in &evidence.devices {
        let (address, mac) = (&*device.view.gateway_address, device.view.gateway_mac);
        let ours = mac
            .and_then(|mac| evidence.owner(mac))
            .or_else(|| evidence.at_address(address))
            .or_else(|| resolved.get(address).and_then(|mac| evidence.owner(*mac)));
        // What routers share says nothing about which of them it is.
        let foreign = || mac.filter(|mac| !mac.is_nobodys()).map(Gateway::Foreign);
        if let Some(gateway) = ours.map(Gateway::Ours).or_else(foreign) {
            *votes.entry(gateway).or_default() += 1;
        }
    }
    let mut gateways: Vec<(Reverse<u32>, Gateway)> =
        votes.into_iter().map(|(gateway, n)| (Reverse(n), gateway)).collect();
    gateways.sort_unstable();
    gateways.into_iter().map(|(_, gateway)| gateway).collect()
}

/// No agent says: the router or firewall that most switches see, else the switch that hears most network gear.
fn guessed(evidence: &Evidence<'_>) -> Option<usize> {
    let of_class =
        |device: usize, classes: &[Class]| evidence.devices[device].class.is_some_and(|class| classes.contains(&class));
    let seen_by = |device: &usize| evidence.sights.iter().filter(|sights| sights.contains_key(device)).count();
    let all = || 0..evidence.devices.len();
    let best =
        |found: Option<(usize, Reverse<usize>)>| found.filter(|(n, _)| *n > 0).map(|(_, Reverse(device))| device);
    let router = all().filter(|device| of_class(*device, &[Class::Router, Class::Firewall]));
    best(router.map(|device| (seen_by(&device), Reverse(device))).max()).or_else(|| {
        let gear = |switch: usize| {
            evidence.sights[switch].keys().filter(|other| of_class(**other, &[Class::Switch, Class::Router])).count()
        };
        best(all().filter(|device| evidence.speaks(*device)).map(|switch| (gear(switch), Reverse(switch))).max())
    })
}
