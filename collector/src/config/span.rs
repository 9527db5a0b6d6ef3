//! Spans of time as people write them: `10s`, `5m`, `7d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads a span; a day is 24 hours, since nothing here follows a calendar.
///
/// # Errors
/// When it is not a span, with what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no span of time: expected one such as 10s, 5m or 7d");
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(expected)
}

/// The same, for a setting.
///
/// # Errors
/// When it is not a span.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

/// A span for a message: the largest unit that says it in a whole number.
#[must_use]
pub fn plain(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        _ if seconds >= 86_400 && seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        _ if seconds >= 3_600 && seconds % 3_600 == 0 => (seconds / 3_600, "hour"),
        _ if seconds >= 60 && seconds % 60 == 0 => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert!(parse("-3s").is_err());
        assert!(parse("soon").is_err());
        assert_eq!(plain(Duration::from_secs(604_800)), "7 days");
        assert_eq!(plain(Duration::from_secs(61)), "61 seconds");
        assert_eq!(plain(Duration::from_secs(60)), "1 minute");
    }
}
