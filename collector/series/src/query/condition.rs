//! The condition without its time: bound to a measurement once, reduced for each stream by its tags, asked for each row if
//! anything is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;

use super::view::{Meaning, View, tag};
use super::{Answer, Value, math};
use crate::chunk::Chunk;
use crate::influxql::ast::{Expr, Op};
use crate::store::Tags;

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Always(bool),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Tag(Arc<str>, Test),
    /// Two operands compared; incompatible ones are no match, never an error.
    Compare(Op, Operand, Operand),
    Like(Operand, Regex, bool),
}

/// What a tag must be.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Is(String),
    Not(String),
    Like(Regex),
    NotLike(Regex),
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Field(u32),
    Tag(Arc<str>),
    Literal(Value),
    Binary(Op, Box<Operand>, Box<Operand>),
}

impl Condition {
    pub(crate) fn bind(expr: Option<&Expr>, view: &View) -> Answer<Self> {
        let Some(expr) = expr else { return Ok(Self::Always(true)) };
        match expr {
            Expr::Paren(inner) => Self::bind(Some(inner), view),
            Expr::Boolean(value) => Ok(Self::Always(*value)),
            Expr::Binary(Op::And, left, right) => {
                Ok(Self::And(Box::new(Self::bind(Some(left), view)?), Box::new(Self::bind(Some(right), view)?)))
            }
            Expr::Binary(Op::Or, left, right) => {
                Ok(Self::Or(Box::new(Self::bind(Some(left), view)?), Box::new(Self::bind(Some(right), view)?)))
            }
            Expr::Binary(op, left, right) => Self::bind_comparison(*op, left, right, view),
            other => Err(format!("invalid condition expression: {}", other.text()).into()),
        }
    }

    /// As [`bind`](Self::bind), for statements that read no rows: what is said of a field lets everything through, and tags are texts.
    pub(crate) fn bind_tags(expr: Option<&Expr>, view: &View) -> Answer<Self> {
        let Some(expr) = expr else { return Ok(Self::Always(true)) };
        match expr {
            Expr::Paren(inner) => Self::bind_tags(Some(inner), view),
            Expr::Binary(Op::And, left, right) => {
                let sides = (Self::bind_tags(Some(left), view)?, Self::bind_tags(Some(right), view)?);
                Ok(Self::And(Box::new(sides.0), Box::new(sides.1)))
            }
            Expr::Binary(Op::Or, left, right) => {
                let sides = (Self::bind_tags(Some(left), view)?, Self::bind_tags(Some(right), view)?);
                Ok(Self::Or(Box::new(sides.0), Box::new(sides.1)))
            }
            Expr::Binary(Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual, ..) => {
                Err("invalid tag comparison operator".into())
            }
            Expr::Binary(op, left, right) => {
                let key = |side: &Expr| match side {
                    Expr::Reference(name, _) => Some(Arc::from(name.as_str())),
                    _ => None,
                };
                let Some(key) = key(left).or_else(|| key(right)) else { return Self::bind(Some(expr), view) };
                if view.fields.contains_key(&key) {
                    return Ok(Self::Always(true));
                }
                Ok(match (op, &**left, &**right) {
                    (Op::Equal, Expr::Text(text), _) | (Op::Equal, _, Expr::Text(text)) => {
                        Self::Tag(key, Test::Is(text.clone()))
                    }
                    (Op::NotEqual, Expr::Text(text), _) | (Op::NotEqual, _, Expr::Text(text)) => {
                        Self::Tag(key, Test::Not(text.clone()))
                    }
                    (Op::Match, _, Expr::Regex(regex)) => Self::Tag(key, Test::Like(regex.clone())),
                    (Op::NotMatch, _, Expr::Regex(regex)) => Self::Tag(key, Test::NotLike(regex.clone())),
                    // What is no text is asked of nothing.
                    _ => Self::Always(true),
                })
            }
            other => Self::bind(Some(other), view),
        }
    }

