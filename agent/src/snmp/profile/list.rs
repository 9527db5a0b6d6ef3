//! The profiles that are built in: a file each.

/// A profile's name and its text.
macro_rules! profiles {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../profiles/", $name, ".toml")))),+]
    };
}

/// Every one, by name.
pub const ALL: &[(&str, &str)] = profiles![
    "apc-pdu",
    "apc-probes",
    "apc-ups",
    "aruba-cx",
    "aruba-instant",
    "aruba-switch",
    "bridge",
    "cisco",
    "computer",
    "cyberpower",
    "d-link",
    "eaton",
    "eaton-mge",
    "entity",
    "entity-sensors",
    "epson-projector",
    "extreme",
    "fortinet",
    "host-resources",
    "interfaces",
    "meraki",
    "nec-projector",
    "neighbors",
    "netgear",
    "palo-alto",
    "poe",
    "printer",
    "printer-makers",
    "router",
    "ruckus",
    "ruckus-icx",
    "synology",
    "system",
    "tp-link",
    "ubiquiti-switch",
    "unifi-ap",
    "ups",
    "vendors",
    "zyxel",
];
