//! What rules would have done: the same engine on a clock of its own, fed with what was stored.
//!
//! Feed it what happened in order ([`BackTest::feed`]); it wakes the engine in between, as the collector would, and takes the
//! effects in. [`BackTest::finish`] says which tickets there were. Nobody closes a ticket meanwhile, so each that ended did so
//! by itself.
//!
//! A pause in which nobody said anything at all is taken for the collector's own absence: that is nobody's silence.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::Lane;
use crate::calendar::School;
use crate::engine::{Effect, Engine, Input, OWN_PAUSE_MAX, Settings};
use crate::incidents;
use crate::rules::{RuleSet, Study, Suggestion};
use crate::tickets::Ticket;
use crate::time::Timestamp;

/// A ticket that ended so soon was for nothing, if nobody did anything.
pub const SOON: Duration = Duration::from_secs(10 * 60);

/// What lies so close to a school day belongs to it.
const AROUND: Duration = Duration::from_secs(8 * 60 * 60);

/// Tickets that are looked through. Rules that open more are wrong, which the first of them tell as well.
pub const TICKETS_MAX: usize = 100_000;

/// What one rule did in one building.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults that were put on a ticket.
    pub faults: usize,
    /// Those that were over within [`SOON`].
    pub soon_over: usize,
    /// Those that began to count outside school days.
    pub off_days: usize,
}

/// What there was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Tickets in all.
    pub tickets: usize,
    /// Tickets that were not looked through, because of [`TICKETS_MAX`].
    pub more: usize,
    /// Faults that were there already when it began, or that are only planned by.
    pub listed: usize,
    /// By rule and building.
    pub by_rule: BTreeMap<(String, String), Tally>,
    /// What the readings suggest for a rule.
    pub suggestions: Vec<Suggestion>,
    /// Samples that were judged.
    pub samples: u64,
}

/// The engine on a clock of its own.
#[derive(Debug)]
pub struct BackTest {
    engine: Engine,
    study: Study,
    last: Option<Timestamp>,
    tickets: BTreeMap<u64, Vec<Fault>>,
    listed: BTreeSet<(String, incidents::Fault)>,
    more: usize,
}

/// One fault on a ticket, as far as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    rule: String,
    site: String,
    opened_at: Timestamp,
    ended_at: Option<Timestamp>,
    off_day: bool,
}

impl BackTest {
    /// Nothing is known yet: feed devices and calendars first.
    #[must_use]
    pub fn new(rules: RuleSet, settings: Settings) -> Self {
        Self {
            study: Study::of(&rules),
            engine: Engine::new(rules, settings),
            last: None,
            tickets: BTreeMap::new(),
            listed: BTreeSet::new(),
            more: 0,
        }
    }

    /// Something happened. What lies before the last thing counts as at the same time.
    pub fn feed(&mut self, at: Timestamp, input: Input) {
        let last = self.last.unwrap_or(at);
        let at = at.max(last);
        if at.since(last) <= OWN_PAUSE_MAX {
            self.wake_until(at);
        }
        if let Input::Samples { device, lane: Lane::Live, samples } = &input {
            self.study.note(device, samples);
        }
        self.last = Some(at);
        self.handle(at, input);
    }

    /// The tickets that the engine remembers: those that are open, and those that ended not long ago.
    pub fn tickets(&self) -> impl Iterator<Item = &Ticket> + '_ {
        self.engine.tickets()
    }

    /// What there was.
    #[must_use]
    pub fn finish(self) -> Report {
        let mut by_rule: BTreeMap<(String, String), Tally> = BTreeMap::new();
        for fault in self.tickets.values().flatten() {
            let tally = by_rule.entry((fault.rule.clone(), fault.site.clone())).or_default();
            tally.faults += 1;
            tally.soon_over += usize::from(fault.ended_at.is_some_and(|end| end.since(fault.opened_at) <= SOON));
            tally.off_days += usize::from(fault.off_day);
        }
        Report {
            tickets: self.tickets.len() + self.more,
            more: self.more,
            listed: self.listed.len(),
            by_rule,
            suggestions: self.study.suggest(self.engine.rules()),
            samples: self.engine.counters().samples,
        }
    }

    fn wake_until(&mut self, at: Timestamp) {
        while let Some(wake) = self.engine.poll_wake().filter(|wake| *wake < at) {
            let before = self.engine.poll_wake();
            self.handle(wake, Input::Wake);
            if self.engine.poll_wake() <= before {
                // An engine that wants the same moment again is asked at the next thing that happens.
                break;
            }
        }
    }

    fn handle(&mut self, at: Timestamp, input: Input) {
        self.engine.handle(at, input);
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Ticket(ticket) => self.take(&ticket),
                Effect::Listed(listing) if self.listed.len() < TICKETS_MAX => {
                    self.listed.insert((listing.device.clone(), listing.fault.clone()));
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, ticket: &Ticket) {
        if !self.tickets.contains_key(&ticket.number) && self.tickets.len() >= TICKETS_MAX {
            self.more += usize::from(ticket.events <= 1);
            return;
        }
        let faults = ticket.lines.iter().map(|line| Fault {
            rule: line.fault.rule.clone(),
            site: line.site.clone(),
            opened_at: line.opened_at,
            ended_at: line.ended_at,
            off_day: !self.engine.school(&line.site).is_none_or(|school| is_school_day(school, line.opened_at)),
        });
        let faults = faults.collect();
        self.tickets.insert(ticket.number, faults);
    }
}

/// Where no calendar speaks of it every day is one.
fn is_school_day(school: School<'_>, at: Timestamp) -> bool {
    !school.covers(at) || school.from(at - AROUND).next().is_some_and(|day| day.opens - AROUND <= at)
}

#[cfg(test)]
mod tests;
