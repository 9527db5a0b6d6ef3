//! Planned changes: somebody says beforehand that something will be out of order, where, from when until when and why.
//!
//! What it keeps:
//! - a fault that opens inside has no ticket but is noted on the change;
//! - what is still there [`SETTLE`] after its end has its ticket then; what began after its end has one at once;
//! - tickets that are open when it begins stay, and are told of it;
//! - a change that was taken back hides nothing any more, from that moment on.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::{Class, Device};
use crate::time::Timestamp;

/// How long after a planned change what it covered may take to come back: switches and servers start for minutes. House.
pub const SETTLE: Duration = Duration::from_secs(10 * 60);

/// Planned changes that are not over. A district with a hundred buildings plans some for each.
pub const PLANS_MAX: usize = 500;

/// The longest planned change: a summer.
pub const PLAN_LONGEST: Duration = Duration::from_secs(120 * 24 * 60 * 60);

/// How far ahead one may begin: the next school year.
pub const PLAN_AHEAD: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Letters of the reason.
pub const WHY_MAX: usize = 400;

/// Silenced faults that a change names; more are counted.
pub const NAMED_MAX: usize = 100;

/// What a change covers. What is empty stands for all; not everything is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// The building.
    pub site: String,
    /// The room in it.
    pub room: String,
    /// The kind of device.
    pub class: Option<Class>,
    /// One device's id.
    pub device: String,
    /// One rule's id.
    pub rule: String,
}

impl Scope {
    /// Whether it says anything; a room says nothing without its building.
    #[must_use]
    pub fn is_something(&self) -> bool {
        let any = !self.site.is_empty() || !self.device.is_empty() || !self.rule.is_empty() || self.class.is_some();
        any && (self.room.is_empty() || !self.site.is_empty())
    }

    /// Whether it covers a device, whatever the rule.
    #[must_use]
    pub fn touches(&self, device: &Device) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&self.site, &device.site)
            && fits(&self.room, &device.room)
            && fits(&self.device, &device.id)
            && self.class.is_none_or(|class| class == device.class)
    }

    fn covers(&self, device: &Device, rule: &str) -> bool {
        (self.rule.is_empty() || self.rule == rule) && self.touches(device)
    }
}

/// A change as a person plans it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPlan {
    /// What it covers.
    pub scope: Scope,
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
    /// Why, in a person's words.
    pub why: String,
}

/// Why a change was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// It covers everything, or a room of no building.
    #[error("a planned change needs a building, a kind of device, a device or a rule")]
    Everything,
    /// It is over already, ends before it begins, or takes too long.
    #[error("a planned change ends after now and after it begins, and takes at most 120 days")]
    Times,
    /// It says no reason, or too long a one.
    #[error("a planned change needs a reason of at most {WHY_MAX} letters")]
    Why,
    /// There are too many.
    #[error("there are {PLANS_MAX} planned changes already: end some first")]
    Full,
}

impl NewPlan {
    /// Whether it makes sense at this moment.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Timestamp) -> Result<(), PlanRefusal> {
        if !self.scope.is_something() {
            return Err(PlanRefusal::Everything);
        }
        let lasts = self.until.since(self.from);
        if self.until <= now || lasts.is_zero() || lasts > PLAN_LONGEST || self.from > now + PLAN_AHEAD {
            return Err(PlanRefusal::Times);
        }
        let letters = self.why.chars().count();
        if self.why.trim().is_empty() || letters > WHY_MAX {
            return Err(PlanRefusal::Why);
        }
        Ok(())
    }
}

/// A fault that a change silenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// The device's id.
    pub device: String,
    /// What was found.
    pub title: String,
    /// When it counted.
    pub at: Timestamp,
}

/// A planned change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// As people call it; counts up from 1.
    pub number: u64,
    /// What it covers.
    pub scope: Scope,
    /// When it begins.
    pub from: Timestamp,
    /// When it is over: as planned, or when somebody ended it.
    pub until: Timestamp,
    /// Why.
    pub why: String,
    /// Who planned it, by login name.
    pub actor: String,
    /// When that was.
    pub made_at: Timestamp,
    /// Who ended it early or took it back.
    pub ended_by: Option<String>,
    /// Whether it was taken back.
    pub taken_back: bool,
    /// How many faults it silenced.
    pub silenced: u64,
    /// Some of them.
    pub named: Vec<Silenced>,
    /// How many of them had tickets after its end.
    pub left: u64,
    /// Whether nothing more comes of it.
    pub over: bool,
}

