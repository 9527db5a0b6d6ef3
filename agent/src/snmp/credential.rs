//! Who asks: a community, or a user of version 3 with passwords. What is secret never shows in what is printed.

use std::fmt;

use serde::Deserialize;

/// RFC 3414, 11.2: shorter ones are refused, by devices too.
const PASSWORD_BYTES_MIN: usize = 8;
/// RFC 3411, `SnmpAdminString` as `usmUserSecurityName` has it.
const USER_BYTES_MAX: usize = 32;

/// Text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever really needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// What is no text is not repeated in the message, either: a password of digits without its quotes.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a secret is text in quotes")),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// RFC 3414; old gear.
    Md5,
    /// RFC 3414; old gear. Devices say "SHA".
    #[serde(alias = "sha")]
    Sha1,
    /// RFC 7860.
    Sha224,
    /// RFC 7860.
    Sha256,
    /// RFC 7860.
    Sha384,
    /// RFC 7860.
    Sha512,
}

/// How a message is encrypted. Two ways are about to lengthen a key for 192 and 256 bits: Cisco and most switches have
/// Reeder's, Net-SNMP has Blumenthal's. They are the same where the digest is long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cipher {
    /// RFC 3414; old gear.
    Des,
    /// draft-reeder-snmpv3-usm-3desede.
    #[serde(rename = "3des")]
    TripleDes,
    /// RFC 3826. Devices say "AES".
    #[serde(rename = "aes128", alias = "aes")]
    Aes128,
    /// draft-blumenthal-aes-usm.
    #[serde(rename = "aes192")]
    Aes192,
    /// As Cisco does it.
    #[serde(rename = "aes192-reeder", alias = "aes192c")]
    Aes192Reeder,
    /// draft-blumenthal-aes-usm.
    #[serde(rename = "aes256")]
    Aes256,
    /// As Cisco does it.
    #[serde(rename = "aes256-reeder", alias = "aes256c")]
    Aes256Reeder,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Credential {
    /// Version 1 of the protocol, whose only secret is a word in clear.
    V1 {
        /// The word.
        community: Secret,
    },
    /// Version 2c: the same word, better questions.
    V2c {
        /// The word.
        community: Secret,
    },
    /// Version 3.
    V3(User),
}

/// A user of version 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Which part of the device is meant; mostly empty.
    pub context: String,
    /// How messages are protected.
    pub protection: Protection,
}

/// How a user's messages are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    None,
    /// Signed.
    Signed(Digest, Secret),
    /// Signed and encrypted.
    Encrypted {
        /// How they are signed, and with which password.
        signed: (Digest, Secret),
        /// How they are encrypted, and with which password.
        encrypted: (Cipher, Secret),
    },
}

/// Why something is no credential. No secret is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A key that this version needs.
    #[error("version {version:?} needs the key `{key}`")]
    Missing {
        /// The version.
        version: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key that this version has no use for.
    #[error("version {version:?} has no use for the key `{key}`")]
    Useless {
        /// The version.
        version: &'static str,
        /// The key.
        key: &'static str,
    },
    /// Two keys that belong together.
    #[error("`{0}` and `{1}` belong together")]
    Half(&'static str, &'static str),
    /// Encryption without a signature.
    #[error("`privacy` needs `auth`, too")]
    PrivacyAlone,
    /// Too short to be allowed.
    #[error("`{0}` is shorter than {PASSWORD_BYTES_MIN} characters, which devices refuse")]
    Short(&'static str),
    /// No name of a user.
    #[error("`user` has to have 1 to {USER_BYTES_MAX} bytes")]
    UserName,
    /// No TOML of the expected form.
    #[error("{0}")]
    Toml(String),
}

/// The form in a file; everything else is said by what is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What the admin calls it.
    pub name: Option<String>,
    /// `1`, `2c` or `3`; without it, what the other keys say.
    pub version: Option<Version>,
    /// For 1 and 2c.
    pub community: Option<Secret>,
    /// For 3.
    pub user: Option<String>,
    /// For 3.
    pub context: Option<String>,
    /// How messages are signed.
    pub auth: Option<Digest>,
    /// The password for it.
    pub auth_password: Option<Secret>,
    /// How messages are encrypted.
    pub privacy: Option<Cipher>,
    /// The password for it.
    pub privacy_password: Option<Secret>,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// The first.
    #[serde(rename = "1")]
    V1,
    /// With GETBULK and 64 bits.
    #[serde(rename = "2c")]
    V2c,
    /// With users.
    #[serde(rename = "3")]
    V3,
}

impl Credential {
    /// Reads the form of a file.
    ///
    /// # Errors
    /// If it is not of that form, or contradicts itself; never with a secret in it.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        // A TOML error quotes the line, in which there may be a secret: only its message is passed on.
        let written: Written =
            toml::from_str(text).map_err(|error| CredentialError::Toml(error.message().to_owned()))?;
        Self::try_from(written)
    }

    /// Reads the same keys from anywhere else.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Result<Self, CredentialError> {
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), toml::Value::String(value)));
        let written = pairs.collect::<toml::Table>().try_into::<Written>();
        Self::try_from(written.map_err(|error| CredentialError::Toml(error.message().to_owned()))?)
    }

    /// The same user without encryption: whether the device takes that tells a wrong privacy password from silence.
    #[must_use]
    pub fn without_privacy(&self) -> Option<Self> {
        match self {
            Self::V3(User { name, context, protection: Protection::Encrypted { signed: (digest, secret), .. } }) => {
                let protection = Protection::Signed(*digest, secret.clone());
                Some(Self::V3(User { name: name.clone(), context: context.clone(), protection }))
            }
            _ => None,
        }
    }
}

