//! What a story expects, and how it is looked at.

use bellwether_logic::presence::DeviceState;
use bellwether_logic::rules::{Severity, TicketKind};
use bellwether_logic::span::Span;
use bellwether_logic::tickets::{Handling, Priority, Ticket, TicketState};
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::{BEGIN, Desk, when};

/// What must be true at a time, or at every moment between two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    at: Option<Span>,
    between: Option<(Span, Span)>,
    /// How many tickets are open.
    open: Option<usize>,
    /// How many were ever made.
    made: Option<usize>,
    /// How many portables somebody should look for.
    find: Option<usize>,
    /// How many faults planned changes silenced.
    silenced: Option<u64>,
    /// How many faults are on the planning list.
    listed: Option<usize>,
    /// The titles of all open tickets, sorted.
    titles: Option<Vec<String>>,
    /// How many are put off.
    deferred: Option<usize>,
    /// How many open ones stand beneath another.
    beneath: Option<usize>,
    ticket: Option<ExpectTicket>,
    device: Option<ExpectDevice>,
}

/// What must be true of one ticket.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectTicket {
    number: u64,
    state: Option<TicketState>,
    kind: Option<TicketKind>,
    severity: Option<Severity>,
    title: Option<String>,
    room: Option<String>,
    site: Option<String>,
    /// `device`, `room`, `model` or `building`.
    about: Option<String>,
    /// Words of why it is one ticket.
    reason: Option<String>,
    /// Words of what to do about all of it.
    advice: Option<String>,
    /// Beneath which ticket it stands; 0: none.
    under: Option<u64>,
    deferred: Option<bool>,
    assignee: Option<String>,
    reopened: Option<u32>,
    /// The title of each line, those that are over with ` (over)` behind.
    lines: Option<Vec<String>>,
    /// The readings that opened the first line.
    evidence: Option<Vec<String>>,
    /// How often its first line came and went; 0: it does not flap.
    comes_and_goes: Option<u32>,
    /// How many devices are out of reach with it and not back.
    cut_off: Option<usize>,
    /// Who is responsible.
    owner: Option<String>,
    priority: Option<Priority>,
    /// When a clock will be up, since the story's beginning; `0s` if none runs.
    due: Option<Span>,
    /// To whom it was passed up, in order.
    passed_up: Option<Vec<String>>,
    /// The ticket in which it goes on; 0: it goes on by itself.
    merged_into: Option<u64>,
    /// What is to be done about the hardware; `none` if it is not about hardware.
    course: Option<String>,
    /// How sure that is.
    confidence: Option<String>,
    /// The first reason.
    why: Option<String>,
    /// What was done when this helped before, the newest first.
    fixes: Option<Vec<String>>,
}

/// What must be true of one device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectDevice {
    id: String,
    presence: String,
    /// The worst fault; `none` for none.
    worst: Option<String>,
}

impl Expect {
    /// The moments at which to look whatever happens.
    pub(super) fn moments(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let ends = self.between.into_iter().flat_map(|(from, to)| [from, to]);
        self.at.into_iter().chain(ends).map(|span| BEGIN + span.0)
    }

    pub(super) fn covers(&self, now: Timestamp) -> bool {
        // The first moment is looked at once everything of that moment has happened.
        self.between.is_some_and(|(from, to)| BEGIN + from.0 < now && now <= BEGIN + to.0)
    }

    pub(super) fn check(&self, now: Timestamp, desk: &Desk) {
        let when = when(now);
        if let Some(open) = self.open {
            assert_eq!(desk.open(), open, "open tickets at {when}: {:#?}", desk.tickets);
        }
        if let Some(made) = self.made {
            assert_eq!(desk.tickets.len(), made, "tickets made at {when}: {:#?}", desk.tickets);
        }
        let find = desk.devices.values().filter(|state| state.find).count();
        same(&when, "portables to find", self.find.as_ref(), &find);
        let silenced = desk.plans.values().map(|plan| plan.silenced).sum();
        same(&when, "faults silenced", self.silenced.as_ref(), &silenced);
        same(&when, "faults on the planning list", self.listed.as_ref(), &desk.list.len());
        if let Some(titles) = &self.titles {
            let open = desk.tickets.values().filter(|ticket| ticket.state.is_open());
            let mut found: Vec<&str> = open.map(|ticket| ticket.title.as_str()).collect();
            found.sort_unstable();
            assert_eq!(&found, titles, "titles of open tickets at {when}");
        }
        let counted = |passes: fn(&&Ticket) -> bool| {
            desk.tickets.values().filter(|ticket| ticket.state.is_open()).filter(passes).count()
        };
        same(&when, "tickets put off", self.deferred.as_ref(), &counted(|ticket| ticket.deferred));
        same(&when, "tickets beneath others", self.beneath.as_ref(), &counted(|ticket| ticket.under.is_some()));
        if let Some(expected) = &self.ticket {
            let ticket = desk.tickets.get(&expected.number);
            expected.check(&when, ticket.unwrap_or_else(|| panic!("no ticket {} at {when}", expected.number)));
        }
        if let Some(expected) = &self.device {
            let state = desk.devices.get(&expected.id);
            expected.check(&when, state.unwrap_or_else(|| panic!("no device {} at {when}", expected.id)));
        }
    }
}

