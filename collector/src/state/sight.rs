//! What was found when we first looked: the planning list, as the deciders tell it.

use std::collections::BTreeMap;

use bellwether_logic::engine::Listing;
use bellwether_logic::incidents::Fault;
use bellwether_logic::plans::Plan;
use bellwether_logic::usual::UsualHours;
use rusqlite::{OptionalExtension, params};

use super::engine::EngineTx;
use super::tickets::{from_body, to_body};
use super::{During, State, StateError};

/// Entries that one page or answer is made of. A district that lists more has its rules to mend first; the rest is counted.
pub const LISTINGS_MAX: u32 = 50_000;

impl EngineTx<'_> {
    pub(super) fn put_listing(&self, listing: &Listing) -> Result<(), StateError> {
        let (fault, body) = (to_body("fault", &listing.fault)?, to_body("listing", listing)?);
        self.transaction
            .prepare_cached(
                "INSERT INTO listings (device, fault, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (device, fault) DO UPDATE SET body = ?3",
            )
            .and_then(|mut put| put.execute(params![listing.device, fault, body]))
            .during("put a fault on the planning list")?;
        Ok(())
    }

    pub(super) fn forget_listing(&self, device: &str, fault: &Fault) -> Result<(), StateError> {
        let fault = to_body("fault", fault)?;
        self.transaction
            .prepare_cached("DELETE FROM listings WHERE device = ?1 AND fault = ?2")
            .and_then(|mut forget| forget.execute(params![device, fault]))
            .during("take a fault off the planning list")?;
        Ok(())
    }
}

impl EngineTx<'_> {
    pub(super) fn put_usual_hours(&self, hours: &UsualHours) -> Result<(), StateError> {
        let body = to_body("usual hours", hours)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO usual_hours (site, class, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (site, class) DO UPDATE SET body = ?3",
            )
            .and_then(|mut put| put.execute(params![hours.site, hours.class.as_str(), body]))
            .during("put when a class of devices is usually on")?;
        Ok(())
    }

    pub(super) fn put_plan(&self, plan: &Plan) -> Result<(), StateError> {
        let body = to_body("planned change", plan)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO plans (number, ends_at, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (number) DO UPDATE SET ends_at = ?2, body = ?3",
            )
            .and_then(|mut put| put.execute(params![plan.number.cast_signed(), plan.until.0, body]))
            .during("put a planned change")?;
        Ok(())
    }
}

impl State {
    /// When classes of devices are usually on at a building.
    ///
    /// # Errors
    /// When the database fails.
    pub fn usual_hours(&self, site: &str) -> Result<Vec<UsualHours>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM usual_hours WHERE site = ?1 ORDER BY class")
            .and_then(|mut query| query.query_map([site], from_body)?.collect())
            .during("read when classes of devices are usually on")
    }

    /// Planned changes, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn plans(&self, limit: u32) -> Result<Vec<Plan>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM plans ORDER BY number DESC LIMIT ?1")
            .and_then(|mut query| query.query_map([limit], from_body)?.collect())
            .during("list planned changes")
    }

    /// One planned change.
    ///
    /// # Errors
    /// When the database fails.
    pub fn plan(&self, number: u64) -> Result<Option<Plan>, StateError> {
        self.reader()
            .prepare_cached("SELECT body FROM plans WHERE number = ?1")
            .and_then(|mut query| query.query_row([number.cast_signed()], from_body).optional())
            .during("look up a planned change")
    }

    /// The planning list, by device; at most [`LISTINGS_MAX`] entries.
    ///
    /// # Errors
    /// When the database fails.
    pub fn listings(&self) -> Result<BTreeMap<String, Vec<Listing>>, StateError> {
        let rows: Vec<Listing> = self
            .reader()
            .prepare_cached("SELECT body FROM listings ORDER BY device, fault LIMIT ?1")
            .and_then(|mut query| query.query_map([LISTINGS_MAX], from_body)?.collect())
            .during("read the planning list")?;
        let mut listings: BTreeMap<String, Vec<Listing>> = BTreeMap::new();
        for listing in rows {
            listings.entry(listing.device.clone()).or_default().push(listing);
        }
        Ok(listings)
    }

    /// How many entries the planning list has.
    ///
    /// # Errors
    /// When the database fails.
    pub fn listing_count(&self) -> Result<u32, StateError> {
        self.reader().query_row("SELECT count(*) FROM listings", [], |row| row.get(0)).during("count the planning list")
    }
}
