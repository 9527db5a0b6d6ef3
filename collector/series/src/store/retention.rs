//! What grows too old goes, and is rolled up before; what is left is packed tighter.
//!
//! A *round* is made every hour, by a clock of its own that does not believe leaps (see [`crate::keeping`]). It first
//! rolls up every day that has ended, then takes away what is older than its rule or policy says, then rewrites small blocks. It goes over the streams in
//! slices, each one transaction, so that points are not held up. Nothing of it is in the journal: a crash leaves slices done or
//! undone, and the next round does what is left. Rows come back by a replay, perhaps, but no query shows them: the bounds of a
//! stream and the duration of a policy are looked at by everyone who reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};

use super::disk::{Writer, at};
use super::kept::Kept;
use super::remove::{cut_blocks, range_of};
use super::{Flow, Memory, Removal, Scan, Store, StoreError, kept, lock, rollup};
use crate::keeping::{self, DAY, Keep, ROUND_EVERY, Tier, floor, horizon};

/// A day is rolled up this long after its end: what agents bring in late by then is in without rolling up twice.
const SETTLED: i64 = 3_600_000_000_000;
/// Days that are rolled up at once: what they become is held in memory.
const ROLL_DAYS: i64 = 8;
/// Streams that one slice works on. Each takes about a millisecond.
const SLICE_STREAMS: usize = 64;
/// Streams that one slice looks at: those without work cost next to nothing.
const SLICE_LOOKS: usize = 20_000;
/// Rows that one slice may roll up before it ends.
const SLICE_ROWS: u64 = 100_000;
/// A block of which more than this is too old is rewritten; before, its rows are only hidden. Most blocks then go whole.
const EDGE: i64 = DAY;
/// As [`EDGE`], for the blocks of roll-ups, which span months.
const ROLLED_EDGE: i64 = 32 * DAY;
/// Nothing is older: 2020-01-01. A stray point of 1970 must not be where the retention's clock begins.
const FIRST: i64 = 1_577_836_800_000_000_000;
/// The key of the retention's clock in the table `meta`.
const CLOCK: &str = "kept_time";

/// What maintenance remembers of its rounds.
#[derive(Default)]
pub(super) struct Keeper {
    /// When the last round began, in the clock of whoever calls.
    last: Option<i64>,
    round: Option<Round>,
}

/// A round that is under way.
struct Round {
    tick: i64,
    phase: Phase,
    /// The next stream.
    next: u32,
    /// Database and duration of every policy.
    policies: HashMap<u32, (Arc<str>, i64)>,
    /// Streams of which nothing is left.
    empty: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Days that have ended become roll-ups.
    Roll,
    /// What is too old goes.
    Cut,
    /// Blocks that have become small or overlap are rewritten.
    Compact,
}

/// What one stream may keep.
struct Due {
    keep: Option<Keep>,
    /// Of a policy; 0 is for ever.
    duration: i64,
    kept: Kept,
    /// The oldest and the newest time of its points.
    span: Option<(i64, i64)>,
    /// The oldest time of its blocks.
    sealed_from: Option<i64>,
}

impl Store {
    /// Does what is due: a checkpoint ([`CHECKPOINT_EVERY`](crate::CHECKPOINT_EVERY), [`CHECKPOINT_VALUES`](crate::CHECKPOINT_VALUES)
    /// or a head limit that comes near), and a slice of retention's round. `now` is in nanoseconds since 1970. Returns the new
    /// position if there was a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be written; the next call tries again.
    pub fn maintain(&self, now: i64) -> Result<Option<u64>, StoreError> {
        let position = self.checkpoint_if_due(now)?;
        let mut keeper = lock(&self.keeper);
        let last = *keeper.last.get_or_insert(now);
        if keeper.round.is_none() && now.abs_diff(last) >= ROUND_EVERY as u64 {
            keeper.last = Some(now);
            keeper.round = self.begin_round(now)?;
        }
        if let Some(round) = &mut keeper.round
            && self.slice(round)?
        {
            keeper.round = None;
        }
        Ok(position)
    }

    /// Makes a whole round of retention at once.
    ///
    /// # Errors
    /// As [`maintain`](Self::maintain).
    pub fn keep(&self, now: i64) -> Result<(), StoreError> {
        let mut keeper = lock(&self.keeper);
        keeper.last = Some(now);
        keeper.round = None;
        let Some(mut round) = self.begin_round(now)? else { return Ok(()) };
        while !self.slice(&mut round)? {}
        Ok(())
    }

