//! Reads recordings of devices: lines of `OID|type|value`, as the programs around snmpsim write them.
//!
//! Recordings are of real devices and hold what real devices say. A line that is not understood is counted and left out;
//! nothing in a recording ends the program.

use std::net::Ipv4Addr;

use super::{Answers, Oid, Value};

/// Prefixes of which one contains the other, at most.
const NESTED_MAX: usize = 4;

/// What was read of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What the device answered.
    pub answers: Answers,
    /// Lines that were not understood.
    pub bad_lines: usize,
    /// Values for which there was no room.
    pub left_out: usize,
}

/// Reads what is below one of `wanted` of a recording; of an empty list, everything.
#[must_use]
pub fn read(text: &[u8], wanted: &[Oid]) -> Recording {
    let mut recording = Recording::default();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match oid(line) {
            None => recording.bad_lines += 1,
            Some((oid, _)) if !is_wanted(&oid, wanted) => {}
            Some((oid, rest)) => match value(rest) {
                None => recording.bad_lines += 1,
                Some(value) => recording.left_out += usize::from(recording.answers.insert(oid, value).is_err()),
            },
        }
    }
    recording
}

/// For each of `prefixes`, the first value at or below it: what a device would say that is asked for the next one.
#[must_use]
pub fn first_below(text: &[u8], prefixes: &[Oid]) -> Answers {
    let mut answers = Answers::default();
    let mut open: Vec<Oid> = prefixes.to_vec();
    open.sort();
    for line in text.split(|byte| *byte == b'\n') {
        let Some((oid, rest)) = oid(line) else { continue };
        // The last of those that are not beyond it, or one before that contains both.
        let before = open.partition_point(|prefix| *prefix <= oid);
        let Some(at) = (0..before).rev().take(NESTED_MAX).find(|at| oid.starts_with(&open[*at])) else { continue };
        if let Some(value) = value(rest.strip_suffix(b"\r").unwrap_or(rest)) {
            open.remove(at);
            // A few dozen values have room.
            let _ = answers.insert(oid, value);
        }
    }
    answers
}

/// Whether a sorted list, none of which is below another, has one that `oid` is below.
fn is_wanted(oid: &Oid, wanted: &[Oid]) -> bool {
    let after = wanted.partition_point(|prefix| prefix <= oid);
    wanted.is_empty() || after.checked_sub(1).is_some_and(|at| oid.starts_with(&wanted[at]))
}

fn oid(line: &[u8]) -> Option<(Oid, &[u8])> {
    let bar = line.iter().position(|byte| *byte == b'|')?;
    let name = str::from_utf8(&line[..bar]).ok()?.trim();
    Some((name.parse().ok()?, &line[bar + 1..]))
}

fn value(rest: &[u8]) -> Option<Value> {
    let bar = rest.iter().position(|byte| *byte == b'|')?;
    let (kind, raw) = (str::from_utf8(&rest[..bar]).ok()?, &rest[bar + 1..]);
    if let Some(kind) = kind.strip_suffix('x') {
        let octets = hex(raw)?;
        return match kind {
            "4" => Some(Value::Octets(octets)),
            "64" | "40" => <[u8; 4]>::try_from(octets).ok().map(|octets| Value::Address(octets.into())),
            "68" => Some(Value::Opaque(octets)),
            _ => None,
        };
    }
    // Changing values have a name behind the type and say how they change.
    let (kind, raw) = match kind.split_once(':') {
        Some((kind, _)) => (kind, start_of_variation(raw)),
        None => (kind, raw.to_vec()),
    };
    let text = || String::from_utf8_lossy(&raw).trim().to_owned();
    match kind {
        "2" => text().parse().ok().map(Value::Integer),
        "4" => Some(Value::Octets(raw)),
        "6" => text().parse().ok().map(|oid| Value::ObjectId(Box::new(oid))),
        "64" => text().parse::<Ipv4Addr>().ok().map(Value::Address),
        // Recorders write what is beyond the type as it came; only what a device could send is read.
        "65" => text().parse().ok().map(Value::Counter32),
        "66" => text().parse().ok().map(Value::Gauge32),
        "67" => text().parse().ok().map(Value::TimeTicks),
        "68" => Some(Value::Opaque(raw)),
        "70" => text().parse().ok().map(Value::Counter64),
        _ => None,
    }
}

/// `initial=5,rate=3` and `value=5` begin with 5.
fn start_of_variation(raw: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(raw);
    let part = text.split(',').find_map(|part| ["initial=", "value="].iter().find_map(|name| part.strip_prefix(name)));
    part.unwrap_or("0").as_bytes().to_vec()
}

fn hex(raw: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digits = digits.strip_prefix(b"0x").unwrap_or(&digits);
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect::<Option<Vec<u8>>>()
}
