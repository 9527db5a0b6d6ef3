//! What is wrong with the collector itself just now: for `/healthz` and for the admin's page.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

/// The parts that are in trouble, with what they say about it. One entry a part, so it never grows.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<&'static str, String>>);

impl Health {
    /// A part can't do its work and tries again.
    pub fn trouble(&self, part: &'static str, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part, why);
    }

    /// A part does its work again.
    pub fn well(&self, part: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// Every part in trouble, and why.
    #[must_use]
    pub fn troubles(&self) -> Vec<(&'static str, String)> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().map(|(part, why)| (*part, why.clone())).collect()
    }
}

/// An error with everything that led to it, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_works_again_is_no_trouble() {
        let health = Health::default();
        health.trouble("engine", "disk full".into());
        assert_eq!(health.troubles(), [("engine", "disk full".to_owned())]);
        health.well("engine");
        assert!(health.troubles().is_empty());
    }
}
