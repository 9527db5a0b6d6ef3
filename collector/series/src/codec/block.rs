//! A block: some rows of one stream, its time column and the columns that have a value in any of these rows.
//!
//! Layout: format byte; CRC-32 of all that follows; number of rows; length of the time column and the column; number of columns; for each
//! its field id, kind and length; then the columns. Lengths stand in front so that a reader of one field skips the rest.

use std::borrow::Cow;

use super::bits::{Reader, put_varint};
use super::{CodecError, Effort, floats, integers, texts};
use crate::chunk::{Bitmap, Chunk, Column, Values};
use crate::limits::{MAX_BLOCK_CELLS, MAX_BLOCK_COLUMNS, MAX_BLOCK_ROWS};
use crate::point::FieldKind;

/// The decimal and delta codec. A later codec takes the next number, and old blocks stay readable.
pub(crate) const FORMAT: u8 = 1;
/// The same, with columns that [`entropy`](super::entropy) may have packed.
const FORMAT_SMALL: u8 = 2;

/// Packs a chunk whose rows are sorted.
pub(crate) fn encode(chunk: &Chunk) -> Result<Vec<u8>, CodecError> {
    encode_with(chunk, Effort::Quick)
}

/// As [`encode`], with the effort that it is worth.
pub(crate) fn encode_with(chunk: &Chunk, effort: Effort) -> Result<Vec<u8>, CodecError> {
    let mut body = Vec::with_capacity(64 + chunk.cells());
    put_varint(&mut body, chunk.times.len() as u64);
    let mut packed = Vec::new();
    integers::encode_with(&mut packed, &chunk.times, effort);
    put_varint(&mut body, packed.len() as u64);
    body.extend_from_slice(&packed);
    packed.clear();
    // A head keeps the columns that have nothing yet.
    let columns = chunk.columns.iter().filter(|column| column.values.len() > 0);
    put_varint(&mut body, columns.clone().count() as u64);
    for column in columns {
        let start = packed.len();
        encode_column(&mut packed, column, chunk.times.len(), effort)?;
        put_varint(&mut body, u64::from(column.field));
        body.push(column.values.kind().code());
        put_varint(&mut body, (packed.len() - start) as u64);
    }
    body.extend_from_slice(&packed);
    let mut block = Vec::with_capacity(body.len() + 5);
    block.push(if effort == Effort::Small { FORMAT_SMALL } else { FORMAT });
    block.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    block.extend_from_slice(&body);
    Ok(block)
}

/// Writes the checksum that fits the bytes as they are.
pub(crate) fn seal(block: &mut [u8]) {
    if let Some((head, body)) = block.split_at_mut_checked(5) {
        head[1..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    }
}

fn encode_column(out: &mut Vec<u8>, column: &Column, rows: usize, effort: Effort) -> Result<(), CodecError> {
    encode_presence(out, column, rows);
    match &column.values {
        Values::Float(values) => floats::encode(out, &dense(column, values), effort)?,
        Values::Integer(values) => integers::encode_with(out, &dense(column, values), effort),
        Values::Unsigned(values) => {
            let dense: Vec<i64> = dense(column, values).iter().map(|value| *value as i64).collect();
            integers::encode_with(out, &dense, effort);
        }
        Values::Boolean(values) => {
            let dense: Vec<i64> = dense(column, values).iter().map(|value| i64::from(*value)).collect();
            integers::encode_with(out, &dense, effort);
        }
        Values::Text(values) => texts::encode(out, &dense(column, values), effort),
    }
    Ok(())
}

/// The values without the holes between them.
fn dense<'a, T: Clone>(column: &Column, values: &'a [T]) -> Cow<'a, [T]> {
    if column.present.is_none() {
        return Cow::Borrowed(values);
    }
    let present = values.iter().enumerate().filter(|(at, _)| column.has(*at));
    Cow::Owned(present.map(|(_, value)| value.clone()).collect())
}

