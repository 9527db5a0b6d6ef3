//! All looks that are under way: echo requests in the engine, a bounded number of other looks beside each other, and
//! the rest in a queue. One task drives it; a target is looked at once at a time.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::icmp::asks::Outcome;
use super::icmp::{Engine, IcmpProblem};
use super::settings::Address;
use super::traceroute::{self, Tracer, Way};
use super::{Looked, Looking, MEASUREMENTS, Probe, Tools, What, link, ping};
use crate::reading::{count, integer, sample};

/// Looks other than echo requests that are under way at once: each may hold a connection and 100 KB.
const LOOKS_AT_ONCE: usize = 32;
/// Targets that the engine knows at once; it sends to them as fast as it may.
const PINGS_AT_ONCE: usize = 2_048;
/// Beside a look's own time-out, which it keeps by itself.
const LOOK_GRACE: Duration = Duration::from_secs(5);
/// Set in the engine's keys for the hops of a traceroute.
const TRACE: u64 = 1 << 48;

/// One look that is wished for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The target's number: one look at a time.
    pub id: u32,
    /// The target.
    pub probe: Arc<Probe>,
    /// The time that its rows bear.
    pub at: Timestamp,
    /// From this look to the next.
    pub interval: Duration,
    /// Whether somebody waits for it.
    pub of_round: bool,
}

/// What came of a look, or of the traceroute after it.
#[derive(Debug, Default)]
pub struct Done {
    /// The rows.
    pub samples: Vec<Sample>,
    /// What stood in the way.
    pub problem: Option<IcmpProblem>,
    /// Set if somebody waits for it: since when.
    pub of_round: Option<Timestamp>,
}

type Under = Pin<Box<dyn Future<Output = (u32, Found)> + Send>>;

enum Found {
    Address(Option<SocketAddr>),
    Looked(Looked),
}

/// See the module. Call [`Patrol::begin`] for each look and [`Patrol::next`] for what comes of them.
#[derive(Default)]
pub struct Patrol {
    tools: Arc<Tools>,
    engine: Engine,
    jobs: HashMap<u32, (Job, Option<SocketAddr>)>,
    pings: VecDeque<u32>,
    looks: VecDeque<u32>,
    under_way: FuturesUnordered<Under>,
    asked: usize,
    done: VecDeque<Done>,
    tracer: Tracer,
    ways: HashMap<u32, (Way, Job)>,
    begun: u64,
    skipped: u64,
}

impl Patrol {
    /// Begins a look; false if the one before is still under way.
    pub fn begin(&mut self, job: Job) -> bool {
        if self.jobs.contains_key(&job.id) {
            self.skipped += 1;
            return false;
        }
        self.begun += 1;
        match &job.probe.what {
            What::Ping(ping) if !matches!(ping.address, Address::Name(_)) => self.pings.push_back(job.id),
            _ => self.looks.push_back(job.id),
        }
        self.jobs.insert(job.id, (job, None));
        true
    }

    /// The row about the machinery.
    #[must_use]
    pub fn row(&self, targets: usize, at: Timestamp) -> Sample {
        let fields = vec![
            ("looks", integer(self.begun)),
            ("skipped", integer(self.skipped)),
            ("strays", integer(self.engine.strays())),
            ("targets", count(targets)),
        ];
        sample(MEASUREMENTS[0].name, Vec::new(), at, fields)
    }

    /// What is done next; without any look, never. Nothing is lost when this is cancelled. `name_of` knows the names of
    /// addresses.
    pub async fn next(&mut self, name_of: impl Fn(IpAddr) -> Option<String>) -> Done {
        loop {
            if let Some(done) = self.done.pop_front() {
                return done;
            }
            if let Some(problem) = self.pump() {
                return problem;
            }
            tokio::select! {
                (key, outcome) = self.engine.next(), if self.asked > 0 => self.handle_outcome(key, outcome, &name_of),
                Some((id, found)) = self.under_way.next(), if !self.under_way.is_empty() => self.handle_found(id, found),
                () = std::future::pending() => {}
            }
        }
    }

    /// Begins what there is room for.
    fn pump(&mut self) -> Option<Done> {
        while self.asked < PINGS_AT_ONCE
            && let Some(id) = self.pings.pop_front()
        {
            let to = self.jobs.get(&id).and_then(|(job, _)| match &job.probe.what {
                What::Ping(ping) => link::known(&ping.address),
                What::Look(_) => None,
            });
            if let Some(done) = self.ask(id, to) {
                return Some(done);
            }
        }
        while self.under_way.len() < LOOKS_AT_ONCE
            && let Some(id) = self.looks.pop_front()
        {
            if let Some((job, _)) = self.jobs.get(&id) {
                self.under_way.push(look(job.clone(), Arc::clone(&self.tools)));
            }
        }
        None
    }

