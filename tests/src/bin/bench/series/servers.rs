//! The three servers, and the one client that all of them see.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bellwether_series::{Options, Store};
use bellwether_tests::program::Program;
use bellwether_tests::{collector, wait};

use super::bodies::{Bodies, Lane};
use crate::agent::note;
use crate::agent::process::cpu_s;
use crate::ingest::folder_bytes;

const DATABASE: &str = "bench";

/// For a server to pack what it has, at most.
const SETTLE: Duration = Duration::from_secs(150);
/// It is done when its folder has kept its size for so long.
const STEADY: Duration = Duration::from_secs(12);
/// A program listens, at most after this.
const START: Duration = Duration::from_secs(60);
/// Before a body that was put off is sent again.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Influx,
    Victoria,
}

/// One server with a folder of its own.
pub(super) struct Server {
    kind: Kind,
    program: Program,
    folder: PathBuf,
    client: Client,
    rss_mib: f64,
}

impl Server {
    pub(super) fn start(kind: Kind, folder: &Path) -> Self {
        let address = collector::free();
        let (name, mut command) = command(kind, folder, address);
        let program = Program::start(name, &mut command);
        let server = Self { kind, program, folder: folder.to_owned(), client: Client::new(address), rss_mib: 0.0 };
        wait::until(name, START, || match kind {
            Kind::Victoria => server.client.get("/health", &[]).map(drop),
            Kind::Ours | Kind::Influx => server.client.query(&format!("CREATE DATABASE {DATABASE}")).map(drop),
        });
        server
    }

    /// Sends everything; values a second.
    pub(super) fn take(&self, bodies: &Bodies) -> f64 {
        let (before, begun) = (cpu_s(self.program.id()), Instant::now());
        std::thread::scope(|scope| {
            for lane in &bodies.lanes {
                scope.spawn(|| self.client.write_all(lane));
            }
        });
        let took = begun.elapsed();
        let cpu = cpu_s(self.program.id()) - before;
        let rate = float(bodies.values) / took.as_secs_f64();
        note(&format!("{:?}: {} values in {took:.1?}, {rate:.0}/s, {cpu:.1} s of CPU", self.kind, bodies.values));
        rate
    }

    /// Lets it pack everything as well as it can; the bytes on the disk, without what only saves it from a crash.
    pub(super) fn settle(&mut self) -> u64 {
        match self.kind {
            Kind::Ours => {
                self.stop();
                let begun = Instant::now();
                let store = Store::open(&self.folder.join("series"), Options::default()).expect("our own folder");
                store.seal_all().and_then(|_| store.compact()).and_then(|_| store.vacuum()).expect("room on the disk");
                drop(store);
                note(&format!("Ours: packed in {:.1?}", begun.elapsed()));
                let rss = self.rss_mib;
                *self = Self::start(Kind::Ours, &self.folder);
                self.rss_mib = rss;
            }
            Kind::Influx => {}
            Kind::Victoria => {
                self.client.get("/internal/force_flush", &[]).expect("it flushes");
                self.client.get("/internal/force_merge", &[]).expect("it merges");
            }
        }
        let begun = Instant::now();
        let (mut last, mut since) = (self.bytes(), Instant::now());
        while self.kind != Kind::Ours && begun.elapsed() < SETTLE && since.elapsed() < STEADY {
            std::thread::sleep(Duration::from_millis(500));
            let now = self.bytes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    fn bytes(&self) -> u64 {
        let parts: &[&str] = match self.kind {
            Kind::Ours => &["series"],
            Kind::Influx => &["data", "wal"],
            Kind::Victoria => &["data", "indexdb"],
        };
        parts.iter().map(|part| folder_bytes(&self.folder.join(part))).sum()
    }

    pub(super) fn query(&self, text: &str) -> Result<String, String> {
        self.client.query(text)
    }

    /// The most memory that it has had.
    pub(super) fn rss_mib(&mut self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<f64>().ok());
        self.rss_mib = self.rss_mib.max(kib.unwrap_or(0.0) / 1024.0);
        self.rss_mib
    }

    pub(super) fn stop(&mut self) {
        self.rss_mib();
        self.program.stop();
    }

    pub(super) fn kill(&mut self) {
        self.rss_mib();
        self.program.kill();
    }
}

fn command(kind: Kind, folder: &Path, address: SocketAddr) -> (&'static str, Command) {
    let shown = folder.display();
    match kind {
        Kind::Ours => {
            let own = std::env::current_exe().expect("a running program has a path");
            let mut command = Command::new(own.with_file_name("examples").join("serve"));
            command.arg("--listen").arg(address.to_string()).arg("--data").arg(folder);
            ("serve", command)
        }
        Kind::Influx => {
            let config = folder.join("influxdb.conf");
            let text = format!(
                "reporting-disabled = true\nbind-address = \"{}\"\n[meta]\ndir = \"{shown}/meta\"\n\
                 [data]\ndir = \"{shown}/data\"\nwal-dir = \"{shown}/wal\"\nquery-log-enabled = false\n\
                 cache-snapshot-write-cold-duration = \"2s\"\ncompact-full-write-cold-duration = \"4s\"\n\
                 [http]\nbind-address = \"{address}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
                collector::free()
            );
            std::fs::write(&config, text).expect("a folder takes a file");
            // A runaway one would take the machine with it.
            let mut command = Command::new("sh");
            command.arg("-c").arg("ulimit -v 4000000; exec influxd -config \"$0\"").arg(config);
            ("influxd", command)
        }
        Kind::Victoria => {
            let mut command = Command::new("victoria-metrics");
            command.arg(format!("-storageDataPath={shown}")).arg(format!("-httpListenAddr={address}"));
            command.args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]);
            ("victoria-metrics", command)
        }
    }
}

struct Client {
    address: SocketAddr,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { address, client, runtime: runtime() }
    }

    fn query(&self, text: &str) -> Result<String, String> {
        let by_post = text.starts_with("CREATE");
        let parameters = [("db", DATABASE), ("epoch", "ms"), ("q", text)];
        if by_post { self.ask(reqwest::Method::POST, "/query", &parameters) } else { self.get("/query", &parameters) }
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        self.ask(reqwest::Method::GET, path, parameters)
    }

    fn ask(&self, method: reqwest::Method, path: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        let url = reqwest::Url::parse_with_params(&format!("http://{}{path}", self.address), parameters);
        let url = url.map_err(|error| error.to_string())?;
        self.runtime.block_on(async {
            let answer = self.client.request(method, url).send().await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let text = answer.text().await.map_err(|error| error.to_string())?;
            if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
        })
    }

    /// Over a connection of its own, one body after the other.
    fn write_all(&self, lane: &Lane) {
        let url = format!("http://{}/write?db={DATABASE}&precision=ns", self.address);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        runtime().block_on(async {
            for at in 0..lane.len() {
                loop {
                    let answer = client.post(&url).body(lane.body(at)).send().await.expect("the server answers");
                    match answer.status().as_u16() {
                        204 => break,
                        503 => tokio::time::sleep(AGAIN).await,
                        other => panic!("the server refuses with {other}: {:?}", answer.text().await),
                    }
                }
            }
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
pub(super) const fn float(number: u64) -> f64 {
    number as f64
}
