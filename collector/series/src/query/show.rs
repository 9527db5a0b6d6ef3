//! `SHOW`: answers from the catalogue alone. A condition on time is accepted where dashboards send one, and everything known is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::condition::Condition;
use super::view::{View, no_database, views_of_all};
use super::{Answer, Request, ResultSeries, Value, range};
use crate::influxql::ast::{Counted, Keys, Measurement, Name, Show, What};
use crate::store::{Store, Tags};

pub(crate) fn answer(request: &Request<'_>, show: &Show) -> Answer<Vec<ResultSeries>> {
    let store = request.store;
    match &show.what {
        What::Databases => return Ok(databases(store)),
        What::ContinuousQueries => return Ok(continuous_queries(store)),
        What::Nothing([]) => return Ok(Vec::new()),
        What::Nothing(columns) => return Ok(vec![table("", columns, Vec::new())]),
        _ => {}
    }
    let database = show.database.as_deref().unwrap_or(request.database);
    if !store.memory().catalog.databases.contains_key(database) {
        return Err(no_database(database));
    }
    if matches!(show.what, What::RetentionPolicies) {
        return Ok(policies(store, database));
    }
    let (condition, bounds) = range::split(show.condition.as_ref(), request.options.now_ns, None)?;
    refuse_time(&show.what, bounds.has_start() || bounds.has_end())?;
    let every = [Measurement { name: Name::every()?, ..Measurement::default() }];
    let sources = if show.sources.is_empty() { &every[..] } else { &show.sources[..] };
    let mut views = views_of_all(store, database, sources.iter())?;
    // A measurement without series is forgotten, as in InfluxDB.
    views.retain(|view| !view.streams.is_empty());
    let mut bound = Vec::new();
    let bind = match show.what {
        // Whoever looks for measurements by what is said of a field finds none.
        What::Measurements(_) => Condition::bind,
        _ => Condition::bind_tags,
    };
    for view in &views {
        bound.push((view, bind(condition.as_ref(), view)?));
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
        What::Cardinality(counted, exact) => cardinality(counted, *exact, &bound, filtered || !show.sources.is_empty()),
        What::ContinuousQueries | What::Databases | What::RetentionPolicies | What::Nothing(_) => Vec::new(),
    };
    request.budget.rows(all.iter().map(|series| series.values.len()).sum())?;
    Ok(all)
}

/// Statements that InfluxDB answers from its index alone take no time.
fn refuse_time(what: &What, given: bool) -> Answer<()> {
    let name = match what {
        What::Measurements(_) => "SHOW MEASUREMENTS",
        What::Cardinality(Counted::Series, _) => "SHOW SERIES EXACT CARDINALITY",
        What::Cardinality(Counted::Measurements, _) => "SHOW MEASUREMENT EXACT CARDINALITY",
        What::Cardinality(Counted::TagKeys, _) => "SHOW TAG KEY EXACT CARDINALITY",
        _ => return Ok(()),
    };
    if given { Err(format!("{name} doesn't support time in WHERE clause").into()) } else { Ok(()) }
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
        zone: None,
    }
}

fn databases(store: &Store) -> Vec<ResultSeries> {
    let memory = store.memory();
    let names = memory.catalog.databases.keys().map(|name| vec![text(name)]).collect();
    vec![table("databases", &["name"], names)]
}

/// There are none, of each database.
fn continuous_queries(store: &Store) -> Vec<ResultSeries> {
    let memory = store.memory();
    memory.catalog.databases.keys().map(|name| table(name, &["name", "query"], Vec::new())).collect()
}

/// In the order in which they were made.
fn policies(store: &Store, database: &str) -> Vec<ResultSeries> {
    let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
    let memory = store.memory();
    let Some(known) = memory.catalog.databases.get(database) else { return Vec::new() };
    let mut policies: Vec<_> = known.policies.iter().collect();
    policies.sort_by_key(|(_, policy)| policy.id);
    let row = |(name, policy): (&Arc<str>, &crate::store::Policy)| {
        let is_default = *name == known.default_policy;
        let span = |nanoseconds| text(&span(nanoseconds));
        vec![text(name), span(policy.duration), span(policy.shard), Value::Integer(1), Value::Boolean(is_default)]
    };
    vec![table("", &columns, policies.into_iter().map(row).collect())]
}

/// As Go writes durations: `168h0m0s`.
fn span(nanoseconds: i64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn page(show: &Show, rows: impl Iterator<Item = Vec<Value>>) -> Vec<Vec<Value>> {
    let most = if show.limit == 0 { usize::MAX } else { show.limit };
    rows.skip(show.offset).take(most).collect()
}

type Bound<'a> = (&'a View, Condition);

