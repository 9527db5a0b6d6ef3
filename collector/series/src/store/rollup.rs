//! Roll-ups: of every field of a stream, what the points of a bucket come to.
//!
//! A row of a roll-up is one bucket; its time is the bucket's start. Its columns are those of the fields, several for each: count,
//! sum, least, greatest, first and last value, and when the last four were. So every answer of `count`, `sum`, `mean`, `min`,
//! `max`, `first`, `last` and `spread`, with its time, can be had from rows as from points. Rows are packed in blocks as points
//! are, in a table of their own.
//!
//! A column that a reader can work out from others is left out of its block (see [`columns`]): of a value that hardly
//! ever changes next to nothing is stored.

pub(crate) mod columns;
mod fold;
mod read;

use rusqlite::{Connection, params};

pub(crate) use columns::{Aspects, Fields, Spot, Summary};
pub(crate) use fold::{Folder, Rollup};
pub(crate) use read::{Parts, Segment, Source};

use super::kept::{Kept, Rolled};
use crate::codec::block;
use crate::keeping::{Step, Tier, floor};
use crate::limits::SEAL_ROWS;

/// Whether a stream has any roll-ups.
pub(super) fn any(connection: &Connection, stream: u32) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM rolled WHERE stream = ?1)";
    connection.prepare_cached(sql)?.query_row([stream], |row| row.get(0))
}

/// How many rows all roll-ups have.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let rows: i64 = connection.query_row("SELECT coalesce(sum(rows), 0) FROM rolled", [], |row| row.get(0))?;
    Ok(rows as u64)
}

/// Makes the tiers of a stream those that its rule has now. A new one is made from what points are left.
pub(super) fn settle_tiers(
    connection: &Connection,
    stream: u32,
    bounds: &mut Kept,
    wanted: &[Tier],
) -> rusqlite::Result<()> {
    for tier in &bounds.tiers {
        if wanted.iter().all(|own| own.step != tier.step) {
            connection
                .execute("DELETE FROM rolled WHERE stream = ?1 AND step = ?2", params![stream, tier.step.ns()])?;
        }
    }
    bounds.tiers.retain(|tier| wanted.iter().any(|own| own.step == tier.step));
    for tier in &mut bounds.tiers {
        tier.timed &= wanted.iter().all(|own| own.step != tier.step || own.timed);
    }
    for own in wanted {
        if bounds.tiers.iter().all(|tier| tier.step != own.step) {
            bounds.tiers.push(Rolled { step: own.step, from: bounds.raw_from, timed: own.timed });
            bounds.rolled_to = bounds.raw_from;
        }
    }
    bounds.tiers.sort_by_key(|tier| tier.step);
    Ok(())
}

/// Puts rows in the place of those from a time on.
pub(super) fn write(
    connection: &Connection,
    stream: u32,
    step: Step,
    from: i64,
    rows: &Rollup,
) -> rusqlite::Result<()> {
    // The last block before as well, if it has room: each day would else have one of its own.
    let sql =
        "SELECT id, data FROM rolled WHERE stream = ?1 AND step = ?2 AND (max_time >= ?3 OR (rows < ?4 AND max_time =
                   (SELECT max(max_time) FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time < ?3)))";
    let mut select = connection.prepare_cached(sql)?;
    let old = select.query_map(params![stream, step.ns(), from, SEAL_ROWS as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let old: Vec<(i64, Vec<u8>)> = old.collect::<Result<_, _>>()?;
    let mut all = Rollup::default();
    for (id, data) in old {
        match block::decode(&data, |_| true) {
            Ok(chunk) => all.extend(Rollup::unpack(&chunk), |time| time < from),
            Err(error) => tracing::error!(block = id, %error, "roll-ups are corrupt and were dropped"),
        }
        connection.prepare_cached("DELETE FROM rolled WHERE id = ?1")?.execute([id])?;
    }
    all.extend(rows.clone(), |_| true);
    insert(connection, stream, step, all)
}

fn insert(connection: &Connection, stream: u32, step: Step, all: Rollup) -> rusqlite::Result<()> {
    let sql = "INSERT INTO rolled (stream, step, min_time, max_time, rows, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = connection.prepare_cached(sql)?;
    for part in all.parts(SEAL_ROWS) {
        let (Some(min), Some(max)) = (part.times.first(), part.times.last()) else { continue };
        let packed = block::encode(&part).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        insert.execute(params![stream, step.ns(), min, max, part.times.len() as i64, packed])?;
    }
    Ok(())
}

/// Takes away every bucket that has a part between `from` and `to`, both included: the points of the rest may be gone.
pub(super) fn remove(connection: &Connection, stream: u32, from: i64, to: i64) -> rusqlite::Result<()> {
    if !any(connection, stream)? {
        return Ok(());
    }
    for step in Step::ALL {
        take_out(connection, stream, step, floor(from, step.ns()), to)?;
    }
    Ok(())
}

/// Takes the buckets that begin between `from` and `to` out.
fn take_out(connection: &Connection, stream: u32, step: Step, from: i64, to: i64) -> rusqlite::Result<()> {
    let sql = "SELECT id, data FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time >= ?3 AND min_time <= ?4";
    let mut select = connection.prepare_cached(sql)?;
    let touched = select.query_map(params![stream, step.ns(), from, to], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let touched: Vec<(i64, Vec<u8>)> = touched.collect::<Result<_, _>>()?;
    for (id, data) in touched {
        connection.prepare_cached("DELETE FROM rolled WHERE id = ?1")?.execute([id])?;
        let Ok(chunk) = block::decode(&data, |_| true) else { continue };
        let mut left = Rollup::default();
        left.extend(Rollup::unpack(&chunk), |time| !(from..=to).contains(&time));
        insert(connection, stream, step, left)?;
    }
    Ok(())
}

/// Takes away what is before a tier's beginning. Returns how many rows went with whole blocks.
pub(super) fn cut(connection: &Connection, stream: u32, tier: Rolled, edge: i64) -> rusqlite::Result<u64> {
    let (step, before) = (tier.step.ns(), tier.from);
    let sql = "SELECT coalesce(sum(rows), 0) FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time < ?3";
    let rows: i64 = connection.prepare_cached(sql)?.query_row(params![stream, step, before], |row| row.get(0))?;
    if rows > 0 {
        let sql = "DELETE FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time < ?3";
        connection.prepare_cached(sql)?.execute(params![stream, step, before])?;
    }
    let sql = "SELECT count(*) FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time >= ?3 AND min_time < ?4";
    let edge = before.saturating_sub(edge);
    let edges: i64 =
        connection.prepare_cached(sql)?.query_row(params![stream, step, before, edge], |row| row.get(0))?;
    if edges > 0 {
        take_out(connection, stream, tier.step, i64::MIN, before.saturating_sub(1))?;
    }
    Ok(rows as u64)
}
