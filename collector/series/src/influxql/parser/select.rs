//! `SELECT`.

use super::{Cursor, Parsed};
use crate::influxql::ParseError;
use crate::influxql::ast::{Expr, Field, Fill, Measurement, Name, Page, Select, Source};
use crate::influxql::token::Kind;

impl Cursor<'_> {
    pub(super) fn select(&mut self) -> Parsed<Select> {
        self.enter()?;
        self.expect_word("SELECT")?;
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if !self.mark(",") {
                break;
            }
        }
        let target = if self.word("INTO") { Some(self.target()?) } else { None };
        self.expect_word("FROM")?;
        let sources = self.sources()?;
        let condition = self.condition()?;
        let dimensions = self.dimensions()?;
        let fill = self.fill()?;
        let ordered = *self.peek() == Kind::Word("ORDER");
        let descending = self.order()?;
        let page = Page {
            limit: self.count("LIMIT")?,
            offset: self.count("OFFSET")?,
            series_limit: self.count("SLIMIT")?,
            series_offset: self.count("SOFFSET")?,
        };
        let zone = self.zone()?;
        self.leave();
        Ok(Select { fields, target, sources, condition, dimensions, fill, ordered, descending, page, zone })
    }

    fn field(&mut self) -> Parsed<Field> {
        let expr = self.expr()?;
        let alias = if self.word("AS") { Some(self.name()?) } else { None };
        Ok(Field { expr, alias })
    }

    fn sources(&mut self) -> Parsed<Vec<Source>> {
        let mut sources = Vec::new();
        loop {
            if self.mark("(") {
                sources.push(Source::Query(Box::new(self.select()?)));
                self.expect_mark(")")?;
            } else {
                sources.push(Source::Measurement(self.measurement()?));
            }
            if !self.mark(",") {
                return Ok(sources);
            }
        }
    }

    /// `m`, `policy.m`, `db.policy.m`, `db..m`; the last part may be a pattern.
    pub(super) fn measurement(&mut self) -> Parsed<Measurement> {
        let mut before: Vec<String> = Vec::new();
        loop {
            if let Some(regex) = self.regex()? {
                return Ok(qualified(before, Name::Like(regex)));
            }
            let part = match self.peek() {
                // The policy between two points may be left out.
                Kind::Mark(".") if before.len() == 1 => String::new(),
                Kind::Name(_) => self.name()?,
                _ => return self.unexpected("identifier"),
            };
            if before.len() == 2 || !self.mark(".") {
                return Ok(qualified(before, Name::Is(part)));
            }
            before.push(part);
        }
    }

    /// As a source; `:MEASUREMENT` stands for the name that the rows have, which an empty name means here.
    fn target(&mut self) -> Parsed<Measurement> {
        let mut before: Vec<String> = Vec::new();
        loop {
            if self.mark(":") {
                self.expect_word("MEASUREMENT")?;
                return Ok(qualified(before, Name::Is(String::new())));
            }
            let part = match self.peek() {
                Kind::Mark(".") if before.len() == 1 => String::new(),
                _ => self.name()?,
            };
            if before.len() == 2 || !self.mark(".") {
                return Ok(qualified(before, Name::Is(part)));
            }
            before.push(part);
        }
    }

    pub(super) fn condition(&mut self) -> Parsed<Option<Expr>> {
        if self.word("WHERE") { self.expr().map(Some) } else { Ok(None) }
    }

    pub(super) fn dimensions(&mut self) -> Parsed<Vec<Expr>> {
        let mut dimensions = Vec::new();
        if !self.word("GROUP") {
            return Ok(dimensions);
        }
        self.expect_word("BY")?;
        loop {
            dimensions.push(self.expr()?);
            if !self.mark(",") {
                return Ok(dimensions);
            }
        }
    }

    fn fill(&mut self) -> Parsed<Fill> {
        if !is_call(self.peek(), self.peek_after(), "fill") {
            return Ok(Fill::Null);
        }
        let Expr::Call(_, arguments) = self.expr()? else { return Ok(Fill::Null) };
        let [argument] = arguments.as_slice() else {
            let text = "fill requires an argument, e.g.: 0, null, none, previous, linear";
            return Err(ParseError(text.to_owned()));
        };
        match argument {
            Expr::Integer(number) => Ok(Fill::Number(*number as f64)),
            Expr::Number(number) => Ok(Fill::Number(*number)),
            Expr::Reference(name, None) => match name.to_lowercase().as_str() {
                "null" => Ok(Fill::Null),
                "none" => Ok(Fill::None),
                "previous" => Ok(Fill::Previous),
                "linear" => Ok(Fill::Linear),
                _ => Err(ParseError("expected number argument in fill()".to_owned())),
            },
            _ => Err(ParseError("expected number argument in fill()".to_owned())),
        }
    }

    /// True for descending.
    fn order(&mut self) -> Parsed<bool> {
        if !self.word("ORDER") {
            return Ok(false);
        }
        self.expect_word("BY")?;
        let only_time = || ParseError("only ORDER BY time supported at this time".to_owned());
        if let Kind::Name(name) = self.peek() {
            if name != "time" {
                return Err(only_time());
            }
            self.step();
        } else if !matches!(self.peek(), Kind::Word("ASC" | "DESC")) {
            return self.unexpected("identifier, ASC, DESC");
        }
        let descending = self.word("DESC");
        if !descending {
            self.word("ASC");
        }
        if self.mark(",") { Err(only_time()) } else { Ok(descending) }
    }

    fn zone(&mut self) -> Parsed<Option<jiff::tz::TimeZone>> {
        if !is_call(self.peek(), self.peek_after(), "tz") {
            return Ok(None);
        }
        let Expr::Call(_, arguments) = self.expr()? else { return Ok(None) };
        let [Expr::Text(name)] = arguments.as_slice() else {
            return Err(ParseError("expected string argument in tz()".to_owned()));
        };
        let zone = jiff::tz::TimeZone::get(name);
        zone.map(Some).map_err(|_| ParseError(format!("unable to find time zone {name}")))
    }
}

fn is_call(first: &Kind, second: &Kind, name: &str) -> bool {
    matches!(first, Kind::Name(found) if found.eq_ignore_ascii_case(name)) && *second == Kind::Mark("(")
}

fn qualified(before: Vec<String>, name: Name) -> Measurement {
    let mut before = before.into_iter().rev().map(|part| Some(part).filter(|part| !part.is_empty()));
    let policy = before.next().flatten();
    let database = before.next().flatten();
    Measurement { database, policy, name }
}
