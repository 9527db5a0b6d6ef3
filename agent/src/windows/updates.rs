//! Updates that wait, and whether a restart does. Windows Update is asked what it knows; it asks nobody.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, word};
use crate::reading::{Problem, Reading, count, sample};

const MS_PER_DAY: i64 = 86_400_000;

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let mut reading = Reading::default();
    for part in [reboot, updates] {
        match part(facts, time) {
            Ok(samples) => reading.samples.extend(samples),
            Err(problem) => reading.problems.push(problem),
        }
    }
    reading
}

/// There is no one flag; each of these is set by a part of the system that waits for a restart.
const REBOOT_KEYS: &[(&str, &str)] = &[
    ("servicing", r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"),
    ("servicing", r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress"),
    ("updates", r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"),
    ("updates", r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\PostRebootReporting"),
];

fn reboot(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    const NAMES: &str = r"SYSTEM\CurrentControlSet\Control\ComputerName";
    let mut reasons: Vec<&str> =
        REBOOT_KEYS.iter().filter(|(_, key)| facts.has_key(key)).map(|(reason, _)| *reason).collect();
    let name = |which: &str| word(facts, &format!(r"{NAMES}\{which}"), "ComputerName");
    if name("ActiveComputerName").zip(name("ComputerName")).is_some_and(|(active, next)| active != next) {
        reasons.push("renamed");
    }
    reasons.sort_unstable();
    reasons.dedup();
    let fields = vec![("pending", Value::Boolean(!reasons.is_empty())), ("reasons", Value::Text(reasons.join(",")))];
    Ok(vec![sample("reboot", Vec::new(), time, fields)])
}

fn updates(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let updates = facts.updates()?;
    let age = |since: Timestamp| time.0.saturating_sub(since.0).max(0) / MS_PER_DAY;
    let oldest = updates.waiting.iter().filter_map(|update| update.since_ms).min();
    let mut fields = vec![
        ("pending", count(updates.waiting.len())),
        ("security", count(updates.waiting.iter().filter(|update| update.security).count())),
    ];
    fields.extend(updates.last_install_ms.map(|at| ("last_install_days", Value::Integer(age(Timestamp(at))))));
    fields.extend(oldest.map(|at| ("oldest_days", Value::Integer(age(Timestamp(at))))));
    crate::reading::by_name(&mut fields);
    Ok(vec![sample("updates", Vec::new(), time, fields)])
}
