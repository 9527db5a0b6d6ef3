//! Functions over buckets of time.
//!
//! One pass over the streams of a series feeds the accumulators of all calls; a call with a transformation that looks back has a
//! pass of its own, over a longer range. What comes out of a pass is one value for each bucket and call, in the order of the
//! answer; then fill, then the transformation, then the rows.

pub(crate) mod accumulator;

use std::collections::BTreeMap;

use super::plan::{Call, Shape};
use super::range::TimeRange;
use super::read::Piece;
use super::rolled::{Buckets as Rolled, Rows};
use super::select::Series;
use super::view::Meaning;
use super::{Answer, Value, fill, raw, transform};
use crate::influxql::ast::Fill;
use crate::point::FieldKind;
use crate::query::functions::Function;
use crate::store::{Fields, Flow, Spot};
use accumulator::{Accumulator, Picked};

/// The accumulators of every bucket that has a point, by the start of the bucket.
type Buckets = BTreeMap<i64, Vec<Accumulator>>;

/// The rows of a series; none if it has no point in the range.
pub(crate) fn rows(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    refuse_kinds(series)?;
    let rows = match series.plan.shape {
        Shape::Distinct => distinct(series)?,
        Shape::Selected => selected(series)?,
        Shape::Points => points(series)?,
        _ => buckets(series)?,
    };
    series.prepared.request.budget.release();
    Ok(rows)
}

/// A function that does not take the kind of its field fails the statement.
fn refuse_kinds(series: &Series<'_>) -> Answer<()> {
    for call in &series.plan.calls {
        if let Some(kind) = series.plan.inputs[call.input].kind
            && call.function.answer_kind(kind).is_none()
        {
            let name = call.function.name();
            return Err(format!("unsupported {name} iterator type: *query.{kind}InterruptIterator").into());
        }
        let given = series.plan.inputs[call.input].kind.and_then(|kind| call.function.answer_kind(kind));
        if let (Some(kind), Some(transform)) = (given, call.transforms.first())
            && !transform.takes(kind)
        {
            let name = transform.words();
            return Err(format!("unsupported {name} iterator type: *query.{kind}InterruptIterator").into());
        }
    }
    Ok(())
}

