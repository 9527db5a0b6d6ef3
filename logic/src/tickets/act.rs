//! What people do to tickets. Whatever can't be done is refused with a reason; nothing is ever half done.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::{Actor, Chosen, Priority, TEXT_MAX, Ticket, TicketState, Tickets, WaitFor, Waiting, What};
use crate::incidents::Fault;
use crate::life::Course;
use crate::time::Timestamp;

/// What a person does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Takes it.
    Take,
    /// Writes something.
    Comment {
        /// What they write.
        text: String,
    },
    /// Ends it.
    Close(RepairNote),
    /// Gives one device's fault on a ticket about several a ticket of its own.
    TakeOff {
        /// The device's id.
        device: String,
        /// Its fault.
        fault: Fault,
    },
    /// Says that it isn't over.
    Reopen {
        /// Why.
        text: String,
    },
    /// Says whether it is repaired or replaced, whatever is advised.
    Decide {
        /// What to do; none: what is advised counts again.
        course: Option<Course>,
        /// Why.
        because: String,
    },
    /// Gives it to somebody.
    Assign {
        /// Their login name.
        to: String,
    },
    /// Begins to work on it.
    Start,
    /// Says that it waits for something.
    Wait {
        /// For what.
        r#for: WaitFor,
        /// In their words.
        text: String,
        /// When that is expected.
        until: Option<Timestamp>,
    },
    /// Says that it waits no more.
    Resume,
    /// Says how soon it is to be worked on.
    Prioritize {
        /// How soon; none: as it is reckoned.
        priority: Option<Priority>,
        /// Why.
        note: String,
    },
    /// Lets it go on in another ticket.
    Merge {
        /// In which.
        into: u64,
    },
    /// Lets it go on by itself again.
    Split,
}

/// What a person did about a fault. Devices to replace are found from these, so a ticket can't be closed without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairNote {
    /// What was wrong. Required.
    pub fault: String,
    /// What was done. Required.
    pub action: String,
    /// What was put in; may be empty.
    pub part: String,
    /// How long it took.
    pub minutes: u32,
    /// What the parts cost, in cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<u32>,
}

impl RepairNote {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let part = if self.part.is_empty() { String::new() } else { format!(", part: {}", self.part) };
        let plural = if self.minutes == 1 { "" } else { "s" };
        let cost = self.cost_cents.map(|cents| format!("; parts for ${}.{:02}", cents / 100, cents % 100));
        let cost = cost.unwrap_or_default();
        format!("{}; {}{part}; {} minute{plural}{cost}", self.fault, self.action, self.minutes)
    }
}

