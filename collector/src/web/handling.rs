//! How a ticket is handled, on its page: how soon, who is responsible, what it waits for, by when; and the forms by which
//! people give, begin, stop, weigh and merge.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_logic::responsibilities::PartyKind;
use bellwether_logic::tickets::{Clock, Priority, Ticket, TicketState, WaitFor};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Assign, Merge, Prioritize, Resume, Split, Start, Wait, ticket_acted};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Desk;
use super::access::{Signed, Visitor};
use super::login::Nothing;
use super::page::PageError;
use super::ticket::{RepairForm, act, shortened};
use super::when::When;
use super::words;
use crate::state::people::Deed;

/// One clock.
pub(super) struct Ticking {
    /// When it will be up; none: it stands still or is done.
    pub(super) due: Option<When>,
    pub(super) missed: bool,
    pub(super) done: bool,
}

impl Ticking {
    fn of(clock: &Clock, when: impl Fn(Timestamp) -> When) -> Self {
        Self { due: clock.due.map(when), missed: clock.missed_at.is_some(), done: clock.done_at.is_some() }
    }
}

/// What it waits for.
pub(super) struct Waits {
    pub(super) what: &'static str,
    pub(super) text: String,
    pub(super) since: When,
    pub(super) until: Option<When>,
}

/// The part of a ticket's page.
pub(super) struct View {
    pub(super) priority: Priority,
    pub(super) because: String,
    /// Who chose it, why, and what is reckoned instead.
    pub(super) chosen: Option<(String, String, Priority)>,
    pub(super) priorities: &'static [Priority],
    pub(super) owner: String,
    pub(super) owner_kind: &'static str,
    pub(super) via: String,
    pub(super) named: bool,
    pub(super) respond: Option<Ticking>,
    pub(super) solve: Option<Ticking>,
    pub(super) vendor: Option<(String, Ticking)>,
    pub(super) waiting: Option<Waits>,
    /// To whom it was passed up, and when; empty: it was late and there is nobody else.
    pub(super) passed_up: Vec<(String, When)>,
    pub(super) merged_into: Option<u64>,
    pub(super) merged: Vec<u64>,
    /// Everybody to whom it can be given.
    pub(super) people: Vec<String>,
    pub(super) may_coordinate: bool,
    pub(super) may_start: bool,
    pub(super) is_waiting: bool,
}

