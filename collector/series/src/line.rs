//! Line protocol, as InfluxDB reads it: `measurement,tag=value field=1i,other="text" 1700000000`.
//!
//! A line that is wrong costs itself alone. Text is borrowed from the input wherever nothing was escaped.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use crate::point::{FieldValue, Point};

/// The unit of the times of written lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// The unit that is meant when none is given.
    #[default]
    Nanoseconds,
    /// `u` or `us`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
    /// `m`.
    Minutes,
    /// `h`.
    Hours,
}

impl Precision {
    /// The unit that a request names; `None` for one that nobody knows.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        Some(match text {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    /// Nanoseconds of one unit.
    #[must_use]
    pub fn nanoseconds(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

/// A line that was read, and where it stands in the text, without its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// What it says.
    pub point: Point<'a>,
    /// Bytes of the text.
    pub place: Range<usize>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse '{line}': {reason}")]
pub struct LineError {
    /// The line; its beginning if it is long.
    pub line: String,
    /// What is wrong with it, in InfluxDB's words.
    pub reason: &'static str,
}

/// How much of a bad line is shown to the writer.
const SHOWN_BYTES: usize = 512;

/// Reads all lines. Lines without a time are of `now_ns`.
#[must_use]
pub fn lines(text: &[u8], precision: Precision, now_ns: i64) -> Lines<'_> {
    Lines { text, at: 0, unit: precision.nanoseconds(), now_ns }
}

/// The lines of a text, one by one. Comments and empty lines are passed over.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    unit: i64,
    now_ns: i64,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.text.get(self.at).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0) {
                self.at += 1;
            }
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            let from = self.at;
            if rest[0] == b'#' {
                self.at += newline(rest);
                continue;
            }
            let end = line_end(rest);
            self.at += end;
            let line = trim_end(&rest[..end]);
            let place = from..from + line.len();
            return Some(match read(line, self.unit, self.now_ns) {
                Ok(point) => Ok(Line { point, place }),
                Err(reason) => Err(LineError { line: shown(line), reason }),
            });
        }
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]).into_owned()
}

fn trim_end(line: &[u8]) -> &[u8] {
    let length = line.iter().rposition(|byte| !matches!(byte, b'\r' | b' ')).map_or(0, |last| last + 1);
    &line[..length]
}

fn newline(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())
}

/// Where the line ends: a newline inside a quoted value does not end it. Quotes mean something in values only.
fn line_end(text: &[u8]) -> usize {
    let first = newline(text);
    if !text[..first].contains(&b'"') {
        return first;
    }
    let (mut at, mut fields, mut quoted, mut in_value) = (0, false, false, false);
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'\n' if !quoted => return at,
            b' ' if !quoted => fields = true,
            b'=' if fields && !quoted => in_value = true,
            b',' if fields && !quoted => in_value = false,
            b'"' if in_value => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

type Read<T> = Result<T, &'static str>;

fn read(line: &[u8], unit: i64, now_ns: i64) -> Read<Point<'_>> {
    let line = std::str::from_utf8(line).map_err(|_| "invalid UTF-8")?;
    let mut cursor = Cursor { line, at: 0 };
    let measurement = cursor.measurement()?;
    let tags = cursor.tags()?;
    cursor.spaces();
    if cursor.rest().is_empty() {
        return Err("missing fields");
    }
    let fields = cursor.fields()?;
    cursor.spaces();
    let time = match cursor.rest() {
        "" => now_ns,
        digits => {
            let time: i64 = digits.parse().map_err(|_| "bad timestamp")?;
            time.checked_mul(unit)
                .filter(|time| is_in_range(*time))
                .ok_or("time outside range -9223372036854775806 - 9223372036854775806")?
        }
    };
    Ok(Point { measurement, tags, time, fields })
}

/// The ends of the 64 bits are kept free, as in InfluxDB.
fn is_in_range(time: i64) -> bool {
    (i64::MIN + 2..i64::MAX).contains(&time)
}

struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    /// The text up to one of `ends`, and whether anything in it was escaped. A backslash keeps the byte behind it from ending it.
    fn until(&mut self, ends: &[u8]) -> (&'a str, bool) {
        let (bytes, from) = (self.line.as_bytes(), self.at);
        let mut escaped = false;
        while let Some(byte) = bytes.get(self.at) {
            if ends.contains(byte) {
                break;
            }
            if *byte == b'\\' && self.at + 1 < bytes.len() {
                escaped = true;
                self.at += 1;
            }
            self.at += 1;
        }
        // A letter of several bytes behind a backslash: stop at its end.
        while !self.line.is_char_boundary(self.at) {
            self.at += 1;
        }
        (&self.line[from..self.at], escaped)
    }

    fn measurement(&mut self) -> Read<Cow<'a, str>> {
        let (text, escaped) = self.until(b", ");
        if text.is_empty() {
            return Err("missing measurement");
        }
        Ok(plain(text, escaped, &[',', ' ']))
    }

    fn tags(&mut self) -> Read<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
        const MARKS: &[char] = &[',', ' ', '='];
        let mut tags = Vec::new();
        while self.byte() == Some(b',') {
            self.at += 1;
            let (key, key_escaped) = self.until(b"=, ");
            if key.is_empty() {
                return Err("missing tag key");
            }
            if self.byte() != Some(b'=') {
                return Err("missing tag value");
            }
            self.at += 1;
            let (value, value_escaped) = self.until(b"=, ");
            if self.byte() == Some(b'=') {
                return Err("invalid tag format");
            }
            if value.is_empty() {
                return Err("missing tag value");
            }
            tags.push((plain(key, key_escaped, MARKS), plain(value, value_escaped, MARKS)));
        }
        if !tags.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            tags.sort();
            if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err("duplicate tags");
            }
        }
        Ok(tags)
    }

    fn fields(&mut self) -> Read<Vec<(Cow<'a, str>, FieldValue)>> {
        let mut fields = Vec::new();
        loop {
            let (name, escaped) = self.until(b"=, ");
            match (name, self.byte()) {
                ("", Some(b'=' | b',')) => return Err("missing field key"),
                (_, Some(b'=')) => self.at += 1,
                (_, Some(b',')) => return Err("missing field value"),
                _ => return Err("invalid field format"),
            }
            let value = self.value()?;
            fields.push((plain(name, escaped, &[',', ' ', '=']), value));
            if self.byte() != Some(b',') {
                return Ok(fields);
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Read<FieldValue> {
        if self.byte() == Some(b'"') {
            return self.text();
        }
        let rest = self.rest();
        let length = rest.bytes().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(rest.len());
        self.at += length;
        value(&rest[..length])
    }

    fn text(&mut self) -> Read<FieldValue> {
        let bytes = self.line.as_bytes();
        let from = self.at + 1;
        let (mut at, mut escaped) = (from, false);
        while at < bytes.len() && bytes[at] != b'"' {
            if bytes[at] == b'\\' && matches!(bytes.get(at + 1), Some(b'"' | b'\\')) {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        if at >= bytes.len() {
            return Err("unbalanced quotes");
        }
        self.at = at + 1;
        if !matches!(self.byte(), None | Some(b',' | b' ')) {
            return Err("invalid field format");
        }
        Ok(FieldValue::Text(plain(&self.line[from..at], escaped, &['"', '\\']).into()))
    }
}

/// Takes the backslashes before `marks` away; others stand for themselves.
fn plain<'a>(text: &'a str, escaped: bool, marks: &[char]) -> Cow<'a, str> {
    if !escaped {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '\\' && marks.contains(next) => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}

fn value(text: &str) -> Read<FieldValue> {
    let first = *text.as_bytes().first().ok_or("missing field value")?;
    match first {
        b't' | b'T' | b'f' | b'F' => match text {
            "t" | "T" | "true" | "True" | "TRUE" => Ok(FieldValue::Boolean(true)),
            "f" | "F" | "false" | "False" | "FALSE" => Ok(FieldValue::Boolean(false)),
            _ => Err("invalid boolean"),
        },
        b'0'..=b'9' | b'-' | b'.' => number(text),
        _ => Err("invalid field format"),
    }
}

fn number(text: &str) -> Read<FieldValue> {
    if let Some(digits) = text.strip_suffix('i') {
        return digits.parse().map(FieldValue::Integer).map_err(|_| "invalid number");
    }
    if let Some(digits) = text.strip_suffix('u') {
        return digits.parse().map(FieldValue::Unsigned).map_err(|_| "invalid number");
    }
    // What Rust reads and InfluxDB does not: `-inf`, `-nan`.
    if text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
        return Err("invalid number");
    }
    let number: f64 = text.parse().map_err(|_| "invalid number")?;
    if number.is_finite() { Ok(FieldValue::Float(number)) } else { Err("invalid number") }
}

/// Writes a point as a line, with its end. The inverse of [`lines`] with nanoseconds.
pub fn write(out: &mut String, point: &Point<'_>) {
    escape(out, &point.measurement, &[',', ' ']);
    for (key, value) in &point.tags {
        out.push(',');
        escape(out, key, &[',', ' ', '=']);
        out.push('=');
        escape(out, value, &[',', ' ', '=']);
    }
    for (at, (name, value)) in point.fields.iter().enumerate() {
        out.push(if at == 0 { ' ' } else { ',' });
        escape(out, name, &[',', ' ', '=']);
        out.push('=');
        let _ = match value {
            // As short as it can be, and never without a digit that makes it a float of ours when it is read again.
            FieldValue::Float(value) => write!(out, "{value:?}"),
            FieldValue::Integer(value) => write!(out, "{value}i"),
            FieldValue::Unsigned(value) => write!(out, "{value}u"),
            FieldValue::Boolean(value) => write!(out, "{value}"),
            FieldValue::Text(text) => {
                out.push('"');
                escape(out, text, &['"', '\\']);
                out.push('"');
                Ok(())
            }
        };
    }
    let _ = writeln!(out, " {}", point.time);
}

fn escape(out: &mut String, text: &str, marks: &[char]) {
    for letter in text.chars() {
        if marks.contains(&letter) {
            out.push('\\');
        }
        out.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<Point<'_>, &'static str> {
        let mut all = lines(text.as_bytes(), Precision::Seconds, 7);
        let first = all.next().unwrap().map(|line| line.point).map_err(|error| error.reason);
        assert!(all.next().is_none());
        first
    }

    #[test]
    fn a_line_has_a_name_tags_fields_and_a_time() {
        let point =
            one("cpu\\,x,zone=b\\ c,host=a\\=b\\d usage=1.5e2,n=-3i,u=4u,up=T,\"q\"=\"a, \\\"b\\\\\\n=1\" 2").unwrap();
        assert_eq!(point.measurement, "cpu,x");
        assert_eq!(point.tags, [("host".into(), "a=b\\d".into()), ("zone".into(), "b c".into())]);
        assert_eq!(point.time, 2_000_000_000);
        let fields: Vec<_> = point.fields.iter().map(|(name, value)| (&**name, value.clone())).collect();
        assert_eq!(
            fields,
            [
                ("usage", FieldValue::Float(150.0)),
                ("n", FieldValue::Integer(-3)),
                ("u", FieldValue::Unsigned(4)),
                ("up", FieldValue::Boolean(true)),
                ("\"q\"", FieldValue::Text("a, \"b\\\\n=1".into())),
            ]
        );
    }

    #[test]
    fn a_line_without_a_time_is_of_now_and_a_text_may_hold_a_newline() {
        let text = b"# a comment\r\n\n  m v=\"one\ntwo\"\r\n#end\nm v=2 1\n";
        let all: Vec<_> = lines(text, Precision::Nanoseconds, 7).map(Result::unwrap).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].point.fields[0].1, FieldValue::Text("one\ntwo".into()));
        assert_eq!(all[0].point.time, 7);
        assert_eq!(&text[all[1].place.clone()], b"m v=2 1");
    }

    #[test]
    fn what_is_wrong_is_named_as_influxdb_names_it() {
        for (text, reason) in [
            (",a=b v=1", "missing measurement"),
            ("m", "missing fields"),
            ("m,a=b", "missing fields"),
            ("m,a v=1", "missing tag value"),
            ("m,a= v=1", "missing tag value"),
            ("m,=b v=1", "missing tag key"),
            ("m,a=b=c v=1", "invalid tag format"),
            ("m,a=b,a=c v=1", "duplicate tags"),
            ("m =1", "missing field key"),
            ("m v=", "missing field value"),
            ("m v", "invalid field format"),
            ("m v=1,", "invalid field format"),
            ("m v=nan", "invalid field format"),
            ("m v=-inf", "invalid number"),
            ("m v=1e999", "invalid number"),
            ("m v=1.5i", "invalid number"),
            ("m v=9223372036854775808i", "invalid number"),
            ("m v=truth", "invalid boolean"),
            ("m v=\"open", "unbalanced quotes"),
            ("m v=1 soon", "bad timestamp"),
            ("m v=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806"),
        ] {
            assert_eq!(one(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_bad_line_costs_itself_alone() {
        let all: Vec<_> = lines(b"m v=1 1\nm v= 2\nm v=3 3", Precision::Nanoseconds, 0).collect();
        assert_eq!(all.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(all[1].as_ref().unwrap_err().to_string(), "unable to parse 'm v= 2': missing field value");
    }

    /// Text that has something to escape. A name may not end in a backslash: InfluxDB has no way to say that.
    fn text() -> impl Strategy<Value = String> {
        "[a-z ,=\"µ\\\\]{0,6}[a-zß]"
    }

    fn field_value() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(FieldValue::Float),
            any::<i64>().prop_map(FieldValue::Integer),
            any::<u64>().prop_map(FieldValue::Unsigned),
            any::<bool>().prop_map(FieldValue::Boolean),
            "[a-z ,=\"\\\\\nß]{0,8}".prop_map(|text| FieldValue::Text(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            for line in lines(&text, Precision::Hours, 0) {
                let _ = line;
            }
        }

        #[test]
        fn what_is_written_is_read_again(
            measurement in "[a-z][a-z ,=ß]{0,6}[a-z]",
            tags in prop::collection::btree_map("[a-z ,=]{0,5}[a-z]", "[a-z ,=]{0,5}[a-z]", 0..3),
            fields in prop::collection::btree_map("[a-z ,=]{0,5}[a-z]", field_value(), 1..4),
            time in i64::MIN + 2..i64::MAX,
        ) {
            let point = Point {
                measurement: measurement.into(),
                tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
                time,
                fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            };
            let mut line = String::new();
            write(&mut line, &point);
            let mut all = lines(line.as_bytes(), Precision::Nanoseconds, 0);
            prop_assert_eq!(all.next().unwrap().unwrap().point, point);
            prop_assert!(all.next().is_none());
        }

        #[test]
        fn texts_of_every_kind_come_back(value in text()) {
            let point = Point {
                measurement: "m".into(),
                tags: Vec::new(),
                time: 1,
                fields: vec![("v".into(), FieldValue::Text(value.as_str().into()))],
            };
            let mut line = String::new();
            write(&mut line, &point);
            let read: Vec<_> = lines(line.as_bytes(), Precision::Nanoseconds, 0).map(|line| line.unwrap().point).collect();
            prop_assert_eq!(read, vec![point]);
        }
    }
}
