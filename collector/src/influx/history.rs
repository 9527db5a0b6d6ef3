//! What the embedded store has of a span of time, for an InfluxDB that has lost a part of the journal.
//!
//! The store is ahead of that part, so a point that was overwritten since is sent as it is now, and once more by its own record
//! later: in the end both hold the same. A deletion among what was lost is not told, since nothing is left of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_series::{Epoch, FieldValue, Point, QueryOptions, ResultSeries, Store, Value};

use super::batch::Place;
use super::gather::Gathered;
use crate::points;

/// How much older than its arrival a point may be: what an agent's spool keeps by default.
const LATE: Duration = Duration::from_secs(14 * 86_400);

/// How far ahead of its arrival a point may be.
const AHEAD: Duration = Duration::from_secs(600);

/// How much is read of the store at once: a district's points of ten minutes fit into memory many times.
const SLICE_NS: i64 = 600 * 1_000_000_000;

/// A walk through the store.
#[derive(Debug)]
pub struct History {
    next_ns: i64,
    end_ns: i64,
}

/// Why the store can't be read just now.
#[derive(Debug, thiserror::Error)]
#[error("the embedded store does not tell what InfluxDB has lost: {0}")]
pub struct Untold(String);

impl History {
    /// All that arrived between these times.
    #[must_use]
    pub fn arrived(from: Timestamp, to: Timestamp) -> Self {
        let ns = |at: Timestamp| at.0.saturating_mul(1_000_000);
        Self { next_ns: ns(from - LATE), end_ns: ns(to + AHEAD) }
    }

    /// Whether all is told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.next_ns >= self.end_ns
    }

    /// The next slice that has points, or the end.
    ///
    /// # Errors
    /// When the store can't be read; the same slice is told again at the next call.
    pub fn tell(&mut self, store: &Store, into: &mut Gathered) -> Result<(), Untold> {
        let measurements = measurements(store)?;
        while !self.is_over() && into.is_empty() {
            let end = self.next_ns.saturating_add(SLICE_NS).min(self.end_ns);
            for (place, measurement) in &measurements {
                slice(store, place, measurement, self.next_ns..end, into)?;
            }
            self.next_ns = end;
        }
        Ok(())
    }
}

/// Every measurement of every place.
fn measurements(store: &Store) -> Result<Vec<(Place, String)>, Untold> {
    let mut found = Vec::new();
    for database in names(store, "", "SHOW DATABASES")? {
        for measurement in names(store, &database, "SHOW MEASUREMENTS")? {
            for policy in policies(store, &database)? {
                let place = Place { database: database.clone(), policy };
                found.push((place, measurement.clone()));
            }
        }
    }
    Ok(found)
}

/// The policies of a database; empty for the default one.
fn policies(store: &Store, database: &str) -> Result<Vec<String>, Untold> {
    if database == points::DATABASE {
        return Ok(vec![String::new()]);
    }
    let series = ask(store, database, "SHOW RETENTION POLICIES")?;
    let rows = series.iter().flat_map(|series| &series.values);
    let named = rows.filter_map(|row| match (row.first()?, row.last()?) {
        (Value::Text(_), Value::Boolean(true)) => Some(String::new()),
        (Value::Text(name), _) => Some(name.to_string()),
        _ => None,
    });
    Ok(named.collect())
}

fn names(store: &Store, database: &str, question: &str) -> Result<Vec<String>, Untold> {
    let series = ask(store, database, question)?;
    let rows = series.iter().flat_map(|series| &series.values);
    Ok(rows
        .filter_map(|row| if let Value::Text(name) = row.first()? { Some(name.to_string()) } else { None })
        .collect())
}

