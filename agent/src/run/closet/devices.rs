//! The devices that a closet watches, and what is kept of each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_proto::v1;
use prost::Message;

use super::kept;
use crate::snmp::client::Turnstile;
use crate::snmp::poll::{Memory, Target};

/// A watched device.
pub(super) struct Device {
    pub target: Arc<Target>,
    /// Tells it from what had its place before.
    pub generation: u32,
    /// None while a poll has it.
    pub memory: Memory,
    /// What a slow poll learned while a fast one was under way.
    pub learned: Option<Memory>,
    pub turnstile: Turnstile,
    /// Whether the last poll had an answer of the device itself.
    pub answers: bool,
    /// What was last said of it, as it is on the wire: a hundred bytes instead of ten texts.
    found: Box<[u8]>,
    neighborhood: Box<[u8]>,
}

/// All of them, by place, id and address.
#[derive(Default)]
pub(super) struct Devices {
    slots: Vec<Option<Device>>,
    by_id: HashMap<Arc<str>, u32>,
    by_address: HashMap<SocketAddr, u32>,
    generation: u32,
}

/// What changed with a new list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub added: Vec<u32>,
    pub removed: Vec<u32>,
}

impl Devices {
    pub(super) fn get(&self, slot: u32) -> Option<&Device> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Device> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The device of this place, if it is still the one that it was.
    pub(super) fn same(&mut self, slot: u32, generation: u32) -> Option<&mut Device> {
        self.get_mut(slot).filter(|device| device.generation == generation)
    }

    pub(super) fn at(&self, address: SocketAddr) -> Option<&Device> {
        self.get(*self.by_address.get(&address)?)
    }

    pub(super) fn slot_of(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.slots.iter().flatten()
    }

    /// Takes a whole list. Whoever is on both lists with the same words goes on as before.
    pub(super) fn assign(&mut self, targets: Vec<Target>) -> Change {
        let mut change = Change::default();
        let mut wanted: HashMap<Box<str>, Target> =
            targets.into_iter().map(|target| (target.id.clone(), target)).collect();
        for slot in self.slots() {
            let Some(device) = self.get(slot) else { continue };
            if wanted.get(&device.target.id).is_some_and(|target| *target == *device.target) {
                wanted.remove(&device.target.id);
            } else {
                self.remove(slot);
                change.removed.push(slot);
            }
        }
        let mut new: Vec<Target> = wanted.into_values().collect();
        new.sort_by(|one, other| one.id.cmp(&other.id));
        for target in new {
            change.added.push(self.add(target));
        }
        change
    }

    fn add(&mut self, target: Target) -> u32 {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let slot = u32::try_from(free).unwrap_or(u32::MAX);
        self.generation += 1;
        self.by_id.insert(target.id.as_ref().into(), slot);
        self.by_address.insert(target.address, slot);
        let device = Device {
            target: Arc::new(target),
            generation: self.generation,
            memory: Memory::default(),
            learned: None,
            turnstile: Turnstile::default(),
            answers: false,
            found: Box::default(),
            neighborhood: Box::default(),
        };
        match self.slots.get_mut(free) {
            Some(place) => *place = Some(device),
            None => self.slots.push(Some(device)),
        }
        slot
    }

    fn remove(&mut self, slot: u32) {
        let Some(gone) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.by_id.remove(gone.target.id.as_ref());
        if self.by_address.get(&gone.target.address) == Some(&slot) {
            self.by_address.remove(&gone.target.address);
        }
    }
}

impl Device {
    /// What is there now; something to say if it is not what was last said.
    pub(super) fn note_found(&mut self, facts: v1::DeviceFacts) -> Option<v1::Found> {
        let found = v1::Found {
            address: kept::written(self.target.address),
            credential: self.target.credential.to_string(),
            facts: Some(facts),
        };
        let bytes = found.encode_to_vec();
        (*self.found != *bytes).then(|| {
            self.found = bytes.into();
            found
        })
    }

    /// What it knows of others now; something to say if it is not what was last said.
    pub(super) fn note_neighborhood(&mut self, neighborhood: v1::Neighborhood) -> Option<v1::Neighborhood> {
        let bytes = neighborhood.encode_to_vec();
        (*self.neighborhood != *bytes).then(|| {
            self.neighborhood = bytes.into();
            neighborhood
        })
    }

    /// What was last said of it.
    pub(super) fn said(&self) -> (Option<v1::Found>, Option<v1::Neighborhood>) {
        let found = (!self.found.is_empty()).then(|| v1::Found::decode(&*self.found).ok()).flatten();
        let around = (!self.neighborhood.is_empty()).then(|| v1::Neighborhood::decode(&*self.neighborhood).ok());
        (found, around.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, address: &str) -> Target {
        Target {
            id: id.into(),
            address: address.parse().unwrap(),
            credential: "district".into(),
            witness: false,
            serial: "".into(),
            mac: "".into(),
        }
    }

    #[test]
    fn whoever_stays_assigned_goes_on_and_whoever_changes_begins_anew() {
        let mut devices = Devices::default();
        let list = |last: &str| vec![target("d1", "192.0.2.1:161"), target("d2", last)];
        assert_eq!(devices.assign(list("192.0.2.2:161")), Change { added: vec![0, 1], removed: vec![] });
        assert_eq!(devices.assign(list("192.0.2.2:161")), Change::default());
        let before = devices.get(1).unwrap().generation;
        assert_eq!(devices.assign(list("192.0.2.9:161")), Change { added: vec![1], removed: vec![1] });
        assert!(devices.same(1, before).is_none(), "what a poll of before brings is of nobody");
        assert!(devices.at("192.0.2.2:161".parse().unwrap()).is_none());
        assert!(devices.at("192.0.2.9:161".parse().unwrap()).is_some());
        assert_eq!(devices.assign(Vec::new()), Change { added: vec![], removed: vec![0, 1] });
        assert_eq!(devices.iter().count(), 0);
    }

    #[test]
    fn what_a_device_is_is_said_when_it_changes() {
        let mut devices = Devices::default();
        devices.assign(vec![target("d1", "192.0.2.1:161")]);
        let device = devices.get_mut(0).unwrap();
        let facts = |firmware: &str| v1::DeviceFacts { firmware: firmware.to_owned(), ..v1::DeviceFacts::default() };
        assert_eq!(device.said(), (None, None));
        let said = device.note_found(facts("1.0")).unwrap();
        assert_eq!((said.address.as_str(), said.credential.as_str()), ("192.0.2.1", "district"));
        assert_eq!(device.note_found(facts("1.0")), None);
        assert!(device.note_found(facts("1.1")).is_some());
        assert_eq!(device.said().0.and_then(|found| found.facts), Some(facts("1.1")));
    }
}
