//! What the doctor says of the way to a collector, and of whoever stands on it.

use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_agent::GoodbyeReason;
use bellwether_agent::doctor::{Finding, Question, Verdict, examine};
use bellwether_proto::v1::Contacts;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::collector::{Authority, TestCollector};
use super::{GOOD, NOW, enrolled, run};

fn about<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    let found = findings.iter().rev().find(|finding| finding.about == name);
    found.unwrap_or_else(|| panic!("nothing about {name}: {findings:#?}"))
}

fn of(dir: &std::path::Path, collector: Option<SocketAddr>) -> Question {
    Question { state_dir: Some(dir.to_owned()), collector: collector.map(|address| address.to_string()) }
}

fn before_enrolment(collector: SocketAddr) -> Question {
    Question { state_dir: None, collector: Some(collector.to_string()) }
}

/// Somebody who does `serve` to whoever connects.
async fn somebody<F: Future<Output = ()> + Send>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    address
}

/// Somebody with a certificate for the collector's name, made by an issuer of the given name.
async fn impostor(issuer: &str, version: &'static rustls::SupportedProtocolVersion) -> SocketAddr {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Lakeside Safe Learning Inc");
    params.distinguished_name.push(DnType::CommonName, issuer);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let names = vec![bellwether_proto::COLLECTOR_NAME.to_owned()];
    let own = CertificateParams::new(names).unwrap().signed_by(&own_key, &issuer).unwrap().der().clone();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own, ca], PrivateKeyDer::try_from(own_key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    somebody(move |stream| {
        let accepting = acceptor.accept(stream);
        async move { drop(accepting.await) }
    })
    .await
}

#[tokio::test]
async fn the_way_to_the_own_collector_is_good_and_the_clock_is_compared() {
    let (dir, _authority, _collector) = enrolled(NOW, GOOD).await;
    let findings = examine(&of(dir.path(), None)).await;
    for name in ["enrolment", "certificate", "state folder", "name", "reach", "tls", "clock"] {
        assert_eq!(about(&findings, name).verdict, Verdict::Good, "{}", about(&findings, name));
    }
    assert_eq!(about(&findings, "clock").seen, "within 2 s of the collector's");
}

#[tokio::test]
async fn a_filter_that_opens_tls_is_named_with_the_address_to_exempt() {
    let (dir, _authority, _collector) = enrolled(NOW, GOOD).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let filter = impostor("Lakeside Inspection CA", version).await;
        for question in [of(dir.path(), Some(filter)), before_enrolment(filter)] {
            let findings = examine(&question).await;
            let tls = about(&findings, "tls");
            assert_eq!(tls.verdict, Verdict::Bad);
            assert!(tls.seen.contains("Lakeside Inspection CA"), "{tls}");
            assert!(tls.remedy.contains(&format!("exempt {filter} from TLS/SSL inspection")), "{tls}");
            assert!(!findings.iter().any(|finding| finding.about == "collector"), "nobody else is asked for the time");
        }
    }
}

#[tokio::test]
async fn a_filter_that_cuts_tls_off_is_told_from_one_that_opens_it() {
    let (dir, _authority, _collector) = enrolled(NOW, GOOD).await;
    let cutting = somebody(|stream| async move { drop(stream) }).await;
    let findings = examine(&of(dir.path(), Some(cutting))).await;
    assert!(about(&findings, "tls").seen.contains("ends it as soon as TLS begins"), "{}", about(&findings, "tls"));
}

#[tokio::test]
async fn a_page_that_answers_instead_of_the_collector_is_no_tls() {
    let page = somebody(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nBlocked").await;
    })
    .await;
    let findings = examine(&before_enrolment(page)).await;
    assert!(about(&findings, "tls").seen.contains("does not speak TLS"), "{}", about(&findings, "tls"));
}

#[tokio::test]
async fn a_port_on_which_nothing_listens_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let findings = examine(&before_enrolment(address)).await;
    let reach = about(&findings, "reach");
    assert_eq!(reach.verdict, Verdict::Bad);
    assert!(reach.seen.contains(&format!("{address} refuses")), "{reach}");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_answers_is_waited_for_a_bounded_time() {
    let mute = somebody(|stream| async move {
        std::mem::forget(stream);
    })
    .await;
    let begun = tokio::time::Instant::now();
    let findings = examine(&before_enrolment(mute)).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(40), "{:?}", begun.elapsed());
    let worst = findings.iter().find(|finding| finding.verdict == Verdict::Bad);
    assert!(worst.is_some(), "{findings:#?}");
}

#[tokio::test]
async fn a_collector_whose_authority_was_replaced_is_known_by_the_new_one() {
    let (dir, authority, collector) = enrolled(NOW, GOOD).await;
    let next = Authority::after(&authority);
    let named = [next.ca(), authority.ca()].map(|ca| ca.to_vec());
    collector.behave(|manner| manner.contacts = vec![Contacts { cas: named.to_vec(), endpoints: Vec::new() }]);
    let agent = run(dir.path());
    collector.wait_until("a batch came", |told| !told.batches.is_empty()).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    let after = TestCollector::start(Arc::new(next), GOOD).await;
    let findings = examine(&of(dir.path(), Some(after.address))).await;
    let tls = about(&findings, "tls");
    assert_eq!(
        (tls.verdict, tls.seen.as_str()),
        (Verdict::Good, "the collector proves itself by a CA that our collector has named")
    );
    let findings = examine(&of(dir.path(), None)).await;
    assert_eq!(about(&findings, "tls").seen, "the collector proves itself by our own CA");
}

#[tokio::test]
async fn another_collectors_authority_is_not_taken_for_a_filter() {
    let (dir, _authority, _collector) = enrolled(NOW, GOOD).await;
    let other = impostor("Bellwether CA 0badcafe", &rustls::version::TLS13).await;
    let findings = examine(&of(dir.path(), Some(other))).await;
    let tls = about(&findings, "tls");
    assert_eq!(tls.verdict, Verdict::Bad);
    assert!(tls.seen.contains("its CA is none that this machine has been told of"), "{tls}");
}
