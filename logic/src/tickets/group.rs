//! Tickets about more than one device: made, joined, left, put beneath another, put off.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{About, Actor, Limits, Line, Refusal, Ticket, TicketState, Tickets, What};
use crate::device::Device;
use crate::incidents::{Ending, Evidence, Fault, Incident};
use crate::rules::{Severity, TicketKind};
use crate::time::Timestamp;

/// What a new ticket about more than one device says.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) about: About,
    pub(crate) site: String,
    pub(crate) room: String,
    pub(crate) kind: TicketKind,
    pub(crate) category: String,
    pub(crate) severity: Severity,
    pub(crate) words: Words,
}

/// The words of a ticket about more than one device.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) reason: String,
    pub(crate) advice: String,
}

impl Tickets {
    /// Opens a ticket about more than one device, or reopens the last one of the same; none if a limit stands against it. It
    /// has no lines yet.
    pub(crate) fn open_group(&mut self, now: Timestamp, plan: Plan, limits: Limits) -> Option<u64> {
        if let Some(number) = self.group_to_reopen(now, &plan, limits) {
            let ticket = self.tickets.get_mut(&number)?;
            ticket.severity = plan.severity;
            ticket.reopen();
            ticket.say(plan.words);
            let because = format!("it is back: {}", ticket.title);
            self.record(now, number, Actor::Bellwether, What::Reopened { because });
            return Some(number);
        }
        if !self.has_room(now, limits) {
            return None;
        }
        let Plan { about, site, room, kind, category, severity, words } = plan;
        let number = self.next_number();
        let mut ticket = Ticket::blank(number, now, kind, severity);
        (ticket.about, ticket.site, ticket.room, ticket.category) = (about, site, room, category);
        ticket.say(words);
        let evidence = Evidence { at: now, ..Evidence::default() };
        let opened = What::Opened { title: ticket.title.clone(), evidence, handed: None };
        self.tickets.insert(number, ticket);
        self.record(now, number, Actor::Bellwether, opened);
        Some(number)
    }

    fn group_to_reopen(&self, now: Timestamp, plan: &Plan, limits: Limits) -> Option<u64> {
        let fits = |ticket: &&Ticket| {
            (&ticket.about, &ticket.category) == (&plan.about, &plan.category)
                && (matches!(plan.about, About::Model { .. }) || (ticket.site == plan.site && ticket.room == plan.room))
                && ticket.ended_at.is_some_and(|ended| now <= ended + limits.reopen_within)
        };
        self.tickets.values().rev().find(fits).map(|ticket| ticket.number)
    }

