//! The static program for any Linux.

use std::process::Command;

use bellwether_tests::program;

use super::{built, shows_enrols_streams_and_stops};

#[test]
fn it_needs_nothing_of_the_system() {
    let mut headers = Command::new("readelf");
    headers.arg("--wide").arg("--program-headers").arg("--dynamic").arg(built("BELLWETHER_AGENT_MUSL"));
    let said = program::run_command("readelf", &mut headers).success();
    assert!(said.contains("LOAD"), "{said}");
    assert!(!said.contains("INTERP") && !said.contains("NEEDED"), "{said}");
}

#[test]
fn it_shows_enrols_streams_and_stops() {
    shows_enrols_streams_and_stops(vec![built("BELLWETHER_AGENT_MUSL").into_os_string()], "MUSL-1");
}
