//! A machine with its clocks, and a collector at the other end of two channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwether_logic::ranges::RangeSet;
use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::{BatchId, Decoder};
use bellwether_proto::v1::agent_message::Body as FromAgent;
use bellwether_proto::v1::collector_message::Body as ToAgent;
use bellwether_proto::v1::{self, Ack, AgentMessage, Configuration, ConfigurationResult, Hello, Receipt, Welcome};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::{Clock, Now};
use crate::config::Config;
use crate::host::Host;
use crate::privacy::place::Ends;
use crate::reading::{Reading, integer, sample};
use crate::run::reader::Reader;
use crate::run::{Agent, Hands, Settings};
use crate::source::Report;
use crate::state::{CONFIG_FILE, Credentials, Identity, StateDir};
use crate::system_events::SystemEvent;
use crate::uplink::{Event, Link, LinkError};

/// 2026-09-01 12:00 UTC.
pub const BEGIN: Timestamp = Timestamp(1_788_264_000_000);

pub const MINUTE: Duration = Duration::from_secs(60);

/// What was heard at the other end.
#[derive(Default)]
pub struct Heard {
    pub hellos: Vec<(Duration, Hello)>,
    /// How often each batch came, and what was in it.
    pub batches: BTreeMap<BatchId, (usize, Vec<Sample>)>,
    pub goodbyes: Vec<(Duration, v1::GoodbyeReason)>,
    pub results: Vec<ConfigurationResult>,
    /// What was said of the machine's place in the network.
    pub surroundings: Vec<v1::Neighborhood>,
    /// Every message, as it is on the wire.
    pub bytes: Vec<u8>,
}

impl Heard {
    /// The times of the readings of one measurement, as the collector would store them, in order.
    pub fn times(&self, measurement: &str) -> Vec<i64> {
        let of = |sample: &&Sample| sample.measurement == measurement;
        let mut times: Vec<i64> =
            self.batches.values().flat_map(|(_, samples)| samples).filter(of).map(|sample| sample.time.0).collect();
        times.sort_unstable();
        times
    }

    /// The times as a collector stores them that corrects each generation by what its hello tells of the clock.
    pub fn corrected(&self, measurement: &str) -> Vec<i64> {
        let offset = |generation: u64| {
            let hello = self.hellos.iter().find(|(_, hello)| hello.generation == generation);
            hello.map_or(0, |(at, hello)| (BEGIN + *at).0 - hello.now_unix_ms)
        };
        let times = self.batches.iter().flat_map(|(id, (_, samples))| {
            let of = samples.iter().filter(|sample| sample.measurement == measurement);
            of.map(move |sample| sample.time.0 + offset(id.generation))
        });
        let mut times: Vec<i64> = times.collect();
        times.sort_unstable();
        times
    }

    pub fn assert_each_once(&self) {
        assert!(self.batches.values().all(|(times, _)| *times == 1), "a batch came twice");
    }

    fn received(&self, generation: u64) -> Receipt {
        let of_it = self.batches.keys().filter(|id| id.generation == generation);
        let sequences: RangeSet = of_it.map(|id| id.sequence..=id.sequence).collect();
        Receipt::new(generation, &sequences)
    }
}

/// The world around one agent.
pub struct World {
    pub dir: tempfile::TempDir,
    /// The machine's files.
    pub machine: tempfile::TempDir,
    begin: Instant,
    /// What is added to the true time.
    pub clock_error_ms: Arc<AtomicI64>,
    /// When the machine was started, after the beginning, and how often that was.
    booted: Mutex<(Duration, u32)>,
    /// What reads the machine.
    pub read: fn(&Host, &Config) -> std::io::Result<Reader>,
    pub far: Arc<Far>,
}

/// The collector's end.
pub struct Far {
    begin: Instant,
    reachable: Mutex<bool>,
    /// Both ends of the connections that will be made.
    ends: Mutex<Option<Ends>>,
    /// What each stream is sent after its welcome.
    configuration: Mutex<Option<Configuration>>,
    /// What each stream is sent after that.
    said: Mutex<Vec<ToAgent>>,
    /// What the welcomes are instead of right.
    welcome: Mutex<Option<Welcome>>,
    heard: Mutex<Heard>,
}

