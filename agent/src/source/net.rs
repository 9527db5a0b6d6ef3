//! What the network interfaces have carried, lost and refused, as Telegraf, and how fast their links are.
//!
//! Only interfaces that are or stand for hardware; of one that is down nothing is told but that. Left out are those
//! that carry what others count already (bridges, VLANs, containers' ends, tunnels, VPNs). An interface may be named
//! after a person; a name is sent only if it is of the kernel's or systemd's making, otherwise the interface goes by its
//! number. One named after its hardware address (`enx...`) goes by its number, too: it may be a person's phone.

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
        Field {
            name: "full_duplex",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether it sends and receives at the same time.",
        },
        counter("packets_recv", "", "Packets received."),
        counter("packets_sent", "", "Packets sent."),
        counter("speed", "mbit/s", "Speed of the link; left out where it is not known, as of every wireless one."),
        Field { name: "up", kind: FieldKind::Boolean, unit: "", description: "Whether it has a link." },
    ],
    privacy: Privacy::Activity,
    description: "Traffic and errors of each network interface, counted since it came up, and its link.",
}];

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

/// More than any machine of a school has.
const MAX_INTERFACES: usize = 64;

/// Lines that are looked at: a host of many containers has an interface for each.
const MAX_LINES: usize = 4_096;

/// Ten times the fastest there is; beyond it a driver says that it does not know.
const MAX_SPEED_MBIT: i64 = 10_000_000;

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
        for line in text.lines().filter(|line| line.contains(':')).take(MAX_LINES) {
            if reading.samples.len() + reading.problems.len() >= MAX_INTERFACES {
                break;
            }
            let Some((name, counters)) = parse(line) else {
                let problem = Problem::new(ProblemKind::Failed, format!("/proc/net/dev: not understood: `{line}`"));
                reading.problems.push(problem);
                continue;
            };
            if self.counts(name) {
                let tags = vec![("interface", public_name(&self.host, name))];
                reading.samples.push(sample("net", tags, time, self.fields(name, &counters)));
            }
        }
        if reading.samples.is_empty() && reading.problems.is_empty() {
            reading.problems.push(Problem::new(ProblemKind::NothingHere, "no network interface but the loopback"));
        }
        reading
    }
}

impl Net {
    /// Whether an interface is, or stands for, hardware.
    fn counts(&self, name: &str) -> bool {
        let hardware = || self.host.path(&format!("sys/class/net/{name}/device")).exists();
        // A VLAN has a dot in its name, and an alias a colon.
        name != "lo" && !name.contains(['.', ':']) && (is_system_name(name) || hardware())
    }

    fn fields(&self, name: &str, counters: &[u64]) -> Vec<(&'static str, Value)> {
        let word = |file: &str| self.host.word(&format!("sys/class/net/{name}/{file}"));
        let up = word("operstate").map(|state| matches!(state.as_str(), "up" | "unknown"));
        if up == Some(false) {
            return vec![("up", Value::Boolean(false))];
        }
        let mut fields: Vec<_> =
            COLUMNS.iter().filter_map(|(name, column)| Some((*name, integer(*counters.get(*column)?)))).collect();
        // A driver that does not know answers with an error, -1, or all ones.
        let speed = word("speed").and_then(|speed| speed.parse().ok());
        let speed = speed.filter(|speed| (1..=MAX_SPEED_MBIT).contains(speed));
        fields.extend(speed.map(|speed| ("speed", Value::Integer(speed))));
        let duplex = word("duplex").and_then(|duplex| match duplex.as_str() {
            "full" => Some(true),
            "half" => Some(false),
            _ => None,
        });
        fields.extend(duplex.map(|full| ("full_duplex", Value::Boolean(full))));
        fields.extend(up.map(|up| ("up", Value::Boolean(up))));
        crate::reading::by_name(&mut fields);
        fields
    }
}

/// What an interface is called in readings.
pub(super) fn public_name(host: &Host, name: &str) -> String {
    if is_system_name(name) {
        return name.to_owned();
    }
    let number = host.word(&format!("sys/class/net/{name}/ifindex"));
    let number = number.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
    format!("if{number}")
}

fn parse(line: &str) -> Option<(&str, Vec<u64>)> {
    // Old kernels leave no blank after the colon, and an alias has a colon in its name.
    let (name, rest) = line.rsplit_once(':')?;
    let counters: Vec<u64> = rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let name = name.trim();
    (counters.len() >= 16 && !name.is_empty() && !name.contains('/')).then_some((name, counters))
}

/// Whether a name is of the kernel's or systemd's making: a known prefix, then numbers, each with at most one letter
/// before it (`eth0`, `wlp0s20f3`, `enp4s0`, `bond1`).
fn is_system_name(name: &str) -> bool {
    const PREFIXES: &[&str] = &["bond", "em", "en", "eth", "ib", "lan", "usb", "wl", "wlan", "ww", "wwan"];
    PREFIXES.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| is_numbered(rest) && !is_address(rest)))
}

/// `x` and the twelve digits of a hardware address, as systemd names what is plugged into USB.
fn is_address(rest: &str) -> bool {
    rest.strip_prefix('x').is_some_and(|address| address.len() == 12 && address.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_numbered(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let letter_then_digit =
        |pair: &[u8]| pair[1].is_ascii_digit() || (pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
    bytes.last().is_some_and(u8::is_ascii_digit)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.windows(2).all(letter_then_digit)
}
