//! School time that turns out to be other than it was thought: what it explains is withdrawn, and what counts after all
//! comes back.
//!
//! Only rules that count school time are looked at: a switch that is down is down on a day off, too.

use alloc::string::String;
use alloc::vec::Vec;

use super::silence::counted;
use super::watched::Watched;
use super::{Engine, Turn};
use crate::calendar::CalendarRefusal;
use crate::incidents::{Ending, Fault, Incident};
use crate::presence::Presence;
use crate::rules::{Check, Expected, Threshold};
use crate::span::Passing;
use crate::tickets::Affected;
use crate::time::Timestamp;

impl Engine {
    /// A building's school time may be another now; of an empty name: of every building.
    pub(super) fn reckon_anew(&mut self, now: Timestamp, site: &str, changes: Result<bool, CalendarRefusal>) {
        match changes {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                self.state.counters.calendars_refused += 1;
                return;
            }
        }
        self.look_at_all(site);
        let at_site = |watched: &&Watched| site.is_empty() || watched.device.site == site;
        let devices: Vec<String> =
            self.state.devices.values().filter(at_site).map(|watched| watched.device.id.clone()).collect();
        for device in devices {
            let (mut turn, watched) = self.turn(now);
            if let Some(watched) = watched.get_mut(&device) {
                turn.withdraw_what_is_explained(watched);
                turn.restore_what_counts(watched);
            }
            self.rearm(&device);
            self.weigh(now, &device);
            self.touched.insert(device);
        }
    }
}

impl Turn<'_> {
    fn withdraw_what_is_explained(&mut self, watched: &mut Watched) {
        let explained: Vec<Fault> = watched
            .incidents
            .iter()
            // What a person has closed stays closed, and nothing else waits for it.
            .filter(|(_, incident)| incident.ticket.is_none_or(|number| self.tickets.is_open(number)))
            .filter(|(fault, incident)| !self.counts(watched, fault, incident))
            .map(|(fault, _)| fault.clone())
            .collect();
        for fault in explained {
            self.withdraw(watched, fault);
        }
    }

    fn withdraw(&mut self, watched: &mut Watched, fault: Fault) {
        let Some(mut incident) = watched.incidents.remove(&fault) else { return };
        if let Some(number) = incident.ticket.take() {
            self.tickets.end_line(self.now, number, &watched.device.id, &fault, &Ending::BuildingClosed);
        }
        if let Some(number) = incident.standing.ticket() {
            self.tickets.unaffect(self.now, number, &watched.device.id);
        }
        self.counters.withdrawn += 1;
        if let Some(hold) = watched.holds.get_mut(&fault) {
            hold.suspend();
            watched.withdrawn.insert(fault, incident);
        }
    }

    fn restore_what_counts(&mut self, watched: &mut Watched) {
        let back: Vec<Fault> = watched
            .withdrawn
            .iter()
            .filter(|(fault, incident)| self.counts(watched, fault, incident))
            .map(|(fault, _)| fault.clone())
            .collect();
        for fault in back {
            let Some(mut incident) = watched.withdrawn.remove(&fault) else { continue };
            let Some(hold) = watched.holds.get_mut(&fault) else { continue };
            hold.resume();
            incident.opened_at = self.now;
            // A planned change that silenced it may be over by now.
            let rule = self.rules.get(&fault.rule);
            incident.quiet = rule.and_then(|rule| self.quiet(watched, rule, incident.since));
            self.wants_ticket(&watched.device, &fault, &incident);
            if let Some(number) = incident.standing.ticket() {
                // It was noted as back when the building counted as closed.
                self.tickets.affect(self.now, number, Affected::of(&watched.device, incident.since));
            }
            self.counters.incidents += 1;
            watched.incidents.insert(fault, incident);
        }
    }

    /// Whether a fault that counted still does by what is known of school time now. When in doubt it does.
    fn counts(&self, watched: &Watched, fault: &Fault, incident: &Incident) -> bool {
        let Some(rule) = self.rules.get(&fault.rule).and_then(|rule| rule.of(&watched.device)) else { return true };
        match &rule.check {
            Check::Absence(absence)
                if absence.expected == Expected::InSession || absence.r#for.passing == Passing::School =>
            {
                let is_back = watched.contact.presence() == Presence::Present;
                let until = if is_back { watched.contact.since() } else { self.now }.max(incident.opened_at);
                counted(self.book, watched, absence, incident.since, absence.r#for.span) <= until
            }
            Check::Absence(_) => true,
            check => check.threshold().is_none_or(|threshold| self.lasted(watched, fault, incident, threshold)),
        }
    }

    fn lasted(&self, watched: &Watched, fault: &Fault, incident: &Incident, threshold: &Threshold) -> bool {
        if threshold.r#for.passing == Passing::Clock {
            return true;
        }
        let Some(school) = self.book.school(&watched.device.site) else { return true };
        let until = watched.holds.get(fault).and_then(|hold| hold.bad_until()).unwrap_or(incident.opened_at);
        school.between(incident.since, until) >= threshold.r#for.span
    }
}
