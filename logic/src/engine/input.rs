//! What goes in: everything that happens, each with the stamp of its record.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::Lane;
use crate::calendar::{Calendar, Change, Date};
use crate::device::Device;
use crate::incidents::Fault;
use crate::life::Known;
use crate::plans::NewPlan;
use crate::presence::GoodbyeReason;
use crate::responsibilities::Responsibilities;
use crate::sample::Sample;
use crate::tickets::Action;

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The collector started: no stream is up, and it was away until now.
    CollectorStarted,
    /// The collector is about to stop.
    CollectorStopped,
    /// A device as it is from now on: enrolled, or edited by a person.
    Device(Device),
    /// An agent's stream began.
    Connected {
        /// The device.
        device: String,
        /// The agent's generation.
        generation: u64,
        /// How often it reads.
        interval: Duration,
    },
    /// An agent's stream ended.
    Left {
        /// The device.
        device: String,
        /// The generation of the stream that ended.
        generation: u64,
        /// Why, if it said goodbye.
        reason: Option<GoodbyeReason>,
    },
    /// A device's certificate was revoked: it can't speak any more, and its silence means nothing.
    Revoked {
        /// The device.
        device: String,
    },
    /// A batch.
    Samples {
        /// The device that sent it.
        device: String,
        /// By which lane it came.
        lane: Lane,
        /// Its samples, times corrected.
        samples: Vec<Sample>,
    },
    /// A person did something to a ticket.
    Act {
        /// The ticket's number.
        ticket: u64,
        /// The person's login name.
        actor: String,
        /// What they did.
        action: Action,
    },
    /// An agent looked at devices that have none of their own. Comes before what it saw.
    Asked {
        /// The agent's device.
        by: String,
        /// The devices.
        devices: Vec<String>,
    },
    /// A person plans a change.
    Plan {
        /// The person's login name.
        actor: String,
        /// What they plan.
        plan: NewPlan,
    },
    /// A person ends a planned change early, or takes it back.
    EndPlan {
        /// The change's number.
        number: u64,
        /// The person's login name.
        actor: String,
        /// Whether it was a mistake: what it silenced has its tickets at once.
        takes_back: bool,
    },
    /// A person turns faults on the planning list into tickets.
    Raise {
        /// The person's login name.
        actor: String,
        /// Devices and their faults, at most [`super::RAISED_MAX`].
        faults: Vec<(String, Fault)>,
    },
    /// A building's calendar as it is from now on; none: it has that of the district again.
    Calendar {
        /// The building; empty: the district, for all that have none of their own.
        site: String,
        /// Its calendar.
        calendar: Option<Calendar>,
    },
    /// A person said something of one day at a building, or takes it back.
    DayChanged {
        /// The building.
        site: String,
        /// Which day.
        date: Date,
        /// What they say.
        change: Option<Change>,
    },
    /// Where devices hang, of those that hang elsewhere than before: on which other device, if that is sure.
    Hanging(Vec<(String, Option<String>)>),
    /// Who looks after what from now on; none: nobody has written it (any more).
    Responsibilities(Option<Box<Responsibilities>>),
    /// Something became known of the life of devices, or is assumed from now on.
    Life(Known),
    /// The engine asked to be woken.
    Wake,
}
