//! Tickets as the deciders made them, kept for pages, the API and desks. They change only by the engine's effects.

use std::sync::LazyLock;

use bellwether_logic::tickets::{About, Priority, Ticket, TicketEvent, TicketState};
use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use super::engine::EngineTx;
use super::{During, State, StateError};

/// Tickets that one question returns at most.
pub const PAGE_MAX: u32 = 500;
/// Events of one ticket that one question returns: the newest. One that changes every day for ten years has fewer.
const EVENTS_MAX: u32 = 5_000;

/// How many tickets there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketCounts {
    /// Nobody has taken them.
    pub waiting: u32,
    /// Somebody works on them.
    pub taken: u32,
    /// Put off, because there were as many on one day as somebody can work off.
    pub later: u32,
    /// Resolved or closed.
    pub ended: u32,
}

/// Whether a ticket is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It is.
    ToDo = 0,
    /// It is put off.
    Later = 1,
    /// It stands beneath another.
    Beneath = 2,
}

impl Rank {
    fn of(ticket: &Ticket) -> Self {
        match (ticket.under, ticket.deferred) {
            (Some(_), _) => Self::Beneath,
            (None, true) => Self::Later,
            (None, false) => Self::ToDo,
        }
    }
}

/// Which tickets are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// Of these states; of any when it is empty.
    pub states: Vec<TicketState>,
    /// Of this building; of any when it is empty.
    pub site: String,
    /// Of this device; of any when it is empty.
    pub device: String,
    /// One of these is responsible for it or has taken it; anybody when it is empty.
    pub owners: Vec<String>,
    /// Only those of this priority.
    pub priority: Option<Priority>,
    /// Only those of this rank.
    pub rank: Option<Rank>,
}

impl TicketFilter {
    /// Those with something to do.
    #[must_use]
    pub fn open() -> Self {
        let states = TicketState::ALL.iter().copied().filter(|state| state.is_open()).collect();
        Self { states, ..Self::default() }
    }

    /// A name holds no line's end.
    fn owner_list(&self) -> String {
        if self.owners.is_empty() { String::new() } else { format!("\n{}\n", self.owners.join("\n")) }
    }

    fn rank_number(&self) -> i64 {
        self.rank.map_or(-1, |rank| rank as i64)
    }

    fn priority_word(&self) -> &'static str {
        self.priority.map_or("", Priority::as_str)
    }

    fn state_list(&self) -> String {
        let words: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
        if words.is_empty() { String::new() } else { format!(",{},", words.join(",")) }
    }
}

/// The part of a question that the filter makes. Bound to: states as `,a,b,`, site, device, owner, priority, rank. Whoever has taken
/// a ticket has it; whoever is responsible for one that nobody has taken has that, too.
const FILTERED: &str = "WHERE (?1 = '' OR instr(?1, ',' || state || ',') > 0)
    AND (?2 = '' OR site = ?2 OR number IN (SELECT ticket FROM ticket_devices WHERE ticket_devices.site = ?2))
    AND (?3 = '' OR device = ?3 OR number IN (SELECT ticket FROM ticket_devices WHERE ticket_devices.device = ?3))
    AND (?4 = '' OR instr(?4, char(10) || iif(assignee = '', owner, assignee) || char(10)) > 0) AND (?5 = '' OR priority = ?5)
    AND (?6 < 0 OR rank = ?6)";

/// Open ones first, by priority, those that are due first; then the ended, the last of them first.
static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT body FROM tickets {FILTERED} ORDER BY ended_at IS NOT NULL, ended_at DESC, rank, priority, due IS NULL, due,
             instr('critical major minor info', severity), opened_at DESC, number DESC LIMIT ?7 OFFSET ?8"
    )
});
static COUNT: LazyLock<String> = LazyLock::new(|| format!("SELECT count(*) FROM tickets {FILTERED}"));

