//! How the disks are, by what Windows itself asks them, where smartctl is not installed.
//!
//! | class | what |
//! | --- | --- |
//! | `MSFT_PhysicalDisk` (`ROOT\Microsoft\Windows\Storage`) | model, serial number, size, the system's verdict |
//! | `MSFT_StorageReliabilityCounter` (beside it) | wear, hours, temperature, errors; NVMe's health log among it |
//! | `MSStorageDriver_FailurePredictStatus` (`ROOT\WMI`) | the disk's own verdict |
//! | `MSStorageDriver_FailurePredictData` (beside it) | the attributes of an ATA disk, as it wrote them |
//!
//! The first two name a disk by its number, the others by its place on the bus; `Win32_DiskDrive` knows both. All but
//! the first are told to administrators alone. smartctl knows more, and is preferred where it is.

use std::collections::BTreeMap;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Row, flag, number, text};
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};
use crate::source::Source;

/// The source whose place this takes.
pub(super) const NAME: &str = "smart";

const STORAGE: &str = r"ROOT\Microsoft\Windows\Storage";
const DRIVERS: &str = r"ROOT\WMI";

/// The largest server of a school has fewer.
const MAX_DISKS: usize = 64;

/// Disks of people (IEEE 1394, USB, SD) and what only looks like a disk (iSCSI, virtual, file-backed, spaces).
/// <https://learn.microsoft.com/en-us/windows-hardware/drivers/storage/msft-physicaldisk>
const NOT_OURS: &[u64] = &[4, 7, 9, 12, 14, 15, 16];

/// A first reading below freezing or above any disk's limit is none; 0 means that it does not tell.
const TEMPERATURE_C: std::ops::RangeInclusive<u64> = 1..=120;

/// Attributes of ATA disks whose raw value counts what the field says.
const ATA: &[(u8, &str)] = &[
    (5, "reallocated_sectors_count"),
    (10, "spin_retry_count"),
    (12, "power_cycle_count"),
    (184, "end_to_end_error"),
    (187, "uncorrectable_errors"),
    (188, "command_timeout"),
    (196, "realloc_event_count"),
    (197, "pending_sector_count"),
    (198, "uncorrectable_sector_count"),
    (199, "udma_crc_errors"),
];

/// Attributes whose raw value some makers pack several counts into; the lowest 16 bits are the one that is meant.
const PACKED: &[u8] = &[188];

type Fields = BTreeMap<&'static str, Value>;

/// The source that starts smartctl, and what is done where there is none.
pub(super) struct Smart<F> {
    smartctl: Box<dyn Source>,
    facts: F,
}

impl<F> Smart<F> {
    pub(super) fn new(smartctl: Box<dyn Source>, facts: F) -> Self {
        Self { smartctl, facts }
    }
}

impl<F: Facts> Source for Smart<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let told = self.smartctl.read(time);
        if told.samples.is_empty() { read(&self.facts, time) } else { told }
    }
}

fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let disks = match disks(facts) {
        Ok(disks) => disks,
        Err(problem) => return Reading::problem(problem),
    };
    let mut problems = Vec::new();
    let mut rows = |namespace, class, properties| match facts.rows(namespace, class, properties) {
        Ok(rows) => rows,
        // What no driver here offers is nothing wrong.
        Err(problem) if matches!(problem.kind, ProblemKind::NothingHere | ProblemKind::Unsupported) => Vec::new(),
        Err(problem) => {
            problems.push(problem);
            Vec::new()
        }
    };
    let counters = rows(
        STORAGE,
        "MSFT_StorageReliabilityCounter",
        "DeviceId, PowerOnHours, ReadErrorsUncorrected, Temperature, Wear, WriteErrorsUncorrected",
    );
    let places = rows(r"ROOT\CIMV2", "Win32_DiskDrive", "Index, PNPDeviceID");
    let verdicts = rows(DRIVERS, "MSStorageDriver_FailurePredictStatus", "InstanceName, PredictFailure");
    let attributes = rows(DRIVERS, "MSStorageDriver_FailurePredictData", "InstanceName, VendorSpecific");
    let samples = disks.iter().take(MAX_DISKS).filter_map(|disk| {
        let id = text(disk, "DeviceId")?;
        let mut fields = verdict(disk);
        if let Some(row) = counters.iter().find(|row| text(row, "DeviceId").as_ref() == Some(&id)) {
            fields.extend(reliability(row));
        }
        let index: Option<u64> = id.parse().ok();
        if let Some(place) = places.iter().find(|row| index.is_some() && number(row, "Index") == index) {
            let failing = at(&verdicts, place).and_then(|row| flag(row, "PredictFailure"));
            fields.extend(failing.map(|failing| ("failing", Value::Boolean(failing))));
            fields.extend(at(&attributes, place).map(|row| ata(&bytes(row, "VendorSpecific"))).unwrap_or_default());
        }
        let fields: Vec<_> = fields.into_iter().collect();
        (!fields.is_empty()).then(|| sample("smart_device", tags(disk), time, fields))
    });
    let samples = samples.collect();
    Reading { samples, problems }
}

