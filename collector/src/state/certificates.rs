//! Certificates that the collector's CA has issued to agents, and which of them are revoked.
//!
//! A certificate is remembered until nothing can be had for it any more: until its end and the grace in which it may
//! still be renewed. One that is not remembered is refused, so forgetting is always safe. A machine that is frozen to one
//! state comes back each morning with the same old certificate and is given another, which it forgets at night: of one
//! device only so many are kept, and the one that it keeps coming back with is not the one that goes.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{During, State, StateError};

/// Certificates of one device that are remembered, those by which something was asked last.
const KEPT_PER_DEVICE: u32 = 40;

/// The span over which a device's renewals are counted.
const DAY: Duration = Duration::from_secs(86_400);

/// Renewals of one device a day while its certificate is good: it needs one in twenty days, and a second if a reply was
/// lost.
const RENEWALS_A_DAY: u32 = 4;

/// The same for a certificate that has ended, without which nothing is heard of the machine: a frozen machine that is
/// restarted between lessons asks that often.
const RENEWALS_A_DAY_ENDED: u32 = 24;

/// One certificate of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Lower-case hexadecimal.
    pub serial: String,
    /// The device that it names.
    pub device: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// SHA-256 of the CA that issued it, lower-case hexadecimal; empty for those of before it was noted.
    pub ca: String,
    /// SHA-256 of its public key, lower-case hexadecimal; empty for those of before it was noted.
    pub key: String,
}

/// Why a certificate is not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalRefusal {
    /// The old one is not remembered.
    #[error("this device is not in the collector's inventory: enrol it again")]
    Unknown,
    /// The old one was revoked.
    #[error("this device's certificate was revoked: enrol it again")]
    Revoked,
    /// The request was made before.
    #[error("there is a certificate for this key already: ask with a new key")]
    KeyUsed,
    /// The device has asked too often.
    #[error("this device has renewed its certificate {0} times in a day: try again tomorrow")]
    TooOften(u32),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Certificate {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            serial: row.get("serial")?,
            device: row.get("device")?,
            issued_at: Timestamp(row.get("issued_at")?),
            not_after: Timestamp(row.get("not_after")?),
            revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(Timestamp),
            ca: row.get("ca")?,
            key: row.get("key")?,
        })
    }
}

impl State {
    /// Remembers a certificate that was just issued.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_certificate(&self, certificate: &Certificate) -> Result<(), StateError> {
        insert(&self.writer(), certificate).during("add a certificate")
    }

    /// Remembers a certificate that takes the place of an older one of the same device, if that one still stands.
    ///
    /// # Errors
    /// When it does not stand, or the database fails.
    pub fn renew_certificate(&self, old: &str, new: &Certificate, now: Timestamp) -> Result<(), RenewalRefusal> {
        let mut writer = self.writer();
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).during("renew a certificate")?;
        judge_renewal(&transaction, old, new, now)?;
        let change = || -> rusqlite::Result<()> {
            transaction.execute("UPDATE certificates SET used_at = ?2 WHERE serial = ?1", params![old, now.0])?;
            insert(&transaction, new)?;
            transaction.execute(
                "DELETE FROM certificates WHERE device = ?1 AND revoked_at IS NULL AND serial NOT IN (
                     SELECT serial FROM certificates WHERE device = ?1 ORDER BY used_at DESC, issued_at DESC LIMIT ?2)",
                params![new.device, KEPT_PER_DEVICE],
            )?;
            Ok(())
        };
        change().during("renew a certificate")?;
        transaction.commit().during("renew a certificate")?;
        Ok(())
    }

    /// Whether any certificate of a device was revoked, as far as they are remembered.
    ///
    /// # Errors
    /// When the database fails.
    pub fn was_revoked(&self, device: &str) -> Result<bool, StateError> {
        self.reader()
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM certificates WHERE device = ?1 AND revoked_at IS NOT NULL)")
            .and_then(|mut query| query.query_row([device], |row| row.get(0)))
            .during("look for a revocation")
    }

    /// Forgets certificates that ended before `before`; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_certificates(&self, before: Timestamp) -> Result<usize, StateError> {
        self.writer()
            .execute("DELETE FROM certificates WHERE not_after < ?1", [before.0])
            .during("forget certificates that ended long ago")
    }

    /// Which CA issued the newest certificate of each device.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_issuers(&self) -> Result<BTreeMap<String, String>, StateError> {
        self.reader()
            .prepare_cached("SELECT device, ca, max(issued_at) FROM certificates GROUP BY device")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>())
            .during("list the issuers of certificates")
    }

    /// The certificate with this serial number, if the CA issued it and it was kept.
    ///
    /// # Errors
    /// When the database fails.
    pub fn certificate(&self, serial: &str) -> Result<Option<Certificate>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM certificates WHERE serial = ?1")
            .and_then(|mut query| query.query_row([serial], Certificate::from_row).optional())
            .during("look up a certificate")
    }

    /// Revokes every certificate of a device; says how many were valid until now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn revoke_certificates(&self, device: &str, now: Timestamp) -> Result<usize, StateError> {
        self.writer()
            .execute(
                "UPDATE certificates SET revoked_at = ?2 WHERE device = ?1 AND revoked_at IS NULL",
                params![device, now.0],
            )
            .during("revoke certificates")
    }

    /// Serial numbers of revoked certificates that have not ended yet: what a TLS listener must refuse.
    ///
    /// # Errors
    /// When the database fails.
    pub fn revoked_serials(&self, now: Timestamp) -> Result<Vec<String>, StateError> {
        self.reader()
            .prepare_cached("SELECT serial FROM certificates WHERE revoked_at IS NOT NULL AND not_after >= ?1")
            .and_then(|mut query| query.query_map([now.0], |row| row.get(0))?.collect::<Result<_, _>>())
            .during("list revoked certificates")
    }
}

