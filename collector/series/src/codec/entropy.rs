//! Large columns as `pco` packs them: slowly, and smaller than our own packer does from about a thousand values on, because a
//! value takes the bits that it is worth on average and not as many as the largest of its neighbours.
//!
//! Layout: length, then pco's header, the meta data of one chunk, and one page. How many values there are the caller knows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};

use super::CodecError;
use super::bits::{Reader, put_varint};

/// With fewer values the meta data costs more than is won.
pub(crate) const LEAST: usize = 256;
/// pco's own default: higher levels take much longer and win less than one part in a hundred.
const LEVEL: usize = 8;

/// The values packed; none if pco does not take them.
pub(crate) fn encode<T: Number>(values: &[T]) -> Option<Vec<u8>> {
    let files = FileCompressor::default();
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let mut chunk = files.chunk_compressor(values, &config).ok()?;
    if chunk.n_per_page().len() != 1 {
        return None;
    }
    let mut packed = files.write_header(Vec::new()).ok()?;
    chunk.write_meta(&mut packed).ok()?;
    chunk.write_page(0, &mut packed).ok()?;
    let mut out = Vec::with_capacity(packed.len() + 3);
    put_varint(&mut out, packed.len() as u64);
    out.extend_from_slice(&packed);
    Some(out)
}

/// Reads `count` values. The caller has already limited `count`.
pub(crate) fn decode<T: Number + Default>(input: &mut Reader<'_>, count: usize) -> Result<Vec<T>, CodecError> {
    let length = input.length(input.rest().len())?;
    let packed = input.take(length)?;
    // A block's checksum was right, but whoever can write a file can write a checksum, and this decoder is not ours.
    let unpacked = catch_unwind(AssertUnwindSafe(|| unpack::<T>(packed, count)));
    unpacked.ok().flatten().ok_or(CodecError::Malformed("packed column"))
}

fn unpack<T: Number + Default>(packed: &[u8], count: usize) -> Option<Vec<T>> {
    let (files, rest) = FileDecompressor::new(packed).ok()?;
    let (mut chunk, rest) = files.chunk_decompressor::<T, _>(rest).ok()?;
    let mut page = chunk.page_decompressor(rest, count).ok()?;
    let mut values = vec![T::default(); count];
    let progress = page.read(&mut values).ok()?;
    (progress.n_processed == count).then_some(values)
}
