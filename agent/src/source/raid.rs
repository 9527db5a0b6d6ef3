//! How the RAIDs are: the kernel's own (md), LVM's, ZFS and btrfs on several disks, and those of common controllers if
//! their maker's program is installed.
//!
//! Names of pools and volumes are given by people, so an array goes by its kind and a number, as `zfs-1`; what the
//! kernel or a controller numbers itself keeps that, as `md0` and `c0/v1`.

use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample};

mod controllers;
mod kernel;
mod pools;

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "raid",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(10 * 60)),
    make: |host, _| Box::new(Raid { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "raid",
    tags: &["array", "level"],
    fields: &[
        count("active", "Members at work."),
        count("degraded", "Members that are missing; 1 if only that something is missing is known."),
        count("devices", "Members that it should have."),
        count("errors", "Errors of its members since somebody set the counters back."),
        count("failed", "Members that failed."),
        count("spare", "Members in reserve."),
        Field {
            name: "state",
            kind: FieldKind::Text,
            unit: "",
            description: "One of ok, degraded, rebuilding, checking, failed, unknown.",
        },
        Field {
            name: "sync_percent",
            kind: FieldKind::Float,
            unit: "percent",
            description: "How far rebuilding or checking has come.",
        },
    ],
    privacy: Privacy::Health,
    description: "How each RAID is.",
}];

const fn count(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

/// How long a program may take; controllers are slow.
const LIMIT: Duration = Duration::from_secs(30);

/// Arrays of one machine.
const MAX_ARRAYS: usize = 64;

/// How an array is, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    Ok,
    Degraded,
    Rebuilding,
    Checking,
    Failed,
    #[default]
    Unknown,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Rebuilding => "rebuilding",
            Self::Checking => "checking",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One array, as far as is known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Array {
    name: String,
    level: String,
    state: State,
    devices: Option<u64>,
    active: Option<u64>,
    failed: Option<u64>,
    spare: Option<u64>,
    degraded: Option<u64>,
    errors: Option<u64>,
    sync_percent: Option<f64>,
}

impl Array {
    /// An array of which nothing but its state is known.
    fn of_state(name: String, level: &str, state: State) -> Self {
        let degraded = match state {
            State::Ok | State::Checking => Some(0),
            State::Degraded | State::Rebuilding | State::Failed => Some(1),
            State::Unknown => None,
        };
        Self { name, level: level.to_owned(), state, degraded, ..Self::default() }
    }

    fn sample(self, time: Timestamp) -> Sample {
        let counts = [
            ("active", self.active),
            ("degraded", self.degraded),
            ("devices", self.devices),
            ("errors", self.errors),
            ("failed", self.failed),
            ("spare", self.spare),
        ];
        let mut fields: Vec<(&'static str, Value)> =
            counts.into_iter().filter_map(|(name, count)| Some((name, integer(count?)))).collect();
        fields.push(("state", Value::Text(self.state.as_str().to_owned())));
        fields.extend(self.sync_percent.map(|done| ("sync_percent", percent(done))));
        sample("raid", vec![("array", self.name), ("level", self.level)], time, fields)
    }
}

/// What one way of asking found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    arrays: Vec<Array>,
    problems: Vec<Problem>,
}

impl Found {
    fn problem(kind: ProblemKind, text: impl Into<String>) -> Self {
        Self { arrays: Vec::new(), problems: vec![Problem::new(kind, text)] }
    }
}

/// Every way of asking.
const WAYS: &[fn(&Host) -> Found] =
    &[kernel::md, kernel::raid_class, kernel::lvm, pools::btrfs, pools::zfs, controllers::ask];

/// Reads `/sys` and asks the programs that are there.
pub struct Raid {
    host: Host,
}

impl Source for Raid {
    fn name(&self) -> &'static str {
        "raid"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mut reading = Reading::default();
        for way in WAYS {
            let found = way(&self.host);
            reading.samples.extend(found.arrays.into_iter().map(|array| array.sample(time)));
            reading.problems.extend(found.problems);
        }
        reading.samples.truncate(MAX_ARRAYS);
        if reading.samples.is_empty() && reading.problems.is_empty() {
            let (kind, text) = if cfg!(target_os = "linux") {
                (ProblemKind::NothingHere, "the machine has no RAID")
            } else {
                (ProblemKind::Unsupported, "this version reads it on Linux alone")
            };
            reading.problems.push(Problem::new(kind, text));
        }
        reading
    }
}

/// The names in a folder, sorted, at most so many; none if it is not there.
fn names(host: &Host, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(host.path(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names.truncate(1_024);
    names
}

#[cfg(test)]
mod tests;
