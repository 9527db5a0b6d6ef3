//! What it costs to watch devices by SNMP, beside Net-SNMP's tools and Prometheus' exporter: the same simulated devices,
//! in the same run. The devices are simulated by this process, so that what they cost is nobody's.
//!
//! Ours is the program of the profile `agent`, with the polls of a closet: the interval of the figure, the shipped profiles,
//! and its own sources read once an hour. It was enrolled and its collector has ended, as in an outage: what it reads goes
//! to its spool. What sending costs is in `tests/bench agent`.
//!
//! - `walk_s`: all of one device of 6,003 values, from the start of the program to its end: `bellwether-agent snmp walk`
//!   beside `snmpbulkwalk -Cr25`, median of nine, taken in turns.
//! - `values_per_cpu_s`: 500 devices with 51 values each (five ports, ten columns, and the clock), every ten seconds.
//!   Values by what the devices were asked for, user and system time of each program. The exporter has a module with the
//!   same columns and is scraped as Prometheus does it, over one connection for each device.
//! - `cpu_share_5k_devices`, `rss_mib_5k_devices`: 5,000 such devices every minute, from the second minute on: user and
//!   system time in parts of one core, and the most memory. Nobody is beside it: the peer's value is the goal.
//! - `false_silent_5k_devices`: of the same devices, which all answer, those that were called silent even once from the first
//!   poll to the last, by the rows that the agent wrote. Anything but none ends the benchmark.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bellwether_agent::config::SpoolConfig;
use bellwether_agent::spool::Spool;
use bellwether_agent::state::SPOOL_DIR;
use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::batch;
use bellwether_proto::v1::{Assignment, Assignments};
use bellwether_tests::agent::Agent;
use bellwether_tests::collector::{Collector, free};
use bellwether_tests::program::Program;
use bellwether_tests::snmp::message::{integer, oid, wide, wrap};
use bellwether_tests::snmp::recording::{self, Rows};
use bellwether_tests::snmp::{COMMUNITY, Fault, Simulator};
use prost::Message;
use tempfile::TempDir;

use crate::Figure;
use crate::agent::process::Watched;
use crate::agent::{note, program};

const WALK_ROUNDS: usize = 9;
const WALK_PORTS: u32 = 2_000;
const PORTS: u32 = 5;
/// Of ten columns and the clock.
const VALUES: f64 = 51.0;

/// With the exporter beside it.
const FEW: u32 = 500;
const FEW_INTERVAL: Duration = Duration::from_secs(10);
const FEW_ROUNDS: u32 = 6;
/// Every device has been met and polled.
const FEW_WARM_UP: Duration = Duration::from_secs(40);

/// By itself.
const MANY: u32 = 5_000;
const MANY_INTERVAL: Duration = Duration::from_secs(60);
const MANY_WARM_UP: Duration = Duration::from_secs(130);
const MANY_SPAN: Duration = Duration::from_secs(180);
/// Polls of each device until then: the first ones are spread over the first interval.
const MANY_POLLS_MIN: u32 = 5;
/// Room for all that is read while there is no collector.
const SPOOL_MIB: u64 = 512;
/// How often memory is looked at.
const LOOK_APART: Duration = Duration::from_secs(10);
/// Of issue 4: half a core, and 40 MiB.
const CPU_GOAL: f64 = 0.5;
const RSS_GOAL: f64 = 40.0;

/// The columns of values: of ifTable and of ifXTable.
const OLD_COLUMNS: [u32; 6] = [7, 8, 13, 14, 19, 20];
const NEW_COLUMNS: [u32; 4] = [6, 7, 10, 11];
const IF_TABLE: &str = "1.3.6.1.2.1.2.2.1";
const IF_X_TABLE: &str = "1.3.6.1.2.1.31.1.1.1";

pub(crate) fn run() -> Vec<Figure> {
    let program = program("snmp");
    let walk = walk(&program);
    let few = few(&program);
    let many = many(&program);
    let goal =
        |name: &str, value, unit, peer_value| Figure { name: name.to_owned(), value, unit, peer: "goal", peer_value };
    vec![
        walk,
        few,
        goal("cpu_share_5k_devices", many.cpu_share, "cores", CPU_GOAL),
        goal("rss_mib_5k_devices", many.rss_mib, "MiB", RSS_GOAL),
        goal("false_silent_5k_devices", float(many.silent), "devices", 0.0),
    ]
}

