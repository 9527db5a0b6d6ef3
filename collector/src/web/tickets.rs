//! The list of tickets: what there is to do, then what is done.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use bellwether_logic::responsibilities::{Party, PartyKind};
use bellwether_logic::tickets::{Priority, Ticket, TicketState};
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use super::access::Visitor;
use super::page::{PageError, Pager, Shell, encode, render};
use super::when::When;
use super::{Desk, words};
use crate::responsibilities::matrix_of;
use crate::state::State as Database;
use crate::state::tickets::{Rank, TicketCounts, TicketFilter};

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
    /// Who is responsible for it.
    pub(super) owner: String,
    pub(super) priority: &'static str,
    /// When a clock of it will be up, and whether one is.
    pub(super) due: Option<When>,
    pub(super) late: bool,
    /// Beneath which ticket it stands, and whether it is put off.
    pub(super) under: Option<u64>,
    pub(super) later: bool,
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
            owner: ticket.handling.owner.as_ref().map(|owner| owner.key.clone()).unwrap_or_default(),
            priority: ticket.handling.priority.as_str(),
            late: ticket.state.is_open() && ticket.handling.step().is_some(),
            due: ticket.handling.due().filter(|_| ticket.state.is_open()).map(&when),
            under: ticket.under.filter(|_| ticket.state.is_open()),
            later: ticket.deferred,
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
    owners: Vec<String>,
    priorities: &'static [Priority],
    states: Vec<(&'static str, &'static str)>,
    /// The other parameters of the address, for its tabs.
    rest: String,
    cards: Vec<Card>,
    pager: Pager,
}

/// Which tickets are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `open` (the default), `mine`, `later`, `ended` or `all`.
    show: String,
    /// The building.
    building: String,
    /// Who has it.
    owner: String,
    priority: String,
    state: String,
    page: Option<u32>,
}

impl Asked {
    fn filter(&self, mine: Vec<String>) -> TicketFilter {
        let states = match (self.state.parse(), self.show.as_str()) {
            (Ok(state), _) => vec![state],
            (Err(_), "all") => Vec::new(),
            (Err(_), "ended") => vec![TicketState::Resolved, TicketState::Closed],
            (Err(_), _) => TicketFilter::open().states,
        };
        let owners = match (self.show.as_str(), self.owner.as_str()) {
            ("mine", _) => mine,
            (_, "") => Vec::new(),
            (_, owner) => vec![owner.to_owned()],
        };
        let priority = self.priority.parse().ok();
        let rank = match (self.state.is_empty(), self.show.as_str()) {
            (true, "open" | "mine") => Some(Rank::ToDo),
            (_, "later") => Some(Rank::Later),
            _ => None,
        };
        TicketFilter { states, site: self.building.clone(), owners, priority, rank, ..TicketFilter::default() }
    }

    fn rest(&self) -> String {
        format!(
            "building={}&owner={}&priority={}&state={}",
            encode(&self.building),
            encode(&self.owner),
            encode(&self.priority),
            encode(&self.state)
        )
    }
}

/// Somebody's tickets: what they have taken, and what nobody has taken of theirs and of their teams'. Before anybody has
/// written who is in which team, everybody who works on tickets is of the one that is assumed.
fn mine(state: &Database, login: &str) -> Result<Vec<String>, PageError> {
    let matrix = state.responsibilities()?.as_ref().and_then(matrix_of).unwrap_or_default();
    let has = |party: &&Party| matrix.assumed || party.members.iter().any(|member| member == login);
    let teams = matrix.parties.iter().filter(|party| party.kind == PartyKind::Team).filter(has);
    Ok(std::iter::once(login.to_owned()).chain(teams.map(|team| team.key.clone())).collect())
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(mut asked): Query<Asked>,
) -> Result<Response, PageError> {
    if !matches!(asked.show.as_str(), "ended" | "all" | "mine" | "later") {
        asked.show = "open".into();
    }
    let page = asked.page.unwrap_or(1).max(1);
    let offset = (page - 1).saturating_mul(ROWS_PER_PAGE);
    let (wanted, login) = (asked.clone(), visitor.person.login.clone());
    let (counts, sites, owners, total, tickets) = desk
        .with_state(move |state| {
            let filter = wanted.filter(mine(state, &login)?);
            let tickets = state.tickets(&filter, ROWS_PER_PAGE, offset)?;
            let total = state.tickets_matching(&filter)?;
            Ok::<_, PageError>((state.ticket_counts()?, state.sites()?, state.ticket_owners()?, total, tickets))
        })
        .await?;
    let now = desk.app.clock.now();
    let rest = asked.rest();
    Ok(render(&TicketsPage {
        shell: Shell::new("Tickets", "tickets", &visitor),
        counts,
        cards: tickets.iter().map(|ticket| Card::new(ticket, |at| When::new(at, now, &desk.zone))).collect(),
        pager: Pager::new(page, total as usize, ROWS_PER_PAGE as usize, format!("show={}&{rest}", asked.show)),
        priorities: Priority::ALL,
        states: TicketState::ALL.iter().map(|state| (state.as_str(), words::ticket(*state))).collect(),
        rest,
        asked,
        sites,
        owners,
    }))
}
