//! Recordings of devices in snmpsim's form: a line for each name, `OID|type|value`.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::message::{integer, oid, wide, wrap};

/// Names, each with its value as it goes out.
pub type Rows = BTreeMap<Vec<u32>, Vec<u8>>;

/// A recording that was read.
#[derive(Debug, Default)]
pub struct Recording {
    /// What it holds.
    pub rows: Rows,
    /// Lines that could not be used: of a type that only snmpsim knows, or broken.
    pub bad: usize,
}

/// Reads the first `lines_max` lines.
#[must_use]
pub fn read(from: impl BufRead, lines_max: usize) -> Recording {
    let mut recording = Recording::default();
    for line in from.split(b'\n').take(lines_max).filter_map(Result::ok) {
        let line = line.trim_ascii_end();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match row(line) {
            Some((name, value)) => drop(recording.rows.insert(name, value)),
            None => recording.bad += 1,
        }
    }
    recording
}

/// A table of so many interfaces with their counters, and the system group, as a switch has them.
#[must_use]
pub fn switch(ports: u32) -> Rows {
    let mut rows = Rows::new();
    let system = [1, 3, 6, 1, 2, 1, 1];
    rows.insert([&system[..], &[1, 0]].concat(), wrap(4, b"Simulated switch"));
    rows.insert([&system[..], &[3, 0]].concat(), integer(0x43, 360_000));
    rows.insert([&system[..], &[5, 0]].concat(), wrap(4, b"sw-closet"));
    for port in 1..=ports {
        let table = |column: u32| [&[1, 3, 6, 1, 2, 1, 2, 2, 1][..], &[column, port]].concat();
        rows.insert(table(2), wrap(4, format!("Port {port}").as_bytes()));
        rows.insert(table(10), integer(0x41, i64::from(port) * 1_000));
        let counters = [&[1, 3, 6, 1, 2, 1, 31, 1, 1, 1][..], &[6, port]].concat();
        rows.insert(counters, wide(0x46, i128::from(port) << 33));
    }
    rows
}

fn row(line: &[u8]) -> Option<(Vec<u32>, Vec<u8>)> {
    let mut parts = line.splitn(3, |&byte| byte == b'|');
    let name = arcs(parts.next()?)?;
    let kind = str::from_utf8(parts.next()?).ok()?;
    let text = parts.next()?;
    let (number, hexadecimal) = kind.strip_suffix('x').map_or((kind, false), |number| (number, true));
    let bytes = if hexadecimal { octets(text)? } else { text.to_vec() };
    Some((name, value(number.parse().ok()?, &bytes, hexadecimal)?))
}

/// A value with the tag of its type's number.
fn value(kind: u8, bytes: &[u8], hexadecimal: bool) -> Option<Vec<u8>> {
    let text = || str::from_utf8(bytes).ok().map(str::trim);
    Some(match kind {
        2 | 65 | 66 | 67 | 70 => wide(tag(kind), text()?.parse().ok()?),
        4 | 68 => wrap(tag(kind), bytes),
        5 => wrap(5, &[]),
        6 => oid(&arcs(bytes)?),
        64 if hexadecimal => wrap(0x40, <&[u8; 4]>::try_from(bytes).ok()?),
        64 => wrap(0x40, &text()?.parse::<std::net::Ipv4Addr>().ok()?.octets()),
        _ => return None,
    })
}

/// 64 and above are the application's types (RFC 2578, 7.1).
const fn tag(kind: u8) -> u8 {
    if kind >= 64 { kind - 64 + 0x40 } else { kind }
}

fn arcs(text: &[u8]) -> Option<Vec<u32>> {
    str::from_utf8(text).ok()?.trim().split('.').map(|arc| arc.parse().ok()).collect()
}

fn octets(text: &[u8]) -> Option<Vec<u8>> {
    let digits = str::from_utf8(text).ok()?;
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_each_type_are_read_and_bad_ones_counted() {
        let text =
            b"# a comment\n1.3.6.1|4x|00ff\n1.3.6.2|2|-1\n1.3.6.3|64x|0a000001\n1.3.6.4|70|18446744073709551615\n\
            1.3.6.5|2:numeric|min=1\n1.3.6.6|64x|\n1.3.6.7|6|1.3.6\n";
        let recording = read(&text[..], 100);
        assert_eq!((recording.rows.len(), recording.bad), (5, 2));
        assert_eq!(recording.rows[&vec![1, 3, 6, 1]], [4, 2, 0, 0xff]);
        assert_eq!(recording.rows[&vec![1, 3, 6, 2]], [2, 1, 0xff]);
        assert_eq!(recording.rows[&vec![1, 3, 6, 3]], [0x40, 4, 10, 0, 0, 1]);
    }
}