/// One row for each bucket, from any number of calls.
fn buckets(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let calls = &series.plan.calls;
    let mut table: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    let empty: Vec<Value> = calls.iter().map(|call| missing(series, call)).collect();
    let mut passes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        let back = call.transforms.iter().map(|transform| transform.look_back()).max();
        passes.entry(back.filter(|_| series.plan.window.is_some()).unwrap_or(0)).or_default().push(at);
    }
    for (back, chosen) in passes {
        let range = reach(series, back);
        let passed = pass(series, &chosen, range)?;
        for (slot, at) in chosen.iter().enumerate() {
            for (time, value) in column(series, &calls[*at], slot, range, &passed)? {
                table.entry(time).or_insert_with(|| empty.clone())[*at] = value;
            }
        }
    }
    let mut rows: Vec<(i64, Vec<Value>)> = table.into_iter().collect();
    if series.descending() {
        rows.reverse();
    }
    if series.fill() == Fill::Previous && series.plan.window.is_some() {
        repeat_previous(&mut rows);
    }
    let nothing = |_: usize| Value::Null;
    let row = |(time, values): (i64, Vec<Value>)| {
        let columns = series.plan.columns.iter().map(|column| column.node.value(&nothing, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(series.cut(rows.into_iter().map(row)).collect())
}

/// A transformation that has no value in a row which another column keeps shows the one before.
fn repeat_previous(rows: &mut [(i64, Vec<Value>)]) {
    for at in 1..rows.len() {
        let (before, here) = rows.split_at_mut(at);
        for (value, previous) in here[0].1.iter_mut().zip(&before[at - 1].1) {
            if *value == Value::Null {
                value.clone_from(previous);
            }
        }
    }
}

/// What a row shows for a call that has no value there, because another column keeps the row.
fn missing(series: &Series<'_>, call: &Call) -> Value {
    match series.fill() {
        Fill::Number(number) if series.plan.window.is_some() => fill::number_as(number, call.kind(&series.plan.inputs)),
        _ => Value::Null,
    }
}

/// The points of one call: its buckets, filled, transformed, inside the range.
fn column(
    series: &Series<'_>,
    call: &Call,
    slot: usize,
    range: TimeRange,
    passed: &Buckets,
) -> Answer<Vec<(i64, Value)>> {
    if call.function == Function::Points {
        return raw_points(series, call, slot, passed);
    }
    if call.function.gives_points() {
        let chosen = passed.values().flat_map(|calls| calls[slot].chosen(call.function, &call.apart));
        return Ok(chosen.map(|held| (held.time, held.value.clone().into())).collect());
    }
    let value = |calls: &Vec<Accumulator>| {
        let picked = calls[slot].answer(call.function);
        picked.map_or(Value::Null, |picked| picked.value)
    };
    // A call without any point in the series has no rows of its own, not even filled ones.
    if passed.values().all(|calls| value(calls) == Value::Null) {
        return Ok(Vec::new());
    }
    let mut points = every_bucket(series, range, passed, value)?;
    if series.plan.window.is_none() {
        points.retain(|(_, value)| *value != Value::Null);
    }
    if series.descending() {
        points.reverse();
    }
    let counts = matches!(call.function, Function::Count | Function::CountDistinct);
    if series.plan.window.is_some() || series.fill() != Fill::None {
        let kind = series.plan.inputs[call.input].kind.and_then(|kind| call.function.answer_kind(kind));
        fill::apply(series.fill(), every(series), kind, counts, &mut points);
    }
    if call.transforms.is_empty() {
        return Ok(points);
    }
    let (first, last) = (first_bucket(series), last_bucket(series));
    let mut points = transformed(series, call, points)?;
    if !call.transforms.iter().any(|transform| transform.goes_beyond()) {
        points.retain(|(time, _)| (first..=last).contains(time));
    }
    Ok(points)
}

/// Points that are transformed without a function between. A call over the points of a window, such as `integral`, sees all of them.
fn raw_points(series: &Series<'_>, call: &Call, slot: usize, passed: &Buckets) -> Answer<Vec<(i64, Value)>> {
    let held = passed.values().flat_map(|calls| calls[slot].points());
    let mut points: Vec<(i64, Value)> = held.map(|held| (held.time, held.value.clone().into())).collect();
    points.sort_by_key(|(time, _)| *time);
    if series.descending() {
        points.reverse();
    }
    transformed(series, call, points)
}

/// The length of a bucket.
fn every(series: &Series<'_>) -> i64 {
    series.plan.window.as_ref().map_or(1, |window| window.every)
}

fn transformed(series: &Series<'_>, call: &Call, points: Vec<(i64, Value)>) -> Answer<Vec<(i64, Value)>> {
    let whole = matches!(series.plan.inputs[call.input].kind, Some(FieldKind::Integer | FieldKind::Unsigned));
    // InfluxDB gives the area under floats the time 0, and that under integers the beginning of the range.
    let begin = if whole { whole_bucket(series) } else { 0 };
    let (window, descending) = (series.plan.window.as_ref(), series.descending());
    let budget = &series.prepared.request.budget;
    let run = transform::Run { window, descending, begin, budget };
    call.transforms.iter().try_fold(points, |points, step| run.apply(*step, &points))
}

/// A value for every bucket of the range, null where there is no point.
fn every_bucket(
    series: &Series<'_>,
    range: TimeRange,
    passed: &Buckets,
    value: impl Fn(&Vec<Accumulator>) -> Value,
) -> Answer<Vec<(i64, Value)>> {
    let window = match &series.plan.window {
        Some(window) if series.fill() != Fill::None => window,
        _ => return Ok(passed.iter().map(|(time, calls)| (*time, value(calls))).collect()),
    };
    let (Some(first), Some(last)) = (passed.keys().next(), passed.keys().next_back()) else {
        return Ok(Vec::new());
    };
    // Buckets of a sub-query may begin before the range that they are in.
    let start = if range.has_start() { window.bucket(range.from).0.min(*first) } else { *first };
    let end = window.bucket(range.to).0.max(*last);
    let count = (i128::from(end) - i128::from(start)) / i128::from(window.every);
    series.prepared.request.budget.buckets(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut points = Vec::new();
    let mut bucket = start;
    while bucket <= end {
        points.push((bucket, passed.get(&bucket).map_or(Value::Null, &value)));
        let next = window.bucket(bucket).1;
        if next <= bucket {
            break;
        }
        bucket = next;
    }
    Ok(points)
}

/// The range with `back` buckets more, on the side where the answer begins.
fn reach(series: &Series<'_>, back: i64) -> TimeRange {
    let mut range = series.range;
    let Some(window) = &series.plan.window else { return range };
    let more = back.saturating_mul(window.every);
    if series.descending() && range.has_end() {
        range.to = range.to.saturating_add(more).min(TimeRange::ALL.to - 1);
    } else if !series.descending() && range.has_start() {
        range.from = range.from.saturating_sub(more).max(TimeRange::ALL.from + 1);
    }
    range.intersect(series.most)
}

fn first_bucket(series: &Series<'_>) -> i64 {
    match &series.plan.window {
        Some(window) if series.range.has_start() => window.bucket(series.range.from).0,
        _ => i64::MIN,
    }
}

fn last_bucket(series: &Series<'_>) -> i64 {
    match &series.plan.window {
        Some(window) if series.range.has_end() => window.bucket(series.range.to).0,
        _ => i64::MAX,
    }
}

/// The bucket of everything when there is no interval: the lower bound as it was given, or 1970.
fn whole_bucket(series: &Series<'_>) -> i64 {
    if series.range.has_start() { series.range.from } else { 0 }
}

/// Reads everything of the series once for the chosen calls.
fn pass(series: &Series<'_>, chosen: &[usize], range: TimeRange) -> Answer<Buckets> {
    let calls: Vec<&Call> = chosen.iter().map(|at| &series.plan.calls[*at]).collect();
    let inputs: Vec<usize> = match series.plan.shape {
        Shape::Selected | Shape::Points => (0..series.plan.inputs.len()).collect(),
        _ => calls.iter().map(|call| call.input).collect(),
    };
    let budget = &series.prepared.request.budget;
    let mut buckets = Buckets::new();
    series.read_either(&calls, &inputs, range, |rows| {
        match rows {
            Rows::Points(piece) => budget.hold(feed(series, &calls, piece, &mut buckets))?,
            Rows::Rolled(rolled) => feed_rolled(series, &calls, rolled, range, &mut buckets),
        }
        budget.buckets(buckets.len())?;
        Ok(Flow::More)
    })?;
    Ok(buckets)
}

/// Feeds the rows of a piece to the accumulators. Returns how many points are held more.
fn feed(series: &Series<'_>, calls: &[&Call], piece: &Piece<'_>, buckets: &mut Buckets) -> usize {
    let columns: Vec<_> = calls.iter().map(|call| piece.column(call.input)).collect();
    let beside = matches!(series.plan.shape, Shape::Selected | Shape::Points);
    let neighbours = |row: usize| match beside {
        true => (0..series.plan.inputs.len()).map(|input| raw::value(piece, input, row)).collect(),
        false => Vec::new(),
    };
    let times = &piece.chunk.times;
    let (mut from, mut held) = (0, 0);
    while from < times.len() {
        let (bucket, to) = match &series.plan.window {
            None => (whole_bucket(series), times.len()),
            Some(window) => {
                let (start, end) = window.bucket(times[from]);
                let inside = times[from..].partition_point(|time| *time < end);
                (start, from + inside.max(1))
            }
        };
        for (slot, column) in columns.iter().enumerate() {
            let Some((column, kind)) = *column else { continue };
            if !(from..to).any(|row| column.has(row) && piece.lets_through(row)) {
                continue;
            }
            let new = || calls.iter().map(|call| Accumulator::new(call.function)).collect();
            let accumulators = buckets.entry(bucket).or_insert_with(new);
            let mask = piece.mask.as_deref();
            let (stream, descending) = (piece.stream, series.descending());
            let rows = accumulator::Rows { descending, stream, times, column, kind, from, to, mask };
            held += accumulators[slot].feed(calls[slot].function, &rows, &neighbours);
        }
        from = to;
    }
    held
}

/// Feeds buckets of roll-ups. One that begins before the range, because its edge was widened, belongs to the range's first bucket.
fn feed_rolled(series: &Series<'_>, calls: &[&Call], rolled: &Rolled<'_>, range: TimeRange, buckets: &mut Buckets) {
    let times = &rolled.chunk.times;
    for (slot, call) in calls.iter().enumerate() {
        let Meaning::Field(id, _) = rolled.meanings[call.input] else { continue };
        let Some(field) = Fields::of(rolled.chunk, id) else { continue };
        let beside = |spot: &Spot| match series.plan.shape {
            Shape::Selected => rolled.meanings.iter().map(|meaning| rolled.beside(meaning, spot)).collect(),
            _ => Vec::new(),
        };
        for (row, time) in times.iter().enumerate() {
            let Some(summary) = field.at(row) else { continue };
            let bucket = match &series.plan.window {
                None => whole_bucket(series),
                Some(window) => window.bucket((*time).max(range.from)).0,
            };
            let new = || calls.iter().map(|call| Accumulator::new(call.function)).collect();
            let accumulators = buckets.entry(bucket).or_insert_with(new);
            accumulators[slot].take(call.function, rolled.stream, &summary, &beside);
        }
    }
}

/// One selector, alone or beside plain fields and tags.
fn selected(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let passed = pass(series, &[0], series.range)?;
    let call = &series.plan.calls[0];
    let kind = call.kind(&series.plan.inputs);
    let mut answers: BTreeMap<i64, Picked> = BTreeMap::new();
    for (bucket, accumulators) in &passed {
        if let Some(picked) = accumulators[0].answer(call.function) {
            answers.insert(*bucket, picked);
        }
    }
    if answers.is_empty() {
        return Ok(Vec::new());
    }
    let one = |calls: &Vec<Accumulator>| calls[0].answer(call.function).map_or(Value::Null, |picked| picked.value);
    let mut points = every_bucket(series, series.range, &passed, one)?;
    if series.descending() {
        points.reverse();
    }
    fill::apply(series.fill(), every(series), kind, false, &mut points);
    // InfluxDB fills what stands beside as well, whatever it is.
    let filled = |at: usize| match series.fill() {
        Fill::Number(number) if series.plan.window.is_some() => {
            let kind = series.plan.inputs[at].kind.filter(|kind| kind.is_number());
            fill::number_as(number, kind)
        }
        _ => Value::Null,
    };
    let mut before: Vec<Value> = vec![Value::Null; series.plan.inputs.len()];
    let row = |(bucket, value): (i64, Value)| {
        let picked = answers.get(&bucket);
        if let (Fill::Previous, Some(picked)) = (series.fill(), picked) {
            for (kept, value) in before.iter_mut().zip(&picked.neighbours) {
                if *value != Value::Null {
                    kept.clone_from(value);
                }
            }
        }
        let time = match (&series.plan.window, picked) {
            (None, Some(picked)) => picked.time,
            _ => bucket,
        };
        let input = |at: usize| {
            let beside = picked.and_then(|picked| picked.neighbours.get(at));
            let beside = beside.filter(|value| **value != Value::Null).cloned();
            beside.unwrap_or_else(|| match series.fill() {
                Fill::Previous if series.plan.window.is_some() => before[at].clone(),
                _ => filled(at),
            })
        };
        let values = [value];
        let columns = series.plan.columns.iter().map(|column| column.node.value(&input, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(series.cut(points.into_iter().map(row)).collect())
}

/// Several points for each bucket, with the other values of their rows.
fn points(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let passed = pass(series, &[0], series.range)?;
    let call = &series.plan.calls[0];
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut buckets: Vec<&Vec<Accumulator>> = passed.values().collect();
    if series.descending() {
        buckets.reverse();
    }
    for accumulators in buckets {
        // In the order of time also where the buckets are not: InfluxDB orders the points of one bucket so.
        for held in accumulators[0].chosen(call.function, &call.apart) {
            let picked = held.picked();
            let input = |at: usize| picked.neighbours.get(at).cloned().unwrap_or_default();
            let values = [picked.value.clone()];
            let columns = series.plan.columns.iter().map(|column| column.node.value(&input, &values));
            rows.push(std::iter::once(Value::Time(picked.time)).chain(columns).collect());
        }
    }
    Ok(series.cut(rows.into_iter()).collect())
}

/// Each different value of a bucket is a row.
fn distinct(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let passed = pass(series, &[0], series.range)?;
    let mut rows = Vec::new();
    for (bucket, accumulators) in &passed {
        rows.extend(accumulators[0].distinct().into_iter().map(|value| (*bucket, value)));
    }
    if series.descending() {
        rows.reverse();
    }
    let nothing = |_: usize| Value::Null;
    let row = |(time, value): (i64, Value)| {
        let values = [value];
        let columns = series.plan.columns.iter().map(|column| column.node.value(&nothing, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(series.cut(rows.into_iter().map(row)).collect())
}
