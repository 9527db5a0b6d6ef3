//! Answers as comma-separated values, as InfluxDB writes them: name, tags, then the columns; a line with their names before the
//! first series of a statement and wherever they change, and an empty line before that.
//!
//! InfluxDB 1.x is silent about a statement that failed. Here a line `error` and the reason stand in its place, so that half an answer
//! does not look like a whole one.

use std::io::Write;
use std::sync::Arc;

use crate::query::sink::{Gone, Sink};
use crate::query::{Epoch, Message, ResultSeries, Value};

/// Text that is gathered before it is handed on.
const GATHERED_BYTES: usize = 16 << 10;

/// What is said of a request that failed as a whole.
pub(crate) fn failure(error: &str) -> String {
    let mut out = String::from("error\n");
    write_cell(&mut out, error);
    out.push('\n');
    out
}

/// Writes an answer as it comes.
pub(crate) struct Csv<W> {
    out: W,
    text: String,
    epoch: Epoch,
    /// Of the last line of names; none at the beginning of a statement.
    columns: Option<Vec<Arc<str>>>,
    /// Something was written.
    begun: bool,
    /// Name and tags of the series, as they begin each line.
    beginning: String,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(out: W, epoch: Epoch) -> Self {
        Self { out, text: String::new(), epoch, columns: None, begun: false, beginning: String::new() }
    }

    pub(crate) fn finish(mut self) -> Result<(), Gone> {
        Ok(self.out.write_all(self.text.as_bytes())?)
    }

    fn empty_line(&mut self) {
        if self.begun {
            self.text.push('\n');
        }
        self.begun = true;
    }
}

impl<W: Write> Sink for Csv<W> {
    fn statement(&mut self, _: usize) -> Result<(), Gone> {
        self.columns = None;
        Ok(())
    }

    fn series(&mut self, series: ResultSeries) -> Result<(), Gone> {
        self.beginning.clear();
        write_cell(&mut self.beginning, &series.name);
        self.beginning.push(',');
        write_cell(&mut self.beginning, &tags(&series));
        if self.columns.as_ref() != Some(&series.columns) {
            self.empty_line();
            self.text.push_str("name,tags");
            for column in &series.columns {
                self.text.push(',');
                write_cell(&mut self.text, column);
            }
            self.text.push('\n');
            self.columns = Some(series.columns);
        }
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone> {
        self.text.push_str(&self.beginning);
        for value in &row {
            self.text.push(',');
            write_value(&mut self.text, value, self.epoch);
        }
        self.text.push('\n');
        if self.text.len() >= GATHERED_BYTES {
            self.out.write_all(self.text.as_bytes())?;
            self.text.clear();
        }
        Ok(())
    }

    fn end(&mut self, _: Vec<Message>, error: Option<String>) -> Result<(), Gone> {
        if let Some(error) = error {
            self.empty_line();
            self.text.push_str(&failure(&error));
        }
        Ok(())
    }
}

/// As in a line of line protocol; a tag that is not there is left out.
fn tags(series: &ResultSeries) -> String {
    let mut text = String::new();
    for (key, value) in series.tags.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(if text.is_empty() { "" } else { "," });
        escape(&mut text, key);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        if matches!(letter, ',' | ' ' | '=') {
            out.push('\\');
        }
        out.push(letter);
    }
}

/// Times are numbers in any case, of nanoseconds if no unit was asked for.
fn write_value(out: &mut String, value: &Value, epoch: Epoch) {
    match value {
        Value::Null => {}
        Value::Time(time) => out.push_str(&(time / epoch.unit()).to_string()),
        Value::Float(value) if !value.is_finite() => {}
        Value::Float(value) => out.push_str(&value.to_string()),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Unsigned(value) => out.push_str(&value.to_string()),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Text(text) => write_cell(out, text),
    }
}

/// As Go's writer: in quotes if it must be, with quotes doubled.
fn write_cell(out: &mut String, text: &str) {
    let marks = [',', '"', '\n', '\r'];
    if text != "\\." && !text.contains(marks) && !text.starts_with(char::is_whitespace) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}
