//! Turns the fields of a SELECT into what is to be computed, and refuses what cannot be.

mod call;
mod expand;

use std::collections::HashMap;
use std::sync::Arc;

use super::functions::{Function, Transform};
use super::view::View;
use super::window::Window;
use super::{Answer, Value, math};
use crate::influxql::ast::{Cast, Expr, Fill, Op, Select};

/// What a SELECT computes; the same for all its measurements.
pub(crate) struct Plan {
    /// The name of the time column.
    pub(crate) time_name: Arc<str>,
    pub(crate) columns: Vec<Column>,
    /// Names that the columns or calls read.
    pub(crate) inputs: Vec<Input>,
    pub(crate) calls: Vec<Call>,
    pub(crate) shape: Shape,
    pub(crate) window: Option<Window>,
    pub(crate) dimensions: Vec<Dimension>,
}

pub(crate) struct Column {
    pub(crate) name: Arc<str>,
    pub(crate) node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) cast: Option<Cast>,
}

/// A function over an input, and perhaps a transformation over its buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) input: usize,
    pub(crate) transform: Option<Transform>,
}

/// How rows come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One row for each stored row.
    Rows,
    /// One row for each bucket.
    Buckets,
    /// One selector: its point, with the other values of the same stored row.
    Selected,
    /// One `distinct()`: several rows for each bucket.
    Distinct,
}

/// The value of a column.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Literal(Value),
    Input(usize),
    Call(usize),
    Binary(Op, Box<Node>, Box<Node>),
    Scalar(String, Vec<Node>),
}

/// What to group by, besides time.
#[derive(Clone, Debug)]
pub(crate) enum Dimension {
    Tag(String),
    Every,
    Like(regex::Regex),
}

impl Dimension {
    pub(crate) fn covers(&self, key: &str) -> bool {
        match self {
            Self::Tag(name) => name == key,
            Self::Every => true,
            Self::Like(regex) => regex.is_match(key),
        }
    }
}

impl Node {
    pub(crate) fn value(&self, inputs: &dyn Fn(usize) -> Value, calls: &[Value]) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Input(at) => inputs(*at),
            Self::Call(at) => calls.get(*at).cloned().unwrap_or_default(),
            Self::Binary(op, left, right) => math::binary(*op, &left.value(inputs, calls), &right.value(inputs, calls)),
            Self::Scalar(name, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(|argument| argument.value(inputs, calls)).collect();
                math::scalar(name, &arguments)
            }
        }
    }

    fn has_input(&self) -> bool {
        match self {
            Self::Input(_) => true,
            Self::Literal(_) | Self::Call(_) => false,
            Self::Binary(_, left, right) => left.has_input() || right.has_input(),
            Self::Scalar(_, arguments) => arguments.iter().any(Self::has_input),
        }
    }
}

/// Plans a SELECT over these measurements.
pub(crate) fn plan(select: &Select, views: &[View], now: i64) -> Answer<Plan> {
    let (window, dimensions) = dimensions(select, now)?;
    let mut planner = Planner { window: window.as_ref(), inputs: Vec::new(), calls: Vec::new() };
    let mut time_name: Arc<str> = "time".into();
    let mut named = Vec::new();
    for field in expand::fields(&select.fields, views, &dimensions)? {
        if let Expr::Reference(name, None) = &field.expr
            && name == "time"
        {
            if let Some(alias) = field.alias {
                time_name = alias.into();
            }
            continue;
        }
        let node = planner.node(&field.expr)?;
        if matches!(node, Node::Literal(_)) {
            return Err("field must contain at least one variable".into());
        }
        named.push((field.alias, name_of(&field.expr), node));
    }
    if named.is_empty() && select.fields.iter().all(|field| !is_wild(&field.expr)) {
        return Err("at least 1 non-time field must be queried".into());
    }
    let columns = columns(named);
    let Planner { inputs, calls, .. } = planner;
    let shape = shape(&columns, &calls, window.is_some())?;
    if shape == Shape::Rows && matches!(select.fill, Fill::None | Fill::Linear) {
        let word = if select.fill == Fill::None { "none" } else { "linear" };
        return Err(format!("fill({word}) must be used with a function").into());
    }
    Ok(Plan { time_name, columns, inputs, calls, shape, window, dimensions })
}

fn is_wild(expr: &Expr) -> bool {
    match expr {
        Expr::Wildcard(_) | Expr::Regex(_) => true,
        Expr::Call(_, arguments) => arguments.iter().any(is_wild),
        _ => false,
    }
}

fn shape(columns: &[Column], calls: &[Call], windowed: bool) -> Answer<Shape> {
    let plain = columns.iter().any(|column| column.node.has_input());
    let selector = |call: &Call| call.transform.is_none() && call.function.is_selector();
    if calls.is_empty() {
        if windowed {
            return Err("GROUP BY requires at least one aggregate function".into());
        }
        return Ok(Shape::Rows);
    }
    if calls.iter().any(|call| call.function == Function::Distinct && call.transform.is_none()) {
        if calls.len() > 1 || plain {
            return Err("aggregate function distinct() cannot be combined with other functions or fields".into());
        }
        return Ok(Shape::Distinct);
    }
    if calls.len() == 1 && calls.iter().all(selector) {
        return Ok(Shape::Selected);
    }
    if plain {
        return Err(if calls.iter().all(selector) {
            "mixing multiple selector functions with tags or fields is not supported".into()
        } else {
            "mixing aggregate and non-aggregate queries is not supported".into()
        });
    }
    Ok(Shape::Buckets)
}

