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

/// A machine made of the first picture of a case, to be changed.
fn copy_of(case: &Path) -> tempfile::TempDir {
    let machine = tempfile::tempdir().unwrap();
    copy(&case.join("1"), &machine.path().join("root"));
    machine
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else if kind.is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

#[test]
fn what_vanishes_between_two_readings_is_no_failure_of_what_is_left() {
    for entry in ALL {
        for case in cases(entry.name) {
            let machine = copy_of(&case);
            let (root, away) = (machine.path().join("root"), machine.path().join("away"));
            let mut source = (entry.make)(&Host::at(&root), &Config::default());
            source.read(Timestamp(0));
            let before = source.read(Timestamp(0)).samples.len();
            fs::rename(&root, &away).unwrap();
            let gone = source.read(Timestamp(0));
            assert!(!gone.problems.is_empty(), "{}: says why", case.display());
            fs::rename(&away, &root).unwrap();
            source.read(Timestamp(0));
            assert_eq!(source.read(Timestamp(0)).samples.len(), before, "{}: comes back", case.display());
        }
    }
}

/// Bytes that a file of the kernel's could hold after a flipped bit, a cut or an evil device.
fn junk() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[0-9a-z: \n\t().,/-]{0,200}".prop_map(String::into_bytes),
        "(cpu|sda|eth0:|jane|MemTotal:|VmRSS:)? ?(-?[0-9]{1,25} ){0,24}\n".prop_map(String::into_bytes),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn no_bytes_make_a_source_stumble(junk in junk(), seed in proptest::prelude::any::<usize>()) {
        let declared: Vec<_> = schema::all().collect();
        for entry in ALL.iter().filter(|entry| entry.name != "disk") {
            let cases = cases(entry.name);
            let machine = copy_of(&cases[seed % cases.len()]);
            let root = machine.path().join("root");
            let mut source = (entry.make)(&Host::at(&root), &Config::default());
            source.read(Timestamp(0));
            let mut files = Vec::new();
            files_below(&root, &mut files);
            for path in files.iter().skip(seed % 3).step_by(3) {
                fs::write(path, &junk).unwrap();
            }
            for sample in source.read(Timestamp(0)).samples {
                proptest::prop_assert_eq!(declared::check(&declared, &sample), Ok(()), "{}", entry.name);
            }
        }
    }
}

#[test]
fn a_machine_of_thousands_of_everything_is_read_up_to_the_bounds() {
    let machine = tempfile::tempdir().unwrap();
    let write = |path: String, text: &str| {
        let path = machine.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let numbers = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17";
    let lines = |head: &dyn Fn(usize) -> String| {
        (0..4_096).map(|number| format!("{}{numbers}\n", head(number))).collect::<String>()
    };
    write("proc/diskstats".to_owned(), &lines(&|number| format!("8 {number} nvme{number}n1")));
    write("proc/net/dev".to_owned(), &lines(&|number| format!("eth{number}:")));
    write("proc/stat".to_owned(), &lines(&|number| format!("cpu{number}")));
    for number in 0..300 {
        write(format!("sys/block/nvme{number}n1/device/model"), "x");
        write(format!("sys/class/hwmon/hwmon{number}/name"), "nct6775");
        write(format!("sys/class/hwmon/hwmon{number}/temp1_input"), "40000");
        write(format!("sys/class/hwmon/hwmon{number}/fan1_input"), "900");
        write(format!("sys/class/net/wlan{number}/phy80211/name"), "phy0");
        write(format!("sys/class/net/wlan{number}/ifindex"), "3");
    }
    for (name, most) in [("cpu", 129), ("diskio", 64), ("fans", 64), ("net", 64), ("temp", 64), ("wireless", 8)] {
        let entry = ALL.iter().find(|entry| entry.name == name).unwrap();
        let mut source = (entry.make)(&Host::at(machine.path()), &Config::default());
        source.read(Timestamp(0));
        write("proc/stat".to_owned(), &lines(&|number| format!("cpu{number} 99")));
        let reading = source.read(Timestamp(0));
        write("proc/stat".to_owned(), &lines(&|number| format!("cpu{number}")));
        let rows = reading.samples.len() + reading.problems.len();
        assert_eq!(rows, most, "{name}");
    }
}
