//! How many processes there are and in which state, as Telegraf. Counts alone: never a name, an owner or a command.
//!
//! It opens one file for each process, so it is read once a minute at most, on the thread for what takes long.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};

/// This source's line in the list. A little less than a minute: a round that comes a moment early is not left out.
pub const ENTRY: Entry = Entry {
    name: "processes",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(55)),
    make: |host, _| Box::new(Processes { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "processes",
    tags: &[],
    fields: &[
        count("blocked", "Waiting for a disk or another device."),
        count("dead", "Being removed."),
        count("idle", "Of the kernel, with nothing to do."),
        count("paging", "Being brought back from swap; of old kernels alone."),
        count("parked", "Of the kernel, put aside."),
        count("running", "Running or ready to."),
        count("sleeping", "Waiting for something to happen."),
        count("stopped", "Held."),
        count("total", "All."),
        count("total_threads", "Threads of all."),
        count("unknown", "In a state that is not known."),
        count("zombies", "Ended, and not yet seen off by their parents."),
    ],
    privacy: Privacy::Activity,
    description: "How many processes there are, by state; nothing about any of them.",
}];

const fn count(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

/// What Linux allows by default; a machine with more is counted up to here, and says so.
const MAX_PROCESSES: usize = 32_768;

/// Entries of `/proc` that are no processes; a margin on top of the bound.
const OTHER_ENTRIES: usize = 1_024;

/// Reads `/proc/PID/stat`.
pub struct Processes {
    host: Host,
}

impl Source for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let entries = match self.host.list("proc", MAX_PROCESSES + OTHER_ENTRIES) {
            Ok(entries) => entries,
            Err(problem) => return Reading::problem(problem),
        };
        if let Some(problem) = self.hidden() {
            return Reading::problem(problem);
        }
        let mut tally = Tally::default();
        let pids = entries.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        for pid in pids.take(MAX_PROCESSES) {
            // One that has ended since the folder was listed is none any more.
            if let Ok(line) = self.host.read(&format!("proc/{pid}/stat")) {
                tally.add(&line);
            }
        }
        let mut problems = Vec::new();
        if tally.total >= MAX_PROCESSES as u64 {
            problems.push(Problem::new(ProblemKind::Failed, "more processes than are counted"));
        }
        let fields = tally.fields();
        Reading { samples: vec![sample("processes", Vec::new(), time, fields)], problems }
    }
}

impl Processes {
    /// Where `/proc` is mounted with `hidepid`, an agent that is not root sees its own processes alone. A count of these
    /// would be a lie, and the first process, which is nobody's but the system's, gives it away.
    fn hidden(&self) -> Option<Problem> {
        let problem = self.host.read("proc/1/stat").err()?;
        match problem.kind {
            ProblemKind::NothingHere | ProblemKind::NoPermission => {
                let text = "/proc hides other users' processes (mount option hidepid): name the agent's group in its \
                            option gid to have them counted";
                Some(Problem::new(ProblemKind::NoPermission, text))
            }
            _ => Some(problem),
        }
    }
}

#[derive(Default)]
struct Tally {
    by_state: BTreeMap<&'static str, u64>,
    total: u64,
    threads: u64,
}

impl Tally {
    /// `PID (NAME) STATE ...`. A program names itself and may put blanks and brackets into it, so the state is what
    /// follows the last bracket.
    fn add(&mut self, line: &str) {
        let Some((_, rest)) = line.rsplit_once(')') else { return };
        let mut words = rest.split_ascii_whitespace();
        let state = match words.next() {
            Some("R") => "running",
            Some("S") => "sleeping",
            Some("D") => "blocked",
            Some("Z") => "zombies",
            Some("T" | "t") => "stopped",
            Some("I") => "idle",
            Some("X" | "x") => "dead",
            Some("P") => "parked",
            Some("W") => "paging",
            _ => "unknown",
        };
        *self.by_state.entry(state).or_default() += 1;
        self.total += 1;
        // Column 20 of proc_pid_stat(5); the state is the third.
        let threads = words.nth(16).and_then(|word| word.parse::<u64>().ok()).unwrap_or(1);
        self.threads = self.threads.saturating_add(threads);
    }

    fn fields(&self) -> Vec<(&'static str, bellwether_logic::sample::Value)> {
        let names = MEASUREMENTS[0].fields.iter().map(|field| field.name);
        names
            .map(|name| {
                let value = match name {
                    "total" => self.total,
                    "total_threads" => self.threads,
                    state => self.by_state.get(state).copied().unwrap_or(0),
                };
                (name, integer(value))
            })
            .collect()
    }
}
