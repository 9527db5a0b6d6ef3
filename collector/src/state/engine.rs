//! What the engine reader commits: the effects of records, the receipts, its snapshot and its place in the journal,
//! all in one transaction, so that a crash between any two of them cannot happen.

use bellwether_logic::ranges::RangeSet;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{AgentConfigured, AgentConnected, AgentLeft, DeviceChanged};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::devices::Presence;
use super::{During, State, StateError};

/// The open transaction of the engine reader.
#[derive(Debug)]
pub struct EngineTx<'a> {
    pub(super) transaction: Transaction<'a>,
}

/// What was received of one generation of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The device.
    pub device: String,
    /// The agent's generation.
    pub generation: u64,
    /// The sequences that are in the journal.
    pub ranges: RangeSet,
    /// What is added to this generation's times.
    pub clock_offset_ms: i64,
}

/// The engine as it was after the record before `position`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSnapshot {
    /// As the engine serialised itself.
    pub snapshot: Vec<u8>,
    /// Where in the journal to go on.
    pub position: u64,
}

impl State {
    /// Runs `work` in one transaction and commits it; an error rolls all of it back.
    ///
    /// # Errors
    /// Whatever `work` fails with, or the database.
    pub fn commit_engine<T, E: From<StateError>>(
        &self,
        work: impl FnOnce(&EngineTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer();
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .during("begin the engine's transaction")?;
        let tx = EngineTx { transaction };
        let done = work(&tx)?;
        tx.transaction.commit().during("commit the engine's transaction")?;
        Ok(done)
    }

    /// The place of a reader of the journal.
    ///
    /// # Errors
    /// When the database fails.
    pub fn cursor(&self, reader: &str) -> Result<Option<u64>, StateError> {
        self.reader()
            .query_row("SELECT position FROM cursors WHERE reader = ?1", [reader], |row| row.get(0))
            .optional()
            .map(|position| position.map(i64::cast_unsigned))
            .during("read a cursor")
    }

    /// The engine's last snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub fn engine_snapshot(&self) -> Result<Option<EngineSnapshot>, StateError> {
        self.reader()
            .query_row("SELECT snapshot, position FROM engine", [], |row| {
                Ok(EngineSnapshot { snapshot: row.get(0)?, position: row.get::<_, i64>(1)?.cast_unsigned() })
            })
            .optional()
            .during("read the engine's snapshot")
    }

    /// What was received of every generation of a device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn receipts(&self, device: &str) -> Result<Vec<ReceiptRow>, StateError> {
        self.list_receipts("WHERE device = ?1", device)
    }

    /// What was received of every generation of every device, the one that changed longest ago first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all_receipts(&self) -> Result<Vec<ReceiptRow>, StateError> {
        self.list_receipts("WHERE ?1 = ''", "")
    }

    fn list_receipts(&self, condition: &str, device: &str) -> Result<Vec<ReceiptRow>, StateError> {
        let text = format!(
            "SELECT device, generation, ranges, clock_offset_ms FROM receipts {condition} ORDER BY updated_at, device, generation"
        );
        self.reader()
            .prepare_cached(&text)
            .and_then(|mut query| query.query_map([device], receipt_from_row)?.collect::<Result<_, _>>())
            .during("read receipts")
    }
}

fn receipt_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ReceiptRow> {
    let ranges: String = row.get("ranges")?;
    let pairs: Vec<(u64, u64)> = serde_json::from_str(&ranges)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into()))?;
    Ok(ReceiptRow {
        device: row.get("device")?,
        generation: row.get::<_, i64>("generation")?.cast_unsigned(),
        ranges: pairs.into_iter().map(|(first, last)| first..=last).collect(),
        clock_offset_ms: row.get("clock_offset_ms")?,
    })
}

