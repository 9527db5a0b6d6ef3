//! First sight: what is wrong already when it is first looked at is known for years. It goes on a planning list, and only
//! what changes later makes work.
//!
//! What it keeps:
//! - a fault that began within a device's first hours, or within the first hours of a rule, has no ticket;
//! - outages, critical faults and those of rules for safety always have one;
//! - it has one as soon as it is materially worse than it was found, and when a person says so;
//! - hours are those in which the device was there and said something: a laptop that is opened once a week is first seen for
//!   as long as a server.
//!
//! Rules that are lists by nature (`list = true`) are listed the same way, for ever.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::Unplaced;
use super::watched::Watched;
use super::{Effect, Engine, Turn};
use crate::incidents::{Fault, Incident, Quiet};
use crate::rules::{Check, Rule, RuleSet, Severity, Test, Threshold, TicketKind};
use crate::time::Timestamp;

/// So much of its limit a reading must be worse than it was found before it is news: a disk found 92 % full at 96.5 %, a
/// battery found at 55 % of its health at 52 %. House.
pub const MATERIAL_PART: f64 = 0.05;

/// First looks that are remembered of one device: its own, and those of rules that came later. House: rules change some times
/// a year, and a look is over after hours.
pub const LOOKS_MAX: usize = 4;

/// Faults that one act turns into tickets. More than a team can work off; the page sends several acts for a longer row.
pub const RAISED_MAX: usize = 500;

/// Which rules came into force when, counted by changes of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Editions {
    now: u32,
    rules: BTreeMap<String, u32>,
}

impl Editions {
    /// The rules are others now: notes which are new, or ask another question than before. Says whether any is.
    pub(super) fn note(&mut self, before: &RuleSet, after: &RuleSet) -> bool {
        let is_new = |rule: &&Rule| before.get(&rule.id).is_none_or(|old| old.check != rule.check);
        let new: Vec<String> = after.iter().filter(is_new).map(|rule| rule.id.clone()).collect();
        self.rules.retain(|rule, _| after.get(rule).is_some());
        if new.is_empty() {
            return false;
        }
        self.now = self.now.saturating_add(1);
        self.rules.extend(new.into_iter().map(|rule| (rule, self.now)));
        true
    }

    fn of(&self, rule: &str) -> u32 {
        self.rules.get(rule).copied().unwrap_or_default()
    }
}

/// What is new about a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sights {
    /// For how long it has reported.
    reported: Duration,
    looks: Vec<Look>,
}

/// A first look at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    /// By the rules of these editions.
    from: u32,
    to: u32,
    /// For how long the device had reported when it began.
    since: Duration,
    /// When it was over: a fault that had begun by then counts as found.
    over_at: Option<Timestamp>,
}

impl Sights {
    /// The device is new, or another kind of device than before: all rules look at it for the first time.
    pub(super) fn begin(&mut self, editions: &Editions) {
        self.look(0, editions.now);
    }

    /// The newest edition's rules look at it for the first time.
    pub(super) fn go_on(&mut self, editions: &Editions) {
        self.look(editions.now, editions.now);
    }

    fn look(&mut self, from: u32, to: u32) {
        if self.looks.len() >= LOOKS_MAX {
            self.looks.remove(0);
        }
        self.looks.push(Look { from, to, since: self.reported, over_at: None });
    }

    /// The device has reported for so long, up to its newest sample.
    pub(super) fn pass(&mut self, reported: Duration, newest: Timestamp, window: Duration) {
        self.reported = self.reported.saturating_add(reported);
        for look in self.looks.iter_mut().filter(|look| look.over_at.is_none()) {
            if self.reported >= look.since.saturating_add(window) {
                look.over_at = Some(newest);
            }
        }
    }

    fn is_first(&self, edition: u32, since: Timestamp) -> bool {
        let finds = |look: &Look| {
            (look.from..=look.to).contains(&edition) && look.over_at.is_none_or(|over_at| since <= over_at)
        };
        self.looks.iter().any(finds)
    }
}

/// An entry of the planning list: a fault that has no ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The device's id.
    pub device: String,
    /// Rule and subject.
    pub fault: Fault,
    /// Why it has none.
    pub because: Quiet,
    /// One plain line.
    pub title: String,
    /// What to do.
    pub advice: String,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of work it would make.
    pub kind: TicketKind,
    /// The category of the ticket that it would have.
    pub category: String,
    /// When the fault began, as far as is known.
    pub since: Timestamp,
    /// The worst readings that were written down.
    pub readings: Vec<String>,
}

impl Listing {
    fn of(device: &str, fault: &Fault, incident: &Incident, because: Quiet) -> Self {
        Self {
            device: device.to_string(),
            fault: fault.clone(),
            because,
            title: incident.title.clone(),
            advice: incident.advice.clone(),
            severity: incident.severity,
            kind: incident.kind,
            category: incident.category.clone(),
            since: incident.since,
            readings: incident.worst.readings.clone(),
        }
    }
}

