//! Line protocol, as InfluxDB reads it: `measurement,tag=value field=1i,other="text" 1700000000`.
//!
//! A line that is wrong costs itself alone. Text is borrowed from the input wherever nothing was escaped.

mod key;
mod write;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use self::key::{end as key_end, is_key, is_plain, is_plain_key};
pub use self::write::write;
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
    Lines { text, places: places(text), unit: precision.nanoseconds(), now_ns }
}

/// The lines of a text, one by one. Comments and empty lines are passed over.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a [u8],
    places: Places<'a>,
    unit: i64,
    now_ns: i64,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.places.next()?;
        let line = &self.text[place.clone()];
        Some(match read(line, self.unit, self.now_ns) {
            Ok(point) => Ok(Line { point, place }),
            Err(reason) => Err(LineError { line: shown(line), reason }),
        })
    }
}

/// Where the lines of a text stand, without reading them.
pub(crate) fn places(text: &[u8]) -> Places<'_> {
    Places { text, at: 0 }
}

#[derive(Clone, Debug)]
pub(crate) struct Places<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Places<'_> {
    type Item = Range<usize>;

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
            return Some(from..from + trim_end(&rest[..end]).len());
        }
    }
}

/// All lines of a text, read into two vectors: a writer's lines are many and alike, and a vector of fields for each of them
/// costs more than reading it.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    fields: Vec<(Cow<'a, str>, FieldValue)>,
    /// Lines that could not be read.
    pub(crate) unreadable: usize,
    /// The first of them, with where they stand.
    pub(crate) reasons: Vec<(usize, LineError)>,
}

/// A line whose measurement and tags nobody has looked at yet: most often the store knows their text.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    /// Measurement and tags, as they were written.
    pub(crate) key: &'a str,
    pub(crate) time: i64,
    fields: Range<usize>,
    /// Bytes of the text.
    pub(crate) place: Range<usize>,
}

impl<'a> Batch<'a> {
    /// Reads all lines.
    pub(crate) fn read(text: &'a [u8], precision: Precision, now_ns: i64) -> Self {
        Self::of(text, places(text), precision, now_ns, 0)
    }

    /// Reads the lines at these places; of those that are wrong it keeps `reasons`.
    pub(crate) fn of(
        text: &'a [u8],
        places: impl Iterator<Item = Range<usize>>,
        precision: Precision,
        now_ns: i64,
        reasons: usize,
    ) -> Self {
        let mut batch = Self::default();
        let unit = precision.nanoseconds();
        for place in places {
            let line = &text[place.clone()];
            let before = batch.fields.len();
            match read_row(line, unit, now_ns, &mut batch.fields) {
                Ok((key, time)) => batch.rows.push(Row { key, time, fields: before..batch.fields.len(), place }),
                Err(reason) => {
                    batch.fields.truncate(before);
                    // Of several mistakes the first one in the line counts, and the key was not looked at.
                    let reason = read(line, unit, now_ns).err().unwrap_or(reason);
                    batch.refuse(&place, line, reason, reasons);
                }
            }
        }
        batch
    }

    fn refuse(&mut self, place: &Range<usize>, line: &[u8], reason: &'static str, reasons: usize) {
        self.unreadable += 1;
        if self.reasons.len() < reasons {
            self.reasons.push((place.start, LineError { line: shown(line), reason }));
        }
    }

    pub(crate) fn fields(&self, row: &Row<'_>) -> &[(Cow<'a, str>, FieldValue)] {
        &self.fields[row.fields.clone()]
    }

    /// A row with its measurement and tags read.
    pub(crate) fn point(&self, row: &Row<'a>) -> Result<Point<'a>, &'static str> {
        let mut cursor = Cursor { line: row.key, at: 0 };
        let (measurement, tags) = (cursor.measurement()?, cursor.tags()?);
        Ok(Point { measurement, tags, time: row.time, fields: self.fields(row).to_vec() })
    }
}

impl LineError {
    /// Of a line whose key is wrong.
    pub(crate) fn of(line: &[u8], reason: &'static str) -> Self {
        Self { line: shown(line), reason }
    }
}

/// Adds the fields of a line, and gives its key and its time.
fn read_row<'a>(
    line: &'a [u8],
    unit: i64,
    now_ns: i64,
    fields: &mut Vec<(Cow<'a, str>, FieldValue)>,
) -> Read<(&'a str, i64)> {
    let line = std::str::from_utf8(line).map_err(|_| "invalid UTF-8")?;
    let mut cursor = Cursor { line, at: 0 };
    let (key, _) = cursor.until(&KEY_ENDS);
    cursor.spaces();
    if cursor.rest().is_empty() {
        return Err("missing fields");
    }
    cursor.fields(fields)?;
    Ok((key, cursor.time(unit, now_ns)?))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]).into_owned()
}

