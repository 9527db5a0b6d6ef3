//! What the deciders decided, as rows. Every effect has a key, so performing one twice changes nothing.

use std::collections::BTreeMap;

use bellwether_logic::engine::Effect;
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
            Effect::DeviceTold { device, seen } => self.put_told(device, seen),
            Effect::UsualHours(hours) => self.put_usual_hours(hours),
            Effect::Plan(plan) => self.put_plan(plan),
            Effect::Listed(listing) => self.put_listing(listing),
            Effect::Unlisted { device, fault } => self.forget_listing(device, fault),
            // Whoever clicked is told at once, and nobody else needs to know.
            Effect::Refused(_) => Ok(()),
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::presence::{GoodbyeReason, Presence};
    use bellwether_logic::rules::Severity;
    use bellwether_logic::time::Timestamp;

    #[test]
    fn a_standing_is_the_last_word() {
        let (_folder, state) = fresh();
        let standing = |presence| DeviceState {
            device: "d1".into(),
            presence,
            since: Timestamp(5),
            find: false,
            worst: Some(Severity::Major),
        };
        let goodbye = Presence::SaidGoodbye { reason: GoodbyeReason::Shutdown };
        for presence in [Presence::Present, goodbye] {
            state.commit_engine(|tx| tx.put_effect(&Effect::DeviceState(standing(presence)))).unwrap();
        }
        assert_eq!(state.standing("d1").unwrap(), Some(standing(goodbye)));
        assert_eq!(state.standings().unwrap().len(), 1);
        assert_eq!(state.standing("d2").unwrap(), None);
    }
}