    /// `None` if there is nothing stored.
    fn begin_round(&self, now: i64) -> Result<Option<Round>, StoreError> {
        let before = {
            let writer = lock(&self.writer);
            let known = writer.connection.query_row("SELECT value FROM meta WHERE key = ?1", [CLOCK], |row| row.get(0));
            known.optional().map_err(at("read the retention's clock"))?
        };
        let memory = self.memory();
        let spans = memory.catalog.streams.iter().filter_map(span);
        let whole = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((oldest, newest)) = whole else { return Ok(None) };
        let tick = keeping::tick(before, now, oldest.max(FIRST), newest);
        let databases = memory.catalog.databases.iter();
        let policies = databases.flat_map(|(name, database)| {
            database.policies.values().map(|policy| (policy.id, (name.clone(), policy.duration)))
        });
        let policies = policies.collect();
        Ok(Some(Round { tick, phase: Phase::Roll, next: 0, policies, empty: Vec::new() }))
    }

    /// Goes on with a round. True at its end.
    fn slice(&self, round: &mut Round) -> Result<bool, StoreError> {
        if round.phase == Phase::Compact {
            let done = self.compact_slice(round.next)?;
            round.next = done.as_ref().map_or(round.next, |slice| slice.next);
            return Ok(done.is_none());
        }
        // No point may come between the look at a stream's bounds and their change.
        let mut writer = lock(&self.writer);
        let due = self.collect(round);
        if round.phase == Phase::Roll {
            self.roll(&mut writer, round, &due)?;
        } else {
            self.cut(&mut writer, round, &due)?;
        }
        if (round.next as usize) < self.memory().catalog.streams.len() {
            return Ok(false);
        }
        round.next = 0;
        if round.phase == Phase::Roll {
            round.phase = Phase::Cut;
            return Ok(false);
        }
        let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
        writer.connection.execute(sql, params![CLOCK, round.tick]).map_err(at("write the retention's clock"))?;
        drop(writer);
        if !round.empty.is_empty() {
            // Nothing is at this time: only what has nothing left is forgotten, together with a checkpoint.
            let streams = std::mem::take(&mut round.empty);
            self.remove(0, &Removal { streams, from: i64::MIN, to: i64::MIN, ..Removal::default() })?;
        }
        round.phase = Phase::Compact;
        Ok(false)
    }

    /// The next streams that have work.
    fn collect(&self, round: &mut Round) -> Vec<(u32, Due)> {
        let memory = self.memory();
        let mut found = Vec::new();
        let total = memory.catalog.streams.len() as u32;
        let until = total.min(round.next.saturating_add(SLICE_LOOKS as u32));
        while round.next < until && found.len() < SLICE_STREAMS {
            let id = round.next;
            round.next += 1;
            if let Some(due) = self.due(&memory, round, id)
                && due.has_work(round)
            {
                found.push((id, due));
            }
        }
        found
    }

    fn due(&self, memory: &Memory, round: &Round, id: u32) -> Option<Due> {
        let stream = &memory.catalog.streams[id as usize];
        let measurement = memory.catalog.measurements.get(stream.measurement as usize).filter(|_| !stream.gone)?;
        let (database, duration) = round.policies.get(&measurement.policy)?;
        let rule = self.options.keeping.iter().find(|rule| {
            let tags = stream.tags.iter().map(|(key, value)| (&**key, &**value));
            *rule.database == **database && rule.fits(&measurement.name, tags)
        });
        let keep = rule.filter(|_| *duration == 0).map(|rule| rule.keep.clone());
        let sealed_from = stream.sealed.map(|(from, _)| from);
        Some(Due { keep, duration: *duration, kept: stream.kept.clone(), span: span(stream), sealed_from })
    }

