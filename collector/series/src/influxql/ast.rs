//! The tree of a request.

use regex::Regex;

/// One statement.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Select(Box<Select>),
    Show(Show),
    Explain(Box<Select>),
    Change(Change),
}

/// A statement that changes what is stored, and reads nothing.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    CreateDatabase(String, PolicyTerms),
    DropDatabase(String),
    CreatePolicy(PolicyName, PolicyTerms),
    AlterPolicy(PolicyName, PolicyTerms),
    DropPolicy(PolicyName),
    DropMeasurement(String),
    /// Whole series, or the rows in a range of time: the condition of `DROP SERIES` and `DELETE`.
    Delete(Delete),
}

#[derive(Clone, Debug)]
pub(crate) struct PolicyName {
    pub(crate) name: String,
    pub(crate) database: String,
}

/// What a statement says of a retention policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyTerms {
    /// Of the policy that comes with a new database.
    pub(crate) name: Option<String>,
    /// Nanoseconds; 0 is for ever.
    pub(crate) duration: Option<i64>,
    pub(crate) replication: Option<usize>,
    pub(crate) shard: Option<i64>,
    pub(crate) default: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Delete {
    /// `DROP SERIES`, which takes no time.
    pub(crate) whole_series: bool,
    pub(crate) sources: Vec<Measurement>,
    pub(crate) condition: Option<Expr>,
}

/// `SELECT ...`
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) fields: Vec<Field>,
    /// `INTO`: where the rows go.
    pub(crate) target: Option<Measurement>,
    pub(crate) sources: Vec<Source>,
    pub(crate) condition: Option<Expr>,
    pub(crate) dimensions: Vec<Expr>,
    pub(crate) fill: Fill,
    /// `ORDER BY` was there.
    pub(crate) ordered: bool,
    pub(crate) descending: bool,
    pub(crate) page: Page,
    pub(crate) zone: Option<jiff::tz::TimeZone>,
}

/// The clauses that cut an answer. 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) series_limit: usize,
    pub(crate) series_offset: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) expr: Expr,
    pub(crate) alias: Option<String>,
}

/// What stands after FROM.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Measurement(Measurement),
    /// A sub-query.
    Query(Box<Select>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Measurement {
    pub(crate) database: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) name: Name,
}

/// A name, or a pattern of names.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Is(String),
    Like(Regex),
}

impl Default for Name {
    fn default() -> Self {
        Self::Is(String::new())
    }
}

impl Name {
    /// The pattern that every name matches.
    pub(crate) fn every() -> Result<Self, String> {
        Regex::new("").map(Self::Like).map_err(|error| error.to_string())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Is(text) => text == name,
            Self::Like(regex) => regex.is_match(name),
        }
    }
}

/// What empty buckets show.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) enum Fill {
    #[default]
    Null,
    None,
    Previous,
    Linear,
    Number(f64),
}

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Binary(Op, Box<Expr>, Box<Expr>),
    Paren(Box<Expr>),
    Call(String, Vec<Expr>),
    Reference(String, Option<Cast>),
    /// `*`, `*::tag`, `*::field`.
    Wildcard(Option<Cast>),
    Regex(Regex),
    Number(f64),
    Integer(i64),
    Unsigned(u64),
    Text(String),
    Boolean(bool),
    Duration(i64),
}

