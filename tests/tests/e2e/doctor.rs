//! `doctor` on machines that are not well.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bellwether_tests::agent::{self, Agent};
use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Ended};

use super::NO_OWN_AGENT;
use super::enrolment::with_clock;

/// What scripts know "it found a problem" by.
const UNWELL: i32 = 6;

/// The line about one thing, the last if there are several.
fn line<'a>(ended: &'a Ended, about: &str) -> &'a str {
    let is_about = |line: &&str| line.split_ascii_whitespace().nth(1) == Some(about);
    ended.text.lines().rfind(is_about).unwrap_or_else(|| panic!("nothing about {about}: {}", ended.text))
}

#[test]
fn a_well_machine_hears_that_its_collector_and_clock_are_right_and_no_secret_is_told() {
    let collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "desktop", "PC-001");
    let ended = program::run_command("doctor", &mut agent.command("doctor"));
    for about in ["enrolment", "certificate", "configuration", "name", "reach", "tls", "clock"] {
        assert!(line(&ended, about).starts_with("ok "), "{}", ended.text);
    }
    assert!(line(&ended, "clock").contains("within 2 s"), "{}", ended.text);
    assert!(!ended.text.contains("PRIVATE KEY") && !ended.text.contains("BEGIN"), "{}", ended.text);
}

#[test]
fn a_clock_that_is_two_months_off_is_told_with_the_certificate_that_it_ends() {
    let collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "desktop", "PC-001");
    let mut command = agent.command("doctor");
    with_clock(&mut command, "+60d");
    let ended = program::run_command("doctor", &mut command);
    assert_eq!(ended.status.code(), Some(UNWELL), "{}", ended.text);
    assert!(line(&ended, "certificate").starts_with("PROBLEM"), "{}", ended.text);
    let clock = line(&ended, "clock");
    assert!(clock.starts_with("PROBLEM") && clock.contains("days ahead of the collector's"), "{}", ended.text);
}

#[test]
fn a_user_without_rights_hears_which_are_missing() {
    let collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "desktop", "PC-001");
    // Where nobody can reach it: the folder of the build may lie in somebody's home.
    let room = tempfile::tempdir().unwrap();
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = room.path().join(agent::NAME);
    fs::copy(program::built(agent::NAME), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    command.arg(&program).arg("doctor").arg("--state").arg(agent.state());
    let ended = program::run_command("doctor as nobody", &mut command);
    assert_eq!(ended.status.code(), Some(UNWELL), "{}", ended.text);
    assert!(line(&ended, "enrolment").contains("run this as root, or as the user that the agent runs as"));
    let range = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    if range.split_ascii_whitespace().collect::<Vec<_>>() == ["1", "0"] {
        let ping = line(&ended, "ping");
        assert!(ping.starts_with("PROBLEM") && ping.contains("ping_group_range"), "{}", ended.text);
    }
}
