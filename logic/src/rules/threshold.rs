//! A rule about limits and states: a reading lies beyond a limit, or is a word or bit that it should not be, for some time.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::compare::{Comparison, listed, number};
use super::text::{Shown, Template};
use super::{Flaw, quoted};
use crate::sample::{Sample, Value};
use crate::span::{Passing, Span, Stretch};

/// Judged on event time. All comparisons of `open` must hold to begin a fault, all of `clear` to end it; between the
/// two nothing changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What it reads.
    pub measurement: String,
    /// Only samples whose tag has one of these values.
    #[serde(default)]
    pub tags: BTreeMap<String, Vec<String>>,
    /// No samples whose tag has one of these values.
    #[serde(default)]
    pub without: BTreeMap<String, Vec<String>>,
    /// The tags that tell one subject on a device from another, such as `path`.
    #[serde(default)]
    pub by: Vec<String>,
    /// When a fault begins.
    pub open: Vec<Comparison>,
    /// When it is over.
    pub clear: Vec<Comparison>,
    /// For how long `open` must have been seen to hold.
    #[serde(default)]
    pub r#for: Stretch,
    /// For how long `clear` must have been seen to hold.
    #[serde(default = "super::proven_good")]
    pub clear_for: Span,
    /// The longest pause between two samples that still counts as seen. Unset: three of the agent's intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// How many samples in a row must agree, whichever way, besides the time: a device that is read twice a day has
    /// otherwise proven something with two. Unset: the time alone decides.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub readings: u32,
    /// Further fields that `evidence` and the title show.
    #[serde(default)]
    pub also: Vec<String>,
    /// The readings as a technician should see them, such as `{used_percent:percent} used`.
    pub evidence: Vec<Template>,
}

/// A rule's answer to one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The fault is there.
    Open,
    /// Neither there nor over.
    Between,
    /// It is over.
    Clear,
    /// The sample doesn't say.
    Unknown,
}

impl Threshold {
    /// Whether the rule looks at this sample at all.
    #[must_use]
    pub fn looks_at(&self, sample: &Sample) -> bool {
        is_among(&self.measurement, &self.tags, &self.without, sample)
    }

    /// What the rule says of a sample that it looks at.
    #[must_use]
    pub fn verdict(&self, sample: &Sample) -> Verdict {
        verdict(&self.open, &self.clear, sample)
    }

    /// Which subject of the device a sample is about: its telling tags, and the target if it is about another device.
    #[must_use]
    pub fn subject(&self, sample: &Sample) -> Vec<(String, String)> {
        let mut subject: Vec<(String, String)> =
            self.by.iter().filter_map(|key| Some((key.clone(), tag(sample, key)?.to_string()))).collect();
        if !sample.target.is_empty() {
            subject.push(("target_id".to_string(), sample.target.clone()));
        }
        subject
    }

    /// The number that says how bad it is: the field of the first comparison.
    #[must_use]
    pub fn value(&self, sample: &Sample) -> Option<f64> {
        number(field(sample, &self.open.first()?.field)?)
    }

    /// Whether `new` is worse than `old`.
    #[must_use]
    pub fn is_worse(&self, new: f64, old: f64) -> bool {
        self.open.first().is_some_and(|first| first.is_worse(new, old))
    }

    /// What a placeholder stands for in a sample.
    #[must_use]
    pub fn shown(&self, sample: &Sample, placeholder: &str) -> Option<Shown> {
        let name = if placeholder == "value" { &self.open.first()?.field } else { placeholder };
        if let Some(value) = field(sample, name) {
            return Some(match value {
                Value::Text(text) => Shown::Text(text.clone()),
                Value::Boolean(flag) => Shown::Text(if *flag { "yes" } else { "no" }.to_string()),
                Value::Float(_) | Value::Integer(_) => Shown::Number(value.as_number()?),
            });
        }
        tag(sample, name).map(|text| Shown::Text(text.to_string()))
    }

