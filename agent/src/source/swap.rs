//! How much is swapped out, and how much has been swapped in and out since boot, as Telegraf.

use std::collections::BTreeMap;

use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source, mem};
use crate::gather::Gather;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "swap",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(Swap { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "swap",
    tags: &[],
    fields: &[
        bytes("free", "Free."),
        bytes("in", "Brought back to memory since boot."),
        bytes("out", "Put out of memory since boot."),
        bytes("total", "Size of all swap space."),
        bytes("used", "Used."),
        Field { name: "used_percent", kind: FieldKind::Float, unit: "percent", description: "Used, of the total." },
    ],
    privacy: Privacy::Activity,
    description: "How much memory had to be put on disk.",
}];

const fn bytes(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "bytes", description }
}

/// Reads `/proc/meminfo` and `/proc/vmstat`.
pub struct Swap {
    host: Host,
}

impl Source for Swap {
    fn name(&self) -> &'static str {
        "swap"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let text = match self.host.read("proc/meminfo") {
            Ok(text) => text,
            Err(problem) => return Reading::problem(problem),
        };
        let lines = mem::parse(&text);
        let (Some(total), Some(free)) = (lines.get("SwapTotal").copied(), lines.get("SwapFree").copied()) else {
            return Reading::problem(Problem::new(ProblemKind::Failed, "/proc/meminfo: no line `SwapTotal`"));
        };
        if total == 0 {
            return Reading::problem(Problem::new(ProblemKind::NothingHere, "this machine has no swap space"));
        }
        let used = total.saturating_sub(free);
        let mut fields = vec![
            ("free", integer(free.min(total))),
            ("total", integer(total)),
            ("used", integer(used)),
            ("used_percent", percent(share(used, total))),
        ];
        let mut problems = Vec::new();
        match self.host.read("proc/vmstat") {
            Ok(text) => {
                let counters = counters(&text);
                let pages = |name: &str| Some(integer(counters.get(name)?.saturating_mul(page_bytes())));
                fields.extend(pages("pswpin").map(|bytes| ("in", bytes)));
                fields.extend(pages("pswpout").map(|bytes| ("out", bytes)));
            }
            Err(problem) => problems.push(problem),
        }
        crate::reading::by_name(&mut fields);
        Reading { samples: vec![sample("swap", Vec::new(), time, fields)], problems }
    }
}

fn counters(text: &str) -> BTreeMap<&str, u64> {
    let pair = |line| str::split_once(line, ' ').and_then(|(name, number)| Some((name, number.trim().parse().ok()?)));
    text.lines().filter_map(pair).gather()
}

/// Kernels for ARM have pages of 16 and 64 KiB, too.
fn page_bytes() -> u64 {
    #[cfg(unix)]
    return u64::try_from(rustix::param::page_size()).unwrap_or(4_096);
    #[cfg(not(unix))]
    return 4_096;
}
