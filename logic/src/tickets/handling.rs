//! How a ticket is handled: how soon, by whom, what it waits for, and how long people take.
//!
//! [`Tickets::attend`] brings all of it in line with the ticket's state and with what is known around it, once at the end of
//! every turn in which anything of it changed and whenever one of its times has come.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::passed;
use super::priority::{Facts, Reckoned};
use super::{Actor, Clock, Handed, Level, Priority, Ticket, TicketState, Tickets, What};
use crate::calendar::School;
use crate::device::words;
use crate::responsibilities::{Owner, PartyKind};
use crate::span::Stretch;
use crate::time::Timestamp;

words! {
    /// What a ticket waits for.
    WaitFor, "reason to wait" {
        /// Something that was ordered.
        Part = "part",
        /// A company outside.
        Vendor = "vendor",
        /// Somebody's answer, or a key to the room.
        Person = "person",
    }
}

words! {
    /// How far up a ticket was passed.
    Step, "step" {
        /// To the next in the chain: nobody took it in time.
        Next = "next",
        /// To whoever leads: it is not solved in time.
        Lead = "lead",
    }
}

/// What a ticket waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// For what.
    pub r#for: WaitFor,
    /// In a person's words.
    pub text: String,
    /// When it is expected.
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Timestamp,
}

/// A priority that a person chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Which.
    pub priority: Priority,
    /// Who.
    pub by: String,
    /// Why.
    pub note: String,
}

/// A ticket was passed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// How far.
    pub step: Step,
    /// To whom; empty: there is nobody else.
    pub to: String,
    /// When.
    pub at: Timestamp,
}

/// How long a vendor takes, by their own contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorClock {
    /// Which vendor; empty: one that the matrix does not name.
    pub vendor: String,
    /// Their clock.
    pub clock: Clock,
}

/// Another ticket that was merged into this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Its number.
    pub ticket: u64,
    /// What people had done to this one by then.
    pub(super) acts: u32,
}

/// How a ticket is handled. Fields are only added, with defaults: those of tickets that were stored before are empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Handling {
    /// How soon: a person's word, or what was reckoned.
    pub priority: Priority,
    /// What was reckoned.
    pub reckoned: Priority,
    /// How many people it takes from their work.
    pub impact: Level,
    /// How bad it is for them.
    pub urgency: Level,
    /// Why, in words.
    pub because: String,
    /// The priority that a person chose.
    pub chosen: Option<Chosen>,
    /// Who is responsible.
    pub owner: Option<Owner>,
    /// How long until somebody took it.
    pub response: Option<Clock>,
    /// How long until it was solved.
    pub resolution: Option<Clock>,
    /// How long a vendor takes.
    pub vendor: Option<VendorClock>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// What it waited for until this turn.
    #[serde(skip)]
    pub(super) waited: Option<Waiting>,
    /// How long it has waited for what before, in milliseconds of the time by which its solution is counted.
    pub waited_ms: BTreeMap<WaitFor, u64>,
    /// To whom it was passed up since it was last opened.
    pub escalated: Vec<Escalation>,
    /// The ticket in which it goes on.
    pub merged_into: Option<u64>,
    /// The state that it had before it was merged.
    pub(super) before: Option<TicketState>,
    /// Tickets that go on in this one.
    pub merged: Vec<Merged>,
    /// Whether it was there while class was in session. It stays so: the last bell makes nothing less pressing.
    pub(super) met_class: bool,
    /// What people have done to it, merging apart.
    pub(super) acts: u32,
}

impl Default for Handling {
    fn default() -> Self {
        Self {
            priority: Priority::P3,
            reckoned: Priority::P3,
            impact: Level::Medium,
            urgency: Level::Medium,
            because: String::new(),
            chosen: None,
            owner: None,
            response: None,
            resolution: None,
            vendor: None,
            waiting: None,
            waited: None,
            waited_ms: BTreeMap::new(),
            escalated: Vec::new(),
            merged_into: None,
            before: None,
            merged: Vec::new(),
            met_class: false,
            acts: 0,
        }
    }
}

impl Handling {
    /// What is due next: that somebody takes it, or else that it is solved. None: nothing is, or its clocks stand still.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let due = |clock: &Option<Clock>| clock.as_ref().and_then(|clock| clock.due);
        due(&self.response).into_iter().chain(due(&self.resolution)).min()
    }

    /// It goes on as it was before it was merged.
    pub(super) fn unstop(&mut self) {
        let clocks = [self.response.as_mut(), self.resolution.as_mut(), self.vendor.as_mut().map(|it| &mut it.clock)];
        clocks.into_iter().flatten().for_each(|clock| clock.done_at = None);
    }

    /// Whether it was passed up.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.escalated.iter().map(|escalation| escalation.step).max()
    }
}

