//! How large the disk under a folder is, and how much of it is free.

use std::path::Path;

use sysinfo::{DiskRefreshKind, Disks};

/// The size of the disk that holds `folder`, if the system says so.
#[must_use]
pub fn total_bytes(folder: &Path) -> Option<u64> {
    space(folder).map(|(_, total)| total)
}

/// What is free for programs on the disk that holds `folder`, and its size, if the system says so.
#[must_use]
pub fn space(folder: &Path) -> Option<(u64, u64)> {
    let folder = folder.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage()).ok()?;
    let under = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let nearest = under.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    Some((nearest.available_space(), nearest.total_space())).filter(|(_, total)| *total > 0)
}
