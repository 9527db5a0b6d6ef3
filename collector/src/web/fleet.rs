//! The fleet: every device, what needs a person first.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::presence::{DeviceState, GoodbyeReason, Presence};
use bellwether_logic::rules::Severity;
use bellwether_logic::tickets::Ticket;
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::access::Visitor;
use super::gist::Gist;
use super::page::{PageError, Pager, Shell, encode, render};
use super::readings::Live;
use super::when::When;
use super::{Desk, words};
use crate::state::devices::{self, DeviceRow};
use crate::state::machines::Note;
use crate::state::people::Role;
use crate::state::tickets::{self, TicketFilter};

/// How long the list says that a machine was noticed which may be another.
const NOTICED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Such machines that the list names.
const UNCLEAR_SHOWN: usize = 5;

/// Devices on one page of the list.
const ROWS_PER_PAGE: usize = 200;

/// How a device is doing, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It has an open ticket.
    Ticket,
    /// It should be there and is not.
    Silent,
    /// A rule found something, without a ticket.
    Problem,
    /// It was connected, but nothing was heard yet.
    Waiting,
    /// All is well.
    Well,
    /// It is off, or elsewhere, and may be.
    Away,
    /// A spare, in repair, retired: nobody judges it.
    NotInUse,
}

impl Standing {
    const ALL: [Self; 7] =
        [Self::Ticket, Self::Silent, Self::Problem, Self::Waiting, Self::Well, Self::Away, Self::NotInUse];

    /// How the deciders' word and an open ticket read on a page.
    pub(super) fn of(device: &DeviceRow, standing: Option<&DeviceState>, has_ticket: bool) -> Self {
        let presence = standing.map_or(Presence::Unknown, |standing| standing.presence);
        let comes_and_goes = matches!(
            device.class,
            Class::Laptop | Class::Printer | Class::Projector | Class::Camera | Class::Phone | Class::Other
        );
        match presence {
            _ if has_ticket => Self::Ticket,
            _ if device.state != LifeState::InUse => Self::NotInUse,
            Presence::Absent if !comes_and_goes => Self::Silent,
            Presence::Absent | Presence::SaidGoodbye { .. } => Self::Away,
            _ if standing.is_some_and(|standing| standing.worst > Some(Severity::Info)) => Self::Problem,
            Presence::Present => Self::Well,
            Presence::Unknown => Self::Waiting,
        }
    }

    /// In addresses, and for the style.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Silent => "silent",
            Self::Problem => "problem",
            Self::Waiting => "waiting",
            Self::Well => "well",
            Self::Away => "away",
            Self::NotInUse => "unused",
        }
    }

    /// On pages.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Ticket => "Open ticket",
            Self::Silent => "Silent",
            Self::Problem => "Problem",
            Self::Waiting => "Not heard yet",
            Self::Well => "Well",
            Self::Away => "Off or away",
            Self::NotInUse => "Not in use",
        }
    }
}

/// Why a device is off, in its own words.
pub(super) const fn goodbye(standing: &DeviceState) -> Option<&'static str> {
    match standing.presence {
        Presence::SaidGoodbye { reason } => Some(match reason {
            GoodbyeReason::Stop => "agent stopped",
            GoodbyeReason::Restart => "restarting",
            GoodbyeReason::Shutdown => "shut down",
            GoodbyeReason::Sleep => "asleep",
            GoodbyeReason::Update => "updating",
            GoodbyeReason::LowBattery => "battery empty",
        }),
        _ => None,
    }
}

/// A percentage with its bar.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gauge {
    pub(super) text: String,
    /// 0 to 100, for the bar's width.
    pub(super) width: String,
    /// For the style: `ok`, `high` or `full`.
    pub(super) level: &'static str,
}

impl Gauge {
    pub(super) fn new(percent: f64) -> Self {
        let level = match percent {
            90.0.. => "full",
            75.0.. => "high",
            _ => "ok",
        };
        Self { text: format!("{percent:.0}%"), width: format!("{:.0}", percent.clamp(0.0, 100.0)), level }
    }
}

/// One device of the list.
struct Row {
    standing: Standing,
    detail: String,
    ticket: Option<u64>,
    device: DeviceRow,
    class: &'static str,
    life: Option<&'static str>,
    seen: Option<When>,
    cpu: Option<Gauge>,
    memory: Option<Gauge>,
    disk: Option<(String, Gauge)>,
    ping: Option<String>,
    lossy: bool,
    /// What matters of a watched device.
    gist: Option<Gist>,
}

