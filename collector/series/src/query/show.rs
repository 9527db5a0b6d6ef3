//! `SHOW`: answers from the catalogue alone. A condition on time is accepted where dashboards send one, and everything known is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::budget::Budget;
use super::condition::Condition;
use super::view::{POLICY, View, no_database, views};
use super::{Answer, ResultSeries, Value, range};
use crate::influxql::ast::{Keys, Measurement, Name, Show, What};
use crate::store::{Store, Tags};

pub(crate) fn answer(
    store: &Store,
    database: &str,
    show: &Show,
    now: i64,
    budget: &Budget<'_>,
) -> Answer<Vec<ResultSeries>> {
    if matches!(show.what, What::Databases) {
        return Ok(databases(store));
    }
    let database = show.database.as_deref().unwrap_or(database);
    if !store.memory().catalog.databases.contains_key(database) {
        return Err(no_database(database));
    }
    if matches!(show.what, What::RetentionPolicies) {
        return Ok(policies());
    }
    let (condition, bounds) = range::split(show.condition.as_ref(), now, None)?;
    if matches!(show.what, What::Measurements(_)) && (bounds.has_start() || bounds.has_end()) {
        return Err("SHOW MEASUREMENTS doesn't support time in WHERE clause".into());
    }
    let every = [Measurement { name: every_name()?, ..Measurement::default() }];
    let sources = if show.sources.is_empty() { &every[..] } else { &show.sources[..] };
    let views = views(store, database, sources.iter())?;
    let mut bound = Vec::new();
    for view in &views {
        bound.push((view, Condition::bind(condition.as_ref(), view)?));
    }
    let filtered = condition.is_some();
    let all: Vec<ResultSeries> = match &show.what {
        What::Measurements(with) => measurements(show, &bound, with.as_ref(), filtered),
        What::FieldKeys => each(show, &bound, &["fieldKey", "fieldType"], |view, _| field_keys(view)),
        What::TagKeys => each(show, &bound, &["tagKey"], tag_keys),
        What::TagValues(keys) => {
            each(show, &bound, &["key", "value"], |view, condition| tag_values(view, condition, keys))
        }
        What::Series => series(show, &bound),
        What::Databases | What::RetentionPolicies => Vec::new(),
    };
    budget.rows(all.iter().map(|series| series.values.len()).sum())?;
    Ok(all)
}

/// A database that exists is fine; a new one is made.
pub(crate) fn create_database(store: &Store, name: &str) -> Answer<Vec<ResultSeries>> {
    if store.memory().catalog.databases.contains_key(name) {
        return Ok(Vec::new());
    }
    Err(format!("database {name} cannot be made by a query: it is not in this server's configuration").into())
}

fn every_name() -> Answer<Name> {
    let any = regex::Regex::new("").map_err(|error| error.to_string())?;
    Ok(Name::Like(any))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn table(name: &str, columns: &[&str], values: Vec<Vec<Value>>) -> ResultSeries {
    ResultSeries {
        name: name.into(),
        tags: Vec::new(),
        columns: columns.iter().map(|column| Arc::from(*column)).collect(),
        values,
    }
}

fn databases(store: &Store) -> Vec<ResultSeries> {
    let memory = store.memory();
    let names = memory.catalog.databases.keys().map(|name| vec![text(name)]).collect();
    vec![table("databases", &["name"], names)]
}

/// The one policy: everything, as InfluxDB names it.
fn policies() -> Vec<ResultSeries> {
    let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
    let row = vec![text(POLICY), text("0s"), text("168h0m0s"), Value::Integer(1), Value::Boolean(true)];
    vec![table("", &columns, vec![row])]
}

fn page(show: &Show, rows: impl Iterator<Item = Vec<Value>>) -> Vec<Vec<Value>> {
    let most = if show.limit == 0 { usize::MAX } else { show.limit };
    rows.skip(show.offset).take(most).collect()
}

type Bound<'a> = (&'a View, Condition);

fn matching<'a>(view: &'a View, condition: &'a Condition) -> impl Iterator<Item = &'a Tags> {
    let fits = |tags: &&Tags| !matches!(condition.for_stream(tags), Condition::Always(false));
    view.streams.iter().map(|(_, tags)| tags).filter(fits)
}

fn measurements(show: &Show, bound: &[Bound<'_>], with: Option<&(bool, Name)>, filtered: bool) -> Vec<ResultSeries> {
    let named = |view: &View| with.is_none_or(|(wanted, name)| name.matches(&view.name) == *wanted);
    let kept = bound
        .iter()
        .filter(|(view, condition)| named(view) && (!filtered || matching(view, condition).next().is_some()))
        .map(|(view, _)| vec![text(&view.name)]);
    let rows = page(show, kept);
    if rows.is_empty() { Vec::new() } else { vec![table("measurements", &["name"], rows)] }
}

/// One series for each measurement that has rows.
fn each(
    show: &Show,
    bound: &[Bound<'_>],
    columns: &[&str],
    rows: impl Fn(&View, &Condition) -> Vec<Vec<Value>>,
) -> Vec<ResultSeries> {
    let one = |(view, condition): &Bound<'_>| {
        let rows = page(show, rows(view, condition).into_iter());
        (!rows.is_empty()).then(|| table(&view.name, columns, rows))
    };
    bound.iter().filter_map(one).collect()
}

fn field_keys(view: &View) -> Vec<Vec<Value>> {
    let row =
        |(name, (_, kind)): (&Arc<str>, &(u32, crate::point::FieldKind))| vec![text(name), text(&kind.to_string())];
    view.fields.iter().map(row).collect()
}

fn tag_keys(view: &View, condition: &Condition) -> Vec<Vec<Value>> {
    let keys: BTreeSet<&Arc<str>> =
        matching(view, condition).flat_map(|tags| tags.iter().map(|(key, _)| key)).collect();
    keys.into_iter().map(|key| vec![text(key)]).collect()
}

fn tag_values(view: &View, condition: &Condition, keys: &Keys) -> Vec<Vec<Value>> {
    let mut found: BTreeSet<(&Arc<str>, &Arc<str>)> = BTreeSet::new();
    for tags in matching(view, condition) {
        found.extend(tags.iter().filter(|(key, _)| keys.matches(key)).map(|(key, value)| (key, value)));
    }
    found.into_iter().map(|(key, value)| vec![text(key), text(value)]).collect()
}

/// Streams as line protocol writes them.
fn series(show: &Show, bound: &[Bound<'_>]) -> Vec<ResultSeries> {
    let mut keys: Vec<String> = Vec::new();
    for (view, condition) in bound {
        for tags in matching(view, condition) {
            let mut key = escaped(&view.name, &[',', ' ']);
            for (tag, value) in tags.iter() {
                let marks = [',', '=', ' '];
                key.extend([",", &escaped(tag, &marks), "=", &escaped(value, &marks)]);
            }
            keys.push(key);
        }
    }
    keys.sort();
    let rows = page(show, keys.iter().map(|key| vec![text(key)]));
    if rows.is_empty() { Vec::new() } else { vec![table("", &["key"], rows)] }
}

fn escaped(text: &str, marks: &[char]) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if marks.contains(&letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