impl Far {
    pub fn reachable(&self, is: bool) {
        *self.reachable.lock().unwrap() = is;
    }

    /// Where the connections that follow are made.
    pub fn ends(&self, own: &str, collector: &str) {
        *self.ends.lock().unwrap() = Some(Ends { own: own.parse().unwrap(), collector: collector.parse().unwrap() });
    }

    /// What else the streams that follow are sent, in this order; and their welcome, if it is not to be a right one.
    pub fn say(&self, said: Vec<ToAgent>, welcome: Option<Welcome>) {
        *self.said.lock().unwrap() = said;
        *self.welcome.lock().unwrap() = welcome;
    }

    /// What the streams that follow are sent.
    pub fn configure(&self, toml: &str) {
        let revision = bellwether_proto::configuration::revision(toml);
        *self.configuration.lock().unwrap() = Some(Configuration { revision, toml: toml.to_owned() });
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        BEGIN + self.begin.elapsed()
    }

    fn answer(self: &Arc<Self>, hello: Hello) -> Link {
        let (outgoing, from_agent) = mpsc::channel(8);
        let (to_agent, events) = mpsc::channel(8);
        let far = Arc::clone(self);
        Link::to_test(far.talk(hello, from_agent, to_agent), outgoing, events)
    }

    async fn talk(
        self: Arc<Self>,
        hello: Hello,
        mut from_agent: mpsc::Receiver<AgentMessage>,
        to: mpsc::Sender<Event>,
    ) {
        // As the way there takes a while.
        tokio::time::sleep(Duration::from_millis(5)).await;
        if !*self.reachable.lock().unwrap() {
            let _ = to.send(Event::Ended(LinkError::Closed)).await;
            return;
        }
        let received = hello.held.iter().map(|held| self.heard().received(held.generation)).collect();
        self.heard().bytes.extend(hello.encode_to_vec());
        self.heard().hellos.push((self.begin.elapsed(), hello));
        let right = Welcome {
            now_unix_ms: self.now().0,
            received,
            backfill_window: 32,
            backfill_per_s: 20,
            ..Welcome::default()
        };
        let welcome = self.welcome.lock().unwrap().clone().unwrap_or(right);
        let ends = *self.ends.lock().unwrap();
        let _ = to.send(Event::Welcomed(welcome, ends)).await;
        let configuration = self.configuration.lock().unwrap().clone();
        if let Some(configuration) = configuration {
            let _ = to.send(Event::Message(ToAgent::Configuration(configuration))).await;
        }
        let said = self.said.lock().unwrap().clone();
        for message in said {
            if to.send(Event::Message(message)).await.is_err() {
                return;
            }
        }
        let mut decoder = Decoder::new();
        loop {
            let message = tokio::time::timeout(Duration::from_secs(1), from_agent.recv()).await;
            if !*self.reachable.lock().unwrap() {
                break;
            }
            let Ok(message) = message else { continue };
            let Some(message) = message else { break };
            self.heard().bytes.extend(message.encode_to_vec());
            let Some(body) = message.body else { break };
            match body {
                FromAgent::Batch(batch) => {
                    let samples = decoder.decode(&batch).unwrap();
                    self.heard().batches.entry(batch.id()).or_insert((0, samples)).0 += 1;
                    let sequences: RangeSet = [batch.sequence..=batch.sequence].into_iter().collect();
                    let receipts = vec![Receipt::new(batch.generation, &sequences)];
                    let _ = to.send(Event::Message(ToAgent::Ack(Ack { receipts }))).await;
                }
                FromAgent::Goodbye(goodbye) => {
                    self.heard().goodbyes.push((self.begin.elapsed(), goodbye.reason()));
                    break;
                }
                FromAgent::ConfigurationResult(result) => self.heard().results.push(result),
                FromAgent::Neighborhood(seen) => self.heard().surroundings.push(seen),
                FromAgent::Found(_) => {}
                FromAgent::Hello(_) => panic!("a second hello"),
            }
        }
        let _ = to.send(Event::Ended(LinkError::Closed)).await;
    }
}

