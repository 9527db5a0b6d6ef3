//! Probes: each looks at another device from here. Names of targets leave the machine, addresses never do.
//!
//! Adding one: a file with its `MEASUREMENTS`, its code and its tests, and a call in `run`'s `Look`.

use std::net::IpAddr;

use bellwether_proto::schema::Measurement;

use crate::config::{Address, Config};
use crate::host::Host;

pub mod gateway;
pub mod ping;

/// The name by which the default gateway goes.
pub const GATEWAY: &str = "gateway";

/// What every probe says.
pub const MEASUREMENTS: &[Measurement] = ping::MEASUREMENTS;

/// What to look at, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name: the only part that is sent.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// For an address that is only valid on one link: which.
    pub scope: u32,
}

/// Everything to look at now. The gateway is found anew each time: a laptop changes networks.
#[must_use]
pub fn targets(host: &Host, config: &Config) -> Vec<Target> {
    let gateway = config.ping_gateway.then(|| gateway::find(host)).flatten().map(|gateway| Target {
        name: GATEWAY.to_owned(),
        address: Address::Ip(gateway.address),
        scope: gateway.scope,
    });
    let configured = config.ping.iter().map(|target| Target {
        name: target.name.clone(),
        address: target.address.clone(),
        scope: 0,
    });
    gateway.into_iter().chain(configured).collect()
}

/// Whether two addresses are of one family.
const fn is_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(_))
}
