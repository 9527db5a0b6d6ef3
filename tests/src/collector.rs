//! A real collector on a data folder of its own, with ports of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::http::Http;
use crate::program::{self, Program};
use crate::wait;

/// The program.
pub const NAME: &str = "bellwether-collector";

/// How long a collector may take until it answers. Unoptimised, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The last line of what it prints once everything is in place.
const BANNER_ENDS: &str = "Ctrl-C stops it.";

/// Below the ports that the system hands out for outgoing connections, so that none takes ours between two starts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A collector, running or not, with its folder.
#[derive(Debug)]
pub struct Collector {
    program: Option<Program>,
    /// Everything of this collector lies in here.
    folder: TempDir,
    /// Where people look.
    pub http: SocketAddr,
    /// Where agents call.
    pub grpc: SocketAddr,
    client: Http,
}

impl Collector {
    /// One that is not running yet. `config` is its `collector.toml`.
    ///
    /// # Panics
    /// If there is no room on the disk.
    #[must_use]
    pub fn prepare(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("bellwether-").tempdir().expect("a temporary folder");
        let collector =
            Self { program: None, client: Http::new(([127, 0, 0, 1], 1).into()), folder, http: free(), grpc: free() };
        fs::create_dir(collector.data()).expect("an empty folder takes a folder");
        fs::write(collector.config(), config).expect("an empty folder takes a file");
        Self { client: Http::new(collector.http), ..collector }
    }

    /// One that runs and answers.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start(config: &str) -> Self {
        let mut collector = Self::prepare(config);
        collector.go();
        collector
    }

    /// One that has its configuration in its data folder, ports and all, as after `setup`.
    ///
    /// # Panics
    /// If there is no room on the disk.
    #[must_use]
    pub fn start_configured() -> Self {
        let mut collector = Self::prepare("");
        let text = format!("[network]\nhttp = \"{}\"\ngrpc = \"{}\"\n", collector.http, collector.grpc);
        fs::write(collector.data().join("collector.toml"), text).expect("a folder takes a file");
        let mut command = Command::new(program::built(NAME));
        collector.program = Some(Program::start(NAME, command.arg("--data").arg(collector.data())));
        collector.wait_until_ready();
        collector
    }

    /// Starts it, again or for the first time, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn go(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&mut self) {
        self.program = Some(Program::start(NAME, Command::new(program::built(NAME)).args(self.arguments())));
    }

    /// Waits until it answers and has said so.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_ready(&mut self) {
        wait::until("the collector to answer", START_LIMIT, || {
            let program = self.program.as_mut().expect("it was started");
            assert!(program.ended().is_none(), "the collector ended: {}", program.text());
            match self.client.get("/healthz", None) {
                Ok(answer) if answer.status == 200 && program.text().contains(BANNER_ENDS) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    /// The command line that starts it.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().expect("temporary folders have plain names").to_owned();
        let pairs = [
            ("--data", text(self.data())),
            ("--http", self.http.to_string()),
            ("--grpc", self.grpc.to_string()),
            ("--config", text(self.config())),
        ];
        let pairs = pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        std::iter::once("serve".to_owned()).chain(pairs).collect()
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("collector.toml")
    }

    /// Room for whatever else a test needs, gone with the collector.
    #[must_use]
    pub fn room(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    ///
    /// # Panics
    /// If it was never started.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the collector was started")
    }

    /// Its HTTP face.
    #[must_use]
    pub const fn client(&self) -> &Http {
        &self.client
    }

    /// The content of `grafana.token`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn grafana_token(&self) -> String {
        let path = self.data().join("grafana.token");
        fs::read_to_string(path).expect("a started collector leaves a token for Grafana").trim().to_owned()
    }

    /// Runs one of the collector's commands on its folder: `words`, then `--data`.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> program::Ended {
        let data = self.data();
        let mut arguments: Vec<_> = words.iter().map(std::ffi::OsString::from).collect();
        arguments.extend(["--data".into(), data.into_os_string()]);
        program::run(NAME, arguments)
    }

    /// Another of the same configuration and ports, on a data folder that is made from this one's backup. It does not run yet.
    ///
    /// # Panics
    /// If the backup can't be put back.
    #[must_use]
    pub fn restored(&self, backup: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("bellwether-").tempdir().expect("a temporary folder");
        let other = Self { program: None, folder, http: self.http, grpc: self.grpc, client: Http::new(self.http) };
        fs::copy(self.config(), other.config()).expect("a folder takes a file");
        let from = backup.to_str().expect("temporary folders have plain names");
        let said = other.command(&["restore", "--from", from]).success();
        assert!(said.contains("agents come back by themselves"), "{said}");
        other
    }

    /// Uses the first-login link; answers the session's cookie.
    ///
    /// # Panics
    /// If the link does not work.
    #[must_use]
    pub fn log_in(&self) -> String {
        let text = fs::read_to_string(self.data().join("first-login.txt")).expect("a first start leaves a link");
        let start = text.find("/welcome/").expect("the link is in the file");
        let path = text[start..].split_whitespace().next().expect("a link has a text");
        let fields = [("login", "tests"), ("password", "correct horse battery")];
        let answer = self.client.post_form(path, &fields, "").expect("the collector answers");
        let cookie = answer.cookies.first().unwrap_or_else(|| panic!("no session: {} {}", answer.status, answer.text));
        cookie.split(';').next().expect("a cookie has a value").to_owned()
    }

    /// A token for one site, as the admin gets it: cut out of the printed command.
    ///
    /// # Panics
    /// If the command prints none.
    #[must_use]
    pub fn enrol_token(&self, site: &str, uses: u32) -> String {
        let uses = uses.to_string();
        let printed = self.command(&["token", "enrol", "--site", site, "--uses", &uses, "--expires", "7d"]).success();
        let token = printed.split_whitespace().find(|word| word.starts_with("bw1."));
        token.unwrap_or_else(|| panic!("no token in: {printed}")).to_owned()
    }

    /// A token for the API.
    ///
    /// # Panics
    /// If the command prints none.
    #[must_use]
    pub fn api_token(&self) -> String {
        self.api_token_of("admin", "tests")
    }

    /// A token of this role, by which a program acts under this name.
    ///
    /// # Panics
    /// If the collector refuses.
    #[must_use]
    pub fn api_token_of(&self, role: &str, name: &str) -> String {
        let printed = self.command(&["token", "api", "--role", role, "--name", name]).success();
        // The token is the one long word without a blank or a slash in it.
        let words = printed.split_whitespace().filter(|word| word.len() >= 20 && !word.contains('/'));
        let token = words.max_by_key(|word| word.len());
        token.unwrap_or_else(|| panic!("no token in: {printed}")).to_owned()
    }
}

/// A port of this machine that nothing listens on.
///
/// # Panics
/// If all are taken.
#[must_use]
pub fn free() -> SocketAddr {
    let taken = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err();
    let mut candidates = std::iter::repeat_with(|| rand::random_range(PORTS)).take(1000);
    let port = candidates.find(|port| !taken(*port)).expect("one of a thousand ports is free");
    (Ipv4Addr::LOCALHOST, port).into()
}
