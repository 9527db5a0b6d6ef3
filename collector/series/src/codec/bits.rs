//! Variable-length numbers, and numbers of equal width packed without gaps.

use super::CodecError;

/// Reads forward over bytes that may be anything.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.bytes.split_first().ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        if length > self.bytes.len() {
            return Err(CodecError::Short);
        }
        let (taken, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError::Malformed("varint"))
    }

    /// A length that must not exceed `most`: the guard before every allocation.
    pub(crate) fn length(&mut self, most: usize) -> Result<usize, CodecError> {
        let length = usize::try_from(self.varint()?).map_err(|_| CodecError::Malformed("length"))?;
        if length > most {
            return Err(CodecError::Malformed("length"));
        }
        Ok(length)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign become small numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// The bytes that `count` numbers of `width` bits take.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` bits of each value.
pub(crate) fn pack(out: &mut Vec<u8>, values: &[u64], width: u32) {
    let mut pending = 0u128;
    let mut filled = 0u32;
    for &value in values {
        pending |= u128::from(value) << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            filled -= 64;
        }
    }
    let tail = (pending as u64).to_le_bytes();
    out.extend_from_slice(&tail[..filled.div_ceil(8) as usize]);
}

/// Reads `count` numbers of `width` bits and hands each to `each`.
pub(crate) fn unpack(bytes: &[u8], count: usize, width: u32, mut each: impl FnMut(u64)) -> Result<(), CodecError> {
    if bytes.len() < packed_len(count, width) {
        return Err(CodecError::Short);
    }
    let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
    let mut bit = 0usize;
    for _ in 0..count {
        // Seven bits of shift at most: one word has all of a number that is not wider.
        if width <= 57
            && let Some(word) = bytes.get(bit / 8..bit / 8 + 8).and_then(|word| word.try_into().ok())
        {
            each((u64::from_le_bytes(word) >> (bit % 8)) & mask);
            bit += width as usize;
            continue;
        }
        let at = bit / 8;
        let shift = (bit % 8) as u32;
        let word = window(bytes, at) >> shift;
        each(word as u64 & mask);
        bit += width as usize;
    }
    Ok(())
}

/// Sixteen bytes from `at`, zeros beyond the end.
fn window(bytes: &[u8], at: usize) -> u128 {
    if let Some(word) = bytes.get(at..at + 16).and_then(|b| b.try_into().ok()) {
        return u128::from_le_bytes(word);
    }
    let mut word = [0u8; 16];
    let rest = bytes.get(at..).unwrap_or(&[]);
    let length = rest.len().min(16);
    word[..length].copy_from_slice(&rest[..length]);
    u128::from_le_bytes(word)
}

/// Appends bits, most significant first; for values whose widths differ one by one.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u128,
    filled: u32,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u64, width: u32) {
        self.pending = (self.pending << width) | u128::from(value);
        self.filled += width;
        while self.filled >= 8 {
            self.filled -= 8;
            self.bytes.push((self.pending >> self.filled) as u8);
        }
        self.pending &= (1 << self.filled) - 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push((self.pending << (8 - self.filled)) as u8);
        }
        self.bytes
    }
}

/// The other end of [`BitWriter`].
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    pub(crate) fn get(&mut self, width: u32) -> Result<u64, CodecError> {
        if self.bit + width as usize > self.bytes.len() * 8 {
            return Err(CodecError::Short);
        }
        let word = window(self.bytes, self.bit / 8).swap_bytes();
        let value = (word << (self.bit % 8)) >> (128 - width.max(1));
        self.bit += width as usize;
        Ok(if width == 0 { 0 } else { value as u64 })
    }
}
