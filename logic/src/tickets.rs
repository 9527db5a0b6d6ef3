//! Tickets: work for people, made of incidents.
//!
//! A ticket belongs to one device and one category, or to a room, a model or a building; its lines are the faults, each of
//! one device. What keeps it calm:
//! - a fault of a category that already has an open ticket becomes a line of it;
//! - a fault that comes back within [`crate::engine::Settings::reopen_within`] of the ticket's end reopens it;
//! - a ticket that a person closed stays closed while its fault persists, and reopens only if the fault was seen to
//!   end and then came back: closing is the person's word, and one return is worth one reminder;
//! - a ticket that a person reopened is ended by a person alone: "still broken" outweighs good readings.
//!
//! Every change is an event with a number, so that performing it twice is harmless.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::incidents::{Ending, Evidence, Fault, Incident};
use crate::time::Timestamp;

mod act;
mod clock;
mod decision;
mod event;
mod group;
mod handling;
mod merge;
mod priority;
mod ticket;

pub use act::{Action, Refusal, RepairNote};
pub use clock::Clock;
pub use event::{Actor, Handed, TicketEvent, What};
pub(crate) use group::{Plan, Words};
pub(crate) use handling::Around;
pub use handling::{Chosen, Escalation, Handling, Merged, Step, VendorClock, WaitFor, Waiting, in_words};
pub(crate) use priority::{Facts, Reach};
pub use priority::{Level, MANY, Priority, SEVERAL, TESTING_AHEAD};
pub use ticket::{About, Affected, ComesAndGoes, Line, Ticket, TicketState};

/// Lines of one ticket. A device with more faults of one category has one cause for them all.
pub const LINES_MAX: usize = 32;

/// Lines of a ticket about more than one device: a model's worn batteries in a middle-sized district.
pub const GROUP_LINES_MAX: usize = 500;

/// Devices that one ticket names as out of reach with its own: all of a large school. More are counted.
pub const AFFECTED_MAX: usize = 2_000;

/// Open tickets. More than any team can work off: beyond it incidents still count, without tickets.
pub const OPEN_MAX: usize = 20_000;

/// Tickets remembered in all, the ended ones for reopening; the ones that ended first go first.
pub const KEPT_MAX: usize = 40_000;

/// Letters of one text that a person wrote; a page of it.
pub const TEXT_MAX: usize = 4_000;

/// What the settings say about tickets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) reopen_within: Duration,
    pub(crate) open_max: usize,
}

/// All tickets that may still change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tickets {
    /// The last number given.
    last_number: u64,
    tickets: BTreeMap<u64, Ticket>,
    /// Tickets that changed and events that were made since they were last taken.
    #[serde(skip)]
    changed: BTreeSet<u64>,
    #[serde(skip)]
    events: Vec<TicketEvent>,
    /// Tickets whose repair or replacement is to be decided anew.
    #[serde(skip)]
    undecided: BTreeSet<u64>,
    /// Tickets about more than one device of which something ended or came back.
    #[serde(skip)]
    shrunk: BTreeSet<u64>,
}

/// Where an incident went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// To a ticket that was open already.
    Joined(u64),
    /// To one that is open because of it.
    Raised(u64),
}

