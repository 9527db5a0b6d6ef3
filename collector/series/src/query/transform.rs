//! Functions over the values of one series in the order of the answer. Nulls are not seen.

use super::budget::Budget;
use super::functions::Transform;
use super::math::binary;
use super::window::Window;
use super::{Answer, Value};
use crate::influxql::ast::Op;

/// The points of one call, and how they lie.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) window: Option<&'a Window>,
    /// The points come newest first.
    pub(crate) descending: bool,
    /// The time of what is made of all of them.
    pub(crate) begin: i64,
    pub(crate) budget: &'a Budget<'a>,
}

impl Run<'_> {
    /// The points that a transformation makes of these.
    pub(crate) fn apply(self, transform: Transform, points: &[(i64, Value)]) -> Answer<Vec<(i64, Value)>> {
        let floats = || points.iter().filter_map(|(time, value)| Some((*time, value.as_f64()?)));
        let every = self.window.map_or(1, |window| window.every);
        let made = match transform {
            Transform::Forecast(forecast) => forecast.of(&floats().collect::<Vec<_>>(), every, self.budget)?,
            Transform::Technical(technical) => technical.over(floats()),
            other => return Ok(apply(other, self, points)),
        };
        Ok(made.into_iter().map(|(time, value)| (time, Value::Float(value))).collect())
    }
}

fn apply(transform: Transform, run: Run<'_>, points: &[(i64, Value)]) -> Vec<(i64, Value)> {
    let seen = points.iter().filter(|(_, value)| *value != Value::Null);
    match transform {
        Transform::CumulativeSum => {
            let mut sum = Value::Null;
            let mut next = |(time, value): &(i64, Value)| {
                sum = if sum == Value::Null { value.clone() } else { binary(Op::Add, &sum, value) };
                (*time, sum.clone())
            };
            seen.map(&mut next).collect()
        }
        Transform::MovingAverage(count) => moving_average(count, seen),
        Transform::Integral(unit) => Integral { unit, run }.over(seen),
        Transform::Derivative { unit, non_negative } => pairs(seen, non_negative, |from, to| {
            let difference = binary(Op::Subtract, &to.1, &from.1).as_f64()?;
            let elapsed = to.0.abs_diff(from.0) as f64 / unit as f64;
            Some(Value::Float(difference / elapsed))
        }),
        Transform::Difference { non_negative } => {
            pairs(seen, non_negative, |from, to| Some(binary(Op::Subtract, &to.1, &from.1)))
        }
        Transform::Elapsed(unit) => {
            pairs(seen, false, |from, to| Some(Value::Integer(to.0.wrapping_sub(from.0) / unit)))
        }
        // They know no values but numbers.
        Transform::Forecast(_) | Transform::Technical(_) => Vec::new(),
    }
}

/// Each point with the one before it; of points with the same time only the first counts.
fn pairs<'a>(
    points: impl Iterator<Item = &'a (i64, Value)>,
    non_negative: bool,
    between: impl Fn(&(i64, Value), &(i64, Value)) -> Option<Value>,
) -> Vec<(i64, Value)> {
    let mut before: Option<&(i64, Value)> = None;
    let mut made = Vec::new();
    for point in points {
        if let Some(from) = before {
            if from.0 == point.0 {
                continue;
            }
            let value = between(from, point);
            let negative = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
            if let Some(value) = value.filter(|value| !(non_negative && negative(value))) {
                made.push((point.0, value));
            }
        }
        before = Some(point);
    }
    made
}

fn moving_average<'a>(count: usize, points: impl Iterator<Item = &'a (i64, Value)>) -> Vec<(i64, Value)> {
    let mut held = std::collections::VecDeque::new();
    let (mut sum, mut made) = (0.0, Vec::new());
    for (time, value) in points {
        let Some(number) = value.as_f64() else { continue };
        if held.len() == count {
            sum -= held.pop_front().unwrap_or(0.0);
        }
        held.push_back(number);
        sum += number;
        if held.len() == count {
            made.push((*time, Value::Float(sum / count as f64)));
        }
    }
    made
}

/// The area under straight lines between the points, cut at the ends of the buckets.
struct Integral<'a> {
    unit: i64,
    run: Run<'a>,
}

impl Integral<'_> {
    fn over<'a>(&self, points: impl Iterator<Item = &'a (i64, Value)>) -> Vec<(i64, Value)> {
        let mut points = points.filter_map(|(time, value)| Some((*time, value.as_f64()?)));
        let Some(mut before) = points.next() else { return Vec::new() };
        let (mut start, mut end) = self.bucket(before.0);
        let (mut sum, mut made) = (0.0, Vec::new());
        for point in points {
            if point.0 == before.0 {
                before = point;
                continue;
            }
            let over = if self.run.descending { point.0 <= end } else { point.0 >= end };
            if self.run.window.is_some() && over {
                if before.0 != end {
                    let share = (end - before.0) as f64 / (point.0 - before.0) as f64;
                    let cut = (end, before.1 + (point.1 - before.1) * share);
                    sum += self.area(before, cut);
                    before = cut;
                }
                made.push((start, Value::Float(sum)));
                (start, end) = self.bucket(point.0);
                sum = 0.0;
            }
            sum += self.area(before, point);
            before = point;
        }
        // A last point that stands at the beginning of its bucket has no area there.
        if before.0 != start {
            made.push((start, Value::Float(sum)));
        }
        made
    }

    fn area(&self, from: (i64, f64), to: (i64, f64)) -> f64 {
        0.5 * (to.1 + from.1) * ((to.0 - from.0) as f64 / self.unit as f64)
    }

    /// Where the bucket of a time begins and ends in the order of the answer; everything is one bucket of 1970 without an interval.
    fn bucket(&self, time: i64) -> (i64, i64) {
        match self.run.window.map(|window| window.bucket(time)) {
            None => (self.run.begin, self.run.begin),
            Some((start, end)) if self.run.descending => (end, start),
            Some(bounds) => bounds,
        }
    }
}
