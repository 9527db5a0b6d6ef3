//! The agent's one loop.
//!
//! Everything that happens is one of a closed list of events (`Event`, `SystemEvent`), taken one after the other: a timer is due, the
//! sources were read, the probes have looked, the collector says something, there is room to send, it is time to stop.
//! The loop decides nothing about lanes or waits (`bellwether_logic` does) and waits for nothing but the next event:
//! sources are read by a thread, probes and the network are tasks.
//!
//! What it promises: nothing that the collector or the network does ends the agent. A batch is in the spool before it
//! is sent. A wall clock that steps begins a new generation, because one generation has one clock.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::backoff::Backoff;
use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::Uplink;
use bellwether_proto::batch::Encoder;
use bellwether_proto::schema::Measurement;
use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::{AgentMessage, Hello, Neighborhood};
use tokio::sync::mpsc::Sender;
use tokio_stream::{Stream, StreamExt};

use self::closet::{Closet, Finding, from_closet};
use self::generation::Generation;
use self::looker::{Look, Looker};
use self::reader::{Reader, Readings};
use self::renewer::Renewer;
use self::ticks::Ticks;
use self::timers::{Timer, Timers};
use self::told::Told;
use self::update::Update;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::enrol::{self, LaterError};
use crate::hardware;
use crate::host::Host;
use crate::privacy::place::{Place, Whereabouts};
use crate::remote::Remote;
use crate::renewal::RenewError;
use crate::schema;
use crate::spool::{Spool, SpoolError};
use crate::state::{self, StateDir, StateError};
use crate::system_events::SystemEvent;
use crate::tls::{BadCredentials, Proof};
use crate::uplink::{self, Link};

mod clocks;
mod closet;
mod complaints;
mod configure;
mod contacts;
mod generation;
mod leave;
mod looker;
mod reader;
mod renewer;
mod rounds;
mod surroundings;
mod talk;
mod ticks;
mod timers;
mod told;
mod update;
mod whereabouts;

pub(crate) use complaints::Complaints;
pub use complaints::whole_chain;

/// The first readings come this soon after the start, so that a machine that was just connected shows up at once.
const FIRST_READING: Duration = Duration::from_secs(1);

/// What the one who starts an agent decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder of an enrolled agent.
    pub state_dir: PathBuf,
    /// Instead of the interval of `agent.toml`.
    pub interval: Option<Duration>,
    /// Whose hardware tells this machine from others.
    pub hardware: Host,
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
    /// What it should enrol with.
    #[error("can't enrol by itself")]
    Later(#[from] LaterError),
    /// The system gives no thread.
    #[error("can't start the thread that reads the sources")]
    Thread(#[source] std::io::Error),
}

impl Settings {
    /// An agent on this state folder, with the interval of its configuration.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), interval: None, hardware: Host::default() }
    }
}

/// Runs the agent until `events` say that it should stop; then stops cleanly, within a few seconds.
///
/// # Errors
/// Only at start: when the state folder, the configuration or the spool can't be used.
pub async fn run(settings: Settings, events: impl Stream<Item = SystemEvent> + Send) -> Result<(), RunError> {
    let mut events = std::pin::pin!(events);
    if !enrol::later(&settings, events.as_mut()).await? {
        return Ok(());
    }
    let state = Arc::new(StateDir::take(&settings.state_dir, false)?);
    let agent = Agent::start(&settings, &state, Hands::real())?;
    let update = Update::watch(&settings.state_dir);
    agent.live(events.map(|event| update.explain(event))).await;
    Ok(())
}

/// Everything that can happen.
enum Event {
    Due(Timer),
    Read(Readings),
    Looked(Look),
    Closet(Finding),
    Uplink(uplink::Event),
    Renewed(Result<state::Credentials, RenewError>),
    RoomToSend,
}

/// Readings that belong together and are not yet in a batch.
struct Round {
    time: Timestamp,
    samples: Vec<Sample>,
    waits_for_sources: bool,
    waits_for_probes: bool,
}

/// What the loop reaches the world by. Tests have others, on a clock of their own.
struct Hands {
    clock: Clock,
    host: Host,
    /// Starts reading the sources.
    read: fn(&Host, &Config) -> std::io::Result<Reader>,
    /// Calls the collector.
    dial: Dial,
}

type Dial = Box<dyn Fn(String, Proof, Hello) -> Link + Send>;

impl Hands {
    fn real() -> Self {
        Self { clock: Clock::system(), host: Host::default(), read: Reader::start, dial: Box::new(Link::begin) }
    }
}

