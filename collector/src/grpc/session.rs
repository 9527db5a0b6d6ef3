//! One stream of one agent, from its `Hello` to its end.
//!
//! The agent is read from only while there is room for what it sends: a slow disk, a full journal or too many batches
//! under way show at the agent as a connection that takes nothing, and its spool waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_journal::{AppendError, CommitError};
use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::ranges::RangeSet;
use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::MAX_MESSAGE_BYTES;
use bellwether_proto::batch::Decoder;
use bellwether_proto::record::v1::{AgentConnected, AgentLeft, record};
use bellwether_proto::v1::{
    Ack, AgentMessage, Batch, CollectorMessage, Contacts, GoodbyeReason, Hello, agent_message, collector_message,
};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use super::assignments::Watchlist;
use super::enrol::Pace;
use super::naming;
use super::neighborhoods;
use super::orders::{self, Orders};
use super::registry::{End, Place};
use super::uplink::{IN_FLIGHT_BYTES_MAX, REVOKED, Uplink, VISIBLE_WAIT, receipt};
use crate::ca::Bearer;
use crate::figures;
use crate::ingest::{Ingest, Ledger, TakeError, Taken};

/// Batches of one stream on their way into the journal. An agent keeps fewer unacknowledged.
const IN_FLIGHT_MAX: usize = 256;

/// What an agent may say in a minute that it has found. A closet says everything when its stream begins.
const FOUND_PER_MINUTE: u32 = 5_000;

/// How long an agent may take for its `Hello`.
const HELLO_WAIT: Duration = Duration::from_secs(30);

/// How long a batch that found the journal's queue full waits; the queue empties in the time of an fdatasync.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long a batch that found the journal full waits: readers must catch up first.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// How long the end of a stream waits for what is still on its way.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// One stream.
pub(super) struct Session {
    uplink: Arc<Uplink>,
    device: String,
    place: Place,
    ledger: Ledger,
    hello: Hello,
    /// When the hello came: the stream before may take a while to end, which is no error of the agent's clock.
    heard_at: Timestamp,
    decoder: Decoder,
    replies: mpsc::Sender<Result<CollectorMessage, Status>>,
    /// What agents are told to believe and to call; says when it changes.
    contacts: watch::Receiver<Arc<Contacts>>,
    /// What was read and finds no room yet; nothing else is read until it has.
    pending: Option<Pending>,
    in_flight: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// To be acknowledged.
    ready: BTreeMap<u64, RangeSet>,
    /// What the agent is told to do, and what it was told.
    orders: Orders,
    /// What it is told to watch.
    watchlist: Watchlist,
    /// How fast it may say what it finds.
    found: Pace,
}

/// A batch that waits for room.
struct Pending {
    id: BatchId,
    lane: Lane,
    samples: Vec<Sample>,
    bytes: u32,
    not_before: Instant,
    arrived: Instant,
}

/// A batch that is durable, or never will be.
struct Settled {
    id: BatchId,
    outcome: Result<(), CommitError>,
    arrived: Instant,
}

/// For streams that end because the collector's clock was set.
const CLOCK_SET: &str = "the collector's clock was set: begin another stream";

/// How a stream ended.
enum Ending {
    Goodbye(GoodbyeReason),
    Lost,
    Refused(Status),
    Told(End),
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
enum Event {
    Told(End),
    Settled(Settled),
    Room(OwnedSemaphorePermit),
    Message(Result<Option<AgentMessage>, Status>),
    Answered,
    NewOrders,
    NewWatchlist,
    Gone,
}

impl Session {
    /// Runs a stream to its end.
    pub(super) async fn run(
        uplink: Arc<Uplink>,
        bearer: Bearer,
        mut inbound: Streaming<AgentMessage>,
        replies: mpsc::Sender<Result<CollectorMessage, Status>>,
    ) {
        let hello = match tokio::time::timeout(HELLO_WAIT, first(&bearer.device, &mut inbound)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(status)) => return refuse(&bearer.device, &replies, status).await,
            Err(_) => {
                let status = Status::deadline_exceeded("no Hello came: the stream was closed");
                return refuse(&bearer.device, &replies, status).await;
            }
        };
        let heard_at = uplink.ingest.stamp();
        if let Err(status) = uplink.identify(&bearer.device, &hello).await {
            return refuse(&bearer.device, &replies, status).await;
        }
        let Ok((place, older)) = uplink.registry.enter(&bearer.device, &bearer.serial, hello.generation) else {
            let status = uplink.note_twin(&bearer.device).await;
            return refuse(&bearer.device, &replies, status).await;
        };
        if let Err(status) = uplink.judge(&bearer).await {
            return refuse(&bearer.device, &replies, status).await;
        }
        if let Some(older) = older {
            older.gone().await;
        }
        let ledger = uplink.ingest.ledgers.of(&bearer.device);
        let orders = Orders::new(uplink.agents.clone(), hello.config_revision);
        let contacts = uplink.ring.contacts();
        let watchlist = Watchlist::new(&uplink.ingest.inventory, &uplink.overflow, &bearer.device);
        let session = Self {
            contacts,
            uplink,
            device: bearer.device,
            place,
            ledger,
            hello,
            heard_at,
            decoder: Decoder::new(),
            replies,
            pending: None,
            in_flight: FuturesUnordered::new(),
            ready: BTreeMap::new(),
            orders,
            watchlist,
            found: Pace::new(FOUND_PER_MINUTE, "found_rate"),
        };
        session.talk(inbound).await;
    }

