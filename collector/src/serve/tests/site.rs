//! A collector in a folder of its own, and agents that are no more than the protocol.

use std::path::{Path, PathBuf};

use bellwether_agent::tls::{self, ClientIdentity, Trust};
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::{BatchId, Encoder, Lane};
use bellwether_proto::token::EnrolToken;
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{
    AgentMessage, Assignments, Batch, CollectorMessage, Contacts, DeviceClass, EnrolReply, EnrolRequest, Hello,
    Receipt, Welcome, agent_message, collector_message,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::folder::{Reach, write_whole};
use crate::serve::{Running, start};
use crate::state::secret::SecretHash;
use crate::state::tokens::NewEnrolToken;

/// A running collector without an agent of its own.
pub(super) struct Site {
    folder: TempDir,
    running: Option<Running>,
}

/// A machine that was enrolled.
pub(super) struct Machine {
    pub(super) device: String,
    pub(super) key_der: Vec<u8>,
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// One stream of a machine.
pub(super) struct Stream {
    pub(super) welcome: Welcome,
    pub(super) generation: u64,
    encoder: Encoder,
    send: mpsc::Sender<AgentMessage>,
    replies: Streaming<CollectorMessage>,
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more in its `collector.toml`.
    pub(super) async fn start_with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[own_agent]\nenabled = false\n{config}");
        let path = folder.path().join("collector.toml");
        write_whole(&path, config.as_bytes(), Reach::Owner).unwrap();
        Self { folder, running: None }.restart().await
    }

    pub(super) async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// Restarts; `meanwhile` is done to the folder while no collector runs.
    pub(super) async fn restart_after(mut self, meanwhile: impl FnOnce(&Path)) -> Self {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        meanwhile(self.folder.path());
        self.running = Some(start(&super::options(self.folder.path())).await.unwrap());
        self
    }

    pub(super) async fn stop(mut self) -> TempDir {
        self.running.take().unwrap().stop().await;
        self.folder
    }

    pub(super) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(super) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn rules(&self) -> PathBuf {
        self.data().join("rules")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.running().app.clock.now()
    }

    fn endpoint(&self) -> String {
        self.running().grpc.to_string()
    }

    pub(super) fn ca_sha256(&self) -> [u8; 32] {
        self.running().app.connect.pin.sha256()
    }

    /// A token of this collector.
    pub(super) fn token(&self, uses: u32, expires_at: Timestamp) -> EnrolToken {
        let secret: [u8; 16] = rand::random();
        let token = NewEnrolToken {
            hash: SecretHash::of_bytes(&secret),
            site: "Lincoln High".into(),
            room: "214".into(),
            class: None,
            uses,
            created_by: "test".into(),
            expires_at,
        };
        self.running().app.state.add_enrol_token(&token, self.now()).unwrap();
        EnrolToken { secret, ca_sha256: self.ca_sha256() }
    }

    /// Asks to be enrolled, with whatever the request says.
    pub(super) async fn ask(&self, request: EnrolRequest) -> Result<EnrolReply, Status> {
        let trust = Trust::Pinned(self.ca_sha256());
        let connection = tls::connect(&self.endpoint(), trust, None).await.unwrap();
        let reply = CollectorClient::new(connection.channel).enrol(request).await?;
        Ok(reply.into_inner())
    }

    /// A request that is as it should be.
    pub(super) fn request(&self, token: &EnrolToken, key: &KeyPair) -> EnrolRequest {
        EnrolRequest {
            token: token.to_string(),
            csr: CertificateParams::default().serialize_request(key).unwrap().der().to_vec(),
            now_unix_ms: self.now().0,
            name: "LHS-214".into(),
            class: DeviceClass::Server.into(),
            ..EnrolRequest::default()
        }
    }

    /// Enrols a machine.
    pub(super) async fn machine(&self) -> Machine {
        let key = KeyPair::generate().unwrap();
        let token = self.token(1, Timestamp(i64::MAX));
        let reply = self.ask(self.request(&token, &key)).await.unwrap();
        Machine {
            device: reply.device_id,
            key_der: key.serialize_der(),
            chain: reply.chain.into_iter().map(CertificateDer::from).collect(),
        }
    }

    /// A client for a machine.
    pub(super) async fn client(&self, machine: &Machine) -> CollectorClient<tonic::transport::Channel> {
        let key = PrivateKeyDer::Pkcs8(machine.key_der.clone().into());
        let identity = ClientIdentity { chain: machine.chain.clone(), key };
        let trust = Trust::Cas(vec![identity.ca()]);
        let connection = tls::connect(&self.endpoint(), trust, Some(&identity)).await.unwrap();
        CollectorClient::new(connection.channel)
    }

    /// Opens a stream whose machine has the right time.
    pub(super) async fn stream(&self, machine: &Machine, generation: u64) -> Result<Stream, Status> {
        let hello = Hello { generation, now_unix_ms: self.now().0, interval_s: 60, ..Hello::default() };
        self.stream_with(machine, hello).await
    }

    pub(super) async fn stream_with(&self, machine: &Machine, hello: Hello) -> Result<Stream, Status> {
        let client = self.client(machine).await;
        Stream::open(client, hello).await
    }

    /// One request, and the answer's status and body.
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        self.request_with("GET", path, token, "").await
    }

    /// As [`get`](Self::get), by any method and with a body.
    pub(super) async fn request_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.running().http).await.unwrap();
        let authorization = token.map_or_else(String::new, |token| format!("Authorization: Token {token}\r\n"));
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{authorization}");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// The answer of `/query`, which holds every value once for each time that it was stored.
    pub(super) async fn query(&self, text: &str) -> String {
        let token = std::fs::read_to_string(&self.running().welcome.grafana_file).unwrap();
        let text: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/query?db=bellwether&epoch=ms&q={text}");
        let (status, body) = self.get(&path, Some(token.trim())).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

impl Stream {
    /// Says hello by a client and waits for the welcome.
    pub(super) async fn open(
        mut client: CollectorClient<tonic::transport::Channel>,
        hello: Hello,
    ) -> Result<Self, Status> {
        let (send, messages) = mpsc::channel(64);
        let generation = hello.generation;
        send.send(AgentMessage { body: Some(agent_message::Body::Hello(hello)) }).await.unwrap();
        let mut replies = client.uplink(ReceiverStream::new(messages)).await?.into_inner();
        match replies.message().await?.unwrap().body.unwrap() {
            collector_message::Body::Welcome(welcome) => {
                Ok(Self { welcome, generation, encoder: Encoder::new(), send, replies })
            }
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Sends any message.
    pub(super) async fn send(&self, body: agent_message::Body) {
        self.send.send(AgentMessage { body: Some(body) }).await.unwrap();
    }

    /// Sends a message that says nothing, as one of a newer agent would look to this collector.
    pub(super) async fn send_nothing(&self) {
        self.send.send(AgentMessage { body: None }).await.unwrap();
    }

    /// Sends readings as a batch.
    pub(super) async fn batch(&mut self, sequence: u64, samples: &[Sample]) -> Batch {
        let id = BatchId { generation: self.generation, sequence };
        let batch = self.encoder.encode(id, Lane::Live, samples);
        self.send(agent_message::Body::Batch(batch.clone())).await;
        batch
    }

    /// Waits for the next acknowledgement.
    pub(super) async fn acknowledged(&mut self) -> Result<Vec<Receipt>, Status> {
        match self.replies.message().await? {
            Some(CollectorMessage { body: Some(collector_message::Body::Ack(ack)) }) => Ok(ack.receipts),
            other => panic!("no acknowledgement: {other:?}"),
        }
    }

    /// Waits for the next list of what to watch.
    pub(super) async fn assignments(&mut self) -> Assignments {
        loop {
            if let collector_message::Body::Assignments(list) =
                self.replies.message().await.unwrap().unwrap().body.unwrap()
            {
                return list;
            }
        }
    }

    /// Waits for the next message; what it acknowledges, if it does.
    pub(super) async fn replies_with_ack(&mut self) -> Option<Vec<Receipt>> {
        match self.replies.message().await.unwrap().unwrap().body.unwrap() {
            collector_message::Body::Ack(ack) => Some(ack.receipts),
            _ => None,
        }
    }

    /// Waits for what the collector says of itself, up to the next acknowledgement.
    pub(super) async fn contacts(&mut self) -> Option<Contacts> {
        match self.replies.message().await.unwrap().unwrap().body.unwrap() {
            collector_message::Body::Contacts(contacts) => Some(contacts),
            collector_message::Body::Ack(_) => None,
            other => panic!("neither: {other:?}"),
        }
    }

    /// Waits for the status with which the collector ends the stream.
    pub(super) async fn refusal(&mut self) -> Status {
        loop {
            match self.replies.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a word"),
                Err(status) => return status,
            }
        }
    }

    /// Waits for the end of the stream.
    pub(super) async fn ended(mut self) {
        while let Ok(Some(_)) = self.replies.message().await {}
    }
}

/// A reading of a disk.
pub(super) fn disk(time: Timestamp, used_percent: f64) -> Sample {
    Sample {
        measurement: "disk".into(),
        tags: vec![("path".into(), "/".into())],
        target: String::new(),
        time,
        fields: vec![
            ("free".into(), Value::Integer(1_000_000)),
            ("total".into(), Value::Integer(100_000_000_000)),
            ("used_percent".into(), Value::Float(used_percent)),
        ],
    }
}
