//! The network as it is cabled: building, room, switch, port. Everything in it links to the page of its device.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use bellwether_logic::device::{Class, LifeState, make};
use bellwether_logic::topology::How;
use bellwether_proto::v1::Neighborhood;
use serde::Deserialize;

use super::Desk;
use super::access::Visitor;
use super::hangs::{Faults, Item, Socket, sockets};
use super::page::{PageError, Shell, encode, render};
use super::when::When;
use crate::state::devices::DeviceRow;
use crate::state::network::{Drawn, Hanging};
use crate::state::tickets::{PAGE_MAX, TicketFilter};

/// Switches on one page; a district with more looks at one building after the other.
const SWITCHES_MAX: usize = 120;

/// Devices in doubt, and unknown gear, that the page names.
const NAMED_MAX: usize = 50;

/// What the page's address asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    building: String,
}

#[derive(Template)]
#[template(path = "network.html")]
struct NetworkPage {
    shell: Shell,
    drawn: Option<When>,
    root: Option<Item>,
    /// Each with whether it is the one that is shown, and its address.
    choices: Vec<(String, bool, String)>,
    buildings: Vec<Building>,
    more: usize,
    placed: usize,
    doubtful: Vec<Item>,
    doubtful_more: usize,
    unplaced: usize,
    strangers: Vec<Unknown>,
}

/// A building with its rooms.
struct Building {
    name: String,
    rooms: Vec<(String, Vec<Branch>)>,
}

/// A switch.
struct Branch {
    item: Item,
    class: &'static str,
    /// Its own port, the switch above it and that one's port.
    uplink: Option<(String, Item, String)>,
    is_sure: bool,
    sockets: Vec<Socket>,
    devices: usize,
    others: u32,
    faults: usize,
    answers: bool,
}

/// Gear that a switch heard of and nobody manages.
struct Unknown {
    name: String,
    what: String,
    switch: Item,
    port: String,
    by: &'static str,
}

/// Everything that is known, for one look.
pub(super) struct Known {
    pub(super) devices: BTreeMap<String, DeviceRow>,
    pub(super) hangings: BTreeMap<String, Hanging>,
    pub(super) neighborhoods: BTreeMap<String, Neighborhood>,
    pub(super) drawn: Drawn,
    pub(super) faults: Faults,
}

/// Whether others hang on such a device.
pub(super) const fn carries(class: Class) -> bool {
    matches!(class, Class::Switch | Class::Router | Class::Firewall | Class::WirelessController)
}

impl Known {
    pub(super) fn read(state: &crate::state::State) -> Result<Self, PageError> {
        let tickets = state.tickets(&TicketFilter::open(), PAGE_MAX, 0)?;
        let devices = state.all_devices()?.into_iter().filter(|device| device.state != LifeState::Retired);
        Ok(Self {
            devices: devices.map(|device| (device.id.clone(), device)).collect(),
            hangings: state.hangings()?,
            neighborhoods: state.neighborhoods()?,
            drawn: state.drawn()?.1,
            faults: Faults::new(&tickets),
        })
    }

    pub(super) fn item(&self, id: &str) -> Item {
        Item::new(id, self.devices.get(id), self.hangings.get(id), &self.faults)
    }
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (known, at) = desk.with_state(|state| Ok::<_, PageError>((Known::read(state)?, state.drawn()?.0))).await?;
    let now = desk.app.clock.now();
    let branches = branches(&known);
    let names: BTreeSet<&str> = branches.iter().map(|(site, ..)| site.as_str()).collect();
    let chosen = names.contains(asked.building.as_str()).then_some(asked.building.as_str());
    let choice = |name: &str| (name.to_owned(), chosen == Some(name), format!("/network?building={}", encode(name)));
    let choices = names.iter().map(|name| choice(name)).collect();
    let shown: Vec<_> = branches.iter().filter(|(site, ..)| chosen.is_none_or(|chosen| chosen == site)).collect();
    let more = shown.len().saturating_sub(SWITCHES_MAX);
    let places: Vec<(String, String, String)> = shown.into_iter().take(SWITCHES_MAX).cloned().collect();
    let is_doubtful = |hanging: &&Hanging| !hanging.attachment.sure && hanging.gone_at.is_none();
    let mut doubtful: Vec<Item> =
        known.hangings.values().filter(is_doubtful).map(|hanging| known.item(&hanging.device)).collect();
    let doubtful_more = doubtful.len().saturating_sub(NAMED_MAX);
    doubtful.truncate(NAMED_MAX);
    let placed = known.hangings.values().filter(|hanging| !hanging.place.switch.is_empty()).count();
    Ok(render(&NetworkPage {
        shell: Shell::new("Network", "network", &visitor),
        drawn: (at.0 > 0).then(|| When::new(at, now, &desk.zone)),
        root: known.drawn.root.as_deref().map(|root| known.item(root)),
        choices,
        buildings: buildings(&known, &places),
        more,
        placed,
        unplaced: known.devices.keys().filter(|id| !known.hangings.contains_key(*id)).count(),
        doubtful,
        doubtful_more,
        strangers: strangers(&known),
    }))
}

