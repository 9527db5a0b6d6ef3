//! What tells this machine from another, for recognising it after a re-image. Nothing of a person: not even the
//! hostname, which often holds a name.

use std::fs;

use bellwether_logic::device::Class;
use bellwether_proto::v1::HardwareIdentity;

use crate::host::Host;

/// What vendors leave in the firmware when they fill in nothing. Two machines that share such a word are not the same.
const JUNK: &[&str] = &[
    "0",
    "00000000",
    "0123456789",
    "123456789",
    "1234567890",
    "chassis serial number",
    "default string",
    "empty",
    "invalid",
    "n/a",
    "na",
    "no asset information",
    "no asset tag",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "o.e.m.",
    "oem",
    "sernum0",
    "serial",
    "system manufacturer",
    "system name",
    "system product name",
    "system serial number",
    "to be filled by o.e.m",
    "to be filled by o.e.m.",
    "undefined",
    "unknown",
    "xxxxxxxx",
];

/// No firmware word that means something is longer.
const MAX_WORD_BYTES: usize = 128;

/// Physical network cards of one machine.
const MAX_CARDS: usize = 16;

/// Reads what the firmware and the network cards say. What may not be read stays empty: serials need root.
#[must_use]
pub fn identity(host: &Host) -> HardwareIdentity {
    let word = |name: &str| host.word(&format!("sys/class/dmi/id/{name}")).and_then(meaningful).unwrap_or_default();
    let identity = HardwareIdentity {
        system_vendor: word("sys_vendor"),
        system_model: word("product_name"),
        system_serial: word("product_serial"),
        board_serial: word("board_serial"),
        mac_addresses: mac_addresses(host),
    };
    fill_elsewhere(identity)
}

#[cfg(target_os = "linux")]
const fn fill_elsewhere(identity: HardwareIdentity) -> HardwareIdentity {
    identity
}

/// Where there is no `/sys`, the sysinfo crate knows whom to ask.
#[cfg(not(target_os = "linux"))]
fn fill_elsewhere(mut identity: HardwareIdentity) -> HardwareIdentity {
    let word = |word: Option<String>| word.and_then(meaningful).unwrap_or_default();
    identity.system_vendor = word(sysinfo::Product::vendor_name().ok());
    identity.system_model = word(sysinfo::Product::name().ok());
    identity.system_serial = word(sysinfo::Product::serial_number().ok());
    identity.board_serial = word(sysinfo::Motherboard::new().ok().and_then(|board| board.serial_number()));
    identity
}

/// What the machine is for, as far as its case tells (SMBIOS 3.7, table 17).
#[must_use]
pub fn class(host: &Host) -> Class {
    let chassis = host.word("sys/class/dmi/id/chassis_type").and_then(|word| word.parse::<u8>().ok());
    match chassis {
        Some(3..=7 | 13 | 15 | 16 | 24 | 35 | 36) => Class::Desktop,
        Some(8..=10 | 14 | 30..=32) => Class::Laptop,
        Some(17 | 23 | 28 | 29) => Class::Server,
        _ => Class::Other,
    }
}

/// The word, unless it is one of those that vendors leave in, which tell nothing.
pub(crate) fn meaningful(word: String) -> Option<String> {
    let lower = word.to_lowercase();
    let same = word.chars().next().is_some_and(|first| word.chars().all(|other| other == first));
    let junk = JUNK.contains(&lower.as_str()) || same || word.len() > MAX_WORD_BYTES;
    (!junk).then_some(word)
}

/// Addresses of cards that are hardware, as burnt in.
fn mac_addresses(host: &Host) -> Vec<String> {
    let Ok(folder) = fs::read_dir(host.path("sys/class/net")) else { return Vec::new() };
    let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut addresses: Vec<String> = names
        .filter(|name| host.path(&format!("sys/class/net/{name}/device")).exists())
        // 0 is "burnt in": randomised and made-up addresses tell nothing.
        .filter(|name| host.word(&format!("sys/class/net/{name}/addr_assign_type")).is_none_or(|kind| kind == "0"))
        .filter_map(|name| host.word(&format!("sys/class/net/{name}/address")))
        .filter(|address| is_universal(address))
        .map(|address| address.to_lowercase())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MAX_CARDS);
    addresses
}

/// Six bytes, of one card, given by a vendor.
fn is_universal(address: &str) -> bool {
    let bytes: Vec<u8> = address.split(':').map_while(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.len() == 6 && bytes[0] & 0b11 == 0 && bytes.iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::at(dir.path());
        (dir, host)
    }

    #[test]
    fn what_a_vendor_forgot_to_fill_in_is_no_identity() {
        let (_dir, host) = machine(&[
            ("sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
            ("sys/class/dmi/id/product_name", "OptiPlex 7080\n"),
            ("sys/class/dmi/id/product_serial", "To be filled by O.E.M.\n"),
            ("sys/class/dmi/id/board_serial", "........\n"),
            ("sys/class/net/eth0/device/x", ""),
            ("sys/class/net/eth0/address", "8C:04:BA:01:02:03\n"),
            ("sys/class/net/wlan0/device/x", ""),
            ("sys/class/net/wlan0/addr_assign_type", "3\n"),
            ("sys/class/net/wlan0/address", "8c:04:ba:01:02:04\n"),
            ("sys/class/net/docker0/address", "02:42:ba:01:02:03\n"),
        ]);
        let identity = identity(&host);
        assert_eq!(identity.system_vendor, "Dell Inc.");
        assert_eq!(identity.system_model, "OptiPlex 7080");
        assert_eq!(identity.system_serial, "");
        assert_eq!(identity.board_serial, "");
        assert_eq!(identity.mac_addresses, ["8c:04:ba:01:02:03"]);
    }

    #[test]
    fn the_case_tells_the_class() {
        for (chassis, class_of_it) in [
            ("3", Class::Desktop),
            ("10", Class::Laptop),
            ("23", Class::Server),
            ("2", Class::Other),
            ("x", Class::Other),
        ] {
            let (_dir, host) = machine(&[("sys/class/dmi/id/chassis_type", chassis)]);
            assert_eq!(class(&host), class_of_it, "{chassis}");
        }
    }

    #[test]
    fn a_machine_without_firmware_words_has_an_empty_identity() {
        let (_dir, host) = machine(&[]);
        assert_eq!(identity(&host), HardwareIdentity::default());
        assert_eq!(class(&host), Class::Other);
    }
}
