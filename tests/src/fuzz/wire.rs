//! What closets and collectors say to each other about devices: any bytes decode or are refused, and what decodes is
//! written as the same again.

use bellwether_proto::v1::{
    Assignment, Assignments, DeviceFacts, Found, Learned, Neighbor, Neighborhood, Port, Resolved,
};
use prost::Message;
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

pub fn run(rng: &mut StdRng) {
    for _ in 0..200 {
        round::<Found>(rng, &found());
        round::<Neighborhood>(rng, &neighborhood());
        round::<Assignments>(rng, &assignments());
    }
}

fn round<T: Message + Default + PartialEq + std::fmt::Debug>(rng: &mut StdRng, good: &T) {
    let mut bytes = good.encode_to_vec();
    for _ in 0..rng.random_range(1..8) {
        mutate::bytes(rng, &mut bytes);
    }
    if let Ok(decoded) = T::decode(bytes.as_slice()) {
        let again = T::decode(decoded.encode_to_vec().as_slice()).expect("what was written by ourselves");
        assert!(again == decoded, "{decoded:?} came back as {again:?}");
    }
}

fn found() -> Found {
    let facts = DeviceFacts {
        kind: "switch".into(),
        serial: "SN1".into(),
        mac: "02:00:00:00:00:01".into(),
        ports: 48,
        ..DeviceFacts::default()
    };
    Found { address: "10.20.0.2".into(), credential: "district".into(), facts: Some(facts) }
}

fn neighborhood() -> Neighborhood {
    Neighborhood {
        target_id: "d1".into(),
        macs: vec!["02:00:00:00:00:01".into()],
        ports: vec![Port { name: "Gi0/1".into(), up: true, others: 3, ..Port::default() }],
        neighbors: vec![Neighbor { port: "Gi0/1".into(), protocol: "lldp".into(), ..Neighbor::default() }],
        learned: vec![Learned::default()],
        resolved: vec![Resolved::default()],
        ..Neighborhood::default()
    }
}

fn assignments() -> Assignments {
    let assignment = Assignment { device_id: "d1".into(), address: "10.20.0.2".into(), ..Assignment::default() };
    Assignments { assignments: vec![assignment], managed_macs: vec!["02:00:00:00:00:01".into()] }
}
