//! The newest rows of one stream, as they came.

use std::borrow::Cow;

use crate::chunk::{Chunk, Values};
use crate::point::FieldValue;

/// Rows that are not in a block yet. In order of arrival; sorted when someone asks.
#[derive(Default)]
pub(crate) struct Head {
    rows: Chunk,
    /// False once a row came that is older than its predecessor.
    sorted: bool,
    /// Cells when they were last told.
    cells: usize,
    /// Cells now, as far as values were put behind those of their column.
    counted: usize,
    /// Other values came: columns were made, or have got holes.
    miscounted: bool,
    /// When the head was first seen with rows by the maintenance, in its clock.
    pub(crate) since: Option<i64>,
}

impl Head {
    /// A head with rows that are already sorted.
    pub(crate) fn from_sorted(rows: Chunk) -> Self {
        let cells = rows.cells();
        Self { cells, counted: cells, miscounted: false, rows, sorted: true, since: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.times.is_empty()
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.times.len()
    }

    /// The oldest and the newest time.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let times = &self.rows.times;
        if self.sorted {
            return Some((*times.first()?, *times.last()?));
        }
        Some((times.iter().copied().min()?, times.iter().copied().max()?))
    }

    /// Cells as the limits count them.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// The row for a point at `time`: the last one if it has the same time, else a new one.
    pub(crate) fn row_for(&mut self, time: i64) -> usize {
        match self.rows.times.last() {
            Some(last) if *last == time => return self.rows.times.len() - 1,
            Some(last) => self.sorted &= *last < time,
            None => self.sorted = true,
        }
        self.rows.times.push(time);
        self.rows.times.len() - 1
    }

    /// The field that column `hint` holds.
    pub(crate) fn field_at(&self, hint: usize) -> Option<u32> {
        self.rows.columns.get(hint).map(|column| column.field)
    }

    pub(crate) fn put(&mut self, hint: usize, row: usize, field: u32, value: &FieldValue) {
        match self.rows.columns.get_mut(hint) {
            Some(column) if column.field == field && column.values.len() == row => {
                self.counted += usize::from(column.put(row, value));
            }
            _ => {
                self.rows.put_at(hint, row, field, value);
                self.miscounted = true;
            }
        }
    }

    /// Puts a number, given as bits, behind the others of a column without holes; false if it is not as simple as that.
    pub(crate) fn push(&mut self, hint: usize, row: usize, field: u32, bits: u64) -> bool {
        let Some(column) = self.rows.columns.get_mut(hint) else { return false };
        if column.field != field || column.present.is_some() || column.values.len() != row {
            return false;
        }
        match &mut column.values {
            Values::Float(values) => values.push(f64::from_bits(bits)),
            Values::Integer(values) => values.push(bits as i64),
            Values::Unsigned(values) => values.push(bits),
            Values::Boolean(values) => values.push(bits != 0),
            Values::Text(_) => return false,
        }
        self.counted += 1;
        true
    }

    /// To be called after the fields of a row were put. Returns how many cells the head has grown by.
    pub(crate) fn settle(&mut self) -> usize {
        if std::mem::take(&mut self.miscounted) {
            self.counted = self.rows.cells();
        }
        debug_assert_eq!(self.counted, self.rows.cells(), "every way to put a value counts it");
        let grown = self.counted - self.cells;
        self.cells = self.counted;
        grown
    }

    /// The rows between `from` and `to`, both included, sorted, each time once; only the wanted fields.
    pub(crate) fn between(&self, from: i64, to: i64, wanted: impl Fn(u32) -> bool) -> Chunk {
        let times = &self.rows.times;
        if self.sorted {
            let first = times.partition_point(|time| *time < from) as u32;
            let last = times.partition_point(|time| *time <= to) as u32;
            let order: Vec<u32> = (first..last.max(first)).collect();
            return self.rows.select(&order, wanted);
        }
        let inside = |row: &u32| (from..=to).contains(&times[*row as usize]);
        let order: Vec<u32> = (0..times.len() as u32).filter(inside).collect();
        Chunk::merge(vec![self.rows.select(&order, wanted)])
    }

    /// Takes the rows between `from` and `to` away, both included.
    pub(crate) fn remove(&mut self, from: i64, to: i64) {
        if !self.is_empty() {
            let since = self.since;
            *self = Self { since, ..Self::from_sorted(self.all().without(from, to)) };
        }
    }

    /// All rows, sorted, each time once.
    pub(crate) fn all(&self) -> Chunk {
        self.between(i64::MIN, i64::MAX, |_| true)
    }

    /// As [`all`](Self::all); not copied if they came in order.
    pub(crate) fn sorted(&self) -> Cow<'_, Chunk> {
        if self.sorted { Cow::Borrowed(&self.rows) } else { Cow::Owned(self.all()) }
    }
}
