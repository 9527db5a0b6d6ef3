//! Machines that come back, copies of machines, and authorities that take each other's place.

use std::time::Duration;

use bellwether_agent::tls::{self, ClientIdentity, Trust};
use bellwether_logic::time::Timestamp;
use bellwether_proto::trust::renewal_message;
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{Contacts, EnrolRequest, HardwareIdentity, Hello, RenewRequest};
use rcgen::{KeyPair, SigningKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tonic::{Code, Status};

use super::site::{Machine, Site};
use crate::ca::Standing;
use crate::state::machines::NoteKind;

fn hardware(number: u8) -> HardwareIdentity {
    HardwareIdentity {
        system_vendor: "Dell Inc.".into(),
        system_model: "Latitude 3410".into(),
        system_serial: format!("7XK2Q{number:02}"),
        board_serial: format!("/7XK2Q{number:02}/CN129/"),
        mac_addresses: vec![format!("8c:04:ba:00:00:{number:02x}")],
        disk_serials: vec![format!("S4EVNX0R{number:06}")],
        ..HardwareIdentity::default()
    }
}

async fn enrol(site: &Site, request: EnrolRequest, key: &KeyPair) -> Result<Machine, Status> {
    let reply = site.ask(request).await?;
    let chain = reply.chain.into_iter().map(CertificateDer::from).collect();
    Ok(Machine { device: reply.device_id, key_der: key.serialize_der(), chain })
}

/// Enrols a machine with this hardware, by a token of its own.
async fn enrolled(site: &Site, hardware: HardwareIdentity) -> Machine {
    let (key, token) = (KeyPair::generate().unwrap(), site.token(1, Timestamp(i64::MAX)));
    let request = EnrolRequest { hardware: Some(hardware), ..site.request(&token, &key) };
    enrol(site, request, &key).await.unwrap()
}

fn hello(site: &Site, generation: u64, hardware: HardwareIdentity) -> Hello {
    Hello { generation, now_unix_ms: site.now().0, hardware: Some(hardware), ..Hello::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_was_re_imaged_is_the_device_that_it_was() {
    let site = Site::start().await;
    let first = enrolled(&site, hardware(1)).await;
    let again = enrolled(&site, hardware(1)).await;
    assert_eq!(again.device, first.device);
    let mut new_disk = hardware(1);
    new_disk.disk_serials = vec!["WD-NEW".into()];
    assert_eq!(enrolled(&site, new_disk).await.device, first.device);
    assert_ne!(enrolled(&site, hardware(2)).await.device, first.device);
    let state = &site.running().app.state;
    assert_eq!(state.device_count().unwrap(), 2);
    assert!(state.notes(&first.device).unwrap().iter().all(|note| note.kind == NoteKind::Returned));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_costs_neither_a_device_nor_a_use_of_the_token() {
    let site = Site::start().await;
    let (key, token) = (KeyPair::generate().unwrap(), site.token(1, Timestamp(i64::MAX)));
    let request = EnrolRequest { hardware: Some(hardware(1)), ..site.request(&token, &key) };
    let first = enrol(&site, request.clone(), &key).await.unwrap();
    for _ in 0..3 {
        assert_eq!(enrol(&site, request.clone(), &key).await.unwrap().device, first.device);
    }
    let state = &site.running().app.state;
    assert_eq!(state.enrol_tokens().unwrap()[0].uses_left, 0);
    let other = EnrolRequest { hardware: Some(hardware(2)), ..request.clone() };
    assert!(enrol(&site, other, &key).await.is_err_and(|refused| refused.message().contains("used up")));
    state.revoke_certificates(&first.device, site.now()).unwrap();
    let refused = enrol(&site, request, &key).await.map(|_| ()).unwrap_err();
    assert!(refused.message().contains("used up"), "a revoked machine needs a token with a use: {}", refused.message());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_claims_to_be_one_that_is_connected_is_another_and_is_shown() {
    let site = Site::start().await;
    let first = enrolled(&site, hardware(1)).await;
    let _stream = site.stream_with(&first, hello(&site, 1, hardware(1))).await.unwrap();
    let second = enrolled(&site, hardware(1)).await;
    assert_ne!(second.device, first.device);
    let open = site.running().app.state.open_notes(Timestamp(0)).unwrap();
    assert!(open[0].device == second.device && open[0].detail.contains("connected at the same time"), "{open:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_machines_with_one_junk_serial_number_are_hundreds_of_devices() {
    let site = Site::start().await;
    let token = site.token(1000, Timestamp(i64::MAX));
    let mut devices = std::collections::BTreeSet::new();
    for number in 0..60_u8 {
        let key = KeyPair::generate().unwrap();
        // A junk word that stands on no list.
        let serial = if number % 2 == 0 { "To be filled" } else { "SN-TEMPLATE" };
        let mac_addresses = vec![format!("8c:04:ba:00:01:{number:02x}")];
        let hardware = HardwareIdentity { system_serial: serial.into(), mac_addresses, ..HardwareIdentity::default() };
        let request = EnrolRequest { hardware: Some(hardware), ..site.request(&token, &key) };
        devices.insert(enrol(&site, request, &key).await.unwrap().device);
    }
    assert_eq!(devices.len(), 60);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_state_folder_is_refused_on_the_other_machine_and_the_original_streams_on() {
    let site = Site::start().await;
    let machine = enrolled(&site, hardware(1)).await;
    let mut stream = site.stream_with(&machine, hello(&site, 1, hardware(1))).await.unwrap();
    for generation in 2..4 {
        let refused = site.stream_with(&machine, hello(&site, generation, hardware(2))).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("bellwether-agent generalize"), "{}", refused.message());
    }
    stream.batch(0, &[super::site::disk(site.now(), 1.0)]).await;
    stream.acknowledged().await.unwrap();
    let open = site.running().app.state.open_notes(Timestamp(0)).unwrap();
    assert_eq!((open.len(), open[0].kind, open[0].times), (1, NoteKind::Clone, 2));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_whose_hardware_says_nothing_are_noticed_when_they_take_turns() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let nothing = HardwareIdentity::default;
    let _original = site.stream_with(&machine, hello(&site, 1, nothing())).await.unwrap();
    let mut copy = site.stream_with(&machine, hello(&site, 2, nothing())).await.unwrap();
    let refused = site.stream_with(&machine, hello(&site, 1, nothing())).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("another agent runs"), "{}", refused.message());
    copy.batch(0, &[super::site::disk(site.now(), 1.0)]).await;
    copy.acknowledged().await.unwrap();
    assert_eq!(site.running().app.state.open_notes(Timestamp(0)).unwrap()[0].kind, NoteKind::Twin);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_another_building_merges_nothing() {
    let site = Site::start().await;
    let first = enrolled(&site, hardware(1)).await;
    let state = &site.running().app.state;
    let mut device = state.device(&first.device).unwrap().unwrap();
    device.site = "Oak Elementary".into();
    let moved = bellwether_proto::record::v1::DeviceChanged {
        device_id: device.id,
        name: device.name,
        kind: device.kind,
        class: device.class.to_string(),
        site: device.site,
        state: device.state.to_string(),
        ..Default::default()
    };
    let body = Some(bellwether_proto::record::v1::record::Body::Device(moved));
    site.running().app.clicks.submit(bellwether_proto::record::v1::Record { body }).await.unwrap();
    let second = enrolled(&site, hardware(1)).await;
    assert_ne!(second.device, first.device);
    assert!(state.notes(&second.device).unwrap()[0].detail.contains("another building"));
    site.stop().await;
}

/// What the collector names on a stream of this machine, which believes `cas`.
async fn contacts(site: &Site, machine: &Machine, cas: &[&[u8]]) -> Option<Contacts> {
    let trusted_cas = cas.iter().map(|ca| Sha256::digest(ca).to_vec()).collect();
    let hello = Hello { trusted_cas, ..hello(site, rand::random(), HardwareIdentity::default()) };
    let mut stream = site.stream_with(machine, hello).await.unwrap();
    stream.batch(0, &[super::site::disk(site.now(), 1.0)]).await;
    stream.contacts().await
}

async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

/// Renews a machine's certificate, believing these CAs.
async fn renew(site: &Site, machine: &Machine, believed: Vec<CertificateDer<'static>>) -> Result<Machine, Status> {
    let connection = tls::connect(&site.running().grpc.to_string(), Trust::Cas(believed), None).await.unwrap();
    let old = KeyPair::try_from(machine.key_der.clone()).unwrap();
    let key = KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    let signature = old.sign(&renewal_message(&csr)).unwrap();
    let certificate = machine.chain[0].to_vec();
    let request = RenewRequest { csr, certificate, signature, ..RenewRequest::default() };
    let chain = CollectorClient::new(connection.channel).renew(request).await?.into_inner().chain;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Ok(Machine { device: machine.device.clone(), key_der: key.serialize_der(), chain })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_authority_takes_over_while_everybody_streams_and_nobody_is_lost() {
    let site = Site::start().await;
    let (here, away) = (site.machine().await, site.machine().await);
    let old_ca = here.chain[1].clone();
    let old_token = site.token(9, Timestamp(i64::MAX));
    assert_eq!(contacts(&site, &here, &[&old_ca]).await, None, "there is nothing to say");
    let folder = site.data().join("ca");
    let open = |now| Standing::open(&folder, now).unwrap();
    let ring = match &site.running().app.connect.pin {
        crate::app::Pin::Ring(ring) => std::sync::Arc::clone(ring),
        crate::app::Pin::Fixed(_) => panic!("a running collector has a ring"),
    };

    // Announced: also to a stream that is open.
    let trusted_cas = vec![Sha256::digest(&old_ca).to_vec()];
    let mut stream =
        site.stream_with(&here, Hello { trusted_cas, ..hello(&site, 5, HardwareIdentity::default()) }).await.unwrap();
    open(site.now()).rotate(&folder, site.now()).unwrap();
    let named = tokio::time::timeout(Duration::from_secs(10), stream.contacts()).await.unwrap().unwrap();
    assert_eq!((named.cas.len(), named.cas[0].as_slice()), (2, old_ca.as_ref()));
    let new_ca = CertificateDer::from(named.cas[1].clone());
    assert_eq!(contacts(&site, &here, &[&old_ca, &new_ca]).await, None);

    // Switched: those who know the new one, only the old one, or a token of either, are all answered.
    open(site.now()).switch(&folder, site.now()).unwrap();
    until("the running collector has switched", || ring.standing().current.certificate() == &new_ca).await;
    for believed in [vec![old_ca.clone()], vec![new_ca.clone()], vec![old_ca.clone(), new_ca.clone()]] {
        let key = PrivateKeyDer::Pkcs8(here.key_der.clone().into());
        let identity = ClientIdentity { chain: here.chain.clone(), key };
        let endpoint = site.running().grpc.to_string();
        tls::connect(&endpoint, Trust::Cas(believed.clone()), Some(&identity)).await.unwrap();
    }
    let named = contacts(&site, &away, &[&old_ca]).await.unwrap();
    assert_eq!(named.cas, [new_ca.to_vec(), old_ca.to_vec()]);
    let renewed = renew(&site, &away, vec![old_ca.clone()]).await.unwrap();
    assert_eq!(renewed.chain[1], new_ca);
    let key = KeyPair::generate().unwrap();
    let trust = Trust::Pinned(Sha256::digest(&old_ca).into());
    let connection = tls::connect(&site.running().grpc.to_string(), trust, None).await.unwrap();
    CollectorClient::new(connection.channel).enrol(site.request(&old_token, &key)).await.unwrap();
    assert_eq!(site.ca_sha256(), <[u8; 32]>::from(Sha256::digest(&new_ca)), "new tokens are the new authority's");
    site.machine().await;

    // Finished: the old authority opens nothing any more.
    open(site.now()).finish(&folder, site.now()).unwrap();
    until("the running collector has finished", || ring.standing().previous.is_none()).await;
    assert!(renew(&site, &here, vec![new_ca.clone()]).await.is_err());
    let refused = site.ask(site.request(&old_token, &key)).await.unwrap_err();
    assert!(refused.message().contains("before the collector's authority was replaced"), "{}", refused.message());
    assert!(contacts(&site, &renewed, &[&old_ca, &new_ca]).await.is_some_and(|named| named.cas == [new_ca.to_vec()]));
    site.stop().await;
}
