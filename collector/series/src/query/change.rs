//! Statements that change what is stored: whether they may be carried out, and carrying them out.

use std::sync::Arc;

use super::condition::Condition;
use super::view::{no_database, views_of_all};
use super::{Answer, QueryError, range};
use crate::change::Statement;
use crate::influxql::ast::{self, Change, Delete, Measurement, Name, PolicyName, PolicyTerms};
use crate::influxql::parse;
use crate::keeping::DAY;
use crate::store::{Catalog, FIRST_POLICY, Removal, Store, StoreError};

/// The shortest time that a policy may keep.
const SHORTEST: i64 = 3_600_000_000_000;

/// Carries out a statement of the journal. What cannot be carried out any more, because another change came before it, is passed
/// over: it was judged when it was asked for.
pub(crate) fn apply(store: &Store, position: u64, statement: &Statement) -> Result<(), StoreError> {
    let limits = &store.options.query;
    let parsed = parse(&statement.text, &Default::default(), 1, limits.max_depth);
    if let Err(why) = &parsed {
        tracing::error!(statement = statement.text, %why, "a statement of the journal can't be read and was passed over");
    }
    if let Ok(parsed) = parsed {
        for (one, _) in parsed {
            if let ast::Statement::Change(change) = one {
                match carry_out(store, position, statement, &change) {
                    Ok(()) => {}
                    Err(QueryError::Store(error)) => return Err(error),
                    Err(why) => {
                        tracing::warn!(
                            statement = statement.text,
                            %why,
                            "a statement could not be carried out any more"
                        );
                    }
                }
            }
        }
    }
    store.advance(position);
    Ok(())
}

/// Whether a change has to be made at all, or why it cannot be.
pub(crate) fn judge(store: &Store, database: &str, change: &Change, now: i64) -> Answer<bool> {
    if !matches!(change, Change::CreateDatabase(..)) {
        store.require_open(change.database(database))?;
    }
    let memory = store.memory();
    let catalog = &memory.catalog;
    match change {
        Change::CreateDatabase(name, terms) => {
            check_terms(terms, None)?;
            if catalog.databases.contains_key(name.as_str()) {
                return Ok(false);
            }
            let most = store.options.max_databases;
            at_most(store, catalog.databases.len(), most, "databases, the most that there may be; drop one first")
        }
        Change::DropDatabase(name) => Ok(catalog.databases.contains_key(name.as_str())),
        Change::CreatePolicy(name, terms) => create_policy(store, catalog, name, terms),
        Change::AlterPolicy(name, terms) => {
            let known = require_database(catalog, &name.database)?.policy(Some(&name.name));
            let known = known.ok_or_else(|| format!("retention policy not found: {}", name.name))?;
            check_terms(terms, Some((known.duration, known.shard)))?;
            Ok(true)
        }
        Change::DropPolicy(name) => {
            let known = catalog.databases.get(name.database.as_str());
            Ok(known.is_some_and(|database| database.policies.contains_key(name.name.as_str())))
        }
        Change::DropMeasurement(name) => {
            let known = require_database(catalog, database)?;
            Ok(known.policies.values().any(|policy| policy.measurements.contains_key(name.as_str())))
        }
        Change::Delete(delete) => {
            require_database(catalog, database)?;
            drop(memory);
            removal(store, database, delete, now).map(|removal| !removal.streams.is_empty())
        }
    }
}

impl Change {
    /// The database that it changes; `usual` where it names none.
    fn database<'a>(&'a self, usual: &'a str) -> &'a str {
        match self {
            Self::CreateDatabase(name, _) | Self::DropDatabase(name) => name,
            Self::CreatePolicy(name, _) | Self::AlterPolicy(name, _) | Self::DropPolicy(name) => &name.database,
            Self::DropMeasurement(_) | Self::Delete(_) => usual,
        }
    }
}

fn require_database<'a>(catalog: &'a Catalog, name: &str) -> Answer<&'a crate::store::Database> {
    catalog.databases.get(name).ok_or_else(|| no_database(name))
}

fn create_policy(store: &Store, catalog: &Catalog, name: &PolicyName, terms: &PolicyTerms) -> Answer<bool> {
    if name.name.is_empty() || matches!(name.name.as_str(), "." | "..") || name.name.contains(['/', '\\']) {
        return Err("invalid name".into());
    }
    let database = require_database(catalog, &name.database)?;
    check_terms(terms, None)?;
    let Some(known) = database.policies.get(name.name.as_str()) else {
        let (there, most) = (database.policies.len(), store.options.max_policies);
        return at_most(store, there, most, "retention policies, the most that a database may have; drop one first");
    };
    let same = known.duration == terms.duration.unwrap_or(0) && known.shard == shard(known.duration, terms.shard);
    let is_default = *database.default_policy == *name.name;
    if !same || (terms.default && !is_default) {
        return Err("retention policy already exists".into());
    }
    Ok(false)
}

/// True while there is room for one more.
fn at_most(store: &Store, there: usize, most: usize, of: &str) -> Answer<bool> {
    if there < most {
        return Ok(true);
    }
    store.count_refused_change();
    Err(format!("there are {there} {of}").into())
}

