//! One ticket: what, where, since when, why we think so, what to do; and the forms by which it is worked.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::life::dollars;
use bellwether_logic::tickets::{About, Actor, Affected, Line, TEXT_MAX, Ticket, TicketEvent, What};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{
    Close, Comment, FaultTag, ListedFault, Record, Reopen, Take, TakeOff, TicketActed, record, ticket_acted,
};
use serde::Deserialize;

use super::access::{Signed, Visitor};
use super::login::Nothing;
use super::page::{PageError, Shell, render};
use super::tickets::Card;
use super::when::When;
use super::{Desk, decision, handling, words};
use crate::app::SubmitError;
use crate::state::State as Database;
use crate::state::people::Deed;

/// More minutes than this in one repair note are a slip of the finger.
const MINUTES_MAX: u32 = 10_000;

/// One fault of the ticket.
struct Fault {
    /// The device's id; empty on a ticket about one.
    device: String,
    device_name: String,
    room: String,
    /// What tells it from the others, for the form that takes it off; none if it can't be.
    key: Option<String>,
    title: String,
    severity_label: &'static str,
    since: When,
    ended: Option<(When, String)>,
    /// How often it came and went, since when.
    flapping: Option<(u32, When)>,
    readings: Vec<String>,
    first: Vec<String>,
    advice: String,
    steps: Vec<String>,
    note: Vec<String>,
}

impl Fault {
    fn new(ticket: &Ticket, line: &Line, when: impl Fn(Timestamp) -> When) -> Self {
        let (steps, note) = steps(&line.runbook);
        let changed = line.opening.readings != line.worst.readings;
        let device =
            if ticket.about == About::Device && line.from.is_none() { String::new() } else { line.device.clone() };
        Self {
            device,
            device_name: line.device_name.clone(),
            room: line.room.clone(),
            key: take_off_key(ticket, line),
            title: line.title.clone(),
            severity_label: words::severity(line.severity),
            since: when(line.since),
            ended: line.ended_at.map(|at| {
                let why = line.ending.as_ref().map(bellwether_logic::incidents::Ending::text).unwrap_or_default();
                (when(at), why)
            }),
            flapping: line.flapping.map(|flapping| (flapping.times, when(flapping.since))),
            readings: line.worst.readings.clone(),
            first: if changed { line.opening.readings.clone() } else { Vec::new() },
            advice: line.advice.clone(),
            steps,
            note,
        }
    }
}

/// A line of a ticket about several devices, as a form writes it.
fn take_off_key(ticket: &Ticket, line: &Line) -> Option<String> {
    let may = ticket.about != About::Device && ticket.state.is_open() && !line.is_over() && line.from.is_none();
    may.then(|| serde_json::to_string(&(&line.device, &line.fault)).ok()).flatten()
}

/// A runbook's numbered lines, and the others.
fn steps(runbook: &str) -> (Vec<String>, Vec<String>) {
    let lines = runbook.lines().map(str::trim).filter(|line| !line.is_empty());
    let (mut steps, mut note) = (Vec::new(), Vec::new());
    for line in lines {
        match line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok()) {
            Some((_, step)) => steps.push(step.to_owned()),
            None => note.push(line.to_owned()),
        }
    }
    (steps, note)
}

/// One entry of the history.
struct Entry {
    at: When,
    actor: String,
    person: bool,
    kind: &'static str,
    text: String,
    detail: Option<String>,
    /// The ticket to which it happened, if that was merged into this one.
    of: Option<u64>,
}

impl Entry {
    fn new(event: &TicketEvent, of: u64, when: impl Fn(Timestamp) -> When) -> Self {
        Self {
            of: (event.ticket != of).then_some(event.ticket),
            detail: event.what.detail(),
            at: when(event.at),
            actor: event.actor.as_str().to_owned(),
            person: matches!(event.actor, Actor::Person(_)),
            kind: if matches!(event.what, What::Commented { .. }) { "comment" } else { "change" },
            text: event.what.text(),
        }
    }
}

/// A device that is or was out of reach with it.
struct Behind {
    device: String,
    name: String,
    room: String,
    since: When,
    back: Option<When>,
}

impl Behind {
    fn new(affected: &Affected, when: impl Fn(Timestamp) -> When) -> Self {
        Self {
            device: affected.device.clone(),
            name: affected.name.clone(),
            room: affected.room.clone(),
            since: when(affected.since),
            back: affected.back_at.map(when),
        }
    }
}

