//! What was found when we first looked: faults without tickets, to plan by; and laptops that nobody has seen for weeks.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::make;
use bellwether_logic::engine::{Listing, RAISED_MAX};
use bellwether_logic::incidents::{Fault, Quiet};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{FaultTag, ListRaised, ListedFault, Record, record};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Signed, Visitor};
use super::api::{Asked as AskedPart, Caller, Part, Problem, time};
use super::page::{PageError, Shell, render};
use super::when::When;
use super::{Desk, words};
use crate::state::State as Database;
use crate::state::devices::DeviceRow;
use crate::state::people::Deed;

/// Rows on the page; the largest come first, and there is a choice of building.
const ROWS_MAX: usize = 200;

/// Devices of one row that the page names.
const NAMED_MAX: usize = 100;

/// Faults that one click or call makes tickets of.
const CLICK_MAX: usize = 5_000;

/// One entry with what the inventory knows of its device.
struct Found {
    listing: Listing,
    device: DeviceRow,
}

impl Found {
    fn model(&self) -> String {
        make(&self.device.vendor, &self.device.model)
    }

    /// The finding without the device's name, which differs from entry to entry of a row.
    fn title(&self) -> &str {
        let title = self.listing.title.as_str();
        title.strip_prefix(&self.device.name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(title)
    }
}

fn read(state: &Database, site: &str) -> Result<Vec<Found>, PageError> {
    let mut listings = state.listings()?;
    let devices = state.all_devices()?.into_iter().filter(|device| site.is_empty() || device.site == site);
    let found = devices.flat_map(|device| {
        let of_device = listings.remove(&device.id).unwrap_or_default();
        of_device.into_iter().map(move |listing| Found { listing, device: device.clone() })
    });
    Ok(found.collect())
}

/// A rule's findings on one model in one building.
struct Row {
    rule: String,
    model: String,
    building: String,
    title: String,
    advice: String,
    severity: &'static str,
    /// Whether it is a list by nature.
    by_nature: bool,
    count: usize,
    named: Vec<Entry>,
    more: usize,
}

struct Entry {
    device: String,
    name: String,
    room: String,
    readings: String,
    since: When,
    /// As the form sends it back.
    fault: String,
}

#[derive(Template)]
#[template(path = "findings.html")]
struct FindingsPage {
    shell: Shell,
    building: String,
    sites: Vec<String>,
    count: usize,
    rows: Vec<Row>,
    rows_more: usize,
    find: Vec<(String, String, String, When)>,
    find_count: usize,
    may_raise: bool,
    window: String,
    done: bool,
}

/// What the page's address asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    building: String,
    done: Option<String>,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let building = asked.building.clone();
    let (found, find, sites) = desk
        .with_state(move |state| {
            Ok::<_, PageError>((read(state, &building)?, to_find(state, &building)?, state.sites()?))
        })
        .await?;
    let now = desk.app.clock.now();
    let when = |at: Timestamp| When::new(at, now, &desk.zone);
    let count = found.len();
    let mut rows = rows(found, when);
    let rows_more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    Ok(render(&FindingsPage {
        shell: Shell::new("To plan", "tickets", &visitor),
        may_raise: visitor.person.role.may(Deed::WorkTicket),
        window: super::when::span(bellwether_logic::engine::FIRST_SIGHT.0.as_secs()),
        done: asked.done.is_some(),
        building: asked.building,
        sites,
        count,
        rows,
        rows_more,
        find_count: find.len(),
        find: find.into_iter().map(|(row, since)| (row.id, row.name, row.room, when(since))).collect(),
    }))
}

fn rows(found: Vec<Found>, when: impl Fn(Timestamp) -> When) -> Vec<Row> {
    let mut groups: BTreeMap<(String, String, String), Vec<Found>> = BTreeMap::new();
    for found in found {
        let key = (found.listing.fault.rule.clone(), found.model(), found.device.site.clone());
        groups.entry(key).or_default().push(found);
    }
    let row = |((rule, model, building), found): ((String, String, String), Vec<Found>)| {
        let first = found.first()?;
        let named = found.iter().take(NAMED_MAX).map(|found| Entry {
            device: found.device.id.clone(),
            name: found.device.name.clone(),
            room: found.device.room.clone(),
            readings: found.listing.readings.join(", "),
            since: when(found.listing.since),
            fault: serde_json::to_string(&found.listing.fault).unwrap_or_default(),
        });
        Some(Row {
            title: first.title().to_owned(),
            advice: first.listing.advice.clone(),
            severity: words::severity(first.listing.severity),
            by_nature: first.listing.because == Quiet::List,
            count: found.len(),
            more: found.len().saturating_sub(NAMED_MAX),
            named: named.collect(),
            rule,
            model,
            building,
        })
    };
    let mut rows: Vec<Row> = groups.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

/// Laptops that were not seen for weeks of school, the longest first.
fn to_find(state: &Database, site: &str) -> Result<Vec<(DeviceRow, Timestamp)>, PageError> {
    let standings = state.standings()?;
    let devices = state.all_devices()?.into_iter().filter(|device| site.is_empty() || device.site == site);
    let mut find: Vec<(DeviceRow, Timestamp)> = devices
        .filter(|device| standings.get(&device.id).is_some_and(|standing| standing.find))
        .map(|device| {
            let since = device.last_seen_at.unwrap_or(device.enrolled_at);
            (device, since)
        })
        .collect();
    find.sort_by_key(|(_, since)| *since);
    Ok(find)
}

/// What a person chose: one entry, or a whole row.
#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    building: String,
    rule: String,
    model: String,
    /// The row's building: all of it, unless one device is named.
    #[serde(default)]
    at: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    fault: String,
}

