//! Where a fifth of all packets is lost in each direction: fifty devices behind a virtual cable that loses them. A walk
//! gives what it gives without loss, and no poll finds a device silent that is not. Needs root, as making namespaces does.

use std::collections::BTreeSet;
use std::process::Child;
use std::sync::Arc;

use bellwether_agent::snmp::client::Turnstile;
use bellwether_agent::snmp::poll::visit::{Outcome, Visit};
use bellwether_agent::snmp::poll::{Memory, Shared, Target};
use bellwether_logic::time::Timestamp;
use tokio::task::JoinSet;

use super::version3::block_on;
use super::*;

/// Set in the copies of a test that run inside a namespace: what they are to be.
const ROLE: &str = "BELLWETHER_TEST_ROLE";
const DEVICES: u8 = 50;
/// What a poll may take at most: much less than the minute that a closet usually has.
const POLL_MAX: Duration = Duration::from_secs(30);
const ROUNDS: u64 = 5;
const PORTS: u32 = 24;

/// Two namespaces with a cable between them, and the devices in the far one.
struct Cable {
    names: [String; 2],
    devices: Child,
}

fn run(words: &str) {
    let mut parts = words.split_whitespace();
    let status = Command::new(parts.next().unwrap()).args(parts).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "`{words}` (as root?): {status:?}");
}

fn inside(namespace: &str, test: &str, role: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role);
    command
}

impl Cable {
    fn new(mark: &str, test: &str) -> Self {
        let names = ["near", "far"].map(|end| format!("bw{}{mark}{end}", std::process::id()));
        let [near, far] = &names;
        for name in &names {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!("ip -n {near} link add cable type veth peer name cable netns {far}"));
        run(&format!("ip -n {near} addr add 10.79.0.1/24 dev cable"));
        for last in 0..DEVICES {
            run(&format!("ip -n {far} addr add {}/24 dev cable", device(last)));
        }
        for name in &names {
            run(&format!("ip -n {name} link set cable up"));
        }
        let mut devices = inside(far, test, "devices");
        let devices = devices.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Self { names, devices }
    }

    /// Does something to both ends of the cable.
    fn both_ends(&self, words: &str) {
        for name in &self.names {
            run(&format!("ip netns exec {name} {words}"));
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.devices.kill();
        let _ = self.devices.wait();
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn device(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 79, 0, 100 + last)
}

/// In the far namespace: is the devices until the test has ended.
fn be_the_devices() {
    let simulator = Simulator::default();
    for last in 0..DEVICES {
        simulator.device(device(last), recording::switch(PORTS), Fault::None);
    }
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

fn community() -> Login {
    Login::new(&Credential::V2c { community: Secret::new(COMMUNITY) }).unwrap()
}

fn addresses() -> impl Iterator<Item = SocketAddr> {
    (0..DEVICES).map(|last| (device(last), bellwether_tests::snmp::PORT).into())
}

/// Runs a test's three parts: outside, as the devices, and as the closet.
fn play(mark: &str, test: &str, closet: fn()) {
    match std::env::var(ROLE).as_deref() {
        Ok("devices") => return be_the_devices(),
        Ok(_) => return closet(),
        Err(_) => {}
    }
    let cable = Cable::new(mark, test);
    cable.both_ends("nft add table inet f");
    cable.both_ends("nft add chain inet f in { type filter hook input priority 0 ; }");
    cable.both_ends("nft add rule inet f in ip protocol udp numgen random mod 100 < 20 drop");
    let status = inside(&cable.names[0], test, "closet").status().unwrap();
    assert!(status.success(), "{test} failed inside the namespace");
}

#[test]
fn a_walk_where_packets_are_lost_gives_what_it_gives_without_loss() {
    play("w", "loss::a_walk_where_packets_are_lost_gives_what_it_gives_without_loss", || {
        let walked = block_on(async {
            let network = Arc::new(Network::default());
            let mut walks = JoinSet::new();
            for address in addresses() {
                let network = Arc::clone(&network);
                walks.spawn(async move {
                    let device = network.device(address, &community()).await.unwrap();
                    drive::walk(&device, &everything(), true, &mut Budget::default()).await
                });
            }
            walks.join_all().await
        });
        let expected: Vec<Vec<u32>> = recording::switch(PORTS).into_keys().collect();
        let whole = walked.iter().filter(|it| it.end == End::Complete && names(it) == expected).count();
        let ends: BTreeSet<String> = walked.iter().map(|it| format!("{} of {}", it.end, it.answers.len())).collect();
        assert_eq!(whole, usize::from(DEVICES), "{ends:?}");
    });
}

/// What is wrong with the polls of one device, one right after the other, and how long each took.
async fn poll(shared: Arc<Shared>, address: SocketAddr) -> (Vec<String>, Vec<Duration>) {
    let target = Target {
        id: address.to_string().into(),
        address,
        credential: "closet".into(),
        witness: false,
        serial: "".into(),
        mac: "".into(),
    };
    let (target, login, turnstile) = (Arc::new(target), Arc::new(community()), Turnstile::default());
    let (mut memory, mut wrong, mut spans) = (Memory::default(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let at_ms = round * 60_000;
        let visit = Visit {
            shared: Arc::clone(&shared),
            target: Arc::clone(&target),
            login: Arc::clone(&login),
            turnstile: turnstile.clone(),
            time: Timestamp(1_790_000_000_000 + i64::try_from(at_ms).unwrap()),
            at_ms,
        };
        let asked = Instant::now();
        let visited = visit.fast(memory).await;
        memory = visited.memory;
        spans.push(asked.elapsed());
        match visited.outcome {
            Outcome::Answered { samples, .. } => {
                // Rates come with the second look.
                let ports = samples.iter().filter(|sample| sample.measurement == "interface").count();
                let expected = if round == 0 { ports.max(1) } else { PORTS as usize };
                if ports < expected {
                    wrong.push(format!("{address}, round {round}: {ports} ports"));
                }
            }
            Outcome::Unanswered(trouble) => wrong.push(format!("{address}, round {round}: {trouble}")),
            Outcome::Stranger => wrong.push(format!("{address}, round {round}: another device")),
        }
    }
    (wrong, spans)
}

#[test]
fn no_device_is_falsely_silent_where_packets_are_lost_and_each_poll_ends_in_time() {
    play("p", "loss::no_device_is_falsely_silent_where_packets_are_lost_and_each_poll_ends_in_time", || {
        let polled = block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let shared = Arc::new(Shared::new(folder.path()));
            let mut polls = JoinSet::new();
            for address in addresses() {
                polls.spawn(poll(Arc::clone(&shared), address));
            }
            polls.join_all().await
        });
        let wrong: Vec<&String> = polled.iter().flat_map(|(wrong, _)| wrong).collect();
        assert!(wrong.is_empty(), "{} of {} polls: {wrong:#?}", wrong.len(), u64::from(DEVICES) * ROUNDS);
        let longest = |from: usize| polled.iter().flat_map(|(_, spans)| &spans[from..]).max().copied().unwrap();
        println!("the longest poll took {:?}, the longest but the first {:?}", longest(0), longest(1));
        assert!(longest(0) < POLL_MAX, "the longest poll took {:?}", longest(0));
    });
}
