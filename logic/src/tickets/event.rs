//! What happened to a ticket, when, by whom: its history, which is only ever added to.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::RepairNote;
use crate::incidents::{Ending, Evidence};
use crate::time::Timestamp;

/// One entry of a ticket's history. Its key is the ticket's number and the sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketEvent {
    /// The ticket's number.
    pub ticket: u64,
    /// Counts up from 1 within the ticket.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub what: What,
}

/// Who does things to tickets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Bellwether by itself.
    Bellwether,
    /// A person, by login name.
    Person(String),
}

impl Actor {
    /// The name on a page.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bellwether => "Bellwether",
            Self::Person(name) => name,
        }
    }
}

/// What happens to tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was made.
    Opened {
        /// Its first line.
        title: String,
        /// What opened it.
        evidence: Evidence,
    },
    /// Another fault of the device and category.
    LineAdded {
        /// The line.
        title: String,
        /// What opened it.
        evidence: Evidence,
    },
    /// A fault that was over while others were not is back.
    LineReturned {
        /// The line.
        title: String,
        /// What opened it again.
        evidence: Evidence,
    },
    /// A fault got worse.
    EvidenceUpdated {
        /// The line.
        title: String,
        /// The worst so far.
        evidence: Evidence,
    },
    /// A fault is over.
    LineEnded {
        /// The line.
        title: String,
        /// Why.
        because: Ending,
    },
    /// Somebody took it.
    Taken {
        /// Who had it before.
        from: Option<String>,
    },
    /// Somebody wrote something.
    Commented {
        /// What they wrote.
        text: String,
    },
    /// Somebody ended it.
    Closed {
        /// What they did.
        note: RepairNote,
    },
    /// It ended by itself.
    Resolved {
        /// Why its last line was over.
        because: Ending,
    },
    /// It is open again.
    Reopened {
        /// Why, in words.
        because: String,
    },
    /// Other things are known than before, and something else is advised.
    AdviceChanged {
        /// What was advised, in words.
        from: String,
        /// What is advised now.
        to: String,
        /// Why.
        because: String,
    },
    /// Somebody said what to do.
    Decided {
        /// What, in words.
        course: String,
        /// Why.
        because: String,
    },
    /// Somebody took back what they had said: what is advised counts again.
    DecisionWithdrawn {
        /// Why.
        because: String,
    },
}

impl What {
    /// The entry's kind, as records and addresses write it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::LineAdded { .. } => "line_added",
            Self::LineReturned { .. } => "line_returned",
            Self::EvidenceUpdated { .. } => "evidence_updated",
            Self::LineEnded { .. } => "line_ended",
            Self::Taken { .. } => "taken",
            Self::Commented { .. } => "commented",
            Self::Closed { .. } => "closed",
            Self::Resolved { .. } => "resolved",
            Self::Reopened { .. } => "reopened",
            Self::AdviceChanged { .. } => "advice_changed",
            Self::Decided { .. } => "decided",
            Self::DecisionWithdrawn { .. } => "decision_withdrawn",
        }
    }

    /// The entry for people, without who and when.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Opened { title, evidence } => with("Opened", title, evidence),
            Self::LineAdded { title, evidence } => with("Also", title, evidence),
            Self::LineReturned { title, evidence } => with("Back again", title, evidence),
            Self::EvidenceUpdated { title, evidence } => with("Worse", title, evidence),
            Self::LineEnded { title, because } => format!("Over: {title} ({})", because.text()),
            Self::Taken { from: None } => "Took it".into(),
            Self::Taken { from: Some(from) } => format!("Took it over from {from}"),
            Self::Commented { text } => text.clone(),
            Self::Closed { note } => format!("Closed: {}", note.text()),
            Self::Resolved { because } => format!("Resolved by itself: {}", because.text()),
            Self::Reopened { because } => format!("Reopened: {because}"),
            Self::AdviceChanged { from, to, because } => format!("{to} (before: {from}). {because}"),
            Self::Decided { course, because } => format!("Decided: {course}. {because}"),
            Self::DecisionWithdrawn { because } => format!("Goes by the advice again: {because}"),
        }
    }
}

fn with(word: &str, title: &str, evidence: &Evidence) -> String {
    if evidence.readings.is_empty() {
        format!("{word}: {title}")
    } else {
        format!("{word}: {title} ({})", evidence.readings.join(", "))
    }
}