/// The disks that are the machine's own.
pub(super) fn disks(facts: &dyn Facts) -> Result<Vec<Row>, Problem> {
    let properties = "BusType, DeviceId, FriendlyName, HealthStatus, MediaType, SerialNumber, Size";
    let mut disks = facts.rows(STORAGE, "MSFT_PhysicalDisk", properties)?;
    disks.retain(|disk| number(disk, "BusType").is_none_or(|bus| !NOT_OURS.contains(&bus)));
    if disks.is_empty() {
        return Err(Problem::new(ProblemKind::NothingHere, "no disk of this machine tells how it is"));
    }
    Ok(disks)
}

/// What the system calls it.
pub(super) fn name(disk: &Row) -> Option<String> {
    Some(format!("PhysicalDrive{}", text(disk, "DeviceId")?))
}

/// NVMe drivers write it with a full stop at its end.
pub(super) fn serial(disk: &Row) -> Option<String> {
    Some(text(disk, "SerialNumber")?.trim_end_matches('.').to_owned())
}

fn tags(disk: &Row) -> Vec<(&'static str, String)> {
    vec![
        ("capacity", number(disk, "Size").map(|bytes| bytes.to_string()).unwrap_or_default()),
        ("device", name(disk).unwrap_or_default()),
        ("model", text(disk, "FriendlyName").unwrap_or_default()),
        ("serial_no", serial(disk).unwrap_or_default()),
    ]
}

/// 0 is healthy, 1 warning, 2 unhealthy; 5 is unknown.
fn verdict(disk: &Row) -> Fields {
    match number(disk, "HealthStatus") {
        Some(0) => Fields::from([("health_ok", Value::Boolean(true))]),
        Some(1 | 2) => Fields::from([("health_ok", Value::Boolean(false))]),
        _ => Fields::new(),
    }
}

/// What is not known is null, or 0 where that can't be.
fn reliability(row: &Row) -> Fields {
    let mut fields = Fields::new();
    fields.extend(number(row, "PowerOnHours").filter(|hours| *hours > 0).map(|it| ("power_on_hours", integer(it))));
    let celsius = number(row, "Temperature").filter(|celsius| TEMPERATURE_C.contains(celsius));
    fields.extend(celsius.map(|celsius| ("temp_c", integer(celsius))));
    fields.extend(number(row, "Wear").map(|percent| ("percentage_used", integer(percent))));
    let (read, write) = (number(row, "ReadErrorsUncorrected"), number(row, "WriteErrorsUncorrected"));
    if read.is_some() || write.is_some() {
        let errors = read.unwrap_or(0).saturating_add(write.unwrap_or(0));
        fields.insert("uncorrectable_errors", integer(errors));
    }
    fields
}

/// The row whose `InstanceName` is the place on the bus, with `_` and a number at its end.
fn at<'a>(rows: &'a [Row], place: &Row) -> Option<&'a Row> {
    let place = text(place, "PNPDeviceID")?.to_lowercase();
    rows.iter().find(|row| {
        text(row, "InstanceName").is_some_and(|name| {
            let name = name.to_lowercase();
            let number = name.strip_prefix(&place).and_then(|rest| rest.strip_prefix('_'));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        })
    })
}

fn bytes(row: &Row, property: &str) -> Vec<u8> {
    let list = row.get(property).and_then(serde_json::Value::as_array);
    list.into_iter().flatten().map_while(|byte| byte.as_u64()?.try_into().ok()).collect()
}

/// The table as ATA disks write it: two bytes of version, then thirty entries of twelve bytes: id, flags (two), value,
/// worst, raw value (six, the lowest first), one reserved.
fn ata(table: &[u8]) -> Fields {
    let entries = table.get(2..).unwrap_or_default().chunks_exact(12).take(30);
    let told = entries.filter_map(|entry| {
        let (_, field) = ATA.iter().find(|(id, _)| *id == entry[0])?;
        let width = if PACKED.contains(&entry[0]) { 2 } else { 6 };
        let raw = entry[5..5 + width].iter().rev().fold(0_u64, |raw, byte| raw << 8 | u64::from(*byte));
        Some((*field, integer(raw)))
    });
    told.collect()
}
