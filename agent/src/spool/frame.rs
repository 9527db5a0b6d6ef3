//! A frame: length and checksum (four bytes each, little endian), then the payload. The checksum covers the length
//! too, so that a torn length is noticed.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

/// What stands before each payload.
pub(super) const HEAD_BYTES: usize = 8;

/// No batch is larger; a longer length is a torn or broken one.
pub(super) const MAX_PAYLOAD_BYTES: usize = bellwether_proto::MAX_MESSAGE_BYTES;

/// A payload in its frame.
pub(super) fn encode(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is below a mebibyte").to_le_bytes();
    let mut frame = Vec::with_capacity(HEAD_BYTES + payload.len());
    frame.extend(length);
    frame.extend(checksum(length, payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// Replaces a file of one frame, without waiting for the disk.
pub(super) fn put(path: &Path, payload: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let written = fs::write(&beside, encode(payload)).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // On a full disk half a file is left.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The length of the payload that a head announces; none if no batch has it.
pub(super) fn payload_bytes(head: [u8; HEAD_BYTES]) -> Option<usize> {
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    (1..=MAX_PAYLOAD_BYTES).contains(&length).then_some(length)
}

/// Whether a payload is the one that its head announces.
pub(super) fn is_whole(head: [u8; HEAD_BYTES], payload: &[u8]) -> bool {
    let length = [head[0], head[1], head[2], head[3]];
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    payload_bytes(head) == Some(payload.len()) && checksum(length, payload) == sum
}

/// Where in `bytes`, from `start` on, whole frames have their payloads; it ends at the first that is not whole.
pub(super) fn payloads(bytes: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = start;
    std::iter::from_fn(move || {
        let head = bytes.get(at..)?.first_chunk::<HEAD_BYTES>()?;
        let from = at + HEAD_BYTES;
        let range = from..from + payload_bytes(*head)?;
        is_whole(*head, bytes.get(range.clone())?).then(|| {
            at = range.end;
            range
        })
    })
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}
