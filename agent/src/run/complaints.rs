//! What has been logged about the collector: each distinct refusal once, not one line for each attempt.

use std::collections::BTreeSet;
use std::error::Error;

/// More different refusals in a row than make sense; beyond them everything is said again.
const MAX_REMEMBERED: usize = 16;

/// The refusals since the last success.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    said: BTreeSet<String>,
}

impl Complaints {
    /// Whether to log it.
    pub(crate) fn is_new(&mut self, text: &str) -> bool {
        if self.said.len() >= MAX_REMEMBERED {
            self.said.clear();
        }
        self.said.insert(text.to_owned())
    }

    /// The collector is there: whatever happens next is news.
    pub(crate) fn clear(&mut self) {
        self.said.clear();
    }
}

/// An error with all its causes, in one line.
pub fn whole_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat their cause.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_said_once_until_the_collector_is_back() {
        let mut complaints = Complaints::default();
        assert!(complaints.is_new("revoked"));
        assert!(!complaints.is_new("revoked"));
        assert!(complaints.is_new("no answer"));
        assert!(!complaints.is_new("revoked"));
        complaints.clear();
        assert!(complaints.is_new("revoked"));
    }

    #[test]
    fn the_memory_of_complaints_is_bounded() {
        let mut complaints = Complaints::default();
        for number in 0..1_000 {
            complaints.is_new(&number.to_string());
        }
        assert!(complaints.said.len() <= MAX_REMEMBERED);
    }
}
