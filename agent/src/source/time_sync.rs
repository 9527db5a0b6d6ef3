//! Whether the clock follows a time service, and how far it is off by that service's word.

use std::time::Duration;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, millis, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "time_sync",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(15 * 60)),
    make: |host, _| Box::new(TimeSync { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "time_sync",
    tags: &[],
    fields: &[
        Field {
            name: "offset_ms",
            kind: FieldKind::Float,
            unit: "ms",
            description: "How far the clock is off; above zero if it is slow.",
        },
        Field { name: "source", kind: FieldKind::Text, unit: "", description: "One of chrony, timesyncd, ntpd." },
        Field {
            name: "synchronised",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether it follows a service.",
        },
    ],
    privacy: Privacy::Health,
    description: "Whether the clock is right.",
}];

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A clock that is further off than ten years is not off, it was never set.
const MAX_OFFSET_S: f64 = 315_576_000.0;

/// Asks chrony or ntpd, or looks at what systemd's service leaves behind.
pub struct TimeSync {
    host: Host,
}

/// What a time service says.
#[derive(Debug, PartialEq)]
struct Sync {
    source: &'static str,
    synchronised: bool,
    offset_s: Option<f64>,
}

impl Source for TimeSync {
    fn name(&self) -> &'static str {
        "time_sync"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        if !cfg!(target_os = "linux") {
            return Reading::problem(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone"));
        }
        match self.ask() {
            Ok(sync) => {
                let offset = sync.offset_s.filter(|offset| offset.abs() < MAX_OFFSET_S);
                let mut fields = Vec::new();
                fields.extend(offset.map(|offset| ("offset_ms", millis(offset * 1_000.0))));
                fields.push(("source", Value::Text(sync.source.to_owned())));
                fields.push(("synchronised", Value::Boolean(sync.synchronised)));
                Reading { samples: vec![sample("time_sync", Vec::new(), time, fields)], problems: Vec::new() }
            }
            Err(problem) => Reading::problem(problem),
        }
    }
}

impl TimeSync {
    fn ask(&self) -> Result<Sync, Problem> {
        match self.host.run("chronyc", &["-n", "-c", "tracking"], LIMIT) {
            // It ends with 1 if its service does not run: another may.
            Ok(said) if said.status == Some(0) => {
                return chrony(&said.text)
                    .ok_or_else(|| Problem::new(ProblemKind::Failed, "chronyc: its answer is not understood"));
            }
            Err(problem) if problem.kind == ProblemKind::Failed => return Err(problem),
            _ => {}
        }
        if self.host.path("run/systemd/timesync").exists() {
            // The file appears with the first answer of a server since boot.
            let synchronised = self.host.path("run/systemd/timesync/synchronized").exists();
            return Ok(Sync { source: "timesyncd", synchronised, offset_s: None });
        }
        match self.host.run("ntpq", &["-c", "rv 0 stratum,offset"], LIMIT) {
            Ok(said) if said.status == Some(0) => {
                ntpd(&said.text).ok_or_else(|| Problem::new(ProblemKind::Failed, "ntpq: its answer is not understood"))
            }
            _ => Err(Problem::new(ProblemKind::NothingHere, "no time service that this version knows runs")),
        }
    }
}

/// `A29FC87B,162.159.200.123,4,1795308275.25,-0.000021,...,Normal`: stratum, and how fast (above zero) or slow the
/// clock is.
fn chrony(text: &str) -> Option<Sync> {
    let words: Vec<&str> = text.trim().split(',').collect();
    let leap = words.get(13)?;
    let offset: f64 = words.get(4)?.parse().ok()?;
    let synchronised = *leap != "Not synchronised";
    Some(Sync { source: "chrony", synchronised, offset_s: synchronised.then_some(-offset) })
}

/// `stratum=3, offset=-0.512`: milliseconds; stratum 16 is "not synchronised".
fn ntpd(text: &str) -> Option<Sync> {
    let value = |key: &str| {
        let part = text.split([',', '\n']).find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='))?;
        part.trim().parse::<f64>().ok()
    };
    let synchronised = value("stratum")? < 16.0;
    let offset_s = value("offset").filter(|_| synchronised).map(|offset| offset / 1_000.0);
    Some(Sync { source: "ntpd", synchronised, offset_s })
}
