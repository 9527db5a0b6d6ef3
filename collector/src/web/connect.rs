//! Connecting machines: makes a token for a building and shows the command that uses it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_logic::device::Class;
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::access::{Signed, Visitor};
use super::device::text;
use super::page::{PageError, Shell, render};
use super::when::When;
use super::{Desk, words};
use crate::app::Commands;
use crate::state::people::Deed;
use crate::state::secret::SecretHash;
use crate::state::tokens::{EnrolTokenRow, NewEnrolToken};

/// Machines that one token can connect: a large building.
const USES_MAX: u32 = 5_000;
/// Days that a token can last: a summer of imaging.
const DAYS_MAX: u32 = 90;
/// Machines that are listed as they arrive.
const ARRIVALS_SHOWN: u32 = 50;
/// How far back arrivals are listed when nothing else is asked.
const ARRIVALS_SINCE: Duration = Duration::from_secs(24 * 3_600);

/// A machine that has arrived.
struct Arrival {
    id: String,
    name: String,
    class: &'static str,
    site: String,
    room: String,
    at: When,
}

/// A token in the list of those that were made.
struct TokenLine {
    row: EnrolTokenRow,
    made: When,
    ends: When,
    usable: bool,
}

/// A way to connect a machine.
struct Way {
    id: &'static str,
    title: &'static str,
    hint: &'static str,
    command: String,
}

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    shell: Shell,
    endpoint: String,
    this_machine_only: bool,
    /// With a token that was made just now.
    ways: Vec<Way>,
    building: String,
    sites: Vec<String>,
    classes: Vec<(&'static str, &'static str)>,
    tokens: Vec<TokenLine>,
    arrivals: Vec<Arrival>,
    since: i64,
    uses_max: u32,
    days_max: u32,
}

#[derive(Template)]
#[template(path = "arrivals.html")]
struct ArrivalsPage {
    shell: Shell,
    arrivals: Vec<Arrival>,
}

/// From when on arrivals are asked for, in ms since 1970.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    since: Option<i64>,
}

/// The page.
pub(super) async fn show(State(desk): State<Desk>, visitor: Visitor) -> Result<Response, PageError> {
    visitor.must(Deed::ConnectMachines)?;
    let since = desk.app.clock.now() - ARRIVALS_SINCE;
    page(&desk, &visitor, None, String::new(), since).await
}

async fn page(
    desk: &Desk,
    visitor: &Visitor,
    commands: Option<Commands>,
    building: String,
    since: Timestamp,
) -> Result<Response, PageError> {
    let (sites, tokens) = desk.with_state(|state| Ok::<_, PageError>((state.sites()?, state.enrol_tokens()?))).await?;
    let now = desk.app.clock.now();
    let connect = &desk.app.connect;
    Ok(render(&ConnectPage {
        shell: Shell::new("Connect a machine", "connect", visitor),
        endpoint: connect.endpoint.clone(),
        this_machine_only: connect.this_machine_only,
        ways: commands.map(ways).unwrap_or_default(),
        building,
        sites,
        classes: Class::ALL.iter().map(|class| (class.as_str(), words::class(*class))).collect(),
        tokens: tokens
            .into_iter()
            .map(|row| TokenLine {
                made: When::new(row.created_at, now, &desk.zone),
                ends: When::new(row.expires_at, now, &desk.zone),
                usable: row.uses_left > 0 && row.expires_at > now,
                row,
            })
            .collect(),
        arrivals: list_arrivals(desk, since).await?,
        since: since.0,
        uses_max: USES_MAX,
        days_max: DAYS_MAX,
    }))
}

fn ways(commands: Commands) -> Vec<Way> {
    let Commands { linux, windows, by_hand } = commands;
    let way = |id, title, hint, command| Way { id, title, hint, command };
    vec![
        way("linux", "Linux, with the package", "Once the .deb or .rpm is installed.", linux),
        way("windows", "Windows, with the package", "In the folder that the .msi lies in.", windows),
        way("hand", "By hand", "The program alone, in an empty folder.", by_hand),
    ]
}

/// The machines that have arrived, as a page of its own: it is fetched again and again while one waits.
pub(super) async fn arrivals(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(Since { since }): Query<Since>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ConnectMachines)?;
    let since = since.map_or_else(|| desk.app.clock.now() - ARRIVALS_SINCE, Timestamp);
    let arrivals = list_arrivals(&desk, since).await?;
    Ok(render(&ArrivalsPage { shell: Shell::new("Machines that arrived", "connect", &visitor), arrivals }))
}

async fn list_arrivals(desk: &Desk, since: Timestamp) -> Result<Vec<Arrival>, PageError> {
    let now = desk.app.clock.now();
    let devices = desk.with_state(move |state| state.newest_devices(since, ARRIVALS_SHOWN)).await?;
    let arrival = |device: crate::state::devices::DeviceRow| Arrival {
        class: words::class(device.class),
        at: When::new(device.enrolled_at, now, &desk.zone),
        id: device.id,
        name: device.name,
        site: device.site,
        room: device.room,
    };
    Ok(devices.into_iter().map(arrival).collect())
}

/// What the new token is to grant, as sent.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    building: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    uses: String,
    #[serde(default)]
    days: String,
}

/// Makes a token and shows it, once.
pub(super) async fn make_token(
    State(desk): State<Desk>,
    Signed(visitor, wanted): Signed<Wanted>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ConnectMachines)?;
    let now = desk.app.clock.now();
    let secret: [u8; 16] = rand::random();
    let token = new_token(wanted, SecretHash::of_bytes(&secret), visitor.person.login.clone(), now)?;
    let building = token.site.clone();
    desk.with_state(move |state| state.add_enrol_token(&token, now)).await?;
    page(&desk, &visitor, Some(desk.app.connect.commands(secret)), building, now).await
}

fn new_token(wanted: Wanted, hash: SecretHash, by: String, now: Timestamp) -> Result<NewEnrolToken, PageError> {
    let wrong = |text: String| PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text);
    let number = |what: &str, text: &str, max: u32| {
        text.trim()
            .parse::<u32>()
            .ok()
            .filter(|n| (1..=max).contains(n))
            .ok_or_else(|| wrong(format!("{what} must be a number from 1 to {max}.")))
    };
    let site = text("building", Some(wanted.building), "")?;
    if site.is_empty() {
        return Err(wrong("Say which building the machines stand in.".into()));
    }
    let class = match wanted.class.as_str() {
        "" => None,
        word => Some(word.parse::<Class>().map_err(|unknown| wrong(format!("This cannot be: {unknown}.")))?),
    };
    let days = number("Days", &wanted.days, DAYS_MAX)?;
    Ok(NewEnrolToken {
        hash,
        site,
        room: text("room", Some(wanted.room), "")?,
        class,
        uses: number("Machines", &wanted.uses, USES_MAX)?,
        created_by: by,
        expires_at: now + Duration::from_secs(u64::from(days) * 86_400),
    })
}