impl Tickets {
    pub(crate) fn get(&self, number: u64) -> Option<&Ticket> {
        self.tickets.get(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ticket> + '_ {
        self.tickets.values()
    }

    /// What changed since it was last asked: tickets by number, then events in order.
    pub(crate) fn take_changes(&mut self) -> (Vec<Ticket>, Vec<TicketEvent>) {
        let changed = core::mem::take(&mut self.changed);
        let tickets = changed.iter().filter_map(|number| self.tickets.get(number).cloned()).collect();
        (tickets, core::mem::take(&mut self.events))
    }

    /// An incident opened: puts it on a ticket of its device; none if a limit stands against it. `because` it does, if it had
    /// a ticket with others before.
    pub(crate) fn attach(
        &mut self,
        now: Timestamp,
        device: &Device,
        fault: &Fault,
        incident: &Incident,
        limits: Limits,
        because: Option<&str>,
    ) -> Option<Put> {
        let line = Line::of(device, fault, incident);
        if let Some(number) = self.open_for(device, &incident.category) {
            return self.add_line(now, number, line).then_some(Put::Joined(number));
        }
        if let Some(number) = self.to_reopen(now, device, fault, limits.reopen_within) {
            self.come_back(now, number, line, because);
            return Some(Put::Raised(number));
        }
        self.has_room(now, limits).then(|| Put::Raised(self.open(now, device, &incident.category, line)))
    }

    /// Whether one more may be open.
    fn has_room(&mut self, now: Timestamp, limits: Limits) -> bool {
        self.make_room(now, limits);
        self.tickets.values().filter(|ticket| ticket.state.is_open()).count() < limits.open_max
    }

    const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// An incident got worse: writes it down.
    pub(crate) fn update_evidence(
        &mut self,
        now: Timestamp,
        number: u64,
        device: &str,
        fault: &Fault,
        evidence: &Evidence,
    ) {
        let (number, from) = self.home(number);
        let Some(line) = self.line_mut(number, from, device, fault) else { return };
        line.worst = evidence.clone();
        let what = What::EvidenceUpdated { title: line.title.clone(), evidence: evidence.clone() };
        self.record(now, number, Actor::Bellwether, what);
    }

    /// An incident ended: its line is over, and the ticket resolves with its last line.
    pub(crate) fn end_line(&mut self, now: Timestamp, number: u64, device: &str, fault: &Fault, ending: &Ending) {
        let (number, from) = self.home(number);
        let Some(line) = self.line_mut(number, from, device, fault) else {
            self.end_uncounted(now, number, from, ending);
            return;
        };
        line.ended_at = Some(now);
        line.ending = Some(ending.clone());
        let what = What::LineEnded { title: line.title.clone(), because: ending.clone() };
        self.record(now, number, Actor::Bellwether, what);
        if let Some(ticket) = self.tickets.get_mut(&number) {
            ticket.summarise();
        }
        self.end_if_all_is_over(now, number, Some(ending));
    }

    /// One of the faults ended that a full ticket only counts.
    fn end_uncounted(&mut self, now: Timestamp, number: u64, from: Option<u64>, ending: &Ending) {
        let counts = |ticket: &&mut Ticket| from.is_none() && ticket.lines_more > 0;
        let Some(ticket) = self.tickets.get_mut(&number).filter(counts) else { return };
        ticket.lines_more -= 1;
        ticket.changed_at = now;
        self.changed.insert(number);
        self.end_if_all_is_over(now, number, Some(ending));
    }

    /// A ticket resolves with its last line, unless a person keeps it open.
    fn end_if_all_is_over(&mut self, now: Timestamp, number: u64, ending: Option<&Ending>) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        if ticket.about != About::Device {
            self.shrunk.insert(number);
        }
        let over = ticket.lines.iter().all(Line::is_over) && ticket.lines_more == 0;
        if !ticket.state.is_open() || ticket.kept_open || !over {
            return;
        }
        let last = ticket.lines.iter().max_by_key(|line| line.ended_at);
        let Some(because) = ending.or_else(|| last?.ending.as_ref()).cloned() else { return };
        ticket.state = TicketState::Resolved;
        ticket.ended_at = Some(now);
        ticket.deferred = false;
        self.record(now, number, Actor::Bellwether, What::Resolved { because });
    }

    /// A fault on a ticket is told otherwise from now on.
    pub(crate) fn restate(&mut self, now: Timestamp, number: u64, device: &str, fault: &Fault, incident: &Incident) {
        let (number, from) = self.home(number);
        let Some(line) = self.line_mut(number, from, device, fault) else { return };
        line.title.clone_from(&incident.title);
        line.advice.clone_from(&incident.advice);
        line.severity = incident.severity;
        if let Some(ticket) = self.tickets.get_mut(&number) {
            ticket.summarise();
        }
        self.remark(now, number, None, &format!("As is known by now: {}", incident.title));
    }

