//! How the disks are: `smartctl --json` (smartmontools 7.0 and later), as Telegraf's `smart_device`.
//!
//! A sleeping disk is not woken, and a disk that hangs whoever asks it is left alone for some readings: neither may
//! make the machine slow. A disk that is seen by two paths is told once. Raw values of the attributes 1 and 7 (read and
//! seek errors) are encoded by the vendors and say nothing to anybody else, so they are not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use self::output::Listed;
use super::{Entry, Pace, Source};
use crate::config::Bad;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, sample};

mod disk;
mod output;

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "smart",
    measurements: MEASUREMENTS,
    // Disks fail over days, and every reading starts a program for each of them.
    pace: Pace::Slow(Duration::from_secs(30 * 60)),
    make: |host, config| Box::new(Smart::new(host.clone(), config.smart.clone())),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "smart_device",
    tags: &["capacity", "device", "device_type", "enabled", "model", "serial_no", "wwn"],
    fields: &[
        number("available_spare", "percent", "Spare blocks left, of those it had when new."),
        number("available_spare_threshold", "percent", "Below this the maker calls the spare used up."),
        flag("command_failed", "The disk did not answer a question, or with a wrong checksum (bit 2)."),
        number("command_timeout", "", "Commands that took too long; of the maker's packed value the lowest count."),
        number("critical_temperature_time", "min", "Time above its critical temperature."),
        number(
            "critical_warning",
            "bits",
            "NVMe: 1 spare, 2 temperature, 4 unreliable, 8 read-only, 16 backup, 32 PMR.",
        ),
        number("end_to_end_error", "", "Errors between its cache and the machine."),
        number("error_log_entries", "", "Entries of its error log. Harmless commands make some, too."),
        flag("errors_logged", "Its error log holds something (bit 6)."),
        number("exit_status", "bits", "What smartctl found, as it says in its manual."),
        flag("failing", "The disk says of itself that it is failing (bit 3)."),
        number("grown_defects", "", "SCSI: sectors that were found bad since it was made."),
        flag("health_ok", "The disk's own verdict on itself."),
        number("media_errors", "", "Data that it could not read back whole."),
        number("media_wearout_indicator", "percent", "Life left, from 100 downwards."),
        number("pending_sector_count", "", "Sectors that it could not read and will exchange if that goes on."),
        number("percent_lifetime_remain", "percent", "Life left, from 100 downwards."),
        number("percentage_used", "percent", "Life used, as its maker reckons; may pass 100."),
        number("power_cycle_count", "", "How often it was switched on."),
        number("power_on_hours", "h", "How long it ran in all."),
        flag("prefail_now", "A value that foretells failure is at its limit (bit 4)."),
        flag("prefail_past", "A value was at its limit some day (bit 5)."),
        number("realloc_event_count", "", "How often it tried to exchange a sector."),
        number("reallocated_sectors_count", "", "Sectors that were exchanged for spare ones."),
        flag("self_test_failed", "A self-test ended with errors (bit 7)."),
        number("spin_retry_count", "", "How often it had to try again to spin up."),
        number("temp_c", "celsius", "How warm it is."),
        number("udma_crc_errors", "", "Errors on the cable: not the disk's fault."),
        number("uncorrectable_errors", "", "Errors that it reported because it could not mend them."),
        number("uncorrectable_sector_count", "", "Sectors that its own check could not read."),
        number("unsafe_shutdowns", "", "How often its power was cut."),
        number("warning_temperature_time", "min", "Time above its warning temperature."),
        number("wear_leveling_count", "percent", "Life left of the cells, from 100 downwards."),
    ],
    privacy: Privacy::Health,
    description: "How each disk is, by its own account.",
}];

const fn number(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

const fn flag(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Boolean, unit: "", description }
}

/// Where smartctl is.
const PROGRAM: &str = "smartctl";

/// Finds disks, also those behind USB bridges and common RAID controllers, and how to ask each.
const SCAN: &[&str] = &["--scan-open", "--json=c"];

/// Disks that are asked; the largest server of a school has fewer.
const MAX_DISKS: usize = 64;

/// How many readings a disk that hung is left alone for: four hours.
const REST_AFTER_HANG: u32 = 8;

/// What an admin may set: `[smart]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmartConfig {
    /// Disks that are never asked, such as `sdb`: some USB bridges hang when they are.
    pub skip: Vec<String>,
    /// How long a disk may take to answer.
    pub timeout: Duration,
}

impl Default for SmartConfig {
    fn default() -> Self {
        Self { skip: Vec::new(), timeout: Duration::from_secs(30) }
    }
}

/// `[smart]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SmartFile {
    skip: Vec<String>,
    timeout_s: u64,
}

