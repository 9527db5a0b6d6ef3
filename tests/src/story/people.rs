//! What people of a story do to tickets, and who of them looks after what.

use std::path::Path;

use bellwether_collector::responsibilities::Form;
use bellwether_logic::engine::Input;
use bellwether_logic::incidents::Fault;
use bellwether_logic::life::Course;
use bellwether_logic::span::Span;
use bellwether_logic::tickets::{Action, Priority, RepairNote, WaitFor};
use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// What a person does to a ticket.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum What {
    Take,
    Comment(String),
    Reopen(String),
    TakeOff {
        device: String,
        rule: String,
    },
    Close(RepairNote),
    Decide {
        course: Option<Course>,
        because: String,
    },
    /// Gives it to somebody.
    Assign(String),
    Start,
    Wait {
        r#for: WaitFor,
        text: String,
        /// For so long from now on.
        lasts: Option<Span>,
    },
    Resume,
    Prioritize {
        priority: Option<Priority>,
        note: String,
    },
    /// Into the ticket of this number.
    Merge(u64),
    Split,
}

impl What {
    pub(super) fn action(self, now: Timestamp) -> Action {
        match self {
            Self::Take => Action::Take,
            Self::Comment(text) => Action::Comment { text },
            Self::Reopen(text) => Action::Reopen { text },
            Self::TakeOff { device, rule } => Action::TakeOff { device, fault: Fault { rule, tags: Vec::new() } },
            Self::Close(note) => Action::Close(note),
            Self::Decide { course, because } => Action::Decide { course, because },
            Self::Assign(to) => Action::Assign { to },
            Self::Start => Action::Start,
            Self::Wait { r#for, text, lasts } => Action::Wait { r#for, text, until: lasts.map(|lasts| now + lasts.0) },
            Self::Resume => Action::Resume,
            Self::Prioritize { priority, note } => Action::Prioritize { priority, note },
            Self::Merge(into) => Action::Merge { into },
            Self::Split => Action::Split,
        }
    }
}

/// Who looks after what, as a file says; an empty one: nobody has written it.
pub(super) fn responsibilities(text: &str) -> Input {
    if text.is_empty() {
        return Input::Responsibilities(None);
    }
    let matrix = Form::parse(Path::new("responsibilities.toml"), text, &TimeZone::UTC);
    Input::Responsibilities(Some(Box::new(matrix.unwrap_or_else(|error| panic!("{error}")))))
}
