//! How a measurement is declared: once, as data, beside the code that reads it.
//!
//! The agent sends nothing and the collector takes nothing from an agent that is not declared; the public page of
//! what is collected is made from the same declarations.

use bellwether_logic::sample::{Sample, Value};

/// A measurement: what is read, with which tags and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Telegraf's name wherever Telegraf has the thing.
    pub name: &'static str,
    /// What tells one row from another, sorted. Identity tags are not named: ingest adds them to all.
    pub tags: &'static [&'static str],
    /// What is read, sorted by name.
    pub fields: &'static [Field],
    /// How personal it is.
    pub privacy: Privacy,
    /// A sentence for the page of what is collected.
    pub description: &'static str,
}

/// One field of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Telegraf's name wherever Telegraf has the thing.
    pub name: &'static str,
    /// A field keeps its type for ever.
    pub kind: FieldKind,
    /// The unit, as a word: `percent`, `bytes`, `ms`; empty for a plain count or a word.
    pub unit: &'static str,
    /// A sentence.
    pub description: &'static str,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A finite float.
    Float,
    /// A signed integer.
    Integer,
    /// Yes or no.
    Boolean,
    /// A word.
    Text,
}

/// How personal a measurement can be, which decides how long it is kept and what leaves a device off site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// The health of a thing: kept as long as anything.
    Health,
    /// On a personal device it hints at when somebody worked: daily values only after 30 days.
    Activity,
    /// What the device is.
    Inventory,
    /// About Bellwether itself.
    Own,
}

impl Privacy {
    /// The word on pages and in `bellwether-agent show`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Activity => "activity",
            Self::Inventory => "inventory",
            Self::Own => "own",
        }
    }
}

impl FieldKind {
    /// Whether `value` is of this type.
    #[must_use]
    pub const fn fits(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::Float, Value::Float(_))
                | (Self::Integer, Value::Integer(_))
                | (Self::Boolean, Value::Boolean(_))
                | (Self::Text, Value::Text(_))
        )
    }
}

/// Why a sample is not what its measurement declares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undeclared {
    /// No such measurement.
    #[error("measurement `{0}` is not declared")]
    Measurement(String),
    /// No such tag.
    #[error("tag `{tag}` of `{measurement}` is not declared")]
    Tag {
        /// The measurement.
        measurement: String,
        /// The tag.
        tag: String,
    },
    /// No such field, or of another type.
    #[error("field `{field}` of `{measurement}` is not declared as {found}")]
    Field {
        /// The measurement.
        measurement: String,
        /// The field.
        field: String,
        /// The type of the value that came.
        found: &'static str,
    },
}

/// Says whether `sample` is as one of `declared` says.
///
/// # Errors
/// The first part of it that is not declared.
pub fn check(declared: &[&Measurement], sample: &Sample) -> Result<(), Undeclared> {
    let name = sample.measurement.as_ref();
    let measurement =
        declared.iter().find(|known| known.name == name).ok_or_else(|| Undeclared::Measurement(name.to_owned()))?;
    for (tag, _) in &sample.tags {
        if !measurement.tags.contains(&tag.as_ref()) {
            return Err(Undeclared::Tag { measurement: name.to_owned(), tag: tag.to_string() });
        }
    }
    for (field, value) in &sample.fields {
        if !measurement.fields.iter().any(|known| known.name == field && known.kind.fits(value)) {
            return Err(Undeclared::Field {
                measurement: name.to_owned(),
                field: field.to_string(),
                found: kind_of(value),
            });
        }
    }
    Ok(())
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Float(_) => "float",
        Value::Integer(_) => "integer",
        Value::Boolean(_) => "boolean",
        Value::Text(_) => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;

    const LAMP: Measurement = Measurement {
        name: "lamp",
        tags: &["bulb"],
        fields: &[Field { name: "hours", kind: FieldKind::Integer, unit: "h", description: "Hours burnt." }],
        privacy: Privacy::Health,
        description: "A lamp.",
    };

    fn sample(measurement: &'static str, tag: &'static str, field: &'static str, value: Value) -> Sample {
        Sample {
            measurement: measurement.into(),
            tags: vec![(tag.into(), "1".into())],
            target: String::new(),
            time: Timestamp(0),
            fields: vec![(field.into(), value)],
        }
    }

    #[test]
    fn only_what_is_declared_passes() {
        assert_eq!(check(&[&LAMP], &sample("lamp", "bulb", "hours", Value::Integer(1))), Ok(()));
        for (sample, sentence) in [
            (sample("user", "bulb", "hours", Value::Integer(1)), "measurement `user` is not declared"),
            (sample("lamp", "owner", "hours", Value::Integer(1)), "tag `owner` of `lamp` is not declared"),
            (sample("lamp", "bulb", "title", Value::Integer(1)), "field `title` of `lamp` is not declared as integer"),
            (sample("lamp", "bulb", "hours", Value::Float(1.0)), "field `hours` of `lamp` is not declared as float"),
        ] {
            assert_eq!(check(&[&LAMP], &sample).unwrap_err().to_string(), sentence);
        }
    }
}
