//! When two answers are equal, and where we differ from InfluxDB 1.6 on purpose.

use serde_json::Value;

/// Floats may differ in the last digit: InfluxDB adds up in an order of its own.
const RELATIVE: f64 = 1e-12;

/// What is left when values of a thousand cancel each other out.
const NOTHING: f64 = 1e-9;

pub fn same(question: &str, a: &Value, b: &Value) -> bool {
    // Rows of one time have no order.
    if ["distinct", "top", "bottom"].iter().any(|name| question.starts_with(&format!("SELECT {name}("))) {
        return equal(&sorted(a), &sorted(b));
    }
    equal(a, b)
}

/// An answer with its rows in a certain order.
fn sorted(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer["results"][0]["series"].as_array_mut().into_iter().flatten() {
        if let Some(rows) = series["values"].as_array_mut() {
            rows.sort_by_key(ToString::to_string);
        }
    }
    answer
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return false };
            a == b || (a - b).abs() <= RELATIVE * a.abs().max(b.abs()) || (a - b).abs() <= NOTHING
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

/// Why a difference is InfluxDB's fault, or nobody's.
pub fn excuse(question: &str, influxd: &Value, ours: &Value) -> Option<&'static str> {
    EXCUSES.iter().find(|excuse| (excuse.holds)(question, influxd, ours)).map(|excuse| excuse.why)
}

struct Excuse {
    why: &'static str,
    holds: fn(&str, &Value, &Value) -> bool,
}

/// What we do not copy, each with its reason.
const EXCUSES: &[Excuse] = &[
    Excuse {
        why: "of several points with the value of a percentile InfluxDB takes any one, and we the earliest",
        holds: |question, influxd, ours| {
            question.starts_with("SELECT percentile(") && equal(&first_values(influxd), &first_values(ours))
        },
    },
    Excuse {
        why: "of points of one time and one value InfluxDB ranks any one first",
        holds: |question, influxd, ours| {
            let ranked = question.starts_with("SELECT top(") || question.starts_with("SELECT bottom(");
            ranked && equal(&sorted(&beginnings(influxd)), &sorted(&beginnings(ours)))
        },
    },
    Excuse {
        why: "beside a selector InfluxDB shows any one of the points that have one time and one value",
        holds: |question, influxd, ours| {
            let selects = ["min", "max"].iter().any(|name| question.starts_with(&format!("SELECT {name}(")));
            selects && equal(&beginnings(influxd), &beginnings(ours))
        },
    },
    Excuse {
        why: "beside a first or last InfluxDB shows any one of the points that have one time",
        holds: |question, influxd, ours| {
            let selects = ["first", "last"].iter().any(|name| question.starts_with(&format!("SELECT {name}(")));
            selects && question.contains("), ") && equal(&times(influxd), &times(ours))
        },
    },
    Excuse {
        why: "of several values that are equally frequent InfluxDB takes one by how its sorting left them, and we the smallest",
        holds: |question, influxd, ours| {
            question.contains("mode(") && equal(&without("mode", influxd), &without("mode", ours))
        },
    },
];

/// An answer with the first value of each row alone.
fn first_values(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer["results"][0]["series"].as_array_mut().into_iter().flatten() {
        for row in series["values"].as_array_mut().into_iter().flatten() {
            *row = row[1].clone();
        }
    }
    answer
}

/// An answer with the time of each row.
fn times(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer["results"][0]["series"].as_array_mut().into_iter().flatten() {
        for row in series["values"].as_array_mut().into_iter().flatten() {
            row.as_array_mut().unwrap().truncate(1);
        }
    }
    answer
}

/// An answer with the time and the first value of each row.
fn beginnings(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer["results"][0]["series"].as_array_mut().into_iter().flatten() {
        for row in series["values"].as_array_mut().into_iter().flatten() {
            row.as_array_mut().unwrap().truncate(2);
        }
    }
    answer
}

/// An answer without the values of the columns whose names begin so.
fn without(column: &str, answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer["results"][0]["series"].as_array_mut().into_iter().flatten() {
        let named = |name: &Value| name.as_str().is_some_and(|name| name.starts_with(column));
        let hidden: Vec<bool> = series["columns"].as_array().unwrap().iter().map(named).collect();
        for row in series["values"].as_array_mut().into_iter().flatten() {
            for (at, value) in row.as_array_mut().unwrap().iter_mut().enumerate() {
                if hidden[at] {
                    *value = Value::Null;
                }
            }
        }
    }
    answer
}
