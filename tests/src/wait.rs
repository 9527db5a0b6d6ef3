//! Waiting for a state of another process: never for a change, which may have come before anyone looked.

use std::time::{Duration, Instant};

/// Between two looks. Short beside everything that is waited for, long beside a look.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` finds something; panics with `what` and the last thing that was seen once `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => panic!("waited {limit:?} for {what}; last seen: {seen}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Like [`until`], for a plain condition.
pub fn until_true(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    until(what, limit, || look().then_some(()).ok_or_else(|| "no".to_owned()));
}

/// Holds for the whole of `span`, or panics with what was seen instead. How a test says that nothing happens.
pub fn holds(what: &str, span: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Err(seen) = look() {
            panic!("{what} did not hold: {seen}");
        }
        std::thread::sleep(PAUSE);
    }
}
