//! Rows of one stream in memory: a time column, and columns that may have holes. Heads, unpacked blocks and what a
//! query scans are all chunks.

use std::ops::Range;
use std::sync::Arc;

use crate::point::{FieldKind, FieldValue};

/// Some rows of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Column>,
}

/// One field of a chunk. May be shorter than the time column: the missing rows are holes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) field: u32,
    pub(crate) values: Values,
    /// `None`: every row up to the length of `values` has a value.
    pub(crate) present: Option<Bitmap>,
}

/// The values of a column, one for each row; the value of a hole means nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Unsigned(Vec<u64>),
    Boolean(Vec<bool>),
    Text(Vec<Arc<str>>),
}

/// A set of row numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// The rows below `rows`, all set.
    pub(crate) fn full(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows / 64];
        if !rows.is_multiple_of(64) {
            words.push((1 << (rows % 64)) - 1);
        }
        Self { words }
    }

    pub(crate) fn set(&mut self, row: usize) {
        if self.words.len() <= row / 64 {
            self.words.resize(row / 64 + 1, 0);
        }
        self.words[row / 64] |= 1 << (row % 64);
    }

    fn range(&self, rows: Range<usize>) -> Self {
        let mut part = Self::default();
        rows.clone().filter(|row| self.get(*row)).for_each(|row| part.set(row - rows.start));
        part
    }

    pub(crate) fn get(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

impl Chunk {
    /// Cells with a place in memory, holes included: what the limits count.
    pub(crate) fn cells(&self) -> usize {
        self.columns.iter().map(|column| column.values.len()).sum()
    }

    pub(crate) fn column(&self, field: u32) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    /// The rows `order`, in that order; only the columns that `wanted` says yes to and that have any of these rows.
    pub(crate) fn select(&self, order: &[u32], wanted: impl Fn(u32) -> bool) -> Chunk {
        let times = order.iter().map(|row| self.times[*row as usize]).collect();
        let columns = self.columns.iter().filter(|column| wanted(column.field));
        Chunk { times, columns: columns.filter_map(|column| column.select(order)).collect() }
    }

    /// Puts one value into row `row`, which must exist. Later values win.
    pub(crate) fn put(&mut self, row: usize, field: u32, value: &FieldValue) {
        let at = self.columns.iter().position(|column| column.field == field);
        let at = at.unwrap_or_else(|| {
            self.columns.push(Column::new(field, value.kind()));
            self.columns.len() - 1
        });
        self.columns[at].put(row, value);
    }
}

impl Column {
    pub(crate) fn new(field: u32, kind: FieldKind) -> Self {
        Self { field, values: Values::new(kind), present: None }
    }

    /// True if row `row` has a value.
    pub(crate) fn has(&self, row: usize) -> bool {
        row < self.values.len() && self.present.as_ref().is_none_or(|present| present.get(row))
    }

    pub(crate) fn get(&self, row: usize) -> Option<FieldValue> {
        self.has(row).then(|| self.values.at(row))
    }

    /// Puts a value of the column's own kind; another kind is ignored and `false` comes back.
    pub(crate) fn put(&mut self, row: usize, value: &FieldValue) -> bool {
        if row > self.values.len() {
            self.leave_holes(row);
        }
        if !self.values.put(row, value) {
            return false;
        }
        if let Some(present) = &mut self.present {
            present.set(row);
        }
        true
    }

    /// Makes rows up to `row` exist without a value.
    fn leave_holes(&mut self, row: usize) {
        let length = self.values.len();
        self.present.get_or_insert_with(|| Bitmap::full(length));
        self.values.pad(row);
    }

    /// Some rows that follow each other.
    pub(crate) fn range(&self, rows: Range<usize>) -> Column {
        let present = self.present.as_ref().map(|present| present.range(rows.clone()));
        Column { field: self.field, values: self.values.range(rows), present }
    }

    fn select(&self, order: &[u32]) -> Option<Column> {
        let has_holes = order.iter().any(|row| !self.has(*row as usize));
        let present = has_holes.then(|| {
            let mut present = Bitmap::default();
            for (to, from) in order.iter().enumerate() {
                if self.has(*from as usize) {
                    present.set(to);
                }
            }
            present
        });
        if present.as_ref().is_some_and(|present| present.words.is_empty()) {
            return None;
        }
        Some(Column { field: self.field, values: self.values.select(order), present })
    }
}

/// Does the same with the vector of whichever kind a [`Values`] holds.
macro_rules! each_kind {
    ($values:expr, $vector:ident => $body:expr) => {
        match $values {
            Values::Float($vector) => $body,
            Values::Integer($vector) => $body,
            Values::Unsigned($vector) => $body,
            Values::Boolean($vector) => $body,
            Values::Text($vector) => $body,
        }
    };
}

impl Values {
    pub(crate) fn new(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Float => Self::Float(Vec::new()),
            FieldKind::Integer => Self::Integer(Vec::new()),
            FieldKind::Unsigned => Self::Unsigned(Vec::new()),
            FieldKind::Boolean => Self::Boolean(Vec::new()),
            FieldKind::Text => Self::Text(Vec::new()),
        }
    }

    pub(crate) fn kind(&self) -> FieldKind {
        match self {
            Self::Float(_) => FieldKind::Float,
            Self::Integer(_) => FieldKind::Integer,
            Self::Unsigned(_) => FieldKind::Unsigned,
            Self::Boolean(_) => FieldKind::Boolean,
            Self::Text(_) => FieldKind::Text,
        }
    }

    pub(crate) fn len(&self) -> usize {
        each_kind!(self, values => values.len())
    }

    /// Bytes of memory, without what texts share.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Float(values) => size_of_val(values.as_slice()),
            Self::Integer(values) => size_of_val(values.as_slice()),
            Self::Unsigned(values) => size_of_val(values.as_slice()),
            Self::Boolean(values) => size_of_val(values.as_slice()),
            Self::Text(values) => values.iter().map(|text| size_of::<Arc<str>>() + text.len()).sum(),
        }
    }

    /// Rows beyond the end are left out.
    fn range(&self, rows: Range<usize>) -> Values {
        match self {
            Self::Float(values) => Self::Float(part(values, rows)),
            Self::Integer(values) => Self::Integer(part(values, rows)),
            Self::Unsigned(values) => Self::Unsigned(part(values, rows)),
            Self::Boolean(values) => Self::Boolean(part(values, rows)),
            Self::Text(values) => Self::Text(part(values, rows)),
        }
    }

    fn at(&self, row: usize) -> FieldValue {
        match self {
            Self::Float(values) => FieldValue::Float(values[row]),
            Self::Integer(values) => FieldValue::Integer(values[row]),
            Self::Unsigned(values) => FieldValue::Unsigned(values[row]),
            Self::Boolean(values) => FieldValue::Boolean(values[row]),
            Self::Text(values) => FieldValue::Text(values[row].clone()),
        }
    }

    fn put(&mut self, row: usize, value: &FieldValue) -> bool {
        match (self, value) {
            (Self::Float(values), FieldValue::Float(value)) => place(values, row, *value),
            (Self::Integer(values), FieldValue::Integer(value)) => place(values, row, *value),
            (Self::Unsigned(values), FieldValue::Unsigned(value)) => place(values, row, *value),
            (Self::Boolean(values), FieldValue::Boolean(value)) => place(values, row, *value),
            (Self::Text(values), FieldValue::Text(value)) => place(values, row, value.clone()),
            _ => return false,
        }
        true
    }

    fn pad(&mut self, rows: usize) {
        match self {
            Self::Float(values) => lengthen(values, rows),
            Self::Integer(values) => lengthen(values, rows),
            Self::Unsigned(values) => lengthen(values, rows),
            Self::Boolean(values) => lengthen(values, rows),
            Self::Text(values) => lengthen(values, rows),
        }
    }

    fn select(&self, order: &[u32]) -> Values {
        match self {
            Self::Float(values) => Self::Float(gather(values, order)),
            Self::Integer(values) => Self::Integer(gather(values, order)),
            Self::Unsigned(values) => Self::Unsigned(gather(values, order)),
            Self::Boolean(values) => Self::Boolean(gather(values, order)),
            Self::Text(values) => Self::Text(gather(values, order)),
        }
    }
}

