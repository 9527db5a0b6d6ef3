//! Agents that exist only on the wire: enrolled and connected like real ones, but with readings made up, as fast as
//! acknowledgements come. They remember what was acknowledged to them, so that a test can hold the collector to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bellwether_agent::host::Host;
use bellwether_agent::state::StateDir;
use bellwether_agent::tls::{self, ClientIdentity, Trust};
use bellwether_agent::{Enrolment, enrol};
use bellwether_logic::device::Class;
use bellwether_logic::ranges::RangeSet;
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::MAX_MESSAGE_BYTES;
use bellwether_proto::batch::{BatchId, Encoder, Lane};
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{self, AgentMessage, CollectorMessage, Hello, agent_message, collector_message};
use prost::Message;
use tokio::sync::mpsc;
use tonic::Streaming;

/// Batches under way unacknowledged.
const WINDOW: usize = 32;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What a message costs on the line beside itself: gRPC's prefix, HTTP/2's frame header, and a record of TLS 1.3.
const FRAMING_BYTES: u64 = 5 + 9 + 22;

/// An agent on the wire.
#[derive(Debug)]
pub struct Sender {
    state: StateDir,
    /// The collector's word for it.
    pub device_id: String,
    endpoint: String,
    generation: u64,
    /// The next batch to make.
    next: u64,
    /// Made, and not acknowledged.
    pending: BTreeMap<u64, Vec<Sample>>,
    /// Acknowledged.
    pub acknowledged: RangeSet,
    /// What was sent, in bytes on the line.
    pub sent_bytes: u64,
    /// What was sent, in values; what was sent twice counts twice.
    pub sent_values: u64,
}

/// One stream to the collector.
pub struct Line {
    to: mpsc::Sender<AgentMessage>,
    from: Streaming<CollectorMessage>,
    encoder: Encoder,
}

impl Sender {
    /// Enrols a new one with its state in `folder`.
    ///
    /// # Errors
    /// What the collector or the network said.
    pub async fn enrol(folder: &Path, endpoint: &str, token: &str, name: &str) -> Result<Self, String> {
        let enrolment = Enrolment {
            state_dir: folder.to_owned(),
            collector: endpoint.to_owned(),
            token: token.to_owned(),
            name: Some(name.to_owned()),
            class: Some(Class::Laptop),
            again: false,
            // All run on one machine, and are to be different ones.
            hardware: Host::at("/nowhere"),
        };
        let enrolled = enrol(&enrolment).await.map_err(chain)?;
        let state = StateDir::take(folder, false).map_err(chain)?;
        Ok(Self {
            state,
            device_id: enrolled.device_id,
            endpoint: endpoint.to_owned(),
            generation: rand::random(),
            next: 0,
            pending: BTreeMap::new(),
            acknowledged: RangeSet::default(),
            sent_bytes: 0,
            sent_values: 0,
        })
    }

