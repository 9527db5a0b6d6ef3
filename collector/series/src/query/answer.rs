//! What a query answers, and its JSON as InfluxDB writes it: `name`, `tags`, `columns`, `values` in this order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::influxql::lexer::duration;
use crate::influxql::token::Kind;

/// How a request wants to be answered.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// What `now()` is, in nanoseconds since 1970.
    pub now_ns: i64,
    /// The unit of times in the answer.
    pub epoch: Epoch,
    /// Set by whoever no longer wants the answer; the query then ends soon.
    pub cancelled: Option<Arc<AtomicBool>>,
    /// The retention policy of sources that name none; `None` is the database's default one.
    pub policy: Option<String>,
    /// What stands for `$name`.
    pub parameters: Parameters,
    /// The request came by GET, which is meant for reading.
    pub by_get: bool,
}

/// What stands for `$name` in a request.
#[derive(Clone, Debug, Default)]
pub struct Parameters(pub(crate) BTreeMap<String, Kind>);

impl Parameters {
    /// Reads a JSON object: texts, booleans, numbers (those with a point are floats), and objects of one key `identifier`,
    /// `regex`, `duration`, `string`, `integer`, `float` or `boolean`.
    ///
    /// # Errors
    /// What cannot stand for anything, in InfluxDB's words where it has some.
    pub fn from_json(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| format!("error parsing query parameters: {error}"))?;
        let bound = object.into_iter().map(|(name, value)| {
            let kind =
                bound(&value).ok_or_else(|| format!("error parsing query parameters: {name} has no usable value"))?;
            Ok::<_, String>((name, kind))
        });
        Ok(Self(bound.collect::<Result<_, _>>()?))
    }
}

fn bound(value: &serde_json::Value) -> Option<Kind> {
    Some(match value {
        serde_json::Value::String(text) => Kind::Text(text.clone()),
        serde_json::Value::Bool(value) => Kind::Word(if *value { "TRUE" } else { "FALSE" }),
        serde_json::Value::Number(number) => {
            let text = number.to_string();
            if text.contains(['.', 'e', 'E']) { Kind::Number(text) } else { Kind::Integer(text) }
        }
        serde_json::Value::Object(object) => {
            let (kind, value) = object.iter().next().filter(|_| object.len() == 1)?;
            match (kind.as_str(), value.as_str()) {
                ("identifier", Some(name)) => Kind::Name(name.to_owned()),
                ("regex", Some(pattern)) => Kind::Regex(pattern.to_owned()),
                ("duration", Some(text)) => Kind::Duration(text.to_owned(), duration(text)?),
                ("string", Some(_)) | ("integer" | "float" | "boolean", None) => bound(value)?,
                _ => return None,
            }
        }
        _ => return None,
    })
}

impl QueryOptions {
    /// For a caller inside the program: `now()` is `now_ns`, and nobody hangs up.
    #[must_use]
    pub fn at(now_ns: i64) -> Self {
        let (cancelled, policy) = (None, None);
        let parameters = Parameters::default();
        Self { now_ns, epoch: Epoch::Nanoseconds, cancelled, policy, parameters, by_get: false }
    }
}

/// The unit of times in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Epoch {
    /// Text such as `2023-11-14T22:13:20Z`.
    #[default]
    Rfc3339,
    /// Integers of nanoseconds.
    Nanoseconds,
    /// Integers of microseconds.
    Microseconds,
    /// Integers of milliseconds.
    Milliseconds,
    /// Integers of seconds.
    Seconds,
    /// Integers of minutes.
    Minutes,
    /// Integers of hours.
    Hours,
}

impl Epoch {
    /// The unit of the `epoch` parameter. As in InfluxDB, what is not known means nanoseconds.
    #[must_use]
    pub fn from_parameter(text: &str) -> Self {
        match text {
            "" => Self::Rfc3339,
            "u" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => Self::Nanoseconds,
        }
    }

    fn unit(self) -> i64 {
        match self {
            Self::Rfc3339 | Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// One for each statement.
    pub results: Vec<StatementResult>,
    /// The request as a whole failed: its text is not InfluxQL, or it is above a limit.
    pub error: Option<String>,
    /// The unit of times.
    pub epoch: Epoch,
}

/// The answer to one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementResult {
    /// The number of the statement, from 0.
    pub statement_id: usize,
    /// What it found; empty is a valid answer.
    pub series: Vec<ResultSeries>,
    /// Remarks to the reader.
    pub messages: Vec<Message>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// A remark beside an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `warning` or `info`.
    pub level: &'static str,
    /// One sentence.
    pub text: String,
}

/// A table: the rows of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultSeries {
    /// The measurement; empty for the answers that have no name.
    pub name: Arc<str>,
    /// The tags that it was grouped by, sorted by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Names of the columns. `time` is the first one if there are times.
    pub columns: Vec<Arc<str>>,
    /// One value for each column.
    pub values: Vec<Vec<Value>>,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// Nanoseconds since 1970; written in the unit of the answer.
    Time(i64),
    /// A float. NaN and infinities are written as null.
    Float(f64),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// True or false.
    Boolean(bool),
    /// Text.
    Text(Arc<str>),
}

