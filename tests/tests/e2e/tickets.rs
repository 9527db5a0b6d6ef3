//! From a fault to a ticket and back, with rules of short durations.

use std::fs;
use std::time::Duration;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::wait;
use serde_json::Value;

use super::disks::Small;
use super::{NO_OWN_AGENT, SOON};

/// A rule as shipped but for its durations.
pub(super) fn quick(rules: &str, id: &str, durations: &[(&str, &str)]) -> String {
    let pack: toml::Table = toml::from_str(rules).unwrap();
    let rules = pack["rule"].as_array().unwrap();
    let mut rule = rules.iter().find(|rule| rule["id"].as_str() == Some(id)).unwrap().clone();
    let check = rule["check"].as_table_mut().unwrap();
    let kind = check.keys().next().unwrap().clone();
    for (key, value) in durations {
        check[&kind].as_table_mut().unwrap().insert((*key).to_owned(), (*value).into());
    }
    let mut pack = toml::Table::new();
    pack.insert("format".to_owned(), 1.into());
    pack.insert("rule".to_owned(), vec![rule].into());
    toml::to_string(&pack).unwrap()
}

/// A collector with short durations in its rules folder.
pub(super) fn collector() -> Collector {
    // Its devices are no news: what is wrong is work at once.
    let mut collector = Collector::prepare(&format!("{NO_OWN_AGENT}\n[engine]\nfirst_sight = \"0s\"\n"));
    let folder = collector.data().join("rules");
    fs::create_dir_all(&folder).unwrap();
    let disk = quick(
        include_str!("../../../collector/rules/disks.toml"),
        "disk.full.server",
        &[("for", "2s"), ("clear_for", "3s")],
    );
    let silence = quick(
        include_str!("../../../collector/rules/reachability.toml"),
        "silence.server",
        &[("for", "4s"), ("clear_for", "3s")],
    );
    fs::write(folder.join("disk.toml"), disk).unwrap();
    fs::write(folder.join("silence.toml"), silence).unwrap();
    collector.go();
    collector
}

/// The tickets of one category: the disks of this machine are its own, and may be worth one, too.
fn tickets(collector: &Collector, token: &str, category: &str) -> Result<Vec<Value>, String> {
    let mut tickets = collector.client().list(token, "/api/v1/tickets")?;
    tickets.retain(|ticket| ticket["category"] == category);
    Ok(tickets)
}

pub(super) fn one_ticket(
    collector: &Collector,
    token: &str,
    (category, state): (&str, &str),
    limit: Duration,
) -> Value {
    wait::until(&format!("one ticket that is {state}"), limit, || {
        let tickets = tickets(collector, token, category)?;
        let fits = tickets.len() == 1 && tickets[0]["state"] == state;
        fits.then(|| tickets[0].clone()).ok_or_else(|| format!("{tickets:?}"))
    })
}

