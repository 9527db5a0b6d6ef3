//! What each device's hardware says of itself, and what was noticed about which machine a device is.
//!
//! Like certificates, these are changed here directly and are in no record: they decide who is let in and as whom, and
//! nothing that the engine decides depends on them.

use std::collections::BTreeSet;

use bellwether_logic::identity::{COMMON, Hardware, Mark};
use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{During, State, StateError, word};

/// Devices that share a mark with a machine and are looked at. A mark of more is common and counts for nothing.
const CANDIDATES_MAX: usize = 64;

/// Notes that are kept of one device; the one that was made longest ago goes first.
const NOTES_PER_DEVICE: u32 = 20;

/// Notes that one question returns at most.
const NOTES_MAX: u32 = 200;

/// The longest detail; it is shown on a page.
const DETAIL_CHARS_MAX: usize = 300;

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It was connected anew and is the same as before.
    Returned,
    /// It may be the same as another device: a person must say.
    Perhaps,
    /// Another machine shows this device's certificate.
    Clone,
    /// Two agents run with this device's certificate at once.
    Twin,
    /// Its hardware is not quite what it was.
    Changed,
}

impl NoteKind {
    const ALL: [Self; 5] = [Self::Returned, Self::Perhaps, Self::Clone, Self::Twin, Self::Changed];

    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Perhaps => "perhaps",
            Self::Clone => "clone",
            Self::Twin => "twin",
            Self::Changed => "changed",
        }
    }
}

impl std::str::FromStr for NoteKind {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| StateError::Unreadable { what: "identity note", value: text.into() })
    }
}

/// One thing that was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// About which device.
    pub device: String,
    /// What.
    pub kind: NoteKind,
    /// In words, for a person.
    pub detail: String,
    /// For the first time.
    pub first_at: Timestamp,
    /// For the last time.
    pub last_at: Timestamp,
    /// How often.
    pub times: u32,
}

/// What is known of a device's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The device.
    pub device: String,
    /// What its hardware says.
    pub hardware: Hardware,
    /// SHA-256 of each CA that its agent believes, lower-case hexadecimal.
    pub cas: Vec<String>,
    /// The enrol token that it came by.
    pub token: Option<i64>,
}

/// Machines that a newcomer may be.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// They share a mark with it.
    pub machines: Vec<Machine>,
    /// Marks of it that tell nothing, because too many devices bear them.
    pub common: BTreeSet<Mark>,
}

impl Machine {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            device: row.get("device")?,
            hardware: json(row, "hardware")?,
            cas: json(row, "cas")?,
            token: row.get("token")?,
        })
    }
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &'static str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

