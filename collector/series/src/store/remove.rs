//! What takes content away: rows in a range of time, whole streams, measurements, policies, databases. Each removal is one
//! transaction together with its position, so a crash leaves it undone, to be applied again, or done.

use rusqlite::{Connection, params};

use super::unpacked::count_cut;
use super::{Memory, Store, StoreError, kept, lock, rollup};
use crate::chunk::Chunk;
use crate::codec::block;
use crate::store::checkpoint::USUAL;

/// What goes.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    /// Streams that lose the rows of the range, and are forgotten if none is left.
    pub(crate) streams: Vec<u32>,
    /// Both ends are included.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Streams are forgotten even if rows of them came meanwhile.
    pub(crate) whole: bool,
    /// Measurements that are forgotten with their fields; their streams are among `streams`.
    pub(crate) measurements: Vec<u32>,
    /// A policy that goes with them, by its database; the database itself if no policy is named.
    pub(crate) place: Option<(String, Option<String>)>,
}

impl Removal {
    /// Everything of these measurements.
    pub(crate) fn of_measurements(memory: &Memory, measurements: Vec<u32>) -> Self {
        let streams = measurements.iter().flat_map(|id| memory.catalog.measurements[*id as usize].streams.clone());
        Self { streams: streams.collect(), from: i64::MIN, to: i64::MAX, whole: true, measurements, place: None }
    }
}

impl Store {
    /// Takes content away; the position is durable when this returns.
    ///
    /// # Errors
    /// When the file cannot be written: what is in it stays, and the same call may be made again.
    pub(crate) fn remove(&self, position: u64, removal: &Removal) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        {
            let mut memory = self.memory_mut();
            for id in &removal.streams {
                let stream = &mut memory.catalog.streams[*id as usize];
                stream.head.remove(removal.from, removal.to);
                memory.catalog.unroll(*id, removal.from);
            }
            memory.applied = memory.applied.max(position);
        }
        let mut left = Vec::new();
        self.checkpoint_then(&mut writer, USUAL, |transaction| {
            for id in &removal.streams {
                cut_blocks(transaction, *id, removal.from, removal.to)?;
                rollup::remove(transaction, *id, removal.from, removal.to)?;
                let range = if removal.whole { None } else { range_of(transaction, *id)? };
                let empty = range.is_none()
                    && (removal.whole
                        || (self.memory().catalog.streams[*id as usize].head.is_empty()
                            && !rollup::any(transaction, *id)?));
                if empty {
                    transaction.execute("DELETE FROM stream WHERE id = ?1", [id])?;
                    kept::forget(transaction, *id)?;
                }
                left.push((*id, range, empty));
            }
            for id in &removal.measurements {
                transaction.execute("DELETE FROM field WHERE measurement = ?1", [id])?;
                transaction.execute("DELETE FROM measurement WHERE id = ?1", [id])?;
            }
            remove_place(transaction, removal)
        })?;
        let mut memory = self.memory_mut();
        for (id, range, empty) in left {
            memory.catalog.streams[id as usize].sealed = range;
            if empty {
                memory.catalog.forget_stream(id);
            }
        }
        for id in &removal.measurements {
            memory.catalog.forget_measurement(*id);
        }
        match &removal.place {
            Some((database, None)) => {
                memory.catalog.databases.remove(database.as_str());
            }
            Some((database, Some(policy))) => {
                if let Some(database) = memory.catalog.databases.get_mut(database.as_str()) {
                    database.policies.remove(policy.as_str());
                }
            }
            None => {}
        }
        memory.count_heads();
        Ok(())
    }
}

fn remove_place(connection: &Connection, removal: &Removal) -> rusqlite::Result<()> {
    match &removal.place {
        Some((database, None)) => {
            connection.execute("DELETE FROM policy WHERE database = ?1", [database])?;
            connection.execute("DELETE FROM database WHERE name = ?1", [database])?;
        }
        Some((database, Some(policy))) => {
            connection.execute("DELETE FROM policy WHERE database = ?1 AND name = ?2", [database, policy])?;
        }
        None => {}
    }
    Ok(())
}

/// Takes the rows of the range out of the blocks of one stream, and says how many it took out of blocks that stay. A block that cannot be
/// read is left for a repair.
pub(super) fn cut_blocks(connection: &Connection, stream: u32, from: i64, to: i64) -> rusqlite::Result<u64> {
    connection.execute(
        "DELETE FROM block WHERE stream = ?1 AND min_time >= ?2 AND max_time <= ?3",
        params![stream, from, to],
    )?;
    let mut select = connection
        .prepare_cached("SELECT id, data FROM block WHERE stream = ?1 AND max_time >= ?2 AND min_time <= ?3")?;
    let touched: Vec<(i64, Vec<u8>)> =
        select.query_map(params![stream, from, to], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut cut = 0;
    for (id, data) in touched {
        let Ok(rows) = block::decode(&data, |_| true) else { continue };
        let kept = rows.without(from, to);
        let (Some(min), Some(max)) = (kept.times.first(), kept.times.last()) else { continue };
        let packed = block::encode(&kept).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        connection.execute(
            "UPDATE block SET min_time = ?2, max_time = ?3, rows = ?4, data = ?5 WHERE id = ?1",
            params![id, min, max, kept.times.len() as i64, packed],
        )?;
        cut += (rows.times.len() - kept.times.len()) as u64;
    }
    if cut > 0 {
        count_cut(connection)?;
    }
    Ok(cut)
}

pub(super) fn range_of(connection: &Connection, stream: u32) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut select = connection.prepare_cached("SELECT min(min_time), max(max_time) FROM block WHERE stream = ?1")?;
    select.query_row([stream], |row| {
        let (min, max): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(min.zip(max))
    })
}

impl Chunk {
    /// The rows that are not between `from` and `to`, both included.
    pub(crate) fn without(&self, from: i64, to: i64) -> Chunk {
        let outside = |row: &u32| !(from..=to).contains(&self.times[*row as usize]);
        let order: Vec<u32> = (0..self.times.len() as u32).filter(outside).collect();
        self.select(&order, |_| true)
    }
}
