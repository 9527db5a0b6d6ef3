//! Turns the fields of a SELECT into what is to be computed, and refuses what cannot be.

mod call;
mod expand;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::functions::{Function, Transform};
use super::view::{Meaning, View};
use super::window::Window;
use super::{Answer, Value, math, types};
use crate::influxql::ast::{Cast, Expr, Fill, Op, Select};
use crate::point::FieldKind;

/// What a SELECT computes; the same for everything that it reads from.
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
    /// `None`: nothing is ever in it.
    pub(crate) kind: Option<FieldKind>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) cast: Option<Cast>,
    /// What it is read as: of the kinds that the sources have, the one that can hold the most.
    pub(crate) kind: Option<FieldKind>,
}

impl Input {
    pub(crate) fn new(name: &str, cast: Option<Cast>, views: &[View]) -> Self {
        let kinds = views.iter().filter_map(|view| match view.meaning(name, cast) {
            Meaning::Field(_, kind) => Some(kind),
            _ => None,
        });
        // As InfluxDB ranks them: float, integer, unsigned, string, boolean.
        let rank = |kind: &FieldKind| match kind {
            FieldKind::Float => 0,
            FieldKind::Integer => 1,
            FieldKind::Unsigned => 2,
            FieldKind::Text => 3,
            FieldKind::Boolean => 4,
        };
        Self { name: name.to_owned(), cast, kind: kinds.min_by_key(rank) }
    }

    /// What it is in one view.
    pub(crate) fn meaning(&self, view: &View) -> Meaning {
        match (view.meaning(&self.name, self.cast), self.kind) {
            (Meaning::Field(id, kind), Some(wanted)) if kind == wanted || (kind.is_number() && wanted.is_number()) => {
                Meaning::Field(id, wanted)
            }
            (Meaning::Field(..), _) => Meaning::Nothing,
            (meaning, _) => meaning,
        }
    }
}

/// A function over an input, and perhaps transformations of what it gives, the first one first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) input: usize,
    /// Of `top` and `bottom`: inputs that are tags, of which each combination stands for itself.
    pub(crate) apart: Vec<usize>,
    pub(crate) transforms: Vec<Transform>,
}

impl Call {
    fn of(function: Function, input: usize) -> Self {
        Self { function, input, apart: Vec::new(), transforms: Vec::new() }
    }

    /// Its point is the answer, so the other values of its row can stand beside it.
    fn selects(&self) -> bool {
        self.transforms.is_empty() && self.function.is_selector()
    }
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
    /// One `top()`, `bottom()` or `sample()`: several points for each bucket, with the other values of their rows.
    Points,
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
    /// The key, if it is one by name.
    pub(crate) fn tag(&self) -> Option<Arc<str>> {
        match self {
            Self::Tag(name) => Some(name.as_str().into()),
            Self::Every | Self::Like(_) => None,
        }
    }

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

    /// What kind of value it gives, by the kinds of the inputs and calls.
    fn kind(&self, inputs: &[Input], calls: &[Option<FieldKind>]) -> Option<FieldKind> {
        match self {
            Self::Literal(value) => value.kind(),
            // A tag is a text.
            Self::Input(at) => inputs[*at].kind.or(Some(FieldKind::Text)),
            Self::Call(at) => calls[*at],
            Self::Binary(_, left, right) => math::binary_kind(left.kind(inputs, calls)?, right.kind(inputs, calls)?),
            Self::Scalar(name, arguments) => math::scalar_kind(name, arguments.first()?.kind(inputs, calls)?),
        }
    }
}

/// What a SELECT groups by.
pub(crate) struct Grouping {
    pub(crate) window: Option<Window>,
    pub(crate) dimensions: Vec<Dimension>,
}

/// Plans a SELECT over these views. `inherited` is the interval of an outer query.
pub(crate) fn plan(select: &Select, views: &[View], grouping: Grouping, inherited: Option<Window>) -> Answer<Plan> {
    let Grouping { window, dimensions } = grouping;
    let fields = expand::fields(&select.fields, views, &dimensions)?;
    let effective = window.as_ref().or(inherited.as_ref());
    let mut planner = Planner { window: effective, views, inputs: Vec::new(), calls: Vec::new() };
    let mut time_name: Arc<str> = "time".into();
    let mut named = Vec::new();
    for field in fields {
        if let Expr::Reference(name, None) = &field.expr
            && name == "time"
        {
            if let Some(alias) = field.alias {
                time_name = alias.into();
            }
            continue;
        }
        let node = planner.node(&field.expr)?;
        types::check(&field.expr, views)?;
        if !field.expr.has_name() {
            return Err("field must contain at least one variable".into());
        }
        let apart = planner.apart(&node);
        named.push((field.alias, name_of(&field.expr), node));
        named.extend(apart);
    }
    if named.is_empty() && select.fields.iter().all(|field| !is_wild(&field.expr)) {
        return Err("at least 1 non-time field must be queried".into());
    }
    let Planner { inputs, calls, .. } = planner;
    let shape = shape(&named, &calls, window.is_some())?;
    if shape == Shape::Rows && matches!(select.fill, Fill::None | Fill::Linear) {
        let word = if select.fill == Fill::None { "none" } else { "linear" };
        return Err(format!("fill({word}) must be used with a function").into());
    }
    call::check_limits(&calls, select.page.limit)?;
    let kinds: Vec<Option<FieldKind>> = calls.iter().map(|call| call.kind(&inputs)).collect();
    let columns = columns(named, |node| node.kind(&inputs, &kinds));
    let window = if shape == Shape::Rows { None } else { window.or(inherited) };
    Ok(Plan { time_name, columns, inputs, calls, shape, window, dimensions })
}

