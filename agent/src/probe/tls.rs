//! A server's certificate, as Telegraf's `x509_cert`: how long it is good, and what is wrong with its chain.

use std::time::Duration;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use x509_parser::prelude::X509Certificate;

use super::link::dial;
use super::secure::{self, Shown};
use super::settings::{Address, Bad, Fixed, quoted, within};
use super::{Looked, Looking};
use crate::reading::integer;

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "x509_cert",
    tags: &["issuer_common_name", "source"],
    fields: &[
        Field { name: "age", kind: FieldKind::Integer, unit: "s", description: "Since it became valid." },
        Field {
            name: "enddate",
            kind: FieldKind::Integer,
            unit: "s",
            description: "When it ends, as seconds of the Unix clock.",
        },
        Field {
            name: "expiry",
            kind: FieldKind::Integer,
            unit: "s",
            description: "Until it ends; negative once it has ended.",
        },
        Field {
            name: "startdate",
            kind: FieldKind::Integer,
            unit: "s",
            description: "When it becomes valid, as seconds of the Unix clock.",
        },
        Field {
            name: "verification_code",
            kind: FieldKind::Integer,
            unit: "",
            description: "0: the chain is good; 1: it is not; 2: there was none to look at.",
        },
        Field {
            name: "verification_error",
            kind: FieldKind::Text,
            unit: "",
            description: "One of expired, not_yet_valid, wrong_name, self_signed, untrusted, bad, no_connection, no_tls.",
        },
    ],
    privacy: Privacy::Health,
    description: "How long a server's certificate is good. The server's address and the names in it are never sent.",
}];

/// Longer issuers are no names.
const ISSUER_CHARS_MAX: usize = 64;

/// Whose certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    address: Address,
    port: u16,
    server: ServerName<'static>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    #[serde(default = "https")]
    port: u16,
    server_name: Option<String>,
}

const fn https() -> u16 {
    443
}

impl Tls {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        let address = Address::parse("address", &file.address)?;
        let name = file.server_name.unwrap_or(file.address);
        let bad = || Bad::new("server_name", quoted(&name), "a DNS name or an IP address");
        let server = secure::server_name(&name).ok_or_else(bad)?;
        Ok(Self { address, port: within("port", file.port, 1..=u16::MAX, "1 to 65535")?, server })
    }

    /// Shakes hands and hangs up.
    pub async fn look(&self, looking: &Looking) -> Looked {
        let stream = match dial(&self.address, self.port, looking.timeout).await {
            Ok(stream) => stream,
            Err(error) => return Looked::row(none(looking, "no_connection"), error.unreached()),
        };
        let handshake = secure::handshake(stream, self.server.clone(), &looking.tools.roots);
        match tokio::time::timeout(looking.timeout, handshake).await {
            Ok(Ok((_, Some(shown)))) => Looked::row(row(looking, &shown), None),
            Ok(Ok((_, None)) | Err(_)) | Err(_) => Looked::row(none(looking, "no_tls"), None),
        }
    }
}

fn none(looking: &Looking, error: &str) -> bellwether_logic::sample::Sample {
    let fields = vec![("verification_code", integer(2)), ("verification_error", Value::Text(error.to_owned()))];
    looking.row("x509_cert", vec![("source", looking.name.to_string())], fields)
}

/// The row of a certificate.
#[must_use]
pub fn row(looking: &Looking, shown: &Shown) -> bellwether_logic::sample::Sample {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(&shown.certificate) else {
        return none(looking, "bad");
    };
    let now = looking.at.0.div_euclid(1_000);
    let (start, end) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let mut fields = vec![
        ("age", Value::Integer(now.saturating_sub(start))),
        ("enddate", Value::Integer(end)),
        ("expiry", Value::Integer(end.saturating_sub(now))),
        ("startdate", Value::Integer(start)),
        ("verification_code", integer(u64::from(shown.fault.is_some()))),
    ];
    fields.extend(shown.fault.map(|fault| ("verification_error", Value::Text(fault.as_str().to_owned()))));
    let tags =
        vec![("issuer_common_name", issuer(&certificate).unwrap_or_default()), ("source", looking.name.to_string())];
    looking.row("x509_cert", tags, fields)
}

/// How long a certificate is good from `at` on; negative once it has ended.
#[must_use]
pub fn days_left(shown: &Shown, at: Timestamp) -> Option<i64> {
    const DAY_MS: i64 = Duration::from_secs(86_400).as_millis() as i64;
    let (_, certificate) = x509_parser::parse_x509_certificate(&shown.certificate).ok()?;
    let end_ms = certificate.validity().not_after.timestamp().checked_mul(1_000)?;
    Some(end_ms.checked_sub(at.0)?.div_euclid(DAY_MS))
}

/// Who issued it, if that is an authority: what vouches for itself bears the device's own name or address, or its
/// owner's.
fn issuer(certificate: &X509Certificate<'_>) -> Option<String> {
    if certificate.issuer() == certificate.subject() {
        return None;
    }
    let name = certificate.issuer().iter_common_name().next()?.as_str().ok()?;
    let plain = name.chars().all(|letter| !letter.is_control());
    let is_address = name.parse::<std::net::IpAddr>().is_ok() || name.contains(['@', '/', ':']);
    (plain && !is_address).then(|| name.chars().take(ISSUER_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
