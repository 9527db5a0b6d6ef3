//! What a bucket remembers for one function.

mod rolled;

use std::cmp::Ordering;

use crate::chunk::{Column, Values};
use crate::point::{FieldKind, FieldValue};
use crate::query::Value;
use crate::query::functions::Function;
use crate::query::read::read_as;

pub(crate) use rolled::aspects;

/// Grows by a point at a time. Functions that need every point hold them all; the budget counts those.
#[derive(Debug)]
pub(crate) enum Accumulator {
    Count(u64),
    Sum(Sum),
    Mean(Mean),
    Best(Option<Held>),
    Spread(Option<(FieldValue, FieldValue)>),
    Hold(Vec<Held>),
}

/// A mean is added up stream by stream, and the streams' means by their weights: the order of additions is InfluxDB's, and so is
/// the last digit.
#[derive(Debug, Default)]
pub(crate) struct Mean {
    sum: f64,
    whole: i128,
    count: u64,
    weighted: f64,
    total: u64,
    stream: u32,
}

impl Mean {
    /// What follows is of this stream.
    fn begin(&mut self, stream: u32) {
        if self.stream != stream {
            (self.weighted, self.total) = self.with_current();
            (self.sum, self.whole, self.count, self.stream) = (0.0, 0, 0, stream);
        }
    }

    fn with_current(&self) -> (f64, u64) {
        if self.count == 0 {
            return (self.weighted, self.total);
        }
        let mean = (self.sum + self.whole as f64) / self.count as f64;
        (self.weighted + mean * self.count as f64, self.total + self.count)
    }

    fn answer(&self) -> Option<f64> {
        let (weighted, total) = self.with_current();
        (total > 0).then(|| weighted / total as f64)
    }
}

/// A sum is added up stream by stream, for the same reason as a [`Mean`].
#[derive(Debug, Default)]
pub(crate) struct Sum {
    total: Option<FieldValue>,
    current: Option<FieldValue>,
    stream: u32,
}

impl Sum {
    fn begin(&mut self, stream: u32) {
        if self.stream != stream {
            self.total = plus(self.total.take(), self.current.take().as_ref());
            self.stream = stream;
        }
    }
}

fn plus(a: Option<FieldValue>, b: Option<&FieldValue>) -> Option<FieldValue> {
    match (a, b) {
        (Some(a), Some(b)) => Some(added(&a, b)),
        (a, b) => a.or_else(|| b.cloned()),
    }
}

/// A point that may become the answer.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) time: i64,
    pub(crate) value: FieldValue,
    neighbours: Vec<Value>,
}

/// The answer of a bucket.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(crate) time: i64,
    pub(crate) value: Value,
    pub(crate) neighbours: Vec<Value>,
}

/// Rows of one column that belong to one bucket.
pub(crate) struct Rows<'a> {
    pub(crate) stream: u32,
    pub(crate) times: &'a [i64],
    pub(crate) column: &'a Column,
    /// What the values are read as.
    pub(crate) kind: FieldKind,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) mask: Option<&'a [bool]>,
    /// Newest first: floats are added up in the order of the answer, as InfluxDB does.
    pub(crate) descending: bool,
}

impl Rows<'_> {
    fn is_dense(&self) -> bool {
        let whole = self.mask.is_none() && self.column.present.is_none() && self.to <= self.column.values.len();
        whole && self.column.values.kind() == self.kind
    }

    fn values(&self) -> impl Iterator<Item = (usize, FieldValue)> + '_ {
        (self.from..self.to)
            .map(|row| if self.descending { self.from + self.to - 1 - row } else { row })
            .filter(|row| self.mask.is_none_or(|mask| mask[*row]))
            .filter_map(|row| Some((row, read_as(self.column.get(row)?, self.kind)?)))
    }
}

impl Accumulator {
    pub(crate) fn new(function: Function) -> Self {
        match function {
            Function::Count => Self::Count(0),
            Function::Sum => Self::Sum(Sum::default()),
            Function::Mean => Self::Mean(Mean::default()),
            Function::First | Function::Last | Function::Max | Function::Min => Self::Best(None),
            Function::Spread => Self::Spread(None),
            _ => Self::Hold(Vec::new()),
        }
    }

