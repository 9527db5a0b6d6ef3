//! Which times of a stream are there as single points, and which as roll-ups.
//!
//! All bounds are whole days in UTC, so that no roll-up's bucket lies on both sides of one. A bound moves in memory *before* the
//! transaction that takes rows away, and *after* the one that adds some: whoever finds the same bounds before and after a
//! read transaction began has read rows that fit them.

use rusqlite::{Connection, params};

use super::catalog::Catalog;
use crate::keeping::{DAY, Step, floor};

/// The bounds of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Single points are there from here on; an older one is refused, because its roll-ups can't be made anew.
    pub(crate) raw_from: i64,
    /// Every tier has every point before this. A late point takes it back to its own day.
    pub(crate) rolled_to: i64,
    /// The tiers, the shortest step first.
    pub(crate) tiers: Vec<Rolled>,
}

/// One tier of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rolled {
    pub(crate) step: Step,
    /// Where it begins.
    pub(crate) from: i64,
    /// Whether times inside its buckets are kept.
    pub(crate) timed: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self { raw_from: i64::MIN, rolled_to: i64::MIN, tiers: Vec::new() }
    }
}

impl Catalog {
    /// Whether a point of this time may still be written; if it is one that was rolled up, its day will be rolled up anew.
    pub(crate) fn admit(&mut self, stream: u32, time: i64) -> bool {
        let kept = &self.streams[stream as usize].kept;
        if time < kept.raw_from {
            return false;
        }
        if time < kept.rolled_to {
            self.unroll(stream, time);
        }
        true
    }

    /// What was rolled up from this time on is to be made anew.
    pub(crate) fn unroll(&mut self, stream: u32, time: i64) {
        let kept = &mut self.streams[stream as usize].kept;
        let to = floor(time, DAY).max(kept.raw_from);
        if to < kept.rolled_to {
            kept.rolled_to = to;
            self.kept_changed.insert(stream);
        }
    }
}

/// The step under which the bounds of single points stand in the table.
const RAW: i64 = 0;

/// Writes the bounds that have changed.
pub(super) fn save(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    for id in &catalog.kept_changed {
        if let Some(stream) = catalog.streams.get(*id as usize).filter(|stream| !stream.gone) {
            save_one(connection, *id, &stream.kept)?;
        }
    }
    Ok(())
}

pub(super) fn save_one(connection: &Connection, stream: u32, kept: &Kept) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM kept WHERE stream = ?1")?.execute([stream])?;
    let mut insert = connection.prepare_cached("INSERT INTO kept VALUES (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute(params![stream, RAW, kept.raw_from, kept.rolled_to, true])?;
    for tier in &kept.tiers {
        insert.execute(params![stream, tier.step.ns(), tier.from, kept.rolled_to, tier.timed])?;
    }
    Ok(())
}

pub(super) fn load(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare("SELECT stream, step, from_time, to_time, timed FROM kept ORDER BY stream, step")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let Some(stream) = catalog.streams.get_mut(row.get::<_, u32>(0)? as usize) else { continue };
        let from = row.get(2)?;
        match Step::from_ns(row.get(1)?) {
            None => (stream.kept.raw_from, stream.kept.rolled_to) = (from, row.get(3)?),
            Some(step) => stream.kept.tiers.push(Rolled { step, from, timed: row.get(4)? }),
        }
    }
    Ok(())
}

/// Forgets the bounds and roll-ups of a stream.
pub(super) fn forget(connection: &Connection, stream: u32) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM kept WHERE stream = ?1", [stream])?;
    connection.execute("DELETE FROM rolled WHERE stream = ?1", [stream])?;
    Ok(())
}
