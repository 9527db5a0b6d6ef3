//! Heads to disk. One transaction holds everything that belongs together: the new part of the catalogue, the blocks that were
//! sealed, the heads that remain, and the position. A crash before the commit leaves the state of the checkpoint before it, a
//! crash after it the new one; there is nothing between.

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::params;

use super::disk::{Writer, at};
use super::head::Head;
use super::{Memory, Store, StoreError, lock};
use crate::chunk::Chunk;
use crate::codec::bits::put_varint;
use crate::codec::block;
use crate::limits::{CHECKPOINT_EVERY, CHECKPOINT_PART_BYTES, CHECKPOINT_VALUES, SEAL_AGE, SEAL_ROWS};

/// Cells that a processor packs before it takes more: some milliseconds.
const SLICE_CELLS: usize = 1 << 18;
/// Processors that pack at once. A school's collector has two to four, and other work beside this.
const MAX_PACKERS: usize = 4;

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
            let (sealed, parts) = memory.pack(sealing)?;
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
    /// What is sealed, and the rest of all heads in parts. Those who write wait for this, so every processor helps.
    fn pack(&self, sealing: Sealing) -> Result<(Vec<Sealed>, Vec<Vec<u8>>), StoreError> {
        let slices = self.slices();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(slice) = slices.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((slice.start, self.pack_slice(sealing, slice.clone())));
            }
            done
        };
        let helpers =
            std::thread::available_parallelism().map_or(1, NonZero::get).min(slices.len()).min(MAX_PACKERS) - 1;
        let mut all = std::thread::scope(|scope| {
            let start = |_| std::thread::Builder::new().name("series-pack".to_owned()).spawn_scoped(scope, work).ok();
            let helpers: Vec<_> = (0..helpers).filter_map(start).collect();
            let mut all = work();
            for helper in helpers {
                all.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        });
        all.sort_by_key(|(start, _)| *start);
        let (mut sealed, mut parts) = (Vec::new(), Vec::new());
        for (_, packed) in all {
            let packed = packed?;
            sealed.extend(packed.0);
            parts.extend(packed.1);
        }
        Ok((sealed, parts))
    }

    /// The streams, in slices of about as many cells.
    fn slices(&self) -> Vec<Range<usize>> {
        let (mut slices, mut from, mut cells) = (Vec::new(), 0, 0);
        for (id, stream) in self.catalog.streams.iter().enumerate() {
            cells += stream.head.cells();
            if cells >= SLICE_CELLS {
                slices.push(from..id + 1);
                (from, cells) = (id + 1, 0);
            }
        }
        slices.push(from..self.catalog.streams.len());
        slices
    }

    fn pack_slice(&self, sealing: Sealing, slice: Range<usize>) -> Result<(Vec<Sealed>, Vec<Vec<u8>>), StoreError> {
        let sealed = self.seal(sealing, slice.clone())?;
        let parts = self.pack_heads(&sealed, slice)?;
        Ok((sealed, parts))
    }

    fn seal(&self, sealing: Sealing, slice: Range<usize>) -> Result<Vec<Sealed>, StoreError> {
        let mut all = Vec::new();
        for id in slice {
            let stream = &self.catalog.streams[id];
            let head = &stream.head;
            let old = matches!((sealing.whole_before, head.since), (Some(b), Some(s)) if s < b);
            let whole = !head.is_empty() && (old || head.rows() >= sealing.whole_from_rows);
            if !whole && head.rows() < SEAL_ROWS {
                continue;
            }
            let rows = head.sorted();
            let late = stream.sealed.map_or(0, |(_, newest)| rows.times.partition_point(|time| *time <= newest));
            let sealed = cut(id as u32, &rows, late, whole);
            all.push(sealed.map_err(|source| StoreError::Pack { stream: self.catalog.key(id as u32), source })?);
        }
        Ok(all)
    }

    /// Everything that stays in these heads, packed; `sealed` says what does not.
    fn pack_heads(&self, sealed: &[Sealed], slice: Range<usize>) -> Result<Vec<Vec<u8>>, StoreError> {
        let (mut parts, mut part) = (Vec::new(), Vec::new());
        let mut sealed = sealed.iter().peekable();
        for id in slice {
            let rows = match sealed.next_if(|sealed| sealed.stream == id as u32) {
                Some(sealed) => Cow::Borrowed(&sealed.rest),
                None => self.catalog.streams[id].head.sorted(),
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
    // Of most nothing is left, and columns without rows would take more memory than what was sealed.
    let rest = if from == total { Chunk::default() } else { range(rows, from, total) };
    Ok(Sealed { stream, blocks, rest })
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

#[cfg(test)]
mod tests {
    use crate::point::{FieldValue, Point};
    use crate::{Options, QueryOptions, Store};

    /// Enough for several slices.
    const STREAMS: usize = 60;
    const FIELDS: usize = 12;
    const ROWS: usize = 1_100;

    #[test]
    fn heads_that_several_processors_pack_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..STREAMS.max(FIELDS)).map(|number| format!("n{number:02}")).collect();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        for row in 0..ROWS {
            let field = |stream: usize, at: usize| FieldValue::Float((row * (stream + 1) * (at + 1)) as f64 / 100.0);
            let point = |stream: usize| Point {
                measurement: "m".into(),
                tags: vec![("host".into(), names[stream].as_str().into())],
                time: row as i64,
                fields: (0..FIELDS).map(|at| (names[at].as_str().into(), field(stream, at))).collect(),
            };
            let mut points: Vec<_> = (0..STREAMS).map(point).collect();
            if row == ROWS - 1 {
                // A row that is late, and a second one of its time.
                points[STREAMS - 1].time = 3;
            }
            store.apply(row as u64 + 1, "db", &points).unwrap();
        }
        assert!(store.memory().slices().len() > 2);
        let text = "SELECT count(*), sum(*), last(n00) FROM m GROUP BY host";
        let answer = |store: &Store| store.query("db", text, &QueryOptions::at(0)).to_json(false);
        let before = answer(&store);
        store.checkpoint().unwrap();
        let stats = store.stats().unwrap();
        assert_eq!((stats.blocks, stats.durable), (STREAMS as u64, ROWS as u64));
        assert_eq!(answer(&store), before);
        drop(store);
        let store = Store::open(folder.path(), Options::default()).unwrap();
        assert_eq!(answer(&store), before);
        assert_eq!(store.stats().unwrap().corrupt_blocks, 0);
    }
}
