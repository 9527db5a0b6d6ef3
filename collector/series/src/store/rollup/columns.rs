//! What a bucket of one field comes to, and the columns that it takes.
//!
//! Left out of a block, because the reader works them out:
//!
//! - `first`, `min` and `max` where every row's is the `last` value, and their times where every row's is that of `first` or, for
//!   `first`, of `last`;
//! - `sum` where every row's is `last` times `count`: a value that stood still;
//! - the times of `last` where every row's is the bucket's start;
//! - the upper half of whole sums where every one fits 64 bits.

use std::cmp::Ordering;

use crate::chunk::{Chunk, Column, Values};
use crate::point::{FieldKind, FieldValue};

/// Columns of one field; room for more.
const PER_FIELD: u32 = 16;

const COUNT: u32 = 0;
const LAST: u32 = 1;
const LAST_TIME: u32 = 2;
const FIRST: u32 = 3;
const FIRST_TIME: u32 = 4;
const MIN: u32 = 5;
const MIN_TIME: u32 = 6;
const MAX: u32 = 7;
const MAX_TIME: u32 = 8;
const SUM: u32 = 9;
const SUM_HIGH: u32 = 10;

/// Some of the columns of every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aspects(u16);

impl Aspects {
    /// How many points.
    pub(crate) const COUNT: Self = Self(1 << COUNT | 1 << LAST);
    /// What the points add up to, and how many they are.
    pub(crate) const SUM: Self = Self(Self::COUNT.0 | 1 << SUM | 1 << SUM_HIGH);
    pub(crate) const FIRST: Self = Self(Self::COUNT.0 | 1 << FIRST | 1 << FIRST_TIME | 1 << LAST_TIME);
    pub(crate) const LAST: Self = Self(Self::COUNT.0 | 1 << LAST_TIME);
    pub(crate) const MIN: Self = Self(Self::FIRST.0 | 1 << MIN | 1 << MIN_TIME);
    pub(crate) const MAX: Self = Self(Self::FIRST.0 | 1 << MAX | 1 << MAX_TIME);
    /// The least and the greatest value, whenever they were.
    pub(crate) const SPREAD: Self = Self(Self::COUNT.0 | 1 << MIN | 1 << MAX);

    /// Whether the times inside a bucket are asked for.
    pub(crate) const fn timed(self) -> bool {
        self.0 >> LAST_TIME & 1 == 1
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a column of these fields is among them.
    pub(crate) fn want(self, column: u32, fields: &[u32]) -> bool {
        self.0 >> (column % PER_FIELD) & 1 == 1 && fields.contains(&(column / PER_FIELD))
    }
}

/// A point of the bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spot {
    pub(crate) time: i64,
    pub(crate) value: FieldValue,
}

/// What the points of a bucket come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    /// Of floats.
    pub(crate) sum: f64,
    /// Of whole numbers: what a sum of 64 bits wraps around at, a mean does not.
    pub(crate) whole: i128,
    pub(crate) first: Spot,
    pub(crate) last: Spot,
    /// Of numbers; the earliest of the least.
    pub(crate) min: Spot,
    /// Of numbers; the earliest of the greatest.
    pub(crate) max: Spot,
}

impl Summary {
    pub(crate) fn of(time: i64, value: FieldValue) -> Self {
        let spot = Spot { time, value };
        let (sum, whole) = parts(&spot.value);
        Self { count: 1, sum, whole, first: spot.clone(), last: spot.clone(), min: spot.clone(), max: spot }
    }

    /// Takes a later point in.
    pub(crate) fn add(&mut self, time: i64, value: FieldValue) {
        let (sum, whole) = parts(&value);
        self.count += 1;
        self.sum += sum;
        self.whole += whole;
        let spot = Spot { time, value };
        if compare(&spot.value, &self.min.value).is_lt() {
            self.min = spot.clone();
        }
        if compare(&spot.value, &self.max.value).is_gt() {
            self.max = spot.clone();
        }
        self.last = spot;
    }

    /// To be called after the last point: what stood still is not added up in steps, each of which rounds.
    pub(crate) fn finish(mut self) -> Self {
        if let (FieldValue::Float(low), FieldValue::Float(high)) = (&self.min.value, &self.max.value)
            && low.to_bits() == high.to_bits()
        {
            self.sum = stood_still(&self.last.value, self.count).0;
        }
        self
    }
}

impl Summary {
    /// Everything at the start of the bucket.
    pub(super) fn without_times(mut self, start: i64) -> Self {
        for spot in [&mut self.first, &mut self.last, &mut self.min, &mut self.max] {
            spot.time = start;
        }
        self
    }
}

fn parts(value: &FieldValue) -> (f64, i128) {
    match value {
        FieldValue::Float(value) => (*value, 0),
        FieldValue::Integer(value) => (0.0, i128::from(*value)),
        FieldValue::Unsigned(value) => (0.0, i128::from(*value)),
        FieldValue::Boolean(_) | FieldValue::Text(_) => (0.0, 0),
    }
}

