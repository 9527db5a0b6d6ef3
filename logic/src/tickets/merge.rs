//! One ticket that goes on in another, and the way back.
//!
//! The lines of what is merged move over and say from where they came; whoever still speaks of the merged ticket by its
//! number (an incident, a device that is out of reach because of it) is led to the other one, so nothing else has to be
//! told, and a split only moves the lines back.
//!
//! A ticket into which others were merged is not merged itself: everything is found one step away.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{About, Actor, Affected, Line, Merged, Refusal, Ticket, TicketState, Tickets, What};
use crate::incidents::Ending;
use crate::time::Timestamp;

impl Tickets {
    /// The ticket in which another goes on, and, if that is not itself, as whose its lines are known there.
    pub(super) fn home(&self, number: u64) -> (u64, Option<u64>) {
        match self.tickets.get(&number).and_then(|ticket| ticket.handling.merged_into) {
            Some(into) => (into, Some(number)),
            None => (number, None),
        }
    }

    /// When a ticket ended: what was merged ended with that into which it was.
    pub(super) fn ended_at(&self, ticket: &Ticket) -> Option<Timestamp> {
        match ticket.handling.merged_into {
            Some(into) => self.tickets.get(&into).and_then(|into| into.ended_at),
            None => ticket.ended_at,
        }
    }

    /// A ticket goes on in another.
    pub(super) fn merge(&mut self, now: Timestamp, number: u64, into: u64, actor: &str) -> Result<(), Refusal> {
        let ticket = self.tickets.get(&number).ok_or(Refusal::NoSuchTicket)?;
        if number == into {
            return Err(Refusal::Itself);
        }
        if let Some(before) = ticket.handling.merged_into {
            return Err(Refusal::Merged(before));
        }
        if !ticket.state.is_open() {
            return Err(Refusal::Ended(ticket.state));
        }
        if ticket.about != About::Device {
            return Err(Refusal::AboutSeveral);
        }
        if !ticket.handling.merged.is_empty() {
            return Err(Refusal::HoldsOthers);
        }
        let target = self.tickets.get(&into).filter(|target| target.state.is_open()).ok_or(Refusal::NoTarget(into))?;
        if ticket.about != About::Device || target.about != About::Device {
            return Err(Refusal::ManyDevices);
        }
        if target.lines.len() + ticket.lines.len() > target.lines_max() {
            return Err(Refusal::Full(into));
        }
        let (title, acts) = (ticket.title.clone(), target.handling.acts);
        let moved =
            |line: &Line| Line { device: ticket.device_of(line).to_string(), from: Some(number), ..line.clone() };
        let lines: Vec<Line> = ticket.lines.iter().map(moved).collect();
        let Some(ticket) = self.tickets.get_mut(&number) else { return Err(Refusal::NoSuchTicket) };
        ticket.handling.before = Some(ticket.state);
        ticket.handling.merged_into = Some(into);
        ticket.state = TicketState::Closed;
        ticket.ended_at = Some(now);
        ticket.touched = true;
        let affected = core::mem::take(&mut ticket.affected);
        let kept_open = ticket.kept_open;
        if let Some(target) = self.tickets.get_mut(&into) {
            target.lines.extend(lines);
            target.affected.extend(affected.into_iter().map(|affected| Affected { from: Some(number), ..affected }));
            target.handling.merged.push(Merged { ticket: number, acts });
            target.touched = true;
            target.kept_open |= kept_open;
            target.summarise();
        }
        let actor = || Actor::Person(actor.to_string());
        self.record(now, number, actor(), What::MergedInto { ticket: into });
        self.record(now, into, actor(), What::TookIn { ticket: number, title });
        Ok(())
    }

    /// A ticket goes on by itself again.
    pub(super) fn split(&mut self, now: Timestamp, number: u64, actor: &str) -> Result<(), Refusal> {
        let ticket = self.tickets.get(&number).ok_or(Refusal::NoSuchTicket)?;
        let into = ticket.handling.merged_into.ok_or(Refusal::NotMerged)?;
        let target = self.tickets.get_mut(&into).ok_or(Refusal::NoTarget(into))?;
        let merged = target.handling.merged.iter().find(|merged| merged.ticket == number).copied();
        let merged = merged.ok_or(Refusal::NotMerged)?;
        if !target.state.is_open() || target.has_been_worked_on_since(merged) {
            return Err(Refusal::WorkedOn(into));
        }
        let (theirs, own) = core::mem::take(&mut target.lines).into_iter().partition(|line| line.from == Some(number));
        target.lines = own;
        let (cut_off, rest) =
            core::mem::take(&mut target.affected).into_iter().partition(|device| device.from == Some(number));
        target.affected = rest;
        target.handling.merged.retain(|merged| merged.ticket != number);
        target.summarise();
        let theirs: Vec<Line> = theirs;
        let cut_off: Vec<Affected> = cut_off;
        let Some(ticket) = self.tickets.get_mut(&number) else { return Err(Refusal::NoSuchTicket) };
        if theirs.is_empty() {
            // They were over, and had to make room for others.
            for line in ticket.lines.iter_mut().filter(|line| !line.is_over()) {
                (line.ended_at, line.ending) = (Some(now), Some(Ending::Unseen));
            }
        } else {
            ticket.lines = theirs.into_iter().map(|line| Line { from: None, ..line }).collect();
        }
        ticket.affected = cut_off.into_iter().map(|device| Affected { from: None, ..device }).collect();
        ticket.handling.merged_into = None;
        ticket.state = ticket.handling.before.take().unwrap_or(TicketState::New);
        ticket.ended_at = None;
        ticket.handling.unstop();
        ticket.summarise();
        let actor = || Actor::Person(actor.to_string());
        self.record(now, number, actor(), What::SplitFrom { ticket: into });
        self.record(now, into, actor(), What::SplitOff { ticket: number });
        self.end_if_all_is_over(now, number, None);
        self.end_if_all_is_over(now, into, None);
        Ok(())
    }
}
