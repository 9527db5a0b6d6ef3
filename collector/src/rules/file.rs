//! One file of rules, read so that what is wrong in it costs no more than itself.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bellwether_agent::config::shown;
use bellwether_logic::rules::{Override, PACK_FORMAT, Rule, RuleError};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong in one file that is told. A file with more is no pack.
const BROKEN_MAX: usize = 100;

/// Something in the folder that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// Where in it, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The rule's id, as far as it can be read.
    pub rule: String,
    /// What was found and what was expected.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Something that was read, and from which line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) what: T,
    pub(super) line: usize,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) rules: Vec<Placed<Rule>>,
    pub(super) overrides: Vec<Placed<Override>>,
    pub(super) broken: Vec<Broken>,
}

/// Reads a file's text.
pub(super) fn parse(path: &Path, text: &str) -> Content {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reading = Reading { path, text, content: Content::default() };
    for error in errors.iter().take(BROKEN_MAX) {
        reading.refuse(error.span(), "", &lined(error.message()));
    }
    if !errors.is_empty() {
        // What the rest of such a file means is a guess.
        return reading.content;
    }
    reading.take_format(table.get_ref());
    for (key, value) in table.get_ref().iter() {
        match key.get_ref().as_ref() {
            "format" => {}
            "rule" => reading.take_all("rule", value, Reading::take_rule),
            "override" => reading.take_all("override", value, Reading::take_override),
            other => {
                let why = format!("unknown key `{other}`: expected `format`, `[[rule]]` and `[[override]]`");
                reading.refuse(Some(key.span()), "", &why);
            }
        }
    }
    reading.content.broken.truncate(BROKEN_MAX);
    reading.content
}

struct Reading<'file> {
    path: &'file Path,
    text: &'file str,
    content: Content,
}

impl Reading<'_> {
    fn line(&self, span: Option<&Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start).min(self.text.len());
        self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn refuse(&mut self, span: Option<Range<usize>>, rule: &str, why: &str) {
        let line = self.line(span.as_ref());
        let why = format!("`{}`: {why}", shown(self.text, line - 1));
        self.content.broken.push(Broken { file: self.path.into(), line, rule: rule.to_owned(), why });
    }

    /// A pack of another format may mean other things by the same words.
    fn take_format(&mut self, table: &DeTable<'_>) {
        let expected = format!("format = {PACK_FORMAT}");
        match table.get("format") {
            None => self.refuse(None, "", &format!("expected `{expected}`")),
            Some(value) => {
                let is_known = value.get_ref().as_integer().is_some_and(|it| it.as_str() == PACK_FORMAT.to_string());
                if !is_known {
                    self.refuse(Some(value.span()), "", &format!("expected `{expected}`"));
                }
            }
        }
    }

    fn take_all(&mut self, key: &str, value: &Spanned<DeValue<'_>>, take: fn(&mut Self, &Spanned<DeValue<'_>>)) {
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(Some(value.span()), "", &format!("expected `[[{key}]]`"));
            return;
        };
        for one in list.iter() {
            take(self, one);
        }
    }

    fn take_override(&mut self, value: &Spanned<DeValue<'_>>) {
        let id = value.get_ref().get("rule").and_then(|id| id.get_ref().as_str()).unwrap_or_default().to_owned();
        match Override::deserialize(value.clone().into_deserializer()) {
            Ok(change) => {
                let line = self.line(Some(&value.span()));
                self.content.overrides.push(Placed { what: change, line });
            }
            Err(error) => self.refuse(error.span().or(Some(value.span())), &id, &lined(error.message())),
        }
    }

    fn take_rule(&mut self, value: &Spanned<DeValue<'_>>) {
        let id = value.get_ref().get("id").and_then(|id| id.get_ref().as_str()).unwrap_or_default().to_owned();
        let rule = match Rule::deserialize(value.clone().into_deserializer()) {
            Ok(rule) => rule,
            Err(error) => return self.refuse(error.span().or(Some(value.span())), &id, &lined(error.message())),
        };
        match rule.validate() {
            Ok(()) => {
                let line = self.line(Some(&value.span()));
                self.content.rules.push(Placed { what: rule, line });
            }
            Err(RuleError { rule, key, value: found, expected }) => {
                let span = find_key(value.get_ref(), key).unwrap_or_else(|| value.span());
                self.refuse(Some(span), &rule, &format!("rule `{rule}`: key `{key}` is {found}: expected {expected}"));
            }
        }
    }
}

/// Where a key is written, at whatever depth.
fn find_key(value: &DeValue<'_>, wanted: &str) -> Option<Range<usize>> {
    if let Some(table) = value.as_table() {
        let here = table.iter().find(|(key, _)| key.get_ref().as_ref() == wanted).map(|(key, _)| key.span());
        return here.or_else(|| table.iter().find_map(|(_, inner)| find_key(inner.get_ref(), wanted)));
    }
    value.as_array()?.iter().find_map(|inner| find_key(inner.get_ref(), wanted))
}

/// The parser's message on one line.
fn lined(message: &str) -> String {
    message.replace('\n', ", ")
}
