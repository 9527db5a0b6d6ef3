//! The two secrets that a new admin needs, in files for their owner alone, and where others find the collector.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::folder::{Folder, Reach, write_whole};
use crate::state::people::Role;
use crate::state::secret::Secret;
use crate::state::{State, StateError};

/// How long a first-login link lives; a start makes a new one as long as nobody has used any.
const LINK_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// The file with the first-login link.
const FIRST_LOGIN: &str = "first-login.txt";

/// The file with the token for Grafana.
const GRAFANA: &str = "grafana.token";

/// The file that says where the collector listens, for the commands beside it.
pub const ADDRESSES: &str = "addresses.json";

/// What a new admin must know.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// Where the pages are.
    pub pages: String,
    /// The link for the first login, while there is nobody.
    pub first_login: Option<String>,
    /// The file with the link.
    pub first_login_file: PathBuf,
    /// The file with the token for Grafana.
    pub grafana_file: PathBuf,
}

/// Where a running collector is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `host:port` for agents.
    pub agents: String,
    /// The address of the pages.
    pub pages: String,
}

/// Why the files could not be left.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The secret could not be kept.
    #[error("cannot make the admin's first secrets")]
    State(#[from] StateError),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The work was cut off.
    #[error("cannot make the admin's first secrets")]
    Cut(#[source] tokio::task::JoinError),
}

/// Leaves the files that are not there yet.
pub(super) async fn leave(
    folder: &Folder,
    state: &Arc<State>,
    clock: &Clock,
    pages: &str,
    agents: &str,
) -> Result<Welcome, SecretError> {
    let leaving = Leaving {
        state: Arc::clone(state),
        clock: clock.clone(),
        first_login_file: folder.join(FIRST_LOGIN),
        grafana_file: folder.join(GRAFANA),
        addresses_file: folder.join(ADDRESSES),
        addresses: Addresses { agents: agents.into(), pages: pages.into() },
    };
    tokio::task::spawn_blocking(move || leaving.run()).await.map_err(SecretError::Cut)?
}

struct Leaving {
    state: Arc<State>,
    clock: Clock,
    first_login_file: PathBuf,
    grafana_file: PathBuf,
    addresses_file: PathBuf,
    addresses: Addresses,
}

impl Leaving {
    fn run(self) -> Result<Welcome, SecretError> {
        let addresses = serde_json::json!(self.addresses).to_string();
        write(self.addresses_file.clone(), &addresses, Reach::Everyone)?;
        if !self.grafana_file.exists() {
            let secret = self.state.add_api_token("grafana", Role::Viewer, self.clock.now(), None)?;
            write(self.grafana_file.clone(), &format!("{}\n", secret.reveal()), Reach::Owner)?;
        }
        let first_login = if self.state.has_nobody()? { Some(self.new_link()?) } else { None };
        if first_login.is_none() {
            // Whoever it was for is in.
            let _ = std::fs::remove_file(&self.first_login_file);
        }
        Ok(Welcome {
            pages: self.addresses.pages,
            first_login,
            first_login_file: self.first_login_file,
            grafana_file: self.grafana_file,
        })
    }

    fn new_link(&self) -> Result<String, SecretError> {
        let secret = Secret::new();
        let now = self.clock.now();
        self.state.add_first_login(secret.hash(), Role::Admin, now, now + LINK_LIFE)?;
        let link = format!("{}/welcome/{}", self.addresses.pages, secret.reveal());
        write(self.first_login_file.clone(), &format!("{link}\n"), Reach::Owner)?;
        Ok(link)
    }
}

fn write(path: PathBuf, text: &str, reach: Reach) -> Result<(), SecretError> {
    write_whole(&path, text.as_bytes(), reach).map_err(|source| SecretError::Write { path, source })
}
