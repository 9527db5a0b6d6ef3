//! From a verdict to an incident to a ticket, and back.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::cause::WAIT_MAX;
use super::place::Unplaced;
use super::sight::Editions;
use super::watched::Watched;
use super::witness::WITNESS_WAIT;
use super::{Counters, Settings};
use crate::calendar::Book;
use crate::device::{Device, LifeState};
use crate::incidents::{Ending, Evidence, Fault, Incident, Quiet, Standing};
use crate::plans::Plans;
use crate::rules::{Rule, RuleSet, Shown};
use crate::tickets::Tickets;
use crate::time::Timestamp;

/// One input's turn: the time, and what its consequences need.
pub(super) struct Turn<'engine> {
    pub(super) now: Timestamp,
    pub(super) rules: &'engine RuleSet,
    pub(super) book: &'engine Book,
    pub(super) parents: &'engine BTreeMap<String, String>,
    /// So much of what hangs on the device is silent that its own silence needs no more proof.
    pub(super) forsaken: bool,
    pub(super) editions: &'engine Editions,
    pub(super) plans: &'engine mut Plans,
    pub(super) settings: Settings,
    pub(super) tickets: &'engine mut Tickets,
    pub(super) counters: &'engine mut Counters,
    /// Problems of their own that have no ticket yet.
    pub(super) unplaced: &'engine mut Vec<Unplaced>,
}

impl Turn<'_> {
    /// A fault counts from now on.
    pub(super) fn open(
        &mut self,
        watched: &mut Watched,
        rule: &Rule,
        fault: Fault,
        since: Timestamp,
        evidence: Evidence,
        lookup: impl Fn(&str) -> Option<Shown>,
    ) {
        if self.comes_back(watched, &fault, since, &evidence) {
            return;
        }
        let device = &watched.device;
        let outage = rule.is_outage();
        let standing = match (outage, self.parents.contains_key(&device.id), watched.waits_for_witness(since)) {
            (true, true, _) => Standing::Waits { until: self.now + WAIT_MAX },
            (true, false, true) => Standing::Waits { until: self.now + WITNESS_WAIT },
            _ => Standing::Own,
        };
        let mut incident = Incident {
            opened_at: self.now,
            since,
            severity: rule.severity,
            kind: rule.ticket,
            category: rule.category.clone(),
            title: rule.title.render(|name| of_device(device, name).or_else(|| lookup(name))),
            advice: rule.advice.clone(),
            runbook: rule.runbook.clone(),
            opening: evidence.clone(),
            worst: evidence,
            unwritten: false,
            updates: 0,
            written_at: self.now,
            cohort: rule.cohort,
            safety: rule.safety,
            alone: false,
            outage,
            device_told: None,
            standing,
            quiet: self.quiet(watched, rule, since),
            good_since: None,
            ticket: None,
        };
        self.counters.listed += u64::from(matches!(incident.quiet, Some(Quiet::FirstSight | Quiet::List)));
        self.note_silenced(device, &incident);
        if incident.standing == Standing::Own {
            watched.retell(&mut incident);
        }
        self.wants_ticket(device, &fault, &incident);
        self.counters.incidents += 1;
        watched.incidents.insert(fault, incident);
    }

    /// A problem of its own will have a ticket, alone or with others, once the turn is over.
    pub(super) fn wants_ticket(&mut self, device: &Device, fault: &Fault, incident: &Incident) {
        if incident.standing == Standing::Own && incident.quiet.is_none() {
            self.unplaced.push(Unplaced::new(&device.id, fault));
        }
    }

    /// A fault is over, unless it is one that comes and goes.
    pub(super) fn end(&mut self, watched: &mut Watched, fault: &Fault, ending: &Ending) {
        if !self.goes(watched, fault, ending) {
            self.end_for_good(watched, fault, ending);
        }
    }

    /// A fault is over.
    pub(super) fn end_for_good(&mut self, watched: &mut Watched, fault: &Fault, ending: &Ending) {
        watched.holds.remove(fault);
        watched.withdrawn.remove(fault);
        let Some(incident) = watched.incidents.remove(fault) else { return };
        if let Some(number) = incident.ticket {
            self.tickets.end_line(self.now, number, &watched.device.id, fault, ending);
            self.place_what_had_no_room(watched, &incident.category);
        }
        if let Some(number) = incident.standing.ticket() {
            self.tickets.unaffect(self.now, number, &watched.device.id);
        }
    }

    /// A ticket has room for a line again: for faults of the device for which there was none.
    fn place_what_had_no_room(&mut self, watched: &Watched, category: &str) {
        for (fault, incident) in &watched.incidents {
            if incident.ticket.is_none() && incident.category == category {
                self.wants_ticket(&watched.device, fault, incident);
            }
        }
    }

    /// Ends faults that no rule looks for any more, and forgets those that did not count yet.
    pub(super) fn end_what_is_not_judged(&mut self, watched: &mut Watched) {
        let device = watched.device.clone();
        let rules = self.rules;
        watched.holds.retain(|fault, hold| !hold.is_pending() || why_not(rules, fault, &device).is_none());
        let holds = &watched.holds;
        watched.withdrawn.retain(|fault, _| holds.contains_key(fault));
        watched.tracks.retain(|fault, _| rules.get(&fault.rule).is_some());
        let over: Vec<(Fault, Ending)> = watched
            .incidents
            .keys()
            .filter_map(|fault| Some((fault.clone(), why_not(rules, fault, &device)?)))
            .collect();
        for (fault, ending) in over {
            self.end(watched, &fault, &ending);
        }
    }
}

/// Why a fault of a device is not judged; nothing if it is. A device that is taken away to be repaired keeps the
/// faults that it was taken away for; only its silence stops meaning anything.
fn why_not(rules: &RuleSet, fault: &Fault, device: &Device) -> Option<Ending> {
    let Some(rule) = rules.get(&fault.rule) else { return Some(Ending::RuleGone) };
    if !rule.applies_to(device.class) {
        return Some(Ending::OtherClass);
    }
    if rule.of(device).is_none() {
        return Some(Ending::RuleGone);
    }
    let kept = match device.state {
        LifeState::InUse => true,
        LifeState::InRepair => rule.check.threshold().is_some(),
        _ => false,
    };
    (!kept).then_some(Ending::NotInUse { state: device.state })
}

/// What a placeholder stands for that every rule knows.
fn of_device(device: &Device, placeholder: &str) -> Option<Shown> {
    let text = match placeholder {
        "device" => device.name.as_str(),
        "room" if device.room.is_empty() => "an unnamed room",
        "room" => device.room.as_str(),
        "site" => device.site.as_str(),
        "class" => device.class.as_str(),
        _ => return None,
    };
    Some(Shown::Text(text.to_string()))
}
