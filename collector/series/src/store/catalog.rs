//! What is known: databases with their policies, measurements, fields with their types, streams. All of it is in memory; what is
//! new since the last checkpoint goes to disk with the next one.
//!
//! Ids are places in vectors and are never used again while the store is open: what was dropped leaves a hole.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::head::Head;
use super::kept::Kept;
use crate::keeping::DAY;
use crate::line;
use crate::point::{FieldKind, Point};

/// The policy that a database begins with, as InfluxDB names it.
pub(crate) const FIRST_POLICY: &str = "autogen";

/// Texts of keys that are remembered; beyond it they are forgotten and learned again. Sixteen bytes each.
const MAX_TEXTS: usize = 1 << 20;

/// Everything that has a name, and the heads.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) databases: BTreeMap<Arc<str>, Database>,
    /// The id of the next policy.
    next_policy: u32,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) streams: Vec<Stream>,
    /// Names of the fields, by field id.
    pub(crate) fields: Vec<Field>,
    /// From the hash of (measurement, tags) to the newest stream with it; streams of one hash are chained.
    by_hash: HashMap<u64, u32, Already>,
    /// From the hash of a policy and a stream's key as it was written to the stream.
    by_text: HashMap<u64, u32, Already>,
    texts: HashSet<Arc<str>>,
    gone_streams: usize,
    /// Live streams of each policy.
    policy_streams: HashMap<u32, usize>,
    /// Streams whose bounds have changed since the last checkpoint.
    pub(crate) kept_changed: BTreeSet<u32>,
    /// Of the hash of a stream's key.
    hasher: std::hash::RandomState,
}

pub(crate) struct Database {
    pub(crate) policies: BTreeMap<Arc<str>, Policy>,
    pub(crate) default_policy: Arc<str>,
}

impl Database {
    /// The policy of this name; no name and `default` mean the default one, as in InfluxDB.
    pub(crate) fn policy(&self, name: Option<&str>) -> Option<&Policy> {
        let known = name.and_then(|name| self.policies.get(name));
        match name {
            None | Some("" | "default") => known.or_else(|| self.policies.get(&self.default_policy)),
            Some(_) => known,
        }
    }
}

/// How long the measurements of a database are kept, and those measurements.
pub(crate) struct Policy {
    pub(crate) id: u32,
    /// Nanoseconds; 0 is for ever.
    pub(crate) duration: i64,
    /// InfluxDB's shard group duration in nanoseconds. Shown as it was given; nothing here depends on it.
    pub(crate) shard: i64,
    pub(crate) measurements: BTreeMap<Arc<str>, u32>,
}

/// Where points go and names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The database.
    pub database: &'a str,
    /// The retention policy; `None` is the default one.
    pub policy: Option<&'a str>,
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(database: &'a str) -> Self {
        Self { database, policy: None }
    }
}

pub(crate) struct Measurement {
    pub(crate) policy: u32,
    pub(crate) name: Arc<str>,
    pub(crate) fields: BTreeMap<Arc<str>, u32>,
    /// The streams by the values of each tag, ascending.
    pub(crate) tag_keys: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<u32>>>,
    pub(crate) streams: Vec<u32>,
}

impl Measurement {
    fn new(policy: u32, name: Arc<str>) -> Self {
        Self { policy, name, fields: BTreeMap::new(), tag_keys: BTreeMap::new(), streams: Vec::new() }
    }
}

pub(crate) struct Field {
    pub(crate) measurement: u32,
    pub(crate) name: Arc<str>,
    pub(crate) kind: FieldKind,
    /// The name is written as it is.
    plain: bool,
}

impl Field {
    fn new(measurement: u32, name: Arc<str>, kind: FieldKind) -> Self {
        Self { measurement, plain: line::is_plain(&name), name, kind }
    }

    /// Passes over the field's name in a line, if it is next there.
    pub(crate) fn takes(&self, cursor: &mut line::Cursor<'_>) -> bool {
        self.plain && cursor.name(&self.name)
    }
}

