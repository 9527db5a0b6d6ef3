//! Grafana's boards against a running collector: every query, with its variables expanded as Grafana does, must answer
//! with values. And the boards themselves: what a person should find on each panel.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::now_ms;
use bellwether_tests::grafana::{self, View};
use bellwether_tests::wait;
use serde_json::Value;

/// For the slowest answer: a rate needs several readings, and the ping its first round.
const LIMIT: Duration = Duration::from_secs(90);

/// Grafana's columns.
const WIDTH: u64 = 24;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

fn boards() -> Vec<(String, Value)> {
    let files = fs::read_dir(folder()).unwrap().map(|it| it.unwrap().path());
    let boards = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    let boards: Vec<_> = boards.map(read).collect();
    assert!(!boards.is_empty());
    boards
}

fn panels(board: &Value) -> &Vec<Value> {
    board["panels"].as_array().unwrap()
}

#[test]
fn every_query_of_every_board_answers_with_values() {
    let collector = Collector::start("[own_agent]\ninterval = \"1s\"\n");
    let mut agent = Agent::enrolled(&collector, "server", "SRV 1/a");
    // A target that is always there: not every machine has a gateway that answers.
    let target = "[[ping]]\nname = \"self\"\naddress = \"127.0.0.1\"\n";
    agent.configure(&format!("interval = \"1s\"\n{target}"));
    agent.go();
    let token = collector.grafana_token();
    let chosen: [&[(&str, &[&str])]; 3] = [
        &[],
        &[("host", &["SRV 1/a"]), ("site", &["Lincoln High"])],
        &[("host", &["SRV 1/a", "nobody.else"]), ("site", &["Lincoln High", "Main building"])],
    ];
    for (name, board) in boards() {
        for values in chosen {
            wait::until(&format!("values for every query of {name} with {values:?}"), LIMIT, || {
                let view = View { from_ms: now_ms() - 3_600_000, to_ms: now_ms(), interval_ms: 10_000 };
                let mut silent = Vec::new();
                for query in grafana::queries(&board, view, values) {
                    // An error may be one for a moment: a measurement that nobody has sent yet.
                    match collector.client().points(&token, &query.text) {
                        Ok(points) if !points.is_empty() => {}
                        other => silent.push(format!("{}: {}\n  {other:?}", query.of, query.text)),
                    }
                }
                if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
            });
        }
    }
    agent.stop();
}

#[test]
fn every_panel_asks_a_question_and_says_what_to_do() {
    for (name, board) in boards() {
        let mut ids = BTreeSet::new();
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            assert!(title.ends_with('?'), "{name}: {title}");
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 40 && description.ends_with('.'), "{name}: {title}: {description}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: its id is taken");
            assert_eq!(panel["datasource"]["uid"], "${source}", "{name}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].is_string() && defaults["thresholds"]["steps"].is_array(), "{name}: {title}");
            for target in panel["targets"].as_array().unwrap() {
                let query = target["query"].as_str().unwrap();
                assert!(query.contains("$timeFilter"), "{name}: {title}: shows all time");
                assert!(
                    query.contains("/^$host$/") && query.contains("/^$site$/"),
                    "{name}: {title}: ignores a choice"
                );
            }
        }
    }
}

#[test]
fn no_panel_lies_on_another() {
    for (name, board) in boards() {
        let mut cells = BTreeSet::new();
        for panel in panels(&board) {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= WIDTH, "{name}: {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{name}: {} overlaps", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn grafana_is_provisioned_with_what_the_boards_ask_for() {
    let read = |path: &str| fs::read_to_string(folder().join("provisioning").join(path)).unwrap();
    let source = read("datasources/bellwether.yaml");
    for line in ["type: influxdb", "dbName: bellwether", "httpHeaderName1: Authorization", "uid: bellwether"] {
        assert!(source.contains(line), "{line}");
    }
    assert!(!source.contains('\t') && !read("dashboards/bellwether.yaml").contains('\t'), "YAML has no tabs");
}