/// A number on top of the list; a link to the devices that it counts.
struct Tile {
    standing: Standing,
    count: usize,
    selected: bool,
    href: String,
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    shell: Shell,
    tiles: Vec<Tile>,
    total: usize,
    open_tickets: usize,
    sites: Vec<String>,
    lives: Vec<(&'static str, &'static str)>,
    classes: Vec<(&'static str, &'static str)>,
    filter: Filter,
    rows: Vec<Row>,
    shown: usize,
    pager: Pager,
    only_own: bool,
    /// Readings can't be asked for just now.
    away: bool,
    /// Parts of the collector that do not do their work, and why; for admins, because they name paths.
    troubles: Vec<(&'static str, String)>,
    /// Devices of which somebody must say which machine they are, with their names and why.
    unclear: Vec<(String, String, String)>,
}

/// What of the fleet is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// The building.
    building: String,
    /// The word of a standing.
    show: String,
    /// The word of a life state.
    state: String,
    /// The word of a class.
    kind: String,
    page: Option<u32>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.building.is_empty() && self.show.is_empty() && self.state.is_empty() && self.kind.is_empty()
    }

    fn query(&self, show: &str) -> String {
        [("building", self.building.as_str()), ("kind", &self.kind), ("show", show), ("state", &self.state)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect::<Vec<_>>()
            .join("&")
    }

    fn place_fits(&self, device: &DeviceRow) -> bool {
        (self.building.is_empty() || device.site == self.building)
            && (self.state.is_empty() || device.state.as_str() == self.state)
            && (self.kind.is_empty() || device.class.as_str() == self.kind)
    }
}

/// What the page is made of.
struct Facts {
    devices: Vec<DeviceRow>,
    standings: BTreeMap<String, DeviceState>,
    tickets: Vec<Ticket>,
    sites: Vec<String>,
    notes: Vec<Note>,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(filter): Query<Filter>,
) -> Result<Response, PageError> {
    let noticed_since = desk.app.clock.now() - NOTICED_FOR;
    let facts = desk
        .with_state(move |state| {
            Ok::<_, PageError>(Facts {
                devices: state.all_devices()?,
                standings: state.standings()?,
                tickets: state.tickets(&TicketFilter::open(), tickets::PAGE_MAX, 0)?,
                sites: state.sites()?,
                notes: state.open_notes(noticed_since)?,
            })
        })
        .await?;
    let (latest, gists) = (desk.latest().await?, desk.gists().await?);
    let live = Newest { live: &latest.devices, gists: &gists };
    Ok(render(&page(&desk, &visitor, filter, facts, &live)))
}

/// The newest of what was read.
struct Newest<'a> {
    live: &'a BTreeMap<String, Live>,
    gists: &'a BTreeMap<String, Gist>,
}

fn page(desk: &Desk, visitor: &Visitor, filter: Filter, facts: Facts, newest: &Newest<'_>) -> FleetPage {
    let now = desk.app.clock.now();
    let only_own = facts.devices.len() <= 1 && desk.app.connect.this_machine_only;
    let unclear = if visitor.person.role == Role::Admin { unclear(&facts) } else { Vec::new() };
    let mut open: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for ticket in &facts.tickets {
        for device in ticket.devices_at_fault() {
            open.entry(device).or_insert((ticket.number, &ticket.title));
        }
    }
    let mut here: Vec<(Standing, DeviceRow)> = facts
        .devices
        .into_iter()
        .filter(|device| filter.place_fits(device))
        .map(|device| {
            let has_ticket = open.contains_key(device.id.as_str());
            (Standing::of(&device, facts.standings.get(&device.id), has_ticket), device)
        })
        .collect();
    let total = here.len();
    let tiles = tiles(&here, &filter);
    here.retain(|(standing, _)| filter.show.is_empty() || standing.word() == filter.show);
    here.sort_by(|(a, one), (b, other)| {
        let place = |device: &DeviceRow| (device.site.clone(), device.room.clone(), device.name.clone());
        a.cmp(b).then_with(|| place(one).cmp(&place(other)))
    });
    let shown = here.len();
    let pager = Pager::new(filter.page.unwrap_or(1), shown, ROWS_PER_PAGE, filter.query(&filter.show));
    let on_page = here.into_iter().skip(pager.skip(ROWS_PER_PAGE)).take(ROWS_PER_PAGE);
    let rows = on_page
        .map(|(standing, device)| {
            let (state, ticket) = (facts.standings.get(&device.id), open.get(device.id.as_str()).copied());
            let readings = newest.live.get(&device.id).filter(|_| standing != Standing::Silent);
            let gist = newest.gists.get(&device.id).filter(|_| standing != Standing::Silent && device.watch.is_some());
            let gist = gist.cloned();
            Row { gist, ..row(standing, device, state, ticket, readings, |at| When::new(at, now, &desk.zone)) }
        })
        .collect();
    FleetPage {
        shell: Shell::new("Fleet", "fleet", visitor),
        tiles,
        total,
        open_tickets: facts.tickets.len(),
        sites: facts.sites,
        lives: LifeState::ALL.iter().map(|state| (state.as_str(), words::life(*state))).collect(),
        classes: Class::ALL.iter().map(|class| (class.as_str(), words::class(*class))).collect(),
        filter,
        rows,
        shown,
        pager,
        only_own,
        unclear,
        away: desk.series.is_away(),
        troubles: if visitor.person.role == Role::Admin { desk.app.health.troubles() } else { Vec::new() },
    }
}

