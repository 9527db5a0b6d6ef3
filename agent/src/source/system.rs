//! Load, processors and uptime, as Telegraf; never the number of users.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "system",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(System { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "system",
    tags: &[],
    fields: &[
        Field { name: "load1", kind: FieldKind::Float, unit: "", description: "Load, mean of a minute." },
        Field { name: "load15", kind: FieldKind::Float, unit: "", description: "Load, mean of fifteen minutes." },
        Field { name: "load5", kind: FieldKind::Float, unit: "", description: "Load, mean of five minutes." },
        Field { name: "n_cpus", kind: FieldKind::Integer, unit: "", description: "Cores that are online." },
        Field { name: "uptime", kind: FieldKind::Integer, unit: "s", description: "Since boot." },
    ],
    privacy: Privacy::Activity,
    description: "How loaded the machine is, and since when it is on.",
}];

/// Reads `/proc/loadavg`, `/proc/uptime` and `/proc/stat`.
pub struct System {
    host: Host,
}

impl Source for System {
    fn name(&self) -> &'static str {
        "system"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mut fields = Vec::new();
        let mut problems = Vec::new();
        for (path, parse) in PARTS {
            match self.host.read(path) {
                Ok(text) => match parse(&text) {
                    Some(found) => fields.extend(found),
                    None => problems.push(Problem::new(ProblemKind::Failed, format!("/{path}: not understood"))),
                },
                Err(problem) => problems.push(problem),
            }
        }
        crate::reading::by_name(&mut fields);
        let samples = if fields.is_empty() { Vec::new() } else { vec![sample("system", Vec::new(), time, fields)] };
        Reading { samples, problems }
    }
}

type Fields = Vec<(&'static str, Value)>;
type Parse = fn(&str) -> Option<Fields>;

/// Each file with what it tells; one that can't be read takes only its own fields away.
const PARTS: &[(&str, Parse)] = &[("proc/loadavg", load), ("proc/stat", cores), ("proc/uptime", uptime)];

fn load(text: &str) -> Option<Fields> {
    let loads: Vec<f64> = text.split_ascii_whitespace().map_while(|word| word.parse().ok()).take(3).collect();
    let [load1, load5, load15] = loads[..] else { return None };
    let sane = |load: f64| load.is_finite() && load >= 0.0;
    // Two decimals are all that the kernel tells.
    (sane(load1) && sane(load5) && sane(load15))
        .then(|| vec![("load1", percent(load1)), ("load5", percent(load5)), ("load15", percent(load15))])
}

fn cores(text: &str) -> Option<Fields> {
    let is_core = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        name.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let cores = i64::try_from(text.lines().filter(is_core).count()).ok()?;
    (cores > 0).then(|| vec![("n_cpus", Value::Integer(cores))])
}

fn uptime(text: &str) -> Option<Fields> {
    let seconds = text.split(['.', ' ', '\n']).next()?.parse().ok()?;
    Some(vec![("uptime", Value::Integer(seconds))])
}
