//! What a collector says of its authorities and addresses: taken, kept over a restart, and left again when it leads
//! nowhere; and what can't be right, which changes nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bellwether_agent::{GoodbyeReason, state};
use bellwether_proto::v1::Contacts;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::collector::{Authority, TestCollector};
use super::{GOOD, NOW, enrolled, run, waiting};

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn endpoints(dir: &Path) -> Vec<String> {
    state::read_identity(dir).unwrap().endpoints
}

fn words(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_collector_that_moves_to_another_address_and_authority_is_found_and_left_again_if_it_is_not_there() {
    let (dir, authority, old) = enrolled(NOW, GOOD).await;
    let next = Arc::new(Authority::after(&authority));
    let (dead, new) = (nobody().await, nobody().await);
    let cas = [next.ca(), authority.ca()].map(|ca| ca.to_vec());
    let contacts = Contacts { cas: cas.to_vec(), endpoints: words(&[dead, new]) };
    old.behave(|manner| manner.contacts = vec![contacts]);
    let agent = run(dir.path());
    old.wait_until("a batch came", |told| !told.batches.is_empty()).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert_eq!(endpoints(dir.path()), words(&[dead, new, old.address]), "the way that worked comes last");

    // It has moved; the agent was restarted meanwhile.
    let address = old.address;
    drop(old);
    let moved = TestCollector::start_at(Arc::clone(&next), GOOD, new).await;
    let agent = run(dir.path());
    let told = moved.wait_until("the agent came", |told| !told.batches.is_empty()).await;
    let believed: Vec<Vec<u8>> = cas.iter().map(|ca| Sha256::digest(ca).to_vec()).collect();
    assert_eq!(told.hellos[0].trusted_cas, believed);

    // The move was a mistake: the old one is found again, without anybody's help.
    drop(moved);
    let old = TestCollector::start_at(authority, GOOD, address).await;
    old.wait_until("the agent is back", |told| !told.batches.is_empty()).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn what_can_t_be_right_changes_nothing() {
    let (dir, authority, collector) = enrolled(NOW, GOOD).await;
    let good = authority.ca().to_vec();
    let other = Authority::new(NOW).ca().to_vec();
    let here = collector.address.to_string();
    let cas = |cas: Vec<Vec<u8>>| Contacts { cas, endpoints: Vec::new() };
    let at = |endpoint: &str| Contacts { cas: vec![good.clone()], endpoints: vec![here.clone(), endpoint.to_owned()] };
    let bad = vec![
        Contacts::default(),
        cas(vec![other.clone(), b"no certificate at all".to_vec()]),
        cas(vec![other[..other.len() / 2].to_vec()]),
        cas(vec![other; 8]),
        at(":7443"),
        at("https://collector.example.org:7443"),
        at("collector.example.org"),
        Contacts { cas: Vec::new(), endpoints: vec!["host:1".to_owned(); 8] },
    ];
    collector.behave(|manner| manner.contacts = bad);
    let agent = run(dir.path());
    collector.wait_until("two batches came", |told| told.batches.len() >= 2).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert_eq!(waiting(dir.path()), 0, "what was said before the acknowledgements was heard");
    assert_eq!(endpoints(dir.path()), [here]);
    assert!(state::read_trusted(dir.path()).is_empty());
}
