//! What tells this machine from another, for recognising it after a re-image. Nothing of a person: not even the
//! hostname, which often holds a name.
//!
//! The TPM's endorsement key would be the best word of all, and mostly can't be read: see `tpm`.

use std::collections::BTreeSet;
use std::fs;

use bellwether_logic::device::Class;
use bellwether_logic::identity::{is_junk_uuid, is_junk_word, is_shared_address};
use bellwether_proto::v1::HardwareIdentity;

use crate::host::Host;

mod tpm;

/// No firmware word that means something is longer.
const MAX_WORD_BYTES: usize = 128;

/// Physical network cards of one machine.
pub(crate) const MAX_CARDS: usize = 16;

/// Disks of one machine; a file server has more, and its first ones tell it well enough.
pub(crate) const MAX_DISKS: usize = 16;

/// What SCSI puts before a serial number: page 80h, the length in its last byte.
const SERIAL_PAGE_HEADER: usize = 4;

/// Reads what the firmware, the disks and the network cards say. What may not be read stays empty: the firmware's
/// numbers need root, disks and network cards mostly do not.
#[must_use]
pub fn identity(host: &Host) -> HardwareIdentity {
    let word = |name: &str| host.word(&format!("sys/class/dmi/id/{name}")).and_then(meaningful).unwrap_or_default();
    let uuid = host.word("sys/class/dmi/id/product_uuid").map(|uuid| uuid.to_lowercase());
    let mut identity = HardwareIdentity {
        system_vendor: word("sys_vendor"),
        system_model: word("product_name"),
        system_serial: word("product_serial"),
        board_serial: word("board_serial"),
        mac_addresses: mac_addresses(host),
        system_uuid: uuid.filter(|uuid| !is_junk_uuid(uuid)).unwrap_or_default(),
        disk_serials: disk_serials(host),
        tpm_key_sha256: tpm::key_sha256(host),
    };
    if identity.system_serial.is_empty() {
        // Small boards without a BIOS.
        let serial = host.word("proc/device-tree/serial-number").map(|word| word.trim_end_matches('\0').to_owned());
        identity.system_serial = serial.and_then(meaningful).unwrap_or_default();
    }
    fill_elsewhere(identity)
}

#[cfg(target_os = "linux")]
const fn fill_elsewhere(identity: HardwareIdentity) -> HardwareIdentity {
    identity
}

/// Windows says it all in its own way.
#[cfg(windows)]
fn fill_elsewhere(_: HardwareIdentity) -> HardwareIdentity {
    crate::windows::identity(&crate::windows::Live::new(Host::default()))
}

/// Where there is no `/sys`, the sysinfo crate knows whom to ask.
#[cfg(not(any(target_os = "linux", windows)))]
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
    #[cfg(windows)]
    let chassis = chassis.or_else(|| crate::windows::chassis(&crate::windows::Live::new(host.clone())));
    match chassis {
        Some(3..=7 | 13 | 15 | 16 | 24 | 35 | 36) => Class::Desktop,
        Some(8..=10 | 14 | 30..=32) => Class::Laptop,
        Some(17 | 23 | 28 | 29) => Class::Server,
        _ => Class::Other,
    }
}

/// The word, unless it is one of those that vendors leave in, which tell nothing.
pub(crate) fn meaningful(word: String) -> Option<String> {
    (word.len() <= MAX_WORD_BYTES && !is_junk_word(&word)).then_some(word)
}

