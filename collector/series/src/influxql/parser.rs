//! Tokens to statements.

mod change;
mod expr;
mod select;
mod show;

use std::collections::BTreeMap;

use regex::Regex;

use super::ParseError;
use super::ast::Statement;
use super::lexer;
use super::token::{Kind, Token};

/// A pattern that would compile to more than this is refused.
const MAX_PATTERN_BYTES: usize = 1 << 20;

type Parsed<T> = Result<T, ParseError>;

/// What stands for `$name` in a request.
pub(crate) type Parameters = BTreeMap<String, Kind>;

/// Reads a request of at most `most` statements, nested at most `depth` deep.
pub(crate) fn parse<'a>(
    text: &'a str,
    parameters: &Parameters,
    most: usize,
    depth: usize,
) -> Parsed<Vec<(Statement, &'a str)>> {
    let mut tokens = lexer::tokens(text);
    for token in &mut tokens {
        if let Kind::Parameter(name) = &token.kind
            && let Some(bound) = parameters.get(name)
        {
            token.kind = bound.clone();
        }
    }
    let mut cursor = Cursor { text, tokens, next: 0, depth: 0, max_depth: depth };
    let mut statements = Vec::new();
    loop {
        while cursor.mark(";") {}
        if *cursor.peek() == Kind::End {
            return Ok(statements);
        }
        if statements.len() == most {
            return Err(ParseError(format!("a request may hold at most {most} statements")));
        }
        let from = cursor.tokens[cursor.next].at;
        let statement = cursor.statement()?;
        let to = cursor.tokens[cursor.next].at;
        statements.push((statement, text[from..to].trim_end()));
        if *cursor.peek() != Kind::End && !cursor.mark(";") {
            return cursor.unexpected(";").map(|()| Vec::new());
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    max_depth: usize,
}

impl Cursor<'_> {
    fn statement(&mut self) -> Parsed<Statement> {
        match self.peek() {
            Kind::Word("SELECT") => Ok(Statement::Select(Box::new(self.select()?))),
            Kind::Word("SHOW") => Ok(Statement::Show(self.show()?)),
            Kind::Word("CREATE") => self.create(),
            Kind::Word("ALTER") => self.alter(),
            Kind::Word("DROP") => self.drop_something(),
            Kind::Word("DELETE") => self.delete(),
            Kind::Word("EXPLAIN") => {
                self.step();
                if *self.peek() == Kind::Word("ANALYZE") {
                    return Err(ParseError("EXPLAIN ANALYZE is not supported".to_owned()));
                }
                Ok(Statement::Explain(Box::new(self.select()?)))
            }
            Kind::Word(word @ ("GRANT" | "REVOKE" | "SET" | "KILL")) => {
                Err(ParseError(format!("{word} is not supported")))
            }
            _ => self.unexpected("SELECT, DELETE, SHOW, CREATE, DROP, EXPLAIN, GRANT, REVOKE, ALTER, SET, KILL"),
        }
    }

    fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    fn peek_after(&self) -> &Kind {
        let after = (self.next + 1).min(self.tokens.len() - 1);
        &self.tokens[after].kind
    }

    /// Takes the next token; the end stays.
    fn step(&mut self) -> Kind {
        let kind = self.peek().clone();
        if kind != Kind::End {
            self.next += 1;
        }
        kind
    }

    /// Takes the mark if it is next.
    fn mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Kind::Mark(next) if *next == mark);
        if found {
            self.next += 1;
        }
        found
    }

    /// Takes the word if it is next.
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(next) if *next == word);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect_mark(&mut self, mark: &str) -> Parsed<()> {
        if self.mark(mark) { Ok(()) } else { self.unexpected(mark) }
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.word(word) { Ok(()) } else { self.unexpected(word) }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Kind::Name(name) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => self.unexpected("identifier"),
        }
    }

    fn regex(&mut self) -> Parsed<Option<Regex>> {
        let Kind::Regex(body) = self.peek() else { return Ok(None) };
        let regex = regex::RegexBuilder::new(body).size_limit(MAX_PATTERN_BYTES).build();
        let regex = regex.map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            ParseError(format!("error parsing regexp: {last}: `{body}`"))
        })?;
        self.next += 1;
        Ok(Some(regex))
    }

    /// `LIMIT n` and its like; 0 when the word is not there.
    fn count(&mut self, word: &str) -> Parsed<usize> {
        if !self.word(word) {
            return Ok(0);
        }
        match self.peek() {
            Kind::Integer(digits) => {
                let count = digits.parse::<i64>().ok().and_then(|count| usize::try_from(count).ok());
                match count {
                    Some(count) => {
                        self.next += 1;
                        Ok(count)
                    }
                    None => self.failed("unable to parse integer"),
                }
            }
            _ => self.unexpected("integer"),
        }
    }

    /// One level deeper; the caller calls `leave`.
    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(ParseError(format!("nested more than {} deep", self.max_depth)));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        self.failed(&format!("found {}, expected {expected}", self.peek()))
    }

    fn failed<T>(&self, text: &str) -> Parsed<T> {
        let (line, letter) = self.place();
        Err(ParseError(format!("{text} at line {line}, char {letter}")))
    }

    /// InfluxDB names a place one letter earlier where it looked for a pattern.
    fn unexpected_pattern<T>(&self) -> Parsed<T> {
        let (line, letter) = self.place();
        let token = &self.tokens[self.next];
        let text = &self.text[token.at..];
        if text.starts_with('/') {
            return Err(ParseError(format!("bad regex:  at line {line}, char {}", letter - 1)));
        }
        let earlier = usize::from(!text.starts_with('\''));
        Err(ParseError(format!("found {}, expected regex at line {line}, char {}", token.kind, letter - earlier)))
    }

    /// Where the next token begins, as InfluxDB counts: the end of the text is one further behind what might have gone on, and a text
    /// in quotes begins one earlier, as does one without an end.
    fn place(&self) -> (usize, usize) {
        let token = &self.tokens[self.next];
        let before = &self.text[..token.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count();
        let last = self.next.checked_sub(1).map(|last| &self.tokens[last]);
        let goes_on =
            last.is_some_and(|last| matches!(last.kind, Kind::Name(_) | Kind::Word(_) | Kind::Mark("," | "(")));
        let at_once = !before.ends_with(char::is_whitespace);
        let quoted = self.text[token.at..].starts_with('\'');
        let without_end = matches!(token.kind, Kind::Bad(_)) && self.text[token.at..].starts_with('"');
        match token.kind {
            Kind::End if goes_on && at_once => (line, column + 2),
            _ if quoted || without_end => (line, column),
            _ => (line, column + 1),
        }
    }
}
