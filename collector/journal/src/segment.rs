//! Segment files: listing them, reading frames from one, beginning a new one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, Header, frame_bytes};
use crate::{Entry, Position, segment_path};

pub(crate) const EXTENSION: &str = "journal";

/// The first positions of all segments in `folder`, in order. Other files are somebody else's.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        firsts.extend(first_position(&entry?.file_name()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// None unless this is exactly the name that we would have given.
fn first_position(name: &OsStr) -> Option<u64> {
    let stem = Path::new(name).file_stem()?.to_str()?;
    let first = stem.parse().ok()?;
    let ours = segment_path(Path::new(""), first).as_os_str() == name;
    // Half the number line is more than any disk will see, and leaves room to add to.
    (ours && first < u64::MAX / 2).then_some(first)
}

/// What the file at `path` says of itself, and how long it is.
pub(crate) fn header(path: &Path) -> io::Result<(Header, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    Ok((Header::parse(&bytes), length))
}

/// Begins the segment at `first`. When this returns, its header and its name are on the disk.
pub(crate) fn create(folder: &Path, first: u64, stamp_floor_ms: i64) -> io::Result<File> {
    let path = segment_path(folder, first);
    let made = create_file(&path, first, stamp_floor_ms).and_then(|file| {
        sync_folder(folder)?;
        Ok(file)
    });
    if made.is_err() {
        // Best effort: on a full disk the next attempt must find the name free, and opening removes such leftovers.
        let _ = fs::remove_file(&path);
    }
    made
}

fn create_file(path: &Path, first: u64, stamp_floor_ms: i64) -> io::Result<File> {
    use std::io::Write;
    // One of this name may be left from an attempt whose removal failed; it holds no record.
    let mut file = File::options().write(true).create(true).truncate(true).open(path)?;
    file.write_all(&Header::encode(first, stamp_floor_ms))?;
    file.sync_all()?;
    Ok(file)
}

/// Makes changes to names in `folder` durable.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and the file system orders names with their contents itself.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// What lies at a place in a segment.
pub(crate) enum Found {
    Entry(Entry),
    /// It would take more memory than was granted.
    TooMuch,
    Damage,
}

/// Reads frames from one segment, one after the other, holding one at a time.
pub(crate) struct Frames {
    file: BufReader<File>,
    position: u64,
    end: u64,
}

impl Frames {
    /// Starts at `from`; nothing from `end` on is looked at.
    pub(crate) fn open(path: &Path, first: u64, from: u64, end: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(HEADER_BYTES as u64 + (from - first)))?;
        Ok(Self { file: BufReader::with_capacity(128 << 10, file), position: from, end })
    }

    /// Where the next frame begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next frame if its payload takes at most `limit` bytes; None at the end.
    pub(crate) fn next(&mut self, limit: usize) -> io::Result<Option<Found>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_HEADER_BYTES];
        if !self.fill(&mut bytes)? {
            return Ok(Some(Found::Damage));
        }
        let Some(header) = FrameHeader::parse(bytes) else {
            return Ok(Some(Found::Damage));
        };
        let next = self.position + frame_bytes(header.length);
        if next > self.end {
            return Ok(Some(Found::Damage));
        }
        if header.length > limit {
            return Ok(Some(Found::TooMuch));
        }
        let mut payload = vec![0; header.length];
        if !self.fill(&mut payload)? || !header.matches(&payload) {
            return Ok(Some(Found::Damage));
        }
        let entry =
            Entry { position: Position(self.position), next: Position(next), stamp_ms: header.stamp_ms, payload };
        self.position = next;
        Ok(Some(Found::Entry(entry)))
    }

    /// False if the file ends first.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
