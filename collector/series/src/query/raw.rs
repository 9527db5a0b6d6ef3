//! Rows as they are.

pub(crate) mod merge;

use std::cell::RefCell;

use super::range::TimeRange;
use super::read::{Piece, Well, read_as};
use super::select::Series;
use super::view::{Meaning, tag};
use super::{Answer, QueryError, Value};
use crate::point::FieldKind;
use crate::store::{Flow, Tags};
use merge::Row;

/// Cells that the streams of a series may hold together while their rows are merged: some dozens of MiB at most.
const HELD_CELLS: usize = 1 << 20;

/// Rows that a stream takes up at once, at least: with fewer each block would be unpacked too often.
const LEAST_ROWS: usize = 16;

/// Rows that a stream takes up at once, at most: more gain nothing.
const MOST_ROWS: usize = 16 * 1024;

/// The rows of a series that have at least one of the selected fields; of a sub-query all.
pub(crate) fn rows(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let (mut rows, limits) = (Vec::new(), series.prepared.request.budget.limits);
    each(series, &mut |row| {
        rows.push(row);
        match rows.len() > limits.max_rows {
            true => series.prepared.request.budget.rows(rows.len()),
            false => Ok(()),
        }
    })?;
    Ok(rows)
}

/// Hands over the rows of a series, in the order of the answer. A bounded number of them is held, and no lock of the
/// store while `take` is at work: it may have to wait for a client.
pub(crate) fn each(series: &Series<'_>, take: &mut dyn FnMut(Vec<Value>) -> Answer<()>) -> Answer<()> {
    let inputs: Vec<usize> = (0..series.plan.inputs.len()).collect();
    let (texts, failed) = (leading_texts(series), RefCell::new(None));
    let wells = series.wells(&inputs);
    let share = HELD_CELLS / (series.plan.columns.len() + 1) / wells.len().max(1);
    let share = share.clamp(LEAST_ROWS, MOST_ROWS).min(series.enough_rows());
    let feed = |(number, well)| Feed {
        series,
        inputs: &inputs,
        texts: &texts,
        failed: &failed,
        well,
        number: number as u32,
        left: Some(series.range),
        share,
        held: Vec::new().into_iter(),
    };
    let feeds = wells.iter().enumerate().map(feed);
    for row in series.cut(merge::merged(feeds, series.descending())) {
        if failed.borrow().is_some() {
            break;
        }
        take(row)?;
    }
    failed.into_inner().map_or(Ok(()), Err)
}

/// The rows of one stream, taken up a number at a time.
struct Feed<'a> {
    series: &'a Series<'a>,
    inputs: &'a [usize],
    texts: &'a [usize],
    /// Why there are no more rows, if it is not that there are none.
    failed: &'a RefCell<Option<QueryError>>,
    well: &'a Well<'a>,
    number: u32,
    /// What was not read yet.
    left: Option<TimeRange>,
    share: usize,
    held: std::vec::IntoIter<Row>,
}

impl Feed<'_> {
    fn take_up(&mut self, range: TimeRange) -> Answer<()> {
        let most = if self.well.is_made() { usize::MAX } else { self.share };
        let mut rows = Vec::new();
        self.series.draw(self.well, self.inputs, range, self.number, &mut |piece| {
            Ok(emit(self.series, piece, self.texts, most, &mut rows))
        })?;
        let last = rows.last().filter(|_| rows.len() >= most).map(|row: &Row| row.time);
        self.left = last.and_then(|last| match self.series.descending() {
            true => last.checked_sub(1).filter(|to| *to >= range.from).map(|to| TimeRange { to, ..range }),
            false => last.checked_add(1).filter(|from| *from <= range.to).map(|from| TimeRange { from, ..range }),
        });
        self.held = rows.into_iter();
        Ok(())
    }
}

impl Iterator for Feed<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if let Some(row) = self.held.next() {
            return Some(row);
        }
        let range = self.left.take()?;
        if let Err(error) = self.take_up(range) {
            *self.failed.borrow_mut() = Some(error);
        }
        self.held.next()
    }
}

/// Adds rows until there are `most`.
fn emit(series: &Series<'_>, piece: &Piece<'_>, texts: &[usize], most: usize, rows: &mut Vec<Row>) -> Flow {
    let shown: Vec<_> = (0..series.plan.inputs.len()).filter_map(|input| piece.column(input)).collect();
    let total = piece.chunk.times.len();
    for step in 0..total {
        let row = if series.descending() { total - 1 - step } else { step };
        let there = piece.made || shown.iter().any(|(column, _)| column.has(row));
        if !there || !piece.lets_through(row) {
            continue;
        }
        let time = piece.chunk.times[row];
        let input = |at: usize| value(piece, at, row);
        let mut values = vec![Value::Time(time)];
        values.extend(series.plan.columns.iter().map(|column| column.node.value(&input, &[])));
        rows.push(Row { time, texts: texts.iter().map(|at| value(piece, *at, row)).collect(), values });
        if rows.len() >= most {
            return Flow::Enough;
        }
    }
    Flow::More
}

/// Of the inputs in the order of their names, those before the first that is no text: InfluxDB orders rows of one time by them.
fn leading_texts(series: &Series<'_>) -> Vec<usize> {
    let inputs = &series.plan.inputs;
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by(|a, b| inputs[*a].name.cmp(&inputs[*b].name));
    order.into_iter().take_while(|at| matches!(inputs[*at].kind, None | Some(FieldKind::Text))).collect()
}

/// The value of an input in a row.
pub(crate) fn value(piece: &Piece<'_>, input: usize, row: usize) -> Value {
    let stored = |id: u32| piece.chunk.column(id).and_then(|column| column.get(row));
    match &piece.meanings[input] {
        Meaning::Field(id, kind) => {
            stored(*id).and_then(|value| read_as(value, *kind)).map_or(Value::Null, Value::from)
        }
        Meaning::Label(id) => stored(*id).map_or(Value::Null, Value::from),
        Meaning::Tag(key) => tag_value(piece.tags, key),
        Meaning::Nothing => Value::Null,
    }
}

/// A tag as a column shows it: an absent one is null.
pub(super) fn tag_value(tags: &Tags, key: &str) -> Value {
    match tag(tags, key) {
        "" => Value::Null,
        text => Value::Text(text.into()),
    }
}