/// Names in a folder of the system.
fn names(host: &Host, folder: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(host.path(folder)) else { return Vec::new() };
    folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Whether a device hangs on a cable that anyone can pull out.
fn is_on_usb(host: &Host, device: &str) -> bool {
    fs::canonicalize(host.path(device)).is_ok_and(|path| path.to_string_lossy().contains("/usb"))
}

/// Addresses of cards that are hardware, as burnt in, and belong to the machine: not those of docks and adapters.
fn mac_addresses(host: &Host) -> Vec<String> {
    let addresses = names(host, "sys/class/net").into_iter().filter_map(|name| {
        let card = format!("sys/class/net/{name}");
        let is_hardware = host.path(&format!("{card}/device")).exists() && !is_on_usb(host, &format!("{card}/device"));
        // 0 is "burnt in": randomised and made-up addresses tell nothing.
        let is_burnt_in = host.word(&format!("{card}/addr_assign_type")).is_none_or(|kind| kind == "0");
        host.word(&format!("{card}/address"))
            .filter(|_| is_hardware && is_burnt_in)
            .map(|address| address.to_lowercase())
    });
    let addresses: BTreeSet<String> = addresses.filter(|address| !is_shared_address(address)).collect();
    addresses.into_iter().take(MAX_CARDS).collect()
}

/// Serial numbers of disks that stay in the machine.
fn disk_serials(host: &Host) -> Vec<String> {
    let serials = names(host, "sys/block").into_iter().filter_map(|name| {
        let disk = format!("sys/block/{name}");
        let stays = host.path(&format!("{disk}/device")).exists()
            && host.word(&format!("{disk}/removable")).is_none_or(|word| word == "0")
            && !is_on_usb(host, &disk);
        // NVMe and memory cards; SATA and SAS; virtio.
        let said = || {
            host.word(&format!("{disk}/device/serial"))
                .or_else(|| serial_page(host, &disk))
                .or_else(|| host.word(&format!("{disk}/serial")))
        };
        if stays { said().and_then(meaningful) } else { None }
    });
    let serials: BTreeSet<String> = serials.collect();
    serials.into_iter().take(MAX_DISKS).collect()
}

fn serial_page(host: &Host, disk: &str) -> Option<String> {
    let page = fs::read(host.path(&format!("{disk}/device/vpd_pg80"))).ok()?;
    let serial = page.get(SERIAL_PAGE_HEADER..)?;
    let serial: String = serial.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    (!serial.is_empty()).then_some(serial)
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
    fn disks_that_stay_in_the_machine_tell_it_and_sticks_do_not() {
        let (_dir, host) = machine(&[
            ("sys/class/dmi/id/product_uuid", "03000200-0400-0500-0006-000700080009\n"),
            ("sys/block/nvme0n1/device/serial", "S4EVNX0R123456  \n"),
            ("sys/block/nvme0n1/removable", "0\n"),
            ("sys/block/sda/device/vpd_pg80", "\0\u{1}\0\u{14}     WD-WCC6Y5KH1234"),
            ("sys/block/sda/removable", "0\n"),
            ("sys/block/sdb/device/serial", "STICK1\n"),
            ("sys/block/sdb/removable", "1\n"),
            ("sys/block/loop0/size", "1\n"),
            ("sys/block/vda/device/x", ""),
            ("sys/block/vda/serial", "QM00001\n"),
            ("proc/device-tree/serial-number", "10000000a1b2c3d4\0"),
        ]);
        let identity = identity(&host);
        assert_eq!(identity.disk_serials, ["S4EVNX0R123456", "WD-WCC6Y5KH1234"]);
        assert_eq!(identity.system_uuid, "", "a UUID of half the world");
        assert_eq!(identity.system_serial, "10000000a1b2c3d4");
    }

    #[cfg(unix)]
    #[test]
    fn the_card_of_a_dock_is_not_the_machines() {
        let (dir, host) =
            machine(&[("sys/devices/pci0/usb1/1-1/x", ""), ("sys/class/net/enx1/address", "8c:04:ba:01:02:03\n")]);
        std::os::unix::fs::symlink(
            dir.path().join("sys/devices/pci0/usb1/1-1"),
            dir.path().join("sys/class/net/enx1/device"),
        )
        .unwrap();
        assert_eq!(identity(&host).mac_addresses, [""; 0]);
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