    /// Takes rows in order of time. Returns how many points it holds more.
    pub(crate) fn feed(
        &mut self,
        function: Function,
        rows: &Rows<'_>,
        neighbours: &dyn Fn(usize) -> Vec<Value>,
    ) -> usize {
        match self {
            Self::Mean(mean) => mean.begin(rows.stream),
            Self::Sum(sum) => sum.begin(rows.stream),
            _ => {}
        }
        if self.feed_dense(function, rows, neighbours) {
            return 0;
        }
        let mut held = 0;
        for (row, value) in rows.values() {
            let time = rows.times[row];
            match &mut *self {
                Self::Best(best) => {
                    if best.as_ref().is_none_or(|best| beats(function, time, &value, best)) {
                        *best = Some(Held { time, value, neighbours: neighbours(row) });
                    }
                }
                Self::Hold(points) => {
                    points.push(Held { time, value, neighbours: neighbours(row) });
                    held += 1;
                }
                other => other.add(&value),
            }
        }
        held
    }

    /// The common case, without a value in between: no holes, no condition on the rows.
    fn feed_dense(&mut self, function: Function, rows: &Rows<'_>, neighbours: &dyn Fn(usize) -> Vec<Value>) -> bool {
        if !rows.is_dense() || rows.from == rows.to {
            return false;
        }
        match (self, &rows.column.values) {
            (Self::Best(best), values) => {
                // The rows of a sub-query may have one time twice, and then it matters which of them comes first.
                let times = &rows.times[rows.from..rows.to];
                if !times.windows(2).all(|pair| pair[0] < pair[1]) {
                    return false;
                }
                let Some(row) = best_row(function, values, rows.from, rows.to) else { return false };
                let (time, Some(value)) = (rows.times[row], rows.column.get(row)) else { return false };
                if best.as_ref().is_none_or(|best| beats(function, time, &value, best)) {
                    *best = Some(Held { time, value, neighbours: neighbours(row) });
                }
            }
            (Self::Sum(sum), Values::Float(values)) => {
                let values = &values[rows.from..rows.to];
                let before = sum.current.as_ref().map(number);
                let all =
                    if rows.descending { total(before, values.iter().rev()) } else { total(before, values.iter()) };
                sum.current = all.map(FieldValue::Float);
            }
            (Self::Count(count), _) => *count += (rows.to - rows.from) as u64,
            (Self::Mean(mean), Values::Float(values)) => {
                let values = &values[rows.from..rows.to];
                if rows.descending {
                    values.iter().rev().for_each(|value| mean.sum += value);
                } else {
                    values.iter().for_each(|value| mean.sum += value);
                }
                mean.count += (rows.to - rows.from) as u64;
            }
            (Self::Mean(mean), Values::Integer(values)) => {
                mean.whole += values[rows.from..rows.to].iter().map(|v| i128::from(*v)).sum::<i128>();
                mean.count += (rows.to - rows.from) as u64;
            }
            _ => return false,
        }
        true
    }

    fn add(&mut self, value: &FieldValue) {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) => sum.current = plus(sum.current.take(), Some(value)),
            Self::Mean(mean) => {
                match value {
                    FieldValue::Integer(value) => mean.whole += i128::from(*value),
                    FieldValue::Unsigned(value) => mean.whole += i128::from(*value),
                    other => mean.sum += number(other),
                }
                mean.count += 1;
            }
            Self::Spread(spread) => {
                let (low, high) = spread.take().unwrap_or_else(|| (value.clone(), value.clone()));
                let low = if compare(value, &low).is_lt() { value.clone() } else { low };
                let high = if compare(value, &high).is_gt() { value.clone() } else { high };
                *spread = Some((low, high));
            }
            Self::Best(_) | Self::Hold(_) => {}
        }
    }

    /// The answer; none if there is none.
    pub(crate) fn answer(&self, function: Function) -> Option<Picked> {
        let plain = |value: Value| Picked { time: 0, value, neighbours: Vec::new() };
        match self {
            Self::Count(0) => None,
            Self::Count(count) => Some(plain(Value::Integer(*count as i64))),
            Self::Sum(sum) => plus(sum.total.clone(), sum.current.as_ref()).map(|sum| plain(sum.into())),
            Self::Mean(mean) => mean.answer().map(|mean| plain(Value::Float(mean))),
            Self::Best(best) => best.as_ref().map(Held::picked),
            Self::Spread(spread) => spread.as_ref().map(|(low, high)| plain(subtracted(high, low))),
            Self::Hold(points) => match function {
                Function::Percentile(rank) => percentile(points, rank),
                Function::Median => median(points).map(plain),
                Function::Stddev => stddev(points).map(plain),
                Function::Mode => mode(points).map(plain),
                Function::CountDistinct if points.is_empty() => None,
                Function::CountDistinct => Some(plain(Value::Integer(self.distinct().len() as i64))),
                _ => None,
            },
        }
    }

    /// The points that are held.
    pub(crate) fn points(&self) -> &[Held] {
        match self {
            Self::Hold(points) => points,
            _ => &[],
        }
    }

    /// The points that `top`, `bottom` or `sample` choose, in order of time. Of each combination of the neighbours `apart` there is
    /// one at most.
    pub(crate) fn chosen(&self, function: Function, apart: &[usize]) -> Vec<&Held> {
        let mut points: Vec<&Held> = self.points().iter().collect();
        let count = match function {
            Function::Top(count) | Function::Bottom(count) | Function::Sample(count) => count,
            _ => return Vec::new(),
        };
        if let Function::Sample(_) = function {
            sample(&mut points, count);
        } else {
            points.sort_by(|a, b| {
                let order = compare(&a.value, &b.value);
                let order = if matches!(function, Function::Top(_)) { order.reverse() } else { order };
                order.then(a.time.cmp(&b.time))
            });
            if !apart.is_empty() {
                points = first_of_each(points, apart, count);
            }
            points.truncate(count);
        }
        points.sort_by_key(|point| point.time);
        points
    }

    /// Different values, in the order in which they first appeared.
    pub(crate) fn distinct(&self) -> Vec<Value> {
        let mut points: Vec<&Held> = self.points().iter().collect();
        points.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| compare(&a.value, &b.value)));
        let mut seen = std::collections::HashSet::new();
        let new = |point: &&&Held| seen.insert(Key::of(&point.value));
        points.iter().filter(new).map(|point| point.value.clone().into()).collect()
    }
}

