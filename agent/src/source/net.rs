//! What the network interfaces have carried, lost and refused, as Telegraf.
//!
//! Only interfaces that are or stand for hardware and are up. An interface may be named after a person; a name is sent
//! only if it is of the kernel's or systemd's making, otherwise the interface goes by its number.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "net",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, _| Box::new(Net { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "net",
    tags: &["interface"],
    fields: &[
        counter("bytes_recv", "bytes", "Received."),
        counter("bytes_sent", "bytes", "Sent."),
        counter("drop_in", "", "Packets that were received and dropped."),
        counter("drop_out", "", "Packets that were dropped instead of sent."),
        counter("err_in", "", "Packets that were received with errors."),
        counter("err_out", "", "Packets that could not be sent."),
        counter("packets_recv", "", "Packets received."),
        counter("packets_sent", "", "Packets sent."),
    ],
    privacy: Privacy::Activity,
    description: "Traffic and errors of each network interface, counted since it came up.",
}];

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

/// More than any machine of a school has; a host of many containers stops here.
const MAX_INTERFACES: usize = 64;

/// Columns of `/proc/net/dev` and the fields that they are.
const COLUMNS: &[(&str, usize)] = &[
    ("bytes_recv", 0),
    ("bytes_sent", 8),
    ("drop_in", 3),
    ("drop_out", 11),
    ("err_in", 2),
    ("err_out", 10),
    ("packets_recv", 1),
    ("packets_sent", 9),
];

/// Reads `/proc/net/dev` and `/sys/class/net`.
pub struct Net {
    host: Host,
}

impl Source for Net {
    fn name(&self) -> &'static str {
        "net"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let text = match self.host.read("proc/net/dev") {
            Ok(text) => text,
            Err(problem) => return Reading::problem(problem),
        };
        let mut reading = Reading::default();
        for line in text.lines().filter(|line| line.contains(':')).take(MAX_INTERFACES) {
            let Some((name, counters)) = parse(line) else {
                let problem = Problem::new(ProblemKind::Failed, format!("/proc/net/dev: not understood: `{line}`"));
                reading.problems.push(problem);
                continue;
            };
            if self.counts(name) {
                let tags = vec![("interface", self.public_name(name))];
                reading.samples.push(sample("net", tags, time, fields(&counters)));
            }
        }
        if reading.samples.is_empty() && reading.problems.is_empty() {
            reading.problems.push(Problem::new(ProblemKind::NothingHere, "no network interface is up"));
        }
        reading
    }
}

impl Net {
    /// Whether an interface is up and is, or stands for, hardware.
    fn counts(&self, name: &str) -> bool {
        let state = self.host.word(&format!("sys/class/net/{name}/operstate"));
        let up = matches!(state.as_deref(), None | Some("up" | "unknown"));
        let hardware = self.host.path(&format!("sys/class/net/{name}/device")).exists();
        name != "lo" && up && (hardware || is_system_name(name))
    }

    fn public_name(&self, name: &str) -> String {
        if is_system_name(name) {
            return name.to_owned();
        }
        let number = self.host.word(&format!("sys/class/net/{name}/ifindex"));
        let number = number.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        format!("if{number}")
    }
}

fn parse(line: &str) -> Option<(&str, Vec<u64>)> {
    // Old kernels leave no blank after the colon, and an alias has a colon in its name.
    let (name, rest) = line.rsplit_once(':')?;
    let counters: Vec<u64> = rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let name = name.trim();
    (counters.len() >= 16 && !name.contains(['/', '.'])).then_some((name, counters))
}

fn fields(counters: &[u64]) -> Vec<(&'static str, Value)> {
    COLUMNS.iter().filter_map(|(name, column)| Some((*name, integer(*counters.get(*column)?)))).collect()
}

/// Whether a name is of the kernel's or systemd's making: a known prefix, then numbers, each with at most one letter
/// before it (`eth0`, `wlp0s20f3`, `enp4s0`, `bond1`), or an address (`enx` and twelve digits).
fn is_system_name(name: &str) -> bool {
    const PREFIXES: &[&str] = &["bond", "eth", "wlan", "wwan", "en", "ib", "wl", "ww"];
    PREFIXES.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_numbered))
}

fn is_numbered(rest: &str) -> bool {
    if let Some(address) = rest.strip_prefix('x') {
        return address.len() == 12 && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let bytes = rest.as_bytes();
    let letter_then_digit =
        |pair: &[u8]| pair[1].is_ascii_digit() || (pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
    bytes.last().is_some_and(u8::is_ascii_digit)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.windows(2).all(letter_then_digit)
}