fn matching<'a>(view: &'a View, condition: &'a Condition) -> impl Iterator<Item = &'a Tags> {
    let fits = |tags: &&Tags| !matches!(condition.for_stream(tags), Condition::Always(false));
    view.streams.iter().map(|stream| &stream.tags).filter(fits)
}

fn measurements(show: &Show, bound: &[Bound<'_>], with: Option<&(bool, Name)>, filtered: bool) -> Vec<ResultSeries> {
    let named = |view: &View| with.is_none_or(|(wanted, name)| name.matches(&view.name) == *wanted);
    let kept = bound
        .iter()
        .filter(|(view, condition)| named(view) && (!filtered || condition.fits_measurement(view)))
        .map(|(view, _)| view.name.clone());
    let kept: BTreeSet<Arc<str>> = kept.collect();
    let rows = page(show, kept.iter().map(|name| vec![text(name)]));
    if rows.is_empty() { Vec::new() } else { vec![table("measurements", &["name"], rows)] }
}

/// One series for each measurement that has rows. What several policies hold of one measurement is one.
fn each(
    show: &Show,
    bound: &[Bound<'_>],
    columns: &[&str],
    rows: impl Fn(&View, &Condition) -> BTreeSet<Vec<String>>,
) -> Vec<ResultSeries> {
    let mut found: BTreeMap<&Arc<str>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (view, condition) in bound {
        found.entry(&view.name).or_default().extend(rows(view, condition));
    }
    let one = |(name, rows): (&Arc<str>, BTreeSet<Vec<String>>)| {
        let cells = |row: Vec<String>| row.iter().map(|cell| text(cell)).collect();
        let rows = page(show, rows.into_iter().map(cells));
        (!rows.is_empty()).then(|| table(name, columns, rows))
    };
    found.into_iter().filter_map(one).collect()
}

fn field_keys(view: &View) -> BTreeSet<Vec<String>> {
    view.fields.iter().map(|(name, (_, kind))| vec![name.to_string(), kind.to_string()]).collect()
}

fn tag_keys(view: &View, condition: &Condition) -> BTreeSet<Vec<String>> {
    let keys = matching(view, condition).flat_map(|tags| tags.iter().map(|(key, _)| key));
    keys.map(|key| vec![key.to_string()]).collect()
}

fn tag_values(view: &View, condition: &Condition, keys: &Keys) -> BTreeSet<Vec<String>> {
    let pairs = matching(view, condition).flat_map(|tags| tags.iter().filter(|(key, _)| keys.matches(key)));
    pairs.map(|(key, value)| vec![key.to_string(), value.to_string()]).collect()
}

/// How many there are. InfluxDB gives one number for the database when it may estimate, and one for each measurement else.
fn cardinality(counted: &Counted, exact: bool, bound: &[Bound<'_>], chosen: bool) -> Vec<ResultSeries> {
    let column = match counted {
        Counted::Series | Counted::Measurements if !exact && !chosen => "cardinality estimation",
        _ => "count",
    };
    let mut found: BTreeMap<&Arc<str>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (view, condition) in bound {
        let rows: BTreeSet<Vec<String>> = match counted {
            Counted::Series | Counted::Measurements => {
                matching(view, condition).map(|tags| vec![tags_key(tags)]).collect()
            }
            Counted::TagKeys => tag_keys(view, condition),
            Counted::TagValues(keys) => tag_values(view, condition, keys),
            Counted::FieldKeys => field_keys(view),
        };
        found.entry(&view.name).or_default().extend(rows);
    }
    found.retain(|_, rows| !rows.is_empty());
    let number = |count: usize| vec![vec![Value::Integer(count as i64)]];
    match counted {
        Counted::Measurements if found.is_empty() => Vec::new(),
        Counted::Measurements => vec![table("", &[column], number(found.len()))],
        Counted::Series if column != "count" => {
            vec![table("", &[column], number(found.values().map(BTreeSet::len).sum()))]
        }
        _ => found.into_iter().map(|(name, rows)| table(name, &[column], number(rows.len()))).collect(),
    }
}

/// Streams as line protocol writes them.
fn series(show: &Show, bound: &[Bound<'_>]) -> Vec<ResultSeries> {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for (view, condition) in bound {
        let name = escaped(&view.name, &[',', ' ']);
        keys.extend(matching(view, condition).map(|tags| format!("{name}{}", tags_key(tags))));
    }
    let rows = page(show, keys.iter().map(|key| vec![text(key)]));
    if rows.is_empty() { Vec::new() } else { vec![table("", &["key"], rows)] }
}

fn tags_key(tags: &Tags) -> String {
    let marks = [',', '=', ' '];
    let mut key = String::new();
    for (tag, value) in tags.iter() {
        key.extend([",", &escaped(tag, &marks), "=", &escaped(value, &marks)]);
    }
    key
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
