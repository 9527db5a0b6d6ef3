//! The library's words in ours, and ours in its.

use std::net::Ipv4Addr;

use async_snmp::v3::ReportStatus;
use async_snmp::{AuthProtocol, Error, ErrorKind, ErrorStatus, PrivProtocol, VarBind};

use crate::snmp::ask::{Binding, Held, Trouble};
use crate::snmp::credential::{Cipher, Digest};
use crate::snmp::{Oid, Value};

/// On the wire a name has two arcs at least: `1` is asked for as `1.0`, which comes before all else below it.
pub fn names(names: &[Oid]) -> Vec<async_snmp::Oid> {
    let whole = |name: &Oid| match name.arcs() {
        [] => async_snmp::Oid::from_slice(&[0, 0]),
        [only] => async_snmp::Oid::from_slice(&[*only, 0]),
        arcs => async_snmp::Oid::from_slice(arcs),
    };
    names.iter().map(whole).collect()
}

/// A name and what it holds; none if the name is longer than one may be.
pub fn binding(varbind: VarBind) -> Option<Binding> {
    let name = Oid::new(varbind.oid.arcs()).ok()?;
    Some(Binding { name, held: held(varbind.value) })
}

fn held(value: async_snmp::Value) -> Held {
    use async_snmp::Value as Theirs;
    Held::Value(match value {
        Theirs::Integer(value) => Value::Integer(value.into()),
        Theirs::OctetString(bytes) | Theirs::Nsap(bytes) => Value::Octets(bytes.to_vec()),
        Theirs::ObjectIdentifier(oid) => match Oid::new(oid.arcs()) {
            Ok(oid) => Value::ObjectId(Box::new(oid)),
            Err(_) => return Held::Odd,
        },
        Theirs::IpAddress(octets) => Value::Address(Ipv4Addr::from(octets)),
        Theirs::Counter32(value) => Value::Counter32(value),
        Theirs::Gauge32(value) | Theirs::UInteger32(value) => Value::Gauge32(value),
        Theirs::TimeTicks(value) => Value::TimeTicks(value),
        Theirs::Opaque(bytes) => Value::Opaque(bytes.to_vec()),
        Theirs::Counter64(value) => Value::Counter64(value),
        Theirs::NoSuchObject => return Held::NoSuchObject,
        Theirs::NoSuchInstance => return Held::NoSuchInstance,
        Theirs::EndOfMibView => return Held::EndOfView,
        _ => return Held::Odd,
    })
}

pub fn trouble(error: &Error) -> Trouble {
    let error = innermost(error);
    match error {
        Error::Snmp { status, .. } => status_trouble(*status),
        Error::Report { status, .. } => report_trouble(status),
        _ => match error.kind() {
            ErrorKind::Timeout | ErrorKind::ConstructionTimeout => Trouble::NoAnswer,
            ErrorKind::Auth => Trouble::Unsigned,
            ErrorKind::Decode | ErrorKind::MalformedResponse | ErrorKind::ResponseShape => Trouble::Garbled,
            _ => Trouble::NotSent(error.to_string()),
        },
    }
}

/// What is below the wrappers that say how far an exchange had come.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::SharedOperation { source } => innermost(source),
        Error::Exchange { source, .. } => innermost(source),
        other => other,
    }
}

fn status_trouble(status: ErrorStatus) -> Trouble {
    match status {
        ErrorStatus::TooBig => Trouble::TooBig,
        ErrorStatus::NoSuchName => Trouble::NoSuchName,
        ErrorStatus::GenErr => Trouble::DeviceFailed,
        ErrorStatus::NoAccess | ErrorStatus::AuthorizationError => Trouble::NoAccess,
        other => Trouble::Status(other.as_i32()),
    }
}

fn report_trouble(status: &ReportStatus) -> Trouble {
    match status {
        ReportStatus::UnsupportedSecurityLevel { .. } => Trouble::UnsupportedLevel,
        ReportStatus::NotInTimeWindow { .. } => Trouble::NotInTimeWindow,
        ReportStatus::UnknownUserName { .. } => Trouble::UnknownUser,
        ReportStatus::UnknownEngineId { .. } => Trouble::UnknownEngine,
        ReportStatus::WrongDigest { .. } => Trouble::WrongDigest,
        ReportStatus::DecryptionError { .. } => Trouble::CantDecrypt,
        _ => Trouble::Garbled,
    }
}

pub const fn digest(digest: Digest) -> AuthProtocol {
    match digest {
        Digest::Md5 => AuthProtocol::Md5,
        Digest::Sha1 => AuthProtocol::Sha1,
        Digest::Sha224 => AuthProtocol::Sha224,
        Digest::Sha256 => AuthProtocol::Sha256,
        Digest::Sha384 => AuthProtocol::Sha384,
        Digest::Sha512 => AuthProtocol::Sha512,
    }
}

pub const fn cipher(cipher: Cipher) -> PrivProtocol {
    match cipher {
        Cipher::Des => PrivProtocol::Des,
        Cipher::TripleDes => PrivProtocol::Des3,
        Cipher::Aes128 => PrivProtocol::Aes128,
        Cipher::Aes192 => PrivProtocol::Aes192Blumenthal,
        Cipher::Aes192Reeder => PrivProtocol::Aes192Reeder,
        Cipher::Aes256 => PrivProtocol::Aes256Blumenthal,
        Cipher::Aes256Reeder => PrivProtocol::Aes256Reeder,
    }
}
