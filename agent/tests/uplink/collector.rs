//! A collector that is just enough for an agent: a CA, TLS, enrolment by one token, and a stream whose every answer a
//! test decides. It runs on the loopback and remembers what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_logic::ranges::RangeSet;
use bellwether_logic::sample::Sample;
use bellwether_proto::batch::{BatchId, Decoder, Lane};
use bellwether_proto::token::EnrolToken;
use bellwether_proto::v1::agent_message::Body as FromAgent;
use bellwether_proto::v1::collector_message::Body as ToAgent;
use bellwether_proto::v1::collector_server::{Collector, CollectorServer};
use bellwether_proto::v1::{
    Ack, AgentMessage, Assignments, CollectorMessage, Contacts, EnrolReply, EnrolRequest, Found, GoodbyeReason, Hello,
    Receipt, RenewReply, RenewRequest, Welcome,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status, Streaming};

/// Longer than anything here takes, and a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub const SECRET: [u8; 16] = [7; 16];

/// The years in which the server's certificate is valid.
#[derive(Clone, Copy)]
pub struct Years(pub i32, pub i32);

/// What a test decides.
#[derive(Clone)]
pub struct Manner {
    pub acks: bool,
    pub refuse: Option<&'static str>,
    /// What the welcome says the time to be; none: the machine's clock.
    pub now_unix_ms: Option<i64>,
    /// Takes no certificate that was not renewed.
    pub expired: bool,
    /// Said after each welcome, one after the other.
    pub contacts: Vec<Contacts>,
    /// Said after each welcome.
    pub assignments: Option<Assignments>,
}

/// What the collector was told.
#[derive(Clone, Default)]
pub struct Told {
    pub hellos: Vec<Hello>,
    pub batches: Vec<(BatchId, Lane, Vec<Sample>)>,
    pub goodbyes: Vec<GoodbyeReason>,
    pub refusals: usize,
    pub renewals: Vec<RenewRequest>,
    pub found: Vec<Found>,
}

impl Told {
    /// The batches by name: how often each came.
    pub fn times(&self) -> BTreeMap<BatchId, usize> {
        let mut times = BTreeMap::new();
        for (id, _, _) in &self.batches {
            *times.entry(*id).or_default() += 1;
        }
        times
    }

    pub fn by(&self, lane: Lane) -> usize {
        self.batches.iter().filter(|(_, other, _)| *other == lane).count()
    }
}

/// Keys and certificates, which outlive a collector that goes away and comes back.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: CertificateDer<'static>,
    server: CertificateDer<'static>,
    server_key: Vec<u8>,
    /// Whose agents are taken, too.
    also: Option<CertificateDer<'static>>,
}

impl Authority {
    pub fn new(years: Years) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec![bellwether_proto::COLLECTOR_NAME.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let server = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { issuer, ca, server, server_key: key.serialize_der(), also: None }
    }

    /// One that takes over: it also takes the agents of the one before.
    pub fn after(before: &Self) -> Self {
        Self { also: Some(before.ca.clone()), ..Self::new(Years(2020, 2090)) }
    }

    pub fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    pub fn token(&self) -> EnrolToken {
        EnrolToken { secret: SECRET, ca_sha256: Sha256::digest(&self.ca).into() }
    }

    fn tls(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        self.also.iter().for_each(|ca| roots.add(ca.clone()).unwrap());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let key = PrivateKeyDer::try_from(self.server_key.clone()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.server.clone(), self.ca.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    fn certificate(&self, csr: &[u8], name: &str) -> Result<Vec<u8>, Status> {
        let csr = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|_| Status::invalid_argument("the request for a certificate is malformed"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&csr.public_key, &self.issuer);
        Ok(certificate.map_err(|error| Status::internal(error.to_string()))?.der().to_vec())
    }
}

/// A collector that listens.
pub struct TestCollector {
    pub address: SocketAddr,
    pub told: watch::Receiver<Told>,
    manner: Arc<Mutex<Manner>>,
    tasks: Vec<JoinHandle<()>>,
    cut: watch::Sender<u64>,
}

impl TestCollector {
    pub async fn start(authority: Arc<Authority>, manner: Manner) -> Self {
        Self::start_at(authority, manner, "127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(authority: Arc<Authority>, manner: Manner, at: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.tls()));
        let (sender, connections) = mpsc::channel(16);
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                // A client that does not believe us breaks off here.
                if let Ok(stream) = acceptor.accept(tcp).await
                    && sender.send(Ok::<_, std::io::Error>(stream)).await.is_err()
                {
                    return;
                }
            }
        });
        let (told_sender, told) = watch::channel(Told::default());
        let (cut, cuts) = watch::channel(0);
        let manner = Arc::new(Mutex::new(manner));
        let service = Service { authority, told: Arc::new(told_sender), manner: Arc::clone(&manner), cuts };
        let serving = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(CollectorServer::new(service))
                .serve_with_incoming(ReceiverStream::new(connections))
                .await
                .unwrap();
        });
        Self { address, told, manner, tasks: vec![accepting, serving], cut }
    }

    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }

    /// Ends every stream without a word.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub async fn wait_until(&self, what: &str, is: impl FnMut(&Told) -> bool) -> Told {
        let mut told = self.told.clone();
        let found = tokio::time::timeout(PATIENCE, told.wait_for(is)).await;
        found.unwrap_or_else(|_| panic!("waited in vain until {what}")).unwrap().clone()
    }
}

