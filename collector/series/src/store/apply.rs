//! Points in: what is refused before, and what happens to the rest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;

use super::{Catalog, Memory, Place, Store, StoreError, Written, lock};
use crate::limits::{MAX_FIELDS, MAX_NAME_BYTES, MAX_TAGS, MAX_TEXT_BYTES};
use crate::line::Batch;
use crate::point::{FieldKind, FieldValue, Point};

/// What became of the points of one [`Store::apply`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Values stored.
    pub values: u64,
    /// Points refused whole.
    pub refused_points: u64,
    /// Values refused alone.
    pub refused_values: u64,
    /// Points refused because they are older than what is kept.
    pub old_points: u64,
}

/// One reason why one point should not be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The index of the point.
    pub point: usize,
    /// What is wrong.
    pub kind: ConflictKind,
}

/// What is wrong with a point.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictKind {
    /// The field exists with another type.
    Type {
        /// The measurement.
        measurement: String,
        /// The field.
        field: String,
        /// What came.
        given: FieldKind,
        /// What it is.
        stored: FieldKind,
    },
    /// NaN or an infinity.
    NotFinite {
        /// The field.
        field: String,
    },
    /// The stream would be one too many.
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// Not a point at all: a name is missing or too long, tags are not sorted, no field.
    Malformed(&'static str),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ConflictKind::Type { measurement, field, given, stored } => write!(
                f,
                "field type conflict: input field \"{field}\" on measurement \"{measurement}\" is type {given}, already exists as type {stored}"
            ),
            ConflictKind::NotFinite { field } => {
                write!(f, "field \"{field}\" is not a finite number")
            }
            ConflictKind::TooManyStreams { limit } => {
                write!(f, "max-series-per-database limit exceeded: ({limit})")
            }
            ConflictKind::Malformed(what) => f.write_str(what),
        }
    }
}

impl Store {
    /// Says which points [`apply`](Self::apply) would refuse, whole or in part. To be asked before the points are promised to anyone.
    ///
    /// # Errors
    /// Every conflict, with the index of its point.
    pub fn check<'a>(&self, place: impl Into<Place<'a>>, points: &[Point<'_>]) -> Result<(), Vec<Conflict>> {
        let (memory, place) = (self.memory(), place.into());
        let (most, limit) = self.most_streams(&memory, place.database);
        let mut check = Check {
            catalog: &memory.catalog,
            place,
            new_fields: HashMap::new(),
            room: most.saturating_sub(memory.catalog.live_streams()),
            limit,
            conflicts: Vec::new(),
        };
        for (at, point) in points.iter().enumerate() {
            check.point(at, point);
        }
        if check.conflicts.is_empty() { Ok(()) } else { Err(check.conflicts) }
    }

    /// Stores points and makes them visible to queries. `position` is where the journal goes on after them. The same point may be
    /// applied again: the last one wins. All points of one position must be applied before the next checkpoint.
    ///
    /// # Errors
    /// When the heads are full and cannot be sealed: nothing was applied, and the same call may be made again.
    pub fn apply<'a>(
        &self,
        position: u64,
        place: impl Into<Place<'a>>,
        points: &[Point<'_>],
    ) -> Result<Applied, StoreError> {
        let place = place.into();
        self.apply_with(place.database, |memory, most| memory.apply(place, points, most, position))
    }

    /// As [`apply`](Self::apply), of written lines.
    pub(crate) fn apply_batch(
        &self,
        position: u64,
        place: Place<'_>,
        batch: &Batch<'_>,
    ) -> Result<Applied, StoreError> {
        self.apply_with(place.database, |memory, most| memory.apply_batch(place, batch, most, position))
    }

    /// As [`apply_batch`](Self::apply_batch), of lines that the door has read.
    pub(crate) fn apply_written(&self, position: u64, written: &Written) -> Result<Applied, StoreError> {
        let place = written.lines().place();
        self.apply_with(place.database, |memory, most| memory.apply_written(place, written, most, position))
    }

    fn apply_with(
        &self,
        database: &str,
        work: impl FnOnce(&mut Memory, usize) -> Applied,
    ) -> Result<Applied, StoreError> {
        let mut writer = lock(&self.writer);
        if self.memory().head_values >= self.options.max_head_values {
            let limit = self.options.max_head_values;
            let full = |source| StoreError::HeadsFull { limit, source: Box::new(source) };
            self.checkpoint_with(&mut writer, self.seal_for_room()).map_err(full)?;
        }
        let mut memory = self.memory_mut();
        let (most, _) = self.most_streams(&memory, database);
        let applied = work(&mut memory, most);
        drop(memory);
        drop(writer);
        self.refused_points.fetch_add(applied.refused_points, Ordering::Relaxed);
        self.refused_values.fetch_add(applied.refused_values, Ordering::Relaxed);
        self.old_points.fetch_add(applied.old_points, Ordering::Relaxed);
        Ok(applied)
    }