/// Why something can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is none of that number, or it ended too long ago.
    #[error("there is no ticket of this number that can still be changed")]
    NoSuchTicket,
    /// It ended.
    #[error("this ticket is {0} already")]
    Ended(TicketState),
    /// It didn't end.
    #[error("this ticket is still open")]
    StillOpen,
    /// The same person took it before.
    #[error("you have this ticket already")]
    YoursAlready,
    /// There is no such fault on it that is not over.
    #[error("this ticket has no such fault, or it is over")]
    NoSuchLine,
    /// It is about several devices, and grows and shrinks by itself.
    #[error("a ticket about several devices can't go on in another")]
    AboutSeveral,
    /// It is about one device alone.
    #[error("this ticket is about one device alone")]
    OneDevice,
    /// Nothing was written.
    #[error("there is nothing written")]
    NothingWritten,
    /// The repair note lacks something.
    #[error("a ticket is closed with what was wrong and what was done about it")]
    NoteIncomplete,
    /// It is about supplies, or nobody had decided anything.
    #[error("there is nothing to decide about this ticket")]
    NothingToDecide,
    /// Whoever it is given to has it.
    #[error("{0} has this ticket already")]
    TheirsAlready(String),
    /// Somebody else works on it.
    #[error("{0} has this ticket: take it over first")]
    OfAnother(String),
    /// It was begun.
    #[error("you are working on this ticket already")]
    Started,
    /// It waits for nothing.
    #[error("this ticket does not wait for anything")]
    NotWaiting,
    /// The day to wait until is over.
    #[error("the day until which it should wait is over")]
    Past,
    /// It has that priority.
    #[error("a person has given it this priority already")]
    PriorityAlready,
    /// No person chose a priority.
    #[error("nobody has chosen its priority: it is as it was reckoned")]
    ReckonedAlready,
    /// It can't go on in itself.
    #[error("a ticket cannot be merged into itself")]
    Itself,
    /// The other is none that is worked on.
    #[error("there is no open ticket #{0} to merge it into")]
    NoTarget(u64),
    /// Others go on in it.
    #[error("other tickets were merged into this one: they would be hard to find again")]
    HoldsOthers,
    /// Which devices it is about is found out, not said.
    #[error("a ticket about several devices takes in what belongs to it by itself, and is not merged by hand")]
    ManyDevices,
    /// The other has no room for its lines.
    #[error("ticket #{0} has no room for more")]
    Full(u64),
    /// It goes on in another.
    #[error("this ticket was merged into #{0}, where it goes on")]
    Merged(u64),
    /// It was not merged.
    #[error("this ticket was not merged into another")]
    NotMerged,
    /// The other was worked on.
    #[error("ticket #{0}, into which it was merged, has been worked on since")]
    WorkedOn(u64),
}

impl Tickets {
    /// A person does something to a ticket.
    pub(crate) fn act(&mut self, now: Timestamp, number: u64, actor: &str, action: Action) -> Result<(), Refusal> {
        match action {
            Action::Merge { into } => return self.merge(now, number, into, actor),
            Action::Split => return self.split(now, number, actor),
            _ => {}
        }
        let ticket = self.tickets.get_mut(&number).ok_or(Refusal::NoSuchTicket)?;
        if let Some(into) = ticket.handling.merged_into.filter(|_| !matches!(action, Action::Comment { .. })) {
            return Err(Refusal::Merged(into));
        }
        let what = match action {
            Action::Take => ticket.take(actor)?,
            Action::Comment { text } => What::Commented { text: written(&text)? },
            Action::Close(note) => ticket.close(now, actor, &note)?,
            Action::Reopen { text } => ticket.reopen_by_hand(&text)?,
            Action::Decide { course, because } => ticket.decide(now, actor, course, &because)?,
            Action::Assign { to } => ticket.assign(&to)?,
            Action::Start => ticket.start(actor)?,
            Action::Wait { r#for, text, until } => ticket.wait(now, actor, r#for, &text, until)?,
            Action::Resume => ticket.resume()?,
            Action::Prioritize { priority, note } => ticket.prioritize(actor, priority, &note)?,
            Action::Merge { .. } | Action::Split => return Ok(()),
            Action::TakeOff { device, fault } => return self.take_off(now, number, actor, &device, &fault),
        };
        ticket.touched = true;
        ticket.handling.acts = ticket.handling.acts.saturating_add(1);
        self.record(now, number, Actor::Person(actor.to_string()), what);
        Ok(())
    }
}

impl Ticket {
    fn take(&mut self, actor: &str) -> Result<What, Refusal> {
        self.must_be_open()?;
        if self.is_taken() && self.assignee.as_deref() == Some(actor) {
            return Err(Refusal::YoursAlready);
        }
        let from = self.assignee.replace(actor.to_string()).filter(|before| before != actor);
        self.state = TicketState::Assigned;
        Ok(What::Taken { from })
    }

