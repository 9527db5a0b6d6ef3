//! Which outages are caused by others: what hangs on a switch that is out of reach is out of reach with it, and makes no
//! ticket of its own.
//!
//! What it keeps:
//! - only the making of tickets is held back: a device's faults, its presence and their end are what they are;
//! - a device that falls silent is not judged before what it hangs on was looked at again, or [`WAIT_MAX`] has passed:
//!   whichever of the two is noticed first, there is one ticket;
//! - what does not come back with what it hangs on has its own ticket after [`COME_BACK`];
//! - many that fall silent at once are evidence against what they all hang on: its first failure then counts.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::place::Unplaced;
use super::watched::Watched;
use super::{DEVICES_MAX, Engine, Snapshot};
use crate::device::Class;
use crate::incidents::{Ending, Fault, Incident, Standing};
use crate::presence::Presence;
use crate::rules::RuleSet;
use crate::tickets::{Affected, Ticket};
use crate::time::Timestamp;
use crate::timer::Purpose;

/// How long an outage may wait for a look at what the device hangs on: as long as a shipped rule needs to call a switch out
/// of reach, and a minute.
pub const WAIT_MAX: Duration = Duration::from_secs(6 * 60);

/// How long after what it hangs on is back a device may take to come back itself: a switch lets its ports go one after the
/// other, and access points take minutes to start. House.
pub const COME_BACK: Duration = Duration::from_secs(10 * 60);

/// Tickets of devices that were opened so shortly before the one of what they hang on, and that nobody has touched, were its
/// first signs. House: longer than the longest wait of a shipped rule for infrastructure.
pub const MERGE_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Devices on the way from one to the gateway. No school has so many switches in a row.
const HOPS_MAX: usize = 32;

/// So many of its intervals after a device has gone, one that hangs on it may still be heard: what was under way, and what was
/// asked before.
pub(super) const LAST_WORDS: u32 = 2;

/// Between two looks at whether an outage still has to wait.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// So many that fall silent together speak against what they hang on...
pub(super) const CROWD_MIN: usize = 3;

/// ... if they are one of so many that are expected there. Not each is noticed at once: a closet looks once a minute.
pub(super) const CROWD_PART: usize = 3;

/// What hangs directly on each device.
pub(super) fn children(parents: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut children: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (device, parent) in parents {
        children.entry(parent.clone()).or_default().insert(device.clone());
    }
    children
}

impl Engine {
    /// What each device hangs on, as far as it is sure.
    #[must_use]
    pub const fn parents(&self) -> &BTreeMap<String, String> {
        &self.state.parents
    }

    /// Some devices hang elsewhere from now on, or it is no longer known where.
    pub(super) fn rehang(&mut self, now: Timestamp, changes: Vec<(String, Option<String>)>) {
        for (device, parent) in &changes {
            let old = match parent {
                Some(parent) if self.state.parents.len() < DEVICES_MAX || self.state.parents.contains_key(device) => {
                    self.children.entry(parent.clone()).or_default().insert(device.clone());
                    self.state.parents.insert(device.clone(), parent.clone())
                }
                _ => self.state.parents.remove(device),
            };
            if let Some(old) = old.filter(|old| Some(old) != parent.as_ref())
                && let Some(children) = self.children.get_mut(&old)
            {
                children.remove(device);
                if children.is_empty() {
                    self.children.remove(&old);
                }
            }
        }
        for (device, _) in changes {
            self.weigh(now, &device);
            self.settle_below(now, &device);
        }
    }

    /// A ticket was ended by a person: what it explained may be explained by nothing any more.
    pub(super) fn ended_by_hand(&mut self, now: Timestamp, number: u64) {
        let ended = self.state.tickets.get(number).filter(|ticket| !ticket.state.is_open());
        let devices: BTreeSet<String> = ended.into_iter().flat_map(Ticket::devices).map(String::from).collect();
        for device in devices {
            self.settle_below(now, &device);
        }
    }

    /// What explains those below it may have its ticket only now.
    pub(super) fn below_again(&mut self, now: Timestamp, device: &str) {
        if self.state.out.contains(device) {
            self.settle_below(now, device);
        }
    }

    /// From above downwards: what is decided of one counts for those below it.
    pub(super) fn settle_below(&mut self, now: Timestamp, device: &str) {
        for below in self.below(device) {
            self.absorb(now, &below);
            self.settle(now, &below);
            self.place(now);
            self.note_outage(&below);
        }
    }

    /// Something was heard of a device, or not heard for too long: settles what its outages are, and what hangs on it.
    pub(super) fn weigh(&mut self, now: Timestamp, device: &str) {
        self.accuse(now, device);
        self.settle(now, device);
        self.place(now);
        self.welcome_back(now, device);
        if self.note_outage(device) {
            self.settle_below(now, device);
        }
    }

