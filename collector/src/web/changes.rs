//! Planned changes: what will be out of order, where, from when until when, and why.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::Class;
use bellwether_logic::plans::{NewPlan, PLANS_MAX, Plan, PlanRefusal, Scope};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{CalendarSet, ChangeEnded, ChangePlanned, Record, record};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Signed, Visitor};
use super::api::{Asked as AskedPart, Caller, Part, Problem, time};
use super::page::{PageError, Shell, render};
use super::when::When;
use super::{Desk, words};
use crate::calendar::zone_named;
use crate::state::State as Database;
use crate::state::people::Deed;

/// Planned changes on the page, the newest first.
const SHOWN: u32 = 100;

/// A change on the page.
struct Row {
    number: u64,
    what: String,
    why: String,
    actor: String,
    from: When,
    until: When,
    state: &'static str,
    ended_by: Option<String>,
    silenced: usize,
    named: Vec<(String, String)>,
    more: u64,
    left: u64,
    tests: Vec<String>,
    may_end: bool,
}

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    shell: Shell,
    rows: Vec<Row>,
    sites: Vec<String>,
    classes: Vec<(&'static str, &'static str)>,
    may_plan: bool,
    device: String,
    zone: String,
    from: String,
    until: String,
}

/// What the page's address asks for: a device to begin with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    device: String,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (plans, calendars, sites, names) = desk
        .with_state(|state| {
            let names: BTreeMap<String, (String, String)> =
                state.all_devices()?.into_iter().map(|row| (row.id, (row.name, row.site))).collect();
            Ok::<_, PageError>((state.plans(SHOWN)?, state.calendars()?, state.sites()?, names))
        })
        .await?;
    let now = desk.app.clock.now();
    let may_plan = visitor.person.role.may(Deed::WorkTicket);
    let soon = |hours: u64| {
        let at = now + std::time::Duration::from_secs(hours * 3_600);
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(desk.zone.clone());
        at.strftime("%Y-%m-%dT%H:00").to_string()
    };
    let row = |plan: &Plan| Row {
        number: plan.number,
        what: what(&plan.scope, &names),
        why: plan.why.clone(),
        actor: plan.actor.clone(),
        from: When::new(plan.from, now, &desk.zone),
        until: When::new(plan.until, now, &desk.zone),
        state: standing(plan, now),
        ended_by: plan.ended_by.clone(),
        silenced: usize::try_from(plan.silenced).unwrap_or(usize::MAX),
        named: plan.named.iter().map(|it| (it.device.clone(), it.title.clone())).collect(),
        more: plan.silenced.saturating_sub(plan.named.len() as u64),
        left: plan.left,
        tests: tests(plan, &calendars, &names),
        may_end: may_plan && !plan.over && now < plan.until,
    };
    Ok(render(&ChangesPage {
        rows: plans.iter().map(row).collect(),
        sites,
        classes: Class::ALL.iter().map(|class| (class.as_str(), words::class(*class))).collect(),
        may_plan,
        device: names.get(&asked.device).map(|(name, _)| name.clone()).unwrap_or_default(),
        zone: desk.zone.iana_name().unwrap_or("UTC").to_owned(),
        from: soon(1),
        until: soon(3),
        shell: Shell::new("Planned changes", "tickets", &visitor),
    }))
}

fn standing(plan: &Plan, now: Timestamp) -> &'static str {
    match () {
        () if plan.taken_back => "Taken back",
        () if plan.over || now >= plan.until => "Over",
        () if now >= plan.from => "Now",
        () => "Planned",
    }
}

/// What a change covers, in words.
fn what(scope: &Scope, names: &BTreeMap<String, (String, String)>) -> String {
    let mut words: Vec<String> = Vec::new();
    if !scope.device.is_empty() {
        words.push(names.get(&scope.device).map_or_else(|| scope.device.clone(), |(name, _)| name.clone()));
    }
    if let Some(class) = scope.class {
        words.push(format!("every {}", words::class(class).to_lowercase()));
    }
    if !scope.room.is_empty() {
        words.push(format!("in {}", scope.room));
    }
    if !scope.site.is_empty() {
        words.push(format!("at {}", scope.site));
    }
    if !scope.rule.is_empty() {
        words.push(format!("only rule {}", scope.rule));
    }
    words.join(", ")
}

