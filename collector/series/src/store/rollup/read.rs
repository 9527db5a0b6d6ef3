//! Reads points and roll-ups of one stream together.

use rusqlite::{Connection, params};

use super::columns::Aspects;
use crate::chunk::Chunk;
use crate::codec::block;
use crate::keeping::Step;
use crate::store::kept::Kept;
use crate::store::unpacked;
use crate::store::{Flow, Scan, Store, StoreError, Weight};

/// How often a read begins anew because the bounds moved just then. They move a few times an hour.
const TRIES: usize = 8;

/// Where a part of a range is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Points,
    Rolled(Step),
}

/// A part of a range. Both ends are included; of roll-ups they are starts of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) source: Source,
}

/// What to read of one stream.
pub(crate) struct Parts<'a> {
    pub(crate) stream: u32,
    pub(crate) fields: &'a [u32],
    /// What is wanted of roll-ups.
    pub(crate) aspects: Aspects,
    /// Newest segment first.
    pub(crate) descending: bool,
}

impl Store {
    /// The bounds of a stream.
    pub(crate) fn kept(&self, stream: u32) -> Kept {
        let memory = self.memory();
        memory.catalog.streams.get(stream as usize).map(|stream| stream.kept.clone()).unwrap_or_default()
    }

    /// Calls `each` with rows of points or of roll-ups, segment by segment. `split` chooses the segments by the stream's bounds.
    pub(crate) fn scan_parts(
        &self,
        parts: &Parts<'_>,
        mut split: impl FnMut(&Kept) -> Vec<Segment>,
        mut each: impl FnMut(Source, &Chunk) -> Flow,
    ) -> Result<(), StoreError> {
        for attempt in 1..=TRIES {
            let (kept, segments, head) = {
                let memory = self.memory();
                let Some(stream) = memory.catalog.streams.get(parts.stream as usize) else { return Ok(()) };
                let segments = split(&stream.kept);
                let points = segments.iter().filter(|segment| segment.source == Source::Points);
                let span = points.map(|part| (part.from, part.to)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                let wanted = |field| parts.fields.contains(&field);
                let head = span.map_or_else(Chunk::default, |(from, to)| stream.head.between(from, to, wanted));
                (stream.kept.clone(), segments, head)
            };
            let done = self.readers.with(|connection| {
                // The first read is what the transaction sees; bounds that are the same after it fit what it sees.
                let cuts = unpacked::cuts(connection)?;
                if attempt < TRIES && self.kept(parts.stream) != kept {
                    return Ok(false);
                }
                self.read_segments(connection, cuts, parts, segments, &head, &mut each)?;
                Ok(true)
            })?;
            if done {
                break;
            }
        }
        Ok(())
    }

    fn read_segments(
        &self,
        connection: &Connection,
        cuts: i64,
        parts: &Parts<'_>,
        mut segments: Vec<Segment>,
        head: &Chunk,
        each: &mut impl FnMut(Source, &Chunk) -> Flow,
    ) -> rusqlite::Result<()> {
        if parts.descending {
            segments.reverse();
        }
        let mut flow = Flow::More;
        for Segment { from, to, source } in segments {
            match source {
                Source::Points => {
                    let (stream, fields, descending) = (parts.stream, parts.fields, parts.descending);
                    let scan = Scan { stream, from, to, fields, descending };
                    let mut one = |chunk: &Chunk| {
                        flow = each(source, chunk);
                        flow
                    };
                    self.scan_blocks(connection, cuts, &scan, head.clone(), &mut one)?;
                }
                Source::Rolled(step) => self.read_rolled(connection, parts, (from, to), step, &mut |chunk| {
                    flow = each(source, chunk);
                    flow
                })?,
            }
            if flow == Flow::Enough {
                break;
            }
        }
        Ok(())
    }

    fn read_rolled(
        &self,
        connection: &Connection,
        parts: &Parts<'_>,
        (from, to): (i64, i64),
        step: Step,
        each: &mut impl FnMut(&Chunk) -> Flow,
    ) -> rusqlite::Result<()> {
        let mut select = connection.prepare_cached(
            "SELECT id, data FROM rolled WHERE stream = ?1 AND step = ?2 AND max_time >= ?3 AND min_time <= ?4
             ORDER BY max_time",
        )?;
        let mut rows = select.query(params![parts.stream, step.ns(), from, to])?;
        while let Some(row) = rows.next()? {
            let data = row.get_ref(1)?.as_blob()?;
            let chunk = match block::decode(data, |column| parts.aspects.want(column, parts.fields)) {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.lost_block(-row.get::<_, i64>(0)?, parts.stream, &error);
                    continue;
                }
            };
            let first = chunk.times.partition_point(|time| *time < from) as u32;
            let last = chunk.times.partition_point(|time| *time <= to) as u32;
            let order: Vec<u32> = (first..last).collect();
            let whole = order.len() == chunk.times.len();
            if !order.is_empty() && each(&if whole { chunk } else { chunk.select(&order, |_| true) }) == Flow::Enough {
                break;
            }
        }
        Ok(())
    }

    /// How much reading roll-ups would take.
    pub(crate) fn weigh_rolled(&self, stream: u32, step: Step, from: i64, to: i64) -> Result<Weight, StoreError> {
        let (blocks, bytes) = self.readers.with(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT count(*), coalesce(sum(length(data)), 0) FROM rolled
                 WHERE stream = ?1 AND step = ?2 AND max_time >= ?3 AND min_time <= ?4",
            )?;
            select.query_row(params![stream, step.ns(), from, to], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
        })?;
        Ok(Weight { head_rows: 0, blocks: blocks as u64, bytes: bytes as u64 })
    }
}
