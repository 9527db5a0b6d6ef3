//! The sensors that Linux shows below `/sys/class/hwmon`, and names for them that say nothing about anyone.
//!
//! A chip's name is its driver's. A label comes from firmware, a device tree or a driver, and on some boards from
//! whoever built the image: it is told only if each of its words is one that labels of sensors are made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::Host;
use crate::reading::{Problem, ProblemKind};

/// More chips than any machine of a school has; a server has some ten.
const MAX_CHIPS: usize = 64;

/// Files of one chip: the richest have some four hundred.
const MAX_FILES: usize = 1_024;

/// Sensors of one kind on one chip that are told.
const MAX_SENSORS: usize = 128;

/// The longest name of a chip that is told.
const MAX_NAME_BYTES: usize = 32;

/// One sensor of a chip: `temp1` of `coretemp`.
pub struct Sensor {
    /// What it is called: the chip, then its label or number, as Telegraf (`coretemp_core_0`).
    pub name: String,
    /// Whether the name is made of a label: firmware or driver know what it measures.
    pub is_labelled: bool,
    /// Where its files are, to its number: `sys/class/hwmon/hwmon0/temp1`.
    stem: String,
    files: BTreeSet<String>,
}

impl Sensor {
    /// The number in its file of this name, if it has one that can be read.
    #[must_use]
    pub fn number(&self, host: &Host, file: &str) -> Option<i64> {
        // The list of files spares looking for those that are not there.
        self.files.contains(file).then(|| host.word(&format!("{}_{file}", self.stem)))?.as_deref()?.parse().ok()
    }

    /// The reading itself.
    ///
    /// # Errors
    /// The problem to report: the sensor does not answer (that of a wireless card that is off, or of a disk that
    /// sleeps, answers with an error), or not with a number.
    pub fn input(&self, host: &Host) -> Result<i64, Problem> {
        let name = &self.name;
        let text = host.read(&format!("{}_input", self.stem)).map_err(|problem| {
            let kind = if problem.kind == ProblemKind::Failed { ProblemKind::NothingHere } else { problem.kind };
            Problem::new(kind, format!("{name}: no answer, its device may be off"))
        })?;
        let number = text.trim().parse().ok();
        number.ok_or_else(|| Problem::new(ProblemKind::Failed, format!("{name}: what it says is no number")))
    }
}

/// All sensors of a kind (`temp`, `fan`), in the order of chips and numbers, each with a name of its own.
///
/// # Errors
/// The problem to report when there is no such folder.
pub fn sensors(host: &Host, kind: &str) -> Result<Vec<Sensor>, Problem> {
    let mut sensors = Vec::new();
    for chip in host.list("sys/class/hwmon", MAX_CHIPS)? {
        let folder = format!("sys/class/hwmon/{chip}");
        sensors.extend(of_chip(host, &folder, kind));
        // Kernels before 3.15 have the files of some drivers one level deeper.
        sensors.extend(of_chip(host, &format!("{folder}/device"), kind));
    }
    tell_apart(&mut sensors);
    Ok(sensors)
}

fn of_chip(host: &Host, folder: &str, kind: &str) -> Vec<Sensor> {
    let files = host.list(folder, MAX_FILES).unwrap_or_default();
    let mut by_number: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let numbered = file.strip_prefix(kind).and_then(|rest| rest.split_once('_'));
        if let Some((number, what)) = numbered
            && let Ok(number) = number.parse()
        {
            by_number.entry(number).or_default().insert(what.to_owned());
        }
    }
    let chip = host.word(&format!("{folder}/name")).filter(|name| is_of_a_driver(name));
    let chip = chip.map_or_else(|| "chip".to_owned(), |name| plain_name(&name));
    let with_input = by_number.into_iter().filter(|(_, files)| files.contains("input")).take(MAX_SENSORS);
    with_input
        .map(|(number, files)| {
            let stem = format!("{folder}/{kind}{number}");
            let label = files.contains("label").then(|| host.word(&format!("{stem}_label"))).flatten();
            let label = label.and_then(|label| plain_label(&label));
            let is_labelled = label.is_some();
            let name = match label {
                Some(label) => format!("{chip}_{label}"),
                // As Telegraf: the only temperature of a chip goes by the chip's name alone.
                None if number == 1 && kind == "temp" => chip.clone(),
                None => format!("{chip}_{kind}{number}"),
            };
            Sensor { name, is_labelled, stem, files }
        })
        .collect()
}

