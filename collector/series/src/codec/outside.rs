//! Blocks as bytes, for whoever looks at them outside a store: the fuzzer does.

use super::{CodecError, Effort, block};
use crate::chunk::Chunk;
use crate::point::Point;

/// A block that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Its rows.
    pub rows: usize,
    /// Values that have a place in memory, holes included.
    pub cells: usize,
    /// The same rows packed again; `None` if they hold what is never stored: a float that is not finite.
    pub again: Option<Vec<u8>>,
}

/// Packs rows, which must be in the order of their times, as they are sealed or, if `small`, as they are compacted. Tags and names
/// are no part of a block: fields are numbered.
///
/// # Errors
/// When a value is not finite.
pub fn pack_block(rows: &[Point<'_>], small: bool) -> Result<Vec<u8>, CodecError> {
    let mut chunk = Chunk { times: rows.iter().map(|row| row.time).collect(), columns: Vec::new() };
    let mut names: Vec<&str> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for (name, value) in &row.fields {
            let field = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            chunk.put(at, field as u32, value);
        }
    }
    block::encode_with(&chunk, if small { Effort::Small } else { Effort::Quick })
}

/// Unpacks whatever these bytes are.
///
/// # Errors
/// What is wrong with them.
pub fn unpack_block(bytes: &[u8]) -> Result<Unpacked, CodecError> {
    let chunk = block::decode(bytes, |_| true)?;
    Ok(Unpacked { rows: chunk.times.len(), cells: chunk.cells(), again: block::encode(&chunk).ok() })
}

/// Gives changed bytes a checksum that fits, so that what lies behind it is reached.
pub fn seal_block(bytes: &mut [u8]) {
    block::seal(bytes);
}
