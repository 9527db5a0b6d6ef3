//! A batch that stands alone, straight to its bytes: those of [`encode_alone`](super::encode_alone), byte for byte. Each such
//! batch names all series anew, and a closet has thousands of them; as texts of their own these names were a quarter of all
//! memory that a poll asked for.

use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::sample::{Name, Sample, Value};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{Dictionary, Encoding, definition_of};
use crate::v1;

/// A batch as it rests in a spool.
#[derive(Clone, Debug, PartialEq)]
pub struct Alone {
    /// Which it is.
    pub id: BatchId,
    /// The time of its first row.
    pub time_unix_ms: i64,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Alone {
    /// Of samples, within the limits of [`Encoder::encode`](super::Encoder::encode).
    #[must_use]
    pub fn of(id: BatchId, lane: Lane, samples: &[Sample]) -> Self {
        let mut define = Vec::new();
        let mut body = Vec::new();
        let batch = Dictionary::default().encode(
            id,
            lane,
            samples,
            |shape| shape,
            |sample, values, wanted| {
                body.clear();
                put_definition(&mut body, sample, values, wanted);
                encode_key(DEFINE, WireType::LengthDelimited, &mut define);
                encode_varint(body.len() as u64, &mut define);
                define.extend_from_slice(&body);
            },
        );
        let time_unix_ms = batch.time_unix_ms;
        // Fields are written in the order of their numbers, and definitions stand in the midst of them.
        let v1::Batch { generation, sequence, lane, define: _, strings, rows, times, values, raws, .. } = batch;
        let head = v1::Batch { generation, sequence, lane, time_unix_ms, ..v1::Batch::default() };
        let tail = v1::Batch { strings, rows, times, values, raws, ..v1::Batch::default() };
        let mut bytes = Vec::with_capacity(head.encoded_len() + define.len() + tail.encoded_len());
        let room = "a vector grows";
        head.encode(&mut bytes).expect(room);
        bytes.append(&mut define);
        tail.encode(&mut bytes).expect(room);
        Self { id, time_unix_ms, bytes }
    }
}

impl From<&v1::Batch> for Alone {
    fn from(batch: &v1::Batch) -> Self {
        Self { id: batch.id(), time_unix_ms: batch.time_unix_ms, bytes: batch.encode_to_vec() }
    }
}

/// Numbers of fields in `uplink.proto`: of `Batch`, `Series`, `Tag` and `Field`.
const DEFINE: u32 = 5;
const MEASUREMENT: u32 = 1;
const TAGS: u32 = 2;
const FIELDS: u32 = 3;
const TARGET_ID: u32 = 4;
const TAG_KEY: u32 = 1;
const TAG_VALUE: u32 = 2;
const FIELD_NAME: u32 = 1;
const FIELD_TYPE: u32 = 2;
const FIELD_DECIMALS: u32 = 3;
/// What stands before a value: all these numbers fit one byte.
const KEY_BYTES: usize = 1;

fn put_definition(out: &mut Vec<u8>, sample: &Sample, values: &[&(Name, Value)], wanted: &[Encoding]) {
    put_text(out, MEASUREMENT, &sample.measurement);
    for (key, value) in &sample.tags {
        put_head(out, TAGS, text_bytes(key) + text_bytes(value));
        put_text(out, TAG_KEY, key);
        put_text(out, TAG_VALUE, value);
    }
    for ((name, _), encoding) in values.iter().zip(wanted) {
        let (kind, decimals) = definition_of(*encoding);
        let kind = u64::from(kind.unsigned_abs());
        put_head(out, FIELDS, text_bytes(name) + number_bytes(kind) + number_bytes(decimals.into()));
        put_text(out, FIELD_NAME, name);
        put_number(out, FIELD_TYPE, kind);
        put_number(out, FIELD_DECIMALS, decimals.into());
    }
    put_text(out, TARGET_ID, &sample.target);
}

fn put_head(out: &mut Vec<u8>, number: u32, bytes: usize) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes as u64, out);
}

/// What is empty or zero is not written.
fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        put_head(out, number, text.len());
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        encode_key(number, WireType::Varint, out);
        encode_varint(value, out);
    }
}

fn text_bytes(text: &str) -> usize {
    if text.is_empty() { 0 } else { KEY_BYTES + encoded_len_varint(text.len() as u64) + text.len() }
}

fn number_bytes(value: u64) -> usize {
    if value == 0 { 0 } else { KEY_BYTES + encoded_len_varint(value) }
}
