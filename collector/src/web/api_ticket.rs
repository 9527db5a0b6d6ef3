//! `/api/v1/tickets/NUMBER`: one ticket, its whole history, and what a program with a token of a role that may does to it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bellwether_logic::tickets::{Clock, Priority, TEXT_MAX, Ticket, WaitFor};
use bellwether_proto::record::v1::{
    Assign, Close, Comment, FaultTag, ListedFault, Merge, Prioritize, Record, Reopen, Resume, Split, Start, Take,
    TakeOff, TicketActed, Wait, record, ticket_acted,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use super::api::{Asked, Caller, Part, Problem, ticket_json, time};
use super::page::PageError;
use crate::app::SubmitError;
use crate::state::people::Deed;

/// What can be done, as `{"do": "wait", "for": "part", "text": "a fan"}`.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Act {
    Take,
    Start,
    Resume,
    Split,
    Comment {
        text: String,
    },
    Reopen {
        text: String,
    },
    Assign {
        to: String,
    },
    Wait {
        r#for: WaitFor,
        text: String,
        until: Option<jiff::Timestamp>,
    },
    Priority {
        priority: Option<Priority>,
        note: String,
    },
    Merge {
        into: u64,
    },
    TakeOff {
        device: String,
        rule: String,
        #[serde(default)]
        subject: Vec<(String, String)>,
    },
    Close {
        fault: String,
        action: String,
        #[serde(default)]
        part: String,
        #[serde(default)]
        minutes: u32,
        cost_cents: Option<u32>,
    },
}

impl Act {
    const fn deed(&self) -> Deed {
        match self {
            Self::Comment { .. } => Deed::CommentTicket,
            Self::Assign { .. } | Self::Merge { .. } | Self::Split => Deed::DirectTicket,
            _ => Deed::WorkTicket,
        }
    }

    fn action(self) -> ticket_acted::Action {
        let short = |text: String| text.trim().chars().take(TEXT_MAX).collect::<String>();
        match self {
            Self::Take => ticket_acted::Action::Take(Take {}),
            Self::Start => ticket_acted::Action::Start(Start {}),
            Self::Resume => ticket_acted::Action::Resume(Resume {}),
            Self::Split => ticket_acted::Action::Split(Split {}),
            Self::Comment { text } => ticket_acted::Action::Comment(Comment { text: short(text) }),
            Self::Reopen { text } => ticket_acted::Action::Reopen(Reopen { text: short(text) }),
            Self::Assign { to } => ticket_acted::Action::Assign(Assign { to }),
            Self::Wait { r#for, text, until } => ticket_acted::Action::Wait(Wait {
                r#for: r#for.as_str().into(),
                text: short(text),
                until_ms: until.map_or(0, jiff::Timestamp::as_millisecond),
            }),
            Self::Priority { priority, note } => ticket_acted::Action::Prioritize(Prioritize {
                priority: priority.map_or("", Priority::as_str).into(),
                note: short(note),
            }),
            Self::TakeOff { device, rule, subject } => {
                let tags = subject.into_iter().map(|(key, value)| FaultTag { key, value }).collect();
                let fault = Some(ListedFault { device_id: device, rule, tags });
                ticket_acted::Action::TakeOff(TakeOff { fault })
            }
            Self::Merge { into } => ticket_acted::Action::Merge(Merge { into }),
            Self::Close { fault, action, part, minutes, cost_cents } => ticket_acted::Action::Close(Close {
                fault: short(fault),
                action: short(action),
                part: short(part),
                minutes,
                cost_cents,
            }),
        }
    }
}

/// One ticket.
pub(super) async fn one(State(desk): State<Desk>, _: Caller, Path(number): Path<u32>) -> Result<Json<Value>, Problem> {
    found(&desk, number.into()).await.map(|ticket| Json(ticket_json(&ticket)))
}

async fn found(desk: &Desk, number: u64) -> Result<Ticket, Problem> {
    let ticket = desk.with_state(move |state| Ok::<_, PageError>(state.ticket(number)?)).await?;
    ticket.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no ticket of this number"))
}

