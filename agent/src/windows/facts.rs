//! What Windows answers, in its own words and units, before anything is made of it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::host::Said;
use crate::reading::Problem;

/// One instance of a class of Windows Management Instrumentation: property to value.
pub type Row = Map<String, Value>;

/// A machine that can be asked. Each question stands alone: one that is not answered hides no other.
///
/// # Errors
/// Of every question: the problem to report.
pub trait Facts: Send {
    /// What the processors have done since the start.
    fn processors(&self) -> Result<Processors, Problem>;
    /// How the memory is used.
    fn memory(&self) -> Result<Memory, Problem>;
    /// The paging files.
    fn page_files(&self) -> Result<Vec<PageFile>, Problem>;
    /// How much runs.
    fn tasks(&self) -> Result<Tasks, Problem>;
    /// Since the start, time asleep included.
    fn uptime(&self) -> Duration;
    /// Volumes that have a letter.
    fn volumes(&self) -> Result<Vec<Volume>, Problem>;
    /// What the network interfaces have carried.
    fn cards(&self) -> Result<Vec<Card>, Problem>;
    /// The wireless cards and the links that they have.
    fn radios(&self) -> Result<Vec<Radio>, Problem>;
    /// What Windows Update knows.
    fn updates(&self) -> Result<Updates, Problem>;
    /// A value of the registry below `HKEY_LOCAL_MACHINE`, text or number; none if there is no such value.
    fn registry(&self, key: &str, name: &str) -> Option<Value>;
    /// Whether there is such a key below `HKEY_LOCAL_MACHINE`.
    fn has_key(&self, key: &str) -> bool;
    /// What a program of the system prints.
    fn run(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Said, Problem>;
    /// These properties (`A, B`) of every instance of a class.
    fn rows(&self, namespace: &'static str, class: &'static str, properties: &'static str)
    -> Result<Vec<Row>, Problem>;
}

/// The whole, and each core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Processors {
    /// All cores together.
    pub whole: Times,
    /// In the order of the system; empty where it does not tell.
    pub cores: Vec<Times>,
}

/// Counters since the start, in units of 100 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default))]
pub struct Times {
    /// Doing nothing.
    pub idle: u64,
    /// In the kernel, idle time and interrupts included: that is how the system counts.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
    /// Serving interrupts.
    pub interrupt: u64,
    /// Serving deferred procedure calls.
    pub deferred: u64,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Memory {
    /// What the system can use.
    pub total: u64,
    /// What programs can still get, the standby list included.
    pub available: u64,
    /// What may be promised to programs: memory and paging files.
    pub commit_limit: u64,
    /// What can still be promised.
    pub commit_available: u64,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct PageFile {
    /// Its size.
    pub total: u64,
    /// What of it is used.
    pub used: u64,
}

/// How much runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Tasks {
    /// Processes.
    pub processes: u64,
    /// Threads.
    pub threads: u64,
}

/// A volume with a letter. Its label is never asked for: it may hold a person's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default))]
pub struct Volume {
    /// `C`.
    pub letter: String,
    /// The system calls it fixed. It says so of USB disks, too.
    pub fixed: bool,
    /// The number of the bus that its disk is on (`STORAGE_BUS_TYPE`); none if the system does not say.
    pub bus: Option<i32>,
    /// `NTFS`; empty if it can't be told.
    pub file_system: String,
    /// Nothing can be written.
    pub read_only: bool,
    /// Its space; none if it could not be told.
    pub space: Option<Space>,
    /// What it has done; none where its driver does not count.
    pub counters: Option<DiskCounters>,
    /// Why something could not be told; empty if all could.
    pub trouble: String,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Space {
    /// Its size.
    pub total: u64,
    /// For programs of this account.
    pub free: u64,
    /// For the administrator.
    pub unused: u64,
}

/// What a disk has done since the counters were turned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct DiskCounters {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Time of all reads, in units of 100 ns.
    pub read_time: u64,
    /// Time of all writes, in units of 100 ns.
    pub write_time: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Waiting now.
    pub queue: u64,
}

/// A network interface. The name that a person can give it is never asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default))]
pub struct Card {
    /// Its type as assigned by IANA: 6 is Ethernet, 71 wireless.
    pub kind: u32,
    /// Its number among those of its type, which stays.
    pub number: u32,
    /// By which other parts of the system know it.
    pub guid: String,
    /// Its number among all, which may change.
    pub index: u32,
    /// It is hardware.
    pub hardware: bool,
    /// It is a filter's or driver's view of another, and would be counted twice.
    pub filter: bool,
    /// It can carry traffic now.
    pub up: bool,
    /// In bit/s; all ones if it does not know.
    pub speed: u64,
    /// What its vendor calls it.
    pub description: String,
    /// The address that is burnt in, `8c:04:ba:01:02:03`.
    pub address: String,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Received with errors.
    pub errors_in: u64,
    /// Not sent for errors.
    pub errors_out: u64,
    /// Received and dropped.
    pub drops_in: u64,
    /// Dropped instead of sent.
    pub drops_out: u64,
}

/// A property that is a text with something in it.
pub(super) fn text(row: &Row, property: &str) -> Option<String> {
    let text = row.get(property)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A property that is a number and not negative. Numbers of 64 bits come as text.
pub(super) fn number(row: &Row, property: &str) -> Option<u64> {
    match row.get(property)? {
        Value::Number(number) => number.as_u64(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// A property that is true or false.
pub(super) fn flag(row: &Row, property: &str) -> Option<bool> {
    row.get(property)?.as_bool()
}

/// A wireless card. What is not told, or of a link that is not there, is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default))]
pub struct Radio {
    /// As that of its network interface.
    pub guid: String,
    /// Strength of the signal.
    pub level_dbm: Option<i32>,
    /// The same, from 0 to 100, where the driver does not tell it otherwise.
    pub quality_percent: Option<u32>,
    /// Number of the channel.
    pub channel: Option<u32>,
    /// Speed of receiving.
    pub receives_kbit: Option<u32>,
    /// Speed of sending.
    pub sends_kbit: Option<u32>,
}

/// What Windows Update knows of itself. Times in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Updates {
    /// What is not installed.
    pub waiting: Vec<Waiting>,
    /// When something was last installed.
    pub last_install_ms: Option<i64>,
}

/// An update that is not installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Waiting {
    /// It closes a hole.
    pub security: bool,
    /// When it came out.
    pub since_ms: Option<i64>,
}

/// A time as OLE writes it, in days since the end of 1899, in milliseconds since 1970; none before that.
#[expect(clippy::cast_possible_truncation, reason = "days of this millennium, in milliseconds, are far below 52 bits")]
pub(super) fn ole_to_unix_ms(days: f64) -> Option<i64> {
    /// 1970-01-01 in days since 1899-12-30.
    const UNIX: f64 = 25_569.0;
    const MS_PER_DAY: f64 = 86_400_000.0;
    (days.is_finite() && (UNIX..1_000_000.0).contains(&days)).then(|| ((days - UNIX) * MS_PER_DAY).round() as i64)
}

/// A value of the registry as text.
pub(super) fn word(facts: &dyn Facts, key: &str, name: &str) -> Option<String> {
    match facts.registry(key, name)? {
        Value::String(word) => Some(word.trim().to_owned()).filter(|word| !word.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_ole_are_understood() {
        assert_eq!(ole_to_unix_ms(46_082.5), Some(1_772_366_400_000));
        assert_eq!(ole_to_unix_ms(25_569.0), Some(0));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(ole_to_unix_ms(odd), None);
        }
    }
}
