//! A tap on the wire between one agent and its collector: it shows the agent the collector's certificate and the
//! collector the agent's, which it can because it has the folders of both, and keeps all that the agent says, as it
//! leaves TLS and HTTP/2: every header in plain letters, every byte of every gRPC message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_agent::state;
use bellwether_agent::tls::{self, ClientIdentity, Trust};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt;

use crate::collector::Collector;

/// All that is kept; an agent that says more in a test has gone mad.
const HEARD_MAX: usize = 64 << 20;

/// A tap that listens until it is dropped.
#[derive(Debug)]
pub struct Tap {
    /// Where the agent is to call.
    pub address: SocketAddr,
    heard: Heard,
    _runtime: Runtime,
}

/// What the agent said.
type Heard = Arc<Mutex<Vec<u8>>>;

/// What a connection needs to know of both ends.
#[derive(Debug)]
struct Ends {
    collector: String,
    ca: CertificateDer<'static>,
    /// Of the agent; nothing in it before it is enrolled.
    state: PathBuf,
    heard: Heard,
}

impl Tap {
    /// One between this collector and the agent of this state folder.
    ///
    /// # Panics
    /// If the collector has no certificate yet, or there is no room for one more listener.
    #[must_use]
    pub fn start(collector: &Collector, state: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let ca = certificates(&collector.data().join("ca/ca.pem")).remove(0);
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&collector.data().join("ca/server.pem"), &ca)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound port has a number");
        let heard = Heard::default();
        let ends = Arc::new(Ends {
            collector: collector.grpc.to_string(),
            ca,
            state: state.to_owned(),
            heard: Arc::clone(&heard),
        });
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, acceptor.clone(), Arc::clone(&ends)));
            }
        });
        Self { address, heard, _runtime: runtime }
    }

    /// All that the agent has said so far.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn server_config(server: &Path, ca: &CertificateDer<'static>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).expect("a CA is a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_file(server).expect("the collector has a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks it")
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().expect("one root is enough"))
        .with_single_cert(certificates(server), key)
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// One connection of the agent and its other half; what goes wrong ends it, and the agent calls again.
async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, ends: Arc<Ends>) {
    let Ok(stream) = acceptor.accept(tcp).await else { return };
    let is_known = stream.get_ref().1.peer_certificates().is_some();
    let identity = is_known.then(|| {
        let credentials = state::read_credentials(&ends.state).expect("an agent with a certificate has it in a file");
        ClientIdentity::new(&credentials).expect("it is a certificate")
    });
    let trust = Trust::Cas(vec![ends.ca.clone()]);
    let Ok(connection) = tls::connect(&ends.collector, trust, identity.as_ref()).await else { return };
    let channel = connection.channel;
    let service = hyper::service::service_fn(move |request| pass_on(request, channel.clone(), Arc::clone(&ends.heard)));
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn pass_on(request: Request<Incoming>, channel: Channel, heard: Heard) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    keep(&heard, format!("{} {} {:?}\n", parts.method, parts.uri, parts.headers).as_bytes());
    let body = body.map_frame(move |frame| {
        match frame.data_ref() {
            Some(data) => keep(&heard, data),
            None => keep(&heard, format!("{:?}\n", frame.trailers_ref()).as_bytes()),
        }
        frame
    });
    let answer = channel.oneshot(Request::from_parts(parts, Body::new(body))).await;
    Ok(answer.unwrap_or_else(|error| tonic::Status::unavailable(error.to_string()).into_http()))
}

fn keep(heard: &Heard, bytes: &[u8]) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(heard.len() + bytes.len() <= HEARD_MAX, "an agent never stops talking");
    heard.extend_from_slice(bytes);
}
