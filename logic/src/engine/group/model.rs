//! Faults that devices of one model share: a bad batch is one order and one claim, not forty visits.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::{Group, named_text};
use crate::engine::Engine;
use crate::incidents::{Fault, Incident, Standing};
use crate::tickets::{About, Plan, Words};
use crate::time::Timestamp;

/// So many devices of a model with one rule's fault are one problem. House, as [`COHORT_WITHIN`]: ITIL's problem record asks
/// for several incidents with one cause and names no number.
pub const COHORT_MIN: usize = 3;

/// If their faults were found within so long.
pub const COHORT_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Engine {
    /// Puts a device's fault on a ticket about its model, if others have it.
    pub(in crate::engine) fn place_cohort(&mut self, now: Timestamp, device: &str, fault: &Fault) -> bool {
        let Some(watched) = self.state.devices.get(device).filter(|watched| !watched.device.model.is_empty()) else {
            return false;
        };
        let model = watched.device.model.clone();
        let about = About::Model { model: model.clone(), rule: fault.rule.clone() };
        if let Some(number) = self.open_group(|ticket, _| ticket.about == about) {
            self.join(now, number, device, fault);
            self.reword_cohort(now, number);
            self.show_if_urgent(now, number);
            return true;
        }
        let peers = self.peers(now, &model, &fault.rule);
        let devices: BTreeSet<&String> = peers.iter().map(|(device, ..)| device).collect();
        if devices.len() < COHORT_MIN {
            return false;
        }
        self.form_cohort(now, about, peers)
    }

    /// The devices of a model with open faults of one rule that were found lately, each with its ticket.
    fn peers(&self, now: Timestamp, model: &str, rule: &str) -> Vec<(String, Fault, Option<u64>)> {
        let waits = |incident: &Incident| incident.ticket.is_none_or(|number| self.state.tickets.is_open(number));
        let fits = |fault: &Fault, incident: &Incident| {
            fault.rule == rule
                && incident.cohort
                && !incident.alone
                && incident.standing == Standing::Own
                && now <= incident.opened_at + COHORT_WITHIN
                && waits(incident)
        };
        let watched = self.places.model(model).filter_map(|id| self.state.devices.get(id));
        let peers = watched.flat_map(|watched| {
            let theirs = watched.incidents.iter().filter(|(fault, incident)| fits(fault, incident));
            theirs.map(|(fault, incident)| (watched.device.id.clone(), fault.clone(), incident.ticket))
        });
        peers.collect()
    }

    fn form_cohort(&mut self, now: Timestamp, about: About, peers: Vec<(String, Fault, Option<u64>)>) -> bool {
        let mut group = Group { since: now, ..Group::default() };
        let mut members = Vec::new();
        for (device, fault, ticket) in peers {
            match ticket {
                Some(number) if !self.state.tickets.is_untouched(number) => group.named.push(number),
                _ => members.push((device, fault)),
            }
        }
        group.named.sort_unstable();
        group.named.dedup();
        let Some(first) = members.first().and_then(|(device, fault)| self.incident(device, fault)) else {
            return false;
        };
        let (kind, category, severity) = (first.kind, first.category.clone(), first.severity);
        let words = Words { title: String::new(), reason: String::new(), advice: String::new() };
        let words = self.cohort_words(&about, &group, members.len()).unwrap_or(words);
        let plan = Plan { about, site: String::new(), room: String::new(), kind, category, severity, words };
        let Some(number) = self.form(now, plan, group, &members) else { return false };
        self.reword_cohort(now, number);
        self.state.counters.cohorts += 1;
        self.raised(now, number);
        true
    }

    /// Says anew how many devices share the fault.
    pub(super) fn reword_cohort(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.state.tickets.get(number) else { return };
        let Some(group) = self.state.groups.get(&number) else { return };
        let devices: BTreeSet<&str> = ticket.devices_at_fault().collect();
        let devices = devices.len() + usize::try_from(ticket.lines_more).unwrap_or_default();
        if let Some(words) =
            self.cohort_words(&ticket.about, group, devices).filter(|words| words.title != ticket.title)
        {
            self.state.tickets.reword(now, number, words);
        }
    }

    fn cohort_words(&self, about: &About, group: &Group, devices: usize) -> Option<Words> {
        let About::Model { model, rule } = about else { return None };
        let rule = self.state.rules.get(rule);
        let plural = rule.and_then(|rule| rule.plural.as_deref()).unwrap_or("devices with the same fault");
        let named = group.named.iter().filter(|number| self.state.tickets.is_open(**number)).count();
        let all = devices + named;
        let days = COHORT_WITHIN.as_secs() / (24 * 60 * 60);
        let part = rule.map(|rule| format!(" For each: {}", rule.advice)).unwrap_or_default();
        Some(Words {
            title: format!("{model}: {all} {}", if all == 1 { "device with this fault" } else { plural }),
            reason: format!(
                "At least {COHORT_MIN} devices of one model have the same fault within {days} days: a batch or an age, and one \
                 order.{}",
                named_text(&group.named)
            ),
            advice: format!(
                "One order, one claim: collect the serial numbers of these devices for a warranty pack, look up the \
                 warranty and ask the vendor whether the batch is known; then order the parts for all together.{part}"
            )
            .to_string(),
        })
    }
}
