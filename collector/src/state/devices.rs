//! The inventory: what the school owns and where it stands, and when each device was last heard of.

use bellwether_logic::device::{Class, Device, LifeState, make};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, Watch};
use rusqlite::{OptionalExtension, Row};

use super::{During, State, StateError, word};

/// Devices that one question returns at most. A district has tens of thousands; no page shows more than this.
pub const PAGE_MAX: u32 = 1_000;

/// How the collector stands with a device's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Its agent has not connected yet.
    Never,
    /// Its agent is connected.
    Connected,
    /// It said goodbye: stopped, shut down, asleep.
    Left,
    /// The connection ended without a goodbye.
    Lost,
}

impl Presence {
    /// The word in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Connected => "connected",
            Self::Left => "left",
            Self::Lost => "lost",
        }
    }
}

impl std::str::FromStr for Presence {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        [Self::Never, Self::Connected, Self::Left, Self::Lost]
            .into_iter()
            .find(|presence| presence.as_str() == text)
            .ok_or_else(|| StateError::Unreadable { what: "presence", value: text.into() })
    }
}

/// One device of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Given at enrolment, never changes.
    pub id: String,
    /// The asset tag or whatever the admin calls it.
    pub name: String,
    /// What it is in people's words, such as `agent` or `switch`.
    pub kind: String,
    /// What it is for.
    pub class: Class,
    /// Where it stands in its life.
    pub state: LifeState,
    /// The building.
    pub site: String,
    /// The room; may be empty.
    pub room: String,
    /// Who made it.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// The maker's serial number.
    pub serial: String,
    /// When it was first connected.
    pub enrolled_at: Timestamp,
    /// When the inventory last changed.
    pub updated_at: Timestamp,
    /// Version of its agent; empty until it has connected.
    pub agent_version: String,
    /// How often it reports; 0 until it has connected.
    pub interval_s: u32,
    /// How the collector stands with it.
    pub presence: Presence,
    /// Since when.
    pub presence_since: Timestamp,
    /// When anything was last heard of it.
    pub last_seen_at: Option<Timestamp>,
    /// By how much its clock is corrected; 0 when it is right.
    pub clock_offset_ms: i64,
    /// The revision of the configuration that its agent runs with; 0 is the machine's own file.
    pub config_revision: u64,
    /// The revision that its agent refused last or gave back, and why; 0 and empty if it never did.
    pub config_refused: (u64, String),
    /// Its base address, lower case with colons; empty: not known.
    pub mac: String,
    /// How it is watched without an agent of its own; none: it has one.
    pub watch: Option<Watch>,
}

impl DeviceRow {
    /// The inventory's word on it as it stands, for whoever is about to change a part.
    #[must_use]
    pub fn to_change(&self, actor: &str) -> DeviceChanged {
        DeviceChanged {
            device_id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            class: self.class.to_string(),
            site: self.site.clone(),
            room: self.room.clone(),
            state: self.state.to_string(),
            vendor: self.vendor.clone(),
            model: self.model.clone(),
            serial: self.serial.clone(),
            actor: actor.to_owned(),
            mac: self.mac.clone(),
            watch: self.watch.clone(),
        }
    }

    /// The device as the deciders know it.
    #[must_use]
    pub fn to_logic(&self) -> Device {
        Device {
            id: self.id.clone(),
            name: self.name.clone(),
            class: self.class,
            site: self.site.clone(),
            room: self.room.clone(),
            state: self.state,
            model: make(&self.vendor, &self.model),
        }
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            class: word(row, "class")?,
            state: word(row, "state")?,
            site: row.get("site")?,
            room: row.get("room")?,
            vendor: row.get("vendor")?,
            model: row.get("model")?,
            serial: row.get("serial")?,
            enrolled_at: Timestamp(row.get("enrolled_at")?),
            updated_at: Timestamp(row.get("updated_at")?),
            agent_version: row.get("agent_version")?,
            interval_s: row.get("interval_s")?,
            presence: word(row, "presence")?,
            presence_since: Timestamp(row.get("presence_since")?),
            last_seen_at: row.get::<_, Option<i64>>("last_seen_at")?.map(Timestamp),
            clock_offset_ms: row.get("clock_offset_ms")?,
            config_revision: row.get::<_, i64>("config_revision")?.cast_unsigned(),
            config_refused: (row.get::<_, i64>("config_refused")?.cast_unsigned(), row.get("config_why")?),
            mac: row.get("mac")?,
            watch: watch(row)?,
        })
    }
}

fn watch(row: &Row<'_>) -> rusqlite::Result<Option<Watch>> {
    let agent: String = row.get("watch_agent")?;
    if agent.is_empty() {
        return Ok(None);
    }
    Ok(Some(Watch {
        agent,
        address: row.get("watch_address")?,
        credential: row.get("watch_credential")?,
        firmware: row.get("watch_firmware")?,
        location: row.get("watch_location")?,
        ports: row.get("watch_ports")?,
        object_id: row.get("watch_object_id")?,
    }))
}

impl State {
    /// One device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn device(&self, id: &str) -> Result<Option<DeviceRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM devices WHERE id = ?1")
            .and_then(|mut query| query.query_row([id], DeviceRow::from_row).optional())
            .during("look up a device")
    }

    /// Devices by building, room and name, from `offset` on, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn devices(&self, limit: u32, offset: u32) -> Result<Vec<DeviceRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM devices ORDER BY site, room, name, id LIMIT ?1 OFFSET ?2")
            .and_then(|mut query| {
                query.query_map([limit.min(PAGE_MAX), offset], DeviceRow::from_row)?.collect::<Result<_, _>>()
            })
            .during("list devices")
    }

    /// Every device, for the deciders when the collector starts. Not for pages.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all_devices(&self) -> Result<Vec<DeviceRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM devices ORDER BY id")
            .and_then(|mut query| query.query_map([], DeviceRow::from_row)?.collect::<Result<_, _>>())
            .during("list all devices")
    }

    /// How many devices there are.
    ///
    /// # Errors
    /// When the database fails.
    pub fn device_count(&self) -> Result<u32, StateError> {
        self.reader().query_row("SELECT count(*) FROM devices", [], |row| row.get(0)).during("count devices")
    }

    /// Devices that were connected for the first time, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_devices(&self, since: Timestamp, limit: u32) -> Result<Vec<DeviceRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM devices WHERE enrolled_at >= ?1 ORDER BY enrolled_at DESC, id LIMIT ?2")
            .and_then(|mut query| {
                query
                    .query_map([since.0, i64::from(limit.min(PAGE_MAX))], DeviceRow::from_row)?
                    .collect::<Result<_, _>>()
            })
            .during("list the newest devices")
    }

    /// The buildings that devices stand in.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sites(&self) -> Result<Vec<String>, StateError> {
        self.reader()
            .prepare_cached("SELECT DISTINCT site FROM devices WHERE site <> '' ORDER BY site LIMIT ?1")
            .and_then(|mut query| query.query_map([PAGE_MAX], |row| row.get(0))?.collect::<Result<_, _>>())
            .during("list buildings")
    }
}
