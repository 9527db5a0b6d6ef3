//! Who watches what: what ingest asks of it, what agents are told, and what leases are judged by.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bellwether_logic::device::LifeState;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Target, Watch};
use bellwether_proto::v1::Assignment;

use super::{Answers, Entry, Inventory, Known};
use crate::state::proposals::Reach;

/// How long after a lease has moved its former holder may still have asked: until it is told, and a poll has ended.
const FAREWELL: Duration = Duration::from_secs(120);

/// One lease, with everything that is needed to judge it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The device.
    pub device: String,
    /// How it is watched.
    pub watch: Arc<Watch>,
    /// Since when it has not answered.
    pub silent_since: Option<Timestamp>,
    /// Where its holder found it last.
    pub own: Option<Reach>,
    /// Who else reaches it, and where.
    pub others: Vec<Reach>,
}

impl Inventory {
    /// A device as the target of an agent that asks it, or asked it at that time; none: it is none of its business.
    #[must_use]
    pub fn target(&self, agent: &str, device: &str, at: Timestamp) -> Option<Target> {
        self.read(|known| {
            let entry = known.devices.get(device)?;
            let holds = entry.watch.as_ref().filter(|watch| watch.agent == agent);
            let address = match holds {
                Some(watch) => watch.address.clone(),
                None => {
                    let (address, until) = known.former.get(&(device.to_owned(), agent.to_owned()))?;
                    (at <= *until + FAREWELL).then(|| address.clone())?
                }
            };
            Some(Target { identity: Some((*entry.identity).clone()), address })
        })
    }

    /// A device as the target of an agent that bears witness to it; none: it does not.
    #[must_use]
    pub fn witnessed(&self, agent: &str, device: &str) -> Option<Target> {
        self.read(|known| {
            let entry = known.watched(device)?;
            let reach = known.reaches.get(device)?.iter().find(|reach| reach.agent == agent)?;
            Some(Target { identity: Some((*entry.identity).clone()), address: reach.address.clone() })
        })
    }

    /// A watched device answered, or did not.
    pub fn note_answer(&self, device: &str, answers: bool, at: Timestamp) {
        // Not by `write`: no agent is told anything else for it.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let noted = known.answers.entry(device.to_owned()).or_default();
        if answers {
            *noted = Answers { last: Some(at.max(noted.last.unwrap_or_default())), silent_since: None };
        } else {
            noted.silent_since.get_or_insert(at);
        }
    }

    /// An agent found something else where it asks a device: that one does not answer there any more.
    pub fn note_stranger(&self, agent: &str, address: &str, found: &str, at: Timestamp) {
        let displaced = self.read(|known| {
            let held = known.by_agent.get(agent).into_iter().flatten();
            let asked_there = |device: &&String| {
                let watch = known.devices.get(*device).and_then(|entry| entry.watch.as_ref());
                **device != found && watch.is_some_and(|watch| watch.address == address)
            };
            held.filter(asked_there).cloned().collect::<Vec<String>>()
        });
        for device in displaced {
            self.note_answer(&device, false, at);
        }
    }

    /// Whether an agent is told what to watch: it asks or reaches a device, or did.
    #[must_use]
    pub fn is_closet(&self, agent: &str) -> bool {
        self.read(|known| {
            known.by_agent.contains_key(agent)
                || known.reaches.values().flatten().any(|reach| reach.agent == agent)
                || known.former.keys().any(|(_, former)| former == agent)
        })
    }

    /// What an agent is told to watch, by device: what it asks first, then what it bears witness to.
    #[must_use]
    pub fn assignments(&self, agent: &str) -> Vec<Assignment> {
        self.read(|known| {
            let held: BTreeSet<&String> = known.by_agent.get(agent).into_iter().flatten().collect();
            let asked = held.iter().filter_map(|device| {
                let entry = known.watched(device)?;
                // What only draws power from a port has no address.
                let watch = entry.watch.as_deref().filter(|watch| !watch.address.is_empty())?;
                Some(assignment(device, entry, &watch.address, &watch.credential, false))
            });
            let reached = known.reached_by(agent);
            let witnessed = reached.iter().filter_map(|(device, reach)| {
                let entry = known
                    .watched(device)
                    .filter(|entry| entry.watch.as_ref().is_some_and(|watch| watch.agent != agent))?;
                Some(assignment(device, entry, &reach.address, &reach.credential, true))
            });
            asked.chain(witnessed).collect()
        })
    }

    /// Every address that the district manages: base addresses and machines' first, then those of ports; each part sorted.
    #[must_use]
    pub fn managed_macs(&self) -> Arc<[String]> {
        if let Some(managed) = self.read(|known| known.managed.clone()) {
            return managed;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let managed = known.managed();
        known.managed = Some(Arc::clone(&managed));
        managed
    }

    /// Agents that ask devices.
    #[must_use]
    pub fn holders(&self) -> Vec<String> {
        self.read(|known| known.by_agent.keys().cloned().collect())
    }

    /// The leases of an agent.
    #[must_use]
    pub fn held_by(&self, agent: &str) -> Vec<Held> {
        self.read(|known| {
            let held = known.by_agent.get(agent).into_iter().flatten().filter_map(|device| known.held(device));
            held.collect()
        })
    }

    /// The leases of devices that do not answer.
    #[must_use]
    pub fn silent(&self) -> Vec<Held> {
        self.read(|known| {
            let silent = known.answers.iter().filter(|(_, answers)| answers.silent_since.is_some());
            silent.filter_map(|(device, _)| known.held(device)).collect()
        })
    }
}

impl Known {
    /// A device that is watched: put away, lost or retired it is not.
    fn watched(&self, device: &str) -> Option<&Entry> {
        let away = [LifeState::Storage, LifeState::Lost, LifeState::Retired];
        self.devices.get(device).filter(|entry| entry.watch.is_some() && !away.contains(&entry.state))
    }

    fn held(&self, device: &str) -> Option<Held> {
        let watch = Arc::clone(self.watched(device)?.watch.as_ref()?);
        let reaches = self.reaches.get(device).into_iter().flatten().cloned();
        let (own, others): (Vec<Reach>, Vec<Reach>) = reaches.partition(|reach| reach.agent == watch.agent);
        let silent_since = self.answers.get(device).and_then(|answers| answers.silent_since);
        Some(Held { device: device.to_owned(), silent_since, watch, own: own.into_iter().next(), others })
    }
}

fn assignment(device: &str, entry: &Entry, address: &str, credential: &str, witness: bool) -> Assignment {
    Assignment {
        device_id: device.to_owned(),
        address: address.to_owned(),
        credential: credential.to_owned(),
        witness,
        serial: entry.facts.serial.clone(),
        mac: entry.facts.mac.clone(),
    }
}
