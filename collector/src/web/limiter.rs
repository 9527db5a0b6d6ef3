//! Slows down whoever guesses passwords. A table of recent failures, bounded: it forgets before it grows.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::time::Timestamp;

/// Failures of one login from one address, within [`WINDOW`], after which further tries are refused unlooked-at.
pub(super) const FAILURES_MAX: u32 = 5;
/// The same for one login from anywhere, and for one address with any login: a whole school may sit behind one
/// address, and nobody should be locked out by a stranger's five guesses.
pub(super) const FAILURES_MAX_SHARED: u32 = 50;
/// How long failures count.
pub(super) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Names and addresses that are remembered. The one that failed longest ago is forgotten first.
const KEYS_MAX: usize = 4_096;
/// Longer keys are cut: a login of a megabyte is no login.
const KEY_CHARS_MAX: usize = 80;

/// Who failed how often, since when.
#[derive(Debug, Default)]
pub(super) struct Limiter(BTreeMap<String, Failures>);

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Limiter {
    /// Whether this key may try, with fewer than `most` failures.
    pub(super) fn may_try(&self, key: &str, most: u32, now: Timestamp) -> bool {
        self.0.get(&cut(key)).is_none_or(|failures| failures.count < most || now.since(failures.last) >= WINDOW)
    }

    /// It tried and failed.
    pub(super) fn failed(&mut self, key: &str, now: Timestamp) {
        if self.0.len() >= KEYS_MAX {
            self.forget(now);
        }
        let failures = self.0.entry(cut(key)).or_insert(Failures { count: 0, last: now });
        if now.since(failures.last) >= WINDOW {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// It tried and succeeded.
    pub(super) fn succeeded(&mut self, key: &str) {
        self.0.remove(&cut(key));
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, failures| now.since(failures.last) < WINDOW);
        while self.0.len() >= KEYS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.0.remove(&oldest);
        }
    }
}

fn cut(key: &str) -> String {
    key.chars().take(KEY_CHARS_MAX).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_stopped_and_waiting_helps() {
        let mut limiter = Limiter::default();
        let now = Timestamp(1_000_000);
        for _ in 0..FAILURES_MAX {
            assert!(limiter.may_try("Rivera", FAILURES_MAX, now));
            limiter.failed("rivera", now);
        }
        assert!(!limiter.may_try("RIVERA", FAILURES_MAX, now));
        assert!(limiter.may_try("chen", FAILURES_MAX, now));
        assert!(limiter.may_try("rivera", FAILURES_MAX, now + WINDOW));
        limiter.failed("rivera", now + WINDOW);
        assert!(limiter.may_try("rivera", FAILURES_MAX, now + WINDOW));
    }

    #[test]
    fn a_success_wipes_the_slate() {
        let mut limiter = Limiter::default();
        for _ in 0..FAILURES_MAX {
            limiter.failed("rivera", Timestamp(0));
        }
        limiter.succeeded("rivera");
        assert!(limiter.may_try("rivera", FAILURES_MAX, Timestamp(0)));
    }

    #[test]
    fn a_flood_of_names_does_not_grow_the_table() {
        let mut limiter = Limiter::default();
        for n in 0..KEYS_MAX + 100 {
            limiter.failed(&format!("{n}"), Timestamp(i64::try_from(n).unwrap()));
        }
        assert_eq!(limiter.0.len(), KEYS_MAX);
    }
}
