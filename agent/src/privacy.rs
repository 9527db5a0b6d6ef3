//! What may leave the machine, where it is, and by which name it goes.
//!
//! Three gates, all before the spool, so that nothing private waits on the disk either:
//! - **Declared**: what no measurement declares never leaves (`schema`).
//! - **Place**: off site only `OFF_SITE` leaves, one value a day, without the time of day (`place`).
//! - **Name**: the hostname leaves only if the admin's pattern matches it; everything else goes by the device id, which
//!   the collector turns into the asset tag.

use std::net::IpAddr;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use serde::Deserialize;

use crate::config::Bad;

pub mod place;

/// All that leaves a machine that is not at school: what decides about repairs and purchases, and nothing that says what
/// somebody does at home.
pub const OFF_SITE: &[(&str, &[&str])] = &[
    ("battery", &["cycle_count", "energy_full_design_wh", "energy_full_wh", "wear_percent"]),
    ("disk", &["free", "total", "used_percent"]),
    (
        "smart_device",
        &[
            "available_spare",
            "available_spare_threshold",
            "critical_warning",
            "exit_status",
            "failing",
            "grown_defects",
            "health_ok",
            "media_errors",
            "media_wearout_indicator",
            "pending_sector_count",
            "percent_lifetime_remain",
            "percentage_used",
            "prefail_now",
            "prefail_past",
            "reallocated_sectors_count",
            "uncorrectable_sector_count",
            "wear_leveling_count",
        ],
    ),
    ("updates", &["last_install_days", "lists_age_days", "oldest_days"]),
];

/// A day, without its time.
const DAY_MS: i64 = 86_400_000;

/// Networks of a district: campuses, and perhaps a data center.
const MAX_NETWORKS: usize = 256;

/// The longest hostname that DNS knows.
const MAX_HOSTNAME: usize = 63;

/// Whether a source is worth reading off site.
#[must_use]
pub fn reads_off_site(measurements: &[bellwether_proto::schema::Measurement]) -> bool {
    measurements.iter().any(|measurement| fields(measurement.name).is_some())
}

/// What is left of samples off site: the fields of the list, at the beginning of their day, one row for each series.
#[must_use]
pub fn off_site(samples: Vec<Sample>) -> Vec<Sample> {
    let mut left: Vec<Sample> = Vec::new();
    for mut sample in samples {
        let Some(allowed) = fields(&sample.measurement) else { continue };
        sample.fields.retain(|(name, _)| allowed.contains(&name.as_ref()));
        sample.time = Timestamp(day(sample.time) * DAY_MS);
        let known = left.iter().any(|other| {
            (&other.measurement, &other.tags, &other.target) == (&sample.measurement, &sample.tags, &sample.target)
        });
        if !sample.fields.is_empty() && !known {
            left.push(sample);
        }
    }
    left
}

/// The number of the day, in UTC.
#[must_use]
pub const fn day(time: Timestamp) -> i64 {
    time.0.div_euclid(DAY_MS)
}

fn fields(measurement: &str) -> Option<&'static [&'static str]> {
    OFF_SITE.iter().find(|(name, _)| *name == measurement).map(|(_, fields)| *fields)
}

/// The school's networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Networks {
    /// Whether nobody has said where the school is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address lies in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.to_canonical()))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix): (IpAddr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
        let fits = prefix <= if address.is_ipv4() { 32 } else { 128 };
        // Everything is no place.
        (fits && prefix > 0).then_some(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.prefix) == Some(0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.prefix) == Some(0)
            }
            _ => false,
        }
    }
}

/// What the hostnames look like that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads a pattern: letters, digits and dashes stand for themselves, `?` for one letter or digit, `#` for one digit.
    /// There is no sign for "anything": it would let names through that nobody thought of.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_?#".contains(&byte);
        // A pattern of wildcards alone would be no pattern.
        let says_something = text.bytes().filter(u8::is_ascii_alphanumeric).count() >= 2;
        let fits = (1..=MAX_HOSTNAME).contains(&text.len()) && text.bytes().all(known) && says_something;
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether a hostname looks like it; case does not matter, as in DNS.
    #[must_use]
    pub fn matches(&self, hostname: &str) -> bool {
        let one = |(pattern, letter): (u8, u8)| match pattern {
            b'?' => letter.is_ascii_alphanumeric(),
            b'#' => letter.is_ascii_digit(),
            other => other.eq_ignore_ascii_case(&letter),
        };
        self.0.len() == hostname.len() && self.0.bytes().zip(hostname.bytes()).all(one)
    }
}

