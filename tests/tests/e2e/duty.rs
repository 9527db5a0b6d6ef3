//! Who has a ticket, how soon, and what people do to it, over real HTTP.

use std::fs;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::wait;
use serde_json::{Value, json};

use super::SOON;
use super::disks::Small;
use super::tickets::{collector, one_ticket, replayed_the_same};

const MATRIX: &str = "coordinator = \"pat\"\n[[person]]\nlogin = \"kim\"\n[[person]]\nlogin = \"pat\"\n\
                      [[person]]\nlogin = \"ana\"\nlane = \"ed_tech\"\n[[owner]]\nwho = \"WHO\"\n";

/// Writes who has everything, and has the collector read its files again.
fn give(collector: &mut Collector, who: &str) {
    fs::write(collector.data().join("responsibilities.toml"), MATRIX.replace("WHO", who)).unwrap();
    collector.program().hang_up();
}

fn coordinator(collector: &Collector, token: &str) -> Result<Value, String> {
    let answer = collector.client().get("/api/v1/responsibilities", Some(&format!("Bearer {token}")))?;
    serde_json::from_str(&answer.text).map_err(|error| format!("{error}: {}", answer.text))
}

fn owner_is(collector: &Collector, token: &str, who: &str) {
    wait::until(&format!("the ticket to be {who}'s"), SOON, || {
        let tickets = collector.client().list(token, "/api/v1/tickets?state=open")?;
        let fits = tickets.iter().any(|ticket| ticket["handling"]["owner"]["key"] == who);
        fits.then_some(()).ok_or_else(|| format!("{tickets:?}"))
    });
}

#[test]
fn a_ticket_is_handed_over_worked_on_and_closed_by_those_who_may_and_a_replay_says_the_same() {
    let mut collector = collector();
    give(&mut collector, "kim");
    let admin = collector.api_token();
    let kim = collector.api_token_of("technician", "kim");
    let viewer = collector.api_token_of("viewer", "wall display");
    wait::until("the responsibilities to be read", SOON, || {
        let said = coordinator(&collector, &viewer)?;
        (said["coordinator"] == "pat").then_some(()).ok_or_else(|| said.to_string())
    });
    let small = Small::mount(collector.room());
    let path = small.mounted.to_str().unwrap();
    let mut agent = Agent::enrolled(&collector, "server", "SRV-1");
    agent.configure(&format!(
        "interval = \"1s\"\nping_gateway = false\ndns_servers = false\n[disk]\nmounts = [\"{path}\"]\n"
    ));
    agent.go();
    small.fill();
    let open = one_ticket(&collector, &admin, ("disk", "new"), SOON);
    let number = open["number"].as_u64().unwrap();
    assert_eq!(open["handling"]["owner"]["key"], "kim", "{open}");
    assert_eq!(open["handling"]["owner"]["via"], "everything (line 9 of responsibilities.toml)");
    assert!(open["handling"]["priority"].as_str().is_some_and(|it| it.starts_with('P')), "{open}");
    assert!(open["handling"]["response"]["due_at"].is_string(), "{open}");

    // A file that hands machine-made work to those who teach is refused, and what stood before stands.
    give(&mut collector, "ana");
    wait::until("the fault to be shown", SOON, || {
        let said = coordinator(&collector, &viewer)?;
        let why = said["trouble"].as_str().unwrap_or_default().to_owned();
        why.contains("line 10: `who = \"ana\"`: `ana` is of the lane `ed_tech`").then_some(()).ok_or(why)
    });
    owner_is(&collector, &viewer, "kim");
    give(&mut collector, "pat");
    owner_is(&collector, &viewer, "pat");

    let act = |token: &str, what: Value| {
        let answer = collector.client().post_json(&format!("/api/v1/tickets/{number}/act"), token, &what).unwrap();
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        (answer.status, body)
    };
    assert_eq!(act(&viewer, json!({ "do": "comment", "text": "hm" })).0, 403);
    assert_eq!(act(&kim, json!({ "do": "assign", "to": "kim" })).0, 403);
    assert_eq!(act(&kim, json!({ "do": "dance" })).0, 400);
    let (status, taken) = act(&kim, json!({ "do": "start" }));
    assert_eq!((status, taken["state"].as_str(), taken["assignee"].as_str()), (200, Some("in_progress"), Some("kim")));
    let (status, refused) = act(&kim, json!({ "do": "resume" }));
    assert_eq!((status, refused["detail"].as_str()), (409, Some("this ticket does not wait for anything")));
    let (_, waits) = act(&kim, json!({ "do": "wait", "for": "vendor", "text": "case 4711" }));
    assert_eq!((waits["state"].as_str(), &waits["handling"]["due_at"]), (Some("waiting"), &Value::Null));
    assert_eq!(waits["handling"]["waiting"]["text"], "case 4711");
    let (_, chosen) = act(&kim, json!({ "do": "priority", "priority": "P1", "note": "the board looks at it" }));
    assert_eq!(chosen["handling"]["priority"], "P1");
    let close = json!({ "do": "close", "fault": "full", "action": "freed", "minutes": 5, "cost_cents": 1250 });
    let (_, closed) = act(&kim, close);
    assert_eq!((closed["state"].as_str(), closed["repair"]["cost_cents"].as_u64()), (Some("closed"), Some(1250)));

    let history =
        collector.client().get(&format!("/api/v1/tickets/{number}/history"), Some(&format!("Bearer {viewer}")));
    let history: Value = serde_json::from_str(&history.unwrap().text).unwrap();
    let entries = history["history"].as_array().unwrap();
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["sequence"].as_u64()).collect();
    assert_eq!(numbers, (1..=history["total"].as_u64().unwrap()).collect::<Vec<_>>(), "{history}");
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["opened", "routed", "started", "waits", "priority_chosen", "closed"], "{history}");
    assert!(entries[0]["detail"].as_str().is_some_and(|it| it.contains("kim is responsible")), "{history}");
    agent.stop();
    replayed_the_same(&mut collector, &admin);
}
