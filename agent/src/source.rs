//! Sources: each reads one thing of this device.
//!
//! A source never fails as a whole: it returns the samples that it got and the problems that it met, so one bad disk
//! never hides the good ones. It knows nothing of intervals, batches or the collector. The wrapper here times every
//! source and reports how it went, and keeps "nothing to read here" apart from failure.
//!
//! Adding one: a file with its `MEASUREMENTS`, its code, its `ENTRY` and its cases in `fixtures/`; a line in `ALL`.

use std::time::{Duration, Instant};

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use crate::config::Config;
use crate::host::Host;
use crate::reading::{Reading, count, millis, sample};

pub mod battery;
pub mod cpu;
pub mod disk;
pub mod diskio;
pub mod fans;
pub mod inventory;
pub mod mem;
pub mod net;
pub mod os;
pub mod own;
pub mod processes;
pub mod protection;
pub mod raid;
pub mod smart;
pub mod swap;
pub mod system;
pub mod temp;
pub mod time_sync;
pub mod unexpected;
pub mod updates;
pub mod wireless;

/// Every source.
pub const ALL: &[Entry] = &[
    battery::ENTRY,
    cpu::ENTRY,
    disk::ENTRY,
    diskio::ENTRY,
    fans::ENTRY,
    inventory::ENTRY,
    mem::ENTRY,
    net::ENTRY,
    os::ENTRY,
    own::ENTRY,
    processes::ENTRY,
    protection::ENTRY,
    raid::ENTRY,
    smart::ENTRY,
    swap::ENTRY,
    system::ENTRY,
    temp::ENTRY,
    time_sync::ENTRY,
    unexpected::ENTRY,
    updates::ENTRY,
    wireless::ENTRY,
];

/// The wrapper's own measurement.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "agent_source",
    tags: &["source"],
    fields: &[
        Field { name: "problems", kind: FieldKind::Integer, unit: "", description: "What could not be read." },
        Field { name: "samples", kind: FieldKind::Integer, unit: "", description: "Rows that were read." },
        Field {
            name: "status",
            kind: FieldKind::Text,
            unit: "",
            description: "One of ok, nothing_here, unsupported, no_permission, failed.",
        },
        Field {
            name: "took_ms",
            kind: FieldKind::Float,
            unit: "ms",
            description: "How long reading took; the longest since the row before.",
        },
    ],
    privacy: Privacy::Own,
    description: "How each of the agent's sources is doing: when that changes, and every 15 minutes.",
}];

/// A source in the list.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name, which is its file's.
    pub name: &'static str,
    /// What it can say.
    pub measurements: &'static [Measurement],
    /// How often it is read.
    pub pace: Pace,
    /// Makes one that reads `host`.
    pub make: fn(&Host, &Config) -> Box<dyn Source>,
}

/// How often a source is read, and on which thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With every round, after one reading before the first: for what takes far less than a millisecond.
    Round,
    /// With the first round and then at least this long apart, on the thread for what starts a program or reads much.
    /// No round waits for it: what it gives goes with a round that is still under way, or is a batch of its own.
    Slow(Duration),
    /// As `Slow`, for what hardly ever changes: read `look` apart, sent when it has changed, and `REPEAT` after it was
    /// last sent.
    OnChange {
        /// At least this long apart.
        look: Duration,
    },
    /// As `Slow`, but for the first time only so long after the agent's start: for what takes seconds of a processor that
    /// people wait for, or that many machines share which all get a new agent at once.
    Late {
        /// The least from one reading to the next.
        apart: Duration,
        /// From the agent's start to the first.
        after: Duration,
    },
}

/// What has not changed is sent again this long after: often enough that the newest is always among what the collector
/// keeps (raw points: 30 days) and that one batch lost is not missed for long; so rarely that it costs nothing.
pub const REPEAT: Duration = Duration::from_secs(24 * 3_600);

impl Entry {
    /// Makes the source for this operating system.
    #[must_use]
    pub fn source(&self, host: &Host, config: &Config) -> Box<dyn Source> {
        let ordinary = || (self.make)(host, config);
        native(self.name, host, ordinary).unwrap_or_else(ordinary)
    }
}

/// What reads this in the system's own way where there is no `/proc`.
#[cfg(windows)]
fn native(name: &'static str, host: &Host, ordinary: impl FnOnce() -> Box<dyn Source>) -> Option<Box<dyn Source>> {
    crate::windows::source(name, crate::windows::Live::new(host.clone()), ordinary)
}

#[cfg(target_os = "macos")]
fn native(name: &'static str, host: &Host, _: impl FnOnce() -> Box<dyn Source>) -> Option<Box<dyn Source>> {
    crate::macos::source(name, host)
}

#[cfg(not(any(windows, target_os = "macos")))]
fn native(_: &'static str, _: &Host, _: impl FnOnce() -> Box<dyn Source>) -> Option<Box<dyn Source>> {
    None
}

/// Stands for a source that this version can't read on this system: it says so, and not that there is nothing.
#[cfg(any(windows, target_os = "macos", test))]
pub(crate) struct Unread {
    /// The source's name.
    pub(crate) name: &'static str,
    /// The system's.
    pub(crate) system: &'static str,
}

#[cfg(any(windows, target_os = "macos", test))]
impl Source for Unread {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, _: Timestamp) -> Reading {
        let text = format!("this version does not read it on {}", self.system);
        Reading::problem(crate::reading::Problem::new(crate::reading::ProblemKind::Unsupported, text))
    }
}

/// Reads one thing of this device.
pub trait Source: Send {
    /// Its name in the list.
    fn name(&self) -> &'static str;

    /// Reads; every sample bears `time`.
    fn read(&mut self, time: Timestamp) -> Reading;
}

/// What the wrapper knows after a source was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which source.
    pub source: &'static str,
    /// What it returned.
    pub reading: Reading,
    /// How long it took.
    pub took_ms: f64,
}

impl Report {
    /// The row of `agent_source`.
    #[must_use]
    pub fn sample(&self, time: Timestamp) -> Sample {
        let fields = vec![
            ("problems", count(self.reading.problems.len())),
            ("samples", count(self.reading.samples.len())),
            ("status", Value::Text(self.reading.status().as_str().to_owned())),
            ("took_ms", millis(self.took_ms)),
        ];
        sample("agent_source", vec![("source", self.source.to_owned())], time, fields)
    }
}

/// Reads a source and times it.
pub fn read(source: &mut dyn Source, time: Timestamp) -> Report {
    let started = Instant::now();
    let reading = source.read(time);
    Report { source: source.name(), reading, took_ms: started.elapsed().as_secs_f64() * 1_000.0 }
}

#[cfg(test)]
mod tests;