struct Agent {
    hands: Hands,
    identity: state::Identity,
    renewer: Renewer,
    config: Config,
    interval_override: Option<Duration>,
    remote: Remote,
    whereabouts: Whereabouts,
    /// Where the machine was at the last look.
    place: Place,
    ticks: Ticks,
    timers: Timers,
    declared: Vec<&'static Measurement>,
    reader: Reader,
    told: Told,
    /// None while the machine is elsewhere: nothing is looked at there.
    looker: Option<Looker>,
    /// None unless the configuration wants one; and none elsewhere, either.
    closet: Option<Closet>,
    /// States of the closet that wait for room on the stream, and whether there were more than may wait.
    says: VecDeque<ToCollector>,
    says_lost: bool,
    state_dir: PathBuf,
    /// The first reading only gives the counters from which the next takes differences.
    primed: bool,
    ticked: bool,
    round: Option<Round>,
    spool: Spool,
    generation: Generation,
    uplink: Uplink,
    backoff: Backoff,
    complaints: Complaints,
    link: Option<Link>,
    /// Where the present stream was begun.
    called: String,
    encoder: Encoder,
    /// What was said on this stream of where the machine is in the network.
    surroundings: Option<Neighborhood>,
    /// Whether the deciders might have something to send.
    may_send: bool,
}

impl Agent {
    fn start(settings: &Settings, state: &Arc<StateDir>, hands: Hands) -> Result<Self, RunError> {
        let hands = Hands { host: hands.host.remembering(&settings.state_dir), ..hands };
        let identity = state.identity()?;
        let mut remote = Remote::load(&settings.state_dir);
        let mut config = remote.config()?;
        config.interval = settings.interval.unwrap_or(config.interval);
        let renewer = Renewer::start(state, hardware::identity(&settings.hardware), hands.clock.now().boot)?;
        let (spool, found) = Spool::open(&settings.state_dir.join(state::SPOOL_DIR), config.spool.clone())?;
        if found.torn_bytes > 0 {
            tracing::warn!(bytes = found.torn_bytes, "cut what was half written when the machine went off");
        }
        let now = hands.clock.now();
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
        let mut agent = Self {
            ticks: Ticks::new(config.interval, &identity.device_id),
            timers: Timers::default(),
            declared: schema::all().collect(),
            reader: (hands.read)(&hands.host, &config).map_err(RunError::Thread)?,
            told: Told::default(),
            looker: None,
            closet: None,
            says: VecDeque::new(),
            says_lost: false,
            state_dir: settings.state_dir.clone(),
            config,
            interval_override: settings.interval,
            remote,
            whereabouts: Whereabouts::load(&settings.state_dir),
            place: Place::School,
            primed: false,
            ticked: false,
            round: None,
            spool,
            generation,
            uplink,
            backoff: Backoff::new(),
            complaints: Complaints::default(),
            link: None,
            called: String::new(),
            encoder: Encoder::new(),
            surroundings: None,
            may_send: false,
            identity,
            renewer,
            hands,
        };
        agent.adopt_orphans();
        agent.place = agent.look_around();
        agent.look_at_others();
        agent.prime(now.wall);
        if agent.remote.is_on_trial() {
            agent.timers.set(Timer::Trial, configure::TRIAL);
        }
        agent.timers.set(Timer::Tick, FIRST_READING);
        agent.timers.set(Timer::Sync, agent.config.spool.sync);
        agent.call();
        Ok(agent)
    }

    /// Takes one event after the other until the system says stop.
    async fn live(mut self, events: impl Stream<Item = SystemEvent> + Send) {
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                biased;
                Some(event) = events.next() => event,
                event = self.next() => {
                    self.handle(event);
                    continue;
                }
            };
            match event {
                SystemEvent::Stop(reason) => return self.stop(reason).await,
                SystemEvent::Sleep { reason, hold } => {
                    self.leave(reason).await;
                    drop(hold);
                }
                SystemEvent::Woke => self.come_back(),
            }
        }
    }

    /// Waits for the next that happens. Nothing is lost when this is cancelled.
    async fn next(&mut self) -> Event {
        let (timer, due) = self.timers.next();
        let may_send = self.may_send && self.uplink.is_up();
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.clone());
        tokio::select! {
            Some(readings) = self.reader.readings.recv() => Event::Read(readings),
            look = from_looker(&mut self.looker) => Event::Looked(look),
            finding = from_closet(&mut self.closet) => Event::Closet(finding),
            event = from_link(&mut self.link) => Event::Uplink(event),
            Some(outcome) = self.renewer.outcomes.recv() => Event::Renewed(outcome),
            () = tokio::time::sleep_until(due) => Event::Due(timer),
            () = room(outgoing.as_ref()), if may_send => Event::RoomToSend,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Due(timer) => self.handle_timer(timer),
            Event::Read(readings) => self.handle_readings(readings),
            Event::Looked(look) => self.handle_look(look),
            Event::Closet(finding) => self.handle_finding(finding),
            Event::Renewed(outcome) => self.handle_renewed(outcome),
            Event::Uplink(uplink::Event::Verified(ca)) => self.renewer.handle_verified(ca),
            Event::Uplink(uplink::Event::Welcomed(welcome, ends)) => self.handle_welcome(&welcome, ends),
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
                self.timers.set(Timer::Sync, self.config.spool.sync);
            }
            Timer::Pace => self.may_send = true,
            Timer::Trial => self.end_trial(),
            Timer::Renew => self.begin_renewal(),
        }
    }
}

async fn from_looker(looker: &mut Option<Looker>) -> Look {
    let look = match looker {
        Some(looker) => looker.looks.recv().await,
        None => None,
    };
    match look {
        Some(look) => look,
        None => std::future::pending().await,
    }
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

#[cfg(test)]
mod tests;
