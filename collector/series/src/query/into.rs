//! `SELECT ... INTO`: the rows of an answer as written lines.

use std::sync::Arc;

use bytes::Bytes;

use super::{Answer, Request, ResultSeries, Value, select};
use crate::change::{Change, Lines};
use crate::influxql::ast::{Name, Select};
use crate::line::{Precision, write};
use crate::point::{FieldValue, Point};

/// Rows in one change: about a megabyte of text.
const ROWS_AT_ONCE: usize = 10_000;

/// Writes what the SELECT answers, and says how many rows that were.
pub(crate) fn answer(request: &Request<'_>, select: &Select) -> Answer<Vec<ResultSeries>> {
    let Some(target) = &select.target else { return Err("no target".into()) };
    let Name::Is(name) = &target.name else { return Err("a target cannot be a pattern".into()) };
    let database = target.database.as_deref().unwrap_or(request.database);
    let policy = match (&target.policy, &target.database) {
        (Some(policy), _) => policy.as_str(),
        (None, Some(_)) => "",
        (None, None) => request.options.policy.as_deref().unwrap_or_default(),
    };
    let mut written = Lines {
        database: database.to_owned(),
        policy: policy.to_owned(),
        precision: Precision::Nanoseconds,
        now_ns: request.options.now_ns,
        text: Bytes::new(),
    };
    if request.store.keeps(written.place()).is_none() {
        return Err(match request.store.keeps(database.into()) {
            None => super::view::no_database(database),
            Some(_) => format!("retention policy not found: {policy}").into(),
        });
    }
    request.store.require_open(database)?;
    let (mut text, mut rows, mut total) = (String::new(), 0, 0);
    for series in select::collect(request, select)? {
        let name = if name.is_empty() { &*series.name } else { name.as_str() };
        for values in &series.values {
            let Some(point) = point(name, &series, values) else { continue };
            write(&mut text, &point);
            (rows, total) = (rows + 1, total + 1);
            if rows == ROWS_AT_ONCE {
                commit(request, &mut written, &mut text)?;
                rows = 0;
            }
        }
    }
    commit(request, &mut written, &mut text)?;
    let values = vec![vec![Value::Time(0), Value::Integer(total)]];
    let columns = ["time", "written"].iter().map(|column| Arc::from(*column)).collect();
    Ok(vec![ResultSeries { name: "result".into(), columns, values, ..ResultSeries::default() }])
}

fn commit(request: &Request<'_>, written: &mut Lines, text: &mut String) -> Answer<()> {
    written.text = std::mem::take(text).into_bytes().into();
    let sifted = request.store.sift(written.clone());
    if let Some(conflict) = sifted.conflicts.into_iter().next() {
        return Err(format!("partial write: {conflict}").into());
    }
    match sifted.lines {
        Some(lines) => request.commit(Change::Lines(lines)),
        None => Ok(()),
    }
}

/// A row as a point; none if it has no value. Tags that were not grouped by become fields, as in InfluxDB.
fn point<'a>(name: &'a str, series: &'a ResultSeries, values: &'a [Value]) -> Option<Point<'a>> {
    let Some(Value::Time(time)) = values.first() else { return None };
    let field = |(name, value): (&'a Arc<str>, &'a Value)| {
        let value = match value {
            Value::Float(value) if value.is_finite() => FieldValue::Float(*value),
            Value::Integer(value) => FieldValue::Integer(*value),
            Value::Unsigned(value) => FieldValue::Unsigned(*value),
            Value::Boolean(value) => FieldValue::Boolean(*value),
            Value::Text(text) => FieldValue::Text(text.clone()),
            _ => return None,
        };
        Some(((&**name).into(), value))
    };
    let fields: Vec<_> = series.columns.iter().zip(values).skip(1).filter_map(field).collect();
    let tags = series.tags.iter().filter(|(_, value)| !value.is_empty());
    let tags = tags.map(|(key, value)| ((&**key).into(), (&**value).into())).collect();
    (!fields.is_empty()).then(|| Point { measurement: name.into(), tags, time: *time, fields })
}
