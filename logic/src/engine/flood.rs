//! Very many tickets at one building at once have one cause more often than not: one ticket stands for them until it is
//! quiet again.
//!
//! What it keeps: a ticket beneath that one stays what it is, with its own history, and stands alone again when somebody
//! touches it, when it becomes urgent, and at the latest when the flood is over. Urgent ones are never put beneath.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::incidents::Ending;
use crate::rules::{Severity, TicketKind};
use crate::tickets::{About, Plan, Ticket, Words};
use crate::time::Timestamp;
use crate::timer::Purpose;

/// More tickets than this at a building...
pub const FLOOD_OVER: usize = 10;

/// ... within so long are a flood: EEMUA 191 calls more than 10 alarms in 10 minutes to one operator that.
pub const FLOOD_WITHIN: Duration = Duration::from_secs(10 * 60);

/// It is over once no ticket has come for so long. House.
pub const FLOOD_QUIET: Duration = Duration::from_secs(30 * 60);

/// Category of tickets about floods.
const CATEGORY: &str = "flood";

/// What is remembered of a building's newest tickets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Flood {
    /// The newest, at most [`FLOOD_OVER`] and one; those beneath the flood's ticket are not among them.
    recent: VecDeque<(Timestamp, u64)>,
    /// The flood's ticket, while there is one.
    parent: Option<u64>,
    began: Timestamp,
    last: Timestamp,
    tickets: usize,
}

impl Engine {
    /// A ticket was opened or reopened by itself: gives it to somebody, puts it off, or puts it beneath another.
    pub(super) fn raised(&mut self, now: Timestamp, number: u64) {
        self.state.counters.tickets_raised += 1;
        if !self.flooded(now, number) {
            self.give(now, number);
        }
    }

    /// Whether a ticket is one of a flood, and so stands beneath another.
    fn flooded(&mut self, now: Timestamp, number: u64) -> bool {
        let Some(ticket) = self.state.tickets.get(number) else { return false };
        if ticket.is_urgent() || ticket.touched || ticket.site.is_empty() {
            return false;
        }
        let site = ticket.site.clone();
        let Self { state, .. } = self;
        let flood = state.floods.entry(site.clone()).or_default();
        if let Some(parent) = flood.parent {
            self.swallow(now, &site, parent, &[number]);
            return true;
        }
        let tickets = &state.tickets;
        let counts = |at: Timestamp, known: u64| known != number && now <= at + FLOOD_WITHIN && tickets.is_open(known);
        flood.recent.retain(|(at, known)| counts(*at, *known));
        flood.recent.push_back((now, number));
        if flood.recent.len() <= FLOOD_OVER {
            return false;
        }
        self.begin_flood(now, &site)
    }

    /// So many tickets came at once that one stands for them.
    fn begin_flood(&mut self, now: Timestamp, site: &str) -> bool {
        let Some(flood) = self.state.floods.get_mut(site) else { return false };
        let began = flood.recent.front().map_or(now, |(at, _)| *at);
        let recent: Vec<u64> = core::mem::take(&mut flood.recent).into_iter().map(|(_, number)| number).collect();
        let plan = Plan {
            about: About::Building,
            site: site.to_string(),
            room: String::new(),
            kind: TicketKind::Supply,
            category: CATEGORY.into(),
            severity: Severity::Info,
            words: flood_words(site, recent.len(), FLOOD_WITHIN),
        };
        let limits = self.limits();
        let Some(parent) = self.state.tickets.open_group(now, plan, limits) else { return false };
        self.state.counters.floods += 1;
        let flood = Flood { parent: Some(parent), began, ..Flood::default() };
        self.state.floods.insert(site.to_string(), flood);
        self.swallow(now, site, parent, &recent);
        self.give(now, parent);
        true
    }

    /// Puts tickets beneath that of a flood, but for those that somebody has touched.
    fn swallow(&mut self, now: Timestamp, site: &str, parent: u64, numbers: &[u64]) {
        for number in numbers {
            let Some(ticket) = self.state.tickets.get(*number) else { continue };
            let (severity, kind) = (ticket.severity, ticket.kind);
            if self.state.tickets.is_touched(*number) || ticket.is_urgent() {
                continue;
            }
            self.state.tickets.put_under(now, *number, parent);
            self.state.tickets.weigh_parent(parent, severity, kind);
            self.state.counters.tickets_flooded += 1;
        }
        self.freed = true;
        let Some(flood) = self.state.floods.get_mut(site) else { return };
        flood.last = now;
        flood.tickets += numbers.len();
        let words = flood_words(site, flood.tickets, now.since(flood.began));
        self.state.tickets.reword(now, parent, words);
        self.state.timers.set(Purpose::Flood { site: site.into() }, Some(now + FLOOD_QUIET));
    }

    /// It is quiet again, or a person ended the ticket: what is left stands alone.
    pub(super) fn end_flood(&mut self, now: Timestamp, site: &str) {
        let parent = self.state.floods.remove(site).and_then(|flood| flood.parent);
        self.state.timers.set(Purpose::Flood { site: site.into() }, None);
        let Some(parent) = parent else { return };
        let left = self.state.tickets.beneath(parent);
        self.state.tickets.end_parent(now, parent, Ending::FloodOver { left: left.len() });
        for number in left {
            self.state.tickets.stand_alone(now, number);
            self.give(now, number);
        }
        self.freed = true;
    }

    /// A ticket has got worse: if it is urgent now, nothing keeps it from people.
    pub(super) fn show_if_urgent(&mut self, now: Timestamp, number: u64) {
        if self.state.tickets.get(number).is_some_and(Ticket::is_urgent) {
            self.show(now, number);
        }
    }

    /// Nothing keeps a ticket from people any more.
    pub(super) fn show(&mut self, now: Timestamp, number: u64) {
        self.state.tickets.stand_alone(now, number);
        self.state.tickets.release(now, number);
    }

    /// A person did something to a ticket.
    pub(super) fn handled(&mut self, now: Timestamp, number: u64) {
        self.show(now, number);
        if self.state.tickets.is_open(number) {
            return;
        }
        self.forget_group(number);
        let site = self.state.tickets.get(number).map(|ticket| ticket.site.clone()).unwrap_or_default();
        if self.state.floods.get(&site).is_some_and(|flood| flood.parent == Some(number)) {
            self.end_flood(now, &site);
        }
    }
}

fn flood_words(site: &str, tickets: usize, span: Duration) -> Words {
    let minutes = (span.max(FLOOD_WITHIN).as_secs()).div_ceil(60);
    let within = FLOOD_WITHIN.as_secs() / 60;
    Words {
        title: format!("{tickets} problems at {site} in {minutes} minutes"),
        reason: format!(
            "More than {FLOOD_OVER} tickets at one building within {within} minutes have one cause more often than not. They \
             stand beneath this one, and stand alone again once it has been quiet for {} minutes.",
            FLOOD_QUIET.as_secs() / 60
        ),
        advice: "Look for what they share before you visit any: power, the network, an update, something that was done there \
                 today."
            .into(),
    }
}