/// What is known around a ticket.
pub(crate) struct Around<'around> {
    pub(crate) facts: Facts,
    pub(crate) owner: Owner,
    /// The vendor whom its cell names, and how long they have.
    pub(crate) vendor: (String, Stretch),
    pub(crate) school: Option<School<'around>>,
    /// When class or tests begin or end next, as far as that presses.
    pub(crate) turns: Option<Timestamp>,
}

impl Tickets {
    /// The tickets that changed in this turn.
    pub(crate) fn changed(&self) -> impl Iterator<Item = u64> + '_ {
        self.changed.iter().copied()
    }

    /// Whether a ticket was there while class was in session.
    pub(crate) fn met_class(&self, number: u64) -> bool {
        self.get(number).is_some_and(|ticket| ticket.handling.met_class)
    }

    /// Brings a ticket's handling in line with what it is now. Says when to do that again.
    pub(crate) fn attend(&mut self, now: Timestamp, number: u64, around: &Around<'_>) -> Option<Timestamp> {
        let before = self.tickets.get(&number)?.handling.clone();
        self.end_waiting(now, number, around);
        self.reckon(now, number, around);
        self.hand(now, number, around);
        self.count(now, number, around);
        self.pass_up(now, number);
        let ticket = self.tickets.get_mut(&number)?;
        if ticket.handling != before {
            self.changed.insert(number);
        }
        if !ticket.state.is_open() {
            return None;
        }
        let Handling { response, resolution, vendor, waiting, .. } = &ticket.handling;
        let clocks = response.iter().chain(resolution).chain(vendor.as_ref().map(|vendor| &vendor.clock));
        let waits = waiting.as_ref().and_then(|waiting| waiting.until);
        clocks.filter_map(Clock::next).chain(waits).chain(around.turns).min()
    }

    /// What it waited for has come, or was due, or it waits for something else.
    fn end_waiting(&mut self, now: Timestamp, number: u64, around: &Around<'_>) {
        // What was merged waits on, in case that it is split off again.
        let Some(ticket) = self.tickets.get_mut(&number).filter(|ticket| ticket.handling.merged_into.is_none()) else {
            return;
        };
        let handling = &mut ticket.handling;
        let waits = ticket.state == TicketState::Waiting;
        let is_due = |waiting: &mut Waiting| waiting.until.is_some_and(|until| until <= now);
        let over = handling.waiting.take_if(|waiting| !waits || is_due(waiting));
        let what = over.as_ref().filter(|_| waits).map(|waiting| What::WaitOver { text: waiting.text.clone() });
        let passing = handling.resolution.as_ref().map(|clock| clock.allowed.passing).unwrap_or_default();
        for waited in handling.waited.take().into_iter().chain(over) {
            let span = passed(passing, around.school, waited.since, now);
            let all = handling.waited_ms.entry(waited.r#for).or_default();
            *all = all.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(what) = what {
            ticket.state = TicketState::InProgress;
            self.record(now, number, Actor::Bellwether, what);
        }
    }

    fn reckon(&mut self, now: Timestamp, number: u64, around: &Around<'_>) {
        let Some(ticket) = self.tickets.get_mut(&number).filter(|ticket| ticket.state.is_open()) else { return };
        let Reckoned { priority, impact, urgency, because } = around.facts.reckon();
        let handling = &mut ticket.handling;
        let from = handling.priority;
        let is_first = handling.response.is_none();
        handling.met_class = around.facts.met_class;
        handling.reckoned = priority;
        handling.impact = impact;
        handling.urgency = urgency;
        handling.because = because;
        handling.priority = handling.chosen.as_ref().map_or(priority, |chosen| chosen.priority);
        let to = handling.priority;
        if !is_first && from != to && handling.chosen.is_none() {
            let because = handling.because.clone();
            self.record(now, number, Actor::Bellwether, What::Reckoned { from, to, because });
        }
    }

    /// Hands it to whom it belongs, unless somebody has taken it.
    fn hand(&mut self, now: Timestamp, number: u64, around: &Around<'_>) {
        let Some(ticket) = self.tickets.get_mut(&number).filter(|ticket| ticket.state.is_open()) else { return };
        let handling = &mut ticket.handling;
        if handling.owner.is_some() && ticket.assignee.is_some() {
            return;
        }
        let Some(before) = handling.owner.replace(around.owner.clone()) else {
            let Owner { key, via, .. } = around.owner.clone();
            let (priority, because) = (handling.priority, handling.because.clone());
            self.tell_opened(number, Handed { priority, because, owner: key, via });
            return;
        };
        let Some(from) = Some(before.key).filter(|from| *from != around.owner.key) else { return };
        let what = What::Routed { from, to: around.owner.key.clone(), via: around.owner.via.clone() };
        self.record(now, number, Actor::Bellwether, what);
    }

    /// Says in the history of a ticket that was just opened how soon and to whom.
    fn tell_opened(&mut self, number: u64, of_it: Handed) {
        for event in self.events.iter_mut().filter(|event| event.ticket == number) {
            if let What::Opened { handed, .. } = &mut event.what {
                *handed = Some(of_it.clone());
            }
        }
    }

    /// Lets its clocks run, stand still or stop.
    fn count(&mut self, now: Timestamp, number: u64, around: &Around<'_>) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let (state, is_open) = (ticket.state, ticket.state.is_open());
        let handling = &mut ticket.handling;
        // One that was opened and ended before there were clocks has none.
        if !is_open && handling.response.is_none() {
            return;
        }
        let is_new = matches!(state, TicketState::New | TicketState::Reopened);
        // Nobody is asked for what was put off, or is looked after with another.
        let held = is_new && (ticket.deferred || ticket.under.is_some());
        let came_back = is_open && handling.resolution.as_ref().is_some_and(|clock| clock.done_at.is_some());
        if came_back {
            (handling.response, handling.resolution, handling.vendor) = (None, None, None);
            handling.escalated.clear();
        }
        let (to_respond, to_resolve) = handling.priority.targets();
        let school = around.school;
        let keep = |clock: &mut Option<Clock>, allowed, runs, done| {
            let clock = clock.get_or_insert_with(|| Clock::new(allowed));
            clock.allow(now, school, allowed);
            clock.set_done(now, school, done);
            clock.run(now, school, runs);
        };
        keep(&mut handling.response, to_respond, is_new && !held, !is_new);
        keep(&mut handling.resolution, to_resolve, is_open && !held && state != TicketState::Waiting, !is_open);
        let waits = handling.waiting.as_ref().is_some_and(|waiting| waiting.r#for == WaitFor::Vendor);
        let owns = handling.owner.as_ref().is_some_and(|owner| owner.kind == PartyKind::Vendor);
        let at_vendor = is_open && (waits || owns);
        if at_vendor && handling.vendor.is_none() {
            let (vendor, time) = around.vendor.clone();
            handling.vendor = Some(VendorClock { vendor, clock: Clock::new(time) });
        }
        if let Some(vendor) = &mut handling.vendor {
            vendor.clock.set_done(now, school, !is_open);
            vendor.clock.run(now, school, at_vendor);
        }
    }

    /// Passes it up when a clock is up, each step once.
    fn pass_up(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let handling = &mut ticket.handling;
        let mut said = Vec::new();
        let up = |clock: &mut Option<Clock>| clock.as_mut().and_then(|clock| clock.is_up(now).then_some(clock.allowed));
        let steps = [
            (Step::Next, up(&mut handling.response), "nobody took it"),
            (Step::Lead, up(&mut handling.resolution), "it was not solved"),
        ];
        for (step, allowed, what) in steps {
            let (Some(allowed), Some(owner)) = (allowed, &handling.owner) else { continue };
            if handling.escalated.iter().any(|before| before.step == step) {
                continue;
            }
            let next = if owner.next.is_empty() { &owner.lead } else { &owner.next };
            let to = if step == Step::Next { next } else { &owner.lead };
            // Whoever has it all is told, too, and by nobody else.
            let to = if *to == owner.key { String::new() } else { to.clone() };
            handling.escalated.push(Escalation { step, to: to.clone(), at: now });
            said.push(What::Escalated { step, to, because: format!("{what} within {}", in_words(allowed)) });
        }
        if let Some(late) = &mut handling.vendor
            && late.clock.is_up(now)
        {
            let vendor = if late.vendor.is_empty() { "the vendor".to_string() } else { late.vendor.clone() };
            said.push(What::VendorLate { vendor, within: in_words(late.clock.allowed) });
        }
        for what in said {
            self.record(now, number, Actor::Bellwether, what);
        }
    }
}

impl Ticket {
    /// Whether a person other than whoever merges has done something to it since.
    pub(super) const fn has_been_worked_on_since(&self, merged: Merged) -> bool {
        self.handling.acts != merged.acts
    }
}

/// A time that is allowed, for people: `2 hours of school time`.
#[must_use]
pub fn in_words(allowed: Stretch) -> String {
    let ms = Duration::from_millis(u64::try_from(allowed.span.as_millis()).unwrap_or(u64::MAX));
    let hours = ms.as_secs() / 3_600;
    let text = match (hours, ms.as_secs() % 3_600) {
        (1, 0) => "1 hour".to_string(),
        (hours, 0) if hours > 0 => format!("{hours} hours"),
        _ => crate::span::plain(ms),
    };
    match allowed.passing {
        crate::span::Passing::Clock => text,
        crate::span::Passing::School => format!("{text} of school time"),
    }
}
