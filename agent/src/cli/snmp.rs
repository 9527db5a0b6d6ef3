//! `snmp`: what a technician asks of a device that is watched by SNMP.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bellwether_agent::doctor::Verdict;
use bellwether_agent::gather::Gather;
use bellwether_agent::run::whole_chain;
use bellwether_agent::snmp::ask::{Client, Held, Trouble};
use bellwether_agent::snmp::budget::Budget;
use bellwether_agent::snmp::client::{Device, Login, Network};
use bellwether_agent::snmp::credential::{Credential, CredentialError};
use bellwether_agent::snmp::profile::Shelf;
use bellwether_agent::snmp::walk::{End, drive};
use bellwether_agent::snmp::{Oid, Value, doctor, look};
use clap::{Args, Subcommand};

use super::{Failure, runtime, say};

/// Where devices listen.
const PORT: u16 = 161;
/// More than any credential has.
const CREDENTIAL_BYTES_MAX: u64 = 16 << 10;
/// What the environment may say, as `BELLWETHER_SNMP_` and the key in capitals: of secrets it is the place that others
/// on the machine can't see.
const KEYS: [&str; 8] =
    ["version", "community", "user", "context", "auth", "auth_password", "privacy", "privacy_password"];

#[derive(Subcommand)]
pub(super) enum Snmp {
    /// Print the values of names.
    Get {
        #[command(flatten)]
        who: Who,
        /// IP address or name of the device, with :PORT if it is not 161.
        address: String,
        /// What to read, such as 1.3.6.1.2.1.1.1.0.
        #[arg(required = true)]
        names: Vec<Oid>,
    },
    /// Print everything below a name; slow devices are asked gently.
    Walk {
        #[command(flatten)]
        who: Who,
        /// IP address or name of the device, with :PORT if it is not 161.
        address: String,
        /// Below which name.
        #[arg(default_value = "1.3.6.1")]
        below: Oid,
    },
    /// Print what Bellwether makes of a device: what it is, its ports, supplies, battery, sensors.
    Look {
        #[command(flatten)]
        who: Who,
        /// IP address or name of the device, with :PORT if it is not 161.
        #[arg(required_unless_present = "recording", conflicts_with = "recording")]
        address: Option<String>,
        /// Instead, a recording of a device, as lines of OID|type|value.
        #[arg(long, value_name = "FILE")]
        recording: Option<PathBuf>,
        /// A folder of profiles, above those that are built in.
        #[arg(long, value_name = "FOLDER")]
        profiles: Option<PathBuf>,
    },
    /// Say in plain words why a device does not answer as it should; several at once are compared.
    Doctor {
        #[command(flatten)]
        who: Who,
        /// IP addresses or names of devices, with :PORT if it is not 161.
        #[arg(required = true)]
        addresses: Vec<String>,
    },
}

/// Who asks. Without anything: version 2c with the community "public". Secrets come from a file, from what is typed in, or
/// from the environment (BELLWETHER_SNMP_COMMUNITY, BELLWETHER_SNMP_AUTH_PASSWORD, BELLWETHER_SNMP_PRIVACY_PASSWORD and
/// the like), never from the command line, which everybody on this machine can read.
#[derive(Args)]
pub(super) struct Who {
    /// A TOML file with `community`, or with `user`, `auth`, `auth_password`, `privacy`, `privacy_password`; - for what is
    /// typed in.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// 1, 2c or 3.
    #[arg(long, conflicts_with = "credentials")]
    version: Option<String>,
    /// A user of version 3.
    #[arg(long, conflicts_with = "credentials")]
    user: Option<String>,
    /// How it is signed: md5, sha1, sha224, sha256, sha384 or sha512.
    #[arg(long, conflicts_with = "credentials")]
    auth: Option<String>,
    /// How it is encrypted: des, 3des, aes128, aes192, aes256, aes192-reeder or aes256-reeder.
    #[arg(long, conflicts_with = "credentials")]
    privacy: Option<String>,
}

/// Why a technician got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnmpError {
    #[error("--credentials {file}")]
    File { file: PathBuf, source: std::io::Error },
    #[error("the credential can't be used")]
    Credential(#[from] CredentialError),
    #[error("can't find the device {0:?}")]
    Name(String),
    #[error("{address}")]
    Trouble { address: SocketAddr, source: Trouble },
    #[error("{address}: cut short: {end}")]
    Cut { address: SocketAddr, end: End },
}

impl Snmp {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let runtime = runtime()?;
        match self {
            Self::Get { who, address, names } => runtime.block_on(get(&who.credential()?, &address, &names)),
            Self::Walk { who, address, below } => runtime.block_on(walk(&who.credential()?, &address, &below)),
            Self::Look { who, address, recording, profiles } => {
                let shelf = profiles.as_deref().map_or_else(Shelf::built_in, Shelf::with_folder)?;
                match (address, recording) {
                    (Some(address), _) => runtime.block_on(look_at(&shelf, &who.credential()?, &address)),
                    (None, Some(recording)) => look_at_recording(&shelf, recording),
                    (None, None) => Ok(()),
                }
            }
            Self::Doctor { who, addresses } => runtime.block_on(examine(&who.credential()?, &addresses)),
        }
    }
}

