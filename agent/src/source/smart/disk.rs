//! From smartctl's report on one disk to what is told of it.

use bellwether_logic::sample::Value;

use super::output::{Attribute, Listed, NvmeLog, Report};
use crate::reading::{Problem, ProblemKind, integer};

/// What is told of one disk.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub tags: Vec<(&'static str, String)>,
    pub fields: Vec<(&'static str, Value)>,
    pub problems: Vec<(ProblemKind, String)>,
    /// The same for each path to the disk; none if nothing tells it from another of its model.
    pub identity: Option<String>,
}

/// The bits of smartctl's exit status, as its manual names them.
mod bit {
    /// The command line was not understood.
    pub const COMMAND_LINE: u64 = 1;
    /// It could not be opened, or sleeps.
    pub const OPEN: u64 = 1 << 1;
    /// A command failed, or a checksum was wrong.
    pub const COMMAND: u64 = 1 << 2;
    /// The disk says that it is failing.
    pub const FAILING: u64 = 1 << 3;
    /// A value that foretells failure is at its limit.
    pub const PREFAIL_NOW: u64 = 1 << 4;
    /// A value was at its limit some day.
    pub const PREFAIL_PAST: u64 = 1 << 5;
    /// The error log holds something.
    pub const ERRORS_LOGGED: u64 = 1 << 6;
    /// A self-test ended with errors.
    pub const SELF_TEST: u64 = 1 << 7;
}

/// A disk outside of these is lying: many say 0 when they don't know.
const TEMPERATURES: std::ops::RangeInclusive<i64> = -20..=125;

/// No disk is a hundred years old.
const MAX_HOURS: u64 = 876_000;

/// Counts beyond this are several numbers in one, or nonsense.
const MAX_COUNT: u64 = u32::MAX as u64 - 1;

/// What firmware says when it means nothing.
const NONSENSE: [u64; 2] = [0xFFFF, 0xFFFF_FFFF];

/// Letters of a model or serial number.
const MAX_WORD_BYTES: usize = 64;

/// What smartctl's report tells. `ended` is the exit status that the system saw.
pub(super) fn tell(report: &Report, listed: &Listed, ended: Option<i32>) -> Told {
    let status = report.smartctl.exit_status.or_else(|| ended.and_then(|code| u64::try_from(code).ok()));
    let status = status.unwrap_or(0);
    let mut told = Told { problems: problems(report, status), ..Told::default() };
    if status & (bit::COMMAND_LINE | bit::OPEN) != 0 || !says_anything(report) {
        if told.problems.is_empty() {
            told.problems.push((ProblemKind::Unsupported, "tells nothing of its health".to_owned()));
        }
        return told;
    }
    let serial = report.serial_number.as_deref().and_then(word);
    let wwn = report.wwn.as_ref().map(|wwn| format!("{:x}{:06x}{:09x}", wwn.naa, wwn.oui, wwn.id));
    let model = report.model_name.as_deref().and_then(word).unwrap_or_default();
    told.identity = serial.as_ref().map(|serial| format!("{model} {serial}")).or_else(|| wwn.clone());
    let bytes = report.user_capacity.as_ref().map(|capacity| capacity.bytes).or(report.nvme_total_capacity);
    let enabled = match &report.smart_support {
        Some(support) if support.enabled => "Enabled",
        Some(_) => "Disabled",
        None => "",
    };
    told.tags = vec![
        ("capacity", bytes.map(|bytes| bytes.to_string()).unwrap_or_default()),
        ("device", listed.base_name()),
        ("device_type", listed.kind.clone()),
        ("enabled", enabled.to_owned()),
        ("model", model),
        // Rules tell disks by it, so a disk that keeps its number to itself goes by the next best.
        ("serial_no", serial.or_else(|| wwn.clone()).unwrap_or_else(|| listed.short_name())),
        ("wwn", wwn.unwrap_or_default()),
    ];
    told.fields = fields(report, status);
    told
}

/// The problem of a disk that the scan could not open.
pub(super) fn not_opened(name: &str, error: &str) -> Problem {
    let (kind, text) = why_not_opened(error);
    Problem::new(kind, format!("{name}: {text}"))
}

