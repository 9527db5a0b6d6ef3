//! The agent of the collector's own machine: enrolled by the same call, heard by the same stream as every other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_agent::host::Host;
use bellwether_agent::{Enrolment, GoodbyeReason, Settings, system_events};
use bellwether_logic::device::Class;
use bellwether_proto::token::EnrolToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ca::Ring;
use crate::clock::Clock;
use crate::config::OwnAgent;
use crate::health::{Health, chain};
use crate::state::State;
use crate::state::secret::SecretHash;
use crate::state::tokens::NewEnrolToken;

/// What the machine is called until somebody renames it.
const NAME: &str = "collector";

/// The part's name in the collector's health.
const PART: &str = "own agent";

/// How long its token lives: the enrolment follows at once.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// The wait after a failure: the fleet does not depend on this agent.
const RETRY: Duration = Duration::from_secs(60);

/// What the own agent needs.
pub struct Parts {
    /// For its token.
    pub state: Arc<State>,
    /// The time.
    pub clock: Clock,
    /// What is configured.
    pub config: OwnAgent,
    /// Where it keeps its state.
    pub folder: PathBuf,
    /// Where the collector takes agents.
    pub grpc: SocketAddr,
    /// Which CA it must find there.
    pub ring: Arc<Ring>,
    /// Where it says that it can't.
    pub health: Arc<Health>,
}

/// Enrols the machine if it is not yet, and watches it until `stop` turns true.
#[must_use]
pub fn start(parts: Parts, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(watch_machine(parts, stop))
}

async fn watch_machine(parts: Parts, mut stop: watch::Receiver<bool>) {
    loop {
        let ended = if is_enrolled(&parts).await {
            run(&parts, stop.clone()).await
        } else {
            tokio::select! {
                enrolled = enrol(&parts) => enrolled,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        };
        match ended {
            Ok(()) if *stop.borrow() => return,
            Ok(()) => parts.health.well(PART),
            Err(why) => {
                tracing::error!(why, "the collector's own machine is not watched; trying again in a minute");
                parts.health.trouble(PART, why);
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        }
    }
}

/// Whether the agent's folder names a device of this inventory. One that does not is of another collector's data, or of
/// before the database was lost: it enrols again.
async fn is_enrolled(parts: &Parts) -> bool {
    let Ok(identity) = bellwether_agent::state::read_identity(&parts.folder) else { return false };
    // A key that was lost comes back by no other way.
    if !bellwether_agent::state::has_credentials(&parts.folder) {
        return false;
    }
    let state = Arc::clone(&parts.state);
    let known = tokio::task::spawn_blocking(move || state.device(&identity.device_id)).await;
    // A database that can't be asked just now is no reason to enrol again.
    !matches!(known, Ok(Ok(None)))
}

/// Enrols over the loopback, with a token of its own that lives ten minutes.
async fn enrol(parts: &Parts) -> Result<(), String> {
    let secret: [u8; 16] = rand::random();
    let now = parts.clock.now();
    let token = NewEnrolToken {
        hash: SecretHash::of_bytes(&secret),
        site: parts.config.site.clone(),
        room: String::new(),
        class: Some(Class::Server),
        uses: 1,
        created_by: PART.into(),
        expires_at: now + TOKEN_LIFE,
    };
    let state = Arc::clone(&parts.state);
    tokio::task::spawn_blocking(move || state.add_enrol_token(&token, now))
        .await
        .map_err(|error| chain(&error))?
        .map_err(|error| chain(&error))?;
    let enrolment = Enrolment {
        state_dir: parts.folder.clone(),
        collector: loopback(parts.grpc).to_string(),
        token: EnrolToken { secret, ca_sha256: parts.ring.standing().current.sha256() }.to_string(),
        name: Some(NAME.into()),
        class: Some(Class::Server),
        again: true,
        hardware: Host::default(),
    };
    let enrolled = bellwether_agent::enrol(&enrolment).await.map_err(|error| chain(&error))?;
    tracing::info!(device = enrolled.device_id, "this machine is connected");
    Ok(())
}

/// Runs the agent; says goodbye when the collector stops.
async fn run(parts: &Parts, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let settings = Settings { interval: Some(parts.config.interval.0), ..Settings::new(&parts.folder) };
    parts.health.well(PART);
    let end = async move {
        // An error means that whoever could stop us is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
        GoodbyeReason::GoodbyeStop
    };
    bellwether_agent::run(settings, system_events::until(end)).await.map_err(|error| chain(&error))
}

/// The address by which this machine reaches its own listener.
fn loopback(listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listening.port());
    }
    listening
}
