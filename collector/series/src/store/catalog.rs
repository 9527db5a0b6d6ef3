//! What is known: databases, measurements, fields with their types, streams. All of it is in memory; what is new since the last
//! checkpoint goes to disk with the next one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::head::Head;
use crate::point::{FieldKind, Point};

/// Everything that has a name, and the heads.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) databases: BTreeMap<Arc<str>, Database>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) streams: Vec<Stream>,
    /// Names of the fields, by field id.
    pub(crate) fields: Vec<Field>,
    /// From the hash of (measurement, tags) to the newest stream with it; streams of one hash are chained.
    by_hash: HashMap<u64, u32, Already>,
    texts: HashSet<Arc<str>>,
    /// Of the hash of a stream's key.
    hasher: std::hash::RandomState,
}

pub(crate) struct Database {
    pub(crate) id: u32,
    pub(crate) measurements: BTreeMap<Arc<str>, u32>,
}

pub(crate) struct Measurement {
    pub(crate) database: u32,
    pub(crate) name: Arc<str>,
    pub(crate) fields: BTreeMap<Arc<str>, u32>,
    /// How many streams have each tag key.
    pub(crate) tag_keys: BTreeMap<Arc<str>, u32>,
    pub(crate) streams: Vec<u32>,
}

pub(crate) struct Field {
    pub(crate) measurement: u32,
    pub(crate) name: Arc<str>,
    pub(crate) kind: FieldKind,
}

/// Sorted by key.
pub(crate) type Tags = Arc<[(Arc<str>, Arc<str>)]>;

pub(crate) struct Stream {
    pub(crate) measurement: u32,
    pub(crate) tags: Tags,
    pub(crate) head: Head,
    /// The times that blocks on disk cover, if there are any.
    pub(crate) sealed: Option<(i64, i64)>,
    /// Another stream of the same hash.
    same_hash: Option<u32>,
}

impl Catalog {
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }

    pub(crate) fn database_or_new(&mut self, name: &str) -> u32 {
        if let Some(database) = self.databases.get(name) {
            return database.id;
        }
        let name = self.intern(name);
        let id = self.databases.len() as u32;
        self.databases.insert(name, Database { id, measurements: BTreeMap::new() });
        id
    }

    pub(crate) fn measurement(&self, database: &str, name: &str) -> Option<u32> {
        self.databases.get(database)?.measurements.get(name).copied()
    }

    pub(crate) fn measurement_or_new(&mut self, database: &str, name: &str) -> u32 {
        if let Some(known) = self.measurement(database, name) {
            return known;
        }
        self.database_or_new(database);
        let name = self.intern(name);
        let id = self.measurements.len() as u32;
        if let Some(database) = self.databases.get_mut(database) {
            database.measurements.insert(name.clone(), id);
            self.measurements.push(Measurement {
                database: database.id,
                name,
                fields: BTreeMap::new(),
                tag_keys: BTreeMap::new(),
                streams: Vec::new(),
            });
        }
        id
    }

    /// The id and type of a field; made with `kind` if it is new.
    pub(crate) fn field_or_new(&mut self, measurement: u32, name: &str, kind: FieldKind) -> u32 {
        if let Some(known) = self.measurements[measurement as usize].fields.get(name) {
            return *known;
        }
        let name = self.intern(name);
        let id = self.fields.len() as u32;
        self.fields.push(Field { measurement, name: name.clone(), kind });
        self.measurements[measurement as usize].fields.insert(name, id);
        id
    }

    pub(crate) fn hash<'a>(&self, measurement: u32, tags: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        let mut hash = self.hasher.build_hasher();
        hash.write_u32(measurement);
        for (key, value) in tags {
            hash.write_usize(key.len());
            hash.write(key.as_bytes());
            hash.write_usize(value.len());
            hash.write(value.as_bytes());
        }
        hash.finish()
    }

    pub(crate) fn stream(&self, hash: u64, measurement: u32, tags: &[Tag<'_>]) -> Option<u32> {
        let mut next = self.by_hash.get(&hash).copied();
        while let Some(id) = next {
            let stream = &self.streams[id as usize];
            if stream.measurement == measurement && same_tags(&stream.tags, tags) {
                return Some(id);
            }
            next = stream.same_hash;
        }
        None
    }

    pub(crate) fn add_stream(&mut self, hash: u64, measurement: u32, tags: &[Tag<'_>]) -> u32 {
        let tags: Vec<_> = tags.iter().map(|(key, value)| (self.intern(key), self.intern(value))).collect();
        let id = self.streams.len() as u32;
        let same_hash = self.by_hash.insert(hash, id);
        let entry = &mut self.measurements[measurement as usize];
        entry.streams.push(id);
        for (key, _) in &tags {
            *entry.tag_keys.entry(key.clone()).or_default() += 1;
        }
        self.streams.push(Stream { measurement, tags: tags.into(), head: Head::default(), sealed: None, same_hash });
        id
    }

    /// What names a stream, for a log line.
    pub(crate) fn key(&self, stream: u32) -> String {
        let Some(stream) = self.streams.get(stream as usize) else { return "unknown".to_owned() };
        let mut key = self.measurements[stream.measurement as usize].name.to_string();
        for (tag, value) in stream.tags.iter() {
            key.extend([",", tag, "=", value]);
        }
        key
    }

    /// The stream of a point and its measurement, made if new and `room` is left.
    pub(crate) fn stream_or_new(&mut self, database: &str, point: &Point<'_>, most: usize) -> Option<u32> {
        let measurement = match self.measurement(database, &point.measurement) {
            Some(known) => known,
            None if self.streams.len() >= most => return None,
            None => self.measurement_or_new(database, &point.measurement),
        };
        let hash = self.hash(measurement, point.tags.iter().map(|(k, v)| (&**k, &**v)));
        if let Some(known) = self.stream(hash, measurement, &point.tags) {
            return Some(known);
        }
        (self.streams.len() < most).then(|| self.add_stream(hash, measurement, &point.tags))
    }
}

/// A tag as a point has it.
pub(crate) type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

fn same_tags(ours: &[(Arc<str>, Arc<str>)], theirs: &[Tag<'_>]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| *a.0 == *b.0 && *a.1 == *b.1)
}

/// Keys that are hashes already.
#[derive(Clone, Default)]
struct Already;

impl BuildHasher for Already {
    type Hasher = AlreadyHasher;
    fn build_hasher(&self) -> AlreadyHasher {
        AlreadyHasher(0)
    }
}

struct AlreadyHasher(u64);

impl Hasher for AlreadyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
