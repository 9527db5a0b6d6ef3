//! A reading, as it travels from a source to the stores.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A name that is mostly known when the program is built.
pub type Name = Cow<'static, str>;

/// One row of a measurement: what was read, of what, when.
///
/// Names, tags, fields and units are Telegraf's wherever Telegraf has the thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The measurement, such as `cpu`.
    pub measurement: Name,
    /// Sorted by key, without empty values and without the identity tags, which ingest alone stamps.
    pub tags: Vec<(Name, String)>,
    /// The target that was looked at; empty for the device itself.
    pub target: String,
    /// When it was read.
    pub time: Timestamp,
    /// What was read.
    pub fields: Vec<(Name, Value)>,
}

/// The value of one field. A field keeps its type for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Finite; quantised at the source.
    Float(f64),
    /// Counters and sizes.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A word from a closed list, or a version: never free text of a person.
    Text(String),
}

impl Value {
    /// As a number for a rule to compare: booleans are 0 and 1, text is none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rules compare against limits far below 2^53")]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Integer(value) => Some(*value as f64),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Text(_) => None,
        }
    }
}
