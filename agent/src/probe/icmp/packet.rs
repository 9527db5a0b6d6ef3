//! ICMP echo messages as bytes: RFC 792 for IPv4, RFC 4443 for IPv6. Parses what the network sends, so it believes
//! nothing: every length is checked, and what is not an answer to an echo request of ours is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes after the ICMP header: the token.
const TOKEN_BYTES: usize = 8;

/// A whole request.
pub const REQUEST_BYTES: usize = HEADER_BYTES + TOKEN_BYTES;

/// Type, code, checksum, and the four bytes that an echo uses for its identifier and sequence.
const HEADER_BYTES: usize = 8;

/// The smallest IPv4 header, and the only IPv6 header that we can be quoted: we send no extension headers.
const V4_HEADER_BYTES: usize = 20;
const V6_HEADER_BYTES: usize = 40;

/// The protocol's number in an IPv4 header, and the next header in an IPv6 one.
const PROTOCOL_V4: u8 = 1;
const PROTOCOL_V6: u8 = 58;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// ICMP.
    V4,
    /// ICMPv6.
    V6,
}

impl Family {
    /// The one of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// 4 or 6.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    const fn request(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    const fn reply(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }

    /// What an error message of this type and code says of the packet that it quotes.
    #[must_use]
    pub const fn refusal(self, kind: u8) -> Option<Refusal> {
        match (self, kind) {
            (Self::V4, 3) | (Self::V6, 1) => Some(Refusal::Unreachable),
            (Self::V4, 11) | (Self::V6, 3) => Some(Refusal::Expired),
            _ => None,
        }
    }
}

/// Why a request did not get to its target, as a router on the way says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no way, or nobody there.
    Unreachable,
    /// It passed as many routers as it was allowed to: the answer that a traceroute lives on.
    Expired,
}

/// A message that concerns an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The target answered.
    Reply {
        /// As sent, unless the system rewrites it.
        identifier: u16,
        /// As sent.
        sequence: u16,
        /// As sent.
        token: u64,
    },
    /// Somebody on the way refused.
    Refused {
        /// In which way.
        refusal: Refusal,
        /// The target of the request.
        to: IpAddr,
        /// As sent.
        identifier: u16,
        /// As sent.
        sequence: u16,
    },
}

/// An echo request. The checksum of an IPv6 one is made by the system, which knows the sender's address.
#[must_use]
pub fn request(family: Family, identifier: u16, sequence: u16, token: u64) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[0] = family.request();
    bytes[4..6].copy_from_slice(&identifier.to_be_bytes());
    bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[HEADER_BYTES..].copy_from_slice(&token.to_be_bytes());
    if family == Family::V4 {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// What a received packet says; a raw IPv4 socket gives the IP header with it.
#[must_use]
pub fn parse(family: Family, packet: &[u8], with_ip_header: bool) -> Option<Heard> {
    let message = if with_ip_header { packet.get(v4_header(packet)?..)? } else { packet };
    let kind = *message.first()?;
    if kind == family.reply() {
        let (identifier, sequence) = echo(message)?;
        let token = message.get(HEADER_BYTES..HEADER_BYTES + TOKEN_BYTES)?;
        let token = u64::from_be_bytes(token.try_into().expect("eight bytes"));
        return (message[1] == 0).then_some(Heard::Reply { identifier, sequence, token });
    }
    let refusal = family.refusal(kind)?;
    let (to, quoted) = quoted(family, message.get(HEADER_BYTES..)?)?;
    let (identifier, sequence) = echo(quoted)?;
    (quoted[0] == family.request()).then_some(Heard::Refused { refusal, to, identifier, sequence })
}

/// The sequence and token of a request of ours, which the system gives back with an error about it.
#[must_use]
pub fn parse_own(family: Family, message: &[u8]) -> Option<u16> {
    let (_, sequence) = echo(message)?;
    (message[0] == family.request()).then_some(sequence)
}

/// The identifier and sequence of an echo message; errors quote no more than these for certain.
fn echo(message: &[u8]) -> Option<(u16, u16)> {
    let header: &[u8; HEADER_BYTES] = message.first_chunk()?;
    Some((u16::from_be_bytes([header[4], header[5]]), u16::from_be_bytes([header[6], header[7]])))
}

/// The length of an IPv4 header.
fn v4_header(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let length = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && length >= V4_HEADER_BYTES && length <= packet.len()).then_some(length)
}