    /// Hands a target to the engine; done at once if that can't be.
    fn ask(&mut self, id: u32, to: Option<SocketAddr>) -> Option<Done> {
        let (job, place) = self.jobs.get_mut(&id)?;
        let What::Ping(ping) = &job.probe.what else { return None };
        let Some(to) = to else {
            let row = ping::row(&job.probe.name, job.at, ping.window, None);
            return Some(self.finish(id, vec![row], None));
        };
        *place = Some(to);
        match self.engine.begin(u64::from(id), ping.ask(to, job.probe.fixed.timeout, job.interval)) {
            Ok(()) => {
                self.asked += 1;
                None
            }
            Err(problem) => Some(self.finish(id, Vec::new(), Some(problem))),
        }
    }

    fn finish(&mut self, id: u32, samples: Vec<Sample>, problem: Option<IcmpProblem>) -> Done {
        let of_round = self.jobs.remove(&id).and_then(|(job, _)| job.of_round.then_some(job.at));
        Done { samples, problem, of_round }
    }

    fn handle_found(&mut self, id: u32, found: Found) {
        match found {
            Found::Address(to) => {
                let done = self.ask(id, to);
                self.done.extend(done);
            }
            Found::Looked(looked) => {
                if let Some(address) = looked.unreached {
                    self.trace(id, SocketAddr::new(address, 0));
                }
                let done = self.finish(id, looked.samples, None);
                self.done.push_back(done);
            }
        }
    }

    fn handle_outcome(&mut self, key: u64, outcome: Outcome, name_of: impl Fn(IpAddr) -> Option<String>) {
        self.asked -= 1;
        let id = (key & u64::from(u32::MAX)) as u32;
        if key & TRACE != 0 {
            let hop = u8::try_from(key >> 32 & 0xff).unwrap_or(u8::MAX);
            return self.handle_hop(id, hop, &outcome, name_of);
        }
        let Some((job, to)) = self.jobs.get(&id) else { return };
        let window = matches!(&job.probe.what, What::Ping(ping) if ping.window);
        let row = ping::row(&job.probe.name, job.at, window, Some(&outcome));
        let silent = !outcome.trips_ms.is_empty() && outcome.trips_ms.iter().all(|trip| trip.is_nan());
        if let Some(to) = to.filter(|_| silent) {
            self.trace(id, to);
        }
        let done = self.finish(id, vec![row], None);
        self.done.push_back(done);
    }

    /// Looks where the way to a silent target ends, unless that was done lately or enough others are being looked at.
    fn trace(&mut self, id: u32, to: SocketAddr) {
        let Some((job, _)) = self.jobs.get(&id) else { return };
        if self.ways.contains_key(&id) || !self.tracer.begin(id, Instant::now()) {
            return;
        }
        self.ways.insert(id, (Way::new(to.ip()), job.clone()));
        for hop in 1..=traceroute::HOPS {
            let key = TRACE | u64::from(hop) << 32 | u64::from(id);
            if self.engine.begin(key, traceroute::ask(to, hop)).is_err() {
                // There is no socket for this family, so not one hop was begun.
                self.ways.remove(&id);
                return self.tracer.handle_done();
            }
            self.asked += 1;
        }
    }

    fn handle_hop(&mut self, id: u32, hop: u8, outcome: &Outcome, name_of: impl Fn(IpAddr) -> Option<String>) {
        let Some((way, _)) = self.ways.get_mut(&id) else { return };
        if !way.hear(hop, outcome) {
            return;
        }
        self.tracer.handle_done();
        if let Some((way, job)) = self.ways.remove(&id) {
            let row = way.row(&job.probe.name, job.at, name_of);
            self.done.push_back(Done { samples: vec![row], ..Done::default() });
        }
    }
}

/// Rows and problems of one look at every target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Once {
    /// The rows, sorted by target.
    pub samples: Vec<Sample>,
    /// What stood in the way.
    pub problems: Vec<IcmpProblem>,
}

/// Looks at every target once, for somebody who waits: those that are asked all the time get a few requests, too.
pub async fn once(probes: Vec<Probe>, at: Timestamp) -> Once {
    let mut patrol = Patrol::default();
    let mut left = 0_usize;
    for (id, mut probe) in (0..).zip(probes) {
        if let What::Ping(ping) = &mut probe.what {
            ping.window = false;
        }
        let job = Job { id, probe: Arc::new(probe), at, interval: Duration::ZERO, of_round: true };
        left += usize::from(patrol.begin(job));
    }
    let mut once = Once::default();
    while left > 0 {
        let done = patrol.next(|_| None).await;
        left -= usize::from(done.of_round.is_some());
        once.samples.extend(done.samples);
        once.problems.extend(done.problem.filter(|problem| !once.problems.contains(problem)));
    }
    once.samples.sort_by(|one, other| one.target.cmp(&other.target));
    once
}

fn look(job: Job, tools: Arc<Tools>) -> Under {
    Box::pin(async move {
        let timeout = job.probe.fixed.timeout;
        let looking = Looking { name: Arc::from(&*job.probe.name), at: job.at, timeout, tools };
        let found = match &job.probe.what {
            What::Ping(ping) => Found::Address(link::resolve(&ping.address, 0).await),
            What::Look(kind) => {
                let looked = tokio::time::timeout(timeout * 2 + LOOK_GRACE, kind.look(&looking)).await;
                Found::Looked(looked.unwrap_or(Looked { samples: Vec::new(), unreached: None }))
            }
        };
        (job.id, found)
    })
}
