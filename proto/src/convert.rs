//! Between the wire's types and those that the rest of Bellwether speaks.

use bellwether_logic::device::Class;
use bellwether_logic::discovery::Facts;
use bellwether_logic::identity::Hardware;
use bellwether_logic::ranges::RangeSet;
use data_encoding::HEXLOWER;

use crate::v1;

impl From<v1::DeviceClass> for Class {
    fn from(class: v1::DeviceClass) -> Self {
        match class {
            v1::DeviceClass::Server => Self::Server,
            v1::DeviceClass::Desktop => Self::Desktop,
            v1::DeviceClass::Laptop => Self::Laptop,
            v1::DeviceClass::Closet => Self::Closet,
            v1::DeviceClass::Unspecified => Self::Other,
        }
    }
}

impl From<Class> for v1::DeviceClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Server => Self::Server,
            Class::Desktop => Self::Desktop,
            Class::Laptop => Self::Laptop,
            Class::Closet => Self::Closet,
            // No agent runs on the others.
            _ => Self::Unspecified,
        }
    }
}

impl From<v1::HardwareIdentity> for Hardware {
    /// Cleaned: what a machine sends is not believed to be short or to mean something.
    fn from(said: v1::HardwareIdentity) -> Self {
        Self {
            vendor: said.system_vendor,
            model: said.system_model,
            serial: said.system_serial,
            board_serial: said.board_serial,
            uuid: said.system_uuid,
            tpm: HEXLOWER.encode(&said.tpm_key_sha256),
            disks: said.disk_serials.into_iter().collect(),
            macs: said.mac_addresses.into_iter().collect(),
        }
        .cleaned()
    }
}

impl From<v1::DeviceFacts> for Facts {
    /// Cleaned: what a device says of itself is not believed to be short or to mean something.
    fn from(said: v1::DeviceFacts) -> Self {
        let v1::DeviceFacts { kind, vendor, model, serial, firmware, name, location, mac, ports, object_id } = said;
        Self { kind, vendor, model, serial, firmware, name, location, mac, ports, object_id }.cleaned()
    }
}

impl From<Facts> for v1::DeviceFacts {
    fn from(facts: Facts) -> Self {
        let Facts { kind, vendor, model, serial, firmware, name, location, mac, ports, object_id } = facts;
        Self { kind, vendor, model, serial, firmware, name, location, mac, ports, object_id }
    }
}

impl v1::Receipt {
    /// A generation's received sequences as a message.
    #[must_use]
    pub fn new(generation: u64, sequences: &RangeSet) -> Self {
        let ranges = sequences.iter().map(|range| v1::Range { first: *range.start(), last: *range.end() }).collect();
        Self { generation, ranges }
    }

    /// The sequences; a range that is backwards holds none.
    #[must_use]
    pub fn sequences(&self) -> RangeSet {
        self.ranges.iter().map(|range| range.first..=range.last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_carry_their_ranges() {
        let set: RangeSet = [1..=3, 7..=7, 9..=20].into_iter().collect();
        assert_eq!(v1::Receipt::new(5, &set).sequences(), set);
    }

    #[test]
    fn a_backwards_range_holds_nothing() {
        let receipt = v1::Receipt { generation: 1, ranges: vec![v1::Range { first: 9, last: 2 }] };
        assert!(receipt.sequences().is_empty());
    }
}
