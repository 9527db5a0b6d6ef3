//! The network interfaces.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use windows::Win32::NetworkManagement::IpHelper::{FreeMibTable, GetIfTable2, MIB_IF_ROW2, MIB_IF_TABLE2};
use windows::Win32::NetworkManagement::Ndis::IfOperStatusUp;

use super::refused;
use crate::reading::Problem;
use crate::windows::facts::Card;

/// Bits of `InterfaceAndOperStatusFlags`.
/// <https://learn.microsoft.com/en-us/windows/win32/api/netioapi/ns-netioapi-mib_if_row2>
const HARDWARE: u8 = 1;
const FILTER: u8 = 1 << 1;

pub(super) fn cards() -> Result<Vec<Card>, Problem> {
    let mut table: *mut MIB_IF_TABLE2 = std::ptr::null_mut();
    // SAFETY: the place for the pointer lives through the call.
    // <https://learn.microsoft.com/en-us/windows/win32/api/netioapi/nf-netioapi-getiftable2>
    let status = unsafe { GetIfTable2(&raw mut table) };
    status.ok().map_err(|error| refused("GetIfTable2", &error))?;
    // SAFETY: after success the pointer is to a table of as many rows as it says, which is ours until it is freed.
    let cards = unsafe {
        let rows: &[MIB_IF_ROW2] =
            std::slice::from_raw_parts((&raw const (*table).Table).cast(), (*table).NumEntries as usize);
        let cards = rows.iter().map(card).collect();
        FreeMibTable(table.cast());
        cards
    };
    Ok(cards)
}

fn card(row: &MIB_IF_ROW2) -> Card {
    let flags = row.InterfaceAndOperStatusFlags._bitfield;
    // SAFETY: both members of the union are the same 64 bits.
    let luid = unsafe { row.InterfaceLuid.Value };
    let length = (row.PhysicalAddressLength as usize).min(row.PermanentPhysicalAddress.len());
    let address: Vec<String> =
        row.PermanentPhysicalAddress[..length].iter().map(|byte| format!("{byte:02x}")).collect();
    Card {
        kind: row.Type,
        // The 24 bits below the type.
        number: u32::try_from(luid >> 24 & 0x00ff_ffff).expect("24 bits"),
        guid: format!("{:?}", row.InterfaceGuid),
        index: row.InterfaceIndex,
        hardware: flags & HARDWARE != 0,
        filter: flags & FILTER != 0,
        up: row.OperStatus == IfOperStatusUp,
        speed: row.TransmitLinkSpeed,
        description: text(&row.Description),
        address: address.join(":"),
        bytes_in: row.InOctets,
        bytes_out: row.OutOctets,
        packets_in: row.InUcastPkts.saturating_add(row.InNUcastPkts),
        packets_out: row.OutUcastPkts.saturating_add(row.OutNUcastPkts),
        errors_in: row.InErrors,
        errors_out: row.OutErrors,
        drops_in: row.InDiscards,
        drops_out: row.OutDiscards,
    }
}

/// Up to the zero at its end.
fn text(wide: &[u16]) -> String {
    let end = wide.iter().position(|unit| *unit == 0).unwrap_or(wide.len());
    String::from_utf16_lossy(&wide[..end])
}
