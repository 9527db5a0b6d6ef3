//! What closets find, and who asks what: the hands of `logic`'s `discovery` and `leases`.
//!
//! One task hears all closets, so that two that find the same device at the same time make one of it. What they say again
//! is compared with what they said before and costs no record; what is new is written down, and a closet that says more
//! than its bound is not heard further.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::device::Class;
use bellwether_logic::discovery::{self, Facts, Known, Place, Verdict};
use bellwether_logic::leases::{Attendance, GONE_FOR, Lease, Witness, successor};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, DeviceFound, Record, Watch, record};
use bellwether_proto::v1::Found;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::registry::Registry;
use crate::app::{Clicks, SubmitError};
use crate::config::Accept;
use crate::figures;
use crate::health::chain;
use crate::inventory::{Held, Inventory};
use crate::proposals::{self, AcceptError};
use crate::state::proposals::Reach;
use crate::state::{State, StateError};

mod heard;

/// What is said and waits to be heard. After a restart every closet says everything it has found: a large district has
/// some thousand devices, and half a kilobyte each is little.
const HEARD_MAX: usize = 8_192;

/// What is written down together.
const TOGETHER: usize = 64;

/// Addresses at which one agent may find something; the search of a closet is bounded to 65,536 addresses, and no school
/// has a device at each sixth.
const PLACES_PER_AGENT: usize = 10_000;

/// How often leases are looked at.
const LEASES_EVERY: Duration = Duration::from_secs(5);

/// Leases that are moved at one look: each waits for the disk.
const MOVES_MAX: usize = 200;

/// How often the addresses of machines with an agent are looked up. They change when a machine is connected.
const MACHINES_EVERY: u32 = 60;

/// After how long it is written down anew that a device is still found.
const REPEAT_AFTER: Duration = Duration::from_secs(6 * 3_600);

/// A device that answered within this time is where it is believed to be: three polls.
const ANSWERS_FOR: Duration = Duration::from_secs(180);

/// How long a record that the journal does not take just now is held, and how often it is offered.
const STORE_PAUSE: Duration = Duration::from_secs(1);
const STORE_TRIES: usize = 30;

/// The longest name of a credential.
const CREDENTIAL_CHARS_MAX: usize = 80;

/// The way to the task that hears what closets find.
#[derive(Clone, Debug)]
pub struct Discovery(mpsc::Sender<Heard>);

/// What the task works with.
pub struct Parts {
    /// Where proposals and devices are looked up.
    pub state: Arc<State>,
    /// Where records go.
    pub clicks: Clicks,
    /// Who is who, and who watches what.
    pub inventory: Arc<Inventory>,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: crate::clock::Clock,
    /// Which devices are taken in without asking a person.
    pub accept: Accept,
}

/// What an agent found.
#[derive(Clone, Debug)]
struct Heard {
    agent: String,
    address: String,
    credential: String,
    facts: Facts,
}

/// What an agent said was at an address, and when that was written down.
struct Said {
    credential: String,
    device: String,
    facts: Facts,
    at: Timestamp,
}

impl Discovery {
    /// The way, and the task behind it; run it.
    pub fn new(parts: Parts) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(HEARD_MAX);
        let task = Task { parts, said: HashMap::new(), attendance: Attendance::default() };
        (Self(sender), task.run(receiver))
    }

    /// An agent has found something.
    pub(super) fn hear(&self, agent: &str, found: Found) {
        let Some(heard) = Heard::of(agent, found) else { return figures::refused("found_malformed") };
        if self.0.try_send(heard).is_err() {
            // The agent says it again with its next stream.
            figures::refused("found_busy");
        }
    }
}

/// What is written down of what a closet says that it found; nothing of what is malformed. The fuzzer tries it.
#[must_use]
pub fn record_of(found: Found) -> Option<Record> {
    Heard::of("", found).map(|heard| heard.record(""))
}

