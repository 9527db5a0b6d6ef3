//! Closets: found, accepted, asked, witnessed, silent, moved; with the real programs and simulated devices.

use std::fs;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::snmp::{COMMUNITY, Fault, PORT, Simulator, recording};
use bellwether_tests::wait;
use serde_json::Value;

use super::tickets::quick;
use super::{NO_OWN_AGENT, SOON};

/// No other test has devices in 127.1.9.0/29: its search would find them.
const SWITCH: Ipv4Addr = Ipv4Addr::new(127, 1, 9, 1);
const MOVED: Ipv4Addr = Ipv4Addr::new(127, 1, 9, 5);
const UPS: Ipv4Addr = Ipv4Addr::new(127, 1, 9, 2);

/// Two polls of a silent device with all sendings of their three questions, the echo requests, and until the rows are sent:
/// a quarter of this on a machine that has nothing else to do.
const SILENT_WITHIN: Duration = Duration::from_secs(120);

/// What closets are told by the collector; the community is a secret.
const ORDERS: &str = r#"
classes = ["closet"]
[agent.snmp]
ranges = ["127.1.9.0/29:16161"]
interval = "1s"
slow_interval = "1m"
[[agent.snmp.credential]]
name = "old gear"
community = "simulated"
"#;

fn rows(recording: &str) -> recording::Rows {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/fixtures/snmp").join(recording);
    recording::read(BufReader::new(fs::File::open(path).unwrap()), 100_000).rows
}

fn simulate(switch_at: Ipv4Addr) -> Simulator {
    let simulator = Simulator::default();
    simulator.device(switch_at, rows("aruba-switch/bad_fan.snmprec"), Fault::None);
    simulator.device(UPS, rows("apc-ups/replace_battery.snmprec"), Fault::None);
    simulator
}

fn collector() -> Collector {
    let mut collector = Collector::prepare(&format!("{NO_OWN_AGENT}\n[engine]\nfirst_sight = \"0s\"\n"));
    for folder in ["rules", "agents"] {
        fs::create_dir_all(collector.data().join(folder)).unwrap();
    }
    let pack = include_str!("../../../collector/rules/closets.toml");
    let silent = quick(pack, "snmp.silent", &[("for", "3s"), ("clear_for", "3s")]);
    // What a device is waited for does not shrink with the interval: each reading of a silent one takes a dozen seconds.
    assert!(silent.contains("readings = 3"), "{silent}");
    let silent = silent.replace("readings = 3", "readings = 2");
    fs::write(collector.data().join("rules/quick.toml"), silent).unwrap();
    let orders = collector.data().join("agents/closets.toml");
    fs::write(&orders, ORDERS).unwrap();
    fs::set_permissions(&orders, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = collector.command(&["check-config"]).one_clear_line();
    assert!(refused.contains("run `chmod 600 "), "{refused}");
    fs::set_permissions(&orders, fs::Permissions::from_mode(0o600)).unwrap();
    collector.go();
    collector
}

/// The value of the first input of this name on a page.
fn value<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    after.split('"').next()
}

/// Accepts everything that is proposed.
fn accept_all(collector: &Collector, session: &str, count: usize) {
    let page = wait::until("both devices to be proposed", SOON, || {
        let page = collector.client().get_page("/discovered", session)?.text;
        let proposed = page.matches("name=\"pick\"").count();
        (proposed == count).then_some(page.clone()).ok_or(page)
    });
    assert!(page.contains("closet-2-sw1") && page.contains("ups-2") && page.contains("PI-1"), "{page}");
    let mut fields = vec![("csrf".to_owned(), value(&page, "csrf").unwrap().to_owned())];
    for number in 1..=count {
        for name in ["key", "building", "room"] {
            let name = format!("{name}.{number}");
            let found = value(&page, &name).unwrap_or_else(|| panic!("{name} in {page}")).to_owned();
            fields.push((name, found));
        }
        fields.push(("pick".to_owned(), number.to_string()));
    }
    fields.push(("act".to_owned(), "accept".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = collector.client().post_form("/discovered", &fields, session).unwrap();
    assert_eq!(answer.location.as_deref(), Some("/discovered?accepted=2&gone=0"), "{}", answer.text);
}

/// Waits until a device's own readings come, asked at this address.
fn answers_at(collector: &Collector, host: &str, address: &str) {
    let grafana = collector.grafana_token();
    let query = format!(
        r#"SELECT last("answered") FROM "snmp" WHERE "host" = '{host}' AND "agent_host" = '{address}' GROUP BY "class", "site""#
    );
    wait::until("readings under the device's own name", SOON, || {
        let points = collector.client().points(&grafana, &query)?;
        let fits = points.iter().any(|point| point.value == true && point.tags["site"] == "Lincoln High");
        fits.then_some(()).ok_or_else(|| format!("{points:?}"))
    });
}

fn devices(collector: &Collector, token: &str) -> Vec<Value> {
    collector.client().list(token, "/api/v1/devices").unwrap()
}

fn closet(collector: &Collector, name: &str) -> Agent {
    let mut agent = Agent::enrolled(collector, "closet", name);
    agent.go();
    agent
}

#[test]
fn a_closet_finds_a_switch_which_is_accepted_asked_witnessed_falls_silent_and_moves() {
    let mut collector = collector();
    let (token, session) = (collector.api_token(), collector.log_in());
    let simulator = simulate(SWITCH);
    let mut first = closet(&collector, "PI-1");
    accept_all(&collector, &session, 2);
    answers_at(&collector, "closet-2-sw1", &format!("{SWITCH}:{PORT}"));
    answers_at(&collector, "ups-2", &format!("{UPS}:{PORT}"));
    let known = devices(&collector, &token);
    assert_eq!(known.len(), 3, "{known:?}");
    let switch = known.iter().find(|device| device["name"] == "closet-2-sw1").unwrap()["id"].as_str().unwrap();

    let mut second = closet(&collector, "PI-2");
    let page = format!("/devices/{switch}");
    let page = wait::until("a second closet to reach it, too", SOON, || {
        let page = collector.client().get_page(&page, &session)?.text;
        (page.contains("Also reached by") && page.contains("PI-2") && page.contains("Ports: 1 of 1 up"))
            .then_some(page.clone())
            .ok_or(page)
    });
    assert!(page.contains("WC.16.10.0009") && page.contains("Fan Sensor"), "{page}");
    assert_eq!(devices(&collector, &token).len(), 4, "one device, whoever finds it");

    drop(simulator);
    let silent = wait::until("a ticket of the silent switch", SILENT_WITHIN, || {
        let tickets = collector.client().list(&token, "/api/v1/tickets")?;
        let found = tickets.iter().find(|ticket| ticket["device"] == switch && ticket["category"] == "monitoring");
        found.cloned().ok_or_else(|| format!("{tickets:?}"))
    });
    assert!(silent.to_string().contains("closet-2-sw1 answers a ping, but not SNMP"), "{silent}");

    let _moved = simulate(MOVED);
    second.stop();
    first.stop();
    first.go();
    answers_at(&collector, "closet-2-sw1", &format!("{MOVED}:{PORT}"));
    assert_eq!(devices(&collector, &token).len(), 4, "a new address is no new device");
    for shown in ["/discovered", "/metrics", "/", &format!("/devices/{switch}")] {
        let text = collector.client().get_page(shown, &session).unwrap().text;
        assert!(!text.contains(COMMUNITY), "{shown}: {text}");
    }
    assert!(!collector.program().text().contains(COMMUNITY));
    assert!(!first.program().text().contains(COMMUNITY));
    first.stop();
}
