//! A hundred agents with ordinary health data into a real collector, by the real gRPC with mutual TLS.
//!
//! - `ingest_values_per_s`: acknowledged values (durable and visible to queries) a second, all agents together.
//! - `wire_bytes_per_value`: what a value costs on the line, with the framing of gRPC, HTTP/2 and TLS.
//! - `disk_bytes_per_value`: the store's folder after a clean stop, the journal left out.
//!
//! The peer is Debian's influxd with the same rows as line protocol, gzip, one body per agent and interval for the wire
//! and bodies of 5,000 lines for the rest, as Telegraf sends them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_logic::sample::Sample;
use bellwether_proto::v1::AgentMessage;
use bellwether_tests::collector::{self, Collector};
use bellwether_tests::firehose::{Line, Sender, now_ms};
use bellwether_tests::program::Program;
use bellwether_tests::wait;

use crate::Figure;

mod lines;
mod machine;

use machine::Machine;

const AGENTS: u64 = 100;

/// Readings of each agent; at one a minute, six hours.
const READINGS: u64 = 360;

/// Between two readings.
const INTERVAL_MS: i64 = 60_000;

/// Lines in one body for the peer.
const LINES: usize = 5_000;

/// The unit in which the system counts what a file takes.
const BLOCK_BYTES: u64 = 512;

/// Bodies that are weighed for the wire.
const WEIGHED: u64 = 200;

/// For influxd to move what it has in memory to its files, at most.
const SETTLE: Duration = Duration::from_secs(120);

/// It is done when its folder has kept its size for so long; it looks for something to pack every few seconds.
const STEADY: Duration = Duration::from_secs(15);

struct Measured {
    values_per_s: f64,
    wire: f64,
    disk: f64,
}

pub(crate) fn run() -> Vec<Figure> {
    let ours = ours();
    let peer = influxd();
    let figure = |name: &str, value, unit, peer_value| Figure {
        name: name.to_owned(),
        value,
        unit,
        peer: "influxd",
        peer_value,
    };
    vec![
        figure("ingest_values_per_s", ours.values_per_s, "values/s", peer.values_per_s),
        figure("wire_bytes_per_value", ours.wire, "bytes", peer.wire),
        figure("disk_bytes_per_value", ours.disk, "bytes", peer.disk),
    ]
}

/// The readings of one agent at one time. The same for both, whoever asks first.
fn reading(agent: u64, number: u64, begin_ms: i64) -> Vec<Sample> {
    let number_ms = i64::try_from(number).unwrap_or(i64::MAX);
    Machine::new(agent).read(number, begin_ms + number_ms * INTERVAL_MS)
}

fn begin_ms() -> i64 {
    now_ms() - i64::try_from(READINGS).unwrap_or(0) * INTERVAL_MS
}

fn values(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| sample.fields.len() as u64).sum()
}

#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
fn ratio(of: u64, by: u64) -> f64 {
    of as f64 / by as f64
}

fn ours() -> Measured {
    let mut collector = Collector::start("[own_agent]\nenabled = false\n");
    let token = collector.enrol_token("Lincoln High", u32::try_from(AGENTS).expect("a hundred"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begin = begin_ms();
    let (senders, took) = runtime.block_on(async {
        let mut ready = Vec::new();
        for agent in 0..AGENTS {
            let folder = collector.room().join(format!("sender-{agent}"));
            let name = format!("PC-{agent:03}");
            let endpoint = collector.grpc.to_string();
            let mut sender = Sender::enrol(&folder, &endpoint, &token, &name).await.expect("an enrolment");
            let mut line = sender.connect().await.expect("a stream");
            // The peer's bodies are made before the clock runs, too.
            let made = sender.make(&mut line, READINGS, |number| reading(agent, number, begin));
            ready.push((sender, line, made));
        }
        let tasks = tokio::task::LocalSet::new();
        let started = Instant::now();
        let pour = |(mut sender, mut line, made): (Sender, Line, Vec<AgentMessage>)| {
            tasks.spawn_local(async move {
                sender.send_made(&mut line, made).await.expect("acknowledgements");
                sender
            })
        };
        let running: Vec<_> = ready.into_iter().map(pour).collect();
        let mut done = Vec::new();
        tasks
            .run_until(async {
                for task in running {
                    done.push(task.await.expect("a sender that does not panic"));
                }
            })
            .await;
        (done, started.elapsed())
    });
    let sent: u64 = senders.iter().map(|sender| sender.sent_values).sum();
    let bytes: u64 = senders.iter().map(|sender| sender.sent_bytes).sum();
    let status = collector.program().stop();
    assert!(status.success(), "the collector did not stop cleanly: {}", collector.program().text());
    let disk = folder_bytes(&collector.data().join("series"));
    Measured { values_per_s: ratio(sent, 1) / took.as_secs_f64(), wire: ratio(bytes, sent), disk: ratio(disk, sent) }
}

/// What a folder takes on the disk: influxd makes files of 4 MiB that are mostly holes, which cost nothing.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("a folder can be listed");
        let data = entry.metadata().expect("a file has a size");
        if data.is_dir() { folder_bytes(&entry.path()) } else { data.blocks() * BLOCK_BYTES }
    });
    sizes.sum()
}

