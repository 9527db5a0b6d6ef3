//! `[snmp]`: what makes an agent a closet. Where it searches, how often it asks, and as whom.
//!
//! Credentials are tried in their order, those of version 3 first whatever the order: a community is sent in clear. What
//! is secret is in no message.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_logic::span::Span;
use serde::Deserialize;

use super::credential::{Credential, Written};
use crate::probe::settings::{Bad, quoted};

/// SNMP's own port.
pub const PORT: u16 = 161;
/// All ranges together: a building of 250 networks of the usual size. A ping of each takes five minutes.
pub const ADDRESSES_MAX: u64 = 65_536;
/// Networks of a district's closets.
const RANGES_MAX: usize = 256;
/// More tries at each device would be spraying.
const CREDENTIALS_MAX: usize = 16;
/// Names of credentials are shown in tables.
const NAME_BYTES_MAX: usize = 64;
/// More often than each ten seconds switches do not renew their counters. What nobody heard of for five minutes counts as
/// silent, and evidence with a hole of three as new: one poll may fail.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(120);
/// A whole inventory of a big switch is thousands of questions: not every minute; once a day at least.
const SLOW_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(86_400);
/// A search asks every address of a range.
const SEARCH_EVERY: RangeInclusive<Duration> = Duration::from_secs(3_600)..=Duration::from_secs(30 * 86_400);

/// What a closet does. Without a credential an agent is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snmp {
    /// Searched for devices.
    pub ranges: Vec<Range>,
    /// Never asked by a search.
    pub exclude: Vec<Range>,
    /// From one poll of counters and states to the next.
    pub interval: Duration,
    /// From one poll of inventory, neighbours, tables and supplies to the next.
    pub slow_interval: Duration,
    /// From one search to the next.
    pub search_every: Duration,
    /// Where traps are taken in; none: nowhere.
    pub traps: Option<SocketAddr>,
    /// As whom, in the order in which a search tries them; by name.
    pub credentials: Vec<Named>,
}

/// A credential and what the admin calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name, which is no secret.
    pub name: String,
    /// Who asks.
    pub credential: Credential,
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where devices listen; none: on SNMP's own port, and as an exclusion on any.
    port: Option<u16>,
    first: IpAddr,
    /// How many bits of an address tell one of the range from another.
    bits: u32,
}

impl Default for Snmp {
    fn default() -> Self {
        Self {
            ranges: Vec::new(),
            exclude: Vec::new(),
            interval: Duration::from_secs(60),
            slow_interval: Duration::from_secs(30 * 60),
            search_every: Duration::from_secs(86_400),
            traps: None,
            credentials: Vec::new(),
        }
    }
}

impl Snmp {
    /// Whether this machine watches others by SNMP.
    #[must_use]
    pub const fn is_closet(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// The credential of this name.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|named| named.name == name).map(|named| &named.credential)
    }

    /// The addresses that a search asks, each once.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let all = self.ranges.iter().enumerate().flat_map(|(at, range)| range.hosts().map(move |host| (at, host)));
        let all = all.map(|(at, host)| (at, SocketAddr::new(host, self.ranges[at].asked_port())));
        let is_asked = |(at, address): &(usize, SocketAddr)| {
            let before = |range: &Range| range.contains(address.ip()) && range.asked_port() == address.port();
            !self.ranges[..*at].iter().any(before) && !self.exclude.iter().any(|range| range.excludes(*address))
        };
        all.filter(is_asked).map(|(_, address)| address)
    }
}

impl Range {
    /// Reads "10.20.0.0/16", "2001:db8::/120", an address, or one of these with a port that is not SNMP's own:
    /// `10.20.0.0/16:1161`, `10.20.0.7:1161`, `[2001:db8::7]:1161`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(one) = text.parse::<SocketAddr>() {
            let port = Some(one.port()).filter(|port| *port != 0)?;
            return Some(Self { port: Some(port), first: one.ip(), bits: 0 });
        }
        let (text, port) = match text.split_once('/').and_then(|(_, rest)| rest.split_once(':')) {
            Some((_, port)) => {
                (&text[..text.len() - port.len() - 1], Some(port.parse().ok().filter(|port| *port != 0)?))
            }
            None => (text, None),
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits =
            width - prefix.map_or(Some(width), |prefix| prefix.parse().ok().filter(|prefix| *prefix <= width))?;
        let first = match address {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(bits).unwrap_or(0)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(bits).unwrap_or(0)).into(),
        };
        Some(Self { port, first, bits })
    }

    fn asked_port(&self) -> u16 {
        self.port.unwrap_or(PORT)
    }

    /// Whether an address is left out for it: at whatever port, unless it names one.
    fn excludes(&self, address: SocketAddr) -> bool {
        self.contains(address.ip()) && self.port.is_none_or(|port| port == address.port())
    }

    /// How many addresses.
    #[must_use]
    pub const fn addresses(&self) -> u64 {
        if self.bits < 63 { 1 << self.bits } else { u64::MAX }
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                (first.to_bits() ^ other.to_bits()).checked_shr(self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                (first.to_bits() ^ other.to_bits()).checked_shr(self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Its addresses, without those that mean a whole network of version 4.
    fn hosts(self) -> impl Iterator<Item = IpAddr> {
        let ends = u64::from(self.first.is_ipv4() && self.bits >= 2);
        (ends..self.addresses().min(ADDRESSES_MAX) - ends).map(move |number| match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | u32::try_from(number).unwrap_or(0)).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | u128::from(number)).into(),
        })
    }
}

