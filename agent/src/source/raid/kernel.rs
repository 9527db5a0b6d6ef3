//! Arrays that the kernel keeps or shows: md, LVM's (which are the device mapper's), and those of SAS adapters.

use super::{Array, Found, LIMIT, State, names};
use crate::host::Host;
use crate::reading::{ProblemKind, share};

/// `/sys/block/md*/md` (the kernel's Documentation/admin-guide/md.rst).
pub(super) fn md(host: &Host) -> Found {
    let arrays = names(host, "sys/block").into_iter().filter(|name| name.starts_with("md"));
    Found { arrays: arrays.filter_map(|name| md_array(host, &name)).collect(), problems: Vec::new() }
}

fn md_array(host: &Host, name: &str) -> Option<Array> {
    let word = |file: &str| host.word(&format!("sys/block/{name}/md/{file}"));
    let number = |file: &str| word(file)?.parse::<u64>().ok();
    let level = word("level").filter(|level| level != "container" && level != "none")?;
    let activity = word("array_state").unwrap_or_default();
    if matches!(activity.as_str(), "clear" | "inactive") && number("raid_disks").unwrap_or(0) == 0 {
        return None;
    }
    let members = members(host, name);
    let devices = number("raid_disks");
    let redundant = !matches!(level.as_str(), "raid0" | "linear");
    let degraded = number("degraded").or((!redundant).then_some(0));
    let action = word("sync_action").unwrap_or_default();
    let state = match (activity.as_str(), action.as_str()) {
        ("inactive" | "broken", _) => State::Failed,
        (_, "recover" | "resync" | "reshape") => State::Rebuilding,
        _ if degraded.is_some_and(|missing| missing > 0) => State::Degraded,
        (_, "check" | "repair") => State::Checking,
        ("", _) => State::Unknown,
        _ => State::Ok,
    };
    // An array that can lose no member and has lost one is lost.
    let state = if !redundant && members.failed > 0 { State::Failed } else { state };
    Some(Array {
        name: name.to_owned(),
        level,
        state,
        devices,
        active: Some(members.active),
        failed: Some(members.failed),
        spare: Some(members.spare),
        degraded: if state == State::Failed { degraded.map(|missing| missing.max(1)) } else { degraded },
        errors: None,
        sync_percent: word("sync_completed").and_then(|text| fraction(&text)),
    })
}

#[derive(Default)]
struct Members {
    active: u64,
    failed: u64,
    spare: u64,
}

fn members(host: &Host, array: &str) -> Members {
    let mut members = Members::default();
    for name in names(host, &format!("sys/block/{array}/md")) {
        if !name.starts_with("dev-") {
            continue;
        }
        let state = host.word(&format!("sys/block/{array}/md/{name}/state")).unwrap_or_default();
        let is = |word: &str| state.split(',').any(|found| found == word);
        if is("faulty") {
            members.failed += 1;
        } else if is("in_sync") {
            members.active += 1;
        } else {
            members.spare += 1;
        }
    }
    members
}

/// `1234 / 5678` in percent; `none` is nothing.
fn fraction(text: &str) -> Option<f64> {
    let (done, whole) = text.split_once('/')?;
    let (done, whole) = (done.trim().parse().ok()?, whole.trim().parse().ok()?);
    (whole > 0 && done <= whole).then(|| share(done, whole))
}

/// `/sys/class/raid_devices`: what mpt2sas and mpt3sas show of their adapters' volumes.
pub(super) fn raid_class(host: &Host) -> Found {
    let folder = "sys/class/raid_devices";
    let array = |(number, name): (usize, &String)| {
        let word = |file: &str| host.word(&format!("{folder}/{name}/{file}"));
        let state = match word("state")?.as_str() {
            "active" => State::Ok,
            "degraded" => State::Degraded,
            "resyncing" => State::Rebuilding,
            "offline" => State::Failed,
            _ => State::Unknown,
        };
        let level = word("level").unwrap_or_default();
        let mut array = Array::of_state(format!("sas-{}", number + 1), &level, state);
        array.sync_percent = word("resync").and_then(|text| text.parse().ok()).filter(|_| state == State::Rebuilding);
        Some(array)
    };
    let names = names(host, folder);
    Found { arrays: names.iter().enumerate().filter_map(array).collect(), problems: Vec::new() }
}

/// LVM's arrays: `dmsetup status --target raid`, which only root may ask.
pub(super) fn lvm(host: &Host) -> Found {
    let uuid = |name: &String| host.word(&format!("sys/block/{name}/dm/uuid")).unwrap_or_default();
    // The parts of an array are volumes of their own: `LVM-...-rimage_0`.
    let has_parts = |uuid: String| uuid.starts_with("LVM-") && uuid.contains("-rimage");
    let blocks = names(host, "sys/block");
    let is_part = |name: &String| {
        let of_dm = host.word(&format!("sys/block/{name}/dm/name")).unwrap_or_default();
        of_dm.contains("_rimage_") || has_parts(uuid(name))
    };
    if !blocks.iter().filter(|name| name.starts_with("dm-")).any(is_part) {
        return Found::default();
    }
    match host.run("dmsetup", &["status", "--target", "raid"], LIMIT) {
        Ok(said) if said.status == Some(0) => Found { arrays: dm_arrays(&said.text), problems: Vec::new() },
        Ok(_) => Found::problem(ProblemKind::NoPermission, "LVM has a RAID, and only root may ask how it is"),
        Err(problem) => Found { arrays: Vec::new(), problems: vec![problem] },
    }
}

/// Lines such as `vg-root: 0 2097152 raid raid1 2 AA 2097152/2097152 idle 0 0 -`
/// (the kernel's Documentation/admin-guide/device-mapper/dm-raid.rst).
pub(super) fn dm_arrays(text: &str) -> Vec<Array> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let arrays = lines.into_iter().filter_map(dm_array).enumerate();
    arrays.map(|(number, array)| Array { name: format!("lvm-{}", number + 1), ..array }).collect()
}

fn dm_array(line: &str) -> Option<Array> {
    let mut words = line.rsplit_once(": ")?.1.split_ascii_whitespace().skip_while(|word| *word != "raid").skip(1);
    let level = words.next()?.to_owned();
    let devices: u64 = words.next()?.parse().ok()?;
    let health = words.next()?;
    let synced = words.next()?;
    let action = words.next().unwrap_or_default();
    let of = |wanted: char| health.chars().filter(|found| *found == wanted).count() as u64;
    let failed = of('D');
    let rebuilding = of('a') > 0 || matches!(action, "recover" | "resync" | "reshape");
    let state = match (failed, rebuilding, action) {
        (_, true, _) => State::Rebuilding,
        (1.., ..) => State::Degraded,
        (_, _, "check" | "repair") => State::Checking,
        _ => State::Ok,
    };
    Some(Array {
        level,
        state,
        devices: Some(devices),
        active: Some(of('A')),
        failed: Some(failed),
        degraded: Some(failed),
        sync_percent: fraction(synced).filter(|_| state == State::Rebuilding),
        ..Array::default()
    })
}