/// Sorted by key.
pub(crate) type Tags = Arc<[(Arc<str>, Arc<str>)]>;

pub(crate) struct Stream {
    pub(crate) measurement: u32,
    pub(crate) tags: Tags,
    pub(crate) head: Head,
    /// The times that blocks on disk cover, if there are any.
    pub(crate) sealed: Option<(i64, i64)>,
    /// The times that are there as points, and as roll-ups.
    pub(crate) kept: Kept,
    /// Its measurement and tags are written as they are.
    plain: bool,
    /// Another stream of the same hash.
    same_hash: Option<u32>,
    /// It was dropped.
    pub(crate) gone: bool,
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

    /// The default policy of a database, which is made if it is not there.
    pub(crate) fn database_or_new(&mut self, name: &str) {
        if self.databases.contains_key(name) {
            return;
        }
        let name = self.intern(name);
        let default_policy = self.intern(FIRST_POLICY);
        self.databases
            .insert(name.clone(), Database { policies: BTreeMap::new(), default_policy: default_policy.clone() });
        self.add_policy(&name, &default_policy, 0, DAY * 7);
    }

    /// Adds a policy to a database that is there.
    pub(crate) fn add_policy(&mut self, database: &str, name: &str, duration: i64, shard: i64) {
        let (name, id) = (self.intern(name), self.next_policy);
        if let Some(database) = self.databases.get_mut(database) {
            database.policies.insert(name, Policy { id, duration, shard, measurements: BTreeMap::new() });
            self.next_policy += 1;
        }
    }

    /// As it was written to disk; its policies follow.
    pub(crate) fn load_database(&mut self, name: &str, default_policy: &str) {
        let (name, default_policy) = (self.intern(name), self.intern(default_policy));
        self.databases.insert(name, Database { policies: BTreeMap::new(), default_policy });
    }

    /// As it was written to disk.
    pub(crate) fn load_measurement(&mut self, id: usize, policy: u32, name: &str) {
        self.skip_measurements(id);
        let name = self.intern(name);
        let mut policies = self.databases.values_mut().flat_map(|database| database.policies.values_mut());
        if let Some(policy) = policies.find(|known| known.id == policy) {
            policy.measurements.insert(name.clone(), id as u32);
        }
        self.measurements.push(Measurement::new(policy, name));
    }

    /// False for one that was dropped.
    pub(crate) fn has_measurement(&self, id: u32) -> bool {
        let Some(measurement) = self.measurements.get(id as usize) else { return false };
        let mut policies = self.databases.values().flat_map(|database| database.policies.values());
        policies
            .any(|policy| policy.id == measurement.policy && policy.measurements.get(&measurement.name) == Some(&id))
    }

    /// As it was written to disk.
    pub(crate) fn load_policy(&mut self, database: &str, name: &str, policy: Policy) {
        let (database, name) = (self.intern(database), self.intern(name));
        self.next_policy = self.next_policy.max(policy.id + 1);
        // Its database's own row is missing only when the page with it was torn.
        let unnamed = || Database { policies: BTreeMap::new(), default_policy: name.clone() };
        self.databases.entry(database).or_insert_with(unnamed).policies.insert(name, policy);
    }

    pub(crate) fn policy(&self, place: Place<'_>) -> Option<&Policy> {
        self.databases.get(place.database)?.policy(place.policy)
    }

    fn policy_mut(&mut self, place: Place<'_>) -> Option<&mut Policy> {
        let id = self.policy(place)?.id;
        self.databases.get_mut(place.database)?.policies.values_mut().find(|policy| policy.id == id)
    }

    pub(crate) fn measurement(&self, place: Place<'_>, name: &str) -> Option<u32> {
        self.policy(place)?.measurements.get(name).copied()
    }