    /// The generation of its batches.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Connects, says hello, and hears the welcome.
    ///
    /// # Errors
    /// What the collector or the network said.
    pub async fn connect(&mut self) -> Result<Line, String> {
        let credentials = self.state.credentials().map_err(chain)?;
        let identity = ClientIdentity::new(&credentials).map_err(chain)?;
        let ca = identity.chain.last().expect("a chain ends in its CA").clone();
        let connection = tls::connect(&self.endpoint, Trust::Cas(vec![ca]), Some(&identity)).await.map_err(chain)?;
        let mut client = CollectorClient::new(connection.channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let (to, outgoing) = mpsc::channel(WINDOW);
        let hello = self.hello();
        to.send(hello).await.map_err(|_| "the stream closed".to_owned())?;
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let from = client.uplink(outgoing).await.map_err(|status| status.message().to_owned())?.into_inner();
        let mut line = Line { to, from, encoder: Encoder::new() };
        match line.receive().await? {
            collector_message::Body::Welcome(welcome) => self.acknowledge(&welcome.received),
            other => return Err(format!("expected a welcome, got {other:?}")),
        }
        Ok(line)
    }

    fn hello(&self) -> AgentMessage {
        let held: RangeSet = self.pending.keys().map(|sequence| *sequence..=*sequence).collect();
        message(agent_message::Body::Hello(Hello {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.generation,
            boot_id: "firehose".to_owned(),
            now_unix_ms: now_ms(),
            interval_s: 1,
            live_from: self.next,
            held: vec![v1::Receipt::new(self.generation, &held)],
            ..Hello::default()
        }))
    }

    /// Sends what is pending again, then `batches` new ones, `rows` made by `make`; returns once all are acknowledged.
    ///
    /// # Errors
    /// When the stream breaks; what was not acknowledged is pending.
    pub async fn pour(
        &mut self,
        line: &mut Line,
        batches: u64,
        make: impl Fn(u64) -> Vec<Sample>,
    ) -> Result<(), String> {
        let old: Vec<u64> = self.pending.keys().copied().collect();
        for sequence in old {
            self.offer(line, sequence, Lane::Backfill).await?;
        }
        for _ in 0..batches {
            let sequence = self.next;
            self.next += 1;
            self.pending.insert(sequence, make(sequence));
            self.offer(line, sequence, Lane::Live).await?;
            while self.pending.len() >= WINDOW {
                self.hear(line).await?;
            }
        }
        while !self.pending.is_empty() {
            self.hear(line).await?;
        }
        Ok(())
    }

    /// Encodes new batches without sending them, so that a measurement can leave the making out.
    pub fn make(&mut self, line: &mut Line, batches: u64, rows: impl Fn(u64) -> Vec<Sample>) -> Vec<AgentMessage> {
        let first = self.next;
        self.next += batches;
        (first..self.next)
            .map(|sequence| {
                let samples = rows(sequence);
                self.sent_values += samples.iter().map(|sample| sample.fields.len() as u64).sum::<u64>();
                let id = BatchId { generation: self.generation, sequence };
                message(agent_message::Body::Batch(line.encoder.encode(id, Lane::Live, &samples)))
            })
            .collect()
    }

    /// Sends what was made; returns once all of it is acknowledged.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn send_made(&mut self, line: &mut Line, made: Vec<AgentMessage>) -> Result<(), String> {
        for message in made {
            if let Some(agent_message::Body::Batch(batch)) = &message.body {
                self.pending.insert(batch.sequence, Vec::new());
            }
            self.sent_bytes += message.encoded_len() as u64 + FRAMING_BYTES;
            line.send(message).await?;
            while self.pending.len() >= WINDOW {
                self.hear(line).await?;
            }
        }
        while !self.pending.is_empty() {
            self.hear(line).await?;
        }
        Ok(())
    }

    async fn offer(&mut self, line: &mut Line, sequence: u64, lane: Lane) -> Result<(), String> {
        let Some(samples) = self.pending.get(&sequence) else {
            return Ok(());
        };
        let id = BatchId { generation: self.generation, sequence };
        let message = message(agent_message::Body::Batch(line.encoder.encode(id, lane, samples)));
        self.sent_bytes += message.encoded_len() as u64 + FRAMING_BYTES;
        self.sent_values += samples.iter().map(|sample| sample.fields.len() as u64).sum::<u64>();
        line.send(message).await
    }

    async fn hear(&mut self, line: &mut Line) -> Result<(), String> {
        if let collector_message::Body::Ack(ack) = line.receive().await? {
            self.acknowledge(&ack.receipts);
        }
        Ok(())
    }

    fn acknowledge(&mut self, receipts: &[v1::Receipt]) {
        for receipt in receipts.iter().filter(|receipt| receipt.generation == self.generation) {
            for range in receipt.sequences().iter() {
                self.pending.retain(|sequence, _| !range.contains(sequence));
                self.acknowledged.insert_range(range);
            }
        }
    }
}

impl Line {
    /// Sends any message, sensible or not.
    ///
    /// # Errors
    /// If the stream has ended: what the collector said.
    pub async fn send(&mut self, message: AgentMessage) -> Result<(), String> {
        if self.to.send(message).await.is_ok() {
            return Ok(());
        }
        match self.receive().await {
            Ok(_) => Err("the stream closed".to_owned()),
            Err(said) => Err(said),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// If the stream has ended: what the collector said.
    pub async fn receive(&mut self) -> Result<collector_message::Body, String> {
        match tokio::time::timeout(ANSWER_LIMIT, self.from.message()).await {
            Ok(Ok(Some(CollectorMessage { body: Some(body) }))) => Ok(body),
            Ok(Ok(_)) => Err("the stream closed".to_owned()),
            Ok(Err(status)) => Err(status.message().to_owned()),
            Err(_) => Err(format!("no answer within {ANSWER_LIMIT:?}")),
        }
    }
}

fn message(body: agent_message::Body) -> AgentMessage {
    AgentMessage { body: Some(body) }
}

/// A batch of one row, whose value is its own number: what a test can look for afterwards.
#[must_use]
pub fn numbered(sequence: u64) -> Vec<Sample> {
    let value = Value::Integer(i64::try_from(sequence).unwrap_or(i64::MAX));
    vec![Sample {
        measurement: "system".into(),
        tags: Vec::new(),
        target: String::new(),
        time: Timestamp(now_ms()),
        fields: vec![("uptime".into(), value)],
    }]
}

/// The machine's clock.
///
/// # Panics
/// If it stands before 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).expect("this millennium")
}

/// An error with its reasons.
fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
