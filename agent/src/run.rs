//! The agent's one loop.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::GoodbyeReason;
use crate::config::ConfigError;
use crate::state::StateError;

/// What the one who starts an agent decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder of an enrolled agent.
    pub state_dir: PathBuf,
    /// Instead of the interval of `agent.toml`.
    pub interval: Option<Duration>,
}

/// Why an agent does not run. Nothing that the collector or the network does is among it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder.
    #[error("can't use the state folder")]
    State(#[from] StateError),
    /// `agent.toml`.
    #[error("can't use the configuration")]
    Config(#[from] ConfigError),
}

impl Settings {
    /// An agent on this state folder, with the interval of its configuration.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), interval: None }
    }
}

/// Runs the agent until `shutdown` says why it should stop.
///
/// # Errors
/// Only at start: when the state folder or the configuration can't be used.
pub async fn run(settings: Settings, shutdown: impl Future<Output = GoodbyeReason> + Send) -> Result<(), RunError> {
    let config = crate::config::Config::load(&settings.state_dir.join(crate::state::CONFIG_FILE))?;
    tracing::debug!(?config, "configuration");
    shutdown.await;
    Ok(())
}
