//! What closets find: devices that nobody knows yet, and which agents reach what.

use std::collections::BTreeSet;

use bellwether_logic::discovery::{Facts, keys};
use bellwether_logic::heard::{self, Heard};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, DeviceFound, ProposalJudged};
use rusqlite::{OptionalExtension, Row, params};

use super::engine::EngineTx;
use super::{During, State, StateError};

/// Proposals that one question returns at most: whoever has more should search smaller ranges.
pub const PROPOSALS_SHOWN: u32 = 1_000;

/// Agents that one question returns for one proposal or device.
const REACHES_MAX: u32 = 64;

/// Where an agent reaches a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The agent.
    pub agent: String,
    /// The device's network address.
    pub address: String,
    /// The name of the credential that it answers to.
    pub credential: String,
    /// When the agent last said so.
    pub found_at: Timestamp,
}

/// A device that is none of ours yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What it goes by.
    pub key: String,
    /// What it says of itself.
    pub facts: Facts,
    /// When it was first found.
    pub first_at: Timestamp,
    /// When it was last found.
    pub last_at: Timestamp,
    /// Who does not want it; empty: it is proposed.
    pub dismissed_by: String,
    /// Who reaches it, the one that found it last first.
    pub reaches: Vec<Reach>,
    /// Where it was seen, if only others tell of it: nobody has logged in to it.
    pub heard: Option<Heard>,
}

/// Where an agent once asked a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerWatch {
    /// The device.
    pub device: String,
    /// The agent.
    pub agent: String,
    /// The device's network address then.
    pub address: String,
    /// Until when.
    pub until: Timestamp,
}

/// What an agent said was at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The agent.
    pub agent: String,
    /// The address.
    pub address: String,
    /// The credential.
    pub credential: String,
    /// The device; empty: it is none of ours.
    pub device: String,
    /// What it said of itself.
    pub facts: Facts,
    /// When the agent last said so.
    pub last_at: Timestamp,
}

