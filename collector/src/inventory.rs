//! Who is who, kept at hand: the identities that ingest stamps on series, and who watches what, so that a batch costs no
//! question to the database.

mod watches;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_logic::device::LifeState;
use bellwether_logic::discovery::{self, Facts};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, Identity, Watch};
use tokio::sync::watch;

use crate::state::devices::DeviceRow;
use crate::state::proposals::Reach;
use crate::state::{State, StateError};

pub use watches::Held;

/// Every device. The engine reader alone changes it, after it has committed the change.
#[derive(Debug)]
pub struct Inventory {
    known: RwLock<Known>,
    /// Counts changes of what agents are told.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    devices: HashMap<String, Entry>,
    /// Devices by serial number, and by base address.
    by_serial: HashMap<String, Vec<String>>,
    by_mac: HashMap<String, Vec<String>>,
    /// Watched devices by the agent that asks them.
    by_agent: HashMap<String, Vec<String>>,
    /// By watched device: which agents reach it, and where.
    reaches: HashMap<String, Vec<Reach>>,
    /// By device and agent: where an agent asked it that does so no longer, and until when.
    former: HashMap<(String, String), (String, Timestamp)>,
    /// What watched devices last answered.
    answers: HashMap<String, Answers>,
    /// Addresses of machines with an agent, and whose they are.
    machines: HashMap<String, String>,
    /// Addresses that devices said are their own or their gateway's.
    said: Vec<String>,
    /// Every address that is managed; none: to be made anew.
    managed: Option<Arc<[String]>>,
}

/// One device.
#[derive(Clone, Debug)]
struct Entry {
    identity: Arc<Identity>,
    facts: Arc<Facts>,
    watch: Option<Arc<Watch>>,
    state: LifeState,
}

/// How a watched device answers its holder.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    /// When it last did.
    last: Option<Timestamp>,
    /// Since when it has not.
    silent_since: Option<Timestamp>,
}

/// A watched device as discovery needs to know it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its id.
    pub device: String,
    /// What is written of it.
    pub facts: Arc<Facts>,
    /// How it is watched; none: it has an agent of its own.
    pub watch: Option<Arc<Watch>>,
    /// When it last answered, unless it has been silent since.
    pub answered_at: Option<Timestamp>,
}

impl Default for Inventory {
    fn default() -> Self {
        Self { known: RwLock::default(), changes: watch::channel(0).0 }
    }
}

impl Inventory {
    /// As the inventory's tables have it.
    ///
    /// # Errors
    /// When a table can't be read.
    pub fn load(state: &State) -> Result<Self, StateError> {
        let inventory = Self::default();
        let mut known = Known::default();
        for device in state.all_devices()? {
            known.put(Entry::of(&device));
        }
        for (device, reach) in state.reaches()? {
            known.reaches.entry(device).or_default().push(reach);
        }
        for former in state.former_watches()? {
            known.former.insert((former.device, former.agent), (former.address, former.until));
        }
        for machine in state.machines()? {
            known.machines.extend(machine.hardware.macs.into_iter().map(|mac| (mac, machine.device.clone())));
        }
        known.said = state.said_macs()?;
        *inventory.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(inventory)
    }

    /// The identity of a device, if it is known.
    #[must_use]
    pub fn get(&self, device: &str) -> Option<Arc<Identity>> {
        self.read(|known| known.devices.get(device).map(|entry| Arc::clone(&entry.identity)))
    }

    /// The inventory changed.
    pub fn put(&self, at: Timestamp, device: &DeviceChanged) {
        let Some(entry) = Entry::changed(device) else { return };
        self.write(|known| {
            known.retire_watch(at, device);
            known.put(entry);
        });
    }

    /// Which agents reach a device from now on.
    pub fn put_reaches(&self, device: &str, reaches: Vec<Reach>) {
        self.write(|known| {
            if reaches.is_empty() {
                known.reaches.remove(device);
            } else {
                known.reaches.insert(device.to_owned(), reaches);
            }
        });
    }

    /// Which addresses machines with an agent have.
    pub fn put_machines(&self, machines: HashMap<String, String>) {
        if self.read(|known| known.machines != machines) {
            self.write(|known| known.machines = machines);
        }
    }

    /// Which addresses devices say are their own or their gateway's.
    pub fn put_said_macs(&self, said: Vec<String>) {
        if self.read(|known| known.said != said) {
            self.write(|known| known.said = said);
        }
    }

    /// The device of ours that was found at a place: by what it says of itself, or, if that tells nothing, by the place at
    /// which a person took it in.
    #[must_use]
    pub fn find(&self, agent: &str, address: &str, facts: &Facts) -> Option<Watched> {
        self.read(|known| known.find(agent, address, facts))
    }

