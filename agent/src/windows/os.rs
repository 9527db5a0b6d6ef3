//! What runs on the machine: Windows and the firmware, by name, version and date, out of the registry.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, word};
use crate::hardware::meaningful;
use crate::reading::{Problem, ProblemKind, Reading, sample};

const VERSION_KEY: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const FIRMWARE_KEY: &str = r"HARDWARE\DESCRIPTION\System\BIOS";

/// The first build that is called Windows 11; the registry goes on calling it 10.
const FIRST_BUILD_OF_11: u64 = 22_000;

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let mut reading = Reading::default();
    for part in [os, firmware] {
        match part(facts, time) {
            Ok(samples) => reading.samples.extend(samples),
            Err(problem) => reading.problems.push(problem),
        }
    }
    reading
}

fn os(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let value = |name| word(facts, VERSION_KEY, name);
    let build = value("CurrentBuildNumber")
        .ok_or_else(|| Problem::new(ProblemKind::Failed, "the registry does not tell the version"))?;
    let name = value("ProductName").unwrap_or_else(|| "Windows".to_owned());
    let name = match build.parse::<u64>() {
        Ok(number) if number >= FIRST_BUILD_OF_11 => name.replacen("Windows 10", "Windows 11", 1),
        _ => name,
    };
    let revision = value("UBR").map_or_else(|| build.clone(), |revision| format!("{build}.{revision}"));
    let mut fields = vec![
        ("build", Value::Text(revision)),
        ("kernel", Value::Text(format!("10.0.{build}"))),
        ("name", Value::Text(name)),
    ];
    let version = value("DisplayVersion").or_else(|| value("ReleaseId"));
    fields.extend(version.map(|version| ("version", Value::Text(version))));
    Ok(vec![sample("os", Vec::new(), time, fields)])
}

fn firmware(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let mut fields = Vec::new();
    fields.extend(
        word(facts, FIRMWARE_KEY, "BIOSReleaseDate").and_then(meaningful).map(|date| ("date", Value::Text(iso(&date)))),
    );
    fields.extend(
        word(facts, FIRMWARE_KEY, "BIOSVersion").and_then(meaningful).map(|version| ("version", Value::Text(version))),
    );
    if fields.is_empty() {
        return Err(Problem::new(ProblemKind::NothingHere, "the firmware does not tell its version"));
    }
    Ok(vec![sample("firmware", Vec::new(), time, fields)])
}

/// SMBIOS has month, day and year with slashes; anything else stays as it is.
fn iso(date: &str) -> String {
    let parts: Vec<u32> = date.split('/').map_while(|part| part.parse().ok()).collect();
    match parts[..] {
        [month @ 1..=12, day @ 1..=31, year @ 1980..=2100] => format!("{year:04}-{month:02}-{day:02}"),
        _ => date.to_owned(),
    }
}
