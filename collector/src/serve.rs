//! The collector as a whole: what is opened in which order, and how it is closed again.
//!
//! Loud at the start: whatever is wrong with folder, configuration, rules or ports ends it before anything is changed.
//! Calm afterwards: a reader, a disk or an agent in trouble is counted and shown, and the rest goes on.

mod keep;
mod open;
mod secrets;
mod tend;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::middleware::from_fn_with_state;
use bellwether_journal::{AppendError, Journal};
use bellwether_proto::record::v1::{CollectorStarted, CollectorStopped, record};
use bellwether_series::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accept::{self, Accepted, Bounds};
use crate::agents::Shared;
use crate::app::{App, Clicks, Connect, Pin};
use crate::calendar::Keeper;
use crate::clock::Clock;
use crate::config::{Config, Kind};
use crate::foreign::ForeignWrites;
use crate::grpc::discovery::Parts;
use crate::grpc::{self, Backfill, Centre, Discovery, Enrolment, Registry, Renewals, Service, Uplink};
use crate::health::{Health, chain};
use crate::influx::compare::Comparison;
use crate::influx::reads::{self, Reads};
use crate::ingest;
use crate::itself::Itself;
use crate::readers::Driven;
use crate::readers::engine::{self, EngineReader};
use crate::readers::influx::InfluxReader;
use crate::readers::series::SeriesReader;
use crate::refusals::Refusals;
use crate::scribe::Scribe;
use crate::web::authorizer::ApiTokens;
use crate::web::readings::Series;
use crate::{figures, http, life, own_agent, responsibilities, tls, web};

use open::Opened;
pub use open::{CA_FOLDER, Read, StartError, read};
pub use secrets::{ADDRESSES, Addresses, Welcome};

/// How long everything together may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long the own agent may take for its goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(3);

/// How long streams and requests may take to end.
const SERVERS_LIMIT: Duration = Duration::from_secs(3);

/// How long a start waits for room in a full journal, and how often it looks.
const ROOM_LIMIT: Duration = Duration::from_secs(60);
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The data folder.
    pub data: PathBuf,
    /// Instead of `network.http`.
    pub http: Option<SocketAddr>,
    /// Instead of `network.grpc`.
    pub grpc: Option<SocketAddr>,
    /// Instead of `collector.toml` in the data folder.
    pub config: Option<PathBuf>,
}

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Whether agents are told something else from now on.
    pub agents: bool,
    /// Whether school time is another from now on.
    pub calendars: bool,
    /// Whether somebody else looks after something from now on.
    pub responsibilities: bool,
    /// Whether the rules changed. They come into force with the next start: the journal's record of it says from when
    /// on which rules decide, so that a replay decides the same again.
    pub rules_wait: bool,
    /// Whether the collector's own settings changed, which a start alone puts in force.
    pub settings_wait: bool,
}

