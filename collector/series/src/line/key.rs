//! What stands before a line's fields, measurement and tags: where it ends, and whether it is what the store calls a stream. Nothing is
//! copied.

/// Where a line's measurement and tags end: at the first space that no backslash stands before.
pub(crate) fn end(line: &str) -> usize {
    let bytes = line.as_bytes();
    let is_end = |at: &usize| bytes[..*at].iter().rev().take_while(|byte| **byte == b'\\').count().is_multiple_of(2);
    memchr::memchr_iter(b' ', bytes).find(is_end).unwrap_or(bytes.len())
}

/// Whether a name is written as it is: nothing in it needs a backslash, nor is one.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b',' | b'=' | b' ' | b'\\'))
}

/// As [`is_key`], where all names are [plain](is_plain).
pub(crate) fn is_plain_key<'a>(key: &str, measurement: &str, tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut rest = key.strip_prefix(measurement);
    for (name, value) in tags {
        rest = rest.and_then(|rest| rest.strip_prefix(',')?.strip_prefix(name)?.strip_prefix('=')?.strip_prefix(value));
    }
    rest.is_some_and(str::is_empty)
}

/// Does the store's name for a stream, a measurement and its sorted tags, stand in this text? Never yes for another's text; a
/// writer with a habit of its own may get a no, and is read in full.
pub(crate) fn is_key<'a>(key: &str, measurement: &str, tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut rest = strip(key.as_bytes(), measurement, b", ");
    for (name, value) in tags {
        rest = rest.and_then(|rest| rest.strip_prefix(b",")).and_then(|rest| strip(rest, name, b", ="));
        rest = rest.and_then(|rest| rest.strip_prefix(b"=")).and_then(|rest| strip(rest, value, b", ="));
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// What follows `text` in what was written, with backslashes before `marks`.
fn strip<'a>(mut written: &'a [u8], text: &str, marks: &[u8]) -> Option<&'a [u8]> {
    for byte in text.bytes() {
        let (first, mut after) = written.split_first()?;
        let mut found = *first;
        if found == b'\\' {
            match after.split_first() {
                // Two in a row are read by pairs: not worth the care.
                Some((b'\\', _)) => return None,
                Some((mark, behind)) if marks.contains(mark) => (found, after) = (*mark, behind),
                _ => {}
            }
        }
        if found != byte {
            return None;
        }
        written = after;
    }
    Some(written)
}
