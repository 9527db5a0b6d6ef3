//! What the fixed volumes have read and written, counted by the disk driver since the start.

use bellwether_logic::time::Timestamp;

use super::disk;
use super::facts::Facts;
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};

/// The driver counts time in 100 ns, Telegraf in milliseconds.
const TICKS_PER_MS: u64 = 10_000;

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let volumes = match disk::fixed(facts) {
        Ok(volumes) => volumes,
        Err(problem) => return Reading::problem(problem),
    };
    let samples: Vec<_> = volumes
        .iter()
        .filter_map(|volume| {
            let counters = volume.counters?;
            let fields = vec![
                ("iops_in_progress", integer(counters.queue)),
                ("read_bytes", integer(counters.read_bytes)),
                ("read_time", integer(counters.read_time / TICKS_PER_MS)),
                ("reads", integer(counters.reads)),
                ("write_bytes", integer(counters.write_bytes)),
                ("write_time", integer(counters.write_time / TICKS_PER_MS)),
                ("writes", integer(counters.writes)),
            ];
            Some(sample("diskio", vec![("name", format!("{}:", volume.letter))], time, fields))
        })
        .collect();
    if samples.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::Unsupported, "the disk driver does not count"));
    }
    Reading { samples, problems: Vec::new() }
}
