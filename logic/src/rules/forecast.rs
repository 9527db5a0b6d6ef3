//! A rule about the future: when a reading that creeps will be at its limit.
//!
//! The slope is Theil's and Sen's: the median of the slopes between all pairs of points, so that a day on which somebody copied a
//! film, or a gap, does not bend it (Sen, Journal of the American Statistical Association 63, 1968, 1379-1389). The points are
//! the last readings of equal parts of the span.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Flaw;
use super::change::Track;
use super::compare::number;
use super::derive::{flaw_of, with};
use super::threshold::{Threshold, field};
use crate::device::words;
use crate::sample::Sample;
use crate::span::Span;
use crate::time::Timestamp;

/// The field that a forecast rule adds to the samples it looks at: days until the limit, [`DAYS_MAX`] if it is not on its way
/// there.
pub const DAYS_LEFT: &str = "days_left";

/// What is further away is never: a slope so small is chance.
pub const DAYS_MAX: f64 = 3_650.0;

/// Points of one span. Thirty tell a slope as well as three hundred, and all pairs of them are few.
const POINTS: u32 = 30;

/// The least part of the span that must be covered before anything is said: half.
const COVERED: u32 = 2;

/// The shortest span: below it each reading would be a point.
const WITHIN_MIN: Duration = Duration::from_secs(24 * 60 * 60);

const DAY_MS: f64 = 86_400_000.0;

words! {
    /// Which way a reading creeps towards its limit.
    Towards, "direction" {
        /// Up, as a disk fills.
        Rising = "rising",
        /// Down, as a battery wears.
        Falling = "falling",
    }
}

/// Judged as a threshold whose conditions may name the field `days_left`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The reading.
    pub field: String,
    /// Where it must not come.
    pub limit: f64,
    /// Which way it goes there.
    pub towards: Towards,
    /// The span from which the slope is taken, up to the sample.
    pub within: Span,
    /// What is made of it.
    pub threshold: Threshold,
}

impl Forecast {
    /// The sample with the field [`DAYS_LEFT`], if enough is known.
    pub(super) fn measure(&self, sample: &Sample, track: &mut Track) -> Option<Sample> {
        let value = number(field(sample, &self.field)?)?;
        let slope = track.slope(sample.time, value, self.within.0)?;
        Some(with(sample, DAYS_LEFT, self.days_left(value, slope)))
    }

    /// Days until the limit at so much a day.
    fn days_left(&self, value: f64, slope: f64) -> f64 {
        let (left, speed) = match self.towards {
            Towards::Rising => (self.limit - value, slope),
            Towards::Falling => (value - self.limit, -slope),
        };
        if left <= 0.0 {
            0.0
        } else if speed > 0.0 {
            (left / speed).min(DAYS_MAX)
        } else {
            DAYS_MAX
        }
    }

    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        if self.field.is_empty() {
            return Some(Flaw::new("field", "empty", "a reading's name"));
        }
        if !self.limit.is_finite() {
            return Some(Flaw::new("limit", alloc::format!("{}", self.limit), "a number"));
        }
        if self.within.0 < WITHIN_MIN {
            return Some(Flaw::new("within", super::quoted(&alloc::format!("{}", self.within)), "at least `1d`"));
        }
        flaw_of(&self.threshold, DAYS_LEFT)
    }
}

impl Track {
    /// By how much the reading changes a day; nothing while too little is known, or for a sample that is not new.
    fn slope(&mut self, at: Timestamp, value: f64, within: Duration) -> Option<f64> {
        if !self.steps.is_empty() && at <= self.seen {
            return None;
        }
        self.seen = at;
        let part = i64::try_from((within / POINTS).as_millis()).unwrap_or(i64::MAX).max(1);
        match self.steps.last_mut() {
            Some(last) if last.0.0.div_euclid(part) == at.0.div_euclid(part) => *last = (at, value),
            _ => {
                let start = at - within;
                self.steps.retain(|(time, _)| *time >= start);
                self.slope = theil_sen(&self.steps, within);
                self.steps.push((at, value));
            }
        }
        self.slope
    }
}

/// The median of the slopes between all pairs of points, a day; nothing if they cover too little of the span.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some years")]
fn theil_sen(points: &[(Timestamp, f64)], within: Duration) -> Option<f64> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    if last.since(first) < within / COVERED {
        return None;
    }
    let mut slopes: Vec<f64> = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, (time, value)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(later, _)| later > time);
        slopes.extend(later.map(|(later, other)| (other - value) * DAY_MS / (later.0 - time.0) as f64));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    let upper = *slopes.get(middle)?;
    let is_even = slopes.len().is_multiple_of(2);
    Some(if is_even { f64::midpoint(slopes[middle - 1], upper) } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const SPAN: Duration = Duration::from_secs(14 * 86_400);

    fn slopes(hours: impl Iterator<Item = i64>, value: impl Fn(i64) -> f64) -> Vec<Option<f64>> {
        let mut track = Track::default();
        hours.map(|hour| track.slope(Timestamp(hour * HOUR), value(hour), SPAN)).collect()
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "hours of a month")]
    fn a_disk_that_fills_by_two_percent_a_day_is_foreseen_though_a_film_was_copied_and_deleted() {
        let used = |hour: i64| 50.0 + hour as f64 / 12.0 + if (100..140).contains(&hour) { 30.0 } else { 0.0 };
        let found = slopes(0..240, used);
        assert!(found[..168].iter().all(Option::is_none), "half of the span says nothing");
        let slope = found[239].unwrap();
        assert!((slope - 2.0).abs() < 0.1, "{slope}");
    }

    #[test]
    fn days_are_told_in_the_direction_alone() {
        let of = |towards, limit, value, slope| {
            let threshold = crate::rules::tests::threshold_on(DAYS_LEFT);
            Forecast { field: "x".into(), limit, towards, within: Span(SPAN), threshold }.days_left(value, slope)
        };
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(near(of(Towards::Rising, 100.0, 90.0, 2.0), 5.0));
        assert!(near(of(Towards::Rising, 100.0, 90.0, -2.0), DAYS_MAX));
        assert!(near(of(Towards::Rising, 100.0, 101.0, -2.0), 0.0));
        assert!(near(of(Towards::Falling, 60.0, 70.0, -0.1), 100.0));
        assert!(near(of(Towards::Falling, 60.0, 70.0, -1e-9), DAYS_MAX));
    }

    proptest! {
        /// The reference: on a line the slope is the line's, whatever the pauses.
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "hours of some months")]
        fn a_line_has_its_own_slope(pauses in prop::collection::vec(1i64..30, 30..120), a_day in -50.0f64..50.0) {
            let mut hour = 0;
            let hours: Vec<i64> = pauses.into_iter().map(|pause| { hour += pause; hour }).collect();
            let found = slopes(hours.iter().copied(), |hour| a_day * hour as f64 / 24.0);
            for slope in found.into_iter().flatten() {
                prop_assert!((slope - a_day).abs() < 1e-6, "{slope} {a_day}");
            }
        }

        /// Bounded whatever comes.
        #[test]
        fn no_more_points_are_held_than_a_span_has(times in prop::collection::vec(0i64..100_000_000_000, 1..300)) {
            let mut track = Track::default();
            for time in times {
                let _ = track.slope(Timestamp(time), 1.0, SPAN);
                prop_assert!(track.steps.len() <= POINTS as usize + 2);
            }
        }
    }
}
