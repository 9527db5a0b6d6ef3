//! Certificates of all kinds on a real TLS server.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::probe::Tools;
use crate::probe::secure::Roots;
use crate::probe::tests::{Rows, look_with, server, silent_server};

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = named(name);
    let root = params.self_signed(&key).unwrap().der().clone();
    Authority { issuer: Issuer::new(params, key), root }
}

/// A server with a certificate for `portal.example.org` that is valid between two years.
fn serve(by: Option<&Authority>, years: (i32, i32)) -> u16 {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["portal.example.org".to_owned()]).unwrap();
    params.distinguished_name = named("portal.example.org");
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = match by {
        Some(authority) => params.signed_by(&key, &authority.issuer),
        None => params.self_signed(&key),
    };
    let chain = vec![certificate.unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (port, listener): (u16, TcpListener) = silent_server();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::new(config.clone())).unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
            // For a request over it, which is answered by a hang-up.
            let _ = connection.complete_io(&mut stream);
        }
    });
    port
}

async fn look(port: u16, authority: &Authority, name: &str) -> Rows {
    let mut store = RootCertStore::empty();
    store.add(authority.root.clone()).unwrap();
    let tools = Arc::new(Tools { roots: Roots::only(store) });
    let table = format!("address = \"127.0.0.1\"\nport = {port}\nserver_name = \"{name}\"");
    look_with(tools, "tls", &table, "2s").await
}

fn verdict(rows: &Rows) -> (i64, Option<String>) {
    (rows.number("verification_code").unwrap(), rows.text("verification_error"))
}

fn fault(word: &str) -> (i64, Option<String>) {
    (1, Some(word.to_owned()))
}

#[tokio::test]
async fn a_good_certificate_tells_how_long_it_is_good_and_who_issued_it() {
    let district = authority("Lincoln District CA");
    let rows = look(serve(Some(&district), (2020, 2090)), &district, "portal.example.org").await;
    assert_eq!(verdict(&rows), (0, None));
    assert!(rows.number("expiry").unwrap() > 50 * 365 * 86_400);
    assert!(rows.0.samples[0].tags.contains(&("issuer_common_name".into(), "Lincoln District CA".to_owned())));
    assert!(!format!("{rows:?}").contains("portal.example.org"), "the names in it are not sent");
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_name() {
    let district = authority("Lincoln District CA");
    let filter = authority("Filter Inc. Inspection CA");
    let expired = look(serve(Some(&district), (2010, 2011)), &district, "portal.example.org").await;
    assert_eq!(verdict(&expired), fault("expired"));
    assert!(expired.number("expiry").unwrap() < 0);
    let early = look(serve(Some(&district), (2089, 2090)), &district, "portal.example.org").await;
    assert_eq!(verdict(&early), fault("not_yet_valid"));
    let wrong = look(serve(Some(&district), (2020, 2090)), &district, "mail.example.org").await;
    assert_eq!(verdict(&wrong), fault("wrong_name"));
    let foreign = look(serve(Some(&filter), (2020, 2090)), &district, "portal.example.org").await;
    assert_eq!(verdict(&foreign), fault("untrusted"));
    assert!(format!("{foreign:?}").contains("Filter Inc. Inspection CA"), "whoever breaks TLS is named");
}

#[tokio::test]
async fn a_self_signed_certificate_names_nobody() {
    let district = authority("Lincoln District CA");
    let rows = look(serve(None, (2020, 2090)), &district, "portal.example.org").await;
    assert_eq!(verdict(&rows), fault("self_signed"));
    assert!(rows.0.samples[0].tags.iter().all(|(key, _)| key != "issuer_common_name"));
    let old = look(serve(None, (2010, 2011)), &district, "portal.example.org").await;
    assert_eq!(verdict(&old), fault("expired"));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_and_one_that_says_nothing_have_no_certificate() {
    use std::io::Write;
    let district = authority("Lincoln District CA");
    let plain = server(|mut stream| drop(stream.write_all(b"220 mail.example.org ESMTP\r\n")));
    assert_eq!(verdict(&look(plain, &district, "it").await), (2, Some("no_tls".to_owned())));
    let (silent, listener) = silent_server();
    assert_eq!(verdict(&look(silent, &district, "it").await), (2, Some("no_tls".to_owned())));
    drop(listener);
    assert_eq!(verdict(&look(silent, &district, "it").await), (2, Some("no_connection".to_owned())));
}
