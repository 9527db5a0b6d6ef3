//! Turns blocks that overlap or are small into full ones, packed as small as can be. It moves no position and changes no answer: what it writes is what a
//! scan of the old blocks would have seen, in one transaction with their removal.

use rusqlite::{Connection, params};

use super::disk::at;
use super::{Store, StoreError, lock};
use crate::chunk::Chunk;
use crate::codec::{Effort, block};
use crate::limits::{COMPACT_ROWS, MAX_BLOCK_ROWS};

/// Rows that one rewrite may hold in memory. Blocks that overlap beyond it stay as they are.
const MAX_REWRITE_ROWS: usize = MAX_BLOCK_ROWS * 4;

/// Streams that one transaction rewrites: each takes some milliseconds.
const SLICE_STREAMS: u32 = 64;
/// Streams that one transaction looks at: those without work take some microseconds.
const SLICE_LOOKS: u32 = 2_000;

/// What was done at once.
pub(super) struct Slice {
    /// The stream to go on with.
    pub(super) next: u32,
    fewer: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    id: i64,
    min: i64,
    max: i64,
    rows: usize,
}

impl Store {
    /// Rewrites blocks that overlap or are small. Returns how many blocks fewer there are.
    ///
    /// # Errors
    /// When the file cannot be written; what was rewritten before stays rewritten.
    pub fn compact(&self) -> Result<u64, StoreError> {
        let (mut next, mut fewer) = (0, 0);
        while let Some(done) = self.compact_slice(next)? {
            (next, fewer) = (done.next, fewer + done.fewer);
        }
        Ok(fewer)
    }

    /// Gives the space of removed rows back to the system. Slow: the whole file is rewritten.
    ///
    /// # Errors
    /// When there is no room for the copy.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        let sql = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);";
        writer.connection.execute_batch(sql).map_err(at("vacuum"))
    }

    /// Goes on with the streams from `from` on; `None` if there are no more. The writer is taken for one slice at a time, so that
    /// points are not held up.
    pub(super) fn compact_slice(&self, from: u32) -> Result<Option<Slice>, StoreError> {
        let streams = self.memory().catalog.streams.len() as u32;
        if from >= streams {
            return Ok(None);
        }
        let mut writer = lock(&self.writer);
        let transaction = writer.connection.transaction().map_err(at("compact"))?;
        let (mut slice, mut rewritten) = (Slice { next: from, fewer: 0 }, 0);
        while slice.next < streams.min(from.saturating_add(SLICE_LOOKS)) && rewritten < SLICE_STREAMS {
            let (groups, fewer) = self.compact_stream(&transaction, slice.next)?;
            rewritten += u32::from(groups > 0);
            slice.fewer += fewer;
            slice.next += 1;
        }
        transaction.commit().map_err(at("compact"))?;
        Ok(Some(slice))
    }

    /// How many groups of blocks were rewritten, and how many blocks fewer there are.
    fn compact_stream(&self, transaction: &Connection, stream: u32) -> Result<(u64, u64), StoreError> {
        let entries = list(transaction, stream).map_err(at("list blocks"))?;
        let (mut groups, mut fewer) = (0, 0);
        for group in worth_rewriting(&entries) {
            let Some(chunks) = self.read_group(transaction, stream, group)? else { continue };
            let written = rewrite(transaction, stream, group, &Chunk::merge(chunks)).map_err(at("compact"))?;
            groups += 1;
            fewer += (group.len() as u64).saturating_sub(written);
        }
        Ok((groups, fewer))
    }

    /// `None` if any block is corrupt: it stays for a repair, and so do its neighbours.
    fn read_group(
        &self,
        connection: &Connection,
        stream: u32,
        group: &[Entry],
    ) -> Result<Option<Vec<Chunk>>, StoreError> {
        let mut ids: Vec<i64> = group.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        let mut chunks = Vec::with_capacity(ids.len());
        for id in ids {
            let data: Vec<u8> = connection
                .query_row("SELECT data FROM block WHERE id = ?1", [id], |row| row.get(0))
                .map_err(at("read a block"))?;
            match block::decode(&data, |_| true) {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => {
                    self.lost_block(id, stream, &error);
                    return Ok(None);
                }
            }
        }
        Ok(Some(chunks))
    }
}

fn list(connection: &Connection, stream: u32) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection
        .prepare_cached("SELECT id, min_time, max_time, rows FROM block WHERE stream = ?1 ORDER BY min_time, id")?;
    let rows = select.query_map([stream], |row| {
        let rows = row.get::<_, i64>(3)? as usize;
        Ok(Entry { id: row.get(0)?, min: row.get(1)?, max: row.get(2)?, rows })
    })?;
    rows.collect()
}

/// Runs of neighbours: those that overlap stay together always, and small ones join until a block is full.
fn worth_rewriting(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut runs = Vec::new();
    let (mut start, mut rows, mut end, mut overlap) = (0, 0, i64::MIN, false);
    for (at, entry) in entries.iter().enumerate() {
        let touches = at > start && entry.min <= end;
        let joins = at > start && rows + entry.rows <= COMPACT_ROWS;
        if !touches && !joins {
            push_run(&mut runs, &entries[start..at], overlap, rows);
            (start, rows, overlap) = (at, 0, false);
        }
        overlap |= touches;
        rows += entry.rows;
        end = end.max(entry.max);
    }
    push_run(&mut runs, &entries[start..], overlap, rows);
    runs
}

fn push_run<'a>(runs: &mut Vec<&'a [Entry]>, run: &'a [Entry], overlap: bool, rows: usize) {
    let useful = overlap || run.len() > 1;
    if useful && rows <= MAX_REWRITE_ROWS {
        runs.push(run);
    }
}

fn rewrite(connection: &Connection, stream: u32, old: &[Entry], merged: &Chunk) -> rusqlite::Result<u64> {
    let mut delete = connection.prepare_cached("DELETE FROM block WHERE id = ?1")?;
    for entry in old {
        delete.execute([entry.id])?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO block (stream, min_time, max_time, rows, data) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let order: Vec<u32> = (0..merged.times.len() as u32).collect();
    let mut written = 0;
    for part in order.chunks(COMPACT_ROWS) {
        let rows = merged.select(part, |_| true);
        let (Some(min), Some(max)) = (rows.times.first(), rows.times.last()) else { continue };
        let packed = block::encode_with(&rows, Effort::Small)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        insert.execute(params![stream, min, max, rows.times.len() as i64, packed])?;
        written += 1;
    }
    Ok(written)
}
