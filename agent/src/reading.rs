//! What a source or probe gives back: the samples that it got and the problems that it met, and how values are written.

use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;

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

/// Fields go in the order of their names.
pub fn by_name(fields: &mut [(&'static str, Value)]) {
    fields.sort_by_key(|(name, _)| *name);
}

/// A percentage, to 0.01: most of the compression is won here.
#[must_use]
pub fn percent(value: f64) -> Value {
    Value::Float(quantise(value, 100.0))
}

/// Degrees Celsius from thousandths, to 0.1: sensors are no better.
#[must_use]
pub fn celsius(thousandths: i64) -> Value {
    // Within a float's 52 bits, because whoever asks has refused what no thing on Earth is.
    let tenths = i32::try_from((thousandths + thousandths.signum() * 50) / 100).unwrap_or(0);
    Value::Float(f64::from(tenths) / 10.0)
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

/// A number of things.
#[must_use]
pub fn count(number: usize) -> Value {
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
