//! Real InfluxDB 1.6 and VictoriaMetrics, as Debian packages them, on ports and folders of their own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::collector::free;
use crate::http::Http;
use crate::program::Program;
use crate::wait;

/// What it may take of memory, in KiB: a question of the wrong kind makes it take all there is.
const MAX_KIB: u32 = 4 << 20;

/// How long it may take until it answers, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A server that keeps its folder and its port when it is stopped and started.
#[derive(Debug)]
pub struct Server {
    command: String,
    program: Option<Program>,
    /// Where it listens.
    pub address: SocketAddr,
    client: Http,
    _folder: TempDir,
}

impl Server {
    /// `influxd` 1.6 of the package influxdb, running.
    ///
    /// # Panics
    /// If it is not there, or does not start.
    #[must_use]
    pub fn influxd() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, backup, place) = (free(), free(), folder.path().display());
        let configuration = format!(
            "reporting-disabled = true\nbind-address = \"{backup}\"\n[meta]\ndir = \"{place}/meta\"\n[data]\n\
             dir = \"{place}/data\"\nwal-dir = \"{place}/wal\"\nquery-log-enabled = false\n[http]\n\
             bind-address = \"{address}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n[logging]\nlevel = \"error\"\n"
        );
        let file = folder.path().join("influxd.conf");
        std::fs::write(&file, configuration).expect("an empty folder takes a file");
        let command = format!("ulimit -v {MAX_KIB}; exec influxd -config {}", file.display());
        Self::start(command, address, folder)
    }

    /// `victoria-metrics` of the package of that name, running.
    ///
    /// # Panics
    /// If it is not there, or does not start.
    #[must_use]
    pub fn victoria_metrics() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, place) = (free(), folder.path().display());
        let command =
            format!("exec victoria-metrics -storageDataPath={place} -httpListenAddr={address} -retentionPeriod=1");
        Self::start(command, address, folder)
    }

    fn start(command: String, address: SocketAddr, folder: TempDir) -> Self {
        let mut server = Self { command, program: None, address, client: Http::new(address), _folder: folder };
        server.go();
        server
    }

    /// Starts it, again or for the first time, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn go(&mut self) {
        self.program = Some(Program::start("the server", Command::new("sh").args(["-c", &self.command])));
        wait::until("the server to answer", START_LIMIT, || {
            let program = self.program.as_mut().expect("it was started");
            assert!(program.ended().is_none(), "the server ended, or is not installed: {}", program.text());
            self.client.get("/ping", None).map(drop)
        });
    }

    /// Its process.
    ///
    /// # Panics
    /// If it was never started.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("it was started")
    }

    /// The first result of InfluxQL, times in ms; what went wrong instead.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub fn ask(&self, database: &str, question: &str) -> Result<Value, String> {
        let url =
            reqwest::Url::parse_with_params("http://x/query", [("db", database), ("epoch", "ms"), ("q", question)]);
        let url = url.map_err(|error| error.to_string())?;
        let answer = self.client.get(&format!("/query?{}", url.query().unwrap_or_default()), None)?;
        let json: Value = serde_json::from_str(&answer.text).map_err(|_| answer.text.clone())?;
        match json["results"][0]["error"].as_str().or_else(|| json["error"].as_str()) {
            Some(error) => Err(error.to_owned()),
            None => Ok(json["results"][0]["series"].clone()),
        }
    }

    /// The distinct times, in ms, that VictoriaMetrics has of metrics of this name.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn times(&self, metric: &str) -> Result<std::collections::BTreeSet<i64>, String> {
        // What was just written is shown at once.
        self.client.get("/internal/force_flush", None)?;
        let answer = self.client.get(&format!("/api/v1/export?match[]={metric}"), None)?;
        let series = answer.text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let times = series.flat_map(|one| one["timestamps"].as_array().cloned().unwrap_or_default());
        Ok(times.filter_map(|time| time.as_i64()).collect())
    }
}
