//! What hangs on a device that is out of reach: one ticket for both, with the real programs.

use std::fs;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::wait;
use serde_json::Value;

use super::tickets::quick;
use super::{NO_OWN_AGENT, SOON};

/// Silence counts after seconds, also of what is a switch; nobody is waited for after the start.
fn collector() -> Collector {
    let mut collector = Collector::prepare(&format!("{NO_OWN_AGENT}\n[engine]\nreconnect_grace = \"1s\"\n"));
    let folder = collector.data().join("rules");
    fs::create_dir_all(&folder).unwrap();
    let pack = include_str!("../../../collector/rules/reachability.toml");
    let silence = quick(pack, "silence.server", &[("for", "4s"), ("clear_for", "3s")]);
    let silence = silence.replace("classes = [\"server\"]", "classes = [\"server\", \"switch\"]");
    assert!(silence.contains("\"switch\""), "{silence}");
    fs::write(folder.join("silence.toml"), silence).unwrap();
    collector.go();
    collector
}

fn id_of(collector: &Collector, token: &str, name: &str) -> String {
    let devices = collector.client().list(token, "/api/v1/devices").unwrap();
    let found = devices.iter().find(|device| device["name"] == name).unwrap_or_else(|| panic!("{name}: {devices:?}"));
    found["id"].as_str().unwrap().to_owned()
}

/// Sends a form of the device's page.
fn send(collector: &Collector, session: &str, device: &str, form: &str, fields: &[(&str, &str)]) {
    let path = format!("/devices/{device}");
    let page = collector.client().get_page(&path, session).unwrap().text;
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = [("csrf", after.split('"').next().unwrap())];
    let fields: Vec<(&str, &str)> = csrf.iter().chain(fields).copied().collect();
    let answer = collector.client().post_form(&format!("{path}{form}"), &fields, session).unwrap();
    assert!(answer.location.is_some(), "{} {}", answer.status, answer.text);
}

fn the_ticket(collector: &Collector, token: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, SOON, || {
        let mut tickets = collector.client().list(token, "/api/v1/tickets")?;
        tickets.retain(|ticket| ticket["category"] == "reachability");
        let found = tickets.len() == 1 && fits(&tickets[0]);
        found.then(|| tickets[0].clone()).ok_or_else(|| format!("{tickets:?}"))
    })
}

#[test]
fn a_dead_switch_has_the_one_ticket_and_names_what_hangs_on_it() {
    let mut collector = collector();
    let (token, session) = (collector.api_token(), collector.log_in());
    let mut switch = Agent::enrolled(&collector, "server", "SW-1");
    let mut server = Agent::enrolled(&collector, "server", "SRV-1");
    switch.go();
    server.go();
    wait::until("both to be seen", SOON, || {
        let devices = collector.client().list(&token, "/api/v1/devices")?;
        let seen = devices.iter().filter(|device| !device["last_seen_at"].is_null()).count();
        (seen == 2).then_some(()).ok_or_else(|| format!("{devices:?}"))
    });
    let (behind, above) = (id_of(&collector, &token, "SRV-1"), id_of(&collector, &token, "SW-1"));
    let edited =
        [("name", "SW-1"), ("building", "Lincoln High"), ("class", "switch"), ("room", ""), ("state", "in_use")];
    send(&collector, &session, &above, "", &edited);
    send(&collector, &session, &behind, "/link", &[("switch", &above), ("port", "7")]);

    server.program().kill();
    switch.program().kill();
    let open = the_ticket(&collector, &token, "the server to be named on the switch's ticket", |ticket| {
        ticket["device_name"] == "SW-1" && ticket["out_of_reach"].as_array().is_some_and(|behind| behind.len() == 1)
    });
    assert_eq!(open["out_of_reach"][0]["name"], "SRV-1");
    assert!(open["out_of_reach"][0]["back_at"].is_null(), "{open}");
    let page = collector.client().get_page(&format!("/tickets/{}", open["number"]), &session).unwrap().text;
    assert!(page.contains("Out of reach with it") && page.contains("SRV-1"), "{page}");
    let list = collector.client().get_page("/tickets", &session).unwrap().text;
    assert!(list.contains("1 device out of reach with it"), "{list}");

    // The collector forgets nothing of it when it starts again.
    collector.program().kill();
    collector.go();
    switch.go();
    server.go();
    let resolved = the_ticket(&collector, &token, "the same ticket to be over", |ticket| {
        ticket["state"] == "resolved" && !ticket["out_of_reach"][0]["back_at"].is_null()
    });
    assert_eq!(resolved["number"], open["number"]);
    server.stop();
    switch.stop();
}
