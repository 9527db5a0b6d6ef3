//! What the agent costs a machine, beside agents that a school could install from Debian instead: all at once, on the
//! same machine, at the same rhythm of ten seconds.
//!
//! Ours is the program of the profile `agent`, enrolled at a real collector, with the shipped configuration but for
//! the interval. A second one, which reads every second at a collector of its own, shows whether memory grows: time is
//! compressed for it, and a minute of it counts as ten.
//!
//! - `rss_mib`, `rss_anon_mib`: the most that `smaps_rollup` showed; anonymous is what no other program shares.
//! - `rss_slope_kib_per_min`: least squares over the last four fifths, for a minute at the common rhythm, which is six
//!   intervals; ours from the second agent, which in ten minutes goes through eighty minutes of them.
//! - `cpu_s_per_min`: user and system time by `/proc/PID/stat`, with that of children which have ended, everybody's. What
//!   ours does not do within the ten minutes is noted apart: the package manager is asked a quarter of an hour after the
//!   start and after each change of packages.
//! - `values_per_interval`: ours as the collector counted what it took; the others as they were received.
//! - `binary_mib`: the program, for collectd with the plug-ins that it loads.
//! - `wire_bytes_per_value`: all payload of TCP (of UDP for collectd) in both directions, counted by a relay on the
//!   loopback: with TLS, HTTP/2, gRPC, acknowledgements and keep-alives, without the connection's beginning.
//! - `ping5k_cpu_s`, `ping20k_cpu_s`: one echo request to each of so many targets, by the engine that the agent uses in a
//!   process of its own, beside `fping -c1 -q -i0 -t1000`: median of five, taken in turns, before the rest starts.
//!
//! What a shortened run finds is named `short_...`: it is for trying things out and fulfils nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;

use crate::Figure;

mod peers;
mod ping;
pub(crate) mod process;
mod relay;

use peers::Peer;
use process::Watched;
use relay::Relay;

/// The rhythm of all.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many intervals the second agent has for one of the others.
const COMPRESSION: f64 = 10.0;

/// Before anything is counted: every source has been read, every page that is used was touched.
const WARM_UP: Duration = Duration::from_secs(60);

/// The length, unless `BELLWETHER_BENCH_S` says another.
const SPAN: Duration = Duration::from_secs(600);

const NO_OWN_AGENT: &str = "[own_agent]\nenabled = false\n";

const COLLECTED: &str = "bellwether_values_total";

const MIB: f64 = 1_048_576.0;

/// What one contender costs.
struct Cost {
    name: &'static str,
    rss_mib: f64,
    anon_mib: f64,
    slope_kib_per_min: f64,
    cpu_s_per_min: f64,
    values_per_interval: f64,
    binary_mib: f64,
    wire_bytes_per_value: f64,
}

pub(crate) fn run() -> Vec<Figure> {
    let program = program("agent");
    note(&format!("load before: {}", load()));
    let pings = ping::figures(&program);
    let look = ping::cpu_s(&[program.as_os_str(), "show".as_ref()]);
    note(&format!(
        "one look at everything (`show`), with the programs that it asks, the package manager among them: {look:.2} s"
    ));
    let span =
        std::env::var("BELLWETHER_BENCH_S").ok().and_then(|text| text.parse().ok()).map_or(SPAN, Duration::from_secs);
    let (ours, peers) = side_by_side(&program, span);
    note(&format!("load after: {}", load()));
    let mut figures = Vec::new();
    let mut table = |name: &str, unit, of: &dyn Fn(&Cost) -> f64| {
        let row = |peer: &Cost| Figure {
            name: name.to_owned(),
            value: of(&ours),
            unit,
            peer: peer.name,
            peer_value: of(peer),
        };
        figures.extend(peers.iter().map(row));
    };
    table("rss_mib", "MiB", &|cost| cost.rss_mib);
    table("rss_anon_mib", "MiB", &|cost| cost.anon_mib);
    table("rss_slope_kib_per_min", "KiB/min", &|cost| cost.slope_kib_per_min);
    table("cpu_s_per_min", "s/min", &|cost| cost.cpu_s_per_min);
    table("values_per_interval", "values", &|cost| cost.values_per_interval);
    table("binary_mib", "MiB", &|cost| cost.binary_mib);
    table("wire_bytes_per_value", "bytes", &|cost| cost.wire_bytes_per_value);
    figures.extend(pings);
    if span < SPAN {
        figures.iter_mut().for_each(|figure| figure.name = format!("short_{}", figure.name));
    }
    figures
}

