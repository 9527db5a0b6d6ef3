//! What a device answers with, and what can be made of it: devices put text, numbers and addresses into each other's types.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Oid;

/// One value, in the type in which the device gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, or one of an enumeration. RFC 2578 has 32 bits; some agents send more.
    Integer(i64),
    /// Counts up and wraps.
    Counter32(u32),
    /// Counts up and hardly ever wraps.
    Counter64(u64),
    /// Goes up and down.
    Gauge32(u32),
    /// Hundredths of a second since something began.
    TimeTicks(u32),
    /// Text, a MAC address, a bit map, a date: the reader knows which.
    Octets(Vec<u8>),
    /// A name as a value, as in sysObjectID.
    ObjectId(Box<Oid>),
    /// An IPv4 address.
    Address(Ipv4Addr),
    /// Something packed by an agreement of its own, such as a float.
    Opaque(Vec<u8>),
}

impl Value {
    /// A number of any numeric type; a counter beyond what fits is none.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::Integer(value) => Some(value),
            Self::Counter32(value) | Self::Gauge32(value) | Self::TimeTicks(value) => Some(i64::from(value)),
            Self::Counter64(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    /// A number of any numeric type that is not below zero.
    #[must_use]
    pub fn as_unsigned(&self) -> Option<u64> {
        match *self {
            Self::Counter64(value) => Some(value),
            _ => self.as_integer().and_then(|value| u64::try_from(value).ok()),
        }
    }

    /// A number of any numeric type, or a float in the form in which Net-SNMP packs one; never infinite or no number.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Opaque(bytes) => packed_float(bytes).filter(|value| value.is_finite()),
            #[expect(clippy::cast_precision_loss, reason = "a float has no more; counters are read as integers")]
            _ => self.as_unsigned().map(|value| value as f64).or_else(|| self.as_integer().map(|value| value as f64)),
        }
    }

    /// Text: UTF-8, else Latin-1, as devices mean it; line breaks and tabs become spaces, other control characters and
    /// what is blank around it are dropped. Only octets are text.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        let Self::Octets(bytes) = self else { return None };
        let text = match str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        };
        if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Some(text.trim().to_owned());
        }
        let visible: String =
            text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control()).collect();
        Some(visible.trim().to_owned())
    }

    /// A MAC address: six octets, or the usual text of one.
    #[must_use]
    pub fn as_mac(&self) -> Option<[u8; 6]> {
        let Self::Octets(bytes) = self else { return None };
        if let Ok(mac) = <[u8; 6]>::try_from(bytes.as_slice()) {
            return Some(mac);
        }
        let text = str::from_utf8(bytes).ok()?.trim_matches(['\0', ' ']);
        let pairs = text.split([':', '-']).map(pair).collect::<Option<Vec<u8>>>()?;
        pairs.try_into().ok()
    }

    /// An address: of the type for it, or four or sixteen octets.
    #[must_use]
    pub fn as_address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(IpAddr::V4(*address)),
            Self::Octets(bytes) => <[u8; 4]>::try_from(bytes.as_slice())
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from))
                .ok(),
            _ => None,
        }
    }

    /// A name.
    #[must_use]
    pub const fn as_oid(&self) -> Option<&Oid> {
        match self {
            Self::ObjectId(oid) => Some(oid),
            _ => None,
        }
    }

    /// The octets as they are.
    #[must_use]
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Self::Octets(bytes) | Self::Opaque(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Octets(bytes) | Self::Opaque(bytes) => bytes.len(),
                Self::ObjectId(oid) => size_of_val(oid.arcs()),
                _ => 0,
            }
    }
}

