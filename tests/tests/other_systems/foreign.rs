//! One file a system. All tests stand below this name, by which they are chosen and left out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::program;
use bellwether_tests::wait;

mod aarch64;
mod musl;
mod packages;
mod windows;

/// For what should take moments; an emulator with an unoptimised program on a busy machine is slower than anything else.
const SOON: Duration = Duration::from_secs(120);

/// A collector that watches nothing of its own.
const NO_OWN_AGENT: &str = "[own_agent]\nenabled = false\n";

/// What must arrive of an agent that runs: its memory is read on every system.
const MEMORY: &str = r#"SELECT last("total") FROM "mem" WHERE time > now() - 10m GROUP BY "host""#;

/// What `tests/cross` has built.
fn built(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run tests/cross"));
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{variable}: there is no {}", path.display());
    path
}

/// Waits until a collector has readings of the machine of this name, of this generation or an earlier one.
fn wait_for_readings(collector: &Collector, name: &str) {
    let token = collector.grafana_token();
    let total = wait::until("readings of the machine", SOON, || {
        let points = collector.client().points(&token, MEMORY)?;
        let own = points.iter().find(|point| point.tags["host"] == name);
        own.and_then(|point| point.value.as_u64()).ok_or_else(|| format!("{points:?}"))
    });
    assert!(total > 64 << 20, "{total} bytes of memory");
}

/// What every agent can do: print values, enrol with a collector of this system, stream to it, and say goodbye.
fn shows_enrols_streams_and_stops(runner: Vec<OsString>, name: &str) {
    let mut show = std::process::Command::new(&runner[0]);
    let shown = program::run_command("show", show.args(&runner[1..]).arg("show")).success();
    for part in ["\nmem: ", "available_percent ", "\nsystem: ", "uptime "] {
        assert!(shown.contains(part), "no {part} in: {shown}");
    }

    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::of(runner);
    agent.join(&collector, "desktop", name);
    agent.go();
    wait_for_readings(&collector, name);
    agent.stop();
    let _ = collector.program().wait_for_line("GOODBYE_STOP", SOON);
}
