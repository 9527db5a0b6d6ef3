//! The agent's one loop.
//!
//! Everything that happens is one of a closed list of events (`Event`), taken one after the other: a timer is due, the
//! sources were read, the probes have looked, the collector says something, there is room to send, it is time to stop.
//! The loop decides nothing about lanes or waits (`bellwether_logic` does) and waits for nothing but the next event:
//! sources are read by a thread, probes and the network are tasks.
//!
//! What it promises: nothing that the collector or the network does ends the agent. A batch is in the spool before it
//! is sent. A wall clock that steps begins a new generation, because one generation has one clock.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::backoff::Backoff;
use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::{Pace, Receipt, Uplink};
use bellwether_proto::batch::{self, BatchId, Encoder, Lane};
use bellwether_proto::schema::{self as declared, Measurement};
use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::collector_message::Body as FromCollector;
use bellwether_proto::v1::{self, AgentMessage, Goodbye, Hello, Welcome};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use self::complaints::Complaints;
use self::generation::Generation;
use self::looker::Looker;
use self::reader::{Reader, Readings};
use self::ticks::Ticks;
use self::timers::{Timer, Timers};
use crate::GoodbyeReason;
use crate::clock::{self, Now};
use crate::config::{Config, ConfigError};
use crate::host::Host;
use crate::probe::ping::Look;
use crate::schema;
use crate::spool::{Spool, SpoolError};
use crate::state::{self, StateDir, StateError};
use crate::tls::{BadCredentials, ClientIdentity};
use crate::uplink::{self, Link, LinkError};

mod complaints;
mod generation;
mod looker;
mod reader;
mod ticks;
mod timers;

pub use complaints::whole_chain;

/// The first readings come this soon after the start, so that a machine that was just connected shows up at once.
const FIRST_READING: Duration = Duration::from_secs(1);

/// A round of readings is closed after this at the latest, with what there is.
const ROUND_MAX: Duration = Duration::from_secs(8);

/// A wall clock this near to the collector's is right enough to judge the age of what waits.
const CLOCK_RIGHT_MS: u64 = 300_000;

/// For the last batch and the goodbye at a clean stop.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// Rows of one batch: far below the wire's limits, and an ordinary machine has a tenth of it.
const ROWS_PER_BATCH: usize = 1_024;

/// What the one who starts an agent decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder of an enrolled agent.
    pub state_dir: PathBuf,
    /// Instead of the interval of `agent.toml`.
    pub interval: Option<Duration>,
}

