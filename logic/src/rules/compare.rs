//! Comparisons of one field with one limit.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::sample::{Sample, Value};

/// One field against one limit: `{ field = "used_percent", above = 90 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Comparison {
    /// The field's name.
    pub field: String,
    /// What must be true of it.
    pub test: Test,
}

/// What must be true of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// Exactly this.
    Is(Operand),
    /// Anything but this.
    IsNot(Operand),
    /// At least one of these bits.
    AnyBit(u64),
    /// None of these bits.
    NoBit(u64),
}

/// What a field is compared with for equality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Operand {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is: Option<Operand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_not: Option<Operand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any_bit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_bit: Option<u64>,
}

impl TryFrom<Raw> for Comparison {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let limit = |limit: f64, test: fn(f64) -> Test| limit.is_finite().then(|| test(limit));
        let mask = |bits: u64, test: fn(u64) -> Test| (bits != 0).then(|| test(bits));
        let given = [
            raw.above.map(|above| limit(above, Test::Above)),
            raw.below.map(|below| limit(below, Test::Below)),
            raw.is.map(|operand| Some(Test::Is(operand))),
            raw.is_not.map(|operand| Some(Test::IsNot(operand))),
            raw.any_bit.map(|bits| mask(bits, Test::AnyBit)),
            raw.no_bit.map(|bits| mask(bits, Test::NoBit)),
        ];
        let mut given = given.into_iter().flatten();
        let test = match (given.next(), given.next()) {
            (Some(Some(test)), None) => test,
            _ => {
                return Err(format!(
                    "the comparison of `{}` needs exactly one of `above`, `below` (a finite number), `is`, `is_not`, \
                     `any_bit` and `no_bit` (a number with a bit set)",
                    raw.field
                ));
            }
        };
        Ok(Self { field: raw.field, test })
    }
}

impl From<Comparison> for Raw {
    fn from(comparison: Comparison) -> Self {
        let mut raw = Self {
            field: comparison.field,
            above: None,
            below: None,
            is: None,
            is_not: None,
            any_bit: None,
            no_bit: None,
        };
        match comparison.test {
            Test::Above(limit) => raw.above = Some(limit),
            Test::Below(limit) => raw.below = Some(limit),
            Test::Is(operand) => raw.is = Some(operand),
            Test::IsNot(operand) => raw.is_not = Some(operand),
            Test::AnyBit(bits) => raw.any_bit = Some(bits),
            Test::NoBit(bits) => raw.no_bit = Some(bits),
        }
        raw
    }
}

impl Comparison {
    /// Whether it holds for a sample; nothing if the sample lacks the field or has it in another type.
    #[must_use]
    pub fn holds(&self, sample: &Sample) -> Option<bool> {
        let (_, value) = sample.fields.iter().find(|(name, _)| *name == self.field)?;
        match &self.test {
            Test::Above(limit) => number(value).map(|number| number > *limit),
            Test::Below(limit) => number(value).map(|number| number < *limit),
            Test::Is(operand) => is(value, operand),
            Test::IsNot(operand) => is(value, operand).map(|is| !is),
            Test::AnyBit(bits) => bits_of(value).map(|found| found & bits != 0),
            Test::NoBit(bits) => bits_of(value).map(|found| found & bits == 0),
        }
    }

    /// Whether `new` is worse than `old`: further beyond the limit. A state is never worse than itself.
    #[must_use]
    pub fn is_worse(&self, new: f64, old: f64) -> bool {
        match self.test {
            Test::Above(_) => new > old,
            Test::Below(_) => new < old,
            Test::Is(_) | Test::IsNot(_) | Test::AnyBit(_) | Test::NoBit(_) => false,
        }
    }

    /// Whether no value can satisfy both, with room between them.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        self.field == other.field
            && match (&self.test, &other.test) {
                (Test::Above(low), Test::Below(high)) | (Test::Below(high), Test::Above(low)) => low > high,
                (Test::Above(low), Test::Is(Operand::Number(point)))
                | (Test::Is(Operand::Number(point)), Test::Above(low)) => point < low,
                (Test::Below(high), Test::Is(Operand::Number(point)))
                | (Test::Is(Operand::Number(point)), Test::Below(high)) => point > high,
                (Test::Is(one), Test::Is(other)) => one != other,
                (Test::Is(one), Test::IsNot(other)) | (Test::IsNot(other), Test::Is(one)) => one == other,
                (Test::AnyBit(some), Test::NoBit(none)) | (Test::NoBit(none), Test::AnyBit(some)) => some & !none == 0,
                _ => false,
            }
    }

    /// Whether no value can satisfy both.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        self.is_apart_from(other)
            || self.field == other.field
                && match (&self.test, &other.test) {
                    (Test::Above(low), Test::Below(high)) | (Test::Below(high), Test::Above(low)) => low >= high,
                    _ => false,
                }
    }
}

impl core::fmt::Display for Comparison {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let field = &self.field;
        match &self.test {
            Test::Above(limit) => write!(f, "{field} above {limit}"),
            Test::Below(limit) => write!(f, "{field} below {limit}"),
            Test::Is(operand) => write!(f, "{field} is {operand}"),
            Test::IsNot(operand) => write!(f, "{field} is not {operand}"),
            Test::AnyBit(bits) => write!(f, "{field} with a bit of {bits}"),
            Test::NoBit(bits) => write!(f, "{field} without the bits of {bits}"),
        }
    }
}

impl core::fmt::Display for Operand {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Boolean(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(word) => write!(f, "`{word}`"),
        }
    }
}

/// Whether a value is this; nothing if it is of another type.
fn is(value: &Value, operand: &Operand) -> Option<bool> {
    match (operand, value) {
        (Operand::Text(word), Value::Text(text)) => Some(text == word),
        (Operand::Number(wanted), value) => number(value).map(|found| equal(found, *wanted)),
        (Operand::Boolean(flag), Value::Boolean(found)) => Some(found == flag),
        _ => None,
    }
}

/// A list of comparisons for a message.
pub(super) fn listed(comparisons: &[Comparison]) -> String {
    if comparisons.is_empty() {
        return "empty".to_string();
    }
    let texts: alloc::vec::Vec<String> = comparisons.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}

/// A value as a number that can be compared; what is not finite says nothing.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_number().filter(|number| number.is_finite())
}

/// A value as bits: what is no whole number, or negative, has none.
fn bits_of(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

#[expect(clippy::float_cmp, reason = "a state that is sent as a number is compared with the same number")]
fn equal(found: f64, wanted: f64) -> bool {
    found == wanted
}
