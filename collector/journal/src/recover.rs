//! Opening: what is there, what of it is whole, and where the log goes on.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use crate::committer::Writer;
use crate::frame::{FORMAT, HEADER_BYTES, Header};
use crate::medium::MediumMaker;
use crate::segment::{self, Found, Frames};
use crate::state::Segment;
use crate::{JournalError, MAX_RECORD_BYTES, Options, Position, segment_path};

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The first position that can be read.
    pub start: Position,
    /// Where the next record will be.
    pub end: Position,
    /// Segments on the disk.
    pub segments: usize,
    /// Bytes after the last whole record that were cut off: a crash in the middle of a write. None of them was
    /// acknowledged, unless the disk lost what it had promised.
    pub torn_bytes: u64,
    /// Segments with a broken header; nothing can be read from them.
    pub damaged_segments: Vec<Position>,
    /// Positions between segments for which there is no file, or that a reader knew and the log does not.
    pub missing_bytes: u64,
    /// The stamp below which none will be given.
    pub last_stamp_ms: i64,
}

/// The report, and the log itself.
pub(crate) struct Recovered {
    pub(crate) segments: BTreeMap<u64, Segment>,
    pub(crate) writer: Writer,
    pub(crate) report: Recovery,
}

/// Makes the folder if need be, and keeps everybody else out.
pub(crate) fn lock(folder: &Path) -> Result<File, JournalError> {
    let unusable = |source| JournalError::Folder { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::options().write(true).create(true).truncate(false).open(folder.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

pub(crate) fn recover(folder: &Path, options: &Options, make: MediumMaker) -> Result<Recovered, JournalError> {
    let mut report = Recovery::default();
    let headers = survey(folder)?;
    let mut segments = take_stock(folder, &headers, &mut report)?;
    let last_stamp_ms = repair_last(folder, &headers, &mut segments, &mut report)?;
    let end = go_on_at(&headers, &segments, options, &mut report);
    let (first, file) = open_last(folder, &mut segments, end, last_stamp_ms)?;
    report.start = Position(*segments.keys().next().unwrap_or(&first));
    report.end = Position(end);
    report.segments = segments.len();
    report.last_stamp_ms = last_stamp_ms;
    let writer = Writer { first, end, last_stamp_ms, medium: make(file), needs_cut: false, make };
    Ok(Recovered { segments, writer, report })
}

/// Every segment's header and length. Nothing has been touched if this refuses.
fn survey(folder: &Path) -> Result<BTreeMap<u64, (Header, u64)>, JournalError> {
    let firsts = segment::list(folder).map_err(|source| JournalError::Folder { path: folder.to_owned(), source })?;
    let mut headers = BTreeMap::new();
    for first in firsts {
        let path = segment_path(folder, first);
        let (header, length) =
            segment::header(&path).map_err(|source| JournalError::Read { path: path.clone(), source })?;
        match header {
            Header::Newer(found) => {
                return Err(JournalError::Newer { path, found, known: FORMAT });
            }
            // Renamed by hand: the name is what readers go by.
            Header::Known { first: said, .. } if said != first => {
                headers.insert(first, (Header::Damaged, length));
            }
            _ => {
                headers.insert(first, (header, length));
            }
        }
    }
    Ok(headers)
}

/// The segments as far as their lengths tell.
fn take_stock(
    folder: &Path,
    headers: &BTreeMap<u64, (Header, u64)>,
    report: &mut Recovery,
) -> Result<BTreeMap<u64, Segment>, JournalError> {
    let mut segments = BTreeMap::new();
    let mut expected = headers.keys().next().copied().unwrap_or(0);
    for (first, (header, length)) in headers {
        report.missing_bytes += first.saturating_sub(expected);
        let readable = *header != Header::Damaged;
        if !readable && *length <= HEADER_BYTES as u64 {
            // A crash while it was begun: it never held a record.
            let path = segment_path(folder, *first);
            fs::remove_file(&path).map_err(|source| JournalError::Write { path, source })?;
            report.torn_bytes += length;
            expected = *first;
            continue;
        }
        if !readable {
            report.damaged_segments.push(Position(*first));
        }
        let following = headers.range(first + 1..).next();
        let end = first + (length - HEADER_BYTES as u64);
        let end = following.map_or(end, |(following, _)| end.min(*following));
        expected = end;
        segments.insert(*first, Segment { end, bytes: *length, readable });
    }
    Ok(segments)
}

/// Cuts the last segment after its last whole record and syncs it. Answers the last stamp.
fn repair_last(
    folder: &Path,
    headers: &BTreeMap<u64, (Header, u64)>,
    segments: &mut BTreeMap<u64, Segment>,
    report: &mut Recovery,
) -> Result<i64, JournalError> {
    let floor = headers
        .values()
        .filter_map(|(header, _)| match header {
            Header::Known { stamp_floor_ms, .. } => Some(*stamp_floor_ms),
            _ => None,
        })
        .max()
        .unwrap_or(i64::MIN);
    let Some((first, segment)) = segments.iter_mut().next_back().filter(|it| it.1.readable) else {
        return Ok(floor);
    };
    let path = segment_path(folder, *first);
    let (end, stamp_ms) =
        scan(&path, *first, segment.end, floor).map_err(|source| JournalError::Read { path: path.clone(), source })?;
    report.torn_bytes += segment.end - end;
    segment.end = end;
    segment.bytes = HEADER_BYTES as u64 + (end - first);
    cut(&path, segment.bytes).map_err(|source| JournalError::Write { path, source })?;
    Ok(stamp_ms)
}

/// Where the whole records end, and the last one's stamp.
fn scan(path: &Path, first: u64, end: u64, floor: i64) -> io::Result<(u64, i64)> {
    let mut frames = Frames::open(path, first, first, end)?;
    let mut stamp_ms = floor;
    while let Some(Found::Entry(entry)) = frames.next(MAX_RECORD_BYTES)? {
        stamp_ms = stamp_ms.max(entry.stamp_ms);
    }
    Ok((frames.position(), stamp_ms))
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    file.sync_all()
}

/// Where the log goes on: after every record it has, every name it had, and every cursor of a reader.
fn go_on_at(
    headers: &BTreeMap<u64, (Header, u64)>,
    segments: &BTreeMap<u64, Segment>,
    options: &Options,
    report: &mut Recovery,
) -> u64 {
    let stored = segments.values().next_back().map_or(0, |it| it.end);
    let named = headers.keys().next_back().copied().unwrap_or(0);
    let known = options.readers.values().map(|it| it.0).max().unwrap_or(0);
    report.missing_bytes += known.max(named).saturating_sub(stored);
    stored.max(named).max(known)
}

/// The segment to write to: the last one if the log goes on at its end, else a new one.
fn open_last(
    folder: &Path,
    segments: &mut BTreeMap<u64, Segment>,
    end: u64,
    last_stamp_ms: i64,
) -> Result<(u64, File), JournalError> {
    let last = segments.iter().next_back();
    if let Some((first, _)) = last.filter(|(_, last)| last.readable && last.end == end) {
        let path = segment_path(folder, *first);
        let opened = File::options().write(true).open(&path).and_then(|mut file| {
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        let file = opened.map_err(|source| JournalError::Write { path, source })?;
        return Ok((*first, file));
    }
    let made = segment::create(folder, end, last_stamp_ms);
    let file = made.map_err(|source| JournalError::Write { path: segment_path(folder, end), source })?;
    let segment = Segment { end, bytes: HEADER_BYTES as u64, readable: true };
    segments.insert(end, segment);
    Ok((end, file))
}
