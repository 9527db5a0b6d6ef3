//! What is truly wrong, as an observer would know it who was there: since when, until when, with what, and whether it is worth
//! somebody's way.
//!
//! Nothing here knows what rules look at. What deserves a ticket is said in terms of the school: an outage of ten minutes is
//! noticed in class, a battery that holds less than 60 % of what it held won't last the day, a disk must be emptied before
//! it is full.

use crate::dates::Sec;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A device is broken, or its supply is: it does nothing until it is exchanged.
    Dies,
    /// A device starts anew, or is without power or cable for a moment.
    Blinks,
    /// A switch gets new firmware on a night for which that was planned.
    Firmware,
    /// A bad cable or port: the device comes and goes.
    Flaps,
    /// A computer stands still, or its agent does.
    Hangs,
    /// A device works and answers no question of management.
    Mute,
    /// The utility fails at a building.
    PowerCut,
    /// The line of a building to the world is cut.
    LineCut,
    /// A breaker trips and a room has no power.
    Breaker,
    /// The batteries of a UPS fail their test.
    UpsBattery,
    /// A closet gets too warm.
    Heat,
    /// A fan or a supply of a switch fails.
    Part,
    /// A disk of a store or array fails.
    ArrayDisk,
    /// A disk fills, day by day or within hours.
    Fills,
    /// A disk gets sectors that it can't read.
    Sectors,
    /// The cable of a disk is bad.
    DiskCable,
    /// An SSD has used up its writes.
    WornDisk,
    /// A battery has lost its capacity.
    WornBattery,
    /// A battery takes no charge.
    DeadBattery,
    /// Paper is jammed.
    Jam,
    /// The rollers of a printer are worn: it jams again and again.
    Rollers,
    /// A printer needs a part.
    Service,
    /// Toner runs out.
    Toner,
    /// Machines get a new system.
    Reimage,
    /// The clock of a computer jumps.
    Clock,
    /// A device that works is switched off at the wall, and nobody switches it on.
    LeftOff,
    /// One answer is lost.
    Spike,
}

/// What a problem looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A device is out of reach or says nothing.
    Reach,
    /// Power is short.
    Power,
    /// It is too warm.
    Heat,
    /// Room for data is short.
    Room,
    /// A disk is failing.
    Disk,
    /// A battery is.
    Battery,
    /// A printer stops.
    Printer,
    /// Something is used up.
    Supply,
    /// A part of a device fails.
    Part,
    /// It can't be asked.
    Mute,
    /// A link is bad.
    Link,
}

impl Kind {
    /// How it shows.
    #[must_use]
    pub const fn signs(self) -> &'static [Sign] {
        match self {
            Self::Dies | Self::Blinks | Self::Firmware | Self::Spike | Self::Reimage | Self::LeftOff | Self::Clock => {
                &[Sign::Reach]
            }
            Self::Flaps => &[Sign::Reach, Sign::Link],
            Self::Hangs => &[Sign::Reach, Sign::Mute],
            Self::Mute => &[Sign::Mute],
            Self::PowerCut => &[Sign::Reach, Sign::Power],
            Self::LineCut | Self::Breaker => &[Sign::Reach],
            Self::UpsBattery => &[Sign::Power, Sign::Battery],
            Self::Heat => &[Sign::Heat],
            Self::Part => &[Sign::Part],
            Self::ArrayDisk | Self::Sectors | Self::DiskCable | Self::WornDisk => &[Sign::Disk],
            Self::Fills => &[Sign::Room],
            Self::WornBattery | Self::DeadBattery => &[Sign::Battery],
            Self::Jam | Self::Rollers | Self::Service => &[Sign::Printer],
            Self::Toner => &[Sign::Supply],
        }
    }

    /// What its name is in lists.
    #[must_use]
    pub fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Where a problem's cause is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// In a device.
    Device(usize),
    /// In a room of a building.
    Room(usize, String),
    /// In a building, or between it and the world.
    Building(usize),
}

/// Whether it is worth a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deserves {
    /// It is over or harmless before anybody could act.
    Nothing,
    /// One person would go and another would not.
    Either,
    /// By then somebody must know.
    Ticket {
        /// The latest moment at which that helps.
        by: Sec,
    },
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it is.
    pub kind: Kind,
    /// Where it comes from.
    pub cause: Cause,
    /// Which devices suffer from it, those of the cause among them.
    pub hits: Vec<usize>,
    /// Since when.
    pub from: Sec,
    /// Until when; none while it lasts.
    pub until: Option<Sec>,
    /// Whether it is worth a ticket.
    pub deserves: Deserves,
    /// Whether it was there on the first day: it belongs into plans, not on tickets.
    pub old: bool,
    /// The ticket that first told of it, and when.
    pub ticket: Option<(u64, Sec)>,
    /// Whether a technician can do something about it.
    pub mendable: bool,
}

impl Problem {
    /// One with a cause in one device.
    #[must_use]
    pub fn of_device(kind: Kind, device: usize, from: Sec, deserves: Deserves) -> Self {
        let cause = Cause::Device(device);
        Self { kind, cause, hits: vec![device], from, until: None, deserves, old: false, ticket: None, mendable: true }
    }

    /// Whether it must have a ticket.
    #[must_use]
    pub const fn must(&self) -> Option<Sec> {
        match self.deserves {
            Deserves::Ticket { by } => Some(by),
            _ => None,
        }
    }

    /// Whether it was there at a moment, or shortly before: what is over takes a while to be seen as over.
    #[must_use]
    pub fn was_there(&self, at: Sec, after: Sec) -> bool {
        self.from <= at && self.until.is_none_or(|until| at <= until + after)
    }
}
