//! Who may open a stream, and what its two ends are joined to.

use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::identity::Hardware;
use bellwether_logic::ranges::RangeSet;
use bellwether_logic::time::Timestamp;
use bellwether_proto::trust::CAS_MAX;
use bellwether_proto::v1::{AgentMessage, CollectorMessage, Hello, Receipt, Welcome, collector_message};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::assignments::Overflow;
use super::discovery::Discovery;
use super::enrol::unavailable;
use super::identity;
use super::registry::Registry;
use super::session::Session;
use crate::agents::Shared;
use crate::ca::{Bearer, Ring, validity};
use crate::clock::Clock;
use crate::figures;
use crate::health::Health;
use crate::ingest::{Ingest, Ledger};
use crate::state::State;
use crate::state::machines::{Machine, NoteKind};

/// Bytes of batches, of all agents together, that may be on their way into the journal: what ten thousand agents that
/// come back at once can make us hold. Whoever finds no room is not read from until there is some.
pub const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// Replies that wait for an agent that does not read. Acknowledgements merge while they wait.
const REPLIES_MAX: usize = 4;

/// How long an acknowledgement waits, beyond durable, until queries see the batch. A store that is stuck must not stop
/// the agents: what is in the journal will be seen.
pub const VISIBLE_WAIT: Duration = Duration::from_secs(5);

/// How fast agents may bring what they have spooled.
#[derive(Clone, Copy, Debug)]
pub struct Backfill {
    /// Batches under way unacknowledged, an agent.
    pub window: u32,
    /// Batches a second, an agent.
    pub per_second: u32,
}

/// Neighborhoods that are heard at once: after a restart every agent says its own, and they are said again.
const HEARING_MAX: usize = 1_024;

/// What agents are told by, and who hears what they find.
#[derive(Debug)]
pub struct Centre {
    /// What agents are told to do.
    pub agents: watch::Receiver<Shared>,
    /// Which authorities they are told to believe.
    pub ring: Arc<Ring>,
    /// Hears what they find.
    pub discovery: Discovery,
    /// Where it is shown what they can't be told.
    pub health: Arc<Health>,
}

/// What all streams share.
#[derive(Debug)]
pub struct Uplink {
    pub(super) ingest: Ingest,
    pub(super) registry: Arc<Registry>,
    pub(super) room: Arc<Semaphore>,
    /// How far the series reader has come: what queries see.
    pub(super) visible: watch::Receiver<u64>,
    /// What agents are told to do.
    pub(super) agents: watch::Receiver<Shared>,
    pub(super) ring: Arc<Ring>,
    pub(super) state: Arc<State>,
    pub(super) discovery: Discovery,
    pub(super) overflow: Arc<Overflow>,
    /// How many neighborhoods are being heard.
    pub(super) hearing: Arc<Semaphore>,
    clock: Clock,
    backfill: Backfill,
}

