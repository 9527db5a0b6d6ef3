//! The simulated world: the agent's real spool and deciders, the collector's real receipts, and between them a line that
//! breaks, loses what is on its way, and delivers some of it after the next connection is up. Time is virtual: an hour of
//! trouble takes a moment.
//!
//! The promise: whatever happens, each batch that was spooled is in the journal exactly once, and new readings never
//! wait behind old ones.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_agent::config::SpoolConfig;
use bellwether_agent::spool::Spool;
use bellwether_logic::backoff::Backoff;
use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::ranges::RangeSet;
use bellwether_logic::receipts::{Offer, Receipts};
use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::{Opening, Pace, Receipt, Uplink};
use bellwether_proto::batch::Alone;
use proptest::prelude::*;
use tempfile::TempDir;

/// The agent reads so often.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the journal takes to make a batch durable.
const COMMIT: Duration = Duration::from_millis(5);

/// After the last fault everything must arrive within this; a thousand batches of back-fill at the pace below, and the
/// longest wait before a connection.
const RECOVERY: Duration = Duration::from_secs(600);

const PACE: Pace = Pace { window: 32, per_s: 20 };

/// What goes wrong, and when: so long after the fault before it.
#[derive(Clone, Debug)]
struct Fault {
    after: Duration,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The line breaks. Of what is on its way to the collector, what stands at a `true` arrives all the same, so much
    /// later: perhaps after the next stream has begun.
    Break { survives: Vec<bool>, late: Duration },
    /// Nobody can connect for so long.
    Outage(Duration),
    /// The agent is killed and starts again.
    KillAgent,
    /// The collector is killed and starts again: what was not durable is gone, and all streams with it.
    KillCollector,
    /// The agent's clock steps, and it begins a new generation.
    NewGeneration,
}

fn fault() -> impl Strategy<Value = Fault> {
    let seconds = |most: u64| (0..most * 1000).prop_map(Duration::from_millis);
    let broken = (prop::collection::vec(any::<bool>(), 0..40), seconds(8));
    let kind = prop_oneof![
        4 => broken.prop_map(|(survives, late)| Kind::Break { survives, late }),
        2 => seconds(120).prop_map(Kind::Outage),
        2 => Just(Kind::KillAgent),
        2 => Just(Kind::KillCollector),
        1 => Just(Kind::NewGeneration),
    ];
    (seconds(30), kind).prop_map(|(after, kind)| Fault { after, kind })
}

#[derive(Debug)]
enum Event {
    Fault(Kind),
    Read,
    Connect,
    /// Ask the decider again.
    Poll,
    /// A batch reaches the collector.
    Arrive {
        stream: u64,
        id: BatchId,
        lane: Lane,
    },
    Hello {
        stream: u64,
        opening: Opening,
    },
    Durable {
        epoch: u64,
        stream: u64,
        id: BatchId,
    },
    /// Something reaches the agent.
    Welcome {
        stream: u64,
        received: Vec<Receipt>,
    },
    Ack {
        stream: u64,
        id: BatchId,
    },
}

struct World {
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
    latency: Duration,

    folder: TempDir,
    spool: Spool,
    uplink: Uplink,
    backoff: Backoff,
    generation: u64,
    sequence: u64,
    /// The stream that is up at the agent; none is 0.
    stream: u64,
    streams: u64,
    no_line_until: Duration,
    spooled: BTreeSet<BatchId>,

    receipts: Receipts,
    /// Counts the collector's starts.
    epoch: u64,
    journal: Vec<BatchId>,
    /// What came by each stream, in order.
    arrived: BTreeMap<u64, Vec<(BatchId, Lane)>>,
}