    /// A number that changes when what agents are told may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        known.managed = None;
        drop(known);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Entry {
    fn of(device: &DeviceRow) -> Self {
        let changed = device.to_change("");
        Self { state: device.state, ..Self::changed(&changed).expect("a row's words are on their lists") }
    }

    /// None if a word of it is not on its list; then the inventory's table does not take it either.
    fn changed(device: &DeviceChanged) -> Option<Self> {
        let state = device.state.parse().ok()?;
        let watch = device.watch.clone();
        let identity = Identity {
            device_id: device.device_id.clone(),
            host: device.name.clone(),
            site: device.site.clone(),
            room: device.room.clone(),
            class: device.class.clone(),
        };
        let said = watch.clone().unwrap_or_default();
        let facts = Facts {
            kind: device.kind.clone(),
            vendor: device.vendor.clone(),
            model: device.model.clone(),
            serial: device.serial.clone(),
            firmware: said.firmware,
            name: device.name.clone(),
            location: said.location,
            mac: device.mac.clone(),
            ports: said.ports,
            object_id: said.object_id,
        };
        Some(Self { identity: Arc::new(identity), facts: Arc::new(facts), watch: watch.map(Arc::new), state })
    }
}

impl Known {
    fn put(&mut self, entry: Entry) {
        let id = entry.identity.device_id.clone();
        if let Some(before) = self.devices.remove(&id) {
            unlist(&mut self.by_serial, &before.facts.serial, &id);
            unlist(&mut self.by_mac, &before.facts.mac, &id);
            unlist(&mut self.by_agent, before.watch.as_ref().map_or("", |watch| watch.agent.as_str()), &id);
        }
        list(&mut self.by_serial, &entry.facts.serial, &id);
        list(&mut self.by_mac, &entry.facts.mac, &id);
        list(&mut self.by_agent, entry.watch.as_ref().map_or("", |watch| watch.agent.as_str()), &id);
        self.devices.insert(id, entry);
    }

    /// Notes until when another agent asked the device than does from now on: what it read is still on its way.
    fn retire_watch(&mut self, at: Timestamp, changed: &DeviceChanged) {
        let before = self.devices.get(&changed.device_id).and_then(|entry| entry.watch.clone());
        let Some(before) = before else { return };
        if changed.watch.as_ref().is_none_or(|watch| watch.agent != before.agent) {
            let key = (changed.device_id.clone(), before.agent.clone());
            self.former.insert(key, (before.address.clone(), at));
        }
    }

    fn find(&self, agent: &str, address: &str, facts: &Facts) -> Option<Watched> {
        let serials = self.by_serial.get(&facts.serial).filter(|_| !facts.serial.is_empty());
        let macs = self.by_mac.get(&facts.mac).filter(|_| !facts.mac.is_empty());
        let machine = self.machines.get(&facts.mac);
        let marked = serials.into_iter().chain(macs).flatten().chain(machine);
        let same = |id: &&String| {
            let entry = self.devices.get(*id);
            entry.is_some_and(|entry| machine == Some(*id) || discovery::is_same(&entry.facts, facts))
        };
        let found = marked.into_iter().find(same).cloned().or_else(|| self.find_by_place(agent, address))?;
        let entry = self.devices.get(&found)?;
        let answers = self.answers.get(&found).copied().unwrap_or_default();
        let answered_at = answers.last.filter(|_| answers.silent_since.is_none());
        Some(Watched { device: found, facts: Arc::clone(&entry.facts), watch: entry.watch.clone(), answered_at })
    }

    /// A device that tells nothing of itself is where a person took it in.
    fn find_by_place(&self, agent: &str, address: &str) -> Option<String> {
        let held = self.by_agent.get(agent)?;
        let there = held.iter().find(|id| {
            self.devices.get(*id).is_some_and(|entry| {
                !entry.facts.is_telling() && entry.watch.as_ref().is_some_and(|watch| watch.address == address)
            })
        });
        there.cloned()
    }

    fn managed(&self) -> Arc<[String]> {
        let devices = self.devices.values().map(|entry| &entry.facts.mac).filter(|mac| !mac.is_empty());
        let bases: BTreeSet<&String> = devices.chain(self.machines.keys()).collect();
        // A switch has an address for each port, and others hardly ever learn them: they come last, where room may end.
        let said: BTreeSet<&String> = self.said.iter().filter(|mac| !bases.contains(mac)).collect();
        bases.into_iter().chain(said).cloned().collect()
    }

    fn reached_by(&self, agent: &str) -> BTreeMap<&str, &Reach> {
        let reached = self.reaches.iter().filter_map(|(device, reaches)| {
            let reach = reaches.iter().find(|reach| reach.agent == agent)?;
            Some((device.as_str(), reach))
        });
        reached.collect()
    }
}

fn list(index: &mut HashMap<String, Vec<String>>, key: &str, id: &str) {
    if !key.is_empty() {
        index.entry(key.to_owned()).or_default().push(id.to_owned());
    }
}

fn unlist(index: &mut HashMap<String, Vec<String>>, key: &str, id: &str) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|known| known != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
