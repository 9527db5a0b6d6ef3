//! Certificates that the collector's CA has issued to agents, and which of them are revoked.

use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{During, State, StateError};

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
}

impl Certificate {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            serial: row.get("serial")?,
            device: row.get("device")?,
            issued_at: Timestamp(row.get("issued_at")?),
            not_after: Timestamp(row.get("not_after")?),
            revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(Timestamp),
        })
    }
}

impl State {
    /// Remembers a certificate that was just issued.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_certificate(&self, certificate: &Certificate) -> Result<(), StateError> {
        self.writer()
            .execute(
                "INSERT OR IGNORE INTO certificates (serial, device, issued_at, not_after, revoked_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    certificate.serial,
                    certificate.device,
                    certificate.issued_at.0,
                    certificate.not_after.0,
                    certificate.revoked_at.map(|at| at.0),
                ],
            )
            .during("add a certificate")?;
        Ok(())
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
}