fn trim_end(line: &[u8]) -> &[u8] {
    let length = line.iter().rposition(|byte| !matches!(byte, b'\r' | b' ')).map_or(0, |last| last + 1);
    &line[..length]
}

fn newline(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).unwrap_or(text.len())
}

/// Where the line ends: a newline inside a quoted value does not end it. Quotes mean something in values only.
fn line_end(text: &[u8]) -> usize {
    let first = newline(text);
    if memchr::memchr(b'"', &text[..first]).is_none() {
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

pub(crate) type Read<T> = Result<T, &'static str>;

fn read(line: &[u8], unit: i64, now_ns: i64) -> Read<Point<'_>> {
    let line = std::str::from_utf8(line).map_err(|_| "invalid UTF-8")?;
    let mut cursor = Cursor { line, at: 0 };
    let measurement = cursor.measurement()?;
    let tags = cursor.tags()?;
    cursor.spaces();
    if cursor.rest().is_empty() {
        return Err("missing fields");
    }
    let mut fields = Vec::new();
    cursor.fields(&mut fields)?;
    let time = cursor.time(unit, now_ns)?;
    Ok(Point { measurement, tags, time, fields })
}

/// Bytes that end a part of a line, unless a backslash is before them.
type Ends = [bool; 256];

const KEY_ENDS: Ends = ends(b" ");
const MEASUREMENT_ENDS: Ends = ends(b", ");
const NAME_ENDS: Ends = ends(b"=, ");

const fn ends(of: &[u8]) -> Ends {
    let mut ends = [false; 256];
    let mut at = 0;
    while at < of.len() {
        ends[of[at] as usize] = true;
        at += 1;
    }
    ends
}

/// The ends of the 64 bits are kept free, as in InfluxDB.
fn is_in_range(time: i64) -> bool {
    (i64::MIN + 2..i64::MAX).contains(&time)
}

/// Reads one line from left to right.
pub(crate) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a str, at: usize) -> Self {
        Self { line, at }
    }

    /// Passes over `name` and an equal sign, if they are next. The name must be [plain](is_plain).
    pub(crate) fn name(&mut self, name: &str) -> bool {
        let rest = &self.line.as_bytes()[self.at..];
        let is_next = rest.get(name.len()) == Some(&b'=') && rest.starts_with(name.as_bytes());
        self.at += if is_next { name.len() + 1 } else { 0 };
        is_next
    }

    /// The name that is next, with its equal sign behind it, if nothing in it was escaped.
    pub(crate) fn plain_name(&mut self) -> Option<&'a str> {
        let (name, escaped) = self.until(&NAME_ENDS);
        let is_name = !escaped && self.byte() == Some(b'=');
        self.at += usize::from(is_name);
        is_name.then_some(name)
    }

    /// Passes over a comma, if it is next.
    pub(crate) fn comma(&mut self) -> bool {
        let is_next = self.byte() == Some(b',');
        self.at += usize::from(is_next);
        is_next
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(crate) fn spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    /// The text up to one of `ends`, and whether anything in it was escaped. A backslash keeps the byte behind it from ending it.
    fn until(&mut self, ends: &Ends) -> (&'a str, bool) {
        let (bytes, from) = (self.line.as_bytes(), self.at);
        let (mut at, mut escaped) = (from, false);
        while let Some(byte) = bytes.get(at) {
            if ends[usize::from(*byte)] {
                break;
            }
            if *byte == b'\\' && at + 1 < bytes.len() {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        // A letter of several bytes behind a backslash: stop at its end.
        while !self.line.is_char_boundary(at) {
            at += 1;
        }
        self.at = at;
        (&self.line[from..at], escaped)
    }

    /// What is behind the fields: a time, or nothing.
    pub(crate) fn time(&mut self, unit: i64, now_ns: i64) -> Read<i64> {
        self.spaces();
        match self.rest() {
            "" => Ok(now_ns),
            digits => {
                let time: i64 = digits.parse().map_err(|_| "bad timestamp")?;
                time.checked_mul(unit)
                    .filter(|time| is_in_range(*time))
                    .ok_or("time outside range -9223372036854775806 - 9223372036854775806")
            }
        }
    }

    fn measurement(&mut self) -> Read<Cow<'a, str>> {
        let (text, escaped) = self.until(&MEASUREMENT_ENDS);
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
            let (key, key_escaped) = self.until(&NAME_ENDS);
            if key.is_empty() {
                return Err("missing tag key");
            }
            if self.byte() != Some(b'=') {
                return Err("missing tag value");
            }
            self.at += 1;
            let (value, value_escaped) = self.until(&NAME_ENDS);
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

    fn fields(&mut self, fields: &mut Vec<(Cow<'a, str>, FieldValue)>) -> Read<()> {
        loop {
            let (name, escaped) = self.until(&NAME_ENDS);
            match (name, self.byte()) {
                ("", Some(b'=' | b',')) => return Err("missing field key"),
                (_, Some(b'=')) => self.at += 1,
                (_, Some(b',')) => return Err("missing field value"),
                _ => return Err("invalid field format"),
            }
            let value = self.value()?;
            fields.push((plain(name, escaped, &[',', ' ', '=']), value));
            if self.byte() != Some(b',') {
                return Ok(());
            }
            self.at += 1;
        }
    }

    pub(crate) fn value(&mut self) -> Read<FieldValue> {
        if self.byte() == Some(b'"') {
            return self.text();
        }
        if let Some((value, end)) = plain_number(self.line.as_bytes(), self.at) {
            self.at = end;
            return Ok(value);
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

/// Digits that fit 64 bits whatever they are.
const PLAIN_DIGITS: u32 = 18;
/// Up to here a float names every integer, and a division by a power of ten that is exact gives the nearest float.
const EXACT: u64 = 1 << 53;
/// The powers of ten that a line of rounded values needs; larger ones go the long way.
const TENS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// A number as nearly all are written, and where it ends: digits with at most one point, few enough to be exact. `None` says
/// nothing about the text.
fn plain_number(text: &[u8], from: usize) -> Option<(FieldValue, usize)> {
    let negative = text.get(from) == Some(&b'-');
    let mut at = from + usize::from(negative);
    let (mut whole, mut digits, mut point) = (0u64, 0, None);
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                whole = whole.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                digits += 1;
            }
            b'.' if point.is_none() => point = Some(digits),
            _ => break,
        }
        at += 1;
    }
    if digits == 0 || digits > PLAIN_DIGITS {
        return None;
    }
    let is_end = |at: usize| matches!(text.get(at), None | Some(b',' | b' '));
    if is_end(at) {
        let decimals = (digits - point.unwrap_or(digits)) as usize;
        let divisor = TENS.get(decimals).filter(|_| whole <= EXACT)?;
        let value = whole as f64 / divisor;
        return Some((FieldValue::Float(if negative { -value } else { value }), at));
    }
    if point.is_some() || !is_end(at + 1) {
        return None;
    }
    let value = match text[at] {
        b'i' if negative => FieldValue::Integer(-(whole as i64)),
        b'i' => FieldValue::Integer(whole as i64),
        b'u' if !negative => FieldValue::Unsigned(whole),
        _ => return None,
    };
    Some((value, at + 1))
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
    fn a_key_is_known_by_its_text_and_never_anothers() {
        let stream = [("a", "x y"), ("b,c", "1=2")];
        let is = |key: &str, name: &str| is_key(key, name, stream.iter().copied());
        assert!(is("m\\ n,a=x\\ y,b\\,c=1\\=2", "m n"));
        for other in ["m", "m\\ n", "m\\ n,a=x\\ y", "m\\ n,a=x\\ y,b\\,c=1\\=2,d=1", "m\\ n,a=x\\ y,b\\,c=1\\=23", ""]
        {
            assert!(!is(other, "m n"), "{other}");
        }
        // A backslash is part of a name unless a mark follows; two in a row are left to the reader of whole lines.
        assert!(is_key("a\\b", "a\\b", [].into_iter()));
        assert!(!is_key("x\\\\,y=1", "x\\,y", [].into_iter()));
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
        fn a_plain_number_is_what_the_long_way_reads(text in "-?[0-9]{0,19}(\\.[0-9]{0,12})?[iu]?") {
            if let Some((value, end)) = plain_number(text.as_bytes(), 0) {
                prop_assert_eq!(end, text.len());
                let long = number(&text).unwrap();
                let same = match (&value, &long) {
                    (FieldValue::Float(a), FieldValue::Float(b)) => a.to_bits() == b.to_bits(),
                    (a, b) => a == b,
                };
                prop_assert!(same, "{:?} is not {:?}", value, long);
            }
        }

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