/// What 5,000 devices cost, and how many of them were called silent.
struct Many {
    cpu_share: f64,
    rss_mib: f64,
    silent: u64,
}

fn walk(program: &Path) -> Figure {
    let simulator = Simulator::default();
    let device = simulator.device(Ipv4Addr::new(127, 20, 255, 1), recording::switch(WALK_PORTS), Fault::None);
    let address = device.to_string();
    let ours = ["snmp", "walk", "--version", "2c", &address, "1"].map(OsStr::new);
    let theirs = ["-v2c", "-c", COMMUNITY, "-Cr25", "-On", &address, "1"].map(OsStr::new);
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..WALK_ROUNDS {
        own.push(timed(Command::new(program).args(ours).env("BELLWETHER_SNMP_COMMUNITY", COMMUNITY)));
        peer.push(timed(Command::new("snmpbulkwalk").args(theirs).env("MIBS", "")));
    }
    note(&format!("walk_s: ours {own:.3?}, snmpbulkwalk {peer:.3?}"));
    Figure { name: "walk_s".to_owned(), value: median(own), unit: "s", peer: "snmpbulkwalk", peer_value: median(peer) }
}

fn timed(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let output = command.output().expect("the program is installed");
    let took = begun.elapsed().as_secs_f64();
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    let rows = recording::switch(WALK_PORTS).len();
    assert!(
        output.status.success() && lines >= rows,
        "{lines} of {rows} values: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}

fn few(program: &Path) -> Figure {
    let simulator = Simulator::default();
    let addresses = devices(&simulator, FEW);
    let mut agent = closet(program, &addresses, FEW_INTERVAL);
    let exporter = Exporter::start();
    agent.go();
    std::thread::sleep(FEW_WARM_UP);
    exporter.scrape_all(&addresses);
    let (own, theirs) = (Watched::new(agent.program().id()), Watched::new(exporter.program.id()));
    let (begun, begin) = (Instant::now(), simulator.values());
    let mut scraped = 0;
    for round in 1..=FEW_ROUNDS {
        scraped += exporter.scrape_all(&addresses);
        std::thread::sleep((begun + FEW_INTERVAL * round).saturating_duration_since(Instant::now()));
    }
    let span = begun.elapsed();
    let minutes = span.as_secs_f64() / 60.0;
    let (own_s, their_s) = (own.cpu_s_per_min(span) * minutes, theirs.cpu_s_per_min(span) * minutes);
    let polls = f64::from(FEW) * f64::from(FEW_ROUNDS);
    // Both ask for more than they keep: the row after the last, names, what tells a kind of port.
    let given = float(simulator.values() - begin);
    note(&format!(
        "values_per_cpu_s: {polls} polls by each, {given} values given in all, {scraped} lines scraped; ours {own_s:.2} s, \
         exporter {their_s:.2} s"
    ));
    assert!(float(scraped) >= polls * VALUES, "the exporter got {scraped} values");
    assert!(given >= 2.0 * polls * VALUES, "the devices gave {given} values");
    agent.stop();
    Figure {
        name: "values_per_cpu_s".to_owned(),
        value: polls * VALUES / own_s,
        unit: "values/s",
        peer: "prometheus-snmp-exporter",
        peer_value: polls * VALUES / their_s,
    }
}

fn many(program: &Path) -> Many {
    let simulator = Simulator::default();
    let addresses = devices(&simulator, MANY);
    let mut agent = closet(program, &addresses, MANY_INTERVAL);
    agent.go();
    let mut whole = Watched::new(agent.program().id());
    let looking = |whole: &mut Watched, span: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < span {
            std::thread::sleep(LOOK_APART.min(span));
            whole.look();
        }
    };
    looking(&mut whole, MANY_WARM_UP);
    note(&format!(
        "5,000 devices, the first {:.0} s: {:.2} s/min, {:.1} MiB",
        MANY_WARM_UP.as_secs_f64(),
        whole.cpu_s_per_min(MANY_WARM_UP),
        whole.rss_mib()
    ));
    let steady = Watched::new(agent.program().id());
    let (begun, begin) = (Instant::now(), simulator.values());
    looking(&mut whole, MANY_SPAN);
    let span = begun.elapsed();
    let share = steady.cpu_s_per_min(span) / 60.0;
    let polls = f64::from(MANY) * span.as_secs_f64() / MANY_INTERVAL.as_secs_f64();
    let given = float(simulator.values() - begin);
    note(&format!(
        "5,000 devices: {:.1} values given for each poll, {:.1} MiB ({:.1} anonymous)",
        given / polls,
        whole.rss_mib(),
        whole.anon_mib()
    ));
    assert!(given >= polls * VALUES * 0.98, "the devices gave {given} values for {polls} polls");
    agent.stop();
    Many { cpu_share: share, rss_mib: whole.rss_mib(), silent: silent(&agent) }
}

/// The devices that an agent which has ended called silent.
fn silent(agent: &Agent) -> u64 {
    let (mut answered, mut unanswered, mut silent) = (0, 0, BTreeSet::new());
    spooled(agent, |sample| match sample.fields.iter().find(|(name, _)| name == "answered") {
        Some((_, Value::Boolean(true))) => answered += 1,
        Some(_) => {
            unanswered += 1;
            silent.insert(sample.target);
        }
        None => {}
    });
    note(&format!("5,000 devices: {answered} rows say that one answered, {unanswered} that one did not"));
    let polls = f64::from(MANY * MANY_POLLS_MIN);
    assert!(float(answered) >= polls * 0.98, "{answered} rows of {polls} polls were written");
    assert!(silent.is_empty(), "{} devices that answer were called silent: {:?}", silent.len(), silent.first());
    silent.len() as u64
}

/// Everything of `snmp` that an agent has read and nobody has fetched.
fn spooled(agent: &Agent, mut each: impl FnMut(Sample)) {
    let config = SpoolConfig { max_bytes: SPOOL_MIB << 20, ..SpoolConfig::default() };
    let (mut spool, _) = Spool::open(&agent.state().join(SPOOL_DIR), config).expect("a spool of this version");
    let generations: Vec<u64> = spool.held().iter().map(|receipt| receipt.generation).collect();
    for id in generations.iter().flat_map(|generation| spool.waiting(*generation)).collect::<Vec<_>>() {
        let batch = spool.read(id).expect("a batch that waits can be read");
        let samples = batch::decode_alone(&batch).expect("the agent wrote it");
        samples.into_iter().filter(|sample| sample.measurement == "snmp").for_each(&mut each);
    }
}

/// So many switches on addresses of the loopback network.
fn devices(simulator: &Simulator, number: u32) -> Vec<SocketAddr> {
    let places = (0..=255).flat_map(|high| (1..=250).map(move |low| (high, low)));
    places
        .take(number as usize)
        .map(|(high, low)| simulator.device(Ipv4Addr::new(127, 20, high, low), switch(), Fault::Ticks))
        .collect()
}

fn switch() -> Rows {
    let mut rows = Rows::new();
    let system = [1, 3, 6, 1, 2, 1, 1];
    let of_system = |last: u32| [&system[..], &[last, 0]].concat();
    rows.insert(of_system(1), wrap(4, b"Simulated switch"));
    rows.insert(of_system(2), oid(&[1, 3, 6, 1, 4, 1, 99_999, 1]));
    rows.insert(of_system(3), integer(0x43, 360_000));
    rows.insert(of_system(5), wrap(4, b"sw-closet"));
    for port in 1..=PORTS {
        let old = |column: u32| [&[1, 3, 6, 1, 2, 1, 2, 2, 1][..], &[column, port]].concat();
        let new = |column: u32| [&[1, 3, 6, 1, 2, 1, 31, 1, 1, 1][..], &[column, port]].concat();
        rows.insert(old(3), integer(2, 6));
        OLD_COLUMNS
            .iter()
            .for_each(|column| drop(rows.insert(old(*column), integer(if *column < 9 { 2 } else { 0x41 }, 1))));
        rows.insert(new(1), wrap(4, format!("Gi0/{port}").as_bytes()));
        NEW_COLUMNS.iter().for_each(|column| drop(rows.insert(new(*column), wide(0x46, i128::from(port) << 33))));
    }
    rows
}

/// An agent that watches these devices and has no collector any more.
fn closet(program: &Path, addresses: &[SocketAddr], interval: Duration) -> Agent {
    let agent = Agent::of(vec![program.into()]);
    let collector = Collector::start("[own_agent]\nenabled = false\n");
    let token = collector.enrol_token("Lincoln High", 1);
    let _ = agent.enrol(&collector.grpc.to_string(), &token, "closet", "CLOSET-1").success();
    agent.configure(&format!(
        "interval = \"1h\"\nping_gateway = false\ndns_servers = false\n[spool]\nmax_mib = {SPOOL_MIB}\n[snmp]\ninterval = \"{}s\"\n\
         [[snmp.credential]]\nname = \"all\"\ncommunity = \"{COMMUNITY}\"\n",
        interval.as_secs()
    ));
    let assignment = |(number, address): (usize, &SocketAddr)| Assignment {
        device_id: format!("d{number:09}"),
        address: address.to_string(),
        credential: "all".to_owned(),
        ..Assignment::default()
    };
    let assignments = addresses.iter().enumerate().map(assignment).collect();
    let mut bytes = b"bellwether assignments 1\n".to_vec();
    bytes.extend(Assignments { assignments, managed_macs: Vec::new() }.encode_to_vec());
    std::fs::write(agent.state().join("assignments"), bytes).expect("an agent's folder takes a file");
    agent
}

struct Exporter {
    program: Program,
    address: SocketAddr,
    _folder: TempDir,
}

impl Exporter {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("snmp.yml");
        std::fs::write(&file, module()).expect("a folder takes a file");
        let address = free();
        let mut command = Command::new("prometheus-snmp-exporter");
        command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address={address}"));
        let program = Program::start("prometheus-snmp-exporter", &mut command);
        let limit = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < limit, "the exporter does not listen: {}", program.text());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { program, address, _folder: folder }
    }

    /// Scrapes each device once; lines with a value of a device.
    fn scrape_all(&self, addresses: &[SocketAddr]) -> u64 {
        addresses.iter().map(|address| self.scrape(*address)).sum()
    }

    fn scrape(&self, device: SocketAddr) -> u64 {
        let mut stream = TcpStream::connect(self.address).expect("the exporter listens");
        let request =
            format!("GET /snmp?module=closet&target={device} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the exporter takes a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the exporter answers in text");
        text.lines().filter(|line| line.starts_with("if") || line.starts_with("sysUpTime ")).count() as u64
    }
}

/// The same columns, for the exporter.
fn module() -> String {
    let columns: BTreeMap<String, String> =
        (OLD_COLUMNS.iter().map(|column| (format!("ifColumn{column}"), format!("{IF_TABLE}.{column}"))))
            .chain(NEW_COLUMNS.iter().map(|column| (format!("ifHCColumn{column}"), format!("{IF_X_TABLE}.{column}"))))
            .collect();
    let mut text = format!(
        "closet:\n  version: 2\n  max_repetitions: 25\n  auth: {{community: {COMMUNITY}}}\n  walk:\n  - {IF_X_TABLE}.1\n"
    );
    text.extend(columns.values().map(|name| format!("  - {name}\n")));
    text.push_str("  get: [1.3.6.1.2.1.1.3.0]\n  metrics:\n  - {name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge}\n");
    for (name, oid) in &columns {
        let _ = writeln!(
            text,
            "  - name: {name}\n    oid: {oid}\n    type: counter\n    indexes: [{{labelname: ifIndex, type: gauge}}]\n    \
             lookups: [{{labels: [ifIndex], labelname: ifName, oid: {IF_X_TABLE}.1, type: DisplayString}}]"
        );
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