impl View {
    pub(super) fn of(
        ticket: &Ticket,
        visitor: &Visitor,
        people: Vec<String>,
        when: impl Fn(Timestamp) -> When + Copy,
    ) -> Self {
        let handling = &ticket.handling;
        let owner = handling.owner.as_ref();
        let clock = |clock: &Option<Clock>| clock.as_ref().map(|clock| Ticking::of(clock, when));
        let mine = ticket.assignee.as_deref().is_none_or(|who| who == visitor.person.login);
        let chosen = handling.chosen.as_ref();
        Self {
            priority: handling.priority,
            because: handling.because.clone(),
            chosen: chosen.map(|chosen| (chosen.by.clone(), chosen.note.clone(), handling.reckoned)),
            priorities: Priority::ALL,
            owner: owner.map(|owner| owner.key.clone()).unwrap_or_default(),
            owner_kind: owner.map_or("", |owner| words::party(owner.kind)),
            via: owner.map(|owner| owner.via.clone()).unwrap_or_default(),
            named: owner.is_none_or(|owner| owner.named),
            respond: clock(&handling.response),
            solve: clock(&handling.resolution),
            vendor: handling.vendor.as_ref().map(|vendor| {
                let name = if vendor.vendor.is_empty() { "Vendor".into() } else { vendor.vendor.clone() };
                (name, Ticking::of(&vendor.clock, when))
            }),
            waiting: handling.waiting.as_ref().map(|waiting| Waits {
                what: words::wait(waiting.r#for),
                text: waiting.text.clone(),
                since: when(waiting.since),
                until: waiting.until.map(when),
            }),
            passed_up: handling.escalated.iter().map(|step| (step.to.clone(), when(step.at))).collect(),
            merged_into: handling.merged_into,
            merged: handling.merged.iter().map(|merged| merged.ticket).collect(),
            people,
            may_coordinate: visitor.person.role.may(Deed::DirectTicket),
            may_start: mine && ticket.state.is_open() && ticket.state != TicketState::InProgress,
            is_waiting: ticket.state == TicketState::Waiting,
        }
    }

    /// Whether it is with a company outside.
    pub(super) fn is_vendors(&self) -> bool {
        self.owner_kind == words::party(PartyKind::Vendor)
    }
}

/// To whom.
#[derive(Debug, Deserialize)]
pub(super) struct To {
    to: String,
}

/// Gives it to somebody.
pub(super) async fn assign(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<To>,
) -> Result<Response, PageError> {
    visitor.must(Deed::DirectTicket)?;
    let to = form.to.clone();
    let workers = desk.with_state(move |state| Ok::<_, PageError>(state.workers()?)).await?;
    if !workers.contains(&to) {
        return Err(wrong("Nobody of that name works on tickets here."));
    }
    act(&desk, &visitor, &number, ticket_acted::Action::Assign(Assign { to }), RepairForm::default()).await
}

/// Begins to work on it.
pub(super) async fn start(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    act(&desk, &visitor, &number, ticket_acted::Action::Start(Start {}), RepairForm::default()).await
}

/// What it waits for, as sent.
#[derive(Debug, Deserialize)]
pub(super) struct WaitForm {
    r#for: String,
    text: String,
    #[serde(default)]
    until: String,
}

/// Says that it waits for something.
pub(super) async fn wait(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<WaitForm>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    let r#for: WaitFor = form.r#for.parse().map_err(|_| wrong("Say for what it waits."))?;
    let until_ms = until(&form.until, &desk.zone)?;
    let wait = Wait { r#for: r#for.as_str().into(), text: shortened(&form.text), until_ms };
    act(&desk, &visitor, &number, ticket_acted::Action::Wait(wait), RepairForm::default()).await
}

/// The first moment of a day by the school's clock; 0: nobody knows when.
pub(super) fn until(text: &str, zone: &TimeZone) -> Result<i64, PageError> {
    if text.trim().is_empty() {
        return Ok(0);
    }
    let date: Date = text.trim().parse().map_err(|_| wrong("Write the day as 2026-12-01."))?;
    let at = date.to_zoned(zone.clone()).map_err(|_| wrong("There is no such day."))?;
    Ok(at.timestamp().as_millisecond())
}

/// Says that it waits no more.
pub(super) async fn resume(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    act(&desk, &visitor, &number, ticket_acted::Action::Resume(Resume {}), RepairForm::default()).await
}

/// How soon, as sent.
#[derive(Debug, Deserialize)]
pub(super) struct PriorityForm {
    /// Empty: as it is reckoned.
    priority: String,
    note: String,
}

/// Says how soon it is to be worked on.
pub(super) async fn prioritize(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<PriorityForm>,
) -> Result<Response, PageError> {
    visitor.must(Deed::WorkTicket)?;
    if !form.priority.is_empty() && form.priority.parse::<Priority>().is_err() {
        return Err(wrong("Priorities are P1 to P5."));
    }
    let chosen = Prioritize { priority: form.priority, note: shortened(&form.note) };
    act(&desk, &visitor, &number, ticket_acted::Action::Prioritize(chosen), RepairForm::default()).await
}

/// Into which, as sent.
#[derive(Debug, Deserialize)]
pub(super) struct Into {
    into: String,
}

/// Lets it go on in another ticket.
pub(super) async fn merge(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, form): Signed<Into>,
) -> Result<Response, PageError> {
    visitor.must(Deed::DirectTicket)?;
    let into =
        form.into.trim().trim_start_matches('#').parse().map_err(|_| wrong("Write the other ticket's number."))?;
    act(&desk, &visitor, &number, ticket_acted::Action::Merge(Merge { into }), RepairForm::default()).await
}

/// Lets it go on by itself again.
pub(super) async fn split(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    visitor.must(Deed::DirectTicket)?;
    act(&desk, &visitor, &number, ticket_acted::Action::Split(Split {}), RepairForm::default()).await
}

/// Cents out of what a person typed, such as `12.50` or `$8`; none of what is no amount of money.
pub(super) fn cents(text: &str) -> Option<Option<u32>> {
    let text = text.trim().trim_start_matches('$').trim();
    if text.is_empty() {
        return Some(None);
    }
    let (dollars, cents) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(dollars) || !digits(cents) || cents.len() > 2 || (dollars.is_empty() && cents.is_empty()) {
        return None;
    }
    let whole: u32 = if dollars.is_empty() { 0 } else { dollars.parse().ok()? };
    let part: u32 = format!("{cents:0<2}").parse().ok()?;
    Some(Some(whole.checked_mul(100)?.checked_add(part)?))
}

fn wrong(text: &str) -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_as_people_write_it() {
        for (text, expected) in
            [("", None), ("12.5", Some(1250)), ("$8", Some(800)), ("0.07", Some(7)), (".5", Some(50))]
        {
            assert_eq!(cents(text), Some(expected), "{text}");
        }
        for text in ["-1", "1.234", "a lot", "1,50", ".", "99999999999"] {
            assert_eq!(cents(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_by_the_schools_clock() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        assert_eq!(until("", &zone).unwrap(), 0);
        let at = jiff::Timestamp::from_millisecond(until("2026-12-01", &zone).unwrap()).unwrap();
        assert_eq!(at.to_string(), "2026-12-01T06:00:00Z");
        assert!(until("tomorrow", &zone).is_err());
    }
}
