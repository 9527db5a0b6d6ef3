//! Since when each update has been known to wait, where the package manager tells no dates: a file of the state folder,
//! so that a machine that is switched off each night does not begin anew each morning. It never leaves the machine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;

use bellwether_logic::time::Timestamp;

use crate::gather::Gather;
use crate::host::Host;
use crate::privacy::day;
use crate::state::replace_file;

/// In the state folder: a line for each update that waits, `DAY PACKAGE INSTALLED`, the day counted from 1970.
const FILE: &str = "updates-waiting";

/// More packages than a machine has that nobody updated for a year.
const MAX_PACKAGES: usize = 8_192;

const DAY_S: i64 = 86_400;

/// Notes what waits, each package with its installed version, and returns since when the oldest is known to, in seconds
/// since 1970: none if nothing waits, or where nothing can be kept.
///
/// The installed version is the key, not the one that would replace it: a package that never gets older than last week's
/// update because there is a new one each week waits all the same.
pub(super) fn note(host: &Host, waiting: &[(&str, &str)], now: Timestamp) -> Option<i64> {
    let path = host.state()?.join(FILE);
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(_) => return None,
    };
    let known: BTreeMap<(&str, &str), i64> = old.lines().filter_map(entry).take(MAX_PACKAGES).gather();
    let today = day(now);
    // A clock that was ahead once must not make an update young for ever.
    let since = |key| known.get(key).map_or(today, |first: &i64| *first).min(today);
    let seen: BTreeMap<&(&str, &str), i64> =
        waiting.iter().take(MAX_PACKAGES).map(|update| (update, since(update))).gather();
    let mut text = String::new();
    for ((package, installed), first) in &seen {
        let _ = writeln!(text, "{first} {package} {installed}");
    }
    if text != old
        && let Err(error) = replace_file(&path, text.as_bytes(), true)
    {
        tracing::debug!(%error, "since when updates wait can't be kept");
        return None;
    }
    seen.values().min().map(|first| first * DAY_S)
}

fn entry(line: &str) -> Option<((&str, &str), i64)> {
    let mut words = line.splitn(3, ' ');
    let first = words.next()?.parse().ok()?;
    Some(((words.next()?, words.next()?), first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn an_update_waits_from_the_day_it_was_first_seen_until_it_is_installed() {
        let state = tempfile::tempdir().unwrap();
        let host = Host::at("/nonexistent").remembering(state.path());
        let note = |waiting: &[(&str, &str)], day: i64| note(&host, waiting, Timestamp(day * DAY_MS + 5));
        assert_eq!(note(&[("zip", "3.0-1")], 100), Some(100 * DAY_S));
        assert_eq!(note(&[("vim", "9.0"), ("zip", "3.0-1")], 107), Some(100 * DAY_S));
        assert_eq!(
            note(&[("vim", "9.0"), ("zip", "3.0-2")], 110),
            Some(107 * DAY_S),
            "zip was updated, and waits anew"
        );
        assert_eq!(note(&[], 111), None);
        assert_eq!(note(&[("vim", "9.0")], 112), Some(112 * DAY_S));
        assert_eq!(note(&[("vim", "9.0")], 50), Some(50 * DAY_S), "the clock had been ahead");
        assert_eq!(note(&[("vim", "9.0")], 60), Some(50 * DAY_S));
    }

    #[test]
    fn what_can_not_be_kept_is_not_told_and_what_is_damaged_begins_anew() {
        assert_eq!(note(&Host::at("/nonexistent"), &[("zip", "1")], Timestamp(0)), None);
        let gone = Host::at("/nonexistent").remembering("/nonexistent/state");
        assert_eq!(note(&gone, &[("zip", "1")], Timestamp(0)), None);
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), "\u{0}\nx zip 1\n99\n 1 2 3\n7 zip 1\n").unwrap();
        let host = Host::at("/nonexistent").remembering(state.path());
        assert_eq!(note(&host, &[("zip", "1")], Timestamp(9 * DAY_MS)), Some(7 * DAY_S));
    }
}