/// The devices of which it is not clear which machine they are, each once, with the latest reason.
fn unclear(facts: &Facts) -> Vec<(String, String, String)> {
    let mut named: Vec<(String, String, String)> = Vec::new();
    for note in &facts.notes {
        let device = facts.devices.iter().find(|device| device.id == note.device);
        if let Some(device) = device.filter(|device| named.iter().all(|(id, ..)| *id != device.id)) {
            named.push((device.id.clone(), device.name.clone(), note.detail.clone()));
        }
        if named.len() >= UNCLEAR_SHOWN {
            break;
        }
    }
    named
}

fn tiles(devices: &[(Standing, DeviceRow)], filter: &Filter) -> Vec<Tile> {
    Standing::ALL
        .into_iter()
        .map(|standing| {
            let selected = filter.show == standing.word();
            let query = filter.query(if selected { "" } else { standing.word() });
            let count = devices.iter().filter(|(of, _)| *of == standing).count();
            Tile { standing, count, selected, href: format!("/?{query}") }
        })
        .filter(|tile| tile.count > 0 || tile.selected || matches!(tile.standing, Standing::Ticket | Standing::Well))
        .collect()
}

fn row(
    standing: Standing,
    device: DeviceRow,
    state: Option<&DeviceState>,
    ticket: Option<(u64, &str)>,
    live: Option<&Live>,
    when: impl Fn(Timestamp) -> When,
) -> Row {
    let detail = match standing {
        Standing::Ticket => ticket.map(|(_, title)| title.to_owned()).unwrap_or_default(),
        Standing::Away => state.and_then(goodbye).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let seen = last_seen(&device).map(when);
    Row {
        standing,
        detail,
        ticket: ticket.map(|(number, _)| number),
        class: words::class(device.class),
        life: (device.state != LifeState::InUse).then(|| words::life(device.state)),
        seen,
        cpu: live.and_then(|live| live.cpu).map(Gauge::new),
        memory: live.and_then(|live| live.memory).map(Gauge::new),
        disk: live.and_then(Live::fullest).map(|(path, used)| (path.clone(), Gauge::new(*used))),
        ping: live.and_then(ping),
        lossy: live.and_then(|live| live.loss).is_some_and(|loss| loss >= 20.0),
        gist: None,
        device,
    }
}

/// When a device was last heard of; a device that was connected and never spoke has not been seen.
pub(super) fn last_seen(device: &DeviceRow) -> Option<Timestamp> {
    device.last_seen_at.filter(|_| device.presence != devices::Presence::Never || device.watch.is_some())
}

/// The way to the gateway in a few letters.
pub(super) fn ping(live: &Live) -> Option<String> {
    let loss = live.loss.filter(|loss| *loss > 0.0);
    match (live.ping_ms, loss) {
        (Some(ms), None) => Some(super::chart::Unit::Milliseconds.write(ms)),
        (Some(ms), Some(loss)) => Some(format!("{}, {loss:.0}% lost", super::chart::Unit::Milliseconds.write(ms))),
        (None, Some(_)) => Some("no answer".into()),
        (None, None) => None,
    }
}