impl State {
    /// One ticket.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket(&self, number: u64) -> Result<Option<Ticket>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM tickets WHERE number = ?1")
            .and_then(|mut query| query.query_row([number.cast_signed()], from_body).optional())
            .during("look up a ticket")
    }

    /// Tickets that pass the filter, those with something to do first; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn tickets(&self, filter: &TicketFilter, limit: u32, offset: u32) -> Result<Vec<Ticket>, StateError> {
        let (states, owners, priority) = (filter.state_list(), filter.owner_list(), filter.priority_word());
        let bound = params![
            states,
            filter.site,
            filter.device,
            owners,
            priority,
            filter.rank_number(),
            limit.min(PAGE_MAX),
            offset
        ];
        self.reader()
            .prepare_cached(&LIST)
            .and_then(|mut query| query.query_map(bound, from_body)?.collect::<Result<_, _>>())
            .during("list tickets")
    }

    /// How many tickets pass the filter.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tickets_matching(&self, filter: &TicketFilter) -> Result<u32, StateError> {
        let (states, owners, priority) = (filter.state_list(), filter.owner_list(), filter.priority_word());
        let bound = params![states, filter.site, filter.device, owners, priority, filter.rank_number()];
        self.reader()
            .prepare_cached(&COUNT)
            .and_then(|mut query| query.query_row(bound, |row| row.get(0)))
            .during("count the tickets of a filter")
    }

    /// Everybody who has an open ticket, or is responsible for one that nobody has taken, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket_owners(&self) -> Result<Vec<String>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT DISTINCT iif(assignee = '', owner, assignee) AS who FROM tickets
                 WHERE ended_at IS NULL AND who <> '' ORDER BY who LIMIT 500",
            )
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during("list who has tickets")
    }

    /// How many tickets there are of each kind of state.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket_counts(&self) -> Result<TicketCounts, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE ended_at IS NULL AND state IN ('new', 'reopened') AND rank = 0),
                        count(*) FILTER (WHERE ended_at IS NULL AND state NOT IN ('new', 'reopened')),
                        count(*) FILTER (WHERE ended_at IS NULL AND rank = 1),
                        count(*) FILTER (WHERE ended_at IS NOT NULL) FROM tickets",
            )
            .and_then(|mut query| {
                query.query_row([], |row| {
                    Ok(TicketCounts {
                        waiting: row.get(0)?,
                        taken: row.get(1)?,
                        later: row.get(2)?,
                        ended: row.get(3)?,
                    })
                })
            })
            .during("count tickets")
    }

    /// The tickets that stand beneath another, or did until they ended, the worst first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tickets_beneath(&self, number: u64) -> Result<Vec<Ticket>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT body FROM tickets WHERE under = ?1
                 ORDER BY ended_at IS NOT NULL, instr('critical major minor info', severity), number LIMIT ?2",
            )
            .and_then(|mut query| {
                query.query_map(params![number.cast_signed(), PAGE_MAX], from_body)?.collect::<Result<_, _>>()
            })
            .during("list the tickets beneath another")
    }

    /// What happened to a ticket, oldest first; of a very long history the newest part.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket_events(&self, number: u64) -> Result<Vec<TicketEvent>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT body FROM (SELECT sequence, body FROM ticket_events WHERE ticket = ?1
                     ORDER BY sequence DESC LIMIT ?2) ORDER BY sequence",
            )
            .and_then(|mut query| {
                query.query_map(params![number.cast_signed(), EVENTS_MAX], from_body)?.collect::<Result<_, _>>()
            })
            .during("read the history of a ticket")
    }
}

pub(super) fn from_body<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    let body = row.get_ref("body")?.as_str()?;
    serde_json::from_str(body)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

pub(super) fn to_body(what: &'static str, value: &impl serde::Serialize) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|error| StateError::Unreadable { what, value: error.to_string() })
}