/// The rows that have a value, as alternating runs: present, absent, present ... A full column is one byte.
fn encode_presence(out: &mut Vec<u8>, column: &Column, rows: usize) {
    if column.present.is_none() && column.values.len() == rows {
        return put_varint(out, 0);
    }
    let mut runs: Vec<u64> = Vec::new();
    let (mut state, mut run) = (true, 0u64);
    for at in 0..rows {
        if column.has(at) != state {
            runs.push(run);
            (state, run) = (!state, 0);
        }
        run += 1;
    }
    runs.push(run);
    if runs.len() == 1 {
        runs.clear();
    }
    put_varint(out, runs.len() as u64);
    for run in runs {
        put_varint(out, run);
    }
}

/// Unpacks the columns that `wanted` says yes to.
pub(crate) fn decode(block: &[u8], wanted: impl Fn(u32) -> bool) -> Result<Chunk, CodecError> {
    let mut input = Reader::new(block);
    let format = input.byte()?;
    if !matches!(format, FORMAT | FORMAT_SMALL) {
        return Err(CodecError::Format(format));
    }
    let sum = input.take(4)?;
    if crc32fast::hash(input.rest()).to_le_bytes() != sum {
        return Err(CodecError::Checksum);
    }
    let rows = input.length(MAX_BLOCK_ROWS)?;
    let length = input.length(input.rest().len())?;
    let times = integers::decode(&mut Reader::new(input.take(length)?), rows)?;
    if !times.is_sorted() {
        return Err(CodecError::Malformed("time order"));
    }
    let count = input.length(MAX_BLOCK_COLUMNS)?;
    let mut directory = Vec::with_capacity(count);
    for _ in 0..count {
        let field = u32::try_from(input.varint()?).map_err(|_| CodecError::Malformed("field"))?;
        let kind = FieldKind::from_code(input.byte()?).ok_or(CodecError::Malformed("kind"))?;
        directory.push((field, kind, input.length(block.len())?));
    }
    let claimed = directory.iter().filter(|(field, ..)| wanted(*field)).count() * rows;
    if claimed > MAX_BLOCK_CELLS {
        return Err(CodecError::Malformed("size"));
    }
    let mut columns = Vec::new();
    for (field, kind, length) in directory {
        let bytes = input.take(length)?;
        if wanted(field) {
            columns.push(decode_column(&mut Reader::new(bytes), field, kind, rows)?);
        }
    }
    Ok(Chunk { times, columns })
}

fn decode_column(input: &mut Reader<'_>, field: u32, kind: FieldKind, rows: usize) -> Result<Column, CodecError> {
    let (present, count) = decode_presence(input, rows)?;
    let spread = present.as_ref();
    let values = match kind {
        FieldKind::Float => Values::Float(place(floats::decode(input, count)?, spread, rows)),
        FieldKind::Integer => Values::Integer(place(integers::decode(input, count)?, spread, rows)),
        FieldKind::Unsigned => {
            let values = integers::decode(input, count)?.into_iter().map(|value| value as u64);
            Values::Unsigned(place(values.collect(), spread, rows))
        }
        FieldKind::Boolean => {
            let values = integers::decode(input, count)?.into_iter().map(|value| value != 0);
            Values::Boolean(place(values.collect(), spread, rows))
        }
        FieldKind::Text => Values::Text(place(texts::decode(input, count)?, spread, rows)),
    };
    Ok(Column { field, values, present })
}

fn decode_presence(input: &mut Reader<'_>, rows: usize) -> Result<(Option<Bitmap>, usize), CodecError> {
    let runs = input.length(rows + 1)?;
    if runs == 0 {
        return Ok((None, rows));
    }
    let mut present = Bitmap::default();
    let (mut at, mut count, mut state) = (0usize, 0usize, true);
    for _ in 0..runs {
        let run = input.length(rows - at)?;
        if state {
            (at..at + run).for_each(|row| present.set(row));
            count += run;
        }
        at += run;
        state = !state;
    }
    if at != rows {
        return Err(CodecError::Malformed("presence"));
    }
    Ok((Some(present), count))
}

fn place<T: Clone + Default>(values: Vec<T>, present: Option<&Bitmap>, rows: usize) -> Vec<T> {
    let Some(present) = present else { return values };
    let mut values = values.into_iter();
    let mut next = |row| if present.get(row) { values.next() } else { None };
    (0..rows).map(|row| next(row).unwrap_or_default()).collect()
}
