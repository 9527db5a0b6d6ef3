//! One device: what it is, where it stands, how it is doing, its day and its tickets.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::{Class, LifeState, make};
use bellwether_proto::record::v1::{DeviceChanged, Record, record};
use serde::Deserialize;

use super::access::{Signed, Visitor};
use super::chart::{self, Chart, Window};
use super::configuration::{self, Configuration};
use super::fleet::{self, Gauge, Standing};
use super::hangs::{self, Hangs};
use super::hardware::{self, Hardware};
use super::page::{PageError, Shell, render};
use super::readings::{self, Live};
use super::tickets::Card;
use super::watched::{self, Askers, Watched};
use super::when::{When, span};
use super::{Desk, life, words};
use crate::state::devices::DeviceRow;
use crate::state::machines::{Note, NoteKind};
use crate::state::people::Deed;
use crate::state::tickets::TicketFilter;

/// Tickets of a device that its page lists.
const TICKETS_SHOWN: u32 = 20;
/// What was noticed about its identity, that its page lists.
const NOTES_SHOWN: usize = 5;
/// Letters of a name, building or room; more than any label has.
const PLACE_CHARS_MAX: usize = 80;

/// One live reading.
struct Reading {
    label: String,
    value: String,
    gauge: Option<Gauge>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    shell: Shell,
    device: DeviceRow,
    standing: Standing,
    detail: String,
    class: &'static str,
    life: &'static str,
    seen: Option<When>,
    enrolled: When,
    facts: Vec<(&'static str, String)>,
    readings: Vec<Reading>,
    hardware: Hardware,
    watched: Option<Watched>,
    hangs: Hangs,
    window: &'static str,
    charts: Vec<Chart>,
    /// Readings can't be asked for just now.
    away: bool,
    tickets: Vec<Card>,
    years: Option<life::View>,
    edit: Edit,
    sites: Vec<String>,
}

/// What the edit form offers.
struct Edit {
    state: bool,
    place: bool,
    states: Vec<(&'static str, &'static str)>,
    classes: Vec<(&'static str, &'static str)>,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id = device_id(id)?;
    let asked = id.clone();
    let filter = TicketFilter { device: id.clone(), ..TicketFilter::default() };
    let (device, standing, tickets, sites, notes, askers) = desk
        .with_state(move |state| {
            let tickets = state.tickets(&filter, TICKETS_SHOWN, 0)?;
            let device = state.device(&asked)?.ok_or(PageError::NotFound)?;
            let (notes, askers) = (state.notes(&asked)?, Askers::of(state, &device)?);
            Ok::<_, PageError>((device, state.standing(&asked)?, tickets, state.sites()?, notes, askers))
        })
        .await?;
    let asked = id.clone();
    let parts = desk.with_state(move |state| hangs::read(state, &asked)).await?;
    let (asked, of) = (id.clone(), desk.clone());
    let life = desk.with_state(move |state| life::View::read(state, &of, &asked)).await?;
    let now = desk.app.clock.now();
    let window = Window::since(device.enrolled_at, now);
    let (live, charts, hardware, watched) = ask_readings(&desk, &device, askers, window).await?;
    let when = |at| When::new(at, now, &desk.zone);
    let mut hangs = parts.hangs(&device.id, when);
    let mut watched = watched;
    if let Some(ports) = watched.as_mut().and_then(|watched| watched.ports.take()) {
        hangs.join(ports);
    }
    let shown = Standing::of(&device, standing.as_ref(), tickets.iter().any(|ticket| ticket.state.is_open()));
    let role = visitor.person.role;
    Ok(render(&DevicePage {
        shell: Shell::new(device.name.clone(), "fleet", &visitor),
        standing: shown,
        detail: standing.as_ref().and_then(fleet::goodbye).unwrap_or_default().into(),
        class: words::class(device.class),
        life: words::life(device.state),
        seen: fleet::last_seen(&device).map(when),
        enrolled: when(device.enrolled_at),
        facts: [facts(&device, &configuration::of(&desk.app, &device), &hardware), identity(&notes)].concat(),
        readings: if shown == Standing::Silent { Vec::new() } else { live.map(|live| list(&live)).unwrap_or_default() },
        hardware,
        watched,
        hangs,
        window: window.name,
        charts,
        away: desk.series.is_away(),
        tickets: tickets.iter().map(|ticket| Card::new(ticket, when)).collect(),
        // What a thing cost is for those who mend and plan.
        years: life.filter(|_| role.may(Deed::WorkTicket)),
        edit: Edit {
            state: role.may(Deed::ChangeDeviceState),
            place: role.may(Deed::ChangeDevicePlace),
            states: LifeState::ALL.iter().map(|state| (state.as_str(), words::life(*state))).collect(),
            classes: Class::ALL.iter().map(|class| (class.as_str(), words::class(*class))).collect(),
        },
        sites,
        device,
    }))
}

/// Ids are ours: a short word of letters and digits. Anything else was never given to a device.
pub(super) fn device_id(id: String) -> Result<String, PageError> {
    let ours = !id.is_empty() && id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if ours { Ok(id) } else { Err(PageError::NotFound) }
}

type Asked = (Option<Live>, Vec<Chart>, Hardware, Option<Watched>);

async fn ask_readings(desk: &Desk, device: &DeviceRow, askers: Askers, window: Window) -> Result<Asked, PageError> {
    let (series, zone, now) = (Arc::clone(&desk.series), desk.zone.clone(), desk.app.clock.now());
    let device = device.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let id = device.id.as_str();
        let live = readings::ask_latest(&*series, &readings::only(id), now).remove(id);
        let draw = if device.watch.is_some() { chart::watched::all } else { chart::all };
        let (charts, hardware) = (draw(&*series, id, window, now, &zone), hardware::ask(&*series, id, now, &zone));
        (live, charts, hardware, watched::ask(&*series, &device, askers, now))
    });
    Ok(asked.await?)
}

