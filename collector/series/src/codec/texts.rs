//! Text: each distinct value once, then which one each row has. Fields with text are states and versions: few and repeated.

use std::collections::HashMap;
use std::sync::Arc;

use super::bits::{Reader, put_varint};
use super::{CodecError, Effort, integers};

/// Appends `values`.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[Arc<str>], effort: Effort) {
    let mut ids: HashMap<&str, i64> = HashMap::new();
    let mut distinct: Vec<&str> = Vec::new();
    let mut chosen = Vec::with_capacity(values.len());
    for value in values {
        let next = distinct.len() as i64;
        let id = *ids.entry(value).or_insert(next);
        if id == next {
            distinct.push(value);
        }
        chosen.push(id);
    }
    put_varint(out, distinct.len() as u64);
    for text in distinct {
        put_varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
    integers::encode_with(out, &chosen, effort);
}

/// Reads `count` values. The caller has already limited `count`.
pub(crate) fn decode(input: &mut Reader<'_>, count: usize) -> Result<Vec<Arc<str>>, CodecError> {
    let known = input.length(count)?;
    let mut distinct: Vec<Arc<str>> = Vec::with_capacity(known);
    for _ in 0..known {
        let length = input.length(input.rest().len())?;
        let text = std::str::from_utf8(input.take(length)?).map_err(|_| CodecError::Malformed("text"))?;
        distinct.push(text.into());
    }
    let pick = |id: i64| usize::try_from(id).ok().and_then(|id| distinct.get(id)).cloned();
    let chosen = integers::decode(input, count)?;
    chosen.into_iter().map(|id| pick(id).ok_or(CodecError::Malformed("text id"))).collect()
}