fn insert(connection: &Connection, certificate: &Certificate) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO certificates (serial, device, issued_at, not_after, revoked_at, ca, key, used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?3)",
        params![
            certificate.serial,
            certificate.device,
            certificate.issued_at.0,
            certificate.not_after.0,
            certificate.revoked_at.map(|at| at.0),
            certificate.ca,
            certificate.key,
        ],
    )?;
    Ok(())
}

/// Under the write lock: what is revoked meanwhile is seen.
fn judge_renewal(
    transaction: &Transaction<'_>,
    old: &str,
    new: &Certificate,
    now: Timestamp,
) -> Result<(), RenewalRefusal> {
    let known = transaction
        .query_row("SELECT * FROM certificates WHERE serial = ?1", [old], Certificate::from_row)
        .optional()
        .during("look up a certificate")?;
    let known = known.filter(|known| known.device == new.device).ok_or(RenewalRefusal::Unknown)?;
    if known.revoked_at.is_some() {
        return Err(RenewalRefusal::Revoked);
    }
    let count = |condition: &str, of: &str, since: i64| -> Result<u32, StateError> {
        transaction
            .query_row(
                &format!("SELECT count(*) FROM certificates WHERE {condition} AND issued_at > ?2"),
                params![of, since],
                |row| row.get(0),
            )
            .during("count certificates")
    };
    if count("key = ?1", &new.key, i64::MIN)? > 0 {
        return Err(RenewalRefusal::KeyUsed);
    }
    let most = if known.not_after > now { RENEWALS_A_DAY } else { RENEWALS_A_DAY_ENDED };
    let today = count("device = ?1", &new.device, (now - DAY).0)?;
    if today >= most { Err(RenewalRefusal::TooOften(today)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;

    #[test]
    fn a_revoked_device_is_revoked_with_every_certificate_it_has() {
        let (_folder, state) = fresh();
        for serial in ["0a", "0b", "0c"] {
            let device = if serial == "0c" { "dother" } else { "dstolen" };
            let certificate = Certificate {
                serial: serial.into(),
                device: device.into(),
                issued_at: Timestamp(1),
                not_after: Timestamp(1_000),
                revoked_at: None,
                ca: "ca".into(),
                key: serial.into(),
            };
            state.add_certificate(&certificate).unwrap();
        }
        assert_eq!(state.revoke_certificates("dstolen", Timestamp(5)).unwrap(), 2);
        assert_eq!(state.revoke_certificates("dstolen", Timestamp(6)).unwrap(), 0);
        assert_eq!(state.revoked_serials(Timestamp(9)).unwrap(), ["0a", "0b"].map(String::from));
        let stolen = state.certificate("0a").unwrap().unwrap();
        assert_eq!(stolen.revoked_at, Some(Timestamp(5)));
        assert!(state.revoked_serials(Timestamp(2_000)).unwrap().is_empty());
        assert!(state.certificate("ff").unwrap().is_none());
    }

    fn month(serial: &str, at: i64) -> Certificate {
        let day = 86_400_000;
        Certificate {
            serial: serial.into(),
            device: "dfrozen".into(),
            issued_at: Timestamp(at * day),
            not_after: Timestamp((at + 30) * day),
            revoked_at: None,
            ca: "ca".into(),
            key: format!("key of {serial}"),
        }
    }

    #[test]
    fn a_frozen_machine_comes_back_with_its_old_certificate_all_term_and_fills_nothing() {
        let (_folder, state) = fresh();
        state.add_certificate(&month("image", 0)).unwrap();
        for day in 20..150 {
            let now = Timestamp(day * 86_400_000);
            state.renew_certificate("image", &month(&format!("m{day}"), day), now).unwrap();
        }
        assert!(state.certificate("image").unwrap().is_some());
        let kept: u32 = state.reader().query_row("SELECT count(*) FROM certificates", [], |row| row.get(0)).unwrap();
        assert!(kept <= KEPT_PER_DEVICE + 1, "{kept}");
        assert_eq!(state.newest_issuers().unwrap()["dfrozen"], "ca");
        state.forget_certificates(Timestamp(150 * 86_400_000)).unwrap();
        assert!(state.certificate("image").unwrap().is_none());
    }

    #[test]
    fn a_renewal_needs_a_certificate_that_stands_and_a_key_of_its_own() {
        let (_folder, state) = fresh();
        state.add_certificate(&month("a", 0)).unwrap();
        let now = Timestamp(20 * 86_400_000);
        state.renew_certificate("a", &month("b", 20), now).unwrap();
        let replayed = Certificate { serial: "c".into(), ..month("b", 20) };
        assert!(matches!(state.renew_certificate("a", &replayed, now), Err(RenewalRefusal::KeyUsed)));
        let of_another = Certificate { device: "dother".into(), ..month("d", 20) };
        assert!(matches!(state.renew_certificate("a", &of_another, now), Err(RenewalRefusal::Unknown)));
        for number in 1..RENEWALS_A_DAY {
            state.renew_certificate("a", &month(&format!("e{number}"), 20), now).unwrap();
        }
        assert!(matches!(state.renew_certificate("a", &month("f", 20), now), Err(RenewalRefusal::TooOften(_))));
        state.revoke_certificates("dfrozen", now).unwrap();
        assert!(matches!(state.renew_certificate("a", &month("g", 30), now), Err(RenewalRefusal::Revoked)));
    }
}
