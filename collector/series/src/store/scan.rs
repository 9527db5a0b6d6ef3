//! Reads the rows of one stream in order of time, from blocks and head together, a piece at a time.

use std::cell::RefCell;

use rusqlite::{Connection, params};

use super::disk::at;
use super::unpacked::{self, Version};
use super::{Store, StoreError};
use crate::chunk::{Chunk, Column};
use crate::codec::block;

/// What to read.
pub(crate) struct Scan<'a> {
    pub(crate) stream: u32,
    /// Both ends are included.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Field ids; rows that have none of them are not seen.
    pub(crate) fields: &'a [u32],
    /// Newest piece first; the rows inside a piece are ascending all the same.
    pub(crate) descending: bool,
}

/// Whether a reader wants more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    Enough,
}

/// One block as the index knows it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: i64,
    min: i64,
    max: i64,
}

/// The head stands among the blocks as the newest of all.
const HEAD: i64 = i64::MAX;

/// How much a scan would read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    pub(crate) head_rows: usize,
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.head_rows += other.head_rows;
        self.blocks += other.blocks;
        self.bytes += other.bytes;
    }
}

impl Store {
    /// How much a scan of these fields would read. Blocks count whole.
    pub(crate) fn weigh(&self, stream: u32, from: i64, to: i64, fields: &[u32]) -> Result<Weight, StoreError> {
        let head = {
            let memory = self.memory();
            let Some(stream) = memory.catalog.streams.get(stream as usize) else { return Ok(Weight::default()) };
            stream.head.between(from, to, |field| fields.contains(&field))
        };
        let filled = |row: &usize| head.columns.iter().any(|column| column.has(*row));
        let head_rows = (0..head.times.len()).filter(filled).count();
        let (blocks, bytes) = self.readers.with(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT count(*), coalesce(sum(length(data)), 0) FROM block
                 WHERE stream = ?1 AND max_time >= ?2 AND min_time <= ?3",
            )?;
            select.query_row(params![stream, from, to], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        })?;
        Ok(Weight { head_rows, blocks: blocks as u64, bytes: bytes as u64 })
    }

    /// Calls `each` with sorted rows, each time once, pieces in order. Pieces end where no block overlaps, so the memory that a
    /// scan takes is that of the blocks that overlap, not of the range.
    pub(crate) fn scan(&self, scan: &Scan<'_>, each: impl FnMut(&Chunk) -> Flow) -> Result<(), StoreError> {
        Reading::new(self).scan(scan, each)
    }
}

/// Scans that belong together: they share a connection and, as long as no rows move from heads to blocks, one state of the file.
/// To begin a transaction costs as much as to read a block.
pub(crate) struct Reading<'a> {
    store: &'a Store,
    held: RefCell<Option<Held>>,
}

struct Held {
    connection: Connection,
    /// As its state of the file has them: see [`unpacked`].
    cuts: i64,
    /// Of [`Memory::settled`](super::Memory), from before the transaction began.
    settled: u64,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, held: RefCell::new(None) }
    }

    /// As [`Store::scan`].
    pub(crate) fn scan(&self, scan: &Scan<'_>, mut each: impl FnMut(&Chunk) -> Flow) -> Result<(), StoreError> {
        // The head first: rows that are sealed in between are then seen twice, which merging heals; never not at all.
        let mut scan = Scan { ..*scan };
        let (head, sealed, settled) = {
            let memory = self.store.memory();
            let Some(stream) = memory.catalog.streams.get(scan.stream as usize) else {
                return Ok(());
            };
            scan.from = scan.from.max(stream.kept.raw_from);
            let wanted = |field| scan.fields.contains(&field);
            (stream.head.between(scan.from, scan.to, wanted), stream.sealed, memory.settled)
        };
        let on_disk = sealed.is_some_and(|(min, max)| min <= scan.to && max >= scan.from);
        if !on_disk {
            emit(head, &scan, &mut each);
            return Ok(());
        }
        let held = self.hold(settled)?;
        let read = self.store.scan_blocks(&held.connection, held.cuts, &scan, head, &mut each);
        // A scan that was made inside this one has left its own.
        if let Some(other) = self.held.replace(Some(held)) {
            self.store.readers.end(other.connection);
        }
        read.map_err(at("read blocks"))
    }

    /// The connection that is held, if its state of the file has all that had left the heads by then: else rows that moved since
    /// would be in neither.
    fn hold(&self, settled: u64) -> Result<Held, StoreError> {
        let held = self.held.take();
        if let Some(held) = held {
            if held.settled == settled {
                return Ok(held);
            }
            self.store.readers.end(held.connection);
        }
        let connection = self.store.readers.begin()?;
        match unpacked::cuts(&connection) {
            Ok(cuts) => Ok(Held { connection, cuts, settled }),
            Err(error) => {
                self.store.readers.end(connection);
                Err(at("read what was cut")(error))
            }
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.store.readers.end(held.connection);
        }
    }
}

