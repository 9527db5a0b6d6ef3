//! A rule about a part of a whole: errors among packets, lost among sent.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::Flaw;
use super::compare::number;
use super::derive::{flaw_of, with};
use super::threshold::{Threshold, field};
use crate::sample::Sample;

/// The field that a ratio rule adds to the samples it looks at: the part in percent of the whole.
pub const PART_PERCENT: &str = "part_percent";

/// Judged as a threshold whose conditions may name the field `part_percent`. A whole of zero says nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// The part.
    pub of: String,
    /// The whole; in the same unit.
    pub to: String,
    /// The least whole that says anything: one lost packet of two is no loss of half.
    #[serde(default)]
    pub at_least: f64,
    /// What is made of it.
    pub threshold: Threshold,
}

impl Ratio {
    /// The sample with the field [`PART_PERCENT`], if it tells both.
    pub(super) fn measure(&self, sample: &Sample) -> Option<Sample> {
        let (part, whole) = (number(field(sample, &self.of)?)?, number(field(sample, &self.to)?)?);
        let says = whole > 0.0 && whole >= self.at_least && part >= 0.0;
        says.then(|| with(sample, PART_PERCENT, 100.0 * part / whole))
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.of.is_empty() || self.of == self.to {
            return Some(Flaw::new(
                "of",
                super::quoted(&self.of),
                "the field of the part, other than that of the whole",
            ));
        }
        if self.to.is_empty() {
            return Some(Flaw::new("to", "empty", "the field of the whole"));
        }
        if !(self.at_least.is_finite() && self.at_least >= 0.0) {
            return Some(Flaw::new("at_least", alloc::format!("{}", self.at_least), "a number from 0 up"));
        }
        flaw_of(&self.threshold, PART_PERCENT)
    }
}