impl World {
    fn new(latency: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let (spool, _) = Spool::open(folder.path(), SpoolConfig::default()).unwrap();
        let mut world = Self {
            now: Duration::ZERO,
            events: BTreeMap::new(),
            count: 0,
            latency,
            folder,
            spool,
            uplink: Uplink::new(1, 0),
            backoff: Backoff::new(),
            generation: 1,
            sequence: 0,
            stream: 0,
            streams: 0,
            no_line_until: Duration::ZERO,
            spooled: BTreeSet::new(),
            receipts: Receipts::default(),
            epoch: 0,
            journal: Vec::new(),
            arrived: BTreeMap::new(),
        };
        world.after(Duration::ZERO, Event::Read);
        world.after(Duration::ZERO, Event::Connect);
        world
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + wait, self.count), event);
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000) + self.now
    }

    /// Plays until nothing is left to do; reading ends at `end`.
    fn play(&mut self, end: Duration) {
        while let Some(((at, _), event)) = self.events.pop_first() {
            assert!(at <= end + RECOVERY, "not at rest {RECOVERY:?} after the last fault: {event:?}");
            self.now = at;
            self.handle(event, end);
        }
    }

    fn handle(&mut self, event: Event, end: Duration) {
        match event {
            Event::Fault(kind) => self.fail(kind),
            Event::Read => {
                self.read();
                if self.now + INTERVAL <= end {
                    self.after(INTERVAL, Event::Read);
                }
            }
            Event::Connect => self.connect(),
            Event::Poll => {
                self.send();
            }
            Event::Hello { stream, opening } => self.hello(stream, &opening),
            Event::Arrive { stream, id, lane } => self.arrive(stream, id, lane),
            Event::Durable { epoch, stream, id } => self.durable(epoch, stream, id),
            Event::Welcome { stream, received } if stream == self.stream => {
                self.backoff.succeeded();
                self.uplink.handle_welcome(self.wall(), &received, PACE);
                self.spool.handle_ack(&received);
                self.send();
            }
            Event::Ack { stream, id } if stream == self.stream => {
                let receipt = Receipt { generation: id.generation, ranges: one(id.sequence) };
                self.uplink.handle_ack(std::slice::from_ref(&receipt));
                self.spool.handle_ack(&[receipt]);
                self.send();
            }
            Event::Welcome { .. } | Event::Ack { .. } => {}
        }
    }

    fn read(&mut self) {
        let id = BatchId { generation: self.generation, sequence: self.sequence };
        self.sequence += 1;
        assert!(self.spool.append(Alone::of(id, Lane::Live, &[])).is_empty());
        self.spooled.insert(id);
        self.uplink.handle_spooled(id);
        let live_waits = self.uplink.is_up();
        if let Some(lane) = self.send().filter(|_| live_waits) {
            assert_eq!(lane, Lane::Live, "a new reading waited behind old ones");
        }
    }

    /// Sends all that may go; answers the first one's lane.
    fn send(&mut self) -> Option<Lane> {
        let mut first = None;
        while let Some((id, lane)) = self.uplink.poll_send(self.wall()) {
            first = first.or(Some(lane));
            assert_eq!(self.spool.read(id).map(|batch| batch.id()), Some(id), "the spool lost a batch");
            let stream = self.stream;
            self.after(self.latency, Event::Arrive { stream, id, lane });
        }
        if let Some(wake) = self.uplink.poll_wake() {
            let wait = wake.since(self.wall()).max(Duration::from_millis(1));
            self.after(wait, Event::Poll);
        }
        first
    }

    fn connect(&mut self) {
        if self.stream != 0 {
            return;
        }
        if self.now < self.no_line_until {
            return self.connect_later();
        }
        self.streams += 1;
        self.stream = self.streams;
        let opening = self.uplink.begin_stream();
        let stream = self.stream;
        self.after(self.latency, Event::Hello { stream, opening });
    }

    fn connect_later(&mut self) {
        // Any number serves; this one is different each time and the same in each run.
        let random = self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let wait = self.backoff.next_wait(random);
        self.after(wait, Event::Connect);
    }

    fn disconnect(&mut self) {
        if self.stream != 0 {
            self.stream = 0;
            self.uplink.handle_disconnected();
            self.connect_later();
        }
    }

    fn hello(&mut self, stream: u64, opening: &Opening) {
        let generations = opening.held.iter().map(|receipt| receipt.generation).chain([opening.generation]);
        let received = self.receipts.received(generations);
        self.after(self.latency, Event::Welcome { stream, received });
    }

    fn arrive(&mut self, stream: u64, id: BatchId, lane: Lane) {
        self.arrived.entry(stream).or_default().push((id, lane));
        match self.receipts.offer(id) {
            Offer::Accept => {
                let epoch = self.epoch;
                self.after(COMMIT, Event::Durable { epoch, stream, id });
            }
            Offer::Duplicate => self.after(self.latency, Event::Ack { stream, id }),
            // The stream that brought it first is as good as dead; the agent offers it again with the next one.
            Offer::InFlight => self.disconnect_if(stream),
            Offer::Refused => panic!("a bound was reached: {id:?}"),
        }
    }

    fn disconnect_if(&mut self, stream: u64) {
        if stream == self.stream {
            self.disconnect();
        }
    }

    fn durable(&mut self, epoch: u64, stream: u64, id: BatchId) {
        if epoch == self.epoch {
            self.journal.push(id);
            self.receipts.committed(id);
            self.after(self.latency, Event::Ack { stream, id });
        }
    }

    fn fail(&mut self, kind: Kind) {
        match kind {
            Kind::Break { survives, late } => {
                self.lose(&survives, late);
                self.disconnect();
            }
            Kind::Outage(span) => {
                self.no_line_until = self.now + span;
                self.lose(&[], Duration::ZERO);
                self.disconnect();
            }
            Kind::KillCollector => {
                self.lose(&[], Duration::ZERO);
                self.epoch += 1;
                self.receipts = Receipts::default();
                self.journal.iter().for_each(|id| self.receipts.committed(*id));
                self.disconnect();
            }
            Kind::KillAgent => self.kill_agent(),
            Kind::NewGeneration => {
                self.begin_generation();
                self.uplink.handle_new_generation(self.generation, 0);
                self.stream = 0;
                self.connect_later();
            }
        }
    }

    fn begin_generation(&mut self) {
        // Not ascending: a generation says nothing of its age.
        self.generation = self.generation.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.sequence = 0;
    }

    fn kill_agent(&mut self) {
        self.begin_generation();
        self.spool = Spool::open(self.folder.path(), SpoolConfig::default()).unwrap().0;
        self.uplink = Uplink::new(self.generation, 0);
        for receipt in self.spool.held() {
            self.uplink.handle_held(receipt.generation, receipt.ranges);
        }
        self.backoff = Backoff::new();
        self.stream = 0;
        self.connect_later();
    }

    /// Of what is on its way to the collector, what is marked comes late and the rest never; answers never come.
    fn lose(&mut self, survives: &[bool], late: Duration) {
        let on_its_way = |event: &Event| {
            matches!(event, Event::Arrive { .. } | Event::Hello { .. } | Event::Welcome { .. } | Event::Ack { .. })
        };
        let lost: Vec<_> = self.events.extract_if(.., |_, event| on_its_way(event)).map(|it| it.1).collect();
        let arriving = lost.into_iter().filter(|event| matches!(event, Event::Arrive { .. }));
        let spared = arriving.zip(survives.iter().copied().chain(std::iter::repeat(false)));
        for (event, _) in spared.filter(|(_, survives)| *survives).collect::<Vec<_>>() {
            self.after(late, event);
        }
    }

    fn check(&self) {
        let stored: BTreeSet<_> = self.journal.iter().copied().collect();
        assert_eq!(stored.len(), self.journal.len(), "a batch is in the journal twice");
        let lost: Vec<_> = self.spooled.difference(&stored).collect();
        assert!(lost.is_empty(), "spooled and not in the journal: {lost:?}");
        assert_eq!(stored.len(), self.spooled.len(), "the journal has what nobody spooled");
        assert!(self.uplink.is_drained() && self.spool.held().is_empty(), "the agent was not told of everything");
        for (stream, batches) in &self.arrived {
            let live = batches.iter().filter(|(_, lane)| *lane == Lane::Live).map(|(id, _)| id.sequence);
            assert!(live.is_sorted(), "live batches of stream {stream} out of order");
            let mut last = BTreeMap::new();
            for (id, _) in batches.iter().filter(|(_, lane)| *lane == Lane::Backfill) {
                let before = last.insert(id.generation, id.sequence);
                assert!(before.is_none_or(|before| before < id.sequence), "back-fill of stream {stream} out of order");
            }
        }
    }
}

