//! Times for people: how long ago, and when by the school's clock.

use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;

/// An instant, ready for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// For machines: UTC.
    pub(super) iso: String,
    /// By the school's clock, such as `Mon, Nov 21, 9:58 PM`.
    pub(super) local: String,
    /// Such as `12 min ago`.
    pub(super) ago: String,
}

impl When {
    /// `at` as seen from `now`.
    pub(super) fn new(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Self {
        let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        let here = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(zone.clone());
        let local = instant.to_zoned(zone.clone());
        let format = if local.year() == here.year() { "%a, %b %-d, %-I:%M %p" } else { "%b %-d, %Y, %-I:%M %p" };
        Self { iso: instant.to_string(), local: local.strftime(format).to_string(), ago: ago(at, now) }
    }
}

/// How long ago that was, in the largest unit that says enough.
fn ago(at: Timestamp, now: Timestamp) -> String {
    if at.0 > now.0.saturating_add(60_000) {
        return format!("in {}", span(at.since(now).as_secs()));
    }
    match now.since(at).as_secs() {
        0..20 => "just now".into(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A span in plain words.
pub(super) fn span(seconds: u64) -> String {
    let plural = |n: u64, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", (seconds + 30) / 60),
        5_400..129_600 => plural((seconds + 1_800) / 3_600, "hour"),
        _ => plural((seconds + 43_200) / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now = Timestamp(1_795_212_000_000);
        let told = |seconds: i64| ago(Timestamp(now.0 - seconds * 1_000), now);
        assert_eq!(told(5), "just now");
        assert_eq!(told(45), "45 s ago");
        assert_eq!(told(725), "12 min ago");
        assert_eq!(told(7_300), "2 hours ago");
        assert_eq!(told(86_400 * 3), "3 days ago");
        assert_eq!(told(-7_200), "in 2 hours");
    }

    #[test]
    fn the_clock_is_the_schools() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let when = When::new(Timestamp(1_795_212_000_000), Timestamp(1_795_212_000_000), &zone);
        assert_eq!(when.local, "Fri, Nov 20, 4:00 PM");
        assert_eq!(when.iso, "2026-11-20T22:00:00Z");
    }
}