/// Turns what was chosen into tickets.
pub(super) async fn raise(
    State(desk): State<Desk>,
    Signed(visitor, chosen): Signed<Chosen>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let back = format!("/findings?building={}&done=yes", super::page::encode(&chosen.building));
    let faults = if chosen.device.is_empty() {
        let found = desk.with_state(move |state| Ok::<_, PageError>((read(state, &chosen.at)?, chosen))).await?;
        let (found, chosen) = found;
        let of_row = found.into_iter().filter(|found| {
            found.listing.fault.rule == chosen.rule && found.model() == chosen.model && found.device.site == chosen.at
        });
        of_row.map(|found| (found.device.id, found.listing.fault)).collect()
    } else {
        let fault: Fault = serde_json::from_str(&chosen.fault)
            .map_err(|_| PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, "Reload the page and try again.".into()))?;
        vec![(chosen.device, fault)]
    };
    submit(&desk, &visitor.person.login, faults).await?;
    Ok(Redirect::to(&back).into_response())
}

async fn submit(desk: &Desk, actor: &str, faults: Vec<(String, Fault)>) -> Result<usize, PageError> {
    let listed = |(device_id, fault): &(String, Fault)| ListedFault {
        device_id: device_id.clone(),
        rule: fault.rule.clone(),
        tags: fault.tags.iter().map(|(key, value)| FaultTag { key: key.clone(), value: value.clone() }).collect(),
    };
    let faults: Vec<ListedFault> = faults.iter().take(CLICK_MAX).map(listed).collect();
    for some in faults.chunks(RAISED_MAX) {
        let raised = ListRaised { actor: actor.to_owned(), faults: some.to_vec() };
        desk.app.clicks.submit(Record { body: Some(record::Body::Raised(raised)) }).await?;
    }
    Ok(faults.len())
}

/// The planning list as JSON.
pub(super) async fn api(State(desk): State<Desk>, _: Caller, asked: AskedPart) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset, site) = (part.limit()?, part.offset()?, part.site().to_owned());
    let found = desk.with_state(move |state| read(state, &site)).await?;
    let some = found.iter().skip(offset as usize).take(limit as usize);
    let rows: Vec<Value> = some
        .map(|Found { listing, device }| {
            json!({
                "device": listing.device,
                "device_name": device.name,
                "model": make(&device.vendor, &device.model),
                "site": device.site,
                "room": device.room,
                "rule": listing.fault.rule,
                "subject": listing.fault.tags.iter().cloned().collect::<BTreeMap<_, _>>(),
                "because": match listing.because { Quiet::List => "list", _ => "first_sight" },
                "title": listing.title,
                "advice": listing.advice,
                "severity": listing.severity.as_str(),
                "kind": listing.kind.as_str(),
                "since": time(listing.since),
                "readings": listing.readings,
            })
        })
        .collect();
    Ok(Json(json!({ "findings": rows, "total": found.len(), "limit": limit, "offset": offset })))
}

/// Which findings become tickets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    findings: Vec<WantedOne>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedOne {
    device: String,
    rule: String,
    #[serde(default)]
    subject: BTreeMap<String, String>,
}

/// Turns findings into tickets.
pub(super) async fn api_raise(
    State(desk): State<Desk>,
    caller: Caller,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Problem> {
    caller.must(Deed::WorkTicket)?;
    if wanted.findings.len() > CLICK_MAX {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("at most {CLICK_MAX} findings at once")));
    }
    let wanted: Vec<WantedOne> = wanted.findings;
    let faults = desk
        .with_state(move |state| {
            let listings = state.listings()?;
            let is = |listing: &Listing, one: &WantedOne| {
                let tags: BTreeMap<String, String> = listing.fault.tags.iter().cloned().collect();
                listing.fault.rule == one.rule && tags == one.subject
            };
            let found = wanted.iter().filter_map(|one| {
                let listing = listings.get(&one.device)?.iter().find(|listing| is(listing, one))?;
                Some((one.device.clone(), listing.fault.clone()))
            });
            Ok::<_, PageError>(found.collect::<Vec<_>>())
        })
        .await?;
    let raised = submit(&desk, caller.name(), faults).await?;
    Ok(Json(json!({ "raised": raised })))
}

/// Laptops to look for, as JSON.
pub(super) async fn api_find(State(desk): State<Desk>, _: Caller, asked: AskedPart) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset, site) = (part.limit()?, part.offset()?, part.site().to_owned());
    let found = desk.with_state(move |state| to_find(state, &site)).await?;
    let some = found.iter().skip(offset as usize).take(limit as usize);
    let rows: Vec<Value> = some
        .map(|(device, since)| {
            json!({
                "device": device.id, "name": device.name, "site": device.site, "room": device.room,
                "last_seen_at": time(*since),
            })
        })
        .collect();
    Ok(Json(json!({ "find": rows, "total": found.len(), "limit": limit, "offset": offset })))
}
