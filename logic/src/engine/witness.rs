//! Who asks a device, and what others see of it: a device that its closet can't reach is not down if somebody else reaches it,
//! and one that nobody is left to ask is judged by what hangs on it.
//!
//! What it keeps:
//! - an outage waits, for a bounded time, for the next look of a witness if there is one; if that reaches the device, what is
//!   told is the way from the closet, not the device;
//! - when a closet, and much of what is known to hang on a switch that it alone asks, fall silent at about the same time, the
//!   switch is the cause;
//! - what only a silent closet watched is unknown, never down.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::{CROWD_MIN, CROWD_PART, LAST_WORDS};
use super::watched::Watched;
use super::{Engine, Turn};
use crate::device::{Class, LifeState};
use crate::hold::{Hold, Times};
use crate::incidents::{Evidence, Fault, Incident, Standing, Told};
use crate::presence::{INTERVALS, Presence};
use crate::rules::{Rule, Severity, Template, Verdict};
use crate::sample::{Sample, Value};
use crate::time::Timestamp;

/// How long an outage waits for the next look of a witness: witnesses look once a minute, and one may be lost. House.
pub const WITNESS_WAIT: Duration = Duration::from_secs(3 * 60);

/// A witness that looked so shortly before is expected to look again. House: ten looks.
pub const WITNESS_KNOWN: Duration = Duration::from_secs(10 * 60);

/// What fell silent within so long of the closet fell silent with it: agents that read every five minutes are heard of that
/// seldom. House.
pub const TOGETHER: Duration = Duration::from_secs(5 * 60);

/// The title of a switch that nobody is left to ask.
const FORSAKEN: &str = "{device} and all behind it are out of reach; nobody is left to ask it";

/// What is said of a way that is cut.
const WAY_ADVICE: &str = "The device is there: another closet reaches it. Look at the way between it and the closet that \
    can't: cable, port, VLAN, or an access list that lets only some ask.";

/// Who asks a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asker {
    pub(super) id: String,
    name: String,
}

/// What another agent saw last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Witness {
    at: Timestamp,
    pings: bool,
}

impl Watched {
    /// Whether a witness has not looked yet since a fault began, and is expected to.
    pub(super) fn waits_for_witness(&self, since: Timestamp) -> bool {
        self.witness.is_some_and(|witness| witness.at < since && since <= witness.at + WITNESS_KNOWN)
    }

    /// Whether a witness reached it after a fault began.
    fn is_reached(&self, since: Timestamp) -> bool {
        self.witness.is_some_and(|witness| witness.pings && witness.at >= since)
    }

    /// Tells an outage as what it is: the device's, or that of the way to it. Says whether that is news.
    pub(super) fn retell(&self, incident: &mut Incident) -> bool {
        let Some(asker) = self.asked_by.as_ref().filter(|_| incident.outage) else { return false };
        match (self.is_reached(incident.since), incident.device_told.take()) {
            (true, None) => {
                let title = format!("{} answers others, not {}", self.device.name, asker.name);
                let told = Told {
                    title: core::mem::replace(&mut incident.title, title),
                    advice: core::mem::replace(&mut incident.advice, WAY_ADVICE.into()),
                    severity: incident.severity,
                };
                incident.severity = incident.severity.min(Severity::Minor);
                incident.device_told = Some(Box::new(told));
                true
            }
            (false, Some(told)) => {
                (incident.title, incident.advice, incident.severity) = (told.title, told.advice, told.severity);
                true
            }
            (_, told) => {
                incident.device_told = told;
                false
            }
        }
    }

    /// Tells an outage of its own as what it is.
    pub(super) fn retell_own(&mut self, fault: &Fault) {
        let Some(mut incident) = self.incidents.remove(fault) else { return };
        if incident.standing == Standing::Own {
            self.retell(&mut incident);
        }
        self.incidents.insert(fault.clone(), incident);
    }

    fn is_silent(&self) -> bool {
        let out = self.incidents.values().any(Incident::is_out);
        out || self.contact.is_cut_off() || self.contact.presence() == Presence::Absent
    }
}

impl Turn<'_> {
    /// Another agent looked at a device.
    pub(super) fn hear_witness(&mut self, watched: &mut Watched, sample: &Sample) {
        let pings = sample.fields.iter().find(|(name, _)| name == "pings").map(|(_, value)| value);
        let Some(Value::Boolean(pings)) = pings else { return };
        if watched.witness.is_some_and(|before| before.at > sample.time) {
            return;
        }
        watched.witness = Some(Witness { at: sample.time, pings: *pings });
        let faults: Vec<Fault> = watched.incidents.keys().cloned().collect();
        for fault in faults {
            let Some(mut incident) = watched.incidents.remove(&fault) else { continue };
            if incident.standing == Standing::Own
                && watched.retell(&mut incident)
                && let Some(number) = incident.ticket
            {
                self.tickets.restate(self.now, number, &watched.device.id, &fault, &incident);
            }
            watched.incidents.insert(fault, incident);
        }
    }
}

/// What a crowd behind a switch says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crowd {
    silent: usize,
    expected: usize,
    /// The last word of any of the silent ones.
    last: Timestamp,
}

impl Engine {
    /// A closet asked these devices.
    pub(super) fn note_asker(&mut self, by: &str, devices: Vec<String>) {
        let name = self.state.devices.get(by).map_or_else(|| by.into(), |closet| closet.device.name.clone());
        for device in devices {
            let Some(watched) = self.state.devices.get_mut(&device).filter(|watched| watched.device.id != by) else {
                continue;
            };
            if watched.asked_by.as_ref().is_none_or(|asker| asker.id != by || asker.name != name) {
                watched.asked_by = Some(Asker { id: by.into(), name: name.clone() });
            }
        }
    }

