//! Other limits for some: a rule as it stands in a building, for a class or for one device.
//!
//! An override changes what makes sense for the rule's kind, and what comes of it must be as sound as any rule: it is made and
//! checked when the rules are read, and the deciders only choose. Of several that fit, the most specific holds: a device before
//! a building, a building before a class; of equals the later.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::compare::Comparison;
use super::threshold::Threshold;
use super::{Check, Flaw, Rule, RuleError, Severity, quoted};
use crate::device::{Class, Device};
use crate::span::{Span, Stretch};

/// Overrides of one rule. Whoever needs more needs rules of their own.
pub const VARIANTS_MAX: usize = 200;

/// What a folder says of a rule for some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The rule's id.
    pub rule: String,
    /// In which buildings; empty: in all.
    #[serde(default)]
    pub buildings: Vec<String>,
    /// For which classes; empty: for all.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// For which devices, by their ids; empty: for all.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Whether it looks there at all.
    pub enabled: Option<bool>,
    /// How bad it is there.
    pub severity: Option<Severity>,
    /// When a fault begins there.
    pub open: Option<Vec<Comparison>>,
    /// When it is over there.
    pub clear: Option<Vec<Comparison>>,
    /// For how long `open` must hold, or a device be silent.
    pub r#for: Option<Stretch>,
    /// For how long `clear` must hold.
    pub clear_for: Option<Span>,
    /// The longest pause that counts as seen.
    pub gap: Option<Span>,
    /// How many samples must agree.
    pub readings: Option<u32>,
}

/// A rule as it stands for some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// In which buildings; empty: in all.
    #[serde(default)]
    pub buildings: Vec<String>,
    /// For which classes; empty: for all.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// For which devices; empty: for all.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Where it is written, for people.
    #[serde(default)]
    pub from: String,
    /// The whole rule.
    pub rule: Box<Rule>,
}

impl Variant {
    fn fits(&self, device: &Device) -> bool {
        (self.buildings.is_empty() || self.buildings.contains(&device.site))
            && (self.classes.is_empty() || self.classes.contains(&device.class))
            && (self.devices.is_empty() || self.devices.contains(&device.id))
    }

    /// The more, the more specific.
    fn rank(&self) -> u8 {
        let of = |given: bool, worth: u8| if given { worth } else { 0 };
        of(!self.devices.is_empty(), 4) + of(!self.buildings.is_empty(), 2) + of(!self.classes.is_empty(), 1)
    }
}

impl Rule {
    /// The variant that holds for a device, if one does.
    #[must_use]
    pub fn variant_of(&self, device: &Device) -> Option<&Variant> {
        // Of equals `max_by_key` takes the last.
        self.variants.iter().filter(|variant| variant.fits(device)).max_by_key(|variant| variant.rank())
    }

    /// The rule as it stands for a device; none if it doesn't look at it.
    #[must_use]
    pub fn of(&self, device: &Device) -> Option<&Self> {
        let rule =
            if self.variants.is_empty() { self } else { self.variant_of(device).map_or(self, |variant| &variant.rule) };
        (rule.enabled && rule.applies_to(device.class)).then_some(rule)
    }

    /// Adds what an override makes of it; `from` says where that is written.
    ///
    /// # Errors
    /// What does not make sense.
    pub fn vary(&mut self, change: Override, from: &str) -> Result<(), RuleError> {
        let error = |flaw: Flaw| RuleError {
            rule: change.rule.clone(),
            key: flaw.key,
            value: flaw.value,
            expected: flaw.expected,
        };
        if change.buildings.is_empty() && change.classes.is_empty() && change.devices.is_empty() {
            let expected = "`buildings`, `classes` or `devices`; for all, write the rule anew";
            return Err(error(Flaw::new("rule", "for everyone", expected)));
        }
        if self.variants.len() >= VARIANTS_MAX {
            let expected = alloc::format!("at most {VARIANTS_MAX} overrides of one rule");
            return Err(error(Flaw::new("rule", "another", expected)));
        }
        let mut rule = Self { variants: Vec::new(), ..self.clone() };
        rule.enabled = change.enabled.unwrap_or(rule.enabled);
        rule.severity = change.severity.unwrap_or(rule.severity);
        rule.change(&change).map_err(&error)?;
        rule.validate()?;
        let Override { buildings, classes, devices, .. } = change;
        self.variants.push(Variant { buildings, classes, devices, from: from.to_string(), rule: Box::new(rule) });
        Ok(())
    }

    fn change(&mut self, change: &Override) -> Result<(), Flaw> {
        let word = self.check.word();
        let foreign = |key: &'static str, given: bool| {
            let expected = alloc::format!("a key that a rule of the kind `{word}` has");
            if given { Err(Flaw::new(key, "given", expected)) } else { Ok(()) }
        };
        match &mut self.check {
            Check::Absence(absence) => {
                foreign("open", change.open.is_some())?;
                foreign("clear", change.clear.is_some())?;
                foreign("gap", change.gap.is_some())?;
                foreign("readings", change.readings.is_some())?;
                absence.r#for = change.r#for.unwrap_or(absence.r#for);
                absence.clear_for = change.clear_for.unwrap_or(absence.clear_for);
            }
            Check::AllOf(parts) | Check::AnyOf(parts) => {
                foreign("open", change.open.is_some())?;
                foreign("clear", change.clear.is_some())?;
                change_times(&mut parts.threshold, change);
            }
            Check::Change(kind) => change_threshold(&mut kind.threshold, change),
            Check::Count(kind) => change_threshold(&mut kind.threshold, change),
            Check::Forecast(kind) => change_threshold(&mut kind.threshold, change),
            Check::Rate(kind) => change_threshold(&mut kind.threshold, change),
            Check::Ratio(kind) => change_threshold(&mut kind.threshold, change),
            Check::Threshold(threshold) => change_threshold(threshold, change),
        }
        Ok(())
    }

    /// Only an override makes variants; a pack that writes them is wrong.
    pub(super) fn flaw_in_variants(&self) -> Option<Flaw> {
        let first = self.variants.first()?;
        Some(Flaw::new("variants", quoted(&first.rule.id), "`[[override]]` beside `[[rule]]`"))
    }
}

fn change_threshold(threshold: &mut Threshold, change: &Override) {
    if let Some(open) = &change.open {
        threshold.open.clone_from(open);
    }
    if let Some(clear) = &change.clear {
        threshold.clear.clone_from(clear);
    }
    change_times(threshold, change);
}

fn change_times(threshold: &mut Threshold, change: &Override) {
    threshold.r#for = change.r#for.unwrap_or(threshold.r#for);
    threshold.clear_for = change.clear_for.unwrap_or(threshold.clear_for);
    threshold.gap = change.gap.or(threshold.gap);
    threshold.readings = change.readings.unwrap_or(threshold.readings);
}

#[cfg(test)]
mod tests;
