//! Arithmetic that can never have a value is refused before anything is read, and shown with the types of its names.

use super::Answer;
use super::plan::Input;
use super::view::View;
use crate::influxql::ast::{Cast, Expr, Op};
use crate::point::FieldKind;
use crate::query::functions::{Function, is_transform};
use crate::query::view::Meaning;

/// What an expression is; `None` if nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Field(FieldKind),
    Tag,
}

impl Type {
    fn text(self) -> String {
        match self {
            Self::Field(kind) => kind.to_string(),
            Self::Tag => "tag".to_owned(),
        }
    }
}

/// Refuses an operator between values that it can't join.
pub(crate) fn check(expr: &Expr, views: &[View]) -> Answer<()> {
    of(expr, views).map(|_| ())
}

fn of(expr: &Expr, views: &[View]) -> Answer<Option<Type>> {
    Ok(match expr {
        Expr::Paren(inner) => of(inner, views)?,
        Expr::Number(_) => Some(Type::Field(FieldKind::Float)),
        Expr::Integer(_) => Some(Type::Field(FieldKind::Integer)),
        Expr::Unsigned(_) => Some(Type::Field(FieldKind::Unsigned)),
        Expr::Boolean(_) => Some(Type::Field(FieldKind::Boolean)),
        Expr::Text(_) => Some(Type::Field(FieldKind::Text)),
        Expr::Reference(name, cast) => reference(name, *cast, views),
        Expr::Call(name, arguments) => call(name, arguments, views)?,
        Expr::Binary(op, left, right) => {
            let (left_type, right_type) = (of(left, views)?, of(right, views)?);
            let (Some(a), Some(b)) = (left_type, right_type) else { return Ok(left_type.or(right_type)) };
            match joined(*op, a, b) {
                Some(kind) => Some(Type::Field(kind)),
                None => {
                    let (expr, a, b) = (shown(expr, views), a.text(), b.text());
                    return Err(format!("type error: {expr}: incompatible types: {a} and {b}").into());
                }
            }
        }
        _ => None,
    })
}

fn reference(name: &str, cast: Option<Cast>, views: &[View]) -> Option<Type> {
    let input = Input::new(name, cast, views);
    let tag = || views.iter().any(|view| matches!(view.meaning(name, cast), Meaning::Tag(_) | Meaning::Label(_)));
    input.kind.map(Type::Field).or_else(|| tag().then_some(Type::Tag))
}

/// What a function makes of what it is given; nothing is known of functions with several sides.
fn call(name: &str, arguments: &[Expr], views: &[View]) -> Answer<Option<Type>> {
    let given = match arguments.first() {
        Some(first) => of(first, views)?,
        None => None,
    };
    let Some(Type::Field(kind)) = given else { return Ok(None) };
    let kind = match Function::plain(name) {
        Some(function) => function.answer_kind(kind),
        None if is_transform(name) => None,
        None => Some(kind),
    };
    Ok(kind.map(Type::Field))
}

fn joined(op: Op, left: Type, right: Type) -> Option<FieldKind> {
    let (Type::Field(left), Type::Field(right)) = (left, right) else { return None };
    let bits = matches!(op, Op::BitAnd | Op::BitOr | Op::BitXor);
    let float = left == FieldKind::Float || right == FieldKind::Float;
    match (left, right) {
        (FieldKind::Boolean, FieldKind::Boolean) if !bits => None,
        _ if bits && float => None,
        (left, right) => super::math::binary_kind(left, right),
    }
}

/// As InfluxDB writes an expression, with the types of the names.
fn shown(expr: &Expr, views: &[View]) -> String {
    match expr {
        Expr::Paren(inner) => format!("({})", shown(inner, views)),
        Expr::Binary(op, left, right) => format!("{} {} {}", shown(left, views), op.text(), shown(right, views)),
        Expr::Reference(name, cast) => match reference(name, *cast, views) {
            Some(known) => format!("{}::{}", quoted(name), known.text()),
            None => quoted(name),
        },
        Expr::Call(name, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(|argument| shown(argument, views)).collect();
            format!("{name}({})", arguments.join(", "))
        }
        plain => plain.text(),
    }
}

fn quoted(name: &str) -> String {
    let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let plain = plain && !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}