impl World {
    /// An enrolled machine with this `agent.toml`, on a runtime whose clock is paused.
    pub fn new(config: &str) -> Self {
        // A week of syncs is real however fast its time goes: where there is a disk of memory, it is taken.
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let state = StateDir::take(dir.path(), true).unwrap();
        let identity =
            Identity::new("d000000001".to_owned(), String::new(), "laptop".to_owned(), vec!["there:7443".to_owned()]);
        let certified = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let pem = certified.cert.pem();
        let credentials =
            Credentials { key_pem: certified.signing_key.serialize_pem(), chain_pem: format!("{pem}{pem}") };
        state.store(&identity, &credentials).unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), config).unwrap();
        let begin = Instant::now();
        let far = Arc::new(Far {
            begin,
            reachable: Mutex::new(true),
            ends: Mutex::default(),
            configuration: Mutex::default(),
            said: Mutex::default(),
            welcome: Mutex::default(),
            heard: Mutex::default(),
        });
        let machine = tempfile::tempdir().unwrap();
        Self {
            dir,
            machine,
            begin,
            clock_error_ms: Arc::default(),
            booted: Mutex::default(),
            read: |_, _| Ok(Reader::at_once(read)),
            far,
        }
    }

    /// Carries the machine into the network of this gateway.
    pub fn carry(&self, gateway_hardware: &str) {
        let folder = self.machine.path().join("proc/net");
        std::fs::create_dir_all(&folder).unwrap();
        let route = "Iface\tDestination\tGateway\nwlan0\t00000000\t0100000A\t0003\n";
        std::fs::write(folder.join("route"), route).unwrap();
        let neighbour = format!("IP HW Flags Address Mask Device\n10.0.0.1 0x1 0x2 {gateway_hardware} * wlan0\n");
        std::fs::write(folder.join("arp"), neighbour).unwrap();
    }

    /// Turns the machine off and on.
    pub fn reboot(&self) {
        let mut booted = self.booted.lock().unwrap();
        *booted = (self.begin.elapsed(), booted.1 + 1);
    }

    fn hands(&self) -> Hands {
        let (begin, error) = (self.begin, Arc::clone(&self.clock_error_ms));
        let (booted, count) = *self.booted.lock().unwrap();
        let now = move || {
            let wall = BEGIN + begin.elapsed();
            Now { wall: Timestamp(wall.0 + error.load(Ordering::SeqCst)), boot: begin.elapsed().saturating_sub(booted) }
        };
        let clock = Clock::of(format!("boot-{count}"), now.clone());
        let far = Arc::clone(&self.far);
        Hands {
            clock,
            host: Host::at(self.machine.path()),
            read: self.read,
            dial: Box::new(move |_, _, hello| far.answer(Hello { now_unix_ms: now().wall.0, ..hello })),
        }
    }

    /// Lets an agent run while `story` goes on, and ends it as a power cut does when the story is told.
    pub async fn run<T>(&self, story: impl AsyncFnOnce(mpsc::Sender<SystemEvent>) -> T) -> T {
        let state = Arc::new(StateDir::take(self.dir.path(), false).unwrap());
        let agent = Agent::start(&Settings::new(self.dir.path()), &state, self.hands()).unwrap();
        let (sender, events) = mpsc::channel(4);
        let living = agent.live(tokio_stream::wrappers::ReceiverStream::new(events));
        tokio::pin!(living);
        let story = story(sender);
        tokio::pin!(story);
        let mut lives = true;
        loop {
            tokio::select! {
                told = &mut story => return told,
                () = &mut living, if lives => lives = false,
            }
        }
    }
}

/// A row by which each round can be told from the others, and one of which a part may leave anywhere.
fn read(time: Timestamp) -> Vec<Report> {
    let row = sample("mem", Vec::new(), time, vec![("available", integer(1))]);
    let fields = vec![("free", integer(5)), ("inodes_free", integer(6))];
    let disk = sample("disk", vec![("path", "/".to_owned())], time, fields);
    let reading = Reading { samples: vec![row, disk], problems: Vec::new() };
    vec![Report { source: "mem", reading, took_ms: 0.5 }]
}

/// Lets virtual time pass.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
