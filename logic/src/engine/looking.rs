//! Which rules look at a sample, found without a search through all of them: each value of a district passes here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::device::Class;
use crate::rules::{Rule, RuleSet};

/// By class of device and measurement, the rules that look at samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Looking {
    by_class: BTreeMap<Class, BTreeMap<String, Vec<Arc<Rule>>>>,
}

impl Looking {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut looking = Self::default();
        for rule in rules.iter() {
            let shared = Arc::new(rule.clone());
            for measurement in rule.check.measurements() {
                for class in &rule.classes {
                    let of_class = looking.by_class.entry(*class).or_default();
                    of_class.entry(measurement.into()).or_default().push(Arc::clone(&shared));
                }
            }
        }
        looking
    }

    /// Those that look at a measurement of a device of this class, by id.
    pub(super) fn at(&self, class: Class, measurement: &str) -> &[Arc<Rule>] {
        self.by_class.get(&class).and_then(|of_class| of_class.get(measurement)).map_or(&[], Vec::as_slice)
    }
}