    async fn talk(mut self, mut inbound: Streaming<AgentMessage>) {
        if let Err(status) = self.begin().await {
            return refuse(&self.device, &self.replies, status).await;
        }
        let ending = loop {
            match self.step(&mut inbound).await {
                Ok(()) => {}
                Err(ending) => break ending,
            }
        };
        // What is durable is acknowledged even now: a stopped agent then knows that its spool is empty.
        if tokio::time::timeout(SETTLE_WAIT, self.settle_all()).await.is_err() {
            tracing::error!(device = self.device, "the journal did not settle the last batches of a stream");
            tokio::spawn(settle_unheard(std::mem::take(&mut self.in_flight)));
        }
        self.end(ending).await;
    }

    /// Writes down that the agent is here, and welcomes it.
    async fn begin(&mut self) -> Result<(), Status> {
        let hello = &self.hello;
        let clock_offset_ms = self.ledger.hello(hello.generation, Timestamp(hello.now_unix_ms), self.heard_at);
        if clock_offset_ms != 0 {
            tracing::warn!(device = self.device, clock_offset_ms, "an agent's clock is wrong: its times are corrected");
        }
        let connected = AgentConnected {
            device_id: self.device.clone(),
            agent_version: hello.agent_version.chars().take(64).collect(),
            generation: hello.generation,
            boot_id: hello.boot_id.chars().take(64).collect(),
            interval_s: hello.interval_s,
            live_from: hello.live_from,
            clock_offset_ms,
            config_revision: hello.config_revision,
        };
        let stored = match self.uplink.ingest.append(record::Body::Connected(connected)) {
            Ok(receipt) => receipt.await.map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = stored {
            tracing::error!(device = self.device, why, "an agent's connection could not be stored");
            return Err(Status::unavailable("the collector's journal takes nothing just now"));
        }
        tracing::info!(device = self.device, generation = hello.generation, "an agent connected");
        let welcome = self.uplink.welcome(&self.ledger, hello);
        // An agent that is gone already is noticed by the first step.
        let _ = self.replies.send(Ok(welcome)).await;
        naming::follow_hostname(&self.uplink, &self.device, &self.hello.hostname).await;
        self.orders.look_up(&self.uplink.ingest.inventory, &self.device);
        let contacts = Arc::clone(&self.contacts.borrow_and_update());
        if is_news(&contacts, &self.hello) {
            let _ = self.replies.send(Ok(contacts_message(&contacts))).await;
        }
        Ok(())
    }

    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self, inbound: &mut Streaming<AgentMessage>) -> Result<(), Ending> {
        let reads = self.pending.is_none() && self.in_flight.len() < IN_FLIGHT_MAX;
        let event = tokio::select! {
            biased;
            end = told(&mut self.place.end) => Event::Told(end),
            Some(settled) = self.in_flight.next(), if !self.in_flight.is_empty() => Event::Settled(settled),
            place = self.replies.reserve(), if self.has_word() => match place {
                Ok(place) => {
                    let orders = self.orders.take().or_else(|| self.watchlist.take());
                    place.send(Ok(orders.unwrap_or_else(|| acknowledgement(&mut self.ready))));
                    Event::Answered
                }
                Err(_) => Event::Gone,
            },
            () = self.orders.changed() => Event::NewOrders,
            () = self.watchlist.changed() => Event::NewWatchlist,
            place = announced(&mut self.contacts, &self.replies) => match place {
                Some(place) => {
                    place.send(Ok(contacts_message(&Arc::clone(&self.contacts.borrow_and_update()))));
                    Event::Answered
                }
                None => Event::Gone,
            },
            () = self.replies.closed() => Event::Gone,
            room = room(&self.uplink, self.pending.as_ref()), if self.pending.is_some() => Event::Room(room),
            message = inbound.message(), if reads => Event::Message(message),
        };
        match event {
            Event::Told(end) => Err(Ending::Told(end)),
            Event::Settled(settled) => self.settle(settled),
            Event::Room(room) => self.take(room),
            Event::Message(message) => self.read(message),
            Event::Answered => Ok(()),
            Event::NewOrders => {
                self.orders.look_up(&self.uplink.ingest.inventory, &self.device);
                Ok(())
            }
            Event::NewWatchlist => {
                self.watchlist.look_up(&self.device);
                Ok(())
            }
            Event::Gone => Err(Ending::Lost),
        }
    }

