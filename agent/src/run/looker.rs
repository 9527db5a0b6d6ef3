//! The task that looks at other devices, so that the loop does not wait for their answers. There is one, whatever the
//! number of targets.
//!
//! Rows go to the loop in batches: when a round is done, when there are many, and otherwise a moment after the first, so
//! that one slow target holds up nothing and a thousand silent ones are not a thousand batches.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Config;
use crate::host::Host;
use crate::probe::icmp::IcmpProblem;
use crate::probe::patrol::{Done, Job, Patrol};
use crate::probe::schedule::Schedule;
use crate::probe::settings::Address;
use crate::probe::{Probe, What, of_the_system};

/// Rows that are handed over at once: as many as fit one batch.
const ROWS_AT_ONCE: usize = super::rounds::ROWS_PER_BATCH;

/// The longest that a row waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Rows for the loop.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Look {
    pub samples: Vec<Sample>,
    /// What stood in the way, once in a round.
    pub problems: Vec<IcmpProblem>,
    /// Set with the last rows of a round: which.
    pub round_done: Option<Timestamp>,
}

/// The loop's end of the task, which ends when this is dropped.
pub(super) struct Looker {
    requests: mpsc::Sender<Timestamp>,
    pub looks: mpsc::Receiver<Look>,
    task: JoinHandle<()>,
}

impl Looker {
    pub(super) fn start(host: Host, config: Config) -> Self {
        let (requests, to_look) = mpsc::channel(1);
        let (sender, looks) = mpsc::channel(1);
        let task = tokio::spawn(Watch::new(host, config, sender).run(to_look));
        Self { requests, looks, task }
    }

