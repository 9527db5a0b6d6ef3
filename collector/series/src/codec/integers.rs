//! Integers: differences of order 0, 1 or 2, divided by what they all share, in packs of [`PACK`] of equal width.
//!
//! Layout: one byte (order, and how the rest is signed), the first values as they are, the common divisor, the base if there is one, then the
//! packs: a width byte and the bits. Packs of zeros are counted, not stored: a plateau of any length takes two bytes.
//! All arithmetic wraps, so the extremes of `i64` come back as they went in.

use super::bits::{Reader, pack, packed_len, put_varint, unpack, unzigzag, zigzag};
use super::{CodecError, Effort, entropy};

/// Values that share one width. 32 is small enough for one outlier to cost little, large enough for the width byte to cost little.
const PACK: usize = 32;
/// The rest is zig-zag: an outlier costs its own pack only.
const SIGNED: u8 = 0x80;
/// The rest is what is above its smallest value: a level far from zero costs nothing.
const BASED: u8 = 0x40;
const MAX_ORDER: u8 = 2;
/// Bits that a higher order must win: it brings a value that is written as it is, and takes longer to read.
const WORTH_BITS: usize = 64;
/// Instead of all that: values as [`entropy`] packs them.
const ENTROPY: u8 = 0xc0;

/// Appends `values` to `out`; the reader must know how many they are.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[i64]) {
    let (mut cost, mut order, mut best) = (cost_of(values), 0, None);
    let mut differences: Vec<i64> = Vec::new();
    for next in 1..=MAX_ORDER {
        // Nothing is won by differences of what takes no bits.
        if cost.bits <= WORTH_BITS {
            break;
        }
        if next == 1 {
            differences.extend_from_slice(values);
        }
        difference(&mut differences, usize::from(next) - 1);
        let found = cost_of(&differences[usize::from(next).min(values.len())..]);
        if found.bits + WORTH_BITS < cost.bits {
            (cost, order, best) = (found, next, Some(differences.clone()));
        }
    }
    let rest = best.as_deref().unwrap_or(values);
    let (heads, rest) = rest.split_at(usize::from(order).min(rest.len()));
    out.push(order | cost.form);
    for head in heads {
        put_varint(out, zigzag(*head));
    }
    let divisor = put_divisor(out, rest, &cost);
    put_packs(out, &scaled(divisor, rest, &cost));
}

/// Writes what the rest is divided by, and its base.
fn put_divisor(out: &mut Vec<u8>, rest: &[i64], cost: &Cost) -> u64 {
    if cost.form == BASED {
        let divisor = common_divisor(rest.iter().map(|value| value.wrapping_sub(cost.base) as u64));
        put_varint(out, divisor);
        put_varint(out, zigzag(cost.base));
        return divisor;
    }
    let divisor = common_divisor(rest.iter().map(|value| value.unsigned_abs()));
    put_varint(out, divisor);
    divisor
}

fn scaled(divisor: u64, rest: &[i64], cost: &Cost) -> Vec<u64> {
    let above = |value: &i64| value.wrapping_sub(cost.base) as u64;
    match (cost.form, divisor) {
        // Most often, and a division takes longer than all the rest.
        (BASED, 1) => rest.iter().map(above).collect(),
        (BASED, _) => rest.iter().map(|value| above(value) / divisor).collect(),
        (_, 1) => rest.iter().map(|value| zigzag(*value)).collect(),
        _ => rest.iter().map(|value| zigzag(value / divisor as i64)).collect(),
    }
}

/// As [`encode`], or by [`entropy`] if that is wanted and smaller.
pub(crate) fn encode_with(out: &mut Vec<u8>, values: &[i64], effort: Effort) {
    let from = out.len();
    encode(out, values);
    if effort == Effort::Quick || values.len() < entropy::LEAST {
        return;
    }
    if let Some(packed) = entropy::encode(values).filter(|packed| packed.len() + 1 < out.len() - from) {
        out.truncate(from);
        out.push(ENTROPY);
        out.extend_from_slice(&packed);
    }
}

/// What a form of the rest would take.
#[derive(Clone, Copy)]
struct Cost {
    form: u8,
    base: i64,
    bits: usize,
}

/// The cheaper of zig-zag and base, before the divisor, which is nearly the same for both.
fn cost_of(values: &[i64]) -> Cost {
    let base = values.iter().copied().min().unwrap_or(0);
    let (mut signed, mut based) = (0, 64);
    for pack in values.chunks(PACK) {
        let (mut zigzags, mut offsets) = (0, 0);
        for value in pack {
            zigzags |= zigzag(*value);
            offsets |= value.wrapping_sub(base) as u64;
        }
        signed += (64 - zigzags.leading_zeros()) as usize * pack.len();
        based += (64 - offsets.leading_zeros()) as usize * pack.len();
    }
    if based < signed { Cost { form: BASED, base, bits: based } } else { Cost { form: SIGNED, base: 0, bits: signed } }
}

/// Replaces each value after `level` by its difference from the one before.
fn difference(values: &mut [i64], level: usize) {
    for at in (level + 1..values.len()).rev() {
        values[at] = values[at].wrapping_sub(values[at - 1]);
    }
}

fn common_divisor(values: impl Iterator<Item = u64>) -> u64 {
    let mut divisor = 0u64;
    for value in values {
        if divisor != 0 && value % divisor == 0 {
            continue;
        }
        let mut other = value;
        while other != 0 {
            (divisor, other) = (other, divisor % other);
        }
        if divisor == 1 {
            break;
        }
    }
    // Zig-zag divides signed numbers, so the one divisor that is not one of them stays away.
    if divisor == 0 || divisor > i64::MAX as u64 { 1 } else { divisor }
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
    if head == ENTROPY {
        return entropy::decode(input, count);
    }
    let (order, form) = (head & 0x3f, head & (SIGNED | BASED));
    if order > MAX_ORDER || !matches!(form, SIGNED | BASED) {
        return Err(CodecError::Malformed("order"));
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..usize::from(order).min(count) {
        values.push(unzigzag(input.varint()?));
    }
    let divisor = input.varint()?;
    let base = if form == BASED { unzigzag(input.varint()?) } else { 0 };
    let whole = |value: u64| match form {
        BASED => base.wrapping_add(value.wrapping_mul(divisor) as i64),
        _ => unzigzag(value).wrapping_mul(divisor as i64),
    };
    while values.len() < count {
        let width = input.byte()?;
        if width == 0 {
            let packs = input.length(count.div_ceil(PACK))?;
            let zeros = (packs * PACK).min(count - values.len());
            if zeros == 0 {
                return Err(CodecError::Malformed("pack"));
            }
            values.resize(values.len() + zeros, base);
            continue;
        }
        if width > 64 {
            return Err(CodecError::Malformed("width"));
        }
        let width = u32::from(width);
        let inside = PACK.min(count - values.len());
        let bytes = input.take(packed_len(inside, width))?;
        unpack(bytes, inside, width, |value| values.push(whole(value)))?;
    }
    for level in (0..order).rev() {
        for at in usize::from(level) + 1..values.len() {
            values[at] = values[at].wrapping_add(values[at - 1]);
        }
    }
    Ok(values)
}