    /// Whether there is something to say to the agent.
    fn has_word(&self) -> bool {
        !self.ready.is_empty() || self.orders.is_due() || self.watchlist.is_due()
    }

    fn read(&mut self, message: Result<Option<AgentMessage>, Status>) -> Result<(), Ending> {
        let body = match message {
            Ok(Some(message)) => message.body,
            Ok(None) => return Err(Ending::Lost),
            Err(status) => return Err(unreadable(&self.device, &status).map_or(Ending::Lost, Ending::Refused)),
        };
        match body {
            Some(agent_message::Body::Batch(batch)) => self.decode(&batch),
            Some(agent_message::Body::Goodbye(goodbye)) => Err(Ending::Goodbye(goodbye.reason())),
            Some(agent_message::Body::ConfigurationResult(result)) => {
                orders::note_result(&self.uplink.ingest, &self.device, result);
                Ok(())
            }
            Some(agent_message::Body::Hello(_)) => Err(Ending::Refused(bad(&self.device, "a second Hello"))),
            Some(agent_message::Body::Found(found)) => {
                self.watchlist.note_closet();
                if self.found.take(self.uplink.ingest.stamp()) {
                    self.uplink.discovery.hear(&self.device, found);
                }
                Ok(())
            }
            Some(agent_message::Body::Neighborhood(said)) => {
                neighborhoods::hear(&self.uplink, &self.device, said);
                Ok(())
            }
            // A kind that only a newer agent knows: it must cope with a collector that does not.
            None => {
                figures::refused("unknown_message");
                Ok(())
            }
        }
    }

    fn decode(&mut self, batch: &Batch) -> Result<(), Ending> {
        let samples = self.decoder.decode(batch).map_err(|error| {
            figures::refused("malformed_batch");
            Ending::Refused(bad(&self.device, &error.to_string()))
        })?;
        let id = batch.id();
        let is_live = id.generation == self.hello.generation && id.sequence >= self.hello.live_from;
        let now = Instant::now();
        self.pending = Some(Pending {
            id,
            lane: if is_live { Lane::Live } else { Lane::Backfill },
            samples,
            bytes: u32::try_from(batch.encoded_len().clamp(1, IN_FLIGHT_BYTES_MAX)).unwrap_or(u32::MAX),
            not_before: now,
            arrived: now,
        });
        Ok(())
    }

