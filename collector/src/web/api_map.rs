//! `/api/v1/map` and `/api/v1/discovered`: the map of the network and what is not watched yet, as JSON, with the facts that
//! the pages show.

use axum::Json;
use axum::extract::State;
use bellwether_logic::topology::Place;
use serde_json::{Value, json};

use super::api::{Asked, Caller, Part, Problem, time};
use super::network::{Known, carries};
use super::page::PageError;
use super::{Desk, hangs};
use crate::proposals;
use crate::state::State as Database;
use crate::state::devices::DeviceRow;
use crate::state::proposals::{Proposal, Reach};

/// Where each device hangs, by building, room and name.
pub(super) async fn map(State(desk): State<Desk>, _: Caller, asked: Asked) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset, site) = (part.limit()?, part.offset()?, part.site().to_owned());
    let answer = desk
        .with_state(move |state| {
            let (known, (drawn_at, _)) = (Known::read(state)?, state.drawn()?);
            let mut all: Vec<&DeviceRow> =
                known.devices.values().filter(|device| site.is_empty() || device.site == site).collect();
            all.sort_by_key(|device| (&device.site, &device.room, &device.name, &device.id));
            let rows = all.iter().skip(offset as usize).take(limit as usize);
            let rows: Vec<Value> = rows.map(|device| device_json(&known, device)).collect();
            Ok::<_, PageError>(json!({
                "drawn_at": (drawn_at.0 > 0).then(|| time(drawn_at)).flatten(),
                "root": known.drawn.root,
                "devices": rows,
                "total": all.len(),
                "limit": limit,
                "offset": offset,
            }))
        })
        .await?;
    Ok(Json(answer))
}

/// What is proposed, and where it is.
pub(super) async fn discovered(State(desk): State<Desk>, _: Caller, asked: Asked) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset) = (part.limit()?, part.offset()?);
    let answer = desk
        .with_state(move |state| {
            let all = state.proposals(false)?;
            let rows = all.iter().skip(offset as usize).take(limit as usize);
            let rows =
                rows.map(|proposal| proposal_json(state, proposal)).collect::<Result<Vec<Value>, PageError>>()?;
            let total = state.proposal_count()?;
            Ok::<_, PageError>(json!({ "proposals": rows, "total": total, "limit": limit, "offset": offset }))
        })
        .await?;
    Ok(Json(answer))
}

fn device_json(known: &Known, device: &DeviceRow) -> Value {
    let hanging = known.hangings.get(&device.id);
    let attachment = hanging.map(|hanging| &hanging.attachment);
    let on = hanging.map(|hanging| &hanging.place).filter(|place| !place.switch.is_empty());
    let path = hangs::path(known, &device.id);
    let path: Vec<Value> = path.iter().map(|(switch, port)| json!({ "switch": switch.id, "port": port })).collect();
    let ports = carries(device.class).then(|| ports(known, &device.id));
    json!({
        "device": device.id,
        "name": device.name,
        "class": device.class.as_str(),
        "site": device.site,
        "room": device.room,
        "on": on.map(place),
        "certainty": attachment.map(|attachment| match (attachment.how, attachment.sure) {
            (bellwether_logic::topology::How::Person, _) => "manual",
            (_, true) => "sure",
            (_, false) => "ambiguous",
        }),
        "how": attachment.map(|attachment| attachment.how.as_str()),
        "candidates": attachment.map(|attachment| attachment.candidates.iter().map(place).collect::<Vec<_>>()),
        "through": attachment.and_then(|attachment| attachment.through.clone()),
        "own_port": attachment.map(|attachment| attachment.own_port.clone()),
        "since": hanging.map(|hanging| time(hanging.since)),
        "not_seen_since": hanging.and_then(|hanging| hanging.gone_at).map(time),
        "path": path,
        "uplink": known.drawn.uplinks.get(&device.id),
        "ports": ports,
    })
}

fn place(place: &Place) -> Value {
    json!({ "switch": place.switch, "port": place.port })
}

/// A switch's ports; of what nobody manages there is a number.
fn ports(known: &Known, switch: &str) -> Vec<Value> {
    let ports = hangs::sockets(known, switch).into_iter();
    ports
        .map(|socket| {
            let all = socket.items.iter().flat_map(|(item, below)| std::iter::once(item).chain(below));
            json!({
                "port": socket.port,
                "up": socket.up,
                "powers": socket.powers,
                "is_uplink": socket.is_uplink,
                "devices": all.map(|item| item.id.clone()).collect::<Vec<_>>(),
                "others": socket.others,
                "unmanaged": socket.heard,
                "ticket": socket.ticket,
            })
        })
        .collect()
}

fn proposal_json(state: &Database, proposal: &Proposal) -> Result<Value, PageError> {
    let Reach { agent, address, .. } = proposals::best(state, proposal)?.unwrap_or_default();
    let facts = &proposal.facts;
    let heard = proposal.heard.as_ref();
    Ok(json!({
        "key": proposal.key,
        "kind": facts.kind,
        "name": facts.name,
        "vendor": facts.vendor,
        "model": facts.model,
        "serial": facts.serial,
        "mac": facts.mac,
        "address": address,
        "closet": agent,
        "how": heard.map_or("snmp", |heard| heard.how.as_str()),
        "on": heard.map(|heard| place(&heard.on)),
        "first_at": time(proposal.first_at),
        "last_at": time(proposal.last_at),
    }))
}
