//! The agents' port: enrolment and the stream, over TLS by the own CA.

mod assignments;
pub mod discovery;
mod enrol;
mod identity;
mod naming;
mod neighborhoods;
mod orders;
mod registry;
mod renew;
mod session;
mod uplink;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_proto::MAX_MESSAGE_BYTES;
use bellwether_proto::v1::collector_server::{Collector, CollectorServer};
use bellwether_proto::v1::{AgentMessage, CollectorMessage, EnrolReply, EnrolRequest, RenewReply, RenewRequest};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::accept::{Connection, Peer};

pub use discovery::Discovery;
pub use enrol::Enrolment;
pub use registry::Registry;
pub use renew::Renewals;
pub use uplink::{Backfill, Centre, Uplink};

/// After how much silence the other end must show that it is alive. Agents ask after 20 s: as long as they do, their
/// questions answer ours, and the line carries one instead of two.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// How long it may take for that: a dead peer is noticed within both.
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(20);

/// Calls under way on one connection: an agent has one stream.
const STREAMS_PER_CONNECTION: u32 = 8;

/// The service of `uplink.proto`.
#[derive(Clone, Debug)]
pub struct Service {
    /// For `Enrol`.
    pub enrolment: Arc<Enrolment>,
    /// For `Renew`.
    pub renewals: Arc<Renewals>,
    /// For `Uplink`.
    pub uplink: Arc<Uplink>,
}

#[tonic::async_trait]
impl Collector for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let address = address_of(&request);
        self.enrolment.enrol(address, request.into_inner()).await.map(Response::new)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let address = address_of(&request);
        self.renewals.renew(address, request.into_inner()).await.map(Response::new)
    }

    type UplinkStream = Pin<Box<dyn Stream<Item = Result<CollectorMessage, Status>> + Send>>;

    async fn uplink(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::UplinkStream>, Status> {
        let certificate = request.extensions().get::<Peer>().and_then(|peer| peer.certificate.clone());
        let bearer = self.uplink.admit(certificate.as_ref()).await?;
        let replies = Arc::clone(&self.uplink).begin(bearer, request.into_inner());
        Ok(Response::new(Box::pin(replies)))
    }
}

fn address_of<T>(request: &Request<T>) -> Option<SocketAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.address)
}

/// Serves accepted connections until `stop` turns true and the streams have ended.
///
/// # Errors
/// When the server fails as a whole.
pub async fn serve(
    service: Service,
    connections: mpsc::Receiver<Connection>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let service = CollectorServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let incoming = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WAIT))
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that whoever could stop us is gone, which is a stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}
