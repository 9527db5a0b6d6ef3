//! Where a device hangs, and what hangs on it: the part of its page that the map fills.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::Class;
use bellwether_logic::tickets::Ticket;
use bellwether_logic::topology::{How, Place};
use bellwether_proto::record::v1::{LinkSet, Record, record};
use serde::Deserialize;

use super::Desk;
use super::access::Signed;
use super::hardware::Table;
use super::network::{Known, carries};
use super::page::PageError;
use super::when::When;
use crate::state::devices::DeviceRow;
use crate::state::network::Hanging;
use crate::state::people::Deed;

/// Switches on the way to the gateway that are shown; a district has five one above the other.
const PATH_MAX: usize = 16;

/// Former places that are shown.
const FORMER_SHOWN: usize = 10;

/// Other places that a device in doubt may be in.
const CANDIDATES_SHOWN: usize = 6;

/// Letters of a port's name.
const PORT_CHARS_MAX: usize = 40;

/// Which devices and which of their ports have an open ticket.
#[derive(Debug, Default)]
pub(super) struct Faults {
    devices: BTreeMap<String, u64>,
    ports: BTreeMap<(String, String), u64>,
}

impl Faults {
    pub(super) fn new(tickets: &[Ticket]) -> Self {
        let mut faults = Self::default();
        for ticket in tickets.iter().filter(|ticket| ticket.state.is_open()) {
            faults.devices.extend(ticket.devices_at_fault().map(|device| (device.to_owned(), ticket.number)));
            for line in ticket.lines.iter().filter(|line| line.ended_at.is_none()) {
                let port = line.fault.tags.iter().find(|(key, _)| key == "ifName").map(|(_, port)| port.to_string());
                faults.ports.extend(port.map(|port| ((ticket.device_of(line).to_owned(), port), ticket.number)));
            }
        }
        faults
    }
}

/// A device as the map names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) class: &'static str,
    /// It hangs on this one of the same port.
    pub(super) through: String,
    pub(super) carries: bool,
    pub(super) is_sure: bool,
    pub(super) is_gone: bool,
    /// An open ticket.
    pub(super) ticket: Option<u64>,
}

impl Item {
    pub(super) fn new(id: &str, device: Option<&DeviceRow>, hanging: Option<&Hanging>, faults: &Faults) -> Self {
        let attachment = hanging.map(|hanging| &hanging.attachment);
        Self {
            id: id.into(),
            name: device.map_or_else(|| id.into(), |device| device.name.clone()),
            class: device.map_or("Removed device", |device| super::words::class(device.class)),
            through: attachment.and_then(|attachment| attachment.through.clone()).unwrap_or_default(),
            carries: device.is_some_and(|device| carries(device.class)),
            is_sure: attachment.is_none_or(|attachment| attachment.sure),
            is_gone: hanging.is_some_and(|hanging| hanging.gone_at.is_some()),
            ticket: faults.devices.get(id).copied(),
        }
    }
}

/// A port and what hangs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) port: String,
    pub(super) up: Option<bool>,
    pub(super) powers: bool,
    pub(super) is_uplink: bool,
    /// Each with those that hang on it.
    pub(super) items: Vec<(Item, Vec<Item>)>,
    /// Addresses of what nobody manages.
    pub(super) others: u32,
    /// What said by itself that it hangs here and is none of ours.
    pub(super) heard: Vec<String>,
    pub(super) ticket: Option<u64>,
}

impl Socket {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.others == 0 && self.heard.is_empty() && !self.is_uplink && self.ticket.is_none()
    }

    /// Whether it leads to another switch: what is learned there hangs elsewhere.
    pub(super) fn is_link(&self) -> bool {
        self.is_uplink || self.items.iter().any(|(item, _)| item.carries)
    }

    pub(super) fn has_fault(&self) -> bool {
        let faulty = |item: &Item| item.ticket.is_some();
        self.ticket.is_some() || self.items.iter().any(|(item, below)| faulty(item) || below.iter().any(faulty))
    }

    /// Whether more than one address was seen behind it and nothing says of what. Those behind an access point are on its air.
    pub(super) fn is_shared(&self) -> bool {
        let on_air = self.items.iter().any(|(item, _)| item.class == super::words::class(Class::AccessPoint));
        !self.is_link() && !on_air && self.items.len() + usize::try_from(self.others).unwrap_or(usize::MAX) > 2
    }
}

