//! Reading from a position on, in bounded memory.

use std::io::ErrorKind;

use crate::segment::{Found, Frames};
use crate::state::Shared;
use crate::{Entry, JournalError, MAX_RECORD_BYTES, Position, segment_path};

/// What an entry costs in memory beside its payload: the `Entry`, and the allocator's own.
const ENTRY_BYTES: usize = 80;

/// A segment with something to read, as far as it was durable a moment ago.
struct Stretch {
    first: u64,
    from: u64,
    end: u64,
    readable: bool,
    /// The first position of the segment after it.
    following: Option<u64>,
}

pub(crate) fn read(shared: &Shared, from: Position, max_bytes: usize) -> Result<Vec<Entry>, JournalError> {
    let mut entries = Vec::new();
    let mut budget = max_bytes;
    let mut from = from.0;
    while let Some(stretch) = find(shared, from)? {
        let Some(next) = read_stretch(shared, &stretch, &mut entries, &mut budget)? else {
            break;
        };
        from = next;
    }
    Ok(entries)
}

/// The next thing to read at or after `from`; None at the end of the log.
fn find(shared: &Shared, from: u64) -> Result<Option<Stretch>, JournalError> {
    let state = shared.lock();
    let Some((first, segment)) = state.segments.range(..=from).next_back() else {
        let (start, _) = state.segments.first_key_value().expect("an open log has a segment");
        return Err(JournalError::Released { from: Position(from), start: Position(*start) });
    };
    let following = state.segments.range(first + 1..).next();
    let stretch = if from < segment.end {
        Some((*first, from, *segment))
    } else {
        following.map(|(first, segment)| (*first, *first, *segment))
    };
    Ok(stretch.filter(|(_, from, segment)| *from < segment.end).map(|(first, from, segment)| Stretch {
        first,
        from,
        end: segment.end,
        readable: segment.readable,
        following: state.segments.range(first + 1..).next().map(|(first, _)| *first),
    }))
}

/// Reads one segment's part. Answers where to go on, or None when there is enough.
fn read_stretch(
    shared: &Shared,
    stretch: &Stretch,
    entries: &mut Vec<Entry>,
    budget: &mut usize,
) -> Result<Option<u64>, JournalError> {
    if !stretch.readable {
        return skip(shared, stretch, stretch.from, entries);
    }
    let path = segment_path(&shared.folder, stretch.first);
    let failed = |source: std::io::Error| JournalError::Read { path: path.clone(), source };
    let mut frames = match Frames::open(&path, stretch.first, stretch.from, stretch.end) {
        Ok(frames) => frames,
        // Released and deleted since we looked.
        Err(error) if error.kind() == ErrorKind::NotFound && shared.start().0 > stretch.from => {
            return Err(JournalError::Released { from: Position(stretch.from), start: shared.start() });
        }
        Err(error) => return Err(failed(error)),
    };
    loop {
        // The first record is read whatever its size, or a reader with a small budget would stand still.
        let limit = if entries.is_empty() { MAX_RECORD_BYTES } else { budget.saturating_sub(ENTRY_BYTES) };
        if limit == 0 {
            return Ok(None);
        }
        match frames.next(limit).map_err(failed)? {
            None => return Ok(Some(stretch.end)),
            Some(Found::TooMuch) => return Ok(None),
            Some(Found::Damage) => return skip(shared, stretch, frames.position(), entries),
            Some(Found::Entry(entry)) => {
                *budget = budget.saturating_sub(ENTRY_BYTES + entry.payload.len());
                entries.push(entry);
            }
        }
    }
}

/// Damage at `position`: on to the next segment. In the last one there is none yet; what was read before the damage is
/// still an answer.
fn skip(shared: &Shared, stretch: &Stretch, position: u64, entries: &[Entry]) -> Result<Option<u64>, JournalError> {
    shared.report_damage(position, stretch.following);
    match stretch.following {
        Some(following) => Ok(Some(following)),
        None if !entries.is_empty() => Ok(None),
        None => Err(JournalError::Damaged { position: Position(position) }),
    }
}