/// What the inventory section tells is not told twice.
fn facts(device: &DeviceRow, configuration: &Configuration, hardware: &Hardware) -> Vec<(&'static str, String)> {
    let interval = if device.interval_s == 0 { String::new() } else { format!("every {} s", device.interval_s) };
    let clock = match device.clock_offset_ms {
        0 => String::new(),
        ms => {
            let way = if ms > 0 { "behind" } else { "ahead" };
            format!("{} {way}; its times are corrected", span(ms.unsigned_abs() / 1_000))
        }
    };
    let model = make(&device.vendor, &device.model);
    let all = [
        ("Model", model),
        ("Serial number", device.serial.clone()),
        ("Agent", device.agent_version.clone()),
        ("Reports", interval),
        ("Clock", clock),
        ("Configuration", configuration.sentence()),
        ("Device ID", device.id.clone()),
    ];
    let is_told = |label| hardware.facts.iter().any(|(told, _)| *told == label);
    all.into_iter().filter(|(label, value)| !value.is_empty() && !is_told(*label)).collect()
}

/// What was noticed about which machine this is, the latest first.
fn identity(notes: &[Note]) -> Vec<(&'static str, String)> {
    let line = |note: &Note| {
        let label = match note.kind {
            NoteKind::Returned => "Connected again",
            NoteKind::Perhaps => "Same machine?",
            NoteKind::Clone | NoteKind::Twin => "Copied",
            NoteKind::Changed => "Hardware",
        };
        let times = if note.times > 1 { format!(" ({} times)", note.times) } else { String::new() };
        (label, format!("{}{times}", note.detail))
    };
    notes.iter().take(NOTES_SHOWN).map(line).collect()
}

fn list(live: &Live) -> Vec<Reading> {
    let percent = |label: &str, value: Option<f64>| {
        value.map(|value| Reading {
            label: label.into(),
            value: format!("{value:.0}%"),
            gauge: Some(Gauge::new(value)),
        })
    };
    let mut all: Vec<Reading> = Vec::new();
    all.extend(percent("Processor", live.cpu));
    all.extend(percent("Memory", live.memory));
    all.extend(live.disks.iter().take(3).filter_map(|(path, used)| percent(&format!("Disk {path}"), Some(*used))));
    all.extend(fleet::ping(live).map(|value| Reading { label: "Gateway".into(), value, gauge: None }));
    all
}

/// The edit form, as sent. What a role may not change is not in its form.
#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    name: Option<String>,
    building: Option<String>,
    room: Option<String>,
    class: Option<String>,
    state: Option<String>,
}

/// Changes a device's entry in the inventory.
pub(super) async fn edit(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Signed(visitor, changes): Signed<Changes>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ChangeDeviceState)?;
    let id = device_id(id)?;
    let asked = id.clone();
    let _alone = desk.app.clicks.alone().await;
    let device = desk.with_state(move |state| state.device(&asked)).await?.ok_or(PageError::NotFound)?;
    let changed = apply(&device, changes, &visitor)?;
    let body = Some(record::Body::Device(changed));
    desk.app.clicks.submit(Record { body }).await?;
    Ok(Redirect::to(&format!("/devices/{id}")).into_response())
}

fn apply(device: &DeviceRow, changes: Changes, visitor: &Visitor) -> Result<DeviceChanged, PageError> {
    let Changes { name, building, room, class, state } = changes;
    let name = text("name", name, &device.name)?;
    let site = text("building", building, &device.site)?;
    let class = word::<Class>(class, device.class)?;
    if (&name, &site, class) != (&device.name, &device.site, device.class) {
        visitor.must(Deed::ChangeDevicePlace)?;
    }
    if name.is_empty() {
        return Err(wrong("A device needs a name."));
    }
    Ok(DeviceChanged {
        name,
        class: class.to_string(),
        site,
        room: text("room", room, &device.room)?,
        state: word::<LifeState>(state, device.state)?.to_string(),
        ..device.to_change(&visitor.person.login)
    })
}

fn wrong(text: impl Into<String>) -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text.into())
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(given: Option<String>, now: T) -> Result<T, PageError> {
    given.map_or(Ok(now), |given| given.parse().map_err(|unknown: T::Err| wrong(format!("This cannot be: {unknown}."))))
}

/// A short text of one line: these become tags of every series, so control characters have no place in them.
pub(super) fn text(what: &str, given: Option<String>, now: &str) -> Result<String, PageError> {
    let Some(given) = given else { return Ok(now.to_owned()) };
    let given = given.trim();
    if given.chars().count() > PLACE_CHARS_MAX || given.chars().any(char::is_control) {
        return Err(wrong(format!("The {what} must be one line of at most {PLACE_CHARS_MAX} letters.")));
    }
    Ok(given.to_owned())
}
