//! What is known of the life of devices: facts of devices and models, what is assumed, and what they tell of themselves.

use std::collections::BTreeMap;

use bellwether_logic::life::{Facts, Seen, Subject, model_key};
use bellwether_logic::tickets::{Ticket, TicketEvent};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{LifeFactsSet, LifeTableSet};
use prost::Message;
use rusqlite::{OptionalExtension, params};

use super::engine::EngineTx;
use super::tickets::{from_body, to_body};
use super::{During, State, StateError};
use crate::life::entry;

/// Repairs that are summed up at most: those of a year in a district with a hundred technicians.
const REPAIRS_MAX: u32 = 100_000;

/// Imports that wait at most: more means that no collector has run for a long time.
pub const INBOX_MAX: u32 = 1_000;

/// What is known of one device or model, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsRow {
    /// The model as it was written; empty of a device.
    pub name: String,
    /// What is known.
    pub facts: Facts,
    /// Since when.
    pub at: Timestamp,
    /// Who said it.
    pub actor: String,
    /// The file that it came from; empty if it was typed.
    pub source: String,
}

/// What is known of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllFacts {
    /// By device.
    pub devices: BTreeMap<String, FactsRow>,
    /// By model, in the form by which models are looked up.
    pub models: BTreeMap<String, FactsRow>,
}

impl AllFacts {
    /// What is known of a device, its model's facts where it has none of its own.
    #[must_use]
    pub fn of(&self, device: &str, model: &str) -> Facts {
        let own = self.devices.get(device).map(|row| row.facts.clone()).unwrap_or_default();
        self.models.get(&model_key(model)).map_or_else(|| own.clone(), |row| own.or(&row.facts))
    }
}

impl EngineTx<'_> {
    /// Facts of devices and models.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_life_facts(&self, at: Timestamp, set: &LifeFactsSet) -> Result<(), StateError> {
        for (subject, facts) in set.entries.iter().filter_map(entry) {
            let (kind, key, name) = match subject {
                Subject::Device(device) => ("device", device, String::new()),
                Subject::Model(model) => ("model", model_key(&model), model),
            };
            let done = if facts.is_empty() {
                self.transaction.execute("DELETE FROM life_facts WHERE kind = ?1 AND key = ?2", [kind, &key])
            } else {
                let body = to_body("facts of a life", &facts)?;
                self.transaction
                    .prepare_cached(
                        "INSERT INTO life_facts (kind, key, name, at, actor, source, body)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                         ON CONFLICT (kind, key) DO UPDATE SET name = ?3, at = ?4, actor = ?5, source = ?6, body = ?7",
                    )
                    .and_then(|mut put| put.execute(params![kind, key, name, at.0, set.actor, set.source, body]))
            };
            done.during("put facts of a life")?;
        }
        Ok(())
    }

    /// What is assumed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_life_table(&self, at: Timestamp, set: &LifeTableSet) -> Result<(), StateError> {
        self.transaction
            .execute(
                "INSERT INTO life_table (id, at, body) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET at = ?1, body = ?2",
                params![at.0, set.encode_to_vec()],
            )
            .map(drop)
            .during("put what is assumed of devices")
    }

    /// What a device has told of itself.
    pub(super) fn put_told(&self, device: &str, seen: &Seen) -> Result<(), StateError> {
        let body = to_body("what a device tells", seen)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO life_told (device, body) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET body = ?2",
            )
            .and_then(|mut put| put.execute([device, &body]))
            .map(drop)
            .during("put what a device tells")
    }
}

impl State {
    /// What is known of all devices and models.
    ///
    /// # Errors
    /// When the database fails.
    pub fn life_facts(&self) -> Result<AllFacts, StateError> {
        self.facts("SELECT * FROM life_facts", &[])
    }

    fn facts(&self, text: &str, bound: &[&str]) -> Result<AllFacts, StateError> {
        let mut all = AllFacts::default();
        let reader = self.reader();
        let mut query = reader.prepare_cached(text).during("prepare to list what is known of devices")?;
        let rows = query.query_map(rusqlite::params_from_iter(bound), |row| {
            let kept = FactsRow {
                name: row.get("name")?,
                facts: from_body(row)?,
                at: Timestamp(row.get("at")?),
                actor: row.get("actor")?,
                source: row.get("source")?,
            };
            Ok((row.get::<_, String>("kind")?, row.get::<_, String>("key")?, kept))
        });
        for row in rows.during("list what is known of devices")? {
            let (kind, key, row) = row.during("read what is known of a device")?;
            if kind == "model" {
                all.models.insert(key, row)
            } else {
                all.devices.insert(key, row)
            };
        }
        Ok(all)
    }

    /// What is known of one device and its model.
    ///
    /// # Errors
    /// When the database fails.
    pub fn life_facts_of(&self, device: &str, model: &str) -> Result<AllFacts, StateError> {
        self.facts(
            "SELECT * FROM life_facts WHERE (kind = 'device' AND key = ?1) OR (kind = 'model' AND key = ?2)",
            &[device, &model_key(model)],
        )
    }

