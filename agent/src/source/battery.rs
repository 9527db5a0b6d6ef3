//! How the batteries are: charge, and wear as what a full charge holds now, of what it held when new.
//!
//! Only the machine's own packs: a mouse, a headset or a UPS on a USB port is not what makes a laptop need a new
//! battery, and its name may be a person's. Fuel gauges are small computers of their own and say strange things: what
//! cannot be is left out, never guessed.

use std::fs;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use std::time::Duration;

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample, share};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "battery",
    measurements: MEASUREMENTS,
    // Some firmware takes half a second to answer, and a charge moves slowly.
    pace: Pace::Slow(Duration::from_secs(5 * 60)),
    make: |host, _| Box::new(Battery { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "battery",
    tags: &["battery"],
    fields: &[
        Field { name: "charge_percent", kind: FieldKind::Float, unit: "percent", description: "Charge." },
        Field {
            name: "cycle_count",
            kind: FieldKind::Integer,
            unit: "",
            description: "Full charges so far; not there if the pack does not count.",
        },
        Field {
            name: "energy_full_design_wh",
            kind: FieldKind::Float,
            unit: "Wh",
            description: "What a full charge held when it was new.",
        },
        Field { name: "energy_full_wh", kind: FieldKind::Float, unit: "Wh", description: "What a full charge holds." },
        Field {
            name: "health",
            kind: FieldKind::Text,
            unit: "",
            description: "The pack's own word, such as good, dead or calibration_required.",
        },
        Field {
            name: "state",
            kind: FieldKind::Text,
            unit: "",
            description: "One of charging, discharging, full, not_charging.",
        },
        Field { name: "temperature_c", kind: FieldKind::Float, unit: "celsius", description: "How warm it is." },
        Field { name: "voltage", kind: FieldKind::Float, unit: "V", description: "Its voltage." },
        Field {
            name: "wear_percent",
            kind: FieldKind::Float,
            unit: "percent",
            description: "What a full charge holds, of what it held when new.",
        },
    ],
    privacy: Privacy::Health,
    description: "How each battery of the machine is.",
}];

/// More packs than any laptop has.
const MAX_PACKS: usize = 8;

/// A new pack may hold somewhat more than it promises; beyond this one of the two numbers is garbage.
const MAX_WEAR: f64 = 150.0;

/// Below this a pack would be dead, and its gauge has only forgotten what a full charge is.
const MIN_WEAR: f64 = 1.0;

/// The largest pack of a laptop has 100 Wh, because airlines allow no more; a server's backup pack a little more.
const ENERGY_WH: std::ops::RangeInclusive<f64> = 1.0..=500.0;

/// Charges that no pack survives; gauges that do not count say 0 or 65535.
const MAX_CYCLES: i64 = 20_000;

const FOLDER: &str = "sys/class/power_supply";

/// Reads `/sys/class/power_supply`.
pub struct Battery {
    host: Host,
}

impl Source for Battery {
    fn name(&self) -> &'static str {
        "battery"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let names = match self.packs() {
            Ok(names) => names,
            Err(problem) => return Reading::problem(problem),
        };
        if names.is_empty() {
            return Reading::problem(Problem::new(ProblemKind::NothingHere, "the machine has no battery"));
        }
        let mut reading = Reading::default();
        for name in names {
            match self.pack(&name, time) {
                Some(sample) => reading.samples.push(sample),
                None => {
                    let text = format!("{name}: the pack tells nothing that can be");
                    reading.problems.push(Problem::new(ProblemKind::Failed, text));
                }
            }
        }
        reading
    }
}

impl Battery {
    /// The machine's own packs, by name.
    fn packs(&self) -> Result<Vec<String>, Problem> {
        let entries = match fs::read_dir(self.host.path(FOLDER)) {
            Ok(entries) => entries,
            Err(error) if cfg!(target_os = "linux") && error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Problem::from_io(&format!("/{FOLDER}"), &error));
            }
            Err(_) if cfg!(target_os = "linux") => return Ok(Vec::new()),
            Err(_) => return Err(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone")),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| self.is_own(name)).collect();
        names.sort();
        names.truncate(MAX_PACKS);
        Ok(names)
    }

