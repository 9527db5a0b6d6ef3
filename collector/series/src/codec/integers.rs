//! Integers: differences of order 0, 1 or 2, divided by what they all share, in packs of [`PACK`] of equal width.
//!
//! Layout: one byte (order, and whether the rest is signed), the first values as they are, the common divisor, then the packs: a width byte
//! and the bits. Packs of zeros are counted, not stored: a plateau of any length takes two bytes.
//! All arithmetic wraps, so the extremes of `i64` come back as they went in.

use super::CodecError;
use super::bits::{Reader, pack, packed_len, put_varint, unpack, unzigzag, zigzag};

/// Values that share one width. 32 is small enough for one outlier to cost little, large enough for the width byte to cost little.
const PACK: usize = 32;
const SIGNED: u8 = 0x80;
const MAX_ORDER: u8 = 2;

/// Appends `values` to `out`; the reader must know how many they are.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[i64]) {
    let order = best_order(values);
    let mut rest = values.to_vec();
    for level in 0..order {
        difference(&mut rest, usize::from(level));
    }
    let first = usize::from(order).min(rest.len());
    let (heads, rest) = rest.split_at_mut(first);
    let divisor = common_divisor(rest);
    let signed = rest.iter().any(|value| *value < 0);
    out.push(order | if signed { SIGNED } else { 0 });
    for head in heads.iter() {
        put_varint(out, zigzag(*head));
    }
    put_varint(out, divisor);
    let scaled: Vec<u64> = rest.iter().map(|value| scale(*value, divisor, signed)).collect();
    put_packs(out, &scaled);
}

/// Replaces each value after `level` by its difference from the one before.
fn difference(values: &mut [i64], level: usize) {
    for at in (level + 1..values.len()).rev() {
        values[at] = values[at].wrapping_sub(values[at - 1]);
    }
}

fn scale(value: i64, divisor: u64, signed: bool) -> u64 {
    let magnitude = if divisor > 1 { value.unsigned_abs() / divisor } else { value.unsigned_abs() };
    match (signed, value < 0) {
        (false, _) => magnitude,
        (true, false) => magnitude << 1,
        // The magnitude is at least 1, and i64::MIN becomes u64::MAX.
        (true, true) => (magnitude - 1) << 1 | 1,
    }
}

fn unscale(value: u64, divisor: u64, signed: bool) -> i64 {
    if !signed {
        return value.wrapping_mul(divisor) as i64;
    }
    let magnitude = (value >> 1).wrapping_add(value & 1).wrapping_mul(divisor) as i64;
    if value & 1 == 1 { magnitude.wrapping_neg() } else { magnitude }
}

fn common_divisor(values: &[i64]) -> u64 {
    let mut divisor = 0u64;
    for value in values {
        let mut other = value.unsigned_abs();
        while other != 0 {
            (divisor, other) = (other, divisor % other);
        }
        if divisor == 1 {
            break;
        }
    }
    divisor.max(1)
}

/// The order whose packs are smallest. The first two values, and what the divisor saves, hardly move the answer.
fn best_order(values: &[i64]) -> u8 {
    let [first, second, rest @ ..] = values else { return 0 };
    let mut costs = [0usize; MAX_ORDER as usize + 1];
    let (mut before, mut slope) = (*second, second.wrapping_sub(*first));
    for pack in rest.chunks(PACK) {
        let mut bits = [0u64; MAX_ORDER as usize + 1];
        for &value in pack {
            let step = value.wrapping_sub(before);
            bits[0] |= zigzag(value);
            bits[1] |= zigzag(step);
            bits[2] |= zigzag(step.wrapping_sub(slope));
            (before, slope) = (value, step);
        }
        for (cost, bits) in costs.iter_mut().zip(bits) {
            *cost += (64 - bits.leading_zeros()) as usize * pack.len();
        }
    }
    (0..=MAX_ORDER).min_by_key(|order| costs[usize::from(*order)]).unwrap_or(0)
}

fn put_packs(out: &mut Vec<u8>, values: &[u64]) {
    let mut zeros = 0u64;
    for values in values.chunks(PACK) {
        let bits = values.iter().fold(0, |bits, value| bits | value);
        let width = 64 - bits.leading_zeros();
        if width == 0 {
            zeros += 1;
            continue;
        }
        flush_zeros(out, &mut zeros);
        out.push(width as u8);
        pack(out, values, width);
    }
    flush_zeros(out, &mut zeros);
}

fn flush_zeros(out: &mut Vec<u8>, zeros: &mut u64) {
    if *zeros > 0 {
        out.push(0);
        put_varint(out, *zeros);
        *zeros = 0;
    }
}

/// Reads `count` values. The caller has already limited `count`.
pub(crate) fn decode(input: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, CodecError> {
    let head = input.byte()?;
    let (order, signed) = (head & !SIGNED, head & SIGNED != 0);
    if order > MAX_ORDER {
        return Err(CodecError::Malformed("order"));
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..usize::from(order).min(count) {
        values.push(unzigzag(input.varint()?));
    }
    let divisor = input.varint()?;
    while values.len() < count {
        let width = input.byte()?;
        if width == 0 {
            let packs = input.length(count.div_ceil(PACK))?;
            let zeros = (packs * PACK).min(count - values.len());
            if zeros == 0 {
                return Err(CodecError::Malformed("pack"));
            }
            values.resize(values.len() + zeros, 0);
            continue;
        }
        if width > 64 {
            return Err(CodecError::Malformed("width"));
        }
        let width = u32::from(width);
        let inside = PACK.min(count - values.len());
        let bytes = input.take(packed_len(inside, width))?;
        unpack(bytes, inside, width, |value| values.push(unscale(value, divisor, signed)))?;
    }
    for level in (0..order).rev() {
        for at in usize::from(level) + 1..values.len() {
            values[at] = values[at].wrapping_add(values[at - 1]);
        }
    }
    Ok(values)
}