    fn bind_comparison(op: Op, left: &Expr, right: &Expr, view: &View) -> Answer<Self> {
        if let (Expr::Regex(regex), Op::Match | Op::NotMatch) = (right, op) {
            let wanted = op == Op::Match;
            return Ok(match Operand::bind(left, view)? {
                Operand::Tag(key) if wanted => Self::Tag(key, Test::Like(regex.clone())),
                Operand::Tag(key) => Self::Tag(key, Test::NotLike(regex.clone())),
                operand => Self::Like(operand, regex.clone(), wanted),
            });
        }
        let (left, right) = (Operand::bind(left, view)?, Operand::bind(right, view)?);
        Ok(match (left, op, right) {
            (Operand::Tag(key), Op::Equal, Operand::Literal(Value::Text(text)))
            | (Operand::Literal(Value::Text(text)), Op::Equal, Operand::Tag(key)) => {
                Self::Tag(key, Test::Is(text.to_string()))
            }
            (Operand::Tag(key), Op::NotEqual, Operand::Literal(Value::Text(text)))
            | (Operand::Literal(Value::Text(text)), Op::NotEqual, Operand::Tag(key)) => {
                Self::Tag(key, Test::Not(text.to_string()))
            }
            (left, op, right) => Self::Compare(op, left, right),
        })
    }

    /// What is left to ask of the rows of a stream with these tags.
    pub(crate) fn for_stream(&self, tags: &Tags) -> Self {
        match self {
            Self::Tag(key, test) => {
                let value = tag(tags, key);
                Self::Always(match test {
                    Test::Is(wanted) => value == wanted,
                    Test::Not(unwanted) => value != unwanted,
                    Test::Like(regex) => regex.is_match(value),
                    Test::NotLike(regex) => !regex.is_match(value),
                })
            }
            Self::And(left, right) => match (left.for_stream(tags), right.for_stream(tags)) {
                (Self::Always(false), _) | (_, Self::Always(false)) => Self::Always(false),
                (Self::Always(true), other) | (other, Self::Always(true)) => other,
                (left, right) => Self::And(Box::new(left), Box::new(right)),
            },
            Self::Or(left, right) => match (left.for_stream(tags), right.for_stream(tags)) {
                (Self::Always(true), _) | (_, Self::Always(true)) => Self::Always(true),
                (Self::Always(false), other) | (other, Self::Always(false)) => other,
                (left, right) => Self::Or(Box::new(left), Box::new(right)),
            },
            Self::Compare(op, left, right) => {
                let (left, right) = (left.for_stream(tags), right.for_stream(tags));
                match (&left, &right) {
                    (Operand::Literal(a), Operand::Literal(b)) => {
                        Self::Always(math::binary(*op, a, b) == Value::Boolean(true))
                    }
                    _ => Self::Compare(*op, left, right),
                }
            }
            other => other.clone(),
        }
    }

    /// For statements about measurements as a whole: has this one a tag with a value that fits? A negative test means that no
    /// value is the unwanted one, and a measurement without the tag never fits.
    pub(crate) fn fits_measurement(&self, view: &View) -> bool {
        match self {
            Self::Always(value) => *value,
            Self::And(left, right) => left.fits_measurement(view) && right.fits_measurement(view),
            Self::Or(left, right) => left.fits_measurement(view) || right.fits_measurement(view),
            Self::Tag(key, test) => {
                let any = |fits: &dyn Fn(&str) -> bool| view.streams.iter().any(|stream| fits(tag(&stream.tags, key)));
                let there = view.tag_keys.contains(key);
                there
                    && match test {
                        Test::Is(wanted) => any(&|value| value == wanted),
                        Test::Not(unwanted) => !any(&|value| value == unwanted),
                        Test::Like(regex) => any(&|value| regex.is_match(value)),
                        Test::NotLike(regex) => !any(&|value| regex.is_match(value)),
                    }
            }
            Self::Compare(..) | Self::Like(..) => false,
        }
    }

