//! The closet's task: polls, echo requests and the search, all in one place. It waits for nothing but the next event.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_logic::topology::Mac;
use bellwether_proto::v1;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::devices::Devices;
use super::listener::{Listener, Told, told};
use super::searcher::{self, Finds};
use super::{Finding, Order, kept};
use crate::clock;
use crate::gather::Gather;
use crate::probe::icmp::asks::{Ask, Outcome as Echo};
use crate::probe::icmp::{Engine, IcmpProblem};
use crate::reading::{integer, sample};
use crate::snmp::ask::Trouble;
use crate::snmp::client::Login;
use crate::snmp::neighborhood;
use crate::snmp::poll::Shared;
use crate::snmp::poll::schedule::{Due, Schedule};
use crate::snmp::poll::visit::{self, Outcome, Visit, Visited};
use crate::snmp::search::{Search, Step};
use crate::snmp::settings::Snmp;
use crate::snmp::traps::Nudge;

/// Rows that are handed over at once: as many as fit one batch.
const ROWS_AT_ONCE: usize = crate::run::rounds::ROWS_PER_BATCH;
/// The longest that a row waits for others: each batch costs the line its frame.
const GATHER: Duration = Duration::from_secs(5);
/// States that are said at once, and how long until the next: a stream of its own for 5,000 devices is no flood.
const SAID_AT_ONCE: usize = 20;
const SAID_APART: Duration = Duration::from_millis(100);
/// Echo requests to a device that did not answer otherwise, a witness's, and a search's: two are hardly lost.
const ECHOES: u32 = 3;
const ECHOES_APART: Duration = Duration::from_millis(400);
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);
/// The folder of an admin's own profiles, in the state folder.
const PROFILES: &str = "profiles";

/// What is under way.
type Under = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Polled { slot: u32, generation: u32, slow: bool, time: Timestamp, visited: Visited },
    Asked { address: SocketAddr, credential: usize, facts: Option<v1::DeviceFacts> },
}

/// Why an echo request is under way.
enum Echoed {
    Silent { target: String, time: Timestamp, trouble: Trouble },
    Pinged { slot: u32, generation: u32, time: Timestamp, alone: bool },
    Searched(SocketAddr),
}

/// A state that is to be said again.
enum Again {
    Device(u32),
    Find(SocketAddr),
}

pub(super) struct Watch {
    state_dir: PathBuf,
    settings: Snmp,
    shared: Arc<Shared>,
    logins: BTreeMap<String, Arc<Login>>,
    devices: Devices,
    /// The addresses that the district manages: no other leaves this machine.
    managed: BTreeSet<Mac>,
    schedule: Schedule,
    search: Search,
    finds: Finds,
    next_search: Instant,
    under_way: FuturesUnordered<Under>,
    engine: Engine,
    echoes: HashMap<u64, Echoed>,
    next_echo: u64,
    met: Option<IcmpProblem>,
    gathered: Vec<Sample>,
    since: Option<Instant>,
    found: VecDeque<Finding>,
    again: VecDeque<Again>,
    next_again: Instant,
    next_row: Instant,
    begun: Instant,
    polls: u64,
    unanswered: u64,
    listener: Option<Listener>,
    to_loop: mpsc::Sender<Finding>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, for one turn of the loop")]
enum Next {
    Order(Option<Order>),
    Done(Done),
    Echo(u64, Echo),
    Told(Told),
    Due,
}

impl Watch {
    pub(super) fn new(state_dir: PathBuf, settings: Snmp, to_loop: mpsc::Sender<Finding>) -> Self {
        let now = Instant::now();
        let login = |named: &crate::snmp::settings::Named| match Login::new(&named.credential) {
            Ok(login) => Some((named.name.clone(), Arc::new(login))),
            Err(error) => {
                tracing::error!(credential = named.name, %error, "a credential can't be used");
                None
            }
        };
        Self {
            shared: Arc::new(Shared::new(&state_dir.join(PROFILES))),
            logins: settings.credentials.iter().filter_map(login).gather(),
            devices: Devices::default(),
            managed: BTreeSet::new(),
            schedule: Schedule::new(settings.interval, settings.slow_interval),
            search: Search::default(),
            finds: Finds::default(),
            next_search: now + settings.interval,
            under_way: FuturesUnordered::new(),
            engine: Engine::default(),
            echoes: HashMap::new(),
            next_echo: 0,
            met: None,
            gathered: Vec::new(),
            since: None,
            found: VecDeque::new(),
            again: VecDeque::new(),
            next_again: now,
            next_row: now + settings.interval,
            begun: now,
            polls: 0,
            unanswered: 0,
            listener: Listener::start(&state_dir, &settings, wall),
            state_dir,
            settings,
            to_loop,
        }
    }

