//! What the memory holds, as Telegraf.
//!
//! Telegraf also has `high_*`, `low_*`, `vmalloc_*` and `huge_*`: nothing but zeros and constants on the machines of
//! a school, so they are left out.

use std::collections::BTreeMap;

use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::gather::Gather;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "mem",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(Mem { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "mem",
    tags: &[],
    fields: &[
        bytes("active", "Used lately."),
        bytes("available", "What programs can still get without swapping."),
        ratio("available_percent", "Available, of the total."),
        bytes("buffered", "Buffers of block devices."),
        bytes("cached", "Cached files, with the part of the kernel's own that it can give back."),
        bytes("commit_limit", "What may be promised to programs."),
        bytes("committed_as", "What has been promised to programs."),
        bytes("dirty", "Waiting to be written to disk."),
        bytes("free", "Used for nothing."),
        bytes("inactive", "Not used lately."),
        bytes("mapped", "Files that are mapped."),
        bytes("page_tables", "Page tables."),
        bytes("shared", "Shared between programs."),
        bytes("slab", "The kernel's own."),
        bytes("sreclaimable", "The kernel's own that it can give back."),
        bytes("sunreclaim", "The kernel's own that it can't give back."),
        bytes("swap_cached", "Swapped out and still in memory."),
        bytes("swap_free", "Swap that is free."),
        bytes("swap_total", "Swap."),
        bytes("total", "Memory of the machine."),
        bytes("used", "Total without available."),
        ratio("used_percent", "Used, of the total."),
        bytes("write_back", "Being written to disk."),
    ],
    privacy: Privacy::Activity,
    description: "How much memory is used.",
}];

const fn bytes(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "bytes", description }
}

const fn ratio(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "percent", description }
}

/// Fields that are one line of `/proc/meminfo`.
const LINES: &[(&str, &str)] = &[
    ("active", "Active"),
    ("buffered", "Buffers"),
    ("commit_limit", "CommitLimit"),
    ("committed_as", "Committed_AS"),
    ("dirty", "Dirty"),
    ("free", "MemFree"),
    ("inactive", "Inactive"),
    ("mapped", "Mapped"),
    ("page_tables", "PageTables"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("swap_cached", "SwapCached"),
    ("swap_free", "SwapFree"),
    ("swap_total", "SwapTotal"),
    ("write_back", "Writeback"),
];

/// Reads `/proc/meminfo`.
pub struct Mem {
    host: Host,
}

impl Source for Mem {
    fn name(&self) -> &'static str {
        "mem"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let text = match self.host.read("proc/meminfo") {
            Ok(text) => text,
            Err(problem) => return Reading::problem(problem),
        };
        let lines = parse(&text);
        let Some(total) = lines.get("MemTotal").copied().filter(|total| *total > 0) else {
            return Reading::problem(Problem::new(ProblemKind::Failed, "/proc/meminfo: no line `MemTotal`"));
        };
        let line = |name: &str| lines.get(name).copied().unwrap_or(0);
        let cached = line("Cached").saturating_add(line("SReclaimable"));
        // Kernels before 3.14 do not estimate it.
        let guess = line("MemFree").saturating_add(line("Buffers")).saturating_add(cached);
        let available = lines.get("MemAvailable").copied().unwrap_or(guess).min(total);
        let used = total - available;
        let mut fields = vec![
            ("available", integer(available)),
            ("available_percent", percent(share(available, total))),
            ("cached", integer(cached)),
            ("total", integer(total)),
            ("used", integer(used)),
            ("used_percent", percent(share(used, total))),
        ];
        let told = LINES.iter().filter_map(|(field, name)| Some((*field, integer(*lines.get(*name)?))));
        fields.extend(told);
        crate::reading::by_name(&mut fields);
        Reading { samples: vec![sample("mem", Vec::new(), time, fields)], problems: Vec::new() }
    }
}

/// Name to bytes; lines that are no sizes are skipped.
pub(super) fn parse(text: &str) -> BTreeMap<&str, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let mut words = rest.split_ascii_whitespace();
            let size: u64 = words.next()?.parse().ok()?;
            let unit = if words.next() == Some("kB") { 1_024 } else { 1 };
            Some((name.trim(), size.saturating_mul(unit)))
        })
        .gather()
}
