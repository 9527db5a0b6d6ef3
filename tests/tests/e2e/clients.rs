//! What switches know of people's machines, and what becomes of it: a real closet asks a simulated switch whose tables are
//! full of them. All that the agent says is looked at as it leaves TLS, and all that both sides keep, log and show: of what
//! nobody manages there is a number for each port and nothing else. Beside it hangs an access point of a cloud, which may
//! be told of: it is proposed, accepted, and pinged.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::snmp::{Simulator, recording};
use bellwether_tests::spies;
use bellwether_tests::tap::Tap;
use bellwether_tests::wait;

use super::{SOON, tree};

/// No other test has devices in 127.1.10.0/29.
const SWITCH: Ipv4Addr = Ipv4Addr::new(127, 1, 10, 1);

/// Answers pings, as all of the loopback network does, and no SNMP.
const AP_ADDRESS: &str = "127.1.10.3";
const AP: &str = "8c04ba5e7731";

/// Of people's machines: a computer that announces itself, two phones in pockets and a visitor's laptop in two VLANs.
const CLIENTS: [&str; 4] = ["3c22fb9a5ed1", "a483e7c10b4f", "f01898d35a26", "9cb6d07e41c8"];

/// Nobody's name; in the announcement of the computer, beside a port and as the contact of the switch.
const NAME: [&str; 2] = ["zebulon", "quillfeather"];

/// The networks of the clients' addresses.
const NETWORKS: [&str; 2] = ["10.66.", "2001:db8:66:"];

const CONFIG: &str = "[own_agent]\nenabled = false\n[discovery]\naccept = [\"switch\"]\n";

const ORDERS: &str = r#"
classes = ["closet"]
[agent.snmp]
ranges = ["127.1.10.0/29:16161"]
interval = "1s"
slow_interval = "1m"
[[agent.snmp.credential]]
name = "old gear"
community = "simulated"
"#;

/// The octets of an address with dots between, as tables have them in their index.
fn index(mac: &str) -> String {
    let octets = (0..6).map(|at| u8::from_str_radix(&mac[at * 2..at * 2 + 2], 16).unwrap().to_string());
    octets.collect::<Vec<_>>().join(".")
}

fn rows(lines: &[String]) -> recording::Rows {
    let read = recording::read(lines.join("\n").as_bytes(), 10_000);
    assert_eq!(read.bad, 0);
    read.rows
}

/// A forwarding table of one VLAN: addresses, each on a port.
fn learned(on: &[(&str, u32)]) -> Vec<String> {
    let mut lines: Vec<String> =
        (1..=4).map(|port| format!("1.3.6.1.2.1.17.1.4.1.2.{port}|2|{}", port + 10_100)).collect();
    for (mac, port) in on {
        lines.push(format!("1.3.6.1.2.1.17.4.3.1.1.{}|4x|{mac}", index(mac)));
        lines.push(format!("1.3.6.1.2.1.17.4.3.1.2.{}|2|{port}", index(mac)));
        lines.push(format!("1.3.6.1.2.1.17.4.3.1.3.{}|2|3", index(mac)));
    }
    lines
}

