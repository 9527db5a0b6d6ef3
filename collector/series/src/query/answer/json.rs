//! Answers as JSON, as InfluxDB writes it: `name`, `tags`, `columns`, `values` in this order.

use std::fmt::Write as _;
use std::io::Write;

use jiff::tz::TimeZone;

use crate::query::sink::{Gone, Sink};
use crate::query::{Epoch, Message, ResultSeries, Value};

/// Text that is gathered before it is handed on.
const GATHERED_BYTES: usize = 16 << 10;

/// What is said of a request that failed as a whole.
pub(crate) fn failure(error: &str) -> String {
    let mut out = String::from("{\"error\":");
    write_text(&mut out, error);
    out.push('}');
    out
}

/// One object with everything, written as it comes.
pub(crate) struct Whole<W> {
    out: W,
    text: String,
    epoch: Epoch,
    statements: usize,
    /// Of the statement.
    series: usize,
    /// Of the series.
    rows: usize,
    zone: Option<TimeZone>,
}

impl<W: Write> Whole<W> {
    pub(crate) fn new(out: W, epoch: Epoch) -> Self {
        let text = String::from("{\"results\":[");
        Self { out, text, epoch, statements: 0, series: 0, rows: 0, zone: None }
    }

    /// The end of the text, without a newline.
    pub(crate) fn finish(mut self) -> Result<(), Gone> {
        self.text.push_str("]}");
        Ok(self.out.write_all(self.text.as_bytes())?)
    }

    pub(super) fn begin(&mut self, series: &ResultSeries) -> Result<(), Gone> {
        self.close_series();
        self.text.push_str(if self.series == 0 { ",\"series\":[" } else { "," });
        write_head(&mut self.text, series);
        (self.series, self.rows) = (self.series + 1, 0);
        self.zone.clone_from(&series.zone);
        Ok(())
    }

    pub(super) fn add(&mut self, row: &[Value]) -> Result<(), Gone> {
        self.text.push_str(if self.rows == 0 { ",\"values\":[" } else { "," });
        write_row(&mut self.text, row, self.epoch, self.zone.as_ref());
        self.rows += 1;
        if self.text.len() >= GATHERED_BYTES {
            self.out.write_all(self.text.as_bytes())?;
            self.text.clear();
        }
        Ok(())
    }

    fn close_series(&mut self) {
        if self.series > 0 {
            self.text.push_str(if self.rows > 0 { "]}" } else { "}" });
        }
    }
}

impl<W: Write> Sink for Whole<W> {
    fn statement(&mut self, id: usize) -> Result<(), Gone> {
        let comma = if self.statements > 0 { "," } else { "" };
        let _ = write!(self.text, "{comma}{{\"statement_id\":{id}");
        (self.statements, self.series) = (self.statements + 1, 0);
        Ok(())
    }

    fn series(&mut self, series: ResultSeries) -> Result<(), Gone> {
        self.begin(&series)
    }

    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone> {
        self.add(&row)
    }

    fn end(&mut self, messages: Vec<Message>, error: Option<String>) -> Result<(), Gone> {
        self.close_series();
        if self.series > 0 {
            self.text.push(']');
        }
        write_end(&mut self.text, &messages, false, error.as_deref());
        Ok(())
    }
}

/// A line for each piece of at most so many rows of one series, each an object of its own.
pub(crate) struct Chunked<W> {
    out: W,
    epoch: Epoch,
    most: usize,
    statement: usize,
    held: Option<ResultSeries>,
    written: bool,
}

impl<W: Write> Chunked<W> {
    pub(crate) fn new(out: W, epoch: Epoch, most: usize) -> Self {
        Self { out, epoch, most: most.max(1), statement: 0, held: None, written: false }
    }

