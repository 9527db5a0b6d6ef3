//! What an admin tells agents from the collector, and what names machines go by.

use std::fs;
use std::path::Path;
use std::process::Command;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};
use bellwether_tests::wait;
use serde_json::Value;

use super::{NO_OWN_AGENT, SOON, tree};

/// How the API shows one device.
fn shown(collector: &Collector, token: &str, device: &str) -> Value {
    let answer = collector.client().get("/api/v1/devices", Some(&format!("Bearer {token}"))).unwrap();
    let all: Value = serde_json::from_str(&answer.text).unwrap();
    all["devices"].as_array().unwrap().iter().find(|row| row["id"] == device).unwrap().clone()
}

fn write(collector: &Collector, text: &str) {
    let folder = collector.data().join("agents");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("all.toml"), text).unwrap();
}

fn says(collector: &Collector, token: &str, device: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, SOON, || {
        let shown = shown(collector, token, device);
        if is(&shown) { Ok(shown) } else { Err(shown.to_string()) }
    })
}

#[test]
fn what_the_admin_writes_reaches_agents_without_a_restart_and_what_is_wrong_changes_nothing() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.configure("ping_gateway = false\n");
    let device = agent.device_id();
    let token = collector.api_token();
    agent.go();
    let _ = agent.program().wait_for_line("connected to the collector", SOON);

    write(&collector, "classes = [\"desktop\"]\n[agent]\ninterval = \"1s\"\n");
    collector.program().hang_up();
    let after = says(&collector, &token, &device, "the agent to take its orders", |shown| {
        shown["configuration"]["pending"] == false && shown["configuration"]["revision"] != "0000000000000000"
    });
    assert_eq!(after["configuration"]["revision"], after["configuration"]["wanted"]);
    assert!(after["configuration"]["error"].is_null());

    // What the agent's parser refuses is not sent to anyone, and does not stop a running collector.
    write(&collector, "[agent]\ninterval = \"0s\"\n");
    collector.program().hang_up();
    let line = collector.program().wait_for_line("not understood", SOON);
    assert!(line.contains("all.toml: interval"), "{line}");
    let refused = collector.command(&["check-config"]).one_clear_line();
    assert!(refused.contains("all.toml") && refused.contains("interval") && refused.contains("expected"), "{refused}");
    assert_eq!(shown(&collector, &token, &device)["configuration"], after["configuration"]);

    // Rules decide from a start on, and whoever has changed them is told so.
    fs::remove_file(collector.data().join("agents/all.toml")).unwrap();
    let rules = include_str!("../../../collector/rules/raid.toml").replacen("title = ", "enabled = false\ntitle = ", 1);
    fs::create_dir_all(collector.data().join("rules")).unwrap();
    fs::write(collector.data().join("rules/raid.toml"), rules).unwrap();
    collector.program().hang_up();
    let _ = collector.program().wait_for_line("the rules have changed: the old ones decide until", SOON);

    // Without files every machine goes back to its own.
    says(&collector, &token, &device, "the agent's own file to be in force", |shown| {
        shown["configuration"]["revision"] == "0000000000000000" && shown["configuration"]["pending"] == false
    });
    agent.stop();
}

/// Starts the agent on a machine of this name.
fn on_a_machine_called(agent: &Agent, hostname: &str) -> Program {
    let mut command = Command::new("unshare");
    let script = format!("echo {hostname} > /proc/sys/kernel/hostname && exec \"$0\" run --state \"$1\"");
    command.args(["--uts", "sh", "-c", &script]).arg(program::built(bellwether_tests::agent::NAME)).arg(agent.state());
    Program::start("agent", &mut command)
}

/// Fails if a file below `folder` holds the word, in whatever case.
fn assert_nowhere(folder: &Path, word: &str) {
    for (path, bytes) in tree(folder) {
        let text = bytes.to_ascii_lowercase();
        let found = text.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!found, "{word} is in {}", path.display());
    }
}

#[test]
fn a_hostname_leaves_a_machine_only_if_it_looks_as_the_admin_says() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let agents: Vec<Agent> = (0..2).map(|_| Agent::new()).collect();
    for agent in &agents {
        let token = collector.enrol_token("Lincoln High", 1);
        let state = agent.state();
        let mut enrol = agent.command("enrol");
        enrol.args(["--collector", &collector.grpc.to_string(), "--token", &token, "--class", "laptop"]);
        let _ = program::run_command("enrol", &mut enrol).success();
        fs::write(state.join("agent.toml"), "interval = \"1s\"\nping_gateway = false\n").unwrap();
    }
    write(&collector, "[agent.naming]\nhostname_pattern = \"LIB-??-###\"\n");
    collector.program().hang_up();
    let token = collector.api_token();
    let mut named = on_a_machine_called(&agents[0], "LIB-A2-014");
    let mut private = on_a_machine_called(&agents[1], "Quillfeathers-Laptop");
    let device = agents[0].device_id();
    says(&collector, &token, &device, "the machine to go by its hostname", |shown| shown["name"] == "LIB-A2-014");
    let grafana = collector.grafana_token();
    let query = format!(r#"SELECT last("uptime") FROM "system" WHERE "device_id" = '{device}' GROUP BY "host""#);
    wait::until("readings under that name", SOON, || {
        let points = collector.client().points(&grafana, &query)?;
        points.iter().any(|point| point.tags["host"] == "LIB-A2-014").then_some(()).ok_or(format!("{points:?}"))
    });
    let other = agents[1].device_id();
    says(&collector, &token, &other, "the other to have the orders, too", |shown| {
        shown["configuration"]["pending"] == false && shown["presence"] == "connected"
    });
    assert_eq!(shown(&collector, &token, &other)["name"], other.as_str());
    assert!(named.stop().success() && private.stop().success());
    assert!(!collector.program().text().to_lowercase().contains("quillfeather"));
    collector.program().stop();
    assert_nowhere(&collector.data(), "quillfeather");
}
