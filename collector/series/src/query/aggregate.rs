//! Functions over buckets of time.
//!
//! One pass over the streams of a series feeds the accumulators of all calls; a call with a transformation that looks back has a
//! pass of its own, over a longer range. What comes out of a pass is one value for each bucket and call, in the order of the
//! answer; then fill, then the transformation, then the rows.

mod accumulator;

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Call, Shape};
use super::range::TimeRange;
use super::raw::{cast, field_of, tag_value};
use super::select::Series;
use super::view::Meaning;
use super::{Answer, Value, fill, transform};
use crate::chunk::Chunk;
use crate::influxql::ast::Fill;
use crate::point::FieldKind;
use crate::query::functions::Function;
use crate::store::{Flow, Scan, Tags};
use accumulator::{Accumulator, Picked};

/// The accumulators of every bucket that has a point, by the start of the bucket.
type Buckets = BTreeMap<i64, Vec<Accumulator>>;

/// The rows of a series; none if it has no point in the range.
pub(crate) fn rows(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    refuse_kinds(series)?;
    let rows = match series.plan.shape {
        Shape::Distinct => distinct(series)?,
        Shape::Selected => selected(series)?,
        _ => buckets(series)?,
    };
    series.budget.release();
    Ok(rows)
}

/// A function that does not take the kind of its field fails the statement.
fn refuse_kinds(series: &Series<'_>) -> Answer<()> {
    for call in &series.plan.calls {
        if let Meaning::Field(_, kind) = series.meanings[call.input]
            && call.function.answer_kind(kind).is_none()
        {
            let name = call.function.name();
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
        let back = call.transform.filter(|_| series.plan.window.is_some());
        passes.entry(back.map_or(0, |transform| transform.look_back())).or_default().push(at);
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
    let nothing = |_: usize| Value::Null;
    let row = |(time, values): (i64, Vec<Value>)| {
        let columns = series.plan.columns.iter().map(|column| column.node.value(&nothing, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(if series.descending {
        series.cut(table.into_iter().rev().map(row))
    } else {
        series.cut(table.into_iter().map(row))
    })
}

/// What a row shows for a transformation that has no value there, because another column keeps the row.
fn missing(series: &Series<'_>, call: &Call) -> Value {
    match (series.fill, call.transform) {
        (Fill::Number(number), Some(transform)) if series.plan.window.is_some() => {
            let kind = answer_kind(series, call).map(|kind| transform.answer_kind(kind));
            fill::number_as(number, kind)
        }
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
    let kind = answer_kind(series, call);
    if call.function == Function::Points {
        let mut points: Vec<(i64, Value)> = passed
            .values()
            .flat_map(|calls| calls[slot].points())
            .map(|picked| (picked.time, picked.value.clone().into()))
            .collect();
        points.sort_by_key(|(time, _)| *time);
        if series.descending {
            points.reverse();
        }
        return Ok(match call.transform {
            Some(transform) => transform::apply(transform, &points),
            None => points,
        });
    }
    let value = |calls: &Vec<Accumulator>| {
        let picked = calls[slot].answer(call.function);
        picked.map_or(Value::Null, |picked| picked.value)
    };
    let mut points = every_bucket(series, range, passed, value)?;
    if series.descending {
        points.reverse();
    }
    let counts = matches!(call.function, Function::Count | Function::CountDistinct);
    if series.plan.window.is_some() || series.fill != Fill::None {
        fill::apply(series.fill, kind, counts, &mut points);
    }
    let Some(transform) = call.transform else { return Ok(points) };
    let (first, last) = (first_bucket(series), last_bucket(series));
    let made = transform::apply(transform, &points).into_iter();
    Ok(made.filter(|(time, _)| (first..=last).contains(time)).collect())
}

fn answer_kind(series: &Series<'_>, call: &Call) -> Option<FieldKind> {
    match series.meanings[call.input] {
        Meaning::Field(_, kind) => call.function.answer_kind(kind),
        _ => None,
    }
}

/// A value for every bucket of the range, null where there is no point.
fn every_bucket(
    series: &Series<'_>,
    range: TimeRange,
    passed: &Buckets,
    value: impl Fn(&Vec<Accumulator>) -> Value,
) -> Answer<Vec<(i64, Value)>> {
    let Some(window) = &series.plan.window else {
        return Ok(passed.iter().map(|(time, calls)| (*time, value(calls))).collect());
    };
    let (Some(first), Some(last)) = (passed.keys().next(), passed.keys().next_back()) else {
        return Ok(Vec::new());
    };
    let (start, end) = if series.fill == Fill::None {
        (*first, *last)
    } else {
        let from = if range.has_start() { window.bucket(range.from).0 } else { *first };
        (from, window.bucket(range.to).0)
    };
    if series.fill == Fill::None {
        return Ok(passed.iter().map(|(time, calls)| (*time, value(calls))).collect());
    }
    series.budget.buckets(
        usize::try_from((i128::from(end) - i128::from(start)) / i128::from(window.every)).unwrap_or(usize::MAX),
    )?;
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
    if series.descending && range.has_end() {
        range.to = range.to.saturating_add(more).min(TimeRange::ALL.to - 1);
    } else if !series.descending && range.has_start() {
        range.from = range.from.saturating_sub(more).max(TimeRange::ALL.from + 1);
    }
    range
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

/// Reads all streams of the series once for the chosen calls.
fn pass(series: &Series<'_>, chosen: &[usize], range: TimeRange) -> Answer<Buckets> {
    let mut buckets = Buckets::new();
    for (id, tags) in series.streams {
        read(series, chosen, range, *id, tags, &mut buckets)?;
    }
    Ok(buckets)
}

fn read(
    series: &Series<'_>,
    chosen: &[usize],
    range: TimeRange,
    stream: u32,
    tags: &Tags,
    buckets: &mut Buckets,
) -> Answer<()> {
    let condition = series.condition.for_stream(tags);
    let calls: Vec<&Call> = chosen.iter().map(|at| &series.plan.calls[*at]).collect();
    let mut fields: BTreeSet<u32> = calls.iter().filter_map(|call| field_of(&series.meanings[call.input])).collect();
    if fields.is_empty() {
        return Ok(());
    }
    condition.fields(&mut fields);
    if series.plan.shape == Shape::Selected {
        fields.extend(series.meanings.iter().filter_map(field_of));
    }
    let fields: Vec<u32> = fields.into_iter().collect();
    let scan = Scan { stream, from: range.from, to: range.to, fields: &fields, descending: series.descending };
    let mut result: Answer<()> = Ok(());
    series.store.scan(&scan, |chunk| {
        let mask = condition.mask(chunk);
        let held = feed(series, &calls, chunk, mask.as_deref(), (stream, tags), buckets);
        result = series.budget.check().and_then(|()| series.budget.hold(held));
        result = std::mem::replace(&mut result, Ok(())).and_then(|()| too_many(series, buckets));
        if result.is_ok() { Flow::More } else { Flow::Enough }
    })?;
    result
}

fn too_many(series: &Series<'_>, buckets: &Buckets) -> Answer<()> {
    series.budget.buckets(buckets.len())
}

/// Feeds the rows of a chunk to the accumulators. Returns how many points are held more.
fn feed(
    series: &Series<'_>,
    calls: &[&Call],
    chunk: &Chunk,
    mask: Option<&[bool]>,
    (stream, tags): (u32, &Tags),
    buckets: &mut Buckets,
) -> usize {
    let columns: Vec<_> =
        calls.iter().map(|call| field_of(&series.meanings[call.input]).and_then(|field| chunk.column(field))).collect();
    let neighbours = |row: usize| match series.plan.shape {
        Shape::Selected => neighbours(series, chunk, tags, row),
        _ => Vec::new(),
    };
    let (mut from, mut held) = (0, 0);
    while from < chunk.times.len() {
        let (bucket, to) = match &series.plan.window {
            None => (whole_bucket(series), chunk.times.len()),
            Some(window) => {
                let (start, end) = window.bucket(chunk.times[from]);
                let inside = chunk.times[from..].partition_point(|time| *time < end);
                (start, from + inside.max(1))
            }
        };
        for (slot, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            let any = (from..to).any(|row| column.has(row) && mask.is_none_or(|mask| mask[row]));
            if !any {
                continue;
            }
            let new = || calls.iter().map(|call| Accumulator::new(call.function)).collect();
            let accumulators = buckets.entry(bucket).or_insert_with(new);
            let rows = accumulator::Rows {
                descending: series.descending,
                stream,
                times: &chunk.times,
                column,
                from,
                to,
                mask,
            };
            held += accumulators[slot].feed(calls[slot].function, &rows, &neighbours);
        }
        from = to;
    }
    held
}

/// The inputs of a row, for the columns beside a selector.
fn neighbours(series: &Series<'_>, chunk: &Chunk, tags: &Tags, row: usize) -> Vec<Value> {
    let one = |(at, meaning): (usize, &Meaning)| match meaning {
        Meaning::Tag(key) => tag_value(tags, key),
        Meaning::Nothing => Value::Null,
        Meaning::Field(id, _) => {
            let value = chunk.column(*id).and_then(|column| column.get(row));
            cast(value.map_or(Value::Null, Value::from), series.plan.inputs[at].cast)
        }
    };
    series.meanings.iter().enumerate().map(one).collect()
}

/// One selector, alone or beside plain fields and tags.
fn selected(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let passed = pass(series, &[0], series.range)?;
    let call = &series.plan.calls[0];
    let kind = answer_kind(series, call);
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
    if series.descending {
        points.reverse();
    }
    fill::apply(series.fill, kind, false, &mut points);
    let empty: Vec<Value> = series
        .meanings
        .iter()
        .map(|meaning| match (series.fill, meaning) {
            (Fill::Number(number), Meaning::Field(_, kind)) => fill::number_as(number, Some(*kind)),
            _ => Value::Null,
        })
        .collect();
    let row = |(bucket, value): (i64, Value)| {
        let picked = answers.get(&bucket);
        let time = match (&series.plan.window, picked) {
            (None, Some(picked)) => picked.time,
            _ => bucket,
        };
        let beside = picked.map_or(&empty, |picked| &picked.neighbours);
        let input = |at: usize| beside.get(at).cloned().unwrap_or_default();
        let values = [value];
        let columns = series.plan.columns.iter().map(|column| column.node.value(&input, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(series.cut(points.into_iter().map(row)))
}

/// Each different value of a bucket is a row.
fn distinct(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let passed = pass(series, &[0], series.range)?;
    let mut rows = Vec::new();
    for (bucket, accumulators) in &passed {
        rows.extend(accumulators[0].distinct().into_iter().map(|value| (*bucket, value)));
    }
    if series.descending {
        rows.reverse();
    }
    let nothing = |_: usize| Value::Null;
    let row = |(time, value): (i64, Value)| {
        let values = [value];
        let columns = series.plan.columns.iter().map(|column| column.node.value(&nothing, &values));
        std::iter::once(Value::Time(time)).chain(columns).collect()
    };
    Ok(series.cut(rows.into_iter().map(row)))
}
