//! `agent.toml`: what an admin may set on one machine. The file is optional; the shipped one says the defaults.
//!
//! A bad file stops the agent at start with the key, the value and what was expected.
//!
//! Three layers, key by key: what is shipped, what the collector sends, and over both the machine's own file. A list is
//! one value: the layer above replaces it whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_logic::span::Span;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::privacy::{HostPattern, NamingFile, Networks, SchoolFile};

use crate::probe::Probe;
use crate::probe::settings::{self, PingFile, ProbeFile};
use crate::snmp::settings::{Snmp, SnmpFile};
use crate::source::cpu::CpuConfig;
use crate::source::smart::{SmartConfig, SmartFile};
use crate::source::wireless::{MAX_SSIDS, WirelessConfig};

/// The shipped file, which says what `Config::default()` is.
pub const DEFAULT_FILE: &str = include_str!("../agent.toml");

/// Below it an agent is no longer light; above it a fleet page is no longer alive.
const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Fixed file systems that an admin vouches for.
const MAX_MOUNTS: usize = 64;

/// The agent's configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// From one reading to the next.
    pub interval: Duration,
    /// What is told of the processors.
    pub cpu: CpuConfig,
    /// Paths of file systems that may be sent although they are not on the list of well-known ones.
    pub mounts: Vec<String>,
    /// How disks are asked for their health.
    pub smart: SmartConfig,
    /// The spool's limits.
    pub spool: SpoolConfig,
    /// What is told of the wireless link.
    pub wireless: WirelessConfig,
    /// Whether the default gateway is pinged.
    pub ping_gateway: bool,
    /// Whether the system's DNS servers are asked.
    pub dns_servers: bool,
    /// What else is looked at.
    pub probes: Vec<Probe>,
    /// What is watched by SNMP.
    pub snmp: Snmp,
    /// Where the school is; empty: everywhere.
    pub school: Networks,
    /// Which hostnames may be sent; none by default.
    pub hostname: Option<HostPattern>,
}

/// A configuration that somebody wrote.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// For messages.
    pub path: &'a Path,
    /// What it says.
    pub text: &'a str,
}

/// An `agent.toml` that stands in another file: the collector has some, and checks them by what the agent itself knows.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Written(File);

/// The spool's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The oldest readings go when it would grow larger.
    pub max_bytes: u64,
    /// Older readings go.
    pub max_age: Duration,
    /// A power cut loses at most this.
    pub sync: Duration,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key that is not known, or a value of the wrong kind.
    #[error("{path}, line {line} (`{text}`): {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is on it.
        text: String,
        /// What was expected.
        message: String,
    },
    /// A value is out of bounds.
    #[error("{path}: {key} = {value}: expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it is set to.
        value: String,
        /// What it may be.
        expected: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            cpu: CpuConfig::default(),
            mounts: Vec::new(),
            smart: SmartConfig::default(),
            spool: SpoolConfig::default(),
            wireless: WirelessConfig::default(),
            ping_gateway: true,
            dns_servers: true,
            probes: Vec::new(),
            snmp: Snmp::default(),
            school: Networks::default(),
            hostname: None,
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_age: Duration::from_secs(14 * 86_400), sync: Duration::from_secs(30) }
    }
}

impl Config {
    /// Reads a file; one that is not there says the defaults.
    ///
    /// # Errors
    /// When the file can't be read or says what can't be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::layered(&[Layer { path, text: &read(path)? }])
    }

    /// Reads a text; `path` is for the messages.
    ///
    /// # Errors
    /// When the text says what can't be.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::layered(&[Layer { path, text }])
    }

    /// Reads several texts, each above those before it, key by key. Each must be good by itself.
    ///
    /// # Errors
    /// When one of them says what can't be, or all together do.
    pub fn layered(layers: &[Layer<'_>]) -> Result<Self, ConfigError> {
        let mut merged = Spanned::new(0..0, DeTable::new());
        for layer in layers {
            let bad = |error: toml::de::Error| at_line(layer.path, layer.text, &error);
            toml::from_str::<Written>(layer.text).map_err(bad)?.build(layer.path)?;
            merge(merged.get_mut(), DeTable::parse(layer.text).map_err(bad)?.into_inner());
        }
        let path = layers.last().map_or(Path::new(""), |layer| layer.path);
        Written::deserialize(toml::Deserializer::from(merged)).map_err(|error| at_line(path, "", &error))?.build(path)
    }
}

impl Written {
    /// Checks the values; `path` is for the messages.
    ///
    /// # Errors
    /// When one is out of bounds.
    pub fn build(self, path: &Path) -> Result<Config, ConfigError> {
        self.0.build().map_err(|bad| ConfigError::Value {
            path: path.to_owned(),
            key: bad.key,
            value: bad.value,
            expected: bad.expected,
        })
    }
}

/// What a file says; nothing if it is not there.
///
/// # Errors
/// When it is there and can't be read.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        result => result.map_err(|source| ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// Lays one table above another, key by key; lists are replaced whole.
fn merge<'t>(below: &mut DeTable<'t>, above: DeTable<'t>) {
    for (key, value) in above {
        let span = value.span();
        match (below.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(below)), DeValue::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, Spanned::new(span, value));
            }
        }
    }
}