#[derive(Template)]
#[template(path = "ticket.html")]
struct TicketPage {
    shell: Shell,
    card: Card,
    /// Why it is one ticket, and what to do first about all of it.
    why: String,
    advice: String,
    about_one: bool,
    /// The tickets beneath it.
    beneath: Vec<Card>,
    faults: Vec<Fault>,
    faults_more: u64,
    /// What hangs on it, those first that are not back.
    behind: Vec<Behind>,
    behind_more: u64,
    changed: When,
    reopened: Option<String>,
    repair: Option<bellwether_logic::tickets::RepairNote>,
    decision: decision::View,
    handling: handling::View,
    cost: Option<String>,
    history: Vec<Entry>,
    may_comment: bool,
    may_work: bool,
    mine: bool,
    draft: RepairForm,
    problem: Option<String>,
    text_max: usize,
    minutes_max: u32,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Response, PageError> {
    let number = ticket_number(&number)?;
    page(&desk, &visitor, number, RepairForm::default(), None).await
}

fn ticket_number(text: &str) -> Result<u64, PageError> {
    // Numbers are of the width that the database has; a plus sign or a leading zero is not how we write one.
    let plain = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain).ok_or(PageError::NotFound)
}

async fn page(
    desk: &Desk,
    visitor: &Visitor,
    number: u64,
    draft: RepairForm,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let found = desk.with_state(move |state| Found::read(state, number)).await?;
    let Found { ticket, events, beneath, people } = found.ok_or(PageError::NotFound)?;
    let now = desk.app.clock.now();
    let when = |at| When::new(at, now, &desk.zone);
    let role = visitor.person.role;
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = TicketPage {
        shell: Shell::new(format!("#{number} {}", ticket.title), "tickets", visitor),
        card: Card::new(&ticket, when),
        faults: ticket.lines.iter().map(|line| Fault::new(&ticket, line, when)).collect(),
        why: ticket.why_one(),
        advice: ticket.advice.clone(),
        about_one: ticket.about == About::Device,
        beneath: beneath.iter().map(|ticket| Card::new(ticket, when)).collect(),
        faults_more: ticket.lines_more,
        behind: behind(&ticket, when),
        behind_more: ticket.affected_more,
        changed: when(ticket.changed_at),
        reopened: (ticket.reopened > 0).then(|| words::count(&(ticket.reopened as usize), "time")),
        repair: ticket.repair.clone(),
        decision: decision::View::of(&ticket, visitor, when),
        handling: handling::View::of(&ticket, visitor, people, when),
        cost: ticket.repair.as_ref().and_then(|note| note.cost_cents).map(|cents| dollars(cents.into())),
        history: events.iter().rev().map(|event| Entry::new(event, number, when)).collect(),
        may_comment: role.may(Deed::CommentTicket),
        may_work: role.may(Deed::WorkTicket),
        mine: ticket.assignee.as_deref() == Some(visitor.person.login.as_str()),
        draft,
        problem,
        text_max: TEXT_MAX,
        minutes_max: MINUTES_MAX,
    };
    Ok((status, render(&page)).into_response())
}

/// What a page is made of.
struct Found {
    ticket: Ticket,
    /// Also those of tickets that were merged into it, in order of time.
    events: Vec<TicketEvent>,
    /// Those that stand beneath it.
    beneath: Vec<Ticket>,
    people: Vec<String>,
}

impl Found {
    fn read(state: &Database, number: u64) -> Result<Option<Self>, PageError> {
        let Some(ticket) = state.ticket(number)? else { return Ok(None) };
        let mut events = state.ticket_events(number)?;
        for merged in &ticket.handling.merged {
            events.extend(state.ticket_events(merged.ticket)?);
        }
        events.sort_by_key(|event| event.at);
        let beneath = if ticket.about == About::Building { state.tickets_beneath(number)? } else { Vec::new() };
        Ok(Some(Self { ticket, events, beneath, people: state.workers()? }))
    }
}

fn behind(ticket: &Ticket, when: impl Fn(Timestamp) -> When + Copy) -> Vec<Behind> {
    let mut behind: Vec<&Affected> = ticket.affected.iter().collect();
    behind.sort_by_key(|affected| (affected.back_at.is_some(), &affected.room, &affected.name));
    behind.into_iter().map(|affected| Behind::new(affected, when)).collect()
}

/// What someone wrote.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Words {
    text: String,
}

