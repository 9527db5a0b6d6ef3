//! Samples to batches and back.
//!
//! A batch is columnar: one list of series ids, one of times unless all are the same, one of values, so that a row costs
//! one or two bytes beside its values, and a value that changes little costs one. A field's value travels as the difference to its previous value
//! in the same dictionary. The dictionary lives as long as the [`Encoder`] and its [`Decoder`]: one stream, whichever
//! lane a batch goes by; or one batch, for what rests in the spool or the journal ([`encode_alone`]).
//!
//! Floats are sent as scaled integers while they are short decimals, which sources see to. A field that needs more
//! decimals than before gets a new dictionary entry; one that is no decimal at all goes as its 64 bits. Either way the
//! decoder returns the same float, bit for bit, except that minus zero becomes zero. Large integers that are whole pages
//! or sectors are sent as the number of them, for as long as they are.
//!
//! Everything that comes from the other end is bounded by the constants here, before anything is kept.

mod alone;
mod decode;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

pub use self::alone::Alone;
pub use self::decode::{DecodeError, Decoder};
pub use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::sample::{Name, Sample, Value};

use crate::v1::{self, FieldType};

/// Dictionary entries of one stream. The largest closet, 20,000 targets that are pinged, takes up to three for each: an
/// answer with two decimals, one with three, and none.
pub const MAX_SERIES_PER_STREAM: usize = 65_536;

/// Strings in one stream's dictionary: the words that text fields take.
pub const MAX_STRINGS_PER_STREAM: usize = 65_536;

/// What one stream's dictionary may take of memory, about, by the texts in it and a share for each of its parts: the
/// worst that one agent can do to a collector, and three times what the dictionary of 20,000 targets takes at first.
pub const MAX_DICTIONARY_BYTES: usize = 64 << 20;

/// About what a series takes beside its texts, tags and fields, and each of those beside its text: the sizes of the types
/// below, with what an allocator adds.
const SERIES_BYTES: usize = 128;
const PART_BYTES: usize = 64;

/// Bytes of one name, tag value or word.
pub const MAX_STRING_BYTES: usize = 1_024;

/// Rows in one batch. Whoever has more samples makes more batches.
pub const MAX_ROWS: usize = 8_192;

/// Values in one batch.
pub const MAX_VALUES_PER_BATCH: usize = 65_536;

/// How many decimals a field is tried with: percent has two, milliseconds three, seconds from nanosecond clocks more.
const DECIMALS: [u32; 3] = [2, 3, 6];

/// What a large integer is counted in, by its power of two: pages of memory, KiB, sectors, ones.
const SHIFTS: [u32; 4] = [12, 10, 9, 0];

/// Smaller ones are mostly no sizes, and would cost the field a new entry at the next value.
const SHIFTED_FROM: u64 = 1 << 16;

/// The other end takes any size of page that a machine has.
const MAX_SHIFT: u32 = 32;

/// Integers up to here are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl v1::Batch {
    /// The batch's name.
    #[must_use]
    pub const fn id(&self) -> BatchId {
        BatchId { generation: self.generation, sequence: self.sequence }
    }
}

impl From<Lane> for v1::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Live => Self::Live,
            Lane::Backfill => Self::Backfill,
        }
    }
}

impl From<v1::Lane> for Lane {
    fn from(lane: v1::Lane) -> Self {
        match lane {
            v1::Lane::Live => Self::Live,
            v1::Lane::Backfill => Self::Backfill,
        }
    }
}

/// A batch that stands alone, as it rests in the spool and in the journal.
#[must_use]
pub fn encode_alone(id: BatchId, lane: Lane, samples: &[Sample]) -> v1::Batch {
    encode(&mut Dictionary::default(), id, lane, samples, |shape| shape)
}

/// With definitions as messages.
fn encode<'s, 'a: 's>(
    dictionary: &mut Dictionary<'a>,
    id: BatchId,
    lane: Lane,
    samples: &'s [Sample],
    keep: fn(Shape<'s>) -> Shape<'a>,
) -> v1::Batch {
    let mut define = Vec::new();
    let batch = dictionary.encode(id, lane, samples, keep, |sample, values, wanted| {
        define.push(definition(sample, values, wanted));
    });
    v1::Batch { define, ..batch }
}

