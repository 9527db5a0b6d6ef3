//! `/api/v1`: devices, tickets, the map, school time and what is proposed as JSON, for programs with an API token. Errors are `application/problem+json`.

use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bellwether_logic::device::UnknownWord;
use bellwether_logic::tickets::{Ticket, TicketState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use super::configuration::{self, Configuration};
use super::page::PageError;
use super::{api_calendar, api_map, api_ticket, changes, decision, findings, plan, responsibilities, rules};
use crate::state::devices::DeviceRow;
use crate::state::people::{Deed, Role};
use crate::state::secret::SecretHash;
use crate::state::tickets::{Rank, TicketFilter};

/// Rows in an answer, unless it is asked for otherwise.
const LIMIT_DEFAULT: u32 = 100;
/// Rows in an answer at most.
const LIMIT_MAX: u32 = 500;

/// The API's routes.
pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/calendar", get(api_calendar::calendar))
        .route("/api/v1/changes", get(changes::api).post(changes::api_make))
        .route("/api/v1/changes/{number}/end", post(changes::api_end))
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/find", get(findings::api_find))
        .route("/api/v1/findings", get(findings::api))
        .route("/api/v1/findings/tickets", post(findings::api_raise))
        .route("/api/v1/discovered", get(api_map::discovered))
        .route("/api/v1/map", get(api_map::map))
        .route("/api/v1/plan", get(plan::api))
        .route("/api/v1/plan.csv", get(plan::api_csv))
        .route("/api/v1/responsibilities", get(responsibilities::api))
        .route("/api/v1/rules", get(rules::list))
        .route("/api/v1/tickets", get(tickets))
        .route("/api/v1/tickets/{number}", get(api_ticket::one))
        .route("/api/v1/tickets/{number}/act", post(api_ticket::act))
        .route("/api/v1/tickets/{number}/history", get(api_ticket::history))
}

/// An error as RFC 9457 has it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"bellwether\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Plain(status, text) => return Self::new(status, text),
            PageError::NotFound => return Self::new(StatusCode::NOT_FOUND, "there is no such resource"),
            _ => {}
        }
        tracing::error!(?error, "an API call failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the collector could not answer; the reason is in its log")
    }
}

/// A program that has shown a valid token. Every role may read.
pub(super) struct Caller {
    /// What it is called.
    pub(super) name: String,
    pub(super) role: Role,
}

impl Caller {
    /// Goes on only if the token's role allows this.
    pub(super) fn must(&self, deed: Deed) -> Result<(), Problem> {
        let forbidden = || Problem::new(StatusCode::FORBIDDEN, "the role of this API token does not allow this");
        if self.role.may(deed) { Ok(()) } else { Err(forbidden()) }
    }

