//! Arithmetic and comparison of values, with InfluxDB's rules: null stays null, a division by zero is zero, integers wrap.

use super::Value;
use crate::influxql::ast::Op;
use crate::point::{FieldKind, FieldValue};

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Self {
        match value {
            FieldValue::Float(value) => Self::Float(value),
            FieldValue::Integer(value) => Self::Integer(value),
            FieldValue::Unsigned(value) => Self::Unsigned(value),
            FieldValue::Boolean(value) => Self::Boolean(value),
            FieldValue::Text(value) => Self::Text(value),
        }
    }
}

impl Value {
    /// The kind of a field that could hold it.
    pub(crate) fn kind(&self) -> Option<FieldKind> {
        Some(match self {
            Self::Null => return None,
            Self::Float(_) => FieldKind::Float,
            Self::Integer(_) | Self::Time(_) => FieldKind::Integer,
            Self::Unsigned(_) => FieldKind::Unsigned,
            Self::Boolean(_) => FieldKind::Boolean,
            Self::Text(_) => FieldKind::Text,
        })
    }
}

/// The result of an operator; null where there is none.
pub(crate) fn binary(op: Op, left: &Value, right: &Value) -> Value {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Integer(left), Value::Integer(right)) => integers(op, *left, *right),
        (Value::Unsigned(left), Value::Unsigned(right)) => unsigned(op, *left, *right),
        (Value::Unsigned(left), Value::Integer(right)) if *right >= 0 => unsigned(op, *left, *right as u64),
        (Value::Integer(left), Value::Unsigned(right)) if *left >= 0 => unsigned(op, *left as u64, *right),
        (Value::Boolean(left), Value::Boolean(right)) => booleans(op, *left, *right),
        // Texts have no order in InfluxDB.
        (Value::Text(left), Value::Text(right)) => match op {
            Op::Equal => Value::Boolean(left == right),
            Op::NotEqual => Value::Boolean(left != right),
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => Value::Boolean(false),
            _ => Value::Null,
        },
        _ => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => floats(op, left, right),
            _ => Value::Null,
        },
    }
}

/// The kind of the result of an operator in a field; `None` if there never is one.
pub(crate) fn binary_kind(left: FieldKind, right: FieldKind) -> Option<FieldKind> {
    use FieldKind::{Boolean, Float, Integer, Unsigned};
    match (left, right) {
        (Boolean, Boolean) => Some(Boolean),
        // Also of a division, whose values are floats all the same: whoever reads them reads integers, as in InfluxDB.
        (Integer, Integer) => Some(Integer),
        (Unsigned, Unsigned) | (Unsigned, Integer) | (Integer, Unsigned) => Some(Unsigned),
        (left, right) if left.is_number() && right.is_number() => Some(Float),
        _ => None,
    }
}

/// The kind of the result of a function of numbers.
pub(crate) fn scalar_kind(name: &str, of: FieldKind) -> Option<FieldKind> {
    match (name, of) {
        ("abs" | "ceil" | "floor" | "round", kind) if kind.is_number() => Some(kind),
        (_, kind) => kind.is_number().then_some(FieldKind::Float),
    }
}

fn integers(op: Op, left: i64, right: i64) -> Value {
    match op {
        Op::Add => Value::Integer(left.wrapping_add(right)),
        Op::Subtract => Value::Integer(left.wrapping_sub(right)),
        Op::Multiply => Value::Integer(left.wrapping_mul(right)),
        Op::Divide if right == 0 => Value::Float(0.0),
        Op::Divide => Value::Float(left as f64 / right as f64),
        Op::Modulo if right == 0 => Value::Integer(0),
        Op::Modulo => Value::Integer(left.wrapping_rem(right)),
        Op::BitAnd => Value::Integer(left & right),
        Op::BitOr => Value::Integer(left | right),
        Op::BitXor => Value::Integer(left ^ right),
        other => compared(other, left.cmp(&right)),
    }
}

