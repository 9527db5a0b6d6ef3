//! What a query answers, and how it is written.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod pretty;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::sink::{Gone, Sink};
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
    /// Where the clocks are by which times are written as text; `None` is UTC.
    pub zone: Option<jiff::tz::TimeZone>,
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
        let mut out = Vec::new();
        // A vector takes everything.
        let written = match pretty {
            true => self.pour(&mut pretty::Pretty::new(&mut out)),
            false => self.pour(&mut out),
        };
        debug_assert!(written.is_ok());
        String::from_utf8_lossy(&out).into_owned()
    }

    fn pour(&self, out: &mut dyn Write) -> Result<(), Gone> {
        if let Some(error) = &self.error {
            return Ok(out.write_all(json::failure(error).as_bytes())?);
        }
        let mut whole = json::Whole::new(out, self.epoch);
        for result in &self.results {
            whole.statement(result.statement_id)?;
            for series in &result.series {
                whole.begin(series)?;
                for row in &series.values {
                    whole.add(row)?;
                }
            }
            whole.end(result.messages.clone(), result.error.clone())?;
        }
        whole.finish()
    }
}
