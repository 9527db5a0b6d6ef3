//! A start that cannot be: one clear line, an exit code, and nothing damaged.

use std::fs;
use std::path::Path;

use bellwether_tests::collector::{self, Collector};
use bellwether_tests::program;

use super::{NO_OWN_AGENT, tree};

/// Starts a collector that must refuse; answers its line.
fn refused(arguments: &[String]) -> String {
    program::run(collector::NAME, arguments).one_clear_line()
}

/// The arguments of `collector` with one of them changed.
fn with(collector: &Collector, name: &str, value: impl ToString) -> Vec<String> {
    let mut arguments = collector.arguments();
    let at = arguments.iter().position(|it| it == name).unwrap();
    arguments[at + 1] = value.to_string();
    arguments
}

#[test]
fn a_taken_port_is_named() {
    let collector = Collector::start(NO_OWN_AGENT);
    for (option, taken) in [("--http", collector.http), ("--grpc", collector.grpc)] {
        let other = Collector::prepare(NO_OWN_AGENT);
        let line = refused(&with(&other, option, taken));
        assert!(line.contains(&taken.to_string()), "{line}");
        assert!(!line.contains("panicked"));
        // The folder it had begun serves at the next start.
        let mut other = other;
        other.go();
    }
}

#[test]
fn an_unwritable_folder_is_named() {
    let other = Collector::prepare(NO_OWN_AGENT);
    let file = other.room().join("a-file");
    fs::write(&file, "mine").unwrap();
    // For root every folder is writable but these.
    for folder in [file.join("data"), file.clone(), "/proc/bellwether".into()] {
        let line = refused(&with(&other, "--data", folder.display()));
        assert!(line.contains(&folder.display().to_string()), "{line}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_broken_configuration_is_named_with_file_key_and_what_was_expected() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    collector.program().stop();
    let before = tree(&collector.data());
    for (text, says) in [
        ("[network]\nhttpp = \"127.0.0.1:1\"\n", "httpp"),
        ("[own_agent]\ninterval = \"soon\"\n", "interval"),
        ("[journal]\nsegment_bytes = 1\n", "at least"),
        ("not toml", "line 1"),
    ] {
        fs::write(collector.config(), text).unwrap();
        let line = refused(&collector.arguments());
        assert!(line.contains(says) && line.contains("collector.toml"), "{line}");
        let checked = program::run(collector::NAME, ["check-config", "--config", path(&collector.config())]);
        assert!(checked.one_clear_line().contains(says));
    }
    assert_eq!(before, tree(&collector.data()), "nothing was touched");
    fs::write(collector.config(), NO_OWN_AGENT).unwrap();
    collector.go();
}

#[test]
fn a_broken_rule_is_left_out_and_said_everywhere() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    collector.program().stop();
    let rules = collector.data().join("rules");
    fs::create_dir_all(&rules).unwrap();
    fs::write(rules.join("ours.toml"), "format = 1\n[[rule]]\nid = \"ours\"\n").unwrap();
    let checked = collector.command(&["rules", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(checked.text.contains("ours.toml, line 2"), "{checked:?}");
    collector.go();
    let answer = |path: &str| collector.client().get(path, None).unwrap().text;
    assert!(answer("/healthz").contains("rules: in trouble"));
    assert!(answer("/metrics").contains("bellwether_broken_rules 1"));
    fs::remove_file(rules.join("ours.toml")).unwrap();
    assert!(collector.command(&["rules", "check"]).success().contains("nothing is broken"));
}

#[test]
fn a_folder_of_a_newer_version_is_left_untouched() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    collector.program().stop();
    let format = collector.data().join("format.json");
    let ours = fs::read(&format).unwrap();
    fs::write(&format, "{\"format\": 999}").unwrap();
    let before = tree(&collector.data());
    let line = refused(&collector.arguments());
    assert!(line.contains("999") && line.contains("newer"), "{line}");
    assert_eq!(before, tree(&collector.data()));
    fs::write(&format, ours).unwrap();
    collector.go();
}

#[test]
fn a_journal_of_a_newer_version_is_left_untouched() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    collector.program().stop();
    let segment = collector.data().join("journal/00000000000000000000.journal");
    let mut bytes = fs::read(&segment).unwrap();
    let ours = bytes.clone();
    bytes[8] = 99;
    fs::write(&segment, &bytes).unwrap();
    let line = refused(&collector.arguments());
    assert!(line.contains("99"), "{line}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    fs::write(&segment, ours).unwrap();
    collector.go();
}

#[test]
fn a_second_collector_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut arguments = with(&collector, "--http", collector::free());
    let at = arguments.iter().position(|it| it == "--grpc").unwrap();
    arguments[at + 1] = collector::free().to_string();
    let line = refused(&arguments);
    assert!(line.contains("another collector"), "{line}");
    assert_eq!(collector.client().get("/healthz", None).unwrap().status, 200);
    assert!(collector.program().stop().success());
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
