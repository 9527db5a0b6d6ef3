//! What empty buckets show.

use super::Value;
use crate::influxql::ast::Fill;
use crate::point::FieldKind;

/// Fills the nulls of one column, in the order of the answer.
pub(crate) fn apply(fill: Fill, every: i64, kind: Option<FieldKind>, counts: bool, points: &mut Vec<(i64, Value)>) {
    match fill {
        Fill::None => points.retain(|(_, value)| *value != Value::Null),
        // A count of nothing is zero.
        Fill::Null if counts => replace(points, &Value::Integer(0)),
        Fill::Null => {}
        Fill::Number(number) => replace(points, &number_as(number, kind)),
        Fill::Previous => {
            let mut last = Value::Null;
            for (_, value) in points {
                if *value == Value::Null {
                    *value = last.clone();
                } else {
                    last = value.clone();
                }
            }
        }
        Fill::Linear => linear(every, points),
    }
}

fn replace(points: &mut [(i64, Value)], by: &Value) {
    for (_, value) in points.iter_mut().filter(|(_, value)| *value == Value::Null) {
        *value = by.clone();
    }
}

/// The number as the column's kind; a column without one is a float.
pub(crate) fn number_as(number: f64, kind: Option<FieldKind>) -> Value {
    match kind {
        None | Some(FieldKind::Float) => Value::Float(number),
        Some(FieldKind::Integer) => Value::Integer(number as i64),
        Some(FieldKind::Unsigned) => Value::Unsigned(number as u64),
        // What is no number has its own nothing.
        Some(FieldKind::Boolean) => Value::Boolean(false),
        Some(FieldKind::Text) => Value::Text("".into()),
    }
}

fn linear(every: i64, points: &mut [(i64, Value)]) {
    let mut before: Option<usize> = None;
    for at in 0..points.len() {
        if points[at].1 == Value::Null {
            continue;
        }
        if let Some(from) = before {
            let (start, end) = (points[from].clone(), points[at].clone());
            for (time, value) in &mut points[from + 1..at] {
                *value = between(every, &start, &end, *time);
            }
        }
        before = Some(at);
    }
}

/// In the order of InfluxDB's operations, so that the last digit is the same: it counts in intervals.
fn between(every: i64, start: &(i64, Value), end: &(i64, Value), time: i64) -> Value {
    let line = |from: f64, rise: f64| {
        // Both differences turn their sign when the order is descending.
        let slope = rise / (end.0 / every).wrapping_sub(start.0 / every) as f64;
        slope * (time / every).wrapping_sub(start.0 / every) as f64 + from
    };
    match (&start.1, &end.1) {
        (Value::Integer(from), Value::Integer(to)) => {
            Value::Integer(line(*from as f64, to.wrapping_sub(*from) as f64) as i64)
        }
        (Value::Unsigned(from), Value::Unsigned(to)) => {
            Value::Unsigned(line(*from as f64, *to as f64 - *from as f64) as u64)
        }
        (from, to) => match (from.as_f64(), to.as_f64()) {
            (Some(from), Some(to)) => Value::Float(line(from, to - from)),
            _ => Value::Null,
        },
    }
}
