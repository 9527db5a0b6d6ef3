//! Who looks after what: each building's classes of devices with whoever has their tickets, and what nobody has.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bellwether_logic::responsibilities::{Lane, Party, PartyKind, Responsibilities};
use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::access::Visitor;
use super::api::{Caller, Problem, time};
use super::page::{PageError, Shell, render};
use super::{Desk, words};
use crate::responsibilities::{FILE, Grid, RESPONSIBILITIES, matrix_of};
use crate::state::people::Deed;

/// One class at one building.
struct Line {
    class: &'static str,
    /// Whoever has some of it, the categories of which, and whether somebody was named for them.
    owners: Vec<(String, String, bool)>,
}

/// One building.
struct Site {
    name: String,
    lines: Vec<Line>,
}

/// Somebody who is named.
struct Who {
    name: String,
    kind: &'static str,
    what: String,
    contact: String,
    /// The contract's last day.
    ends: Option<String>,
    is_over: bool,
}

#[derive(Template)]
#[template(path = "responsibilities.html")]
struct Page {
    shell: Shell,
    assumed: bool,
    file: &'static str,
    coordinator: String,
    lead: String,
    unowned: usize,
    cells: usize,
    sites: Vec<Site>,
    parties: Vec<Who>,
    unknown: Vec<String>,
    trouble: Option<String>,
    may_change: bool,
}

/// What was recorded, over what is there.
async fn read(desk: &Desk) -> Result<(Responsibilities, Grid), PageError> {
    let (set, places) =
        desk.with_state(|state| Ok::<_, PageError>((state.responsibilities()?, state.places()?))).await?;
    let matrix = set.as_ref().and_then(matrix_of).unwrap_or_default();
    let grid = Grid::new(&matrix, &places, &desk.app.rules.rules, desk.app.clock.now());
    Ok((matrix, grid))
}

/// The page.
pub(super) async fn show(State(desk): State<Desk>, visitor: Visitor) -> Result<Response, PageError> {
    let (matrix, grid) = read(&desk).await?;
    let now = desk.app.clock.now();
    let trouble = desk.app.health.troubles().into_iter().find(|(part, _)| *part == RESPONSIBILITIES);
    let may_change = visitor.person.role.may(Deed::DirectTicket);
    let who = |party: &Party| Who {
        name: party.name.clone(),
        kind: words::party(party.kind),
        what: about(party),
        contact: [party.email.as_str(), party.phone.as_str()]
            .iter()
            .filter(|text| !text.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        ends: party.contract_ends.map(|ends| last_day(ends, &desk.zone)),
        is_over: party.contract_ends.is_some_and(|ends| ends <= now),
    };
    Ok(render(&Page {
        shell: Shell::new("Who looks after what", "tickets", &visitor),
        assumed: matrix.assumed,
        file: FILE,
        coordinator: name(&matrix, &matrix.coordinator),
        lead: name(&matrix, &matrix.lead),
        unowned: grid.unowned().count(),
        cells: grid.cells.len(),
        sites: sites(&matrix, &grid),
        parties: matrix.parties.iter().map(who).collect(),
        unknown: grid.unknown,
        trouble: trouble.map(|(_, why)| why).filter(|_| may_change),
        may_change,
    }))
}

fn last_day(ends: Timestamp, zone: &TimeZone) -> String {
    let last = jiff::Timestamp::from_millisecond(ends.0.saturating_sub(1)).unwrap_or_default();
    last.to_zoned(zone.clone()).strftime("%b %-d, %Y").to_string()
}

fn about(party: &Party) -> String {
    match (party.kind, party.lane) {
        (PartyKind::Person, Lane::Repair) => String::new(),
        (PartyKind::Person, Lane::Champion) => "champion: only what is said in so many words".into(),
        (PartyKind::Person, Lane::EdTech) => "there for teaching: gets no tickets from Bellwether".into(),
        (PartyKind::Team, _) => party.members.join(", "),
        (PartyKind::Vendor, _) => party.covers.clone(),
    }
}

fn name(matrix: &Responsibilities, key: &str) -> String {
    matrix.party(key).map_or_else(|| key.to_owned(), |party| party.name.clone())
}

/// Who has which categories: whether somebody is named for them, and who that is.
type Owners<'grid> = BTreeMap<(bool, String), Vec<&'grid str>>;

fn sites(matrix: &Responsibilities, grid: &Grid) -> Vec<Site> {
    let mut sites: BTreeMap<&str, BTreeMap<&str, Owners<'_>>> = BTreeMap::new();
    for cell in &grid.cells {
        let owners = sites.entry(&cell.site).or_default().entry(words::class(cell.class)).or_default();
        let owner = (cell.owner.named, name(matrix, &cell.owner.key));
        owners.entry(owner).or_default().push(&cell.category);
    }
    let line = |(class, owners): (&'static str, Owners<'_>)| {
        let is_one = owners.len() == 1;
        let owners = owners.into_iter().map(|((named, who), categories)| {
            let categories = if is_one { String::new() } else { categories.join(", ") };
            (who, categories, named)
        });
        Line { class, owners: owners.collect() }
    };
    let by_class = |classes: BTreeMap<&str, BTreeMap<(bool, String), Vec<&str>>>| {
        let known = bellwether_logic::device::Class::ALL.iter().map(|class| words::class(*class));
        let mut classes = classes;
        known.filter_map(|class| Some((class, classes.remove(class)?))).map(line).collect()
    };
    sites.into_iter().map(|(site, classes)| Site { name: site.to_owned(), lines: by_class(classes) }).collect()
}

/// `/api/v1/responsibilities`: every cell that there is with who has it, and everybody who is named.
pub(super) async fn api(State(desk): State<Desk>, _: Caller) -> Result<Json<Value>, Problem> {
    let (matrix, grid) = read(&desk).await?;
    let cells: Vec<Value> = grid
        .cells
        .iter()
        .map(|cell| {
            json!({
                "site": cell.site,
                "class": cell.class.as_str(),
                "category": cell.category,
                "owner": cell.owner.key,
                "kind": cell.owner.kind.as_str(),
                "via": cell.owner.via,
                "named": cell.owner.named,
                "next": cell.owner.next,
            })
        })
        .collect();
    let parties: Vec<Value> = matrix
        .parties
        .iter()
        .map(|party| {
            json!({
                "key": party.key,
                "kind": party.kind.as_str(),
                "name": party.name,
                "lane": party.lane.as_str(),
                "members": party.members,
                "email": party.email,
                "phone": party.phone,
                "covers": party.covers,
                "contract_ends": party.contract_ends.map(time),
            })
        })
        .collect();
    let trouble = desk.app.health.troubles().into_iter().find(|(part, _)| *part == RESPONSIBILITIES);
    Ok(Json(json!({
        "assumed": matrix.assumed,
        "source": matrix.source,
        "coordinator": matrix.coordinator,
        "lead": matrix.lead,
        "unowned": grid.unowned().count(),
        "cells": cells,
        "parties": parties,
        "unknown": grid.unknown,
        "trouble": trouble.map(|(_, why)| why),
    })))
}
