//! What a rule reads: for tests that hold rules against what sources produce, and for whoever makes up readings.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Check, Comparison};

impl Check {
    /// The measurements that it looks at, with each field that decides; none for silence.
    #[must_use]
    pub fn reads(&self) -> BTreeSet<(&str, &str)> {
        if let Self::AllOf(parts) | Self::AnyOf(parts) = self {
            let read = parts.part.iter().flat_map(|part| {
                let compared = part.open.iter().chain(&part.clear);
                compared.map(|comparison| (part.measurement.as_str(), comparison.field.as_str()))
            });
            return read.collect();
        }
        let Some(threshold) = self.threshold() else { return BTreeSet::new() };
        let compared = threshold.open.iter().chain(&threshold.clear).chain(self.counted());
        let mut fields: Vec<&str> = compared.map(|comparison| comparison.field.as_str()).collect();
        fields.retain(|field| !self.added().contains(field));
        fields.extend(self.followed());
        fields.into_iter().map(|field| (threshold.measurement.as_str(), field)).collect()
    }

    /// What a kind compares besides its threshold.
    fn counted(&self) -> &[Comparison] {
        match self {
            Self::Count(count) => &count.when,
            _ => &[],
        }
    }

    /// What a kind makes its own field of.
    fn followed(&self) -> Vec<&str> {
        match self {
            Self::Change(change) => [change.field.as_str()].into(),
            Self::Forecast(forecast) => [forecast.field.as_str()].into(),
            Self::Rate(rate) => [rate.field.as_str()].into(),
            Self::Ratio(ratio) => [ratio.of.as_str(), ratio.to.as_str()].into(),
            Self::Absence(_) | Self::AllOf(_) | Self::AnyOf(_) | Self::Count(_) | Self::Threshold(_) => Vec::new(),
        }
    }
}