fn why_not_opened(message: &str) -> (ProblemKind, String) {
    let lower = message.to_lowercase();
    if ["permission denied", "not permitted", "error=5", "access is denied"].iter().any(|words| lower.contains(words)) {
        let text = "the agent may not ask it: run it as root, or as its package sets it up";
        (ProblemKind::NoPermission, text.to_owned())
    } else if ["standby", "sleep", "low power", "low-power"].iter().any(|word| lower.contains(word)) {
        (ProblemKind::NothingHere, "sleeps and was not woken".to_owned())
    } else if ["no such device", "no such file", "no medium"].iter().any(|words| lower.contains(words)) {
        (ProblemKind::NothingHere, "is gone".to_owned())
    } else {
        let short: String = message.chars().take(200).collect();
        (ProblemKind::Failed, format!("could not be opened ({short})"))
    }
}

fn problems(report: &Report, status: u64) -> Vec<(ProblemKind, String)> {
    let mut problems = Vec::new();
    let messages = report.smartctl.messages.iter().flatten();
    let said = messages.map(|message| message.string.as_str()).collect::<Vec<_>>().join("; ");
    if status & bit::COMMAND_LINE != 0 && said.contains("-d option") {
        problems.push((ProblemKind::Unsupported, "smartctl does not know how to ask it (a USB bridge?)".to_owned()));
    } else if status & bit::COMMAND_LINE != 0 {
        let short: String = said.chars().take(200).collect();
        let text = format!("smartctl did not understand the question ({short}): is it older than 7.0?");
        problems.push((ProblemKind::Failed, text));
    } else if status & bit::OPEN != 0 {
        problems.push(why_not_opened(&said));
    }
    if status & bit::COMMAND != 0 {
        let text = "a command failed or a checksum was wrong; some USB bridges and old disks always do that";
        problems.push((ProblemKind::Failed, text.to_owned()));
    }
    problems
}

/// Whether there is a word on its health: a bridge that passes no commands gives its own name and nothing else.
const fn says_anything(report: &Report) -> bool {
    report.smart_status.is_some()
        || report.ata_smart_attributes.is_some()
        || report.nvme_smart_health_information_log.is_some()
        || report.scsi_error_counter_log.is_some()
        || report.scsi_grown_defect_list.is_some()
}