/// Why an agent does not run. Nothing that the collector or the network does is among it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder.
    #[error("can't use the state folder")]
    State(#[from] StateError),
    /// `agent.toml`.
    #[error("can't use the configuration")]
    Config(#[from] ConfigError),
    /// The certificate or the key.
    #[error("can't use this agent's certificate and key: enrol again with --again")]
    Credentials(#[from] BadCredentials),
    /// The spool is of a newer version.
    #[error("can't use the spool")]
    Spool(#[from] SpoolError),
    /// The system gives no thread.
    #[error("can't start the thread that reads the sources")]
    Thread(#[source] std::io::Error),
}

impl Settings {
    /// An agent on this state folder, with the interval of its configuration.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), interval: None }
    }
}

/// Runs the agent until `shutdown` says why it should stop; then stops cleanly, within a few seconds.
///
/// # Errors
/// Only at start: when the state folder, the configuration or the spool can't be used.
pub async fn run(settings: Settings, shutdown: impl Future<Output = GoodbyeReason> + Send) -> Result<(), RunError> {
    let state = StateDir::take(&settings.state_dir, false)?;
    let mut agent = Agent::start(&settings, &state)?;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let event = tokio::select! {
            biased;
            reason = &mut shutdown => break agent.stop(reason).await,
            event = agent.next() => event,
        };
        agent.handle(event);
    }
    Ok(())
}

/// Everything that can happen.
enum Event {
    Due(Timer),
    Read(Readings),
    Looked(Timestamp, Look),
    Uplink(uplink::Event),
    RoomToSend,
}

/// Readings that belong together and are not yet in a batch.
struct Round {
    samples: Vec<Sample>,
    waits_for_sources: bool,
    waits_for_probes: bool,
}

struct Agent {
    identity: state::Identity,
    credentials: Arc<ClientIdentity>,
    interval: Duration,
    ticks: Ticks,
    timers: Timers,
    declared: Vec<&'static Measurement>,
    reader: Reader,
    looker: Looker,
    /// The first reading only gives the counters from which the next takes differences.
    primed: bool,
    ticked: bool,
    round: Option<Round>,
    spool: Spool,
    spool_sync: Duration,
    generation: Generation,
    uplink: Uplink,
    backoff: Backoff,
    complaints: Complaints,
    link: Option<Link>,
    encoder: Encoder,
    /// Whether the deciders might have something to send.
    may_send: bool,
}

impl Agent {
    fn start(settings: &Settings, state: &StateDir) -> Result<Self, RunError> {
        let identity = state.identity()?;
        let mut config = Config::load(&settings.state_dir.join(state::CONFIG_FILE))?;
        config.interval = settings.interval.unwrap_or(config.interval);
        let credentials = Arc::new(ClientIdentity::new(&state.credentials()?)?);
        let (spool, found) = Spool::open(&settings.state_dir.join(state::SPOOL_DIR), config.spool.clone())?;
        if found.torn_bytes > 0 {
            tracing::warn!(bytes = found.torn_bytes, "cut what was half written when the machine went off");
        }
        let now = clock::now();
        let generation = Generation::new(rand::random(), now);
        let mut uplink = Uplink::new(generation.number, 0);
        for receipt in spool.held() {
            uplink.handle_held(receipt.generation, receipt.ranges);
        }
        tracing::info!(
            device = identity.device_id,
            version = env!("CARGO_PKG_VERSION"),
            interval_s = config.interval.as_secs(),
            waiting = found.batches,
            "the agent runs"
        );
        let host = Host::default();
        let mut agent = Self {
            ticks: Ticks::new(config.interval, &identity.device_id),
            interval: config.interval,
            timers: Timers::default(),
            declared: schema::all().collect(),
            reader: Reader::start(&host, &config).map_err(RunError::Thread)?,
            spool_sync: config.spool.sync,
            looker: Looker::start(host, config),
            primed: false,
            ticked: false,
            round: None,
            spool,
            generation,
            uplink,
            backoff: Backoff::new(),
            complaints: Complaints::default(),
            link: None,
            encoder: Encoder::new(),
            may_send: false,
            identity,
            credentials,
        };
        agent.reader.prime(now.wall);
        agent.timers.set(Timer::Tick, FIRST_READING);
        agent.timers.set(Timer::Sync, agent.spool_sync);
        agent.call();
        Ok(agent)
    }

    /// Waits for the next that happens. Nothing is lost when this is cancelled.
    async fn next(&mut self) -> Event {
        let (timer, due) = self.timers.next();
        let may_send = self.may_send && self.uplink.is_up();
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.clone());
        tokio::select! {
            Some(readings) = self.reader.readings.recv() => Event::Read(readings),
            Some((time, look)) = self.looker.looks.recv() => Event::Looked(time, look),
            event = from_link(&mut self.link) => Event::Uplink(event),
            () = tokio::time::sleep_until(due) => Event::Due(timer),
            () = room(outgoing.as_ref()), if may_send => Event::RoomToSend,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Due(timer) => self.handle_timer(timer),
            Event::Read(readings) => self.handle_readings(readings),
            Event::Looked(time, look) => self.handle_look(time, look),
            Event::Uplink(uplink::Event::Welcomed(welcome)) => self.handle_welcome(&welcome),
            Event::Uplink(uplink::Event::Message(message)) => self.handle_message(&message),
            Event::Uplink(uplink::Event::Ended(error)) => self.handle_end(&error),
            Event::RoomToSend => self.send_next(),
        }
    }

    fn handle_timer(&mut self, timer: Timer) {
        self.timers.clear(timer);
        match timer {
            Timer::Tick => self.begin_round(),
            Timer::Round => self.close_round(),
            Timer::Call => self.call(),
            Timer::Sync => {
                self.spool.sync();
                self.timers.set(Timer::Sync, self.spool_sync);
            }
            Timer::Pace => self.may_send = true,
        }
    }
}

/// Readings.
impl Agent {
    fn begin_round(&mut self) {
        let now = clock::now();
        self.watch_clock(now);
        self.close_round();
        let first = !std::mem::replace(&mut self.ticked, true);
        // The first reading comes out of turn; it bears its own second, not a minute that it does not belong to.
        let time = if first { Timestamp(now.wall.0 - now.wall.0.rem_euclid(1_000)) } else { self.ticks.time(now.wall) };
        self.timers.set(Timer::Tick, self.ticks.wait(now.wall));
        self.timers.set(Timer::Round, ROUND_MAX.min(self.interval / 5 * 4));
        let waits_for_sources = self.reader.ask(time);
        let waits_for_probes = self.looker.ask(time);
        if !waits_for_sources && self.complaints.is_new("sources") {
            tracing::warn!("a source of the last round still has not answered");
        }
        self.round = Some(Round { samples: Vec::new(), waits_for_sources, waits_for_probes });
    }

    fn handle_readings(&mut self, readings: Readings) {
        if readings.of_round && !std::mem::replace(&mut self.primed, true) {
            return;
        }
        let mut samples = Vec::new();
        for mut report in readings.reports {
            samples.push(report.sample(readings.time));
            samples.append(&mut report.reading.samples);
            for problem in report.reading.problems {
                tracing::debug!(source = report.source, problem = problem.text, "a source met a problem");
            }
        }
        if readings.of_round {
            samples.push(self.spool.sample(readings.time));
            self.add(samples, |round| round.waits_for_sources = false);
        } else {
            self.spool_samples(samples);
        }
    }

    fn handle_look(&mut self, _time: Timestamp, look: Look) {
        for problem in &look.problems {
            let text = whole_chain(problem);
            if self.complaints.is_new(&text) {
                tracing::warn!(problem = text, "targets are not pinged");
            }
        }
        self.add(look.samples, |round| round.waits_for_probes = false);
    }

    /// Adds samples to the round; what comes after its round was closed is a batch of its own.
    fn add(&mut self, samples: Vec<Sample>, done: impl FnOnce(&mut Round)) {
        let round =
            self.round.get_or_insert(Round { samples: Vec::new(), waits_for_sources: false, waits_for_probes: false });
        round.samples.extend(samples);
        done(round);
        if !round.waits_for_sources && !round.waits_for_probes {
            self.close_round();
        }
    }

    fn close_round(&mut self) {
        self.timers.clear(Timer::Round);
        if let Some(round) = self.round.take() {
            self.spool_samples(round.samples);
        }
    }

    fn spool_samples(&mut self, mut samples: Vec<Sample>) {
        samples.retain(|sample| self.is_declared(sample));
        for samples in samples.chunks(ROWS_PER_BATCH) {
            self.spool_batch(samples);
        }
    }

    /// The last gate: what is not declared does not leave, whatever a source made.
    fn is_declared(&self, sample: &Sample) -> bool {
        let verdict = declared::check(&self.declared, sample);
        if let Err(error) = &verdict {
            tracing::error!(%error, "a sample that is not declared was not sent");
        }
        verdict.is_ok()
    }

    fn spool_batch(&mut self, samples: &[Sample]) {
        let id = self.generation.next();
        let gone = self.spool.append(&batch::encode_alone(id, Lane::Live, samples));
        self.uplink.handle_spooled(id);
        self.forget(&gone);
        self.may_send = true;
    }

    fn forget(&mut self, gone: &[BatchId]) {
        for id in gone {
            self.uplink.handle_dropped(*id);
        }
        if !gone.is_empty() {
            tracing::warn!(batches = gone.len(), "readings were dropped: the spool is full or they are too old");
        }
    }

    /// One generation has one clock.
    fn watch_clock(&mut self, now: Now) {
        let Some(step_ms) = self.generation.step_ms(now) else { return };
        tracing::info!(step_ms, "the clock was set: a new generation begins");
        self.close_round();
        self.generation = Generation::new(rand::random(), now);
        self.uplink.handle_new_generation(self.generation.number, 0);
        if self.link.take().is_some() {
            self.call();
        }
    }
}

/// The collector.
impl Agent {
    fn call(&mut self) {
        let attempt = self.backoff.failures() as usize;
        let endpoints = &self.identity.endpoints;
        let Some(endpoint) = endpoints.get(attempt % endpoints.len().max(1)) else { return };
        let opening = self.uplink.begin_stream();
        let hello = Hello {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: opening.generation,
            boot_id: clock::boot_id(),
            // Set when it is sent.
            now_unix_ms: 0,
            interval_s: u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX),
            config_revision: 0,
            live_from: opening.live_from,
            held: opening.held.iter().map(|held| v1::Receipt::new(held.generation, &held.ranges)).collect(),
        };
        self.encoder = Encoder::new();
        self.link = Some(Link::begin(endpoint.clone(), Arc::clone(&self.credentials), hello));
    }

    fn handle_welcome(&mut self, welcome: &Welcome) {
        tracing::info!(version = welcome.collector_version, "connected to the collector");
        self.complaints.clear();
        self.backoff.succeeded();
        let received = receipts(&welcome.received);
        self.spool.handle_ack(&received);
        let pace = Pace { window: welcome.backfill_window, per_s: welcome.backfill_per_s };
        self.uplink.handle_welcome(lane_time(), &received, pace);
        let wall = clock::now().wall;
        if wall.0.abs_diff(welcome.now_unix_ms) < CLOCK_RIGHT_MS {
            let gone = self.spool.drop_older(Timestamp(welcome.now_unix_ms));
            self.forget(&gone);
        }
        self.may_send = true;
    }

    fn handle_message(&mut self, message: &FromCollector) {
        match message {
            FromCollector::Ack(ack) => {
                let receipts = receipts(&ack.receipts);
                self.spool.handle_ack(&receipts);
                self.uplink.handle_ack(&receipts);
            }
            FromCollector::SlowDown(wish) => {
                self.uplink.handle_pace(Pace { window: wish.backfill_window, per_s: wish.backfill_per_s });
            }
            FromCollector::Configuration(configuration) => {
                tracing::debug!(revision = configuration.revision, "this version takes its own file alone");
            }
            FromCollector::Welcome(_) => tracing::debug!("a second welcome"),
        }
        self.may_send = true;
    }

    fn handle_end(&mut self, error: &LinkError) {
        self.link = None;
        self.uplink.handle_disconnected();
        self.timers.clear(Timer::Pace);
        let wait = self.backoff.next_wait(rand::random());
        self.timers.set(Timer::Call, wait);
        let text = whole_chain(error);
        if self.complaints.is_new(&text) {
            tracing::warn!(error = text, "not connected; trying again, readings wait in the spool");
        }
    }

    /// Sends what the lanes name next; there is room for it.
    fn send_next(&mut self) {
        if self.encoder.is_full() {
            // A new stream has a new dictionary.
            self.uplink.handle_disconnected();
            self.link = None;
            self.call();
            return;
        }
        let Some((id, lane)) = self.uplink.poll_send(lane_time()) else {
            self.may_send = false;
            if let Some(at) = self.uplink.poll_wake() {
                self.timers.set(Timer::Pace, at.since(lane_time()));
            }
            return;
        };
        let samples = self.spool.read(id).and_then(|batch| batch::decode_alone(&batch).ok());
        let Some(samples) = samples else {
            tracing::warn!(sequence = id.sequence, "a batch in the spool can't be read any more");
            self.uplink.handle_dropped(id);
            return;
        };
        let batch = self.encoder.encode(id, lane, &samples);
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.as_ref());
        if outgoing.is_none_or(|outgoing| outgoing.try_send(uplink::message(ToCollector::Batch(batch))).is_err()) {
            // There was room, so the stream has just ended; its end is the next event.
            self.may_send = false;
        }
    }

    /// Brings out what can be brought out in a few seconds, and leaves the rest safe on disk.
    async fn stop(&mut self, reason: GoodbyeReason) {
        tracing::info!(reason = reason.as_str_name(), "the agent stops");
        self.close_round();
        if self.uplink.is_up() {
            let deadline = Instant::now() + STOP_WAIT;
            if tokio::time::timeout_at(deadline, self.say_goodbye(reason)).await.is_err() {
                tracing::debug!("the collector did not take the goodbye in time");
            }
        }
        self.spool.sync();
    }

    async fn say_goodbye(&mut self, reason: GoodbyeReason) {
        self.may_send = true;
        while self.may_send && self.uplink.is_up() {
            room(self.link.as_ref().and_then(|link| link.outgoing.as_ref())).await;
            self.send_next();
        }
        let Some(link) = self.link.as_mut() else { return };
        if let Some(outgoing) = link.outgoing.take() {
            let goodbye = Goodbye { reason: reason.into() };
            let _ = outgoing.send(uplink::message(ToCollector::Goodbye(goodbye))).await;
        }
        // The last acknowledgements come until the collector closes.
        while let Some(link) = self.link.as_mut() {
            match link.next().await {
                uplink::Event::Message(message) => self.handle_message(&message),
                uplink::Event::Welcomed(_) => {}
                uplink::Event::Ended(_) => return,
            }
        }
    }
}

/// The time of the lanes: the boot clock, because a pace has nothing to do with the time of day.
fn lane_time() -> Timestamp {
    Timestamp(i64::try_from(clock::now().boot.as_millis()).unwrap_or(i64::MAX))
}

fn receipts(receipts: &[v1::Receipt]) -> Vec<Receipt> {
    receipts.iter().map(|receipt| Receipt { generation: receipt.generation, ranges: receipt.sequences() }).collect()
}

async fn from_link(link: &mut Option<Link>) -> uplink::Event {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// Returns when the stream takes another message, or has ended.
async fn room(outgoing: Option<&Sender<AgentMessage>>) {
    if let Some(outgoing) = outgoing {
        // The place is given back at once: this loop alone sends.
        drop(outgoing.reserve().await);
    }
}
