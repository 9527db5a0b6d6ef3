//! What is written: a point, and the kinds of value that its fields may have.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One row of one stream as a writer hands it over. It borrows where it can: applying a point that
/// belongs to a known stream copies no text.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// The measurement, such as `cpu`.
    pub measurement: Cow<'a, str>,
    /// Sorted by key, each key once, no empty value. [`Store::check`](crate::Store::check) refuses others.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// At least one; each name once.
    pub fields: Vec<(Cow<'a, str>, FieldValue)>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Finite: a point with NaN or an infinity is refused.
    Float(f64),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer, for counters above `i64::MAX`.
    Unsigned(u64),
    /// True or false.
    Boolean(bool),
    /// Text.
    Text(Arc<str>),
}

impl FieldValue {
    /// The kind that the column of this value has.
    #[must_use]
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Float(_) => FieldKind::Float,
            Self::Integer(_) => FieldKind::Integer,
            Self::Unsigned(_) => FieldKind::Unsigned,
            Self::Boolean(_) => FieldKind::Boolean,
            Self::Text(_) => FieldKind::Text,
        }
    }
}

/// The type of a field. It never changes once the first value was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// 64-bit floating point.
    Float,
    /// 64-bit signed.
    Integer,
    /// 64-bit unsigned.
    Unsigned,
    /// True or false.
    Boolean,
    /// Text; InfluxDB calls it string.
    Text,
}

impl FieldKind {
    /// The number that stands for this kind on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Float => 0,
            Self::Integer => 1,
            Self::Unsigned => 2,
            Self::Boolean => 3,
            Self::Text => 4,
        }
    }

    /// The kind of a number read from disk.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Float,
            1 => Self::Integer,
            2 => Self::Unsigned,
            3 => Self::Boolean,
            4 => Self::Text,
            _ => return None,
        })
    }

    /// True for the kinds that can be added up.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Float | Self::Integer | Self::Unsigned)
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::Boolean => "boolean",
            Self::Text => "string",
        })
    }
}