fn switch() -> Vec<String> {
    let mut lines: Vec<String> = [
        "1.3.6.1.2.1.1.1.0|4|Cisco IOS Software, C2960X Software (C2960X-UNIVERSALK9-M), Version 15.2(7)E3",
        "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.9.1.1208",
        "1.3.6.1.2.1.1.4.0|4|Zebulon Quillfeather",
        "1.3.6.1.2.1.1.5.0|4|swclients7731",
        "1.3.6.1.2.1.17.1.1.0|4x|8c04ba5e0001",
        "1.3.6.1.2.1.17.1.2.0|2|4",
        "1.3.6.1.2.1.47.1.1.1.1.5.1|2|3",
        "1.3.6.1.2.1.47.1.1.1.1.11.1|4|FOC7731X0AB",
    ]
    .map(str::to_owned)
    .to_vec();
    for port in 1..=4 {
        let index = port + 10_100;
        lines.push(format!("1.3.6.1.2.1.2.2.1.2.{index}|4|GigabitEthernet1/0/{port}"));
        lines.push(format!("1.3.6.1.2.1.2.2.1.3.{index}|2|6"));
        lines.push(format!("1.3.6.1.2.1.2.2.1.6.{index}|4x|8c04ba5e01{port:02x}"));
        lines.push(format!("1.3.6.1.2.1.2.2.1.7.{index}|2|1"));
        lines.push(format!("1.3.6.1.2.1.2.2.1.8.{index}|2|1"));
        lines.push(format!("1.3.6.1.2.1.31.1.1.1.1.{index}|4|Gi1/0/{port}"));
        lines.push(format!("1.3.6.1.2.1.31.1.1.1.18.{index}|4|desk of Zebulon Quillfeather"));
    }
    for vlan in [1, 20, 30, 1_002] {
        lines.push(format!("1.3.6.1.4.1.9.9.46.1.3.1.1.2.1.{vlan}|2|1"));
    }
    lines.extend(learned(&[(CLIENTS[0], 2)]));
    for (host, mac) in CLIENTS.iter().enumerate() {
        lines.push(format!("1.3.6.1.2.1.4.22.1.2.1.10.66.0.{host}|4x|{mac}"));
        lines.push(format!("1.3.6.1.2.1.4.22.1.3.1.10.66.0.{host}|64|10.66.0.{host}"));
        lines.push(format!("1.3.6.1.2.1.4.22.1.4.1.10.66.0.{host}|2|3"));
        let v6 = format!("1.2.16.32.1.13.184.0.102.0.0.0.0.0.0.0.0.0.{host}");
        lines.push(format!("1.3.6.1.2.1.4.35.1.4.{v6}|4x|{mac}"));
        lines.push(format!("1.3.6.1.2.1.4.35.1.6.{v6}|2|3"));
    }
    let computer = "5a4542554c4f4e2d5155494c4c464541544845522d5043";
    for (port, mac, name, capabilities) in
        [(2, CLIENTS[0], computer, "2180"), (3, CLIENTS[1], computer, "00"), (4, AP, "61706c696237373331", "3000")]
    {
        lines.push(format!("1.0.8802.1.1.2.1.3.7.1.3.{port}|4|Gi1/0/{port}"));
        lines.push(format!("1.0.8802.1.1.2.1.4.1.1.5.0.{port}.1|4x|{mac}"));
        lines.push(format!("1.0.8802.1.1.2.1.4.1.1.7.0.{port}.1|4x|{mac}"));
        lines.push(format!("1.0.8802.1.1.2.1.4.1.1.9.0.{port}.1|4x|{name}"));
        lines.push(format!("1.0.8802.1.1.2.1.4.1.1.10.0.{port}.1|4|Meraki MR36 Cloud Managed AP"));
        lines.push(format!("1.0.8802.1.1.2.1.4.1.1.12.0.{port}.1|4x|{capabilities}"));
    }
    lines.push("1.0.8802.1.1.2.1.4.2.1.3.0.2.1.1.4.10.66.0.0|2|2".to_owned());
    lines.push("1.0.8802.1.1.2.1.4.2.1.3.0.4.1.1.4.127.1.10.3|2|2".to_owned());
    lines
}

fn simulate() -> Simulator {
    let simulator = Simulator::default();
    let vlans = BTreeMap::from([
        (20, rows(&learned(&[(CLIENTS[1], 3), (CLIENTS[2], 3), (CLIENTS[3], 3), (AP, 4)]))),
        (30, rows(&learned(&[(CLIENTS[3], 3)]))),
    ]);
    simulator.device_with_vlans(SWITCH, rows(&switch()), vlans);
    simulator
}

/// The value of the first input of this name on a page.
fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, after) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    after.split('"').next().unwrap()
}

/// Everything that is said of people's machines in these bytes, in whatever notation.
fn spied(bytes: &[u8]) -> Vec<String> {
    let lowered = bytes.to_ascii_lowercase();
    let has = |part: &[u8]| lowered.windows(part.len()).any(|window| window == part);
    let mut found: Vec<String> = Vec::new();
    for mac in CLIENTS {
        let octets = || (0..6).map(|at| &mac[at * 2..at * 2 + 2]);
        let raw: Vec<u8> = octets().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
        let quads = [&mac[..4], &mac[4..8], &mac[8..]];
        let mut written = [":", "-", ".", " "].map(|between| octets().collect::<Vec<_>>().join(between)).to_vec();
        written.extend([":", "-", "."].map(|between| quads.join(between)));
        written.extend([index(mac), mac.to_owned()]);
        found.extend(written.into_iter().filter(|form| has(form.as_bytes())));
        if bytes.windows(6).any(|window| window == raw) {
            found.push(format!("{mac}, raw"));
        }
        found.extend(spies::find(bytes, mac).map(|form| format!("{mac}, {form:?}")));
    }
    found.extend(NETWORKS.iter().filter(|network| has(network.as_bytes())).map(|network| (*network).to_owned()));
    found.extend(NAME.iter().filter(|name| spies::find(bytes, name).is_some()).map(|name| (*name).to_owned()));
    found
}

fn collector() -> Collector {
    let mut collector = Collector::prepare(CONFIG);
    fs::create_dir_all(collector.data().join("agents")).unwrap();
    let orders = collector.data().join("agents/closets.toml");
    fs::write(&orders, ORDERS).unwrap();
    fs::set_permissions(&orders, fs::Permissions::from_mode(0o600)).unwrap();
    collector.go();
    collector
}

/// Waits for a page on which all of this stands.
fn page(collector: &Collector, session: &str, path: &str, wanted: &[&str]) -> String {
    wait::until(&format!("{wanted:?} on {path}"), SOON, || {
        let page = collector.client().get_page(path, session)?.text;
        let all = wanted.iter().all(|wanted| page.contains(wanted));
        all.then_some(page.clone()).ok_or(page)
    })
}

