//! Heads to disk. One transaction holds everything that belongs together: the new part of the catalogue, the blocks that were
//! sealed, the heads that remain, and the position. A crash before the commit leaves the state of the checkpoint before it, a
//! crash after it the new one; there is nothing between.

use rusqlite::params;

use super::disk::{Writer, at};
use super::head::Head;
use super::{Memory, Store, StoreError, lock};
use crate::chunk::Chunk;
use crate::codec::bits::put_varint;
use crate::codec::block;
use crate::limits::{CHECKPOINT_EVERY, CHECKPOINT_PART_BYTES, CHECKPOINT_VALUES, SEAL_AGE, SEAL_ROWS};

/// Which heads a checkpoint seals, besides the full ones.
#[derive(Clone, Copy)]
pub(crate) struct Sealing {
    /// Heads with at least this many rows are sealed with all their rows.
    whole_from_rows: usize,
    /// Heads that began before this time are sealed with all their rows.
    whole_before: Option<i64>,
}

/// Full heads only, and of them only full blocks.
pub(crate) const USUAL: Sealing = Sealing { whole_from_rows: usize::MAX, whole_before: None };
const EVERYTHING: Sealing = Sealing { whole_from_rows: 1, whole_before: None };

/// What became of one head.
struct Sealed {
    stream: u32,
    blocks: Vec<Packed>,
    rest: Chunk,
}

struct Packed {
    min: i64,
    max: i64,
    rows: usize,
    data: Vec<u8>,
}

impl Store {
    /// Writes heads and position in one transaction. Returns the position that is durable now.
    ///
    /// # Errors
    /// When the file cannot be written: the last checkpoint stays what it was, and nothing is lost from memory.
    pub fn checkpoint(&self) -> Result<u64, StoreError> {
        self.checkpoint_with(&mut lock(&self.writer), USUAL)
    }

    /// As [`checkpoint`](Self::checkpoint), and moves every row into a block.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn seal_all(&self) -> Result<u64, StoreError> {
        self.checkpoint_with(&mut lock(&self.writer), EVERYTHING)
    }

    /// Makes a checkpoint if one is due. Returns the new position if there was one.
    pub(super) fn checkpoint_if_due(&self, now: i64) -> Result<Option<u64>, StoreError> {
        let mut writer = lock(&self.writer);
        let every = CHECKPOINT_EVERY.as_nanos() as i64;
        let last = *writer.last_checkpoint.get_or_insert(now);
        let (values, heads) = {
            let memory = self.memory();
            (memory.since_checkpoint, memory.head_values)
        };
        let crowded = heads > self.options.max_head_values / 8 * 7;
        // A clock that was set back must not put the next checkpoint off.
        let due = now.abs_diff(last) >= every as u64 || values >= CHECKPOINT_VALUES || crowded;
        if !due {
            return Ok(None);
        }
        self.note_age(now);
        let before = now.saturating_sub(SEAL_AGE.as_nanos() as i64);
        let usual = if crowded { self.seal_for_room() } else { USUAL };
        let position = self.checkpoint_with(&mut writer, Sealing { whole_before: Some(before), ..usual })?;
        writer.last_checkpoint = Some(now);
        Ok(Some(position))
    }

    fn note_age(&self, now: i64) {
        for stream in &mut self.memory_mut().catalog.streams {
            if !stream.head.is_empty() {
                stream.head.since.get_or_insert(now);
            }
        }
    }

    /// The largest heads make up half of what is held; sealing those gives room with the fewest small blocks.
    pub(crate) fn seal_for_room(&self) -> Sealing {
        let memory = self.memory();
        let mut sizes: Vec<(usize, u64)> = memory
            .catalog
            .streams
            .iter()
            .map(|stream| (stream.head.rows(), stream.head.cells() as u64))
            .filter(|(rows, _)| *rows > 0)
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut found = 0;
        let enough = sizes.iter().find(|(_, cells)| {
            found += cells;
            found >= memory.head_values / 2
        });
        Sealing { whole_from_rows: enough.map_or(1, |(rows, _)| *rows), whole_before: None }
    }

    /// The caller holds the writer, so no point comes in between; queries go on.
    pub(crate) fn checkpoint_with(&self, writer: &mut Writer, sealing: Sealing) -> Result<u64, StoreError> {
        self.checkpoint_then(writer, sealing, |_| Ok(()))
    }

    /// As [`checkpoint_with`](Self::checkpoint_with), with something more in the same transaction.
    pub(crate) fn checkpoint_then(
        &self,
        writer: &mut Writer,
        sealing: Sealing,
        also: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<u64, StoreError> {
        let (sealed, parts, position) = {
            let memory = self.memory();
            let sealed = memory.seal(sealing)?;
            let parts = memory.pack_heads(&sealed)?;
            (sealed, parts, memory.applied)
        };
        let mark = writer.mark();
        let memory = self.memory();
        let step = at("write a checkpoint");
        let transaction = writer.connection.transaction().map_err(&step)?;
        Writer::save_catalog(&transaction, &memory.catalog, mark).map_err(&step)?;
        drop(memory);
        save_blocks(&transaction, &sealed).map_err(&step)?;
        save_heads(&transaction, &parts, position).map_err(&step)?;
        also(&transaction).map_err(&step)?;
        transaction.commit().map_err(&step)?;
        writer.saved(&self.memory().catalog);
        self.memory_mut().settle(sealed, position);
        Ok(position)
    }
}

