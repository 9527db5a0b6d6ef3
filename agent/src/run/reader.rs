//! The threads that read the sources: a source that hangs must not hang the agent, and one that is slow must not hold
//! up the others.

use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::host::Host;
use crate::privacy::{self, place::Place};
use crate::source::{self, Entry, Pace, Report, Source};

/// What one reading gave.
pub(super) struct Readings {
    /// The time that the samples bear.
    pub time: Timestamp,
    /// Whether a round waits for it.
    pub of_round: bool,
    pub reports: Vec<Report>,
}

/// The loop's end of the threads, which end when this is dropped.
pub(super) struct Reader {
    round: Ask,
    slow: Ask,
    pub readings: mpsc::Receiver<Readings>,
}

/// Asks for a reading; false if the last one is not done yet.
type Ask = Box<dyn Fn(Request) -> bool + Send>;

/// A reading that is wanted.
#[derive(Clone, Copy)]
struct Request {
    /// The time that its samples bear.
    time: Timestamp,
    /// Where the machine is: elsewhere, what may not leave is not even read.
    place: Place,
}

/// A source, and what is known of it before it is read.
struct Listed {
    source: Box<dyn Source>,
    off_site: bool,
}

impl Listed {
    const fn is_for(&self, place: Place) -> bool {
        matches!(place, Place::School) || self.off_site
    }
}

impl Reader {
    pub(super) fn start(host: &Host, config: &Config) -> std::io::Result<Self> {
        let make = |entry: &Entry| Listed {
            source: entry.source(host, config),
            off_site: privacy::reads_off_site(entry.measurements),
        };
        let of_round = source::ALL.iter().filter(|entry| entry.pace == Pace::Round).map(make).collect();
        let slow = source::ALL.iter().filter_map(|entry| match entry.pace {
            Pace::Round => None,
            Pace::Slow(apart) => Some(Slow { listed: make(entry), apart, last: None }),
        });
        let slow: Vec<Slow> = slow.collect();
        let (sender, readings) = mpsc::channel(1);
        let to_loop = sender.clone();
        let round = thread("sources", move |requests| read_rounds(requests, of_round, &to_loop))?;
        let slow = thread("slow-sources", move |requests| read_slow(requests, slow, &sender))?;
        Ok(Self { round, slow, readings })
    }

    /// Reads without a thread, at once: for a story on a virtual clock, which no thread would wait for.
    #[cfg(test)]
    pub(super) fn at_once(read: impl Fn(Timestamp) -> Vec<Report> + Send + 'static) -> Self {
        let (sender, readings) = mpsc::channel(4);
        let round = Box::new(move |request: Request| {
            let time = request.time;
            sender.try_send(Readings { time, of_round: true, reports: read(time) }).is_ok()
        });
        Self { round, slow: Box::new(|_| true), readings }
    }

    /// Asks for a reading before the first round, from which the counters' differences are taken.
    pub(super) fn prime(&self, time: Timestamp, place: Place) -> bool {
        (self.round)(Request { time, place })
    }

    /// Asks for a reading; false if the sources of the round are not done with the last one yet.
    pub(super) fn ask(&self, time: Timestamp, place: Place) -> bool {
        let request = Request { time, place };
        // Slow sources that are still at work are asked with the next round.
        let _ = (self.slow)(request);
        (self.round)(request)
    }
}

/// A thread that takes one request at a time.
fn thread(name: &str, work: impl FnOnce(&std_mpsc::Receiver<Request>) + Send + 'static) -> std::io::Result<Ask> {
    let (sender, requests) = std_mpsc::sync_channel::<Request>(1);
    thread::Builder::new().name(name.to_owned()).stack_size(256 << 10).spawn(move || work(&requests))?;
    Ok(Box::new(move |request| sender.try_send(request).is_ok()))
}

fn read_rounds(requests: &std_mpsc::Receiver<Request>, mut sources: Vec<Listed>, to_loop: &mpsc::Sender<Readings>) {
    while let Ok(Request { time, place }) = requests.recv() {
        let wanted = sources.iter_mut().filter(|listed| listed.is_for(place));
        let reports = wanted.map(|listed| source::read(listed.source.as_mut(), time)).collect();
        if to_loop.blocking_send(Readings { time, of_round: true, reports }).is_err() {
            return;
        }
    }
}

/// A source of the slow thread, and when it was read.
struct Slow {
    listed: Listed,
    apart: Duration,
    last: Option<Instant>,
}

/// What slow sources gave goes to the loop together, unless one keeps the others waiting longer than this: a batch of
/// each one's own costs the collector more than what is in it.
const TOGETHER: Duration = Duration::from_secs(1);

fn read_slow(requests: &std_mpsc::Receiver<Request>, mut sources: Vec<Slow>, to_loop: &mpsc::Sender<Readings>) {
    while let Ok(Request { time, place }) = requests.recv() {
        let now = Instant::now();
        let mut begun = now;
        let mut reports = Vec::new();
        let due = |slow: &Slow| slow.last.is_none_or(|last| now.duration_since(last) >= slow.apart);
        for slow in sources.iter_mut().filter(|slow| slow.listed.is_for(place) && due(slow)) {
            slow.last = Some(now);
            let mut report = source::read(slow.listed.source.as_mut(), time);
            // Its samples bear the time at which it was done: one that took minutes, or waited for others that did,
            // would otherwise be older than the rounds read meanwhile, and what is late decides nothing.
            let done = time + now.elapsed();
            report.reading.samples.iter_mut().for_each(|sample| sample.time = done);
            reports.push(report);
            if begun.elapsed() >= TOGETHER {
                let readings = Readings { time, of_round: false, reports: std::mem::take(&mut reports) };
                if to_loop.blocking_send(readings).is_err() {
                    return;
                }
                begun = Instant::now();
            }
        }
        if !reports.is_empty() && to_loop.blocking_send(Readings { time, of_round: false, reports }).is_err() {
            return;
        }
    }
}