fn unsigned(op: Op, left: u64, right: u64) -> Value {
    match op {
        Op::Add => Value::Unsigned(left.wrapping_add(right)),
        Op::Subtract => Value::Unsigned(left.wrapping_sub(right)),
        Op::Multiply => Value::Unsigned(left.wrapping_mul(right)),
        Op::Divide => Value::Unsigned(left.checked_div(right).unwrap_or(0)),
        Op::Modulo => Value::Unsigned(left.checked_rem(right).unwrap_or(0)),
        Op::BitAnd => Value::Unsigned(left & right),
        Op::BitOr => Value::Unsigned(left | right),
        Op::BitXor => Value::Unsigned(left ^ right),
        other => compared(other, left.cmp(&right)),
    }
}

fn floats(op: Op, left: f64, right: f64) -> Value {
    let number = match op {
        Op::Add => left + right,
        Op::Subtract => left - right,
        Op::Multiply => left * right,
        Op::Divide if right == 0.0 => 0.0,
        Op::Divide => left / right,
        Op::Modulo => left % right,
        other => return left.partial_cmp(&right).map_or(Value::Null, |order| compared(other, order)),
    };
    if number.is_finite() { Value::Float(number) } else { Value::Null }
}

fn booleans(op: Op, left: bool, right: bool) -> Value {
    match op {
        Op::BitAnd => Value::Boolean(left & right),
        Op::BitOr => Value::Boolean(left | right),
        Op::BitXor => Value::Boolean(left ^ right),
        Op::Equal => Value::Boolean(left == right),
        Op::NotEqual => Value::Boolean(left != right),
        _ => Value::Null,
    }
}

fn compared(op: Op, order: std::cmp::Ordering) -> Value {
    match op {
        Op::Equal => Value::Boolean(order.is_eq()),
        Op::NotEqual => Value::Boolean(order.is_ne()),
        Op::Less => Value::Boolean(order.is_lt()),
        Op::LessEqual => Value::Boolean(order.is_le()),
        Op::Greater => Value::Boolean(order.is_gt()),
        Op::GreaterEqual => Value::Boolean(order.is_ge()),
        _ => Value::Null,
    }
}

/// A function of numbers; null outside its domain.
pub(crate) fn scalar(name: &str, arguments: &[Value]) -> Value {
    let [first, rest @ ..] = arguments else { return Value::Null };
    match (name, first) {
        ("abs", Value::Integer(value)) => return Value::Integer(value.wrapping_abs()),
        ("abs" | "ceil" | "floor" | "round", Value::Unsigned(_)) | ("ceil" | "floor" | "round", Value::Integer(_)) => {
            return first.clone();
        }
        _ => {}
    }
    let Some(x) = first.as_f64() else { return Value::Null };
    let second = rest.first().and_then(Value::as_f64);
    let number = match (name, second) {
        ("abs", _) => x.abs(),
        ("ceil", _) => x.ceil(),
        ("floor", _) => x.floor(),
        ("round", _) => x.round(),
        ("sqrt", _) => x.sqrt(),
        ("exp", _) => x.exp(),
        ("ln", _) => x.ln(),
        ("log2", _) => x.log2(),
        ("log10", _) => x.log10(),
        ("sin", _) => x.sin(),
        ("cos", _) => x.cos(),
        ("tan", _) => x.tan(),
        ("asin", _) => x.asin(),
        ("acos", _) => x.acos(),
        ("atan", _) => x.atan(),
        ("atan2", Some(y)) => x.atan2(y),
        ("pow", Some(y)) => x.powf(y),
        ("log", Some(y)) => x.ln() / y.ln(),
        _ => return Value::Null,
    };
    if number.is_finite() { Value::Float(number) } else { Value::Null }
}

/// How many arguments a function of numbers takes.
pub(crate) fn scalar_arity(name: &str) -> Option<usize> {
    Some(match name {
        "abs" | "ceil" | "floor" | "round" | "sqrt" | "exp" | "ln" | "log2" | "log10" | "sin" | "cos" | "tan"
        | "asin" | "acos" | "atan" => 1,
        "atan2" | "pow" | "log" => 2,
        _ => return None,
    })
}