type Fields = Vec<(&'static str, Value)>;

fn fields(report: &Report, status: u64) -> Fields {
    let mut fields = flags(report, status);
    let mut add = |name: &'static str, value: Option<u64>| fields.extend(value.map(|value| (name, integer(value))));
    add("exit_status", Some(status & 0xFF));
    add("power_on_hours", power_on_hours(report));
    add("power_cycle_count", report.power_cycle_count.filter(|count| *count <= MAX_COUNT));
    let endurance = report.endurance_used.as_ref().map(|used| used.current_percent);
    let nvme = report.nvme_smart_health_information_log.as_ref();
    let used = nvme.and_then(|log| log.percentage_used);
    // The log's own field ends at 255.
    let used = used.or(endurance).or(report.scsi_percentage_used_endurance_indicator).filter(|used| *used <= 255);
    add("percentage_used", used);
    let spare = nvme.and_then(|log| log.available_spare);
    let spare = spare.or_else(|| report.spare_available.as_ref().map(|spare| spare.current_percent));
    add("available_spare", spare.filter(|spare| *spare <= 100));
    add("grown_defects", report.scsi_grown_defect_list.filter(|count| *count <= MAX_COUNT));
    add("pending_sector_count", report.scsi_pending_defects.as_ref().map(|pending| pending.count));
    add("uncorrectable_errors", scsi_uncorrected(report));
    fields.extend(nvme.map(nvme_fields).unwrap_or_default());
    fields.extend(report.ata_smart_attributes.as_ref().map(|found| ata_fields(&found.table)).unwrap_or_default());
    fields.extend(temperature(report).map(|celsius| ("temp_c", Value::Integer(celsius))));
    fields.sort_by_key(|(name, _)| *name);
    fields.dedup_by_key(|(name, _)| *name);
    fields
}

fn flags(report: &Report, status: u64) -> Fields {
    let set = |bit: u64| Value::Boolean(status & bit != 0);
    let mut fields = vec![
        ("command_failed", set(bit::COMMAND)),
        ("errors_logged", set(bit::ERRORS_LOGGED)),
        ("failing", set(bit::FAILING)),
        ("prefail_now", set(bit::PREFAIL_NOW)),
        ("prefail_past", set(bit::PREFAIL_PAST)),
        ("self_test_failed", set(bit::SELF_TEST)),
    ];
    fields.extend(report.smart_status.as_ref().map(|status| ("health_ok", Value::Boolean(status.passed))));
    fields
}

fn power_on_hours(report: &Report) -> Option<u64> {
    let told = report.power_on_time.as_ref().map(|time| time.hours);
    let attribute = || {
        let table = &report.ata_smart_attributes.as_ref()?.table;
        table.iter().find(|attribute| attribute.id == 9).and_then(raw_number)
    };
    told.or_else(attribute).filter(|hours| *hours <= MAX_HOURS)
}

fn temperature(report: &Report) -> Option<i64> {
    let told = report.temperature.as_ref().map(|temperature| temperature.current);
    told.filter(|celsius| *celsius != 0 && TEMPERATURES.contains(celsius))
}

fn scsi_uncorrected(report: &Report) -> Option<u64> {
    let log = report.scsi_error_counter_log.as_ref()?;
    let counts =
        [&log.read, &log.write, &log.verify].into_iter().filter_map(|counters| counters.total_uncorrected_errors);
    counts.reduce(u64::saturating_add).filter(|count| *count <= MAX_COUNT)
}

fn nvme_fields(log: &NvmeLog) -> Fields {
    let count = |value: Option<u64>| value.filter(|count| *count <= MAX_COUNT);
    [
        ("available_spare_threshold", log.available_spare_threshold.filter(|percent| *percent <= 100)),
        // One byte, of which six bits have a meaning.
        ("critical_warning", log.critical_warning.filter(|bits| *bits < 0xFF)),
        ("critical_temperature_time", count(log.critical_comp_time)),
        ("error_log_entries", count(log.num_err_log_entries)),
        ("media_errors", count(log.media_errors)),
        ("unsafe_shutdowns", count(log.unsafe_shutdowns)),
        ("warning_temperature_time", count(log.warning_temp_time)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, integer(value?))))
    .collect()
}

/// Attributes whose raw value is a count, by Telegraf's names.
const COUNTS: &[(u16, &str)] = &[
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

/// Attributes whose normalised value is what is left of a solid-state disk's life. Their numbers mean other things on
/// other disks (202 is an address mark error on old Seagates), so the name that smartctl's database gives decides.
const LIFE: &[(&str, &str)] = &[
    ("Media_Wearout_Indicator", "media_wearout_indicator"),
    ("Percent_Lifetime_Remain", "percent_lifetime_remain"),
    ("Wear_Leveling_Count", "wear_leveling_count"),
];

fn ata_fields(table: &[Attribute]) -> Fields {
    let mut fields = Vec::new();
    for attribute in table {
        let counted = COUNTS.iter().find(|(id, _)| *id == attribute.id);
        fields.extend(counted.and_then(|(id, name)| Some((*name, integer(counter(*id, attribute)?)))));
        let life = LIFE.iter().find(|(name, _)| *name == attribute.name);
        fields.extend(life.filter(|_| attribute.value <= 100).map(|(_, name)| (*name, integer(attribute.value))));
    }
    fields
}

/// The count of an attribute; nothing if it is nonsense.
fn counter(id: u16, attribute: &Attribute) -> Option<u64> {
    // Seagate packs three counts of 16 bits into 188, of which the lowest is the number of timeouts.
    let number = if id == 188 { attribute.raw.value? & 0xFFFF } else { raw_number(attribute)? };
    (number <= MAX_COUNT && !NONSENSE.contains(&number)).then_some(number)
}

/// The first number of the raw value as smartctl decodes it: `2111 (12437 0)` is 2111, though the value is
/// 53416508262463.
fn raw_number(attribute: &Attribute) -> Option<u64> {
    let text = attribute.raw.string.as_deref().unwrap_or_default();
    let digits = text.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().ok().or(attribute.raw.value)
}

/// A word of firmware: trimmed, on one line, not too long.
fn word(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|letter| !letter.is_control()).collect();
    let word = clean.trim();
    (!word.is_empty() && word.len() <= MAX_WORD_BYTES).then(|| word.to_owned())
}
