//! What the collector makes of what closets say: whatever they send, what goes into the journal is short, has no control
//! characters, names no address that nobody manages, and is drawn without a panic.

use std::collections::BTreeSet;

use bellwether_collector::grpc::discovery::record_of;
use bellwether_collector::neighborhoods::{own, seen, watched};
use bellwether_logic::device::Class;
use bellwether_logic::discovery::WORD_CHARS_MAX;
use bellwether_logic::topology::Mac;
use bellwether_proto::record::v1::record;
use bellwether_proto::v1::{DeviceFacts, Found, Learned, Neighbor, Neighborhood, Port, Resolved};
use prost::Message;
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

/// What words are made of: what devices write, and what they should not.
const WORDS: [&str; 16] = [
    "",
    "Gi1/0/1",
    "bridge",
    "station",
    "phone",
    "lldp",
    "cdp",
    "10.20.0.2",
    "[fe80::1]:161",
    "0.0.0.0",
    "8c:04:ba:00:00:01",
    "8C-04-BA-00-00-02",
    "ff:ff:ff:ff:ff:ff",
    "\u{0}\u{7}\r\n",
    "\u{202e}\u{feff}",
    "<private>",
];
const MANAGED: [&str; 2] = ["8c:04:ba:00:00:01", "8c:04:ba:00:00:03"];

pub fn run(rng: &mut StdRng) {
    for _ in 0..50 {
        let (found, said) = (found(rng), neighborhood(rng));
        judge_found(found.clone());
        judge_neighborhood(said.clone());
        if let Some(worse) = worse(rng, &found) {
            judge_found(worse);
        }
        if let Some(worse) = worse(rng, &said) {
            judge_neighborhood(worse);
        }
    }
}

/// As it comes when bytes of it were changed on the way, if it is still a message.
fn worse<T: Message + Default>(rng: &mut StdRng, good: &T) -> Option<T> {
    let mut bytes = good.encode_to_vec();
    for _ in 0..rng.random_range(1..6) {
        mutate::bytes(rng, &mut bytes);
    }
    T::decode(bytes.as_slice()).ok()
}

fn judge_found(found: Found) {
    let Some(record) = record_of(found) else { return };
    let Some(record::Body::Found(written)) = record.body else { panic!("another kind of record") };
    let facts = written.facts.expect("it has facts, or it is malformed");
    for text in [&facts.kind, &facts.vendor, &facts.model, &facts.serial, &facts.firmware, &facts.name, &facts.location]
    {
        assert!(text.chars().count() <= WORD_CHARS_MAX && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(!written.address.is_empty() && !written.address.chars().any(char::is_control), "{:?}", written.address);
}

fn judge_neighborhood(said: Neighborhood) {
    let managed: BTreeSet<Mac> = MANAGED.iter().map(|mac| mac.parse().expect("it is an address")).collect();
    let alone = own(said.clone());
    assert!(alone.learned.is_empty() && alone.neighbors.is_empty() && alone.ports.is_empty(), "only its own");
    let (kept, _) = watched(said, &managed);
    let is_managed = |mac: &str| mac.parse().is_ok_and(|mac| managed.contains(&mac));
    assert!(kept.learned.iter().all(|it| is_managed(&it.mac)), "{:?}", kept.learned);
    assert!(kept.resolved.iter().all(|it| is_managed(&it.mac)), "{:?}", kept.resolved);
    assert!(kept.ports.iter().all(|port| port.alias.is_empty()), "what an admin wrote stays there");
    let again = watched(kept.clone(), &managed);
    assert!(again == (kept.clone(), 0), "taking out twice is taking out once");
    let _ = seen("d1".to_owned(), "sw".to_owned(), Some(Class::Switch), "8c:04:ba:00:00:09", "10.20.0.2:161", kept);
    let _ = seen(String::new(), String::new(), None, "", "", alone);
}

fn word(rng: &mut StdRng) -> String {
    let mut word = WORDS[rng.random_range(0..WORDS.len())].to_owned();
    if rng.random_range(0..8) == 0 {
        word = word.repeat(rng.random_range(0..200));
    }
    if rng.random_range(0..8) == 0 {
        word.push(char::from_u32(rng.random_range(0..0x1_1000)).unwrap_or('\u{fffd}'));
    }
    word
}

fn words(rng: &mut StdRng) -> Vec<String> {
    (0..rng.random_range(0..12)).map(|_| word(rng)).collect()
}

fn found(rng: &mut StdRng) -> Found {
    let facts = DeviceFacts {
        kind: word(rng),
        vendor: word(rng),
        model: word(rng),
        serial: word(rng),
        firmware: word(rng),
        name: word(rng),
        location: word(rng),
        mac: word(rng),
        ports: rng.random(),
        ..DeviceFacts::default()
    };
    Found { address: word(rng), credential: word(rng), facts: (rng.random_range(0..9) > 0).then_some(facts) }
}

fn neighborhood(rng: &mut StdRng) -> Neighborhood {
    let rows = rng.random_range(0..20);
    let port = |rng: &mut StdRng| Port {
        name: word(rng),
        alias: word(rng),
        up: rng.random(),
        others: rng.random(),
        ..Port::default()
    };
    let neighbor = |rng: &mut StdRng| Neighbor {
        port: word(rng),
        protocol: word(rng),
        chassis: word(rng),
        remote_port: word(rng),
        name: word(rng),
        description: word(rng),
        capabilities: words(rng),
        address: word(rng),
    };
    Neighborhood {
        target_id: word(rng),
        macs: words(rng),
        ports: (0..rows).map(|_| port(rng)).collect(),
        neighbors: (0..rows).map(|_| neighbor(rng)).collect(),
        learned: (0..rows).map(|_| Learned { port: word(rng), mac: word(rng), vlan: rng.random() }).collect(),
        resolved: (0..rows).map(|_| Resolved { mac: word(rng), address: word(rng) }).collect(),
        gateway_address: word(rng),
        gateway_mac: word(rng),
    }
}
