//! Tokens and revocations: they open `state.sqlite` alone, so they work beside a running collector.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bellwether_logic::device::Class;
use bellwether_logic::span::Span;
use clap::Args;

use super::DEFAULT_DATA;
use crate::app::{Connect, Pin};
use crate::ca::{Authority, CaError};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError};
use crate::folder::{self, FolderError};
use crate::serve::{ADDRESSES, Addresses, CA_FOLDER};
use crate::state::people::Role;
use crate::state::secret::SecretHash;
use crate::state::tokens::NewEnrolToken;
use crate::state::{State, StateError};

/// The longest name of a building, room or token.
const NAME_CHARS_MAX: usize = 64;

/// Machines that one token may connect.
const USES_MAX: u32 = 100_000;

/// `token enrol`.
#[derive(Debug, Args)]
pub struct NewEnrol {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The building that machines with it stand in
    #[arg(long, value_name = "NAME")]
    site: String,
    /// The room, if all stand in one
    #[arg(long, value_name = "ROOM", default_value = "")]
    room: String,
    /// What they are for: server, desktop, laptop, closet or other; each says itself when this is left out
    #[arg(long, value_name = "CLASS")]
    class: Option<Class>,
    /// How many machines may use it
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// How long it lives
    #[arg(long, value_name = "TIME", default_value = "7d")]
    expires: Span,
}

/// `token api`.
#[derive(Debug, Args)]
pub struct NewApiToken {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// What it may do: viewer, champion, technician, coordinator or admin
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// What it is for, so that it can be told from others
    #[arg(long, value_name = "NAME")]
    name: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// A word on the command line.
    #[error("{flag} {value}: expected {expected}")]
    Value {
        /// Which.
        flag: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// Nothing to revoke.
    #[error("device {0} has no certificate that is valid")]
    NothingToRevoke(String),
}

fn role(word: &str) -> Result<Role, &'static str> {
    word.parse().map_err(|_| "expected viewer, champion, technician, coordinator or admin")
}

impl NewEnrol {
    /// Makes the token and says how to use it.
    ///
    /// # Errors
    /// When folder or words can't be used.
    pub fn run(&self) -> Result<String, TokenError> {
        check_name("--site", &self.site)?;
        if !self.room.is_empty() {
            check_name("--room", &self.room)?;
        }
        if !(1..=USES_MAX).contains(&self.uses) {
            let value = self.uses.to_string();
            return Err(TokenError::Value { flag: "--uses", value, expected: "1 to 100000" });
        }
        if self.expires.is_zero() {
            let value = self.expires.to_string();
            return Err(TokenError::Value { flag: "--expires", value, expected: "a time such as 7d" });
        }
        let state = open(&self.data)?;
        let now = Clock::system().now();
        let connect = connect(&self.data)?;
        let secret: [u8; 16] = rand::random();
        let token = NewEnrolToken {
            hash: SecretHash::of_bytes(&secret),
            site: self.site.trim().into(),
            room: self.room.trim().into(),
            class: self.class,
            uses: self.uses,
            created_by: "command line".into(),
            expires_at: now + self.expires.0,
        };
        state.add_enrol_token(&token, now)?;
        let machines = if self.uses == 1 { "one machine".into() } else { format!("{} machines", self.uses) };
        let only = if connect.this_machine_only {
            "\n\nThe collector takes agents of this machine only; to let others in: bellwether-collector setup --name DNSNAME"
        } else {
            ""
        };
        Ok(format!(
            "Paste this on the machine; it connects {machines} to {} within {}:\n\n  {}\n\nWhere a package has put the \
             agent, --state is /var/lib/bellwether-agent and the service runs it. Where others can see the list of \
             processes, leave --token and what follows it out, say --token-file - and type the token in.{only}",
            self.site,
            self.expires,
            connect.commands(secret).by_hand
        ))
    }
}

impl NewApiToken {
    /// Makes the token.
    ///
    /// # Errors
    /// When folder or words can't be used.
    pub fn run(&self) -> Result<String, TokenError> {
        check_name("--name", &self.name)?;
        let state = open(&self.data)?;
        let secret = state.add_api_token(self.name.trim(), self.role, Clock::system().now(), None)?;
        Ok(secret.reveal().to_owned())
    }
}

/// Revokes every certificate of a device.
///
/// # Errors
/// When there is none, or the folder can't be used.
pub fn revoke(data: &Path, device: &str) -> Result<String, TokenError> {
    let state = open(data)?;
    match state.revoke_certificates(device, Clock::system().now())? {
        0 => Err(TokenError::NothingToRevoke(device.into())),
        _ => Ok(format!("{device} is revoked; a running collector cuts its stream within seconds.")),
    }
}

fn open(data: &Path) -> Result<State, TokenError> {
    folder::check_existing(data)?;
    Ok(State::open(&data.join("state.sqlite"))?)
}

/// How machines reach the collector: as it said at its last start, or else as it is configured.
fn connect(data: &Path) -> Result<Connect, TokenError> {
    let config = Config::load(&data.join(config::FILE), false)?;
    let authority = Authority::open(&data.join(CA_FOLDER), Clock::system().now())?;
    let said = std::fs::read(data.join(ADDRESSES)).ok();
    let said: Option<Addresses> = said.and_then(|text| serde_json::from_slice(&text).ok());
    let endpoint = match said {
        Some(said) => said.agents,
        None if config.network.name.is_empty() => config.network.grpc.to_string(),
        None => format!("{}:{}", config.network.name, config.network.grpc.port()),
    };
    let this_machine_only = endpoint.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    Ok(Connect { endpoint, this_machine_only, pin: Pin::Fixed(authority.sha256()) })
}

fn check_name(flag: &'static str, name: &str) -> Result<(), TokenError> {
    let chars = name.trim().chars().count();
    if (1..=NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(TokenError::Value { flag, value: format!("{name:?}"), expected: "1 to 64 letters" })
}