    /// `None` if there is no such place.
    pub(crate) fn measurement_or_new(&mut self, place: Place<'_>, name: &str) -> Option<u32> {
        if let Some(known) = self.measurement(place, name) {
            return Some(known);
        }
        let name = self.intern(name);
        let id = self.measurements.len() as u32;
        let policy = self.policy_mut(place)?;
        policy.measurements.insert(name.clone(), id);
        let policy = policy.id;
        self.measurements.push(Measurement::new(policy, name));
        Some(id)
    }

    /// The id and type of a field; made with `kind` if it is new.
    pub(crate) fn field_or_new(&mut self, measurement: u32, name: &str, kind: FieldKind) -> u32 {
        if let Some(known) = self.measurements[measurement as usize].fields.get(name) {
            return *known;
        }
        let name = self.intern(name);
        let id = self.fields.len() as u32;
        self.fields.push(Field::new(measurement, name.clone(), kind));
        self.measurements[measurement as usize].fields.insert(name, id);
        id
    }

    /// The field of this name that a stream's measurement has.
    pub(crate) fn field_of_stream(&self, stream: u32, name: &str) -> Option<u32> {
        let measurement = self.streams[stream as usize].measurement;
        self.measurements[measurement as usize].fields.get(name).copied()
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

    /// The stream of a key that was written before, without reading the key.
    pub(crate) fn written_stream(&self, policy: u32, key: &str) -> Option<u32> {
        let id = *self.by_text.get(&self.text_hash(policy, key))?;
        let stream = &self.streams[id as usize];
        if stream.gone {
            return None;
        }
        let measurement = &self.measurements[stream.measurement as usize];
        let tags = stream.tags.iter().map(|(key, value)| (&**key, &**value));
        let is_key = match stream.plain && memchr::memchr(b'\\', key.as_bytes()).is_none() {
            true => line::is_plain_key(key, &measurement.name, tags),
            false => line::is_key(key, &measurement.name, tags),
        };
        (measurement.policy == policy && is_key).then_some(id)
    }

    /// Remembers how a stream is written.
    pub(crate) fn remember_text(&mut self, policy: u32, key: &str, stream: u32) {
        if self.by_text.len() >= MAX_TEXTS {
            self.by_text.clear();
        }
        self.by_text.insert(self.text_hash(policy, key), stream);
    }

    fn text_hash(&self, policy: u32, key: &str) -> u64 {
        let mut hash = self.hasher.build_hasher();
        hash.write_u32(policy);
        hash.write(key.as_bytes());
        hash.finish()
    }

    pub(crate) fn stream(&self, hash: u64, measurement: u32, tags: &[Tag<'_>]) -> Option<u32> {
        let mut next = self.by_hash.get(&hash).copied();
        while let Some(id) = next {
            let stream = &self.streams[id as usize];
            if !stream.gone && stream.measurement == measurement && same_tags(&stream.tags, tags) {
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
        for (key, value) in &tags {
            entry.tag_keys.entry(key.clone()).or_default().entry(value.clone()).or_default().push(id);
        }
        *self.policy_streams.entry(self.measurements[measurement as usize].policy).or_default() += 1;
        let names = tags.iter().flat_map(|(key, value)| [key, value]);
        let plain = names.chain([&self.measurements[measurement as usize].name]).all(|name| line::is_plain(name));
        let (head, sealed, kept, gone) = (Head::default(), None, Kept::default(), false);
        self.streams.push(Stream { measurement, tags: tags.into(), head, sealed, kept, plain, same_hash, gone });
        id
    }

    /// Holes up to a place, where a dropped stream was.
    pub(crate) fn skip_streams(&mut self, to: usize) {
        while self.streams.len() < to {
            self.streams.push(Stream {
                measurement: u32::MAX,
                tags: Vec::new().into(),
                head: Head::default(),
                sealed: None,
                kept: Kept::default(),
                plain: false,
                same_hash: None,
                gone: true,
            });
            self.gone_streams += 1;
        }
    }

    /// Holes up to a place, where a dropped measurement was.
    pub(crate) fn skip_measurements(&mut self, to: usize) {
        while self.measurements.len() < to {
            self.measurements.push(Measurement::new(u32::MAX, Arc::from("")));
        }
    }

    /// Holes up to a place, where a field of a dropped measurement was.
    pub(crate) fn skip_fields(&mut self, to: usize) {
        while self.fields.len() < to {
            self.fields.push(Field::new(u32::MAX, Arc::from(""), FieldKind::Float));
        }
    }

    /// Measurements that are there.
    pub(crate) fn live_measurements(&self) -> usize {
        let policies = self.databases.values().flat_map(|database| database.policies.values());
        policies.map(|policy| policy.measurements.len()).sum()
    }

    /// Streams that are there.
    pub(crate) fn live_streams(&self) -> usize {
        self.streams.len() - self.gone_streams
    }

    /// Streams of one database that are there.
    pub(crate) fn streams_of(&self, database: &str) -> usize {
        let policies = self.databases.get(database).into_iter().flat_map(|database| database.policies.values());
        policies.filter_map(|policy| self.policy_streams.get(&policy.id)).sum()
    }

    /// Takes a stream out: nothing finds it any more.
    pub(crate) fn forget_stream(&mut self, id: u32) {
        let stream = &mut self.streams[id as usize];
        if std::mem::replace(&mut stream.gone, true) {
            return;
        }
        self.gone_streams += 1;
        stream.head = Head::default();
        stream.sealed = None;
        stream.kept = Kept::default();
        self.kept_changed.remove(&id);
        let tags = stream.tags.clone();
        let measurement = &mut self.measurements[stream.measurement as usize];
        remove(&mut measurement.streams, id);
        if let Some(count) = self.policy_streams.get_mut(&measurement.policy) {
            *count -= 1;
        }
        for (key, value) in tags.iter() {
            let Some(values) = measurement.tag_keys.get_mut(key) else { continue };
            if let Some(streams) = values.get_mut(value) {
                remove(streams, id);
                if streams.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                measurement.tag_keys.remove(key);
            }
        }
    }

    /// Takes a measurement with its streams out.
    pub(crate) fn forget_measurement(&mut self, id: u32) {
        // The last one first: nothing has to be moved up.
        for stream in self.measurements[id as usize].streams.clone().into_iter().rev() {
            self.forget_stream(stream);
        }
        let measurement = &mut self.measurements[id as usize];
        measurement.fields.clear();
        let (policy, name) = (measurement.policy, measurement.name.clone());
        for known in self.databases.values_mut().flat_map(|database| database.policies.values_mut()) {
            if known.id == policy && known.measurements.get(&name) == Some(&id) {
                known.measurements.remove(&name);
            }
        }
    }

    /// What names a stream, for a log line.
    pub(crate) fn key(&self, stream: u32) -> String {
        let named = self.streams.get(stream as usize);
        let named = named.and_then(|stream| Some((stream, self.measurements.get(stream.measurement as usize)?)));
        let Some((stream, measurement)) = named else { return "unknown".to_owned() };
        let mut key = measurement.name.to_string();
        for (tag, value) in stream.tags.iter() {
            key.extend([",", tag, "=", value]);
        }
        key
    }

    /// The stream of a point and its measurement, made if new and `room` is left.
    pub(crate) fn stream_or_new(&mut self, place: Place<'_>, point: &Point<'_>, most: usize) -> Option<u32> {
        let measurement = match self.measurement(place, &point.measurement) {
            Some(known) => known,
            None if self.live_streams() >= most => return None,
            None => self.measurement_or_new(place, &point.measurement)?,
        };
        let hash = self.hash(measurement, point.tags.iter().map(|(k, v)| (&**k, &**v)));
        if let Some(known) = self.stream(hash, measurement, &point.tags) {
            return Some(known);
        }
        (self.live_streams() < most).then(|| self.add_stream(hash, measurement, &point.tags))
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

/// Takes a number out of numbers that ascend.
fn remove(streams: &mut Vec<u32>, id: u32) {
    if let Ok(at) = streams.binary_search(&id) {
        streams.remove(at);
    }
}
