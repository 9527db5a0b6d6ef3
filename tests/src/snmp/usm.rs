//! How messages of version 3 are signed and encrypted (RFC 3414, RFC 3826, RFC 7860, and the drafts of Blumenthal and Reeder
//! for keys of 192 and 256 bits): written a second time from hashes and block ciphers, so that the library that the agent
//! uses is not held against itself.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use bellwether_agent::snmp::credential::{Cipher, Digest, Protection, Secret, User};
use sha2::Digest as _;

/// A password is repeated to this length before it is hashed (RFC 3414, A.2).
const EXPANDED: usize = 1 << 20;

/// A user with what was made of the passwords.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name.
    pub name: String,
    keys: Keys,
}

/// A user's keys: those of the passwords, or those for one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    signed: Option<(Digest, Vec<u8>)>,
    encrypted: Option<(Cipher, Vec<u8>)>,
}

/// When a message was made: it is mixed into its encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// How often the engine has started.
    pub boots: u32,
    /// Seconds since it started.
    pub time: u32,
}

impl Person {
    /// Makes the keys of a user.
    #[must_use]
    pub fn new(user: &User) -> Self {
        let key = |digest: Digest, secret: &Secret| expand(digest, secret.reveal().as_bytes());
        let keys = match &user.protection {
            Protection::None => Keys::NONE,
            Protection::Signed(digest, secret) => {
                Keys { signed: Some((*digest, key(*digest, secret))), encrypted: None }
            }
            Protection::Encrypted { signed: (digest, secret), encrypted: (cipher, other) } => {
                Keys { signed: Some((*digest, key(*digest, secret))), encrypted: Some((*cipher, key(*digest, other))) }
            }
        };
        Self { name: user.name.clone(), keys }
    }

    /// The keys for an engine of that ID.
    #[must_use]
    pub fn keys(&self, engine: &[u8]) -> Keys {
        let Some((digest, key)) = &self.keys.signed else { return Keys::NONE };
        let lengthen = |(cipher, key): &(Cipher, Vec<u8>)| {
            (*cipher, lengthened(*cipher, *digest, localized(*digest, key, engine), engine))
        };
        Keys {
            signed: Some((*digest, localized(*digest, key, engine))),
            encrypted: self.keys.encrypted.as_ref().map(lengthen),
        }
    }

    /// How this user's messages are flagged: 0, 1 (signed) or 3 (encrypted, too).
    #[must_use]
    pub const fn level(&self) -> u8 {
        match (&self.keys.signed, &self.keys.encrypted) {
            (None, _) => 0,
            (_, None) => 1,
            _ => 3,
        }
    }
}

impl Keys {
    /// Of who neither signs nor encrypts.
    pub const NONE: Self = Self { signed: None, encrypted: None };

    /// How long a signature is.
    #[must_use]
    pub const fn signature_bytes(&self) -> usize {
        match &self.signed {
            None => 0,
            Some((Digest::Md5 | Digest::Sha1, _)) => 12,
            Some((Digest::Sha224, _)) => 16,
            Some((Digest::Sha256, _)) => 24,
            Some((Digest::Sha384, _)) => 32,
            Some((Digest::Sha512, _)) => 48,
        }
    }

    /// The signature of a message in which its place holds zeros (RFC 2104).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let Some((digest, key)) = &self.signed else { return Vec::new() };
        let block = if matches!(digest, Digest::Sha384 | Digest::Sha512) { 128 } else { 64 };
        let padded = |with: u8| -> Vec<u8> { (0..block).map(|at| key.get(at).unwrap_or(&0) ^ with).collect() };
        let inner = hash(*digest, &[&padded(0x36), message].concat());
        let mut signature = hash(*digest, &[padded(0x5c), inner].concat());
        signature.truncate(self.signature_bytes());
        signature
    }

    /// Encrypts; `salt` goes out with the message.
    #[must_use]
    pub fn encrypt(&self, mut plain: Vec<u8>, moment: Moment, salt: [u8; 8]) -> Vec<u8> {
        let Some((cipher, key)) = &self.encrypted else { return plain };
        let start = start(*cipher, key, moment, salt);
        if start.len() == 8 {
            plain.resize(plain.len().next_multiple_of(8), 0);
        }
        let mut last = start;
        for chunk in plain.chunks_mut(last.len()) {
            let whole: Vec<u8> = if last.len() == 8 {
                block(*cipher, key, &exclusive(&last, chunk), true)
            } else {
                exclusive(&block(*cipher, key, &last, true), chunk)
            };
            chunk.copy_from_slice(&whole[..chunk.len()]);
            last = whole;
        }
        plain
    }

    /// Decrypts; what was encrypted with another key becomes noise.
    #[must_use]
    pub fn decrypt(&self, secret: &[u8], moment: Moment, salt: [u8; 8]) -> Vec<u8> {
        let Some((cipher, key)) = &self.encrypted else { return secret.to_vec() };
        let mut last = start(*cipher, key, moment, salt);
        let mut plain = Vec::new();
        for chunk in secret.chunks(last.len()) {
            if last.len() == 8 {
                let whole: Vec<u8> = (0..8).map(|at| *chunk.get(at).unwrap_or(&0)).collect();
                plain.extend(exclusive(&last, &block(*cipher, key, &whole, false)));
            } else {
                plain.extend(exclusive(&block(*cipher, key, &last, true), chunk));
            }
            last = chunk.to_vec();
        }
        plain
    }
}