/// A running collector.
pub struct Running {
    /// Where people look.
    pub http: SocketAddr,
    /// Where agents call.
    pub grpc: SocketAddr,
    /// What a new admin must know.
    pub welcome: Welcome,
    /// What pages and streams share.
    pub app: Arc<App>,
    /// The time-series store.
    pub series: Arc<Store>,
    journal: Arc<Journal>,
    registry: Arc<Registry>,
    agents: watch::Sender<Shared>,
    calendars: Arc<Keeper>,
    lives: Arc<life::Keeper>,
    responsibilities: Arc<responsibilities::Keeper>,
    stop: watch::Sender<bool>,
    stop_own_agent: watch::Sender<bool>,
    own_agent: Option<JoinHandle<()>>,
    servers: Vec<(&'static str, JoinHandle<()>)>,
    helpers: Vec<JoinHandle<()>>,
    readers: Vec<Driven>,
    // Last, so that the folder is another's only once everything is closed.
    _folder: crate::folder::Folder,
}

/// Starts a collector; it runs until [`Running::stop`].
///
/// # Errors
/// Whatever is wrong with folder, configuration, rules or ports: one clear line.
pub async fn start(options: &Options) -> Result<Running, StartError> {
    let opened = open::open(options).await?;
    Starting::new(opened)?.run().await
}

/// What is shared while the parts are started.
struct Starting {
    opened: Opened,
    clock: Clock,
    health: Arc<Health>,
    started: Arc<AtomicBool>,
    registry: Arc<Registry>,
    refusals: Arc<Refusals>,
    clicks: Clicks,
    stop: watch::Sender<bool>,
    servers: Vec<(&'static str, JoinHandle<()>)>,
    helpers: Vec<JoinHandle<()>>,
    readers: Vec<Driven>,
    visible: watch::Receiver<u64>,
    decided: watch::Receiver<u64>,
    agents: watch::Sender<Shared>,
    figures: PrometheusHandle,
}

impl Starting {
    /// Starts the readers and the scribe: from here on, what is appended takes effect.
    fn new(opened: Opened) -> Result<Self, StartError> {
        let figures = figures::install().map_err(StartError::Figures)?;
        let clock = opened.clock.clone();
        let health = Arc::new(Health::default());
        let refusals = Arc::new(Refusals::default());
        let started = Arc::new(AtomicBool::new(false));
        let (applied, committed) = watch::channel(0);
        let (shown, visible) = watch::channel(0);
        let engine = EngineReader::new(
            engine::Parts {
                journal: Arc::clone(&opened.journal),
                state: Arc::clone(&opened.state),
                inventory: Arc::clone(&opened.inventory),
                refusals: Arc::clone(&refusals),
                clock: clock.clone(),
                started: Arc::clone(&started),
                rules: (*opened.rules).clone(),
                settings: opened.config.engine,
            },
            applied,
        )?;
        let series = SeriesReader::new(Arc::clone(&opened.journal), Arc::clone(&opened.series), clock.clone(), shown);
        let series = match opened.config.store.kind {
            Kind::Influxdb => series.without_points(),
            Kind::Embedded | Kind::Both => series,
        };
        let mut readers = vec![
            Driven::start(engine, Arc::clone(&health)).map_err(StartError::Thread)?,
            Driven::start(series, Arc::clone(&health)).map_err(StartError::Thread)?,
        ];
        if let Some(client) = &opened.influx {
            let (journal, state) = (Arc::clone(&opened.journal), Arc::clone(&opened.state));
            let influx = InfluxReader::new(journal, state, clock.clone(), client.clone(), opened.folder.path())?;
            let influx = match opened.config.store.kind {
                Kind::Both => influx.with_embedded(Arc::clone(&opened.series)),
                Kind::Embedded | Kind::Influxdb => influx,
            };
            // The last, so that it is stopped last: the others must not wait for somebody else's program.
            readers.push(Driven::start(influx, Arc::clone(&health)).map_err(StartError::Thread)?);
        }
        let (clicks, clicked) = Clicks::channel();
        let scribe = Scribe {
            journal: Arc::clone(&opened.journal),
            clock: clock.clone(),
            applied: committed.clone(),
            refusals: Arc::clone(&refusals),
        };
        let agents = watch::channel(Arc::clone(&opened.agents)).0;
        Ok(Self {
            agents,
            opened,
            clock,
            health,
            started,
            registry: Arc::default(),
            refusals,
            clicks,
            stop: watch::channel(false).0,
            servers: Vec::new(),
            helpers: vec![tokio::spawn(scribe.run(clicked))],
            readers,
            visible,
            decided: committed,
            figures,
        })
    }