    /// How many streams there may be in all when a new one of this database is made, and the limit that says so. The databases
    /// of others have a limit of their own: they must not use up what the owner's devices need.
    fn most_streams(&self, memory: &Memory, database: &str) -> (usize, usize) {
        let (all, of_one) = (self.options.max_streams, self.options.max_streams_of_one);
        if !self.is_open(database) {
            return (all, all);
        }
        let room = of_one.saturating_sub(memory.catalog.streams_of(database));
        let most = memory.catalog.live_streams().saturating_add(room);
        if most < all { (most, of_one) } else { (all, all) }
    }

    /// Moves the position over records that hold no points.
    pub fn advance(&self, position: u64) {
        let writer = lock(&self.writer);
        let mut memory = self.memory_mut();
        memory.applied = memory.applied.max(position);
        drop(writer);
    }
}

impl Memory {
    fn apply_batch(&mut self, place: Place<'_>, batch: &Batch<'_>, max_streams: usize, position: u64) -> Applied {
        let mut applied = Applied::default();
        let policy = self.policy_for_lines(place);
        self.apply_rows(place, policy, batch, max_streams, &mut applied);
        self.applied_to(position, &applied);
        applied
    }

    /// Where written lines go.
    pub(crate) fn policy_for_lines(&mut self, place: Place<'_>) -> Option<u32> {
        if place.policy.is_none() {
            self.catalog.database_or_new(place.database);
        }
        self.catalog.policy(place).map(|policy| policy.id)
    }

    pub(crate) fn apply_rows(
        &mut self,
        place: Place<'_>,
        policy: Option<u32>,
        batch: &Batch<'_>,
        max_streams: usize,
        applied: &mut Applied,
    ) {
        for row in &batch.rows {
            let known = policy.and_then(|policy| self.catalog.written_stream(policy, row.key));
            let fields = batch.fields(row);
            if let Some(id) = known.filter(|_| fields_fault(fields).is_none()) {
                self.put_fields(id, row.time, fields, applied);
                continue;
            }
            let Ok(point) = batch.point(row) else { continue };
            if shape_fault(&point).is_some() {
                applied.refused_points += 1;
                continue;
            }
            let id = self.apply_point(place, &point, max_streams, applied);
            if let (Some(id), Some(policy)) = (id, policy) {
                self.catalog.remember_text(policy, row.key, id);
            }
        }
    }

    pub(crate) fn applied_to(&mut self, position: u64, applied: &Applied) {
        self.applied = self.applied.max(position);
        self.since_checkpoint += applied.values;
    }