fn exclusive(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

/// With what the chain of blocks starts (RFC 3414, 8.1.1.1; RFC 3826, 3.1.2.1): as long as a block.
fn start(cipher: Cipher, key: &[u8], moment: Moment, salt: [u8; 8]) -> Vec<u8> {
    match cipher {
        Cipher::Des => exclusive(&key[8..16], &salt),
        Cipher::TripleDes => exclusive(&key[24..32], &salt),
        _ => [&moment.boots.to_be_bytes()[..], &moment.time.to_be_bytes(), &salt].concat(),
    }
}

/// One block through the cipher.
fn block(cipher: Cipher, key: &[u8], bytes: &[u8], forth: bool) -> Vec<u8> {
    fn through<C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit>(key: &[u8], bytes: &[u8], forth: bool) -> Vec<u8> {
        let cipher = C::new_from_slice(key).expect("a key of the cipher's length");
        let mut block = Array::try_from(bytes).expect("a whole block");
        if forth {
            cipher.encrypt_block(&mut block);
        } else {
            cipher.decrypt_block(&mut block);
        }
        block.to_vec()
    }
    match cipher {
        Cipher::Des => through::<des::Des>(&key[..8], bytes, forth),
        Cipher::TripleDes => through::<des::TdesEde3>(&key[..24], bytes, forth),
        Cipher::Aes128 => through::<aes::Aes128>(key, bytes, forth),
        Cipher::Aes192 | Cipher::Aes192Reeder => through::<aes::Aes192>(key, bytes, forth),
        Cipher::Aes256 | Cipher::Aes256Reeder => through::<aes::Aes256>(key, bytes, forth),
    }
}

fn hash(digest: Digest, bytes: &[u8]) -> Vec<u8> {
    match digest {
        Digest::Md5 => md5::Md5::digest(bytes).to_vec(),
        Digest::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
        Digest::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
        Digest::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
        Digest::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
        Digest::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
    }
}

fn expand(digest: Digest, password: &[u8]) -> Vec<u8> {
    let whole: Vec<u8> = password.iter().copied().cycle().take(EXPANDED).collect();
    hash(digest, &whole)
}

fn localized(digest: Digest, key: &[u8], engine: &[u8]) -> Vec<u8> {
    hash(digest, &[key, engine, key].concat())
}

/// A key as long as the cipher needs it. Blumenthal hashes what there is, Reeder takes it for another password.
fn lengthened(cipher: Cipher, digest: Digest, mut key: Vec<u8>, engine: &[u8]) -> Vec<u8> {
    let wanted = match cipher {
        Cipher::Des | Cipher::Aes128 => 16,
        Cipher::Aes192 | Cipher::Aes192Reeder => 24,
        Cipher::TripleDes | Cipher::Aes256 | Cipher::Aes256Reeder => 32,
    };
    let mut last = key.clone();
    while key.len() < wanted {
        last = match cipher {
            Cipher::Aes192 | Cipher::Aes256 => hash(digest, &key),
            _ => localized(digest, &expand(digest, &last), engine),
        };
        key.extend(&last);
    }
    key.truncate(wanted);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

    fn key(digest: Digest, cipher: Cipher) -> String {
        let key = localized(digest, &expand(digest, b"maplesyrup"), &ENGINE);
        data_encoding::HEXLOWER.encode(&lengthened(cipher, digest, key, &ENGINE))
    }

    #[test]
    fn keys_are_those_of_the_published_examples() {
        // RFC 3414, A.3.1 and A.3.2.
        assert_eq!(key(Digest::Md5, Cipher::Aes128), "526f5eed9fcce26f8964c2930787d82b");
        assert_eq!(key(Digest::Sha1, Cipher::Aes128), "6695febc9288e36282235fc7151f1284");
        // draft-reeder-snmpv3-usm-3desede-00, B.1 and B.2.
        let md5 = "526f5eed9fcce26f8964c2930787d82b79eff44a90650ee0a3a40abfac5acc12";
        assert_eq!(key(Digest::Md5, Cipher::TripleDes), md5);
        let sha = "6695febc9288e36282235fc7151f128497b38f3f9b8b6d78936ba6e7d19dfd9c";
        assert_eq!(key(Digest::Sha1, Cipher::Aes256Reeder), sha);
    }

    #[test]
    fn what_was_encrypted_is_decrypted_with_the_same_key_only() {
        let user = |password: &str, cipher| User {
            name: "u".to_owned(),
            context: String::new(),
            protection: Protection::Encrypted {
                signed: (Digest::Sha1, Secret::new("signing it")),
                encrypted: (cipher, Secret::new(password)),
            },
        };
        let moment = Moment { boots: 3, time: 77 };
        for cipher in [Cipher::Des, Cipher::TripleDes, Cipher::Aes128, Cipher::Aes192, Cipher::Aes256Reeder] {
            let keys = Person::new(&user("the right one", cipher)).keys(&ENGINE);
            let secret = keys.encrypt(b"seventeen bytes..".to_vec(), moment, [7; 8]);
            assert!(keys.decrypt(&secret, moment, [7; 8]).starts_with(b"seventeen bytes.."), "{cipher:?}");
            let other = Person::new(&user("the wrong one", cipher)).keys(&ENGINE);
            assert!(!other.decrypt(&secret, moment, [7; 8]).starts_with(b"seven"), "{cipher:?}");
        }
    }
}
