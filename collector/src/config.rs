//! `collector.toml`: what an admin may set, with a default for everything.
//!
//! A setting that is not understood stops the program at once, with the file, the line and what was expected:
//! a misspelt key that is quietly ignored costs an afternoon months later.

mod discovery;
mod plan;
mod store;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use bellwether_agent::config::shown;
use bellwether_logic::engine::Settings;
use bellwether_logic::span::Span;
use bellwether_proto::trust::{ENDPOINTS_MAX, is_endpoint};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub use discovery::{Accept, Discovery};
pub use plan::Plan;
pub use store::{Api, Hidden, Influxdb, Keeping, Kind, Store};

/// The file's name in the data folder.
pub const FILE: &str = "collector.toml";

/// Every setting with its default, as a file to start from.
pub const DEFAULT_FILE: &str = include_str!("config/default.toml");

/// The collector's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses and names.
    pub network: Network,
    /// How pages are shown.
    pub pages: Pages,
    /// Where rules come from.
    pub rules: Rules,
    /// How the engine decides.
    pub engine: Settings,
    /// How much of the disk the journal may take.
    pub journal: Journal,
    /// Where series are kept.
    pub store: Store,
    /// The agent that watches the collector's own machine.
    pub own_agent: OwnAgent,
    /// What agents are told.
    pub agent: Agents,
    /// Agents' certificates.
    pub certificates: Certificates,
    /// What is done with devices that closets find.
    pub discovery: Discovery,
    /// The plan of purchases.
    pub plan: Plan,
    /// Bounds on what agents can ask for.
    pub limits: Limits,
}

/// What agents are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// Where to call from now on, `HOST:PORT`, the first tried first; empty: where they call now.
    pub endpoints: Vec<String>,
}

/// Agents' certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificates {
    /// How long after its end a certificate may still be renewed, in days. A machine that is put away at the end of the
    /// school year with little life left in its certificate comes back three months later, and one that missed the first
    /// weeks later still; twice that is half a year. Longer, and a disk that was thrown away is a way in for longer.
    pub renew_grace_days: u32,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { renew_grace_days: 180 }
    }
}

impl Certificates {
    /// The grace.
    #[must_use]
    pub const fn grace(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.renew_grace_days as u64 * 86_400)
    }
}

/// Addresses and names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Where people and tools look.
    #[serde(deserialize_with = "address")]
    pub http: SocketAddr,
    /// Where agents call.
    #[serde(deserialize_with = "address")]
    pub grpc: SocketAddr,
    /// The DNS name of both; empty until `setup` has run.
    pub name: String,
    /// Whether pages are served with TLS.
    pub tls: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { http: loopback(7080), grpc: loopback(7443), name: String::new(), tls: false }
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom("expected an address and a port, such as 127.0.0.1:7080 or [::1]:7080"))
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// How pages are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// The time zone of times on pages, such as `America/Chicago`; empty: this machine's.
    pub zone: String,
}

impl Pages {
    /// The time zone.
    ///
    /// # Errors
    /// When it is not known.
    pub fn time_zone(&self) -> Result<jiff::tz::TimeZone, jiff::Error> {
        match self.zone.as_str() {
            "" => Ok(jiff::tz::TimeZone::system()),
            name => jiff::tz::TimeZone::get(name),
        }
    }
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// The folder of the school's own rules, relative to the data folder. It need not exist.
    pub folder: PathBuf,
}

impl Default for Rules {
    fn default() -> Self {
        Self { folder: "rules".into() }
    }
}

/// How much of the disk the journal may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// In all; 0 leaves it to the size of the disk.
    pub max_bytes: u64,
    /// In one file.
    pub segment_bytes: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { max_bytes: 0, segment_bytes: 64 << 20 }
    }
}

/// The agent that watches the collector's own machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnAgent {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it reads.
    pub interval: Span,
    /// The building in which the collector stands.
    pub site: String,
}

impl Default for OwnAgent {
    fn default() -> Self {
        Self { enabled: true, interval: Span::from_secs(10), site: "Main building".into() }
    }
}

/// Bounds on what agents can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Handshakes under way at once.
    pub handshakes: usize,
    /// Connections without a certificate, which enrolment needs, at once.
    pub strangers: usize,
    /// The time for one handshake.
    pub handshake_timeout: Span,
    /// Back-fill batches under way unacknowledged, an agent.
    pub backfill_window: u32,
    /// Back-fill batches a second, an agent.
    pub backfill_per_second: u32,
    /// Enrolments a minute, in all.
    pub enrolments_per_minute: u32,
    /// Renewals a minute, in all.
    pub renewals_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            handshakes: 256,
            strangers: 256,
            handshake_timeout: Span::from_secs(10),
            backfill_window: 32,
            backfill_per_second: 20,
            enrolments_per_minute: 600,
            renewals_per_minute: 1200,
        }
    }
}

/// Why a configuration file is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds a secret, and everyone on this machine can read it.
    #[error("{} holds a secret of store.influxdb and can be read by everyone on this machine: take that right away (chmod o= FILE)", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// A line of it is not understood.
    #[error("{}, line {line}: `{text}`: {message}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The line, so that key and value are seen.
        text: String,
        /// What was expected.
        message: String,
    },
    /// Each setting is understood, but not all of them together.
    #[error("{}: {key} = {value}: expected {expected}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which setting.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
}

