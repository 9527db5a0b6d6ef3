//! Tickets as the pages show them. They change only by the engine's effects.

use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::engine::EngineTx;
use super::{During, State, StateError, word};

/// Tickets that one question returns at most.
pub const PAGE_MAX: u32 = 500;
/// Events of one ticket that are shown, the newest.
const EVENTS_MAX: u32 = 500;

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TicketState {
    /// Nobody has taken it.
    Open,
    /// Somebody works on it.
    Taken,
    /// The problem went away and stayed away.
    Resolved,
    /// A person closed it.
    Closed,
}

impl TicketState {
    /// All of them, in the order in which a page lists them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Taken, Self::Resolved, Self::Closed];

    /// The word in the database, in addresses and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// Whether there is still something to do.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Open | Self::Taken)
    }
}

impl std::str::FromStr for TicketState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| StateError::Unreadable { what: "ticket state", value: text.into() })
    }
}

/// One ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// As people say it.
    pub number: u64,
    /// What kind of work it is: a word of the deciders, such as `repair`.
    pub kind: String,
    /// Where it stands.
    pub state: TicketState,
    /// How bad it is: a word of the deciders.
    pub severity: String,
    /// The rule that found it.
    pub rule: String,
    /// What exactly of the device; may be empty.
    pub subject: String,
    /// One plain sentence.
    pub title: String,
    /// What to do, and what to bring.
    pub advice: String,
    /// The device's id.
    pub device: String,
    /// Its building when the ticket was opened.
    pub site: String,
    /// Its room when the ticket was opened.
    pub room: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// When it was closed or resolved.
    pub ended_at: Option<Timestamp>,
    /// Who works on it.
    pub taken_by: Option<String>,
    /// Who closed it; none when it resolved itself.
    pub closed_by: Option<String>,
    /// The repair note: what was wrong.
    pub fault: String,
    /// What was done.
    pub action: String,
    /// With which part.
    pub part: String,
    /// In how many minutes.
    pub minutes: u32,
    /// What the rule saw, line by line.
    pub evidence: Vec<String>,
}

/// Something that happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketEvent {
    /// When.
    pub at: Timestamp,
    /// Tells it from others at the same time; putting it again adds nothing.
    pub key: String,
    /// What: a word, such as `opened` or `comment`.
    pub what: String,
    /// Who did it; empty: Bellwether itself.
    pub actor: String,
    /// In whose words; may be empty.
    pub text: String,
}

/// How many tickets there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketCounts {
    /// Nobody has taken them.
    pub open: u32,
    /// Somebody works on them.
    pub taken: u32,
    /// Over.
    pub ended: u32,
}

/// Which tickets are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// Of these states; all of them when it is empty.
    pub states: Vec<TicketState>,
    /// Of this building; of any when it is empty.
    pub site: String,
    /// Of this device; of any when it is empty.
    pub device: String,
}

impl TicketRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let evidence: String = row.get("evidence")?;
        Ok(Self {
            number: row.get::<_, i64>("number")?.cast_unsigned(),
            kind: row.get("kind")?,
            state: word(row, "state")?,
            severity: row.get("severity")?,
            rule: row.get("rule")?,
            subject: row.get("subject")?,
            title: row.get("title")?,
            advice: row.get("advice")?,
            device: row.get("device")?,
            site: row.get("site")?,
            room: row.get("room")?,
            opened_at: Timestamp(row.get("opened_at")?),
            updated_at: Timestamp(row.get("updated_at")?),
            ended_at: row.get::<_, Option<i64>>("ended_at")?.map(Timestamp),
            taken_by: row.get("taken_by")?,
            closed_by: row.get("closed_by")?,
            fault: row.get("fault")?,
            action: row.get("action")?,
            part: row.get("part")?,
            minutes: row.get("minutes")?,
            evidence: serde_json::from_str(&evidence).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
            })?,
        })
    }
}

