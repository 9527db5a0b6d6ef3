//! What both ends must make the same way to trust each other, beside the messages themselves.

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
    fn a_hint_is_well_formed_and_names_the_ca() {
        let hint = ca_hint(&[0xab; 32]);
        // Every length counts what follows it.
        for at in [1, 3, 5] {
            assert_eq!(usize::from(hint[at]), hint.len() - at - 1);
        }
        assert!(hint.ends_with("ab".repeat(32).as_bytes()));
    }
}