/// Two hexadecimal digits.
fn pair(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// Net-SNMP's floats: a tag of two bytes, a length, the number (NET-SNMP-TC, `Opaque-Float` and `Opaque-Double`).
fn packed_float(bytes: &[u8]) -> Option<f64> {
    match bytes {
        [0x9f, 0x78, 4, rest @ ..] => Some(f64::from(f32::from_be_bytes(rest.try_into().ok()?))),
        [0x9f, 0x79, 8, rest @ ..] => Some(f64::from_be_bytes(rest.try_into().ok()?)),
        _ => None,
    }
}

impl fmt::Display for Value {
    /// For a person: text where it is text, else hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Counter32(value) | Self::Gauge32(value) | Self::TimeTicks(value) => write!(f, "{value}"),
            Self::Counter64(value) => write!(f, "{value}"),
            Self::ObjectId(oid) => write!(f, "{oid}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Octets(bytes) if is_printable(bytes) => f.write_str(&self.as_text().unwrap_or_default()),
            Self::Octets(bytes) | Self::Opaque(bytes) => bytes
                .iter()
                .enumerate()
                .try_for_each(|(at, byte)| write!(f, "{}{byte:02x}", if at > 0 { " " } else { "" })),
        }
    }
}

/// Whether octets are meant as text: nothing but a trailing NUL and white space is unprintable.
fn is_printable(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn octets(bytes: &[u8]) -> Value {
        Value::Octets(bytes.to_vec())
    }

    #[test]
    fn text_is_what_the_device_meant() {
        for (bytes, text) in [
            (&b"HP LaserJet"[..], "HP LaserJet"),
            (b"  Room 12\0\0", "Room 12"),
            (b"two\r\nlines\tand a bell\x07", "two  lines and a bell"),
            ("Caf\u{e9}".as_bytes(), "Caf\u{e9}"),
            (b"Caf\xe9", "Caf\u{e9}"),
            (b"", ""),
        ] {
            assert_eq!(octets(bytes).as_text().as_deref(), Some(text), "{bytes:?}");
        }
        assert_eq!(Value::Integer(1).as_text(), None);
    }

    #[test]
    fn an_address_of_a_card_is_six_octets_or_their_text() {
        let mac = Some([0x00, 0x1b, 0x21, 0xaa, 0xbb, 0x0c]);
        for value in [&b"\x00\x1b\x21\xaa\xbb\x0c"[..], b"00:1B:21:aa:bb:0c", b"00-1b-21-AA-BB-0C\0"] {
            assert_eq!(octets(value).as_mac(), mac);
        }
        for value in [&b""[..], b"00:1b:21:aa:bb", b"+0:1b:21:aa:bb:0c", b"\x00\x1b\x21"] {
            assert_eq!(octets(value).as_mac(), None, "{value:?}");
        }
    }

    #[test]
    fn numbers_are_read_whatever_their_type() {
        assert_eq!(Value::Gauge32(u32::MAX).as_integer(), Some(4_294_967_295));
        assert_eq!(Value::Counter64(u64::MAX).as_integer(), None);
        assert_eq!(Value::Counter64(u64::MAX).as_unsigned(), Some(u64::MAX));
        assert_eq!(Value::Integer(-1).as_unsigned(), None);
        assert_eq!(Value::Integer(-1).as_float(), Some(-1.0));
        assert_eq!(octets(b"7").as_integer(), None);
        assert_eq!(Value::Opaque(vec![0x9f, 0x78, 4, 0x3f, 0x80, 0, 0]).as_float(), Some(1.0));
        assert_eq!(Value::Opaque(vec![0x9f, 0x78, 4, 0x7f, 0xc0, 0, 0]).as_float(), None, "no number");
    }

    #[test]
    fn an_address_is_read_from_its_type_or_its_octets() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(Value::Address(address).as_address(), Some(address.into()));
        assert_eq!(octets(&[10, 0, 0, 1]).as_address(), Some(address.into()));
        assert_eq!(octets(&[10, 0, 0]).as_address(), None);
    }

    #[test]
    fn a_person_sees_text_or_octets() {
        assert_eq!(octets(b"Room 12\0").to_string(), "Room 12");
        assert_eq!(octets(&[0, 0x1b, 0xff]).to_string(), "00 1b ff");
    }

    proptest! {
        #[test]
        fn any_octets_can_be_asked_anything(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for value in [Value::Octets(bytes.clone()), Value::Opaque(bytes)] {
                let text = value.as_text().unwrap_or_default();
                prop_assert!(!text.contains(char::is_control));
                let _ = (value.as_mac(), value.as_address(), value.as_float(), value.to_string(), value.weight());
            }
        }
    }
}