/// The ports on which nothing was seen, by name: a stack of switches has hundreds.
pub(super) fn idle(sockets: &[Socket]) -> String {
    let names: Vec<&str> = sockets.iter().filter(|socket| socket.is_empty()).map(|socket| &*socket.port).collect();
    names.join(", ")
}

/// The ports of a switch, in its own order.
pub(super) fn sockets(known: &Known, switch: &str) -> Vec<Socket> {
    let said = known.neighborhoods.get(switch);
    let mut sockets: Vec<Socket> = Vec::new();
    for port in said.into_iter().flat_map(|said| &said.ports) {
        sockets.push(Socket {
            port: port.name.clone(),
            up: Some(port.up),
            powers: port.powers,
            others: port.others,
            ..Socket::default()
        });
    }
    let at = |port: &str, sockets: &mut Vec<Socket>| {
        sockets.iter().position(|socket| socket.port == port).unwrap_or_else(|| {
            sockets.push(Socket { port: port.into(), ..Socket::default() });
            sockets.len() - 1
        })
    };
    if let Some(uplink) = known.drawn.uplinks.get(switch) {
        let place = at(uplink, &mut sockets);
        sockets[place].is_uplink = true;
    }
    for stranger in known.drawn.strangers.iter().filter(|stranger| stranger.switch == switch) {
        let place = at(&stranger.said.port, &mut sockets);
        let name = if stranger.said.name.is_empty() { &stranger.said.chassis } else { &stranger.said.name };
        sockets[place].heard.push(name.clone());
    }
    let mut by_port: BTreeMap<&str, Vec<&Hanging>> = BTreeMap::new();
    for hanging in known.hangings.values().filter(|hanging| hanging.place.switch == switch) {
        by_port.entry(&hanging.place.port).or_default().push(hanging);
    }
    for (port, hangings) in by_port {
        let place = at(port, &mut sockets);
        sockets[place].items = nested(known, &hangings);
    }
    for ((_, port), ticket) in known.faults.ports.iter().filter(|((device, _), _)| device == switch) {
        let place = at(port, &mut sockets);
        sockets[place].ticket = Some(*ticket);
    }
    sockets
}

/// What hangs on a port, with what hangs on that.
fn nested(known: &Known, hangings: &[&Hanging]) -> Vec<(Item, Vec<Item>)> {
    let here: BTreeSet<&str> = hangings.iter().map(|hanging| &*hanging.device).collect();
    let items: Vec<Item> = hangings.iter().map(|hanging| known.item(&hanging.device)).collect();
    let (below, own): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| here.contains(&*item.through));
    let of = |carrier: &Item| below.iter().filter(|item| item.through == carrier.id).cloned().collect();
    own.into_iter().map(|item| (item.clone(), of(&item))).collect()
}

/// The part of a device's page.
pub(super) struct Hangs {
    /// The port and the switch that it hangs on.
    pub(super) on: Option<(Item, String)>,
    pub(super) through: Option<Item>,
    pub(super) how: &'static str,
    pub(super) is_sure: bool,
    pub(super) is_top: bool,
    pub(super) by_hand: bool,
    pub(super) since: Option<When>,
    pub(super) gone: Option<When>,
    /// Where else it may be.
    pub(super) candidates: Vec<(Item, String)>,
    /// Others behind the same port: managed ones, and the number of what nobody manages.
    pub(super) beside: (usize, u32),
    pub(super) path: Vec<(Item, String)>,
    pub(super) former: Vec<(Item, String, When, When)>,
    pub(super) sockets: Vec<Socket>,
    /// The same with how each port is, if that is read.
    pub(super) ports: Option<Ports>,
    pub(super) answered: Option<When>,
    /// What the form offers.
    pub(super) switches: Vec<(String, String)>,
    pub(super) given: Place,
}

