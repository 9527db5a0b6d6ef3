//! Which ticket an incident goes to: that of several devices which share a cause, or one of its own device.
//!
//! Incidents are put on tickets once all of a turn is known, so that ten devices that fall silent in one moment are one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::watched::Watched;
use super::{Engine, Snapshot};
use crate::device::Device;
use crate::incidents::{Ending, Fault, Incident, Standing};
use crate::tickets::{Limits, Put};
use crate::time::Timestamp;

/// A problem that has no ticket yet.
#[derive(Clone, Debug)]
pub(super) struct Unplaced {
    pub(super) device: String,
    pub(super) fault: Fault,
    /// What its ticket is to say, and who makes it.
    pub(super) remark: Option<(String, Option<String>)>,
}

impl Unplaced {
    pub(super) fn new(device: &str, fault: &Fault) -> Self {
        Self { device: device.into(), fault: fault.clone(), remark: None }
    }
}

/// The devices of each room, building and model.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    rooms: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    models: BTreeMap<String, BTreeSet<String>>,
}

impl Places {
    pub(super) fn of(devices: &BTreeMap<String, Watched>) -> Self {
        let mut places = Self::default();
        devices.values().for_each(|watched| places.enter(&watched.device));
        places
    }

    pub(super) fn enter(&mut self, device: &Device) {
        let Device { id, site, room, model, .. } = device;
        self.rooms.entry(site.clone()).or_default().entry(room.clone()).or_default().insert(id.clone());
        if !model.is_empty() {
            self.models.entry(model.clone()).or_default().insert(id.clone());
        }
    }

    pub(super) fn leave(&mut self, device: &Device) {
        let rooms = self.rooms.get_mut(&device.site);
        if let Some(room) = rooms.and_then(|rooms| rooms.get_mut(&device.room)) {
            room.remove(&device.id);
        }
        if let Some(model) = self.models.get_mut(&device.model) {
            model.remove(&device.id);
        }
    }

    /// The devices of a building.
    pub(super) fn site(&self, site: &str) -> impl Iterator<Item = &String> {
        self.rooms.get(site).into_iter().flat_map(BTreeMap::values).flatten()
    }

    /// The devices of a room.
    pub(super) fn room(&self, site: &str, room: &str) -> impl Iterator<Item = &String> {
        self.rooms.get(site).and_then(|rooms| rooms.get(room)).into_iter().flatten()
    }

    /// The devices of a model.
    pub(super) fn model(&self, model: &str) -> impl Iterator<Item = &String> {
        self.models.get(model).into_iter().flatten()
    }
}

impl Engine {
    /// Puts the problems that have no ticket yet on one.
    pub(super) fn place(&mut self, now: Timestamp) {
        // What is placed may make others problems of their own, each at most once a turn.
        while !self.unplaced.is_empty() {
            for Unplaced { device, fault, remark } in core::mem::take(&mut self.unplaced) {
                self.place_one(now, &device, &fault);
                let number = self.incident(&device, &fault).and_then(|incident| incident.ticket);
                if let Some((number, (why, actor))) = number.zip(remark) {
                    self.state.tickets.remark(now, number, actor.as_deref(), &why);
                    if actor.is_some() {
                        self.show(now, number);
                    }
                }
            }
        }
    }

    fn place_one(&mut self, now: Timestamp, device: &str, fault: &Fault) {
        let Some(incident) = self.incident(device, fault) else { return };
        if incident.standing != Standing::Own || incident.ticket.is_some() || incident.quiet.is_some() {
            return;
        }
        let (outage, cohort, since) = (incident.outage, incident.cohort, incident.since);
        let may_join = !incident.alone;
        let joins = (may_join && outage && self.place_outage(now, device, since))
            || (may_join && cohort && self.place_cohort(now, device, fault));
        let joins = joins || (may_join && self.place_shared(now, device, fault));
        let placed = joins && self.incident(device, fault).is_none_or(|incident| incident.ticket.is_some());
        if !placed {
            self.place_alone(now, device, fault, None);
        }
    }

