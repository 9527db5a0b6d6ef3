//! What the deciders decided, as rows. Every effect has a key, so performing one twice changes nothing.

use std::collections::BTreeMap;

use bellwether_logic::engine::{Effect, Refused};
use bellwether_logic::presence::DeviceState;
use rusqlite::{OptionalExtension, params};

use super::engine::EngineTx;
use super::tickets::{from_body, to_body};
use super::{During, State, StateError};

impl EngineTx<'_> {
    /// Performs one effect.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_effect(&self, effect: &Effect) -> Result<(), StateError> {
        match effect {
            Effect::Ticket(ticket) => self.put_ticket(ticket),
            Effect::TicketEvent(event) => self.put_ticket_event(event),
            Effect::DeviceState(standing) => self.put_standing(standing),
            Effect::Refused(refused) => self.put_refusal(refused),
        }
    }

    fn put_standing(&self, standing: &DeviceState) -> Result<(), StateError> {
        let body = to_body("standing", standing)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO standings (device, body) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET body = ?2",
            )
            .and_then(|mut put| put.execute(params![standing.device, body]))
            .during("put a device's standing")?;
        Ok(())
    }

    fn put_refusal(&self, refused: &Refused) -> Result<(), StateError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO refusals (ticket, actor, number, why) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (ticket, actor) DO UPDATE SET number = ?3, why = ?4 WHERE number < ?3",
            )
            .and_then(|mut put| {
                put.execute(params![
                    refused.ticket.cast_signed(),
                    refused.actor,
                    refused.number.cast_signed(),
                    refused.because.to_string(),
                ])
            })
            .during("put a refusal")?;
        Ok(())
    }
}

impl State {
    /// How the deciders see each device that they have spoken of.
    ///
    /// # Errors
    /// When the database fails.
    pub fn standings(&self) -> Result<BTreeMap<String, DeviceState>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM standings")
            .and_then(|mut query| {
                query
                    .query_map([], from_body)?
                    .map(|standing| standing.map(|standing: DeviceState| (standing.device.clone(), standing)))
                    .collect()
            })
            .during("list standings")
    }

    /// How the deciders see one device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn standing(&self, device: &str) -> Result<Option<DeviceState>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM standings WHERE device = ?1")
            .and_then(|mut query| query.query_row([device], from_body).optional())
            .during("look up a standing")
    }

    /// The last thing that this person could not do to this ticket: its number, which only grows, and why.
    ///
    /// # Errors
    /// When the database fails.
    pub fn refusal(&self, ticket: u64, actor: &str) -> Result<Option<(u64, String)>, StateError> {
        self.reader()
            .prepare_cached("SELECT number, why FROM refusals WHERE ticket = ?1 AND actor = ?2")
            .and_then(|mut query| {
                query
                    .query_row(params![ticket.cast_signed(), actor], |row| {
                        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
                    })
                    .optional()
            })
            .during("look up a refusal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::presence::{GoodbyeReason, Presence};
    use bellwether_logic::rules::Severity;
    use bellwether_logic::tickets::Refusal;
    use bellwether_logic::time::Timestamp;

    #[test]
    fn a_standing_is_the_last_word() {
        let (_folder, state) = fresh();
        let standing =
            |presence| DeviceState { device: "d1".into(), presence, since: Timestamp(5), worst: Some(Severity::Major) };
        let goodbye = Presence::SaidGoodbye { reason: GoodbyeReason::Shutdown };
        for presence in [Presence::Present, goodbye] {
            state.commit_engine(|tx| tx.put_effect(&Effect::DeviceState(standing(presence)))).unwrap();
        }
        assert_eq!(state.standing("d1").unwrap(), Some(standing(goodbye)));
        assert_eq!(state.standings().unwrap().len(), 1);
        assert_eq!(state.standing("d2").unwrap(), None);
    }

    #[test]
    fn a_refusal_is_told_to_the_person_it_concerns_and_an_old_one_does_not_come_back() {
        let (_folder, state) = fresh();
        let refused = |number, because| {
            Effect::Refused(Refused { number, ticket: 7, at: Timestamp(1), actor: "rivera".into(), because })
        };
        let put = |effect| state.commit_engine(|tx| tx.put_effect(&effect)).unwrap();
        put(refused(2, Refusal::YoursAlready));
        put(refused(1, Refusal::StillOpen));
        assert_eq!(state.refusal(7, "rivera").unwrap(), Some((2, Refusal::YoursAlready.to_string())));
        assert_eq!(state.refusal(7, "chen").unwrap(), None);
    }
}
