//! The rules in force: what is looked for, where each rule comes from, and what of the school's own is left out.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bellwether_logic::rules::Rule;
use serde_json::{Value, json};

use super::Desk;
use super::access::Visitor;
use super::api::Caller;
use super::page::{PageError, Shell, render};
use crate::rules::{Loaded, Origin};
use crate::state::people::Role;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    shell: Shell,
    /// By the pack that they come from.
    packs: Vec<(String, Vec<Row>)>,
    count: usize,
    /// How many of the school's own are left out.
    left_out: usize,
    /// Each, for an admin.
    broken: Vec<String>,
}

/// One rule.
struct Row {
    id: String,
    title: String,
    severity: &'static str,
    ticket: &'static str,
    classes: String,
    advice: String,
    runbook: String,
    source: String,
}

/// The page.
pub(super) async fn show(State(desk): State<Desk>, visitor: Visitor) -> Result<Response, PageError> {
    let Loaded { rules, origins, broken } = &*desk.app.rules;
    let is_admin = visitor.person.role == Role::Admin;
    let mut packs: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for rule in rules.iter() {
        packs.entry(origins.get(&rule.id).map(pack).unwrap_or_default()).or_default().push(row(rule));
    }
    Ok(render(&RulesPage {
        shell: Shell::new("Rules", "rules", &visitor),
        packs: packs.into_iter().collect(),
        count: rules.len(),
        left_out: broken.len(),
        broken: broken.iter().filter(|_| is_admin).map(ToString::to_string).collect(),
    }))
}

/// The heading under which a rule stands.
fn pack(origin: &Origin) -> String {
    match origin {
        Origin::Shipped(pack) => pack.trim_end_matches(".toml").replace('_', " "),
        Origin::Folder(file, _) => format!("your own, {file}"),
    }
}

fn row(rule: &Rule) -> Row {
    let classes: Vec<&str> = rule.classes.iter().map(|class| super::words::class(*class)).collect();
    Row {
        id: rule.id.clone(),
        title: rule.title.as_str().to_owned(),
        severity: rule.severity.as_str(),
        ticket: rule.ticket.as_str(),
        classes: classes.join(", "),
        advice: rule.advice.clone(),
        runbook: rule.runbook.trim().to_owned(),
        source: rule.source.clone(),
    }
}

/// The same as JSON.
pub(super) async fn list(State(desk): State<Desk>, _: Caller) -> Json<Value> {
    let Loaded { rules, origins, broken } = &*desk.app.rules;
    let told = |rule: &Rule| {
        json!({
            "id": rule.id,
            "from": origins.get(&rule.id).map(ToString::to_string),
            "rule": rule,
        })
    };
    Json(json!({
        "rules": rules.iter().map(told).collect::<Vec<_>>(),
        "left_out": broken.len(),
    }))
}
