//! Who looks after what, as it was recorded last, and what there is to look after.

use std::collections::BTreeSet;

use bellwether_logic::device::Class;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::ResponsibilitiesSet;
use prost::Message;
use rusqlite::{OptionalExtension, params};

use super::engine::EngineTx;
use super::{During, State, StateError, word};

impl EngineTx<'_> {
    /// Somebody else looks after something from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_responsibilities(&self, at: Timestamp, set: &ResponsibilitiesSet) -> Result<(), StateError> {
        self.transaction
            .execute(
                "INSERT INTO responsibilities (id, at, body) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET at = ?1, body = ?2",
                params![at.0, set.encode_to_vec()],
            )
            .map(drop)
            .during("put the responsibilities")
    }
}

impl State {
    /// What was recorded last; none: nothing was, or a newer version wrote what this one can't read.
    ///
    /// # Errors
    /// When the database fails.
    pub fn responsibilities(&self) -> Result<Option<ResponsibilitiesSet>, StateError> {
        let body: Option<Vec<u8>> = self
            .reader()
            .query_row("SELECT body FROM responsibilities", [], |row| row.get(0))
            .optional()
            .during("read the responsibilities")?;
        Ok(body.and_then(|body| ResponsibilitiesSet::decode(body.as_slice()).ok()))
    }

    /// Which classes of devices stand in which buildings, those that are gone for good apart.
    ///
    /// # Errors
    /// When the database fails.
    pub fn places(&self) -> Result<BTreeSet<(String, Class)>, StateError> {
        self.reader()
            .prepare_cached("SELECT DISTINCT site, class FROM devices WHERE state <> 'retired'")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get("site")?, word(row, "class")?)))?.collect())
            .during("list what stands where")
    }

    /// The logins of everybody who may work on tickets, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn workers(&self) -> Result<Vec<String>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT login FROM people WHERE role IN ('technician', 'coordinator', 'admin') ORDER BY login LIMIT 500",
            )
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during("list who may work on tickets")
    }
}
