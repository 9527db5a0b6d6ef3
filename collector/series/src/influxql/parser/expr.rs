//! Expressions.

use super::{Cursor, Parsed};
use crate::influxql::ParseError;
use crate::influxql::ast::{Cast, Expr, Op};
use crate::influxql::token::Kind;

const VALUE: &str = "identifier, string, number, bool";

impl Cursor<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let expr = self.binary(0);
        self.leave();
        expr
    }

    /// Operators that bind more than `above`, from left to right.
    fn binary(&mut self, above: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        while let Some(op) = operator(self.peek()).filter(|op| op.precedence() > above) {
            self.step();
            let right = match op {
                Op::Match | Op::NotMatch => match self.regex()? {
                    Some(regex) => Expr::Regex(regex),
                    None => return self.unexpected_pattern(),
                },
                _ => {
                    self.enter()?;
                    let right = self.binary(op.precedence())?;
                    self.leave();
                    right
                }
            };
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if let Some(regex) = self.regex()? {
            return Ok(Expr::Regex(regex));
        }
        match self.peek().clone() {
            Kind::Mark("(") => {
                self.step();
                let inner = self.expr()?;
                self.expect_mark(")")?;
                Ok(Expr::Paren(Box::new(inner)))
            }
            Kind::Mark("+" | "-") => self.signed(),
            Kind::Mark("*") => {
                self.step();
                Ok(Expr::Wildcard(self.cast()?))
            }
            Kind::Word("DISTINCT") => self.distinct(),
            Kind::Name(name) => self.named(name),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed<Expr> {
        let expr = match self.peek().clone() {
            Kind::Text(text) => Expr::Text(text),
            Kind::Word("TRUE") => Expr::Boolean(true),
            Kind::Word("FALSE") => Expr::Boolean(false),
            Kind::Duration(_, nanoseconds) => Expr::Duration(nanoseconds),
            Kind::Number(digits) => match digits.parse() {
                Ok(number) => Expr::Number(number),
                Err(_) => return self.failed("unable to parse number"),
            },
            Kind::Integer(digits) => match (digits.parse::<i64>(), digits.parse::<u64>()) {
                (Ok(number), _) => Expr::Integer(number),
                (_, Ok(number)) => Expr::Unsigned(number),
                _ => return self.failed("unable to parse integer"),
            },
            Kind::BadDuration(_) => return Err(ParseError("invalid duration".to_owned())),
            Kind::Parameter(name) => {
                return Err(ParseError(format!("missing parameter: {name}")));
            }
            _ => return self.unexpected(VALUE),
        };
        self.step();
        Ok(expr)
    }

    fn signed(&mut self) -> Parsed<Expr> {
        let negative = self.step() == Kind::Mark("-");
        match self.peek() {
            Kind::Number(_) | Kind::Integer(_) | Kind::Duration(..) => {}
            Kind::Mark("(") | Kind::Name(_) => {
                self.enter()?;
                let inner = self.unary()?;
                self.leave();
                let sign = Expr::Integer(if negative { -1 } else { 1 });
                return Ok(Expr::Binary(Op::Multiply, Box::new(sign), Box::new(inner)));
            }
            _ => return self.unexpected("identifier, number, duration, ("),
        }
        Ok(match (self.literal()?, negative) {
            (Expr::Number(number), true) => Expr::Number(-number),
            (Expr::Integer(number), true) => Expr::Integer(-number),
            (Expr::Duration(number), true) => Expr::Duration(-number),
            // The only one that is not there without its sign.
            (Expr::Unsigned(number), true) if number == 1 << 63 => Expr::Integer(i64::MIN),
            (Expr::Unsigned(number), true) => {
                return Err(ParseError(format!("constant -{number} underflows int64")));
            }
            (literal, _) => literal,
        })
    }

    /// `DISTINCT name` or `distinct(name)`.
    fn distinct(&mut self) -> Parsed<Expr> {
        self.step();
        match self.peek().clone() {
            Kind::Mark("(") => self.call("distinct".to_owned()),
            Kind::Name(name) => {
                self.step();
                Ok(Expr::Call("distinct".to_owned(), vec![Expr::Reference(name, None)]))
            }
            _ => self.unexpected("(, identifier"),
        }
    }

    fn named(&mut self, name: String) -> Parsed<Expr> {
        self.step();
        if *self.peek() == Kind::Mark("(") {
            return self.call(name.to_lowercase());
        }
        let mut name = name;
        while self.mark(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(Expr::Reference(name, self.cast()?))
    }

    fn call(&mut self, name: String) -> Parsed<Expr> {
        self.expect_mark("(")?;
        let mut arguments = Vec::new();
        if self.mark(")") {
            return Ok(Expr::Call(name, arguments));
        }
        loop {
            arguments.push(self.expr()?);
            if !self.mark(",") {
                break;
            }
        }
        self.expect_mark(")")?;
        Ok(Expr::Call(name, arguments))
    }

    fn cast(&mut self) -> Parsed<Option<Cast>> {
        if !self.mark("::") {
            return Ok(None);
        }
        let cast = match self.peek() {
            Kind::Word("FIELD") => Some(Cast::Field),
            Kind::Word("TAG") => Some(Cast::Tag),
            Kind::Name(name) => match name.to_lowercase().as_str() {
                "float" => Some(Cast::Float),
                "integer" => Some(Cast::Integer),
                "unsigned" => Some(Cast::Unsigned),
                "string" => Some(Cast::Text),
                "boolean" => Some(Cast::Boolean),
                _ => None,
            },
            _ => None,
        };
        if cast.is_none() {
            return self.unexpected("float, integer, unsigned, string, boolean, field, tag");
        }
        self.step();
        Ok(cast)
    }
}

fn operator(kind: &Kind) -> Option<Op> {
    Some(match kind {
        Kind::Word("AND") => Op::And,
        Kind::Word("OR") => Op::Or,
        Kind::Mark(mark) => match *mark {
            "+" => Op::Add,
            "-" => Op::Subtract,
            "*" => Op::Multiply,
            "/" => Op::Divide,
            "%" => Op::Modulo,
            "&" => Op::BitAnd,
            "|" => Op::BitOr,
            "^" => Op::BitXor,
            "=" => Op::Equal,
            "!=" | "<>" => Op::NotEqual,
            "=~" => Op::Match,
            "!~" => Op::NotMatch,
            "<" => Op::Less,
            "<=" => Op::LessEqual,
            ">" => Op::Greater,
            ">=" => Op::GreaterEqual,
            _ => return None,
        },
        _ => return None,
    })
}
