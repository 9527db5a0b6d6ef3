//! Frames and headers as bytes. No file here.

use crate::MAX_RECORD_BYTES;

/// Length, checksum, stamp.
pub(crate) const FRAME_HEADER_BYTES: usize = 16;

/// The start of every segment.
pub(crate) const HEADER_BYTES: usize = 40;

/// The newest format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"bwjournl";

/// Bytes that a record takes in a segment.
pub(crate) const fn frame_bytes(payload: usize) -> u64 {
    (FRAME_HEADER_BYTES + payload) as u64
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) length: usize,
    pub(crate) stamp_ms: i64,
    crc: u32,
}

impl FrameHeader {
    /// None if no frame can begin like this.
    pub(crate) fn parse(bytes: [u8; FRAME_HEADER_BYTES]) -> Option<Self> {
        let length = u32::from_le_bytes(part(&bytes, 0)) as usize;
        (length <= MAX_RECORD_BYTES).then(|| Self {
            length,
            crc: u32::from_le_bytes(part(&bytes, 4)),
            stamp_ms: i64::from_le_bytes(part(&bytes, 8)),
        })
    }

    /// Whether the payload is what was written.
    pub(crate) fn matches(&self, payload: &[u8]) -> bool {
        checksum(self.stamp_ms, payload) == self.crc
    }
}

/// Adds one frame to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, stamp_ms: i64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("appending bounds a record's size");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(stamp_ms, payload).to_le_bytes());
    out.extend_from_slice(&stamp_ms.to_le_bytes());
    out.extend_from_slice(payload);
}

fn checksum(stamp_ms: i64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&stamp_ms.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// One that this program can read.
    Known { first: u64, stamp_floor_ms: i64 },
    /// One of a later program.
    Newer(u32),
    /// None, or a broken one.
    Damaged,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        if bytes.len() < 12 || bytes[..8] != *MAGIC {
            return Self::Damaged;
        }
        let version = u32::from_le_bytes(part(bytes, 8));
        if version > FORMAT {
            return Self::Newer(version);
        }
        if version == 0 || bytes.len() < HEADER_BYTES {
            return Self::Damaged;
        }
        if crc32fast::hash(&bytes[..32]) != u32::from_le_bytes(part(bytes, 32)) {
            return Self::Damaged;
        }
        Self::Known { first: u64::from_le_bytes(part(bytes, 16)), stamp_floor_ms: i64::from_le_bytes(part(bytes, 24)) }
    }

    /// The header of a new segment.
    pub(crate) fn encode(first: u64, stamp_floor_ms: i64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&first.to_le_bytes());
        bytes[24..32].copy_from_slice(&stamp_floor_ms.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_frame() {
        // What a file system leaves behind when it had grown the file but not yet written it.
        let header = FrameHeader::parse([0; FRAME_HEADER_BYTES]).unwrap();
        assert!(!header.matches(&[]));
    }

    #[test]
    fn a_header_survives_and_a_flipped_bit_does_not() {
        let bytes = Header::encode(77, -5);
        let known = Header::Known { first: 77, stamp_floor_ms: -5 };
        assert_eq!(Header::parse(&bytes), known);
        for bit in 0..36 * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Header::parse(&bad), known, "bit {bit}");
        }
    }
}