    /// Adds a device's fault to a ticket about more than one; if it is full, only counts it.
    pub(crate) fn join(&mut self, now: Timestamp, number: u64, device: &Device, fault: &Fault, incident: &Incident) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        if matches!(ticket.about, About::Model { .. }) && ticket.site != device.site {
            let is_first = ticket.lines.is_empty();
            ticket.site = if is_first { device.site.clone() } else { String::new() };
        }
        let line = Line::of(device, fault, incident);
        let (title, evidence) = (line.title.clone(), line.opening.clone());
        let returned = ticket.lines.iter().any(|old| old.is_of(&line.device, &line.fault));
        ticket.lines_more += u64::from(!ticket.put(line));
        let what = if returned { What::LineReturned { title, evidence } } else { What::LineAdded { title, evidence } };
        self.record(now, number, Actor::Bellwether, what);
    }

    /// The open ticket of another device that tells of the same fault of the same subject.
    pub(crate) fn telling_of(&self, device: &str, fault: &Fault) -> Option<u64> {
        let tells = |line: &Line| line.fault == *fault && !line.is_over();
        let open = self.tickets.values().filter(|ticket| ticket.state.is_open() && ticket.device != device);
        open.into_iter().find(|ticket| ticket.lines.iter().any(tells)).map(|ticket| ticket.number)
    }

    /// Says anew what a ticket about more than one device is.
    pub(crate) fn reword(&mut self, now: Timestamp, number: u64, words: Words) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.say(words);
        ticket.changed_at = now;
        self.changed.insert(number);
    }

    /// A person takes a device's fault off a ticket about more than one.
    pub(crate) fn take_off(
        &mut self,
        now: Timestamp,
        number: u64,
        actor: &str,
        device: &str,
        fault: &Fault,
    ) -> Result<(), Refusal> {
        let ticket = self.tickets.get_mut(&number).ok_or(Refusal::NoSuchTicket)?;
        if !ticket.state.is_open() {
            return Err(Refusal::Ended(ticket.state));
        }
        let mut lines = ticket.lines.iter().filter(|line| !line.is_over());
        let line = lines.find(|line| line.is_of(device, fault)).ok_or(Refusal::NoSuchLine)?;
        if ticket.about == About::Device {
            return Err(Refusal::OneDevice);
        }
        let what = What::TakenOff { title: line.title.clone() };
        ticket.touched = true;
        self.record(now, number, Actor::Person(actor.into()), what);
        Ok(())
    }

    /// Puts a ticket beneath another.
    pub(crate) fn put_under(&mut self, now: Timestamp, number: u64, parent: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.under = Some(parent);
        ticket.deferred = false;
        self.record(now, number, Actor::Bellwether, What::PutUnder { ticket: parent });
    }

    /// It stands alone again.
    pub(crate) fn stand_alone(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        if let Some(parent) = ticket.under.take() {
            self.record(now, number, Actor::Bellwether, What::StandsAlone { ticket: parent });
        }
    }

    /// The open tickets beneath another, the worst first.
    pub(crate) fn beneath(&self, parent: u64) -> Vec<u64> {
        self.worst_first(|ticket| ticket.under == Some(parent))
    }

    /// Puts a ticket off until there is time for it.
    pub(crate) fn defer(&mut self, now: Timestamp, number: u64, limit: u32) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.deferred = true;
        self.record(now, number, Actor::Bellwether, What::Deferred { limit });
    }

    /// There is time for it.
    pub(crate) fn release(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        if core::mem::take(&mut ticket.deferred) {
            self.record(now, number, Actor::Bellwether, What::Released);
        }
    }

    /// The open tickets that pass, the worst first, then the oldest.
    pub(crate) fn worst_first(&self, passes: impl Fn(&Ticket) -> bool) -> Vec<u64> {
        let open = self.tickets.values().filter(|ticket| ticket.state.is_open() && passes(ticket));
        let mut found: Vec<&Ticket> = open.collect();
        found.sort_by_key(|ticket| (core::cmp::Reverse(ticket.severity), ticket.number));
        found.into_iter().map(|ticket| ticket.number).collect()
    }

    /// A ticket without lines of its own ends, unless a person wants it open.
    pub(crate) fn end_parent(&mut self, now: Timestamp, number: u64, because: Ending) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        if ticket.state.is_open() && !ticket.kept_open {
            ticket.state = TicketState::Resolved;
            ticket.ended_at = Some(now);
            self.record(now, number, Actor::Bellwether, What::Resolved { because });
        }
    }

    /// A ticket without lines of its own is as bad as this.
    pub(crate) fn weigh_parent(&mut self, number: u64, severity: Severity, kind: TicketKind) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.severity = ticket.severity.max(severity);
        ticket.kind = ticket.kind.max(kind);
        self.changed.insert(number);
    }

    /// Tickets about more than one device of which something ended or came back since it was last asked.
    pub(crate) fn take_shrunk(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.shrunk).into_iter().collect()
    }
}

impl Ticket {
    fn say(&mut self, words: Words) {
        let Words { title, reason, advice } = words;
        (self.title, self.reason, self.advice) = (title, reason, advice);
    }

    /// Whether nothing may keep it from a person: it is critical, or about somebody's safety.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.severity >= Severity::Critical || self.lines.iter().any(|line| line.safety && !line.is_over())
    }

    /// Why this is one ticket, for people.
    #[must_use]
    pub fn why_one(&self) -> String {
        if !self.reason.is_empty() {
            return self.reason.clone();
        }
        let faults = self.lines.iter().filter(|line| !line.is_over()).count();
        let below = self.affected.len();
        match (faults, below) {
            (0 | 1, 0) => "It is one fault of one device.".into(),
            (_, 0) => format!("Its {faults} faults are of one device and one kind: one visit."),
            (_, 1) => "One device that hangs on it is out of reach because this one is.".into(),
            (_, below) => format!("{below} devices that hang on it are out of reach because this one is."),
        }
    }
}
