//! What tells this machine from another, as the firmware, the disks and the network cards say.

use std::collections::BTreeSet;

use bellwether_logic::identity::{is_junk_uuid, is_shared_address};
use bellwether_proto::v1::HardwareIdentity;

use super::facts::{Facts, Row, number, text};
use super::smart;
use crate::hardware::{MAX_CARDS, MAX_DISKS, meaningful};

const SYSTEM: &str = r"ROOT\CIMV2";

/// What may not be read stays empty.
pub(crate) fn identity(facts: &dyn Facts) -> HardwareIdentity {
    let product = first(facts, "Win32_ComputerSystemProduct", "IdentifyingNumber, Name, UUID, Vendor");
    let board = first(facts, "Win32_BaseBoard", "SerialNumber");
    let word = |row: &Row, property: &str| text(row, property).and_then(meaningful).unwrap_or_default();
    let uuid = text(&product, "UUID").map(|uuid| uuid.to_lowercase());
    HardwareIdentity {
        system_vendor: word(&product, "Vendor"),
        system_model: word(&product, "Name"),
        system_serial: word(&product, "IdentifyingNumber"),
        board_serial: word(&board, "SerialNumber"),
        mac_addresses: mac_addresses(facts),
        system_uuid: uuid.filter(|uuid| !is_junk_uuid(uuid)).unwrap_or_default(),
        disk_serials: disk_serials(facts),
        tpm_key_sha256: Vec::new(),
    }
}

/// The kind of case, as SMBIOS numbers them.
pub(crate) fn chassis(facts: &dyn Facts) -> Option<u8> {
    let case = first(facts, "Win32_SystemEnclosure", "ChassisTypes");
    case.get("ChassisTypes")?.as_array()?.first()?.as_u64()?.try_into().ok()
}

fn first(facts: &dyn Facts, class: &'static str, properties: &'static str) -> Row {
    facts.rows(SYSTEM, class, properties).ok().and_then(|rows| rows.into_iter().next()).unwrap_or_default()
}

/// Of cards that belong to the machine: not those of docks and adapters, which hang on USB.
fn mac_addresses(facts: &dyn Facts) -> Vec<String> {
    let adapters = facts.rows(SYSTEM, "Win32_NetworkAdapter", "InterfaceIndex, PNPDeviceID").unwrap_or_default();
    let on_usb = |index: u32| {
        adapters.iter().any(|adapter| {
            number(adapter, "InterfaceIndex") == Some(u64::from(index))
                && text(adapter, "PNPDeviceID").is_some_and(|place| place.to_uppercase().starts_with("USB\\"))
        })
    };
    let cards = facts.cards().unwrap_or_default();
    let ours = cards.into_iter().filter(|card| card.hardware && !card.filter && !on_usb(card.index));
    let addresses: BTreeSet<String> =
        ours.map(|card| card.address).filter(|address| !address.is_empty() && !is_shared_address(address)).collect();
    addresses.into_iter().take(MAX_CARDS).collect()
}

fn disk_serials(facts: &dyn Facts) -> Vec<String> {
    let disks = smart::disks(facts).unwrap_or_default();
    let serials: BTreeSet<String> = disks.iter().filter_map(|disk| meaningful(smart::serial(disk)?)).collect();
    serials.into_iter().take(MAX_DISKS).collect()
}
