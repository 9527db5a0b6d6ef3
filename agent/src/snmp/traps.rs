//! Decides what comes of a trap: a row that counts it, and that its device is asked at once.
//!
//! A trap is a hint: what it says is measured by asking. Storms are collapsed: one row for each device, kind and interval,
//! and one immediate poll of a device within [`NUDGE_EVERY`]. What nobody assigned says nothing here.
//!
//! Order of calls: [`Traps::handle_trap`] for each one that was believed; each interval [`Traps::poll_samples`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value as Read};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use self::names::{Names, OTHER};
use super::Oid;
use super::ask::Binding;

pub mod ears;
pub mod names;

/// What goes to the collector.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "snmp_receiver",
        tags: &[],
        fields: &[
            integer("believed", "Traps that were believed since the agent started."),
            integer("dropped", "Traps for which there was no time since the agent started."),
            integer("refused_sender", "Traps that no known user signed as it should, since the agent started."),
            integer("refused_source", "Traps from addresses that nobody assigned, since the agent started."),
        ],
        privacy: Privacy::Own,
        description: "What a closet hears without asking.",
    },
    Measurement {
        name: "snmp_trap",
        tags: &["trap"],
        fields: &[
            integer("count", "How often within the interval."),
            integer("ifIndex", "The number of the port that it is about, if it is one."),
            Field { name: "oid", kind: FieldKind::Text, unit: "", description: "The name of an unknown one." },
            Field {
                name: "port",
                kind: FieldKind::Text,
                unit: "",
                description: "The port that it is about, if it is one and the device named it.",
            },
        ],
        privacy: Privacy::Health,
        description: "What a watched device told by itself: one row for each kind and interval.",
    },
];

const fn integer(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

/// A device that tells much is asked at once only so often.
pub const NUDGE_EVERY: Duration = Duration::from_secs(10);
/// The longest name of a port that is passed on, in characters.
const PORT_CHARS_MAX: usize = 64;

/// ifIndex, ifDescr and ifName, each before the port's number.
const IF_INDEX: [u32; 10] = [1, 3, 6, 1, 2, 1, 2, 2, 1, 1];
const IF_DESCR: [u32; 10] = [1, 3, 6, 1, 2, 1, 2, 2, 1, 2];
const IF_NAME: [u32; 11] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];

/// A trap that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// Its name, in version 2's form.
    pub name: Oid,
    /// What it says beside.
    pub bindings: Vec<Binding>,
}

/// What a trap is the reason for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nudge {
    /// Ask this device at once.
    Poll(String),
}

/// What was told since the last rows.
#[derive(Debug, Default)]
pub struct Traps {
    names: Names,
    rows: BTreeMap<(String, String), Row>,
    nudged: BTreeMap<String, Timestamp>,
}

/// One kind of one device.
#[derive(Debug)]
struct Row {
    count: i64,
    oid: Option<String>,
    /// The port, as long as it is always the same one.
    port: (Option<i64>, Option<String>),
}

impl Traps {
    /// A device told something; whether it is to be asked at once.
    pub fn handle_trap(&mut self, device: &str, trap: &Trap, now: Timestamp) -> Option<Nudge> {
        let word = self.names.word(&trap.name);
        let oid = (word == OTHER).then(|| trap.name.to_string());
        let port = port(&trap.bindings);
        match self.rows.entry((device.to_owned(), word.to_owned())) {
            Entry::Vacant(entry) => drop(entry.insert(Row { count: 1, oid, port })),
            Entry::Occupied(mut entry) => {
                let row = entry.get_mut();
                row.count += 1;
                row.oid = oid;
                if row.port != port {
                    row.port = (None, None);
                }
            }
        }
        // A clock that was set back is no reason to be silent.
        let recently = |last: &Timestamp| *last <= now && now.since(*last) < NUDGE_EVERY;
        if self.nudged.get(device).is_some_and(recently) {
            return None;
        }
        self.nudged.insert(device.to_owned(), now);
        Some(Nudge::Poll(device.to_owned()))
    }

    /// The rows of what was told since the last call.
    pub fn poll_samples(&mut self, now: Timestamp) -> Vec<Sample> {
        self.nudged.retain(|_, last| *last <= now && now.since(*last) < NUDGE_EVERY);
        let rows = std::mem::take(&mut self.rows);
        rows.into_iter().map(|((device, word), row)| row.sample(device, word, now)).collect()
    }
}

