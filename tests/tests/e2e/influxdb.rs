//! An InfluxDB as the store: the real ones, while they are killed, away and back, and InfluxDB's clients before ours.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::now_ms;
use bellwether_tests::influxdb::Server;
use bellwether_tests::program;
use bellwether_tests::wait;
use serde_json::Value;

use super::{NO_OWN_AGENT, SOON};

fn config(kind: &str, server: &Server) -> String {
    let address = server.address;
    format!(
        "{NO_OWN_AGENT}[store]\nkind = \"{kind}\"\n[store.influxdb]\nurl = \"http://{address}\"\nbucket = \"health\"\n"
    )
}

fn rows(series: &Value) -> Vec<Value> {
    series[0]["values"].as_array().cloned().unwrap_or_default()
}

/// Writes lines to the collector's own `/write`, as another program does.
fn write(collector: &Collector, token: &str, database: &str, lines: &str) -> Result<(), String> {
    let url = format!("http://{}/write?db={database}&precision=ms", collector.http);
    let authorization = format!("Authorization: Token {token}");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-o", "-", "-w", "%{http_code}", "-H", &authorization, "--data-binary", lines, &url]);
    let text = program::run_command("curl", &mut curl).success();
    if text.trim() == "204" { Ok(()) } else { Err(text) }
}

fn manage(collector: &Collector, token: &str, statement: &str) {
    let url = format!("/query?q={}", statement.replace(' ', "+"));
    let answer = collector.client().get(&url, Some(&format!("Token {token}"))).unwrap();
    assert!(answer.status == 200 && !answer.text.contains("error"), "{answer:?}");
}

