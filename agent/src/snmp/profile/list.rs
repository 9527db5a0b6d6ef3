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
    "aruba-controller",
    "aruba-cx",
    "aruba-instant",
    "aruba-switch",
    "bmc",
    "bridge",
    "cisco",
    "computer",
    "comware",
    "cyberpower",
    "d-link",
    "description",
    "eaton",
    "eaton-mge",
    "entity",
    "entity-sensors",
    "epson-projector",
    "extreme",
    "fibre-channel",
    "fortinet",
    "geist",
    "host-resources",
    "huawei",
    "interfaces",
    "juniper",
    "meraki",
    "nec-projector",
    "neighbors",
    "netapp",
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
    "tripp-lite",
    "ubiquiti-switch",
    "unifi-ap",
    "ups",
    "vendors",
    "vertiv",
    "wireless",
    "words",
    "zyxel",
];
