//! File systems that keep several disks themselves: btrfs by `/sys`, ZFS by its program.

use super::{Array, Found, LIMIT, State, names};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind};

/// `/sys/fs/btrfs/UUID/devinfo/ID` since Linux 5.14 (errors) and 5.6 (missing).
pub(super) fn btrfs(host: &Host) -> Found {
    let ids = names(host, "sys/fs/btrfs").into_iter().filter(|name| name != "features");
    let arrays: Vec<Array> = ids.filter_map(|id| btrfs_array(host, &id)).collect();
    let numbered = arrays.into_iter().enumerate();
    let arrays = numbered.map(|(number, array)| Array { name: format!("btrfs-{}", number + 1), ..array }).collect();
    Found { arrays, problems: Vec::new() }
}

fn btrfs_array(host: &Host, id: &str) -> Option<Array> {
    let folder = format!("sys/fs/btrfs/{id}");
    let members = names(host, &format!("{folder}/devinfo"));
    if members.len() < 2 {
        return None;
    }
    let missing = |member: &&String| host.word(&format!("{folder}/devinfo/{member}/missing")).as_deref() == Some("1");
    let missing = members.iter().filter(missing).count() as u64;
    let errors = |member: &String| {
        let text = host.read(&format!("{folder}/devinfo/{member}/error_stats")).ok()?;
        let counts = text.lines().filter_map(|line| line.rsplit(' ').next()?.trim().parse::<u64>().ok());
        Some(counts.fold(0, u64::saturating_add))
    };
    let levels = ["raid1c4", "raid1c3", "raid1", "raid10", "raid5", "raid6", "raid0", "dup", "single"];
    let level = levels.iter().find(|level| host.path(&format!("{folder}/allocation/data/{level}")).exists());
    let devices = members.len() as u64;
    Some(Array {
        level: (*level.unwrap_or(&"")).to_owned(),
        state: if missing > 0 { State::Degraded } else { State::Ok },
        devices: Some(devices),
        active: Some(devices - missing),
        failed: Some(missing),
        degraded: Some(missing),
        errors: members.iter().filter_map(errors).reduce(u64::saturating_add),
        ..Array::default()
    })
}

/// `zpool list`, if the kernel has ZFS.
pub(super) fn zfs(host: &Host) -> Found {
    if !host.path("sys/module/zfs").exists() {
        return Found::default();
    }
    match host.run("zpool", &["list", "-H", "-p", "-o", "name,health"], LIMIT) {
        Ok(said) => Found { arrays: zfs_arrays(&said.text), problems: Vec::new() },
        Err(problem) if problem.kind == ProblemKind::NothingHere => {
            let text = "the kernel has ZFS, and its program zpool is not installed";
            Found { arrays: Vec::new(), problems: vec![Problem::new(problem.kind, text)] }
        }
        Err(problem) => Found { arrays: Vec::new(), problems: vec![problem] },
    }
}

/// Lines of a name and a word, with a tab between them.
pub(super) fn zfs_arrays(text: &str) -> Vec<Array> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let words = lines.iter().filter_map(|line| line.rsplit_once('\t'));
    let state = |word: &str| match word.trim() {
        "ONLINE" => State::Ok,
        "DEGRADED" => State::Degraded,
        "FAULTED" | "UNAVAIL" | "SUSPENDED" | "OFFLINE" | "REMOVED" => State::Failed,
        _ => State::Unknown,
    };
    words
        .enumerate()
        .map(|(number, (_, word))| Array::of_state(format!("zfs-{}", number + 1), "zfs", state(word)))
        .collect()
}
