//! The engine's timers: a table keyed by a named purpose.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// When to look whether the collector itself was away: a minute after anything happened.
    Heartbeat,
    /// When to decide whether a device's outage is its own.
    Cause {
        /// The device's id.
        device: String,
    },
    /// When the next hour is looked at.
    Hour,
    /// When to look whether a device's faults are calm.
    Flap {
        /// The device's id.
        device: String,
    },
    /// When a planned change begins, or has ended for good.
    Plan {
        /// Its number.
        number: u64,
    },
    /// When to look whether tests are over.
    Tests,
    /// When somebody's next day begins, while tickets are put off for it.
    Morning {
        /// Who looks after them.
        owner: String,
    },
    /// When what has not come back with its room or building has a ticket of its own.
    Group {
        /// The ticket about all of them.
        ticket: u64,
    },
    /// When very many tickets at a building are over.
    Flood {
        /// The building.
        site: String,
    },
    /// When a device will have been silent for too long.
    Silence {
        /// The device's id.
        device: String,
    },
    /// When to look at how a ticket is handled: a clock is up, or class begins.
    Ticket {
        /// Its number.
        number: u64,
    },
}

/// Each purpose has at most one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    times: BTreeMap<Purpose, Timestamp>,
    queue: BTreeSet<(Timestamp, Purpose)>,
}

impl Timers {
    /// Sets a purpose's time, or takes it off the table.
    pub(crate) fn set(&mut self, purpose: Purpose, time: Option<Timestamp>) {
        if let Some(old) = self.times.remove(&purpose) {
            self.queue.remove(&(old, purpose.clone()));
        }
        if let Some(time) = time {
            self.times.insert(purpose.clone(), time);
            self.queue.insert((time, purpose));
        }
    }

    /// Whether a purpose has a time.
    pub(crate) fn has(&self, purpose: &Purpose) -> bool {
        self.times.contains_key(purpose)
    }

    /// The earliest time on the table.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(time, _)| *time)
    }

    /// Takes the earliest purpose whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Purpose> {
        if self.next()? > now {
            return None;
        }
        let (_, purpose) = self.queue.pop_first()?;
        self.times.remove(&purpose);
        Some(purpose)
    }
}

impl Serialize for Timers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.times)
    }
}

impl<'de> Deserialize<'de> for Timers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut timers = Self::default();
        for (purpose, time) in Vec::<(Purpose, Timestamp)>::deserialize(deserializer)? {
            timers.set(purpose, Some(time));
        }
        Ok(timers)
    }
}
