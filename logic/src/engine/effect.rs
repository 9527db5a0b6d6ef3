//! What comes out: what should be done, and a count of what was judged.

use alloc::boxed::Box;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::sight::Listing;
use crate::incidents::Fault;
use crate::life::Seen;
use crate::plans::Plan;
use crate::presence::DeviceState;
use crate::tickets::{Refusal, Ticket, TicketEvent};
use crate::time::Timestamp;
use crate::usual::UsualHours;

/// What should be done. Each has a key; performing one twice is harmless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A ticket as it is from now on. Key: its number. Comes before its events.
    Ticket(Box<Ticket>),
    /// An entry of a ticket's history. Key: ticket and sequence.
    TicketEvent(TicketEvent),
    /// A device's standing from now on. Key: the device.
    DeviceState(DeviceState),
    /// What a device has told of itself that bears on its life, from now on. Key: the device.
    DeviceTold {
        /// The device.
        device: String,
        /// What it told.
        seen: Box<Seen>,
    },
    /// When a class of devices is usually on at a building. Key: both.
    UsualHours(Box<UsualHours>),
    /// A planned change as it is from now on. Key: its number.
    Plan(Box<Plan>),
    /// A fault that is on the planning list from now on, as it is. Key: device and fault.
    Listed(Box<Listing>),
    /// A fault is on it no longer. Key: device and fault.
    Unlisted {
        /// The device's id.
        device: String,
        /// Rule and subject.
        fault: Fault,
    },
    /// What a person did could not be done. Key: its number.
    Refused(Refused),
}

/// What could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Counts up from 1.
    pub number: u64,
    /// The ticket.
    pub ticket: u64,
    /// When.
    pub at: Timestamp,
    /// The person's login name.
    pub actor: String,
    /// Why not.
    pub because: Refusal,
}

/// What was judged, and what was not and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Live samples that rules could look at.
    pub samples: u64,
    /// Samples that came by the back-fill lane.
    pub samples_backfilled: u64,
    /// Live samples that were too old to be judged.
    pub samples_late: u64,
    /// Live samples from further ahead than [`super::AHEAD_MAX`].
    pub samples_ahead: u64,
    /// Inputs of devices that are not known.
    pub unknown_device: u64,
    /// Devices that were not taken because of [`super::DEVICES_MAX`].
    pub devices_refused: u64,
    /// Faults that were not held because of [`super::HOLDS_MAX`].
    pub holds_refused: u64,
    /// Incidents that got no ticket because of a limit.
    pub tickets_refused: u64,
    /// Incidents opened.
    pub incidents: u64,
    /// Faults that were found at first sight, or by a rule that makes a list: they got no ticket.
    pub listed: u64,
    /// Portables that were not seen for so many school days that somebody should look for them.
    pub to_find: u64,
    /// Faults that began to come and go.
    pub flapping: u64,
    /// Faults that opened during planned changes: they got no ticket then.
    pub silenced: u64,
    /// Planned changes, and ends of them, that were not taken.
    pub plans_refused: u64,
    /// Outages that another device's outage explains: they got no ticket.
    pub outages_explained: u64,
    /// Tickets opened or reopened without a person.
    pub tickets_raised: u64,
    /// Tickets about a room that is out of reach.
    pub rooms_out: u64,
    /// Tickets about a building that is out of reach.
    pub buildings_out: u64,
    /// Tickets about a fault that devices of one model share.
    pub cohorts: u64,
    /// Faults that went to a ticket about several devices.
    pub lines_joined: u64,
    /// Outages that did not end with the others of their ticket, and got one of their own.
    pub lines_left_behind: u64,
    /// Faults that a person took off a ticket about several devices.
    pub lines_taken_off: u64,
    /// Times that very many tickets came at once at a building.
    pub floods: u64,
    /// Tickets that were put beneath that of a flood.
    pub tickets_flooded: u64,
    /// Tickets that were put off because the day's were given out.
    pub tickets_deferred: u64,
    /// Tickets that were put off and given out later.
    pub tickets_released: u64,
    /// Outages that nobody saw, and much spoke for.
    pub outages_inferred: u64,
    /// Actions of people that were refused.
    pub actions_refused: u64,
    /// Calendars and changes of days that were not taken.
    pub calendars_refused: u64,
    /// Matrices of responsibilities that were not taken.
    pub matrices_refused: u64,
    /// Facts that there was no room for.
    pub facts_refused: u64,
    /// Faults withdrawn because the building was closed.
    pub withdrawn: u64,
    /// Times that the collector was away without a start.
    pub own_pauses: u64,
}