    /// Puts a fault of what is looked at on the ticket of whoever saw it first. Says whether there is one.
    fn place_shared(&mut self, now: Timestamp, device: &str, fault: &Fault) -> bool {
        // What a machine asks of itself is no other's.
        let own = |(_, at): &(String, String)| ["127.", "localhost", "[::1]", "::1"].iter().any(|own| at.contains(own));
        if !self.state.rules.get(&fault.rule).is_some_and(|rule| rule.shared) || fault.tags.iter().any(own) {
            return false;
        }
        let Some(number) = self.state.tickets.telling_of(device, fault) else { return false };
        self.join(now, number, device, fault);
        true
    }

    pub(super) fn incident(&self, device: &str, fault: &Fault) -> Option<&Incident> {
        self.state.devices.get(device)?.incidents.get(fault)
    }

    /// Puts an incident on a ticket of its device.
    pub(super) fn place_alone(&mut self, now: Timestamp, device: &str, fault: &Fault, because: Option<&str>) {
        let limits = self.limits();
        let Snapshot { devices, tickets, counters, .. } = &mut self.state;
        let Some(watched) = devices.get_mut(device) else { return };
        let Some(incident) = watched.incidents.get_mut(fault) else { return };
        let put = tickets.attach(now, &watched.device, fault, incident, limits, because);
        counters.tickets_refused += u64::from(put.is_none());
        incident.ticket = put.map(|(Put::Joined(number) | Put::Raised(number))| number);
        match put {
            Some(Put::Raised(number)) => self.raised(now, number),
            Some(Put::Joined(number)) => self.show_if_urgent(now, number),
            None => {}
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        let settings = &self.state.settings;
        Limits { reopen_within: settings.reopen_within.0, open_max: settings.open_tickets_max }
    }

    /// Moves an incident to a ticket about several devices.
    pub(super) fn join(&mut self, now: Timestamp, number: u64, device: &str, fault: &Fault) {
        let Snapshot { devices, tickets, counters, .. } = &mut self.state;
        let Some(watched) = devices.get_mut(device) else { return };
        let Some(incident) = watched.incidents.get_mut(fault).filter(|known| known.ticket != Some(number)) else {
            return;
        };
        if let Some(old) = incident.ticket.take() {
            let title = tickets.get(number).map(|ticket| ticket.title.clone()).unwrap_or_default();
            tickets.end_line(now, old, device, fault, &Ending::Joined { ticket: number, title });
            self.freed = true;
        }
        tickets.join(now, number, &watched.device, fault, incident);
        incident.ticket = Some(number);
        if let Some(named) = watched.beside.take() {
            tickets.forget_affected(named, device);
        }
        counters.lines_joined += 1;
        self.touched.insert(device.into());
    }

    /// Gives an incident of a ticket about several devices a ticket of its own.
    pub(super) fn part(&mut self, now: Timestamp, number: u64, device: &str, fault: &Fault, because: &str) {
        let Snapshot { devices, tickets, .. } = &mut self.state;
        let found = devices.get_mut(device).and_then(|watched| watched.incidents.get_mut(fault));
        let Some(incident) = found.filter(|incident| incident.ticket == Some(number)) else { return };
        incident.ticket = None;
        incident.alone = true;
        tickets.end_line(now, number, device, fault, &Ending::Apart);
        self.place_alone(now, device, fault, Some(because));
        self.settle_below(now, device);
    }

    /// The incidents that a ticket carries.
    pub(super) fn carried(&self, number: u64) -> Vec<(String, Fault)> {
        let Some(ticket) = self.state.tickets.get(number) else { return Vec::new() };
        let named: BTreeSet<&str> = match ticket.lines_more {
            0 => ticket.devices_at_fault().collect(),
            _ => self.state.devices.keys().map(String::as_str).collect(),
        };
        let watched = named.into_iter().filter_map(|device| self.state.devices.get(device));
        let carried = watched.flat_map(|watched| {
            let theirs = watched.incidents.iter().filter(|(_, incident)| incident.ticket == Some(number));
            theirs.map(|(fault, _)| (watched.device.id.clone(), fault.clone()))
        });
        carried.collect()
    }
}
