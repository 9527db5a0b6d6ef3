//! What hangs on what: device, port, switch, uplink, up to the gateway, from what switches and agents know of each other.
//!
//! A switch learns the address of a device on the port behind which it sits, and so does every switch on the way to the
//! gateway. So, with the port towards the gateway known for each switch, the switches that see a device elsewhere are those
//! above it, and it hangs on the lowest of them. LLDP and CDP say the same outright where they are spoken, and a person's
//! word beats both.
//!
//! What is not certain stays so: tables age, devices move, switches keep silent. An attachment is sure only if no switch that
//! we hear contradicts it or might lie between; otherwise it comes with the places that are left. What hangs on a port need
//! not hang there alone: switches that nobody manages are seen only as several addresses behind one port.
//!
//! Contradictions end in doubt, never in a loop: every walk is bounded by the number of devices.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::device::{Class, words};

mod evidence;
mod mac;
mod orient;
mod place;

pub use mac::{Mac, NoMac};

use evidence::Evidence;
pub(crate) use evidence::plain_name;
use orient::Orientation;

/// A device, and what it knows of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The device.
    pub id: String,
    /// What people and perhaps the device itself call it.
    pub name: String,
    /// What it is for; none: not known.
    pub class: Option<Class>,
    /// Its own addresses on the wire.
    pub macs: Vec<Mac>,
    /// Its IP addresses.
    pub addresses: Vec<String>,
    /// What it knows of others; empty if it was never asked or said nothing.
    pub view: View,
}

/// What one device knows of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its ports.
    pub ports: Vec<Port>,
    /// What others said of themselves.
    pub neighbors: Vec<Neighbor>,
    /// Which addresses it learned on which port.
    pub learned: Vec<(String, Mac)>,
    /// Which addresses on the wire have which IP address.
    pub resolved: Vec<(Mac, String)>,
    /// The IP address of its default gateway.
    pub gateway_address: String,
    /// And the gateway's address on the wire.
    pub gateway_mac: Option<Mac>,
}

/// A port of a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// ifName.
    pub name: String,
    /// How many addresses that nobody manages were learned on it.
    pub others: u32,
    /// Whether it gives power to what hangs on it.
    pub powers: bool,
}

/// What another device said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Neighbor {
    /// The port that heard it.
    pub port: String,
    /// By CDP, not by LLDP.
    pub by_cdp: bool,
    /// What it calls itself by: an address on the wire, or anything.
    pub chassis: String,
    /// Its own port.
    pub remote_port: String,
    /// Its name.
    pub name: String,
    /// What it says that it is.
    pub description: String,
    /// What it says that it can be.
    pub capabilities: Vec<String>,
    /// Its IP address.
    pub address: String,
}

/// A person says on which port a device hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The device.
    pub device: String,
    /// The switch.
    pub switch: String,
    /// The switch's port; may be empty.
    pub port: String,
}

words! {
    /// How it is known where a device hangs.
    How, "kind of evidence" {
        /// A person said so.
        Person = "person",
        /// One of the two heard the other by LLDP.
        Lldp = "lldp",
        /// One of the two heard the other by CDP.
        Cdp = "cdp",
        /// Forwarding tables.
        Forwarding = "forwarding",
        /// Several ports are left, and only one of them gives the power that such a device needs.
        Power = "power",
        /// It is the highest switch on the way to the gateway.
        Gateway = "gateway",
    }
}

/// A port of a switch, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The switch's device id.
    pub switch: String,
    /// ifName of its port; empty: not known.
    pub port: String,
}

/// Where a device hangs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The port; none if it is not known, or if nothing of ours is above.
    pub place: Option<Place>,
    /// How that is known.
    pub how: How,
    /// Nothing that we hear contradicts it.
    pub sure: bool,
    /// Where else it may be.
    pub candidates: Vec<Place>,
    /// Behind the same port there is this access point, phone or silent switch, and probably it hangs on that.
    pub through: Option<String>,
    /// The device's own port that leads there; empty: not known.
    pub own_port: String,
}

/// Something that a switch heard of and that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stranger {
    /// The switch that heard it.
    pub switch: String,
    /// What it said.
    pub said: Neighbor,
}

/// The map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// The device that leads out; none if it is not known or none of ours.
    pub root: Option<String>,
    /// Where each device hangs, as far as anything is known.
    pub attachments: BTreeMap<String, Attachment>,
    /// The port towards the gateway of each switch that is heard.
    pub uplinks: BTreeMap<String, String>,
    /// What switches heard of and nobody manages.
    pub strangers: Vec<Stranger>,
}

impl Map {
    /// What lies between a device and the gateway, the nearest first, without the device itself.
    #[must_use]
    pub fn path(&self, device: &str) -> Vec<&Place> {
        let mut path = Vec::new();
        let mut at = device;
        while let Some(place) = self.attachments.get(at).and_then(|attachment| attachment.place.as_ref()) {
            if path.len() >= self.attachments.len() {
                break;
            }
            path.push(place);
            at = &place.switch;
        }
        path
    }
}

/// Draws the map. The order of devices and links does not matter, except that of two links of one device the last counts.
/// What ten thousand devices and a few hundred switches say takes a fraction of a second.
#[must_use]
pub fn map(devices: &[Seen], links: &[Link]) -> Map {
    let evidence = Evidence::new(devices, links);
    let orientation = Orientation::new(&evidence);
    Map {
        root: orientation.root().map(|root| evidence.devices[root].id.clone()),
        attachments: place::all(&evidence, &orientation),
        uplinks: orientation.uplinks(&evidence),
        strangers: evidence.strangers(),
    }
}

#[cfg(test)]
mod tests;