fn slice(
    store: &Store,
    place: &Place,
    measurement: &str,
    span: std::ops::Range<i64>,
    into: &mut Gathered,
) -> Result<(), Untold> {
    let policy = if place.policy.is_empty() { String::new() } else { format!("{}.", quoted(&place.policy)) };
    let question = format!(
        "SELECT * FROM {policy}{} WHERE time >= {} AND time < {} GROUP BY *",
        quoted(measurement),
        span.start,
        span.end
    );
    for series in ask(store, &place.database, &question)? {
        for row in &series.values {
            if let Some(point) = point(&series, row) {
                into.push(place, &point);
            }
        }
    }
    Ok(())
}

/// A name as InfluxQL takes it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn ask(store: &Store, database: &str, question: &str) -> Result<Vec<ResultSeries>, Untold> {
    let options = QueryOptions { epoch: Epoch::Nanoseconds, ..QueryOptions::at(i64::MAX / 2) };
    let response = store.query(database, question, &options);
    if let Some(error) = response.error.or_else(|| response.results.iter().find_map(|result| result.error.clone())) {
        return Err(Untold(format!("{question}: {error}")));
    }
    Ok(response.results.into_iter().flat_map(|result| result.series).collect())
}

fn point<'a>(series: &'a ResultSeries, row: &'a [Value]) -> Option<Point<'a>> {
    let (Value::Time(time), values) = row.split_first()? else { return None };
    let field = |value: &Value| {
        Some(match value {
            Value::Float(value) => FieldValue::Float(*value),
            Value::Integer(value) => FieldValue::Integer(*value),
            Value::Unsigned(value) => FieldValue::Unsigned(*value),
            Value::Boolean(value) => FieldValue::Boolean(*value),
            Value::Text(text) => FieldValue::Text(Arc::from(&**text)),
            Value::Null | Value::Time(_) => return None,
        })
    };
    let columns = series.columns.iter().skip(1).zip(values);
    let fields: Vec<_> = columns.filter_map(|(name, value)| Some((Cow::Borrowed(&**name), field(value)?))).collect();
    let tags = series.tags.iter().filter(|(_, value)| !value.is_empty());
    let tags = tags.map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value))).collect();
    (!fields.is_empty()).then_some(Point { measurement: Cow::Borrowed(&*series.name), tags, time: *time, fields })
}

#[cfg(test)]
mod tests {
    use super::super::gather::Job;
    use super::*;
    use bellwether_series::{Options, Precision, lines};

    #[test]
    fn every_point_of_the_span_is_told_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let hour = 3_600_000_000_000_i64;
        let day = 24 * hour;
        let text = format!(
            "disk,path=/a\\ b,host=x used=1.5,free=7i,ok=true,note=\"a \\\"b\\\"\" {}\ndisk,host=y used=2.0 {}\ncpu idle=99.0 {}\nold v=1.0 1\n",
            20 * day,
            20 * day + 1,
            21 * day
        );
        let all: Vec<_> = lines(text.as_bytes(), Precision::Nanoseconds, 0).map(|line| line.unwrap().point).collect();
        store.apply(1, points::DATABASE, &all).unwrap();
        let ms = |ns: i64| Timestamp(ns / 1_000_000);
        let mut history = History::arrived(ms(21 * day), ms(21 * day));
        let mut told = String::new();
        while !history.is_over() {
            let mut gathered = Gathered::default();
            history.tell(&store, &mut gathered).unwrap();
            for job in gathered.take() {
                if let Job::Lines(batch) = job {
                    told.push_str(batch.text());
                }
            }
        }
        let read = |text: &str| {
            let mut lines: Vec<_> = lines(text.as_bytes(), Precision::Nanoseconds, 0)
                .map(|line| {
                    let mut point = line.unwrap().point;
                    point.fields.sort_by(|a, b| a.0.cmp(&b.0));
                    format!("{point:?}")
                })
                .collect();
            lines.sort();
            lines
        };
        let expected: String =
            text.lines().filter(|line| !line.starts_with("old")).map(|line| format!("{line}\n")).collect();
        assert_eq!(read(&told), read(&expected));
    }
}
