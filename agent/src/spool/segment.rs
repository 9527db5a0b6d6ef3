//! One file of the spool: a header, then frames in the order in which they were spooled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bellwether_logic::ranges::RangeSet;
use bellwether_proto::batch::BatchId;
use prost::Message;

use super::SpoolError;
use super::frame::{self, HEAD_BYTES};

/// The first bytes of every segment; the last is the version of the format.
const MAGIC: [u8; 8] = *b"BWSPOOL\x01";

/// Bytes before the first frame.
pub(super) const HEADER_BYTES: u64 = MAGIC.len() as u64;

/// What of a batch the spool itself needs to know.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    #[prost(fixed64, tag = "1")]
    pub generation: u64,
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    #[prost(sint64, tag = "4")]
    pub time_unix_ms: i64,
}

/// Frames that follow each other in the file and in their generation: what keeps the index small.
#[derive(Clone, Copy, Debug)]
struct Run {
    generation: u64,
    first: u64,
    last: u64,
}

/// What is known of one file.
pub(super) struct Segment {
    pub number: u64,
    path: PathBuf,
    /// The length of what is whole, header included.
    pub bytes: u64,
    /// The latest time of a batch in it.
    pub newest_ms: i64,
    runs: Vec<Run>,
}

/// Where the last read ended: back-fill reads a file from its begin to its end.
pub(super) struct Cursor {
    number: u64,
    file: File,
    index: u64,
    offset: u64,
}

impl Segment {
    /// Makes the file of a new segment.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<(Self, File)> {
        let path = dir.join(file_name(number));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all(&MAGIC) {
            // A file without a header is of no use, and its name would be in the way of the next attempt.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok((Self { number, path, bytes: HEADER_BYTES, newest_ms: i64::MIN, runs: Vec::new() }, file))
    }

    /// Reads a file that an earlier run left and cuts off what is torn. None if there is nothing whole in it.
    /// The second value is how many bytes were cut.
    pub(super) fn recover(dir: &Path, number: u64) -> Result<(Option<Self>, u64), SpoolError> {
        let path = dir.join(file_name(number));
        let Ok(bytes) = fs::read(&path) else { return Ok((None, 0)) };
        if bytes.starts_with(&MAGIC[..7]) && bytes.get(7).is_some_and(|version| *version > MAGIC[7]) {
            return Err(SpoolError::Newer { path, found: bytes[7] });
        }
        let mut segment = Self { number, path, bytes: HEADER_BYTES, newest_ms: i64::MIN, runs: Vec::new() };
        if bytes.starts_with(&MAGIC) {
            for range in frame::payloads(&bytes, MAGIC.len()) {
                // Whole and still no batch: written by something else. Nothing after it is believed.
                let Ok(head) = Head::decode(&bytes[range.clone()]) else { break };
                segment.note(&head, range.end as u64);
            }
        }
        let torn = (bytes.len() as u64).saturating_sub(segment.bytes);
        if segment.runs.is_empty() {
            segment.remove();
            return Ok((None, torn));
        }
        if torn > 0 {
            // On a read-only disk the tail stays, and is skipped by its length.
            let _ = OpenOptions::new().write(true).open(&segment.path).and_then(|file| file.set_len(segment.bytes));
        }
        Ok((Some(segment), torn))
    }

    /// Opens the file for more frames; fails if its torn tail could not be cut.
    pub(super) fn reopen(&self) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(self.bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }

    /// Writes a frame. After an error the file ends where it ended before, or must not be written any more (`Err(None)`).
    pub(super) fn append(&mut self, file: &mut File, head: &Head, payload: &[u8]) -> Result<(), AppendError> {
        let frame = frame::encode(payload);
        if let Err(error) = file.write_all(&frame) {
            let undone = file.set_len(self.bytes).and_then(|()| file.seek(SeekFrom::Start(self.bytes)));
            return Err(AppendError { error, usable: undone.is_ok() });
        }
        self.note(head, self.bytes + frame.len() as u64);
        Ok(())
    }

    fn note(&mut self, head: &Head, end: u64) {
        let (generation, sequence) = (head.generation, head.sequence);
        match self.runs.last_mut() {
            Some(run) if run.generation == generation && run.last.checked_add(1) == Some(sequence) => {
                run.last = sequence;
            }
            _ => self.runs.push(Run { generation, first: sequence, last: sequence }),
        }
        self.newest_ms = self.newest_ms.max(head.time_unix_ms);
        self.bytes = end;
    }

    /// The batches in it, by generation, in order of appearance.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, std::ops::RangeInclusive<u64>)> + '_ {
        self.runs.iter().map(|run| (run.generation, run.first..=run.last))
    }

    /// The number of the frame with this batch.
    fn index_of(&self, id: BatchId) -> Option<u64> {
        let mut before = 0_u64;
        for run in &self.runs {
            if run.generation == id.generation && (run.first..=run.last).contains(&id.sequence) {
                return Some(before + (id.sequence - run.first));
            }
            before += run.last - run.first + 1;
        }
        None
    }

    pub(super) fn contains(&self, id: BatchId) -> bool {
        self.index_of(id).is_some()
    }

    /// Whether `acked` has every batch in it.
    pub(super) fn is_within(&self, acked: &std::collections::BTreeMap<u64, RangeSet>) -> bool {
        self.ranges().all(|(generation, range)| {
            acked
                .get(&generation)
                .is_some_and(|set| set.iter().any(|has| has.contains(range.start()) && has.contains(range.end())))
        })
    }

    /// The payload of a batch; none if it isn't here or is not whole any more.
    pub(super) fn read(&self, id: BatchId, cursor: &mut Option<Cursor>) -> Option<Vec<u8>> {
        let wanted = self.index_of(id)?;
        let reusable = cursor.take().filter(|cursor| cursor.number == self.number && cursor.index <= wanted);
        let mut at = match reusable {
            Some(cursor) => cursor,
            None => Cursor { number: self.number, file: File::open(&self.path).ok()?, index: 0, offset: HEADER_BYTES },
        };
        while at.index < wanted {
            let head = at.head()?;
            at.offset += (HEAD_BYTES + frame::payload_bytes(head)?) as u64;
            at.index += 1;
        }
        let head = at.head()?;
        let mut payload = vec![0; frame::payload_bytes(head)?];
        at.file.read_exact(&mut payload).ok()?;
        let whole = frame::is_whole(head, &payload);
        *cursor = Some(at);
        whole.then_some(payload)
    }

    /// Deletes the file. If that fails the next start finds it again, and the collector says what it has of it.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a spool file can't be deleted");
        }
    }
}

impl Cursor {
    fn head(&mut self) -> Option<[u8; HEAD_BYTES]> {
        let mut head = [0; HEAD_BYTES];
        self.file.seek(SeekFrom::Start(self.offset)).ok()?;
        self.file.read_exact(&mut head).ok()?;
        Some(head)
    }
}

/// Why a frame was not written.
pub(super) struct AppendError {
    pub error: io::Error,
    /// Whether the file may be written again.
    pub usable: bool,
}

/// The numbers of the segments in a folder, ascending.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> =
        fs::read_dir(dir)?.filter_map(|entry| number_of(entry.ok()?.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn file_name(number: u64) -> String {
    format!("{number:016x}.spool")
}

fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".spool").filter(|digits| digits.len() == 16)?, 16).ok()
}