impl Store {
    pub(super) fn scan_blocks(
        &self,
        connection: &Connection,
        cuts: i64,
        scan: &Scan<'_>,
        head: Chunk,
        each: &mut impl FnMut(&Chunk) -> Flow,
    ) -> rusqlite::Result<()> {
        let mut entries = list(connection, scan)?;
        if let (Some(min), Some(max)) = (head.times.first(), head.times.last()) {
            entries.push(Entry { id: HEAD, min: *min, max: *max });
        }
        let mut pieces = overlapping(entries);
        if scan.descending {
            pieces.reverse();
        }
        for piece in pieces {
            let mut chunks = Vec::with_capacity(piece.len());
            for entry in piece {
                if entry.id == HEAD {
                    chunks.push(head.clone());
                } else {
                    chunks.extend(self.load(connection, scan, Version { block: entry.id, cuts }));
                }
            }
            if emit(Chunk::merge(chunks), scan, each) == Flow::Enough {
                break;
            }
        }
        Ok(())
    }

    /// The rows of the range. A block that cannot be read is counted and named, and the scan goes on without it.
    fn load(&self, connection: &Connection, scan: &Scan<'_>, version: Version) -> Option<Chunk> {
        if let Some(rows) = self.unpacked.get(version, scan.fields) {
            return Some(rows.between(scan.from, scan.to));
        }
        let read = || -> rusqlite::Result<_> {
            let mut select = connection.prepare_cached("SELECT data FROM block WHERE id = ?1")?;
            select.query_row([version.block], |row| {
                let data = row.get_ref(0)?.as_blob()?;
                Ok(block::decode(data, |field| scan.fields.contains(&field)))
            })
        };
        match read() {
            Ok(Ok(chunk)) => return Some(self.unpacked.keep(version, scan.fields, chunk).between(scan.from, scan.to)),
            Ok(Err(error)) => self.lost_block(version.block, scan.stream, &error),
            Err(error) => self.lost_block(version.block, scan.stream, &error),
        }
        None
    }
}

fn list(connection: &Connection, scan: &Scan<'_>) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare_cached(
        "SELECT id, min_time, max_time FROM block WHERE stream = ?1 AND max_time >= ?2 AND min_time <= ?3",
    )?;
    let rows = select.query_map(params![scan.stream, scan.from, scan.to], |row| {
        Ok(Entry { id: row.get(0)?, min: row.get(1)?, max: row.get(2)? })
    })?;
    rows.collect()
}

/// Groups entries whose times overlap, in order of time; inside a group in the order of writing, so that the last write wins.
fn overlapping(mut entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    entries.sort_unstable_by_key(|entry| (entry.min, entry.id));
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    let mut end = i64::MIN;
    for entry in entries {
        match groups.last_mut() {
            Some(group) if entry.min <= end => group.push(entry),
            _ => groups.push(vec![entry]),
        }
        end = end.max(entry.max);
    }
    for group in &mut groups {
        group.sort_unstable_by_key(|entry| entry.id);
    }
    groups
}

/// Hands over the rows inside the range that have any of the fields.
fn emit(rows: Chunk, scan: &Scan<'_>, each: &mut impl FnMut(&Chunk) -> Flow) -> Flow {
    let first = rows.times.partition_point(|time| *time < scan.from);
    let last = rows.times.partition_point(|time| *time <= scan.to);
    if first >= last {
        return Flow::More;
    }
    let total = rows.times.len();
    let is_full = |column: &Column| column.present.is_none() && column.values.len() >= total;
    if last - first == total && rows.columns.iter().any(is_full) {
        return each(&rows);
    }
    let filled = |row: &u32| rows.columns.iter().any(|column| column.has(*row as usize));
    let order: Vec<u32> = (first as u32..last as u32).filter(filled).collect();
    if order.is_empty() {
        return Flow::More;
    }
    if order.len() == total {
        return each(&rows);
    }
    each(&rows.select(&order, |_| true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_touch_are_read_together_and_in_the_order_of_writing() {
        let entry = |id, min, max| Entry { id, min, max };
        let groups = overlapping(vec![entry(1, 0, 9), entry(4, 5, 6), entry(2, 10, 19), entry(3, 19, 30)]);
        let ids: Vec<Vec<i64>> = groups.iter().map(|group| group.iter().map(|entry| entry.id).collect()).collect();
        assert_eq!(ids, [vec![1, 4], vec![2, 3]]);
    }
}
