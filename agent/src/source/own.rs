//! What the agent itself costs, and how its line to the collector is. What waits in the spool is `agent_spool`, and how
//! each source does is `agent_source`.
//!
//! In a collector that watches its own machine, the costs are those of the whole program.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source, mem};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "own",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(Own { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "agent_self",
    tags: &[],
    fields: &[
        Field { name: "anon_bytes", kind: FieldKind::Integer, unit: "bytes", description: "Memory of its own making." },
        Field {
            name: "clock_skew_ms",
            kind: FieldKind::Integer,
            unit: "ms",
            description: "How far this machine's clock was ahead of the collector's when the stream began.",
        },
        Field {
            name: "cpu_seconds",
            kind: FieldKind::Float,
            unit: "s",
            description: "Processor time since its start.",
        },
        Field {
            name: "probe_problems",
            kind: FieldKind::Integer,
            unit: "",
            description: "What kept the last whole round of looks at other devices from being made.",
        },
        Field {
            name: "rss_bytes",
            kind: FieldKind::Integer,
            unit: "bytes",
            description: "Memory, with its program and libraries.",
        },
        Field {
            name: "send_latency_ms",
            kind: FieldKind::Integer,
            unit: "ms",
            description: "From sending a batch to the collector's word that it is safe.",
        },
        Field { name: "threads", kind: FieldKind::Integer, unit: "", description: "Its threads." },
        Field { name: "uptime", kind: FieldKind::Integer, unit: "s", description: "Since its start." },
    ],
    privacy: Privacy::Own,
    description: "What the agent costs this machine, and how its line to the collector is.",
}];

/// What the kernel counts processor time in towards programs; the same on every system that this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// Reads `/proc/self` and what the loop wrote down.
pub struct Own {
    host: Host,
}

impl Source for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mut problems = Vec::new();
        let mut fields = self.of_the_loop();
        for (path, parse) in [("proc/self/status", memory as Parse), ("proc/self/stat", times)] {
            let found = self.host.read(path).and_then(|text| {
                let failed = || Problem::new(ProblemKind::Failed, format!("/{path}: not understood"));
                parse(&text, &self.host).ok_or_else(failed)
            });
            match found {
                Ok(found) => fields.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        crate::reading::by_name(&mut fields);
        let samples = if fields.is_empty() { Vec::new() } else { vec![sample("agent_self", Vec::new(), time, fields)] };
        Reading { samples, problems }
    }
}

impl Own {
    fn of_the_loop(&self) -> Fields {
        let vitals = self.host.vitals();
        let known = [
            ("clock_skew_ms", vitals.clock_skew_ms()),
            ("probe_problems", vitals.probe_problems()),
            ("send_latency_ms", vitals.send_latency_ms()),
        ];
        known.into_iter().filter_map(|(name, value)| Some((name, Value::Integer(value?)))).collect()
    }
}

type Fields = Vec<(&'static str, Value)>;
type Parse = fn(&str, &Host) -> Option<Fields>;

/// `/proc/self/status`; `RssAnon` came with Linux 4.5.
fn memory(text: &str, _: &Host) -> Option<Fields> {
    let lines = mem::parse(text);
    let mut fields = vec![("rss_bytes", integer(*lines.get("VmRSS")?))];
    fields.extend(lines.get("RssAnon").map(|bytes| ("anon_bytes", integer(*bytes))));
    fields.extend(lines.get("Threads").map(|number| ("threads", integer(*number))));
    Some(fields)
}

/// `/proc/self/stat`: columns 14 and 15 are processor time, 22 is the start since boot.
fn times(text: &str, host: &Host) -> Option<Fields> {
    let (_, rest) = text.rsplit_once(')')?;
    let columns: Vec<&str> = rest.split_ascii_whitespace().collect();
    let column = |number: usize| columns.get(number - 3)?.parse::<u64>().ok();
    let ticks = column(14)?.saturating_add(column(15)?);
    let mut fields = vec![("cpu_seconds", percent(seconds(ticks)))];
    let up: Option<u64> = host.read("proc/uptime").ok().and_then(|text| text.split(['.', ' ']).next()?.parse().ok());
    let started = column(22)? / TICKS_PER_SECOND;
    fields.extend(up.map(|up| ("uptime", integer(up.saturating_sub(started)))));
    Some(fields)
}

#[expect(clippy::cast_precision_loss, reason = "an agent would have to compute for a million years")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_the_loop_wrote_down_is_told_once_it_is_known() {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/own/agent/1");
        let host = Host::at(case);
        let mut source = Own { host: host.clone() };
        let told = |source: &mut Own, field: &str| {
            let fields = source.read(Timestamp(0)).samples.remove(0).fields;
            fields.into_iter().find(|(name, _)| name == field).map(|(_, value)| value)
        };
        assert_eq!(told(&mut source, "clock_skew_ms"), None);
        host.vitals().note_clock(-1_250);
        host.vitals().note_round();
        host.vitals().note_round();
        assert_eq!(told(&mut source, "clock_skew_ms"), Some(Value::Integer(-1_250)));
        assert_eq!(told(&mut source, "probe_problems"), Some(Value::Integer(0)));
        assert_eq!(told(&mut source, "rss_bytes"), Some(Value::Integer(7_532 * 1_024)));
    }
}