/// What happened to it, the first first.
pub(super) async fn history(
    State(desk): State<Desk>,
    _: Caller,
    Path(number): Path<u32>,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset) = (part.limit()? as usize, part.offset()? as usize);
    let ticket = found(&desk, number.into()).await?;
    let events = desk.with_state(move |state| Ok::<_, PageError>(state.ticket_events(number.into())?)).await?;
    let entries: Vec<Value> = events
        .iter()
        .skip(offset)
        .take(limit)
        .map(|event| {
            json!({
                "sequence": event.sequence,
                "at": time(event.at),
                "actor": event.actor.as_str(),
                "kind": event.what.word(),
                "text": event.what.text(),
                "detail": event.what.detail(),
            })
        })
        .collect();
    Ok(Json(json!({ "history": entries, "total": ticket.events, "limit": limit, "offset": offset })))
}

/// Does something to it, in the token's name.
pub(super) async fn act(
    State(desk): State<Desk>,
    caller: Caller,
    Path(number): Path<u32>,
    body: Result<Json<Act>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(act) = body.map_err(|refused| Problem::new(StatusCode::BAD_REQUEST, refused.body_text()))?;
    if !caller.role.may(act.deed()) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the role of this API token does not allow this"));
    }
    let number = u64::from(number);
    found(&desk, number).await?;
    if let Act::Assign { to } = &act {
        let workers = desk.with_state(|state| Ok::<_, PageError>(state.workers()?)).await?;
        if !workers.contains(to) {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nobody of that login works on tickets"));
        }
    }
    let acted = TicketActed { ticket: number, actor: caller.name, action: Some(act.action()) };
    match desk.app.clicks.submit(Record { body: Some(record::Body::Ticket(acted)) }).await {
        Ok(()) => found(&desk, number).await.map(|ticket| Json(ticket_json(&ticket))),
        Err(SubmitError::Refused(why)) => Err(Problem::new(StatusCode::CONFLICT, why)),
        Err(failed) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, failed.to_string())),
    }
}

/// How soon, by whom, by when, and what it waits for.
pub(super) fn handling(ticket: &Ticket) -> Value {
    let handling = &ticket.handling;
    let clock = |clock: &Clock| {
        json!({
            "allowed": clock.allowed.to_string(),
            "elapsed_ms": clock.elapsed_ms,
            "running_since": clock.running_since.map(time),
            "due_at": clock.due.map(time),
            "missed_at": clock.missed_at.map(time),
            "done_at": clock.done_at.map(time),
        })
    };
    json!({
        "priority": handling.priority.as_str(),
        "reckoned": handling.reckoned.as_str(),
        "impact": handling.impact.as_str(),
        "urgency": handling.urgency.as_str(),
        "because": handling.because,
        "chosen": handling.chosen.as_ref().map(|chosen| json!({ "by": chosen.by, "note": chosen.note })),
        "owner": handling.owner.as_ref().map(|owner| json!({
            "key": owner.key, "kind": owner.kind.as_str(), "via": owner.via, "named": owner.named,
            "next": owner.next, "lead": owner.lead,
        })),
        "response": handling.response.as_ref().map(clock),
        "resolution": handling.resolution.as_ref().map(clock),
        "vendor": handling.vendor.as_ref().map(|vendor| json!({
            "name": vendor.vendor, "clock": clock(&vendor.clock),
        })),
        "due_at": handling.due().map(time),
        "waiting": handling.waiting.as_ref().map(|waiting| json!({
            "for": waiting.r#for.as_str(), "text": waiting.text, "since": time(waiting.since),
            "until": waiting.until.map(time),
        })),
        "waited_ms": handling.waited_ms,
        "escalated": handling.escalated.iter().map(|step| json!({
            "step": step.step.as_str(), "to": step.to, "at": time(step.at),
        })).collect::<Vec<_>>(),
        "merged_into": handling.merged_into,
        "merged": handling.merged.iter().map(|merged| merged.ticket).collect::<Vec<_>>(),
    })
}