    /// Asks for a round of looks; false if the task has not even taken up the last one.
    pub(super) fn ask(&self, time: Timestamp) -> bool {
        self.requests.try_send(time).is_ok()
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A round of which some looks are still under way.
struct Round {
    time: Timestamp,
    left: usize,
}

struct Watch {
    host: Host,
    config: Config,
    probes: Vec<Arc<Probe>>,
    of_the_system: Vec<Arc<Probe>>,
    schedule: Schedule,
    patrol: Patrol,
    round: Option<Round>,
    /// What the wall clock said at an instant: what is due between rounds bears a time made from it.
    anchor: Option<(Timestamp, Instant)>,
    gathered: Look,
    /// What was met since the round began.
    met: Vec<IcmpProblem>,
    since: Option<Instant>,
    to_loop: mpsc::Sender<Look>,
}

enum Next {
    Round(Option<Timestamp>),
    Done(Done),
    Due,
}

impl Watch {
    fn new(host: Host, mut config: Config, to_loop: mpsc::Sender<Look>) -> Self {
        let probes: Vec<Arc<Probe>> = std::mem::take(&mut config.probes).into_iter().map(Arc::new).collect();
        let intervals = probes.iter().map(|probe| probe.fixed.interval.unwrap_or(config.interval));
        Self {
            schedule: Schedule::new(config.interval, intervals, Instant::now()),
            host,
            config,
            probes,
            of_the_system: Vec::new(),
            patrol: Patrol::default(),
            round: None,
            anchor: None,
            gathered: Look::default(),
            met: Vec::new(),
            since: None,
            to_loop,
        }
    }

    /// Until the loop hangs up.
    async fn run(mut self, mut to_look: mpsc::Receiver<Timestamp>) {
        loop {
            let names = (&self.of_the_system, &self.probes);
            let wake = self.anchor(Instant::now()).and(self.schedule.poll_wake());
            let flush = self.since.map(|since| since + GATHER);
            let wake = [wake, flush].into_iter().flatten().min();
            let next = tokio::select! {
                time = to_look.recv() => Next::Round(time),
                done = self.patrol.next(|address| name_of(names, address)) => Next::Done(done),
                () = sleep_until(wake) => Next::Due,
            };
            match next {
                Next::Round(None) => return,
                Next::Round(Some(time)) => self.begin_round(time),
                Next::Done(done) => self.handle_done(done),
                Next::Due => self.begin_due(Instant::now()),
            }
            if self.is_ripe(Instant::now()) && !self.flush().await {
                return;
            }
        }
    }

    fn begin_round(&mut self, time: Timestamp) {
        let now = Instant::now();
        self.anchor = Some((time, now));
        self.met.clear();
        self.of_the_system = of_the_system(&self.host, &self.config).into_iter().map(Arc::new).collect();
        let mut left = 0;
        let first = u32::try_from(self.probes.len()).unwrap_or(u32::MAX);
        for (id, probe) in (first..).zip(self.of_the_system.clone()) {
            left += usize::from(self.begin(id, probe, time, true));
        }
        while let Some(id) = self.schedule.poll_round(now) {
            left += usize::from(self.begin_target(id, time, now, now));
        }
        let targets = self.probes.len() + self.of_the_system.len();
        let row = self.patrol.row(targets, time);
        self.gather(vec![row]);
        self.round = Some(Round { time, left });
    }

    /// None while no rounds are asked for: away from school nothing is looked at.
    fn anchor(&self, now: Instant) -> Option<(Timestamp, Instant)> {
        self.anchor.filter(|(_, at)| now.saturating_duration_since(*at) < self.config.interval * 3 / 2)
    }

    fn begin_due(&mut self, now: Instant) {
        let Some((time, at)) = self.anchor(now) else { return };
        while let Some((due, id)) = self.schedule.poll_between(now) {
            let since = due.saturating_duration_since(at);
            self.begin_target(id, time + since, due, now);
        }
    }

    /// True if the round waits for it.
    fn begin_target(&mut self, id: u32, time: Timestamp, due: Instant, now: Instant) -> bool {
        let Some(probe) = self.probes.get(id as usize).cloned() else { return false };
        let interval = probe.fixed.interval.unwrap_or(self.config.interval);
        self.schedule.again(id, interval, due, now);
        self.begin(id, probe, time, due == now)
    }

    fn begin(&mut self, id: u32, probe: Arc<Probe>, at: Timestamp, of_round: bool) -> bool {
        let interval = probe.fixed.interval.unwrap_or(self.config.interval);
        // What lasts for the whole interval is told at its end and bears that time.
        let lasts = matches!(&probe.what, What::Ping(ping) if ping.window);
        let (at, of_round) = if lasts { (at + interval, false) } else { (at, of_round) };
        self.patrol.begin(Job { id, probe, at, interval, of_round }) && of_round
    }

    fn handle_done(&mut self, done: Done) {
        self.gather(done.samples);
        if let Some(problem) = done.problem
            && !self.met.contains(&problem)
        {
            self.met.push(problem.clone());
            self.gathered.problems.push(problem);
        }
        if let Some(round) = &mut self.round
            && done.of_round == Some(round.time)
        {
            round.left = round.left.saturating_sub(1);
        }
    }

    fn gather(&mut self, samples: Vec<Sample>) {
        self.since.get_or_insert_with(Instant::now);
        self.gathered.samples.extend(samples);
    }

    fn is_ripe(&self, now: Instant) -> bool {
        self.round.as_ref().is_some_and(|round| round.left == 0)
            || self.gathered.samples.len() >= ROWS_AT_ONCE
            || self.since.is_some_and(|since| now.saturating_duration_since(since) >= GATHER)
    }

    /// Hands over what is gathered; false if nobody takes it any more.
    async fn flush(&mut self) -> bool {
        self.since = None;
        let done = self.round.take_if(|round| round.left == 0);
        let look = Look { round_done: done.map(|round| round.time), ..std::mem::take(&mut self.gathered) };
        self.to_loop.send(look).await.is_ok()
    }
}

/// The name of a target that is given by its address.
fn name_of((system, probes): (&Vec<Arc<Probe>>, &Vec<Arc<Probe>>), address: IpAddr) -> Option<String> {
    let is_it = |probe: &&Arc<Probe>| match &probe.what {
        What::Ping(ping) => match ping.address {
            Address::Ip(ip) | Address::Scoped(ip, _) => ip == address,
            Address::Name(_) => false,
        },
        What::Look(_) => false,
    };
    system.iter().chain(probes).find(is_it).map(|probe| probe.name.to_string())
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
