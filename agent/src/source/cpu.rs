//! What the processors do: the whole and each core, in percent of the time since the last reading, as Telegraf.
//!
//! A core's row has only what tells a busy core from an idle one (`CORE_FIELDS`), and the whole has everything: all ten
//! fields of every core would be half of all that a machine sends, most of it zeros. `[cpu] per_core = false` leaves the
//! cores out.

use std::collections::BTreeMap;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use super::{Entry, Pace, Source};
use crate::gather::Gather;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample, share};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "cpu",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, config| Box::new(Cpu::new(host.clone(), &config.cpu)),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "cpu",
    tags: &["cpu"],
    fields: &[
        usage("usage_guest", "Running guests."),
        usage("usage_guest_nice", "Running guests of low priority."),
        usage("usage_idle", "Doing nothing."),
        usage("usage_iowait", "Doing nothing while a disk is waited for."),
        usage("usage_irq", "Serving interrupts."),
        usage("usage_nice", "Running programs of low priority, guests left out."),
        usage("usage_softirq", "Serving soft interrupts."),
        usage("usage_steal", "Taken by the host of this virtual machine."),
        usage("usage_system", "Running the operating system."),
        usage("usage_user", "Running programs, guests left out."),
    ],
    privacy: Privacy::Activity,
    description: "How busy the processors are, as a whole and by core.",
}];

const fn usage(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "percent", description }
}

/// The table `[cpu]` of `agent.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CpuConfig {
    /// Whether each core has a row beside the whole's.
    pub per_core: bool,
}

impl Default for CpuConfig {
    fn default() -> Self {
        Self { per_core: true }
    }
}

/// The row of all cores together.
const WHOLE: &str = "cpu-total";

/// What a core's row has.
const CORE_FIELDS: &[&str] = &["usage_idle", "usage_iowait", "usage_system", "usage_user"];

/// A server of a school has some dozens; those beyond are part of the whole and have no rows of their own.
const MAX_CORES: usize = 128;

/// Reads `/proc/stat`; keeps the last counters to take differences.
pub struct Cpu {
    host: Host,
    per_core: bool,
    last: BTreeMap<String, Times>,
}

/// Ticks since boot, in the order of the columns of `/proc/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    user: u64,
    nice: u64,
    system: u64,
    idle: u64,
    iowait: u64,
    irq: u64,
    softirq: u64,
    steal: u64,
    guest: u64,
    guest_nice: u64,
}

impl Cpu {
    /// One that has read nothing yet: its first reading has no usage to tell.
    #[must_use]
    pub fn new(host: Host, config: &CpuConfig) -> Self {
        Self { host, per_core: config.per_core, last: BTreeMap::new() }
    }
}

impl Source for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let text = match self.host.read("proc/stat") {
            Ok(text) => text,
            Err(problem) => return Reading::problem(problem),
        };
        let mut current = parse(&text);
        current.retain(|name, _| self.per_core || name == WHOLE);
        if current.is_empty() {
            return Reading::problem(Problem::new(ProblemKind::Failed, "/proc/stat: no line of a processor"));
        }
        let first = self.last.is_empty();
        let samples = current
            .iter()
            .filter_map(|(name, times)| {
                let mut fields = times.since(self.last.get(name)?)?;
                fields.retain(|(field, _)| name == WHOLE || CORE_FIELDS.contains(field));
                Some(sample("cpu", vec![("cpu", name.clone())], time, fields))
            })
            .collect();
        self.last = current;
        let problems = if first {
            vec![Problem::new(ProblemKind::NothingHere, "usage is told from the second reading on")]
        } else {
            Vec::new()
        };
        Reading { samples, problems }
    }
}

impl Times {
    fn total(&self) -> u64 {
        [self.user, self.nice, self.system, self.idle, self.iowait, self.irq, self.softirq, self.steal]
            .iter()
            .fold(0, |sum, ticks| sum.saturating_add(*ticks))
    }

    /// The usage since `earlier`; none when no tick has passed. Single counters of Linux do go back (iowait and idle,
    /// when a core sleeps): such a difference is none, never negative.
    fn since(&self, earlier: &Self) -> Option<Vec<(&'static str, Value)>> {
        let spent = Self {
            user: self.user.saturating_sub(earlier.user),
            nice: self.nice.saturating_sub(earlier.nice),
            system: self.system.saturating_sub(earlier.system),
            idle: self.idle.saturating_sub(earlier.idle),
            iowait: self.iowait.saturating_sub(earlier.iowait),
            irq: self.irq.saturating_sub(earlier.irq),
            softirq: self.softirq.saturating_sub(earlier.softirq),
            steal: self.steal.saturating_sub(earlier.steal),
            guest: self.guest.saturating_sub(earlier.guest),
            guest_nice: self.guest_nice.saturating_sub(earlier.guest_nice),
        };
        let total = spent.total();
        let part = |ticks| percent(share(ticks, total));
        (total > 0).then(|| {
            vec![
                ("usage_guest", part(spent.guest)),
                ("usage_guest_nice", part(spent.guest_nice)),
                ("usage_idle", part(spent.idle)),
                ("usage_iowait", part(spent.iowait)),
                ("usage_irq", part(spent.irq)),
                // The kernel counts a guest's time in its host's user time as well.
                ("usage_nice", part(spent.nice.saturating_sub(spent.guest_nice))),
                ("usage_softirq", part(spent.softirq)),
                ("usage_steal", part(spent.steal)),
                ("usage_system", part(spent.system)),
                ("usage_user", part(spent.user.saturating_sub(spent.guest))),
            ]
        })
    }
}

/// The lines of processors: `cpu` is the whole, `cpu0` and so on the cores that are online.
fn parse(text: &str) -> BTreeMap<String, Times> {
    text.lines().filter_map(line).take(MAX_CORES + 1).gather()
}

fn line(line: &str) -> Option<(String, Times)> {
    let mut words = line.split_ascii_whitespace();
    let name = match words.next()?.strip_prefix("cpu")? {
        "" => WHOLE.to_owned(),
        core => format!("cpu{}", core.parse::<u32>().ok()?),
    };
    // Kernels have added columns over time; a missing one is zero.
    let columns: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let column = |index: usize| columns.get(index).copied().unwrap_or(0);
    (columns.len() >= 4).then(|| {
        let times = Times {
            user: column(0),
            nice: column(1),
            system: column(2),
            idle: column(3),
            iowait: column(4),
            irq: column(5),
            softirq: column(6),
            steal: column(7),
            guest: column(8),
            guest_nice: column(9),
        };
        (name, times)
    })
}