    /// There is room for what was read: into the journal with it.
    fn take(&mut self, room: OwnedSemaphorePermit) -> Result<(), Ending> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let Some(identity) = self.uplink.ingest.inventory.get(&self.device) else {
            return Err(Ending::Refused(Status::permission_denied("this device is not in the inventory any more")));
        };
        // Edited on a page, it may belong to other orders now.
        self.orders.follow(&identity);
        let id = pending.id;
        match self.uplink.ingest.take(&identity, &self.ledger, id, pending.lane, &pending.samples) {
            Ok(Taken::Duplicate) => {
                self.ready.entry(id.generation).or_default().insert(id.sequence);
            }
            Ok(Taken::Queued(receipt)) => {
                let visible = self.uplink.visible.clone();
                let ledger = self.ledger.clone();
                let settled = settle_later(receipt, room, visible, ledger, id, pending.arrived);
                self.in_flight.push(Box::pin(settled));
            }
            Err(TakeError::Wait(error)) => {
                let full = matches!(error, AppendError::Full { .. });
                figures::refused(if full { "journal_full" } else { "journal_busy" });
                pending.not_before = Instant::now() + if full { FULL_PAUSE } else { BUSY_PAUSE };
                self.pending = Some(pending);
            }
            Err(error @ (TakeError::Append(_) | TakeError::InFlight)) => {
                return Err(Ending::Refused(Status::unavailable(error.to_string())));
            }
            Err(error @ TakeError::Bound) => {
                return Err(Ending::Refused(Status::resource_exhausted(error.to_string())));
            }
        }
        Ok(())
    }

    fn settle(&mut self, settled: Settled) -> Result<(), Ending> {
        let id = settled.id;
        match settled.outcome {
            Ok(()) => {
                figures::batch("stored");
                figures::acknowledged(settled.arrived.elapsed());
                self.ready.entry(id.generation).or_default().insert(id.sequence);
                Ok(())
            }
            Err(error) => {
                figures::batch("failed");
                tracing::error!(device = self.device, %error, "a batch could not be stored");
                Err(Ending::Refused(Status::unavailable("the collector's journal can't be written just now")))
            }
        }
    }

    /// Waits for everything that is on its way, and acknowledges it if the agent still listens.
    async fn settle_all(&mut self) {
        while let Some(settled) = self.in_flight.next().await {
            // How the stream ends is known already.
            let _ = self.settle(settled);
        }
        if !self.ready.is_empty() {
            let _ = self.replies.send(Ok(acknowledgement(&mut self.ready))).await;
        }
    }

    /// Writes down that the agent is gone, and closes the stream with the reason.
    async fn end(self, ending: Ending) {
        let (reason, status) = match ending {
            Ending::Goodbye(reason) => (Some(reason), None),
            Ending::Lost => (Some(GoodbyeReason::GoodbyeUnspecified), None),
            Ending::Refused(status) => (Some(GoodbyeReason::GoodbyeUnspecified), Some(status)),
            Ending::Told(End::Revoked) => {
                (Some(GoodbyeReason::GoodbyeUnspecified), Some(Status::permission_denied(REVOKED)))
            }
            // The device is here, by a newer stream: nobody left.
            Ending::Told(End::Superseded) => (None, Some(Status::aborted("this device has begun another stream"))),
            Ending::Told(End::ClockSet) => {
                (Some(GoodbyeReason::GoodbyeUnspecified), Some(Status::unavailable(CLOCK_SET)))
            }
            Ending::Told(End::Stopping) => (None, Some(Status::unavailable("the collector is stopping"))),
        };
        tracing::info!(
            device = self.device,
            reason = reason.map(|reason| reason.as_str_name()),
            why = status.as_ref().map(Status::message),
            "an agent's stream ended"
        );
        if let Some(reason) = reason {
            let left =
                AgentLeft { device_id: self.device.clone(), generation: self.hello.generation, reason: reason.into() };
            if let Err(error) = write_left(&self.uplink.ingest, left).await {
                tracing::error!(device = self.device, %error, "an agent's leave could not be stored");
            }
        }
        if let Some(status) = status {
            // Nobody may be there to read it.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.replies.send(Err(status))).await;
        }
    }
}

/// Waits until there is something else to tell agents, and room for it at this one.
async fn announced<'a>(
    contacts: &mut watch::Receiver<Arc<Contacts>>,
    replies: &'a mpsc::Sender<Result<CollectorMessage, Status>>,
) -> Option<mpsc::Permit<'a, Result<CollectorMessage, Status>>> {
    // The authorities go only with the program. What changed stays so until it is looked at, so being cut off here is no
    // harm.
    if contacts.has_changed().is_ok_and(|changed| !changed) {
        let mut waiting = contacts.clone();
        if waiting.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    replies.reserve().await.ok()
}

/// Whether an agent that says this hello does not know it yet. Endpoints are always news: it does not say which it has.
fn is_news(contacts: &Contacts, hello: &Hello) -> bool {
    let known: Vec<Vec<u8>> = contacts.cas.iter().map(|ca| Sha256::digest(ca).to_vec()).collect();
    !hello.trusted_cas.is_empty() && (hello.trusted_cas != known || !contacts.endpoints.is_empty())
}

fn contacts_message(contacts: &Contacts) -> CollectorMessage {
    CollectorMessage { body: Some(collector_message::Body::Contacts(contacts.clone())) }
}