/// A switch's ports, each with how it is and what hangs on it.
pub(super) struct Ports {
    pub(super) title: String,
    /// Each with its head, and what hangs there.
    pub(super) rows: Vec<(Vec<(&'static str, String)>, Socket)>,
    pub(super) heads: Vec<&'static str>,
    /// Those that are down and on which nothing was seen.
    pub(super) idle: String,
}

impl Hangs {
    /// Brings what was read of each port together with what hangs on it.
    pub(super) fn join(&mut self, table: Table) {
        let mut sockets: BTreeMap<String, Socket> =
            std::mem::take(&mut self.sockets).into_iter().map(|socket| (socket.port.clone(), socket)).collect();
        let (mut rows, mut idle) = (Vec::new(), Vec::new());
        for row in &table.rows {
            let port = row.first().cloned().unwrap_or_default();
            let socket = sockets.remove(&port).unwrap_or_default();
            let says = |head: &str| table.cells(row).find(|(known, _)| **known == head).map_or("", |(_, value)| value);
            if socket.is_empty() && says("State") == "down" && says("Power").is_empty() {
                idle.push(port);
            } else {
                rows.push((table.cells(row).map(|(head, value)| (*head, value.clone())).collect(), socket));
            }
        }
        // Bundles, and ports that are not counted.
        for (port, socket) in sockets.into_iter().filter(|(_, socket)| !socket.is_empty()) {
            rows.push((
                table
                    .heads
                    .iter()
                    .map(|head| (*head, if *head == "Port" { port.clone() } else { String::new() }))
                    .collect(),
                socket,
            ));
        }
        self.ports = Some(Ports { title: table.title, rows, heads: table.heads, idle: idle.join(", ") });
    }
}

/// Everything that the page needs, in one go.
pub(super) fn read(state: &crate::state::State, id: &str) -> Result<Parts, PageError> {
    let known = Known::read(state)?;
    let (places, links) = (state.places_of(id)?, state.links()?);
    Ok(Parts { places, given: links.get(id).cloned(), answered: state.neighborhood(id)?.map(|(at, _)| at), known })
}

/// What [`read`] read.
pub(super) struct Parts {
    known: Known,
    places: Vec<Hanging>,
    given: Option<Place>,
    answered: Option<bellwether_logic::time::Timestamp>,
}

impl Parts {
    pub(super) fn hangs(self, id: &str, when: impl Fn(bellwether_logic::time::Timestamp) -> When) -> Hangs {
        let Self { known, places, given, answered } = self;
        let now = places.first().filter(|hanging| hanging.until.is_none());
        let attachment = now.map(|hanging| &hanging.attachment);
        let named = |place: &Place| (known.item(&place.switch), place.port.clone());
        let place = now.map(|hanging| &hanging.place).filter(|place| !place.switch.is_empty());
        let former = places.iter().filter_map(|hanging| {
            let (switch, port) = named(&hanging.place);
            Some((switch, port, when(hanging.since), when(hanging.until?)))
        });
        let mut sockets = sockets(&known, id);
        // A printer has a port of its own, too, and nothing hangs on it.
        let hangs_others = known.devices.get(id).is_some_and(|device| carries(device.class));
        if !hangs_others && sockets.iter().all(Socket::is_empty) {
            sockets.clear();
        }
        Hangs {
            on: place.map(named),
            through: attachment.and_then(|attachment| attachment.through.as_deref()).map(|through| known.item(through)),
            how: attachment.map_or("", |attachment| how(attachment.how)),
            is_sure: attachment.is_some_and(|attachment| attachment.sure),
            is_top: place.is_none() && attachment.is_some_and(|it| it.how == How::Gateway && it.sure),
            by_hand: given.is_some(),
            since: place.and(now).map(|hanging| when(hanging.since)),
            gone: now.and_then(|hanging| hanging.gone_at).map(&when),
            candidates: attachment
                .map(|attachment| attachment.candidates.iter().take(CANDIDATES_SHOWN).map(named).collect())
                .unwrap_or_default(),
            beside: place.map(|place| beside(&known, id, place)).unwrap_or_default(),
            path: path(&known, id),
            former: former.take(FORMER_SHOWN).collect(),
            answered: answered.filter(|_| sockets.iter().any(|socket| !socket.is_empty())).map(&when),
            sockets,
            ports: None,
            switches: switches(&known, id),
            given: given.unwrap_or_default(),
        }
    }
}

fn beside(known: &Known, id: &str, place: &Place) -> (usize, u32) {
    let same = |hanging: &&Hanging| hanging.place == *place && hanging.device != id && hanging.gone_at.is_none();
    let port =
        known.neighborhoods.get(&place.switch).and_then(|said| said.ports.iter().find(|port| port.name == place.port));
    let leads_on = known.hangings.values().filter(same).any(|hanging| known.item(&hanging.device).carries);
    let is_link = leads_on || known.devices.get(id).is_some_and(|device| carries(device.class));
    if is_link { (0, 0) } else { (known.hangings.values().filter(same).count(), port.map_or(0, |port| port.others)) }
}

/// The way to the gateway.
pub(super) fn path(known: &Known, id: &str) -> Vec<(Item, String)> {
    let mut path = Vec::new();
    let mut at = id;
    while let Some(hanging) = known.hangings.get(at).filter(|hanging| !hanging.place.switch.is_empty()) {
        if path.len() >= PATH_MAX {
            break;
        }
        path.push((known.item(&hanging.place.switch), hanging.place.port.clone()));
        at = &hanging.place.switch;
    }
    path
}

fn switches(known: &Known, id: &str) -> Vec<(String, String)> {
    let is_one = |device: &&DeviceRow| carries(device.class) && device.id != id;
    let label = |device: &DeviceRow| {
        let room = if device.room.is_empty() { String::new() } else { format!(", {}", device.room) };
        (device.id.clone(), format!("{} ({}{room})", device.name, device.site))
    };
    let mut switches: Vec<(String, String)> = known.devices.values().filter(is_one).map(label).collect();
    switches.sort_by(|one, other| one.1.cmp(&other.1));
    switches
}

const fn how(how: How) -> &'static str {
    match how {
        How::Person => "Entered by hand",
        How::Lldp => "The two announced themselves to each other (LLDP)",
        How::Cdp => "The two announced themselves to each other (CDP)",
        How::Forwarding => "From the address tables of the switches",
        How::Power => "From the address tables, and the power that the port gives",
        How::Gateway => "The highest switch that sees the gateway",
    }
}

/// The form, as sent.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    /// Empty: what is seen counts again.
    switch: String,
    #[serde(default)]
    port: String,
}

