//! What the disks have read and written, and how busy they are, as Telegraf.
//!
//! Whole fixed disks alone (`block.rs` says which): what partitions, mapper devices and software RAID do is done by
//! the disks below them, and would be counted twice. Telegraf's `io_svctm` is left out: the kernel's own documentation
//! says not to believe it.

use std::collections::BTreeMap;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::block;
use crate::gather::Gather;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, millis, percent, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "diskio",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(DiskIo { host: host.clone(), last: Earlier::default() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "diskio",
    tags: &["name"],
    fields: &[
        Field {
            name: "io_await",
            kind: FieldKind::Float,
            unit: "ms",
            description: "How long a request took, in the mean since the last reading.",
        },
        counter("io_time", "ms", "With requests at work."),
        Field {
            name: "io_util",
            kind: FieldKind::Float,
            unit: "percent",
            description: "Time with requests at work, since the last reading.",
        },
        counter("iops_in_progress", "", "Requests at work now."),
        counter("merged_reads", "", "Reads that went along with others."),
        counter("merged_writes", "", "Writes that went along with others."),
        counter("read_bytes", "bytes", "Read."),
        counter("read_time", "ms", "That reads took."),
        counter("reads", "", "Reads."),
        counter("weighted_io_time", "ms", "That requests waited, summed up."),
        counter("write_bytes", "bytes", "Written."),
        counter("write_time", "ms", "That writes took."),
        counter("writes", "", "Writes."),
    ],
    privacy: Privacy::Activity,
    description: "What each fixed disk has read and written since boot, and how busy it is.",
}];

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

/// More than any machine of a school has.
const MAX_DISKS: usize = 64;

/// Lines of `/proc/diskstats` that are looked at: a server of many volumes has some hundred.
const MAX_LINES: usize = 4_096;

/// The kernel counts in sectors of this size, whatever the disk's.
const SECTOR_BYTES: u64 = 512;

/// Devices that are never disks, by the beginning of their names; saves looking for each in `/sys`.
const NO_DISKS: &[&str] = &["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

/// Reads `/proc/diskstats`, `/proc/uptime` and `/sys/block`.
pub struct DiskIo {
    host: Host,
    last: Earlier,
}

/// What the last reading found.
#[derive(Default)]
struct Earlier {
    uptime_ms: u64,
    disks: BTreeMap<String, Counters>,
}

/// The columns of one line after its name.
#[derive(Clone, Copy)]
struct Counters([u64; 11]);

impl Source for DiskIo {
    fn name(&self) -> &'static str {
        "diskio"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let text = match self.host.read("proc/diskstats") {
            Ok(text) => text,
            Err(problem) => return Reading::problem(problem),
        };
        let disks: BTreeMap<String, Counters> = text
            .lines()
            .take(MAX_LINES)
            .filter_map(parse)
            .filter(|(name, _)| !NO_DISKS.iter().any(|prefix| name.starts_with(prefix)))
            .filter(|(name, _)| block::is_fixed_disk(&self.host, name))
            .take(MAX_DISKS)
            .map(|(name, counters)| (name.to_owned(), counters))
            .gather();
        let uptime_ms = self.host.read("proc/uptime").ok().and_then(|text| uptime_ms(&text)).unwrap_or(0);
        let passed_ms = uptime_ms.saturating_sub(self.last.uptime_ms);
        let samples = disks.iter().map(|(name, counters)| {
            let mut fields = counters.fields();
            if let Some(earlier) = self.last.disks.get(name) {
                fields.extend(counters.since(earlier, passed_ms));
            }
            crate::reading::by_name(&mut fields);
            sample("diskio", vec![("name", name.clone())], time, fields)
        });
        let samples: Vec<_> = samples.collect();
        self.last = Earlier { uptime_ms, disks };
        if samples.is_empty() {
            return Reading::problem(Problem::new(ProblemKind::NothingHere, "no fixed disk is seen"));
        }
        Reading { samples, problems: Vec::new() }
    }
}

impl Counters {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let [
            reads,
            merged_reads,
            sectors_read,
            read_time,
            writes,
            merged_writes,
            sectors_written,
            write_time,
            in_progress,
            io_time,
            weighted,
        ] = self.0;
        vec![
            ("io_time", integer(io_time)),
            ("iops_in_progress", integer(in_progress)),
            ("merged_reads", integer(merged_reads)),
            ("merged_writes", integer(merged_writes)),
            ("read_bytes", integer(sectors_read.saturating_mul(SECTOR_BYTES))),
            ("read_time", integer(read_time)),
            ("reads", integer(reads)),
            ("weighted_io_time", integer(weighted)),
            ("write_bytes", integer(sectors_written.saturating_mul(SECTOR_BYTES))),
            ("write_time", integer(write_time)),
            ("writes", integer(writes)),
        ]
    }

    /// What two readings tell. A counter that has gone back (another disk took the name, or 32 bits of milliseconds ran
    /// over) tells nothing this once.
    fn since(&self, earlier: &Self, passed_ms: u64) -> Vec<(&'static str, Value)> {
        let difference = |column: usize| self.0[column].checked_sub(earlier.0[column]);
        let mut fields = Vec::new();
        if let Some(busy_ms) = difference(9).filter(|_| passed_ms > 0) {
            fields.push(("io_util", percent((ratio(busy_ms, passed_ms) * 100.0).min(100.0))));
        }
        let requests = difference(0).zip(difference(4)).map(|(reads, writes)| reads.saturating_add(writes));
        let waited_ms = difference(3).zip(difference(7)).map(|(read, write)| read.saturating_add(write));
        if let (Some(requests), Some(waited_ms)) = (requests, waited_ms) {
            fields.push(("io_await", millis(ratio(waited_ms, requests))));
        }
        fields
    }
}

#[expect(clippy::cast_precision_loss, reason = "differences between two readings are far below 52 bits")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `8 0 sda 1 2 3 ...`: eleven columns since Linux 2.6, more since; partitions of very old kernels have four.
fn parse(line: &str) -> Option<(&str, Counters)> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let name = words.next()?;
    let mut columns = [0; 11];
    for column in &mut columns {
        *column = words.next()?.parse().ok()?;
    }
    Some((name, Counters(columns)))
}

/// The boot clock: the wall clock may be set between two readings.
fn uptime_ms(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let hundredths: u64 = hundredths.get(..2)?.parse().ok()?;
    Some(seconds.parse::<u64>().ok()?.checked_mul(1_000)?.saturating_add(hundredths * 10))
}
