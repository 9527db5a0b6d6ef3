//! The answer of a sub-query as something to read from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::range::TimeRange;
use super::raw::merge::{Row, merged};
use super::read::read_as;
use super::select::{Group, Prepared};
use super::view::{Stream, View};
use super::{Answer, Value};
use crate::chunk::Chunk;
use crate::point::{FieldKind, FieldValue};

/// Its columns are fields, its grouped tags are tags that stand in columns, its series are streams.
pub(crate) fn view(inner: &Prepared<'_>, groups: &[Group]) -> View {
    let columns = inner.plan.columns.iter().enumerate();
    let fields = columns.filter_map(|(at, column)| Some((column.name.clone(), (at as u32, column.kind?))));
    let labels: BTreeMap<Arc<str>, u32> =
        inner.keys.iter().enumerate().map(|(at, key)| (key.clone(), label(inner, at))).collect();
    let stream = |(id, group): (usize, &Group)| {
        let tags = inner.keys.iter().cloned().zip(group.values.iter().cloned());
        let tags = tags.filter(|(_, value)| !value.is_empty()).collect();
        Stream { id: id as u32, name: group.name.clone(), tags }
    };
    View {
        name: Arc::from(""),
        fields: fields.collect(),
        tag_keys: inner.plan.own_keys(&inner.keys),
        labels,
        streams: groups.iter().enumerate().map(stream).collect(),
        keeps: 0,
    }
}

/// The column of a grouped tag stands behind those of the fields.
fn label(inner: &Prepared<'_>, at: usize) -> u32 {
    (inner.plan.columns.len() + at) as u32
}

/// The rows of some of its series, merged by time.
pub(crate) fn rows<'g>(
    inner: &Prepared<'_>,
    groups: impl Iterator<Item = &'g Group>,
    range: TimeRange,
) -> Answer<Chunk> {
    let mut series: Vec<Vec<Row>> = Vec::new();
    for group in groups {
        let made = inner.rows(group, range)?;
        inner.request.budget.hold(made.len())?;
        let labelled = |mut values: Vec<Value>| {
            let Some(Value::Time(time)) = values.first() else { return None };
            let time = *time;
            values.extend(group.values.iter().map(|value| Value::Text(value.clone())));
            Some(Row { time, texts: Vec::new(), values })
        };
        series.push(made.into_iter().filter_map(labelled).collect());
    }
    let series = series.into_iter().map(Vec::into_iter);
    let mut rows: Vec<Vec<Value>> = merged(series, inner.descending).collect();
    if inner.descending {
        rows.reverse();
    }
    let times = rows.iter().filter_map(|row| match row.first() {
        Some(Value::Time(time)) => Some(*time),
        _ => None,
    });
    let mut chunk = Chunk { times: times.collect(), columns: Vec::new() };
    let kinds = inner.plan.columns.iter().map(|column| column.kind);
    let kinds: Vec<Option<FieldKind>> = kinds.chain(inner.keys.iter().map(|_| Some(FieldKind::Text))).collect();
    for (at, row) in rows.into_iter().enumerate() {
        for (field, value) in row.into_iter().skip(1).enumerate() {
            let value = kinds[field].and_then(|kind| read_as(stored(value)?, kind));
            if let Some(value) = value {
                chunk.put(at, field as u32, &value);
            }
        }
    }
    Ok(chunk)
}

fn stored(value: Value) -> Option<FieldValue> {
    Some(match value {
        Value::Float(value) if value.is_finite() => FieldValue::Float(value),
        Value::Integer(value) => FieldValue::Integer(value),
        Value::Unsigned(value) => FieldValue::Unsigned(value),
        Value::Boolean(value) => FieldValue::Boolean(value),
        Value::Text(value) => FieldValue::Text(value),
        _ => return None,
    })
}