    /// Whether nobody looks at a device at this time: whoever asks it is silent itself.
    pub(super) fn is_unwatched(&self, now: Timestamp, device: &str) -> bool {
        let Some(watched) = self.state.devices.get(device) else { return false };
        let Some(closet) = watched.asked_by.as_ref().and_then(|asker| self.state.devices.get(&asker.id)) else {
            return false;
        };
        let quiet = closet.interval.saturating_mul(INTERVALS);
        let late = closet.contact.last().is_none_or(|last| last + quiet < now);
        closet.contact.presence() != Presence::Present || closet.contact.is_cut_off() || late
    }

    /// A device has an outage that may be another's: finds the switch that took its closet along, if one did.
    pub(super) fn accuse(&mut self, now: Timestamp, device: &str) {
        let waits = |incident: &Incident| matches!(incident.standing, Standing::Waits { .. }) && incident.is_out();
        if !self.state.devices.get(device).is_some_and(|watched| watched.incidents.values().any(waits)) {
            return;
        }
        let Some((switch, crowd)) = self.suspect(device) else { return };
        let Some((rule, fault)) = self.outage_rule(&switch, crowd.last) else { return };
        let (mut turn, devices) = self.turn(now);
        let Some(watched) = devices.get_mut(&switch) else { return };
        let closet = watched.asked_by.as_ref().map(|asker| asker.name.clone()).unwrap_or_default();
        let reading = format!(
            "{closet}, which asks it, and {} of {} others behind it fell silent at about the same time",
            crowd.silent, crowd.expected
        );
        let evidence = Evidence { at: crowd.last, readings: [reading].into(), value: None };
        // It ends as any outage does: when the device has answered for some time.
        let at_once = Times { open_for: Duration::ZERO, clear_for: Duration::ZERO, gap: Duration::ZERO, readings: 0 };
        watched.holds.insert(fault.clone(), Hold::begin(crowd.last, at_once).0);
        turn.counters.outages_inferred += 1;
        turn.open(watched, &rule, fault.clone(), crowd.last, evidence, |_| None);
        self.stand_alone(now, &switch, &fault);
        self.touched.insert(switch);
    }

    /// The switch above a device that must be the cause: the farthest for which more speaks than for the one below it.
    fn suspect(&self, device: &str) -> Option<(String, Crowd)> {
        let mut found: Option<(String, Crowd)> = None;
        for above in self.above(device) {
            let Some(crowd) = self.crowd_against(above) else { continue };
            let enough = crowd.silent >= CROWD_MIN && crowd.silent * CROWD_PART >= crowd.expected;
            let more = found.as_ref().is_none_or(|(_, nearer)| crowd.silent > nearer.silent);
            if enough && more {
                found = Some((above.clone(), crowd));
            }
        }
        found
    }

    /// What fell silent behind a switch together with the closet that asks it; none if that is not so, or others reach it.
    fn crowd_against(&self, switch: &str) -> Option<Crowd> {
        let watched = self.state.devices.get(switch)?;
        let asker = &watched.asked_by.as_ref()?.id;
        let closet = self.state.devices.get(asker).filter(|closet| closet.is_silent())?;
        let gone = closet.contact.last()?;
        let heard = gone + watched.interval.saturating_mul(LAST_WORDS);
        let in_use = watched.device.state == LifeState::InUse && !watched.incidents.values().any(Incident::is_out);
        let asked_since = watched.contact.last().is_some_and(|last| last > heard);
        if !in_use || asked_since || watched.is_reached(gone) || !self.above(asker).any(|above| above == switch) {
            return None;
        }
        let mut crowd = Crowd { silent: 0, expected: 0, last: gone };
        for id in self.below(switch) {
            let Some(other) = self.state.devices.get(&id) else { continue };
            let counts = other.device.class != Class::Laptop && id != *asker && other.device.state == LifeState::InUse;
            // What the closet asked is as unknown as the switch.
            let blind = other.asked_by.as_ref().is_some_and(|by| by.id == *asker);
            let Some(last) = other.contact.last().filter(|_| counts && !blind) else { continue };
            let together = last.since(gone).max(gone.since(last)) <= TOGETHER;
            let silent = other.is_silent() && together;
            crowd.silent += usize::from(silent);
            crowd.expected += usize::from(silent || other.contact.presence() == Presence::Present);
            crowd.last = if silent { crowd.last.max(last) } else { crowd.last };
        }
        Some(crowd)
    }

    /// The rule that would find a device out of reach, told as what it is, and the fault that it would find.
    fn outage_rule(&self, device: &str, at: Timestamp) -> Option<(Rule, Fault)> {
        let class = self.state.devices.get(device)?.device.class;
        let silence = Sample {
            measurement: "snmp".into(),
            tags: Vec::new(),
            target: String::new(),
            time: at,
            fields: ["answered", "pings"].map(|name| (name.into(), Value::Boolean(false))).into(),
        };
        let finds = |rule: &&Rule| {
            let threshold = rule.check.threshold().filter(|_| rule.is_outage() && rule.applies_to(class));
            threshold.is_some_and(|it| it.looks_at(&silence) && it.verdict(&silence) == Verdict::Open)
        };
        let rule = self.state.rules.iter().find(finds)?;
        let fault = Fault { rule: rule.id.clone(), tags: rule.check.threshold()?.subject(&silence) };
        let title: Template = Template::try_from(String::from(FORSAKEN)).ok()?;
        Some((Rule { title, ..rule.clone() }, fault))
    }
}
