//! Echo requests and traceroutes through real kernels: network namespaces joined by virtual cables, with a router that
//! loses packets and a way that ends. Needs root, as making namespaces does.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bellwether_agent::config::Config;
use bellwether_agent::probe::Probe;
use bellwether_agent::probe::patrol::{Job, Patrol};
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

/// Set in the copy of this test that runs inside the first namespace.
const INSIDE: &str = "BELLWETHER_TEST_NAMESPACE";

/// A chain of namespaces `{0}` - `{1}` - `{2}`; the one before each is its default gateway.
struct Chain {
    names: [String; 3],
}

fn run(words: &str) {
    let mut parts = words.split_whitespace();
    let status = Command::new(parts.next().unwrap()).args(parts).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "`{words}` (as root?): {status:?}");
}

impl Chain {
    fn new(mark: &str) -> Self {
        let names = [0, 1, 2].map(|number| format!("bw{}{mark}{number}", std::process::id()));
        let chain = Self { names };
        let [one, two, three] = &chain.names;
        for name in &chain.names {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        for (near, far, net) in [(one, two, 1), (two, three, 2)] {
            run(&format!("ip -n {near} link add right type veth peer name left netns {far}"));
            run(&format!("ip -n {near} addr add 10.78.{net}.1/24 dev right"));
            run(&format!("ip -n {far} addr add 10.78.{net}.2/24 dev left"));
            run(&format!("ip -n {near} link set right up"));
            run(&format!("ip -n {far} link set left up"));
        }
        run(&format!("ip -n {one} route add default via 10.78.1.2"));
        run(&format!("ip -n {three} route add default via 10.78.2.1"));
        run(&format!("ip netns exec {two} sysctl -qw net.ipv4.ip_forward=1"));
        run(&format!("ip -n {two} route add 10.99.0.0/16 via 10.78.2.2"));
        run(&format!("ip netns exec {three} sysctl -qw net.ipv4.ip_forward=1"));
        chain
    }

    /// Runs one test of this file again, in the first namespace.
    fn inside(&self, test: &str) {
        let status = Command::new("ip")
            .args(["netns", "exec", &self.names[0]])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(status.unwrap().success(), "{test} failed inside the namespace");
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Looks at the targets until `rows` rows are there.
fn look(text: &str, rows: usize) -> Vec<Sample> {
    let config = Config::parse(std::path::Path::new("agent.toml"), text).unwrap();
    let probes: Vec<Arc<Probe>> = config.probes.into_iter().map(Arc::new).collect();
    let name_of = |address: std::net::IpAddr| (address.to_string() == "10.78.1.2").then(|| "gateway".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut patrol = Patrol::default();
        for (id, probe) in (0..).zip(probes) {
            let interval = Duration::from_secs(60);
            assert!(patrol.begin(Job { id, probe, at: Timestamp(0), interval, of_round: true }));
        }
        let mut samples = Vec::new();
        while samples.len() < rows {
            let done = tokio::time::timeout(Duration::from_secs(60), patrol.next(name_of)).await.unwrap();
            assert_eq!(done.problem, None);
            samples.extend(done.samples);
        }
        samples
    })
}

fn value(sample: &Sample, field: &str) -> Option<Value> {
    sample.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone())
}

fn number(sample: &Sample, field: &str) -> i64 {
    match value(sample, field) {
        Some(Value::Integer(number)) => number,
        other => panic!("{field} of {sample:?}: {other:?}"),
    }
}

#[test]
fn a_line_that_loses_a_fifth_is_told_as_such() {
    if !is_inside() {
        let chain = Chain::new("l");
        let two = &chain.names[1];
        run(&format!("ip netns exec {two} nft add table inet f"));
        run(&format!("ip netns exec {two} nft add chain inet f in {{ type filter hook input priority 0 ; }}"));
        run(&format!("ip netns exec {two} nft add rule inet f in ip protocol icmp numgen random mod 100 < 20 drop"));
        return chain.inside("a_line_that_loses_a_fifth_is_told_as_such");
    }
    let target = |number: u32| {
        format!(
            "[[probe]]\nkind = \"ping\"\nname = \"t{number}\"\naddress = \"10.78.1.2\"\ncount = 20\ntimeout = \"500ms\"\n"
        )
    };
    let rows = look(&(0..50).map(target).collect::<String>(), 50);
    let sum = |field| rows.iter().map(|row| number(row, field)).sum::<i64>();
    let (sent, received) = (sum("packets_transmitted"), sum("packets_received"));
    // A thousand requests, of which 200 are lost: five standard deviations are 63.
    assert_eq!(sent, 1_000);
    assert!((737..=863).contains(&received), "{received} of {sent}");
}

#[test]
fn a_way_that_ends_is_told_to_its_last_router() {
    if !is_inside() {
        return Chain::new("t").inside("a_way_that_ends_is_told_to_its_last_router");
    }
    // The third knows no way to it and says so; nobody has the other, and the second is on the same cable.
    let rows = look(
        "[[ping]]\nname = \"nowhere\"\naddress = \"10.99.0.1\"\n[[ping]]\nname = \"gateway-alive\"\naddress = \"10.78.1.2\"\n\
         [[ping]]\nname = \"server-gone\"\naddress = \"10.78.2.77\"\n",
        5,
    );
    let row = |measurement: &str, name: &str| {
        let row = rows.iter().find(|row| row.measurement == measurement && row.target == name);
        row.unwrap_or_else(|| panic!("{measurement} of {name} in {rows:?}"))
    };
    assert_eq!(number(row("ping", "gateway-alive"), "result_code"), 0);
    assert_eq!(number(row("ping", "server-gone"), "result_code"), 1);
    let gone = row("traceroute", "server-gone");
    assert_eq!(number(gone, "last_hop"), 1, "{gone:?}");
    assert_eq!(value(gone, "last_hop_name"), Some(Value::Text("gateway".to_owned())));
    assert_eq!(value(gone, "reached"), Some(Value::Boolean(false)));
    let nowhere = row("traceroute", "nowhere");
    assert!([1, 2].contains(&number(nowhere, "last_hop")), "{nowhere:?}");
    assert!(!format!("{rows:?}").contains("10.78."), "addresses stay");
}
