//! Clocks: this machine's beside the collector's, and the times of certificates.

use bellwether_logic::time::Timestamp;

use super::{Finding, apart};
use crate::tls::Validity;

/// No released version ran before: a clock that stands earlier was never set. 2026-01-01.
const RELEASED_MS: i64 = 1_767_225_600_000;

/// The collector corrects what is more off than this (`ARCHITECTURE.md`).
const CORRECTED_MS: u64 = 2_000;

/// Enrolment refuses what is more off than this.
const REFUSED_MS: u64 = 300_000;

/// A certificate renews itself well before: one that is nearer to its end did not.
const RENEWED_BEFORE_MS: i64 = 5 * 86_400_000;

/// How to set a clock.
const SET_CLOCK: &str = "let the machine set its clock (`timedatectl set-ntp true`), and look at its battery";

/// Whether the clock can be right at all.
pub(super) fn plausible(now: Timestamp) -> Finding {
    if now.0 < RELEASED_MS {
        Finding::bad("clock", "it stands before this program was made", SET_CLOCK)
    } else {
        Finding::good("clock", "it stands after this program was made")
    }
}

/// This machine's clock beside the collector's, which tells whole seconds.
pub(super) fn beside(ours: Timestamp, collector: Timestamp) -> Finding {
    let direction = if ours.0 < collector.0 { "behind" } else { "ahead of" };
    let seen = format!("{} {direction} the collector's", apart(ours, collector));
    match ours.0.abs_diff(collector.0) {
        off if off <= CORRECTED_MS => Finding::good("clock", "within 2 s of the collector's"),
        off if off <= REFUSED_MS => Finding::notice("clock", format!("{seen}; the collector corrects it"), SET_CLOCK),
        _ => Finding::bad("clock", format!("{seen}; no machine is enrolled so"), SET_CLOCK),
    }
}

/// The agent's own certificate.
pub(super) fn own(validity: Validity, now: Timestamp) -> Finding {
    let about = "certificate";
    if now.0 > validity.until.0 {
        let seen = format!("this agent's ended {} ago by this machine's clock", apart(now, validity.until));
        let remedy = "if the clock is right: start the agent, which renews it if the collector still allows that, \
                      or enrol again with --again";
        return Finding::bad(about, seen, remedy);
    }
    if now.0 < validity.from.0 {
        let seen = format!("this agent's begins only in {} by this machine's clock", apart(now, validity.from));
        return Finding::bad(about, seen, SET_CLOCK);
    }
    let left = format!("this agent's is valid for {} more", apart(validity.until, now));
    if validity.until.0 - now.0 < RENEWED_BEFORE_MS {
        let remedy = "it should have renewed itself: is the agent running, and does it reach the collector?";
        return Finding::notice(about, left, remedy);
    }
    Finding::good(about, left)
}

/// The date of an HTTP answer: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let clock: Vec<i64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    let days = days_since_1970(year.parse().ok()?, i64::try_from(month).ok()?, day.parse().ok()?)?;
    Some(Timestamp((days * 86_400 + hours * 3_600 + minutes * 60 + seconds) * 1_000))
}

/// Counts in years that begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..10_000).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719_468 days lie between the first of March of the year 0 and 1970.
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const NOON: Timestamp = Timestamp(1_790_000_000_000);

    const fn days(count: i64) -> i64 {
        count * 86_400_000
    }

    #[test]
    fn a_clock_is_held_against_the_collectors() {
        let at = |off_ms: i64| beside(Timestamp(NOON.0 + off_ms), NOON);
        assert_eq!(at(1_900).verdict, Verdict::Good);
        assert_eq!(at(-90_000).verdict, Verdict::Notice);
        assert!(at(-90_000).seen.starts_with("90 s behind the collector's"));
        assert_eq!(at(days(3)).verdict, Verdict::Bad);
        assert!(at(days(3)).to_string().contains("3 days ahead of the collector's"));
    }

    #[test]
    fn a_clock_that_was_never_set_is_seen_without_a_collector() {
        assert_eq!(plausible(Timestamp(0)).verdict, Verdict::Bad);
        assert_eq!(plausible(NOON).verdict, Verdict::Good);
    }

    #[test]
    fn a_certificate_is_good_late_ended_or_not_yet_begun() {
        let validity = Validity { from: Timestamp(NOON.0 - days(20)), until: Timestamp(NOON.0 + days(10)) };
        let at = |day: i64| own(validity, Timestamp(NOON.0 + days(day)));
        assert_eq!(at(0).verdict, Verdict::Good);
        assert_eq!(at(8).verdict, Verdict::Notice);
        assert_eq!(at(11).verdict, Verdict::Bad);
        assert!(at(11).to_string().contains("--again"));
        assert_eq!(at(-30).verdict, Verdict::Bad);
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp(784_111_777_000)));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(Timestamp(1_709_164_800_000)));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:01 GMT"), Some(Timestamp(1_000)));
        for bad in ["", "yesterday", "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "a, b Nov c d GMT"]
        {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