    /// An outage that other things speak for waits for nothing more.
    pub(super) fn stand_alone(&mut self, now: Timestamp, device: &str, fault: &Fault) {
        let waits = |watched: &Watched| {
            watched.incidents.get(fault).is_some_and(|incident| matches!(incident.standing, Standing::Waits { .. }))
        };
        if self.state.devices.get(device).is_some_and(waits) && self.cause_of(device).is_none() {
            self.stand(now, device, fault, Standing::Own);
        }
        self.weigh(now, device);
    }

    /// Notes whether a device is out of reach by itself. Says whether that is news.
    fn note_outage(&mut self, device: &str) -> bool {
        let is_out = self.state.devices.get(device).is_some_and(has_outage);
        if is_out { self.state.out.insert(device.into()) } else { self.state.out.remove(device) }
    }

    /// Decides anew about the outages of a device that are not its own, or not yet.
    pub(super) fn settle(&mut self, now: Timestamp, device: &str) {
        let Some(watched) = self.state.devices.get(device) else { return };
        if watched.incidents.values().all(|incident| incident.standing == Standing::Own) {
            return;
        }
        let open = watched.incidents.iter().filter(|(_, incident)| incident.standing != Standing::Own);
        let changes: Vec<(Fault, Standing)> = open
            .map(|(fault, incident)| (fault.clone(), self.standing(now, watched, incident)))
            .filter(|(fault, standing)| watched.incidents[fault].standing != *standing)
            .collect();
        for (fault, standing) in changes {
            self.stand(now, device, &fault, standing);
        }
        self.rearm_cause(now, device);
    }

    /// What an outage is by what is known now.
    fn standing(&self, now: Timestamp, watched: &Watched, incident: &Incident) -> Standing {
        if let Some(by) = self.cause_of(&watched.device.id) {
            let ticket = self.state.devices.get(&by).and_then(outage_ticket);
            // What explains it may have another ticket than before, or one only now: a planned change kept it quiet.
            let known = |before: &str, had: Option<u64>| before == by && (had == ticket || ticket.is_none());
            if matches!(&incident.standing, Standing::Explained { by: before, ticket: had } if known(before, *had)) {
                return incident.standing.clone();
            }
            return Standing::Explained { by, ticket };
        }
        // Those above are decided first. A map with a circle in it must not let them wait for each other.
        let id = &watched.device.id;
        let early = |until: Timestamp| now < until || (now < until + WAIT_MAX && self.is_open_above(id));
        match incident.standing {
            Standing::Waits { until }
                if early(until)
                    && (watched.waits_for_witness(incident.since) || !self.was_looked_at(watched, incident)) =>
            {
                Standing::Waits { until }
            }
            Standing::Explained { ticket, .. } => Standing::Returning { until: now + COME_BACK, ticket },
            Standing::Returning { until, ticket } if early(until) => Standing::Returning { until, ticket },
            Standing::Own | Standing::Waits { .. } | Standing::Returning { .. } => Standing::Own,
        }
    }

    /// The devices on the way to the gateway, the nearest first.
    pub(super) fn above<'engine>(&'engine self, device: &'engine str) -> impl Iterator<Item = &'engine String> {
        let parent = |at: &&String| self.state.parents.get(*at);
        let above = core::iter::successors(self.state.parents.get(device), parent);
        above.take_while(move |above| *above != device).take(HOPS_MAX)
    }

    /// The nearest of them that is out of reach by itself, and can be why the device is: somebody is told of it, and the device
    /// was not heard of long after it had gone.
    fn cause_of(&self, device: &str) -> Option<String> {
        let last = self.state.devices.get(device).and_then(|watched| watched.contact.last());
        let explains = |above: &&String| {
            let Some(watched) = self.state.out.get(*above).and_then(|id| self.state.devices.get(id)) else {
                return false;
            };
            let outages = watched.incidents.values().filter(|incident| is_own_outage(incident));
            let told = |incident: &Incident| incident.ticket.is_none_or(|number| self.state.tickets.is_open(number));
            // One that comes and goes may have shown itself meanwhile, and what hangs on it with it.
            let gone = |since: Timestamp| watched.contact.last().map_or(since, |heard| heard.max(since));
            let late = |since: Timestamp| gone(since) + watched.interval.saturating_mul(LAST_WORDS);
            outages.into_iter().any(|outage| told(outage) && last.is_none_or(|last| last <= late(outage.since)))
        };
        self.above(device).find(explains).cloned()
    }

    /// Whether it is open of one of them what its outage is.
    fn is_open_above(&self, device: &str) -> bool {
        let mut known = self.above(device).filter_map(|above| self.state.devices.get(above));
        known.any(|above| above.incidents.values().any(|incident| incident.standing != Standing::Own))
    }

    /// Whether what the device hangs on has shown since then that it is there. The device's next word was due an interval
    /// after its last, so a look before that may be from before both went.
    fn was_looked_at(&self, watched: &Watched, incident: &Incident) -> bool {
        let Some(parent) = self.state.parents.get(&watched.device.id).and_then(|id| self.state.devices.get(id)) else {
            return true;
        };
        let due = incident.since + watched.interval;
        parent.contact.last().is_some_and(|last| last >= due) && !is_doubtful(&self.state.rules, parent)
    }