fn facts(row: &Row<'_>) -> rusqlite::Result<Facts> {
    let text: String = row.get("facts")?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

fn reach(row: &Row<'_>) -> rusqlite::Result<Reach> {
    Ok(Reach {
        agent: row.get("agent")?,
        address: row.get("address")?,
        credential: row.get("credential")?,
        found_at: Timestamp(row.get("last_at")?),
    })
}

fn proposal(row: &Row<'_>) -> rusqlite::Result<Proposal> {
    Ok(Proposal {
        key: row.get("key")?,
        facts: facts(row)?,
        first_at: Timestamp(row.get("first_at")?),
        last_at: Timestamp(row.get("last_at")?),
        dismissed_by: row.get("dismissed_by")?,
        reaches: Vec::new(),
        heard: None,
    })
}

impl State {
    /// Proposals, dismissed or not, those that were found first coming first; at most [`PROPOSALS_SHOWN`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn proposals(&self, dismissed: bool) -> Result<Vec<Proposal>, StateError> {
        let reader = self.reader();
        let mut list: Vec<Proposal> = reader
            .prepare_cached("SELECT * FROM proposals WHERE (dismissed_by <> '') = ?1 ORDER BY first_at, key LIMIT ?2")
            .and_then(|mut query| query.query_map(params![dismissed, PROPOSALS_SHOWN], proposal)?.collect())
            .during("list proposals")?;
        let mut ask = reader
            .prepare_cached("SELECT * FROM sightings WHERE proposal = ?1 ORDER BY last_at DESC, agent LIMIT ?2")
            .during("list who reaches a proposal")?;
        for proposal in &mut list {
            proposal.reaches = ask
                .query_map(params![proposal.key, REACHES_MAX], reach)
                .and_then(Iterator::collect)
                .during("list who reaches a proposal")?;
        }
        drop(ask);
        drop(reader);
        self.add_heard(&mut list)?;
        Ok(list)
    }

    /// One proposal.
    ///
    /// # Errors
    /// When the database fails.
    pub fn proposal(&self, key: &str) -> Result<Option<Proposal>, StateError> {
        let reader = self.reader();
        let found = reader
            .prepare_cached("SELECT * FROM proposals WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], proposal).optional())
            .during("look up a proposal")?;
        let Some(mut found) = found else { return Ok(None) };
        found.reaches = reader
            .prepare_cached("SELECT * FROM sightings WHERE proposal = ?1 ORDER BY last_at DESC, agent LIMIT ?2")
            .and_then(|mut query| query.query_map(params![key, REACHES_MAX], reach)?.collect())
            .during("list who reaches a proposal")?;
        drop(reader);
        self.add_heard(std::slice::from_mut(&mut found))?;
        Ok(Some(found))
    }

    /// Says of proposals that nobody reaches where they were seen, and which agent asks the switch there.
    fn add_heard(&self, proposals: &mut [Proposal]) -> Result<(), StateError> {
        if proposals.iter().all(|proposal| !proposal.reaches.is_empty()) {
            return Ok(());
        }
        let (at, drawn) = self.drawn()?;
        for proposal in proposals.iter_mut().filter(|proposal| proposal.reaches.is_empty()) {
            let Some(heard) = drawn.heard.iter().find(|heard| heard.key == proposal.key) else { continue };
            let watch = self.device(&heard.on.switch)?.and_then(|switch| switch.watch);
            proposal.reaches.extend(watch.map(|watch| Reach {
                agent: watch.agent,
                address: heard.address.clone(),
                credential: String::new(),
                found_at: at,
            }));
            proposal.heard = Some(heard.clone());
        }
        Ok(())
    }

    /// How many devices are proposed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn proposal_count(&self) -> Result<u32, StateError> {
        self.reader()
            .query_row("SELECT count(*) FROM proposals WHERE dismissed_by = ''", [], |row| row.get(0))
            .during("count proposals")
    }

    /// Everything that agents have found, by agent and address.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sightings(&self) -> Result<Vec<Sighting>, StateError> {
        let sighting = |row: &Row<'_>| {
            Ok(Sighting {
                agent: row.get("agent")?,
                address: row.get("address")?,
                credential: row.get("credential")?,
                device: row.get("device")?,
                facts: facts(row)?,
                last_at: Timestamp(row.get("last_at")?),
            })
        };
        self.reader()
            .prepare_cached("SELECT * FROM sightings ORDER BY agent, address")
            .and_then(|mut query| query.query_map([], sighting)?.collect())
            .during("list sightings")
    }

    /// Which agents reach which devices of ours.
    ///
    /// # Errors
    /// When the database fails.
    pub fn reaches(&self) -> Result<Vec<(String, Reach)>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM sightings WHERE device <> '' ORDER BY device, agent")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get("device")?, reach(row)?)))?.collect())
            .during("list who reaches devices")
    }

    /// Which agents reach one device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn reaches_of(&self, device: &str) -> Result<Vec<Reach>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM sightings WHERE device = ?1 ORDER BY agent LIMIT ?2")
            .and_then(|mut query| query.query_map(params![device, REACHES_MAX], reach)?.collect())
            .during("list who reaches a device")
    }

    /// Who asked which device before somebody else did.
    ///
    /// # Errors
    /// When the database fails.
    pub fn former_watches(&self) -> Result<Vec<FormerWatch>, StateError> {
        let former = |row: &Row<'_>| {
            Ok(FormerWatch {
                device: row.get("device")?,
                agent: row.get("agent")?,
                address: row.get("address")?,
                until: Timestamp(row.get("until")?),
            })
        };
        self.reader()
            .prepare_cached("SELECT * FROM former_watches ORDER BY device, agent")
            .and_then(|mut query| query.query_map([], former)?.collect())
            .during("list former watches")
    }
}

