//! `SHOW`.

use super::{Cursor, Parsed};
use crate::influxql::ParseError;
use crate::influxql::ast::{Counted, Keys, Name, Show, What};
use crate::influxql::token::Kind;

const KINDS: &str = "CONTINUOUS, DATABASES, DIAGNOSTICS, FIELD, GRANTS, MEASUREMENT, MEASUREMENTS, QUERIES, RETENTION, SERIES, SHARD, SHARDS, STATS, SUBSCRIPTIONS, TAG, USERS";

impl Cursor<'_> {
    pub(super) fn show(&mut self) -> Parsed<Show> {
        self.expect_word("SHOW")?;
        let kind = match self.peek() {
            Kind::Word(word) => *word,
            _ => return self.unexpected(KINDS),
        };
        self.step();
        let what = match kind {
            "DATABASES" => What::Databases,
            "MEASUREMENTS" => What::Measurements(None),
            "SERIES" => match self.cardinality()? {
                Some(exact) => What::Cardinality(Counted::Series, exact),
                None => What::Series,
            },
            "MEASUREMENT" => self.counted(Counted::Measurements)?,
            "RETENTION" | "TAG" | "FIELD" => self.show_two(kind)?,
            "CONTINUOUS" => {
                self.expect_word("QUERIES")?;
                What::ContinuousQueries
            }
            "USERS" => What::Nothing(&["user", "admin"]),
            "QUERIES" => What::Nothing(&["qid", "query", "database", "duration", "status"]),
            "SUBSCRIPTIONS" => What::Nothing(&[]),
            "DIAGNOSTICS" | "GRANTS" | "SHARD" | "SHARDS" | "STATS" => {
                return Err(ParseError(format!("SHOW {kind} is not supported")));
            }
            _ => {
                self.next -= 1;
                return self.unexpected(KINDS);
            }
        };
        self.show_rest(what)
    }

    /// The kinds of two words.
    fn show_two(&mut self, first: &str) -> Parsed<What> {
        let second = match self.peek() {
            Kind::Word(word) => *word,
            _ => "",
        };
        let what = match (first, second) {
            ("RETENTION", "POLICIES") => What::RetentionPolicies,
            ("TAG", "KEYS") => What::TagKeys,
            ("TAG", "VALUES") => What::TagValues(Keys::In(Vec::new())),
            ("FIELD", "KEYS") => What::FieldKeys,
            ("TAG", "KEY") => {
                self.step();
                return self.counted(Counted::TagKeys);
            }
            ("FIELD", "KEY") => {
                self.step();
                return self.counted(Counted::FieldKeys);
            }
            ("RETENTION", _) => return self.unexpected("POLICIES"),
            ("TAG", _) => return self.unexpected("KEY, KEYS, VALUES"),
            _ => return self.unexpected("KEY, KEYS"),
        };
        self.step();
        if matches!(what, What::TagValues(_))
            && let Some(exact) = self.cardinality()?
        {
            return Ok(What::Cardinality(Counted::TagValues(Keys::In(Vec::new())), exact));
        }
        Ok(what)
    }

    /// `[EXACT] CARDINALITY`, if it is next; true for the exact one.
    fn cardinality(&mut self) -> Parsed<Option<bool>> {
        if self.word("EXACT") {
            self.expect_word("CARDINALITY")?;
            return Ok(Some(true));
        }
        Ok(self.word("CARDINALITY").then_some(false))
    }

    fn counted(&mut self, counted: Counted) -> Parsed<What> {
        match self.cardinality()? {
            Some(exact) => Ok(What::Cardinality(counted, exact)),
            None => self.unexpected("CARDINALITY, EXACT"),
        }
    }

    fn show_rest(&mut self, what: What) -> Parsed<Show> {
        let mut show = Show {
            what,
            database: None,
            sources: Vec::new(),
            condition: None,
            dimensions: Vec::new(),
            limit: 0,
            offset: 0,
        };
        if matches!(show.what, What::ContinuousQueries | What::Databases | What::Nothing(_)) {
            return Ok(show);
        }
        if self.word("ON") {
            show.database = Some(self.name()?);
        }
        if matches!(show.what, What::RetentionPolicies) {
            return Ok(show);
        }
        if self.word("FROM") {
            loop {
                show.sources.push(self.measurement()?);
                if !self.mark(",") {
                    break;
                }
            }
        }
        match &mut show.what {
            What::Measurements(with) => *with = self.with_measurement()?,
            What::TagValues(keys) | What::Cardinality(Counted::TagValues(keys), _) => *keys = self.with_key()?,
            _ => {}
        }
        show.condition = self.condition()?;
        if matches!(show.what, What::Cardinality(..)) {
            show.dimensions = self.dimensions()?;
        }
        self.skip_order()?;
        show.limit = self.count("LIMIT")?;
        show.offset = self.count("OFFSET")?;
        // Of a SHOW statement InfluxDB reads these, and nothing follows from them.
        self.count("SLIMIT")?;
        self.count("SOFFSET")?;
        Ok(show)
    }

    /// Answers are sorted by name, whatever is asked.
    fn skip_order(&mut self) -> Parsed<()> {
        if self.word("ORDER") {
            self.expect_word("BY")?;
            if matches!(self.peek(), Kind::Name(_)) {
                self.step();
            }
            if !self.word("DESC") {
                self.word("ASC");
            }
        }
        Ok(())
    }

    fn with_measurement(&mut self) -> Parsed<Option<(bool, Name)>> {
        if !self.word("WITH") {
            return Ok(None);
        }
        self.expect_word("MEASUREMENT")?;
        let (wanted, like) = match self.peek() {
            Kind::Mark("=~") => (true, true),
            Kind::Mark("!~") => (false, true),
            Kind::Mark("=") => (true, false),
            Kind::Mark("!=" | "<>") => (false, false),
            _ => return self.unexpected("=, =~"),
        };
        self.step();
        if !like {
            return Ok(Some((wanted, Name::Is(self.name()?))));
        }
        match self.regex()? {
            Some(regex) => Ok(Some((wanted, Name::Like(regex)))),
            None => self.unexpected("regex"),
        }
    }

    fn with_key(&mut self) -> Parsed<Keys> {
        self.expect_word("WITH")?;
        self.expect_word("KEY")?;
        if self.word("IN") {
            self.expect_mark("(")?;
            let mut keys = vec![self.name()?];
            while self.mark(",") {
                keys.push(self.name()?);
            }
            self.expect_mark(")")?;
            return Ok(Keys::In(keys));
        }
        let mark = match self.peek() {
            Kind::Mark(mark @ ("=" | "!=" | "<>" | "=~" | "!~")) => *mark,
            _ => return self.unexpected("IN, =, =~"),
        };
        self.step();
        match mark {
            "=" => Ok(Keys::In(vec![self.name()?])),
            "!=" | "<>" => Ok(Keys::Not(self.name()?)),
            _ => match self.regex()? {
                Some(regex) if mark == "=~" => Ok(Keys::Like(regex)),
                Some(regex) => Ok(Keys::NotLike(regex)),
                None => self.unexpected("regex"),
            },
        }
    }
}
