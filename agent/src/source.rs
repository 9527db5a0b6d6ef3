//! Sources: each reads one thing of this device.
//!
//! A source never fails as a whole: it returns the samples that it got and the problems that it met, so one bad disk
//! never hides the good ones. It knows nothing of intervals, batches or the collector. The wrapper here times every
//! source and reports how it went, and keeps "nothing to read here" apart from failure.
//!
//! Adding one: a file with its `MEASUREMENTS`, its code, its `ENTRY` and its cases in `fixtures/`; a line in `ALL`.

use std::time::Instant;

use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use crate::config::Config;
use crate::host::Host;

pub mod cpu;
pub mod disk;
pub mod mem;
pub mod net;
pub mod system;

/// Every source.
pub const ALL: &[Entry] = &[cpu::ENTRY, disk::ENTRY, mem::ENTRY, net::ENTRY, system::ENTRY];

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
        Field { name: "took_ms", kind: FieldKind::Float, unit: "ms", description: "How long reading took." },
    ],
    privacy: Privacy::Own,
    description: "How each of the agent's sources is doing.",
}];

/// A source in the list.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name, which is its file's.
    pub name: &'static str,
    /// What it can say.
    pub measurements: &'static [Measurement],
    /// Makes one that reads `host`.
    pub make: fn(&Host, &Config) -> Box<dyn Source>,
}

/// Reads one thing of this device.
pub trait Source: Send {
    /// Its name in the list.
    fn name(&self) -> &'static str;

    /// Reads; every sample bears `time`.
    fn read(&mut self, time: Timestamp) -> Reading;
}

/// What a source got, and what it met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What it got.
    pub samples: Vec<Sample>,
    /// What it met. Never sent: it may name paths.
    pub problems: Vec<Problem>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which way.
    pub kind: ProblemKind,
    /// A sentence for whoever stands before the machine.
    pub text: String,
}

/// In which way something could not be read, from harmless to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The machine has no such thing.
    NothingHere,
    /// This operating system does not tell.
    Unsupported,
    /// The agent may not look.
    NoPermission,
    /// It should have worked.
    Failed,
}

/// How a source did: the closed list of `agent_source`'s field `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It read something.
    Ok,
    /// It read nothing, and this is the worst reason.
    Nothing(ProblemKind),
}

impl Status {
    /// The word that is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Nothing(ProblemKind::NothingHere) => "nothing_here",
            Self::Nothing(ProblemKind::Unsupported) => "unsupported",
            Self::Nothing(ProblemKind::NoPermission) => "no_permission",
            Self::Nothing(ProblemKind::Failed) => "failed",
        }
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The problem that `error` is, met at `what`.
    #[must_use]
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ProblemKind::NothingHere,
            std::io::ErrorKind::PermissionDenied => ProblemKind::NoPermission,
            std::io::ErrorKind::Unsupported => ProblemKind::Unsupported,
            _ => ProblemKind::Failed,
        };
        Self::new(kind, format!("{what}: {error}"))
    }
}

impl Reading {
    /// Nothing but a problem.
    #[must_use]
    pub fn problem(problem: Problem) -> Self {
        Self { samples: Vec::new(), problems: vec![problem] }
    }

    /// How it went as a whole.
    #[must_use]
    pub fn status(&self) -> Status {
        if !self.samples.is_empty() {
            return Status::Ok;
        }
        let worst = self.problems.iter().map(|problem| problem.kind).max();
        Status::Nothing(worst.unwrap_or(ProblemKind::NothingHere))
    }
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

/// A sample of this device. Tags without a value are left out, as Telegraf does.
#[must_use]
pub fn sample(
    measurement: &'static str,
    tags: Vec<(&'static str, String)>,
    time: Timestamp,
    fields: Vec<(&'static str, Value)>,
) -> Sample {
    let tags = tags.into_iter().filter(|(_, value)| !value.is_empty());
    let mut tags: Vec<(Name, String)> = tags.map(|(key, value)| (Name::Borrowed(key), value)).collect();
    tags.sort_unstable();
    Sample {
        measurement: Name::Borrowed(measurement),
        tags,
        target: String::new(),
        time,
        fields: fields.into_iter().map(|(name, value)| (Name::Borrowed(name), value)).collect(),
    }
}

/// A percentage, to 0.01: most of the compression is won here.
#[must_use]
pub fn percent(value: f64) -> Value {
    Value::Float(quantise(value, 100.0))
}

/// Milliseconds, to 0.001.
#[must_use]
pub fn millis(value: f64) -> Value {
    Value::Float(quantise(value, 1_000.0))
}

/// A counter or size; beyond 63 bits it stays at the top, as Telegraf's do.
#[must_use]
pub fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn count(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn quantise(value: f64, steps: f64) -> f64 {
    if value.is_finite() { (value * steps).round() / steps } else { 0.0 }
}

/// `part` of `whole` in percent; nothing of nothing is zero.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a percentage to 0.01 needs far fewer than 52 bits")]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

#[cfg(test)]
mod tests;