    fn apply(&mut self, place: Place<'_>, points: &[Point<'_>], max_streams: usize, position: u64) -> Applied {
        let mut applied = Applied::default();
        if place.policy.is_none() {
            // Written by our own program, which asks nobody to make the database first.
            self.catalog.database_or_new(place.database);
        }
        for point in points {
            match shape_fault(point) {
                None => {
                    self.apply_point(place, point, max_streams, &mut applied);
                }
                Some(_) => applied.refused_points += 1,
            }
        }
        self.applied_to(position, &applied);
        applied
    }

    /// Returns the stream, if there is room for it.
    fn apply_point(
        &mut self,
        place: Place<'_>,
        point: &Point<'_>,
        max_streams: usize,
        applied: &mut Applied,
    ) -> Option<u32> {
        let Some(id) = self.catalog.stream_or_new(place, point, max_streams) else {
            applied.refused_points += 1;
            return None;
        };
        self.put_fields(id, point.time, &point.fields, applied);
        Some(id)
    }

    fn put_fields(&mut self, id: u32, time: i64, fields: &[(Cow<'_, str>, FieldValue)], applied: &mut Applied) {
        if !self.catalog.admit(id, time) {
            applied.old_points += 1;
            return;
        }
        let mut row = None;
        for (hint, (name, value)) in fields.iter().enumerate() {
            let field = self.catalog.field_of(id, hint, name, value.kind());
            let known = self.catalog.fields[field as usize].kind;
            if known != value.kind() || not_finite(value) {
                applied.refused_values += 1;
                continue;
            }
            let head = &mut self.catalog.streams[id as usize].head;
            let row = *row.get_or_insert_with(|| head.row_for(time));
            head.put(hint, row, field, value);
            applied.values += 1;
        }
        self.head_values += self.catalog.streams[id as usize].head.settle() as u64;
    }
}

impl Catalog {
    /// The field of a point's `hint`-th value. Writers send fields in the same order every time, so the head's column of that
    /// number is nearly always the one, and no map is asked.
    fn field_of(&mut self, stream: u32, hint: usize, name: &str, kind: FieldKind) -> u32 {
        let stream = &self.streams[stream as usize];
        if let Some(field) = stream.head.field_at(hint)
            && *self.fields[field as usize].name == *name
        {
            return field;
        }
        self.field_or_new(stream.measurement, name, kind)
    }
}

fn not_finite(value: &FieldValue) -> bool {
    matches!(value, FieldValue::Float(value) if !value.is_finite())
}

/// What is wrong with a point apart from what is stored already.
fn shape_fault(point: &Point<'_>) -> Option<&'static str> {
    let bad_name = |name: &str| name.is_empty() || name.len() > MAX_NAME_BYTES;
    if bad_name(&point.measurement) {
        return Some("a measurement has no name or one that is too long");
    }
    if point.tags.len() > MAX_TAGS {
        return Some("a point has too many tags or fields");
    }
    if let Some(fault) = fields_fault(&point.fields) {
        return Some(fault);
    }
    if point.tags.iter().any(|(key, value)| bad_name(key) || bad_name(value)) {
        return Some("a tag key or value is empty or too long");
    }
    if !point.tags.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Some("tags are not sorted by key");
    }
    None
}

fn fields_fault(fields: &[(Cow<'_, str>, FieldValue)]) -> Option<&'static str> {
    if fields.len() > MAX_FIELDS {
        return Some("a point has too many tags or fields");
    }
    if fields.is_empty() {
        return Some("a point has no field");
    }
    let bad_name = |name: &str| name.is_empty() || name.len() > MAX_NAME_BYTES;
    let long = |value: &FieldValue| matches!(value, FieldValue::Text(t) if t.len() > MAX_TEXT_BYTES);
    if fields.iter().any(|(name, value)| bad_name(name) || long(value)) {
        return Some("a field name is empty or too long, or a text is too long");
    }
    None
}

struct Check<'a> {
    catalog: &'a Catalog,
    place: Place<'a>,
    /// Types that earlier points of the same call would give to new fields.
    new_fields: HashMap<(&'a str, &'a str), FieldKind>,
    room: usize,
    limit: usize,
    conflicts: Vec<Conflict>,
}

impl<'a> Check<'a> {
    fn point(&mut self, at: usize, point: &'a Point<'a>) {
        if let Some(what) = shape_fault(point) {
            self.conflicts.push(Conflict { point: at, kind: ConflictKind::Malformed(what) });
            return;
        }
        let measurement = self.catalog.measurement(self.place, &point.measurement);
        if !self.has_stream(measurement, point) {
            // Two points of one new stream count twice: near the limit this refuses a little early.
            if self.room == 0 {
                let kind = ConflictKind::TooManyStreams { limit: self.limit };
                self.conflicts.push(Conflict { point: at, kind });
                return;
            }
            self.room -= 1;
        }
        for (name, value) in &point.fields {
            if let Some(kind) = self.field_fault(measurement, &point.measurement, name, value) {
                self.conflicts.push(Conflict { point: at, kind });
            }
        }
    }

    fn has_stream(&self, measurement: Option<u32>, point: &Point<'_>) -> bool {
        measurement.is_some_and(|id| {
            let tags = point.tags.iter().map(|(key, value)| (&**key, &**value));
            self.catalog.stream(self.catalog.hash(id, tags), id, &point.tags).is_some()
        })
    }

    fn field_fault(
        &mut self,
        measurement: Option<u32>,
        measurement_name: &'a str,
        name: &'a str,
        value: &FieldValue,
    ) -> Option<ConflictKind> {
        if not_finite(value) {
            return Some(ConflictKind::NotFinite { field: name.to_owned() });
        }
        let known = measurement
            .and_then(|id| self.catalog.measurements[id as usize].fields.get(name))
            .map(|field| self.catalog.fields[*field as usize].kind);
        let stored = known.unwrap_or_else(|| *self.new_fields.entry((measurement_name, name)).or_insert(value.kind()));
        (stored != value.kind()).then(|| ConflictKind::Type {
            measurement: measurement_name.to_owned(),
            field: name.to_owned(),
            given: value.kind(),
            stored,
        })
    }
}
