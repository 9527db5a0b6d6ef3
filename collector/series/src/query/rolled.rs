//! Reads the streams of a group from roll-ups where they give the same answer, and from points where they don't.

use super::condition::Condition;
use super::plan::{Call, Shape};
use super::range::TimeRange;
use super::read::{From, Piece};
use super::select::{Series, Source};
use super::tiers::split;
use super::view::{Meaning, Stream};
use super::{Answer, QueryError, Value, raw};
use crate::chunk::Chunk;
use crate::point::FieldKind;
use crate::query::aggregate::accumulator::aspects;
use crate::store::{self, Aspects, Flow, Parts, Tags};

/// Rows of points, or of roll-ups.
pub(crate) enum Rows<'a> {
    Points(&'a Piece<'a>),
    Rolled(&'a Buckets<'a>),
}

/// Rows of roll-ups of one stream.
pub(crate) struct Buckets<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) meanings: &'a [Meaning],
    pub(crate) tags: &'a Tags,
    /// Of the stream, in the order of reading.
    pub(crate) stream: u32,
}

impl Buckets<'_> {
    /// What stands beside a selected point: its own value, and tags.
    pub(crate) fn beside(&self, meaning: &Meaning, spot: &store::Spot) -> Value {
        match meaning {
            Meaning::Field(..) => spot.value.clone().into(),
            Meaning::Tag(key) => raw::tag_value(self.tags, key),
            Meaning::Label(_) | Meaning::Nothing => Value::Null,
        }
    }
}

impl Series<'_> {
    /// Hands over what these calls need of every well, from roll-ups where they do.
    pub(crate) fn read_either(
        &self,
        calls: &[&Call],
        inputs: &[usize],
        range: TimeRange,
        mut each: impl FnMut(Rows<'_>) -> Answer<Flow>,
    ) -> Answer<()> {
        for (number, well) in self.wells(inputs).iter().enumerate() {
            let number = number as u32;
            let wanted = match well.from {
                From::Stored(stream) => {
                    rolled(self.plan.shape, calls, well.source, stream).map(|wanted| (wanted, stream))
                }
                From::Made(_) => None,
            };
            match wanted {
                Some((wanted, stream)) if !self.prepared.request.store.kept(stream.id).tiers.is_empty() => {
                    self.read_parts(well.source, &wanted, stream, range, number, &mut each)?;
                }
                _ => self.draw(well, inputs, range, number, &mut |piece| each(Rows::Points(piece)))?,
            }
        }
        Ok(())
    }

    fn read_parts(
        &self,
        source: &Source<'_>,
        wanted: &Wanted,
        stream: &Stream,
        range: TimeRange,
        number: u32,
        each: &mut impl FnMut(Rows<'_>) -> Answer<Flow>,
    ) -> Answer<()> {
        let request = self.prepared.request;
        let range = source.view.kept(range, request.options.now_ns);
        let (fields, aspects, descending) = (&wanted.fields[..], wanted.aspects, self.descending());
        let parts = Parts { stream: stream.id, fields, aspects, descending };
        let mut outcome: Result<(), QueryError> = Ok(());
        let mut widened = false;
        let choose = |kept: &store::Kept| {
            let chosen = split(range, kept, self.plan.window.as_ref(), aspects.timed());
            widened = chosen.widened;
            chosen.segments
        };
        request.store.scan_parts(&parts, choose, |from, chunk| {
            let (meanings, tags) = (&source.meanings[..], &stream.tags);
            let flow = request.budget.check().and_then(|()| match from {
                store::Source::Points => {
                    each(Rows::Points(&Piece { chunk, meanings, mask: None, tags, stream: number, made: false }))
                }
                store::Source::Rolled(_) => each(Rows::Rolled(&Buckets { chunk, meanings, tags, stream: number })),
            });
            flow.unwrap_or_else(|error| {
                outcome = Err(error);
                Flow::Enough
            })
        })?;
        if widened {
            request.remarks.widened.set(true);
        }
        outcome
    }
}

/// What is wanted of the roll-ups of a stream.
pub(crate) struct Wanted {
    pub(crate) fields: Vec<u32>,
    pub(crate) aspects: Aspects,
}

/// What these calls want of the roll-ups of a stream; `None` if they want its points: a function needs every one, a condition
/// asks for values, a value is read as another kind, or another field stands beside.
pub(crate) fn rolled(shape: Shape, calls: &[&Call], source: &Source<'_>, stream: &Stream) -> Option<Wanted> {
    if !matches!(shape, Shape::Buckets | Shape::Selected)
        || !matches!(source.condition.for_stream(&stream.tags), Condition::Always(true))
    {
        return None;
    }
    let mut wanted: Option<Wanted> = None;
    for call in calls {
        let Meaning::Field(id, kind) = source.meanings[call.input] else { continue };
        if stored_kind(source, id) != Some(kind) {
            return None;
        }
        let of_call = aspects(call.function, kind)?;
        let wanted = wanted.get_or_insert_with(|| Wanted { fields: Vec::new(), aspects: of_call });
        wanted.aspects = wanted.aspects.and(of_call);
        if !wanted.fields.contains(&id) {
            wanted.fields.push(id);
        }
    }
    let wanted = wanted?;
    let beside = source.meanings.iter().any(|meaning| match meaning {
        Meaning::Field(id, _) => shape == Shape::Selected && !wanted.fields.contains(id),
        Meaning::Label(_) => true,
        Meaning::Tag(_) | Meaning::Nothing => false,
    });
    (!beside).then_some(wanted)
}

fn stored_kind(source: &Source<'_>, field: u32) -> Option<FieldKind> {
    source.view.fields.values().find(|(id, _)| *id == field).map(|(_, kind)| *kind)
}
