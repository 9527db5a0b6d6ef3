//! What the tests of this crate share.

use std::sync::Arc;

use bellwether_series::{FieldValue, Point};

/// Reads line protocol with nanoseconds, as far as the recorded cases use it.
pub fn points(text: &str) -> Vec<Point<'static>> {
    text.lines().filter(|line| !line.is_empty()).map(point).collect()
}

fn point(line: &str) -> Point<'static> {
    let parts = split(line, ' ');
    let mut head = split(&parts[0], ',').into_iter();
    let measurement = plain(&head.next().unwrap());
    let mut tags: Vec<_> = head
        .map(|tag| {
            let pair = split(&tag, '=');
            (plain(&pair[0]).into(), plain(&pair[1]).into())
        })
        .collect();
    tags.sort();
    let fields = split(&parts[1], ',')
        .into_iter()
        .map(|field| {
            let pair = split(&field, '=');
            (plain(&pair[0]).into(), value(&pair[1]))
        })
        .collect();
    Point { measurement: measurement.into(), tags, time: parts[2].parse().unwrap(), fields }
}

fn value(text: &str) -> FieldValue {
    match text {
        "true" | "t" | "T" => FieldValue::Boolean(true),
        "false" | "f" | "F" => FieldValue::Boolean(false),
        _ if text.starts_with('"') => {
            let inner = &text[1..text.len() - 1];
            FieldValue::Text(Arc::from(inner.replace("\\\"", "\"").replace("\\\\", "\\")))
        }
        _ => match text.strip_suffix('i') {
            Some(digits) => FieldValue::Integer(digits.parse().unwrap()),
            None => FieldValue::Float(text.parse().unwrap()),
        },
    }
}

/// Splits at `mark` outside quotes and not after a backslash.
fn split(text: &str, mark: char) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        if letter == mark && !quoted && !escaped {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        part.push(letter);
    }
    parts.push(part);
    parts
}

fn plain(text: &str) -> String {
    text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
}
