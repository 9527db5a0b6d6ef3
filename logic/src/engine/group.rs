//! Tickets about several devices that share a cause: a room, a building, a model. How they are made, grow, shrink and part.
//!
//! What it keeps:
//! - an incident is on one ticket at a time, and moves with both tickets saying so;
//! - a ticket that somebody has touched is never taken over: it stays, and the ticket about several names it;
//! - what does not come back with the others has a ticket of its own after [`COME_BACK`].

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::COME_BACK;
use super::{Engine, Snapshot};
use crate::incidents::{Ending, Fault, Standing};
use crate::tickets::{About, Affected, Plan, Refusal, Ticket};
use crate::time::Timestamp;
use crate::timer::Purpose;

mod model;
mod outage;

pub use model::{COHORT_MIN, COHORT_WITHIN};
pub use outage::{BUILDING_MIN, POWER_WITHIN, ROOM_MIN, ROOMS_MIN};

/// Devices that fall silent within so long of each other may have one cause: readings come each minute, streams are missed
/// after two, and a UPS holds one closet longer than another. House.
pub const GROUP_WITHIN: Duration = Duration::from_secs(10 * 60);

/// What is remembered of an open ticket about several devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    /// When the first of its outages began.
    since: Timestamp,
    /// How many devices were expected to be there.
    expected: usize,
    /// Nothing else was heard of the building.
    whole: bool,
    /// A UPS ran on battery shortly before.
    power: bool,
    /// Tickets of the same cause that somebody has touched.
    named: Vec<u64>,
    /// How many devices these are about.
    apart: usize,
    /// Most are back; the others have tickets of their own from then on.
    returning: Option<Timestamp>,
}

impl Engine {
    /// Opens a ticket about several devices; none if a limit stands against it.
    fn form(&mut self, now: Timestamp, plan: Plan, group: Group, members: &[(String, Fault)]) -> Option<u64> {
        let limits = self.limits();
        let number = self.state.tickets.open_group(now, plan, limits)?;
        self.state.groups.insert(number, group);
        for (device, fault) in members {
            self.join(now, number, device, fault);
        }
        Some(number)
    }

    /// Names a device on a ticket that is silent like the others, and whose silence counts for nothing yet.
    fn name_beside(&mut self, now: Timestamp, number: u64, device: &str) {
        let Snapshot { devices, tickets, .. } = &mut self.state;
        let Some(watched) = devices.get_mut(device).filter(|watched| watched.beside.is_none()) else { return };
        let since = watched.contact.last().unwrap_or(now);
        tickets.affect(now, number, Affected::of(&watched.device, since));
        watched.beside = Some(number);
    }

    /// The open ticket about several devices that passes.
    fn open_group(&self, passes: impl Fn(&Ticket, &Group) -> bool) -> Option<u64> {
        let open = |number: &u64| self.state.tickets.get(*number).filter(|ticket| ticket.state.is_open());
        let mut groups = self.state.groups.iter();
        groups
            .find(|(number, group)| open(number).is_some_and(|ticket| passes(ticket, group)))
            .map(|(number, _)| *number)
    }

    /// Looks after the tickets about several devices of which something ended or came back in this turn.
    pub(super) fn tend_groups(&mut self, now: Timestamp) {
        for number in self.state.tickets.take_shrunk() {
            if !self.state.tickets.is_open(number) {
                self.forget_group(number);
            } else if self.is_returning(number) {
                let until = now + COME_BACK;
                let Some(group) = self.state.groups.get_mut(&number) else { continue };
                group.returning = Some(until);
                self.state.timers.set(Purpose::Group { ticket: number }, Some(until));
            } else {
                self.reword_cohort(now, number);
            }
        }
    }

    pub(super) fn forget_group(&mut self, number: u64) {
        if self.state.groups.remove(&number).is_some() {
            self.state.timers.set(Purpose::Group { ticket: number }, None);
        }
    }

