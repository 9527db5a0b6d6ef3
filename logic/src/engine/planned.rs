//! Planned changes and testing windows: faults that are quiet for a while, and what becomes of them afterwards.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Effect, Engine, Turn};
use crate::device::Device;
use crate::incidents::{Ending, Fault, Incident, Quiet};
use crate::plans::{NewPlan, Silenced};
use crate::rules::{Rule, Severity};
use crate::time::Timestamp;
use crate::timer::Purpose;

/// Between two looks at whether a testing window is over.
const TESTS_LOOK: Duration = Duration::from_secs(60);

impl Turn<'_> {
    /// Why a fault is quiet for a while; none if it is not. What is about safety never is, and what is critical without being
    /// an outage only by a change that names the device or the rule: a disk that fails is no part of painting a building.
    pub(super) fn quiet_for_now(&self, device: &Device, rule: &Rule, since: Timestamp) -> Option<Quiet> {
        if rule.safety {
            return None;
        }
        let named_only = rule.severity == Severity::Critical && !rule.is_outage();
        if let Some(change) = self.plans.silencer(self.now, since, device, &rule.id, named_only) {
            return Some(Quiet::Planned { change });
        }
        let waits = rule.waits_for_tests && rule.severity < Severity::Critical;
        let tests = || self.book.school(&device.site).is_some_and(|school| school.testing(self.now).is_some());
        (waits && tests()).then_some(Quiet::Testing)
    }

    /// Notes on a planned change what it silenced.
    pub(super) fn note_silenced(&mut self, device: &Device, incident: &Incident) {
        let Some(Quiet::Planned { change }) = incident.quiet else { return };
        self.counters.silenced += 1;
        let silenced = Silenced { device: device.id.clone(), title: incident.title.clone(), at: self.now };
        self.plans.note(change, silenced);
    }
}

impl Engine {
    /// A person plans a change.
    pub(super) fn plan(&mut self, now: Timestamp, actor: String, plan: NewPlan) {
        match self.state.plans.make(now, actor, plan) {
            Ok(number) => self.follow_plan(now, number),
            Err(_) => self.state.counters.plans_refused += 1,
        }
    }

    /// A person ends one early, or takes it back.
    pub(super) fn end_plan(&mut self, now: Timestamp, number: u64, actor: String, takes_back: bool) {
        match self.state.plans.end(now, number, actor, takes_back) {
            true => self.follow_plan(now, number),
            false => self.state.counters.plans_refused += 1,
        }
    }

    /// A planned change was made or ended, or its time has come.
    pub(super) fn follow_plan(&mut self, now: Timestamp, number: u64) {
        let Some(plan) = self.state.plans.get(number) else { return };
        if now >= plan.settled_at() {
            self.release_plan(now, number);
            return;
        }
        if now >= plan.from && plan.ended_by.is_none() {
            self.tell_tickets(now, number);
        }
        let next = self.state.plans.get(number).map(|plan| plan.next(now));
        self.state.timers.set(Purpose::Plan { number }, next);
    }

    /// Tells the open tickets that a change covers of it.
    fn tell_tickets(&mut self, now: Timestamp, number: u64) {
        let super::Snapshot { plans, devices, tickets, .. } = &mut self.state;
        let Some(plan) = plans.get(number) else { return };
        let text = alloc::format!(
            "Planned change {number} by {} covers this: {}. What it silences until its end makes no tickets.",
            plan.actor,
            plan.why
        );
        let mut covered: BTreeSet<u64> = BTreeSet::new();
        for watched in devices.values().filter(|watched| !watched.incidents.is_empty()) {
            let with_ticket = watched.incidents.iter().filter_map(|(fault, incident)| Some((fault, incident.ticket?)));
            let fits = with_ticket.filter(|(fault, _)| plans.covers(number, &watched.device, &fault.rule));
            covered.extend(fits.map(|(_, ticket)| ticket).filter(|ticket| tickets.is_open(*ticket)));
        }
        covered.into_iter().for_each(|ticket| tickets.remark(now, ticket, None, &text));
    }