    /// Rolls up streams; those that the slice has no time for come with the next one.
    fn roll(&self, writer: &mut Writer, round: &mut Round, due: &[(u32, Due)]) -> Result<(), StoreError> {
        if due.is_empty() {
            return Ok(());
        }
        let step = at("write roll-ups");
        let transaction = writer.connection.transaction().map_err(&step)?;
        let (mut rows, mut after) = (0, Vec::new());
        for (id, due) in due {
            let Some(keep) = &due.keep else { continue };
            let mut bounds = due.kept.clone();
            rollup::settle_tiers(&transaction, *id, &mut bounds, &keep.tiers).map_err(&step)?;
            if bounds != due.kept {
                self.memory_mut().catalog.streams[*id as usize].kept = bounds.clone();
            }
            let wanted = floor(round.tick.saturating_sub(SETTLED), DAY);
            while rows <= SLICE_ROWS
                && let Some((from, to)) = next_days(&bounds, due.span, wanted)
            {
                rows += self.roll_days(&transaction, *id, &bounds, from, to)?;
                bounds.rolled_to = to;
            }
            kept::save_one(&transaction, *id, &bounds).map_err(&step)?;
            after.push((*id, bounds));
            if rows > SLICE_ROWS {
                // This one may have more; it is looked at again.
                round.next = *id;
                break;
            }
        }
        transaction.commit().map_err(&step)?;
        let mut memory = self.memory_mut();
        for (id, bounds) in after {
            memory.catalog.streams[id as usize].kept = bounds;
            memory.catalog.kept_changed.remove(&id);
        }
        Ok(())
    }

    fn roll_days(
        &self,
        connection: &Connection,
        stream: u32,
        bounds: &Kept,
        from: i64,
        to: i64,
    ) -> Result<u64, StoreError> {
        let fields = self.fields_of(stream);
        let mut folders: Vec<_> = bounds.tiers.iter().map(|tier| rollup::Folder::new(tier.step, tier.timed)).collect();
        let mut rows = 0;
        let scan = Scan { stream, from, to: to - 1, fields: &fields, descending: false };
        self.scan(&scan, |piece| {
            rows += piece.times.len() as u64;
            folders.iter_mut().for_each(|folder| folder.feed(piece));
            Flow::More
        })?;
        for folder in folders {
            let step = folder.step;
            rollup::write(connection, stream, step, from, &folder.finish()).map_err(at("write roll-ups"))?;
        }
        Ok(rows)
    }

    fn fields_of(&self, stream: u32) -> Vec<u32> {
        let memory = self.memory();
        let measurement = memory.catalog.streams[stream as usize].measurement;
        memory.catalog.measurements[measurement as usize].fields.values().copied().collect()
    }

    /// Takes away what is too old. The bounds move first: who reads them now finds roll-ups for what goes.
    fn cut(&self, writer: &mut Writer, round: &mut Round, due: &[(u32, Due)]) -> Result<(), StoreError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut plans = Vec::new();
        for (id, due) in due {
            let mut bounds = due.kept.clone();
            let raw = self.move_bounds(*id, due, round.tick, &mut bounds)?;
            self.memory_mut().catalog.streams[*id as usize].kept = bounds.clone();
            plans.push((*id, bounds, raw, due.keep.is_some()));
        }
        let step = at("take away what is too old");
        let transaction = writer.connection.transaction().map_err(&step)?;
        let (mut removed, mut after) = (0, Vec::new());
        for (id, bounds, raw, ruled) in plans {
            removed += cut_before(&transaction, id, raw).map_err(&step)?;
            for tier in &bounds.tiers {
                removed += rollup::cut(&transaction, id, *tier, ROLLED_EDGE).map_err(&step)?;
            }
            if ruled {
                kept::save_one(&transaction, id, &bounds).map_err(&step)?;
            }
            let left = range_of(&transaction, id).map_err(&step)?;
            let empty = left.is_none() && !rollup::any(&transaction, id).map_err(&step)?;
            after.push((id, left, empty));
        }
        transaction.commit().map_err(&step)?;
        self.removed_rows.fetch_add(removed, Ordering::Relaxed);
        let mut memory = self.memory_mut();
        for (id, left, empty) in after {
            let stream = &mut memory.catalog.streams[id as usize];
            stream.sealed = left;
            if empty && stream.head.is_empty() {
                round.empty.push(id);
            }
        }
        Ok(())
    }

    /// How far the bounds of a stream move. Returns where its points begin from now on.
    fn move_bounds(&self, id: u32, due: &Due, tick: i64, bounds: &mut Kept) -> Result<i64, StoreError> {
        let Some(keep) = &due.keep else {
            return Ok(if due.duration == 0 { i64::MIN } else { tick.saturating_sub(due.duration) });
        };
        for tier in &mut bounds.tiers {
            let own = keep.tiers.iter().find(|own| own.step == tier.step);
            tier.from = tier.from.max(own.map_or(i64::MIN, |own| horizon(tick, own.keep)));
        }
        let mut to = due.raw_to(keep, tick);
        if keep.newest {
            to = to.min(floor(self.newest_of_all(id)?, DAY));
        }
        if due.span.is_some_and(|(oldest, _)| oldest < to) {
            bounds.raw_from = bounds.raw_from.max(to);
        }
        Ok(bounds.raw_from)
    }

    /// The oldest among the newest values of the fields.
    fn newest_of_all(&self, stream: u32) -> Result<i64, StoreError> {
        let fields = self.fields_of(stream);
        let mut newest: HashMap<u32, i64> = HashMap::new();
        let scan = Scan { stream, from: i64::MIN, to: i64::MAX, fields: &fields, descending: true };
        self.scan(&scan, |piece| {
            for column in &piece.columns {
                let there = (0..piece.times.len()).rev().find(|row| column.has(*row));
                if let Some(row) = there {
                    newest.entry(column.field).or_insert(piece.times[row]);
                }
            }
            if newest.len() == fields.len() { Flow::Enough } else { Flow::More }
        })?;
        Ok(newest.into_values().min().unwrap_or(i64::MAX))
    }
}