impl Plan {
    /// Whether it silences a fault that began at `since` and counts at `now`.
    fn silences(&self, now: Timestamp, since: Timestamp) -> bool {
        let inside = self.from <= now && now < self.until;
        let settles = self.until <= now && now < self.until + SETTLE && since < self.until;
        inside || (settles && !self.taken_back)
    }

    /// When something is to be done about it next.
    pub(crate) fn next(&self, now: Timestamp) -> Timestamp {
        if now < self.from { self.from } else { self.settled_at() }
    }

    /// When what it covered must be back.
    pub(crate) fn settled_at(&self) -> Timestamp {
        if self.taken_back { self.until } else { self.until + SETTLE }
    }
}

/// All planned changes that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Plans {
    last: u64,
    plans: BTreeMap<u64, Plan>,
    /// Those that changed since they were last told.
    #[serde(skip)]
    changed: BTreeMap<u64, Plan>,
}

impl Plans {
    /// Takes a new one; says its number.
    pub(crate) fn make(&mut self, now: Timestamp, actor: String, new: NewPlan) -> Result<u64, PlanRefusal> {
        new.check(now)?;
        if self.plans.len() >= PLANS_MAX {
            return Err(PlanRefusal::Full);
        }
        self.last += 1;
        let NewPlan { scope, from, until, why } = new;
        let plan = Plan {
            number: self.last,
            scope,
            from,
            until,
            why,
            actor,
            made_at: now,
            ended_by: None,
            taken_back: false,
            silenced: 0,
            named: Vec::new(),
            left: 0,
            over: false,
        };
        self.plans.insert(self.last, plan);
        self.tell(self.last);
        Ok(self.last)
    }

    /// Ends one now, or takes it back. One that has not begun is taken back in any case. Says whether there was one.
    pub(crate) fn end(&mut self, now: Timestamp, number: u64, actor: String, takes_back: bool) -> bool {
        let Some(plan) =
            self.plans.get_mut(&number).filter(|plan| now < plan.until || (takes_back && !plan.taken_back))
        else {
            return false;
        };
        plan.taken_back = takes_back || now < plan.from;
        plan.until = plan.until.min(now);
        plan.from = plan.from.min(now);
        plan.ended_by = Some(actor);
        self.tell(number);
        true
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Plan> {
        self.plans.get(&number)
    }

    /// The change that silences a fault, if one does.
    /// `named_only`: of those alone that name the device or the rule.
    pub(crate) fn silencer(
        &self,
        now: Timestamp,
        since: Timestamp,
        device: &Device,
        rule: &str,
        named_only: bool,
    ) -> Option<u64> {
        let names = |plan: &&Plan| !named_only || !plan.scope.device.is_empty() || !plan.scope.rule.is_empty();
        let fits = |plan: &&Plan| plan.silences(now, since) && plan.scope.covers(device, rule) && names(plan);
        self.plans.values().find(fits).map(|plan| plan.number)
    }

    /// Whether one covers a fault that is there already.
    pub(crate) fn covers(&self, number: u64, device: &Device, rule: &str) -> bool {
        self.plans.get(&number).is_some_and(|plan| plan.scope.covers(device, rule))
    }

    /// Notes what one silenced.
    pub(crate) fn note(&mut self, number: u64, silenced: Silenced) {
        let Some(plan) = self.plans.get_mut(&number) else { return };
        plan.silenced += 1;
        if plan.named.len() < NAMED_MAX {
            plan.named.push(silenced);
        }
        self.tell(number);
    }

    /// One is over, and so many of the faults that it silenced are not.
    pub(crate) fn close(&mut self, number: u64, left: u64) {
        let Some(plan) = self.plans.get_mut(&number) else { return };
        plan.over = true;
        plan.left = left;
        self.tell(number);
        self.plans.remove(&number);
    }

    fn tell(&mut self, number: u64) {
        if let Some(plan) = self.plans.get(&number) {
            self.changed.insert(number, plan.clone());
        }
    }

    /// Those that changed since it was last asked.
    pub(crate) fn take_changes(&mut self) -> impl Iterator<Item = Plan> + use<> {
        core::mem::take(&mut self.changed).into_values()
    }
}
