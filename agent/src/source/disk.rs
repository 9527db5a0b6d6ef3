//! How full the fixed file systems are, as Telegraf.
//!
//! Only real ones on fixed disks: memory, overlay, network and removable file systems are not looked at, and what is
//! mounted for a user not even counted. A path may hold a person's name ("/mnt/jane-backup"), so it is sent only if it
//! is a well-known one or an admin vouches for it; otherwise the file system goes by its device. Labels are never read.
//!
//! A dying disk can hang whoever asks it. A thread of its own asks, with a limit on the wait; a file system that
//! does not answer is left alone until it does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use self::asker::{Answer, Asker, Space};
use self::mounts::Mount;
use super::{Entry, Pace, Source};
use crate::config::Config;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

mod asker;
pub(super) mod mounts;

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "disk",
    measurements: MEASUREMENTS,
    pace: Pace::Round,
    make: |host, config| Box::new(Disk::new(host.clone(), config, asker::statvfs)),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "disk",
    tags: &["device", "fstype", "mode", "path"],
    fields: &[
        Field { name: "free", kind: FieldKind::Integer, unit: "bytes", description: "Free for programs." },
        Field { name: "inodes_free", kind: FieldKind::Integer, unit: "", description: "Files that can be made." },
        Field { name: "inodes_total", kind: FieldKind::Integer, unit: "", description: "Files that can be." },
        Field { name: "inodes_used", kind: FieldKind::Integer, unit: "", description: "Files that are." },
        Field {
            name: "inodes_used_percent",
            kind: FieldKind::Float,
            unit: "percent",
            description: "Files that are, of those that can be.",
        },
        Field { name: "total", kind: FieldKind::Integer, unit: "bytes", description: "Size." },
        Field { name: "used", kind: FieldKind::Integer, unit: "bytes", description: "Used." },
        Field {
            name: "used_percent",
            kind: FieldKind::Float,
            unit: "percent",
            description: "Used, of what is used or free for programs.",
        },
    ],
    privacy: Privacy::Health,
    description: "How full each fixed file system is.",
}];

/// More than any machine of a school has.
const MAX_FILE_SYSTEMS: usize = 64;

/// Reads `/proc/self/mountinfo`, `/sys/dev/block`, and asks each file system.
pub struct Disk {
    host: Host,
    vouched: Vec<String>,
    asker: Asker,
}

impl Disk {
    fn new(host: Host, config: &Config, ask: fn(&std::path::Path) -> std::io::Result<Space>) -> Self {
        Self { host, vouched: config.mounts.clone(), asker: Asker::new(ask) }
    }

    /// The fixed file systems, each once: a bind mount is the same file system again.
    fn fixed(&self, text: &str) -> Vec<Mount> {
        let mut by_device: BTreeMap<String, Mount> = BTreeMap::new();
        for mount in text.lines().filter_map(mounts::parse).filter(|mount| mount.is_fixed(&self.host)) {
            match by_device.get_mut(&mount.number) {
                Some(known) if self.rank(&mount) < self.rank(known) => *known = mount,
                Some(_) => {}
                None => {
                    by_device.insert(mount.number.clone(), mount);
                }
            }
        }
        by_device.into_values().take(MAX_FILE_SYSTEMS).collect()
    }

    /// Of several paths of one file system the one that may be told, then the shortest.
    fn rank(&self, mount: &Mount) -> (bool, usize) {
        (!self.may_tell(&mount.path), mount.path.len())
    }

    fn may_tell(&self, path: &str) -> bool {
        mounts::is_well_known(path) || self.vouched.iter().any(|vouched| vouched == path)
    }

    fn sample(&self, mount: &Mount, space: &Space, time: Timestamp) -> Option<Sample> {
        let device = mount.device(&self.host);
        let path = if self.may_tell(&mount.path) { mount.path.clone() } else { device.clone() };
        let mode = if mount.read_only { "ro" } else { "rw" };
        let tags = vec![("device", device), ("fstype", mount.kind.clone()), ("mode", mode.to_owned()), ("path", path)];
        (space.total > 0).then(|| sample("disk", tags, time, fields(space)))
    }
}

impl Source for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mounts = match self.host.read("proc/self/mountinfo") {
            Ok(text) => self.fixed(&text),
            Err(problem) => return Reading::problem(problem),
        };
        if mounts.is_empty() {
            return Reading::problem(Problem::new(ProblemKind::NothingHere, "no fixed file system is mounted"));
        }
        let paths: Vec<PathBuf> = mounts.iter().map(|mount| PathBuf::from(&mount.path)).collect();
        let mut reading = Reading::default();
        for (mount, answer) in mounts.iter().zip(self.asker.ask(paths)) {
            match answer {
                Answer::Space(space) => reading.samples.extend(self.sample(mount, &space, time)),
                Answer::Error(error) => reading.problems.push(Problem::from_io(&mount.path, &error)),
                Answer::Silence => {
                    let text = format!("{}: the file system does not answer", mount.path);
                    reading.problems.push(Problem::new(ProblemKind::Failed, text));
                }
            }
        }
        reading
    }
}

fn fields(space: &Space) -> Vec<(&'static str, Value)> {
    let used = space.total.saturating_sub(space.unused);
    let mut fields = vec![
        ("free", integer(space.free)),
        ("total", integer(space.total)),
        ("used", integer(used)),
        ("used_percent", percent(share(used, used.saturating_add(space.free)))),
    ];
    // File systems such as btrfs and vfat have no fixed number of files: nothing to tell, rather than "0 of 0".
    if space.inodes_total > 0 {
        let used = space.inodes_total.saturating_sub(space.inodes_free);
        fields.extend([
            ("inodes_free", integer(space.inodes_free)),
            ("inodes_total", integer(space.inodes_total)),
            ("inodes_used", integer(used)),
            ("inodes_used_percent", percent(share(used, space.inodes_total))),
        ]);
    }
    crate::reading::by_name(&mut fields);
    fields
}

#[cfg(test)]
mod tests;