impl Plan {
    /// Keys that a wildcard or a pattern groups by.
    pub(crate) fn wide_keys(&self, view: &View) -> Vec<Arc<str>> {
        let wide = self.dimensions.iter().filter(|dimension| dimension.tag().is_none());
        wide.flat_map(|dimension| view.tag_keys.iter().filter(|key| dimension.covers(key)).cloned()).collect()
    }

    /// Of the keys that are grouped by, those that this query itself names.
    pub(crate) fn own_keys(&self, keys: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let own = |key: &&Arc<str>| self.dimensions.iter().any(|dimension| dimension.covers(key));
        keys.iter().filter(own).cloned().collect()
    }
}

impl Call {
    pub(crate) fn kind(&self, inputs: &[Input]) -> Option<FieldKind> {
        let kind = self.function.answer_kind(inputs[self.input].kind?)?;
        Some(self.transforms.iter().fold(kind, |kind, transform| transform.answer_kind(kind)))
    }
}

fn is_wild(expr: &Expr) -> bool {
    match expr {
        Expr::Wildcard(_) | Expr::Regex(_) => true,
        Expr::Call(_, arguments) => arguments.iter().any(is_wild),
        _ => false,
    }
}

type Named = (Option<String>, String, Node);

fn shape(columns: &[Named], calls: &[Call], windowed: bool) -> Answer<Shape> {
    let plain = columns.iter().any(|(.., node)| node.has_input());
    if calls.is_empty() {
        if windowed {
            return Err("GROUP BY requires at least one aggregate function".into());
        }
        return Ok(Shape::Rows);
    }
    if let Some(ranked) = calls.iter().find(|call| matches!(call.function, Function::Top(_) | Function::Bottom(_)))
        && calls.len() > 1
    {
        let name = ranked.function.name();
        return Err(format!("selector function {name}() cannot be combined with other functions").into());
    }
    if calls.iter().any(|call| call.function == Function::Distinct && call.transforms.is_empty()) {
        if calls.len() > 1 || plain {
            return Err("aggregate function distinct() cannot be combined with other functions or fields".into());
        }
        return Ok(Shape::Distinct);
    }
    if let [only] = calls
        && only.selects()
    {
        return Ok(if only.function.gives_points() { Shape::Points } else { Shape::Selected });
    }
    if plain {
        return Err(if calls.iter().all(Call::selects) {
            "mixing multiple selector functions with tags or fields is not supported".into()
        } else {
            "mixing aggregate and non-aggregate queries is not supported".into()
        });
    }
    Ok(Shape::Buckets)
}

struct Planner<'a> {
    window: Option<&'a Window>,
    views: &'a [View],
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
        position_or_push(&mut self.inputs, Input::new(name, cast, self.views))
    }

    /// The columns that `top` and `bottom` bring besides their own: the tags that they keep apart.
    fn apart(&self, node: &Node) -> Vec<Named> {
        let Node::Call(at) = node else { return Vec::new() };
        let inputs = self.calls[*at].apart.iter();
        inputs.map(|input| (None, self.inputs[*input].name.clone(), Node::Input(*input))).collect()
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
pub(crate) fn grouping(select: &Select, now: i64) -> Answer<Grouping> {
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
    Ok(Grouping { window: window.flatten(), dimensions })
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
fn columns(named: Vec<Named>, kind: impl Fn(&Node) -> Option<FieldKind>) -> Vec<Column> {
    let mut used: HashMap<String, usize> = HashMap::new();
    for (alias, ..) in &named {
        if let Some(alias) = alias {
            used.insert(alias.clone(), 1);
        }
    }
    let mut columns = Vec::new();
    for (alias, name, node) in named {
        let name = alias.unwrap_or_else(|| free_name(&mut used, name));
        columns.push(Column { name: name.into(), kind: kind(&node), node });
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