    /// The token's name: who did it, in histories.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl FromRequestParts<Desk> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| SecretHash::of(token.trim()))
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer` with an API token"))?;
        let now = desk.app.clock.now();
        match desk.with_state(move |state| state.api_caller(token, now)).await? {
            Some(caller) => Ok(Self { name: caller.name, role: caller.role }),
            None => Err(Problem::new(StatusCode::UNAUTHORIZED, "this API token is not known, or it has expired")),
        }
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    limit: Option<String>,
    offset: Option<String>,
    state: Option<String>,
    site: Option<String>,
    device: Option<String>,
    owner: Option<String>,
    priority: Option<String>,
    /// `true`: only what is put off; `false`: only what is to be done now.
    put_off: Option<bool>,
}

pub(super) type Asked = Result<Query<Part>, axum::extract::rejection::QueryRejection>;

impl Part {
    pub(super) fn of(asked: Asked) -> Result<Self, Problem> {
        asked.map(|Query(part)| part).map_err(|refused| Problem::new(StatusCode::BAD_REQUEST, refused.to_string()))
    }

    pub(super) fn limit(&self) -> Result<u32, Problem> {
        number("limit", self.limit.as_deref(), LIMIT_DEFAULT, 1..=LIMIT_MAX)
    }

    pub(super) fn offset(&self) -> Result<u32, Problem> {
        number("offset", self.offset.as_deref(), 0, 0..=i32::MAX.unsigned_abs())
    }

    pub(super) fn site(&self) -> &str {
        self.site.as_deref().unwrap_or_default()
    }

    fn filter(&self) -> Result<TicketFilter, Problem> {
        let states = match self.state.as_deref() {
            None | Some("") => Vec::new(),
            Some("open") => TicketFilter::open().states,
            Some(word) => {
                let state: TicketState =
                    word.parse().map_err(|unknown| Problem::new(StatusCode::BAD_REQUEST, format!("{unknown}")))?;
                vec![state]
            }
        };
        let (site, device) = (self.site.clone().unwrap_or_default(), self.device.clone().unwrap_or_default());
        let owners = self.owner.iter().filter(|owner| !owner.is_empty()).cloned().collect();
        let priority = self.priority.as_deref().filter(|word| !word.is_empty()).map(str::parse).transpose();
        let priority =
            priority.map_err(|unknown: UnknownWord| Problem::new(StatusCode::BAD_REQUEST, format!("{unknown}")))?;
        let rank = self.put_off.map(|put_off| if put_off { Rank::Later } else { Rank::ToDo });
        Ok(TicketFilter { states, site, device, owners, priority, rank })
    }
}

fn number(
    name: &str,
    text: Option<&str>,
    default: u32,
    allowed: std::ops::RangeInclusive<u32>,
) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(default) };
    text.parse().ok().filter(|number| allowed.contains(number)).ok_or_else(|| {
        let detail = format!("`{name}` must be a number from {} to {}", allowed.start(), allowed.end());
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

async fn devices(State(desk): State<Desk>, _: Caller, asked: Asked) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset) = (part.limit()?, part.offset()?);
    let (rows, total) = desk
        .with_state(move |state| Ok::<_, PageError>((state.devices(limit, offset)?, state.device_count()?)))
        .await?;
    let rows: Vec<Value> = rows.iter().map(|row| device_json(row, &configuration::of(&desk.app, row))).collect();
    Ok(Json(json!({ "devices": rows, "total": total, "limit": limit, "offset": offset })))
}

async fn tickets(State(desk): State<Desk>, _: Caller, asked: Asked) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let (limit, offset, filter) = (part.limit()?, part.offset()?, part.filter()?);
    let (rows, total) = desk
        .with_state(move |state| {
            Ok::<_, PageError>((state.tickets(&filter, limit, offset)?, state.tickets_matching(&filter)?))
        })
        .await?;
    let rows: Vec<Value> = rows.iter().map(ticket_json).collect();
    Ok(Json(json!({ "tickets": rows, "total": total, "limit": limit, "offset": offset })))
}

fn device_json(device: &DeviceRow, configuration: &Configuration) -> Value {
    json!({
        "id": device.id,
        "name": device.name,
        "kind": device.kind,
        "class": device.class.as_str(),
        "state": device.state.as_str(),
        "site": device.site,
        "room": device.room,
        "vendor": device.vendor,
        "model": device.model,
        "serial": device.serial,
        "agent_version": device.agent_version,
        "configuration": configuration.json(),
        "presence": device.presence.as_str(),
        "enrolled_at": time(device.enrolled_at),
        "last_seen_at": device.last_seen_at.map(time),
    })
}

/// What a line says, or the ticket for a line of old.
fn named<'ticket>(line: &'ticket str, ticket: &'ticket str) -> &'ticket str {
    if line.is_empty() { ticket } else { line }
}

pub(super) fn ticket_json(ticket: &Ticket) -> Value {
    let (decided, fixes) = decision::json(ticket);
    let lines: Vec<Value> = ticket
        .lines
        .iter()
        .map(|line| {
            json!({
                "device": ticket.device_of(line),
                "device_name": named(&line.device_name, &ticket.device_name),
                "room": named(&line.room, &ticket.room),
                "rule": line.fault.rule,
                "subject": line.fault.tags.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "title": line.title,
                "advice": line.advice,
                "severity": line.severity.as_str(),
                "since": time(line.since),
                "readings": line.worst.readings,
                "comes_and_goes": line.flapping.map(|flapping| json!({
                    "times": flapping.times, "since": time(flapping.since),
                })),
                "ended_at": line.ended_at.map(time),
            })
        })
        .collect();
    json!({
        "number": ticket.number,
        "state": ticket.state.as_str(),
        "kind": ticket.kind.as_str(),
        "severity": ticket.severity.as_str(),
        "category": ticket.category,
        "title": ticket.title,
        "about": ticket.about,
        "reason": ticket.why_one(),
        "advice": ticket.advice,
        "under": ticket.under,
        "put_off": ticket.deferred,
        "device": ticket.device,
        "device_name": ticket.device_name,
        "site": ticket.site,
        "room": ticket.room,
        "assignee": ticket.assignee,
        "opened_at": time(ticket.opened_at),
        "changed_at": time(ticket.changed_at),
        "ended_at": ticket.ended_at.map(time),
        "reopened": ticket.reopened,
        "repair": ticket.repair.as_ref().map(|note| json!({
            "fault": note.fault, "action": note.action, "part": note.part, "minutes": note.minutes,
            "cost_cents": note.cost_cents,
        })),
        "handling": api_ticket::handling(ticket),
        "decision": decided,
        "last_fixes": fixes,
        "lines": lines,
        "lines_more": ticket.lines_more,
        "out_of_reach": ticket.affected.iter().map(|affected| json!({
            "device": affected.device,
            "name": affected.name,
            "room": affected.room,
            "since": time(affected.since),
            "back_at": affected.back_at.map(time),
        })).collect::<Vec<_>>(),
        "out_of_reach_more": ticket.affected_more,
    })
}

pub(super) fn time(at: bellwether_logic::time::Timestamp) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.0).ok().map(|at| at.to_string())
}
