//! Floats: as decimals when every value is one to the last bit, else by what changed in the bits.
//!
//! Layout: a byte for the method; decimals: the scale, then [`integers`]; else an XOR stream, what [`entropy`] makes of them, or the bytes as they are, whichever is shortest.

use super::bits::{BitReader, BitWriter, Reader, put_varint};
use super::{CodecError, Effort, entropy, integers};

const DECIMAL: u8 = 0;
const XOR: u8 = 1;
const RAW: u8 = 2;
const ENTROPY: u8 = 3;

/// Powers of ten that are tried. Sources quantise to 0.01 and 0.001; three more digits cost nothing when unused.
const POWERS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Beyond 2^53 a float no longer names every integer.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// With this many meaningful bits a window of the XOR stream is as wide as it can be written.
const WINDOW_BITS: u32 = 6;
const LEADING_BITS: u32 = 5;

/// Appends `values`; refuses NaN and infinities, which no answer could show.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[f64], effort: Effort) -> Result<(), CodecError> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(CodecError::NotFinite);
    }
    if let Some((scale, decimals)) = as_decimals(values) {
        out.push(DECIMAL);
        out.push(scale);
        integers::encode_with(out, &decimals, effort);
        return Ok(());
    }
    let stream = xor(values);
    if effort == Effort::Small
        && values.len() >= entropy::LEAST
        && let Some(packed) = entropy::encode(values).filter(|packed| packed.len() < stream.len())
    {
        out.push(ENTROPY);
        out.extend_from_slice(&packed);
        return Ok(());
    }
    if stream.len() < values.len() * 8 {
        out.push(XOR);
        put_varint(out, stream.len() as u64);
        out.extend_from_slice(&stream);
    } else {
        out.push(RAW);
        for value in values {
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
    Ok(())
}

/// A small scale at which every value is a whole number, and those numbers.
fn as_decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut decimals = Vec::with_capacity(values.len());
    let mut scale = 0;
    while let Some(value) = values.get(decimals.len()) {
        match at_scale(*value, scale) {
            Some(decimal) => decimals.push(decimal),
            None => {
                // A value that fits a small scale need not fit a larger one to the last bit: all are asked again.
                scale = (scale + 1..POWERS.len()).find(|scale| at_scale(*value, *scale).is_some())?;
                decimals.clear();
            }
        }
    }
    Some((scale as u8, decimals))
}

fn at_scale(value: f64, scale: usize) -> Option<i64> {
    let scaled = value * POWERS[scale];
    if scaled.abs() >= MAX_EXACT {
        return None;
    }
    // The nearest whole number, without a call: below 2^53 all of this is exact.
    let below = scaled as i64;
    let rest = scaled - below as f64;
    let whole = below + i64::from(rest >= 0.5) - i64::from(rest <= -0.5);
    // Bits, not ==: minus zero must come back as minus zero.
    (from_scale(whole, scale).to_bits() == value.to_bits()).then_some(whole)
}

fn from_scale(whole: i64, scale: usize) -> f64 {
    whole as f64 / POWERS[scale]
}

fn xor(values: &[f64]) -> Vec<u8> {
    let mut out = BitWriter::default();
    let mut before = 0u64;
    let mut window: Option<(u32, u32)> = None;
    for value in values {
        let bits = value.to_bits();
        let change = bits ^ before;
        before = bits;
        if change == 0 {
            out.put(0, 1);
            continue;
        }
        let leading = change.leading_zeros().min(31);
        let trailing = change.trailing_zeros();
        match window {
            Some((from, to)) if leading >= from && trailing >= to => {
                out.put(0b10, 2);
                out.put(change >> to, 64 - from - to);
            }
            _ => {
                let width = 64 - leading - trailing;
                out.put(0b11, 2);
                out.put(u64::from(leading), LEADING_BITS);
                out.put(u64::from(width - 1), WINDOW_BITS);
                out.put(change >> trailing, width);
                window = Some((leading, trailing));
            }
        }
    }
    out.finish()
}

fn unxor(bytes: &[u8], count: usize) -> Result<Vec<f64>, CodecError> {
    let mut input = BitReader::new(bytes);
    let mut values = Vec::with_capacity(count);
    let mut before = 0u64;
    let mut window: Option<(u32, u32)> = None;
    for _ in 0..count {
        if input.get(1)? == 1 {
            if input.get(1)? == 1 {
                let leading = input.get(LEADING_BITS)? as u32;
                let width = input.get(WINDOW_BITS)? as u32 + 1;
                let trailing = 64u32.checked_sub(leading + width).ok_or(CodecError::Malformed("window"))?;
                window = Some((leading, trailing));
            }
            let (from, to) = window.ok_or(CodecError::Malformed("window"))?;
            before ^= input.get(64 - from - to)? << to;
        }
        values.push(f64::from_bits(before));
    }
    Ok(values)
}

/// Reads `count` values. The caller has already limited `count`.
pub(crate) fn decode(input: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, CodecError> {
    match input.byte()? {
        DECIMAL => {
            let scale = usize::from(input.byte()?);
            if scale >= POWERS.len() {
                return Err(CodecError::Malformed("scale"));
            }
            let whole = integers::decode(input, count)?;
            Ok(whole.into_iter().map(|value| from_scale(value, scale)).collect())
        }
        XOR => {
            let length = input.length(count * 10 + 8)?;
            unxor(input.take(length)?, count)
        }
        ENTROPY => entropy::decode(input, count),
        RAW => {
            let bytes = input.take(count.checked_mul(8).ok_or(CodecError::Short)?)?;
            let words = bytes.chunks_exact(8).filter_map(|word| word.try_into().ok());
            Ok(words.map(|word| f64::from_bits(u64::from_le_bytes(word))).collect())
        }
        _ => Err(CodecError::Malformed("float method")),
    }
}