fn check_terms(terms: &PolicyTerms, known: Option<(i64, i64)>) -> Answer<()> {
    let duration = terms.duration.or(known.map(|known| known.0)).unwrap_or(0);
    if duration != 0 && duration < SHORTEST {
        return Err("retention policy duration must be at least 1h0m0s".into());
    }
    let shard = match terms.shard {
        Some(given) => shard(duration, Some(given)),
        None => known.map_or(0, |known| known.1),
    };
    if duration != 0 && duration < shard {
        return Err("retention policy duration must be greater than the shard duration".into());
    }
    Ok(())
}

/// InfluxDB's rule for the duration of shard groups. Nothing of ours depends on it, but clients show it.
fn shard(duration: i64, given: Option<i64>) -> i64 {
    match given {
        Some(given) if given > 0 => given.max(SHORTEST),
        _ if duration == 0 || duration > 180 * DAY => 7 * DAY,
        _ if duration >= 2 * DAY => DAY,
        _ => SHORTEST,
    }
}

fn carry_out(store: &Store, position: u64, statement: &Statement, change: &Change) -> Answer<()> {
    if !judge(store, &statement.database, change, statement.now_ns)? {
        return Ok(());
    }
    match change {
        Change::CreateDatabase(name, terms) => create_database(store, name, terms),
        Change::CreatePolicy(name, terms) => {
            let duration = terms.duration.unwrap_or(0);
            let mut memory = store.memory_mut();
            memory.catalog.add_policy(&name.database, &name.name, duration, shard(duration, terms.shard));
            if terms.default {
                set_default(&mut memory.catalog, name);
            }
        }
        Change::AlterPolicy(name, terms) => {
            let mut memory = store.memory_mut();
            let database = memory.catalog.databases.get_mut(name.database.as_str());
            if let Some(policy) = database.and_then(|database| database.policies.get_mut(name.name.as_str())) {
                policy.duration = terms.duration.unwrap_or(policy.duration);
                if terms.shard.is_some() {
                    policy.shard = shard(policy.duration, terms.shard);
                }
            }
            if terms.default {
                set_default(&mut memory.catalog, name);
            }
        }
        Change::DropDatabase(name) => {
            let place = Some((name.clone(), None));
            store.remove(position, &Removal { place, ..removal_of(store, name, |_, _| true) })?;
        }
        Change::DropPolicy(name) => {
            let place = Some((name.database.clone(), Some(name.name.clone())));
            let content = removal_of(store, &name.database, |policy, _| policy == name.name);
            store.remove(position, &Removal { place, ..content })?;
        }
        Change::DropMeasurement(name) => {
            let removal = removal_of(store, &statement.database, |_, measurement| measurement == name);
            store.remove(position, &removal)?;
        }
        Change::Delete(delete) => {
            store.remove(position, &removal(store, &statement.database, delete, statement.now_ns)?)?;
        }
    }
    Ok(())
}

fn create_database(store: &Store, name: &str, terms: &PolicyTerms) {
    let mut memory = store.memory_mut();
    memory.catalog.database_or_new(name);
    let policy = terms.name.as_deref().unwrap_or(FIRST_POLICY);
    let Some(database) = memory.catalog.databases.get_mut(name) else { return };
    let Some(mut first) = database.policies.remove(FIRST_POLICY) else { return };
    first.duration = terms.duration.unwrap_or(0);
    first.shard = shard(first.duration, terms.shard);
    let policy: Arc<str> = policy.into();
    database.policies.insert(policy.clone(), first);
    database.default_policy = policy;
}

fn set_default(catalog: &mut Catalog, name: &PolicyName) {
    if let Some(database) = catalog.databases.get_mut(name.database.as_str())
        && let Some((known, _)) = database.policies.get_key_value(name.name.as_str())
    {
        database.default_policy = known.clone();
    }
}

/// Everything of the measurements that `chosen` says yes to, by their policy and their name.
fn removal_of(store: &Store, database: &str, chosen: impl Fn(&str, &str) -> bool) -> Removal {
    let memory = store.memory();
    let Some(known) = memory.catalog.databases.get(database) else { return Removal::default() };
    let mut measurements = Vec::new();
    for (policy, content) in &known.policies {
        let named = content.measurements.iter().filter(|(name, _)| chosen(policy, name));
        measurements.extend(named.map(|(_, id)| *id));
    }
    Removal::of_measurements(&memory, measurements)
}

/// The streams and the range of time that a condition names.
fn removal(store: &Store, database: &str, delete: &Delete, now: i64) -> Answer<Removal> {
    let (condition, range) = range::split(delete.condition.as_ref(), now, None)?;
    if delete.whole_series && (range.has_start() || range.has_end()) {
        return Err("DROP SERIES doesn't support time in WHERE clause".into());
    }
    let every = [Measurement { name: Name::every()?, ..Measurement::default() }];
    let sources = if delete.sources.is_empty() { &every[..] } else { &delete.sources[..] };
    let mut streams = Vec::new();
    for view in views_of_all(store, database, sources.iter())? {
        let bound = Condition::bind(condition.as_ref(), &view)?;
        for stream in &view.streams {
            match bound.for_stream(&stream.tags) {
                Condition::Always(true) => streams.push(stream.id),
                Condition::Always(false) => {}
                _ => return Err("fields not supported in WHERE clause during deletion".into()),
            }
        }
    }
    let (from, to) = if delete.whole_series { (i64::MIN, i64::MAX) } else { (range.from, range.to) };
    Ok(Removal { streams, from, to, whole: delete.whole_series, ..Removal::default() })
}
