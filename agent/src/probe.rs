//! Probes: each looks at another device from here. Names of targets leave the machine, addresses never do.
//!
//! A probe never fails as a whole: whatever comes of a look, within its time, is a row that says so. All of them are
//! looked at by one task (`patrol`), echo requests on one socket for each family (`icmp`). A thousand targets take about
//! 300 KB: 200 bytes for what is configured, 100 for when it is due and whether it is under way.
//!
//! Adding a kind: a file with its `MEASUREMENTS`, its settings' `build`, its `look` and its tests; a line in `kinds!`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use self::gateway::Gateway;
use self::ping::Ping;
use self::secure::Roots;
use self::settings::{Address, Bad, Fixed};
use crate::config::Config;
use crate::host::Host;
use crate::reading::sample;

pub mod dhcp;
pub mod dns;
pub mod gateway;
pub mod http;
pub mod icmp;
pub mod link;
pub mod patrol;
pub mod ping;
pub mod pjlink;
pub mod resolvers;
pub mod schedule;
pub mod secure;
pub mod settings;
pub mod tcp;
pub mod tls;
pub mod traceroute;

/// The name by which the default gateway goes.
pub const GATEWAY: &str = "gateway";

/// The name by which the system's DNS servers go, before their number from 1.
pub const DNS_SERVER: &str = "dns-";

/// What the machinery itself says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "agent_probes",
    tags: &[],
    fields: &[
        Field {
            name: "looks",
            kind: FieldKind::Integer,
            unit: "",
            description: "Looks that were begun since the start.",
        },
        Field {
            name: "skipped",
            kind: FieldKind::Integer,
            unit: "",
            description: "Looks that were left out since the start, because the one before was still under way.",
        },
        Field {
            name: "strays",
            kind: FieldKind::Integer,
            unit: "",
            description: "Answers to echo requests since the start that came late, twice or from somebody else.",
        },
        Field { name: "targets", kind: FieldKind::Integer, unit: "", description: "Targets that are looked at." },
    ],
    privacy: Privacy::Own,
    description: "How the agent's looks at other devices are doing.",
}];

/// A kind in the list.
pub struct Entry {
    /// Its word in the configuration, which is its file's name.
    pub name: &'static str,
    /// What it can say.
    pub measurements: &'static [Measurement],
    /// Makes one from the part of its table that is its own.
    pub build: fn(toml::Table, &Fixed) -> Result<Kind, Bad>,
}

/// Every kind but ping, which is not one look but requests on a shared socket.
macro_rules! kinds {
    ($($module:ident::$kind:ident),* $(,)?) => {
        /// What is done at a look.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $kind($module::$kind)),*
        }

        /// Every kind but ping.
        pub const ALL: &[Entry] = &[$(Entry {
            name: stringify!($module),
            measurements: $module::MEASUREMENTS,
            build: |table, fixed| $module::$kind::build(table, fixed).map(Kind::$kind),
        }),*];

        impl Kind {
            /// Its word in the configuration.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($module)),* }
            }

            /// Looks, within the time.
            pub async fn look(&self, looking: &Looking) -> Looked {
                match self { $(Self::$kind(kind) => kind.look(looking).await),* }
            }
        }
    };
}

kinds! { dhcp::Dhcp, dns::Dns, http::Http, pjlink::Pjlink, tcp::Tcp, tls::Tls }

/// What every probe says, and the machinery.
pub fn measurements() -> impl Iterator<Item = &'static Measurement> {
    let shared = [MEASUREMENTS, ping::MEASUREMENTS, traceroute::MEASUREMENTS];
    shared.into_iter().chain(ALL.iter().map(|entry| entry.measurements)).flatten()
}

/// A target and how it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name: the only part that is sent.
    pub name: Box<str>,
    /// When, and how long.
    pub fixed: Fixed,
    /// In which way.
    pub what: What,
}

/// In which way a target is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// By echo requests.
    Ping(Ping),
    /// In any other way.
    Look(Box<Kind>),
}

/// What probes share: nothing in here is the process's.
#[derive(Debug, Default)]
pub struct Tools {
    /// The authorities that certificates are held against.
    pub roots: Roots,
}

/// A look: at whom, when, for how long at most.
#[derive(Clone, Debug)]
pub struct Looking {
    /// The target's name.
    pub name: Arc<str>,
    /// The time that the row bears.
    pub at: Timestamp,
    /// It must be done by then.
    pub timeout: Duration,
    /// What probes share.
    pub tools: Arc<Tools>,
}

/// What a look gave.
#[derive(Debug)]
pub struct Looked {
    /// The rows.
    pub samples: Vec<Sample>,
    /// The address that should have answered and did not.
    pub unreached: Option<IpAddr>,
}

impl What {
    /// Its word in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ping(_) => ping::KIND,
            Self::Look(kind) => kind.word(),
        }
    }
}

impl Looking {
    /// A row about the target.
    #[must_use]
    pub fn row(
        &self,
        measurement: &'static str,
        tags: Vec<(&'static str, String)>,
        fields: Vec<(&'static str, Value)>,
    ) -> Sample {
        let mut row = sample(measurement, tags, self.at, fields);
        (*self.name).clone_into(&mut row.target);
        row
    }
}

impl Looked {
    /// One row.
    #[must_use]
    pub fn row(row: Sample, unreached: Option<IpAddr>) -> Self {
        Self { samples: vec![row], unreached }
    }
}

/// What this machine itself depends on; found anew each time, because a laptop changes networks.
#[must_use]
pub fn of_the_system(host: &Host, config: &Config) -> Vec<Probe> {
    let gateway = config.ping_gateway.then(|| gateway::find(host)).flatten().map(of_gateway);
    let servers = if config.dns_servers { resolvers::find(host) } else { Vec::new() };
    let servers = (1..).zip(servers).map(|(number, server): (usize, IpAddr)| Probe {
        name: format!("{DNS_SERVER}{number}").into(),
        fixed: Fixed { interval: None, timeout: settings::LOOK_TIMEOUT },
        what: What::Look(Box::new(Kind::Dns(dns::Dns::root(server)))),
    });
    gateway.into_iter().chain(servers).collect()
}

/// The default gateway as a target.
#[must_use]
pub fn of_gateway(gateway: Gateway) -> Probe {
    let address = match gateway.scope {
        0 => Address::Ip(gateway.address),
        scope => Address::Scoped(gateway.address, scope),
    };
    Probe {
        name: GATEWAY.into(),
        fixed: Fixed { interval: None, timeout: ping::TIMEOUT },
        what: What::Ping(Ping::ordinary(address)),
    }
}

/// Seconds, to the microsecond.
fn seconds(span: Duration) -> Value {
    Value::Float((span.as_secs_f64() * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests;
