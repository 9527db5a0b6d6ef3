//! The life of what a school owns: when it was bought, until when it is covered, what its repairs cost, and what follows.
//!
//! - [`Facts`] are what is known of a device or of a model; a model's facts count for its devices that have none.
//! - [`Table`] is what is assumed where nothing is known: it comes from a file with sources, never from code.
//! - [`decide`] says of a fault whether the maker, a part or a new device is the answer, why, and how sure that is.
//! - [`Memory`] keeps the last repairs: what helped on this model, and what a device has cost within a year.
//! - [`plan`] says what has to be bought in which budget year.
//!
//! [`Life`] is all of it as the engine remembers it. It changes only by what goes into the engine, so a replay decides the
//! same.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::sample::{Sample, Value};

pub mod civil;
mod decision;
mod facts;
mod memory;
pub mod plan;
mod table;

pub use decision::{
    Advice, Case, Confidence, Course, Decision, LEMON_DAYS, LEMON_REPAIRS, Missing, Overruled, RATIO_HARD_PERCENT,
    RATIO_MAX_PERCENT, VALUE_YEARS, decide, dollars,
};
pub use facts::{FUND_MAX, Facts, PLANNED_YEARS_MAX, PRICE_MAX_CENTS, Subject, model_key};
pub use memory::{
    FIX_KEYS_MAX, FIX_TEXT_MAX, FIXES_MAX, Fix, Memory, REPAIR_DEVICES_MAX, REPAIRS_MAX, Repair, Repairs, is_hardware,
    repair_of,
};
pub use table::{ClassLife, OsEnd, PartCost, Table};

/// Devices of which facts are kept: as many as are watched.
pub const DEVICES_MAX: usize = crate::engine::DEVICES_MAX;

/// Models of which facts are kept. A large district owns some hundred.
pub const MODELS_MAX: usize = 5_000;

/// Batteries of one device that are followed. No laptop has more.
pub const PACKS_MAX: usize = 4;

/// By how much two readings of a battery may differ and still speak for each other, in percent of the design. House: gauges
/// jump by tens.
pub const GAUGE_PERCENT: u8 = 5;

/// What becomes known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Facts of devices and models, each in place of what was known before; empty ones are forgotten.
    Facts(Vec<(Subject, Facts)>),
    /// What is assumed from now on.
    Table(Table),
}

/// What a device has told of itself that bears on its life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// The operating system's name, such as `Windows 11 Education`.
    pub os: String,
    /// Its version, such as `23H2`.
    pub os_version: String,
    /// What its worst battery holds, in percent of what it held when new.
    pub battery_percent: Option<u8>,
    /// Each battery as it was read last, and as two readings agreed last.
    packs: BTreeMap<String, (u8, Option<u8>)>,
}

/// What is known and assumed, and what was repaired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Life {
    table: Table,
    devices: BTreeMap<String, Facts>,
    models: BTreeMap<String, Facts>,
    seen: BTreeMap<String, Seen>,
    memory: Memory,
    /// The day for which everything was decided last.
    today: Date,
}

impl Life {
    /// What is assumed.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// What was repaired.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) const fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// What is known of a device, its model's facts where it has none of its own.
    #[must_use]
    pub fn facts(&self, device: &str, model: &str) -> Facts {
        let own = self.devices.get(device);
        let of_model = self.models.get(&model_key(model));
        match (own, of_model) {
            (Some(own), Some(of_model)) => own.or(of_model),
            (Some(facts), None) | (None, Some(facts)) => facts.clone(),
            (None, None) => Facts::default(),
        }
    }

    /// What a device has told of itself.
    #[must_use]
    pub fn seen(&self, device: &str) -> Option<&Seen> {
        self.seen.get(device)
    }

    /// When the support of a device's operating system ends, and what that is called.
    #[must_use]
    pub fn os_end(&self, device: &str) -> Option<(String, Date)> {
        let seen = self.seen.get(device)?;
        Some((seen.os_text(), self.table.os_end(&seen.os, &seen.os_version)?))
    }

