//! The words of the language.

use std::fmt;

/// One token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Byte offset in the text.
    pub(crate) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    End,
    /// A bare or quoted name.
    Name(String),
    /// A word of the language, in upper case.
    Word(&'static str),
    Text(String),
    Integer(String),
    Number(String),
    /// The text and its nanoseconds.
    Duration(String, i64),
    Regex(String),
    /// `$name`.
    Parameter(String),
    /// An operator or a mark.
    Mark(&'static str),
    /// Digits and letters that are no duration.
    BadDuration(String),
    /// Something that the lexer cannot read; the text is what InfluxDB shows.
    Bad(String),
}

/// Words that are not names unless they are quoted.
const WORDS: &[&str] = &[
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BEGIN",
    "BY",
    "CARDINALITY",
    "CREATE",
    "CONTINUOUS",
    "DATABASE",
    "DATABASES",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DESTINATIONS",
    "DIAGNOSTICS",
    "DISTINCT",
    "DROP",
    "DURATION",
    "END",
    "EVERY",
    "EXACT",
    "EXPLAIN",
    "FALSE",
    "FIELD",
    "FOR",
    "FROM",
    "GRANT",
    "GRANTS",
    "GROUP",
    "GROUPS",
    "IN",
    "INF",
    "INSERT",
    "INTO",
    "KEY",
    "KEYS",
    "KILL",
    "LIMIT",
    "MEASUREMENT",
    "MEASUREMENTS",
    "NAME",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PASSWORD",
    "POLICIES",
    "POLICY",
    "PRIVILEGES",
    "QUERIES",
    "QUERY",
    "READ",
    "REPLICATION",
    "RESAMPLE",
    "RETENTION",
    "REVOKE",
    "SELECT",
    "SERIES",
    "SET",
    "SHARD",
    "SHARDS",
    "SHOW",
    "SLIMIT",
    "SOFFSET",
    "STATS",
    "SUBSCRIPTION",
    "SUBSCRIPTIONS",
    "TAG",
    "TO",
    "TRUE",
    "USER",
    "USERS",
    "VALUES",
    "WHERE",
    "WITH",
    "WRITE",
];

/// The word that `name` is, in any case.
pub(crate) fn word(name: &str) -> Option<&'static str> {
    WORDS.iter().find(|word| word.eq_ignore_ascii_case(name)).copied()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("EOF"),
            Self::Word(text) | Self::Mark(text) => f.write_str(text),
            Self::Name(text)
            | Self::Text(text)
            | Self::Integer(text)
            | Self::Number(text)
            | Self::Duration(text, _)
            | Self::Regex(text)
            | Self::BadDuration(text)
            | Self::Bad(text) => f.write_str(text),
            Self::Parameter(text) => write!(f, "${text}"),
        }
    }
}
