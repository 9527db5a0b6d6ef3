//! What a request is for, for an owner who keeps its series elsewhere and passes questions on.

use crate::influxql::ast::{Change, Statement};
use crate::influxql::parse;
use crate::limits::QueryLimits;
use crate::query::Parameters;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// It only reads.
    Read,
    /// It makes, alters or drops databases and policies.
    Arrange,
    /// It writes or deletes points.
    Alter,
}

impl Intent {
    /// What a request is for: the strongest of its statements counts.
    ///
    /// # Errors
    /// When it is not InfluxQL, in InfluxDB's words.
    pub fn of(text: &str, parameters: &Parameters) -> Result<Self, String> {
        let limits = QueryLimits::default();
        if text.len() > limits.max_query_bytes {
            return Err(format!("query is too long: {} bytes, at most {}", text.len(), limits.max_query_bytes));
        }
        let parsed = parse(text, &parameters.0, limits.max_statements, limits.max_depth);
        let statements = parsed.map_err(|error| error.to_string())?;
        Ok(statements.iter().map(|(statement, _)| Self::of_one(statement)).max().unwrap_or(Self::Read))
    }

    fn of_one(statement: &Statement) -> Self {
        match statement {
            Statement::Select(select) | Statement::Explain(select) if select.target.is_none() => Self::Read,
            Statement::Show(_) => Self::Read,
            Statement::Select(_) | Statement::Explain(_) => Self::Alter,
            Statement::Change(Change::DropMeasurement(_) | Change::Delete(_)) => Self::Alter,
            Statement::Change(_) => Self::Arrange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_changes_passes_for_a_question() {
        let of = |text: &str| Intent::of(text, &Parameters::default());
        for (text, intent) in [
            ("SELECT mean(\"v\") FROM m WHERE time > now() - 1h GROUP BY time(1m)", Intent::Read),
            ("SHOW MEASUREMENTS; SELECT * FROM (SELECT v FROM m)", Intent::Read),
            ("SELECT v FROM m; DROP MEASUREMENT m", Intent::Alter),
            ("SELECT v INTO n FROM m", Intent::Alter),
            ("delete from m", Intent::Alter),
            ("DROP SERIES FROM m", Intent::Alter),
            ("CREATE DATABASE telegraf", Intent::Arrange),
            ("SHOW DATABASES; DROP RETENTION POLICY r ON d", Intent::Arrange),
            ("", Intent::Read),
        ] {
            assert_eq!(of(text), Ok(intent), "{text}");
        }
        assert!(of("GRANT ALL TO me").is_err(), "what is not understood is not passed on");
    }
}