impl Who {
    /// What is named on the command line stands above the environment.
    fn credential(self) -> Result<Credential, SnmpError> {
        if let Some(file) = self.credentials {
            return Ok(Credential::parse(&read(file)?)?);
        }
        let variable = |key: &str| std::env::var(format!("BELLWETHER_SNMP_{}", key.to_uppercase())).ok();
        let mut said: BTreeMap<&str, String> = KEYS.into_iter().filter_map(|key| Some((key, variable(key)?))).gather();
        for (key, flag) in
            [("version", self.version), ("user", self.user), ("auth", self.auth), ("privacy", self.privacy)]
        {
            said.extend(flag.map(|value| (key, value)));
        }
        if !said.contains_key("user") && said.get("version").is_none_or(|version| version != "3") {
            said.entry("community").or_insert_with(|| "public".to_owned());
        }
        Ok(Credential::from_pairs(said)?)
    }
}

fn read(file: PathBuf) -> Result<String, SnmpError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(&file).and_then(|open| open.take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|source| SnmpError::File { file, source })?;
    Ok(text)
}

async fn resolve(name: &str) -> Result<SocketAddr, SnmpError> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    if let Ok(address) = name.parse() {
        return Ok(SocketAddr::new(address, PORT));
    }
    let with_port = if name.contains(':') { name.to_owned() } else { format!("{name}:{PORT}") };
    let found = tokio::net::lookup_host(with_port).await.ok().and_then(|mut found| found.next());
    found.ok_or_else(|| SnmpError::Name(name.to_owned()))
}

/// The device, and whether it can be asked for many rows at once.
async fn device(network: &Network, credential: &Credential, name: &str) -> Result<(Device, bool), SnmpError> {
    let address = resolve(name).await?;
    let trouble = |source| SnmpError::Trouble { address, source };
    let login = Login::new(credential).map_err(trouble)?;
    Ok((network.device(address, &login).await.map_err(trouble)?, !login.is_v1()))
}

async fn get(credential: &Credential, name: &str, names: &[Oid]) -> Result<(), Failure> {
    let network = Network::default();
    let (device, _) = device(&network, credential, name).await?;
    let answer = device.get(names).await;
    let bindings = answer.map_err(|source| SnmpError::Trouble { address: device.address(), source })?;
    say(&bindings.iter().map(|binding| line(&binding.name, &binding.held)).collect::<String>())
}

async fn walk(credential: &Credential, name: &str, below: &Oid) -> Result<(), Failure> {
    let network = Network::default();
    let (device, bulk) = device(&network, credential, name).await?;
    let mut budget = Budget::default();
    let walked = drive::walk(&device, below, bulk, &mut budget).await;
    let mut lines = String::new();
    for (name, value) in walked.answers.iter() {
        lines.push_str(&value_line(name, value));
    }
    say(&lines)?;
    let address = device.address();
    if let Some(slowed) = budget.slowed() {
        super::warn(&format!("{address}: {slowed}"));
    }
    if walked.odd > 0 {
        super::warn(&format!("{address}: {} names came without a usable value", walked.odd));
    }
    if walked.end == End::Complete { Ok(()) } else { Err(SnmpError::Cut { address, end: walked.end }.into()) }
}

async fn look_at(shelf: &Shelf, credential: &Credential, name: &str) -> Result<(), Failure> {
    let network = Network::default();
    let (device, bulk) = device(&network, credential, name).await?;
    let address = device.address();
    let looked = look::at_device(shelf, &device, bulk).await;
    let (look, cut) = looked.map_err(|source| SnmpError::Trouble { address, source })?;
    if cut > 0 {
        super::warn(&format!("{address}: {cut} columns were cut short"));
    }
    say(&look.page())
}

fn look_at_recording(shelf: &Shelf, recording: PathBuf) -> Result<(), Failure> {
    let text = std::fs::read(&recording).map_err(|source| Failure::Recording { file: recording, source })?;
    say(&look::at_recording(shelf, &text).page())
}

async fn examine(credential: &Credential, names: &[String]) -> Result<(), Failure> {
    let mut addresses = Vec::new();
    let mut lines = String::new();
    let mut problems = 0;
    for name in names {
        match resolve(name).await {
            Ok(address) => addresses.push(address),
            Err(error) => {
                problems += 1;
                lines.push_str(&format!("PROBLEM  name           {}\n", whole_chain(&error)));
            }
        }
    }
    let findings = doctor::examine(&Network::default(), &addresses, credential).await;
    lines.extend(findings.iter().map(|finding| format!("{finding}\n")));
    say(&lines)?;
    problems += findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    if problems == 0 { Ok(()) } else { Err(Failure::Unwell(problems)) }
}

fn line(name: &Oid, held: &Held) -> String {
    match held {
        Held::Value(value) => value_line(name, value),
        Held::NoSuchObject => format!("{name} (the device has no such object, or hides it)\n"),
        Held::NoSuchInstance => format!("{name} (the device has none of that index)\n"),
        Held::EndOfView | Held::Odd => format!("{name} (no value)\n"),
    }
}

/// One line for each value, whatever a device puts into its texts.
fn value_line(name: &Oid, value: &Value) -> String {
    format!("{name} = {value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line_whatever_it_holds() {
        let name = Oid::from([1, 3, 6]);
        let said = line(&name, &Held::Value(Value::Octets(b"two\r\nlines\x1b[31m".to_vec())));
        assert_eq!(said.matches('\n').count(), 1, "{said:?}");
        assert!(!said.contains('\x1b'), "{said:?}");
        assert!(line(&name, &Held::NoSuchObject).contains("no such object"));
    }
}
