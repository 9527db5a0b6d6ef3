//! Faults that come and go: one ticket that stays open until it is calm.
//!
//! What is weighed is how a fault of its own opened and was over; what another outage explains is not the device's flapping.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::watched::Watched;
use super::{Engine, Turn};
use crate::flapping::Flap;
use crate::incidents::{Ending, Evidence, Fault, Standing};
use crate::rules::{Check, Rule};
use crate::tickets::ComesAndGoes;
use crate::time::Timestamp;
use crate::timer::Purpose;

/// Faults of one device whose coming and going is remembered: each access point of a controller. What does not come and go yet
/// makes room first.
pub const FLAPS_MAX: usize = 256;

impl Turn<'_> {
    /// A fault that is kept open because it comes and goes is there again, since then. Says whether it is such a one.
    pub(super) fn comes_back(
        &mut self,
        watched: &mut Watched,
        fault: &Fault,
        since: Timestamp,
        evidence: &Evidence,
    ) -> bool {
        let Some(incident) = watched.incidents.get_mut(fault).filter(|incident| incident.good_since.is_some()) else {
            return false;
        };
        if let Some(number) = incident.ticket.filter(|number| !self.tickets.is_open(*number)) {
            // Somebody has mended it meanwhile: this is no more of the same, and worth a reminder.
            let r#for = crate::span::Span(self.now.since(incident.good_since.unwrap_or(self.now)));
            let ending = Ending::ProvenGood { r#for };
            self.tickets.end_line(self.now, number, &watched.device.id, fault, &ending);
            watched.incidents.remove(fault);
            watched.flaps.remove(fault);
            return false;
        }
        incident.good_since = None;
        incident.since = since;
        incident.worst.at = evidence.at;
        if let Some(flap) = watched.flaps.get_mut(fault) {
            flap.change(self.now, true);
        }
        self.tell_flap(watched, fault);
        true
    }

    /// A fault is proven good. Says whether it is kept open all the same, because it comes and goes.
    pub(super) fn goes(&mut self, watched: &mut Watched, fault: &Fault, ending: &Ending) -> bool {
        let Some(incident) = watched.incidents.get_mut(fault) else { return false };
        let proven = matches!(ending, Ending::ProvenGood { .. });
        if !proven || incident.standing != Standing::Own {
            watched.flaps.remove(fault);
            return false;
        }
        let Some(rule) = self.rules.get(&fault.rule).and_then(|rule| rule.of(&watched.device)) else {
            return false;
        };
        let opened_at = incident.opened_at;
        if !make_room(watched, fault, self.now) {
            return false;
        }
        let Some(incident) = watched.incidents.get_mut(fault) else { return false };
        let flap = watched.flaps.entry(fault.clone()).or_insert_with(|| Flap::new(cycle(rule)));
        let began_open = !flap.is_open() && flap.change(opened_at, true);
        let begins = flap.change(self.now, false) || began_open;
        if !flap.is_flapping() {
            return false;
        }
        incident.good_since = Some(self.now);
        watched.holds.remove(fault);
        self.counters.flapping += u64::from(begins);
        if let (true, Some(number)) = (begins, incident.ticket) {
            let text =
                alloc::format!("It comes and goes: {}. This ticket stays open until it is calm.", incident.title);
            self.tickets.remark(self.now, number, None, &text);
        }
        self.tell_flap(watched, fault);
        true
    }

    /// Notes on the ticket how often it came.
    fn tell_flap(&mut self, watched: &Watched, fault: &Fault) {
        let Some(number) = watched.incidents.get(fault).and_then(|incident| incident.ticket) else { return };
        let flap = watched.flaps.get(fault);
        let note = flap.and_then(|flap| Some(ComesAndGoes { times: flap.times(), since: flap.began()? }));
        self.tickets.comes_and_goes(self.now, number, &watched.device.id, fault, note);
    }

    /// Ends what is calm again. Says which faults come and go no more.
    fn calm_down(&mut self, watched: &mut Watched) {
        let now = self.now;
        let calm: Vec<Fault> =
            watched.flaps.iter_mut().filter_map(|(fault, flap)| flap.calms_down(now).then(|| fault.clone())).collect();
        for fault in calm {
            self.tell_flap(watched, &fault);
            let good_since = watched.incidents.get(&fault).and_then(|incident| incident.good_since);
            if let Some(since) = good_since {
                watched.flaps.remove(&fault);
                let r#for = crate::span::Span(now.since(since));
                self.end_for_good(watched, &fault, &Ending::ProvenGood { r#for });
            }
        }
        watched.flaps.retain(|_, flap| !flap.is_forgotten(now));
    }
}

/// Makes room for one more fault's coming and going; false if all that are remembered come and go.
fn make_room(watched: &mut Watched, fault: &Fault, now: Timestamp) -> bool {
    let flaps = &mut watched.flaps;
    if flaps.len() < FLAPS_MAX || flaps.contains_key(fault) {
        return true;
    }
    flaps.retain(|_, flap| !flap.is_forgotten(now));
    if flaps.len() >= FLAPS_MAX {
        let idle = flaps.iter().find(|(_, flap)| !flap.is_flapping()).map(|(idle, _)| idle.clone());
        idle.map(|idle| flaps.remove(&idle));
    }
    flaps.len() < FLAPS_MAX
}

/// How long a fault of a rule takes at least to open and to be over.
fn cycle(rule: &Rule) -> Duration {
    match (&rule.check, rule.check.threshold()) {
        (Check::Absence(absence), _) => absence.r#for.span + absence.clear_for.0,
        (_, Some(threshold)) => threshold.r#for.span + threshold.clear_for.0,
        (_, None) => Duration::ZERO,
    }
}

impl Engine {
    /// It is time to look whether a device's faults are calm.
    pub(super) fn look_at_flaps(&mut self, now: Timestamp, device: &str) {
        let (mut turn, devices) = self.turn(now);
        let Some(watched) = devices.get_mut(device) else { return };
        turn.calm_down(watched);
        self.weigh(now, device);
        self.touched.insert(device.into());
    }

    /// Sees to it that what flaps is looked at again.
    pub(super) fn note_flaps(&mut self, now: Timestamp, device: &String) {
        let Some(watched) = self.state.devices.get(device) else { return };
        let flapping = watched.flaps.values().filter(|flap| flap.is_flapping());
        let Some(next) = flapping.map(|flap| flap.look_again(now)).min() else { return };
        let purpose = Purpose::Flap { device: device.clone() };
        if !self.state.timers.has(&purpose) {
            self.state.timers.set(purpose, Some(next));
        }
    }
}