/// Appends that an agent is gone, when the journal has room: without the goodbyes of a whole school that goes home at
/// once, its silence would look like an outage.
async fn write_left(ingest: &Ingest, left: AgentLeft) -> Result<(), AppendError> {
    let deadline = Instant::now() + SETTLE_WAIT;
    loop {
        match ingest.append(record::Body::Left(left.clone())) {
            Err(AppendError::Busy | AppendError::Full { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            appended => return appended.map(drop),
        }
    }
}

/// The first message, which must be a `Hello`.
async fn first(device: &str, inbound: &mut Streaming<AgentMessage>) -> Result<Hello, Status> {
    match inbound.message().await {
        Ok(Some(AgentMessage { body: Some(agent_message::Body::Hello(hello)) })) => Ok(hello),
        Ok(Some(_)) => Err(bad(device, "the first must be Hello")),
        Ok(None) => Err(Status::cancelled("the stream ended before its Hello")),
        Err(status) => Err(unreadable(device, &status).unwrap_or(status)),
    }
}

/// Waits until this side wants the stream to end.
async fn told(end: &mut watch::Receiver<Option<End>>) -> End {
    // The registry goes only with the program.
    end.wait_for(Option::is_some).await.ok().and_then(|end| *end).unwrap_or(End::Stopping)
}

/// Waits until what was read finds room among all that is on its way.
async fn room(uplink: &Uplink, pending: Option<&Pending>) -> OwnedSemaphorePermit {
    let Some(pending) = pending else { return std::future::pending().await };
    tokio::time::sleep_until(pending.not_before).await;
    let room = Arc::clone(&uplink.room).acquire_many_owned(pending.bytes).await;
    room.expect("the semaphore is never closed")
}

/// Resolves once a batch is durable and queries see it.
async fn settle_later(
    receipt: bellwether_journal::Receipt,
    room: OwnedSemaphorePermit,
    mut visible: watch::Receiver<u64>,
    ledger: Ledger,
    id: BatchId,
    arrived: Instant,
) -> Settled {
    let outcome = match receipt.await {
        Ok(committed) => {
            ledger.committed(id);
            let seen = visible.wait_for(|position| *position >= committed.next.0);
            if tokio::time::timeout(VISIBLE_WAIT, seen).await.is_err() {
                figures::refused("visible_wait");
            }
            Ok(())
        }
        Err(error) => {
            ledger.abandoned(id);
            Err(error)
        }
    };
    drop(room);
    Settled { id, outcome, arrived }
}

/// Waits for batches whose stream is over. The ledger must hear what became of each: one that it believes to be on its
/// way is taken from nobody, and the device could bring nothing else until the collector restarts.
async fn settle_unheard(mut in_flight: FuturesUnordered<BoxFuture<'static, Settled>>) {
    while in_flight.next().await.is_some() {}
}

/// Everything that is ready, as one message.
fn acknowledgement(ready: &mut BTreeMap<u64, RangeSet>) -> CollectorMessage {
    let receipts = std::mem::take(ready).iter().map(|(generation, ranges)| receipt(*generation, ranges)).collect();
    CollectorMessage { body: Some(collector_message::Body::Ack(Ack { receipts })) }
}

/// A message that is not as it should be.
fn bad(device: &str, why: &str) -> Status {
    Status::invalid_argument(format!("message of {device} refused: {why}"))
}

/// What the transport says about a message that it could not read; none if the connection simply ended.
fn unreadable(device: &str, status: &Status) -> Option<Status> {
    match status.code() {
        Code::OutOfRange => {
            figures::refused("oversized_message");
            Some(bad(device, &format!("larger than {MAX_MESSAGE_BYTES} bytes")))
        }
        Code::Internal if status.message().contains("decode") => {
            figures::refused("malformed_message");
            Some(bad(device, "not in the form of the protocol"))
        }
        _ => None,
    }
}

/// Closes a stream that never came to be.
async fn refuse(device: &str, replies: &mpsc::Sender<Result<CollectorMessage, Status>>, status: Status) {
    tracing::warn!(device, why = status.message(), "a stream was refused");
    let _ = tokio::time::timeout(Duration::from_secs(1), replies.send(Err(status))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_journal::{Journal, Options};
    use bellwether_logic::receipts::Offer;

    #[tokio::test]
    async fn a_batch_that_outlives_its_stream_is_known_to_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path(), Options::default()).unwrap();
        let ledger = Ledger::default();
        let id = BatchId { generation: 1, sequence: 0 };
        assert_eq!(ledger.offer(id), Offer::Accept);
        let receipt = journal.append(0, b"batch".to_vec()).unwrap();
        let room = Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await.unwrap();
        let (_store, visible) = watch::channel(u64::MAX);
        let settled = settle_later(receipt, room, visible, ledger.clone(), id, Instant::now());
        let in_flight: FuturesUnordered<BoxFuture<'static, Settled>> = FuturesUnordered::new();
        in_flight.push(Box::pin(settled));
        assert_eq!(ledger.offer(id), Offer::InFlight);
        settle_unheard(in_flight).await;
        assert_eq!(ledger.offer(id), Offer::Duplicate);
    }
}