fn stood_still(value: &FieldValue, count: u64) -> (f64, i128) {
    let (sum, whole) = parts(value);
    (sum * count as f64, whole * i128::from(count))
}

/// As answers compare; of texts and booleans there is no least.
fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

fn same(a: &FieldValue, b: &FieldValue) -> bool {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// The columns of one field. `times` are the starts of the buckets.
pub(super) fn pack(field: u32, times: &[i64], rows: &[Option<Summary>]) -> Vec<Column> {
    let there: Vec<(usize, i64, &Summary)> =
        rows.iter().enumerate().filter_map(|(row, summary)| Some((row, times[row], summary.as_ref()?))).collect();
    let Some((.., one)) = there.first() else { return Vec::new() };
    let kind = one.last.value.kind();
    let mut columns = Vec::new();
    let mut push = |aspect: u32, kind: FieldKind, needed: bool, value: &dyn Fn(i64, &Summary) -> FieldValue| {
        if needed {
            let mut column = Column::new(field * PER_FIELD + aspect, kind);
            for (row, start, summary) in &there {
                column.put(*row, &value(*start, summary));
            }
            columns.push(column);
        }
    };
    let any = |differs: &dyn Fn(&Summary) -> bool| there.iter().any(|(.., summary)| differs(summary));
    let into = |start: i64, time: i64| FieldValue::Integer(time - start);
    let whole = FieldKind::Integer;
    push(COUNT, whole, true, &|_, summary| FieldValue::Integer(summary.count as i64));
    push(LAST, kind, true, &|_, summary| summary.last.value.clone());
    let last_time = there.iter().any(|(_, start, summary)| summary.last.time != *start);
    push(LAST_TIME, whole, last_time, &|start, summary| into(start, summary.last.time));
    let first = any(&|summary| !same(&summary.first.value, &summary.last.value));
    push(FIRST, kind, first, &|_, summary| summary.first.value.clone());
    let first_time = any(&|summary| summary.first.time != summary.last.time);
    push(FIRST_TIME, whole, first_time, &|start, summary| into(start, summary.first.time));
    if !kind.is_number() {
        return columns;
    }
    push(MIN, kind, any(&|one| !same(&one.min.value, &one.last.value)), &|_, one| one.min.value.clone());
    push(MIN_TIME, whole, any(&|one| one.min.time != one.first.time), &|start, one| into(start, one.min.time));
    push(MAX, kind, any(&|one| !same(&one.max.value, &one.last.value)), &|_, one| one.max.value.clone());
    push(MAX_TIME, whole, any(&|one| one.max.time != one.first.time), &|start, one| into(start, one.max.time));
    let moved = any(&|one| {
        let (sum, whole) = stood_still(&one.last.value, one.count);
        one.whole != whole || one.sum.to_bits() != sum.to_bits()
    });
    if moved {
        pack_sums(field, kind, &there, &mut columns);
    }
    columns
}

/// A sum of floats that is no number any more is a hole.
fn pack_sums(field: u32, kind: FieldKind, there: &[(usize, i64, &Summary)], columns: &mut Vec<Column>) {
    let mut low = Column::new(field * PER_FIELD + SUM, kind);
    let mut high = Column::new(field * PER_FIELD + SUM_HIGH, FieldKind::Integer);
    let needed = there.iter().any(|(.., one)| one.whole != lower_half(kind, one.whole));
    for (row, _, one) in there {
        match kind {
            FieldKind::Float if !one.sum.is_finite() => continue,
            FieldKind::Float => low.put(*row, &FieldValue::Float(one.sum)),
            FieldKind::Unsigned => low.put(*row, &FieldValue::Unsigned(one.whole as u64)),
            _ => low.put(*row, &FieldValue::Integer(one.whole as i64)),
        };
        if needed {
            high.put(*row, &FieldValue::Integer((one.whole >> 64) as i64));
        }
    }
    columns.push(low);
    if needed {
        columns.push(high);
    }
}

/// What 64 bits of a sum are alone.
fn lower_half(kind: FieldKind, whole: i128) -> i128 {
    if kind == FieldKind::Unsigned { i128::from(whole as u64) } else { i128::from(whole as i64) }
}

/// The columns of one field in a block, as summaries. What was not unpacked is not in them: a reader looks at what it
/// asked for.
pub(crate) struct Fields<'a> {
    times: &'a [i64],
    columns: [Option<&'a Column>; PER_FIELD as usize],
}

impl<'a> Fields<'a> {
    /// `None` if the field is in none of the rows.
    pub(crate) fn of(chunk: &'a Chunk, field: u32) -> Option<Self> {
        let mut columns = [None; PER_FIELD as usize];
        for column in chunk.columns.iter().filter(|column| column.field / PER_FIELD == field) {
            columns[(column.field % PER_FIELD) as usize] = Some(column);
        }
        (columns[COUNT as usize].is_some() && columns[LAST as usize].is_some())
            .then_some(Self { times: &chunk.times, columns })
    }

    /// The ids of the fields that a block has.
    pub(super) fn ids(chunk: &Chunk) -> impl Iterator<Item = u32> {
        let counts = chunk.columns.iter().filter(|column| column.field % PER_FIELD == COUNT);
        counts.map(|column| column.field / PER_FIELD)
    }

    pub(crate) fn at(&self, row: usize) -> Option<Summary> {
        let count = self.whole(COUNT, row)? as u64;
        let last = self.value(LAST, row)?;
        let start = self.times[row];
        let time = |aspect: u32| self.whole(aspect, row).map(|into| start.saturating_add(into));
        let value = |aspect: u32| self.value(aspect, row).unwrap_or_else(|| last.clone());
        let last_time = time(LAST_TIME).unwrap_or(start);
        let first_time = time(FIRST_TIME).unwrap_or(last_time);
        let spot = |aspect: u32, aspect_time: u32, other: i64| Spot {
            time: time(aspect_time).unwrap_or(other),
            value: value(aspect),
        };
        let (sum, whole) = self.sums(row, &last, count);
        Some(Summary {
            count,
            sum,
            whole,
            first: Spot { time: first_time, value: value(FIRST) },
            min: spot(MIN, MIN_TIME, first_time),
            max: spot(MAX, MAX_TIME, first_time),
            last: Spot { time: last_time, value: last },
        })
    }

    fn sums(&self, row: usize, last: &FieldValue, count: u64) -> (f64, i128) {
        if self.columns[SUM as usize].is_none() {
            return stood_still(last, count);
        }
        let high = self.whole(SUM_HIGH, row).map(i128::from);
        match self.value(SUM, row) {
            Some(FieldValue::Float(sum)) => (sum, 0),
            Some(FieldValue::Integer(low)) => {
                (0.0, high.map_or(i128::from(low), |high| high << 64 | i128::from(low as u64)))
            }
            Some(FieldValue::Unsigned(low)) => (0.0, high.unwrap_or(0) << 64 | i128::from(low)),
            _ => (f64::NAN, 0),
        }
    }

    fn value(&self, aspect: u32, row: usize) -> Option<FieldValue> {
        self.columns[aspect as usize]?.get(row)
    }

    fn whole(&self, aspect: u32, row: usize) -> Option<i64> {
        let column = self.columns[aspect as usize]?;
        match &column.values {
            Values::Integer(values) if column.has(row) => values.get(row).copied(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Vec<FieldValue>> {
        let number = prop_oneof![Just(0i64), Just(i64::MAX), Just(i64::MIN), any::<i64>(), -3..3i64];
        let float = prop_oneof![Just(0.1), Just(-0.0), Just(1e308), -1e6..1e6f64];
        prop_oneof![
            prop::collection::vec(number.clone().prop_map(FieldValue::Integer), 1..8),
            prop::collection::vec(number.prop_map(|value| FieldValue::Unsigned(value as u64)), 1..8),
            prop::collection::vec(float.prop_map(FieldValue::Float), 1..8),
            prop::collection::vec(any::<bool>().prop_map(FieldValue::Boolean), 1..8),
            prop::collection::vec("[ab]{0,2}".prop_map(|text| FieldValue::Text(text.as_str().into())), 1..8),
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back_whole(values in value(), hole in any::<bool>()) {
            let mut summaries: Vec<Option<Summary>> = Vec::new();
            let mut times = Vec::new();
            for start in 0..3i64 {
                let mut points = values.iter().take(values.len() - start as usize % values.len()).enumerate();
                let (_, value) = points.next().unwrap();
                let mut summary = Summary::of(start * 100, value.clone());
                points.for_each(|(at, value)| summary.add(start * 100 + at as i64, value.clone()));
                summaries.push((start != 1 || !hole).then(|| summary.finish()));
                times.push(start * 100);
            }
            let chunk = Chunk { columns: pack(7, &times, &summaries), times };
            let fields = Fields::of(&chunk, 7).unwrap();
            for (row, summary) in summaries.iter().enumerate() {
                let came = fields.at(row);
                if let (Some(summary), Some(came)) = (summary, &came)
                    && !summary.sum.is_finite()
                {
                    prop_assert!(!came.sum.is_finite());
                    continue;
                }
                let mut expected = summary.clone();
                if let (Some(expected), false) = (&mut expected, values[0].kind().is_number()) {
                    // Of what is no number there is neither a least nor a greatest.
                    let came = came.clone().unwrap();
                    (expected.min, expected.max) = (came.min, came.max);
                }
                prop_assert_eq!(&came, &expected);
            }
        }
    }
}
