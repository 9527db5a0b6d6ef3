//! The map: what devices know of others, what people say, and where everything hangs and hung.
//!
//! It is drawn by `logic`'s topology out of these tables alone, inside the engine reader's transaction, so that a replay of
//! the journal draws the same. Of laptops only the present place is kept: where a person's machine was last week is
//! nobody's business.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_logic::device::Class;
use bellwether_logic::heard::{self, Heard};
use bellwether_logic::time::Timestamp;
use bellwether_logic::topology::{self, Attachment, Link, Mac, Place, Seen, Stranger};
use bellwether_proto::record::v1::{LinkSet, NeighborhoodSeen, Watch};
use bellwether_proto::v1::Neighborhood;
use prost::Message;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::devices::DeviceRow;
use super::engine::EngineTx;
use super::{During, State, StateError};
use crate::{figures, neighborhoods};

/// Former places that are kept of one device.
const HISTORY_MAX: u32 = 50;

/// Unknown gear that is kept; whoever has more should connect it first.
const STRANGERS_MAX: usize = 1_000;

/// Devices that one question returns as hanging on one switch; one behind which more sit is a district's core.
const HANGING_MAX: u32 = 2_000;

/// What of the map is no attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drawn {
    /// The device that leads out; none if it is not known or none of ours.
    pub root: Option<String>,
    /// The port towards the gateway of each switch.
    pub uplinks: BTreeMap<String, String>,
    /// Network gear that switches heard of and that nobody manages.
    pub strangers: Vec<Stranger>,
    /// What of all that is proposed: what nobody manages, and what only draws power.
    pub heard: Vec<Heard>,
}

/// A device that is only pinged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinged {
    /// The device.
    pub device: String,
    /// How it is watched.
    pub watch: Watch,
    /// Its IP address as others tell it now; none: nobody tells.
    pub address: Option<String>,
    /// Who asks the switch on which it hangs; empty: not known.
    pub near: String,
}

/// Where a device hangs or hung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hanging {
    /// The device.
    pub device: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none: still.
    pub until: Option<Timestamp>,
    /// The last place that was known; empty if none was.
    pub place: Place,
    /// How it is known, and what is in doubt.
    pub attachment: Attachment,
    /// Since when it is seen nowhere.
    pub gone_at: Option<Timestamp>,
}

impl Hanging {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let body: String = row.get("body")?;
        let attachment = serde_json::from_str(&body)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))?;
        Ok(Self {
            device: row.get("device")?,
            since: Timestamp(row.get("since")?),
            until: row.get::<_, Option<i64>>("until")?.map(Timestamp),
            place: Place { switch: row.get("switch")?, port: row.get("port")? },
            attachment,
            gone_at: row.get::<_, Option<i64>>("gone_at")?.map(Timestamp),
        })
    }
}

impl State {
    /// Where everything hangs.
    ///
    /// # Errors
    /// When the database fails.
    pub fn hangings(&self) -> Result<BTreeMap<String, Hanging>, StateError> {
        self.list_hanging("WHERE until IS NULL AND ?1 = ''", "", u32::MAX)
            .map(|list| list.into_iter().map(|hanging| (hanging.device.clone(), hanging)).collect())
    }

    /// The device on which each one hangs, of those of which that is sure: what carries it if that is known, else the switch.
    ///
    /// # Errors
    /// When the database fails.
    pub fn parents(&self) -> Result<BTreeMap<String, String>, StateError> {
        // One of which nothing is above is sure, too.
        let is_sure = |attachment: &Attachment| attachment.sure && attachment.place.is_some();
        // What is seen nowhere any more may be just what is out of reach: its last place counts.
        let parent = |(device, hanging): (String, Hanging)| {
            let on = hanging.attachment.through.or(Some(hanging.place.switch)).filter(|on| !on.is_empty())?;
            Some((device, on))
        };
        Ok(self
            .hangings()?
            .into_iter()
            .filter(|(_, hanging)| is_sure(&hanging.attachment))
            .filter_map(parent)
            .collect())
    }