impl Heard {
    fn of(agent: &str, found: Found) -> Option<Self> {
        let address = match found.address.parse::<IpAddr>() {
            Ok(address) => is_a_device(address).then(|| address.to_string()),
            Err(_) => {
                found.address.parse::<SocketAddr>().ok().filter(|it| is_a_device(it.ip())).map(|it| it.to_string())
            }
        };
        let credential = found.credential.trim().to_owned();
        let short = credential.chars().count() <= CREDENTIAL_CHARS_MAX && !credential.chars().any(char::is_control);
        let facts = Facts::from(found.facts?);
        address.filter(|_| short).map(|address| Self { agent: agent.to_owned(), address, credential, facts })
    }

    fn place(&self) -> Place<'_> {
        Place { agent: &self.agent, address: &self.address, credential: &self.credential }
    }

    fn record(&self, device: &str) -> Record {
        let found = DeviceFound {
            agent: self.agent.clone(),
            device_id: device.to_owned(),
            address: self.address.clone(),
            credential: self.credential.clone(),
            facts: Some(self.facts.clone().into()),
        };
        Record { body: Some(record::Body::Found(found)) }
    }
}

const fn is_a_device(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

struct Task {
    parts: Parts,
    /// By agent and address.
    said: HashMap<String, HashMap<String, Said>>,
    attendance: Attendance,
}

impl Task {
    async fn run(mut self, mut heard: mpsc::Receiver<Heard>) {
        self.remember().await;
        let mut ticks = tokio::time::interval(LEASES_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut some, mut count) = (Vec::with_capacity(TOGETHER), 0_u32);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.look_at_leases().await;
                    if count.is_multiple_of(MACHINES_EVERY) {
                        self.look_up_machines().await;
                        self.take_in_heard().await;
                        self.follow_pinged().await;
                    }
                    count = count.wrapping_add(1);
                }
                taken = heard.recv_many(&mut some, TOGETHER) => {
                    if taken == 0 {
                        return;
                    }
                    self.hear(std::mem::take(&mut some)).await;
                }
            }
        }
    }

    /// What was said before the collector started.
    async fn remember(&mut self) {
        let Some(sightings) = self.ask(State::sightings).await else { return };
        for sighting in sightings {
            let said = Said {
                credential: sighting.credential,
                device: sighting.device,
                facts: sighting.facts,
                at: sighting.last_at,
            };
            self.said.entry(sighting.agent).or_default().insert(sighting.address, said);
        }
    }

    async fn hear(&mut self, heard: Vec<Heard>) {
        let now = self.parts.clock.now();
        let (mut records, mut later) = (Vec::new(), Vec::new());
        for one in heard {
            let known = self.parts.inventory.find(&one.agent, &one.address, &one.facts);
            let watched = known.as_ref().map(|known| Known {
                watched: known.watch.as_ref().map(|watch| Place {
                    agent: &watch.agent,
                    address: &watch.address,
                    credential: &watch.credential,
                }),
                answers: known.answered_at.is_some_and(|at| now.since(at) < ANSWERS_FOR),
                facts: &known.facts,
            });
            let verdict = discovery::judge(one.place(), &one.facts, watched);
            let device = known.map(|known| known.device).unwrap_or_default();
            if verdict == Verdict::Nothing && self.parts.inventory.target(&one.agent, &device, now).is_none() {
                // It has an agent of its own.
                continue;
            }
            if matches!(verdict, Verdict::New | Verdict::Witness) {
                self.parts.inventory.note_stranger(&one.agent, &one.address, &device, now);
            }
            match self.is_news(now, &one, &device) {
                Ok(true) => records.push(one.record(&device)),
                Ok(false) => {}
                Err(TooMuch) => {
                    figures::refused("found_bound");
                    continue;
                }
            }
            match verdict {
                Verdict::Nothing | Verdict::Witness => {}
                Verdict::New | Verdict::Changed { .. } => later.push((one, device, verdict)),
            }
        }
        join_all(records.into_iter().map(|record| self.store(record))).await;
        for (one, device, verdict) in later {
            match verdict {
                Verdict::Changed { facts, moves } => self.change(&one, &device, *facts, moves).await,
                _ => self.take_in(&one).await,
            }
        }
    }

    /// Whether an agent says something else than before, or the same after a long time. Notes it.
    fn is_news(&mut self, now: Timestamp, heard: &Heard, device: &str) -> Result<bool, TooMuch> {
        let places = self.said.entry(heard.agent.clone()).or_default();
        if let Some(said) = places.get(&heard.address) {
            let same = said.credential == heard.credential && said.device == device && said.facts == heard.facts;
            if same && now.since(said.at) < REPEAT_AFTER {
                return Ok(false);
            }
        } else if places.len() >= PLACES_PER_AGENT {
            return Err(TooMuch);
        }
        let (credential, facts) = (heard.credential.clone(), heard.facts.clone());
        let said = Said { credential, device: device.to_owned(), facts, at: now };
        places.insert(heard.address.clone(), said);
        Ok(true)
    }

    /// Writes a record down, and waits until it shows. A journal that is full takes it later.
    async fn store(&self, record: Record) {
        for _ in 0..STORE_TRIES {
            match self.parts.clicks.submit(record.clone()).await {
                Ok(()) | Err(SubmitError::Slow | SubmitError::Stopping | SubmitError::Refused(_)) => return,
                Err(SubmitError::Busy | SubmitError::Journal(_)) => tokio::time::sleep(STORE_PAUSE).await,
            }
        }
        figures::refused("found_unstored");
        tracing::error!("what a closet found could not be stored");
    }

    /// A device of ours has another address, or other facts.
    async fn change(&self, heard: &Heard, device: &str, facts: Facts, moves: bool) {
        let edited = |watch: &Watch| {
            let mut watch = Watch {
                firmware: facts.firmware.clone(),
                location: facts.location.clone(),
                ports: facts.ports,
                object_id: facts.object_id.clone(),
                ..watch.clone()
            };
            if moves {
                watch.address.clone_from(&heard.address);
                watch.credential.clone_from(&heard.credential);
            }
            (watch.agent == heard.agent).then_some(watch)
        };
        let described = |changed: DeviceChanged| DeviceChanged {
            vendor: facts.vendor.clone(),
            model: facts.model.clone(),
            serial: facts.serial.clone(),
            mac: facts.mac.clone(),
            ..changed
        };
        self.edit(device, edited, described).await;
    }

    /// Changes how a device is watched, unless somebody was faster.
    async fn edit(
        &self,
        device: &str,
        edited: impl FnOnce(&Watch) -> Option<Watch>,
        described: impl FnOnce(DeviceChanged) -> DeviceChanged,
    ) {
        let _alone = self.parts.clicks.alone().await;
        let asked = device.to_owned();
        let Some(Some(row)) = self.ask(move |state| state.device(&asked)).await else { return };
        let Some(watch) = row.watch.as_ref().and_then(edited) else { return };
        let changed = described(DeviceChanged { watch: Some(watch), ..row.to_change("discovery") });
        self.store(Record { body: Some(record::Body::Device(changed)) }).await;
    }

    /// Takes a new device in, if the rule says so and no person has said otherwise.
    async fn take_in(&self, heard: &Heard) {
        let kind = heard.facts.kind.parse().unwrap_or(Class::Other);
        if !self.parts.accept.takes(kind) {
            return;
        }
        let Some(key) = discovery::keys(&heard.facts, &heard.agent, &heard.address).next() else { return };
        let asked = key.clone();
        let Some(Some(proposal)) = self.ask(move |state| state.proposal(&asked)).await else { return };
        if !proposal.dismissed_by.is_empty() {
            return;
        }
        self.accept(key).await;
    }

    async fn accept(&self, key: String) {
        match proposals::accept(&self.parts.state, &self.parts.clicks, key, None, "discovery").await {
            Ok(device) => tracing::info!(device, "a device that was found is watched from now on"),
            Err(AcceptError::Gone) => {}
            Err(error) => tracing::error!(why = chain(&error), "a device that was found could not be taken in"),
        }
    }

    async fn look_at_leases(&mut self) {
        let now = self.parts.clock.now();
        let holders = self.parts.inventory.holders();
        let mut moves = Vec::new();
        for holder in &holders {
            let is_connected = self.parts.registry.is_connected(holder);
            let gone_since = self.attendance.note(now, holder, is_connected);
            if gone_since.is_some_and(|since| now.since(since) >= GONE_FOR) {
                let held = self.parts.inventory.held_by(holder);
                moves.extend(held.into_iter().filter_map(|held| self.next_place(now, gone_since, held)));
            }
        }
        self.attendance.keep(|agent| holders.iter().any(|holder| holder == agent));
        for held in self.parts.inventory.silent() {
            moves.extend(self.next_place(now, None, held));
        }
        for (held, reach) in moves.into_iter().take(MOVES_MAX) {
            tracing::info!(
                device = held.device,
                from = held.watch.agent,
                to = reach.agent,
                "a device is asked elsewhere"
            );
            let (agent, address) = (held.watch.agent.clone(), held.watch.address.clone());
            let edited = |watch: &Watch| {
                let is_as_seen = watch.agent == agent && watch.address == address;
                let Reach { agent, address, credential, .. } = reach;
                is_as_seen.then(|| Watch { agent, address, credential, ..watch.clone() })
            };
            self.edit(&held.device, edited, |changed| changed).await;
        }
    }

    /// Where a device is to be asked from now on, if elsewhere than before: by its holder where that found it last, or by
    /// another agent.
    fn next_place(&self, now: Timestamp, gone_since: Option<Timestamp>, held: Held) -> Option<(Held, Reach)> {
        let own = held.own.clone().filter(|own| gone_since.is_none() && own.address != held.watch.address);
        if let Some(own) = own {
            return Some((held, own));
        }
        let witnesses: Vec<Witness<'_>> = held
            .others
            .iter()
            .map(|reach| Witness {
                agent: &reach.agent,
                is_connected: self.parts.registry.is_connected(&reach.agent),
                found_at: reach.found_at,
            })
            .collect();
        let lease = Lease { gone_since, silent_since: held.silent_since };
        let agent = successor(now, lease, &witnesses)?;
        let reach = held.others.iter().find(|reach| reach.agent == agent).cloned()?;
        Some((held, reach))
    }

    async fn look_up_machines(&self) {
        let Some(machines) = self.ask(State::machines).await else { return };
        let macs = machines.into_iter().flat_map(|machine| {
            let device = machine.device;
            machine.hardware.macs.into_iter().map(move |mac| (mac, device.clone()))
        });
        self.parts.inventory.put_machines(macs.collect());
        if let Some(said) = self.ask(State::said_macs).await {
            self.parts.inventory.put_said_macs(said);
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&State) -> Result<T, StateError> + Send + 'static,
    ) -> Option<T> {
        let state = Arc::clone(&self.parts.state);
        match tokio::task::spawn_blocking(move || question(&state)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::error!(why = chain(&error), "what closets find could not be looked up");
                None
            }
            Err(error) => {
                tracing::error!(%error, "what closets find could not be looked up");
                None
            }
        }
    }
}

/// An agent found something at more addresses than are kept.
struct TooMuch;

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_proto::v1::DeviceFacts;

    fn found(address: &str, credential: &str) -> Option<Heard> {
        let facts = Some(DeviceFacts::default());
        Heard::of("d1", Found { address: address.into(), credential: credential.into(), facts })
    }

    #[test]
    fn a_place_is_an_address_with_or_without_a_port() {
        assert_eq!(found("10.0.0.2", "a").unwrap().address, "10.0.0.2");
        assert_eq!(found("127.0.0.1:1161", "a").unwrap().address, "127.0.0.1:1161");
        assert_eq!(found("2001:DB8::1", "a").unwrap().address, "2001:db8::1");
        for wrong in ["", "switch.example", "0.0.0.0", "224.0.0.1", "10.0.0.0/8"] {
            assert!(found(wrong, "a").is_none(), "{wrong}");
        }
        assert!(found("10.0.0.2", &"a".repeat(81)).is_none());
    }
}
