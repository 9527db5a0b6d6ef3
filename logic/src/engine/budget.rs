//! How many tickets a day somebody is given: what is beyond that is put off, and given out when there is room.
//!
//! What it keeps: urgent tickets are always given; what is put off is a ticket like any other, which anyone may take; the
//! worst come first.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::calendar::Book;
use crate::incidents::Ending;
use crate::tickets::{Line, Ticket, TicketState, Tickets};
use crate::time::Timestamp;
use crate::timer::Purpose;

/// How many tickets somebody is given a school day by default: a person works off two an hour (EEMUA 191's rate, seen through
/// a school's travel times), and has other work.
pub const TICKETS_A_DAY: u32 = 8;

/// Where no calendar says when school opens next, a day is this long.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// People whose days are remembered. More have no limit for the moment: no district has so many technicians.
const OWNERS_MAX: usize = 10_000;

/// What somebody was given since school last opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    /// When it opens next.
    until: Timestamp,
    /// Those tickets, no more than the setting says.
    tickets: BTreeSet<u64>,
}

impl Engine {
    /// The tickets that are put off, the worst first.
    pub fn digest(&self) -> impl Iterator<Item = &Ticket> + '_ {
        let numbers = self.state.tickets.worst_first(|ticket| ticket.deferred);
        numbers.into_iter().filter_map(|number| self.state.tickets.get(number))
    }

    /// Who is given a ticket: whom the matrix names for it. Before anybody has written one, each building has somebody.
    fn owner_of(&self, now: Timestamp, ticket: &Ticket) -> String {
        if self.state.matrix.assumed {
            return ticket.site.clone();
        }
        let class = self.state.devices.get(&ticket.device).map(|watched| watched.device.class);
        self.owner_key(now, &ticket.site, class, &ticket.category)
    }

    /// How many tickets a day they are given: a team has as many times as many as it has people.
    fn limit_of(&self, owner: &str) -> u32 {
        let people = self.state.matrix.party(owner).map_or(1, |party| party.members.len().max(1));
        self.state.settings.tickets_a_day.saturating_mul(u32::try_from(people).unwrap_or(u32::MAX))
    }

    /// Gives a ticket to whoever looks after it, if there is room for it on this day, or puts it off.
    pub(super) fn give(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.state.tickets.get(number) else { return };
        let (owner, urgent, site) = (self.owner_of(now, ticket), ticket.is_urgent(), ticket.site.clone());
        let limit = self.limit_of(&owner);
        let Some(given) = self.day_of(now, &owner, &site) else { return };
        if given.tickets.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            given.tickets.insert(number);
        } else if !urgent && !given.tickets.contains(&number) {
            let until = given.until;
            self.state.tickets.defer(now, number, limit);
            self.state.counters.tickets_deferred += 1;
            self.state.timers.set(Purpose::Morning { owner }, Some(until));
        }
    }

    /// What somebody was given on this day, without what turned out to be part of something else.
    fn day_of(&mut self, now: Timestamp, owner: &str, site: &str) -> Option<&mut Given> {
        let budgets = &mut self.state.budgets;
        if budgets.len() >= OWNERS_MAX && !budgets.contains_key(owner) {
            budgets.retain(|_, given| given.until > now);
            if budgets.len() >= OWNERS_MAX {
                return None;
            }
        }
        let given = budgets.entry(owner.into()).or_default();
        if given.until <= now {
            *given = Given { until: next_opening(&self.state.book, site, now), tickets: BTreeSet::new() };
        }
        let tickets = &self.state.tickets;
        given.tickets.retain(|number| tickets.get(*number).is_none_or(|ticket| !is_part_of_another(ticket)));
        Some(given)
    }

    /// School opens: a new day, if it does.
    pub(super) fn new_day(&mut self, now: Timestamp, owner: &str) {
        let put_off = self.put_off(now, owner);
        // Somebody else may look after them by now.
        self.freed = true;
        let Some(site) =
            put_off.first().and_then(|number| self.state.tickets.get(*number)).map(|first| first.site.clone())
        else {
            return;
        };
        let opens = opening(&self.state.book, &site, now);
        if opens > now {
            // It was said since that there is no school today.
            if let Some(given) = self.state.budgets.get_mut(owner) {
                given.until = opens;
            }
            self.state.timers.set(Purpose::Morning { owner: owner.into() }, Some(opens));
            return;
        }
        self.hand_out(now, owner, &site, put_off);
    }

    /// Gives out what was put off, as far as there is room, the worst first.
    fn hand_out(&mut self, now: Timestamp, owner: &str, site: &str, put_off: Vec<u64>) {
        let limit = usize::try_from(self.limit_of(owner)).unwrap_or(usize::MAX);
        let Some(given) = self.day_of(now, owner, site) else { return };
        let room = limit.saturating_sub(given.tickets.len());
        given.tickets.extend(put_off.iter().take(room).copied());
        let until = given.until;
        for number in put_off.iter().take(room) {
            self.state.tickets.release(now, *number);
            self.state.counters.tickets_released += 1;
        }
        let next = (put_off.len() > room).then_some(until);
        self.state.timers.set(Purpose::Morning { owner: owner.into() }, next);
    }

    /// Tickets turned out to be part of others: what is put off may have room.
    pub(super) fn fill_days(&mut self, now: Timestamp) {
        if !core::mem::take(&mut self.freed) {
            return;
        }
        let mut owners: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for number in self.state.tickets.worst_first(|ticket| ticket.deferred) {
            if let Some(ticket) = self.state.tickets.get(number) {
                owners.entry(self.owner_of(now, ticket)).or_default().push(number);
            }
        }
        for (owner, put_off) in owners {
            let first = put_off.first().and_then(|number| self.state.tickets.get(*number));
            let site = first.map(|ticket| ticket.site.clone()).unwrap_or_default();
            self.hand_out(now, &owner, &site, put_off);
        }
    }

    fn put_off(&self, now: Timestamp, owner: &str) -> Vec<u64> {
        self.state.tickets.worst_first(|ticket| ticket.deferred && self.owner_of(now, ticket) == owner)
    }
}

/// Whether a ticket is no work any more because another tells of it.
fn is_part_of_another(ticket: &Ticket) -> bool {
    let elsewhere = |line: &Line| matches!(line.ending, Some(Ending::Joined { .. } | Ending::CutOff { .. }));
    let ended = ticket.state == TicketState::Resolved && !ticket.touched;
    ticket.under.is_some() || (ended && !ticket.lines.is_empty() && ticket.lines.iter().all(elsewhere))
}

/// When a building opens next after this moment, from now on: now, if it is open.
fn opening(book: &Book, site: &str, now: Timestamp) -> Timestamp {
    book.school(site).map_or(now, |school| school.opening(now))
}

/// When it opens the next time, not counting the day that is under way.
fn next_opening(book: &Book, site: &str, now: Timestamp) -> Timestamp {
    let opens = book.school(site).and_then(|school| school.from(now).map(|day| day.opens).find(|opens| *opens > now));
    opens.unwrap_or(now + DAY)
}

impl Tickets {
    /// Whether a person has done anything to a ticket.
    pub(super) fn is_touched(&self, number: u64) -> bool {
        self.get(number).is_some_and(|ticket| ticket.touched)
    }
}