    /// Where a device hangs and hung, the present first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn places_of(&self, device: &str) -> Result<Vec<Hanging>, StateError> {
        self.list_hanging("WHERE device = ?1 ORDER BY until IS NOT NULL, since DESC", device, HISTORY_MAX)
    }

    /// What hangs on a switch.
    ///
    /// # Errors
    /// When the database fails.
    pub fn hanging_on(&self, switch: &str) -> Result<Vec<Hanging>, StateError> {
        self.list_hanging("WHERE until IS NULL AND switch = ?1 ORDER BY device", switch, HANGING_MAX)
    }

    fn list_hanging(&self, condition: &str, of: &str, limit: u32) -> Result<Vec<Hanging>, StateError> {
        self.reader()
            .prepare_cached(&format!("SELECT * FROM attachments {condition} LIMIT ?2"))
            .and_then(|mut query| query.query_map(params![of, limit], Hanging::from_row)?.collect())
            .during("list what hangs where")
    }

    /// What a device knows of others, and when it said so.
    ///
    /// # Errors
    /// When the database fails.
    pub fn neighborhood(&self, device: &str) -> Result<Option<(Timestamp, Neighborhood)>, StateError> {
        self.reader()
            .prepare_cached("SELECT at, body FROM neighborhoods WHERE device = ?1")
            .and_then(|mut query| query.query_row([device], |row| Ok((row.get(0)?, decode(row, 1)?))).optional())
            .map(|found| found.map(|(at, said)| (Timestamp(at), said)))
            .during("read a neighborhood")
    }

    /// What every device knows of others.
    ///
    /// # Errors
    /// When the database fails.
    pub fn neighborhoods(&self) -> Result<BTreeMap<String, Neighborhood>, StateError> {
        self.reader()
            .prepare_cached("SELECT device, body FROM neighborhoods")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, decode(row, 1)?)))?.collect())
            .during("read all neighborhoods")
    }

    /// When the map was drawn, and what of it is no attachment.
    ///
    /// # Errors
    /// When the database fails.
    pub fn drawn(&self) -> Result<(Timestamp, Drawn), StateError> {
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let (at, body) = self.reader().query_row("SELECT drawn_at, body FROM map", [], read).during("read the map")?;
        let drawn = serde_json::from_str(&body).map_err(|_| StateError::Unreadable { what: "map", value: body })?;
        Ok((Timestamp(at), drawn))
    }

    /// Whether something was said since the map was drawn, and when that was.
    ///
    /// # Errors
    /// When the database fails.
    pub fn map_clock(&self) -> Result<(bool, Timestamp), StateError> {
        self.reader()
            .query_row("SELECT stale, drawn_at FROM map", [], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))
            .during("read when the map was drawn")
    }

    /// The devices that are only pinged, with where others say that they are now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pinged(&self) -> Result<Vec<Pinged>, StateError> {
        let devices = self.all_devices()?;
        let pinged = |device: &&DeviceRow| device.watch.as_ref().is_some_and(|watch| watch.credential.is_empty());
        if !devices.iter().any(|device| pinged(&device)) {
            return Ok(Vec::new());
        }
        let said = self.neighborhoods()?.into_iter();
        let seen = |(id, said)| neighborhoods::seen(id, String::new(), None, "", "", said);
        let (seen, hangings): (Vec<Seen>, _) = (said.map(seen).collect(), self.hangings()?);
        let asks: BTreeMap<&str, &str> =
            devices.iter().filter_map(|device| Some((&*device.id, &*device.watch.as_ref()?.agent))).collect();
        let all = devices.iter().filter(pinged).filter_map(|device| {
            let near = hangings.get(&device.id).and_then(|hanging| asks.get(&*hanging.place.switch));
            let address = device.mac.parse().ok().and_then(|mac| heard::address_of(mac, &seen));
            Some(Pinged {
                device: device.id.clone(),
                watch: device.watch.clone()?,
                address: address.map(str::to_owned),
                near: near.copied().unwrap_or_default().to_owned(),
            })
        });
        Ok(all.collect())
    }

    /// What people said: by device, the switch and the port.
    ///
    /// # Errors
    /// When the database fails.
    pub fn links(&self) -> Result<BTreeMap<String, Place>, StateError> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, Place { switch: row.get(1)?, port: row.get(2)? }));
        self.reader()
            .prepare_cached("SELECT device, switch, port FROM links")
            .and_then(|mut query| query.query_map([], read)?.collect())
            .during("list links")
    }

    /// The addresses that devices said are their own or their gateway's, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn said_macs(&self) -> Result<Vec<String>, StateError> {
        self.reader()
            .prepare_cached("SELECT DISTINCT mac FROM wire_macs ORDER BY mac")
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during("list addresses on the wire")
    }

    /// Every address that the district manages: of devices, of the machines that agents run on, of gateways.
    ///
    /// # Errors
    /// When the database fails.
    pub fn managed_wire_macs(&self) -> Result<BTreeSet<Mac>, StateError> {
        let all: Vec<String> = self
            .reader()
            .prepare_cached(
                "SELECT mac FROM devices WHERE mac <> '' UNION SELECT mac FROM wire_macs
                 UNION SELECT value FROM machine_marks WHERE kind = ?1",
            )
            .and_then(|mut query| {
                query.query_map([bellwether_logic::identity::MarkKind::Mac.as_str()], |row| row.get(0))?.collect()
            })
            .during("list managed addresses")?;
        Ok(all.iter().filter_map(|mac| mac.parse().ok()).filter(|mac: &Mac| !mac.is_nobodys()).collect())
    }
}

