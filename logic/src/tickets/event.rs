//! What happened to a ticket, when, by whom: its history, which is only ever added to.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Priority, RepairNote, Step, WaitFor};
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
        /// How soon and to whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed: Option<Handed>,
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
    /// Somebody took a device's fault off it, to a ticket of its own.
    TakenOff {
        /// The line.
        title: String,
    },
    /// It is one of very many at its building, and stands beneath the ticket of these.
    PutUnder {
        /// That ticket.
        ticket: u64,
    },
    /// It no longer stands beneath that ticket.
    StandsAlone {
        /// That ticket.
        ticket: u64,
    },
    /// It was put off: the day's tickets are given out.
    Deferred {
        /// How many a day are.
        limit: u32,
    },
    /// There is time for it now.
    Released,
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
    /// A person gave it to somebody.
    Assigned {
        /// To whom.
        to: String,
        /// Who had it before.
        from: Option<String>,
    },
    /// Whoever has it began to work on it.
    Started,
    /// It waits for something.
    Waits {
        /// For what.
        r#for: WaitFor,
        /// In their words.
        text: String,
        /// When that is expected.
        until: Option<Timestamp>,
    },
    /// It waits no more.
    Resumed,
    /// The date until which it waited has come.
    WaitOver {
        /// What it waited for, in a person's words.
        text: String,
    },
    /// A person chose a priority, or left it to be reckoned again.
    Chosen {
        /// The one before.
        from: Priority,
        /// The one from now on.
        to: Priority,
        /// Why.
        note: String,
    },
    /// What its priority depends on has changed.
    Reckoned {
        /// The one before.
        from: Priority,
        /// The one from now on.
        to: Priority,
        /// Why.
        because: String,
    },
    /// Somebody else is responsible now.
    Routed {
        /// Who was before.
        from: String,
        /// Who is.
        to: String,
        /// By which row.
        via: String,
    },
    /// A clock was up.
    Escalated {
        /// How far it was passed.
        step: Step,
        /// To whom; empty: there is nobody else.
        to: String,
        /// What did not happen in time.
        because: String,
    },
    /// A vendor's clock was up.
    VendorLate {
        /// Who.
        vendor: String,
        /// In what time they should have been done.
        within: String,
    },
    /// It goes on in another.
    MergedInto {
        /// In which.
        ticket: u64,
    },
    /// Another goes on in this one.
    TookIn {
        /// Which.
        ticket: u64,
        /// What that was about.
        title: String,
    },
    /// It goes on by itself again.
    SplitFrom {
        /// From which.
        ticket: u64,
    },
    /// One that was merged into this one goes on by itself again.
    SplitOff {
        /// Which.
        ticket: u64,
    },
}

/// How soon a new ticket is worked on, and who is responsible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// How soon.
    pub priority: Priority,
    /// Why.
    pub because: String,
    /// Who.
    pub owner: String,
    /// By which row.
    pub via: String,
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
            Self::TakenOff { .. } => "taken_off",
            Self::PutUnder { .. } => "put_under",
            Self::StandsAlone { .. } => "stands_alone",
            Self::Deferred { .. } => "deferred",
            Self::Released => "released",
            Self::Taken { .. } => "taken",
            Self::Commented { .. } => "commented",
            Self::Closed { .. } => "closed",
            Self::Resolved { .. } => "resolved",
            Self::Reopened { .. } => "reopened",
            Self::AdviceChanged { .. } => "advice_changed",
            Self::Decided { .. } => "decided",
            Self::DecisionWithdrawn { .. } => "decision_withdrawn",
            Self::Assigned { .. } => "assigned",
            Self::Started => "started",
            Self::Waits { .. } => "waits",
            Self::Resumed => "resumed",
            Self::WaitOver { .. } => "wait_over",
            Self::Chosen { .. } => "priority_chosen",
            Self::Reckoned { .. } => "priority_reckoned",
            Self::Routed { .. } => "routed",
            Self::Escalated { .. } => "escalated",
            Self::VendorLate { .. } => "vendor_late",
            Self::MergedInto { .. } => "merged_into",
            Self::TookIn { .. } => "took_in",
            Self::SplitFrom { .. } => "split_from",
            Self::SplitOff { .. } => "split_off",
        }
    }

    /// The entry for people, without who and when.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Opened { title, evidence, .. } => with("Opened", title, evidence),
            Self::LineAdded { title, evidence } => with("Also", title, evidence),
            Self::LineReturned { title, evidence } => with("Back again", title, evidence),
            Self::EvidenceUpdated { title, evidence } => with("Worse", title, evidence),
            Self::LineEnded { title, because } => format!("Over: {title} ({})", because.text()),
            Self::TakenOff { title } => format!("Has a ticket of its own now: {title}"),
            Self::PutUnder { ticket } => format!("One of very many at once: see ticket #{ticket}"),
            Self::StandsAlone { ticket } => format!("Stands alone again, and no longer beneath ticket #{ticket}"),
            Self::Deferred { limit } => format!("Put off: {limit} tickets were given out on this day already"),
            Self::Released => "There is time for it now".into(),
            Self::Taken { from: None } => "Took it".into(),
            Self::Taken { from: Some(from) } => format!("Took it over from {from}"),
            Self::Commented { text } => text.clone(),
            Self::Closed { note } => format!("Closed: {}", note.text()),
            Self::Resolved { because } => format!("Resolved by itself: {}", because.text()),
            Self::Reopened { because } => format!("Reopened: {because}"),
            Self::AdviceChanged { from, to, because } => format!("{to} (before: {from}). {because}"),
            Self::Decided { course, because } => format!("Decided: {course}. {because}"),
            Self::DecisionWithdrawn { because } => format!("Goes by the advice again: {because}"),
            Self::Assigned { to, from: None } => format!("Gave it to {to}"),
            Self::Assigned { to, from: Some(from) } => format!("Gave it to {to}, who has it instead of {from}"),
            Self::Started => "Began to work on it".into(),
            Self::Waits { r#for: WaitFor::Part, text, .. } => format!("Waits for a part: {text}"),
            Self::Waits { r#for: WaitFor::Vendor, text, .. } => format!("Waits for the vendor: {text}"),
            Self::Waits { r#for: WaitFor::Person, text, .. } => format!("Waits for somebody: {text}"),
            Self::Resumed => "Went on working on it".into(),
            Self::WaitOver { text } => format!("The day has come until which it waited: {text}"),
            Self::Chosen { from, to, note } => format!("Priority {from} to {to}, by hand: {note}"),
            Self::Reckoned { from, to, because } => format!("Priority {from} to {to}: {because}"),
            Self::Routed { from, to, via } => format!("{to} is responsible instead of {from}: {via}"),
            Self::Escalated { to, because, .. } if to.is_empty() => format!("Late: {because}"),
            Self::Escalated { to, because, .. } => format!("Passed up to {to}: {because}"),
            Self::VendorLate { vendor, within } => format!("{vendor} is late: nothing came of it within {within}"),
            Self::MergedInto { ticket } => format!("Merged into #{ticket}, where it goes on"),
            Self::TookIn { ticket, title } => format!("#{ticket} was merged into this one: {title}"),
            Self::SplitFrom { ticket } => format!("Goes on by itself again, apart from #{ticket}"),
            Self::SplitOff { ticket } => format!("#{ticket} goes on by itself again"),
        }
    }

    /// What else there is to say of it: of a new ticket how soon and to whom.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Opened { handed: Some(Handed { priority, because, owner, via }), .. } => {
                Some(format!("{priority}: {because}. {owner} is responsible: {via}."))
            }
            _ => None,
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
