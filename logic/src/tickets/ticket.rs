//! A ticket, its lines, and the devices that it names.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{GROUP_LINES_MAX, Handling, LINES_MAX, RepairNote};
use crate::device::{Device, words};
use crate::incidents::{Ending, Evidence, Fault, Incident};
use crate::life::{Decision, Fix};
use crate::rules::{Severity, TicketKind};
use crate::time::Timestamp;

words! {
    /// Where a ticket stands.
    TicketState, "ticket state" {
        /// Nobody has it.
        New = "new",
        /// Somebody has taken it.
        Assigned = "assigned",
        /// Whoever has it works on it.
        InProgress = "in_progress",
        /// It waits for a part, a vendor or a person.
        Waiting = "waiting",
        /// It had ended, and the fault is back or a person says that it is.
        Reopened = "reopened",
        /// Ended by itself: the fault was proven good.
        Resolved = "resolved",
        /// Ended by a person with a repair note.
        Closed = "closed",
    }
}

impl TicketState {
    /// Whether there is work to do.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

/// What a ticket is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum About {
    /// One device: that of the ticket.
    #[default]
    Device,
    /// A room: that of the ticket, at its building.
    Room,
    /// A fault that devices of one model share.
    Model {
        /// Which one, as [`crate::device::make`] names it.
        model: String,
        /// The rule that found the fault on each.
        rule: String,
    },
    /// A building: that of the ticket.
    Building,
}

impl About {
    /// The word in records and addresses.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Room => "room",
            Self::Model { .. } => "model",
            Self::Building => "building",
        }
    }
}

/// A ticket in full, as pages and desks show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// As people call it; counts up from 1.
    pub number: u64,
    /// What it is about.
    #[serde(default)]
    pub about: About,
    /// The device's id; empty if it is about more than one.
    pub device: String,
    /// The device's name when it last changed; empty if it is about more than one.
    pub device_name: String,
    /// The building; empty if it is about devices of several.
    pub site: String,
    /// The room; may be empty.
    pub room: String,
    /// What kind of work it asks for.
    pub kind: TicketKind,
    /// The category that its lines share.
    pub category: String,
    /// The worst of its lines that are not over, or of all once they are.
    pub severity: Severity,
    /// Where it stands.
    pub state: TicketState,
    /// The title of its worst line, or what it says of all.
    pub title: String,
    /// Why several devices have one ticket, in words; empty if it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What to do first about all of them; empty if it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// The ticket beneath which it stands: one of very many at its building at once. It is work again once that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<u64>,
    /// Whether it is put off: there were as many tickets on this day as one can work off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deferred: bool,
    /// Who has taken it; stays when it ends.
    pub assignee: Option<String>,
    /// When it was first opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// When it was last resolved or closed; none while it is open.
    pub ended_at: Option<Timestamp>,
    /// How often it was reopened.
    pub reopened: u32,
    /// Whether a person reopened it, so that only a person ends it.
    pub kept_open: bool,
    /// Whether a person has done anything to it, if only said something.
    #[serde(default)]
    pub touched: bool,
    /// The note of the last repair.
    pub repair: Option<RepairNote>,
    /// Its faults, in order of opening.
    pub lines: Vec<Line>,
    /// Further ones that are not over, beyond [`GROUP_LINES_MAX`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lines_more: u64,
    /// Devices that are out of reach because this one is, in the order in which that was noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
    /// Further ones, beyond [`super::AFFECTED_MAX`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub affected_more: u64,
    /// What is to be done, if it is about hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<Decision>>,
    /// What helped before: the last fixes of its leading rule on this model, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
    /// How soon, by whom, what it waits for, and how long people take.
    #[serde(default)]
    pub handling: Handling,
    /// How many events it has had: the last one's sequence.
    pub events: u64,
}

/// A device that is out of reach because another is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The device's id.
    pub device: String,
    /// Its name then.
    pub name: String,
    /// Its room then; may be empty.
    pub room: String,
    /// Since when, as far as is known.
    pub since: Timestamp,
    /// When it was back.
    pub back_at: Option<Timestamp>,
    /// The ticket from which it was merged into this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

impl Affected {
    pub(crate) fn of(device: &Device, since: Timestamp) -> Self {
        let Device { id, name, room, .. } = device.clone();
        Self { device: id, name, room, since, back_at: None, from: None }
    }
}

/// That a fault comes and goes: it is over only when it is calm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComesAndGoes {
    /// How often it came.
    pub times: u32,
    /// Since when.
    pub since: Timestamp,
}

/// One fault of one device on a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The device's id; empty on lines of old, which are about the ticket's device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// The device's name; empty with the id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device_name: String,
    /// Its building; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
    /// Its room; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// Rule and subject.
    pub fault: Fault,
    /// One plain line.
    pub title: String,
    /// What to do first and what to bring.
    pub advice: String,
    /// Step by step.
    pub runbook: String,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of work it makes.
    pub kind: TicketKind,
    /// Whether it is about somebody's safety.
    #[serde(default, skip_serializing_if = "is_false")]
    pub safety: bool,
    /// When the fault began.
    pub since: Timestamp,
    /// When the verdict was reached.
    pub opened_at: Timestamp,
    /// What opened it.
    pub opening: Evidence,
    /// The worst that was written down.
    pub worst: Evidence,
    /// Whether it comes and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<ComesAndGoes>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Why it was over.
    pub ending: Option<Ending>,
    /// The ticket from which it was merged into this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