    /// Whether it is a pack of the machine itself, and there. Peripherals have the scope `Device`, and names made of
    /// their address or of what their owner calls them, which ours (`BAT0`, `CMB1`, `battery`) are not.
    fn is_own(&self, name: &str) -> bool {
        let word = |file: &str| self.word(name, file);
        let plain =
            name.len() <= 24 && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
        plain
            && !name.starts_with("hid")
            && word("type").as_deref() == Some("Battery")
            && word("scope").as_deref() != Some("Device")
            && word("present").as_deref() != Some("0")
    }

    fn word(&self, pack: &str, file: &str) -> Option<String> {
        self.host.word(&format!("{FOLDER}/{pack}/{file}"))
    }

    /// A number of one of the pack's files, in the unit of which there are `per` in the file's.
    fn number(&self, pack: &str, file: &str, per: f64) -> Option<f64> {
        let number: f64 = self.word(pack, file)?.parse().ok()?;
        number.is_finite().then_some(number / per)
    }

    fn pack(&self, name: &str, time: Timestamp) -> Option<Sample> {
        let full = self.energy(name, "full");
        let design = self.energy(name, "full_design");
        let mut fields = Vec::new();
        let mut add = |field: &'static str, value: Option<Value>| fields.extend(value.map(|value| (field, value)));
        add("charge_percent", self.charge(name).map(percent));
        add("cycle_count", self.cycles(name).map(Value::Integer));
        add("energy_full_design_wh", design.map(percent));
        add("energy_full_wh", full.map(percent));
        add("health", self.word(name, "health").and_then(|word| lower(&word)).map(Value::Text));
        add("state", self.word(name, "status").and_then(|word| lower(&word)).map(Value::Text));
        let warm =
            self.number(name, "temp", 10.0).filter(|celsius| *celsius != 0.0 && (-40.0..=120.0).contains(celsius));
        add("temperature_c", warm.map(percent));
        add("voltage", self.number(name, "voltage_now", 1e6).filter(|volt| (1.0..=100.0).contains(volt)).map(percent));
        add("wear_percent", self.wear(name, full, design).map(percent));
        (!fields.is_empty()).then(|| sample("battery", vec![("battery", name.to_owned())], time, fields))
    }

    /// In watt-hours, whether the pack counts energy or charge.
    fn energy(&self, pack: &str, which: &str) -> Option<f64> {
        let energy = self.number(pack, &format!("energy_{which}"), 1e6).or_else(|| {
            let volt = self.number(pack, "voltage_min_design", 1e6).filter(|volt| *volt > 0.0);
            Some(self.number(pack, &format!("charge_{which}"), 1e6)? * volt?)
        });
        energy.filter(|energy| ENERGY_WH.contains(energy))
    }

    /// Of what was promised; also for a pack that counts charge and does not tell its voltage.
    fn wear(&self, pack: &str, full: Option<f64>, design: Option<f64>) -> Option<f64> {
        let charges = || {
            let full = self.number(pack, "charge_full", 1e6)?;
            Some((full, self.number(pack, "charge_full_design", 1e6)?))
        };
        let (full, design) = full.zip(design).or_else(charges)?;
        let wear = full / design * 100.0;
        (wear.is_finite() && (MIN_WEAR..=MAX_WEAR).contains(&wear)).then_some(wear)
    }

    fn charge(&self, pack: &str) -> Option<f64> {
        // 100 means that the firmware's percentages are useless.
        let useless = self.word(pack, "capacity_error_margin").as_deref() == Some("100");
        let told = self.number(pack, "capacity", 1.0).filter(|_| !useless);
        let counted = || {
            let now = self.word(pack, "energy_now").or_else(|| self.word(pack, "charge_now"))?.parse().ok()?;
            let full = self.word(pack, "energy_full").or_else(|| self.word(pack, "charge_full"))?.parse().ok()?;
            (full > 0).then(|| share(now, full))
        };
        told.filter(|charge| (0.0..=100.0).contains(charge)).or_else(counted).filter(|charge| *charge <= 100.0)
    }

    fn cycles(&self, pack: &str) -> Option<i64> {
        let count = self.word(pack, "cycle_count")?.parse().ok()?;
        (1..=MAX_CYCLES).contains(&count).then_some(count)
    }
}

/// The kernel's word as ours: `Not charging` is `not_charging`; `Unknown` says nothing.
fn lower(word: &str) -> Option<String> {
    let plain = word.len() <= 40 && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ' ');
    (plain && word != "Unknown").then(|| word.to_lowercase().replace(' ', "_"))
}