/// A person says where a device hangs.
pub(super) async fn link(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Signed(visitor, said): Signed<Said>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ChangeDeviceState)?;
    let id = super::device::device_id(id)?;
    let port = super::device::text("port", Some(said.port), "")?;
    if port.chars().count() > PORT_CHARS_MAX {
        return Err(wrong("A port's name is shorter than that."));
    }
    let (asked, switch) = (id.clone(), said.switch.clone());
    let (device, on, links) = desk
        .with_state(move |state| Ok::<_, PageError>((state.device(&asked)?, state.device(&switch)?, state.links()?)))
        .await?;
    device.ok_or(PageError::NotFound)?;
    if !said.switch.is_empty() {
        on.filter(|on| carries(on.class)).ok_or_else(|| wrong("That is no switch of ours."))?;
        let up = |at: &&str| links.get(*at).map(|place| &*place.switch);
        if std::iter::successors(Some(&*said.switch), up).take(links.len() + 2).any(|at| at == id) {
            return Err(wrong("That switch hangs on this device itself, as somebody entered."));
        }
    }
    let link = LinkSet { device_id: id.clone(), switch_id: said.switch, port, actor: visitor.person.login.clone() };
    desk.app.clicks.submit(Record { body: Some(record::Body::Link(link)) }).await?;
    Ok(Redirect::to(&format!("/devices/{id}#place")).into_response())
}

fn wrong(text: &str) -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text.into())
}