    /// The fields that rows are asked for.
    pub(crate) fn fields(&self, into: &mut BTreeSet<u32>) {
        match self {
            Self::Always(_) | Self::Tag(..) => {}
            Self::And(left, right) | Self::Or(left, right) => {
                left.fields(into);
                right.fields(into);
            }
            Self::Compare(_, left, right) => {
                left.fields(into);
                right.fields(into);
            }
            Self::Like(operand, ..) => operand.fields(into),
        }
    }

    /// Which rows of a chunk match; `None` for all.
    pub(crate) fn mask(&self, chunk: &Chunk) -> Option<Vec<bool>> {
        match self {
            Self::Always(true) => None,
            _ => Some((0..chunk.times.len()).map(|row| self.holds(chunk, row)).collect()),
        }
    }

    fn holds(&self, chunk: &Chunk, row: usize) -> bool {
        match self {
            Self::Always(value) => *value,
            Self::And(left, right) => left.holds(chunk, row) && right.holds(chunk, row),
            Self::Or(left, right) => left.holds(chunk, row) || right.holds(chunk, row),
            // Reduced before rows are asked.
            Self::Tag(..) => false,
            Self::Compare(op, left, right) => {
                let result = math::binary(*op, &left.value(chunk, row), &right.value(chunk, row));
                result == Value::Boolean(true)
            }
            Self::Like(operand, regex, wanted) => match operand.value(chunk, row) {
                Value::Text(text) => regex.is_match(&text) == *wanted,
                _ => false,
            },
        }
    }
}

impl Operand {
    /// With the values of tags in their places; an absent tag is the empty text.
    fn for_stream(&self, tags: &Tags) -> Self {
        match self {
            Self::Tag(key) => Self::Literal(Value::Text(tag(tags, key).into())),
            Self::Binary(op, left, right) => {
                Self::Binary(*op, Box::new(left.for_stream(tags)), Box::new(right.for_stream(tags)))
            }
            other => other.clone(),
        }
    }

    fn bind(expr: &Expr, view: &View) -> Answer<Self> {
        Ok(match expr {
            Expr::Paren(inner) => Self::bind(inner, view)?,
            Expr::Reference(name, cast) => match view.meaning(name, *cast) {
                Meaning::Field(id, _) | Meaning::Label(id) => Self::Field(id),
                Meaning::Tag(key) => Self::Tag(key),
                // A tag that no stream has: the empty text everywhere.
                Meaning::Nothing => Self::Tag(name.as_str().into()),
            },
            Expr::Number(number) => Self::Literal(Value::Float(*number)),
            Expr::Integer(number) => Self::Literal(Value::Integer(*number)),
            Expr::Unsigned(number) => Self::Literal(Value::Unsigned(*number)),
            Expr::Duration(number) => Self::Literal(Value::Integer(*number)),
            Expr::Text(text) => Self::Literal(Value::Text(text.as_str().into())),
            Expr::Boolean(value) => Self::Literal(Value::Boolean(*value)),
            Expr::Binary(op, left, right) => {
                Self::Binary(*op, Box::new(Self::bind(left, view)?), Box::new(Self::bind(right, view)?))
            }
            Expr::Call(..) => {
                return Err(format!("invalid function call in condition: {}", expr.text()).into());
            }
            Expr::Regex(_) | Expr::Wildcard(_) => return Err("invalid condition".into()),
        })
    }

    fn fields(&self, into: &mut BTreeSet<u32>) {
        match self {
            Self::Field(id) => {
                into.insert(*id);
            }
            Self::Binary(_, left, right) => {
                left.fields(into);
                right.fields(into);
            }
            Self::Tag(_) | Self::Literal(_) => {}
        }
    }

    fn value(&self, chunk: &Chunk, row: usize) -> Value {
        match self {
            Self::Field(id) => {
                let column = chunk.column(*id);
                column.and_then(|column| column.get(row)).map_or(Value::Null, Value::from)
            }
            Self::Tag(_) => Value::Null,
            Self::Literal(value) => value.clone(),
            Self::Binary(op, left, right) => math::binary(*op, &left.value(chunk, row), &right.value(chunk, row)),
        }
    }
}
