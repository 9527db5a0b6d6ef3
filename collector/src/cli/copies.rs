//! `backup` and `restore`: where from, where to, and what came of it.

use std::path::PathBuf;

use bellwether_logic::time::Timestamp;
use clap::Args;

use super::DEFAULT_DATA;
use crate::backup::{self, BackupError, Copied};
use crate::clock::Clock;

/// `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The folder that becomes the backup; one that is not there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder that becomes the data folder; empty, or not there yet
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

impl Backup {
    /// Makes the backup.
    ///
    /// # Errors
    /// When it can't be made; then there is none.
    pub fn run(&self) -> Result<String, BackupError> {
        let copied = backup::take(&self.data, &self.to, Clock::system().now())?;
        let (what, to) = (size(copied), self.to.display());
        Ok(format!(
            "Backed up {what} to {to}.\nIt holds the keys of the certificate authority and all tokens: keep it as you keep keys."
        ))
    }
}

impl Restore {
    /// Puts the backup back.
    ///
    /// # Errors
    /// When it can't be put back; then the data folder is as it was.
    pub fn run(&self) -> Result<String, BackupError> {
        let (copied, begun) = backup::restore(&self.from, &self.data)?;
        let (what, data, time) = (size(copied), self.data.display(), when(begun));
        Ok(format!(
            "Restored {what} to {data}: what was known on {time}.\nStart the collector on it under the DNS name and ports that it \
             had: agents come back by themselves.\nThe collector of which this is a copy must not be started again."
        ))
    }
}

fn size(copied: Copied) -> String {
    const MIB: u64 = 1 << 20;
    format!("{} files ({} MiB)", copied.files, copied.bytes.div_ceil(MIB))
}

fn when(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.0)
        .map_or_else(|_| "an unknown day".to_owned(), |at| at.strftime("%F %T UTC").to_string())
}
