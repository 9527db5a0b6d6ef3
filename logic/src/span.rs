//! Lengths of time as people write them in rules and settings: `30s`, `5m`, `2h`, `14d`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time that is written as a whole number and one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// Nothing that Bellwether waits for takes longer; a longer span is a slip of the pen.
pub const SPAN_MAX: Duration = Duration::from_secs(3660 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// The units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", DAY * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

impl Span {
    /// A span of so many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of so many minutes.
    #[must_use]
    pub const fn from_mins(minutes: u64) -> Self {
        Self::from_secs(minutes * 60)
    }

    /// A span of so many days.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * DAY)
    }

    /// Whether it lasts no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// A text that is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length of time: expected a whole number and one of ms, s, m, h, d, such as `5m`")]
pub struct SpanError(pub String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.to_string());
        let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| error())?;
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let span = Duration::from_millis(number.checked_mul(*unit_ms).ok_or_else(error)?);
        if span > SPAN_MAX {
            return Err(error());
        }
        Ok(Self(span))
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return f.write_str("0s");
        }
        let (unit, unit_ms) = UNITS.iter().find(|(_, unit_ms)| ms.is_multiple_of(*unit_ms)).unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", ms / unit_ms)
    }
}

/// Which time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passing {
    /// All of it.
    #[default]
    Clock,
    /// School time at the device's building.
    School,
}

/// How long something must last, written as a [`Span`], or as one with the word `school` behind: then only school time
/// counts, so that `30m school` from ten minutes before the end of Friday is up twenty minutes into Monday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stretch {
    /// How long.
    pub span: Duration,
    /// Of which time.
    pub passing: Passing,
}

/// A text that is no stretch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StretchError {
    /// Its length is none.
    #[error(transparent)]
    Span(#[from] SpanError),
    /// Days of school differ in length.
    #[error(
        "`{0}` is no length of school time: expected hours, minutes or seconds, such as `30m school`, because school days differ in length"
    )]
    Days(String),
}

impl FromStr for Stretch {
    type Err = StretchError;

    fn from_str(text: &str) -> Result<Self, StretchError> {
        let Some(length) = text.strip_suffix(" school") else {
            return Ok(Self { span: text.parse::<Span>()?.0, passing: Passing::Clock });
        };
        if length.ends_with('d') {
            return Err(StretchError::Days(text.to_string()));
        }
        Ok(Self { span: length.parse::<Span>()?.0, passing: Passing::School })
    }
}

impl TryFrom<String> for Stretch {
    type Error = StretchError;

    fn try_from(text: String) -> Result<Self, StretchError> {
        text.parse()
    }
}

impl From<Stretch> for String {
    fn from(stretch: Stretch) -> Self {
        stretch.to_string()
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.passing {
            Passing::Clock => Span(self.span).fmt(f),
            Passing::School => {
                // Not in days, which are refused.
                let ms = u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX);
                let units = &UNITS[1..];
                let (unit, unit_ms) = units.iter().find(|(_, unit)| ms.is_multiple_of(*unit)).unwrap_or(&("ms", 1));
                write!(f, "{}{unit} school", ms / unit_ms)
            }
        }
    }
}

/// A length of time for a person to read, in its largest unit alone: `5 minutes`, `3 days`.
#[must_use]
pub fn plain(span: Duration) -> String {
    const NAMES: [(&str, u64); 4] = [("day", DAY), ("hour", 60 * 60), ("minute", 60), ("second", 1)];
    let seconds = span.as_secs();
    let (name, unit) = NAMES.iter().find(|(_, unit)| seconds >= *unit).unwrap_or(&("second", 1));
    let count = seconds / unit;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_it_was_read() {
        for text in ["0s", "30s", "5m", "2h", "14d", "1500ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("120m".parse::<Span>().unwrap(), "2h".parse::<Span>().unwrap());
    }

    #[test]
    fn what_is_no_span_is_refused_with_what_was_expected() {
        for text in ["", "5", "m", "-5m", "1.5h", "5 m", "5w", "1h30m", "99999999999999999999s", "9999d"] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn school_time_is_written_as_it_was_read_and_never_in_days() {
        for text in ["30m school", "48h school", "5m"] {
            assert_eq!(text.parse::<Stretch>().unwrap().to_string(), text);
        }
        assert_eq!("2h school".parse::<Stretch>().unwrap().passing, Passing::School);
        for text in ["2d school", "30m  school", "school", "30m home", "30mschool"] {
            let error = text.parse::<Stretch>().unwrap_err().to_string();
            assert!(error.contains("such as"), "{error}");
        }
    }

    #[test]
    fn people_read_the_largest_unit() {
        assert_eq!(plain(Duration::from_secs(1)), "1 second");
        assert_eq!(plain(Duration::from_secs(330)), "5 minutes");
        assert_eq!(plain(Duration::from_secs(3 * DAY + 5)), "3 days");
        assert_eq!(plain(Duration::from_millis(3)), "0 seconds");
    }
}