    /// What is assumed, as it was recorded last.
    ///
    /// # Errors
    /// When the database fails.
    pub fn life_table(&self) -> Result<Option<LifeTableSet>, StateError> {
        let body: Option<Vec<u8>> = self
            .reader()
            .query_row("SELECT body FROM life_table WHERE id = 1", [], |row| row.get(0))
            .optional()
            .during("read what is assumed of devices")?;
        // What a newer version wrote and this one can't read is as if it were not there: it is recorded anew.
        Ok(body.and_then(|body| LifeTableSet::decode(body.as_slice()).ok()))
    }

    /// What devices have told of themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub fn life_told(&self) -> Result<BTreeMap<String, Seen>, StateError> {
        self.reader()
            .prepare_cached("SELECT device, body FROM life_told")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, from_body(row)?)))?.collect())
            .during("list what devices tell")
    }

    /// What one device has told of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub fn life_told_of(&self, device: &str) -> Result<Option<Seen>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM life_told WHERE device = ?1")
            .and_then(|mut query| query.query_row([device], from_body).optional())
            .during("look up what a device tells")
    }

    /// The tickets that people closed since then, of one device or of all when it is empty, each with the event that closed it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn closings(&self, since: Timestamp, device: &str) -> Result<Vec<(Ticket, TicketEvent)>, StateError> {
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(Ticket, TicketEvent)> {
            let parsed = |at, text: String| {
                rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, text.into())
            };
            let ticket: String = row.get("ticket_body")?;
            let ticket = serde_json::from_str(&ticket).map_err(|error| parsed(0, error.to_string()))?;
            Ok((ticket, from_body(row)?))
        };
        self.reader()
            .prepare_cached(
                "SELECT tickets.body AS ticket_body, ticket_events.body AS body FROM ticket_events
                 JOIN tickets ON tickets.number = ticket_events.ticket
                 WHERE (?3 = '' OR tickets.device = ?3) AND ticket_events.at >= ?1 AND json_extract(ticket_events.body, '$.what.closed') IS NOT NULL
                 ORDER BY ticket_events.at LIMIT ?2",
            )
            .and_then(|mut query| query.query_map(params![since.0, REPAIRS_MAX, device], read)?.collect())
            .during("list what was closed")
    }

    /// Leaves facts for the running collector, or for the next start.
    ///
    /// # Errors
    /// When the database fails.
    pub fn post_life_facts(&self, at: Timestamp, sets: &[LifeFactsSet]) -> Result<(), StateError> {
        let mut writer = self.writer();
        let transaction = writer.transaction().during("begin an import")?;
        for set in sets {
            transaction
                .execute("INSERT INTO life_inbox (at, body) VALUES (?1, ?2)", params![at.0, set.encode_to_vec()])
                .during("leave an import")?;
        }
        transaction.commit().during("commit an import")
    }

    /// What was left for the running collector, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn posted_life_facts(&self) -> Result<Vec<(i64, LifeFactsSet)>, StateError> {
        let rows: Vec<(i64, Vec<u8>)> = self
            .reader()
            .prepare_cached("SELECT id, body FROM life_inbox ORDER BY id LIMIT ?1")
            .and_then(|mut query| query.query_map([INBOX_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .during("list imports")?;
        let read = |(id, body): (i64, Vec<u8>)| (id, LifeFactsSet::decode(body.as_slice()).unwrap_or_default());
        Ok(rows.into_iter().map(read).collect())
    }

    /// What was left is in the journal.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_posted(&self, id: i64) -> Result<(), StateError> {
        self.writer().execute("DELETE FROM life_inbox WHERE id = ?1", [id]).map(drop).during("forget an import")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::record_entry;
    use crate::state::testing::fresh;

    #[test]
    fn facts_are_replaced_and_forgotten_and_models_fill_gaps() {
        let (_folder, state) = fresh();
        let price = |cents| Facts { price_cents: Some(cents), ..Facts::default() };
        let put = |at, subject: Subject, facts: &Facts| {
            let entries = vec![record_entry(&subject, facts)];
            let set = LifeFactsSet { entries, actor: "kim".into(), source: "list.csv".into() };
            state.commit_engine(|tx| tx.put_life_facts(Timestamp(at), &set)).unwrap();
        };
        put(1, Subject::Device("d1".into()), &Facts { fund: "Bond".into(), ..price(5) });
        put(2, Subject::Device("d1".into()), &Facts { fund: "Bond".into(), ..Facts::default() });
        put(3, Subject::Model("Lenovo  100e".into()), &price(30_000));
        let all = state.life_facts().unwrap();
        assert_eq!(all.of("d1", "lenovo 100E"), Facts { fund: "Bond".into(), ..price(30_000) });
        let row = &all.models["lenovo 100e"];
        assert_eq!((row.name.as_str(), row.at, row.actor.as_str()), ("Lenovo  100e", Timestamp(3), "kim"));
        put(4, Subject::Model("lenovo 100e".into()), &Facts::default());
        assert!(state.life_facts().unwrap().models.is_empty());
    }

    #[test]
    fn an_import_waits_until_it_is_in_the_journal() {
        let (_folder, state) = fresh();
        let set = |source: &str| LifeFactsSet { source: source.into(), ..LifeFactsSet::default() };
        state.post_life_facts(Timestamp(1), &[set("a"), set("b")]).unwrap();
        let posted = state.posted_life_facts().unwrap();
        assert_eq!(posted.iter().map(|(_, set)| set.source.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        state.forget_posted(posted[0].0).unwrap();
        assert_eq!(state.posted_life_facts().unwrap().len(), 1);
    }
}
