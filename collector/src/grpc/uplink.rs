//! Who may open a stream, and what its two ends are joined to.

use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::ranges::RangeSet;
use bellwether_proto::v1::{AgentMessage, CollectorMessage, Hello, Receipt, Welcome, collector_message};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::registry::Registry;
use super::session::Session;
use crate::agents::Shared;
use crate::ca::Bearer;
use crate::clock::Clock;
use crate::figures;
use crate::ingest::{Ingest, Ledger};
use crate::state::State;

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
    pub(super) state: Arc<State>,
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
        agents: watch::Receiver<Shared>,
        backfill: Backfill,
    ) -> Self {
        let clock = ingest.clock.clone();
        let room = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX));
        Self { ingest, registry, room, visible, agents, state, clock, backfill }
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
        self.judge(&bearer).await?;
        Ok(bearer)
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

/// For a certificate that was revoked.
pub(super) const REVOKED: &str = "this device's certificate was revoked: enrol it again";

/// For a certificate that is ours and of a device that is not.
const UNKNOWN: &str = "this device is not in the collector's inventory: enrol it again";

/// Sequences as the wire's receipt.
pub(super) fn receipt(generation: u64, sequences: &RangeSet) -> Receipt {
    Receipt::new(generation, sequences)
}