    fn stand(&mut self, now: Timestamp, device: &str, fault: &Fault, standing: Standing) {
        let Self { state, unplaced, .. } = self;
        let Snapshot { devices, tickets, counters, .. } = state;
        let Some(watched) = devices.get_mut(device) else { return };
        let Some(incident) = watched.incidents.get_mut(fault) else { return };
        if let Some(ticket) = incident.standing.ticket().filter(|ticket| standing.ticket() != Some(*ticket)) {
            tickets.forget_affected(ticket, device);
        }
        match &standing {
            Standing::Own if incident.quiet.is_some() => {}
            Standing::Own => {
                unplaced.push(Unplaced::new(device, fault));
            }
            Standing::Explained { ticket, .. } => {
                counters.outages_explained += u64::from(!matches!(incident.standing, Standing::Explained { .. }));
                if let Some(ticket) = ticket.filter(|ticket| incident.standing.ticket() != Some(*ticket)) {
                    tickets.affect(now, ticket, Affected::of(&watched.device, incident.since));
                }
            }
            Standing::Waits { .. } | Standing::Returning { .. } => {}
        }
        incident.standing = standing;
        watched.retell_own(fault);
        self.touched.insert(device.into());
    }

    /// Tickets of a device that turn out to be signs of an outage above it end, unless somebody has touched them.
    fn absorb(&mut self, now: Timestamp, device: &str) {
        let Some(by) = self.cause_of(device) else { return };
        let Some(name) = self.state.devices.get(&by).map(|watched| watched.device.name.clone()) else { return };
        let Snapshot { devices, tickets, .. } = &mut self.state;
        let Some(watched) = devices.get_mut(device) else { return };
        for (fault, incident) in &mut watched.incidents {
            let fresh = incident.outage && incident.standing == Standing::Own;
            let Some(number) = incident.ticket.filter(|_| fresh && now <= incident.opened_at + MERGE_WITHIN) else {
                continue;
            };
            if tickets.is_untouched(number) {
                tickets.end_line(now, number, device, fault, &Ending::CutOff { by: name.clone() });
                incident.ticket = None;
                incident.standing = Standing::Waits { until: now + WAIT_MAX };
                self.freed = true;
            }
        }
        self.touched.insert(device.into());
    }

    fn rearm_cause(&mut self, now: Timestamp, device: &str) {
        let Some(watched) = self.state.devices.get(device) else { return };
        let until = |incident: &Incident| match incident.standing {
            Standing::Waits { .. } => Some(now + LOOK_AGAIN),
            Standing::Returning { until, .. } => Some(until.max(now + LOOK_AGAIN)),
            // Whatever ends the explanation tells it; this is for what nobody thought of.
            Standing::Explained { .. } => Some(now + COME_BACK),
            Standing::Own => None,
        };
        let next = watched.incidents.values().filter_map(until).min();
        self.state.timers.set(Purpose::Cause { device: device.into() }, next);
    }

    /// Everything that hangs on a device, directly or not.
    pub(super) fn below(&self, device: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut seen: BTreeSet<&str> = [device].into();
        let mut next = 0;
        let mut at = device;
        loop {
            for child in self.children.get(at).into_iter().flatten() {
                if seen.insert(child) {
                    found.push(child.clone());
                }
            }
            let Some((known, _)) = found.get(next).and_then(|id| self.state.parents.get_key_value(id)) else { break };
            at = known;
            next += 1;
        }
        found
    }

    /// Whether so many of those that hang on a device have fallen silent that its own silence needs no more proof.
    pub(super) fn is_forsaken(&self, device: &str) -> bool {
        let (mut silent, mut expected) = (0usize, 0usize);
        let below = self.below(device);
        let watched = below.iter().filter_map(|id| self.state.devices.get(id));
        // Laptops leave without a word, all of them at the last bell.
        for watched in watched.filter(|watched| watched.device.class != Class::Laptop) {
            let is_silent = watched.contact.is_cut_off() || watched.incidents.values().any(Incident::is_out);
            silent += usize::from(is_silent);
            expected += usize::from(is_silent || watched.contact.presence() == Presence::Present);
        }
        silent >= CROWD_MIN && silent * CROWD_PART >= expected
    }
}

/// Whether a device is out of reach by itself, and not because of another.
pub(super) fn has_outage(watched: &Watched) -> bool {
    watched.incidents.values().any(is_own_outage)
}

fn is_own_outage(incident: &Incident) -> bool {
    incident.is_out() && incident.standing == Standing::Own
}

fn outage_ticket(watched: &Watched) -> Option<u64> {
    watched.incidents.values().filter(|incident| is_own_outage(incident)).find_map(|incident| incident.ticket)
}

/// Whether it is out of reach, or seems to be.
fn is_doubtful(rules: &RuleSet, watched: &Watched) -> bool {
    let is_outage = |fault: &Fault| rules.get(&fault.rule).is_some_and(crate::rules::Rule::is_outage);
    watched.incidents.values().any(Incident::is_out) || watched.holds.keys().any(is_outage)
}