/// The first point of each combination of the values beside it, `count` of them.
fn first_of_each<'a>(points: Vec<&'a Held>, apart: &[usize], count: usize) -> Vec<&'a Held> {
    let mut seen: Vec<Vec<&Value>> = Vec::new();
    let mut kept = Vec::new();
    for point in points {
        if kept.len() == count {
            break;
        }
        let key: Vec<&Value> = apart.iter().map(|at| &point.neighbours[*at]).collect();
        if !seen.contains(&key) {
            seen.push(key);
            kept.push(point);
        }
    }
    kept
}

/// Keeps `count` of the points, each with the same chance. The same points give the same choice: a question asked twice has
/// one answer.
fn sample(points: &mut Vec<&Held>, count: usize) {
    let mut state = points.len() as u64;
    for at in count..points.len() {
        // SplitMix64, by Sebastiano Vigna (public domain).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = ((mixed ^ (mixed >> 31)) % (at as u64 + 1)) as usize;
        if place < count {
            points.swap(place, at);
        }
    }
    points.truncate(count);
}

impl Held {
    pub(crate) fn picked(&self) -> Picked {
        Picked { time: self.time, value: self.value.clone().into(), neighbours: self.neighbours.clone() }
    }
}

/// The row that [`beats`] all others of a stream, whose times are all different; none for a function that this is not made for.
fn best_row(function: Function, values: &Values, from: usize, to: usize) -> Option<usize> {
    let is_better: fn(Ordering) -> bool = match function {
        Function::First => return Some(from),
        Function::Last => return Some(to - 1),
        Function::Max => Ordering::is_gt,
        Function::Min => Ordering::is_lt,
        _ => return None,
    };
    match values {
        Values::Float(values) => Some(extreme(values, from, to, |a, b| is_better(a.total_cmp(b)))),
        Values::Integer(values) => Some(extreme(values, from, to, |a, b| is_better(a.cmp(b)))),
        Values::Unsigned(values) => Some(extreme(values, from, to, |a, b| is_better(a.cmp(b)))),
        Values::Boolean(_) | Values::Text(_) => None,
    }
}

/// The first of the best.
fn extreme<T>(values: &[T], from: usize, to: usize, is_better: impl Fn(&T, &T) -> bool) -> usize {
    let mut best = from;
    for at in from + 1..to {
        if is_better(&values[at], &values[best]) {
            best = at;
        }
    }
    best
}

/// Adds to what was there, if anything was: minus zero is not zero.
fn total<'a>(before: Option<f64>, mut values: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let first = before.or_else(|| values.next().copied())?;
    Some(values.fold(first, |sum, value| sum + value))
}