fn one(sequence: u64) -> RangeSet {
    [sequence..=sequence].into_iter().collect()
}

fn play(latency: Duration, faults: Vec<Fault>) -> World {
    let mut world = World::new(latency);
    let mut at = Duration::from_secs(5);
    for fault in faults {
        at += fault.after;
        world.after(at, Event::Fault(fault.kind));
    }
    world.play(at + Duration::from_secs(5));
    world.check();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_batch_is_in_the_journal_exactly_once(
        latency_ms in 1u64..3000,
        faults in prop::collection::vec(fault(), 0..12),
    ) {
        play(Duration::from_millis(latency_ms), faults);
    }
}

#[test]
fn after_a_long_outage_new_readings_come_first_and_old_ones_at_the_agreed_pace() {
    let outage = Duration::from_secs(300);
    let fault = Fault { after: Duration::ZERO, kind: Kind::Outage(outage) };
    let more = Fault { after: Duration::from_secs(380), kind: Kind::Outage(Duration::ZERO) };
    let world = play(Duration::from_millis(20), vec![fault, more]);
    let backfill_of = |batches: &Vec<(BatchId, Lane)>| batches.iter().filter(|it| it.1 == Lane::Backfill).count();
    let after = world.arrived.values().max_by_key(|batches| backfill_of(batches)).unwrap();
    let backfill = backfill_of(after);
    assert!(backfill >= 290, "{backfill} of about 300");
    // At twenty a second, with one new reading a second between them.
    let first_live = after.iter().position(|(_, lane)| *lane == Lane::Live).unwrap();
    assert!(first_live <= 25, "the first new reading came after {first_live} old ones");
}

#[test]
fn a_collector_that_is_killed_before_the_commit_gets_the_batch_again() {
    let kill = |after_ms| Fault { after: Duration::from_millis(after_ms), kind: Kind::KillCollector };
    // Each of these falls into the moment between arrival and commit of some batch.
    let world = play(Duration::from_millis(1), (0..20).map(|step| kill(1003 + step)).collect());
    assert!(world.epoch == 20 && !world.journal.is_empty());
}