/// Reads a batch that stands alone.
///
/// # Errors
/// What about it is malformed.
pub fn decode_alone(batch: &v1::Batch) -> Result<Vec<Sample>, DecodeError> {
    Decoder::new().decode(batch)
}

/// Turns samples into batches; holds the sending side's dictionary.
#[derive(Default)]
pub struct Encoder(Dictionary<'static>);

/// What was defined to the other end.
#[derive(Default)]
struct Dictionary<'a> {
    /// What a series looks like to its present entry. The ids before, with fewer decimals, are never used again.
    ids: HashMap<Shape<'a>, u32>,
    entries: Vec<Entry>,
    strings: HashMap<String, i64>,
    /// As the other end weighs them, or a little more.
    bytes: usize,
}

/// What makes two samples rows of one series. It is looked up for every row, so it borrows from the sample; a dictionary that
/// outlives the samples keeps a copy.
#[derive(PartialEq, Eq)]
struct Shape<'a> {
    measurement: Cow<'a, str>,
    target: Cow<'a, str>,
    tags: Cow<'a, [(Name, String)]>,
    fields: Vec<(Cow<'a, str>, Kind)>,
}

/// Of one series few have other fields, and a port has twenty: to hash their names cost more than all else.
impl Hash for Shape<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.measurement, &self.target, &self.tags, self.fields.len()).hash(state);
    }
}

