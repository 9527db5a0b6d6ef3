//! `*` and patterns in the field list become names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dimension, is_wild};
use crate::influxql::ast::{Cast, Expr, Field};
use crate::point::FieldKind;
use crate::query::Answer;
use crate::query::functions::{Function, is_transform};
use crate::query::view::View;

/// The fields with every wildcard replaced by what the measurements have, sorted by name.
pub(super) fn fields(fields: &[Field], views: &[View], dimensions: &[Dimension]) -> Answer<Vec<Field>> {
    let mut expanded = Vec::new();
    for field in fields {
        match &field.expr {
            expr @ (Expr::Wildcard(_) | Expr::Regex(_)) => {
                for (name, cast) in names(expr, views, dimensions) {
                    expanded.push(Field { expr: Expr::Reference(name, cast), alias: None });
                }
            }
            Expr::Call(name, _) if name == "distinct" && is_wild(&field.expr) => {
                return Err("expected field argument in distinct()".into());
            }
            expr @ Expr::Call(name, _) if is_wild(expr) => {
                let prefix = field.alias.as_ref().unwrap_or(name);
                for (inner, kind) in known_fields(views) {
                    if let Some(expr) = replaced(expr, &inner, kind) {
                        expanded.push(Field { expr, alias: Some(format!("{prefix}_{inner}")) });
                    }
                }
            }
            _ => expanded.push(field.clone()),
        }
    }
    Ok(expanded)
}

fn known_fields(views: &[View]) -> BTreeMap<String, FieldKind> {
    let fields = views.iter().flat_map(|view| &view.fields);
    fields.map(|(name, (_, kind))| (name.to_string(), *kind)).collect()
}

/// Fields, and the tags that are not grouped by. A tag that has the name of a field is marked as a tag.
fn names(expr: &Expr, views: &[View], dimensions: &[Dimension]) -> Vec<(String, Option<Cast>)> {
    let (fields, tags) = match expr {
        Expr::Wildcard(Some(Cast::Tag)) => (false, true),
        Expr::Wildcard(Some(Cast::Field)) => (true, false),
        _ => (true, true),
    };
    let fits = |name: &str| match expr {
        Expr::Regex(regex) => regex.is_match(name),
        _ => true,
    };
    // Who groups by a pattern of tags gets no tags as columns.
    let tags = tags && dimensions.iter().all(|dimension| dimension.tag().is_some());
    let known: BTreeSet<&str> = views.iter().flat_map(|view| view.fields.keys().map(|name| &**name)).collect();
    let mut names = BTreeSet::new();
    for view in views {
        if fields {
            names.extend(view.fields.keys().filter(|name| fits(name)).map(|name| (name.to_string(), false)));
        }
        if tags {
            let free = |key: &str| !dimensions.iter().any(|dimension| dimension.covers(key));
            let keys = view.tag_keys.iter().filter(|key| fits(key) && free(key));
            names.extend(keys.map(|key| (key.to_string(), known.contains(&**key))));
        }
    }
    names.into_iter().map(|(name, tag)| (name, tag.then_some(Cast::Tag))).collect()
}

/// The call with `field` in place of its wildcard, if the wildcard covers it and the function takes its kind.
fn replaced(expr: &Expr, field: &str, kind: FieldKind) -> Option<Expr> {
    let Expr::Call(name, arguments) = expr else { return None };
    let (first, rest) = arguments.split_first()?;
    let inner = match first {
        Expr::Wildcard(_) => Expr::Reference(field.to_owned(), None),
        Expr::Regex(regex) if regex.is_match(field) => Expr::Reference(field.to_owned(), None),
        Expr::Call(..) => replaced(first, field, kind)?,
        _ => return None,
    };
    let takes = if is_transform(name) || name == "percentile" {
        kind.is_number()
    } else {
        Function::plain(name).is_none_or(|function| function.answer_kind(kind).is_some())
    };
    let arguments = std::iter::once(inner).chain(rest.iter().cloned()).collect();
    takes.then(|| Expr::Call(name.clone(), arguments))
}