/// What stands after `::`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    Float,
    Integer,
    Unsigned,
    Text,
    Boolean,
    Field,
    Tag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Equal,
    NotEqual,
    Match,
    NotMatch,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Expr {
    /// As InfluxDB writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Paren(inner) => format!("({})", inner.text()),
            Self::Binary(op, left, right) => format!("{} {} {}", left.text(), op.text(), right.text()),
            Self::Reference(name, _) => name.clone(),
            Self::Call(name, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(Self::text).collect();
                format!("{name}({})", arguments.join(", "))
            }
            Self::Number(number) => format!("{number:.3}"),
            Self::Integer(number) => number.to_string(),
            Self::Unsigned(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::Duration(span) => span_text(*span),
            Self::Regex(regex) => format!("/{}/", regex.as_str()),
            Self::Wildcard(_) => "*".to_owned(),
        }
    }

    /// What InfluxDB calls this kind of expression.
    pub(crate) fn kind_text(&self) -> &'static str {
        match self {
            Self::Paren(_) => "*influxql.ParenExpr",
            Self::Binary(..) => "*influxql.BinaryExpr",
            Self::Reference(..) => "*influxql.VarRef",
            Self::Call(..) => "*influxql.Call",
            Self::Number(_) => "*influxql.NumberLiteral",
            Self::Integer(_) => "*influxql.IntegerLiteral",
            Self::Unsigned(_) => "*influxql.UnsignedLiteral",
            Self::Boolean(_) => "*influxql.BooleanLiteral",
            Self::Text(_) => "*influxql.StringLiteral",
            Self::Duration(_) => "*influxql.DurationLiteral",
            Self::Regex(_) => "*influxql.RegexLiteral",
            Self::Wildcard(_) => "*influxql.Wildcard",
        }
    }

    /// True if a name is in it.
    pub(crate) fn has_name(&self) -> bool {
        match self {
            Self::Reference(..) | Self::Regex(_) | Self::Wildcard(_) => true,
            Self::Paren(inner) => inner.has_name(),
            Self::Binary(_, left, right) => left.has_name() || right.has_name(),
            Self::Call(_, arguments) => arguments.iter().any(Self::has_name),
            _ => false,
        }
    }
}

/// A span in the largest unit that divides it.
pub(crate) fn span_text(nanoseconds: i64) -> String {
    let units = [
        (604_800_000_000_000, "w"),
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "u"),
        (1, "ns"),
    ];
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let found = units.iter().find(|(unit, _)| nanoseconds % unit == 0);
    found.map_or_else(String::new, |(unit, name)| format!("{}{name}", nanoseconds / unit))
}

impl Op {
    /// Higher binds more.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Add | Self::Subtract | Self::BitOr | Self::BitXor => 4,
            Self::Multiply | Self::Divide | Self::Modulo | Self::BitAnd => 5,
            _ => 3,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Match => "=~",
            Self::NotMatch => "!~",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// The operator with its sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            other => other,
        }
    }
}

/// `SHOW ...`
#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub(crate) what: What,
    pub(crate) database: Option<String>,
    pub(crate) sources: Vec<Measurement>,
    pub(crate) condition: Option<Expr>,
    /// `GROUP BY`, of cardinalities only.
    pub(crate) dimensions: Vec<Expr>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Databases,
    /// With the names that `WITH MEASUREMENT` allows.
    Measurements(Option<(bool, Name)>),
    TagKeys,
    TagValues(Keys),
    FieldKeys,
    RetentionPolicies,
    ContinuousQueries,
    Series,
    /// `SHOW ... [EXACT] CARDINALITY`.
    Cardinality(Counted, bool),
    /// What other servers have and we do not: an empty table with these columns.
    Nothing(&'static [&'static str]),
}

/// What a cardinality counts.
#[derive(Clone, Debug)]
pub(crate) enum Counted {
    Series,
    Measurements,
    TagKeys,
    TagValues(Keys),
    FieldKeys,
}

/// `WITH KEY ...`
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    In(Vec<String>),
    Not(String),
    Like(Regex),
    NotLike(Regex),
}

impl Keys {
    pub(crate) fn matches(&self, key: &str) -> bool {
        match self {
            Self::In(keys) => keys.iter().any(|wanted| wanted == key),
            Self::Not(unwanted) => unwanted != key,
            Self::Like(regex) => regex.is_match(key),
            Self::NotLike(regex) => !regex.is_match(key),
        }
    }
}