    /// A change is over: what is still wrong has its ticket now.
    fn release_plan(&mut self, now: Timestamp, number: u64) {
        self.state.timers.set(Purpose::Plan { number }, None);
        let left = self.release(now, |quiet| quiet == Quiet::Planned { change: number });
        self.state.plans.close(number, left);
    }

    /// A testing window may be over.
    pub(super) fn look_at_tests(&mut self, now: Timestamp) {
        let held = core::mem::take(&mut self.state.in_tests);
        for device in held {
            let (turn, devices) = self.turn(now);
            let Some(watched) = devices.get(&device) else { continue };
            if turn.book.school(&watched.device.site).is_some_and(|school| school.testing(now).is_some()) {
                self.state.in_tests.insert(device);
            } else {
                self.release_of(now, &device, |quiet| quiet == Quiet::Testing);
            }
        }
        self.arm_tests(now);
    }

    /// Notes that a device has a fault that waits for the end of tests.
    pub(super) fn note_tests(&mut self, now: Timestamp, device: &str) {
        let Some(watched) = self.state.devices.get(device) else { return };
        let waits = watched.incidents.values().any(|incident| incident.quiet == Some(Quiet::Testing));
        if waits && self.state.in_tests.insert(device.into()) {
            self.arm_tests(now);
        }
    }

    fn arm_tests(&mut self, now: Timestamp) {
        let next = (!self.state.in_tests.is_empty()).then(|| now + TESTS_LOOK);
        self.state.timers.set(Purpose::Tests, next);
    }

    /// Ends the quiet of faults everywhere; says how many were.
    fn release(&mut self, now: Timestamp, which: impl Fn(Quiet) -> bool) -> u64 {
        let has = |incident: &Incident| incident.quiet.is_some_and(&which);
        let all = self.state.devices.values();
        let devices: Vec<String> = all
            .filter(|watched| watched.incidents.values().any(has))
            .map(|watched| watched.device.id.clone())
            .collect();
        devices.iter().map(|device| self.release_of(now, device, &which)).sum()
    }

    fn release_of(&mut self, now: Timestamp, device: &str, which: impl Fn(Quiet) -> bool) -> u64 {
        let (mut turn, devices) = self.turn(now);
        let Some(watched) = devices.get_mut(device) else { return 0 };
        let quiet = watched.incidents.iter().filter(|(_, incident)| incident.quiet.is_some_and(&which));
        let faults: Vec<Fault> = quiet.map(|(fault, _)| fault.clone()).collect();
        let mut left = 0;
        for fault in &faults {
            let Some(incident) = watched.incidents.get(fault) else { continue };
            if let Some(good_since) = incident.good_since {
                // It came and went during the change, and is well now: that was the change.
                watched.flaps.remove(fault);
                let r#for = crate::span::Span(now.since(good_since));
                turn.end_for_good(watched, fault, &Ending::ProvenGood { r#for });
                continue;
            }
            let since = incident.since;
            let rule = turn.rules.get(&fault.rule).and_then(|rule| rule.of(&watched.device));
            let again = rule.and_then(|rule| turn.quiet(watched, rule, since));
            let Some(incident) = watched.incidents.get_mut(fault) else { continue };
            incident.quiet = again;
            turn.note_silenced(&watched.device, incident);
            turn.wants_ticket(&watched.device, fault, incident);
            left += u64::from(incident.quiet.is_none());
        }
        self.weigh(now, device);
        self.below_again(now, device);
        self.touched.insert(device.into());
        left
    }

    /// What changed about planned changes in this turn.
    pub(super) fn flush_plans(&mut self) {
        let changes = self.state.plans.take_changes();
        self.state.effects.extend(changes.map(|plan| Effect::Plan(Box::new(plan))));
    }
}