impl Memory {
    fn seal(&self, sealing: Sealing) -> Result<Vec<Sealed>, StoreError> {
        let mut all = Vec::new();
        for (id, stream) in self.catalog.streams.iter().enumerate() {
            let head = &stream.head;
            let old = matches!((sealing.whole_before, head.since), (Some(b), Some(s)) if s < b);
            let whole = !head.is_empty() && (old || head.rows() >= sealing.whole_from_rows);
            if !whole && head.rows() < SEAL_ROWS {
                continue;
            }
            let rows = head.all();
            let late = stream.sealed.map_or(0, |(_, newest)| rows.times.partition_point(|time| *time <= newest));
            let sealed = cut(id as u32, &rows, late, whole);
            all.push(sealed.map_err(|source| StoreError::Pack { stream: self.catalog.key(id as u32), source })?);
        }
        Ok(all)
    }

    /// Everything that stays in a head, packed; `sealed` says what does not.
    fn pack_heads(&self, sealed: &[Sealed]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut sealed = sealed.iter().peekable();
        for (id, stream) in self.catalog.streams.iter().enumerate() {
            let rows = match sealed.next_if(|sealed| sealed.stream == id as u32) {
                Some(sealed) => sealed.rest.clone(),
                None => stream.head.all(),
            };
            if rows.times.is_empty() {
                continue;
            }
            let packed = block::encode(&rows)
                .map_err(|source| StoreError::Pack { stream: self.catalog.key(id as u32), source })?;
            put_varint(&mut part, id as u64);
            put_varint(&mut part, packed.len() as u64);
            part.extend_from_slice(&packed);
            if part.len() >= CHECKPOINT_PART_BYTES {
                parts.push(std::mem::take(&mut part));
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
        Ok(parts)
    }

    /// Takes out of the heads what the file has now. In the same moment the blocks become visible to scans.
    fn settle(&mut self, all: Vec<Sealed>, position: u64) {
        for sealed in all {
            let stream = &mut self.catalog.streams[sealed.stream as usize];
            for packed in &sealed.blocks {
                let (min, max) = stream.sealed.unwrap_or((packed.min, packed.max));
                stream.sealed = Some((min.min(packed.min), max.max(packed.max)));
            }
            stream.head = Head::from_sorted(sealed.rest);
        }
        self.count_heads();
        self.catalog.kept_changed.clear();
        self.durable = position;
        self.since_checkpoint = 0;
        self.settled += 1;
    }

    pub(crate) fn count_heads(&mut self) {
        self.head_values = self.catalog.streams.iter().map(|stream| stream.head.cells() as u64).sum();
    }
}

/// Cuts rows into blocks. The first `late` rows are older than what is sealed already and get blocks of their own: one late
/// row must not make a block that spans days.
fn cut(stream: u32, rows: &Chunk, late: usize, whole: bool) -> Result<Sealed, crate::codec::CodecError> {
    let total = rows.times.len();
    let (mut blocks, mut from) = (Vec::new(), 0);
    while from < total {
        let end = if from < late { late } else { total };
        let to = end.min(from + SEAL_ROWS);
        let full = to - from == SEAL_ROWS;
        if !full && !whole && from >= late {
            break;
        }
        let part = range(rows, from, to);
        blocks.push(Packed {
            min: part.times[0],
            max: part.times[part.times.len() - 1],
            rows: part.times.len(),
            data: block::encode(&part)?,
        });
        from = to;
    }
    Ok(Sealed { stream, blocks, rest: range(rows, from, total) })
}

fn range(rows: &Chunk, from: usize, to: usize) -> Chunk {
    let order: Vec<u32> = (from as u32..to as u32).collect();
    rows.select(&order, |_| true)
}

fn save_blocks(transaction: &rusqlite::Transaction<'_>, all: &[Sealed]) -> rusqlite::Result<()> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO block (stream, min_time, max_time, rows, data) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for sealed in all {
        for packed in &sealed.blocks {
            let rows = packed.rows as i64;
            insert.execute(params![sealed.stream, packed.min, packed.max, rows, packed.data])?;
        }
    }
    Ok(())
}

fn save_heads(transaction: &rusqlite::Transaction<'_>, parts: &[Vec<u8>], position: u64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM head", [])?;
    let mut insert = transaction.prepare_cached("INSERT INTO head VALUES (?1, ?2)")?;
    for (number, data) in parts.iter().enumerate() {
        insert.execute(params![number as i64, data])?;
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'position'", [position as i64])?;
    Ok(())
}
