//! An incident is one problem: one rule's fault on one subject, from the verdict that opened it until it is proven
//! good. It knows its evidence and which ticket carries it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::LifeState;
use crate::rules::{Severity, TicketKind};
use crate::span::{Span, plain};
use crate::time::Timestamp;

/// The least time between two updates of an incident's evidence; it doubles with each, so that a disk that creeps
/// fuller for weeks doesn't bury a ticket's history.
pub const EVIDENCE_PAUSE_MIN: Duration = Duration::from_secs(60 * 60);

/// The longest time that the pause between two updates grows to.
pub const EVIDENCE_PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Which rule found a fault on which subject of one device. With the opening time: an incident's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// The rule's id.
    pub rule: String,
    /// The tags that tell the subject from others of the device; empty for the device itself.
    pub tags: Vec<(String, String)>,
}

/// Readings that speak for a fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// When they were read; for a silence, the last sign of life.
    pub at: Timestamp,
    /// Each as a person reads it, such as `94.2% used`.
    pub readings: Vec<String>,
    /// The number that says how bad it is, if there is one.
    pub value: Option<f64>,
}

/// Whether an incident is a problem of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is, and has a ticket unless a limit stands against it.
    #[default]
    Own,
    /// That is not known yet: what the device hangs on was not looked at since.
    Waits {
        /// It is one from then on in any case.
        until: Timestamp,
    },
    /// What the device hangs on is out of reach.
    Explained {
        /// That device.
        by: String,
        /// Its ticket.
        ticket: Option<u64>,
    },
    /// What the device hung on is back, and it may still come back as well.
    Returning {
        /// It is one from then on.
        until: Timestamp,
        /// The ticket of what it hung on.
        ticket: Option<u64>,
    },
}

impl Standing {
    /// The ticket of another device that tells of this one.
    #[must_use]
    pub const fn ticket(&self) -> Option<u64> {
        match self {
            Self::Own | Self::Waits { .. } => None,
            Self::Explained { ticket, .. } | Self::Returning { ticket, .. } => *ticket,
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// When the verdict was reached, on the collector's clock.
    pub opened_at: Timestamp,
    /// When the fault began, as far as is known.
    pub since: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of work it makes.
    pub kind: TicketKind,
    /// Faults of one device and category share a ticket.
    pub category: String,
    /// One plain line.
    pub title: String,
    /// What to do first and what to bring.
    pub advice: String,
    /// Step by step.
    pub runbook: String,
    /// What opened it.
    pub opening: Evidence,
    /// The worst so far.
    pub worst: Evidence,
    /// Whether `worst` is not on the ticket yet.
    #[serde(default)]
    pub unwritten: bool,
    /// How often its evidence was updated.
    #[serde(default)]
    pub updates: u32,
    /// When its evidence was last written to the ticket.
    pub written_at: Timestamp,
    /// Whether several devices of one model that have it may have it for one reason.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cohort: bool,
    /// Whether it is about somebody's safety.
    #[serde(default, skip_serializing_if = "is_false")]
    pub safety: bool,
    /// Whether a person, or that it did not come back, took it off a ticket about several: it joins none again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// Whether it means that the device is out of reach.
    #[serde(default)]
    pub outage: bool,
    /// What it says of the device while it is told as one of the way to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_told: Option<Box<Told>>,
    /// Whether it is a problem of its own; only an outage may be none.
    #[serde(default)]
    pub standing: Standing,
    /// Why it has no ticket though it is a problem of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Since when it has been good though it is not over: it comes and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_since: Option<Timestamp>,
    /// The ticket that carries it; none if a limit was reached, if it is no problem of its own, or if it is quiet.
    #[serde(default)]
    pub ticket: Option<u64>,
}

/// How an incident is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// One plain line.
    pub title: String,
    /// What to do first and what to bring.
    pub advice: String,
    /// How bad it is.
    pub severity: Severity,
}

/// Why an incident has no ticket though it is a problem of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quiet {
    /// It was there already when its device or its rule was new.
    FirstSight,
    /// Its rule makes a list, never work of its own.
    List,
    /// It opened during a planned change, and may end with it.
    Planned {
        /// The change's number.
        change: u64,
    },
    /// Its rule waits until nobody is tested any more.
    Testing,
}

/// Why an incident is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was seen to be good for the rule's time.
    ProvenGood {
        /// For how long.
        r#for: Span,
    },
    /// The device reports, but says nothing of it any more, and a person has closed the ticket.
    Unseen,
    /// It was seen only while the building was closed, as is known by now.
    BuildingClosed,
    /// It was the first sign of an outage above.
    CutOff {
        /// The name of the device that is out of reach.
        by: String,
    },
    /// It is part of something that another ticket is about.
    Joined {
        /// That ticket.
        ticket: u64,
        /// What it is about.
        title: String,
    },
    /// It did not come back with the others of its ticket, or a person took it off: it has one of its own.
    Apart,
    /// Very many tickets at once, which stood beneath this one, stand alone again.
    FloodOver {
        /// So many of them.
        left: usize,
    },
    /// The rule was switched off or removed.
    RuleGone,
    /// The rule doesn't look at devices of this class (any more).
    OtherClass,
    /// The device is not in use (any more).
    NotInUse {
        /// What it is instead.
        state: LifeState,
    },
}

impl Ending {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::ProvenGood { r#for } if r#for.is_zero() => "good again".into(),
            Self::ProvenGood { r#for } => alloc::format!("good again for {}", plain(r#for.0)),
            Self::Unseen => "no longer reported".into(),
            Self::BuildingClosed => "the building was closed".into(),
            Self::CutOff { by } => alloc::format!("{by}, on which it hangs, is out of reach: see the ticket of that"),
            Self::Joined { ticket, title } => alloc::format!("it is part of ticket #{ticket}: {title}"),
            Self::Apart => "it has a ticket of its own".into(),
            Self::FloodOver { left: 0 } => "nothing is left of it".into(),
            Self::FloodOver { left: 1 } => "it is quiet again; one that is left stands alone".into(),
            Self::FloodOver { left } => alloc::format!("it is quiet again; {left} that are left stand alone"),
            Self::RuleGone => "the rule was switched off".into(),
            Self::OtherClass => "the rule does not look at this kind of device".into(),
            Self::NotInUse { state } => alloc::format!("the device is {}", words_of(*state)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

const fn words_of(state: LifeState) -> &'static str {
    match state {
        LifeState::InUse => "in use",
        LifeState::Spare => "a spare",
        LifeState::Loaner => "a loaner",
        LifeState::InRepair => "in repair",
        LifeState::Storage => "in storage",
        LifeState::Lost => "lost",
        LifeState::Retired => "retired",
    }
}

impl Incident {
    /// Whether it means that the device is out of reach now.
    pub(crate) const fn is_out(&self) -> bool {
        self.outage && self.good_since.is_none()
    }

    /// Takes in a reading that is the worst so far.
    pub(crate) fn worsen(&mut self, evidence: Evidence) {
        self.unwritten = evidence.readings != self.worst.readings || self.unwritten;
        self.worst = evidence;
    }

    /// Whether the ticket should be told of the worst reading now; counts as told if so.
    pub(crate) fn should_write(&mut self, now: Timestamp) -> bool {
        let due = self.unwritten && now >= self.written_at + self.pause();
        if due {
            self.unwritten = false;
            self.written_at = now;
            self.updates = self.updates.saturating_add(1);
        }
        due
    }

    fn pause(&self) -> Duration {
        EVIDENCE_PAUSE_MIN.saturating_mul(1 << self.updates.min(8)).min(EVIDENCE_PAUSE_MAX)
    }
}
