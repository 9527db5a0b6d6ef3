//! A point as a line.

use std::fmt::Write as _;

use crate::point::{FieldValue, Point};

/// Writes a point as a line, with its end. The inverse of [`lines`](super::lines) with nanoseconds.
pub fn write(out: &mut String, point: &Point<'_>) {
    escape(out, &point.measurement, &[',', ' ']);
    for (key, value) in &point.tags {
        out.push(',');
        escape(out, key, &[',', ' ', '=']);
        out.push('=');
        escape(out, value, &[',', ' ', '=']);
    }
    for (at, (name, value)) in point.fields.iter().enumerate() {
        out.push(if at == 0 { ' ' } else { ',' });
        escape(out, name, &[',', ' ', '=']);
        out.push('=');
        let _ = match value {
            // As short as it can be, and never without a digit that makes it a float of ours when it is read again.
            FieldValue::Float(value) => write!(out, "{value:?}"),
            FieldValue::Integer(value) => write!(out, "{value}i"),
            FieldValue::Unsigned(value) => write!(out, "{value}u"),
            FieldValue::Boolean(value) => write!(out, "{value}"),
            FieldValue::Text(text) => {
                out.push('"');
                escape(out, text, &['"', '\\']);
                out.push('"');
                Ok(())
            }
        };
    }
    let _ = writeln!(out, " {}", point.time);
}

fn escape(out: &mut String, text: &str, marks: &[char]) {
    for letter in text.chars() {
        if marks.contains(&letter) {
            out.push('\\');
        }
        out.push(letter);
    }
}