fn decode(row: &Row<'_>, column: usize) -> rusqlite::Result<Neighborhood> {
    let body: Vec<u8> = row.get(column)?;
    Neighborhood::decode(&*body)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, error.into()))
}

impl EngineTx<'_> {
    /// What a device knows of others, in the place of what it said before.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_neighborhood(&self, at: Timestamp, seen: &NeighborhoodSeen) -> Result<(), StateError> {
        let said = seen.neighborhood.clone().unwrap_or_default();
        let put = || -> rusqlite::Result<()> {
            self.transaction
                .prepare_cached(
                    "INSERT INTO neighborhoods (device, at, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (device) DO UPDATE SET at = ?2, body = ?3",
                )?
                .execute(params![seen.device_id, at.0, said.encode_to_vec()])?;
            self.transaction.prepare_cached("DELETE FROM wire_macs WHERE device = ?1")?.execute([&seen.device_id])?;
            let mut add =
                self.transaction.prepare_cached("INSERT OR IGNORE INTO wire_macs (mac, device) VALUES (?1, ?2)")?;
            // Gear that announces itself is somebody's to manage: closets look up its IP address.
            let heard =
                said.neighbors.iter().filter_map(|said| heard::identity(&said.chassis)).map(|mac| mac.to_string());
            let own = said.macs.iter().chain(Some(&said.gateway_mac)).filter(|mac| !mac.is_empty()).cloned();
            for mac in own.chain(heard) {
                add.execute([&mac, &seen.device_id])?;
            }
            Ok(())
        };
        put().during("put a neighborhood")
    }

    /// A person has said where a device hangs, or takes it back.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_link(&self, at: Timestamp, link: &LinkSet) -> Result<(), StateError> {
        let done = if link.switch_id.is_empty() {
            self.transaction.execute("DELETE FROM links WHERE device = ?1", [&link.device_id])
        } else {
            self.transaction.execute(
                "INSERT INTO links (device, switch, port, actor, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (device) DO UPDATE SET switch = ?2, port = ?3, actor = ?4, at = ?5",
                params![link.device_id, link.switch_id, link.port, link.actor, at.0],
            )
        };
        done.map(drop).during("put a link")
    }

    /// When the map was drawn, and whether something was said since.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_map_clock(&self, stale: bool, drawn_at: Timestamp) -> Result<(), StateError> {
        self.transaction
            .execute("UPDATE map SET stale = ?1, drawn_at = ?2", params![stale, drawn_at.0])
            .map(drop)
            .during("put when the map was drawn")
    }

    /// Draws the map anew.
    ///
    /// # Errors
    /// When the database fails.
    pub fn draw_map(&self, at: Timestamp) -> Result<(), StateError> {
        let devices = self.seen().during("read what the map is made of")?;
        let links = self.people_say().during("read what people say of the map")?;
        let mut map = topology::map(&devices, &links);
        let (heard, dropped) = heard::gear(&devices, &map);
        figures::refused_many("heard_bound", dropped);
        let heard = self.put_heard(at, heard).during("propose what switches tell of")?;
        let gear = |stranger: &Stranger| neighborhoods::is_gear(&stranger.said.capabilities);
        map.strangers.retain(gear);
        map.strangers.truncate(STRANGERS_MAX);
        let drawn = Drawn { root: map.root, uplinks: map.uplinks, strangers: map.strangers, heard };
        let body = serde_json::to_string(&drawn).expect("names are plain text");
        self.transaction.execute("UPDATE map SET body = ?1", [body]).during("put the map")?;
        let portable: BTreeSet<&str> = devices
            .iter()
            .filter(|device| device.class == Some(Class::Laptop))
            .map(|device| device.id.as_str())
            .collect();
        self.put_attachments(at, &map.attachments, &portable).during("put what hangs where")
    }

    /// What the map as it was drawn last proposes.
    pub(super) fn heard(&self) -> rusqlite::Result<Vec<Heard>> {
        let body: String = self.transaction.query_row("SELECT body FROM map", [], |row| row.get(0))?;
        Ok(serde_json::from_str::<Drawn>(&body).unwrap_or_default().heard)
    }

    /// The devices and what they know of others.
    fn seen(&self) -> rusqlite::Result<Vec<Seen>> {
        let mut query = self.transaction.prepare_cached(
            "SELECT id, name, class, mac, watch_address, body FROM devices LEFT JOIN neighborhoods ON device = id
             WHERE state <> 'retired' ORDER BY id",
        )?;
        let seen = query.query_map([], |row| {
            let body: Option<Vec<u8>> = row.get(5)?;
            let said = body.and_then(|body| Neighborhood::decode(&*body).ok()).unwrap_or_default();
            let (class, mac, address): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(neighborhoods::seen(row.get(0)?, row.get(1)?, class.parse().ok(), &mac, &address, said))
        })?;
        seen.collect()
    }

    fn people_say(&self) -> rusqlite::Result<Vec<Link>> {
        let mut query = self.transaction.prepare_cached("SELECT device, switch, port FROM links ORDER BY device")?;
        let link = |row: &Row<'_>| Ok(Link { device: row.get(0)?, switch: row.get(1)?, port: row.get(2)? });
        query.query_map([], link)?.collect()
    }

    fn put_attachments(
        &self,
        at: Timestamp,
        drawn: &BTreeMap<String, Attachment>,
        portable: &BTreeSet<&str>,
    ) -> rusqlite::Result<()> {
        let mut query = self.transaction.prepare_cached("SELECT * FROM attachments WHERE until IS NULL")?;
        let mut before: BTreeMap<String, Hanging> = query
            .query_map([], Hanging::from_row)?
            .map(|hanging| hanging.map(|hanging| (hanging.device.clone(), hanging)))
            .collect::<rusqlite::Result<_>>()?;
        for (device, attachment) in drawn {
            match before.remove(device) {
                // What is in doubt keeps the place where it was last known to be.
                Some(old) if attachment.place.as_ref().is_none_or(|place| *place == old.place) => {
                    if old.attachment != *attachment || old.gone_at.is_some() {
                        self.update_hanging(&old, attachment)?;
                    }
                }
                old => {
                    if let Some(old) = old {
                        self.end_hanging(&old, at, !portable.contains(device.as_str()))?;
                    }
                    self.begin_hanging(device, at, attachment)?;
                }
            }
        }
        for old in before.values().filter(|old| old.gone_at.is_none()) {
            self.transaction
                .prepare_cached("UPDATE attachments SET gone_at = ?3 WHERE device = ?1 AND since = ?2")?
                .execute(params![old.device, old.since.0, at.0])?;
        }
        Ok(())
    }

    fn begin_hanging(&self, device: &str, at: Timestamp, attachment: &Attachment) -> rusqlite::Result<()> {
        let place = attachment.place.clone().unwrap_or_default();
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO attachments (device, since, until, switch, port, body, gone_at)
                 VALUES (?1, ?2, NULL, ?3, ?4, ?5, NULL)",
            )?
            .execute(params![device, at.0, place.switch, place.port, json(attachment)])?;
        Ok(())
    }

    fn update_hanging(&self, old: &Hanging, attachment: &Attachment) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("UPDATE attachments SET body = ?3, gone_at = NULL WHERE device = ?1 AND since = ?2")?
            .execute(params![old.device, old.since.0, json(attachment)])?;
        Ok(())
    }

    fn end_hanging(&self, old: &Hanging, at: Timestamp, keep: bool) -> rusqlite::Result<()> {
        if !keep || old.place == Place::default() {
            self.transaction
                .prepare_cached("DELETE FROM attachments WHERE device = ?1 AND since = ?2")?
                .execute(params![old.device, old.since.0])?;
            return Ok(());
        }
        self.transaction
            .prepare_cached("UPDATE attachments SET until = ?3 WHERE device = ?1 AND since = ?2")?
            .execute(params![old.device, old.since.0, at.0])?;
        self.transaction
            .prepare_cached(
                "DELETE FROM attachments WHERE device = ?1 AND since NOT IN
                 (SELECT since FROM attachments WHERE device = ?1 ORDER BY since DESC LIMIT ?2)",
            )?
            .execute(params![old.device, HISTORY_MAX])?;
        Ok(())
    }
}

fn json(attachment: &Attachment) -> String {
    serde_json::to_string(attachment).expect("names are plain text")
}

#[cfg(test)]
mod tests;
