//! What the kinds share that add a field to the samples they look at and judge that.

use super::threshold::Threshold;
use super::{Flaw, quoted};
use crate::sample::{Sample, Value};

/// The sample with one field more.
pub(super) fn with(sample: &Sample, name: &'static str, value: f64) -> Sample {
    let mut sample = sample.clone();
    sample.fields.push((name.into(), Value::Float(value)));
    sample
}

/// A rule that adds a field and does not ask for it is a mistake.
pub(super) fn flaw_of(threshold: &Threshold, added: &'static str) -> Option<Flaw> {
    let names = threshold.open.iter().any(|comparison| comparison.field == added);
    if names {
        return threshold.find_flaw();
    }
    let expected = alloc::format!("a condition on {}", quoted(added));
    Some(Flaw::new("open", alloc::format!("without the field {}", quoted(added)), expected))
}