fn at_line(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count();
    ConfigError::Parse {
        path: path.to_owned(),
        line: line + 1,
        text: shown(text, line),
        message: error.message().lines().collect::<Vec<_>>().join("; "),
    }
}

/// A line of a file, counted from 0, as a message may repeat it: without what may be a secret.
#[must_use]
pub fn shown(text: &str, line: usize) -> String {
    let written = text.lines().nth(line).unwrap_or_default().trim();
    if may_hold_a_secret(text, line) { hidden(written) } else { written.to_owned() }
}

/// Whether a line may not be repeated: one of a credential, or one that names a password, whatever is wrong with it.
fn may_hold_a_secret(text: &str, line: usize) -> bool {
    let within = text.lines().take(line + 1).filter(|line| line.trim_start().starts_with('[')).last();
    let names =
        |line: &str| ["credential", "password", "community", "token", "proxy"].iter().any(|word| line.contains(word));
    within.is_some_and(names) || text.lines().nth(line).is_some_and(names)
}

fn hidden(line: &str) -> String {
    line.split_once('=').map_or_else(|| "***".to_owned(), |(key, _)| format!("{} = ***", key.trim()))
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    interval: String,
    cpu: CpuConfig,
    disk: DiskFile,
    smart: SmartFile,
    spool: SpoolFile,
    wireless: WirelessConfig,
    ping_gateway: bool,
    dns_servers: bool,
    ping: Vec<PingFile>,
    probe: Vec<ProbeFile>,
    snmp: SnmpFile,
    school: SchoolFile,
    naming: NamingFile,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DiskFile {
    mounts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SpoolFile {
    max_mib: u64,
    max_age_days: u64,
    sync_s: u64,
}

/// A value out of bounds.
pub(crate) struct Bad {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) expected: &'static str,
}

/// What is wrong with a target names more than a key.
impl From<Bad> for settings::Bad {
    fn from(bad: Bad) -> Self {
        Self::new(bad.key, bad.value, bad.expected)
    }
}

impl Default for File {
    fn default() -> Self {
        Self {
            interval: "60s".to_owned(),
            cpu: CpuConfig::default(),
            disk: DiskFile::default(),
            smart: SmartFile::default(),
            spool: SpoolFile::default(),
            wireless: WirelessConfig::default(),
            ping_gateway: true,
            dns_servers: true,
            ping: Vec::new(),
            probe: Vec::new(),
            snmp: SnmpFile::default(),
            school: SchoolFile::default(),
            naming: NamingFile::default(),
        }
    }
}

impl Default for SpoolFile {
    fn default() -> Self {
        Self { max_mib: 64, max_age_days: 14, sync_s: 30 }
    }
}

impl File {
    fn build(self) -> Result<Config, settings::Bad> {
        let config = Config {
            interval: interval(&self.interval)?,
            cpu: self.cpu,
            mounts: self.disk.build()?,
            smart: self.smart.build()?,
            spool: self.spool.build()?,
            wireless: wireless(self.wireless)?,
            ping_gateway: self.ping_gateway,
            dns_servers: self.dns_servers,
            probes: settings::build(self.ping, self.probe)?,
            snmp: self.snmp.build()?,
            school: self.school.build()?,
            hostname: self.naming.build()?,
        };
        Ok(config)
    }
}

fn interval(text: &str) -> Result<Duration, Bad> {
    let parsed = text.parse::<Span>().ok().map(|span| span.0);
    let fits = |span: &Duration| INTERVAL.contains(span) && span.subsec_nanos() == 0;
    let expected = "whole seconds from \"1s\" to \"1h\"";
    parsed.filter(fits).ok_or_else(|| Bad { key: "interval", value: settings::quoted(text), expected })
}

fn wireless(config: WirelessConfig) -> Result<WirelessConfig, Bad> {
    let bad = |value: String, expected| Err(Bad { key: "wireless.ssids", value, expected });
    if config.ssids.len() > MAX_SSIDS {
        return bad(format!("{} names", config.ssids.len()), "at most 64 names");
    }
    // The standard's own limit.
    match config.ssids.iter().find(|ssid| ssid.is_empty() || ssid.len() > 32) {
        Some(ssid) => bad(format!("\"{ssid}\""), "the name of a network, of 1 to 32 bytes"),
        None => Ok(config),
    }
}

impl DiskFile {
    fn build(self) -> Result<Vec<String>, Bad> {
        let bad = |value: String, expected| Err(Bad { key: "disk.mounts", value, expected });
        if self.mounts.len() > MAX_MOUNTS {
            return bad(format!("{} paths", self.mounts.len()), "at most 64 paths");
        }
        match self.mounts.iter().find(|path| !path.starts_with('/')) {
            Some(path) => bad(format!("\"{path}\""), "a path from the root, such as \"/srv/backup\""),
            None => Ok(self.mounts),
        }
    }
}

impl SpoolFile {
    fn build(self) -> Result<SpoolConfig, Bad> {
        let within = |key, value: u64, range: std::ops::RangeInclusive<u64>, expected| {
            if range.contains(&value) { Ok(value) } else { Err(Bad { key, value: value.to_string(), expected }) }
        };
        let days = within("spool.max_age_days", self.max_age_days, 1..=30, "1 to 30 days")?;
        Ok(SpoolConfig {
            max_bytes: within("spool.max_mib", self.max_mib, 1..=4_096, "1 to 4096 MiB")? << 20,
            max_age: Duration::from_secs(days * 86_400),
            sync: Duration::from_secs(within("spool.sync_s", self.sync_s, 1..=600, "1 to 600 seconds")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        assert_eq!(parse(DEFAULT_FILE), Ok(Config::default()));
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn the_examples_in_the_shipped_file_are_real() {
        let examples: String =
            DEFAULT_FILE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let config = parse(&examples).unwrap();
        assert_eq!(config.probes.len(), 8);
        assert!(config.snmp.is_closet() && config.snmp.traps.is_some());
    }

    #[test]
    fn a_bad_value_is_named_with_its_key_and_what_was_expected() {
        for (text, expected) in [
            ("interval = \"0s\"", "agent.toml: interval = \"0s\": expected whole seconds from \"1s\" to \"1h\""),
            ("spool.max_mib = 0", "agent.toml: spool.max_mib = 0: expected 1 to 4096 MiB"),
            (
                "interval = \"60s\"\n[spool]\nmax_mib = \"much\"",
                "agent.toml, line 3 (`max_mib = \"much\"`): invalid type: string \"much\", expected u64",
            ),
            (
                "[[ping]]\nname = \"a\"\naddress = \"a b\"",
                "agent.toml: ping.address = \"a b\": expected an IP address or a DNS name",
            ),
            ("smart.timeout_s = 1", "agent.toml: smart.timeout_s = 1: expected 5 to 300 seconds"),
            (
                "wireless.ssids = [\"\"]",
                "agent.toml: wireless.ssids = \"\": expected the name of a network, of 1 to 32 bytes",
            ),
            (
                "disk.mounts = [\"srv\"]",
                "agent.toml: disk.mounts = \"srv\": expected a path from the root, such as \"/srv/backup\"",
            ),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn no_message_repeats_a_secret() {
        for (line, message) in [
            ("auth_password = hush", "hush"),
            ("auth_password = 20202020", "a secret is text in quotes"),
            ("comunity = \"hush\"", "unknown field `comunity`"),
        ] {
            let said = parse(&format!("[snmp]\n[[snmp.credential]]\nname = \"d\"\n{line}")).unwrap_err();
            assert!(said.starts_with("agent.toml, line 4 (`") && said.contains(" = ***`)"), "{said}");
            assert!(!said.contains("hush") && !said.contains("2020"), "{said}");
            assert!(message == "hush" || said.contains(message), "{said}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let message = parse("intervall = \"60s\"").unwrap_err();
        assert!(
            message.starts_with("agent.toml, line 1 (`intervall = \"60s\"`): unknown field `intervall`"),
            "{message}"
        );
    }

    #[test]
    fn the_machine_s_own_file_wins_key_by_key_over_what_the_collector_sends() {
        let remote = "interval = \"30s\"\n[spool]\nmax_mib = 8\nsync_s = 10\n[disk]\nmounts = [\"/a\"]\n";
        let own = "[spool]\nmax_mib = 16\n[disk]\nmounts = [\"/b\", \"/c\"]\n";
        let layer = |path, text| Layer { path: Path::new(path), text };
        let config = Config::layered(&[layer("remote", remote), layer("agent.toml", own)]).unwrap();
        assert_eq!(config.interval, Duration::from_secs(30));
        assert_eq!((config.spool.max_bytes, config.spool.sync), (16 << 20, Duration::from_secs(10)));
        assert_eq!(config.mounts, ["/b", "/c"], "a list is one value");
        let bad = Config::layered(&[layer("remote", "interval = 5"), layer("agent.toml", own)]).unwrap_err();
        assert!(bad.to_string().starts_with("remote, line 1 (`interval = 5`)"), "{bad}");
    }

    /// The collector can send whatever this file can say. `disk.mounts` names file systems whose sizes are reported; nothing
    /// is read or written there.
    #[test]
    fn the_configuration_has_no_channel_either() {
        fn words(table: &toml::Table, found: &mut Vec<String>) {
            for (key, value) in table {
                found.extend(key.split('_').map(str::to_owned));
                if let toml::Value::Table(inner) = value {
                    words(inner, found);
                }
            }
        }
        let mut found = Vec::new();
        words(&DEFAULT_FILE.parse().unwrap(), &mut found);
        for channel in ["cmd", "command", "exec", "file", "path", "program", "run", "script", "shell", "url", "write"] {
            assert!(!found.iter().any(|word| word == channel), "{channel}");
        }
    }

    #[test]
    fn two_targets_of_one_name_are_refused() {
        let text = "[[ping]]\nname = \"a\"\naddress = \"::1\"\n[[ping]]\nname = \"a\"\naddress = \"127.0.0.1\"";
        assert!(parse(text).unwrap_err().contains("a name that no other target of its kind has"));
    }
}
