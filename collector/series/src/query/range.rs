//! Takes the time out of a condition.

use super::{Answer, QueryError};
use crate::influxql::ast::{Expr, Op};

/// The oldest and newest time that InfluxDB knows; the ends of the 64 bits are kept free.
pub(crate) const MIN_TIME: i64 = i64::MIN + 2;
pub(crate) const MAX_TIME: i64 = i64::MAX - 1;

/// Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl TimeRange {
    pub(crate) const ALL: Self = Self { from: MIN_TIME, to: MAX_TIME };

    pub(crate) fn intersect(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    pub(crate) fn has_start(self) -> bool {
        self.from != MIN_TIME
    }

    pub(crate) fn has_end(self) -> bool {
        self.to != MAX_TIME
    }
}

/// Splits a condition into what it says about time and the rest. Bounds joined by OR are taken as if joined by AND, as InfluxDB does.
pub(crate) fn split(
    expr: Option<&Expr>,
    now: i64,
    zone: Option<&jiff::tz::TimeZone>,
) -> Answer<(Option<Expr>, TimeRange)> {
    let Some(expr) = expr else { return Ok((None, TimeRange::ALL)) };
    Splitter { now, zone }.split(expr)
}

struct Splitter<'a> {
    now: i64,
    zone: Option<&'a jiff::tz::TimeZone>,
}

impl Splitter<'_> {
    fn split(&self, expr: &Expr) -> Answer<(Option<Expr>, TimeRange)> {
        match expr {
            Expr::Paren(inner) => {
                let (rest, range) = self.split(inner)?;
                Ok((rest.map(|rest| Expr::Paren(Box::new(rest))), range))
            }
            Expr::Binary(op @ (Op::And | Op::Or), left, right) => {
                let (left, first) = self.split(left)?;
                let (right, second) = self.split(right)?;
                let rest = match (left, right) {
                    (Some(left), Some(right)) => Some(Expr::Binary(*op, Box::new(left), Box::new(right))),
                    (left, right) => left.or(right),
                };
                Ok((rest, first.intersect(second)))
            }
            Expr::Binary(op, left, right) if is_time(left) => Ok((None, self.bound(*op, right)?)),
            Expr::Binary(op, left, right) if is_time(right) => Ok((None, self.bound(op.flipped(), left)?)),
            other => Ok((Some(other.clone()), TimeRange::ALL)),
        }
    }

    fn bound(&self, op: Op, value: &Expr) -> Answer<TimeRange> {
        let time = match self.value(value)? {
            Term::Time(time) | Term::Span(time) => time,
        };
        let time = time.clamp(i128::from(MIN_TIME) - 1, i128::from(MAX_TIME) + 1) as i64;
        let all = TimeRange::ALL;
        let range = match op {
            Op::Equal => TimeRange { from: time, to: time },
            Op::Greater => TimeRange { from: time.saturating_add(1), ..all },
            Op::GreaterEqual => TimeRange { from: time, ..all },
            Op::Less => TimeRange { to: time.saturating_sub(1), ..all },
            Op::LessEqual => TimeRange { to: time, ..all },
            other => {
                return Err(format!("invalid time comparison operator: {}", other.text()).into());
            }
        };
        Ok(range.intersect(all))
    }

    fn value(&self, expr: &Expr) -> Answer<Term> {
        match expr {
            Expr::Paren(inner) => self.value(inner),
            Expr::Integer(time) => Ok(Term::Time(i128::from(*time))),
            Expr::Unsigned(time) => Ok(Term::Time(i128::from(*time))),
            Expr::Number(time) => Ok(Term::Time(i128::from(*time as i64))),
            Expr::Duration(span) => Ok(Term::Span(i128::from(*span))),
            Expr::Text(text) => self.literal(text).map(Term::Time).ok_or_else(|| match looks_like_date(text) {
                true => "invalid timestamp string".into(),
                false => bad(expr),
            }),
            Expr::Call(name, arguments) if name == "now" && arguments.is_empty() => {
                Ok(Term::Time(i128::from(self.now)))
            }
            Expr::Binary(op @ (Op::Add | Op::Subtract), left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let right_number = right.number();
                let sum = match op {
                    Op::Add => left.number() + right_number,
                    _ => left.number() - right_number,
                };
                Ok(match (left, right) {
                    (Term::Span(_), Term::Span(_)) => Term::Span(sum),
                    _ => Term::Time(sum),
                })
            }
            _ => Err(bad(expr)),
        }
    }

    /// `2023-11-14T22:13:20.5Z`, `2023-11-14 22:13:20.5`, `2023-11-14`; without a zone in the zone of the query.
    fn literal(&self, text: &str) -> Option<i128> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(instant.as_nanosecond());
        }
        let civil = text
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)))
            .ok()?;
        let zone = self.zone.cloned().unwrap_or(jiff::tz::TimeZone::UTC);
        Some(civil.to_zoned(zone).ok()?.timestamp().as_nanosecond())
    }
}

enum Term {
    Time(i128),
    Span(i128),
}

impl Term {
    fn number(&self) -> i128 {
        match self {
            Self::Time(number) | Self::Span(number) => *number,
        }
    }
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Reference(name, None) => name.eq_ignore_ascii_case("time"),
        Expr::Paren(inner) => is_time(inner),
        _ => false,
    }
}

/// Four digits, two and two, with dashes between.
fn looks_like_date(text: &str) -> bool {
    let shape = b"0000-00-00";
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'-' { *byte == b'-' } else { byte.is_ascii_digit() };
    text.len() >= shape.len() && text.as_bytes().iter().zip(shape).all(fits)
}

fn bad(expr: &Expr) -> QueryError {
    let kind = match expr {
        Expr::Text(_) => "StringLiteral",
        Expr::Boolean(_) => "BooleanLiteral",
        Expr::Regex(_) => "RegexLiteral",
        Expr::Reference(..) => "VarRef",
        Expr::Call(..) => "Call",
        _ => "BinaryExpr",
    };
    format!("invalid operation: time and *influxql.{kind} are not compatible").into()
}
