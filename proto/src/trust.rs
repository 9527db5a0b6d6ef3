//! What both ends must make the same way to trust each other, beside the messages themselves.

use core::net::Ipv6Addr;

/// Before what is signed for a renewal, so that a signature for it is good for nothing else.
const RENEWAL: &[u8] = b"bellwether.v1.Renew\0";

/// What the old key signs to ask for a certificate for the key of `csr`.
#[must_use]
pub fn renewal_message(csr: &[u8]) -> Vec<u8> {
    [RENEWAL, csr].concat()
}

/// The CAs that one agent believes, at most: the present one, the one before, the next, and room for an admin who
/// rotates in a hurry.
pub const CAS_MAX: usize = 8;

/// The endpoints that one agent keeps, at most.
pub const ENDPOINTS_MAX: usize = 8;

/// Whether a text is an endpoint: `HOST:PORT`, the host a name or an address (version 6 in brackets), and nothing else
/// such as a scheme, a path or a user.
#[must_use]
pub fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(letter)
        }
    };
    is_host && !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// How an agent says in its first TLS message which CA it believes (the extension `certificate_authorities` of RFC
/// 8446): a distinguished name whose common name is the SHA-256 of the CA's certificate in hexadecimal. While two CAs
/// overlap the collector shows the certificate that this agent can verify. By the hash and not by the CA's own name,
/// because an agent with a token knows nothing else.
#[must_use]
pub fn ca_hint(ca_sha256: &[u8; 32]) -> Vec<u8> {
    // DER: SEQUENCE { SET { SEQUENCE { OID 2.5.4.3, UTF8String } } }; all lengths are below 128.
    let hex = data_encoding::HEXLOWER.encode(ca_sha256);
    let mut der = vec![0x30, 75, 0x31, 73, 0x30, 71, 0x06, 3, 0x55, 0x04, 0x03, 0x0c, 64];
    der.extend_from_slice(hex.as_bytes());
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port_and_nothing_else() {
        for good in ["bw.school.example:7443", "192.0.2.1:7443", "[2001:db8::1]:7443", "[fe80::1%eth0]:7443", "a_b:1"] {
            assert!(is_endpoint(good), "{good}");
        }
        let long = format!("{}:1", "a".repeat(254));
        for bad in ["", "host", ":7443", "host:", "host:0", "host:65536", "host:+1", "host:port", "https://host", &long]
        {
            assert!(!is_endpoint(bad), "{bad}");
        }
        for bad in
            ["https://host:7443", "user@host:7443", "host:7443/x", "a b:1", "host:1\n", "2001:db8::1:7443", "[x]:1"]
        {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }

    #[test]
    fn a_hint_is_well_formed_and_names_the_ca() {
        let hint = ca_hint(&[0xab; 32]);
        // Every length counts what follows it.
        for at in [1, 3, 5] {
            assert_eq!(usize::from(hint[at]), hint.len() - at - 1);
        }
        assert!(hint.ends_with("ab".repeat(32).as_bytes()));
    }
}
