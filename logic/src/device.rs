//! What a school owns, as far as the deciders need to know it.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Declares an enumeration of words that are written the same in tags, files, records and addresses.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them, in the order in which a page lists them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in tags, files and addresses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { f.write_str(self.as_str()) }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::device::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::device::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::device::UnknownWord { what: $what, word: word.into(), expected: &[$($word),+] }),
                }
            }
        }
    };
}

pub(crate) use words;

/// A word that is not on its list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{word}`: expected one of {}", expected.join(", "))]
pub struct UnknownWord {
    /// What the word should have named.
    pub what: &'static str,
    /// What was found.
    pub word: String,
    /// What would have been understood.
    pub expected: &'static [&'static str],
}

words! {
    /// What a device is for; decides which rules look at it and when it is expected to be on.
    Class, "device class" {
        /// Always on.
        Server = "server",
        /// On all day, in one place.
        Desktop = "desktop",
        /// Comes and goes; its absence means nothing.
        Laptop = "laptop",
        /// The small machine in a network closet that watches what can't run an agent. Always on.
        Closet = "closet",
        /// A switch.
        Switch = "switch",
        /// A router.
        Router = "router",
        /// A firewall or what else stands between inside and outside.
        Firewall = "firewall",
        /// What manages access points.
        WirelessController = "wireless_controller",
        /// An access point.
        AccessPoint = "access_point",
        /// An uninterruptible power supply.
        Ups = "ups",
        /// Switched or measured sockets.
        Pdu = "pdu",
        /// A printer or copier.
        Printer = "printer",
        /// A projector or display.
        Projector = "projector",
        /// A camera or what records cameras.
        Camera = "camera",
        /// A telephone.
        Phone = "phone",
        /// A store of files.
        Nas = "nas",
        /// The remote hands of a server: a small computer of its own.
        Bmc = "bmc",
        /// A probe for temperature, humidity and the like.
        Sensor = "sensor",
        /// Not known yet; its absence means nothing.
        Other = "other",
    }
}

words! {
    /// Where a device stands in its life. Only a device in use is judged.
    LifeState, "device state" {
        /// In its place, at work.
        InUse = "in_use",
        /// Ready to replace another.
        Spare = "spare",
        /// Lent out while another is repaired.
        Loaner = "loaner",
        /// On a bench.
        InRepair = "in_repair",
        /// Put away.
        Storage = "storage",
        /// Nobody knows where.
        Lost = "lost",
        /// Gone for good.
        Retired = "retired",
    }
}

/// Who made a device and what it is called, as one text: many vendors put their name into that of the model, too.
#[must_use]
pub fn make(vendor: &str, model: &str) -> String {
    let (vendor, model) = (vendor.trim(), model.trim());
    let begins = model.get(..vendor.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(vendor));
    let goes_on = |rest: &str| rest.is_empty() || rest.starts_with([' ', '-', '_', ',']);
    if begins && model.get(vendor.len()..).is_some_and(goes_on) {
        return model.into();
    }
    alloc::format!("{vendor} {model}").trim().into()
}

/// A device as the inventory holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Given at enrolment, never changes.
    pub id: String,
    /// The asset tag or whatever the admin calls it; the device id until then.
    pub name: String,
    /// What it is for.
    pub class: Class,
    /// The building.
    pub site: String,
    /// The room or closet; may be empty.
    pub room: String,
    /// Where it stands in its life.
    pub state: LifeState,
    /// What it is, as [`make`] names it; may be empty. Devices of one model may share a fault.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_that_names_itself_in_the_model_is_named_once() {
        for (vendor, model, shown) in [
            ("Cisco", "WS-C2960X", "Cisco WS-C2960X"),
            ("Eaton", "Eaton 9PX 2200i", "Eaton 9PX 2200i"),
            ("Epson", "EPSON Network Projector", "EPSON Network Projector"),
            ("HP", "HPE 5130", "HP HPE 5130"),
            ("", "AP-105", "AP-105"),
            ("Ubiquiti", "", "Ubiquiti"),
            ("", "", ""),
        ] {
            assert_eq!(make(vendor, model), shown);
        }
    }
}
