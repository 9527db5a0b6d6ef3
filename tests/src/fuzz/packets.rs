//! Our client against a device that answers each question with garbage first, and then as it should: whatever comes, the
//! client goes on, and what it takes for the answer is one to its question.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_agent::snmp::Oid;
use bellwether_agent::snmp::budget::Budget;
use bellwether_agent::snmp::client::{Login, Network};
use bellwether_agent::snmp::credential::{Cipher, Credential, Digest, Protection, Secret, User};
use bellwether_agent::snmp::walk::drive;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::mutate;
use crate::snmp::v3::{Engine, Fault};
use crate::snmp::{Simulated, recording};

/// Devices of one case, asked side by side: a question to which only garbage comes takes seconds.
const DEVICES: usize = 60;
/// Bad answers before the good one, at most.
const GARBAGE_MAX: u32 = 20;
/// A walk that is led astray by what looks like an answer is long enough after this.
const WALK_MAX: Duration = Duration::from_secs(20);

pub fn run(rng: &mut StdRng) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
    runtime.block_on(async {
        let network = Arc::new(Network::default());
        let mut walks = JoinSet::new();
        let mut servers = JoinSet::new();
        for number in 0..DEVICES {
            let own = StdRng::seed_from_u64(rng.random());
            let credential = credential(number);
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback network has ports");
            let address = socket.local_addr().expect("it is bound");
            servers.spawn(serve(socket, Simulated::new(recording::switch(6), engine(&credential)), own));
            walks.spawn(walk(Arc::clone(&network), credential, address));
        }
        while let Some(walk) = walks.join_next().await {
            walk.expect("a client that survives what it hears");
        }
        servers.abort_all();
    });
}

fn credential(number: usize) -> Credential {
    let community = Secret::new(crate::snmp::COMMUNITY);
    let signed = (Digest::Sha1, Secret::new("signed by it"));
    let encrypted = (Cipher::Aes128, Secret::new("hidden by it"));
    let protection = match number % 4 {
        0 => return Credential::V1 { community },
        1 => return Credential::V2c { community },
        2 => Protection::None,
        _ => Protection::Encrypted { signed, encrypted },
    };
    Credential::V3(User { name: "closet".to_owned(), context: String::new(), protection })
}

fn engine(credential: &Credential) -> Option<Engine> {
    let users = matches!(credential, Credential::V3(_));
    users.then(|| Engine::new(&[0x80, 0, 0, 9, 5, 1, 2], std::slice::from_ref(credential), Fault::None))
}

/// Half of the garbage is made inside of what is signed, so that it gets past the signature.
async fn serve(socket: UdpSocket, device: Simulated, rng: StdRng) {
    let rng = Mutex::new(rng);
    let mut packet = [0; 2_048];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let asked = &packet[..length];
        let number = rng.lock().expect("one thread").random_range(0..=GARBAGE_MAX);
        for _ in 0..number {
            let inside = rng.lock().expect("one thread").random();
            let worse = |answer: Vec<u8>| mutate::packet(&mut rng.lock().expect("one thread"), &answer);
            let garbage = if inside { device.answer_with(asked, worse) } else { device.answer(asked).map(worse) };
            if let Some(garbage) = garbage {
                let _ = socket.send_to(&garbage, from).await;
            }
        }
        if let Some(answer) = device.answer(asked) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn walk(network: Arc<Network>, credential: Credential, address: SocketAddr) {
    let login = Login::new(&credential).expect("a credential that can be used");
    let device = network.device(address, &login).await.expect("a socket");
    let root = Oid::from([1]);
    let mut budget = Budget::default();
    // One that is led astray is no finding; that it ends is what the walks are tried for.
    if let Ok(walked) = timeout(WALK_MAX, drive::walk(&device, &root, !login.is_v1(), &mut budget)).await {
        let names: Vec<&Oid> = walked.answers.iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name.starts_with(&root)), "below what was asked for");
    }
}