impl ExpectTicket {
    fn check(&self, when: &str, ticket: &Ticket) {
        let lines = ticket.lines.iter().map(|line| {
            let over = if line.is_over() { " (over)" } else { "" };
            format!("{}{over}", line.title)
        });
        same(when, "state", self.state.as_ref(), &ticket.state);
        same(when, "kind", self.kind.as_ref(), &ticket.kind);
        same(when, "severity", self.severity.as_ref(), &ticket.severity);
        same(when, "title", self.title.as_ref(), &ticket.title);
        same(when, "room", self.room.as_ref(), &ticket.room);
        same(when, "building", self.site.as_ref(), &ticket.site);
        same(when, "what it is about", self.about.as_deref(), ticket.about.word());
        for (words, text) in [(&self.reason, ticket.why_one()), (&self.advice, ticket.advice.clone())] {
            let words = words.as_deref().unwrap_or_default();
            assert!(text.contains(words), "at {when}: `{text}` says `{words}`");
        }
        same(when, "ticket above", self.under.as_ref(), &ticket.under.unwrap_or_default());
        same(when, "put off", self.deferred.as_ref(), &ticket.deferred);
        same(when, "assignee", self.assignee.as_ref(), &ticket.assignee.clone().unwrap_or_default());
        same(when, "reopened", self.reopened.as_ref(), &ticket.reopened);
        same(when, "lines", self.lines.as_ref(), &lines.collect());
        let flapping = ticket.lines.first().and_then(|line| line.flapping);
        let times = flapping.map_or(0, |flapping| flapping.times);
        same(when, "times that it came and went", self.comes_and_goes.as_ref(), &times);
        let cut_off = ticket.affected.iter().filter(|affected| affected.back_at.is_none()).count();
        same(when, "devices cut off", self.cut_off.as_ref(), &cut_off);
        self.check_handling(when, &ticket.handling);
        let decision = ticket.decision.as_deref();
        let course = decision.map_or("none", |decision| decision.course.as_str());
        same(when, "course", self.course.as_deref(), course);
        let confidence = decision.map_or("none", |decision| decision.confidence.as_str());
        same(when, "confidence", self.confidence.as_deref(), confidence);
        let why = decision.and_then(|decision| decision.reasons.first());
        same(when, "reason", self.why.as_ref(), why.unwrap_or(&String::new()));
        let fixes = ticket.fixes.iter().map(|fix| fix.action.clone()).collect();
        same(when, "fixes", self.fixes.as_ref(), &fixes);
        let evidence = ticket.lines.first().map(|line| line.opening.readings.clone()).unwrap_or_default();
        same(when, "evidence", self.evidence.as_ref(), &evidence);
    }
}

impl ExpectTicket {
    fn check_handling(&self, when: &str, handling: &Handling) {
        let owner = handling.owner.as_ref().map_or("", |owner| &owner.key);
        same(when, "owner", self.owner.as_deref(), owner);
        same(when, "priority", self.priority.as_ref(), &handling.priority);
        let due = handling.due().map_or(Span::default(), |due| Span(due.since(BEGIN)));
        same(when, "due", self.due.as_ref(), &due);
        let passed_up = handling.escalated.iter().map(|step| step.to.clone()).collect();
        same(when, "passed up", self.passed_up.as_ref(), &passed_up);
        same(when, "merged into", self.merged_into.as_ref(), &handling.merged_into.unwrap_or_default());
    }
}

impl ExpectDevice {
    fn check(&self, when: &str, state: &DeviceState) {
        assert_eq!(state.presence.word(), self.presence, "presence of {} at {when}", self.id);
        let worst = state.worst.map_or("none", Severity::as_str);
        same(when, "worst", self.worst.as_deref(), worst);
    }
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(when: &str, what: &str, expected: Option<&T>, found: &T) {
    if let Some(expected) = expected {
        assert_eq!(found, expected, "{what} at {when}");
    }
}
