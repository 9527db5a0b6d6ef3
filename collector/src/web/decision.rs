//! Repair or replacement on a ticket's page: what is advised, why, how sure that is, what helped before, and a person's word.

use axum::extract::{Path, State};
use axum::response::Response;
use bellwether_logic::life::{Course, Decision, Fix, dollars};
use bellwether_logic::tickets::Ticket;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Decide, ticket_acted};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use super::access::{Signed, Visitor};
use super::api::time;
use super::page::PageError;
use super::ticket::{RepairForm, act, shortened};
use super::when::When;
use crate::state::people::Deed;

/// The part of a ticket's page.
pub(super) struct View {
    pub(super) advice: Option<Advice>,
    pub(super) fixes: Vec<Helped>,
    /// Each course with its words, and whether it is the one that stands.
    pub(super) courses: Vec<(&'static str, String, bool)>,
    pub(super) may_decide: bool,
}

/// What stands on the ticket.
pub(super) struct Advice {
    pub(super) course: String,
    pub(super) confidence: &'static str,
    pub(super) reasons: Vec<String>,
    pub(super) missing: String,
    pub(super) overruled: Option<Said>,
}

/// A person's word.
pub(super) struct Said {
    pub(super) by: String,
    pub(super) at: When,
    pub(super) because: String,
    pub(super) advised: String,
}

/// A fix that helped before.
pub(super) struct Helped {
    pub(super) ticket: u64,
    pub(super) at: When,
    pub(super) fault: String,
    pub(super) action: String,
    pub(super) part: String,
    pub(super) minutes: u32,
    pub(super) cost: String,
}

impl View {
    pub(super) fn of(ticket: &Ticket, visitor: &Visitor, when: impl Fn(Timestamp) -> When + Copy) -> Self {
        let decision = ticket.decision.as_deref();
        let is_supply = ticket.lines_kind() == bellwether_logic::rules::TicketKind::Supply;
        let part = decision.map_or("", |decision| decision.part.as_str());
        let chosen = decision.map(|decision| decision.course);
        Self {
            advice: decision.map(|decision| Advice::of(decision, when)),
            fixes: ticket.fixes.iter().map(|fix| Helped::of(fix, when)).collect(),
            courses: Course::ALL
                .iter()
                .map(|course| (course.as_str(), course.text(part), chosen == Some(*course)))
                .collect(),
            may_decide: ticket.state.is_open() && !is_supply && visitor.person.role.may(Deed::WorkTicket),
        }
    }
}

impl Advice {
    fn of(decision: &Decision, when: impl Fn(Timestamp) -> When) -> Self {
        let missing: Vec<&str> = decision.missing.iter().map(|missing| missing.as_str()).collect();
        Self {
            course: decision.course.text(&decision.part),
            confidence: decision.confidence.as_str(),
            reasons: decision.reasons.clone(),
            missing: missing.join(", "),
            overruled: decision.overruled.as_ref().map(|overruled| Said {
                by: overruled.by.clone(),
                at: when(overruled.at),
                because: overruled.because.clone(),
                advised: overruled.advised.map(|course| course.text(&decision.part)).unwrap_or_default(),
            }),
        }
    }
}

impl Helped {
    fn of(fix: &Fix, when: impl Fn(Timestamp) -> When) -> Self {
        Self {
            ticket: fix.ticket,
            at: when(fix.at),
            fault: fix.fault.clone(),
            action: fix.action.clone(),
            part: fix.part.clone(),
            minutes: fix.minutes,
            cost: fix.cost_cents.map(|cents| dollars(cents.into())).unwrap_or_default(),
        }
    }
}

/// What a ticket's entry in the API says of it.
pub(super) fn json(ticket: &Ticket) -> (Value, Value) {
    let decision = ticket.decision.as_ref().map(|decision| {
        json!({
            "course": decision.course.as_str(),
            "part": decision.part,
            "kind": decision.course.kind().as_str(),
            "reasons": decision.reasons,
            "confidence": decision.confidence.as_str(),
            "missing": decision.missing.iter().map(|missing| missing.as_str()).collect::<Vec<_>>(),
            "cost_cents": decision.cost_cents,
            "value_cents": decision.value_cents,
            "since": time(decision.since),
            "overruled": decision.overruled.as_ref().map(|overruled| json!({
                "by": overruled.by,
                "at": time(overruled.at),
                "because": overruled.because,
                "advised": overruled.advised.map(Course::as_str),
            })),
        })
    });
    let fix = |fix: &Fix| {
        json!({
            "at": time(fix.at), "ticket": fix.ticket, "fault": fix.fault, "action": fix.action, "part": fix.part,
            "minutes": fix.minutes, "cost_cents": fix.cost_cents,
        })
    };
    (json!(decision), ticket.fixes.iter().map(fix).collect())
}

/// A person's word, as sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Word {
    course: String,
    because: String,
}

/// Says whether it is repaired or replaced, whatever is advised; an empty course: as advised again.
pub(super) async fn decide(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, word): Signed<Word>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let known = word.course.is_empty() || word.course.parse::<Course>().is_ok();
    let course = if known { word.course } else { return Err(PageError::NotFound) };
    let decide = Decide { course, because: shortened(&word.because) };
    act(&desk, &visitor, &number, ticket_acted::Action::Decide(decide), RepairForm::default()).await
}
