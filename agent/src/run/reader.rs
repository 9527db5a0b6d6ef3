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
use crate::reading::Reading;
use crate::source::{self, Entry, Pace, REPEAT, Report, Source};

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
        let start = Instant::now();
        let slow = source::ALL.iter().filter_map(|entry| match entry.pace {
            Pace::Round => None,
            Pace::Slow(apart) => Some(Slow { listed: make(entry), apart, due: start, news: None }),
            Pace::Late { apart, after } => Some(Slow { listed: make(entry), apart, due: start + after, news: None }),
            Pace::OnChange { look } => {
                Some(Slow { listed: make(entry), apart: look, due: start, news: Some(News::default()) })
            }
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

/// A source of the slow thread, and from when on it is read with the next round.
struct Slow {
    listed: Listed,
    apart: Duration,
    due: Instant,
    /// Of a source that is sent on change.
    news: Option<News>,
}

impl Slow {
    fn read(&mut self, time: Timestamp, now: Instant) -> Option<Report> {
        self.due = now + self.apart;
        let report = source::read(self.listed.source.as_mut(), time);
        let wanted = self.news.as_mut().is_none_or(|news| news.is_news(&report.reading, now));
        wanted.then_some(report)
    }
}

/// What was last sent of a source that hardly ever changes, and when.
#[derive(Default)]
struct News {
    sent: Option<(Instant, Reading)>,
}

impl News {
    /// Whether this must be sent: it is not what was sent last, or that was long ago.
    fn is_news(&mut self, reading: &Reading, now: Instant) -> bool {
        let mut reading = reading.clone();
        reading.samples.iter_mut().for_each(|sample| sample.time = Timestamp(0));
        let is_old = |sent: &(Instant, Reading)| sent.1 == reading && now.duration_since(sent.0) < REPEAT;
        if self.sent.as_ref().is_some_and(is_old) {
            return false;
        }
        self.sent = Some((now, reading));
        true
    }
}

/// What slow sources gave goes to the loop together, unless one keeps the others waiting longer than this: a batch of
/// each one's own costs the collector more than what is in it.
const TOGETHER: Duration = Duration::from_secs(1);

fn read_slow(requests: &std_mpsc::Receiver<Request>, mut sources: Vec<Slow>, to_loop: &mpsc::Sender<Readings>) {
    while let Ok(Request { time, place }) = requests.recv() {
        let now = Instant::now();
        let mut begun = now;
        let mut reports = Vec::new();
        for slow in sources.iter_mut().filter(|slow| slow.listed.is_for(place) && slow.due <= now) {
            let Some(mut report) = slow.read(time, now) else { continue };
            // What took a while bears the time at which it was done: after minutes, its own or those of others before
            // it, it would otherwise be older than the rounds read meanwhile, and what is late decides nothing.
            let took = now.elapsed();
            if took >= TOGETHER {
                report.reading.samples.iter_mut().for_each(|sample| sample.time = time + took);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Problem, ProblemKind, integer, sample};

    fn memory(time: i64, bytes: u64) -> Reading {
        let sample = sample("inventory_memory", Vec::new(), Timestamp(time), vec![("size_bytes", integer(bytes))]);
        Reading { samples: vec![sample], problems: Vec::new() }
    }

    #[test]
    fn what_hardly_ever_changes_is_sent_at_the_start_on_change_and_once_a_day() {
        let quarter = Duration::from_secs(15 * 60);
        let mut news = News::default();
        let mut now = Instant::now();
        let mut sent = Vec::new();
        for look in 0..300 {
            // A module is taken out after 20 hours.
            let bytes = if look < 80 { 16 } else { 8 };
            if news.is_news(&memory(look, bytes), now) {
                sent.push(look);
            }
            now += quarter;
        }
        assert_eq!(sent, [0, 80, 80 + 96, 80 + 96 + 96]);
    }

    #[test]
    fn a_part_that_can_no_longer_be_read_is_news() {
        let mut news = News::default();
        let now = Instant::now();
        assert!(news.is_news(&memory(0, 16), now));
        let refused = Problem::new(ProblemKind::NoPermission, "memory modules: refused");
        assert!(news.is_news(&Reading::problem(refused.clone()), now));
        assert!(!news.is_news(&Reading::problem(refused), now));
    }
}