impl Turn<'_> {
    /// Why a fault that opens has no ticket; none if it has.
    pub(super) fn quiet(&self, watched: &Watched, rule: &Rule, since: Timestamp) -> Option<Quiet> {
        self.quiet_for_now(&watched.device, rule, since).or_else(|| self.listed(watched, rule, since))
    }

    fn listed(&self, watched: &Watched, rule: &Rule, since: Timestamp) -> Option<Quiet> {
        let urgent = rule.safety || rule.severity == Severity::Critical || rule.is_outage();
        if rule.list && !urgent {
            return Some(Quiet::List);
        }
        let looks = !self.settings.first_sight.is_zero();
        let first = looks && !urgent && watched.sights.is_first(self.editions.of(&rule.id), since);
        first.then_some(Quiet::FirstSight)
    }

    /// A fault that is on the list has its ticket once it is materially worse than it was found.
    pub(super) fn raise_if_worse(&mut self, watched: &mut Watched, rule: &Rule, fault: &Fault) {
        let Some(threshold) = rule.check.threshold() else { return };
        let Some(incident) = watched.incidents.get_mut(fault) else { return };
        if incident.quiet != Some(Quiet::FirstSight) || !is_material(rule, threshold, incident) {
            return;
        }
        self.raise(watched, fault, "It was found when we first looked, and has become worse since.", None);
    }

    /// Gives a fault that has no ticket one, and says on it why.
    pub(super) fn raise(&mut self, watched: &mut Watched, fault: &Fault, why: &str, actor: Option<&str>) {
        let Some(incident) = watched.incidents.get_mut(fault) else { return };
        incident.quiet = None;
        let remark = Some((why.to_string(), actor.map(ToString::to_string)));
        self.unplaced.push(Unplaced { remark, ..Unplaced::new(&watched.device.id, fault) });
        watched.relist.insert(fault.clone());
    }
}

fn is_material(rule: &Rule, threshold: &Threshold, incident: &Incident) -> bool {
    let (Some(found), Some(worst)) = (incident.opening.value, incident.worst.value) else { return false };
    if !threshold.is_worse(worst, found) {
        return false;
    }
    if matches!(rule.check, Check::Change(_) | Check::Count(_)) {
        return true;
    }
    let by = if worst > found { worst - found } else { found - worst };
    let limit = match threshold.open.first().map(|first| &first.test) {
        Some(Test::Above(limit) | Test::Below(limit)) => limit.abs(),
        _ => 0.0,
    };
    by >= limit * MATERIAL_PART
}

impl Engine {
    /// A person turns what is on the list into tickets.
    pub(super) fn raise(&mut self, now: Timestamp, actor: &str, faults: Vec<(String, Fault)>) {
        for (device, fault) in faults.into_iter().take(RAISED_MAX) {
            let (mut turn, devices) = self.turn(now);
            let Some(watched) = devices.get_mut(&device) else { continue };
            let listed = watched.incidents.get(&fault).is_some_and(|incident| is_listed(incident).is_some());
            if listed {
                turn.raise(watched, &fault, "Turned into a ticket from the planning list.", Some(actor));
                self.touched.insert(device);
            }
        }
    }

    /// The rules are others now: what they find on devices that are known is found at first sight.
    pub(super) fn look_anew(&mut self) {
        let editions = &self.state.editions;
        self.state.devices.values_mut().for_each(|watched| watched.sights.go_on(editions));
    }
}

impl Watched {
    /// What of it came onto the list or left it since that was last told.
    pub(super) fn take_listings(&mut self) -> Vec<Effect> {
        if self.listed.is_empty() && self.incidents.is_empty() {
            self.relist.clear();
            return Vec::new();
        }
        let anew = core::mem::take(&mut self.relist);
        let device = &self.device.id;
        let now: BTreeMap<&Fault, Quiet> =
            self.incidents.iter().filter_map(|(fault, incident)| Some((fault, is_listed(incident)?))).collect();
        let gone: Vec<Fault> = self.listed.iter().filter(|fault| !now.contains_key(fault)).cloned().collect();
        let come = now.iter().filter(|(fault, _)| anew.contains(**fault) || !self.listed.contains(**fault));
        let mut effects: Vec<Effect> = come
            .map(|(fault, because)| Listing::of(device, fault, &self.incidents[*fault], *because))
            .map(|listing| Effect::Listed(Box::new(listing)))
            .collect();
        effects.extend(gone.into_iter().map(|fault| Effect::Unlisted { device: device.clone(), fault }));
        let now: BTreeSet<Fault> = now.into_keys().cloned().collect();
        self.listed = now;
        effects
    }
}

const fn is_listed(incident: &Incident) -> Option<Quiet> {
    match incident.quiet {
        Some(Quiet::FirstSight | Quiet::List) => incident.quiet,
        _ => None,
    }
}