/// `[snmp]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SnmpFile {
    ranges: Vec<String>,
    exclude: Vec<String>,
    interval: Option<String>,
    slow_interval: Option<String>,
    search_every: Option<String>,
    traps: Option<String>,
    credential: Vec<Written>,
}

impl SnmpFile {
    pub(crate) fn build(self) -> Result<Snmp, Bad> {
        let usual = Snmp::default();
        let span = |key, text: Option<String>, usual, range, expected| match text {
            Some(text) => span(key, &text, range, expected),
            None => Ok(usual),
        };
        let ranges = ranges("ranges", &self.ranges)?;
        let number: u64 = ranges.iter().map(Range::addresses).fold(0, u64::saturating_add);
        if number > ADDRESSES_MAX {
            let expected = format!("at most {ADDRESSES_MAX} addresses in all, which a \"/16\" has");
            return Err(Bad::new("snmp.ranges", format!("{number} addresses"), expected));
        }
        let traps = self.traps.map(|text| text.parse().map_err(|_| text)).transpose();
        Ok(Snmp {
            ranges,
            exclude: self::ranges("exclude", &self.exclude)?,
            interval: span(
                "interval",
                self.interval,
                usual.interval,
                &INTERVAL,
                "whole seconds from \"1s\" to \"2m\": what nobody heard of for 5 minutes counts as silent",
            )?,
            slow_interval: span(
                "slow_interval",
                self.slow_interval,
                usual.slow_interval,
                &SLOW_INTERVAL,
                "\"1m\" to \"1d\"",
            )?,
            search_every: span(
                "search_every",
                self.search_every,
                usual.search_every,
                &SEARCH_EVERY,
                "\"1h\" to \"30d\"",
            )?,
            traps: traps.map_err(|text| {
                Bad::new("snmp.traps", quoted(&text), "an address of this machine with a port, such as \"0.0.0.0:162\"")
            })?,
            credentials: credentials(self.credential)?,
        })
    }
}

fn span(key: &str, text: &str, range: &RangeInclusive<Duration>, expected: &str) -> Result<Duration, Bad> {
    let parsed = text.parse::<Span>().ok().map(|span| span.0);
    let fits = |span: &Duration| range.contains(span) && span.subsec_nanos() == 0;
    parsed.filter(fits).ok_or_else(|| Bad::new(key, quoted(text), expected).at("snmp"))
}

fn ranges(key: &str, texts: &[String]) -> Result<Vec<Range>, Bad> {
    if texts.len() > RANGES_MAX {
        return Err(Bad::new(key, format!("{} networks", texts.len()), "at most 256 networks").at("snmp"));
    }
    let parse = |text: &String| {
        let expected = "a network such as \"10.20.0.0/16\", or an address";
        Range::parse(text).ok_or_else(|| Bad::new(key, quoted(text), expected).at("snmp"))
    };
    texts.iter().map(parse).collect()
}

