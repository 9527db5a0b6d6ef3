//! What protects the machine: antivirus, and encryption of its disks.
//!
//! Only what can be told for certain is said: on Linux there is no common place where antivirus reports, so of most
//! products only that they are there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::disk::mounts::{self, Mount};
use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "protection",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(3_600)),
    make: |host, _| Box::new(Protection { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "antivirus",
        tags: &["product"],
        fields: &[
            Field {
                name: "definitions_age_days",
                kind: FieldKind::Integer,
                unit: "d",
                description: "Since what it looks for was last renewed.",
            },
            Field {
                name: "on",
                kind: FieldKind::Boolean,
                unit: "",
                description: "Whether it watches; not there if it does not tell.",
            },
            Field { name: "present", kind: FieldKind::Boolean, unit: "", description: "Whether it is installed." },
        ],
        privacy: Privacy::Health,
        description: "Each antivirus product of the machine.",
    },
    Measurement {
        name: "encryption",
        tags: &["device"],
        fields: &[
            Field { name: "method", kind: FieldKind::Text, unit: "", description: "By what: luks1, luks2, dm-crypt." },
            Field {
                name: "on",
                kind: FieldKind::Boolean,
                unit: "",
                description: "Whether the whole of it is encrypted.",
            },
        ],
        privacy: Privacy::Health,
        description: "Whether each fixed file system lies on an encrypted disk.",
    },
];

/// Products that are known by a folder of theirs and tell nothing more.
const FOLDERS: &[(&str, &str)] = &[
    ("CrowdStrike Falcon", "opt/CrowdStrike"),
    ("ESET", "opt/eset"),
    ("Microsoft Defender", "opt/microsoft/mdatp"),
    ("SentinelOne", "opt/sentinelone"),
    ("Sophos", "opt/sophos-spl"),
    ("Trellix", "opt/McAfee"),
];

/// File systems that encrypt by themselves, if at all: what lies under them says nothing.
const OWN_ENCRYPTION: &[&str] = &["zfs", "bcachefs"];

/// Device upon device upon device: LVM on LUKS on RAID on partitions.
const MAX_DEPTH: usize = 8;

/// Fixed file systems that are looked at.
const MAX_MOUNTS: usize = 64;

/// Reads folders of products, ClamAV's definitions, and `/sys/dev/block`.
pub struct Protection {
    host: Host,
}

impl Source for Protection {
    fn name(&self) -> &'static str {
        "protection"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        if !cfg!(target_os = "linux") {
            return Reading::problem(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone"));
        }
        let mut reading = Reading::default();
        reading.samples.extend(self.clamav(time));
        let there = FOLDERS.iter().filter(|(_, folder)| self.host.path(folder).exists());
        reading.samples.extend(there.map(|(product, _)| {
            sample("antivirus", vec![("product", (*product).to_owned())], time, vec![("present", Value::Boolean(true))])
        }));
        if reading.samples.is_empty() {
            let text = "no antivirus that this version knows is installed";
            reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
        }
        match self.host.read("proc/self/mountinfo") {
            Ok(text) => self.encryption(&text, time, &mut reading),
            Err(problem) => reading.problems.push(problem),
        }
        reading
    }
}

impl Protection {
    fn clamav(&self, time: Timestamp) -> Option<Sample> {
        let places = ["usr/sbin/clamd", "usr/bin/clamscan", "usr/bin/clamdscan"];
        if !places.iter().any(|path| self.host.path(path).exists()) {
            return None;
        }
        let made = ["daily.cld", "daily.cvd"].iter().filter_map(|file| self.made_at(file)).max();
        let mut fields = Vec::new();
        fields.extend(made.map(|made| ("definitions_age_days", Value::Integer(days_since(made, time)))));
        let pids = ["run/clamav/clamd.pid", "run/clamd.scan/clamd.pid", "var/run/clamav/clamd.pid"];
        let is_clamd = |pid: String| self.host.word(&format!("proc/{pid}/comm")).as_deref() == Some("clamd");
        let told = pids.iter().filter_map(|path| self.host.word(path)).any(is_clamd);
        // Debian's service writes no file of its number, and a socket that systemd keeps says nothing.
        fields.push(("on", Value::Boolean(told || self.runs("clamd"))));
        fields.push(("present", Value::Boolean(true)));
        Some(sample("antivirus", vec![("product", "ClamAV".to_owned())], time, fields))
    }

