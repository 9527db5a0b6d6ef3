//! A rule about growth: a counter that stands still is history, however high it stands; one that rises is news.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Flaw;
use super::compare::number;
use super::derive::{flaw_of, with};
use super::parts::Seen;
use super::threshold::{Threshold, field};
use crate::sample::Sample;
use crate::span::Span;
use crate::time::Timestamp;

/// The field that a change rule adds to the samples it looks at: by how much its counter has risen.
pub const RISE: &str = "rise";

/// Steps of one counter that are remembered. With more within one span the steps in the middle are told as one.
pub const STEPS_MAX: usize = 32;

/// Parts of a span; two steps may stand at its ends besides.
const STEPS_MAX_IN_SPAN: u32 = 30;

/// Judged as a threshold whose conditions may name the field `rise`. What a counter stands at when it is first seen
/// counts as its beginning, and so does a fall: another disk, or a counter that was set back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The counter.
    pub field: String,
    /// The span in which it must have risen, up to the sample.
    pub within: Span,
    /// What is made of it.
    pub threshold: Threshold,
}

/// What is remembered of one counter of one subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    /// Of a counter: its values with the time of the first sample of each. Of what is counted: when it began. Of what is
    /// foreseen: its points. The oldest first.
    pub(super) steps: Vec<(Timestamp, f64)>,
    /// Its newest sample.
    pub(super) seen: Timestamp,
    /// Its first sample, or the first after it was set back.
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    /// Whether what is counted held at the newest sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<bool>,
    /// By how much what is foreseen changes a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slope: Option<f64>,
    /// What each of several readings says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Seen>,
}

impl Change {
    /// The sample with the field [`RISE`], if it tells the counter and is newer than the last one.
    pub(super) fn measure(&self, sample: &Sample, track: &mut Track) -> Option<Sample> {
        let value = number(field(sample, &self.field)?)?;
        Some(with(sample, RISE, track.note(sample.time, value, self.within.0)?))
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.within.is_zero() {
            return Some(Flaw::new("within", "`0s`", "a length of time"));
        }
        if self.field.is_empty() {
            return Some(Flaw::new("field", "empty", "a counter's name"));
        }
        flaw_of(&self.threshold, RISE)
    }
}

impl Track {
    /// When it was last seen.
    #[must_use]
    pub const fn seen(&self) -> Timestamp {
        self.seen
    }

    /// Since when the counter has been followed without being set back.
    pub(super) const fn begun(&self) -> Option<Timestamp> {
        self.begun
    }

    /// How often something began within the span that ends now; nothing for a sample that is not new.
    pub(super) fn tally(&mut self, at: Timestamp, holds: bool, within: Duration) -> Option<usize> {
        if self.held.is_some() && at <= self.seen {
            return None;
        }
        self.seen = at;
        if holds && self.held == Some(false) {
            self.steps.push((at, 1.0));
        }
        self.held = Some(holds);
        let start = at - within;
        self.steps.retain(|(time, _)| *time > start);
        if self.steps.len() > STEPS_MAX {
            self.steps.remove(0);
        }
        Some(self.steps.len())
    }

    /// By how much the counter has risen within the span that ends now; nothing for a sample that is not new.
    pub(super) fn note(&mut self, at: Timestamp, value: f64, within: Duration) -> Option<f64> {
        if !self.steps.is_empty() && at <= self.seen {
            return None;
        }
        self.seen = at;
        match self.steps.last() {
            // Steps that follow each other closely are one, so that those of a span are never too many.
            Some((since, last))
                if value > *last && self.steps.len() > 1 && at.since(*since) < within / STEPS_MAX_IN_SPAN =>
            {
                let since = *since;
                self.steps.pop();
                self.steps.push((since, value));
            }
            Some((_, last)) if value > *last => self.steps.push((at, value)),
            Some((_, last)) if value < *last => (self.steps, self.begun) = ([(at, value)].into(), Some(at)),
            Some(_) => {}
            None => (self.steps, self.begun) = ([(at, value)].into(), Some(at)),
        }
        let start = at - within;
        let before = self.steps.iter().filter(|(since, _)| *since <= start).count();
        self.steps.drain(..before.saturating_sub(1));
        if self.steps.len() > STEPS_MAX {
            self.steps.remove(1);
        }
        self.steps.first().map(|(_, first)| value - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const DAY: Duration = Duration::from_secs(86_400);

    fn notes(values: &[(i64, f64)]) -> Vec<Option<f64>> {
        let mut track = Track::default();
        values.iter().map(|(hour, value)| track.note(Timestamp(hour * HOUR), *value, DAY)).collect()
    }

    #[test]
    fn what_was_there_before_and_what_stands_still_is_no_rise() {
        assert_eq!(notes(&[(0, 4000.0), (1, 4000.0), (500, 4000.0)]), [Some(0.0); 3]);
    }

    #[test]
    fn a_rise_counts_until_its_span_is_over() {
        let found = notes(&[(0, 5.0), (10, 7.0), (20, 8.0), (34, 8.0), (44, 8.0), (45, 9.0)]);
        assert_eq!(found, [Some(0.0), Some(2.0), Some(3.0), Some(1.0), Some(0.0), Some(1.0)]);
    }

    #[test]
    fn a_rise_while_nobody_looked_counts_from_when_it_is_seen() {
        assert_eq!(notes(&[(0, 5.0), (2_000, 9.0), (2_023, 9.0), (2_024, 9.0)]), [0.0, 4.0, 4.0, 0.0].map(Some));
    }

    #[test]
    fn a_fall_is_another_beginning_and_an_old_sample_says_nothing() {
        assert_eq!(
            notes(&[(0, 50.0), (1, 2.0), (2, 3.0), (2, 9.0), (1, 9.0)]),
            [Some(0.0), Some(0.0), Some(1.0), None, None]
        );
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    fn a_counter_that_rises_with_each_sample_is_told_for_its_span_and_no_longer() {
        let mut track = Track::default();
        for minute in 0..20_000i64 {
            let rise = track.note(Timestamp(minute * 60_000), minute as f64, Duration::from_secs(3_600)).unwrap();
            let expected = minute.min(60) as f64;
            assert!(rise <= expected && rise >= expected - 3.0, "{rise} instead of {expected} after {minute} minutes");
            assert!(track.steps.len() <= STEPS_MAX);
        }
    }

    proptest! {
        /// The reference looks back over everything. With few steps in a span both say the same; with very many the
        /// track may only say less of what lies in the middle of the span, and never forgets the newest.
        #[test]
        fn agrees_with_looking_back(steps in prop::collection::vec((1i64..8, 0u8..3), 1..60)) {
            let mut track = Track::default();
            let mut history: Vec<(i64, f64)> = Vec::new();
            let (mut hour, mut value) = (0, 0.0);
            for (pause, up) in steps {
                hour += pause;
                value += f64::from(up);
                history.push((hour, value));
                let baseline = history.iter().rev().find(|(at, _)| *at <= hour - 24).unwrap_or(&history[0]).1;
                let found = track.note(Timestamp(hour * HOUR), value, DAY);
                prop_assert_eq!(found, Some(value - baseline));
                prop_assert!(track.steps.len() <= STEPS_MAX);
            }
        }
    }
}