    /// Writes what is held. `more` says whether the series goes on, and whether the statement does.
    fn write(&mut self, more: (bool, bool), messages: &[Message], error: Option<&str>) -> Result<(), Gone> {
        let mut text = String::new();
        let _ = write!(text, "{{\"results\":[{{\"statement_id\":{}", self.statement);
        if let Some(series) = &mut self.held {
            text.push_str(",\"series\":[");
            write_head(&mut text, series);
            for (at, row) in series.values.iter().enumerate() {
                text.push_str(if at == 0 { ",\"values\":[" } else { "," });
                write_row(&mut text, row, self.epoch, series.zone.as_ref());
            }
            text.push_str(if series.values.is_empty() { "" } else { "]" });
            text.push_str(if more.0 { ",\"partial\":true}]" } else { "}]" });
            series.values.clear();
        }
        write_end(&mut text, messages, more.1, error);
        text.push_str("]}\n");
        self.written = true;
        self.out.write_all(text.as_bytes())?;
        // Whoever asks for pieces wants each as soon as it is there.
        Ok(self.out.flush()?)
    }
}

impl<W: Write> Sink for Chunked<W> {
    fn statement(&mut self, id: usize) -> Result<(), Gone> {
        (self.statement, self.held, self.written) = (id, None, false);
        Ok(())
    }

    fn series(&mut self, series: ResultSeries) -> Result<(), Gone> {
        if self.held.is_some() {
            self.write((false, true), &[], None)?;
        }
        self.held = Some(series);
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone> {
        if self.held.as_ref().is_some_and(|series| series.values.len() >= self.most) {
            self.write((true, true), &[], None)?;
        }
        self.held.as_mut().ok_or(Gone)?.values.push(row);
        Ok(())
    }

    fn end(&mut self, messages: Vec<Message>, error: Option<String>) -> Result<(), Gone> {
        if self.held.is_some() || !self.written || error.is_some() {
            self.write((false, false), &messages, error.as_deref())?;
        }
        Ok(())
    }
}

/// A series up to its columns; without the brace at its end.
fn write_head(out: &mut String, series: &ResultSeries) {
    out.push('{');
    if !series.name.is_empty() {
        out.push_str("\"name\":");
        write_text(out, &series.name);
        out.push(',');
    }
    if !series.tags.is_empty() {
        out.push_str("\"tags\":{");
        for (at, (key, value)) in series.tags.iter().enumerate() {
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
    for (at, column) in series.columns.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, column);
    }
    out.push(']');
}

fn write_row(out: &mut String, row: &[Value], epoch: Epoch, zone: Option<&TimeZone>) {
    out.push('[');
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_value(out, value, epoch, zone);
    }
    out.push(']');
}

/// What follows the series of a statement, and its brace.
fn write_end(out: &mut String, messages: &[Message], partial: bool, error: Option<&str>) {
    for (at, message) in messages.iter().enumerate() {
        let before = if at > 0 { "," } else { ",\"messages\":[" };
        let _ = write!(out, "{before}{{\"level\":\"{}\",\"text\":", message.level);
        write_text(out, &message.text);
        out.push('}');
    }
    out.push_str(if messages.is_empty() { "" } else { "]" });
    out.push_str(if partial { ",\"partial\":true" } else { "" });
    if let Some(error) = error {
        out.push_str(",\"error\":");
        write_text(out, error);
    }
    out.push('}');
}

/// A value; texts and times in quotes.
fn write_value(out: &mut String, value: &Value, epoch: Epoch, zone: Option<&TimeZone>) {
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Time(time) if epoch == Epoch::Rfc3339 => {
            out.push('"');
            out.push_str(&rfc3339(*time, zone));
            out.push('"');
            Ok(())
        }
        Value::Time(time) => write!(out, "{}", time / epoch.unit()),
        Value::Float(value) => {
            write_float(out, *value);
            Ok(())
        }
        Value::Integer(value) => write!(out, "{value}"),
        Value::Unsigned(value) => write!(out, "{value}"),
        Value::Boolean(value) => write!(out, "{value}"),
        Value::Text(text) => {
            write_text(out, text);
            Ok(())
        }
    };
}

/// Every time of 64 bits in nanoseconds lies inside what a calendar can name.
fn rfc3339(time: i64, zone: Option<&TimeZone>) -> String {
    let Ok(instant) = jiff::Timestamp::from_nanosecond(i128::from(time)) else { return time.to_string() };
    let offset = zone.map(|zone| zone.to_offset(instant)).filter(|offset| offset.seconds() != 0);
    offset.map_or_else(|| instant.to_string(), |offset| instant.display_with_offset(offset).to_string())
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
