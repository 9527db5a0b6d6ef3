//! The agent's own place in the network: its default gateway and its own addresses, said when a stream begins and when they
//! change. Nothing of it is kept, and nothing is said of a place that may be somebody's home.

use bellwether_logic::device::Class;
use bellwether_logic::topology::Mac;
use bellwether_proto::v1::Neighborhood;
use bellwether_proto::v1::agent_message::Body;

use super::Agent;
use crate::host::Host;
use crate::privacy::place::{self, Place};
use crate::{hardware, probe};

impl Agent {
    /// Says where the machine is in the network, if that is not what was said last on this stream.
    pub(super) fn say_surroundings(&mut self) {
        if !self.uplink.is_up() || self.place != Place::School || !self.is_at_school_for_certain() {
            return;
        }
        let seen = surroundings(&self.hands.host, &self.renewer.hardware().mac_addresses);
        if self.surroundings.as_ref() == Some(&seen) || seen == Neighborhood::default() {
            return;
        }
        self.says.push_back(Body::Neighborhood(seen.clone()));
        self.surroundings = Some(seen);
        self.may_send = true;
    }

    /// Where nobody listed the school's networks, every place is called school: a machine that is carried home must not
    /// tell of the router there.
    fn is_at_school_for_certain(&self) -> bool {
        !self.config.school.is_empty() || matches!(hardware::class(&self.hands.host), Class::Server | Class::Desktop)
    }
}

/// The gateway and the machine's own addresses: those of its hardware, and that of the card that leads to the gateway, which
/// may be a docking station's.
fn surroundings(host: &Host, own: &[String]) -> Neighborhood {
    let found = place::gateway(host);
    let card = found.as_ref().and_then(|(interface, ..)| host.word(&format!("sys/class/net/{interface}/address")));
    let mut macs: Vec<Mac> = own.iter().chain(&card).filter_map(|mac| mac.parse().ok()).collect();
    macs.retain(|mac| !mac.is_nobodys());
    macs.sort_unstable();
    macs.dedup();
    let (address, hardware) = match found {
        Some((_, address, hardware)) => (address.to_string(), hardware),
        None => {
            (probe::gateway::find(host).map(|gateway| gateway.address.to_string()).unwrap_or_default(), String::new())
        }
    };
    Neighborhood {
        macs: macs.iter().map(Mac::to_string).collect(),
        gateway_address: address,
        gateway_mac: hardware.parse::<Mac>().map(|mac| mac.to_string()).unwrap_or_default(),
        ..Neighborhood::default()
    }
}