impl EngineTx<'_> {
    /// The ticket as it is from now on; again is harmless.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_ticket(&self, ticket: &Ticket) -> Result<(), StateError> {
        let body = to_body("ticket", ticket)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO tickets (number, device, site, state, severity, opened_at, changed_at, ended_at, body,
                                      priority, owner, assignee, due, rank, under)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (number) DO UPDATE SET device = ?2, site = ?3, state = ?4, severity = ?5,
                     opened_at = ?6, changed_at = ?7, ended_at = ?8, body = ?9, priority = ?10,
                     owner = ?11, assignee = ?12, due = ?13, rank = ?14, under = ?15",
            )
            .and_then(|mut put| {
                put.execute(params![
                    ticket.number.cast_signed(),
                    ticket.device,
                    ticket.site,
                    ticket.state.as_str(),
                    ticket.severity.as_str(),
                    ticket.opened_at.0,
                    ticket.changed_at.0,
                    ticket.ended_at.map(|at| at.0),
                    body,
                    ticket.handling.priority.as_str(),
                    ticket.handling.owner.as_ref().map_or("", |owner| &owner.key),
                    ticket.assignee.as_deref().unwrap_or_default(),
                    ticket.handling.due().map(|at| at.0),
                    Rank::of(ticket) as i64,
                    ticket.under.map(u64::cast_signed),
                ])
            })
            .during("put a ticket")?;
        if ticket.about == About::Device { Ok(()) } else { self.put_ticket_devices(ticket) }
    }

    /// Of which devices a ticket about more than one is. None ever leaves it: its lines stay though they are over.
    fn put_ticket_devices(&self, ticket: &Ticket) -> Result<(), StateError> {
        let mut put = self
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO ticket_devices (ticket, device, site) VALUES (?1, ?2, ?3)")
            .during("put the devices of a ticket")?;
        for line in &ticket.lines {
            put.execute(params![ticket.number.cast_signed(), line.device, line.site])
                .during("put the devices of a ticket")?;
        }
        Ok(())
    }

    /// Something that happened to a ticket; the same event again adds nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_ticket_event(&self, event: &TicketEvent) -> Result<(), StateError> {
        let body = to_body("ticket event", event)?;
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO ticket_events (ticket, sequence, at, body) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut put| {
                put.execute(params![event.ticket.cast_signed(), event.sequence.cast_signed(), event.at.0, body])
            })
            .during("put a ticket's event")?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::incidents::{Evidence, Fault};
    use bellwether_logic::responsibilities::{Cell, Owner, Responsibilities};
    use bellwether_logic::rules::{Severity, TicketKind};
    use bellwether_logic::tickets::{Actor, Handling, Line, What};
    use bellwether_logic::time::Timestamp;

    /// A ticket with nothing special about it.
    pub(crate) fn plain(number: u64, state: TicketState) -> Ticket {
        let at = Timestamp(1_000 + number.cast_signed());
        let evidence = Evidence { at, readings: vec!["97% used".into()], value: Some(97.0) };
        Ticket {
            number,
            about: About::Device,
            device: "d000000001".into(),
            device_name: "LHS-SRV-01".into(),
            site: "Lincoln High".into(),
            room: "114".into(),
            kind: TicketKind::Repair,
            category: "storage".into(),
            severity: Severity::Major,
            state,
            title: "Disk / is almost full".into(),
            reason: String::new(),
            advice: String::new(),
            under: None,
            deferred: false,
            lines_more: 0,
            assignee: None,
            opened_at: at,
            changed_at: at,
            ended_at: (!state.is_open()).then_some(at),
            reopened: 0,
            kept_open: false,
            touched: false,
            repair: None,
            affected: Vec::new(),
            affected_more: 0,
            decision: None,
            fixes: Vec::new(),
            handling: Handling::default(),
            lines: vec![Line {
                device: "d000000001".into(),
                device_name: "LHS-SRV-01".into(),
                site: "Lincoln High".into(),
                room: "114".into(),
                fault: Fault { rule: "disk-full".into(), tags: vec![("path".into(), "/".into())] },
                title: "Disk / is almost full".into(),
                advice: "Free space first.".into(),
                runbook: "1. Look for large logs.".into(),
                severity: Severity::Major,
                kind: TicketKind::Repair,
                safety: false,
                since: at,
                opened_at: at,
                opening: evidence.clone(),
                worst: evidence,
                ended_at: None,
                ending: None,
                flapping: None,
                from: None,
            }],
            events: 1,
        }
    }

    #[test]
    fn a_ticket_comes_back_as_it_was_put() {
        let (_folder, state) = fresh();
        let ticket = plain(7, TicketState::Assigned);
        for _ in 0..2 {
            state.commit_engine(|tx| tx.put_ticket(&ticket)).unwrap();
        }
        assert_eq!(state.ticket(7).unwrap(), Some(ticket));
        assert_eq!(state.ticket(u64::MAX).unwrap(), None);
    }

    #[test]
    fn tickets_with_something_to_do_come_first() {
        let (_folder, state) = fresh();
        let rows = [TicketState::Closed, TicketState::Assigned, TicketState::New, TicketState::Resolved];
        for (number, row) in (1..).zip(rows) {
            state.commit_engine(|tx| tx.put_ticket(&plain(number, row))).unwrap();
        }
        let numbers = |filter: &TicketFilter, limit| -> Vec<u64> {
            state.tickets(filter, limit, 0).unwrap().iter().map(|ticket| ticket.number).collect()
        };
        assert_eq!(numbers(&TicketFilter::default(), 9), [3, 2, 4, 1]);
        assert_eq!(numbers(&TicketFilter::default(), 1), [3]);
        assert_eq!(numbers(&TicketFilter::open(), 9), [3, 2]);
        let elsewhere = TicketFilter { site: "Oak".into(), ..TicketFilter::default() };
        assert_eq!((numbers(&elsewhere, 9).len(), state.tickets_matching(&elsewhere).unwrap()), (0, 0));
        assert_eq!(state.tickets_matching(&TicketFilter::open()).unwrap(), 2);
        assert_eq!(state.ticket_counts().unwrap(), TicketCounts { waiting: 1, taken: 1, later: 0, ended: 2 });
    }

    #[test]
    fn a_ticket_about_several_devices_is_found_by_each_and_what_waits_stands_apart() {
        let (_folder, state) = fresh();
        let line = |device: &str, site: &str| Line {
            device: device.into(),
            site: site.into(),
            ..plain(1, TicketState::New).lines.remove(0)
        };
        let about = About::Model { model: "Acme 100".into(), rule: "worn".into() };
        let model = Ticket {
            about,
            device: String::new(),
            site: String::new(),
            lines: vec![line("d1", "Oak"), line("d2", "Lincoln High")],
            ..plain(1, TicketState::New)
        };
        let later = Ticket { deferred: true, ..plain(2, TicketState::New) };
        let beneath = Ticket { under: Some(1), ..plain(3, TicketState::New) };
        for ticket in [&model, &later, &beneath, &plain(4, TicketState::New)] {
            state.commit_engine(|tx| tx.put_ticket(ticket)).unwrap();
        }
        let numbers = |filter: TicketFilter| -> Vec<u64> {
            state.tickets(&filter, 9, 0).unwrap().iter().map(|ticket| ticket.number).collect()
        };
        assert_eq!(numbers(TicketFilter { device: "d2".into(), ..TicketFilter::default() }), [1]);
        assert_eq!(numbers(TicketFilter { site: "Oak".into(), ..TicketFilter::default() }), [1]);
        assert_eq!(numbers(TicketFilter { rank: Some(Rank::ToDo), ..TicketFilter::default() }), [4, 1]);
        assert_eq!(numbers(TicketFilter { rank: Some(Rank::Later), ..TicketFilter::default() }), [2]);
        assert_eq!(numbers(TicketFilter::default()), [4, 1, 2, 3], "what is to be done now comes first");
        assert_eq!(state.tickets_beneath(1).unwrap(), [beneath]);
        assert_eq!(state.ticket_counts().unwrap(), TicketCounts { waiting: 2, taken: 0, later: 1, ended: 0 });
    }

    #[test]
    fn the_same_event_again_adds_nothing() {
        let (_folder, state) = fresh();
        let event = |sequence| TicketEvent {
            ticket: 1,
            sequence,
            at: Timestamp(5),
            actor: Actor::Person("rivera".into()),
            what: What::Commented { text: "On my way.".into() },
        };
        for sequence in [1, 1, 2] {
            state.commit_engine(|tx| tx.put_ticket_event(&event(sequence))).unwrap();
        }
        assert_eq!(state.ticket_events(1).unwrap(), [event(1), event(2)]);
        assert_eq!(state.ticket_events(2).unwrap(), []);
    }

    #[test]
    fn what_happened_can_neither_be_changed_nor_taken_away() {
        let (_folder, state) = fresh();
        let event = TicketEvent {
            ticket: 1,
            sequence: 1,
            at: Timestamp(5),
            actor: Actor::Person("rivera".into()),
            what: What::Commented { text: "On my way.".into() },
        };
        state.commit_engine(|tx| tx.put_ticket_event(&event)).unwrap();
        for attempt in [
            "UPDATE ticket_events SET body = '{}'",
            "UPDATE ticket_events SET sequence = 2",
            "DELETE FROM ticket_events",
            "DELETE FROM ticket_events WHERE ticket = 1",
        ] {
            let refused = state.writer().execute(attempt, []).unwrap_err().to_string();
            assert!(refused.contains("only ever added to"), "{attempt}: {refused}");
        }
        assert_eq!(state.ticket_events(1).unwrap(), [event]);
    }

    #[test]
    fn tickets_are_found_by_who_has_them_and_how_soon_and_listed_by_that() {
        let (_folder, state) = fresh();
        let owner = |key: &str| {
            let cell = Cell { site: "Oak", class: None, category: "storage" };
            Owner { key: key.into(), ..Responsibilities::default().owner(Timestamp(0), cell) }
        };
        let rows =
            [(Priority::P3, "kim", None), (Priority::P1, "lee", Some("kim")), (Priority::P2, "kim", Some("lee"))];
        for (number, (priority, key, assignee)) in (1..).zip(rows) {
            let mut ticket = plain(number, TicketState::New);
            ticket.handling.priority = priority;
            ticket.handling.owner = Some(owner(key));
            ticket.assignee = assignee.map(str::to_owned);
            state.commit_engine(|tx| tx.put_ticket(&ticket)).unwrap();
        }
        let numbers = |filter: &TicketFilter| -> Vec<u64> {
            state.tickets(filter, 9, 0).unwrap().iter().map(|ticket| ticket.number).collect()
        };
        assert_eq!(numbers(&TicketFilter::default()), [2, 3, 1]);
        assert_eq!(numbers(&TicketFilter { owners: vec!["kim".into()], ..TicketFilter::default() }), [2, 1]);
        let pressing = TicketFilter { priority: Some(Priority::P1), ..TicketFilter::default() };
        assert_eq!((numbers(&pressing), state.tickets_matching(&pressing).unwrap()), (vec![2], 1));
    }
}