    /// A fault on a ticket comes and goes, or does so no more.
    pub(crate) fn comes_and_goes(
        &mut self,
        now: Timestamp,
        number: u64,
        device: &str,
        fault: &Fault,
        note: Option<ComesAndGoes>,
    ) {
        let (number, from) = self.home(number);
        let Some(line) = self.line_mut(number, from, device, fault) else { return };
        line.flapping = note;
        if let Some(ticket) = self.tickets.get_mut(&number) {
            ticket.changed_at = now;
        }
        self.changed.insert(number);
    }

    /// Notes something on a ticket: in a person's name, or in our own.
    pub(crate) fn remark(&mut self, now: Timestamp, number: u64, actor: Option<&str>, text: &str) {
        let (number, _) = self.home(number);
        let actor = actor.map_or(Actor::Bellwether, |name| Actor::Person(name.to_string()));
        self.record(now, number, actor, What::Commented { text: text.to_string() });
    }

    /// A device is out of reach because of what the ticket is about.
    pub(crate) fn affect(&mut self, now: Timestamp, number: u64, mut affected: Affected) {
        let (number, from) = self.home(number);
        affected.from = from;
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.affected.retain(|known| known.device != affected.device);
        if ticket.affected.len() < AFFECTED_MAX {
            ticket.affected.push(affected);
        } else {
            ticket.affected_more += 1;
        }
        ticket.changed_at = now;
        self.changed.insert(number);
    }

    /// Such a device is back.
    pub(crate) fn unaffect(&mut self, now: Timestamp, number: u64, device: &str) {
        let (number, _) = self.home(number);
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        match ticket.affected.iter_mut().find(|known| known.device == device) {
            Some(affected) => affected.back_at = Some(now),
            None => ticket.affected_more = ticket.affected_more.saturating_sub(1),
        }
        if ticket.about != About::Device {
            self.shrunk.insert(number);
        }
        ticket.changed_at = now;
        self.changed.insert(number);
    }

    /// Such a device has an outage of its own, or of another cause.
    pub(crate) fn forget_affected(&mut self, number: u64, device: &str) {
        let (number, _) = self.home(number);
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let before = ticket.affected.len();
        ticket.affected.retain(|known| known.device != device);
        if ticket.affected.len() == before {
            ticket.affected_more = ticket.affected_more.saturating_sub(1);
        }
        self.changed.insert(number);
    }

    /// Whether nobody has done anything to a ticket.
    pub(crate) fn is_untouched(&self, number: u64) -> bool {
        let new = |ticket: &Ticket| ticket.state == TicketState::New && !ticket.touched;
        self.tickets.get(&self.home(number).0).is_some_and(new)
    }

