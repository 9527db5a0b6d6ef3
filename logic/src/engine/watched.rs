//! What the engine remembers of one device.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::INTERVAL;
use super::sight::Sights;
use super::witness::{Asker, Witness};
use crate::device::Device;
use crate::flapping::Flap;
use crate::hold::Hold;
use crate::incidents::{Fault, Incident};
use crate::pairs;
use crate::presence::{Contact, DeviceState};
use crate::rules::Track;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) device: Device,
    /// How often its agent reads.
    #[serde(default = "interval")]
    pub(super) interval: Duration,
    /// Its newest live sample.
    #[serde(default)]
    pub(super) newest: Option<Timestamp>,
    #[serde(default)]
    pub(super) contact: Contact,
    /// Whether it is a portable that nobody has seen for weeks.
    #[serde(default)]
    pub(super) find: bool,
    /// Who asks it, if it has no agent of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked_by: Option<Asker>,
    /// What another agent saw of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) witness: Option<Witness>,
    /// Faults that are seen, counted or not yet.
    #[serde(default, with = "pairs")]
    pub(super) holds: BTreeMap<Fault, Hold>,
    /// Counters whose growth is followed, each for one rule.
    #[serde(default, with = "pairs")]
    pub(super) tracks: BTreeMap<Fault, Track>,
    /// Faults that count.
    #[serde(default, with = "pairs")]
    pub(super) incidents: BTreeMap<Fault, Incident>,
    /// How faults have come and gone lately.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) flaps: BTreeMap<Fault, Flap>,
    /// Faults that counted until it became known that the building was closed, and that are not seen to be over.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) withdrawn: BTreeMap<Fault, Incident>,
    /// What is new about it.
    #[serde(default)]
    pub(super) sights: Sights,
    /// Its faults on the planning list, as was last told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) listed: BTreeSet<Fault>,
    /// Those of which the list is to be told anew in this turn.
    #[serde(skip)]
    pub(super) relist: BTreeSet<Fault>,
    /// The ticket of other devices that names it, silent like them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<u64>,
    /// Its standing as it was last told.
    #[serde(default)]
    told: Option<DeviceState>,
}

impl Watched {
    pub(super) fn new(now: Timestamp, device: Device) -> Self {
        Self {
            device,
            interval: INTERVAL,
            newest: None,
            contact: Contact::never(now),
            find: false,
            asked_by: None,
            witness: None,
            holds: BTreeMap::new(),
            tracks: BTreeMap::new(),
            incidents: BTreeMap::new(),
            flaps: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            sights: Sights::default(),
            listed: BTreeSet::new(),
            relist: BTreeSet::new(),
            beside: None,
            told: None,
        }
    }

    pub(super) fn state(&self) -> DeviceState {
        DeviceState {
            device: self.device.id.clone(),
            presence: self.contact.presence(),
            since: self.contact.since(),
            find: self.find,
            worst: self.incidents.values().map(|incident| incident.severity).max(),
        }
    }

    /// Its standing, if it is another than was last told; counts as told.
    pub(super) fn take_change(&mut self) -> Option<DeviceState> {
        let state = self.state();
        if self.told.as_ref() == Some(&state) {
            return None;
        }
        self.told = Some(state.clone());
        Some(state)
    }
}

const fn interval() -> Duration {
    INTERVAL
}