impl Ticket {
    /// One that says nothing yet.
    pub(super) fn blank(number: u64, now: Timestamp, kind: TicketKind, severity: Severity) -> Self {
        Self {
            number,
            about: About::Device,
            device: String::new(),
            device_name: String::new(),
            site: String::new(),
            room: String::new(),
            kind,
            category: String::new(),
            severity,
            state: TicketState::New,
            title: String::new(),
            reason: String::new(),
            advice: String::new(),
            under: None,
            deferred: false,
            assignee: None,
            opened_at: now,
            changed_at: now,
            ended_at: None,
            reopened: 0,
            kept_open: false,
            touched: false,
            repair: None,
            lines: Vec::new(),
            lines_more: 0,
            affected: Vec::new(),
            affected_more: 0,
            decision: None,
            fixes: Vec::new(),
            handling: Handling::default(),
            events: 0,
        }
    }

    /// Takes in a line: in place of the same fault's old one, or at the end, or in place of the first that is over.
    pub(super) fn put(&mut self, line: Line) -> bool {
        let is_it = |old: &&mut Line| old.is_of(&line.device, &line.fault) && old.from == line.from;
        if let Some(old) = self.lines.iter_mut().find(is_it) {
            *old = line;
        } else {
            if self.lines.len() >= self.lines_max() {
                let Some(over) = self.lines.iter().position(Line::is_over) else { return false };
                self.lines.remove(over);
            }
            self.lines.push(line);
        }
        self.summarise();
        true
    }

    /// Title, severity and, unless something was decided, kind follow the lines that are not over, or all once every one is.
    pub(super) fn summarise(&mut self) {
        let Some(worst) = self.leading() else { return };
        let (severity, title) = (worst.severity, worst.title.clone());
        let kind = self.lines_kind();
        self.kind = match &self.decision {
            Some(decision) if kind != TicketKind::Supply => decision.course.kind(),
            _ => kind,
        };
        match self.about {
            About::Device => (self.severity, self.title) = (severity, title),
            About::Model { .. } => self.severity = severity,
            // Many are hindered by it whatever each of them is.
            About::Room => self.severity = severity.max(Severity::Major),
            About::Building => self.severity = Severity::Critical,
        }
    }

    /// Its lines that are not over, or all once every one is.
    fn counted(&self) -> impl Iterator<Item = &Line> {
        let any_left = self.lines.iter().any(|line| !line.is_over());
        self.lines.iter().filter(move |line| !any_left || !line.is_over())
    }

    /// The worst of its lines that count.
    pub(crate) fn leading(&self) -> Option<&Line> {
        self.counted().reduce(|worst, line| if line.severity > worst.severity { line } else { worst })
    }

    /// What kind of work its lines ask for, whatever was decided.
    #[must_use]
    pub fn lines_kind(&self) -> TicketKind {
        self.counted().map(|line| line.kind).max().unwrap_or(self.kind)
    }

    /// The devices whose faults it holds, over or not, by id; one with several faults as often.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| self.device_of(line))
    }

    /// Those whose faults are not over.
    pub fn devices_at_fault(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|line| !line.is_over()).map(|line| self.device_of(line))
    }

    /// The device of one of its lines.
    #[must_use]
    pub fn device_of<'ticket>(&'ticket self, line: &'ticket Line) -> &'ticket str {
        if line.device.is_empty() { &self.device } else { &line.device }
    }

    /// Whether it is about this device and no other.
    pub(super) fn is_about(&self, device: &Device) -> bool {
        self.about == About::Device && self.device == device.id
    }

    pub(super) const fn lines_max(&self) -> usize {
        match self.about {
            About::Device => LINES_MAX,
            About::Room | About::Model { .. } | About::Building => GROUP_LINES_MAX,
        }
    }

    pub(super) fn reopen(&mut self) {
        self.state = TicketState::Reopened;
        self.ended_at = None;
        self.under = None;
        self.reopened = self.reopened.saturating_add(1);
    }

    /// Notes where a device is, if it is about it or names it; says whether that is news.
    pub(super) fn place(&mut self, device: &Device) -> bool {
        let mut news = false;
        if self.about == About::Device && self.device == device.id {
            news = self.device_name != device.name || self.site != device.site || self.room != device.room;
            self.device_name.clone_from(&device.name);
            self.site.clone_from(&device.site);
            self.room.clone_from(&device.room);
        }
        for line in self.lines.iter_mut().filter(|line| line.device == device.id) {
            news |= line.place(device);
        }
        news
    }
}

impl Line {
    /// Whether its fault is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Whether it is this fault of this device.
    pub(super) fn is_of(&self, device: &str, fault: &Fault) -> bool {
        // A line of old is on a ticket about its device.
        (self.device == device || self.device.is_empty()) && self.fault == *fault
    }

    fn place(&mut self, device: &Device) -> bool {
        let news = self.device_name != device.name || self.site != device.site || self.room != device.room;
        self.device_name.clone_from(&device.name);
        self.site.clone_from(&device.site);
        self.room.clone_from(&device.room);
        news
    }

    pub(super) fn of(device: &Device, fault: &Fault, incident: &Incident) -> Self {
        Self {
            device: device.id.clone(),
            device_name: device.name.clone(),
            site: device.site.clone(),
            room: device.room.clone(),
            fault: fault.clone(),
            title: incident.title.clone(),
            advice: incident.advice.clone(),
            runbook: incident.runbook.clone(),
            severity: incident.severity,
            kind: incident.kind,
            safety: incident.safety,
            since: incident.since,
            opened_at: incident.opened_at,
            opening: incident.opening.clone(),
            worst: incident.worst.clone(),
            flapping: None,
            ended_at: None,
            ending: None,
            from: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
