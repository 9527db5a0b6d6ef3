//! Secrets that are shown once and kept as hashes.
//!
//! A secret has at least 128 random bits, so a plain SHA-256 at rest is enough; only passwords, which people choose,
//! need a slow hash.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// SHA-256 of a secret: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Hashes a secret's text as it was presented.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self::of_bytes(secret.as_bytes())
    }

    /// Hashes the 16 bytes that an enrol token carries.
    #[must_use]
    pub fn of_bytes(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A secret on its way to the person or program that is to know it. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// 256 random bits in 52 lower-case characters: for sessions, API tokens and first-login links.
    #[must_use]
    pub fn new() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    /// The text to hand over.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself_in_a_log() {
        let secret = Secret::new();
        assert!(!format!("{secret:?} {:?}", secret.hash()).contains(secret.reveal()));
    }

    #[test]
    fn secrets_have_the_length_that_tokens_promise() {
        assert_eq!(Secret::new().reveal().len(), 52);
        assert_ne!(Secret::new(), Secret::new());
    }
}