    /// Whether at least half of a room or building is back, as is news.
    fn is_returning(&self, number: u64) -> bool {
        let Some(group) = self.state.groups.get(&number).filter(|group| group.returning.is_none()) else {
            return false;
        };
        let Some(ticket) = self.state.tickets.get(number) else { return false };
        if !matches!(ticket.about, About::Room | About::Building) || group.expected == 0 {
            return false;
        }
        let good = |ending: &Ending| matches!(ending, Ending::ProvenGood { .. });
        let proven = ticket.lines.iter().filter(|line| line.ending.as_ref().is_some_and(good)).count();
        let back = proven + ticket.affected.iter().filter(|affected| affected.back_at.is_some()).count();
        back > 0 && back >= out_of_reach(ticket)
    }

    /// Most of a room or building was back long ago: the others have problems of their own.
    pub(super) fn part_rest(&mut self, now: Timestamp, number: u64) {
        if !self.state.groups.contains_key(&number) || !self.state.tickets.is_open(number) {
            return;
        }
        let because = format!("it did not come back with the others of ticket #{number}");
        for (device, fault) in self.carried(number) {
            self.state.counters.lines_left_behind += 1;
            self.part(now, number, &device, &fault, &because);
        }
    }

    /// A person gives one device's fault on a ticket about several a ticket of its own. The ticket has agreed.
    pub(super) fn taken_off(&mut self, now: Timestamp, number: u64, device: &str, fault: &Fault) {
        self.state.counters.lines_taken_off += 1;
        self.part(now, number, device, fault, &format!("taken off ticket #{number}"));
    }

    /// Whether a fault that a person wants to take off a ticket is carried by it.
    pub(super) fn may_take_off(&self, number: u64, device: &str, fault: &Fault) -> Result<(), Refusal> {
        let carried = self.incident(device, fault).is_some_and(|incident| incident.ticket == Some(number));
        // Whatever else is wrong with the wish, the ticket says so itself.
        if carried || self.state.tickets.get(number).is_none_or(|ticket| !ticket.state.is_open()) {
            return Ok(());
        }
        Err(Refusal::NoSuchLine)
    }

    /// A device that was named on a ticket beside others is there, said why it is not, or has an outage that counts.
    pub(super) fn welcome_back(&mut self, now: Timestamp, device: &str) {
        let Some(watched) = self.state.devices.get(device).filter(|watched| watched.beside.is_some()) else { return };
        let outage = watched.incidents.values().find(|incident| incident.outage);
        if outage.is_some_and(|outage| matches!(outage.standing, Standing::Waits { .. })) {
            return;
        }
        let elsewhere = outage.is_some();
        if !elsewhere && outage::silent_since(&self.state.rules, watched).is_some() {
            return;
        }
        let Snapshot { devices, tickets, .. } = &mut self.state;
        let Some(number) = devices.get_mut(device).and_then(|watched| watched.beside.take()) else { return };
        if elsewhere {
            tickets.forget_affected(number, device);
        } else {
            tickets.unaffect(now, number, device);
        }
    }
}

/// How many devices a ticket names that are out of reach.
fn out_of_reach(ticket: &Ticket) -> usize {
    let mut devices: Vec<&str> = ticket.devices_at_fault().collect();
    devices.sort_unstable();
    devices.dedup();
    let named = ticket.affected.iter().filter(|affected| affected.back_at.is_none()).count();
    let more = ticket.lines_more.saturating_add(ticket.affected_more);
    devices.len() + named + usize::try_from(more).unwrap_or(usize::MAX / 2)
}

/// What is said of tickets that stay though their cause has another one.
fn named_text(named: &[u64]) -> String {
    let numbers: Vec<String> = named.iter().map(|number| format!("#{number}")).collect();
    match numbers.as_slice() {
        [] => String::new(),
        [one] => format!(" Somebody works on {one} already: it stays as it is."),
        [all @ .., last] => format!(" Somebody works on {} and {last} already: they stay as they are.", all.join(", ")),
    }
}

/// A number of things, in words.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one.to_string() } else { many.to_string() })
}
