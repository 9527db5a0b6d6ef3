//! How full the fixed volumes are. A volume goes by its letter; its label is never read.

use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Volume};
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

/// Buses of disks that a person carries away: IEEE 1394, USB, SD cards. eMMC (13) is soldered in.
/// <https://learn.microsoft.com/en-us/windows/win32/api/winioctl/ne-winioctl-storage_bus_type>
const CARRIED: &[i32] = &[4, 7, 12];

/// Buses of what only looks like a disk: a mounted image (15), and disks that are other machines' (iSCSI is 9).
const ELSEWHERE: &[i32] = &[9, 15];

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let volumes = match fixed(facts) {
        Ok(volumes) => volumes,
        Err(problem) => return Reading::problem(problem),
    };
    let mut reading = Reading::default();
    for volume in volumes {
        let name = format!("{}:", volume.letter);
        if !volume.trouble.is_empty() {
            let text = format!("{name} {}", volume.trouble);
            reading.problems.push(Problem::new(ProblemKind::Failed, text));
        }
        let Some(space) = volume.space.filter(|space| space.total > 0) else { continue };
        let used = space.total.saturating_sub(space.unused);
        let mode = if volume.read_only { "ro" } else { "rw" };
        let tags = vec![
            ("device", name.clone()),
            ("fstype", volume.file_system.clone()),
            ("mode", mode.to_owned()),
            ("path", name),
        ];
        let fields = vec![
            ("free", integer(space.free)),
            ("total", integer(space.total)),
            ("used", integer(used)),
            ("used_percent", percent(share(used, used.saturating_add(space.free)))),
        ];
        reading.samples.push(sample("disk", tags, time, fields));
    }
    reading
}

/// The volumes on disks that belong to the machine.
pub(super) fn fixed(facts: &dyn Facts) -> Result<Vec<Volume>, Problem> {
    let mut volumes = facts.volumes()?;
    volumes.retain(|volume| {
        volume.fixed && volume.bus.is_none_or(|bus| !CARRIED.contains(&bus) && !ELSEWHERE.contains(&bus))
    });
    if volumes.is_empty() {
        return Err(Problem::new(ProblemKind::NothingHere, "there is no fixed volume"));
    }
    Ok(volumes)
}