fn credentials(written: Vec<Written>) -> Result<Vec<Named>, Bad> {
    let bad = |value: String, expected: String| Bad::new("snmp.credential", value, expected);
    if written.len() > CREDENTIALS_MAX {
        return Err(bad(format!("{} credentials", written.len()), "at most 16".to_owned()));
    }
    let mut seen = HashSet::new();
    let mut named = Vec::with_capacity(written.len());
    for mut written in written {
        let name = written.name.take().unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(bad(format!("name = {}", quoted(&name)), "a name of 1 to 64 bytes".to_owned()));
        }
        if !seen.insert(name.clone()) {
            return Err(bad(quoted(&name), "a name that no other credential has".to_owned()));
        }
        let credential = Credential::try_from(written)
            .map_err(|error| bad(quoted(&name), format!("a credential that can be used: {error}")))?;
        named.push(Named { name, credential });
    }
    named.sort_by_key(|named| !matches!(named.credential, Credential::V3(_)));
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(text: &str) -> Result<Snmp, String> {
        let file: SnmpFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        file.build().map_err(|bad| format!("{} = {}: expected {}", bad.key, bad.value, bad.expected))
    }

    #[test]
    fn an_agent_is_a_closet_when_it_has_a_credential() {
        assert!(!build("ranges = [\"10.0.0.0/24\"]").unwrap().is_closet());
        let closet =
            build("[[credential]]\nname = \"old\"\ncommunity = \"c\"\n[[credential]]\nname = \"new\"\nuser = \"u\"");
        let closet = closet.unwrap();
        assert!(closet.is_closet());
        let names: Vec<&str> = closet.credentials.iter().map(|named| named.name.as_str()).collect();
        assert_eq!(names, ["new", "old"], "version 3 first, whatever the order");
        assert!(matches!(closet.credential("old"), Some(Credential::V2c { .. })));
        assert_eq!(closet.credential("other"), None);
    }

    #[test]
    fn each_address_of_the_ranges_is_asked_once_and_none_that_is_excluded() {
        let text = "ranges = [\"192.0.2.9/29\", \"192.0.2.12\", \"2001:db8::/126\"]\nexclude = [\"192.0.2.10/31\"]";
        let asked: Vec<String> = build(text).unwrap().addresses().map(|address| address.to_string()).collect();
        let v4 = ["192.0.2.9:161", "192.0.2.12:161", "192.0.2.13:161", "192.0.2.14:161"];
        assert_eq!(asked[..4], v4, "not the network's own addresses");
        assert_eq!(asked[4..], ["[2001:db8::]:161", "[2001:db8::1]:161", "[2001:db8::2]:161", "[2001:db8::3]:161"]);
        let odd = build("ranges = [\"192.0.2.0/31:1161\"]").unwrap();
        assert!(odd.addresses().all(|address| address.port() == 1_161));
        assert!(build("ranges = [\"192.0.2.0/31:0\"]").is_err());
        assert_eq!(build("ranges = [\"10.0.0.0/16\"]").unwrap().addresses().count(), 65_534);
        // One network at two ports is asked at both; an exclusion with a port leaves the other.
        let ranges = "ranges = [\"192.0.2.0/31\", \"192.0.2.0/31:1161\", \"192.0.2.1:1161\"]";
        let text = format!("{ranges}\nexclude = [\"192.0.2.1:1161\"]");
        let asked: Vec<String> = build(&text).unwrap().addresses().map(|address| address.to_string()).collect();
        assert_eq!(asked, ["192.0.2.0:161", "192.0.2.1:161", "192.0.2.0:1161"]);
        let text = format!("{ranges}\nexclude = [\"192.0.2.1\"]");
        assert_eq!(build(&text).unwrap().addresses().count(), 2, "whatever the port");
    }

    #[test]
    fn what_can_t_be_is_named_with_its_key_and_no_secret() {
        let v3 = "[[credential]]\nname = \"d\"\nuser = \"u\"\nauth = \"sha\"\nauth_password = \"hush\"";
        for (text, expected) in [
            ("ranges = [\"10.0.0.0/15\"]", "snmp.ranges = 131072 addresses: expected at most 65536"),
            ("ranges = [\"10.0.0.0/33\"]", "snmp.ranges = \"10.0.0.0/33\": expected a network such as"),
            ("ranges = [\"::/0\", \"::/0\"]", "snmp.ranges = 18446744073709551615 addresses"),
            ("exclude = [\"closet\"]", "snmp.exclude = \"closet\": expected a network such as"),
            ("interval = \"0s\"", "snmp.interval = \"0s\": expected whole seconds"),
            ("interval = \"10m\"", "snmp.interval = \"10m\": expected whole seconds from \"1s\" to \"2m\""),
            ("slow_interval = \"1s\"", "snmp.slow_interval = \"1s\": expected \"1m\" to \"1d\""),
            ("search_every = \"1m\"", "snmp.search_every = \"1m\": expected \"1h\" to \"30d\""),
            ("traps = \"162\"", "snmp.traps = \"162\": expected an address of this machine with a port"),
            ("[[credential]]\ncommunity = \"hush\"", "snmp.credential = name = \"\": expected a name of 1 to 64 bytes"),
            (v3, "snmp.credential = \"d\": expected a credential that can be used: `auth_password` is shorter"),
            ("[[credential]]\nname = \"d\"\ncommunity = 20202020", "a secret is text in quotes"),
        ] {
            let said = build(text).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
            assert!(!said.contains("hush") && !said.contains("2020"), "{said}");
        }
    }
}