fn place<T>(values: &mut Vec<T>, row: usize, value: T) {
    match values.get_mut(row) {
        Some(slot) => *slot = value,
        None => values.push(value),
    }
}

fn part<T: Clone>(values: &[T], rows: Range<usize>) -> Vec<T> {
    let end = rows.end.min(values.len());
    values[rows.start.min(end)..end].to_vec()
}

/// Only ever longer: a column that already has these rows keeps them.
fn lengthen<T: Clone + Default>(values: &mut Vec<T>, rows: usize) {
    if values.len() < rows {
        values.resize(rows, T::default());
    }
}

/// A row beyond the end of a short column is a hole.
fn gather<T: Clone + Default>(values: &[T], order: &[u32]) -> Vec<T> {
    order.iter().map(|row| values.get(*row as usize).cloned().unwrap_or_default()).collect()
}

impl Chunk {
    /// Merges chunks into one sorted chunk with each time once. For the same time and field the later chunk wins,
    /// inside a chunk the later row.
    pub(crate) fn merge(mut chunks: Vec<Chunk>) -> Chunk {
        chunks.retain(|chunk| !chunk.times.is_empty());
        if chunks.len() == 1 && chunks[0].times.windows(2).all(|pair| pair[0] < pair[1]) {
            return chunks.swap_remove(0);
        }
        let total = chunks.iter().map(|chunk| chunk.times.len()).sum();
        let mut rows: Vec<(i64, u32, u32)> = Vec::with_capacity(total);
        for (from, chunk) in chunks.iter().enumerate() {
            rows.extend(chunk.times.iter().enumerate().map(|(row, time)| (*time, from as u32, row as u32)));
        }
        rows.sort_unstable();
        let mut merged = Chunk::default();
        for (time, from, row) in rows {
            if merged.times.last() != Some(&time) {
                merged.times.push(time);
            }
            let to = merged.times.len() - 1;
            for (hint, column) in chunks[from as usize].columns.iter().enumerate() {
                if let Some(value) = column.get(row as usize) {
                    merged.put_at(hint, to, column.field, &value);
                }
            }
        }
        merged
    }

    /// As [`put`](Self::put), looking at column `hint` first.
    pub(crate) fn put_at(&mut self, hint: usize, row: usize, field: u32, value: &FieldValue) {
        match self.columns.get_mut(hint) {
            Some(column) if column.field == field => {
                column.put(row, value);
            }
            _ => self.put(row, field, value),
        }
    }
}
