//! A rule about repetition: something that is nothing once, and something if it happens again and again.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Flaw;
use super::change::{STEPS_MAX, Track};
use super::compare::{Comparison, Test};
use super::derive::{flaw_of, with};
use super::threshold::{Threshold, all_hold};
use crate::sample::Sample;
use crate::span::Span;

/// The field that a count rule adds to the samples it looks at: how often it happened within the span.
pub const TIMES: &str = "times";

/// Judged as a threshold whose conditions may name the field `times`: how often `when` began to hold. What holds at the first
/// sample of all began before, and does not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// What happens; all comparisons must hold.
    pub when: Vec<Comparison>,
    /// The span in which it is counted, up to the sample.
    pub within: Span,
    /// What is made of it.
    pub threshold: Threshold,
}

impl Count {
    /// Whether a sample tells whether it happens.
    pub(super) fn tells(&self, sample: &Sample) -> bool {
        all_hold(&self.when, sample).is_some()
    }

    /// The sample with the field [`TIMES`], if it is newer than the last and tells whether it happens.
    #[expect(clippy::cast_precision_loss, reason = "at most the steps that a track remembers")]
    pub(super) fn measure(&self, sample: &Sample, track: &mut Track) -> Option<Sample> {
        let holds = all_hold(&self.when, sample)?;
        let times = track.tally(sample.time, holds, self.within.0)?;
        Some(with(sample, TIMES, times as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a few steps")]
    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.within.is_zero() {
            return Some(Flaw::new("within", "`0s`", "a length of time"));
        }
        if self.when.is_empty() {
            return Some(Flaw::new("when", "empty", "at least one comparison"));
        }
        let never = |comparison: &&Comparison| {
            comparison.field == TIMES && matches!(comparison.test, Test::Above(limit) if limit >= STEPS_MAX as f64)
        };
        if let Some(never) = self.threshold.open.iter().find(never) {
            let expected = alloc::format!("fewer than {STEPS_MAX}: no more are counted");
            return Some(Flaw::new("open", super::quoted(&never.to_string()), expected));
        }
        flaw_of(&self.threshold, TIMES)
    }
}