impl Drop for TestCollector {
    fn drop(&mut self) {
        self.cut();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Service {
    authority: Arc<Authority>,
    told: Arc<watch::Sender<Told>>,
    manner: Arc<Mutex<Manner>>,
    cuts: watch::Receiver<u64>,
}

#[tonic::async_trait]
impl Collector for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let request = request.into_inner();
        let token: EnrolToken =
            request.token.parse().map_err(|_| Status::invalid_argument("the token is malformed"))?;
        if token.secret != SECRET {
            return Err(Status::unauthenticated("this token is not known"));
        }
        let own = self.authority.certificate(&request.csr, "d123456789")?;
        let chain = vec![own, self.authority.ca.to_vec()];
        Ok(Response::new(EnrolReply { chain, device_id: "d123456789".to_owned() }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let request = request.into_inner();
        let own = self.authority.certificate(&request.csr, "d123456789")?;
        self.told.send_modify(|told| told.renewals.push(request));
        Ok(Response::new(RenewReply { chain: vec![own, self.authority.ca.to_vec()] }))
    }

    type UplinkStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<CollectorMessage, Status>> + Send>>;

    async fn uplink(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::UplinkStream>, Status> {
        let peer = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        if peer.and_then(TlsConnectInfo::peer_certs).is_none_or(|chain| chain.is_empty()) {
            return Err(Status::unauthenticated("no client certificate"));
        }
        let manner = self.manner.lock().unwrap().clone();
        if manner.expired && self.told.borrow().renewals.is_empty() {
            self.told.send_modify(|told| told.refusals += 1);
            return Err(Status::unauthenticated("this device's certificate ended on 2026-08-31: it must be renewed"));
        }
        if let Some(sentence) = manner.refuse {
            self.told.send_modify(|told| told.refusals += 1);
            return Err(Status::permission_denied(sentence));
        }
        let (replies, outbound) = mpsc::channel(64);
        let (told, manner, mut cuts) = (Arc::clone(&self.told), Arc::clone(&self.manner), self.cuts.clone());
        cuts.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                _ = cuts.changed() => {}
                () = converse(request.into_inner(), replies, told, manner) => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }
}

async fn converse(
    mut inbound: Streaming<AgentMessage>,
    replies: mpsc::Sender<Result<CollectorMessage, Status>>,
    told: Arc<watch::Sender<Told>>,
    manner: Arc<Mutex<Manner>>,
) {
    let mut decoder = Decoder::new();
    while let Ok(Some(AgentMessage { body: Some(body) })) = inbound.message().await {
        let manner = manner.lock().unwrap().clone();
        let mut after = Vec::new();
        let reply = match body {
            FromAgent::Hello(hello) => {
                after.extend(manner.contacts.into_iter().map(ToAgent::Contacts));
                after.extend(manner.assignments.map(ToAgent::Assignments));
                let received = hello.held.iter().map(|held| received(&told.borrow(), held.generation)).collect();
                told.send_modify(|told| told.hellos.push(hello));
                let now_unix_ms = manner.now_unix_ms.unwrap_or_else(|| bellwether_agent::clock::now().wall.0);
                let (backfill_window, backfill_per_s) = (16, 100);
                Some(ToAgent::Welcome(Welcome {
                    now_unix_ms,
                    received: if manner.acks { received } else { Vec::new() },
                    backfill_window,
                    backfill_per_s,
                    ..Welcome::default()
                }))
            }
            FromAgent::Batch(batch) => {
                let samples = decoder.decode(&batch).unwrap();
                let lane = bellwether_proto::v1::Lane::try_from(batch.lane).unwrap().into();
                told.send_modify(|told| told.batches.push((batch.id(), lane, samples)));
                let sequences: RangeSet = [batch.sequence..=batch.sequence].into_iter().collect();
                let receipts = vec![Receipt::new(batch.generation, &sequences)];
                manner.acks.then_some(ToAgent::Ack(Ack { receipts }))
            }
            FromAgent::Goodbye(goodbye) => {
                told.send_modify(|told| told.goodbyes.push(goodbye.reason()));
                None
            }
            FromAgent::Found(found) => {
                told.send_modify(|told| told.found.push(found));
                None
            }
            FromAgent::ConfigurationResult(_) | FromAgent::Neighborhood(_) => None,
        };
        for body in reply.into_iter().chain(after) {
            if replies.send(Ok(CollectorMessage { body: Some(body) })).await.is_err() {
                return;
            }
        }
    }
}

fn received(told: &Told, generation: u64) -> Receipt {
    let of_it = told.batches.iter().filter(|(id, _, _)| id.generation == generation);
    let sequences: RangeSet = of_it.map(|(id, _, _)| id.sequence..=id.sequence).collect();
    Receipt::new(generation, &sequences)
}