struct Planner<'a> {
    window: Option<&'a Window>,
    inputs: Vec<Input>,
    calls: Vec<Call>,
}

impl Planner<'_> {
    fn node(&mut self, expr: &Expr) -> Answer<Node> {
        Ok(match expr {
            Expr::Paren(inner) => self.node(inner)?,
            Expr::Number(number) => Node::Literal(Value::Float(*number)),
            Expr::Integer(number) => Node::Literal(Value::Integer(*number)),
            Expr::Unsigned(number) => Node::Literal(Value::Unsigned(*number)),
            Expr::Duration(number) => Node::Literal(Value::Integer(*number)),
            Expr::Boolean(value) => Node::Literal(Value::Boolean(*value)),
            Expr::Text(text) => Node::Literal(Value::Text(text.as_str().into())),
            Expr::Reference(name, cast) => Node::Input(self.input(name, *cast)),
            Expr::Binary(op, left, right) => {
                if matches!(op.precedence(), 1..=3) {
                    return Err(format!("invalid operator {} in SELECT field, only support +-*/%&|^", op.text()).into());
                }
                Node::Binary(*op, Box::new(self.node(left)?), Box::new(self.node(right)?))
            }
            Expr::Call(name, arguments) => match math::scalar_arity(name) {
                Some(arity) => {
                    call::require_arguments(name, arguments, arity, arity)?;
                    let nodes = arguments.iter().map(|argument| self.node(argument));
                    Node::Scalar(name.clone(), nodes.collect::<Answer<_>>()?)
                }
                None => {
                    let call = self.call(name, arguments)?;
                    Node::Call(position_or_push(&mut self.calls, call))
                }
            },
            Expr::Wildcard(_) | Expr::Regex(_) => {
                return Err("unsupported expression with wildcard".into());
            }
        })
    }

    fn input(&mut self, name: &str, cast: Option<Cast>) -> usize {
        position_or_push(&mut self.inputs, Input { name: name.to_owned(), cast })
    }
}

fn position_or_push<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    if let Some(at) = all.iter().position(|known| *known == one) {
        return at;
    }
    all.push(one);
    all.len() - 1
}

/// `GROUP BY`: the buckets, and the rest.
fn dimensions(select: &Select, now: i64) -> Answer<(Option<Window>, Vec<Dimension>)> {
    let (mut window, mut dimensions) = (None, Vec::new());
    for expr in &select.dimensions {
        match expr {
            Expr::Call(name, arguments) if name == "time" => {
                if window.is_some() {
                    return Err("multiple time dimensions not allowed".into());
                }
                window = Some(time_dimension(arguments, now, select)?);
            }
            Expr::Reference(name, _) if name.eq_ignore_ascii_case("time") => {
                return Err("time() is a function and expects at least one argument".into());
            }
            Expr::Reference(name, _) => dimensions.push(Dimension::Tag(name.clone())),
            Expr::Call(..) => return Err("only time() calls allowed in dimensions".into()),
            Expr::Wildcard(_) => dimensions.push(Dimension::Every),
            Expr::Regex(regex) => dimensions.push(Dimension::Like(regex.clone())),
            _ => return Err("only time and tag dimensions allowed".into()),
        }
    }
    Ok((window.flatten(), dimensions))
}

/// An interval of nothing is no interval.
fn time_dimension(arguments: &[Expr], now: i64, select: &Select) -> Answer<Option<Window>> {
    if arguments.is_empty() || arguments.len() > 2 {
        return Err("time dimension expected 1 or 2 arguments".into());
    }
    let Some(Expr::Duration(every)) = arguments.first() else {
        return Err("time dimension must have duration argument".into());
    };
    let offset = match arguments.get(1) {
        None => 0,
        Some(Expr::Duration(offset)) => *offset,
        Some(Expr::Call(name, inner)) if name == "now" && inner.is_empty() => now,
        Some(_) => return Err("time dimension offset must be duration or now()".into()),
    };
    if *every <= 0 {
        return Ok(None);
    }
    let offset = offset.rem_euclid(*every);
    Ok(Some(Window { every: *every, offset, zone: select.zone.clone() }))
}

/// Names the columns: an alias as it is, a repeated name with a number.
fn columns(named: Vec<(Option<String>, String, Node)>) -> Vec<Column> {
    let mut used: HashMap<String, usize> = HashMap::new();
    for (alias, ..) in &named {
        if let Some(alias) = alias {
            used.insert(alias.clone(), 1);
        }
    }
    let mut columns = Vec::new();
    for (alias, name, node) in named {
        let name = alias.unwrap_or_else(|| free_name(&mut used, name));
        columns.push(Column { name: name.into(), node });
    }
    columns
}

fn free_name(used: &mut HashMap<String, usize>, name: String) -> String {
    let mut free = name.clone();
    if let Some(count) = used.get(&name).copied() {
        let mut count = count;
        while used.contains_key(&free) {
            free = format!("{name}_{count}");
            count += 1;
        }
        used.insert(name, count);
    }
    used.insert(free.clone(), 1);
    free
}

/// The name that an expression gives its column.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Call(name, _) | Expr::Reference(name, _) => name.clone(),
        Expr::Paren(inner) => name_of(inner),
        Expr::Binary(_, left, right) => {
            let names = [name_of(left), name_of(right)];
            let named: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
            named.join("_")
        }
        _ => String::new(),
    }
}