impl State {
    /// One ticket.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket(&self, number: u64) -> Result<Option<TicketRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM tickets WHERE number = ?1")
            .and_then(|mut query| query.query_row([number.cast_signed()], TicketRow::from_row).optional())
            .during("look up a ticket")
    }

    /// Tickets that pass the filter: those with something to do first, the newest first; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn tickets(&self, filter: &TicketFilter, limit: u32, offset: u32) -> Result<Vec<TicketRow>, StateError> {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        self.reader()
            .prepare_cached(
                "SELECT * FROM tickets
                 WHERE (?1 = '' OR instr(?1, ',' || state || ',') > 0)
                   AND (?2 = '' OR site = ?2) AND (?3 = '' OR device = ?3)
                 ORDER BY ended_at IS NOT NULL, state = 'taken', opened_at DESC, number DESC LIMIT ?4 OFFSET ?5",
            )
            .and_then(|mut query| {
                let states = if states.is_empty() { String::new() } else { format!(",{},", states.join(",")) };
                query
                    .query_map(
                        params![states, filter.site, filter.device, limit.min(PAGE_MAX), offset],
                        TicketRow::from_row,
                    )?
                    .collect::<Result<_, _>>()
            })
            .during("list tickets")
    }

    /// How many tickets there are.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket_counts(&self) -> Result<TicketCounts, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT ifnull(sum(state = 'open'), 0), ifnull(sum(state = 'taken'), 0),
                        ifnull(sum(ended_at IS NOT NULL), 0) FROM tickets",
            )
            .and_then(|mut query| {
                query
                    .query_row([], |row| Ok(TicketCounts { open: row.get(0)?, taken: row.get(1)?, ended: row.get(2)? }))
            })
            .during("count tickets")
    }

    /// What happened to a ticket, oldest first; of a very long history the newest part.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket_events(&self, number: u64) -> Result<Vec<TicketEvent>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT * FROM (SELECT * FROM ticket_events WHERE ticket = ?1 ORDER BY at DESC, key DESC LIMIT ?2)
                 ORDER BY at, key",
            )
            .and_then(|mut query| {
                query
                    .query_map(params![number.cast_signed(), EVENTS_MAX], |row| {
                        Ok(TicketEvent {
                            at: Timestamp(row.get("at")?),
                            key: row.get("key")?,
                            what: row.get("what")?,
                            actor: row.get("actor")?,
                            text: row.get("text")?,
                        })
                    })?
                    .collect::<Result<_, _>>()
            })
            .during("read the history of a ticket")
    }
}

