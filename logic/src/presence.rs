//! Whether a device is there: judged on receive time, by when the collector last heard of it.
//!
//! What it keeps:
//! - a goodbye is believed, whatever its reason: a device that said it would be off is not missing;
//! - a stream that drops without one starts nothing by itself: the clock runs from the last sign of life;
//! - the collector's own downtime is nobody's absence: afterwards the clock starts anew, after a grace in which
//!   everybody may come back;
//! - a device that was never heard of is unknown, not missing.

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::words;
use crate::rules::Severity;
use crate::time::Timestamp;

/// After how long a silence a device counts as absent on pages if no rule says it for its class.
pub const SILENCE: Duration = Duration::from_secs(5 * 60);

/// A stream that is up is silent between two batches; a silence is none before it has lasted this many intervals.
pub const INTERVALS: u32 = 3;

words! {
    /// Why a device said goodbye.
    GoodbyeReason, "goodbye reason" {
        /// Its agent was stopped.
        Stop = "stop",
        /// Its agent is being restarted.
        Restart = "restart",
        /// It is being shut down.
        Shutdown = "shutdown",
        /// It goes to sleep.
        Sleep = "sleep",
        /// Its agent is being updated.
        Update = "update",
        /// Its battery is empty.
        LowBattery = "low_battery",
    }
}

/// Whether a device is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Never heard of, or not since the collector started.
    #[default]
    Unknown,
    /// Heard of just now.
    Present,
    /// Silent, without a goodbye.
    Absent,
    /// Off, as it said.
    SaidGoodbye {
        /// Why.
        reason: GoodbyeReason,
    },
}

impl Presence {
    /// The word in records and addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Present => "present",
            Self::Absent => "absent",
            Self::SaidGoodbye { .. } => "said_goodbye",
        }
    }
}

/// How a device stands, for lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// The device's id.
    pub device: String,
    /// Whether it is there.
    pub presence: Presence,
    /// Since when: for an absent one, its last sign of life.
    pub since: Timestamp,
    /// Whether it is a portable that was not seen for so many school days that somebody should look for it.
    #[serde(default)]
    pub find: bool,
    /// The worst of its faults that are not over; none if there is none.
    pub worst: Option<Severity>,
}

/// One device's signs of life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Contact {
    presence: Presence,
    since: Timestamp,
    /// From when silence counts; none while it is not expected to speak.
    clock: Option<Timestamp>,
    /// The last sign of life.
    last: Option<Timestamp>,
    /// Since when it has been there without a break; what proves that it is back.
    unbroken_since: Option<Timestamp>,
    /// The generation of its stream, while one is up.
    stream: Option<u64>,
    /// When its stream ended without a goodbye, until it is heard of again.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Timestamp>,
}

impl Contact {
    /// A device that was just entered and never heard of.
    pub(crate) fn never(now: Timestamp) -> Self {
        Self { since: now, ..Self::default() }
    }

    pub(crate) const fn presence(&self) -> Presence {
        self.presence
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    /// The last sign of life.
    pub(crate) const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Whether a stream of its own is up.
    pub(crate) const fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether its stream ended without a goodbye and nothing was heard of it since.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.stream.is_none() && self.unbroken_since.is_none() && self.presence == Presence::Present
    }

    /// When it can have gone at the earliest, if its silence began with its last word at `since`: one that reports each quarter of
    /// an hour was there until its stream ended.
    pub(crate) fn gone(&self, since: Timestamp) -> Timestamp {
        self.lost.map_or(since, |lost| lost.max(since))
    }

    /// How long it has been back without a break, as its signs of life prove.
    pub(crate) fn proven_back(&self) -> Duration {
        match (self.unbroken_since, self.last) {
            (Some(since), Some(last)) => last.since(since),
            _ => Duration::ZERO,
        }
    }

    /// A stream began.
    pub(crate) fn connected(&mut self, now: Timestamp, generation: u64) {
        self.stream = Some(generation);
        self.heard(now);
    }

    /// A sign of life.
    pub(crate) fn heard(&mut self, now: Timestamp) {
        self.last = Some(now);
        self.lost = None;
        self.clock = Some(now);
        self.unbroken_since.get_or_insert(now);
        if self.presence != Presence::Present {
            self.become_(Presence::Present, now);
        }
    }

    /// A stream ended. One that is not the newest says nothing: its end may be noticed long after the next began.
    pub(crate) fn left(&mut self, now: Timestamp, generation: u64, reason: Option<GoodbyeReason>) {
        if self.stream != Some(generation) {
            return;
        }
        self.stream = None;
        self.unbroken_since = None;
        self.lost = reason.is_none().then_some(now);
        if let Some(reason) = reason {
            self.clock = None;
            self.become_(Presence::SaidGoodbye { reason }, now);
        }
    }

    /// It is not expected to speak again unless it does: its certificate was revoked.
    pub(crate) fn dismiss(&mut self, now: Timestamp) {
        self.stream = None;
        self.unbroken_since = None;
        self.clock = None;
        if self.presence != Presence::Unknown {
            self.become_(Presence::Unknown, now);
        }
    }

    /// The collector was away: nobody was heard of, and nobody is to blame for it. A start also ended all streams.
    pub(crate) fn collector_was_away(&mut self, now: Timestamp, grace: Duration, started: bool) {
        if started {
            self.stream = None;
        }
        self.unbroken_since = None;
        if self.clock.is_some() {
            self.clock = Some(now + grace);
        }
        if self.presence == Presence::Present {
            self.become_(Presence::Unknown, now);
        }
    }

    /// Silence counts from now at the earliest: the device has just become one that is judged.
    pub(crate) fn restart_clock(&mut self, now: Timestamp) {
        self.clock = self.clock.map(|clock| clock.max(now));
    }

    /// When it will have been silent for `span`, as `passes` counts it; none while it is not expected to speak.
    pub(crate) fn silent_at(
        &self,
        span: Duration,
        interval: Duration,
        passes: impl FnOnce(Timestamp, Duration) -> Timestamp,
    ) -> Option<Timestamp> {
        let span = if self.stream.is_some() { span.max(interval.saturating_mul(INTERVALS)) } else { span };
        Some(passes(self.clock?, span))
    }

    /// It counts as absent from now on, since its last sign of life.
    pub(crate) fn become_absent(&mut self, now: Timestamp) {
        self.unbroken_since = None;
        self.become_(Presence::Absent, self.last.unwrap_or(now));
    }

    /// Nobody looks at it any more: its silence means nothing until somebody does.
    pub(crate) fn become_unknown(&mut self, now: Timestamp) {
        self.unbroken_since = None;
        self.clock = self.clock.map(|_| now);
        if self.presence != Presence::Unknown {
            self.become_(Presence::Unknown, now);
        }
    }

    const fn become_(&mut self, presence: Presence, since: Timestamp) {
        self.presence = presence;
        self.since = since;
    }
}