/// `[school]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SchoolFile {
    networks: Vec<String>,
}

/// `[naming]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NamingFile {
    hostname_pattern: String,
}

impl SchoolFile {
    pub(crate) fn build(self) -> Result<Networks, Bad> {
        let bad = |value: String, expected| Err(Bad { key: "school.networks", value, expected });
        if self.networks.len() > MAX_NETWORKS {
            return bad(format!("{} networks", self.networks.len()), "at most 256 networks");
        }
        let mut networks = Vec::with_capacity(self.networks.len());
        for text in self.networks {
            match Network::parse(&text) {
                Some(network) => networks.push(network),
                None => return bad(format!("\"{text}\""), "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\""),
            }
        }
        Ok(Networks(networks))
    }
}

impl NamingFile {
    pub(crate) fn build(self) -> Result<Option<HostPattern>, Bad> {
        let text = self.hostname_pattern;
        if text.is_empty() {
            return Ok(None);
        }
        HostPattern::parse(&text).map(Some).ok_or(Bad {
            key: "naming.hostname_pattern",
            value: format!("\"{text}\""),
            expected: "letters, digits and dashes with ? for a letter or digit and # for a digit, such as \"LIB-??-###\"",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{count, sample};
    use bellwether_logic::sample::Value;

    fn networks(texts: &[&str]) -> Networks {
        SchoolFile { networks: texts.iter().map(|text| (*text).to_owned()).collect() }.build().ok().unwrap()
    }

    #[test]
    fn an_address_is_at_school_if_one_network_has_it() {
        let school = networks(&["10.20.0.0/16", "2001:db8:7::/48", "192.0.2.5/32"]);
        for inside in ["10.20.255.1", "2001:db8:7:1::5", "192.0.2.5", "::ffff:10.20.0.1"] {
            assert!(school.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["10.21.0.1", "192.168.1.7", "2001:db8:8::1", "192.0.2.4", "127.0.0.1"] {
            assert!(!school.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["10.0.0.0", "10.0.0.0/33", "0.0.0.0/0", "school", "::/0", "10.0.0.0/-1"] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_hostname_is_sent_only_if_it_looks_as_the_school_names_its_machines() {
        let pattern = HostPattern::parse("LIB-??-###").unwrap();
        for good in ["LIB-A2-014", "lib-07-999"] {
            assert!(pattern.matches(good), "{good}");
        }
        for bad in ["MARIAS-LAPTOP", "LIB-A2-14", "LIB-A2-0145", "LIB-A-0014", "XLIB-A2-014", "LIB-é2-01", ""] {
            assert!(!pattern.matches(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_would_let_every_name_through_is_refused() {
        for bad in ["", "??????", "*", "a*", "#-#", "LIB.*", "L?"] {
            assert!(HostPattern::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn off_site_only_the_list_is_left_once_and_without_the_time_of_day() {
        let noon = Timestamp(20_000 * DAY_MS + 43_200_123);
        let row = |name, field| sample(name, Vec::new(), noon, vec![(field, count(5)), ("free", count(1))]);
        let rows = vec![row("disk", "mode"), row("disk", "total"), row("cpu", "usage_idle"), row("ping", "x")];
        let left = off_site(rows);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].time, Timestamp(20_000 * DAY_MS));
        assert_eq!(left[0].fields, [("free".into(), Value::Integer(1))]);
    }

    #[test]
    fn what_may_leave_anywhere_is_declared_and_says_nothing_of_how_the_machine_is_used() {
        for (name, fields) in OFF_SITE {
            let declared = crate::schema::all().find(|measurement| measurement.name == *name).expect(name);
            assert_eq!(declared.privacy, bellwether_proto::schema::Privacy::Health);
            for field in *fields {
                assert!(declared.fields.iter().any(|declared| declared.name == *field), "{name}: {field}");
                // Hours and counts of starts say when somebody sat at it.
                assert!(!["power_on_hours", "power_cycle_count", "charge_percent", "state"].contains(field));
            }
        }
    }

    #[test]
    fn a_row_of_which_nothing_may_leave_is_no_row() {
        let row = sample("battery", Vec::new(), Timestamp(0), vec![("charge_percent", count(5))]);
        assert!(off_site(vec![row]).is_empty());
    }
}
