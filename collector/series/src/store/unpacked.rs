//! Columns of blocks that were unpacked lately: a dashboard asks for the same ones every few seconds, and to unpack a block takes longer
//! than all else that is done with its rows. Bounded by bytes; what was asked for once goes first.
//!
//! A block keeps its content as long as it has its number, unless a removal cuts rows out of it. Removals are counted in the file, in their
//! own transaction, so a number and that count name a content: nothing here is ever wrong, only too old to be found.

use std::ops::Range;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rusqlite::{Connection, OptionalExtension as _};

use crate::chunk::{Chunk, Column};

/// A guess of how many columns fit, by which the cache makes room for its own table: a column of a day has 11 KiB.
const USUAL_BYTES: u64 = 8 << 10;
/// What an entry takes besides its values.
const ENTRY_BYTES: u64 = 128;

/// How often rows were cut out of blocks that stay.
pub(super) fn cuts(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE key = 'cuts'")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// To be called in the transaction that cuts.
pub(super) fn count_cut(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta VALUES ('cuts', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1";
    connection.execute(sql, []).map(drop)
}

/// A block as one state of the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) block: i64,
    pub(super) cuts: i64,
}

/// A field's number; none for the times.
type Key = (Version, Option<u32>);

#[derive(Clone)]
enum Part {
    Times(Arc<Vec<i64>>),
    /// None: the block has no such column.
    Column(Option<Arc<Column>>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Part> for Bytes {
    fn weight(&self, _: &Key, part: &Part) -> u64 {
        let values = match part {
            Part::Times(times) => times.len() * size_of::<i64>(),
            Part::Column(column) => column.as_ref().map_or(0, |column| column.values.bytes()),
        };
        ENTRY_BYTES + values as u64
    }
}

/// See the module.
pub(crate) struct Unpacked {
    parts: Cache<Key, Part, Bytes>,
}

/// The rows of a block, shared with whoever else reads it.
pub(super) struct Rows {
    times: Arc<Vec<i64>>,
    columns: Vec<Arc<Column>>,
}

impl Unpacked {
    pub(crate) fn new(most_bytes: u64) -> Self {
        let usual = (most_bytes / USUAL_BYTES).max(1) as usize;
        Self { parts: Cache::with_weighter(usual, most_bytes, Bytes) }
    }

    /// What is held now.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.weight()
    }

    /// The columns of these fields, if all of them are known.
    pub(super) fn get(&self, version: Version, fields: &[u32]) -> Option<Rows> {
        let Part::Times(times) = self.parts.get(&(version, None))? else { return None };
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            let Part::Column(column) = self.parts.get(&(version, Some(*field)))? else { return None };
            columns.extend(column);
        }
        Some(Rows { times, columns })
    }

    /// Keeps the columns of these fields, of a block that was just unpacked.
    pub(super) fn keep(&self, version: Version, fields: &[u32], chunk: Chunk) -> Rows {
        let rows = Rows { times: Arc::new(chunk.times), columns: chunk.columns.into_iter().map(Arc::new).collect() };
        self.parts.insert((version, None), Part::Times(rows.times.clone()));
        for field in fields {
            let column = rows.columns.iter().find(|column| column.field == *field).cloned();
            self.parts.insert((version, Some(*field)), Part::Column(column));
        }
        rows
    }
}

impl Rows {
    /// The rows from `from` to `to`, both included.
    pub(super) fn between(&self, from: i64, to: i64) -> Chunk {
        let first = self.times.partition_point(|time| *time < from);
        let end = self.times.partition_point(|time| *time <= to).max(first);
        let rows: Range<usize> = first..end;
        let columns = self.columns.iter().map(|column| column.range(rows.clone())).collect();
        Chunk { times: self.times[rows].to_vec(), columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::FieldValue;

    const ROWS: i64 = 100;
    const FIELDS: [u32; 3] = [1, 2, 3];

    fn version(block: i64) -> Version {
        Version { block, cuts: 0 }
    }

    /// Field 1 is full, field 2 has each third row, field 3 ends early; there is no fourth.
    fn chunk() -> Chunk {
        let mut chunk = Chunk { times: (0..ROWS).map(|at| at * 10).collect(), columns: Vec::new() };
        for at in 0..ROWS as usize {
            chunk.put(at, 1, &FieldValue::Integer(at as i64));
            if at % 3 == 0 {
                chunk.put(at, 2, &FieldValue::Text(format!("row {at}").into()));
            }
            if at < 20 {
                chunk.put(at, 3, &FieldValue::Boolean(at % 2 == 0));
            }
        }
        chunk
    }

    #[test]
    fn what_is_kept_comes_back_in_any_range_as_it_was() {
        let unpacked = Unpacked::new(1 << 20);
        unpacked.keep(version(7), &FIELDS, chunk());
        let rows = unpacked.get(version(7), &FIELDS).unwrap();
        let whole = chunk();
        for (from, to) in [(i64::MIN, i64::MAX), (0, 0), (1, 9), (195, 640), (990, 5_000), (2_000, 3_000), (500, 100)] {
            let found = rows.between(from, to);
            let order: Vec<u32> =
                (0..ROWS as u32).filter(|row| (from..=to).contains(&whole.times[*row as usize])).collect();
            assert_eq!(found.times, order.iter().map(|row| i64::from(*row) * 10).collect::<Vec<_>>());
            for field in FIELDS {
                let column = found.columns.iter().find(|column| column.field == field).unwrap();
                let expected = whole.column(field).unwrap();
                for (to, from) in order.iter().enumerate() {
                    assert_eq!(column.get(to), expected.get(*from as usize), "field {field}, row {from}");
                }
            }
        }
    }

    #[test]
    fn a_column_that_was_not_unpacked_is_not_known_and_one_that_is_not_there_is() {
        let unpacked = Unpacked::new(1 << 20);
        unpacked.keep(version(7), &[1, 4], chunk());
        assert!(unpacked.get(version(7), &[1, 2]).is_none());
        assert_eq!(unpacked.get(version(7), &[1, 4]).unwrap().columns.len(), 1);
        assert!(unpacked.get(version(8), &[1]).is_none(), "another block");
        assert!(unpacked.get(Version { block: 7, cuts: 1 }, &[1]).is_none(), "after a cut");
    }

    #[test]
    fn no_more_is_held_than_allowed() {
        let unpacked = Unpacked::new(64 << 10);
        for block in 0..1_000 {
            unpacked.keep(version(block), &FIELDS, chunk());
        }
        let bytes = unpacked.bytes();
        assert!(bytes > 8 << 10 && bytes <= 64 << 10, "{bytes}");
    }
}
