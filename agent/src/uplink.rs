//! One stream to the collector, from the call to its end.
//!
//! Which batch goes next, by which lane, is decided by `bellwether_logic::uplink`; when to call again by
//! `bellwether_logic::backoff`. This file only carries: a task of its own connects, says `Hello`, waits for
//! `Welcome` and hands over what comes, so that the agent's loop never waits for the network.

use std::error::Error;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::collector_message::Body as FromCollector;
use bellwether_proto::v1::{AgentMessage, CollectorMessage, Hello, Welcome};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::clock;
use crate::enrol::sentence;
use crate::privacy::place::Ends;
use crate::run::whole_chain;
use crate::tls::{self, ConnectError, Proof, Trust, Validity};

/// Messages between the loop and the network; the lanes' windows bound what is unacknowledged.
const QUEUE: usize = 8;

/// A collector answers a `Hello` at once; a busy one within this.
const WELCOME_WAIT: Duration = Duration::from_secs(30);

/// What comes of a stream, in order: at most one `Verified` and `Welcomed`, then messages, then one `Ended`.
#[derive(Debug)]
pub enum Event {
    /// The collector answered the `Hello`, over a connection between these ends.
    Welcomed(Welcome, Option<Ends>),
    /// The collector was verified, by this CA; before anything else comes.
    Verified(CertificateDer<'static>),
    /// It says something.
    Message(FromCollector),
    /// The stream is over, and why.
    Ended(LinkError),
}

/// Why a stream is over, or never was.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error("can't reach the collector")]
    Connect(#[from] ConnectError),
    /// The collector refused, in its own words.
    #[error("the collector refused: {0}")]
    Refused(String),
    /// It does not take this agent's certificate any more, in its own words; it may give another for it.
    #[error("the collector does not take this agent's certificate: {0}")]
    Expired(String),
    /// It did not answer the `Hello`.
    #[error("the collector did not answer within {} s", WELCOME_WAIT.as_secs())]
    NoWelcome,
    /// It began with something else.
    #[error("the collector did not begin with a welcome")]
    Manners,
    /// Its certificate is valid neither at this machine's time nor at its own.
    #[error("the collector's certificate is not valid at the collector's own time")]
    Clock,
    /// The connection broke.
    #[error("the connection to the collector broke: {0}")]
    Lost(String),
    /// It closed the stream.
    #[error("the collector closed the stream")]
    Closed,
}

/// A stream that is wanted. Dropping it ends it.
pub struct Link {
    /// What is to be sent; closed to end the stream in an orderly way.
    pub outgoing: Option<mpsc::Sender<AgentMessage>>,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Link {
    /// Calls the collector at `endpoint`.
    #[must_use]
    pub fn begin(endpoint: String, proof: Proof, hello: Hello) -> Self {
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let (sender, events) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            let error = match talk(&endpoint, proof, hello, to_send, &sender).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            // The loop may have given up on this stream: then nobody listens.
            let _ = sender.send(Event::Ended(error)).await;
        });
        Self { outgoing: Some(outgoing), events, task }
    }

    /// A stream whose other end a test holds.
    #[cfg(test)]
    pub(crate) fn to_test(
        talk: impl Future<Output = ()> + Send + 'static,
        outgoing: mpsc::Sender<AgentMessage>,
        events: mpsc::Receiver<Event>,
    ) -> Self {
        Self { outgoing: Some(outgoing), events, task: tokio::spawn(talk) }
    }

    /// The next that comes.
    pub async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Ended(LinkError::Closed))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message that the loop sends.
#[must_use]
pub const fn message(body: ToCollector) -> AgentMessage {
    AgentMessage { body: Some(body) }
}

async fn talk(
    endpoint: &str,
    Proof { identity, roots }: Proof,
    mut hello: Hello,
    to_send: mpsc::Receiver<AgentMessage>,
    events: &mpsc::Sender<Event>,
) -> Result<std::convert::Infallible, LinkError> {
    let connection = tls::connect(endpoint, Trust::Cas(roots), Some(&*identity)).await?;
    if events.send(Event::Verified(connection.ca)).await.is_err() {
        return Err(LinkError::Closed);
    }
    let mut client = CollectorClient::new(connection.channel)
        .max_decoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES);
    // Only now: the collector takes what lies between this and its own time for an error of the clock.
    hello.now_unix_ms = clock::now().wall.0;
    let outgoing = tokio_stream::once(message(ToCollector::Hello(hello))).chain(ReceiverStream::new(to_send));
    let greeting = async {
        let mut incoming = client.uplink(outgoing).await.map_err(|status| refused(&status))?.into_inner();
        let welcome = welcome(&mut incoming, connection.clock_is_outside).await?;
        Ok::<_, LinkError>((incoming, welcome))
    };
    let (mut incoming, welcome) =
        tokio::time::timeout(WELCOME_WAIT, greeting).await.map_err(|_| LinkError::NoWelcome)??;
    let mut event = Event::Welcomed(welcome, connection.ends);
    loop {
        // The loop is gone or has ended this stream.
        if events.send(event).await.is_err() {
            return Err(LinkError::Closed);
        }
        event = Event::Message(next(&mut incoming).await?);
    }
}

async fn welcome(
    incoming: &mut Streaming<CollectorMessage>,
    clock_is_outside: Option<Validity>,
) -> Result<Welcome, LinkError> {
    let FromCollector::Welcome(welcome) = next(incoming).await? else { return Err(LinkError::Manners) };
    match clock_is_outside {
        Some(validity) if !validity.contains(Timestamp(welcome.now_unix_ms)) => Err(LinkError::Clock),
        _ => Ok(welcome),
    }
}

/// The next message that this version understands.
async fn next(incoming: &mut Streaming<CollectorMessage>) -> Result<FromCollector, LinkError> {
    loop {
        match incoming.message().await.map_err(|status| refused(&status))? {
            Some(CollectorMessage { body: Some(body) }) => return Ok(body),
            // A newer collector says more.
            Some(CollectorMessage { body: None }) => {}
            None => return Err(LinkError::Closed),
        }
    }
}

/// A status that has a cause was made on this side, of a connection that broke; one without is the collector's word.
fn refused(status: &tonic::Status) -> LinkError {
    match status.source() {
        Some(cause) => LinkError::Lost(whole_chain(cause)),
        None if status.code() == Code::Unauthenticated => LinkError::Expired(sentence(status)),
        None => LinkError::Refused(sentence(status)),
    }
}
