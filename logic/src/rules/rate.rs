//! A rule about speed: by how much a counter rises in a second, over a span.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::Flaw;
use super::change::Track;
use super::compare::number;
use super::derive::{flaw_of, with};
use super::threshold::{Threshold, field};
use crate::sample::Sample;
use crate::span::Span;

/// The field that a rate rule adds to the samples it looks at: the rise in a second.
pub const PER_SECOND: &str = "per_s";

/// Judged as a threshold whose conditions may name the field `per_s`. It says nothing before the counter was followed for
/// the whole span, and nothing of a counter that was set back meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The counter.
    pub field: String,
    /// The span over which it is taken, up to the sample.
    pub within: Span,
    /// What is made of it.
    pub threshold: Threshold,
}

impl Rate {
    /// The sample with the field [`PER_SECOND`], if it can be told.
    pub(super) fn measure(&self, sample: &Sample, track: &mut Track) -> Option<Sample> {
        let value = number(field(sample, &self.field)?)?;
        let rise = track.note(sample.time, value, self.within.0)?;
        let whole = track.begun().is_some_and(|begun| sample.time.since(begun) >= self.within.0);
        whole.then(|| with(sample, PER_SECOND, rise / self.within.0.as_secs_f64()))
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.within.is_zero() {
            return Some(Flaw::new("within", "`0s`", "a length of time"));
        }
        if self.field.is_empty() {
            return Some(Flaw::new("field", "empty", "a counter's name"));
        }
        flaw_of(&self.threshold, PER_SECOND)
    }
}