    /// Until the loop hangs up.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        self.assign(kept::load(&self.state_dir));
        loop {
            let wake = self.wake();
            let next = tokio::select! {
                order = orders.recv() => Next::Order(order),
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => Next::Done(done),
                (key, echo) = self.engine.next(), if !self.echoes.is_empty() => Next::Echo(key, echo),
                told = told(&mut self.listener) => Next::Told(told),
                () = tokio::time::sleep_until(wake) => Next::Due,
            };
            match next {
                Next::Order(None) => return,
                Next::Order(Some(Order::Assigned(assignments))) => self.assign(assignments),
                Next::Order(Some(Order::SayAgain)) => self.say_again(),
                Next::Done(Done::Polled { slot, generation, slow, time, visited }) => {
                    self.handle_polled(slot, generation, slow, time, visited);
                }
                Next::Done(Done::Asked { address, credential, facts }) => {
                    self.handle_asked(address, credential, facts);
                }
                Next::Echo(key, echo) => self.handle_echo(key, &echo),
                Next::Told(told) => self.handle_told(told),
                Next::Due => {}
            }
            self.begin_due(Instant::now());
            if !self.flush().await {
                return;
            }
        }
    }

    fn assign(&mut self, assignments: v1::Assignments) {
        self.managed = neighborhood::managed(&assignments.managed_macs);
        let change = self.devices.assign(kept::targets(assignments.assignments));
        if let Some(listener) = &self.listener {
            listener.assign(&self.devices);
        }
        let now = self.ms(Instant::now());
        change.removed.iter().for_each(|slot| self.schedule.remove(*slot));
        for slot in change.added {
            if let Some(device) = self.devices.get(slot) {
                self.finds.forget(device.target.address);
                self.schedule.add(slot, &device.target.id, now);
            }
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// When something is to be done, if nothing happens before.
    fn wake(&self) -> Instant {
        let at = |ms| self.begun + Duration::from_millis(ms);
        let again = (!self.again.is_empty()).then_some(self.next_again);
        let timers = [
            self.schedule.poll_wake().map(at),
            self.search.poll_wake().map(at),
            self.since.map(|since| since + GATHER),
            again,
            Some(self.next_row),
            Some(self.next_search),
        ];
        timers.into_iter().flatten().min().unwrap_or(self.next_row)
    }

    fn begin_due(&mut self, now: Instant) {
        let now_ms = self.ms(now);
        while let Some(due) = self.schedule.poll_due(now_ms) {
            self.begin_poll(due);
        }
        if now >= self.next_search {
            self.next_search = now + self.settings.search_every;
            self.begin_search(now_ms);
        }
        while let Some(step) = self.search.poll_step(now_ms) {
            self.begin_step(step);
        }
        if let Some(counts) = self.search.take_done() {
            self.finds.end_round();
            self.gather(vec![searcher::row(counts, wall())]);
        }
        if now >= self.next_row {
            self.next_row = now + self.settings.interval;
            let row = self.row();
            self.gather(vec![row]);
        }
        if now >= self.next_again && !self.again.is_empty() {
            self.next_again = now + SAID_APART;
            self.say_some();
        }
    }

    fn begin_poll(&mut self, Due { slot, slow }: Due) {
        let Some(device) = self.devices.get_mut(slot) else { return self.schedule.handle_done(slot) };
        let time = wall();
        let generation = device.generation;
        let alone = device.target.is_only_pinged();
        if device.target.witness || alone {
            let to = device.target.address;
            self.schedule.handle_slow_done(slot);
            return self.begin_echo(to, Echoed::Pinged { slot, generation, time, alone });
        }
        let Some(login) = self.logins.get(device.target.credential.as_ref()) else {
            let row = visit::row(&device.target.id, time, vec![trouble_field("no_credential")]);
            self.schedule.handle_done(slot);
            self.schedule.handle_slow_done(slot);
            return self.gather(vec![row]);
        };
        let visit = || Visit {
            shared: Arc::clone(&self.shared),
            target: Arc::clone(&device.target),
            login: Arc::clone(login),
            turnstile: device.turnstile.clone(),
            time,
            at_ms: u64::try_from(clock::now().boot.as_millis()).unwrap_or(u64::MAX),
        };
        if let Some(learned) = device.learned.take() {
            device.memory.learn(learned);
        }
        let silent = device.memory.is_silent();
        if slow && silent {
            // It would take its turns from the questions whether the device is back.
            self.schedule.put_off_slow(slot);
        } else if slow {
            let (visit, memory) = (visit(), device.memory.for_slow());
            self.under_way.push(Box::pin(async move {
                Done::Polled { slot, generation, slow: true, time, visited: visit.slow(memory).await }
            }));
        }
        let (visit, memory) = (visit(), std::mem::take(&mut device.memory));
        self.under_way.push(Box::pin(async move {
            Done::Polled { slot, generation, slow: false, time, visited: visit.fast(memory).await }
        }));
    }

    fn handle_polled(&mut self, slot: u32, generation: u32, slow: bool, time: Timestamp, visited: Visited) {
        let Some(device) = self.devices.same(slot, generation) else { return };
        let Visited { memory, outcome, facts } = visited;
        let base = facts.as_ref().map(|facts| facts.mac.clone()).unwrap_or_default();
        self.found.extend(facts.and_then(|facts| device.note_found(facts)).map(Finding::Found));
        if slow {
            self.schedule.handle_slow_done(slot);
            if !matches!(outcome, Outcome::Unanswered(_)) {
                device.learned = Some(memory);
            }
        } else {
            self.schedule.handle_done(slot);
            self.polls += 1;
            device.memory = memory;
            device.answers = matches!(outcome, Outcome::Answered { .. });
        }
        match outcome {
            Outcome::Answered { samples, rows } => {
                if slow {
                    let (around, dropped) = neighborhood::of(&device.target.id, &base, &rows, &self.managed);
                    if dropped > 0 {
                        tracing::warn!(device = &*device.target.id, dropped, "a device knows of more than can be told");
                    }
                    self.found.extend(device.note_neighborhood(around).map(Finding::Neighborhood));
                }
                self.gather(samples);
            }
            Outcome::Unanswered(trouble) if !slow => {
                self.unanswered += 1;
                let (to, target) = (device.target.address, device.target.id.to_string());
                self.begin_echo(to, Echoed::Silent { target, time, trouble });
            }
            Outcome::Stranger if !slow => {
                let row = visit::row(&device.target.id, time, vec![trouble_field("other_device")]);
                self.gather(vec![row]);
            }
            Outcome::Unanswered(_) | Outcome::Stranger => {}
        }
    }

    /// A device told something by itself: how it is now is asked at once.
    fn handle_told(&mut self, told: Told) {
        match told {
            Told::Rows(samples) => self.gather(samples),
            Told::Nudge(Nudge::Poll(id)) => {
                if let Some(slot) = self.devices.slot_of(&id) {
                    self.schedule.hurry(slot, self.ms(Instant::now()));
                }
            }
        }
    }

    fn begin_search(&mut self, now_ms: u64) {
        if self.settings.ranges.is_empty() {
            return;
        }
        self.finds.begin_round();
        let unknown = |address: &SocketAddr| self.devices.at(*address).is_none_or(|device| !device.answers);
        let addresses = self.settings.addresses().filter(unknown);
        self.search.begin(addresses, self.settings.credentials.len(), now_ms);
    }

    fn begin_step(&mut self, step: Step) {
        match step {
            Step::Ping(address) => self.begin_echo(address, Echoed::Searched(address)),
            Step::Ask(address, credential) => {
                let named = self.settings.credentials.get(credential);
                let login = named.and_then(|named| self.logins.get(&named.name)).cloned();
                let shared = Arc::clone(&self.shared);
                self.under_way.push(Box::pin(async move {
                    let facts = match login {
                        Some(login) => searcher::ask(shared, address, login).await,
                        None => None,
                    };
                    Done::Asked { address, credential, facts }
                }));
            }
        }
    }

    fn handle_asked(&mut self, address: SocketAddr, credential: usize, facts: Option<v1::DeviceFacts>) {
        let now = self.ms(Instant::now());
        self.search.handle_asked(address, credential, facts.is_some(), now);
        // What is assigned there is known by its polls; one that is only pinged lets somebody in now.
        if self.devices.at(address).is_some_and(|device| !device.target.is_only_pinged()) {
            return;
        }
        if let (Some(facts), Some(named)) = (facts, self.settings.credentials.get(credential)) {
            self.found.extend(self.finds.note(address, &named.name, facts).map(Finding::Found));
        }
    }

    fn begin_echo(&mut self, to: SocketAddr, why: Echoed) {
        self.next_echo += 1;
        let ask = Ask { to, count: ECHOES, apart: ECHOES_APART, timeout: ECHO_TIMEOUT, hops: None };
        match self.engine.begin(self.next_echo, ask) {
            Ok(()) => drop(self.echoes.insert(self.next_echo, why)),
            Err(problem) => {
                if self.met.as_ref() != Some(&problem) {
                    tracing::warn!(%problem, "devices are not pinged");
                    self.met = Some(problem);
                }
                self.finish_echo(why, None);
            }
        }
    }

    fn handle_echo(&mut self, key: u64, echo: &Echo) {
        let quickest = echo.trips_ms.iter().copied().filter(|trip| trip.is_finite()).min_by(f32::total_cmp);
        if let Some(why) = self.echoes.remove(&key) {
            self.finish_echo(why, Some(quickest));
        }
    }

    /// `quickest`: none if the system lets nobody send.
    fn finish_echo(&mut self, why: Echoed, quickest: Option<Option<f32>>) {
        let pings = quickest.map(|quickest| quickest.is_some());
        let field = pings.map(|pings| (Name::Borrowed("pings"), Value::Boolean(pings)));
        match why {
            Echoed::Searched(address) => self.search.handle_ping(address, pings == Some(true)),
            Echoed::Silent { target, time, trouble } => {
                let mut fields =
                    vec![(Name::Borrowed("answered"), Value::Boolean(false)), trouble_field(trouble.word())];
                // Whoever judges must know that nothing is known.
                fields.push(field.unwrap_or((Name::Borrowed("unpinged"), Value::Boolean(true))));
                self.gather(vec![visit::row(&target, time, fields)]);
            }
            Echoed::Pinged { slot, generation, time, alone } => {
                let Some(device) = self.devices.same(slot, generation) else { return };
                self.schedule.handle_done(slot);
                let Some(field) = field else { return };
                let trip = quickest.flatten().filter(|_| alone).map(|trip| crate::reading::millis(trip.into()));
                let fields = std::iter::once(field).chain(trip.map(|trip| (Name::Borrowed("response_ms"), trip)));
                let mut row = visit::row(&device.target.id, time, fields.collect());
                row.measurement = Name::Borrowed(if alone { "ping_only" } else { "snmp_witness" });
                self.gather(vec![row]);
            }
        }
    }

    /// The row about the closet's work.
    fn row(&mut self) -> Sample {
        let witnessed = self.devices.iter().filter(|device| device.target.witness).count();
        let fields = vec![
            ("devices", crate::reading::count(self.devices.iter().count() - witnessed)),
            ("polls", integer(std::mem::take(&mut self.polls))),
            ("skipped", integer(self.schedule.take_skipped())),
            ("unanswered", integer(std::mem::take(&mut self.unanswered))),
            ("witnessed", crate::reading::count(witnessed)),
        ];
        sample("snmp_closet", Vec::new(), wall(), fields)
    }

    fn say_again(&mut self) {
        self.again = self.devices.slots().map(Again::Device).chain(self.finds.addresses().map(Again::Find)).collect();
    }

    fn say_some(&mut self) {
        for again in self.again.drain(..SAID_AT_ONCE.min(self.again.len())) {
            match again {
                Again::Device(slot) => {
                    let Some((found, around)) = self.devices.get(slot).map(super::devices::Device::said) else {
                        continue;
                    };
                    self.found.extend(found.map(Finding::Found));
                    self.found.extend(around.map(Finding::Neighborhood));
                }
                Again::Find(address) => self.found.extend(self.finds.get(address).map(Finding::Found)),
            }
        }
    }

    fn gather(&mut self, samples: Vec<Sample>) {
        self.since.get_or_insert_with(Instant::now);
        self.gathered.extend(samples);
    }

    /// Hands over what is ripe; false if nobody takes it any more.
    async fn flush(&mut self) -> bool {
        while let Some(finding) = self.found.pop_front() {
            if self.to_loop.send(finding).await.is_err() {
                return false;
            }
        }
        let is_ripe = self.since.is_some_and(|since| since.elapsed() >= GATHER) || self.gathered.len() >= ROWS_AT_ONCE;
        if !is_ripe {
            return true;
        }
        self.since = None;
        self.to_loop.send(Finding::Samples(std::mem::take(&mut self.gathered))).await.is_ok()
    }
}

/// Why a device gave nothing.
fn trouble_field(word: &str) -> (Name, Value) {
    (Name::Borrowed("trouble"), Value::Text(word.to_owned()))
}

/// The time that rows bear: to the second, because devices that are asked in the same one share it.
fn wall() -> Timestamp {
    let wall = clock::now().wall.0;
    Timestamp(wall - wall.rem_euclid(1_000))
}