    /// Whether a ticket still waits for somebody; one that is not remembered doesn't.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.tickets.get(&self.home(number).0).is_some_and(|ticket| ticket.state.is_open())
    }

    /// A device was renamed or moved: its open tickets say where it is now.
    pub(crate) fn relocate(&mut self, now: Timestamp, device: &Device) {
        for ticket in self.tickets.values_mut() {
            if ticket.state.is_open() && ticket.place(device) {
                ticket.changed_at = now;
                self.changed.insert(ticket.number);
            }
        }
    }

    fn open_for(&self, device: &Device, category: &str) -> Option<u64> {
        let belongs =
            |ticket: &&Ticket| ticket.is_about(device) && ticket.category == category && self.is_open(ticket.number);
        self.tickets.values().rev().find(belongs).map(|ticket| ticket.number)
    }

    fn to_reopen(&self, now: Timestamp, device: &Device, fault: &Fault, within: Duration) -> Option<u64> {
        let fits = |ticket: &&Ticket| {
            ticket.is_about(device)
                && self.ended_at(ticket).is_some_and(|ended| now <= ended + within)
                && ticket.lines.iter().any(|line| line.is_of(&device.id, fault))
        };
        self.tickets.values().rev().find(fits).map(|ticket| ticket.number)
    }

    fn open(&mut self, now: Timestamp, device: &Device, category: &str, line: Line) -> u64 {
        let number = self.next_number();
        let title = line.title.clone();
        let evidence = line.opening.clone();
        let mut ticket = Ticket::blank(number, now, line.kind, line.severity);
        ticket.device.clone_from(&device.id);
        ticket.category = category.to_string();
        ticket.title.clone_from(&title);
        ticket.lines.push(line);
        ticket.place(device);
        self.tickets.insert(number, ticket);
        self.record(now, number, Actor::Bellwether, What::Opened { title, evidence, handed: None });
        number
    }

    /// Adds a line, or brings back one that was over; false if the ticket is full of lines that are not.
    fn add_line(&mut self, now: Timestamp, number: u64, line: Line) -> bool {
        let (number, from) = self.home(number);
        let Some(ticket) = self.tickets.get_mut(&number) else { return false };
        let line = Line { from, ..line };
        let title = line.title.clone();
        let evidence = line.opening.clone();
        let returned = ticket.lines.iter().any(|old| old.is_of(&line.device, &line.fault) && old.from == from);
        if !ticket.put(line) {
            return false;
        }
        let what = if returned { What::LineReturned { title, evidence } } else { What::LineAdded { title, evidence } };
        self.record(now, number, Actor::Bellwether, what);
        true
    }

    fn come_back(&mut self, now: Timestamp, number: u64, line: Line, because: Option<&str>) {
        let (number, from) = self.home(number);
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let evidence = line.opening.readings.join(", ");
        let because = because.unwrap_or("it is back");
        let because = format!("{because}: {} ({evidence})", line.title);
        ticket.put(Line { from, ..line });
        ticket.reopen();
        self.record(now, number, Actor::Bellwether, What::Reopened { because });
    }

    /// Forgets what ended too long ago to be reopened, and beyond [`KEPT_MAX`] what ended first. What changed in this
    /// turn stays until it has been told.
    fn make_room(&mut self, now: Timestamp, limits: Limits) {
        let Self { tickets, changed, .. } = self;
        let stays = |ticket: &Ticket| {
            ticket.ended_at.is_none_or(|ended| now <= ended + limits.reopen_within)
                || ticket.lines.iter().any(|line| !line.is_over())
                || changed.contains(&ticket.number)
        };
        // What was merged stays as long as that into which it was.
        let held = |ticket: &Ticket| ticket.handling.merged.iter().map(|merged| merged.ticket).collect::<Vec<_>>();
        let merged: BTreeSet<u64> = tickets.values().filter(|ticket| stays(ticket)).flat_map(held).collect();
        tickets.retain(|number, ticket| match ticket.handling.merged_into {
            Some(_) => merged.contains(number) || changed.contains(number),
            None => stays(ticket),
        });
        while tickets.len() >= KEPT_MAX {
            let told =
                tickets.values().filter(|ticket| !changed.contains(&ticket.number) && !merged.contains(&ticket.number));
            let Some((_, number)) = told.filter_map(|ticket| Some((ticket.ended_at?, ticket.number))).min() else {
                break;
            };
            tickets.remove(&number);
        }
    }

    /// Gives an event its number and marks the ticket as changed.
    fn record(&mut self, at: Timestamp, number: u64, actor: Actor, what: What) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.events += 1;
        ticket.changed_at = at;
        self.changed.insert(number);
        self.undecided.insert(number);
        self.events.push(TicketEvent { ticket: number, sequence: ticket.events, at, actor, what });
    }

    /// The line of a device's fault that is not over, by the ticket from which it was merged.
    fn line_mut(&mut self, number: u64, from: Option<u64>, device: &str, fault: &Fault) -> Option<&mut Line> {
        let ticket = self.tickets.get_mut(&number)?;
        let fits = |line: &&mut Line| line.is_of(device, fault) && line.from == from && !line.is_over();
        ticket.lines.iter_mut().find(fits)
    }
}
