//! The wireless link of now, as Telegraf: how strong, how noisy, how fast, on which channel. Never a scan, never a
//! neighbour, never an address.
//!
//! Linux is asked by netlink, as `iw dev IF link` does, because the program is missing on most machines and its output
//! is made for people. Drivers that speak only the old way are read from `/proc/net/wireless`.
//!
//! A network's name can tell where somebody lives. It is sent only if an admin has listed it (`[wireless] ssids`).

use std::io;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use self::nl80211::Link;
use super::{Entry, Pace, Source, net};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, sample};

mod netlink;
mod nl80211;

/// This source's line in the list. A little less than a minute: a round that comes a moment early is not left out.
pub const ENTRY: Entry = Entry {
    name: "wireless",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(55)),
    make: |host, config| Box::new(Wireless { host: host.clone(), config: config.wireless.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "wireless",
        tags: &["interface"],
        fields: &[
            integer("beacon_loss", "", "Times that the access point was not heard for a while."),
            integer("channel", "", "Number of the channel."),
            integer("frequency_mhz", "mhz", "Middle of the first 20 MHz of the channel."),
            integer("level", "dbm", "Strength of the access point's signal, mean of the last packets."),
            integer("link", "", "Quality, from 0 to 70: the strength above -110 dBm, as Linux has always told it."),
            integer("noise", "dbm", "Noise on the channel; few drivers know it."),
            rate("rx_rate_mbit", "Speed of receiving."),
            integer("tx_failed", "", "Packets that did not arrive."),
            rate("tx_rate_mbit", "Speed of sending."),
            integer("tx_retries", "", "Packets that were sent again."),
            integer("width_mhz", "mhz", "Width of the channel."),
        ],
        privacy: Privacy::Activity,
        description: "How good the present wireless link is; nothing about other networks.",
    },
    Measurement {
        name: "wireless_network",
        tags: &["interface"],
        fields: &[Field {
            name: "ssid",
            kind: FieldKind::Text,
            unit: "",
            description: "Name of the present network; only if an admin has listed this very name.",
        }],
        privacy: Privacy::Activity,
        description: "Which of the school's networks a machine is in, where an admin asks for it.",
    },
];

const fn integer(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

const fn rate(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "mbit/s", description }
}

/// The table `[wireless]` of `agent.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WirelessConfig {
    /// Names of networks that may be sent.
    pub ssids: Vec<String>,
}

/// More names than a district has.
pub const MAX_SSIDS: usize = 64;

/// Interfaces of a machine, of which one or two are wireless.
const MAX_INTERFACES: usize = 4_096;

/// Wireless cards of one machine.
const MAX_CARDS: usize = 8;

/// No link is faster: 802.11be ends at 46 Gbit/s. In 100 kbit/s.
const MAX_RATE: u32 = 1_000_000;

/// Reads `/sys/class/net` and asks `nl80211`.
pub struct Wireless {
    host: Host,
    config: WirelessConfig,
}

impl Source for Wireless {
    fn name(&self) -> &'static str {
        "wireless"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let mut reading = Reading::default();
        for (name, index) in self.cards() {
            let public = net::public_name(&self.host, &name);
            match nl80211::link(&self.host, index) {
                Ok(Some(link)) => reading.samples.extend(self.samples(&public, &link, time)),
                Ok(None) => reading.problems.push(nothing(format!("{public}: connected to no access point"))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => match self.the_old_way(&name) {
                    Some(link) => reading.samples.extend(self.samples(&public, &link, time)),
                    None => reading.problems.push(nothing(format!("{public}: its driver tells nothing"))),
                },
                Err(error) => reading.problems.push(Problem::from_io(&public, &error)),
            }
        }
        if reading.samples.is_empty() && reading.problems.is_empty() {
            reading.problems.push(nothing("this machine has no wireless card".to_owned()));
        }
        reading
    }
}