/// The agent as it is installed; `tests/bench NAME` builds it.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let target = own.parent().and_then(Path::parent).expect("it lies in a folder of its profile");
    let program = target.join("agent").join(bellwether_tests::agent::NAME);
    assert!(program.is_file(), "{} is not built: run tests/bench {name}", program.display());
    program
}

fn side_by_side(program: &Path, span: Duration) -> (Cost, Vec<Cost>) {
    let collector = Collector::start(NO_OWN_AGENT);
    let relay = Relay::start(collector.grpc);
    let mut ours = enrolled(program, &collector, &relay.address.to_string(), "10s");
    let fast_collector = Collector::start(NO_OWN_AGENT);
    let mut fast = enrolled(program, &fast_collector, &fast_collector.grpc.to_string(), "1s");
    let mut peers = peers::start();
    ours.go();
    fast.go();

    let warm = Instant::now();
    each_interval(warm, WARM_UP, || peers.iter_mut().for_each(|peer| peer.poll()));
    let mut own = Watched::new(ours.program().id());
    let mut soaked = Watched::new(fast.program().id());
    let (begin_values, begin_bytes) = (collected(&collector), relay.bytes());
    peers.iter_mut().for_each(Peer::begin);
    let begun = Instant::now();
    each_interval(begun, span, || {
        peers.iter_mut().for_each(|peer| peer.poll());
        own.look();
        soaked.look();
    });
    let values = collected(&collector) - begin_values;
    #[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
    let bytes = (relay.bytes() - begin_bytes) as f64;
    let intervals = span.as_secs_f64() / INTERVAL.as_secs_f64();
    let fast_values = collected(&fast_collector);
    note(&format!(
        "soak: {} intervals of one second, {fast_values} values; by the clock rss {:+.2}, anonymous {:+.2} KiB/min, \
         {:.3} s/min; at most {:.2} MiB",
        span.as_secs() * 4 / 5,
        soaked.slope_kib_per_min(),
        soaked.anon_slope_kib_per_min(),
        soaked.cpu_s_per_min(span),
        soaked.rss_mib()
    ));
    let (burst, minute) = own.burst();
    note(&format!(
        "ours: by the clock rss {:+.2}, anonymous {:+.2} KiB/min; the most in one interval {burst:.2} s, in minute {minute:.1}",
        own.slope_kib_per_min(),
        own.anon_slope_kib_per_min()
    ));
    let cost = Cost {
        name: "bellwether",
        rss_mib: own.rss_mib(),
        anon_mib: own.anon_mib(),
        slope_kib_per_min: soaked.slope_kib_per_min() / COMPRESSION,
        cpu_s_per_min: own.cpu_s_per_min(span),
        values_per_interval: values / intervals,
        binary_mib: size_mib(&[program.to_owned()]),
        wire_bytes_per_value: bytes / values,
    };
    let peers = peers.iter().map(|peer| peer.cost(span)).collect();
    ours.stop();
    fast.stop();
    (cost, peers)
}

fn enrolled(program: &Path, collector: &Collector, address: &str, interval: &str) -> Agent {
    let agent = Agent::of(vec![program.into()]);
    let token = collector.enrol_token("Lincoln High", 1);
    let _ = agent.enrol(address, &token, "desktop", "PC-001").success();
    agent.configure(&format!("interval = \"{interval}\"\n"));
    agent
}

/// Calls `act` at every interval of `span`, counted from `begun`, the last time at its end.
fn each_interval(begun: Instant, span: Duration, mut act: impl FnMut()) {
    let mut next = INTERVAL;
    while next <= span {
        std::thread::sleep((begun + next).saturating_duration_since(Instant::now()));
        act();
        next += INTERVAL;
    }
}

/// Values that a collector has taken so far.
fn collected(collector: &Collector) -> f64 {
    let answer = collector.client().get("/metrics", None).expect("a running collector tells its figures");
    let lines = answer.text.lines().filter_map(|line| line.strip_prefix(COLLECTED));
    lines.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
fn size_mib(files: &[PathBuf]) -> f64 {
    let sizes = files.iter().map(|file| fs::metadata(file).map_or(0, |data| data.len()));
    sizes.sum::<u64>() as f64 / MIB
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
