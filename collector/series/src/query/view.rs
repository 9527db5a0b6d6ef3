//! What is stored of one measurement, copied out of the catalogue at the beginning of a statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::narrow::narrowed;
use super::range::TimeRange;
use super::{Answer, QueryError};
use crate::influxql::ast::{Cast, Expr, Measurement};
use crate::point::FieldKind;
use crate::store::{Catalog, Place, Policy, Store, Tags};

/// What a SELECT can read from: a measurement, or the answer of another SELECT.
pub(crate) struct View {
    /// Of a measurement; the series of a sub-query have names of their own.
    pub(crate) name: Arc<str>,
    pub(crate) fields: BTreeMap<Arc<str>, (u32, FieldKind)>,
    pub(crate) tag_keys: BTreeSet<Arc<str>>,
    /// Of a sub-query: tags that stand in a column of its rows.
    pub(crate) labels: BTreeMap<Arc<str>, u32>,
    pub(crate) streams: Vec<Stream>,
    /// How long its policy keeps points, in nanoseconds; 0 for ever.
    pub(crate) keeps: i64,
}

/// One stream of a measurement, or one series of a sub-query's answer.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    pub(crate) tags: Tags,
}

/// What a name means in one view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// A field, and the kind that its values are read as.
    Field(u32, FieldKind),
    Tag(Arc<str>),
    /// A tag that stands in a column.
    Label(u32),
    /// Nothing stored has this name.
    Nothing,
}

impl View {
    /// The range without what is older than the policy keeps. It may not have gone from the disk yet.
    pub(crate) fn kept(&self, range: TimeRange, now: i64) -> TimeRange {
        match self.keeps {
            0 => range,
            keeps => TimeRange { from: range.from.max(now.saturating_sub(keeps)), ..range },
        }
    }

    /// A plain name is a field before it is a tag.
    pub(crate) fn meaning(&self, name: &str, cast: Option<Cast>) -> Meaning {
        let field = self.fields.get(name).filter(|_| cast != Some(Cast::Tag));
        if let Some((id, stored)) = field {
            return match cast.and_then(Cast::kind) {
                None => Meaning::Field(*id, *stored),
                Some(kind) if kind == *stored || (kind.is_number() && stored.is_number()) => Meaning::Field(*id, kind),
                Some(_) => Meaning::Nothing,
            };
        }
        if !matches!(cast, None | Some(Cast::Tag)) {
            return Meaning::Nothing;
        }
        if let Some(id) = self.labels.get(name) {
            return Meaning::Label(*id);
        }
        self.tag_keys.get(name).map_or(Meaning::Nothing, |key| Meaning::Tag(key.clone()))
    }
}

impl Cast {
    /// The kind that values are turned into.
    fn kind(self) -> Option<FieldKind> {
        match self {
            Self::Float => Some(FieldKind::Float),
            Self::Integer => Some(FieldKind::Integer),
            Self::Unsigned => Some(FieldKind::Unsigned),
            Self::Text => Some(FieldKind::Text),
            Self::Boolean => Some(FieldKind::Boolean),
            Self::Field | Self::Tag => None,
        }
    }
}

/// The value of a tag; an absent one is the empty text.
pub(crate) fn tag<'a>(tags: &'a Tags, key: &str) -> &'a str {
    let at = tags.binary_search_by(|(known, _)| (**known).cmp(key));
    at.map_or("", |at| &tags[at].1)
}

/// The measurements that the sources name, sorted by name, each once, with the streams that can meet the condition. `place` is where a
/// source looks that names no other.
pub(crate) fn views<'a>(
    store: &Store,
    place: Place<'_>,
    condition: Option<&Expr>,
    sources: impl Iterator<Item = &'a Measurement>,
) -> Answer<Vec<View>> {
    let mut found: BTreeMap<(Arc<str>, u32), View> = BTreeMap::new();
    let memory = store.memory();
    for source in sources {
        let database = source.database.as_deref().unwrap_or(place.database);
        let policy = match (&source.policy, &source.database) {
            (Some(policy), _) => Some(policy.as_str()),
            (None, Some(_)) => None,
            (None, None) => place.policy,
        };
        let known = memory.catalog.databases.get(database).ok_or_else(|| no_database(database))?;
        let Some(policy) = known.policy(policy) else {
            return Err(format!("retention policy not found: {}", policy.unwrap_or_default()).into());
        };
        collect(&memory.catalog, policy, source, condition, &mut found);
    }
    Ok(found.into_values().collect())
}

/// As [`views`], in all policies of the database.
pub(crate) fn views_of_all<'a>(
    store: &Store,
    database: &str,
    sources: impl Iterator<Item = &'a Measurement>,
) -> Answer<Vec<View>> {
    let mut found: BTreeMap<(Arc<str>, u32), View> = BTreeMap::new();
    let memory = store.memory();
    for source in sources {
        let database = source.database.as_deref().unwrap_or(database);
        let known = memory.catalog.databases.get(database).ok_or_else(|| no_database(database))?;
        for policy in known.policies.values() {
            collect(&memory.catalog, policy, source, None, &mut found);
        }
    }
    Ok(found.into_values().collect())
}

fn collect(
    catalog: &Catalog,
    policy: &Policy,
    source: &Measurement,
    condition: Option<&Expr>,
    found: &mut BTreeMap<(Arc<str>, u32), View>,
) {
    for (name, id) in &policy.measurements {
        if !source.name.matches(name) {
            continue;
        }
        let measurement = &catalog.measurements[*id as usize];
        let field = |(name, id): (&Arc<str>, &u32)| (name.clone(), (*id, catalog.fields[*id as usize].kind));
        let stream =
            |id: &u32| Stream { id: *id, name: name.clone(), tags: catalog.streams[*id as usize].tags.clone() };
        let narrowed = condition.and_then(|condition| narrowed(measurement, condition));
        let streams = narrowed.as_ref().unwrap_or(&measurement.streams);
        found.entry((name.clone(), *id)).or_insert_with(|| View {
            name: name.clone(),
            fields: measurement.fields.iter().map(field).collect(),
            tag_keys: measurement.tag_keys.keys().cloned().collect(),
            labels: BTreeMap::new(),
            streams: streams.iter().map(stream).collect(),
            keeps: policy.duration,
        });
    }
}

pub(crate) fn no_database(name: &str) -> QueryError {
    if name.is_empty() {
        return "database name required".into();
    }
    format!("database not found: {name}").into()
}