impl Default for SmartFile {
    fn default() -> Self {
        Self { skip: Vec::new(), timeout_s: SmartConfig::default().timeout.as_secs() }
    }
}

impl SmartFile {
    pub(crate) fn build(self) -> Result<SmartConfig, Bad> {
        let bad = |key, value: String, expected| Err(Bad { key, value, expected });
        if !(5..=300).contains(&self.timeout_s) {
            return bad("smart.timeout_s", self.timeout_s.to_string(), "5 to 300 seconds");
        }
        if self.skip.len() > MAX_DISKS {
            return bad("smart.skip", format!("{} disks", self.skip.len()), "at most 64 disks");
        }
        if let Some(name) = self.skip.iter().find(|name| name.is_empty() || name.contains('/')) {
            return bad("smart.skip", format!("\"{name}\""), "a disk's name, such as \"sdb\"");
        }
        Ok(SmartConfig { skip: self.skip, timeout: Duration::from_secs(self.timeout_s) })
    }
}

/// Asks smartctl.
pub struct Smart {
    host: Host,
    config: SmartConfig,
    /// Disks that hung, and for how many readings they are still left alone.
    resting: BTreeMap<String, u32>,
}

impl Smart {
    fn new(host: Host, config: SmartConfig) -> Self {
        Self { host, config, resting: BTreeMap::new() }
    }

    /// The disks that there are, or why none are known.
    fn scan(&self) -> Result<Vec<Listed>, Problem> {
        let said = self.host.run(PROGRAM, SCAN, self.config.timeout).map_err(|problem| match problem.kind {
            ProblemKind::NothingHere => {
                Problem::new(ProblemKind::NothingHere, "smartctl is not installed: install smartmontools")
            }
            _ => problem,
        })?;
        let disks = output::scan(&said.text)
            .ok_or_else(|| Problem::new(ProblemKind::Failed, "smartctl --scan-open: its answer is not understood"))?;
        if disks.is_empty() {
            let text =
                "no disk that tells how it is: the disks of a virtual machine don't, and some controllers hide them";
            return Err(Problem::new(ProblemKind::NothingHere, text));
        }
        Ok(disks)
    }

    /// Whether a disk that hung is to be left alone this time.
    fn rests(&mut self, name: &str) -> bool {
        match self.resting.get_mut(name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn ask(&mut self, listed: &Listed, time: Timestamp, reading: &mut Reading, seen: &mut BTreeSet<String>) {
        let name = listed.short_name();
        if self.rests(&name) {
            let text = format!("{name}: did not answer in time and is left alone for a while");
            return reading.problems.push(Problem::new(ProblemKind::Failed, text));
        }
        let arguments = ["--json=c", "-a", "-n", "standby", "-d", &listed.kind, &listed.name];
        let said = match self.host.run(PROGRAM, &arguments, self.config.timeout) {
            Ok(said) => said,
            Err(problem) => {
                if problem.kind == ProblemKind::Failed {
                    self.resting.insert(name.clone(), REST_AFTER_HANG);
                }
                return reading.problems.push(Problem { text: format!("{name}: {}", problem.text), ..problem });
            }
        };
        self.resting.remove(&name);
        let Some(report) = output::report(&said.text) else {
            let text = format!("{name}: smartctl's answer is not understood");
            return reading.problems.push(Problem::new(ProblemKind::Failed, text));
        };
        let told = disk::tell(&report, listed, said.status);
        reading
            .problems
            .extend(told.problems.into_iter().map(|(kind, text)| Problem::new(kind, format!("{name}: {text}"))));
        // The same disk by a second path: multipath, or a controller that shows it twice.
        if !told.fields.is_empty() && told.identity.is_none_or(|identity| seen.insert(identity)) {
            reading.samples.push(sample("smart_device", told.tags, time, told.fields));
        }
    }
}

impl Source for Smart {
    fn name(&self) -> &'static str {
        "smart"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let disks = match self.scan() {
            Ok(disks) => disks,
            Err(problem) => return Reading::problem(problem),
        };
        let names: BTreeSet<String> = disks.iter().map(Listed::short_name).collect();
        self.resting.retain(|name, _| names.contains(name));
        let mut reading = Reading::default();
        if disks.len() > MAX_DISKS {
            let text = format!("{} disks: only the first {MAX_DISKS} are asked", disks.len());
            reading.problems.push(Problem::new(ProblemKind::Failed, text));
        }
        let mut seen = BTreeSet::new();
        for listed in disks.iter().take(MAX_DISKS) {
            if self.config.skip.contains(&listed.base_name()) {
                continue;
            }
            match &listed.open_error {
                Some(error) => reading.problems.push(disk::not_opened(&listed.short_name(), error)),
                None => self.ask(listed, time, &mut reading, &mut seen),
            }
        }
        reading
    }
}

#[cfg(test)]
mod tests;
