//! Packs columns into the bytes of a block and back. Pure computation: no file, no clock.
//!
//! Health data is mostly rounded decimals, counters and plateaus, so every column becomes integers that are packed in
//! few bits ([`integers`]); floats go there by a power of ten when that is exact to the last bit ([`floats`]).
//! Whoever reads bytes must expect any bytes: each length is checked before it is believed.

pub(crate) mod bits;
pub(crate) mod block;
pub(crate) mod entropy;
pub(crate) mod floats;
pub(crate) mod integers;
pub(crate) mod outside;
pub(crate) mod texts;

/// How hard to try when packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Our own packers: what is young is packed often, and read often.
    Quick,
    /// Also [`entropy`], where that is smaller: for what is old and large.
    Small,
}

/// Why bytes are not a column, or a column cannot become bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end before what they announce.
    #[error("the block ends too early")]
    Short,
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// The format byte is from a newer program.
    #[error("block format {0} is not known")]
    Format(u8),
    /// Something inside contradicts itself.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A float is NaN or infinite: neither is ever stored.
    #[error("a value is not a finite number")]
    NotFinite,
}

#[cfg(test)]
mod tests;