    fn close(&mut self, now: Timestamp, actor: &str, note: &RepairNote) -> Result<What, Refusal> {
        self.must_be_open()?;
        let complete = |text: &str| written(text).map_err(|_| Refusal::NoteIncomplete);
        let note = RepairNote {
            fault: complete(&note.fault)?,
            action: complete(&note.action)?,
            part: shortened(&note.part),
            minutes: note.minutes,
            cost_cents: note.cost_cents,
        };
        self.assignee.get_or_insert_with(|| actor.to_string());
        self.state = TicketState::Closed;
        self.ended_at = Some(now);
        self.kept_open = false;
        self.deferred = false;
        self.repair = Some(note.clone());
        Ok(What::Closed { note })
    }

    fn assign(&mut self, to: &str) -> Result<What, Refusal> {
        self.must_be_open()?;
        let to = written(to)?;
        if self.is_taken() && self.assignee.as_deref() == Some(to.as_str()) {
            return Err(Refusal::TheirsAlready(to));
        }
        let from = self.assignee.replace(to.clone()).filter(|before| *before != to);
        self.state = TicketState::Assigned;
        Ok(What::Assigned { to, from })
    }

    fn start(&mut self, actor: &str) -> Result<What, Refusal> {
        self.must_be_open()?;
        match &self.assignee {
            Some(who) if who != actor => return Err(Refusal::OfAnother(who.clone())),
            Some(_) if self.state == TicketState::InProgress => return Err(Refusal::Started),
            _ => {}
        }
        self.assignee = Some(actor.to_string());
        self.state = TicketState::InProgress;
        Ok(What::Started)
    }

    fn wait(
        &mut self,
        now: Timestamp,
        actor: &str,
        r#for: WaitFor,
        text: &str,
        until: Option<Timestamp>,
    ) -> Result<What, Refusal> {
        self.must_be_open()?;
        let text = written(text)?;
        if until.is_some_and(|until| until <= now) {
            return Err(Refusal::Past);
        }
        self.assignee.get_or_insert_with(|| actor.to_string());
        self.state = TicketState::Waiting;
        // What it waited for until now is counted by its own reason, at the end of this turn.
        self.handling.waited = self.handling.waiting.replace(Waiting { r#for, text: text.clone(), until, since: now });
        Ok(What::Waits { r#for, text, until })
    }

    fn resume(&mut self) -> Result<What, Refusal> {
        self.must_be_open()?;
        if self.state != TicketState::Waiting {
            return Err(Refusal::NotWaiting);
        }
        self.state = TicketState::InProgress;
        Ok(What::Resumed)
    }

    fn prioritize(&mut self, actor: &str, priority: Option<Priority>, note: &str) -> Result<What, Refusal> {
        self.must_be_open()?;
        let note = written(note)?;
        let chosen = self.handling.chosen.as_ref().map(|chosen| chosen.priority);
        match (chosen, priority) {
            (Some(before), Some(now)) if before == now => return Err(Refusal::PriorityAlready),
            (None, None) => return Err(Refusal::ReckonedAlready),
            _ => {}
        }
        let from = self.handling.priority;
        let to = priority.unwrap_or(self.handling.reckoned);
        self.handling.chosen = priority.map(|priority| Chosen { priority, by: actor.to_string(), note: note.clone() });
        self.handling.priority = to;
        Ok(What::Chosen { from, to, note })
    }

    const fn must_be_open(&self) -> Result<(), Refusal> {
        if self.state.is_open() { Ok(()) } else { Err(Refusal::Ended(self.state)) }
    }

    /// Whether somebody has it now.
    const fn is_taken(&self) -> bool {
        matches!(self.state, TicketState::Assigned | TicketState::InProgress | TicketState::Waiting)
    }

    fn reopen_by_hand(&mut self, text: &str) -> Result<What, Refusal> {
        if self.state.is_open() {
            return Err(Refusal::StillOpen);
        }
        let because = written(text)?;
        self.reopen();
        self.kept_open = true;
        Ok(What::Reopened { because })
    }
}

pub(super) fn written(text: &str) -> Result<String, Refusal> {
    let text = shortened(text);
    if text.is_empty() { Err(Refusal::NothingWritten) } else { Ok(text) }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(TEXT_MAX).collect()
}
