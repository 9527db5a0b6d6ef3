//! What an admin writes about targets: `[[ping]]` for the plain case, `[[probe]]` for every kind.
//!
//! What all kinds have in common is read here; the rest of a table is its kind's own, which refuses what it does not
//! know. A problem names the target, the key, the value and what was expected.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_logic::span::Span;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ping::{self, Ping};
use super::{ALL, DNS_SERVER, GATEWAY, Kind, Probe, What};

/// A whole closet for each of a district's buildings; what one small machine was measured to look at.
pub const MAX_TARGETS: usize = 20_000;
/// Targets that are asked all the time: seven requests a second each.
const MAX_WINDOWS: usize = 32;
/// Names are shown in tables and tickets.
const MAX_NAME_BYTES: usize = 64;
/// The same as the agent's own.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// A target that needs longer is not there.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(30);
/// For everything but an echo: a slow server on a bad day.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address.
    Ip(IpAddr),
    /// An address that is valid on the link of this number alone.
    Scoped(IpAddr, u32),
    /// A name, resolved at every reading.
    Name(Box<str>),
}

/// A value that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The key.
    pub key: String,
    /// What it is set to.
    pub value: String,
    /// What it may be.
    pub expected: String,
}

/// What all kinds have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// From one look to the next; none for the agent's own.
    pub interval: Option<Duration>,
    /// For a whole look, or for each request of a ping.
    pub timeout: Duration,
}

/// `[[ping]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingFile {
    name: String,
    address: String,
}

/// `[[probe]]`.
#[derive(Deserialize)]
pub struct ProbeFile {
    kind: String,
    name: String,
    interval: Option<String>,
    timeout: Option<String>,
    #[serde(flatten)]
    rest: toml::Table,
}

/// All targets of a file.
///
/// # Errors
/// The first that can't be.
pub fn build(pings: Vec<PingFile>, probes: Vec<ProbeFile>) -> Result<Vec<Probe>, Bad> {
    let number = pings.len() + probes.len();
    if number > MAX_TARGETS {
        return Err(Bad::new("probe", format!("{number} targets"), "at most 20000 targets"));
    }
    let mut built: Vec<Probe> = Vec::with_capacity(number);
    for file in pings {
        built.push(file.build().map_err(|bad| bad.at("ping"))?);
    }
    for file in probes {
        let place = format!("probe \"{}\"", file.name);
        built.push(file.build().map_err(|bad| bad.at(&place))?);
    }
    let mut seen = HashSet::with_capacity(number);
    if let Some(twice) = built.iter().find(|probe| !seen.insert((probe.what.kind(), probe.name.as_ref()))) {
        return Err(
            Bad::new("name", quoted(&twice.name), "a name that no other target of its kind has").at(twice.what.kind())
        );
    }
    let windows = built.iter().filter(|probe| matches!(&probe.what, What::Ping(ping) if ping.window)).count();
    match windows > MAX_WINDOWS {
        true => Err(Bad::new("probe.window", format!("{windows} targets"), "at most 32 targets with `window = true`")),
        false => Ok(built),
    }
}

impl PingFile {
    fn build(self) -> Result<Probe, Bad> {
        let name = name(&self.name)?;
        let address = Address::parse("address", &self.address)?;
        let fixed = Fixed { interval: None, timeout: ping::TIMEOUT };
        Ok(Probe { name, fixed, what: What::Ping(Ping::ordinary(address)) })
    }
}

impl ProbeFile {
    fn build(self) -> Result<Probe, Bad> {
        let name = name(&self.name)?;
        let interval = self.interval.map(|text| span("interval", &text, &INTERVAL, "\"1s\" to \"1h\"")).transpose()?;
        let timeout = self.timeout.map(|text| span("timeout", &text, &TIMEOUT, "\"10ms\" to \"30s\"")).transpose()?;
        if self.kind == ping::KIND {
            let fixed = Fixed { interval, timeout: timeout.unwrap_or(ping::TIMEOUT) };
            let ping = Ping::build(self.rest, &fixed)?;
            return Ok(Probe { name, fixed, what: What::Ping(ping) });
        }
        let Some(entry) = ALL.iter().find(|entry| entry.name == self.kind) else {
            let known: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
            return Err(Bad::new("kind", quoted(&self.kind), format!("{} or {}", ping::KIND, known.join(", "))));
        };
        let fixed = Fixed { interval, timeout: timeout.unwrap_or(LOOK_TIMEOUT) };
        let kind: Kind = (entry.build)(self.rest, &fixed)?;
        Ok(Probe { name, fixed, what: What::Look(Box::new(kind)) })
    }
}

impl Bad {
    /// A value that can't be.
    pub fn new(key: impl Into<String>, value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), expected: expected.into() }
    }

    pub(crate) fn at(self, place: &str) -> Self {
        let key = if self.key.is_empty() { place.to_owned() } else { format!("{place}.{}", self.key) };
        Self { key, ..self }
    }
}

impl Address {
    /// An IP address or a DNS name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(key: &str, text: &str) -> Result<Self, Bad> {
        let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        match text.parse() {
            Ok(ip) => Ok(Self::Ip(ip)),
            Err(_) if !text.is_empty() && text.len() < 254 && text.bytes().all(host) => Ok(Self::Name(text.into())),
            Err(_) => Err(Bad::new(key, quoted(text), "an IP address or a DNS name")),
        }
    }
}

/// A kind's own part of a table.
///
/// # Errors
/// When a key is not known or missing, or of another type.
pub fn read<T: DeserializeOwned>(table: toml::Table) -> Result<T, Bad> {
    let value = table.keys().cloned().collect::<Vec<_>>().join(", ");
    table.try_into().map_err(|error: toml::de::Error| {
        Bad::new("", format!("{{{value}}}"), error.message().lines().collect::<Vec<_>>().join("; "))
    })
}

/// A number inside its bounds.
///
/// # Errors
/// When it is outside.
pub fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
    expected: &str,
) -> Result<T, Bad> {
    if range.contains(&value) { Ok(value) } else { Err(Bad::new(key, value.to_string(), expected)) }
}

/// A text as an admin writes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn span(key: &str, text: &str, range: &RangeInclusive<Duration>, expected: &str) -> Result<Duration, Bad> {
    let parsed = text.parse::<Span>().ok().map(|span| span.0);
    parsed.filter(|span| range.contains(span)).ok_or_else(|| Bad::new(key, quoted(text), expected))
}

fn name(text: &str) -> Result<Box<str>, Bad> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
    let fits = !text.trim().is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(plain);
    let is_own = text == GATEWAY || text.strip_prefix(DNS_SERVER).is_some_and(|rest| rest.parse::<u8>().is_ok());
    match fits && !is_own {
        true => Ok(text.into()),
        false => {
            let expected =
                "1 to 64 letters, digits, blanks, dots, dashes or underscores, and not \"gateway\" or \"dns-1\"";
            Err(Bad::new("name", quoted(text), expected))
        }
    }
}
