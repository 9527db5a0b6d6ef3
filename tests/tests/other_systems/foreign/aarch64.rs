//! The program for Linux on 64-bit ARM, under an emulator of its processor.

use super::{built, shows_enrols_streams_and_stops};

/// Debian's C library for the emulated processor.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

#[test]
fn it_shows_enrols_streams_and_stops() {
    let program = built("BELLWETHER_AGENT_AARCH64");
    let runner = vec!["qemu-aarch64-static".into(), "-L".into(), LIBRARIES.into(), program.into_os_string()];
    shows_enrols_streams_and_stops(runner, "ARM-1");
}