/// The repair note, as sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepairForm {
    fault: String,
    action: String,
    part: String,
    minutes: String,
    cost: String,
}

/// Takes the ticket.
pub(super) async fn take(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    act(&desk, &visitor, &number, ticket_acted::Action::Take(Take {}), RepairForm::default()).await
}

/// Adds a comment.
pub(super) async fn comment(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, words): Signed<Words>,
) -> Result<Response, PageError> {
    visitor.must(Deed::CommentTicket)?;
    let text = shortened(&words.text);
    act(&desk, &visitor, &number, ticket_acted::Action::Comment(Comment { text }), RepairForm::default()).await
}

/// Closes the ticket with a repair note.
pub(super) async fn close(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<RepairForm>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let minutes = form.minutes.trim();
    let minutes = if minutes.is_empty() { Some(0) } else { minutes.parse().ok().filter(|n| *n <= MINUTES_MAX) };
    let Some(minutes) = minutes else {
        let problem = format!("Minutes must be a whole number up to {MINUTES_MAX}.");
        return page(&desk, &visitor, ticket_number(&number)?, form, Some(problem)).await;
    };
    let Some(cost_cents) = handling::cents(&form.cost) else {
        let problem = "Write what the parts cost in dollars, such as 12.50.";
        return page(&desk, &visitor, ticket_number(&number)?, form, Some(problem.into())).await;
    };
    let note = Close {
        fault: shortened(&form.fault),
        action: shortened(&form.action),
        part: shortened(&form.part),
        minutes,
        cost_cents,
    };
    if note.fault.is_empty() || note.action.is_empty() {
        let problem = "Say what was wrong and what you did. It helps to find the devices that should be replaced.";
        return page(&desk, &visitor, ticket_number(&number)?, form, Some(problem.into())).await;
    }
    act(&desk, &visitor, &number, ticket_acted::Action::Close(note), form).await
}

/// Says that it is not over.
pub(super) async fn reopen(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, words): Signed<Words>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let text = shortened(&words.text);
    act(&desk, &visitor, &number, ticket_acted::Action::Reopen(Reopen { text }), RepairForm::default()).await
}

/// Which line is taken off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LineForm {
    line: String,
}

/// Gives one device's fault on a ticket about several a ticket of its own.
pub(super) async fn take_off(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<LineForm>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let line: Result<(String, bellwether_logic::incidents::Fault), _> = serde_json::from_str(&form.line);
    let (device, fault) = line.map_err(|_| PageError::NotFound)?;
    let tags = fault.tags.into_iter().map(|(key, value)| FaultTag { key, value }).collect();
    let fault = Some(ListedFault { device_id: device, rule: fault.rule, tags });
    act(&desk, &visitor, &number, ticket_acted::Action::TakeOff(TakeOff { fault }), RepairForm::default()).await
}

pub(super) fn shortened(text: &str) -> String {
    text.trim().chars().take(TEXT_MAX).collect()
}

/// Submits what someone did, and shows why if the deciders would not have it.
pub(super) async fn act(
    desk: &Desk,
    visitor: &Visitor,
    number: &str,
    action: ticket_acted::Action,
    draft: RepairForm,
) -> Result<Response, PageError> {
    let number = ticket_number(number)?;
    if desk.with_state(move |state| state.ticket(number)).await?.is_none() {
        return Err(PageError::NotFound);
    }
    let acted = TicketActed { ticket: number, actor: visitor.person.login.clone(), action: Some(action) };
    match desk.app.clicks.submit(Record { body: Some(record::Body::Ticket(acted)) }).await {
        Ok(()) => Ok(Redirect::to(&format!("/tickets/{number}")).into_response()),
        Err(SubmitError::Refused(why)) => {
            page(desk, visitor, number, draft, Some(format!("That could not be done: {why}."))).await
        }
        Err(failed) => Err(failed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runbook_becomes_steps_and_a_note() {
        let (steps, note) = steps("1. Look.\n2. Mend. Then look again.\nIt resolves by itself.\n");
        assert_eq!(steps, ["Look.", "Mend. Then look again."]);
        assert_eq!(note, ["It resolves by itself."]);
    }

    #[test]
    fn only_numbers_of_tickets_are_numbers_of_tickets() {
        assert_eq!(ticket_number("7").unwrap(), 7);
        for strange in ["", "0", "07", "+7", "-7", "7;DROP", "../7", "99999999999999999999"] {
            assert!(ticket_number(strange).is_err(), "{strange}");
        }
    }
}
