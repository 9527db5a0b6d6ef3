//! What is assumed where nothing is known, and when makers end their support. It is read from a file with sources.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::device::Class;

/// Assumptions and ends of support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// When its dates were looked up.
    pub as_of: Option<Date>,
    /// What an hour of a technician costs, in cents.
    pub labor_cents_per_hour: u32,
    /// Each class of device.
    pub classes: BTreeMap<Class, ClassLife>,
    /// When the support of operating systems ends; the first that fits counts.
    pub systems: Vec<OsEnd>,
    /// What a repair takes, by category of fault. A category that is not here is no hardware, unless its rule asks for a
    /// replacement.
    pub repairs: BTreeMap<String, PartCost>,
}

/// What is assumed of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassLife {
    /// For how many years it is meant to serve; none: that can't be said of the class.
    pub years: Option<u8>,
    /// What a new one costs, in cents.
    pub price_cents: Option<u32>,
    /// Whether E-rate Category Two may pay for it.
    pub erate: bool,
}

/// The end of an operating system's support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OsEnd {
    /// How its name begins, such as `Windows 11`.
    pub name: String,
    /// One of these words is in the name; empty: any edition.
    pub editions: Vec<String>,
    /// Its version, or how that begins before a dot; empty: any.
    pub version: String,
    /// The last day.
    pub ends: Date,
}

/// What a repair takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartCost {
    /// What is put in, such as `battery`; empty: nothing.
    pub part: String,
    /// What that costs, in cents.
    pub cents: u32,
    /// How long it takes.
    pub minutes: u32,
}

impl Table {
    /// When the support of a system ends.
    #[must_use]
    pub fn os_end(&self, name: &str, version: &str) -> Option<Date> {
        self.systems.iter().find(|end| end.fits(name, version)).map(|end| end.ends)
    }

    /// What so many minutes of a technician cost, in cents.
    #[must_use]
    pub fn labor_cents(&self, minutes: u32) -> u32 {
        let cents = u64::from(self.labor_cents_per_hour) * u64::from(minutes) / 60;
        u32::try_from(cents).unwrap_or(u32::MAX)
    }

    /// What a repair costs with its labor, in cents.
    #[must_use]
    pub fn repair_cents(&self, repair: &PartCost) -> u32 {
        repair.cents.saturating_add(self.labor_cents(repair.minutes))
    }
}

impl OsEnd {
    fn fits(&self, name: &str, version: &str) -> bool {
        let ends_word = |rest: &str, ends: &[char]| rest.is_empty() || rest.starts_with(ends);
        let edition = |edition: &String| name.split(' ').any(|word| word.eq_ignore_ascii_case(edition));
        after(name, &self.name).is_some_and(|rest| ends_word(rest, &[' ']))
            && (self.editions.is_empty() || self.editions.iter().any(edition))
            && (self.version.is_empty() || after(version, &self.version).is_some_and(|rest| ends_word(rest, &['.'])))
    }
}

/// What follows in a text after how it should begin.
fn after<'text>(text: &'text str, begin: &str) -> Option<&'text str> {
    text.get(..begin.len()).filter(|start| start.eq_ignore_ascii_case(begin))?;
    text.get(begin.len()..)
}
