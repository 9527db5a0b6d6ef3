//! What is stored of one measurement, copied out of the catalogue at the beginning of a statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Answer, QueryError};
use crate::influxql::ast::{Cast, Measurement};
use crate::point::FieldKind;
use crate::store::{Store, Tags};

/// One measurement.
pub(crate) struct View {
    pub(crate) name: Arc<str>,
    pub(crate) fields: BTreeMap<Arc<str>, (u32, FieldKind)>,
    pub(crate) tag_keys: BTreeSet<Arc<str>>,
    pub(crate) streams: Vec<(u32, Tags)>,
}

/// What a name means in one measurement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Field(u32, FieldKind),
    Tag(Arc<str>),
    /// Nothing stored has this name.
    Nothing,
}

impl View {
    /// A plain name is a field before it is a tag.
    pub(crate) fn meaning(&self, name: &str, cast: Option<Cast>) -> Meaning {
        let field = self.fields.get(name);
        match (field, cast) {
            (Some((id, kind)), cast) if cast != Some(Cast::Tag) => Meaning::Field(*id, *kind),
            (_, None | Some(Cast::Tag)) => match self.tag_keys.get(name) {
                Some(key) => Meaning::Tag(key.clone()),
                None => Meaning::Nothing,
            },
            _ => Meaning::Nothing,
        }
    }
}

/// The value of a tag; an absent one is the empty text.
pub(crate) fn tag<'a>(tags: &'a Tags, key: &str) -> &'a str {
    let at = tags.binary_search_by(|(known, _)| (**known).cmp(key));
    at.map_or("", |at| &tags[at].1)
}

/// The measurements that the sources name, sorted by name, each once.
pub(crate) fn views<'a>(
    store: &Store,
    database: &str,
    sources: impl Iterator<Item = &'a Measurement>,
) -> Answer<Vec<View>> {
    let mut found: BTreeMap<(Arc<str>, u32), View> = BTreeMap::new();
    for source in sources {
        let database = source.database.as_deref().unwrap_or(database);
        require_policy(source)?;
        let memory = store.memory();
        let catalog = &memory.catalog;
        let Some(known) = catalog.databases.get(database) else {
            return Err(no_database(database));
        };
        for (name, id) in &known.measurements {
            if !source.name.matches(name) {
                continue;
            }
            let measurement = &catalog.measurements[*id as usize];
            let field = |(name, id): (&Arc<str>, &u32)| (name.clone(), (*id, catalog.fields[*id as usize].kind));
            let stream = |id: &u32| (*id, catalog.streams[*id as usize].tags.clone());
            found.entry((name.clone(), *id)).or_insert_with(|| View {
                name: name.clone(),
                fields: measurement.fields.iter().map(field).collect(),
                tag_keys: measurement.tag_keys.keys().cloned().collect(),
                streams: measurement.streams.iter().map(stream).collect(),
            });
        }
    }
    Ok(found.into_values().collect())
}

/// There is one policy, and it is InfluxDB's default one.
pub(crate) const POLICY: &str = "autogen";

fn require_policy(source: &Measurement) -> Answer<()> {
    match source.policy.as_deref() {
        None | Some(POLICY | "default") => Ok(()),
        Some(other) => Err(format!("retention policy not found: {other}").into()),
    }
}

pub(crate) fn no_database(name: &str) -> QueryError {
    if name.is_empty() {
        return "database name required".into();
    }
    format!("database not found: {name}").into()
}
