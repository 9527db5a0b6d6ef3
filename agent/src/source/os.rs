//! What runs on the machine: the operating system and the firmware, by name, version and date. It changes with an update.

use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "os",
    measurements: MEASUREMENTS,
    pace: Pace::OnChange { look: Duration::from_secs(15 * 60) },
    make: |host, _| Box::new(Os { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "firmware",
        tags: &[],
        fields: &[
            text("date", "When it was made, as 2024-03-18."),
            text("version", "Its version, as its maker writes it."),
        ],
        privacy: Privacy::Inventory,
        description: "The machine's firmware.",
    },
    Measurement {
        name: "os",
        tags: &[],
        fields: &[
            text("build", "Its build, if it has one."),
            text("kernel", "The kernel that runs."),
            text("name", "Its name, such as Ubuntu."),
            text("version", "Its version, such as 24.04."),
        ],
        privacy: Privacy::Inventory,
        description: "The operating system.",
    },
];

const fn text(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Text, unit: "", description }
}

/// No version that means something is longer.
const MAX_WORD_BYTES: usize = 64;

/// Reads `/etc/os-release`, `/proc/sys/kernel/osrelease` and `/sys/class/dmi/id`.
pub struct Os {
    host: Host,
}

impl Source for Os {
    fn name(&self) -> &'static str {
        "os"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mut reading = Reading::default();
        let release = self.host.read("etc/os-release").or_else(|_| self.host.read("usr/lib/os-release"));
        let release = release.unwrap_or_else(|problem| {
            reading.problems.push(problem);
            String::new()
        });
        let kernel = self.host.word("proc/sys/kernel/osrelease");
        let fields = vec![
            ("build", line(&release, "BUILD_ID")),
            ("kernel", kernel),
            ("name", line(&release, "NAME")),
            ("version", line(&release, "VERSION_ID")),
        ];
        reading.samples.extend(row("os", fields, time));
        let firmware = |file: &str| self.host.word(&format!("sys/class/dmi/id/{file}"));
        let date = firmware("bios_date").and_then(|date| iso(&date));
        let fields = vec![("date", date), ("version", firmware("bios_version"))];
        reading.samples.extend(row("firmware", fields, time));
        if reading.samples.is_empty() && reading.problems.is_empty() {
            reading.problems.push(Problem::new(ProblemKind::NothingHere, "the system does not say what it is"));
        }
        reading
    }
}

fn row(measurement: &'static str, fields: Vec<(&'static str, Option<String>)>, time: Timestamp) -> Option<Sample> {
    let plain = |text: String| {
        let word = text.trim().to_owned();
        (!word.is_empty() && word.len() <= MAX_WORD_BYTES && !word.chars().any(char::is_control)).then_some(word)
    };
    let told: Vec<_> = fields.into_iter().filter_map(|(name, text)| Some((name, Value::Text(plain(text?)?)))).collect();
    (!told.is_empty()).then(|| sample(measurement, Vec::new(), time, told))
}

/// `KEY="value"` of os-release.
fn line(release: &str, key: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// `03/18/2024` as `2024-03-18`.
fn iso(date: &str) -> Option<String> {
    let parts: Vec<u32> = date.split('/').map_while(|part| part.parse().ok()).collect();
    let [month @ 1..=12, day @ 1..=31, year @ 1980..=2200] = parts[..] else { return None };
    Some(format!("{year}-{month:02}-{day:02}"))
}
