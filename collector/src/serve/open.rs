//! Everything that a start needs, opened in an order that damages nothing: what can be wrong is looked at before
//! anything is written, and the folder is taken before the ports, so that a second collector hears the true reason.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bellwether_journal::{AppendError, CommitError, Journal, JournalError, Position};
use bellwether_series::{Store, StoreError};
use tokio::net::TcpListener;

use super::Options;
use super::secrets::SecretError;
use crate::agents::{self, AgentConfigs, AgentsError};
use crate::ca::{Ring, RingError};
use crate::calendar::CalendarsError;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::folder::{self, Folder, FolderError};
use crate::influx::client::{Client, ClientError};
use crate::ingest::{Ingest, LedgerError, Ledgers};
use crate::inventory::Inventory;
use crate::points;
use crate::readers::engine::EngineError;
use crate::readers::{EFFECTS, ENGINE, INFLUX, SERIES};
use crate::rules::{self, Loaded, RulesError};
use crate::state::{State, StateError};
use crate::tls::TlsError;
use crate::{disk, figures, keeping};

/// The authority's folder in the data folder.
pub const CA_FOLDER: &str = "ca";

/// Why a collector does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// What agents are told.
    #[error(transparent)]
    Agents(#[from] AgentsError),
    /// The calendars, when they are read again: a start goes on without them.
    #[error(transparent)]
    Calendars(#[from] CalendarsError),
    /// A port.
    #[error("cannot listen on {address} for {who}: choose another with {flag} or in collector.toml")]
    Port {
        /// Where.
        address: SocketAddr,
        /// Who would call there.
        who: &'static str,
        /// How to choose another.
        flag: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate authority.
    #[error(transparent)]
    Ca(#[from] RingError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The series store.
    #[error(transparent)]
    Series(#[from] StoreError),
    /// The way to InfluxDB.
    #[error(transparent)]
    Influx(#[from] ClientError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was received before.
    #[error(transparent)]
    Ledgers(#[from] LedgerError),
    /// The engine's memory.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The start could not be appended to the journal.
    #[error("cannot write the start to the journal")]
    Append(#[source] AppendError),
    /// The start could not be committed to the journal.
    #[error("cannot write the start to the journal")]
    Commit(#[source] CommitError),
    /// A reader's thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The figures.
    #[error("cannot count")]
    Figures(#[source] metrics::SetRecorderError<()>),
    /// The files for the admin.
    #[error(transparent)]
    Secrets(#[from] SecretError),
}

/// What is open.
pub(super) struct Opened {
    pub(super) folder: Folder,
    pub(super) config: Config,
    pub(super) rules: Arc<Loaded>,
    pub(super) agents: agents::Shared,
    pub(super) clock: Clock,
    pub(super) http: (Option<TcpListener>, SocketAddr),
    pub(super) grpc: (Option<TcpListener>, SocketAddr),
    pub(super) ring: Arc<Ring>,
    pub(super) state: Arc<State>,
    pub(super) series: Arc<Store>,
    pub(super) influx: Option<Client>,
    pub(super) journal: Arc<Journal>,
    pub(super) inventory: Arc<Inventory>,
    pub(super) ledgers: Arc<Ledgers>,
}

impl Opened {
    /// The way into the journal for readings.
    pub(super) fn ingest(&self) -> Ingest {
        Ingest {
            journal: Arc::clone(&self.journal),
            series: Arc::clone(&self.series),
            inventory: Arc::clone(&self.inventory),
            ledgers: Arc::clone(&self.ledgers),
            clock: self.clock.clone(),
        }
    }
}

/// Reads the configuration that `options` name, with the command line's word above the file's.
///
/// # Errors
/// When it can't be read or is not understood.
pub fn configuration(options: &Options) -> Result<Config, ConfigError> {
    let mut config = match &options.config {
        Some(path) => Config::load(path, true)?,
        None => Config::load(&options.data.join(crate::config::FILE), false)?,
    };
    config.network.http = options.http.unwrap_or(config.network.http);
    config.network.grpc = options.grpc.unwrap_or(config.network.grpc);
    Ok(config)
}

/// What an admin writes.
pub struct Read {
    /// `collector.toml` and the command line.
    pub config: Config,
    /// The rules.
    pub rules: Loaded,
    /// What agents are told.
    pub agents: AgentConfigs,
}

/// Reads everything that an admin writes, and changes nothing.
///
/// # Errors
/// Whatever is not understood.
pub fn read(options: &Options) -> Result<Read, StartError> {
    let config = configuration(options)?;
    let rules = rules::load(&options.data.join(&config.rules.folder))?;
    let agents = AgentConfigs::load(&options.data.join(agents::FOLDER))?;
    Ok(Read { config, rules, agents })
}

/// The database of our own series is written by ingest alone.
fn store_options(config: &Config) -> bellwether_series::Options {
    let keeping = keeping::rules(&config.store.keep);
    bellwether_series::Options { closed: vec![points::DATABASE.to_owned()], keeping, ..Default::default() }
}

pub(super) async fn open(options: &Options) -> Result<Opened, StartError> {
    folder::check_format(&options.data)?;
    let Read { config, rules, agents } = read(options)?;
    let folder = Folder::open(&options.data)?;
    let http = listen(config.network.http, "the pages", "--http").await?;
    let grpc = listen(config.network.grpc, "agents", "--grpc").await?;
    let clock = Clock::system();
    let now = clock.now();
    let ring = Ring::open(&folder.join(CA_FOLDER), &config.network.name, config.agent.endpoints.clone(), now)?;
    let state = State::open(&folder.join("state.sqlite"))?;
    let series = Store::open(&folder.join("series"), store_options(&config))?;
    let influx = match config.store.has_influxdb() {
        true => Some(Client::new(&config.store.influxdb, folder.path())?),
        false => None,
    };
    let journal = open_journal(&folder, &config, &state, &series)?;
    let inventory = Inventory::load(&state)?;
    let ledgers = Ledgers::rebuild(&state, &journal)?;
    Ok(Opened {
        folder,
        config,
        rules: Arc::new(rules),
        agents: Arc::new(agents),
        clock,
        http,
        grpc,
        ring,
        state: Arc::new(state),
        series: Arc::new(series),
        influx,
        journal: Arc::new(journal),
        inventory: Arc::new(inventory),
        ledgers: Arc::new(ledgers),
    })
}

async fn listen(
    address: SocketAddr,
    who: &'static str,
    flag: &'static str,
) -> Result<(Option<TcpListener>, SocketAddr), StartError> {
    let failed = |source| StartError::Port { address, who, flag, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((Some(listener), address))
}

/// Opens the journal with the places of its readers, so that it never begins again before what they have read.
fn open_journal(folder: &Folder, config: &Config, state: &State, series: &Store) -> Result<Journal, StartError> {
    let path = folder.join("journal");
    let snapshot = state.engine_snapshot()?.map_or(0, |kept| kept.position);
    let effects = state.cursor(ENGINE)?.unwrap_or(0);
    let mut readers = BTreeMap::from([(ENGINE, snapshot), (EFFECTS, effects), (SERIES, series.position())]);
    if config.store.has_influxdb() {
        // At its first start it begins with whatever the journal still has.
        readers.insert(INFLUX, state.cursor(INFLUX)?.unwrap_or(0));
    }
    let options = bellwether_journal::Options {
        segment_bytes: config.journal.segment_bytes,
        max_bytes: max_bytes(config, folder.path()),
        readers: readers.into_iter().map(|(reader, position)| (reader.to_owned(), Position(position))).collect(),
        yielding: BTreeSet::from([INFLUX.to_owned()]),
    };
    let (journal, recovery) = Journal::open(path, options)?;
    tracing::debug!(?recovery, "the journal is open");
    if recovery.missing_bytes > 0 || !recovery.damaged_segments.is_empty() {
        // Not the torn tail of a crash, of which nothing was acknowledged.
        figures::refused("lost_journal");
        tracing::error!(
            missing_bytes = recovery.missing_bytes,
            damaged_segments = recovery.damaged_segments.len(),
            "the disk has lost a part of the journal; what is left is read"
        );
    }
    Ok(journal)
}

/// The configured bound, or the smaller of 20 GiB and a fifth of the disk.
pub(super) fn max_bytes(config: &Config, folder: &Path) -> u64 {
    const MOST: u64 = 20 << 30;
    match config.journal.max_bytes {
        0 => disk::total_bytes(folder).map_or(MOST, |total| MOST.min(total / 5)),
        bytes => bytes,
    }
    .max(config.journal.segment_bytes.saturating_mul(4))
}