fn influxd() -> Measured {
    let room = tempfile::tempdir().expect("a temporary folder");
    let address = collector::free();
    let config = room.path().join("influxdb.conf");
    let folder = room.path().display();
    let text = format!(
        "reporting-disabled = true\nbind-address = \"{}\"\n[meta]\ndir = \"{folder}/meta\"\n[data]\ndir = \"{folder}/data\"\n\
         wal-dir = \"{folder}/wal\"\nquery-log-enabled = false\ncache-snapshot-write-cold-duration = \"2s\"\n\
         compact-full-write-cold-duration = \"4s\"\n\
         [http]\nbind-address = \"{address}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
        collector::free()
    );
    fs::write(&config, text).expect("a folder takes a file");
    let mut program = Program::start("influxd", Command::new("influxd").arg("-config").arg(&config));
    let base = format!("http://{address}");
    let client = lines::Client::new(&base);
    wait::until("influxd", Duration::from_secs(30), || client.query("CREATE DATABASE bench"));

    let begin = begin_ms();
    let (bodies, sent) = bodies(begin);
    let started = Instant::now();
    client.write_all(&bodies);
    let took = started.elapsed();
    let disk = settled_bytes(room.path());
    program.stop();
    Measured { values_per_s: ratio(sent, 1) / took.as_secs_f64(), wire: wire_of_lines(begin), disk: ratio(disk, sent) }
}

/// What the peer's folder takes once it has moved everything from its log into its files and packed these: its size is
/// then the same for a while.
fn settled_bytes(room: &Path) -> u64 {
    let size = || folder_bytes(&room.join("data")) + folder_bytes(&room.join("wal"));
    let begun = Instant::now();
    let (mut last, mut since) = (size(), Instant::now());
    while begun.elapsed() < SETTLE && since.elapsed() < STEADY {
        std::thread::sleep(Duration::from_millis(500));
        let now = size();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// All rows as the peer takes them, in the order in which agents would send them, and how many values they hold.
fn bodies(begin: i64) -> (Vec<Vec<u8>>, u64) {
    let (mut bodies, mut body, mut count, mut sent) = (Vec::new(), String::new(), 0, 0);
    for number in 0..READINGS {
        for agent in 0..AGENTS {
            let samples = reading(agent, number, begin);
            sent += values(&samples);
            for sample in &samples {
                lines::line(&mut body, agent, sample);
                count += 1;
                if count % LINES == 0 {
                    bodies.push(gzip(&std::mem::take(&mut body)));
                }
            }
        }
    }
    if !body.is_empty() {
        bodies.push(gzip(&body));
    }
    (bodies, sent)
}

/// What one agent's interval costs as a body of its own.
fn wire_of_lines(begin: i64) -> f64 {
    let (mut bytes, mut sent) = (0, 0);
    for number in 0..WEIGHED {
        let samples = reading(number % AGENTS, number, begin);
        let mut body = String::new();
        samples.iter().for_each(|sample| lines::line(&mut body, number % AGENTS, sample));
        bytes += gzip(&body).len() as u64 + lines::REQUEST_BYTES;
        sent += values(&samples);
    }
    ratio(bytes, sent)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .args(["-6", "-c", "-n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is installed");
    let mut input = child.stdin.take().expect("the input is piped");
    let text = text.to_owned();
    let feeding = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output().expect("gzip ends");
    feeding.join().expect("the feeder does not panic").expect("gzip reads all");
    output.stdout
}
