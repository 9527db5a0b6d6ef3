//! The list of tickets: what there is to do, then what is done.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use bellwether_logic::tickets::{Ticket, TicketState};
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::access::Visitor;
use super::page::{PageError, Pager, Shell, encode, render};
use super::when::When;
use super::{Desk, words};
use crate::state::tickets::{TicketCounts, TicketFilter};

/// Tickets on one page of the list.
const ROWS_PER_PAGE: u32 = 100;

/// A ticket in a list.
pub(super) struct Card {
    pub(super) number: u64,
    pub(super) open: bool,
    pub(super) state: TicketState,
    pub(super) state_label: &'static str,
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    pub(super) severity_label: &'static str,
    pub(super) title: String,
    pub(super) device: String,
    pub(super) device_name: String,
    pub(super) site: String,
    pub(super) room: String,
    pub(super) assignee: Option<String>,
    /// How many devices are out of reach with it; empty if there are none.
    pub(super) cut_off: String,
    pub(super) opened: When,
    pub(super) ended: Option<When>,
}

impl Card {
    /// A ticket as lists show it.
    pub(super) fn new(ticket: &Ticket, when: impl Fn(Timestamp) -> When) -> Self {
        Self {
            number: ticket.number,
            open: ticket.state.is_open(),
            state: ticket.state,
            state_label: words::ticket(ticket.state),
            kind: words::kind(ticket.kind),
            severity: ticket.severity.as_str(),
            severity_label: words::severity(ticket.severity),
            title: ticket.title.clone(),
            device: ticket.device.clone(),
            device_name: ticket.device_name.clone(),
            site: ticket.site.clone(),
            room: ticket.room.clone(),
            assignee: ticket.assignee.clone(),
            cut_off: cut_off(ticket),
            opened: when(ticket.opened_at),
            ended: ticket.ended_at.map(when),
        }
    }
}

fn cut_off(ticket: &Ticket) -> String {
    let away = ticket.affected.iter().filter(|affected| affected.back_at.is_none()).count();
    let away = away + usize::try_from(ticket.affected_more).unwrap_or(usize::MAX - away);
    if away == 0 { String::new() } else { format!("{} out of reach with it", words::count(&away, "device")) }
}

#[derive(Template)]
#[template(path = "tickets.html")]
struct TicketsPage {
    shell: Shell,
    counts: TicketCounts,
    asked: Asked,
    sites: Vec<String>,
    cards: Vec<Card>,
    pager: Pager,
}

/// Which tickets are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `open` (the default), `ended` or `all`.
    show: String,
    /// The building.
    building: String,
    page: Option<u32>,
}

impl Asked {
    fn filter(&self) -> TicketFilter {
        let states = match self.show.as_str() {
            "all" => Vec::new(),
            "ended" => vec![TicketState::Resolved, TicketState::Closed],
            _ => TicketFilter::open().states,
        };
        TicketFilter { states, site: self.building.clone(), ..TicketFilter::default() }
    }
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(mut asked): Query<Asked>,
) -> Result<Response, PageError> {
    if !matches!(asked.show.as_str(), "ended" | "all") {
        asked.show = "open".into();
    }
    let filter = asked.filter();
    let page = asked.page.unwrap_or(1).max(1);
    let offset = (page - 1).saturating_mul(ROWS_PER_PAGE);
    let (counts, sites, total, tickets) = desk
        .with_state(move |state| {
            let tickets = state.tickets(&filter, ROWS_PER_PAGE, offset)?;
            Ok::<_, PageError>((state.ticket_counts()?, state.sites()?, state.tickets_matching(&filter)?, tickets))
        })
        .await?;
    let now = desk.app.clock.now();
    let query = format!("show={}&building={}", asked.show, encode(&asked.building));
    Ok(render(&TicketsPage {
        shell: Shell::new("Tickets", "tickets", &visitor),
        counts,
        cards: tickets.iter().map(|ticket| Card::new(ticket, |at| When::new(at, now, &desk.zone))).collect(),
        pager: Pager::new(page, total as usize, ROWS_PER_PAGE as usize, query),
        asked,
        sites,
    }))
}