impl State {
    /// What is known of a device's machine.
    ///
    /// # Errors
    /// When the database fails.
    pub fn machine(&self, device: &str) -> Result<Option<Machine>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM machines WHERE device = ?1")
            .and_then(|mut query| query.query_row([device], Machine::from_row).optional())
            .during("look up a machine")
    }

    /// Every machine, for the command line.
    ///
    /// # Errors
    /// When the database fails.
    pub fn machines(&self) -> Result<Vec<Machine>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM machines ORDER BY device")
            .and_then(|mut query| query.query_map([], Machine::from_row)?.collect::<Result<_, _>>())
            .during("list machines")
    }

    /// Keeps what a device's machine says of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_machine(&self, machine: &Machine, now: Timestamp) -> Result<(), StateError> {
        let mut writer = self.writer();
        let put = |transaction: &Transaction<'_>| -> rusqlite::Result<()> {
            transaction.execute(
                "INSERT INTO machines (device, hardware, cas, token, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (device) DO UPDATE SET hardware = ?2, cas = ?3, token = ?4, changed_at = ?5",
                params![
                    machine.device,
                    serde_json::json!(machine.hardware).to_string(),
                    serde_json::json!(machine.cas).to_string(),
                    machine.token,
                    now.0
                ],
            )?;
            transaction.execute("DELETE FROM machine_marks WHERE device = ?1", [&machine.device])?;
            let mut add = transaction
                .prepare_cached("INSERT OR IGNORE INTO machine_marks (kind, value, device) VALUES (?1, ?2, ?3)")?;
            for mark in machine.hardware.marks() {
                add.execute(params![mark.kind.as_str(), mark.value, machine.device])?;
            }
            Ok(())
        };
        let mut work = || {
            let transaction = writer.transaction()?;
            put(&transaction)?;
            transaction.commit()
        };
        work().during("keep a machine")
    }

    /// The machines that share a mark with this hardware.
    ///
    /// # Errors
    /// When the database fails.
    pub fn candidates(&self, hardware: &Hardware) -> Result<Candidates, StateError> {
        let reader = self.reader();
        let mut found = Candidates::default();
        let mut devices = BTreeSet::new();
        let limit = u32::try_from(COMMON).unwrap_or(u32::MAX);
        let mut bearers = reader
            .prepare_cached("SELECT device FROM machine_marks WHERE kind = ?1 AND value = ?2 ORDER BY device LIMIT ?3")
            .during("look for a machine")?;
        for mark in hardware.marks() {
            let named: Vec<String> = bearers
                .query_map(params![mark.kind.as_str(), mark.value, limit], |row| row.get(0))
                .and_then(Iterator::collect)
                .during("look for a machine")?;
            if named.len() >= COMMON {
                found.common.insert(mark);
            } else {
                devices.extend(named);
            }
        }
        let mut machine =
            reader.prepare_cached("SELECT * FROM machines WHERE device = ?1").during("look up a machine")?;
        for device in devices.into_iter().take(CANDIDATES_MAX) {
            found
                .machines
                .extend(machine.query_row([device], Machine::from_row).optional().during("look up a machine")?);
        }
        Ok(found)
    }

    /// Notes something about a device; the same thing again counts.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note(&self, device: &str, kind: NoteKind, detail: &str, now: Timestamp) -> Result<(), StateError> {
        let detail: String = detail.chars().filter(|letter| !letter.is_control()).take(DETAIL_CHARS_MAX).collect();
        let writer = self.writer();
        writer
            .execute(
                "INSERT INTO identity_notes (device, kind, detail, first_at, last_at, times) VALUES (?1, ?2, ?3, ?4, ?4, 1)
                 ON CONFLICT (device, kind, detail) DO UPDATE SET last_at = ?4, times = times + 1",
                params![device, kind.as_str(), detail, now.0],
            )
            .during("note something about a machine")?;
        writer
            .execute(
                "DELETE FROM identity_notes WHERE device = ?1 AND (kind, detail) NOT IN (
                     SELECT kind, detail FROM identity_notes WHERE device = ?1 ORDER BY last_at DESC LIMIT ?2)",
                params![device, NOTES_PER_DEVICE],
            )
            .during("forget what was noted long ago")?;
        Ok(())
    }

    /// What was noticed about a device, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn notes(&self, device: &str) -> Result<Vec<Note>, StateError> {
        self.list_notes("WHERE device = ?1 AND last_at >= ?2", device, Timestamp(0))
    }

    /// What was noticed since `since` that a person should look at, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open_notes(&self, since: Timestamp) -> Result<Vec<Note>, StateError> {
        self.list_notes("WHERE kind IN ('clone', 'twin', 'perhaps') AND ?1 = '' AND last_at >= ?2", "", since)
    }

    fn list_notes(&self, condition: &str, device: &str, since: Timestamp) -> Result<Vec<Note>, StateError> {
        let text = format!("SELECT * FROM identity_notes {condition} ORDER BY last_at DESC, device LIMIT {NOTES_MAX}");
        let from_row = |row: &Row<'_>| {
            Ok(Note {
                device: row.get("device")?,
                kind: word(row, "kind")?,
                detail: row.get("detail")?,
                first_at: Timestamp(row.get("first_at")?),
                last_at: Timestamp(row.get("last_at")?),
                times: row.get("times")?,
            })
        };
        self.reader()
            .prepare_cached(&text)
            .and_then(|mut query| query.query_map(params![device, since.0], from_row)?.collect::<Result<_, _>>())
            .during("list what was noticed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;

    fn machine(device: &str, serial: &str, mac: &str) -> Machine {
        let hardware = Hardware {
            vendor: "Dell".into(),
            serial: serial.into(),
            macs: [mac.to_owned()].into(),
            ..Hardware::default()
        };
        Machine { device: device.into(), hardware, cas: vec!["aa".into()], token: Some(3) }
    }

    #[test]
    fn a_machine_is_found_by_any_of_its_words_until_too_many_bear_it() {
        let (_folder, state) = fresh();
        for number in 0..COMMON {
            let it = machine(&format!("d{number}"), "SAME", &format!("8c:04:ba:00:00:0{number}"));
            state.put_machine(&it, Timestamp(1)).unwrap();
            let found = state.candidates(&it.hardware).unwrap();
            let names: Vec<_> = found.machines.iter().map(|machine| machine.device.as_str()).collect();
            if number + 1 < COMMON {
                assert_eq!(names.len(), number + 1);
                assert!(found.common.is_empty());
            } else {
                assert_eq!((names, found.common.len()), (vec![it.device.as_str()], 1));
            }
        }
        let moved = machine("d0", "OTHER", "8c:04:ba:00:00:0f");
        state.put_machine(&moved, Timestamp(2)).unwrap();
        assert_eq!(state.machine("d0").unwrap(), Some(moved));
        assert_eq!(state.candidates(&machine("", "SAME", "x").hardware).unwrap().machines.len(), COMMON - 1);
    }

    #[test]
    fn what_is_noticed_again_counts_and_what_is_old_makes_room() {
        let (_folder, state) = fresh();
        for at in 1..=3 {
            state.note("d1", NoteKind::Clone, "from 8c:04", Timestamp(at)).unwrap();
        }
        state.note("d1", NoteKind::Returned, "same", Timestamp(4)).unwrap();
        let open = state.open_notes(Timestamp(2)).unwrap();
        assert_eq!((open.len(), open[0].times, open[0].first_at), (1, 3, Timestamp(1)));
        assert!(state.open_notes(Timestamp(9)).unwrap().is_empty());
        for number in 0..100 {
            state.note("d1", NoteKind::Clone, &format!("machine {number}"), Timestamp(10 + number)).unwrap();
        }
        assert_eq!(state.notes("d1").unwrap().len(), NOTES_PER_DEVICE as usize);
    }
}
