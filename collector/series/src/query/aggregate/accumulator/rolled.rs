//! Takes in what the points of a roll-up's bucket come to, as if they had come one by one.

use super::{Accumulator, Held, beats, compare, plus};
use crate::point::{FieldKind, FieldValue};
use crate::query::Value;
use crate::query::functions::Function;
use crate::store::{Aspects, Spot, Summary};

/// What a function has to know of a bucket; `None` if it wants every point.
pub(crate) fn aspects(function: Function, kind: FieldKind) -> Option<Aspects> {
    match function {
        Function::Count => Some(Aspects::COUNT),
        Function::First => Some(Aspects::FIRST),
        Function::Last => Some(Aspects::LAST),
        _ if !kind.is_number() => None,
        Function::Sum | Function::Mean => Some(Aspects::SUM),
        Function::Min => Some(Aspects::MIN),
        Function::Max => Some(Aspects::MAX),
        Function::Spread => Some(Aspects::SPREAD),
        _ => None,
    }
}

impl Accumulator {
    /// Takes a bucket in.
    pub(crate) fn take(
        &mut self,
        function: Function,
        stream: u32,
        summary: &Summary,
        neighbours: &dyn Fn(&Spot) -> Vec<Value>,
    ) {
        match self {
            Self::Count(count) => *count += summary.count,
            Self::Sum(sum) => {
                sum.begin(stream);
                sum.current = plus(sum.current.take(), Some(&total(summary)));
            }
            Self::Mean(mean) => {
                mean.begin(stream);
                mean.sum += summary.sum;
                mean.whole += summary.whole;
                mean.count += summary.count;
            }
            Self::Best(best) => {
                let spot = match function {
                    Function::First => &summary.first,
                    Function::Last => &summary.last,
                    Function::Max => &summary.max,
                    _ => &summary.min,
                };
                if best.as_ref().is_none_or(|best| beats(function, spot.time, &spot.value, best)) {
                    *best = Some(Held { time: spot.time, value: spot.value.clone(), neighbours: neighbours(spot) });
                }
            }
            Self::Spread(spread) => {
                let (least, most) = (&summary.min.value, &summary.max.value);
                let (low, high) = spread.take().unwrap_or_else(|| (least.clone(), most.clone()));
                let low = if compare(least, &low).is_lt() { least.clone() } else { low };
                let high = if compare(most, &high).is_gt() { most.clone() } else { high };
                *spread = Some((low, high));
            }
            Self::Hold(_) => {}
        }
    }
}

/// Whole numbers wrap around, as they do when they are added up one by one.
fn total(summary: &Summary) -> FieldValue {
    match summary.last.value.kind() {
        FieldKind::Integer => FieldValue::Integer(summary.whole as i64),
        FieldKind::Unsigned => FieldValue::Unsigned(summary.whole as u64),
        _ => FieldValue::Float(summary.sum),
    }
}