impl Config {
    /// Reads a file. With `required` unset a file that does not exist means the defaults.
    ///
    /// # Errors
    /// When the file cannot be read or is not understood.
    pub fn load(path: &Path, required: bool) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let config = Self::parse(path, &text)?;
                if config.store.influxdb.holds_secret() && is_for_everyone(path) {
                    return Err(ConfigError::Open { path: path.into() });
                }
                Ok(config)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.into(), source }),
        }
    }

    /// Reads a configuration from its text; `path` is for messages.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| parse_error(path, text, &error))?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let network = &self.network;
        let limits = &self.limits;
        let interval = self.own_agent.interval.0.as_secs();
        let wrong = [
            (
                network.tls && network.name.is_empty(),
                "network.tls",
                network.tls.to_string(),
                "false while network.name is empty: a certificate needs a name",
            ),
            (
                !network.name.is_empty() && !is_dns_name(&network.name),
                "network.name",
                network.name.clone(),
                "a DNS name such as bellwether.school.example",
            ),
            (
                self.pages.time_zone().is_err(),
                "pages.zone",
                self.pages.zone.clone(),
                "empty, or a time zone such as America/Chicago",
            ),
            (
                !(1..=3600).contains(&interval),
                "own_agent.interval",
                self.own_agent.interval.to_string(),
                "one second to one hour",
            ),
            (self.own_agent.site.trim().is_empty(), "own_agent.site", "\"\"".into(), "the name of a building"),
            (
                self.journal.segment_bytes < MIN_SEGMENT_BYTES,
                "journal.segment_bytes",
                self.journal.segment_bytes.to_string(),
                "at least 4194304 (4 MiB)",
            ),
            (
                self.journal.max_bytes != 0 && self.journal.max_bytes < self.journal.segment_bytes.saturating_mul(2),
                "journal.max_bytes",
                self.journal.max_bytes.to_string(),
                "0, or at least twice journal.segment_bytes",
            ),
            (
                limits.connections == 0 || limits.handshakes == 0 || limits.strangers == 0,
                "limits.connections, limits.handshakes, limits.strangers",
                "0".into(),
                "at least 1",
            ),
            (
                self.agent.endpoints.len() >= ENDPOINTS_MAX || !self.agent.endpoints.iter().all(|it| is_endpoint(it)),
                "agent.endpoints",
                self.agent.endpoints.join(", "),
                "up to seven of the form HOST:PORT",
            ),
            (
                self.certificates.renew_grace_days > 3650,
                "certificates.renew_grace_days",
                self.certificates.renew_grace_days.to_string(),
                "at most 3650",
            ),
            (
                limits.backfill_window == 0 || limits.backfill_per_second == 0,
                "limits.backfill_window, limits.backfill_per_second",
                "0".into(),
                "at least 1",
            ),
        ];
        match wrong.into_iter().chain(self.store.wrong()).chain(self.plan.wrong()).find(|(is_wrong, ..)| *is_wrong) {
            None => Ok(()),
            Some((_, key, value, expected)) => Err(ConfigError::Value { path: path.into(), key, value, expected }),
        }
    }
}

/// Below this a segment would hold only a few of the largest batches.
const MIN_SEGMENT_BYTES: u64 = 4 << 20;

/// Letters, digits and hyphens between dots, as hosts are named; a bare address has no certificate.
#[must_use]
pub fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && !name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether everyone on this machine can read a file.
#[cfg(unix)]
fn is_for_everyone(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
}

/// Elsewhere the folder's rights, which it inherits, decide.
#[cfg(not(unix))]
fn is_for_everyone(_path: &Path) -> bool {
    false
}

/// One line out of the parser's own report, which draws a picture over several.
pub(crate) fn parse_error(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = &text.as_bytes()[..start];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    ConfigError::Parse {
        path: path.into(),
        line: line + 1,
        text: shown(text, line),
        message: error.message().replace('\n', ", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("collector.toml"), text)
    }

    #[test]
    fn the_default_file_says_what_the_defaults_are() {
        assert_eq!(parse(DEFAULT_FILE).unwrap(), Config::default());
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_what_was_expected() {
        let error = parse("[network]\nhtp = \"1\"\n").unwrap_err().to_string();
        assert!(error.starts_with("collector.toml, line 2: `htp = \"1\"`"), "{error}");
        assert!(error.contains("http") && error.contains("grpc"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        let error = parse("[own_agent]\ninterval = \"soon\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2: `interval = \"soon\"`"), "{error}");
        assert!(error.contains("such as `5m`"), "{error}");
        let error = parse("[network]\nhttp = \"here\"\n").unwrap_err().to_string();
        assert!(error.contains("`http = \"here\"`: expected an address and a port"), "{error}");
        let error = parse("[network]\ntls = true\n").unwrap_err().to_string();
        assert!(error.contains("network.tls = true: expected false"), "{error}");
    }

    #[test]
    fn what_is_kept_grows_with_its_step_and_covers_what_pages_look_back() {
        let error = |text: &str| parse(&format!("[store.keep]\n{text}\n")).unwrap_err().to_string();
        assert!(parse("[store.keep]\npoints = \"14d\"\nhours = \"3650d\"\n").is_ok());
        let short = error("points = \"2d\"");
        assert!(short.contains("store.keep.points = 2d: expected whole days, at least \"7d\""), "{short}");
        assert!(error("points = \"36h\"").contains("store.keep.points"));
        assert!(error("five_minutes = \"20d\"").contains("no less than store.keep.points"));
        assert!(error("hours = \"399d\"").contains("at least \"400d\""));
    }

    #[test]
    fn an_address_is_no_name() {
        assert!(is_dns_name("bellwether.school.example"));
        assert!(is_dns_name("localhost"));
        assert!(!is_dns_name("10.1.2.3"));
        assert!(!is_dns_name("two words"));
        assert!(!is_dns_name("a..b"));
        assert!(!is_dns_name(""));
    }

    #[test]
    fn a_missing_file_means_defaults_unless_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collector.toml");
        assert_eq!(Config::load(&path, false).unwrap(), Config::default());
        assert!(Config::load(&path, true).is_err());
    }
}