impl Row {
    fn sample(self, device: String, word: String, time: Timestamp) -> Sample {
        let (number, name) = self.port;
        let fields = [
            Some(("count", Read::Integer(self.count))),
            number.map(|number| ("ifIndex", Read::Integer(number))),
            self.oid.map(|oid| ("oid", Read::Text(oid))),
            name.map(|name| ("port", Read::Text(name))),
        ];
        Sample {
            measurement: "snmp_trap".into(),
            tags: vec![("trap".into(), word)],
            target: device,
            time,
            fields: fields.into_iter().flatten().map(|(name, value)| (name.into(), value)).collect(),
        }
    }
}

/// The port that a trap is about: its number, and its name if the device told it.
fn port(bindings: &[Binding]) -> (Option<i64>, Option<String>) {
    let below = |column: Oid| bindings.iter().find(|binding| binding.name.starts_with(&column));
    let text = |column: Oid| {
        let text = below(column)?.held.value()?.as_text()?;
        let text: String = text.chars().take(PORT_CHARS_MAX).collect();
        (!text.is_empty()).then_some(text)
    };
    let number = below(Oid::from(IF_INDEX)).and_then(|binding| binding.held.value()?.as_integer());
    (number, text(Oid::from(IF_NAME)).or_else(|| text(Oid::from(IF_DESCR))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Value;
    use crate::snmp::ask::Held;

    fn at(second: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + second * 1_000)
    }

    fn link(down: bool, port: u32) -> Trap {
        let binding = |column: &[u32], value| Binding {
            name: Oid::new(&[column, &[port]].concat()).unwrap(),
            held: Held::Value(value),
        };
        Trap {
            name: Oid::from([1, 3, 6, 1, 6, 3, 1, 1, 5, if down { 3 } else { 4 }]),
            bindings: vec![
                binding(&IF_INDEX, Value::Integer(port.into())),
                binding(&IF_DESCR, Value::Octets(format!("GigabitEthernet0/{port}").into_bytes())),
            ],
        }
    }

    fn said(samples: &[Sample]) -> Vec<String> {
        let fields = |sample: &Sample| {
            let fields = sample.fields.iter().map(|(name, value)| match value {
                Read::Integer(value) => format!("{name}={value}"),
                other => format!("{name}={other:?}"),
            });
            fields.collect::<Vec<_>>().join(" ")
        };
        samples.iter().map(|it| format!("{} {} {}", it.target, it.tags[0].1, fields(it))).collect()
    }

    #[test]
    fn a_storm_is_one_row_and_one_poll() {
        let mut traps = Traps::default();
        let nudges: Vec<Nudge> =
            (0..500).filter_map(|tenth| traps.handle_trap("d1", &link(true, 7), at(tenth / 100))).collect();
        assert_eq!(nudges, [Nudge::Poll("d1".to_owned())]);
        let rows = said(&traps.poll_samples(at(5)));
        assert_eq!(rows, ["d1 link_down count=500 ifIndex=7 port=Text(\"GigabitEthernet0/7\")"]);
        assert!(traps.poll_samples(at(6)).is_empty(), "what was told is told once");
        assert!(traps.handle_trap("d1", &link(false, 7), at(9)).is_none());
        assert!(traps.handle_trap("d1", &link(false, 7), at(11)).is_some(), "after a while it is asked again");
    }

    #[test]
    fn devices_and_kinds_are_kept_apart_and_many_ports_are_none() {
        let mut traps = Traps::default();
        for port in 1..=3 {
            let _ = traps.handle_trap("d1", &link(true, port), at(0));
        }
        assert!(traps.handle_trap("d2", &link(false, 4), at(0)).is_some(), "each device has its own poll");
        let rows = said(&traps.poll_samples(at(1)));
        assert_eq!(rows[0], "d1 link_down count=3", "no port stands for the others");
        assert!(rows[1].starts_with("d2 link_up count=1 ifIndex=4"));
    }

    #[test]
    fn an_unknown_one_is_told_by_its_name_and_makes_no_new_series() {
        let mut traps = Traps::default();
        for last in 1..=50 {
            let name = Oid::from([1, 3, 6, 1, 4, 1, 9, 9, 43, 2, 0, last]);
            let _ = traps.handle_trap("d1", &Trap { name, bindings: Vec::new() }, at(0));
        }
        let rows = said(&traps.poll_samples(at(1)));
        assert_eq!(rows, ["d1 other count=50 oid=Text(\"1.3.6.1.4.1.9.9.43.2.0.50\")"]);
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let mut traps = Traps::default();
        assert!(traps.handle_trap("d1", &link(true, 1), at(10_000)).is_some());
        assert!(traps.handle_trap("d1", &link(true, 1), at(0)).is_some());
    }
}