    /// Opens both ports and starts whatever looks after them.
    async fn run(mut self) -> Result<Running, StartError> {
        let connect = self.connect();
        let app = Arc::new(App {
            state: Arc::clone(&self.opened.state),
            clicks: self.clicks.clone(),
            config: self.opened.config.clone(),
            clock: self.clock.clone(),
            connect,
            health: Arc::clone(&self.health),
            agents: self.agents.subscribe(),
            rules: Arc::clone(&self.opened.rules),
        });
        app.rules.tell(&self.health);
        let scheme = if self.opened.config.network.tls { "https" } else { "http" };
        let pages = pages_address(&self.opened.config, self.opened.http.1, scheme);
        // Before anything answers: whoever finds `/healthz` well finds the files, too.
        let (folder, state) = (&self.opened.folder, &self.opened.state);
        let welcome = secrets::leave(folder, state, &self.clock, &pages, &app.connect.endpoint).await?;
        self.write_start().await?;
        self.serve_agents()?;
        self.serve_people(&app)?;
        let calendars = self.keep_calendars();
        let lives = self.keep_lives();
        let responsibilities = self.keep_responsibilities();
        self.tend();
        self.watch_itself(&app);
        let (stop_own_agent, told) = watch::channel(false);
        let own_agent = self.watch_own_machine(told);
        tracing::debug!(refusals = ?self.refusals, "started");
        let Opened { folder, http, grpc, journal, series, .. } = self.opened;
        Ok(Running {
            http: http.1,
            grpc: grpc.1,
            welcome,
            app,
            series,
            journal,
            registry: self.registry,
            agents: self.agents,
            calendars,
            lives,
            responsibilities,
            stop: self.stop,
            stop_own_agent,
            own_agent,
            servers: self.servers,
            helpers: self.helpers,
            readers: self.readers,
            _folder: folder,
        })
    }

