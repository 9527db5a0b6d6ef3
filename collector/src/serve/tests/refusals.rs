//! Streams that are refused or cut, each with its sentence.

use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Record, record};
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{Batch, Hello, agent_message};
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::site::{Machine, Site, Stream, disk};
use crate::state::State;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_certificate_is_refused() {
    let site = Site::start().await;
    let trust = bellwether_agent::tls::Trust::Pinned(site.ca_sha256());
    let endpoint = site.running().grpc.to_string();
    let connection = bellwether_agent::tls::connect(&endpoint, trust, None).await.unwrap();
    let client = CollectorClient::new(connection.channel);
    let refused = Stream::open(client, Hello::default()).await.map(|_| ()).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "no client certificate"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_device_loses_its_stream_and_gets_no_other() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    site.running().app.state.revoke_certificates(&machine.device, site.now()).unwrap();
    let sentence = "this device's certificate was revoked: enrol it again";
    let cut = tokio::time::timeout(Duration::from_secs(10), stream.refusal()).await.unwrap();
    assert_eq!((cut.code(), cut.message()), (Code::PermissionDenied, sentence));
    let refused = site.stream(&machine, 2).await.map(|_| ()).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, sentence));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_does_not_come_back_by_a_resumed_session() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let config = resuming(&machine);
    let stream = Stream::open(connect(&site, &config).await, Hello { generation: 1, ..Hello::default() }).await;
    drop(stream.unwrap());
    site.running().app.state.revoke_certificates(&machine.device, site.now()).unwrap();
    let refused = Stream::open(connect(&site, &config).await, Hello::default()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    site.stop().await;
}

/// A client that resumes sessions whenever the server lets it.
fn resuming(machine: &Machine) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(machine.chain[1].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(machine.chain.clone(), PrivateKeyDer::Pkcs8(machine.key_der.clone().into()))
        .unwrap();
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn connect(site: &Site, config: &Arc<ClientConfig>) -> CollectorClient<Channel> {
    let tcp = TcpStream::connect(site.running().grpc).await.unwrap();
    let name = ServerName::try_from("collector.bellwether").unwrap();
    let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.unwrap();
    assert_ne!(tls.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    let mut tls = Some(TokioIo::new(tls));
    let connector = tower::service_fn(move |_| std::future::ready(tls.take().ok_or(std::io::Error::other("used"))));
    let channel = Endpoint::from_static("http://collector.bellwether").connect_with_connector(connector).await;
    CollectorClient::new(channel.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_and_oversized_messages_are_refused_with_their_sentence() {
    let site = Site::start().await;
    let machine = site.machine().await;

    let mut stream = site.stream(&machine, 1).await.unwrap();
    stream.send(agent_message::Body::Batch(Batch { rows: vec![77], times: vec![0], ..Batch::default() })).await;
    let refused = stream.refusal().await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    let sentence = format!("message of {} refused: series 77 was never defined", machine.device);
    assert_eq!(refused.message(), sentence);

    let mut stream = site.stream(&machine, 2).await.unwrap();
    let large = Batch { strings: vec!["x".repeat(2 << 20)], ..Batch::default() };
    stream.send(agent_message::Body::Batch(large)).await;
    let refused = stream.refusal().await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), format!("message of {} refused: larger than 1048576 bytes", machine.device));

    let mut stream = site.stream(&machine, 3).await.unwrap();
    stream.send(agent_message::Body::Hello(Hello::default())).await;
    let refused = stream.refusal().await;
    assert_eq!(refused.message(), format!("message of {} refused: a second Hello", machine.device));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undeclared_reading_is_dropped_and_its_batch_acknowledged() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    let now = site.now();
    let diary = bellwether_logic::sample::Sample { measurement: "diary".into(), ..disk(now, 50.0) };
    stream.batch(0, &[diary, disk(now, 42.0)]).await;
    let receipts = stream.acknowledged().await.unwrap();
    assert!(receipts[0].sequences().contains(0));
    let listed = site.query("SHOW MEASUREMENTS").await;
    assert!(listed.contains("disk") && !listed.contains("diary"), "{listed}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_kind_that_only_a_newer_agent_knows_is_passed_over() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    stream.send_nothing().await;
    stream.batch(0, &[disk(site.now(), 42.0)]).await;
    assert!(stream.acknowledged().await.unwrap()[0].sequences().contains(0));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_hears_of_what_was_revoked_while_no_collector_ran() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let begin = site.running().journal.end();
    let site = site
        .restart_after(|data| {
            let state = State::open(&data.join("state.sqlite")).unwrap();
            assert_eq!(state.revoke_certificates(&machine.device, Timestamp(1)).unwrap(), 1);
        })
        .await;
    let journal = Arc::clone(&site.running().journal);
    let device = tokio::task::spawn_blocking(move || {
        let mut position = begin;
        while journal.wait_beyond(position, Duration::from_secs(10)) {
            for entry in journal.read(position, 1 << 20).unwrap() {
                position = entry.next;
                if let Some(record::Body::Revoked(revoked)) = Record::decode(entry.payload.as_slice()).unwrap().body {
                    return revoked.device_id;
                }
            }
        }
        String::new()
    });
    assert_eq!(device.await.unwrap(), machine.device);
    site.stop().await;
}