impl TryFrom<Written> for Credential {
    type Error = CredentialError;

    fn try_from(written: Written) -> Result<Self, CredentialError> {
        let version = written.version.unwrap_or(if written.user.is_some() { Version::V3 } else { Version::V2c });
        if version == Version::V3 {
            return user(written).map(Self::V3);
        }
        let word = if version == Version::V1 { "1" } else { "2c" };
        let useless = [
            ("user", written.user.is_some()),
            ("context", written.context.is_some()),
            ("auth", written.auth.is_some()),
            ("auth_password", written.auth_password.is_some()),
            ("privacy", written.privacy.is_some()),
            ("privacy_password", written.privacy_password.is_some()),
        ];
        if let Some((key, _)) = useless.into_iter().find(|(_, there)| *there) {
            return Err(CredentialError::Useless { version: word, key });
        }
        let community = written.community.ok_or(CredentialError::Missing { version: word, key: "community" })?;
        Ok(if version == Version::V1 { Self::V1 { community } } else { Self::V2c { community } })
    }
}

fn user(written: Written) -> Result<User, CredentialError> {
    if written.community.is_some() {
        return Err(CredentialError::Useless { version: "3", key: "community" });
    }
    let name = written.user.ok_or(CredentialError::Missing { version: "3", key: "user" })?;
    if name.is_empty() || name.len() > USER_BYTES_MAX {
        return Err(CredentialError::UserName);
    }
    let signed = both(written.auth, "auth", written.auth_password, "auth_password")?;
    let encrypted = both(written.privacy, "privacy", written.privacy_password, "privacy_password")?;
    let protection = match (signed, encrypted) {
        (None, None) => Protection::None,
        (Some((digest, secret)), None) => Protection::Signed(digest, secret),
        (Some(signed), Some(encrypted)) => Protection::Encrypted { signed, encrypted },
        (None, Some(_)) => return Err(CredentialError::PrivacyAlone),
    };
    Ok(User { name, context: written.context.unwrap_or_default(), protection })
}

/// A protocol with its password, or neither.
fn both<T>(
    protocol: Option<T>,
    key: &'static str,
    password: Option<Secret>,
    password_key: &'static str,
) -> Result<Option<(T, Secret)>, CredentialError> {
    match (protocol, password) {
        (None, None) => Ok(None),
        (Some(_), Some(secret)) if secret.0.len() < PASSWORD_BYTES_MIN => Err(CredentialError::Short(password_key)),
        (Some(protocol), Some(secret)) => Ok(Some((protocol, secret))),
        _ => Err(CredentialError::Half(key, password_key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        user = "bellwether"
        auth = "sha256"
        auth_password = "correct horse"
        privacy = "aes256-reeder"
        privacy_password = "battery staple"
    "#;

    #[test]
    fn a_file_says_who_asks() {
        let community = || Secret::new("closet");
        assert_eq!(Credential::parse("community = \"closet\""), Ok(Credential::V2c { community: community() }));
        assert_eq!(
            Credential::parse("version = \"1\"\ncommunity = \"closet\""),
            Ok(Credential::V1 { community: community() })
        );
        let Ok(Credential::V3(user)) = Credential::parse(FULL) else { panic!("a user of version 3") };
        assert_eq!(user.name, "bellwether");
        let Protection::Encrypted { signed, encrypted } = user.protection else { panic!("encrypted") };
        assert_eq!((signed.0, encrypted.0), (Digest::Sha256, Cipher::Aes256Reeder));
    }

    #[test]
    fn no_secret_is_ever_printed() {
        let credential = Credential::parse(FULL).unwrap();
        let printed = format!("{credential:?} {:?}", credential.without_privacy());
        assert!(printed.contains("bellwether") && printed.contains("***"));
        for secret in ["correct", "horse", "battery", "staple"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        let broken = Credential::parse("community = \"closet\nuser = 3").unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("closet"));
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_the_name_of_its_key() {
        for (text, said) in [
            ("", "version \"2c\" needs the key `community`"),
            ("community = \"c\"\nauth = \"md5\"", "version \"2c\" has no use for the key `auth`"),
            ("version = \"3\"", "version \"3\" needs the key `user`"),
            ("user = \"u\"\ncommunity = \"c\"", "version \"3\" has no use for the key `community`"),
            ("user = \"u\"\nauth = \"md5\"", "`auth` and `auth_password` belong together"),
            ("user = \"u\"\nauth = \"sha\"\nauth_password = \"short\"", "`auth_password` is shorter"),
            ("user = \"u\"\nprivacy = \"des\"\nprivacy_password = \"longenough\"", "`privacy` needs `auth`"),
            ("user = \"\"", "`user` has to have"),
            ("comunity = \"c\"", "unknown field `comunity`"),
            ("user = \"u\"\nauth = \"sha3\"\nauth_password = \"longenough\"", "unknown variant `sha3`"),
        ] {
            let error = Credential::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }
}
