//! Compact JSON with line ends and indents for people, as Go's encoder indents: four spaces, and nothing inside what is empty.

use std::io::{Result, Write};

/// Indents what is written through it.
pub(crate) struct Pretty<W> {
    out: W,
    depth: usize,
    quoted: bool,
    escaped: bool,
    /// A bracket was opened, and it is not known yet whether something is inside.
    opened: bool,
}

impl<W: Write> Pretty<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, depth: 0, quoted: false, escaped: false, opened: false }
    }

    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn byte(&mut self, made: &mut Vec<u8>, byte: u8) {
        if self.quoted {
            made.push(byte);
            self.quoted = self.escaped || byte != b'"';
            self.escaped = byte == b'\\' && !self.escaped;
            return;
        }
        let closes = matches!(byte, b'}' | b']');
        if closes {
            self.depth = self.depth.saturating_sub(1);
        }
        if self.opened != closes {
            line(made, self.depth);
        }
        self.opened = false;
        made.push(byte);
        match byte {
            b'{' | b'[' => (self.depth, self.opened) = (self.depth + 1, true),
            b',' => line(made, self.depth),
            b':' => made.push(b' '),
            b'"' => self.quoted = true,
            _ => {}
        }
    }
}

fn line(made: &mut Vec<u8>, depth: usize) {
    made.push(b'\n');
    made.extend(std::iter::repeat_n(b' ', 4 * depth));
}

impl<W: Write> Write for Pretty<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut made = Vec::with_capacity(bytes.len() * 2);
        for byte in bytes {
            self.byte(&mut made, *byte);
        }
        self.out.write_all(&made)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_go_does_it() {
        let mut pretty = Pretty::new(Vec::new());
        // In pieces that fall anywhere.
        for byte in br#"{"a":[1,"x, \"{\\"],"b":{},"c":[],"d":{"e":null}}"# {
            pretty.write_all(&[*byte]).unwrap();
        }
        let text = String::from_utf8(pretty.into_inner()).unwrap();
        let expected = "{\n    \"a\": [\n        1,\n        \"x, \\\"{\\\\\"\n    ],\n    \"b\": {},\n    \"c\": [],\n    \"d\": {\n        \"e\": null\n    }\n}";
        assert_eq!(text, expected);
    }
}