/// Two disks of one driver have sensors of one name: the second is called `nvme_composite_2`.
fn tell_apart(sensors: &mut [Sensor]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for sensor in sensors {
        let times = seen.entry(sensor.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            sensor.name = format!("{}_{times}", sensor.name);
        }
    }
}

/// Whether a name can be a driver's: it is one word of plain letters.
fn is_of_a_driver(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// A driver's name or a label in small letters; anything but letters and digits becomes `_`.
#[must_use]
pub fn plain_name(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    name.chars().take(MAX_NAME_BYTES).map(plain).collect()
}

/// What words of labels begin with, before their digits. From the drivers of Linux and the boards that they know.
const WORDS: &[&str] = &[
    "agent",
    "ambient",
    "asic",
    "aux",
    "auxtin",
    "battery",
    "board",
    "bottom",
    "box",
    "calibration",
    "case",
    "ccd",
    "cha",
    "chassis",
    "chip",
    "chipset",
    "composite",
    "core",
    "cpu",
    "cpufan",
    "cputin",
    "ddr",
    "dimm",
    "disk",
    "drive",
    "dts",
    "edge",
    "exhaust",
    "ext",
    "external",
    "fan",
    "front",
    "gpu",
    "hdd",
    "hotspot",
    "igpu",
    "inlet",
    "intake",
    "junction",
    "left",
    "loc",
    "local",
    "m",
    "main",
    "master",
    "max",
    "mb",
    "mcp",
    "mem",
    "memory",
    "middle",
    "motherboard",
    "net",
    "opt",
    "other",
    "outlet",
    "package",
    "pch",
    "peci",
    "phy",
    "physical",
    "power",
    "processor",
    "psu",
    "pump",
    "rear",
    "remote",
    "right",
    "sensor",
    "side",
    "sio",
    "smbusmaster",
    "soc",
    "sodimm",
    "ssd",
    "supply",
    "sys",
    "system",
    "systin",
    "tccd",
    "tctl",
    "tdie",
    "temp",
    "temperature",
    "thermal",
    "top",
    "tsi",
    "vcore",
    "video",
    "virtual",
    "vr",
    "vrm",
    "water",
    "wifi",
    "wireless",
    "wwan",
    "x",
    "id",
    "in",
    "out",
    "and",
    "proc",
];

/// A label in lower case with `_` for blanks, if all of its words are known ones.
#[must_use]
pub fn plain_label(label: &str) -> Option<String> {
    let label = plain_name(label.trim());
    let is_known = |word: &str| {
        let stem = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
        // A digit before the word, as in `3vsb`, is of no word that is known: such a label is not told.
        stem.is_empty() || stem.len() == 1 || WORDS.contains(&stem)
    };
    (!label.is_empty() && label.split('_').all(is_known)).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_drivers_are_told_and_labels_of_people_are_not() {
        for (label, name) in [
            ("Package id 0", Some("package_id_0")),
            ("Core 11", Some("core_11")),
            ("Tctl", Some("tctl")),
            ("Tccd1", Some("tccd1")),
            ("Composite", Some("composite")),
            ("PECI Agent 0 Calibration", Some("peci_agent_0_calibration")),
            ("PCH_CHIP_CPU_MAX_TEMP", Some("pch_chip_cpu_max_temp")),
            ("SODIMM", Some("sodimm")),
            ("Processor Fan", Some("processor_fan")),
            ("Jane Doe's fan", None),
            ("okafor", None),
            ("Core of Jane", None),
            ("", None),
            ("Kern 0", None),
        ] {
            assert_eq!(plain_label(label).as_deref(), name, "{label}");
        }
    }

    #[test]
    fn a_name_of_a_driver_is_bounded_and_plain() {
        assert_eq!(plain_name("r8169_0_300:00"), "r8169_0_300_00");
        assert_eq!(plain_name(&"\u{fffd}/..".repeat(100)).len(), MAX_NAME_BYTES);
    }
}