#[test]
fn a_full_disk_opens_one_ticket_and_freeing_it_resolves_it() {
    let mut collector = collector();
    let small = Small::mount(collector.room());
    let path = small.mounted.to_str().unwrap();
    let mut agent = Agent::enrolled(&collector, "server", "SRV-1");
    agent.configure(&format!(
        "interval = \"1s\"\nping_gateway = false\ndns_servers = false\n[disk]\nmounts = [\"{path}\"]\n"
    ));
    agent.go();
    let token = collector.api_token();
    let series = format!(r#"SELECT last("used_percent") FROM "disk" WHERE "path" = '{path}'"#);
    let grafana = collector.grafana_token();
    wait::until("the disk to be seen", SOON, || match collector.client().points(&grafana, &series)?.len() {
        0 => Err("not yet".to_owned()),
        _ => Ok(()),
    });
    assert!(tickets(&collector, &token, "disk").unwrap().is_empty());
    small.fill();
    let open = one_ticket(&collector, &token, ("disk", "new"), SOON);
    let title = open["lines"][0]["title"].as_str().unwrap_or_default();
    assert!(title.contains("SRV-1") && title.contains(path), "{open}");
    small.free();
    let resolved = one_ticket(&collector, &token, ("disk", "resolved"), SOON);
    assert_eq!(open["number"], resolved["number"]);
    // And once more: the same ticket comes back, no second one.
    small.fill();
    let reopened = wait::until("the ticket to reopen", SOON, || {
        let tickets = tickets(&collector, &token, "disk")?;
        let fits = tickets.len() == 1 && tickets[0]["state"] != "resolved";
        fits.then(|| tickets[0].clone()).ok_or_else(|| format!("{tickets:?}"))
    });
    assert_eq!(open["number"], reopened["number"]);
    agent.stop();
    replayed_the_same(&mut collector, &token);
}

#[test]
fn a_killed_server_opens_one_ticket_and_a_stopped_one_none() {
    let mut collector = collector();
    let token = collector.api_token();
    let mut stopped = Agent::enrolled(&collector, "server", "SRV-STOPPED");
    let mut killed = Agent::enrolled(&collector, "server", "SRV-KILLED");
    stopped.go();
    killed.go();
    wait::until("both to be seen", SOON, || {
        let devices = collector.client().list(&token, "/api/v1/devices")?;
        let seen = devices.iter().filter(|it| !it["last_seen_at"].is_null()).count();
        (seen == 2).then_some(()).ok_or_else(|| format!("{devices:?}"))
    });
    stopped.stop();
    killed.program().kill();
    // Beyond the two minutes after its start in which a collector holds nobody's silence against them.
    let open = one_ticket(&collector, &token, ("reachability", "new"), Duration::from_secs(200));
    assert!(open.to_string().contains("SRV-KILLED"), "{open}");
    wait::holds("one ticket", Duration::from_secs(8), || match tickets(&collector, &token, "reachability")?.len() {
        1 => Ok(()),
        more => Err(format!("{more}")),
    });
    killed.go();
    let resolved = one_ticket(&collector, &token, ("reachability", "resolved"), SOON);
    assert_eq!(open["number"], resolved["number"]);
    killed.stop();
    replayed_the_same(&mut collector, &token);
}

/// Everything that deciding has made is thrown away; the journal, played again, makes the same.
pub(super) fn replayed_the_same(collector: &mut Collector, token: &str) {
    let list = |collector: &Collector, what: &str| collector.client().list(token, what);
    let ours = |collector: &Collector| (list(collector, "/api/v1/tickets"), list(collector, "/api/v1/devices"));
    let before = ours(collector);
    assert!(before.0.as_ref().is_ok_and(|tickets| !tickets.is_empty()));
    assert!(collector.program().stop().success());
    let database = rusqlite::Connection::open(collector.data().join("state.sqlite")).unwrap();
    // In earnest nobody can take a history away, this test no more than anybody.
    database.execute("DELETE FROM ticket_events", []).unwrap_err();
    database.execute("DROP TRIGGER ticket_events_stay", []).unwrap();
    for table in ["ticket_events", "tickets", "devices", "standings", "receipts", "cursors", "engine"] {
        database.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    drop(database);
    collector.go();
    wait::until("the replay", SOON, || {
        let after = ours(collector);
        let same = seen_by_people(&before) == seen_by_people(&after);
        same.then_some(()).ok_or_else(|| format!("{after:?}\ninstead of {before:?}"))
    });
}

type Lists = (Result<Vec<Value>, String>, Result<Vec<Value>, String>);

/// The tickets whole, and of the devices what does not change by the restart itself.
fn seen_by_people((tickets, devices): &Lists) -> (Option<&Vec<Value>>, Vec<Value>) {
    let steady = |device: &Value| {
        let mut device = device.clone();
        if let Some(fields) = device.as_object_mut() {
            fields.remove("presence");
        }
        device
    };
    (tickets.as_ref().ok(), devices.iter().flatten().map(steady).collect())
}