impl EngineTx<'_> {
    /// The ticket as it is from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_ticket(&self, ticket: &TicketRow) -> Result<(), StateError> {
        let evidence = serde_json::Value::from(ticket.evidence.clone()).to_string();
        self.transaction
            .prepare_cached(
                "INSERT INTO tickets (number, kind, state, severity, rule, subject, title, advice, device,
                     site, room, opened_at, updated_at, ended_at, taken_by, closed_by, fault, action, part, minutes,
                     evidence)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
                 ON CONFLICT (number) DO UPDATE SET
                     kind = ?2, state = ?3, severity = ?4, rule = ?5, subject = ?6, title = ?7, advice = ?8,
                     device = ?9, site = ?10, room = ?11, opened_at = ?12, updated_at = ?13, ended_at = ?14,
                     taken_by = ?15, closed_by = ?16, fault = ?17, action = ?18, part = ?19, minutes = ?20,
                     evidence = ?21",
            )
            .and_then(|mut put| {
                put.execute(params![
                    ticket.number.cast_signed(),
                    ticket.kind,
                    ticket.state.as_str(),
                    ticket.severity,
                    ticket.rule,
                    ticket.subject,
                    ticket.title,
                    ticket.advice,
                    ticket.device,
                    ticket.site,
                    ticket.room,
                    ticket.opened_at.0,
                    ticket.updated_at.0,
                    ticket.ended_at.map(|at| at.0),
                    ticket.taken_by,
                    ticket.closed_by,
                    ticket.fault,
                    ticket.action,
                    ticket.part,
                    ticket.minutes,
                    evidence,
                ])
            })
            .during("put a ticket")?;
        Ok(())
    }

    /// One ticket as this transaction sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ticket(&self, number: u64) -> Result<Option<TicketRow>, StateError> {
        self.transaction
            .prepare_cached("SELECT * FROM tickets WHERE number = ?1")
            .and_then(|mut query| query.query_row([number.cast_signed()], TicketRow::from_row).optional())
            .during("look up a ticket")
    }

    /// Something that happened to a ticket; the same event again adds nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_ticket_event(&self, ticket: u64, event: &TicketEvent) -> Result<(), StateError> {
        self.transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO ticket_events (ticket, at, key, what, actor, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut put| {
                put.execute(params![ticket.cast_signed(), event.at.0, event.key, event.what, event.actor, event.text])
            })
            .during("put a ticket's event")?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::testing::fresh;

    /// A ticket with nothing special about it.
    pub(crate) fn plain(number: u64, state: TicketState) -> TicketRow {
        let opened_at = Timestamp(1_000 + number.cast_signed());
        TicketRow {
            number,
            kind: "repair".into(),
            state,
            severity: "warning".into(),
            rule: "disk-full".into(),
            subject: "/".into(),
            title: "Disk almost full".into(),
            advice: "Free space or replace the disk.".into(),
            device: "d000000001".into(),
            site: "Lincoln High".into(),
            room: "114".into(),
            opened_at,
            updated_at: opened_at,
            ended_at: (!state.is_active()).then_some(opened_at),
            taken_by: None,
            closed_by: None,
            fault: String::new(),
            action: String::new(),
            part: String::new(),
            minutes: 0,
            evidence: vec!["/ is 97 % full".into()],
        }
    }

    #[test]
    fn a_ticket_comes_back_as_it_was_put() {
        let (_folder, state) = fresh();
        let ticket = plain(7, TicketState::Taken);
        for _ in 0..2 {
            state.commit_engine(|tx| tx.put_ticket(&ticket)).unwrap();
        }
        assert_eq!(state.ticket(7).unwrap(), Some(ticket));
        assert_eq!(state.ticket(u64::MAX).unwrap(), None);
    }

    #[test]
    fn tickets_with_something_to_do_come_first() {
        let (_folder, state) = fresh();
        let rows = [TicketState::Closed, TicketState::Taken, TicketState::Open, TicketState::Resolved];
        for (number, row) in (1..).zip(rows) {
            state.commit_engine(|tx| tx.put_ticket(&plain(number, row))).unwrap();
        }
        let numbers = |filter: &TicketFilter, limit| -> Vec<u64> {
            state.tickets(filter, limit, 0).unwrap().iter().map(|ticket| ticket.number).collect()
        };
        assert_eq!(numbers(&TicketFilter::default(), 9), [3, 2, 4, 1]);
        assert_eq!(numbers(&TicketFilter::default(), 1), [3]);
        let active = TicketFilter { states: vec![TicketState::Open, TicketState::Taken], ..TicketFilter::default() };
        assert_eq!(numbers(&active, 9), [3, 2]);
        let elsewhere = TicketFilter { site: "Oak".into(), ..TicketFilter::default() };
        assert!(numbers(&elsewhere, 9).is_empty());
        assert_eq!(state.ticket_counts().unwrap(), TicketCounts { open: 1, taken: 1, ended: 2 });
    }

    #[test]
    fn the_same_event_again_adds_nothing_and_a_later_put_keeps_the_history() {
        let (_folder, state) = fresh();
        let event = TicketEvent {
            at: Timestamp(5),
            key: "a".into(),
            what: "opened".into(),
            actor: String::new(),
            text: String::new(),
        };
        for _ in 0..2 {
            state
                .commit_engine(|tx| {
                    tx.put_ticket(&plain(1, TicketState::Open))?;
                    tx.put_ticket_event(1, &event)
                })
                .unwrap();
        }
        state.commit_engine(|tx| tx.put_ticket(&plain(1, TicketState::Closed))).unwrap();
        assert_eq!(state.ticket_events(1).unwrap(), [event]);
    }
}
