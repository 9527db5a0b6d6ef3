//! Reads the rows of a group, piece by piece, whether they are stored or made by a sub-query.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::select::{Series, Source};
use super::view::{Meaning, Stream};
use super::{Answer, QueryError, made};
use crate::chunk::{Chunk, Column};
use crate::point::{FieldKind, FieldValue};
use crate::query::range::TimeRange;
use crate::store::{Flow, Scan, Tags};

/// Streams of one source that belong to a group.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) source: usize,
    pub(crate) streams: Vec<Stream>,
}

/// Rows in order of time, and what is known of them.
pub(crate) struct Piece<'a> {
    pub(crate) chunk: &'a Chunk,
    /// What each input of the plan is in these rows.
    pub(crate) meanings: &'a [Meaning],
    /// Rows that the condition lets through; `None` for all.
    pub(crate) mask: Option<Vec<bool>>,
    pub(crate) tags: &'a Tags,
    /// Of the stream, in the order of reading.
    pub(crate) stream: u32,
    /// The rows of a sub-query, which are all there, even those without a value.
    pub(crate) made: bool,
}

impl Piece<'_> {
    /// The column of an input, and the kind that its values are read as.
    pub(crate) fn column(&self, input: usize) -> Option<(&Column, FieldKind)> {
        match self.meanings[input] {
            Meaning::Field(id, kind) => Some((self.chunk.column(id)?, kind)),
            _ => None,
        }
    }

    pub(crate) fn lets_through(&self, row: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask[row])
    }
}

/// One stream, or the answer of a sub-query.
pub(crate) struct Well<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) from: From<'a>,
}

pub(super) enum From<'a> {
    Stored(&'a Stream),
    Made(&'a Part),
}

impl Well<'_> {
    /// Its rows are computed, all of them at once.
    pub(crate) fn is_made(&self) -> bool {
        matches!(self.from, From::Made(_))
    }
}

impl Series<'_> {
    /// What rows with one of the fields behind `inputs` come from, in the order of reading.
    pub(crate) fn wells(&self, inputs: &[usize]) -> Vec<Well<'_>> {
        let mut wells = Vec::new();
        for part in &self.group.parts {
            let source = &self.prepared.sources[part.source];
            if !inputs.iter().any(|input| matches!(source.meanings[*input], Meaning::Field(..))) {
                continue;
            }
            if source.inner.is_some() {
                wells.push(Well { source, from: From::Made(part) });
                continue;
            }
            wells.extend(part.streams.iter().map(|stream| Well { source, from: From::Stored(stream) }));
        }
        wells
    }

    /// Hands over every row of a well between the ends of `range` that has one of the fields behind `inputs`. `each` may end it early.
    pub(crate) fn draw(
        &self,
        well: &Well<'_>,
        inputs: &[usize],
        range: TimeRange,
        number: u32,
        each: &mut impl FnMut(&Piece<'_>) -> Answer<Flow>,
    ) -> Answer<()> {
        match well.from {
            From::Made(part) => self.read_made(well.source, part, range, number, each),
            From::Stored(stream) => self.read_stored(well.source, inputs, stream, range, number, each),
        }
    }

    fn read_stored(
        &self,
        source: &Source<'_>,
        inputs: &[usize],
        stream: &Stream,
        range: TimeRange,
        number: u32,
        each: &mut impl FnMut(&Piece<'_>) -> Answer<Flow>,
    ) -> Answer<()> {
        let request = self.prepared.request;
        let condition = source.condition.for_stream(&stream.tags);
        let ids = inputs.iter().filter_map(|input| match source.meanings[*input] {
            Meaning::Field(id, _) => Some(id),
            _ => None,
        });
        let mut fields: BTreeSet<u32> = ids.collect();
        condition.fields(&mut fields);
        let fields: Vec<u32> = fields.into_iter().collect();
        let descending = self.descending();
        let range = source.view.kept(range, request.options.now_ns);
        let kept = request.store.kept(stream.id);
        if range.from < kept.raw_from && !kept.tiers.is_empty() {
            request.remarks.gone(kept.raw_from);
        }
        let scan = Scan { stream: stream.id, from: range.from, to: range.to, fields: &fields, descending };
        let mut outcome: Result<(), QueryError> = Ok(());
        request.reading.scan(&scan, |chunk| {
            let meanings = &source.meanings;
            let (mask, tags) = (condition.mask(chunk), &stream.tags);
            let piece = Piece { chunk, meanings, mask, tags, stream: number, made: false };
            match request.budget.check().and_then(|()| each(&piece)) {
                Ok(flow) => flow,
                Err(error) => {
                    outcome = Err(error);
                    Flow::Enough
                }
            }
        })?;
        outcome
    }

    fn read_made(
        &self,
        source: &Source<'_>,
        part: &Part,
        range: TimeRange,
        number: u32,
        each: &mut impl FnMut(&Piece<'_>) -> Answer<Flow>,
    ) -> Answer<()> {
        let Some((inner, groups)) = &source.inner else { return Ok(()) };
        let chosen = part.streams.iter().filter_map(|stream| groups.get(stream.id as usize));
        let chunk = made::rows(inner, chosen, range)?;
        let tags: Tags = Arc::from([]);
        let mask = source.condition.for_stream(&tags).mask(&chunk);
        let meanings = &source.meanings;
        each(&Piece { chunk: &chunk, meanings, mask, tags: &tags, stream: number, made: true })?;
        Ok(())
    }
}

/// A value read as another kind of number; any other pair is nothing.
pub(crate) fn read_as(value: FieldValue, kind: FieldKind) -> Option<FieldValue> {
    Some(match (kind, value) {
        (kind, value) if kind == value.kind() => value,
        (FieldKind::Float, FieldValue::Integer(number)) => FieldValue::Float(number as f64),
        (FieldKind::Float, FieldValue::Unsigned(number)) => FieldValue::Float(number as f64),
        (FieldKind::Integer, FieldValue::Float(number)) => FieldValue::Integer(number as i64),
        (FieldKind::Integer, FieldValue::Unsigned(number)) => FieldValue::Integer(number as i64),
        (FieldKind::Unsigned, FieldValue::Float(number)) => FieldValue::Unsigned(number as u64),
        (FieldKind::Unsigned, FieldValue::Integer(number)) => FieldValue::Unsigned(number as u64),
        _ => return None,
    })
}