/// The access point of a cloud is proposed, accepted and pinged.
fn take_in(collector: &Collector, session: &str, switch: &str) {
    let own = page(collector, session, &format!("/devices/{switch}"), &["Hangs on it", "Gi1/0/3"]);
    // What a person says is drawn at once, and with it all the rest.
    let form = [("csrf", value(&own, "csrf")), ("switch", ""), ("port", "")];
    collector.client().post_form(&format!("/devices/{switch}/link"), &form, session).unwrap();
    let proposed = page(collector, session, "/discovered", &["aplib7731", "Cisco Meraki MR36", AP_ADDRESS]);
    assert!(proposed.contains("port <b>Gi1/0/4</b>") && proposed.contains("8c:04:ba:5e:77:31"), "{proposed}");
    let asked = page(collector, session, "/discovered?confirm=all", &["Accept 1 device?", "Access point"]);
    let form = [("csrf", value(&asked, "csrf")), ("until", value(&asked, "until")), ("act", "accept_all")];
    let answer = collector.client().post_form("/discovered", &form, session).unwrap();
    assert_eq!(answer.location.as_deref(), Some("/discovered?accepted=1&gone=0"), "{}", answer.text);
    let grafana = collector.grafana_token();
    let query = format!(
        r#"SELECT last("pings") FROM "ping_only" WHERE "host" = 'aplib7731' AND "agent_host" = '{AP_ADDRESS}' GROUP BY "class""#
    );
    wait::until("the access point to be pinged", SOON, || {
        let points = collector.client().points(&grafana, &query)?;
        let fits = points.iter().any(|point| point.value == true && point.tags["class"] == "access_point");
        fits.then_some(()).ok_or_else(|| format!("{points:?}"))
    });
}

fn clean(what: &Path, bytes: &[u8]) {
    assert_eq!(spied(bytes), Vec::<String>::new(), "in {}", what.display());
}

#[test]
fn of_people_s_machines_only_numbers_leave_a_closet_and_cloud_gear_beside_them_is_watched() {
    let mut collector = collector();
    let (token, session) = (collector.api_token(), collector.log_in());
    let _simulator = simulate();
    let mut closet = Agent::new();
    let tap = Tap::start(&collector, &closet.state());
    let secret = collector.enrol_token("Lincoln High", 1);
    let _ = closet.enrol(&tap.address.to_string(), &secret, "closet", "PI-1").success();
    closet.configure("interval = \"1s\"\nping_gateway = false\ndns_servers = false\n");
    closet.go();
    let switch = wait::until("the switch to be taken in", SOON, || {
        let known = collector.client().list(&token, "/api/v1/devices")?;
        let found = known.iter().find(|device| device["name"] == "swclients7731");
        found.and_then(|device| device["id"].as_str().map(str::to_owned)).ok_or_else(|| format!("{known:?}"))
    });
    take_in(&collector, &session, &switch);

    let path = format!("/devices/{switch}");
    // The three on port 3 are of two VLANs, and one of them is in both.
    let own = page(&collector, &session, &path, &["3 others", "1 other", "FOC7731X0AB"]);
    clean(Path::new(&path), own.as_bytes());
    for path in ["/", "/network", "/discovered", "/metrics", "/healthz"] {
        clean(Path::new(path), collector.client().get_page(path, &session).unwrap().text.as_bytes());
    }
    closet.stop();
    let heard = tap.heard();
    for told in ["swclients7731", "aplib7731", "8c:04:ba:5e:77:31", AP_ADDRESS] {
        let is_told = heard.windows(told.len()).any(|window| window == told.as_bytes());
        assert!(is_told, "what may leave is found on the wire: {told}");
    }
    clean(Path::new("the wire"), &heard);
    clean(Path::new("the agent's log"), closet.program().text().as_bytes());
    assert!(collector.program().stop().success());
    clean(Path::new("the collector's log"), collector.program().text().as_bytes());
    let kept = tree(&collector.data());
    for folder in ["journal", "series", "state.sqlite"] {
        let told = |(path, bytes): (&std::path::PathBuf, &Vec<u8>)| {
            path.starts_with(collector.data().join(folder)) && spies::find(bytes, "swclients7731").is_some()
        };
        assert!(kept.iter().any(told), "what may be kept is found in {folder}");
    }
    for (path, bytes) in kept.iter().chain(&tree(&closet.state())) {
        clean(path, bytes);
    }
}

#[test]
fn people_s_machines_would_be_found_in_whatever_notation() {
    let forms: [&[u8]; 9] = [
        b"3C:22:FB:9A:5E:D1",
        b"3c-22-fb-9a-5e-d1",
        b"3c22.fb9a.5ed1",
        b"3C22FB9A5ED1",
        b"60.34.251.154.94.209",
        &[0, 0x3c, 0x22, 0xfb, 0x9a, 0x5e, 0xd1, 7],
        b"2001:db8:66::3",
        b"ZEBULON-QUILLFEATHER-PC",
        b"at 10.66.0.1",
    ];
    for form in forms {
        assert!(!spied(form).is_empty(), "{}", String::from_utf8_lossy(form));
    }
    assert!(!spied(switch().join("\n").as_bytes()).is_empty());
    assert_eq!(spied(b"8c:04:ba:5e:77:31 at 127.1.10.3"), Vec::<String>::new());
}
