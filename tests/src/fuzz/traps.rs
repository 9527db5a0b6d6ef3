//! The receiver of traps: after whatever came, it still takes a good one in, and answers a good inform.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bellwether_agent::snmp::client::receiver::Receiver;
use bellwether_agent::snmp::credential::{Credential, Digest, Protection, Secret, User};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::mutate;
use crate::snmp::message::{integer, oid, wrap};

/// Bad ones before a good one; so many fit the socket's buffer.
const BURST: usize = 40;
/// For one packet on the loopback network.
const WAIT: Duration = Duration::from_secs(10);

pub fn run(rng: &mut StdRng) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let users = [Credential::V3(User {
            name: "closet".to_owned(),
            context: String::new(),
            protection: Protection::Signed(Digest::Sha1, Secret::new("signed by it")),
        })];
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let engine = folder.path().join("snmp-engine");
        let receiver = Receiver::open((loopback, 0).into(), &users, &engine, move |from| from == loopback).await;
        let receiver = receiver.expect("a port");
        let socket = UdpSocket::bind((loopback, 0)).await.expect("a port");
        socket.connect(receiver.address()).await.expect("the loopback network");
        for number in 0..10 {
            burst(&receiver, &socket, StdRng::seed_from_u64(rng.random()), number).await;
        }
    });
}

async fn burst(receiver: &Receiver, socket: &UdpSocket, mut rng: StdRng, number: u32) {
    for _ in 0..BURST {
        let kind = rng.random_range(0..3);
        let good = [trap_v1(number), notification(0xa7, number), notification(0xa6, number)];
        let bad = mutate::packet(&mut rng, &good[kind]);
        socket.send(&bad).await.expect("a packet");
    }
    let last = 1_000_000 + number;
    socket.send(&notification(0xa7, last)).await.expect("a packet");
    // What was garbled may still be a trap; the last one is known by its name.
    loop {
        let heard = timeout(WAIT, receiver.next()).await.expect("the good one is heard").expect("the socket lives");
        if heard.trap.name.arcs().last() == Some(&last) {
            break;
        }
    }
}

fn binding(name: &[u32], value: Vec<u8>) -> Vec<u8> {
    wrap(0x30, &[oid(name), value].concat())
}

fn notification(tag: u8, number: u32) -> Vec<u8> {
    let bindings = [
        binding(&[1, 3, 6, 1, 2, 1, 1, 3, 0], integer(0x43, 100)),
        binding(&[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0], oid(&[1, 3, 6, 1, 4, 1, 9, number])),
        binding(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 7], integer(2, 7)),
    ];
    let inside = [integer(2, i64::from(number)), integer(2, 0), integer(2, 0), wrap(0x30, &bindings.concat())].concat();
    wrap(0x30, &[integer(2, 1), wrap(4, b"public"), wrap(tag, &inside)].concat())
}

fn trap_v1(number: u32) -> Vec<u8> {
    let bindings = binding(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 7], integer(2, 7));
    let inside = [
        oid(&[1, 3, 6, 1, 4, 1, 318]),
        wrap(0x40, &[127, 0, 0, 1]),
        integer(2, 6),
        integer(2, i64::from(number)),
        integer(0x43, 100),
        wrap(0x30, &bindings),
    ];
    wrap(0x30, &[integer(2, 0), wrap(4, b"public"), wrap(0xa4, &inside.concat())].concat())
}
