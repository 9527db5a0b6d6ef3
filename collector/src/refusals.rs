//! What the engine refused of people's acts, on its way back to the page that the person looks at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bellwether_journal::Position;

/// Refusals that nobody has asked for yet, at most: whoever clicked asks within seconds, or has gone away.
const KEPT_MAX: usize = 256;

/// Refusals by the place of the record that was refused.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<Position, String>>);

impl Refusals {
    /// The record at `position` was refused.
    pub fn note(&self, position: Position, because: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(position, because);
        while kept.len() > KEPT_MAX {
            kept.pop_first();
        }
    }

    /// Why the record at `position` was refused, if it was.
    #[must_use]
    pub fn take(&self, position: Position) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_nobody_asks_for_make_room() {
        let refusals = Refusals::default();
        for position in 0..=KEPT_MAX as u64 {
            refusals.note(Position(position), "no".into());
        }
        assert_eq!(refusals.take(Position(0)), None);
        assert_eq!(refusals.take(Position(1)).as_deref(), Some("no"));
        assert_eq!(refusals.take(Position(1)), None);
    }
}