impl EngineTx<'_> {
    /// The inventory's new word on a device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_device(&self, at: Timestamp, device: &DeviceChanged) -> Result<(), StateError> {
        let watch = device.watch.clone().unwrap_or_default();
        self.put_former_watch(at, device)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO devices (id, name, kind, class, state, site, room, vendor, model, serial,
                                      enrolled_at, updated_at, presence_since, mac, watch_agent, watch_address,
                                      watch_credential, watch_firmware, watch_location, watch_ports, watch_object_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
                 ON CONFLICT (id) DO UPDATE SET
                     name = ?2, kind = ?3, class = ?4, state = ?5, site = ?6, room = ?7,
                     vendor = ?8, model = ?9, serial = ?10, updated_at = ?11, mac = ?12, watch_agent = ?13,
                     watch_address = ?14, watch_credential = ?15, watch_firmware = ?16, watch_location = ?17,
                     watch_ports = ?18, watch_object_id = ?19",
            )
            .and_then(|mut put| {
                put.execute(params![
                    device.device_id,
                    device.name,
                    device.kind,
                    device.class,
                    device.state,
                    device.site,
                    device.room,
                    device.vendor,
                    device.model,
                    device.serial,
                    at.0,
                    device.mac,
                    watch.agent,
                    watch.address,
                    watch.credential,
                    watch.firmware,
                    watch.location,
                    watch.ports,
                    watch.object_id,
                ])
            })
            .during("put a device")?;
        self.adopt(device)
    }

    /// An agent's stream began.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_connected(&self, at: Timestamp, agent: &AgentConnected) -> Result<(), StateError> {
        self.transaction
            .prepare_cached(
                "UPDATE devices SET presence = ?2, presence_since = ?3, last_seen_at = max(ifnull(last_seen_at, 0), ?3),
                     agent_version = ?4, interval_s = ?5, clock_offset_ms = ?6, config_revision = ?7 WHERE id = ?1",
            )
            .and_then(|mut put| {
                put.execute(params![
                    agent.device_id,
                    Presence::Connected.as_str(),
                    at.0,
                    agent.agent_version,
                    agent.interval_s,
                    agent.clock_offset_ms,
                    agent.config_revision.cast_signed(),
                ])
            })
            .during("put an agent's connection")?;
        Ok(())
    }

    /// What became of a configuration that an agent was sent.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_configured(&self, result: &AgentConfigured) -> Result<(), StateError> {
        let text = if result.error.is_empty() {
            "UPDATE devices SET config_revision = ?2, config_refused = 0, config_why = ?3 WHERE id = ?1"
        } else {
            "UPDATE devices SET config_refused = ?2, config_why = ?3 WHERE id = ?1"
        };
        self.transaction
            .prepare_cached(text)
            .and_then(|mut put| put.execute(params![result.device_id, result.revision.cast_signed(), result.error]))
            .during("put what became of a configuration")?;
        Ok(())
    }

    /// An agent's stream ended, with or without a goodbye.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_left(&self, at: Timestamp, agent: &AgentLeft) -> Result<(), StateError> {
        let presence = if agent.reason == 0 { Presence::Lost } else { Presence::Left };
        self.transaction
            .prepare_cached("UPDATE devices SET presence = ?2, presence_since = ?3 WHERE id = ?1")
            .and_then(|mut put| put.execute(params![agent.device_id, presence.as_str(), at.0]))
            .during("put an agent's leave")?;
        Ok(())
    }

    /// The collector has restarted: no stream of before it is open any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_nobody_connected(&self, at: Timestamp) -> Result<(), StateError> {
        self.transaction
            .execute(
                "UPDATE devices SET presence = ?1, presence_since = ?2 WHERE presence = ?3",
                params![Presence::Lost.as_str(), at.0, Presence::Connected.as_str()],
            )
            .during("put that nobody is connected")?;
        Ok(())
    }

    /// Something was heard of a device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_seen(&self, at: Timestamp, device: &str) -> Result<(), StateError> {
        self.transaction
            .prepare_cached("UPDATE devices SET last_seen_at = ?2 WHERE id = ?1 AND ifnull(last_seen_at, 0) < ?2")
            .and_then(|mut put| put.execute(params![device, at.0]))
            .during("put when a device was seen")?;
        Ok(())
    }

    /// What was received of one generation.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_receipt(&self, at: Timestamp, receipt: &ReceiptRow) -> Result<(), StateError> {
        let pairs: Vec<(u64, u64)> = receipt.ranges.iter().map(|range| (*range.start(), *range.end())).collect();
        let ranges = serde_json::Value::from_iter(pairs.iter().map(|(first, last)| vec![*first, *last]));
        self.transaction
            .prepare_cached(
                "INSERT INTO receipts (device, generation, ranges, clock_offset_ms, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (device, generation) DO UPDATE SET ranges = ?3, clock_offset_ms = ?4, updated_at = ?5",
            )
            .and_then(|mut put| {
                put.execute(params![
                    receipt.device,
                    receipt.generation.cast_signed(),
                    ranges.to_string(),
                    receipt.clock_offset_ms,
                    at.0,
                ])
            })
            .during("put a receipt")?;
        Ok(())
    }

    /// Forgets one generation: another took its room.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_receipt(&self, device: &str, generation: u64) -> Result<(), StateError> {
        self.transaction
            .prepare_cached("DELETE FROM receipts WHERE device = ?1 AND generation = ?2")
            .and_then(|mut forget| forget.execute(params![device, generation.cast_signed()]))
            .during("forget a receipt")?;
        Ok(())
    }

    /// Forgets receipts that did not change since `before`: no spool keeps a batch that long.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_receipts(&self, before: Timestamp) -> Result<usize, StateError> {
        self.transaction.execute("DELETE FROM receipts WHERE updated_at < ?1", [before.0]).during("forget receipts")
    }

    /// The engine as it is at `position`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_snapshot(&self, snapshot: &EngineSnapshot) -> Result<(), StateError> {
        self.transaction
            .execute(
                "INSERT INTO engine (id, snapshot, position) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET snapshot = ?1, position = ?2",
                params![snapshot.snapshot, snapshot.position.cast_signed()],
            )
            .during("put the engine's snapshot")?;
        Ok(())
    }

    /// The place of a reader of the journal.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_cursor(&self, reader: &str, position: u64) -> Result<(), StateError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO cursors (reader, position) VALUES (?1, ?2)
                 ON CONFLICT (reader) DO UPDATE SET position = ?2",
            )
            .and_then(|mut put| put.execute(params![reader, position.cast_signed()]))
            .during("put a cursor")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::device::{Class, LifeState};

    fn changed(id: &str, room: &str) -> DeviceChanged {
        DeviceChanged {
            device_id: id.into(),
            name: "LHS-214".into(),
            kind: "agent".into(),
            class: "server".into(),
            site: "Lincoln High".into(),
            room: room.into(),
            state: "in_use".into(),
            actor: "enrolment".into(),
            ..DeviceChanged::default()
        }
    }

    #[test]
    fn a_failed_transaction_leaves_neither_effects_nor_cursor() {
        let (_folder, state) = fresh();
        let failed: Result<(), StateError> = state.commit_engine(|tx| {
            tx.put_device(Timestamp(1), &changed("d1", ""))?;
            tx.put_cursor("engine", 9)?;
            Err(StateError::Password)
        });
        failed.unwrap_err();
        assert_eq!(state.device_count().unwrap(), 0);
        assert_eq!(state.cursor("engine").unwrap(), None);
    }

    #[test]
    fn a_device_moves_and_keeps_the_day_it_was_connected() {
        let (_folder, state) = fresh();
        for (at, room) in [(5, "101"), (9, "214")] {
            state.commit_engine(|tx| tx.put_device(Timestamp(at), &changed("d1", room))).unwrap();
        }
        let device = state.device("d1").unwrap().unwrap();
        assert_eq!((device.enrolled_at, device.updated_at), (Timestamp(5), Timestamp(9)));
        assert_eq!((device.class, device.state), (Class::Server, LifeState::InUse));
        assert_eq!(device.room, "214");
        assert_eq!(device.presence, Presence::Never);
        assert_eq!(state.sites().unwrap(), ["Lincoln High"]);
        assert_eq!(state.newest_devices(Timestamp(6), 10).unwrap(), []);
    }

    #[test]
    fn an_edit_keeps_how_a_device_is_watched() {
        let (_folder, state) = fresh();
        let watch = bellwether_proto::record::v1::Watch {
            agent: "d1".into(),
            address: "10.20.0.2".into(),
            credential: "district".into(),
            firmware: "16.2".into(),
            location: "MDF".into(),
            ports: 48,
            object_id: "1.3.6.1.4.1.11.2.3.7.11.181".into(),
        };
        let mac = "3c:52:82:00:00:01".to_owned();
        let found = DeviceChanged { mac: mac.clone(), watch: Some(watch.clone()), ..changed("d2", "MDF") };
        state.commit_engine(|tx| tx.put_device(Timestamp(5), &found)).unwrap();
        let edited = DeviceChanged { room: "IDF 2".into(), ..state.device("d2").unwrap().unwrap().to_change("kim") };
        state.commit_engine(|tx| tx.put_device(Timestamp(6), &edited)).unwrap();
        let kept = state.device("d2").unwrap().unwrap();
        assert_eq!((kept.room.as_str(), kept.mac, kept.watch), ("IDF 2", mac, Some(watch)));
    }

    #[test]
    fn presence_follows_the_stream() {
        let (_folder, state) = fresh();
        let connected = AgentConnected {
            device_id: "d1".into(),
            agent_version: "0.1.0".into(),
            interval_s: 60,
            ..AgentConnected::default()
        };
        let presence = |at, work: &dyn Fn(&EngineTx<'_>, Timestamp) -> Result<(), StateError>| {
            state.commit_engine(|tx| work(tx, Timestamp(at))).unwrap();
            let device = state.device("d1").unwrap().unwrap();
            (device.presence, device.presence_since.0, device.last_seen_at)
        };
        presence(1, &|tx, at| tx.put_device(at, &changed("d1", "")));
        let on = presence(2, &|tx, at| tx.put_connected(at, &connected));
        assert_eq!(on, (Presence::Connected, 2, Some(Timestamp(2))));
        let seen = presence(3, &|tx, at| tx.put_seen(at, "d1"));
        assert_eq!(seen, (Presence::Connected, 2, Some(Timestamp(3))));
        let left = AgentLeft { device_id: "d1".into(), generation: 1, reason: 3 };
        assert_eq!(presence(4, &|tx, at| tx.put_left(at, &left)).0, Presence::Left);
        presence(5, &|tx, at| tx.put_connected(at, &connected));
        assert_eq!(presence(6, &|tx, at| tx.put_nobody_connected(at)).0, Presence::Lost);
    }

    #[test]
    fn receipts_come_back_as_they_were_put() {
        let (_folder, state) = fresh();
        let receipt = ReceiptRow {
            device: "d1".into(),
            generation: u64::MAX,
            ranges: [1..=4, 9..=u64::MAX].into_iter().collect(),
            clock_offset_ms: -3_000,
        };
        for _ in 0..2 {
            state.commit_engine(|tx| tx.put_receipt(Timestamp(5), &receipt)).unwrap();
        }
        assert_eq!(state.receipts("d1").unwrap(), std::slice::from_ref(&receipt));
        assert_eq!(state.all_receipts().unwrap(), [receipt]);
        assert_eq!(state.receipts("d2").unwrap(), []);
        assert_eq!(state.commit_engine(|tx| tx.forget_receipts(Timestamp(6))).unwrap(), 1);
    }

    #[test]
    fn the_engine_goes_on_where_it_was() {
        let (_folder, state) = fresh();
        assert_eq!(state.engine_snapshot().unwrap(), None);
        for position in [7, u64::MAX] {
            let snapshot = EngineSnapshot { snapshot: vec![1, 2, 3], position };
            state
                .commit_engine(|tx| {
                    tx.put_snapshot(&snapshot)?;
                    tx.put_cursor("engine", position)
                })
                .unwrap();
            assert_eq!(state.engine_snapshot().unwrap(), Some(snapshot));
            assert_eq!(state.cursor("engine").unwrap(), Some(position));
        }
    }
}