    /// Takes in what became known. Returns how much of it there was no room for.
    pub(crate) fn learn(&mut self, known: Known) -> u64 {
        let facts = match known {
            Known::Table(table) => {
                self.table = table;
                return 0;
            }
            Known::Facts(facts) => facts,
        };
        let mut refused = 0;
        for (subject, facts) in facts {
            let (map, key, max) = match subject {
                Subject::Device(device) => (&mut self.devices, device, DEVICES_MAX),
                Subject::Model(model) => (&mut self.models, model_key(&model), MODELS_MAX),
            };
            if facts.is_empty() {
                map.remove(&key);
            } else if map.len() < max || map.contains_key(&key) {
                map.insert(key, facts);
            } else {
                refused += 1;
            }
        }
        refused
    }

    /// Looks at what a device sends for what bears on its life; says whether there is news.
    pub(crate) fn notice(&mut self, device: &str, samples: &[Sample]) -> Option<&Seen> {
        let mut news = false;
        for sample in samples.iter().filter(|sample| bears_on_life(sample)) {
            if !self.seen.contains_key(device) && self.seen.len() >= DEVICES_MAX {
                return None;
            }
            let seen = self.seen.entry(device.to_string()).or_default();
            news |= if sample.measurement == "os" { seen.notice_os(sample) } else { seen.notice_battery(sample) };
        }
        self.seen.get(device).filter(|_| news)
    }

    /// Whether another day has begun.
    pub(crate) fn turn_to(&mut self, today: Date) -> bool {
        if today <= self.today {
            return false;
        }
        self.today = today;
        self.memory.forget_before(Date(today.0.saturating_sub(LEMON_DAYS)));
        true
    }

    /// The day for which things are decided.
    pub(crate) const fn today(&self) -> Date {
        self.today
    }
}

/// Whether a sample may say something of its device's life.
pub(crate) fn bears_on_life(sample: &Sample) -> bool {
    matches!(&*sample.measurement, "os" | "battery")
}

impl Seen {
    /// The operating system as people call it.
    #[must_use]
    pub fn os_text(&self) -> String {
        alloc::format!("{} {}", self.os, self.os_version).trim().to_string()
    }

    fn notice_os(&mut self, sample: &Sample) -> bool {
        let word = |name: &str| {
            let field = sample.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
            match field {
                Some(Value::Text(text)) => Some(text.clone()),
                _ => None,
            }
        };
        let (os, version) = (word("name"), word("version"));
        let Some(os) = os else { return false };
        let version = version.unwrap_or_default();
        let news = self.os != os || self.os_version != version;
        (self.os, self.os_version) = (os, version);
        news
    }

    fn notice_battery(&mut self, sample: &Sample) -> bool {
        let wear = sample.fields.iter().find(|(name, _)| name == "wear_percent");
        let Some(percent) = wear.and_then(|(_, value)| value.as_number()).and_then(whole_percent) else { return false };
        let pack = sample.tags.iter().find(|(key, _)| key == "battery").map_or("", |(_, pack)| pack.as_str());
        if !self.packs.contains_key(pack) && self.packs.len() >= PACKS_MAX {
            return false;
        }
        let (last, agreed) = self.packs.get(pack).copied().map_or((None, None), |(last, agreed)| (Some(last), agreed));
        let agrees = last.is_some_and(|last| last.abs_diff(percent) <= GAUGE_PERCENT);
        let agreed = if agrees { Some(percent) } else { agreed };
        self.packs.insert(pack.to_string(), (percent, agreed));
        let worst = self.packs.values().filter_map(|(_, agreed)| *agreed).min();
        core::mem::replace(&mut self.battery_percent, worst) != worst
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 200")]
fn whole_percent(percent: f64) -> Option<u8> {
    (0.0..=200.0).contains(&percent).then_some((percent + 0.5) as u8)
}

#[cfg(test)]
mod tests;
