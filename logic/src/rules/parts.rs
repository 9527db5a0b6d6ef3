//! A rule about several readings of one subject: all of them together, or any one of them.
//!
//! What it keeps:
//! - each part has its own begin and end, and may have its own times: it goes on to hold between the two;
//! - a part that was not seen for longer than its `gap` is unknown, and unknown is not good: it neither opens a fault nor
//!   ends one;
//! - nothing is remembered of a subject before a part of it begins to hold.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::Track;
use super::compare::{Comparison, Test};
use super::text::Template;
use super::threshold::{Threshold, Verdict, field, flaw_in_comparisons};
use super::{Flaw, quoted};
use crate::hold::{Hold, Times};
use crate::presence::INTERVALS;
use crate::sample::{Name, Sample, Value};
use crate::span::{Passing, Span, Stretch};
use crate::time::Timestamp;

/// The field that tells whether the whole holds: 1 if so, 0 if not, a half if that is not settled.
pub const HOLDS: &str = "holds";

/// The most parts of one rule. What needs more is several rules.
pub const PARTS_MAX: usize = 8;

/// How the parts make a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    All,
    Any,
}

/// Judged as a threshold on [`HOLDS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Parts {
    /// What it is made of.
    pub part: Vec<Part>,
    /// What is made of it: the subject, the times and the evidence of the whole.
    pub threshold: Threshold,
}

/// One reading of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it reads.
    pub measurement: String,
    /// Only samples whose tag has one of these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Vec<String>>,
    /// No samples whose tag has one of these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without: BTreeMap<String, Vec<String>>,
    /// When it begins to hold.
    pub open: Vec<Comparison>,
    /// When it no longer does.
    pub clear: Vec<Comparison>,
    /// For how long `open` must have been seen to hold, besides the time of the whole.
    #[serde(default)]
    pub r#for: Span,
    /// For how long `clear` must have been seen to hold, besides the time of the whole.
    #[serde(default)]
    pub clear_for: Span,
    /// For how long a reading speaks of it: older, it is unknown. Unset: three of the agent's intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// Further fields that `evidence` shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    by: Vec<String>,
    part: Vec<Part>,
    #[serde(default)]
    r#for: Stretch,
    #[serde(default = "super::proven_good")]
    clear_for: Span,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<Span>,
    #[serde(default)]
    readings: u32,
    evidence: Vec<Template>,
}

impl From<Raw> for Parts {
    fn from(raw: Raw) -> Self {
        let is = |test| vec![Comparison { field: HOLDS.to_string(), test }];
        let also = raw.part.iter().flat_map(Part::named).map(ToString::to_string).collect::<BTreeSet<_>>();
        Self {
            threshold: Threshold {
                measurement: String::new(),
                tags: BTreeMap::new(),
                without: BTreeMap::new(),
                by: raw.by,
                open: is(Test::Above(0.75)),
                clear: is(Test::Below(0.25)),
                r#for: raw.r#for,
                clear_for: raw.clear_for,
                gap: raw.gap,
                readings: raw.readings,
                also: also.into_iter().collect(),
                evidence: raw.evidence,
            },
            part: raw.part,
        }
    }
}

impl From<Parts> for Raw {
    fn from(Parts { part, threshold }: Parts) -> Self {
        Self {
            by: threshold.by,
            part,
            r#for: threshold.r#for,
            clear_for: threshold.clear_for,
            gap: threshold.gap,
            readings: threshold.readings,
            evidence: threshold.evidence,
        }
    }
}

/// What is remembered of one part of one subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    /// The newest reading that said something of it; zero if there was none.
    at: Timestamp,
    /// Whether it begins to hold, holds, or begins to end; none: it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    /// What a person should see of it, as it was last read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<(Name, Value)>,
}

/// What a part says at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Holds,
    Pending,
    Over,
    /// What it was is known, what it is no longer.
    Unknown,
    /// Nothing was ever said of it.
    Never,
}

impl Parts {
    /// The sample with what the whole says in [`HOLDS`], and with the fields of the parts that hold; nothing while that is not
    /// known. `track` gives what is remembered of the subject; it is made only for what begins to hold.
    pub(super) fn measure<'track>(
        &self,
        join: Join,
        sample: &Sample,
        interval: Duration,
        track: impl FnOnce(bool) -> Option<&'track mut Track>,
    ) -> Option<Sample> {
        let looked_at: Vec<(usize, Verdict)> = self
            .part
            .iter()
            .enumerate()
            .filter(|(_, part)| part.looks_at(sample))
            .map(|(at, part)| (at, part.verdict(sample)))
            .filter(|(_, verdict)| *verdict != Verdict::Unknown)
            .collect();
        let begins = looked_at.iter().any(|(_, verdict)| *verdict == Verdict::Open);
        if looked_at.is_empty() {
            return None;
        }
        let track = track(begins)?;
        track.seen = track.seen.max(sample.time);
        let seen = &mut track.parts;
        seen.resize(self.part.len(), Seen::default());
        for (at, verdict) in looked_at {
            seen[at].take_in(&self.part[at], sample, verdict, interval);
        }
        let said: Vec<Said> =
            self.part.iter().zip(&*seen).map(|(part, seen)| seen.said(sample.time, part.gap(interval))).collect();
        let holds = match join.verdict(&said) {
            Verdict::Open => 1.0,
            Verdict::Between => 0.5,
            Verdict::Clear => 0.0,
            Verdict::Unknown => return None,
        };
        Some(shown(sample, holds, seen.iter().zip(said)))
    }

    /// Whether a part looks at this sample.
    pub(super) fn looks_at(&self, sample: &Sample) -> bool {
        self.part.iter().any(|part| part.looks_at(sample))
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if !(2..=PARTS_MAX).contains(&self.part.len()) {
            let expected = format!("2 to {PARTS_MAX} parts; one alone is a threshold");
            return Some(Flaw::new("part", self.part.len().to_string(), expected));
        }
        let school = self.threshold.r#for.passing == Passing::School && self.threshold.r#for.span.is_zero();
        if school {
            let value = quoted(&self.threshold.r#for.to_string());
            return Some(Flaw::new("for", value, "a length of time, such as `10m school`"));
        }
        if self.threshold.gap.is_some_and(|gap| gap.is_zero()) {
            return Some(Flaw::new("gap", "`0s`", "a length of time, or leave it out"));
        }
        self.part.iter().find_map(Part::find_flaw)
    }
}