#[test]
fn an_influxdb_that_was_killed_and_came_back_has_everything_that_the_embedded_store_has() {
    let mut influxd = Server::influxd();
    let mut collector = Collector::start(&config("both", &influxd));
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.configure("interval = \"1s\"\nping_gateway = false\n");
    agent.go();
    let count = "SELECT count(used_percent) FROM mem";
    wait::until("the first readings in influxd, which made its database", SOON, || {
        let found = rows(&influxd.ask("health", count)?);
        if found.is_empty() { Err("none yet".to_owned()) } else { Ok(()) }
    });
    influxd.program().kill();
    let killed = now_ms();
    let cookie = collector.log_in();
    wait::until("the admin to be told", SOON, || {
        let page = collector.client().get_page("/", &cookie)?.text;
        if page.contains("influxdb: ") && page.contains("PC-1") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    collector.program().kill();
    collector.go();
    let (token, values) =
        (collector.grafana_token(), "SELECT used_percent, total FROM mem WHERE host = 'PC-1' AND time < ");
    wait::until("readings after the kill of both", SOON, || {
        let after = collector.client().query(&token, &format!("{count} WHERE time > {}ms", now_ms() - 3_000))?;
        if rows(&after["results"][0]["series"]).is_empty() { Err("none".to_owned()) } else { Ok(()) }
    });
    influxd.go();
    let until = now_ms();
    let question = format!("{values} {until}ms GROUP BY *");
    let same = wait::until("the same in both", SOON, || {
        let ours = rows(&collector.client().query(&token, &question)?["results"][0]["series"]);
        let theirs = rows(&influxd.ask("health", &question)?);
        if ours == theirs { Ok(ours) } else { Err(format!("{} here, {} there", ours.len(), theirs.len())) }
    });
    assert!(same.iter().any(|row| row[0].as_i64().unwrap() > killed), "some were read while it was away");
    let healthz = || collector.client().get("/healthz", None);
    wait::until("all to be well", SOON, || match healthz()?.text.as_str() {
        "ok\n" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
fn pages_and_queries_are_answered_by_the_influxdb_that_keeps_the_series() {
    let mut influxd = Server::influxd();
    let collector = Collector::start(&config("influxdb", &influxd));
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.configure("interval = \"1s\"\nping_gateway = false\n");
    agent.go();
    let token = collector.grafana_token();
    wait::until("readings by our own /query", SOON, || {
        let answer = collector.client().query(&token, "SELECT last(used_percent) FROM mem")?;
        if rows(&answer["results"][0]["series"]).is_empty() { Err("none yet".to_owned()) } else { Ok(()) }
    });
    let cookie = collector.log_in();
    let page = format!("/devices/{}", agent.device_id());
    wait::until("readings on the page", SOON, || {
        let text = collector.client().get_page(&page, &cookie)?.text;
        if text.contains("Live readings") { Ok(()) } else { Err("none yet".to_owned()) }
    });
    // What others write finds its place there too, and a deletion follows it.
    let admin = collector.api_token();
    manage(&collector, &admin, "CREATE DATABASE meters");
    write(&collector, &admin, "meters", "boiler celsius=20.5 1700000000000\nboiler celsius=21 1700000001000").unwrap();
    wait::until("others' points", SOON, || {
        let found = rows(&influxd.ask("meters", "SELECT celsius FROM boiler")?);
        if found.len() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    manage(&collector, &admin, "DROP DATABASE meters");
    wait::until("the database to be gone", SOON, || match influxd.ask("meters", "SELECT celsius FROM boiler") {
        Err(error) if error.contains("database not found") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    influxd.program().kill();
    wait::until("the page to say so", SOON, || {
        let text = collector.client().get_page(&page, &cookie)?.text;
        if text.contains("No readings can be shown just now") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let away = collector.client().query(&token, "SELECT last(used_percent) FROM mem").unwrap_err();
    assert!(away.contains("does not answer"), "{away}");
}

/// Points of one write, and writes.
const POINTS: i64 = 100;
const WRITES: i64 = 60;

#[test]
fn every_acknowledged_point_is_in_a_victoria_metrics_that_was_stopped_and_started_in_the_stream() {
    let mut server = Server::victoria_metrics();
    let collector = Collector::start(&config("both", &server));
    let admin = collector.api_token();
    manage(&collector, &admin, "CREATE DATABASE meters");
    let began = now_ms() - 3_600_000;
    for number in 0..WRITES {
        let at = |point: i64| began + (number * POINTS + point) * 100;
        let lines: String =
            (0..POINTS).map(|point| format!("boiler,room=B\\ 12 celsius={point} {}\n", at(point))).collect();
        write(&collector, &admin, "meters", &lines).unwrap();
        // It keeps what it has just acknowledged in memory for a few seconds: it is asked to stop, not killed.
        match number {
            15 | 40 => drop(server.program().stop()),
            25 | 50 => server.go(),
            _ => {}
        }
    }
    let expected: std::collections::BTreeSet<i64> = (0..WRITES * POINTS).map(|point| began + point * 100).collect();
    wait::until("all distinct times", Duration::from_secs(120), || {
        let times = server.times("boiler_celsius")?;
        if times == expected { Ok(()) } else { Err(format!("{} of {}", times.len(), expected.len())) }
    });
    let figures = collector.client().get("/metrics", None).unwrap().text;
    assert!(figures.contains("bellwether_influxdb_total{what=\"points\"}"), "{figures}");
}

#[test]
fn the_influxdb2_crate_writes_to_the_collector_as_to_an_influxdb() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/debug/influxdb2-client");
    assert!(client.exists(), "{} is not built: run tests/run", client.display());
    let collector = Collector::start(NO_OWN_AGENT);
    let admin = collector.api_token();
    manage(&collector, &admin, "CREATE DATABASE meters");
    let url = format!("http://{}", collector.http);
    let printed =
        program::run_command("influxdb2-client", Command::new(&client).args([&url, "meters", &admin])).success();
    assert_eq!(printed.trim(), "200");
    let ask = |question: &str| {
        let url = format!("/query?db=meters&epoch=s&q={}", question.replace(' ', "+").replace('"', "%22"));
        let answer = collector.client().get(&url, Some(&format!("Token {admin}"))).unwrap();
        serde_json::from_str::<Value>(&answer.text).unwrap()["results"][0]["series"].clone()
    };
    let all = &rows(&ask("SELECT count(cycles), sum(cycles) FROM boiler WHERE room = 'B 12'"))[0];
    assert_eq!((&all[1], &all[2]), (&200.into(), &19_900.into()));
    let first = &rows(&ask("SELECT celsius, cycles, note, \"on\" FROM boiler LIMIT 1"))[0];
    assert_eq!(*first, serde_json::json!([1_700_000_000, 20.5, 0, "it's \"fine\"", true]));
    let refused = program::run_command("influxdb2-client", Command::new(&client).args([&url, "meters", "guess"]));
    assert!(!refused.status.success() && refused.text.contains("401"), "{}", refused.text);
}