    /// The readings as a technician should see them. What several readings tell is told of those that hold alone.
    #[must_use]
    pub fn readings_of(&self, sample: &Sample) -> Vec<String> {
        let lookup = |name: &str| self.shown(sample, name);
        let of_parts = self.measurement.is_empty();
        let told = self
            .evidence
            .iter()
            .filter(|template| !of_parts || template.placeholders().all(|placeholder| lookup(placeholder).is_some()));
        told.map(|template| template.render(lookup)).collect()
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> + '_ {
        let compared = self.open.iter().chain(&self.clear).map(|comparison| comparison.field.as_str());
        let tags = self.by.iter().chain(self.tags.keys()).chain(&self.also).map(String::as_str);
        compared.chain(tags)
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.measurement.is_empty() {
            return Some(Flaw::new("measurement", "empty", "a measurement's name"));
        }
        if let Some(flaw) = flaw_in_comparisons(&self.open, &self.clear) {
            return Some(flaw);
        }
        if self.r#for.passing == Passing::School && self.r#for.span.is_zero() {
            let expected = "a length of time, such as `10m school`";
            return Some(Flaw::new("for", quoted(&self.r#for.to_string()), expected));
        }
        self.gap.filter(|gap| gap.is_zero()).map(|_| Flaw::new("gap", "`0s`", "a length of time, or leave it out"))
    }
}

/// Whether a measurement and its tags are those that are looked at.
pub(super) fn is_among(
    measurement: &str,
    tags: &BTreeMap<String, Vec<String>>,
    without: &BTreeMap<String, Vec<String>>,
    sample: &Sample,
) -> bool {
    let has_one_of = |(key, words): (&String, &Vec<String>)| tag(sample, key).is_some_and(|found| one_of(words, found));
    sample.measurement == measurement && tags.iter().all(has_one_of) && !without.iter().any(has_one_of)
}

/// What the comparisons say of a sample.
pub(super) fn verdict(open: &[Comparison], clear: &[Comparison], sample: &Sample) -> Verdict {
    match (all_hold(open, sample), all_hold(clear, sample)) {
        (Some(true), _) => Verdict::Open,
        (_, Some(true)) => Verdict::Clear,
        (Some(false), Some(false)) => Verdict::Between,
        (None, _) | (_, None) => Verdict::Unknown,
    }
}

/// What is wrong with the beginning and the end of a fault.
pub(super) fn flaw_in_comparisons(open: &[Comparison], clear: &[Comparison]) -> Option<Flaw> {
    for (key, comparisons) in [("open", open), ("clear", clear)] {
        if comparisons.is_empty() {
            return Some(Flaw::new(key, "empty", "at least one comparison"));
        }
        if let Some(flaw) = never_true(key, comparisons) {
            return Some(flaw);
        }
    }
    let apart = open.iter().any(|open| clear.iter().any(|clear| open.is_apart_from(clear)));
    (!apart).then(|| {
        let expected = alloc::format!(
            "a condition that leaves room to `open` ({}), such as free above 15 where open is free below 10",
            listed(open)
        );
        Flaw::new("clear", quoted(&listed(clear)), expected)
    })
}

fn never_true(key: &'static str, comparisons: &[Comparison]) -> Option<Flaw> {
    let impossible = comparisons
        .iter()
        .enumerate()
        .any(|(at, one)| comparisons[at + 1..].iter().any(|other| one.contradicts(other)));
    impossible.then(|| Flaw::new(key, quoted(&listed(comparisons)), "comparisons that can be true together"))
}

/// Whether all hold. One that doesn't hold settles it; otherwise one that can't be told leaves it open.
pub(super) fn all_hold(comparisons: &[Comparison], sample: &Sample) -> Option<bool> {
    let mut all = Some(true);
    for comparison in comparisons {
        match comparison.holds(sample) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

fn tag<'sample>(sample: &'sample Sample, key: &str) -> Option<&'sample str> {
    sample.tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

pub(super) fn field<'sample>(sample: &'sample Sample, name: &str) -> Option<&'sample Value> {
    sample.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn one_of(words: &[String], found: &str) -> bool {
    words.iter().any(|word| word == found)
}
