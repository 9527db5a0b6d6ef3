//! Every reader against recorded machines: `fixtures/windows/CASE/machine.json` is what the system answered (in the
//! shapes that the vendor documents; no real machine's), `expected` what all readers together must make of it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_proto::schema as declared;

use super::recorded::Recorded;
use super::*;
use crate::config::Config;
use crate::host::Host;
use crate::{schema, source};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/windows");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Reads every source twice, because some tell differences, and gives the second reading.
fn readings(case: &Path) -> Vec<(&'static str, Reading)> {
    let recorded = Recorded::read(case);
    // A machine on which no program is installed.
    let empty = tempfile::tempdir().unwrap();
    let ordinary = |entry: &source::Entry| (entry.make)(&Host::at(empty.path()), &Config::default());
    let made = source::ALL.iter().filter_map(|entry| super::source(entry.name, recorded.clone(), || ordinary(entry)));
    made.map(|mut source| {
        source.read(Timestamp(NOW));
        (source.name(), source.read(Timestamp(NOW)))
    })
    .collect()
}

/// 2026-03-01 12:00 UTC: the day of the recorded machines.
const NOW: i64 = 1_772_366_400_000;

fn written(case: &Path) -> String {
    let mut text = String::new();
    for (name, reading) in readings(case) {
        let _ = writeln!(text, "# {name}: {}", reading.status().as_str());
        for sample in &reading.samples {
            let tags: String = sample.tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
            let _ = writeln!(text, "{}{tags}", sample.measurement);
            for (name, value) in &sample.fields {
                let _ = writeln!(text, "  {name} {value:?}");
            }
        }
        for problem in &reading.problems {
            let _ = writeln!(text, "! {:?}: {}", problem.kind, problem.text);
        }
    }
    text
}

#[test]
fn every_recorded_machine_gives_what_is_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = written(&case);
        let file = case.join("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &found).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn readers_say_only_what_their_sources_declare() {
    let declared: Vec<_> = schema::all().collect();
    for case in cases() {
        for (name, reading) in readings(&case) {
            let entry = source::ALL.iter().find(|entry| entry.name == name).unwrap();
            for sample in reading.samples {
                assert_eq!(declared::check(&declared, &sample), Ok(()), "{}", case.display());
                assert!(sample.tags.is_sorted() && sample.fields.is_sorted_by_key(|(name, _)| name), "{sample:?}");
                assert!(entry.measurements.iter().any(|own| own.name == sample.measurement), "{sample:?}");
            }
        }
    }
}

#[test]
fn every_reader_has_a_source() {
    let names = READERS.iter().map(|(name, _)| *name).chain([cpu::NAME, inventory::NAME, smart::NAME]);
    for name in names {
        assert!(source::ALL.iter().any(|entry| entry.name == name), "{name}");
    }
}

#[test]
fn a_machine_is_told_by_its_firmware_its_own_cards_and_its_own_disks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/windows");
    let laptop = Recorded::read(&folder.join("a_laptop_in_order"));
    let identity = identity::identity(&laptop);
    assert_eq!(identity.system_vendor, "LENOVO");
    assert_eq!(identity.system_serial, "PF1ABCDE");
    assert_eq!(identity.board_serial, "L1HF0AB01CD");
    assert_eq!(identity.system_uuid, "4c4c4544-0051-3510-8052-b9c04f4a4d32");
    assert_eq!(identity.mac_addresses, ["8c:04:ba:01:02:03", "8c:04:ba:01:02:04"], "the dock's card is left out");
    assert_eq!(identity.disk_serials, ["8CE3_8E03_00A1_B2C3"], "the stick is left out");
    assert_eq!(identity::chassis(&laptop), Some(10));
    let nothing = Recorded::read(&folder.join("nothing_is_answered"));
    assert_eq!(identity::identity(&nothing), bellwether_proto::v1::HardwareIdentity::default());
    assert_eq!(identity::chassis(&nothing), None);
}

#[test]
fn no_name_of_a_person_leaves() {
    for case in cases() {
        for (_, reading) in readings(&case) {
            let text = format!("{:?}", reading.samples).to_lowercase();
            assert!(!["jane", "okafor"].iter().any(|name| text.contains(name)), "{}: {text}", case.display());
        }
    }
}
