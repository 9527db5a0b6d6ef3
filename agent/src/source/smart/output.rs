//! What smartctl prints with `--json`, as far as it is read.
//!
//! Between versions and disks keys come and go and change their type (a count too large for 64 bits, a null): such a
//! leaf says nothing, and takes nothing else away.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

/// The disks that a scan found; nothing if it is not smartctl's answer.
pub(super) fn scan(text: &str) -> Option<Vec<Listed>> {
    let scan: Scan = serde_json::from_str(text).ok()?;
    scan.smartctl?;
    Some(scan.devices.into_iter().filter(Listed::is_plain).collect())
}

/// The report on one disk; nothing if it is not smartctl's answer.
pub(super) fn report(text: &str) -> Option<Report> {
    serde_json::from_str(text).ok()
}

#[derive(Deserialize)]
struct Scan {
    smartctl: Option<Program>,
    #[serde(default)]
    devices: Vec<Listed>,
}

/// A disk that a scan found.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Listed {
    /// `/dev/sda`; several disks behind a controller share one.
    pub name: String,
    /// How to ask it: `sat`, `nvme`, `megaraid,8`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it can't be opened.
    pub open_error: Option<String>,
}

impl Listed {
    /// `sda`; `bus_0` for `/dev/bus/0`, which is a controller.
    pub(super) fn base_name(&self) -> String {
        self.name.trim_start_matches("/dev/").replace('/', "_")
    }

    /// What tells it from the others of this machine: its name, with the place behind a controller.
    pub(super) fn short_name(&self) -> String {
        let base = self.base_name();
        if self.kind.contains(',') { format!("{base} [{}]", self.kind) } else { base }
    }

    /// Whether name and kind are what they should be: they become arguments.
    fn is_plain(&self) -> bool {
        let plain = |text: &str, extra: &str| {
            text.len() <= 128 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || extra.contains(letter))
        };
        self.name.starts_with("/dev/")
            && plain(&self.name, "/_-.:")
            && plain(&self.kind, ",+/_")
            && !self.kind.is_empty()
    }
}

/// What smartctl says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Program {
    #[serde(deserialize_with = "loose")]
    pub exit_status: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub messages: Option<Vec<Message>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub string: String,
}

/// The report on one disk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub smartctl: Program,
    #[serde(deserialize_with = "loose")]
    pub model_name: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub serial_number: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub wwn: Option<Wwn>,
    #[serde(deserialize_with = "loose")]
    pub user_capacity: Option<Capacity>,
    #[serde(deserialize_with = "loose")]
    pub nvme_total_capacity: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub smart_support: Option<Support>,
    #[serde(deserialize_with = "loose")]
    pub smart_status: Option<Status>,
    #[serde(deserialize_with = "loose")]
    pub temperature: Option<Temperature>,
    #[serde(deserialize_with = "loose")]
    pub power_on_time: Option<PowerOn>,
    #[serde(deserialize_with = "loose")]
    pub power_cycle_count: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub ata_smart_attributes: Option<Attributes>,
    #[serde(deserialize_with = "loose")]
    pub nvme_smart_health_information_log: Option<NvmeLog>,
    #[serde(deserialize_with = "loose")]
    pub scsi_grown_defect_list: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub scsi_error_counter_log: Option<ScsiErrors>,
    #[serde(deserialize_with = "loose")]
    pub scsi_pending_defects: Option<ScsiPending>,
    #[serde(deserialize_with = "loose")]
    pub scsi_percentage_used_endurance_indicator: Option<u64>,
    /// Since smartctl 7.4, for all kinds of disk.
    #[serde(deserialize_with = "loose")]
    pub endurance_used: Option<Current>,
    /// Since smartctl 7.4.
    #[serde(deserialize_with = "loose")]
    pub spare_available: Option<Current>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Wwn {
    pub naa: u64,
    pub oui: u64,
    pub id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Capacity {
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Support {
    pub enabled: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub passed: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Temperature {
    pub current: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct PowerOn {
    pub hours: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Current {
    pub current_percent: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    #[serde(deserialize_with = "loose_list")]
    pub table: Vec<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attribute {
    pub id: u16,
    pub name: String,
    /// From best (mostly 100 or 200) downwards.
    pub value: u64,
    pub raw: Raw,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    #[serde(deserialize_with = "loose")]
    pub value: Option<u64>,
    /// As smartctl decodes it: `2725 (151 234 0)` where the value holds several numbers.
    #[serde(deserialize_with = "loose")]
    pub string: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NvmeLog {
    #[serde(deserialize_with = "loose")]
    pub critical_warning: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub available_spare: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub available_spare_threshold: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub percentage_used: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub media_errors: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub num_err_log_entries: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub unsafe_shutdowns: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub warning_temp_time: Option<u64>,
    #[serde(deserialize_with = "loose")]
    pub critical_comp_time: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScsiErrors {
    pub read: ScsiCounters,
    pub write: ScsiCounters,
    pub verify: ScsiCounters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScsiCounters {
    #[serde(deserialize_with = "loose")]
    pub total_uncorrected_errors: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScsiPending {
    pub count: u64,
}

/// A value of the type that is expected, or something else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Found<T> {
    Expected(T),
    Other(IgnoredAny),
}

impl<T> Found<T> {
    fn expected(self) -> Option<T> {
        match self {
            Self::Expected(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

fn loose<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Found::deserialize(from).map(Found::expected)
}

fn loose_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let found = Vec::<Found<T>>::deserialize(from)?;
    Ok(found.into_iter().filter_map(Found::expected).collect())
}
