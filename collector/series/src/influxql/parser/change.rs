//! Statements that change what is stored: `CREATE`, `ALTER`, `DROP`, `DELETE`.

use super::{Cursor, Parsed};
use crate::influxql::ParseError;
use crate::influxql::ast::{Change, Delete, PolicyName, PolicyTerms, Statement};
use crate::influxql::token::Kind;

impl Cursor<'_> {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        self.step();
        let change = match self.peek() {
            Kind::Word("DATABASE") => {
                self.step();
                let name = self.name()?;
                let terms = if self.word("WITH") { self.database_terms()? } else { PolicyTerms::default() };
                Change::CreateDatabase(name, terms)
            }
            Kind::Word("RETENTION") => {
                let name = self.policy_name()?;
                let terms = self.policy_terms()?;
                if terms.duration.is_none() {
                    return self.unexpected("DURATION");
                }
                if terms.replication.is_none() {
                    return self.unexpected("REPLICATION");
                }
                Change::CreatePolicy(name, terms)
            }
            Kind::Word(word @ ("CONTINUOUS" | "USER" | "SUBSCRIPTION")) => {
                return Err(ParseError(format!("CREATE {word} is not supported")));
            }
            _ => return self.unexpected("CONTINUOUS, DATABASE, USER, RETENTION, SUBSCRIPTION"),
        };
        Ok(Statement::Change(change))
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.step();
        if *self.peek() != Kind::Word("RETENTION") {
            return self.unexpected("RETENTION");
        }
        let name = self.policy_name()?;
        let from = self.next;
        let terms = self.policy_terms()?;
        if self.next == from {
            return self.unexpected("DURATION, REPLICATION, SHARD, DEFAULT");
        }
        Ok(Statement::Change(Change::AlterPolicy(name, terms)))
    }

    pub(super) fn drop_something(&mut self) -> Parsed<Statement> {
        self.step();
        let change = match self.peek() {
            Kind::Word("DATABASE") => {
                self.step();
                Change::DropDatabase(self.name()?)
            }
            Kind::Word("MEASUREMENT") => {
                self.step();
                Change::DropMeasurement(self.name()?)
            }
            Kind::Word("RETENTION") => Change::DropPolicy(self.policy_name()?),
            Kind::Word("SERIES") => {
                self.step();
                Change::Delete(self.delete_terms(true)?)
            }
            Kind::Word(word @ ("CONTINUOUS" | "SHARD" | "SUBSCRIPTION" | "USER")) => {
                return Err(ParseError(format!("DROP {word} is not supported")));
            }
            _ => {
                return self
                    .unexpected("CONTINUOUS, DATABASE, MEASUREMENT, RETENTION, SERIES, SHARD, SUBSCRIPTION, USER");
            }
        };
        Ok(Statement::Change(change))
    }

    pub(super) fn delete(&mut self) -> Parsed<Statement> {
        self.step();
        Ok(Statement::Change(Change::Delete(self.delete_terms(false)?)))
    }

    fn delete_terms(&mut self, whole_series: bool) -> Parsed<Delete> {
        let mut sources = Vec::new();
        if self.word("FROM") {
            loop {
                let source = self.measurement()?;
                if source.database.is_some() {
                    return Err(ParseError("database not supported".to_owned()));
                }
                if source.policy.is_some() {
                    return Err(ParseError("retention policy not supported".to_owned()));
                }
                sources.push(source);
                if !self.mark(",") {
                    break;
                }
            }
        }
        let condition = self.condition()?;
        if sources.is_empty() && condition.is_none() {
            return self.unexpected("FROM, WHERE");
        }
        Ok(Delete { whole_series, sources, condition })
    }

    /// `RETENTION POLICY name ON database`.
    fn policy_name(&mut self) -> Parsed<PolicyName> {
        self.expect_word("RETENTION")?;
        self.expect_word("POLICY")?;
        let name = match self.peek() {
            // The policy that everyone means by DEFAULT may be named so.
            Kind::Word("DEFAULT") => {
                self.step();
                "default".to_owned()
            }
            _ => self.name()?,
        };
        self.expect_word("ON")?;
        Ok(PolicyName { name, database: self.name()? })
    }

    fn policy_terms(&mut self) -> Parsed<PolicyTerms> {
        let mut terms = PolicyTerms::default();
        loop {
            if self.word("DURATION") {
                terms.duration = Some(self.span()?);
            } else if self.word("REPLICATION") {
                terms.replication = Some(self.replication()?);
            } else if self.word("SHARD") {
                self.expect_word("DURATION")?;
                terms.shard = Some(self.span()?);
            } else if self.word("DEFAULT") {
                terms.default = true;
            } else {
                return Ok(terms);
            }
        }
    }

    /// After `CREATE DATABASE name WITH`.
    fn database_terms(&mut self) -> Parsed<PolicyTerms> {
        let from = self.next;
        let mut terms = self.policy_terms()?;
        if self.word("NAME") {
            terms.name = Some(self.name()?);
        }
        if self.next == from {
            return self.unexpected("DURATION, NAME, REPLICATION, SHARD");
        }
        Ok(terms)
    }

    /// A duration; `INF` is 0.
    fn span(&mut self) -> Parsed<i64> {
        match *self.peek() {
            Kind::Duration(_, nanoseconds) => {
                self.step();
                Ok(nanoseconds)
            }
            Kind::Word("INF") => {
                self.step();
                Ok(0)
            }
            _ => self.unexpected("duration"),
        }
    }

    fn replication(&mut self) -> Parsed<usize> {
        let Kind::Integer(digits) = self.peek() else { return self.unexpected("integer") };
        match digits.parse::<usize>() {
            Ok(count @ 1..=2_147_483_647) => {
                self.step();
                Ok(count)
            }
            _ => self.failed(&format!("invalid value {digits}: must be 1 <= n <= 2147483647")),
        }
    }
}
