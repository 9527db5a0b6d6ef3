//! What an admin pastes on a machine to connect it: a secret, and the one CA that the machine may believe.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

/// Marks the text and its version.
const PREFIX: &str = "bw1";

/// An enrolment token. Whoever holds it may enrol a machine; the collector keeps only a hash of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolToken {
    /// Random.
    pub secret: [u8; 16],
    /// SHA-256 of the collector's CA certificate (DER): the first contact believes no other.
    pub ca_sha256: [u8; 32],
}

/// Why a text is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not three parts with the prefix of this version.
    #[error("a token has three parts with dots between, and begins with `{PREFIX}.`: copy the whole command")]
    Shape,
    /// A part is cut or mistyped.
    #[error("the token's {0} is cut or mistyped: copy the whole command")]
    Part(&'static str),
}

impl fmt::Display for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = BASE32_NOPAD.encode(&self.secret).to_ascii_lowercase();
        write!(f, "{PREFIX}.{secret}.{}", BASE64URL_NOPAD.encode(&self.ca_sha256))
    }
}

/// Tokens end up in logs by accident; their secrets must not.
impl fmt::Debug for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolToken").finish_non_exhaustive()
    }
}

impl FromStr for EnrolToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [PREFIX, secret, pin] = parts[..] else { return Err(BadToken::Shape) };
        let secret = BASE32_NOPAD.decode(secret.to_ascii_uppercase().as_bytes());
        let pin = BASE64URL_NOPAD.decode(pin.as_bytes());
        Ok(Self {
            secret: exactly(secret).ok_or(BadToken::Part("secret"))?,
            ca_sha256: exactly(pin).ok_or(BadToken::Part("fingerprint"))?,
        })
    }
}

fn exactly<const N: usize>(bytes: Result<Vec<u8>, data_encoding::DecodeError>) -> Option<[u8; N]> {
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(secret: [u8; 16], ca_sha256: [u8; 32]) {
            let token = EnrolToken { secret, ca_sha256 };
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            let _ = text.parse::<EnrolToken>();
        }
    }

    #[test]
    fn a_cut_token_says_which_part_is_cut() {
        let text = EnrolToken { secret: [7; 16], ca_sha256: [9; 32] }.to_string();
        assert_eq!(text[..text.len() - 1].parse::<EnrolToken>(), Err(BadToken::Part("fingerprint")));
        assert_eq!("bw2.x.y".parse::<EnrolToken>(), Err(BadToken::Shape));
        assert!(!format!("{:?}", text.parse::<EnrolToken>()).contains("07"));
    }
}