    /// Whether a program of this name runs.
    fn runs(&self, name: &str) -> bool {
        let Ok(entries) = fs::read_dir(self.host.path("proc")) else { return false };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut pids = pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()));
        pids.any(|pid| self.host.word(&format!("proc/{pid}/comm")).as_deref() == Some(name))
    }

    /// When a file of definitions was made, in seconds since 1970: it begins with one line of 512 bytes,
    /// `ClamAV-VDB:07 Nov 2026 04-05 -0500:27813:2067891:90:digest:signature:builder:1794042300`.
    fn made_at(&self, file: &str) -> Option<i64> {
        let mut head = String::new();
        let file = File::open(self.host.path(&format!("var/lib/clamav/{file}"))).ok()?;
        file.take(512).read_to_string(&mut head).ok()?;
        head.starts_with("ClamAV-VDB:").then(|| head.trim_end().rsplit(':').next()?.trim().parse().ok()).flatten()
    }

    fn encryption(&self, mountinfo: &str, time: Timestamp, reading: &mut Reading) {
        let fixed = mountinfo.lines().filter_map(mounts::parse).filter(|mount| mount.is_fixed(&self.host));
        // What starts the machine can't be encrypted and holds nothing of anybody.
        let holds_data = |mount: &Mount| !mount.path.starts_with("/boot") && !mount.path.starts_with("/efi");
        let mut seen = BTreeSet::new();
        for mount in fixed.filter(holds_data).filter(|mount| !OWN_ENCRYPTION.contains(&mount.kind.as_str())) {
            let device = mount.device(&self.host);
            if seen.len() >= MAX_MOUNTS || !seen.insert(device.clone()) {
                continue;
            }
            // Not to see what it lies on is not to know: in a container, say.
            let Some(folder) = mount.block(&self.host) else {
                let text = format!("{device}: the kernel does not show on what the file system lies");
                reading.problems.push(Problem::new(ProblemKind::Unsupported, text));
                continue;
            };
            let method = self.method(&folder, MAX_DEPTH);
            let on = Value::Boolean(method.is_some());
            let mut fields: Vec<_> = method.map(|method| ("method", Value::Text(method))).into_iter().collect();
            fields.push(("on", on));
            reading.samples.push(sample("encryption", vec![("device", device)], time, fields));
        }
    }

    /// By what a block device, or one of those it lies on, is encrypted.
    fn method(&self, folder: &str, depth: usize) -> Option<String> {
        if depth == 0 {
            return None;
        }
        let uuid = self.host.word(&format!("{folder}/dm/uuid")).unwrap_or_default();
        if let Some(kind) = uuid.strip_prefix("CRYPT-") {
            let kind = kind.split('-').next().unwrap_or_default().to_lowercase();
            return Some(if kind.starts_with("luks") { kind } else { "dm-crypt".to_owned() });
        }
        let below = fs::read_dir(self.host.path(&format!("{folder}/slaves"))).ok()?;
        let names = below.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // All of what it lies on must be.
        let methods: Option<Vec<String>> =
            names.map(|name| self.method(&format!("{folder}/slaves/{name}"), depth - 1)).collect();
        methods?.into_iter().next()
    }
}

fn days_since(at: i64, now: Timestamp) -> i64 {
    ((now.0 / 1_000).saturating_sub(at) / 86_400).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_as_old_as_their_maker_says_whenever_they_were_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/bin/clamscan", "");
        write(
            "var/lib/clamav/daily.cvd",
            "ClamAV-VDB:07 Nov 2026 04-05 -0500:27813:2067891:90:d:s:raynman:1794042300  ",
        );
        let protection = Protection { host: Host::at(folder.path()) };
        let row = protection.clamav(Timestamp((1_794_042_300 + 9 * 86_400) * 1_000)).unwrap();
        assert_eq!(row.fields[0], ("definitions_age_days".into(), Value::Integer(9)));
        assert_eq!(row.fields[1], ("on".into(), Value::Boolean(false)));
        write("proc/77/comm", "clamd\n");
        assert_eq!(protection.clamav(Timestamp(0)).unwrap().fields[1], ("on".into(), Value::Boolean(true)));
        write("var/lib/clamav/daily.cvd", "not a database");
        assert_eq!(protection.clamav(Timestamp(0)).unwrap().fields.len(), 2);
    }
}