/// The target of a quoted packet, and the ICMP message in it.
fn quoted(family: Family, packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    match family {
        Family::V4 => {
            let length = v4_header(packet)?;
            let to: [u8; 4] = packet[16..20].try_into().expect("four bytes");
            (packet[9] == PROTOCOL_V4).then(|| (IpAddr::V4(Ipv4Addr::from(to)), &packet[length..]))
        }
        Family::V6 => {
            let header: &[u8; V6_HEADER_BYTES] = packet.first_chunk()?;
            let to: [u8; 16] = header[24..40].try_into().expect("sixteen bytes");
            (header[0] >> 4 == 6 && header[6] == PROTOCOL_V6)
                .then(|| (IpAddr::V6(Ipv6Addr::from(to)), &packet[V6_HEADER_BYTES..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        data_encoding::HEXLOWER.decode(&digits).unwrap()
    }

    /// Recorded on a raw socket: the answer of 127.10.0.1 to identifier 0x1234, sequence 7, token 1.
    const REPLY_V4: &str = "45000024 8a5e0000 4001f05e 7f0a0001 7f000001 00000000 12340007 0000000000000001";

    /// Recorded on a raw socket: 10.78.1.2 says that a request to 10.78.9.9 ran out of hops.
    const EXPIRED_V4: &str = "45c00038 3b270000 4001281d 0a4e0102 0a4e0101 0b00f4ff 00000000 \
                              45000024 1b4c4000 010140ea 0a4e0101 0a4e0909 0800e5c4 12340007";

    fn reply_v4() -> Vec<u8> {
        let mut packet = bytes(REPLY_V4);
        let sum = checksum(&packet[20..]);
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn a_request_is_what_the_standard_says() {
        let request = request(Family::V4, 0x1234, 7, 1);
        assert_eq!(request.to_vec(), bytes("0800e5c3 12340007 0000000000000001"));
        assert_eq!(checksum(&request), 0, "a message with its checksum sums to nothing");
        assert_eq!(super::request(Family::V6, 1, 2, 3)[..8], [128, 0, 0, 0, 0, 1, 0, 2]);
    }

    #[test]
    fn an_answer_is_told_with_and_without_an_ip_header() {
        let heard = Some(Heard::Reply { identifier: 0x1234, sequence: 7, token: 1 });
        assert_eq!(parse(Family::V4, &reply_v4(), true), heard);
        assert_eq!(parse(Family::V4, &reply_v4()[20..], false), heard);
        let v6 = bytes("8100abcd 12340007 0000000000000001");
        assert_eq!(parse(Family::V6, &v6, false), heard);
    }

    #[test]
    fn a_router_that_refuses_is_told_with_the_request_that_it_means() {
        let to = "10.78.9.9".parse().unwrap();
        let heard = |refusal| Some(Heard::Refused { refusal, to, identifier: 0x1234, sequence: 7 });
        let mut packet = bytes(EXPIRED_V4);
        assert_eq!(parse(Family::V4, &packet, true), heard(Refusal::Expired));
        packet[20] = 3;
        assert_eq!(parse(Family::V4, &packet, true), heard(Refusal::Unreachable));
    }

    #[test]
    fn a_router_of_ipv6_is_understood_too() {
        let mut packet = bytes("03000000 00000000 60000000 00103a01");
        packet.extend([0xfd; 16]);
        packet.extend([0xfe; 16]);
        packet.extend(request(Family::V6, 5, 6, 7));
        let to = IpAddr::V6(Ipv6Addr::from([0xfe; 16]));
        let heard = Heard::Refused { refusal: Refusal::Expired, to, identifier: 5, sequence: 6 };
        assert_eq!(parse(Family::V6, &packet, false), Some(heard));
    }

    #[test]
    fn what_is_no_answer_to_an_echo_is_nothing() {
        let request = request(Family::V4, 1, 2, 3);
        assert_eq!(parse(Family::V4, &request, false), None, "a raw socket hears its own requests");
        let mut quoting_udp = bytes(EXPIRED_V4);
        quoting_udp[20 + 8 + 9] = 17;
        assert_eq!(parse(Family::V4, &quoting_udp, true), None);
        let mut quoting_a_reply = bytes(EXPIRED_V4);
        quoting_a_reply[20 + 8 + 20] = 0;
        assert_eq!(parse(Family::V4, &quoting_a_reply, true), None);
    }

    #[test]
    fn a_packet_that_was_cut_is_nothing_wherever_it_was_cut() {
        for whole in [reply_v4(), bytes(EXPIRED_V4)] {
            for length in 0..whole.len() {
                assert_eq!(parse(Family::V4, &whole[..length], true), None, "cut at {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(packet in proptest::collection::vec(any::<u8>(), 0..120), header: bool) {
            let _ = parse(Family::V4, &packet, header);
            let _ = parse(Family::V6, &packet, false);
            let _ = parse_own(Family::V6, &packet);
        }
    }
}
