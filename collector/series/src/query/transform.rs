//! Functions over the values of one series in the order of the answer. Nulls are not seen.

use super::Value;
use super::functions::Transform;
use super::math::binary;
use crate::influxql::ast::Op;

/// The points that a transformation makes of these.
pub(crate) fn apply(transform: Transform, points: &[(i64, Value)]) -> Vec<(i64, Value)> {
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