impl Part {
    /// The fields that it names.
    fn named(&self) -> impl Iterator<Item = &str> + '_ {
        let compared = self.open.iter().chain(&self.clear).map(|comparison| comparison.field.as_str());
        compared.chain(self.also.iter().map(String::as_str))
    }

    fn looks_at(&self, sample: &Sample) -> bool {
        super::threshold::is_among(&self.measurement, &self.tags, &self.without, sample)
    }

    fn verdict(&self, sample: &Sample) -> Verdict {
        super::threshold::verdict(&self.open, &self.clear, sample)
    }

    fn gap(&self, interval: Duration) -> Duration {
        self.gap.map_or(interval.saturating_mul(INTERVALS), |gap| gap.0)
    }

    fn find_flaw(&self) -> Option<Flaw> {
        if self.measurement.is_empty() {
            return Some(Flaw::new("measurement", "empty", "a measurement's name"));
        }
        if self.gap.is_some_and(|gap| gap.is_zero()) {
            return Some(Flaw::new("gap", "`0s`", "a length of time, or leave it out"));
        }
        flaw_in_comparisons(&self.open, &self.clear)
    }
}

impl Seen {
    fn take_in(&mut self, part: &Part, sample: &Sample, verdict: Verdict, interval: Duration) {
        if sample.time <= self.at && self.at != Timestamp::default() {
            return;
        }
        self.at = sample.time;
        let gap = part.gap(interval);
        let times = Times { open_for: part.r#for.0, clear_for: part.clear_for.0, gap, readings: 0 };
        match &mut self.hold {
            Some(hold) => {
                use crate::hold::Step;
                if matches!(hold.judge(sample.time, verdict, times), Step::Clears | Step::Vanishes) {
                    self.hold = None;
                }
            }
            None if verdict == Verdict::Open => self.hold = Some(Hold::begin(sample.time, times).0),
            None => {}
        }
        self.fields.clear();
        if self.hold.is_some() {
            let known = part.named().filter_map(|name| Some((name, field(sample, name)?)));
            self.fields.extend(known.map(|(name, value)| (Name::from(name.to_string()), value.clone())));
        }
    }

    fn said(&self, now: Timestamp, gap: Duration) -> Said {
        if self.at == Timestamp::default() {
            return Said::Never;
        }
        if now.since(self.at) > gap {
            return Said::Unknown;
        }
        match &self.hold {
            None => Said::Over,
            Some(hold) if hold.is_pending() => Said::Pending,
            Some(_) => Said::Holds,
        }
    }
}

impl Join {
    /// One part that settles it does so, whatever is not known of the others. Of any, those that a device never tells count
    /// for nothing: a UPS that has no word for its battery would otherwise be bad for ever once its light was.
    fn verdict(self, said: &[Said]) -> Verdict {
        let all = |wanted: &[Said]| said.iter().all(|said| wanted.contains(said));
        let (settles, verdict, rest, otherwise) = match self {
            Self::All => (Said::Over, Verdict::Clear, all(&[Said::Holds]), Verdict::Open),
            Self::Any => (Said::Holds, Verdict::Open, all(&[Said::Over, Said::Never]), Verdict::Clear),
        };
        if said.contains(&settles) {
            verdict
        } else if rest {
            otherwise
        } else if said.contains(&Said::Unknown) || said.contains(&Said::Never) {
            Verdict::Unknown
        } else {
            Verdict::Between
        }
    }
}

fn shown<'seen>(sample: &Sample, holds: f64, parts: impl Iterator<Item = (&'seen Seen, Said)>) -> Sample {
    let mut fields: Vec<(Name, Value)> = vec![(HOLDS.into(), Value::Float(holds))];
    for (seen, _) in parts.filter(|(_, said)| *said == Said::Holds) {
        fields.extend(seen.fields.iter().cloned());
    }
    Sample {
        measurement: sample.measurement.clone(),
        tags: sample.tags.clone(),
        target: sample.target.clone(),
        time: sample.time,
        fields,
    }
}

#[cfg(test)]
mod tests;