impl<'a> Shape<'a> {
    fn of(sample: &'a Sample, values: &[&'a (Name, Value)]) -> Self {
        Self {
            measurement: Cow::Borrowed(&sample.measurement),
            target: Cow::Borrowed(&sample.target),
            tags: Cow::Borrowed(&sample.tags),
            fields: values.iter().map(|(name, value)| (Cow::Borrowed(&**name), kind_of(value))).collect(),
        }
    }

    fn into_owned(self) -> Shape<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Shape {
            measurement: owned(self.measurement),
            target: owned(self.target),
            tags: Cow::Owned(self.tags.into_owned()),
            fields: self.fields.into_iter().map(|(name, kind)| (owned(name), kind)).collect(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Integer,
    Boolean,
    Text,
}

/// A dictionary entry: how each field is encoded and what it last was.
#[derive(Clone, Default)]
struct Entry {
    fields: Vec<Column>,
}

#[derive(Clone, Copy)]
struct Column {
    encoding: Encoding,
    last: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Decimal(u32),
    Float,
    /// In units of two to this power.
    Integer(u32),
    Boolean,
    Text,
}

impl Encoder {
    /// An empty dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether what these samples may add to the dictionary still fits it; if not, begin a new stream. An empty dictionary
    /// takes them whatever they are: another one would be no larger.
    #[must_use]
    pub fn fits(&self, samples: &[Sample]) -> bool {
        let words = || samples.iter().flat_map(|sample| &sample.fields).filter_map(|(_, value)| word(value));
        let bytes: usize = samples.iter().map(weight_of_row).sum();
        let bytes = self.0.bytes + bytes + words().map(weight_of_word).sum::<usize>();
        self.0.entries.is_empty()
            || self.0.entries.len() + samples.len() <= MAX_SERIES_PER_STREAM
                && self.0.strings.len() + words().count() <= MAX_STRINGS_PER_STREAM
                && bytes <= MAX_DICTIONARY_BYTES
    }

    /// Encodes samples, at most [`MAX_ROWS`] with at most [`MAX_VALUES_PER_BATCH`] values. Floats that are not finite
    /// are left out, as Telegraf does, and so are samples without a field.
    pub fn encode(&mut self, id: BatchId, lane: Lane, samples: &[Sample]) -> v1::Batch {
        encode(&mut self.0, id, lane, samples, Shape::into_owned)
    }
}

impl<'a> Dictionary<'a> {
    /// `keep` makes of a shape one that lives as long as the dictionary; `define` is told each new series in order, and the
    /// batch has none of them.
    fn encode<'s>(
        &mut self,
        id: BatchId,
        lane: Lane,
        samples: &'s [Sample],
        keep: fn(Shape<'s>) -> Shape<'a>,
        mut define: impl FnMut(&'s Sample, &[&'s (Name, Value)], &[Encoding]),
    ) -> v1::Batch
    where
        'a: 's,
    {
        let mut batch = v1::Batch {
            generation: id.generation,
            sequence: id.sequence,
            lane: v1::Lane::from(lane).into(),
            time_unix_ms: samples.first().map_or(0, |sample| sample.time.0),
            ..v1::Batch::default()
        };
        for sample in samples {
            self.encode_row(sample, &mut batch, keep, &mut define);
        }
        // What was read at one time says it once.
        if batch.times.iter().all(|time| *time == 0) {
            batch.times.clear();
        }
        batch
    }

    fn encode_row<'s>(
        &mut self,
        sample: &'s Sample,
        batch: &mut v1::Batch,
        keep: fn(Shape<'s>) -> Shape<'a>,
        define: &mut impl FnMut(&'s Sample, &[&'s (Name, Value)], &[Encoding]),
    ) where
        'a: 's,
    {
        let values: Vec<&(Name, Value)> = sample.fields.iter().filter(|(_, value)| is_sendable(value)).collect();
        if values.is_empty() {
            return;
        }
        let id = self.entry_for(sample, &values, keep, define);
        batch.rows.push(id);
        batch.times.push(sample.time.0.wrapping_sub(batch.time_unix_ms));
        let entry = &mut self.entries[id as usize - 1];
        for (column, (_, value)) in entry.fields.iter_mut().zip(values) {
            let now = match (column.encoding, value) {
                (Encoding::Float, Value::Float(value)) => {
                    batch.raws.push(value.to_bits());
                    continue;
                }
                (Encoding::Decimal(decimals), Value::Float(value)) => scaled(*value, decimals).unwrap_or_default(),
                (Encoding::Integer(shift), Value::Integer(value)) => value >> shift,
                (_, Value::Boolean(value)) => i64::from(*value),
                (_, Value::Text(word)) => {
                    let fresh = batch.strings.len();
                    let index = string_index(&mut self.strings, word, &mut batch.strings);
                    self.bytes += batch.strings[fresh..].iter().map(|word| weight_of_word(word)).sum::<usize>();
                    index
                }
                (_, Value::Float(_) | Value::Integer(_)) => unreachable!("the entry was made for this sample's types"),
            };
            batch.values.push(now.wrapping_sub(column.last));
            column.last = now;
        }
    }

    /// The id of an entry that can carry these values, defined if there is none yet.
    fn entry_for<'s>(
        &mut self,
        sample: &'s Sample,
        values: &[&'s (Name, Value)],
        keep: fn(Shape<'s>) -> Shape<'a>,
        define: &mut impl FnMut(&'s Sample, &[&'s (Name, Value)], &[Encoding]),
    ) -> u32
    where
        'a: 's,
    {
        let shape = Shape::of(sample, values);
        let ids: &HashMap<Shape<'s>, u32> = &self.ids;
        let known = ids.get(&shape).copied();
        let columns = known.map(|id| self.entries[id as usize - 1].fields.as_slice());
        let wanted: Vec<Encoding> = values
            .iter()
            .enumerate()
            .map(|(at, (_, value))| encoding_for(value, columns.map(|columns| columns[at].encoding)))
            .collect();
        if let (Some(id), Some(columns)) = (known, columns)
            && columns.iter().zip(&wanted).all(|(column, wanted)| column.encoding == *wanted)
        {
            return id;
        }
        self.bytes += weight_of_row(sample);
        define(sample, values, &wanted);
        let fields = wanted.into_iter().map(|encoding| Column { encoding, last: 0 }).collect();
        self.entries.push(Entry { fields });
        let id = u32::try_from(self.entries.len()).expect("a dictionary is bounded far below 2^32 entries");
        self.ids.insert(keep(shape), id);
        id
    }
}

const fn word(value: &Value) -> Option<&str> {
    match value {
        Value::Text(word) => Some(word.as_str()),
        _ => None,
    }
}

const fn weight_of_word(word: &str) -> usize {
    PART_BYTES + word.len()
}

fn weight_of_series(series: &v1::Series) -> usize {
    let tags: usize = series.tags.iter().map(|tag| PART_BYTES + tag.key.len() + tag.value.len()).sum();
    let fields: usize = series.fields.iter().map(|field| PART_BYTES + field.name.len()).sum();
    SERIES_BYTES + series.measurement.len() + series.target_id.len() + tags + fields
}

