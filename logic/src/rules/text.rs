//! Titles and evidence: a plain sentence with `{placeholders}`, each with the unit in which a person reads it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Flaw, quoted};
use crate::device::words;
use crate::span::plain;

words! {
    /// How a number is written for people.
    Unit, "unit" {
        /// As it is, at most two decimals.
        Number = "number",
        /// Without decimals.
        Whole = "whole",
        /// With a percent sign.
        Percent = "percent",
        /// In KB, MB, GB or TB of a thousand each, as disks are sold.
        Bytes = "bytes",
        /// In its largest unit alone.
        Seconds = "seconds",
        /// Milliseconds.
        Milliseconds = "ms",
        /// Degrees Celsius.
        Celsius = "celsius",
    }
}

/// What stands in for a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Written as it is.
    Text(String),
    /// Written in the placeholder's unit.
    Number(f64),
}

/// A sentence with placeholders: `{name}` or `{name:unit}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Placeholder { name: String, unit: Unit },
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(start);
            let inside = braced.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let Some((inside, after)) = inside else {
                return Err(format!("`{text}` has a brace without its partner"));
            };
            parts.push(Part::Plain(before.to_string()));
            parts.push(placeholder(inside)?);
            rest = after;
        }
        parts.push(Part::Plain(rest.to_string()));
        Ok(Self { text, parts })
    }
}

fn placeholder(inside: &str) -> Result<Part, String> {
    let (name, unit) = inside.split_once(':').unwrap_or((inside, "number"));
    let unit = unit.parse().map_err(|error: crate::device::UnknownWord| error.to_string())?;
    if name.is_empty() || name.contains('{') {
        return Err(format!("`{{{inside}}}` is no placeholder: expected a name, such as `{{device}}`"));
    }
    Ok(Part::Placeholder { name: name.to_string(), unit })
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl Template {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder { name, .. } => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// The sentence; a placeholder that nothing is known of reads `?`.
    #[must_use]
    pub fn render(&self, lookup: impl Fn(&str) -> Option<Shown>) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) => text.clone(),
                Part::Placeholder { name, unit } => match lookup(name) {
                    Some(Shown::Text(text)) => text,
                    Some(Shown::Number(number)) => unit.write(number),
                    None => "?".to_string(),
                },
            })
            .collect()
    }

    pub(super) fn find_flaw(&self, key: &'static str, known: &BTreeSet<&str>) -> Option<Flaw> {
        if self.text.trim().is_empty() {
            return Some(Flaw::new(key, "empty", "a sentence"));
        }
        let unknown = self.placeholders().find(|name| !known.contains(name))?;
        let names: Vec<&str> = known.iter().copied().collect();
        let expected = format!("only placeholders among {}", names.join(", "));
        Some(Flaw::new(key, format!("{} with the unknown placeholder `{{{unknown}}}`", quoted(&self.text)), expected))
    }
}

impl Unit {
    /// A number as a person reads it.
    #[must_use]
    pub fn write(self, number: f64) -> String {
        match self {
            Self::Number => trimmed(number, 2),
            Self::Whole => trimmed(number, 0),
            Self::Percent => format!("{}%", trimmed(number, 1)),
            Self::Bytes => bytes(number),
            Self::Seconds => plain(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX)),
            Self::Milliseconds => format!("{} ms", trimmed(number, 1)),
            Self::Celsius => format!("{} °C", trimmed(number, 1)),
        }
    }
}

fn bytes(number: f64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
    UNITS.iter().find(|(_, size)| number.abs() >= *size).map_or_else(
        || match trimmed(number, 0).as_str() {
            "1" => "1 byte".to_string(),
            count => format!("{count} bytes"),
        },
        |(name, size)| format!("{} {name}", trimmed(number / size, 1)),
    )
}

/// With at most so many decimals, and no zeros at the end of them.
fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}