/// Building, room and id of everything that others hang on, each below the one that it hangs on.
fn branches(known: &Known) -> Vec<(String, String, String)> {
    let carriers: BTreeSet<&str> = known.hangings.values().map(|hanging| &*hanging.place.switch).collect();
    let is_branch = |device: &&DeviceRow| carries(device.class) || carriers.contains(&*device.id);
    let mut all: Vec<(String, String, usize, String, String)> = known
        .devices
        .values()
        .filter(is_branch)
        .map(|device| {
            let depth = depth(known, &device.id);
            (device.site.clone(), device.room.clone(), depth, device.name.clone(), device.id.clone())
        })
        .collect();
    all.sort();
    all.into_iter().map(|(site, room, _, _, id)| (site, room, id)).collect()
}

/// How many switches are above it.
fn depth(known: &Known, id: &str) -> usize {
    let up = |id: &&str| known.hangings.get(*id).map(|hanging| &*hanging.place.switch).filter(|up| !up.is_empty());
    std::iter::successors(Some(id), up).take(known.hangings.len()).count()
}

fn buildings(known: &Known, places: &[(String, String, String)]) -> Vec<Building> {
    let mut buildings: Vec<Building> = Vec::new();
    for (site, room, id) in places {
        if buildings.last().is_none_or(|building| building.name != *site) {
            buildings.push(Building { name: site.clone(), rooms: Vec::new() });
        }
        let Some(building) = buildings.last_mut() else { continue };
        if building.rooms.last().is_none_or(|(name, _)| name != room) {
            building.rooms.push((room.clone(), Vec::new()));
        }
        if let Some((_, branches)) = building.rooms.last_mut() {
            branches.push(branch(known, id));
        }
    }
    buildings
}

fn branch(known: &Known, id: &str) -> Branch {
    let class = known.devices.get(id).map_or(Class::Other, |device| device.class);
    let hanging = known.hangings.get(id);
    let uplink = hanging.filter(|hanging| !hanging.place.switch.is_empty()).map(|hanging| {
        let own = known.drawn.uplinks.get(id).cloned().unwrap_or_else(|| hanging.attachment.own_port.clone());
        (own, known.item(&hanging.place.switch), hanging.place.port.clone())
    });
    let mut sockets = sockets(known, id);
    sockets.retain(|socket| !socket.is_empty());
    Branch {
        item: known.item(id),
        class: super::words::class(class),
        uplink,
        is_sure: hanging.is_none_or(|hanging| hanging.attachment.sure),
        devices: sockets.iter().map(|socket| socket.items.len()).sum(),
        others: sockets.iter().filter(|socket| !socket.is_link()).map(|socket| socket.others).sum(),
        faults: sockets.iter().filter(|socket| socket.has_fault()).count(),
        answers: known.neighborhoods.get(id).is_some_and(|said| !said.ports.is_empty() || !said.learned.is_empty()),
        sockets,
    }
}

/// What announced itself; what only draws power is said beside its port.
fn strangers(known: &Known) -> Vec<Unknown> {
    let heard = known.drawn.heard.iter().filter(|heard| heard.how != How::Power);
    heard
        .take(NAMED_MAX)
        .map(|heard| {
            let facts = &heard.facts;
            let (kind, model) = (facts.kind.parse().unwrap_or(Class::Other), make(&facts.vendor, &facts.model));
            let kind = super::words::class(kind);
            Unknown {
                name: if facts.name.is_empty() { facts.mac.clone() } else { facts.name.clone() },
                what: if model.is_empty() { kind.into() } else { format!("{kind} · {model}") },
                switch: known.item(&heard.on.switch),
                port: heard.on.port.clone(),
                by: if heard.how == How::Cdp { "CDP" } else { "LLDP" },
            }
        })
        .collect()
}