/// What the series of a row weighs, should it be new.
fn weight_of_row(sample: &Sample) -> usize {
    let tags: usize = sample.tags.iter().map(|(key, value)| PART_BYTES + key.len() + value.len()).sum();
    let fields: usize = sample.fields.iter().map(|(name, _)| PART_BYTES + name.len()).sum();
    SERIES_BYTES + sample.measurement.len() + sample.target.len() + tags + fields
}

fn is_sendable(value: &Value) -> bool {
    !matches!(value, Value::Float(value) if !value.is_finite())
}

const fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Float(_) => Kind::Float,
        Value::Integer(_) => Kind::Integer,
        Value::Boolean(_) => Kind::Boolean,
        Value::Text(_) => Kind::Text,
    }
}

/// The cheapest encoding for a value, never a narrower one than the field has already, so that it settles.
fn encoding_for(value: &Value, present: Option<Encoding>) -> Encoding {
    match value {
        Value::Float(value) => {
            let least = match present {
                Some(Encoding::Decimal(decimals)) => decimals,
                Some(Encoding::Float) => return Encoding::Float,
                _ => 0,
            };
            let enough =
                DECIMALS.into_iter().find(|decimals| *decimals >= least && scaled(*value, *decimals).is_some());
            enough.map_or(Encoding::Float, Encoding::Decimal)
        }
        Value::Integer(value) => {
            let most = match present {
                Some(Encoding::Integer(shift)) => shift,
                _ if value.unsigned_abs() < SHIFTED_FROM => 0,
                _ => MAX_SHIFT,
            };
            let exact = |shift: &u32| *shift <= most && *shift <= value.trailing_zeros();
            Encoding::Integer(SHIFTS.into_iter().find(exact).unwrap_or(0))
        }
        Value::Boolean(_) => Encoding::Boolean,
        Value::Text(_) => Encoding::Text,
    }
}

/// `value` times ten to the power of `decimals`, if that brings the same float back.
#[expect(clippy::cast_possible_truncation, reason = "checked to lie within the integers that floats hold exactly")]
fn scaled(value: f64, decimals: u32) -> Option<i64> {
    let mantissa = (value * power(decimals)).round();
    #[expect(clippy::float_cmp, reason = "the same float or none")]
    let same = mantissa.abs() <= EXACT && mantissa / power(decimals) == value;
    same.then_some(mantissa as i64)
}

fn power(decimals: u32) -> f64 {
    10f64.powi(decimals.try_into().expect("decimals are at most nine"))
}

fn string_index(strings: &mut HashMap<String, i64>, word: &str, fresh: &mut Vec<String>) -> i64 {
    if let Some(index) = strings.get(word) {
        return *index;
    }
    let index = i64::try_from(strings.len() + 1).expect("a dictionary is bounded far below 2^63 strings");
    strings.insert(word.to_owned(), index);
    fresh.push(word.to_owned());
    index
}

/// As the wire has it.
fn definition_of(encoding: Encoding) -> (i32, u32) {
    let (kind, decimals) = match encoding {
        Encoding::Decimal(decimals) => (FieldType::FieldDecimal, decimals),
        Encoding::Float => (FieldType::FieldFloat, 0),
        Encoding::Integer(0) => (FieldType::FieldInteger, 0),
        Encoding::Integer(shift) => (FieldType::FieldShifted, shift),
        Encoding::Boolean => (FieldType::FieldBoolean, 0),
        Encoding::Text => (FieldType::FieldString, 0),
    };
    (kind.into(), decimals)
}

fn definition(sample: &Sample, values: &[&(Name, Value)], wanted: &[Encoding]) -> v1::Series {
    let tag = |(key, value): &(Name, String)| v1::Tag { key: key.to_string(), value: value.clone() };
    let field = |((name, _), encoding): (&&(Name, Value), &Encoding)| {
        let (kind, decimals) = definition_of(*encoding);
        v1::Field { name: name.to_string(), r#type: kind, decimals }
    };
    v1::Series {
        measurement: sample.measurement.to_string(),
        tags: sample.tags.iter().map(tag).collect(),
        fields: values.iter().zip(wanted).map(field).collect(),
        target_id: sample.target.clone(),
    }
}

#[cfg(test)]
mod tests;
