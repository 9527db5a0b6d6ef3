//! How full a DHCP server's scopes are, where a server can be asked.
//!
//! - Kea, by its HTTP interface and the hook library `stat_cmds` (`stat-lease4-get`): every subnet that it serves.
//! - dnsmasq and ISC dhcpd, by their file of leases, when the agent runs on the server itself; the configuration says
//!   which addresses the scope has, because the file does not.
//!
//! Windows' server tells only administrators, by PowerShell on the machine itself; it is not asked here. Leases bear the
//! names of devices and people: they are counted and forgotten.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use bellwether_logic::sample::Sample;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use data_encoding::BASE64;
use serde::Deserialize;

use self::kea::Scope;
use self::leases::{Format, Range};
use super::http::Place;
use super::http::fetch::{NoAnswer, Request, fetch};
use super::link::NoLink;
use super::settings::{Bad, Fixed, quoted};
use super::{Looked, Looking};
use crate::reading::{integer, percent, share};

mod kea;
mod leases;

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "dhcp_scope",
    tags: &["scope", "server"],
    fields: &[
        Field { name: "assigned", kind: FieldKind::Integer, unit: "", description: "Addresses that are given out." },
        Field {
            name: "declined",
            kind: FieldKind::Integer,
            unit: "",
            description: "Addresses that somebody else was found to use.",
        },
        Field {
            name: "result_code",
            kind: FieldKind::Integer,
            unit: "",
            description: "0: known; 1: no answer in time; 2: not connected or not readable; 3: not understood.",
        },
        Field { name: "total", kind: FieldKind::Integer, unit: "", description: "Addresses that there are." },
        Field { name: "used_percent", kind: FieldKind::Float, unit: "percent", description: "Given out." },
    ],
    privacy: Privacy::Health,
    description: "How full the scopes of a DHCP server are. Neither addresses nor the devices' names are sent.",
}];

/// Which server.
#[derive(Clone, PartialEq, Eq)]
pub enum Dhcp {
    /// Asked over HTTP.
    Kea {
        /// Its control agent, or its own control socket from version 2.7.2 on.
        place: Place,
        /// The header's value, if it wants a password.
        authorization: Option<String>,
    },
    /// A file on this machine.
    File {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        format: Format,
        /// The scope.
        range: Range,
    },
}

/// The password stays out of logs.
impl std::fmt::Debug for Dhcp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kea { place, .. } => formatter.debug_tuple("Kea").field(place).finish(),
            Self::File { path, range, .. } => formatter.debug_tuple("File").field(path).field(range).finish(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kea: Option<String>,
    user: Option<String>,
    password: Option<String>,
    dnsmasq: Option<String>,
    dhcpd: Option<String>,
    first: Option<Ipv4Addr>,
    last: Option<Ipv4Addr>,
}

impl Dhcp {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong. A password is never repeated.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        match (file.kea, file.dnsmasq, file.dhcpd) {
            (Some(url), None, None) => {
                let authorization = match (file.user, file.password) {
                    (None, None) => None,
                    (Some(user), Some(password)) => {
                        Some(format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
                    }
                    _ => return Err(Bad::new("password", "...", "both user and password, or neither")),
                };
                Ok(Self::Kea { place: Place::parse("kea", &url)?, authorization })
            }
            (None, Some(path), None) => leases_of("dnsmasq", path, Format::Dnsmasq, file.first, file.last),
            (None, None, Some(path)) => leases_of("dhcpd", path, Format::Dhcpd, file.first, file.last),
            _ => Err(Bad::new("kea", "", "one of kea (a URL), dnsmasq or dhcpd (a file of leases)")),
        }
    }

    /// Asks, or reads.
    pub async fn look(&self, looking: &Looking) -> Looked {
        match self {
            Self::Kea { place, authorization } => ask_kea(place, authorization.as_deref(), looking).await,
            Self::File { path, format, range } => {
                let (path, format, range) = (path.clone(), *format, *range);
                let now = looking.at.0.div_euclid(1_000);
                let work = tokio::task::spawn_blocking(move || leases::count(&path, format, range, now));
                let assigned = match tokio::time::timeout(looking.timeout, work).await {
                    Ok(Ok(Ok(assigned))) => assigned,
                    Ok(_) => return fault(looking, 2, None),
                    Err(_) => return fault(looking, 1, None),
                };
                let scope = Scope { name: String::new(), total: range.len(), assigned, declined: None };
                Looked::row(row(looking, &scope), None)
            }
        }
    }
}

fn leases_of(
    key: &str,
    path: String,
    format: Format,
    first: Option<Ipv4Addr>,
    last: Option<Ipv4Addr>,
) -> Result<Dhcp, Bad> {
    if !path.starts_with('/') && !cfg!(windows) {
        return Err(Bad::new(key, quoted(&path), "a path from the root, such as \"/var/lib/misc/dnsmasq.leases\""));
    }
    let range = first.zip(last).and_then(|(first, last)| Range::new(first, last));
    let range = range.ok_or_else(|| {
        let show = |ip: Option<Ipv4Addr>| ip.map_or_else(|| "nothing".to_owned(), |ip| ip.to_string());
        let value = format!("{} to {}", show(first), show(last));
        Bad::new("first, last", value, "the scope's first and last address, at most 65536 in all")
    })?;
    Ok(Dhcp::File { path: path.into(), format, range })
}

async fn ask_kea(place: &Place, authorization: Option<&str>, looking: &Looking) -> Looked {
    let request = Request { json: Some(kea::QUESTION.to_owned()), authorization, ..Request::get(place) };
    match fetch(&request, looking.timeout, &looking.tools.roots).await {
        Ok(answer) => match kea::parse(&answer.body) {
            Some(scopes) => {
                let samples = scopes.iter().map(|scope| row(looking, scope)).collect();
                Looked { samples, unreached: None }
            }
            None => fault(looking, 3, None),
        },
        Err(NoAnswer::Silence) => fault(looking, 1, None),
        Err(NoAnswer::Link(error @ NoLink::Silence(_))) => fault(looking, 1, error.unreached()),
        Err(NoAnswer::Link(error)) => fault(looking, 2, error.unreached()),
        Err(NoAnswer::Broken) => fault(looking, 3, None),
    }
}

fn fault(looking: &Looking, code: u64, unreached: Option<IpAddr>) -> Looked {
    let tags = vec![("server", looking.name.to_string())];
    Looked::row(looking.row("dhcp_scope", tags, vec![("result_code", integer(code))]), unreached)
}

fn row(looking: &Looking, scope: &Scope) -> Sample {
    let mut fields = vec![("assigned", integer(scope.assigned))];
    fields.extend(scope.declined.map(|declined| ("declined", integer(declined))));
    fields.extend([
        ("result_code", integer(0)),
        ("total", integer(scope.total)),
        ("used_percent", percent(share(scope.assigned, scope.total))),
    ]);
    looking.row("dhcp_scope", vec![("scope", scope.name.clone()), ("server", looking.name.to_string())], fields)
}

#[cfg(test)]
mod tests;
