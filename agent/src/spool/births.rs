//! Which clock the batches of a generation bear: the boot it began in, what the wall clock said then, and whether the
//! collector has heard of it. An agent that starts anew in the same boot can tell their true times by it.
//!
//! Written when a generation begins and when its hello was answered, without waiting for the disk: after a power cut it is
//! another boot in any case, and what bears no date then is refused by the collector if it was not dropped here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_logic::time::Timestamp;
use prost::Message;

use super::frame;
use crate::clock::Clock;

/// Generations that are remembered. A clock that is set all day long makes no more between two collectors.
const BIRTHS_MAX: usize = 1_024;

/// The clock of one generation.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Birth {
    /// Which.
    #[prost(fixed64, tag = "1")]
    pub generation: u64,
    /// The boot that it belongs to.
    #[prost(string, tag = "2")]
    pub boot_id: String,
    /// What its wall clock said the machine's start to be.
    #[prost(sint64, tag = "3")]
    pub booted_unix_ms: i64,
    /// Whether the collector has heard its hello, and so corrects its times.
    #[prost(bool, tag = "4")]
    pub heard: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Births {
    #[prost(message, repeated, tag = "1")]
    births: Vec<Birth>,
}

impl Birth {
    /// A generation that begins now.
    #[must_use]
    pub fn now(generation: u64, clock: &Clock) -> Self {
        Self { generation, boot_id: clock.boot_id().to_owned(), booted_unix_ms: booted(clock).0, heard: false }
    }

    /// What is to be added to its times to have them by another clock of the same boot; none if that is not to be known.
    #[must_use]
    pub fn shift_ms(&self, clock: &Clock) -> Option<i64> {
        let same = crate::clock::COUNTS_SLEEP && !self.boot_id.is_empty() && self.boot_id == clock.boot_id();
        same.then(|| booted(clock).0.saturating_sub(self.booted_unix_ms))
    }
}

fn booted(clock: &Clock) -> Timestamp {
    let now = clock.now();
    now.wall - now.boot
}

pub(super) fn load(dir: &Path) -> Vec<Birth> {
    let bytes = fs::read(file(dir)).unwrap_or_default();
    let payload = frame::payloads(&bytes, 0).next().map(|range| &bytes[range]);
    payload.and_then(|payload| Births::decode(payload).ok()).unwrap_or_default().births
}

/// Writes them, the oldest left out if there are too many.
pub(super) fn store(dir: &Path, births: &mut Vec<Birth>) -> io::Result<()> {
    births.drain(..births.len().saturating_sub(BIRTHS_MAX));
    let payload = Births { births: births.clone() }.encode_to_vec();
    frame::put(&file(dir), &payload)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("births")
}