impl Wireless {
    /// Names and numbers of the wireless interfaces.
    fn cards(&self) -> Vec<(String, u32)> {
        let names = self.host.list("sys/class/net", MAX_INTERFACES).unwrap_or_default();
        let card = |name: String| {
            let folder = format!("sys/class/net/{name}");
            let is_wireless = ["phy80211", "wireless"]
                .iter()
                .any(|file| std::fs::symlink_metadata(self.host.path(&format!("{folder}/{file}"))).is_ok());
            let index = self.host.word(&format!("{folder}/ifindex"))?.parse().ok()?;
            is_wireless.then_some((name, index))
        };
        names.into_iter().filter_map(card).take(MAX_CARDS).collect()
    }

    fn samples(&self, interface: &str, link: &Link, time: Timestamp) -> Vec<Sample> {
        let tags = || vec![("interface", interface.to_owned())];
        let mut samples = Vec::new();
        let fields = fields(link);
        if !fields.is_empty() {
            samples.push(sample("wireless", tags(), time, fields));
        }
        let listed = |ssid: &&String| link.ssid.as_deref() == Some(ssid.as_bytes());
        if let Some(ssid) = self.config.ssids.iter().find(listed) {
            samples.push(sample("wireless_network", tags(), time, vec![("ssid", Value::Text(ssid.clone()))]));
        }
        samples
    }

    /// `wlan0: 0000   54.  -56.  -256        0      0      0      5     27        0`
    fn the_old_way(&self, name: &str) -> Option<Link> {
        let text = self.host.read("proc/net/wireless").ok()?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let dbm = |word: Option<&&str>| {
            let number: i64 = word?.trim_end_matches('.').parse().ok()?;
            // The oldest drivers count from -256.
            i8::try_from(if number > 0 { number - 256 } else { number }).ok().filter(|dbm| *dbm < 0)
        };
        let signal_dbm = dbm(words.get(2)).filter(|dbm| *dbm >= -110);
        let noise_dbm = dbm(words.get(3)).filter(|dbm| (-120..=-40).contains(dbm));
        signal_dbm.is_some().then(|| Link { signal_dbm, noise_dbm, ..Link::default() })
    }
}

fn fields(link: &Link) -> Vec<(&'static str, Value)> {
    let number = |value: Option<u32>| value.map(|value| Value::Integer(value.into()));
    let dbm = |value: Option<i8>| value.map(|value| Value::Integer(value.into()));
    let rate =
        |value: Option<u32>| value.filter(|rate| *rate <= MAX_RATE).map(|rate| Value::Float(f64::from(rate) / 10.0));
    let quality = link.signal_dbm.map(|signal| Value::Integer((i64::from(signal) + 110).clamp(0, 70)));
    [
        ("beacon_loss", number(link.beacon_loss)),
        ("channel", number(link.frequency_mhz.and_then(nl80211::channel))),
        ("frequency_mhz", number(link.frequency_mhz)),
        ("level", dbm(link.signal_dbm)),
        ("link", quality),
        ("noise", dbm(link.noise_dbm)),
        ("rx_rate_mbit", rate(link.rx_rate)),
        ("tx_failed", number(link.tx_failed)),
        ("tx_rate_mbit", rate(link.tx_rate)),
        ("tx_retries", number(link.tx_retries)),
        ("width_mhz", number(link.width_mhz)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

const fn nothing(text: String) -> Problem {
    Problem { kind: ProblemKind::NothingHere, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn networks(ssids: &[&str]) -> Vec<String> {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wireless/laptop_at_home/1");
        let config = WirelessConfig { ssids: ssids.iter().map(|ssid| (*ssid).to_owned()).collect() };
        let reading = Wireless { host: Host::at(case), config }.read(Timestamp(0));
        let named = reading.samples.iter().filter(|sample| sample.measurement == "wireless_network");
        named.map(|sample| format!("{:?}", sample.fields)).collect()
    }

    #[test]
    fn the_name_of_a_network_leaves_only_if_an_admin_has_listed_it() {
        assert!(networks(&[]).is_empty());
        assert!(networks(&["Lincoln-Staff", "Jane", "jane's home", ""]).is_empty());
        let listed = networks(&["Lincoln-Staff", "Jane's home"]);
        assert_eq!(listed.len(), 1);
        assert!(listed[0].contains("Jane's home"));
    }
}
