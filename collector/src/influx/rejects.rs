//! Lines that an InfluxDB refused for good, with its reasons, for a person to look at.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use bellwether_agent::private;
use bellwether_logic::time::Timestamp;

use super::batch::Batch;
use crate::figures;

/// The file's name in the data folder. The one before it ends in `.old`.
pub const FILE: &str = "influxdb-rejected.txt";

/// A file that has reached this is followed by a new one, and the one before the last is deleted: what a person can look
/// through, and never more than a corner of the disk.
pub const FILE_BYTES: u64 = 16 << 20;

/// The reject file.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
}

impl Rejects {
    /// In this data folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    /// Keeps lines that were refused, with the reason. That they are gone is counted and logged even if they can't be kept.
    pub fn put(&self, batch: &Batch, why: &str, now: Timestamp) {
        figures::influx("rejected_points", batch.len() as u64);
        let first = batch.lines().next().unwrap_or_default().trim_end();
        let (database, lines) = (&batch.place.database, batch.len());
        tracing::error!(database, lines, why, first, file = FILE, "InfluxDB refused points for good");
        if let Err(error) = self.write(batch, why, now) {
            tracing::error!(%error, path = %self.path.display(), "refused points could not be kept");
        }
    }

    fn write(&self, batch: &Batch, why: &str, now: Timestamp) -> std::io::Result<()> {
        if std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= FILE_BYTES) {
            std::fs::rename(&self.path, self.path.with_extension("txt.old"))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        private::for_owner(&mut options);
        let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
        let place = &batch.place;
        let slash = if place.policy.is_empty() { "" } else { "/" };
        let head = format!("# {at} {}{slash}{}: {why}\n", place.database, place.policy);
        let mut file = options.open(&self.path)?;
        file.write_all(head.as_bytes())?;
        file.write_all(batch.text().as_bytes())
    }
}
