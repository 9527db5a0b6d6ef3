//! Stored rows as they are.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::select::Series;
use super::view::{Meaning, tag};
use super::{Answer, QueryError, Value};
use crate::chunk::Chunk;
use crate::influxql::ast::Cast;
use crate::store::{Flow, Scan, Tags};

/// The rows of a series that have at least one of the selected fields.
pub(crate) fn rows(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let mut rows: Vec<(i64, Vec<Value>)> = Vec::new();
    for (id, tags) in series.streams {
        let before = rows.len();
        read(series, *id, tags, |time, row| {
            rows.push((time, row));
            rows.len() - before
        })?;
        series.budget.check()?;
        if rows.len() > series.budget.limits.max_rows {
            series.budget.rows(rows.len())?;
        }
    }
    // Stable: rows of one time stay in the order of their streams.
    if series.descending {
        rows.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    } else {
        rows.sort_by_key(|(time, _)| *time);
    }
    Ok(series.cut(rows.into_iter().map(|(_, row)| row)))
}

/// Reads one stream until `each`, which answers how many rows it has, has as many as the answer can show.
fn read(series: &Series<'_>, stream: u32, tags: &Tags, mut each: impl FnMut(i64, Vec<Value>) -> usize) -> Answer<()> {
    let condition = series.condition.for_stream(tags);
    let selected: BTreeSet<u32> = series.meanings.iter().filter_map(field_of).collect();
    let mut fields = selected.clone();
    condition.fields(&mut fields);
    let fields: Vec<u32> = fields.into_iter().collect();
    let enough = match series.page.limit {
        0 => series.budget.limits.max_rows.saturating_add(1),
        limit => limit.saturating_add(series.page.offset),
    };
    let scan =
        Scan { stream, from: series.range.from, to: series.range.to, fields: &fields, descending: series.descending };
    let mut stopped: Result<(), QueryError> = Ok(());
    series.store.scan(&scan, |chunk| {
        stopped = series.budget.check();
        if stopped.is_err() {
            return Flow::Enough;
        }
        emit(series, chunk, &condition, &selected, tags, enough, &mut each)
    })?;
    stopped
}

fn emit(
    series: &Series<'_>,
    chunk: &Chunk,
    condition: &Condition,
    selected: &BTreeSet<u32>,
    tags: &Tags,
    enough: usize,
    each: &mut impl FnMut(i64, Vec<Value>) -> usize,
) -> Flow {
    let mask = condition.mask(chunk);
    let columns: Vec<_> = series.meanings.iter().map(|meaning| column(meaning, chunk)).collect();
    let shown: Vec<_> = chunk.columns.iter().filter(|column| selected.contains(&column.field)).collect();
    let total = chunk.times.len();
    for step in 0..total {
        let row = if series.descending { total - 1 - step } else { step };
        let wanted = mask.as_ref().is_none_or(|mask| mask[row]);
        if !wanted || !shown.iter().any(|column| column.has(row)) {
            continue;
        }
        let input = |at: usize| match &series.meanings[at] {
            Meaning::Tag(key) => tag_value(tags, key),
            _ => {
                let value = columns[at].and_then(|column| column.get(row));
                cast(value.map_or(Value::Null, Value::from), series.plan.inputs[at].cast)
            }
        };
        let mut values = vec![Value::Time(chunk.times[row])];
        values.extend(series.plan.columns.iter().map(|column| column.node.value(&input, &[])));
        if each(chunk.times[row], values) >= enough {
            return Flow::Enough;
        }
    }
    Flow::More
}

fn column<'a>(meaning: &Meaning, chunk: &'a Chunk) -> Option<&'a crate::chunk::Column> {
    field_of(meaning).and_then(|field| chunk.column(field))
}

pub(crate) fn field_of(meaning: &Meaning) -> Option<u32> {
    match meaning {
        Meaning::Field(id, _) => Some(*id),
        _ => None,
    }
}

/// A tag as a column shows it: an absent one is null.
pub(crate) fn tag_value(tags: &Tags, key: &str) -> Value {
    match tag(tags, key) {
        "" => Value::Null,
        text => Value::Text(text.into()),
    }
}

/// Numbers become other numbers; any other pair is null.
pub(crate) fn cast(value: Value, to: Option<Cast>) -> Value {
    match (to, &value) {
        (None | Some(Cast::Field | Cast::Tag), _)
        | (Some(Cast::Text), Value::Text(_))
        | (Some(Cast::Boolean), Value::Boolean(_))
        | (Some(Cast::Integer), Value::Integer(_))
        | (Some(Cast::Unsigned), Value::Unsigned(_)) => value,
        (Some(Cast::Float), _) => value.as_f64().map_or(Value::Null, Value::Float),
        (Some(Cast::Integer), Value::Float(number)) => Value::Integer(*number as i64),
        (Some(Cast::Integer), Value::Unsigned(number)) => Value::Integer(*number as i64),
        (Some(Cast::Unsigned), Value::Float(number)) => Value::Unsigned(*number as u64),
        (Some(Cast::Unsigned), Value::Integer(number)) => Value::Unsigned(*number as u64),
        _ => Value::Null,
    }
}
