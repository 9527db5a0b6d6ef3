//! The program itself: what it says, and with which exit code.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

use std::path::Path;
use std::process::{Command, Output};

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellwether-agent")).args(arguments).output().unwrap()
}

fn folder(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("agent.toml"), config).unwrap();
    dir
}

fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "one line: {text}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_bad_configuration_is_one_line_with_the_key_and_its_own_exit_code() {
    let dir = folder("interval = \"never\"\n");
    let output = agent(&["check-config", "--state", text(dir.path())]);
    assert_eq!(output.status.code(), Some(3));
    let complaint = complaint(&output);
    assert!(complaint.contains("interval = \"never\": expected whole seconds from"), "{complaint}");
}

#[test]
fn a_good_configuration_is_told() {
    let dir = folder("interval = \"30s\"\nspool.max_mib = 8\n");
    let output = agent(&["check-config", "--state", text(dir.path())]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("is good: interval 30 s, spool 8 MiB"), "{told}");
}

#[test]
fn a_folder_that_nobody_enrolled_is_a_state_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = agent(&["run", "--state", text(dir.path())]);
    assert_eq!(output.status.code(), Some(5));
    assert!(complaint(&output).contains("is not enrolled: run `bellwether-agent enrol` first"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was left behind");
}

#[test]
fn a_token_that_is_cut_is_an_enrolment_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = agent(&["enrol", "--collector", "127.0.0.1:1", "--token", "bw1.abc.def", "--state", text(dir.path())]);
    assert_eq!(output.status.code(), Some(4));
    assert!(complaint(&output).contains("the token's secret is cut or mistyped: copy the whole command"));
}

#[test]
fn show_needs_no_enrolment_and_tells_each_source() {
    let output = agent(&["show"]);
    assert_eq!(output.status.code(), Some(0));
    let page = String::from_utf8(output.stdout).unwrap();
    let words =
        ["\ncpu: ", "cpu=cpu-total", "[activity]", "\nmem: ", "\nsystem: ", "What was looked at:", "  disk ", "[own]"];
    for expected in words {
        assert!(page.contains(expected), "{expected} in\n{page}");
    }
}
