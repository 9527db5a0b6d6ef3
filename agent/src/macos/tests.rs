//! Every reader against what the programs of Macs print, in the shapes that they print it; no real machine's.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use bellwether_proto::schema as declared;

use super::*;
use crate::schema;

/// 2026-03-01 12:00 UTC: the day of the machines.
const NOW: Timestamp = Timestamp(1_772_366_400_000);

fn written(case: &Path) -> String {
    let host = Host::at(case);
    let declared: Vec<_> = schema::all().collect();
    let mut text = String::new();
    for entry in crate::source::ALL {
        let name = entry.name;
        let Some(mut source) = source(name, &host) else { continue };
        let reading = source.read(NOW);
        assert_eq!(source.name(), name);
        let _ = writeln!(text, "# {name}: {}", reading.status().as_str());
        for sample in &reading.samples {
            assert_eq!(declared::check(&declared, sample), Ok(()), "{}", case.display());
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
fn every_reader_has_a_source() {
    for (name, _) in READERS {
        assert!(crate::source::ALL.iter().any(|entry| entry.name == *name), "{name}");
    }
}

#[test]
fn every_mac_gives_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/macos");
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        let found = written(&case);
        let file = case.join("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &found).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap_or_default(), found, "{}", case.display());
        assert!(!found.to_lowercase().contains("jane"), "{found}");
    }
}