/// Whether a later point takes the place of the best so far. Of two with the same time the larger value is the first and the last.
fn beats(function: Function, time: i64, value: &FieldValue, best: &Held) -> bool {
    let larger = compare(value, &best.value);
    match function {
        // Of booleans the false one is the first.
        Function::First => {
            let wins = match value {
                FieldValue::Boolean(value) => !value && larger.is_lt(),
                _ => larger.is_gt(),
            };
            time < best.time || (time == best.time && wins)
        }
        Function::Last => time > best.time || (time == best.time && larger.is_gt()),
        Function::Max => larger.is_gt() || (larger.is_eq() && time < best.time),
        _ => larger.is_lt() || (larger.is_eq() && time < best.time),
    }
}

fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.total_cmp(b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a.cmp(b),
        (FieldValue::Boolean(a), FieldValue::Boolean(b)) => a.cmp(b),
        (FieldValue::Text(a), FieldValue::Text(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

fn number(value: &FieldValue) -> f64 {
    match value {
        FieldValue::Float(value) => *value,
        FieldValue::Integer(value) => *value as f64,
        FieldValue::Unsigned(value) => *value as f64,
        FieldValue::Boolean(_) | FieldValue::Text(_) => 0.0,
    }
}

fn added(a: &FieldValue, b: &FieldValue) -> FieldValue {
    match (a, b) {
        (FieldValue::Integer(a), FieldValue::Integer(b)) => FieldValue::Integer(a.wrapping_add(*b)),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => FieldValue::Unsigned(a.wrapping_add(*b)),
        (a, b) => FieldValue::Float(number(a) + number(b)),
    }
}

fn subtracted(a: &FieldValue, b: &FieldValue) -> Value {
    match (a, b) {
        (FieldValue::Integer(a), FieldValue::Integer(b)) => Value::Integer(a.wrapping_sub(*b)),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => Value::Unsigned(a.wrapping_sub(*b)),
        (a, b) => Value::Float(number(a) - number(b)),
    }
}

fn sorted(points: &[Held]) -> Vec<&Held> {
    let mut points: Vec<&Held> = points.iter().collect();
    points.sort_by(|a, b| compare(&a.value, &b.value).then(a.time.cmp(&b.time)));
    points
}

/// The nearest rank; of equal values the earliest point.
fn percentile(points: &[Held], rank: f64) -> Option<Picked> {
    let sorted = sorted(points);
    let at = (sorted.len() as f64 * rank / 100.0 + 0.5).floor() - 1.0;
    if at < 0.0 {
        return None;
    }
    let chosen = sorted.get(at as usize)?;
    let first = sorted.partition_point(|held| compare(&held.value, &chosen.value).is_lt());
    Some(sorted[first].picked())
}

fn median(points: &[Held]) -> Option<Value> {
    let sorted = sorted(points);
    let middle = sorted.len() / 2;
    let high = &sorted.get(middle)?.value;
    if sorted.len() % 2 == 1 {
        return Some(Value::Float(number(high)));
    }
    let low = &sorted[middle - 1].value;
    let apart = subtracted(high, low).as_f64()?;
    Some(Value::Float(number(low) + apart / 2.0))
}

/// Of a sample; that of one point is not a number, which an answer shows as null, but which is there for `fill`.
fn stddev(points: &[Held]) -> Option<Value> {
    let mut points: Vec<&Held> = points.iter().collect();
    points.sort_by_key(|point| point.time);
    let (mut mean, mut count) = (0.0, 0.0);
    for point in &points {
        count += 1.0;
        mean += (number(&point.value) - mean) / count;
    }
    let squares: f64 = points.iter().map(|point| (number(&point.value) - mean).powi(2)).sum();
    (count > 0.0).then(|| Value::Float((squares / (count - 1.0)).sqrt()))
}

/// The most frequent value; of several the smallest.
fn mode(points: &[Held]) -> Option<Value> {
    let sorted = sorted(points);
    let mut best: Option<&[&Held]> = None;
    for run in sorted.chunk_by(|a, b| compare(&a.value, &b.value).is_eq()) {
        if best.is_none_or(|best| run.len() > best.len()) {
            best = Some(run);
        }
    }
    best.map(|run| run[0].value.clone().into())
}

/// A value that can be looked up.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Bits(u64),
    Text(std::sync::Arc<str>),
}

impl Key {
    fn of(value: &FieldValue) -> Self {
        match value {
            FieldValue::Float(value) => Self::Bits(value.to_bits()),
            FieldValue::Integer(value) => Self::Bits(*value as u64),
            FieldValue::Unsigned(value) => Self::Bits(*value),
            FieldValue::Boolean(value) => Self::Bits(u64::from(*value)),
            FieldValue::Text(text) => Self::Text(text.clone()),
        }
    }
}