impl Due {
    /// Where points begin when everything that is too old and rolled up is gone.
    fn raw_to(&self, keep: &Keep, tick: i64) -> i64 {
        let to = horizon(tick, keep.raw);
        if keep.tiers.is_empty() { to } else { to.min(self.kept.rolled_to) }
    }

    fn has_work(&self, round: &Round) -> bool {
        let older = |than: i64| self.sealed_from.is_some_and(|from| from < than);
        match (&self.keep, round.phase) {
            (None, Phase::Roll) | (_, Phase::Compact) => false,
            (None, Phase::Cut) => self.duration != 0 && older(round.tick.saturating_sub(self.duration)),
            (Some(keep), Phase::Roll) => {
                let tiers = &self.kept.tiers;
                let same = keep.tiers.len() == tiers.len()
                    && keep.tiers.iter().all(|own| tiers.iter().any(|tier| tier.step == own.step));
                let wanted = floor(round.tick.saturating_sub(SETTLED), DAY);
                !same || (!keep.tiers.is_empty() && next_days(&self.kept, self.span, wanted).is_some())
            }
            (Some(keep), Phase::Cut) => {
                let old = |own: &Tier| {
                    let tier = self.kept.tiers.iter().find(|tier| tier.step == own.step);
                    // As long as every point is there, nothing older was rolled up.
                    self.kept.raw_from != i64::MIN && tier.is_some_and(|tier| tier.from < horizon(round.tick, own.keep))
                };
                let to = self.raw_to(keep, round.tick);
                let hidden = self.kept.raw_from >= to || self.span.is_none_or(|(oldest, _)| oldest >= to);
                // Nearly always some block has both what goes and what stays; it waits until it is worth rewriting.
                !hidden || older(to.saturating_sub(EDGE)) || keep.tiers.iter().any(old)
            }
        }
    }
}

/// The oldest and the newest time of a stream's points.
fn span(stream: &super::catalog::Stream) -> Option<(i64, i64)> {
    match (stream.sealed, stream.head.span()) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// The days that are to be rolled up next, if any.
fn next_days(bounds: &Kept, span: Option<(i64, i64)>, wanted: i64) -> Option<(i64, i64)> {
    let (oldest, newest) = span?;
    let from = bounds.rolled_to.max(bounds.raw_from).max(floor(oldest, DAY));
    let to = wanted.min(from.saturating_add(ROLL_DAYS * DAY));
    (from < to && newest >= from).then_some((from, to))
}

/// Takes the points before a time out of the blocks of a stream. Returns how many there were.
fn cut_before(connection: &Connection, stream: u32, before: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(sum(rows), 0) FROM block WHERE stream = ?1 AND max_time < ?2";
    let rows: i64 = connection.prepare_cached(sql)?.query_row(params![stream, before], |row| row.get(0))?;
    if rows > 0 {
        let sql = "DELETE FROM block WHERE stream = ?1 AND max_time < ?2";
        connection.prepare_cached(sql)?.execute(params![stream, before])?;
    }
    let sql = "SELECT count(*) FROM block WHERE stream = ?1 AND max_time >= ?2 AND min_time < ?3";
    let edge = before.saturating_sub(EDGE);
    let edges: i64 = connection.prepare_cached(sql)?.query_row(params![stream, before, edge], |row| row.get(0))?;
    let mut removed = rows as u64;
    if edges > 0 {
        removed += cut_blocks(connection, stream, i64::MIN, before.saturating_sub(1))?;
    }
    Ok(removed)
}