impl Value {
    /// The number that a value is; text, null and times are none.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Integer(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            _ => None,
        }
    }
}

impl Response {
    /// The JSON text, without the newline at the end.
    #[must_use]
    pub fn to_json(&self, pretty: bool) -> String {
        let mut out = String::new();
        self.write(&mut out);
        if !pretty {
            return out;
        }
        // Pretty printing is for people at a terminal: parsing it again costs nothing that matters.
        match serde_json::from_str::<serde_json::Value>(&out) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or(out),
            Err(_) => out,
        }
    }

    fn write(&self, out: &mut String) {
        if let Some(error) = &self.error {
            out.push_str("{\"error\":");
            write_text(out, error);
            out.push('}');
            return;
        }
        out.push_str("{\"results\":[");
        for (at, result) in self.results.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            result.write(out, self.epoch);
        }
        out.push_str("]}");
    }
}

impl StatementResult {
    fn write(&self, out: &mut String, epoch: Epoch) {
        let _ = write!(out, "{{\"statement_id\":{}", self.statement_id);
        if !self.series.is_empty() {
            out.push_str(",\"series\":[");
            for (at, series) in self.series.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                series.write(out, epoch);
            }
            out.push(']');
        }
        if !self.messages.is_empty() {
            out.push_str(",\"messages\":[");
            for (at, message) in self.messages.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{{\"level\":\"{}\",\"text\":", message.level);
                write_text(out, &message.text);
                out.push('}');
            }
            out.push(']');
        }
        if let Some(error) = &self.error {
            out.push_str(",\"error\":");
            write_text(out, error);
        }
        out.push('}');
    }
}

impl ResultSeries {
    fn write(&self, out: &mut String, epoch: Epoch) {
        out.push('{');
        if !self.name.is_empty() {
            out.push_str("\"name\":");
            write_text(out, &self.name);
            out.push(',');
        }
        if !self.tags.is_empty() {
            out.push_str("\"tags\":{");
            for (at, (key, value)) in self.tags.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_text(out, value);
            }
            out.push_str("},");
        }
        out.push_str("\"columns\":[");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_text(out, column);
        }
        out.push(']');
        if !self.values.is_empty() {
            out.push_str(",\"values\":[");
            for (at, row) in self.values.iter().enumerate() {
                out.push_str(if at > 0 { ",[" } else { "[" });
                for (at, value) in row.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out, epoch);
                }
                out.push(']');
            }
            out.push(']');
        }
        out.push('}');
    }
}

impl Value {
    fn write(&self, out: &mut String, epoch: Epoch) {
        let _ = match self {
            Self::Null => write!(out, "null"),
            Self::Time(time) if epoch == Epoch::Rfc3339 => {
                out.push('"');
                out.push_str(&rfc3339(*time));
                out.push('"');
                Ok(())
            }
            Self::Time(time) => write!(out, "{}", time / epoch.unit()),
            Self::Float(value) => {
                write_float(out, *value);
                Ok(())
            }
            Self::Integer(value) => write!(out, "{value}"),
            Self::Unsigned(value) => write!(out, "{value}"),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Text(text) => {
                write_text(out, text);
                Ok(())
            }
        };
    }
}

/// Every time of 64 bits in nanoseconds lies inside what a calendar can name.
fn rfc3339(time: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time)) {
        Ok(time) => time.to_string(),
        Err(_) => time.to_string(),
    }
}

/// As Go writes floats into JSON: plain between 1e-6 and 1e21, with an exponent outside, and never NaN.
fn write_float(out: &mut String, value: f64) {
    let magnitude = value.abs();
    let _ = if !value.is_finite() {
        write!(out, "null")
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write!(out, "{digits}e+{exponent}")
            }
            _ => write!(out, "{text}"),
        }
    } else {
        write!(out, "{value}")
    };
}

/// As Go's encoder with its defaults: `<`, `>` and `&` are escaped as well.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", letter as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
