//! The name of a configuration that the collector sends.

use sha2::{Digest, Sha256};

/// The longest text: hundreds of probes, and far below a message's limit.
pub const MAX_BYTES: usize = 256 << 10;

/// The revision of a text: the first eight bytes of its SHA-256. 0 is no text at all, and no other has it.
#[must_use]
pub fn revision(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let digest = Sha256::digest(text.as_bytes());
    let first = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(*first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_its_revision_and_no_text_has_none() {
        assert_eq!(revision(""), 0);
        // `printf 'a = 1\n' | sha256sum`
        assert_eq!(revision("a = 1\n"), 0xcb78_bd8a_17f7_b751);
        assert_ne!(revision("a = 1\n"), revision("a = 2\n"));
    }
}
