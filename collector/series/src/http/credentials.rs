//! Finds the secret in a request, in every place where InfluxDB's clients put one.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;

/// What a request shows. Not yet judged.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing that could be understood.
    None,
    /// A token: `Token x`, `Bearer x`.
    Token(String),
    /// A name and a password: Basic, `Token user:password`, or the parameters `u` and `p`. Clients that know only these put a token into the password.
    Password {
        /// The name.
        user: String,
        /// The password, or a token.
        password: String,
    },
}

/// Secrets never reach a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(..)",
            Self::Password { .. } => "Password { .. }",
        })
    }
}

impl Credentials {
    /// The secret, wherever it was.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Token(secret) => Some(secret),
            Self::Password { password, .. } => Some(password),
        }
    }

    /// As InfluxDB 1.8: the parameters stand over the header.
    #[must_use]
    pub fn read(headers: &HeaderMap, parameters: &BTreeMap<String, String>) -> Self {
        if let (Some(user), Some(password)) = (parameters.get("u"), parameters.get("p")) {
            return Self::Password { user: user.clone(), password: password.clone() };
        }
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        header.and_then(from_header).unwrap_or(Self::None)
    }
}

fn from_header(value: &str) -> Option<Credentials> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let text = String::from_utf8(BASE64.decode(rest.as_bytes()).ok()?).ok()?;
            pair(&text)
        }
        "token" => Some(pair(rest).unwrap_or_else(|| Credentials::Token(rest.to_owned()))),
        "bearer" => Some(Credentials::Token(rest.to_owned())),
        _ => None,
    }
}

fn pair(text: &str) -> Option<Credentials> {
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, query: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        }
        Credentials::read(&headers, &super::super::form::decode(query))
    }

    #[test]
    fn a_secret_is_found_in_every_place_where_clients_put_it() {
        let both = Credentials::Password { user: "g".to_owned(), password: "x:y".to_owned() };
        assert_eq!(read("Basic Zzp4Onk=", ""), both);
        assert_eq!(read("Token g:x:y", ""), both);
        assert_eq!(read("", "u=g&p=x%3Ay"), both);
        assert_eq!(read("Token abc", ""), Credentials::Token("abc".to_owned()));
        assert_eq!(read("bearer abc", ""), Credentials::Token("abc".to_owned()));
        assert_eq!(read("Basic ???", ""), Credentials::None);
        assert_eq!(read("", ""), Credentials::None);
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert!(!format!("{:?}", read("Token sesame", "")).contains("sesame"));
    }
}