impl Uplink {
    /// Streams into `ingest`.
    #[must_use]
    pub fn new(
        ingest: Ingest,
        state: Arc<State>,
        registry: Arc<Registry>,
        visible: watch::Receiver<u64>,
        centre: Centre,
        backfill: Backfill,
    ) -> Self {
        let Centre { agents, ring, discovery, health } = centre;
        let overflow = Arc::new(Overflow::new(health));
        let clock = ingest.clock.clone();
        let room = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX));
        let hearing = Arc::new(Semaphore::new(HEARING_MAX));
        Self { ingest, registry, room, visible, agents, ring, state, discovery, overflow, hearing, clock, backfill }
    }

    /// Says who shows this certificate, if it may open a stream.
    ///
    /// TLS has verified that our CA signed it; whether it was revoked since is asked at each stream.
    ///
    /// # Errors
    /// The sentence for the agent's log.
    pub async fn admit(&self, certificate: Option<&CertificateDer<'static>>) -> Result<Bearer, Status> {
        let bearer = certificate.and_then(Bearer::of).ok_or_else(|| {
            figures::refused("no_certificate");
            Status::unauthenticated("no client certificate")
        })?;
        if let Some((_, until)) = certificate.and_then(validity).filter(|(_, until)| *until < self.clock.now()) {
            figures::refused("ended_certificate");
            let day = utc_day(until);
            return Err(Status::unauthenticated(format!(
                "this device's certificate ended on {day}: it must be renewed"
            )));
        }
        self.judge(&bearer).await?;
        Ok(bearer)
    }

    /// Whether the machine that says hello is the device's own. What it says of itself, and which CAs it believes, is kept.
    ///
    /// # Errors
    /// The sentence for the log of a machine that is another.
    pub(super) async fn identify(&self, device: &str, hello: &Hello) -> Result<(), Status> {
        let (state, now, device) = (Arc::clone(&self.state), self.clock.now(), device.to_owned());
        let hardware = Hardware::from(hello.hardware.clone().unwrap_or_default());
        let believed = hello.trusted_cas.iter().filter(|ca| ca.len() == 32).take(CAS_MAX);
        let cas: Vec<String> = believed.map(|ca| data_encoding::HEXLOWER.encode(ca)).collect();
        let judged = tokio::task::spawn_blocking(move || {
            identity::judge(&state, &device, &hardware, now)?;
            keep_cas(&state, device, cas, now)
        });
        judged.await.map_err(|error| unavailable("a machine could not be looked up", &error))?
    }

    /// Notes that two agents run with a device's certificate.
    pub(super) async fn note_twin(&self, device: &str) -> Status {
        figures::refused("twin");
        let (state, now, device) = (Arc::clone(&self.state), self.clock.now(), device.to_owned());
        let detail = "two agents run with this device's certificate at the same time";
        let noted = tokio::task::spawn_blocking(move || state.note(&device, NoteKind::Twin, detail, now)).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::error!("a twin could not be noted");
        }
        Status::permission_denied(TWIN)
    }

    /// Whether the bearer of a certificate may stream now. Asked when a stream is opened, and again once the registry
    /// knows it: what is revoked in between would be told to nobody.
    ///
    /// # Errors
    /// The sentence for the agent's log.
    pub(super) async fn judge(&self, bearer: &Bearer) -> Result<(), Status> {
        let state = Arc::clone(&self.state);
        let serial = bearer.serial.clone();
        let known = tokio::task::spawn_blocking(move || state.certificate(&serial)).await;
        let Ok(Ok(known)) = known else {
            tracing::error!(device = bearer.device, "a certificate could not be looked up");
            return Err(Status::unavailable("the collector can't look up this certificate just now"));
        };
        let refusal = match known {
            Some(certificate) if certificate.revoked_at.is_some() => Some(REVOKED),
            Some(certificate) if certificate.device != bearer.device => Some(UNKNOWN),
            None => Some(UNKNOWN),
            Some(_) if self.ingest.inventory.get(&bearer.device).is_none() => Some(UNKNOWN),
            Some(_) => None,
        };
        match refusal {
            None => Ok(()),
            Some(sentence) => {
                figures::refused("certificate");
                tracing::warn!(device = bearer.device, serial = bearer.serial, why = sentence, "a stream was refused");
                Err(Status::permission_denied(sentence))
            }
        }
    }

    /// Begins a stream: it runs in a task of its own and answers by what this returns.
    #[must_use]
    pub fn begin(
        self: Arc<Self>,
        bearer: Bearer,
        inbound: Streaming<AgentMessage>,
    ) -> ReceiverStream<Result<CollectorMessage, Status>> {
        let (replies, outbound) = mpsc::channel(REPLIES_MAX);
        tokio::spawn(Session::run(self, bearer, inbound, replies));
        ReceiverStream::new(outbound)
    }

    /// The answer to a `Hello`, and the offset of its generation.
    pub(super) fn welcome(&self, ledger: &Ledger, hello: &Hello) -> CollectorMessage {
        let now = self.clock.now();
        let generations = hello.held.iter().map(|receipt| receipt.generation).chain([hello.generation]);
        let received = ledger.received(generations);
        let welcome = Welcome {
            now_unix_ms: now.0,
            collector_version: env!("CARGO_PKG_VERSION").into(),
            received: received.iter().map(|receipt| Receipt::new(receipt.generation, &receipt.ranges)).collect(),
            backfill_window: self.backfill.window,
            backfill_per_s: self.backfill.per_second,
            clock_offset_ms: ledger.clock_offset_ms(hello.generation),
        };
        CollectorMessage { body: Some(collector_message::Body::Welcome(welcome)) }
    }
}

/// Keeps which CAs an agent believes, for the admin who waits for all to know the next one.
fn keep_cas(state: &State, device: String, cas: Vec<String>, now: Timestamp) -> Result<(), Status> {
    let failed = |error| unavailable("a machine could not be kept", &error);
    let known = state.machine(&device).map_err(failed)?;
    if cas.is_empty() || known.as_ref().is_some_and(|known| known.cas == cas) {
        return Ok(());
    }
    let none = || Machine { device, hardware: Hardware::default(), cas: Vec::new(), token: None };
    state.put_machine(&Machine { cas, ..known.unwrap_or_else(none) }, now).map_err(failed)
}

fn utc_day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "an unreadable day".into(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// For the second of two agents that run with one certificate.
const TWIN: &str = "another agent runs with this machine's certificate at the same time: if this machine was made from an \
                    image, run `bellwether-agent generalize` in the image and enrol this machine";

/// For a certificate that was revoked.
pub(super) const REVOKED: &str = "this device's certificate was revoked: enrol it again";

/// For a certificate that is ours and of a device that is not.
pub(super) const UNKNOWN: &str = "this device is not in the collector's inventory: enrol it again";

/// Sequences as the wire's receipt.
pub(super) fn receipt(generation: u64, sequences: &RangeSet) -> Receipt {
    Receipt::new(generation, sequences)
}
