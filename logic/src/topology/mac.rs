//! Addresses of network cards, and which of them say nothing about anybody.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The address of a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// A text that is no address of a network card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no MAC address")]
pub struct NoMac(pub String);

impl Mac {
    /// Whether it is no one device's: for many, made up by software or at random, or shared by routers that stand in for
    /// each other (VRRP of RFC 9568, HSRP and GLBP of Cisco).
    #[must_use]
    pub const fn is_nobodys(self) -> bool {
        const FOR_MANY: u8 = 0x01;
        const MADE_UP: u8 = 0x02;
        let [first, ..] = self.0;
        first & (FOR_MANY | MADE_UP) != 0
            || matches!(
                self.0,
                [0, 0, 0, 0, 0, 0]
                    | [0, 0, 0x5e, 0, 1 | 2, _]
                    | [0, 0, 0x0c, 0x07, 0xac, _]
                    | [0, 0, 0x0c, 0x9f, 0xf0..=0xff, _]
                    | [0, 0x07, 0xb4, _, _, _]
            )
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = NoMac;

    /// Six pairs of hexadecimal digits with colons or hyphens between.
    fn from_str(text: &str) -> Result<Self, NoMac> {
        let refused = || NoMac(text.chars().take(40).collect());
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && !pair.starts_with('+')).ok_or_else(refused)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        if pairs.next().is_some() { Err(refused()) } else { Ok(Self(octets)) }
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
