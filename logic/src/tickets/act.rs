//! What people do to tickets. Whatever can't be done is refused with a reason; nothing is ever half done.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::{Actor, TEXT_MAX, Ticket, TicketState, Tickets, What};
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
}

impl RepairNote {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let part = if self.part.is_empty() { String::new() } else { format!(", part: {}", self.part) };
        let plural = if self.minutes == 1 { "" } else { "s" };
        format!("{}; {}{part}; {} minute{plural}", self.fault, self.action, self.minutes)
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
    /// Nothing was written.
    #[error("there is nothing written")]
    NothingWritten,
    /// The repair note lacks something.
    #[error("a ticket is closed with what was wrong and what was done about it")]
    NoteIncomplete,
    /// It is about supplies, or nobody had decided anything.
    #[error("there is nothing to decide about this ticket")]
    NothingToDecide,
}

impl Tickets {
    /// A person does something to a ticket.
    pub(crate) fn act(&mut self, now: Timestamp, number: u64, actor: &str, action: Action) -> Result<(), Refusal> {
        let ticket = self.tickets.get_mut(&number).ok_or(Refusal::NoSuchTicket)?;
        let what = match action {
            Action::Take => ticket.take(actor)?,
            Action::Comment { text } => What::Commented { text: written(&text)? },
            Action::Close(note) => ticket.close(now, actor, &note)?,
            Action::Reopen { text } => ticket.reopen_by_hand(&text)?,
            Action::Decide { course, because } => ticket.decide(now, actor, course, &because)?,
        };
        ticket.touched = true;
        self.record(now, number, Actor::Person(actor.to_string()), what);
        Ok(())
    }
}

impl Ticket {
    fn take(&mut self, actor: &str) -> Result<What, Refusal> {
        if !self.state.is_open() {
            return Err(Refusal::Ended(self.state));
        }
        if self.state == TicketState::Assigned && self.assignee.as_deref() == Some(actor) {
            return Err(Refusal::YoursAlready);
        }
        let from = self.assignee.replace(actor.to_string()).filter(|before| before != actor);
        self.state = TicketState::Assigned;
        Ok(What::Taken { from })
    }

    fn close(&mut self, now: Timestamp, actor: &str, note: &RepairNote) -> Result<What, Refusal> {
        if !self.state.is_open() {
            return Err(Refusal::Ended(self.state));
        }
        let complete = |text: &str| written(text).map_err(|_| Refusal::NoteIncomplete);
        let note = RepairNote {
            fault: complete(&note.fault)?,
            action: complete(&note.action)?,
            part: shortened(&note.part),
            minutes: note.minutes,
        };
        self.assignee.get_or_insert_with(|| actor.to_string());
        self.state = TicketState::Closed;
        self.ended_at = Some(now);
        self.kept_open = false;
        self.repair = Some(note.clone());
        Ok(What::Closed { note })
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