/// Tests that are held where a change is planned, while it lasts.
fn tests(
    plan: &Plan,
    calendars: &BTreeMap<String, CalendarSet>,
    names: &BTreeMap<String, (String, String)>,
) -> Vec<String> {
    if plan.over {
        return Vec::new();
    }
    let site = match plan.scope.site.as_str() {
        "" => names.get(&plan.scope.device).map_or("", |(_, site)| site.as_str()),
        site => site,
    };
    let of_site = |(name, _): &(&String, &CalendarSet)| site.is_empty() || *name == site;
    let mut sets: Vec<&CalendarSet> = calendars.iter().filter(of_site).map(|(_, set)| set).collect();
    if sets.is_empty() {
        sets.extend(calendars.get(""));
    }
    let during = sets.into_iter().flat_map(|set| &set.tests);
    let mut found: Vec<String> = during
        .filter(|test| test.begins_ms < plan.until.0 && plan.from.0 < test.ends_ms)
        .map(|test| test.name.clone())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// A change as a form sends it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct Wish {
    #[serde(rename = "csrf")]
    _csrf: String,
    site: String,
    room: String,
    class: String,
    /// A device's id or name.
    device: String,
    rule: String,
    from: String,
    until: String,
    why: String,
}

/// Plans a change.
pub(super) async fn make(State(desk): State<Desk>, Signed(visitor, wish): Signed<Wish>) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    plan(&desk, &visitor.person.login, wish).await?;
    Ok(Redirect::to("/changes").into_response())
}

async fn plan(desk: &Desk, actor: &str, wish: Wish) -> Result<(), PageError> {
    let (now, zone) = (desk.app.clock.now(), desk.zone.clone());
    let new = desk.with_state(move |state| understand(state, now, &zone, wish)).await?;
    let NewPlan { scope, from, until, why } = new;
    let planned = ChangePlanned {
        actor: actor.to_owned(),
        site: scope.site,
        room: scope.room,
        class: scope.class.map(|class| class.as_str().to_owned()).unwrap_or_default(),
        device_id: scope.device,
        rule: scope.rule,
        from_ms: from.0,
        until_ms: until.0,
        why,
    };
    desk.app.clicks.submit(Record { body: Some(record::Body::Planned(planned)) }).await?;
    Ok(())
}

/// The change that is meant, if it makes sense.
fn understand(state: &Database, now: Timestamp, zone: &TimeZone, wish: Wish) -> Result<NewPlan, PageError> {
    let class = match wish.class.as_str() {
        "" => None,
        word => Some(word.parse().map_err(|unknown| wrong(&format!("{unknown}.")))?),
    };
    let device = match wish.device.trim() {
        "" => String::new(),
        known => {
            let mut fits = state.all_devices()?.into_iter().filter(|row| row.id == known || row.name == known);
            let found = fits.next().ok_or_else(|| wrong("There is no device of that name."))?;
            if fits.next().is_some() {
                return Err(wrong("Several devices bear that name: begin at the device's page."));
            }
            found.id
        }
    };
    let site = wish.site.trim().to_owned();
    if !site.is_empty() && !state.sites()?.contains(&site) {
        return Err(wrong("There is no such building."));
    }
    let zone = state.calendars()?.get(&site).and_then(|set| zone_named(&set.zone)).unwrap_or_else(|| zone.clone());
    let from = if wish.from.is_empty() { Some(now) } else { moment(&wish.from, &zone) };
    let (Some(from), Some(until)) = (from, moment(&wish.until, &zone)) else {
        return Err(wrong("Write times such as 2026-11-22T21:30."));
    };
    let scope = Scope { site, room: wish.room.trim().to_owned(), class, device, rule: wish.rule.trim().to_owned() };
    let new = NewPlan { scope, from, until, why: wish.why.trim().to_owned() };
    new.check(now).map_err(|refusal| wrong(&said(refusal)))?;
    let live = state.plans(u32::try_from(PLANS_MAX).unwrap_or(u32::MAX))?.iter().filter(|plan| !plan.over).count();
    if live >= PLANS_MAX {
        return Err(wrong(&said(PlanRefusal::Full)));
    }
    Ok(new)
}

