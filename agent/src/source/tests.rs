//! Every source against captured machines: `fixtures/SOURCE/CASE/1`, `/2` and so on are the roots of successive
//! readings, `expected` is what the last of them must give, problems included. A new case is a new folder.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_proto::schema as declared;

use super::*;
use crate::reading::{Problem, ProblemKind};
use crate::schema;

/// The names that the fixtures' machines were given by people.
const PEOPLE: &[&str] = &["jane", "doe", "okafor"];

fn cases(source: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(source);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Reads a case's machines one after the other with one source; returns the last reading.
fn play(entry: &Entry, case: &Path) -> Reading {
    // A source keeps its root for life, so the moving picture is a folder that is swapped under it.
    let stage = tempfile::tempdir().unwrap();
    let root = stage.path().join("root");
    let mut source = (entry.make)(&Host::at(&root), &Config::default());
    let mut reading = Reading::default();
    for number in 1.. {
        let frame = case.join(number.to_string());
        if !frame.exists() {
            break;
        }
        std::os::unix::fs::symlink(frame, &root).unwrap();
        reading = source.read(Timestamp(0));
        fs::remove_file(&root).unwrap();
    }
    reading
}

fn written(reading: &Reading) -> String {
    let mut text = String::new();
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
    text
}

#[test]
fn every_captured_machine_gives_what_is_expected() {
    let mut wrong = Vec::new();
    for entry in ALL.iter().filter(|entry| entry.name != "disk") {
        for case in cases(entry.name) {
            let found = written(&play(entry, &case));
            let file = case.join("expected");
            if std::env::var_os("BLESS").is_some() {
                fs::write(&file, &found).unwrap();
            }
            if fs::read_to_string(&file).unwrap_or_default() != found {
                wrong.push(format!("{}:\n{found}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sources_say_only_what_they_declare() {
    let declared: Vec<_> = schema::all().collect();
    for entry in ALL {
        for case in cases(entry.name) {
            for sample in play(entry, &case).samples {
                assert_eq!(declared::check(&declared, &sample), Ok(()), "{}", case.display());
                assert!(sample.tags.is_sorted() && sample.fields.is_sorted_by_key(|(name, _)| name), "{sample:?}");
                assert!(entry.measurements.iter().any(|own| own.name == sample.measurement));
            }
        }
    }
}

/// Where the captured machines have such names: a mount, a label, an interface, a sensor's label, a process, a
/// network.
const NAMED_IN: &[&str] = &["disk", "diskio", "fans", "net", "processes", "temp", "wireless"];

#[test]
fn no_name_of_a_person_leaves() {
    for entry in ALL {
        let mut seen = String::new();
        for case in cases(entry.name) {
            seen.push_str(&everything_below(&case).to_lowercase());
            for sample in play(entry, &case).samples {
                let text = format!("{sample:?}").to_lowercase();
                assert!(!PEOPLE.iter().any(|name| text.contains(name)), "{}: {text}", case.display());
            }
        }
        let was_there = PEOPLE.iter().any(|name| seen.contains(name));
        assert!(was_there || !NAMED_IN.contains(&entry.name), "{} has a name to see", entry.name);
    }
}

/// The paths of a case's files and what is in them.
fn everything_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let _ = writeln!(text, "{}", entry.path().display());
        if entry.file_type().unwrap().is_dir() {
            text.push_str(&everything_below(&entry.path()));
        } else if let Ok(bytes) = fs::read(entry.path()) {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}

#[test]
fn nothing_to_read_is_not_a_failure() {
    let status = |kind| Reading::problem(Problem::new(kind, "")).status().as_str();
    assert_eq!(status(ProblemKind::NothingHere), "nothing_here");
    assert_eq!(status(ProblemKind::Unsupported), "unsupported");
    assert_eq!(status(ProblemKind::NoPermission), "no_permission");
    assert_eq!(status(ProblemKind::Failed), "failed");
    assert_eq!(Reading::default().status().as_str(), "nothing_here");
}

#[test]
fn a_problem_beside_readings_leaves_the_source_ok_and_is_counted() {
    let reading = Reading {
        samples: vec![sample("system", Vec::new(), Timestamp(0), vec![("uptime", Value::Integer(1))])],
        problems: vec![Problem::new(ProblemKind::Failed, "one disk is dying")],
    };
    let report = Report { source: "disk", reading, took_ms: 1.23456 };
    let fields = report.sample(Timestamp(0)).fields;
    assert!(fields.contains(&("status".into(), Value::Text("ok".to_owned()))));
    assert!(fields.contains(&("problems".into(), Value::Integer(1))));
    assert!(fields.contains(&("took_ms".into(), Value::Float(1.235))));
}