    /// Writes down that the collector runs again, before anyone is heard. A full journal is waited for: the readers, which
    /// run already, make room in it.
    async fn write_start(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + ROOM_LIMIT;
        loop {
            let started = CollectorStarted { version: env!("CARGO_PKG_VERSION").into() };
            match ingest::append(&self.opened.journal, self.clock.now(), record::Body::Started(started)) {
                Ok(receipt) => {
                    receipt.await.map_err(StartError::Commit)?;
                    self.started.store(true, Ordering::SeqCst);
                    return Ok(());
                }
                Err(AppendError::Full { .. }) if Instant::now() < deadline => {
                    tracing::warn!("the journal is full: waiting for its readers to make room");
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                Err(error) => return Err(StartError::Append(error)),
            }
        }
    }

    fn connect(&self) -> Connect {
        let network = &self.opened.config.network;
        let grpc = self.opened.grpc.1;
        let host = if network.name.is_empty() { grpc.ip().to_string() } else { network.name.clone() };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Connect {
            endpoint: format!("{host}:{}", grpc.port()),
            this_machine_only: grpc.ip().is_loopback(),
            pin: Pin::Ring(Arc::clone(&self.opened.ring)),
        }
    }

    fn serve_agents(&mut self) -> Result<(), StartError> {
        let opened = &mut self.opened;
        let limits = &opened.config.limits;
        let tls = tls::for_agents(Arc::clone(&opened.ring))?;
        let listener = opened.grpc.0.take().expect("the agents' listener is taken once");
        let bounds = Bounds::for_agents(limits);
        let connections = accept::listen(listener, Some(Arc::new(tls)), bounds, self.stop.subscribe());
        let ingest = opened.ingest();
        let (discovery, hearing) = Discovery::new(Parts {
            state: Arc::clone(&opened.state),
            clicks: self.clicks.clone(),
            inventory: Arc::clone(&opened.inventory),
            registry: Arc::clone(&self.registry),
            clock: self.clock.clone(),
            accept: opened.config.discovery.accept.clone(),
        });
        self.helpers.push(tokio::spawn(hearing));
        let backfill = Backfill { window: limits.backfill_window, per_second: limits.backfill_per_second };
        let state = Arc::clone(&opened.state);
        let ring = Arc::clone(&opened.ring);
        let uplink = Uplink::new(
            ingest,
            Arc::clone(&state),
            Arc::clone(&self.registry),
            self.visible.clone(),
            Centre {
                agents: self.agents.subscribe(),
                ring: Arc::clone(&ring),
                discovery,
                health: Arc::clone(&self.health),
            },
            backfill,
        );
        let grace = opened.config.certificates.grace();
        let per_minute = limits.renewals_per_minute;
        let renewals = Renewals::new(Arc::clone(&state), Arc::clone(&ring), self.clock.clone(), grace, per_minute);
        let enrolment = Enrolment::new(
            state,
            ring,
            Arc::clone(&self.registry),
            self.clicks.clone(),
            self.clock.clone(),
            limits.enrolments_per_minute,
        );
        let service =
            Service { enrolment: Arc::new(enrolment), renewals: Arc::new(renewals), uplink: Arc::new(uplink) };
        let stop = self.stop.subscribe();
        self.servers.push((
            "the agents' server",
            tokio::spawn(async move {
                if let Err(error) = grpc::serve(service, connections, stop).await {
                    tracing::error!(%error, "the agents' server ended");
                }
            }),
        ));
        Ok(())
    }

    fn serve_people(&mut self, app: &Arc<App>) -> Result<(), StartError> {
        let opened = &mut self.opened;
        let handle = self.figures.clone();
        let tokens = Arc::new(ApiTokens::new(Arc::clone(&opened.state), app.clock.clone()));
        let journal = Arc::clone(&opened.journal);
        let writes = Arc::new(ForeignWrites::new(journal, app.clock.clone(), self.visible.clone()));
        let zone = opened.config.pages.time_zone().unwrap_or(jiff::tz::TimeZone::UTC);
        let mut face =
            bellwether_series::http::router(Arc::clone(&opened.series), Arc::clone(&tokens) as Arc<_>, writes);
        let mut series: Arc<dyn Series> = Arc::clone(&opened.series) as Arc<_>;
        if let (Kind::Influxdb, Some(client)) = (opened.config.store.kind, &opened.influx) {
            let reads = Arc::new(Reads::new(client.clone(), tokens));
            face = face.layer(from_fn_with_state(Arc::clone(&reads), reads::pass));
            series = reads;
        }
        let routes = web::router(Arc::clone(app), series, zone)
            .merge(face)
            .merge(http::own_routes(Arc::clone(&self.health), handle));
        let tls = match opened.config.network.tls {
            true => Some(Arc::new(tls::for_people(Arc::clone(&opened.ring))?)),
            false => None,
        };
        let listener = opened.http.0.take().expect("the people's listener is taken once");
        let bounds = Bounds::for_people(&opened.config.limits);
        let connections = accept::listen(listener, tls, bounds, self.stop.subscribe());
        let accepted = Accepted::new(connections, opened.http.1);
        let stop = self.stop.subscribe();
        self.servers.push((
            "the people's server",
            tokio::spawn(async move {
                if let Err(error) = http::run(routes, accepted, stop).await {
                    tracing::error!(%error, "the people's server ended");
                }
            }),
        ));
        Ok(())
    }

    fn tend(&mut self) {
        let opened = &self.opened;
        self.helpers.push(tokio::spawn(tend::revocations(
            Arc::clone(&opened.state),
            Arc::clone(&opened.journal),
            Arc::clone(&self.registry),
            self.clock.clone(),
        )));
        self.helpers.push(tokio::spawn(tend::authorities(Arc::clone(&opened.ring), self.clock.clone())));
        self.helpers.push(tokio::spawn(tend::identities(
            Arc::clone(&opened.state),
            opened.config.certificates.grace(),
            self.clock.clone(),
        )));
        if let (Kind::Both, Some(client)) = (opened.config.store.kind, &opened.influx) {
            let comparison = Comparison {
                store: Arc::clone(&opened.series),
                client: client.clone(),
                state: Arc::clone(&opened.state),
                clock: self.clock.clone(),
                health: Arc::clone(&self.health),
            };
            self.helpers.push(tokio::spawn(comparison.run()));
        }
        self.helpers.push(tokio::spawn(tend::own_clock(Arc::clone(&self.registry))));
        self.helpers.push(tokio::spawn(tend::figures_of(
            Arc::clone(&opened.journal),
            Arc::clone(&opened.series),
            self.figures.clone(),
        )));
    }

    /// Without its own agent this machine is no device.
    fn watch_itself(&mut self, app: &Arc<App>) {
        let opened = &self.opened;
        let itself = Itself {
            app: Arc::clone(app),
            journal: Arc::clone(&opened.journal),
            journal_max_bytes: open::max_bytes(&opened.config, opened.folder.path()),
            decided: self.decided.clone(),
            ring: Arc::clone(&opened.ring),
            ingest: opened.ingest(),
            folder: opened.folder.path().to_owned(),
            agent_folder: opened.folder.join("agent"),
        };
        if opened.config.own_agent.enabled {
            self.helpers.push(tokio::spawn(itself.run()));
        }
    }

    fn watch_own_machine(&self, stop: watch::Receiver<bool>) -> Option<JoinHandle<()>> {
        let config = &self.opened.config.own_agent;
        let parts = own_agent::Parts {
            state: Arc::clone(&self.opened.state),
            clock: self.clock.clone(),
            config: config.clone(),
            folder: self.opened.folder.join("agent"),
            grpc: self.opened.grpc.1,
            ring: Arc::clone(&self.opened.ring),
            health: Arc::clone(&self.health),
        };
        config.enabled.then(|| own_agent::start(parts, stop))
    }
}

/// Where a browser finds the pages.
fn pages_address(config: &Config, http: SocketAddr, scheme: &str) -> String {
    let host = match (config.network.name.as_str(), http.ip().is_unspecified()) {
        ("", true) => "127.0.0.1".to_owned(),
        ("", false) => http.ip().to_string(),
        (name, _) => name.to_owned(),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("{scheme}://{host}:{}", http.port())
}

impl Running {
    /// Reads again what was read at the start, whole or not at all. What agents are told is told to them at once; other
    /// changes come into force with the next start.
    ///
    /// # Errors
    /// What is wrong; then nothing has changed.
    pub fn reload(&self, options: &Options) -> Result<Reloaded, StartError> {
        let read = open::read(options)?;
        let calendars = self.calendars.read().inspect_err(|error| self.calendars.refuse(chain(error)))?;
        let table = self.lives.read().inspect_err(|error| self.lives.refuse(chain(error)))?;
        read.rules.tell(&self.app.health);
        let matrix = self.responsibilities.read().inspect_err(|error| self.responsibilities.refuse(chain(error)))?;
        let settings_wait = read.config != self.app.config;
        let rules_wait = read.rules.rules != self.app.rules.rules;
        let agents = self.agents.send_if_modified(|agents| {
            let changes = **agents != read.agents;
            if changes {
                *agents = Arc::new(read.agents);
            }
            changes
        });
        let calendars = self.calendars.take(calendars);
        self.lives.take(table);
        let responsibilities = self.responsibilities.take(&matrix);
        Ok(Reloaded { agents, calendars, responsibilities, rules_wait, settings_wait })
    }

    /// Stops cleanly: the own agent says goodbye, streams and requests end, what was appended is read to the end, and
    /// memory is written down. Within ten seconds, whatever hangs.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + STOP_LIMIT;
        self.stop_own_agent.send_replace(true);
        if let Some(own_agent) = self.own_agent.take() {
            finish("the own agent", own_agent, GOODBYE_LIMIT).await;
        }
        self.registry.end_all();
        self.stop.send_replace(true);
        for server in self.servers.drain(..) {
            finish(server.0, server.1, SERVERS_LIMIT).await;
        }
        for helper in self.helpers.drain(..) {
            helper.abort();
            // Cancelled, as it should be.
            let _ = helper.await;
        }
        let stopped = record::Body::Stopped(CollectorStopped {});
        match ingest::append(&self.journal, self.app.clock.now(), stopped) {
            Ok(receipt) => {
                if let Err(error) = receipt.await {
                    tracing::error!(%error, "the stop could not be written down");
                }
            }
            Err(error) => tracing::error!(%error, "the stop could not be written down"),
        }
        let readers = std::mem::take(&mut self.readers);
        let drained = tokio::task::spawn_blocking(move || {
            for reader in readers {
                // What was not read is read at the next start; the reader has said so.
                let _ = reader.stop(deadline);
            }
        });
        if drained.await.is_err() {
            tracing::error!("the readers could not be stopped");
        }
    }
}

async fn finish(what: &str, mut task: JoinHandle<()>, limit: Duration) {
    let began = Instant::now();
    let ended = tokio::time::timeout(limit, &mut task).await;
    tracing::debug!(what, after_ms = began.elapsed().as_millis(), "ended");
    if ended.is_err() {
        tracing::warn!(what, "took too long to stop and was cut off");
        task.abort();
        let _ = task.await;
    }
}

#[cfg(test)]
mod tests;