fn said(refusal: PlanRefusal) -> String {
    let text = refusal.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

/// An instant, or a moment by a building's clock.
fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let instant = text.parse::<jiff::Timestamp>().ok();
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    instant.or_else(civil).map(|at| Timestamp(at.as_millisecond()))
}

fn wrong(text: &str) -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text.into())
}

/// How a change ends.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    act: String,
}

/// Ends a change early, or takes it back.
pub(super) async fn end(
    State(desk): State<Desk>,
    Path(number): Path<u64>,
    Signed(visitor, end): Signed<End>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    finish(&desk, &visitor.person.login, number, end.act == "back").await?;
    Ok(Redirect::to("/changes").into_response())
}

async fn finish(desk: &Desk, actor: &str, number: u64, takes_back: bool) -> Result<(), PageError> {
    let plan = desk.with_state(move |state| Ok::<_, PageError>(state.plan(number)?)).await?;
    if plan.ok_or(PageError::NotFound)?.over {
        return Err(wrong("This change is over already."));
    }
    let ended = ChangeEnded { number, actor: actor.to_owned(), takes_back };
    desk.app.clicks.submit(Record { body: Some(record::Body::PlanEnded(ended)) }).await?;
    Ok(())
}

/// Planned changes as JSON.
pub(super) async fn api(State(desk): State<Desk>, _: Caller, asked: AskedPart) -> Result<Json<Value>, Problem> {
    let limit = Part::of(asked)?.limit()?;
    let plans = desk.with_state(move |state| Ok::<_, PageError>(state.plans(limit)?)).await?;
    let now = desk.app.clock.now();
    let rows: Vec<Value> = plans
        .iter()
        .map(|plan| {
            json!({
                "number": plan.number,
                "state": standing(plan, now).to_lowercase(),
                "site": plan.scope.site,
                "room": plan.scope.room,
                "class": plan.scope.class.map(Class::as_str),
                "device": plan.scope.device,
                "rule": plan.scope.rule,
                "from": time(plan.from),
                "until": time(plan.until),
                "why": plan.why,
                "by": plan.actor,
                "ended_by": plan.ended_by,
                "silenced": plan.silenced,
                "faults": plan.named.iter().map(|it| json!({
                    "device": it.device, "title": it.title, "at": time(it.at),
                })).collect::<Vec<_>>(),
                "left": plan.left,
            })
        })
        .collect();
    Ok(Json(json!({ "changes": rows, "limit": limit })))
}

/// Plans a change; the fields are those of the form, times as instants or by the building's clock.
pub(super) async fn api_make(
    State(desk): State<Desk>,
    caller: Caller,
    Json(wish): Json<Wish>,
) -> Result<StatusCode, Problem> {
    caller.must(Deed::WorkTicket)?;
    plan(&desk, caller.name(), wish).await?;
    Ok(StatusCode::CREATED)
}

/// How a program ends a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ApiEnd {
    take_back: bool,
}

/// Ends a change early, or takes it back.
pub(super) async fn api_end(
    State(desk): State<Desk>,
    Path(number): Path<u64>,
    caller: Caller,
    Json(end): Json<ApiEnd>,
) -> Result<StatusCode, Problem> {
    caller.must(Deed::WorkTicket)?;
    finish(&desk, caller.name(), number, end.take_back).await?;
    Ok(StatusCode::NO_CONTENT)
}