impl EngineTx<'_> {
    /// An agent has found a device. Says which device of ours it was believed to reach there before, if any.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_found(&self, at: Timestamp, found: &DeviceFound) -> Result<Option<String>, StateError> {
        let facts = Facts::from(found.facts.clone().unwrap_or_default());
        let said = serde_json::json!(facts).to_string();
        let ours = !found.device_id.is_empty();
        let key = if ours { None } else { keys(&facts, &found.agent, &found.address).next() }.unwrap_or_default();
        let work = || -> rusqlite::Result<Option<String>> {
            let before: Vec<(String, String)> = self
                .transaction
                .prepare_cached(
                    "DELETE FROM sightings WHERE agent = ?1 AND (device, proposal) <> (?3, ?4) AND address = ?2
                     OR agent = ?1 AND (device, proposal) = (?3, ?4) AND address <> ?2 RETURNING device, proposal",
                )?
                .query_map(params![found.agent, found.address, found.device_id, key], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            if !ours {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO proposals (key, facts, first_at, last_at) VALUES (?1, ?2, ?3, ?3)
                         ON CONFLICT (key) DO UPDATE SET facts = ?2, last_at = ?3",
                    )?
                    .execute(params![key, said, at.0])?;
            }
            self.transaction
                .prepare_cached(
                    "INSERT INTO sightings (agent, address, credential, device, proposal, facts, first_at, last_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                     ON CONFLICT (agent, address) DO UPDATE SET credential = ?3, device = ?4, proposal = ?5, facts = ?6,
                         last_at = ?7",
                )?
                .execute(params![found.agent, found.address, found.credential, found.device_id, key, said, at.0])?;
            for (_, orphan) in before.iter().filter(|(_, orphan)| !orphan.is_empty()) {
                self.drop_unseen(orphan)?;
            }
            Ok(before
                .into_iter()
                .map(|(device, _)| device)
                .find(|device| !device.is_empty() && *device != found.device_id))
        };
        work().during("put what was found")
    }

    /// Proposes gear of which only others tell, and takes back what nobody tells of any more. What an agent has found itself
    /// is proposed already, and left out of what is returned.
    pub(super) fn put_heard(&self, at: Timestamp, mut heard: Vec<Heard>) -> rusqlite::Result<Vec<Heard>> {
        let (mut macs, mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut found = self.transaction.prepare_cached("SELECT address, facts FROM sightings WHERE device = ''")?;
        for row in found.query_map([], |row| Ok((row.get::<_, String>(0)?, facts(row)?)))? {
            let (address, facts) = row?;
            macs.insert(facts.mac);
            names.insert(facts.name);
            addresses.insert(address);
        }
        let mut ours = self.transaction.prepare_cached("SELECT mac FROM devices WHERE mac <> ''")?;
        for mac in ours.query_map([], |row| row.get(0))? {
            // One that was retired is told of, too, as long as it hangs there.
            macs.insert(mac?);
        }
        let is_new = |heard: &Heard| {
            let Facts { mac, name, .. } = &heard.facts;
            (mac.is_empty() || !macs.contains(mac))
                && (name.is_empty() || !names.contains(name))
                && (heard.address.is_empty() || !addresses.contains(&heard.address))
        };
        heard.retain(is_new);
        let mut put = self.transaction.prepare_cached(
            "INSERT INTO proposals (key, facts, first_at, last_at) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (key) DO UPDATE SET facts = ?2, last_at = ?3",
        )?;
        for heard in &heard {
            put.execute(params![heard.key, serde_json::json!(heard.facts).to_string(), at.0])?;
        }
        let keys: Vec<&str> = heard.iter().map(|heard| heard.key.as_str()).collect();
        self.transaction
            .prepare_cached(
                "DELETE FROM proposals WHERE dismissed_by = '' AND key NOT IN (SELECT value FROM json_each(?1))
                     AND NOT EXISTS (SELECT 1 FROM sightings WHERE proposal = key)",
            )?
            .execute([serde_json::json!(keys).to_string()])?;
        Ok(heard)
    }

    /// Forgets a proposal that nobody reaches any more.
    fn drop_unseen(&self, key: &str) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached(
                "DELETE FROM proposals WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM sightings WHERE proposal = ?1)",
            )?
            .execute([key])?;
        Ok(())
    }

    /// A person has decided on a proposal.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_judged(&self, judged: &ProposalJudged) -> Result<(), StateError> {
        let by = if judged.dismissed { judged.actor.as_str() } else { "" };
        self.transaction
            .prepare_cached("UPDATE proposals SET dismissed_by = ?2 WHERE key = ?1")
            .and_then(|mut put| put.execute(params![judged.key, by]))
            .during("put what a person decided on a proposal")?;
        Ok(())
    }

    /// Forgets what nobody has found since `before`, and who asked what until then.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_found(&self, before: Timestamp) -> Result<(), StateError> {
        let work = || -> rusqlite::Result<()> {
            // What is heard still was not looked at since nothing changed.
            for heard in self.heard()? {
                self.transaction
                    .prepare_cached("UPDATE proposals SET last_at = max(last_at, ?2) WHERE key = ?1")?
                    .execute(params![heard.key, before.0])?;
            }
            self.transaction.execute("DELETE FROM sightings WHERE last_at < ?1 AND device = ''", [before.0])?;
            self.transaction.execute("DELETE FROM proposals WHERE last_at < ?1", [before.0])?;
            self.transaction.execute("DELETE FROM former_watches WHERE until < ?1", [before.0])?;
            Ok(())
        };
        work().during("forget what was found")
    }

    /// Notes who asked the device until now, if somebody else does from now on. Called before the device is put.
    pub(super) fn put_former_watch(&self, at: Timestamp, device: &DeviceChanged) -> Result<(), StateError> {
        let agent = device.watch.as_ref().map_or("", |watch| watch.agent.as_str());
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO former_watches (device, agent, address, until)
                 SELECT id, watch_agent, watch_address, ?3 FROM devices
                 WHERE id = ?1 AND watch_agent <> '' AND watch_agent <> ?2",
            )
            .and_then(|mut put| put.execute(params![device.device_id, agent, at.0]))
            .during("put who asked a device")?;
        Ok(())
    }

    /// A device that was proposed is one of ours now: whoever reaches the proposal reaches the device.
    pub(super) fn adopt(&self, device: &DeviceChanged) -> Result<(), StateError> {
        let Some(watch) = &device.watch else { return Ok(()) };
        let facts = Facts {
            vendor: device.vendor.clone(),
            serial: device.serial.clone(),
            mac: device.mac.clone(),
            ..Facts::default()
        };
        let work = || -> rusqlite::Result<()> {
            let heard = heard::key(&Facts { name: device.name.clone(), ..facts.clone() });
            for key in keys(&facts, &watch.agent, &watch.address).chain(heard) {
                self.transaction
                    .prepare_cached("UPDATE sightings SET device = ?2, proposal = '' WHERE proposal = ?1")?
                    .execute(params![key, device.device_id])?;
                self.transaction.prepare_cached("DELETE FROM proposals WHERE key = ?1")?.execute([&key])?;
            }
            Ok(())
        };
        work().during("adopt a proposal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_proto::record::v1::Watch;

    fn found(agent: &str, address: &str, serial: &str) -> DeviceFound {
        let facts = Facts { kind: "switch".into(), vendor: "Aruba".into(), serial: serial.into(), ..Facts::default() };
        DeviceFound {
            agent: agent.into(),
            device_id: String::new(),
            address: address.into(),
            credential: "district".into(),
            facts: Some(facts.into()),
        }
    }

    fn put(state: &State, at: i64, found: &DeviceFound) -> Option<String> {
        state.commit_engine(|tx| tx.put_found(Timestamp(at), found)).unwrap()
    }

    fn keys_of(state: &State, dismissed: bool) -> Vec<String> {
        state.proposals(dismissed).unwrap().into_iter().map(|proposal| proposal.key).collect()
    }

    #[test]
    fn what_two_closets_find_is_one_proposal_that_both_reach() {
        let (_folder, state) = fresh();
        put(&state, 1, &found("d1", "10.0.0.2", "CN1"));
        put(&state, 2, &found("d2", "10.9.0.2", "CN1"));
        let all = state.proposals(false).unwrap();
        assert_eq!((all.len(), all[0].first_at, all[0].last_at), (1, Timestamp(1), Timestamp(2)));
        let reaches: Vec<_> = all[0].reaches.iter().map(|reach| reach.agent.as_str()).collect();
        assert_eq!(reaches, ["d2", "d1"]);
        assert_eq!(state.proposal("serial/aruba/CN1").unwrap().unwrap(), all[0]);
    }

    #[test]
    fn an_address_that_went_to_another_device_leaves_no_proposal_without_a_place() {
        let (_folder, state) = fresh();
        put(&state, 1, &found("d1", "10.0.0.2", "CN1"));
        put(&state, 2, &found("d1", "10.0.0.2", "CN2"));
        assert_eq!(keys_of(&state, false), ["serial/aruba/CN2"]);
        put(&state, 3, &found("d1", "10.0.0.3", "CN2"));
        assert_eq!(state.sightings().unwrap().len(), 1, "it moved");
    }

    #[test]
    fn a_dismissed_proposal_stays_so_however_often_it_is_found() {
        let (_folder, state) = fresh();
        let judged = |dismissed| ProposalJudged { key: "serial/aruba/CN1".into(), dismissed, actor: "kim".into() };
        put(&state, 1, &found("d1", "10.0.0.2", "CN1"));
        state.commit_engine(|tx| tx.put_judged(&judged(true))).unwrap();
        put(&state, 2, &found("d1", "10.0.0.2", "CN1"));
        assert_eq!((keys_of(&state, false).len(), keys_of(&state, true).len()), (0, 1));
        state.commit_engine(|tx| tx.put_judged(&judged(false))).unwrap();
        assert_eq!(state.proposal_count().unwrap(), 1);
    }

    #[test]
    fn an_accepted_device_takes_over_who_reaches_it_and_keeps_who_asked_it() {
        let (_folder, state) = fresh();
        put(&state, 1, &found("d1", "10.0.0.2", "CN1"));
        put(&state, 1, &found("d2", "10.9.0.2", "CN1"));
        let device = |agent: &str| DeviceChanged {
            device_id: "sw".into(),
            class: "switch".into(),
            state: "in_use".into(),
            vendor: "Aruba".into(),
            serial: "CN1".into(),
            watch: Some(Watch { agent: agent.into(), address: "10.0.0.2".into(), ..Watch::default() }),
            ..DeviceChanged::default()
        };
        state.commit_engine(|tx| tx.put_device(Timestamp(5), &device("d1"))).unwrap();
        assert!(keys_of(&state, false).is_empty());
        assert_eq!(state.reaches_of("sw").unwrap().len(), 2);
        assert_eq!(state.reaches().unwrap().len(), 2);
        assert_eq!(state.former_watches().unwrap(), []);
        state.commit_engine(|tx| tx.put_device(Timestamp(9), &device("d2"))).unwrap();
        let former = state.former_watches().unwrap();
        assert_eq!((former[0].agent.as_str(), former[0].until), ("d1", Timestamp(9)));
        assert_eq!(put(&state, 10, &found("d2", "10.9.0.2", "CN7")).as_deref(), Some("sw"), "d2 reaches it no longer");
        assert_eq!(state.reaches_of("sw").unwrap().len(), 1);
    }

    #[test]
    fn what_nobody_finds_any_more_is_forgotten() {
        let (_folder, state) = fresh();
        put(&state, 1, &found("d1", "10.0.0.2", "CN1"));
        state.commit_engine(|tx| tx.forget_found(Timestamp(2))).unwrap();
        assert!(keys_of(&state, false).is_empty() && state.sightings().unwrap().is_empty());
    }
}
