//! Points into buckets, and rows of buckets into blocks.

use std::collections::BTreeMap;

use super::columns::{self, Fields, Summary};
use crate::chunk::Chunk;
use crate::keeping::{Step, floor};

/// Rows of one tier of one stream, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rollup {
    /// The starts of the buckets.
    times: Vec<i64>,
    /// By field; may be shorter than the times.
    fields: BTreeMap<u32, Vec<Option<Summary>>>,
}

impl Rollup {
    pub(super) fn unpack(chunk: &Chunk) -> Self {
        let fields = Fields::ids(chunk).filter_map(|id| {
            let field = Fields::of(chunk, id)?;
            Some((id, (0..chunk.times.len()).map(|row| field.at(row)).collect()))
        });
        Self { times: chunk.times.clone(), fields: fields.collect() }
    }

    /// Appends those rows of another, which is later, that `wanted` says yes to.
    pub(super) fn extend(&mut self, other: Self, wanted: impl Fn(i64) -> bool) {
        let Self { times, mut fields } = other;
        for (row, time) in times.into_iter().enumerate().filter(|(_, time)| wanted(*time)) {
            let values = fields.iter_mut().filter_map(|(id, rows)| Some((*id, rows.get_mut(row)?.take()?)));
            self.push(time, values);
        }
    }

    fn push(&mut self, time: i64, values: impl Iterator<Item = (u32, Summary)>) {
        let row = self.times.len();
        let mut any = false;
        for (id, summary) in values {
            let rows = self.fields.entry(id).or_default();
            rows.resize(row, None);
            rows.push(Some(summary));
            any = true;
        }
        if any {
            self.times.push(time);
        }
    }

    /// Blocks of so many rows.
    pub(super) fn parts(&self, most: usize) -> impl Iterator<Item = Chunk> {
        (0..self.times.len()).step_by(most).map(move |from| {
            let to = self.times.len().min(from + most);
            let times = self.times[from..to].to_vec();
            let columns = self.fields.iter().flat_map(|(id, rows)| {
                let rows = rows.get(from..to.min(rows.len())).unwrap_or_default();
                columns::pack(*id, &times, rows)
            });
            Chunk { columns: columns.collect(), times }
        })
    }
}

/// Takes points in order of time.
pub(crate) struct Folder {
    pub(crate) step: Step,
    timed: bool,
    done: Rollup,
    /// The bucket that is being filled.
    start: i64,
    pending: BTreeMap<u32, Summary>,
}

impl Folder {
    pub(crate) fn new(step: Step, timed: bool) -> Self {
        Self { step, timed, done: Rollup::default(), start: i64::MIN, pending: BTreeMap::new() }
    }

    pub(crate) fn feed(&mut self, piece: &Chunk) {
        let every = self.step.ns();
        let mut from = 0;
        while from < piece.times.len() {
            let start = floor(piece.times[from], every);
            let to = from + piece.times[from..].partition_point(|time| time - start < every).max(1);
            if start != self.start {
                self.flush();
                self.start = start;
            }
            for column in &piece.columns {
                let mut values = (from..to).filter_map(|row| Some((piece.times[row], column.get(row)?)));
                let summary = match self.pending.get_mut(&column.field) {
                    Some(known) => known,
                    None => {
                        let Some((time, value)) = values.next() else { continue };
                        self.pending.entry(column.field).or_insert(Summary::of(time, value))
                    }
                };
                values.for_each(|(time, value)| summary.add(time, value));
            }
            from = to;
        }
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let (start, timed) = (self.start, self.timed);
        let finish = |summary: Summary| if timed { summary.finish() } else { summary.finish().without_times(start) };
        self.done.push(start, pending.into_iter().map(|(id, summary)| (id, finish(summary))));
    }

    pub(crate) fn finish(mut self) -> Rollup {
        self.flush();
        self.done
    }
}
