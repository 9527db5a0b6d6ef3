//! Rows as they are.

pub(crate) mod merge;

use super::read::{Piece, read_as};
use super::select::Series;
use super::view::{Meaning, tag};
use super::{Answer, Value};
use crate::point::FieldKind;
use crate::store::{Flow, Tags};
use merge::Row;

/// The rows of a series that have at least one of the selected fields; of a sub-query all.
pub(crate) fn rows(series: &Series<'_>) -> Answer<Vec<Vec<Value>>> {
    let budget = &series.prepared.request.budget;
    let inputs: Vec<usize> = (0..series.plan.inputs.len()).collect();
    let enough = series.enough_rows();
    let texts = leading_texts(series);
    let mut streams: Vec<Vec<Row>> = Vec::new();
    let mut total = 0;
    series.read(&inputs, series.range, |piece| {
        streams.resize_with(streams.len().max(piece.stream as usize + 1), Vec::new);
        let rows = &mut streams[piece.stream as usize];
        let before = rows.len();
        let flow = emit(series, piece, &texts, enough, rows);
        total += rows.len() - before;
        if total > budget.limits.max_rows {
            budget.rows(total)?;
        }
        Ok(flow)
    })?;
    Ok(series.cut(merge::merged(streams, series.descending())))
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
fn tag_value(tags: &Tags, key: &str) -> Value {
    match tag(tags, key) {
        "" => Value::Null,
        text => Value::Text(text.into()),
    }
}
