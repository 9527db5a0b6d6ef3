//! The first minutes: what a person sees who has never seen it before.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};
use bellwether_tests::{agent, wait};

use super::{NO_OWN_AGENT, SOON};

/// As it stands in the promise.
const LIVE: &str =
    r#"SELECT mean("usage_idle") FROM "cpu" WHERE time > now() - 1m GROUP BY time(10s), "host" fill(none)"#;

#[test]
fn a_fresh_collector_shows_live_points_of_its_own_machine_within_a_minute() {
    let begun = Instant::now();
    let mut collector = Collector::prepare("");
    collector.spawn();
    collector.wait_until_ready();
    let token = collector.grafana_token();
    let points = wait::until("this machine's points", Duration::from_secs(60), || {
        let points = collector.client().points(&token, LIVE)?;
        if points.is_empty() { Err("none yet".to_owned()) } else { Ok(points) }
    });
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(points.iter().all(|point| point.tags["host"].as_str().is_some_and(|host| !host.is_empty())));
    let idle = points[0].value.as_f64().unwrap();
    assert!((0.0..=100.0).contains(&idle), "{idle}");

    let itself = "SELECT disk_free_percent, engine_behind_bytes FROM collector WHERE time > now() - 1m";
    let measured = wait::until("the collector's word on itself", Duration::from_secs(60), || {
        let points = collector.client().points(&token, itself)?;
        if points.is_empty() { Err("none yet".to_owned()) } else { Ok(points) }
    });
    let free = measured.iter().find(|point| point.column == "disk_free_percent").unwrap().value.as_f64().unwrap();
    assert!((0.0..=100.0).contains(&free), "{free}");

    let banner = collector.program().text();
    assert!(banner.contains(&format!("http://{}", collector.http)), "{banner}");
    assert!(banner.contains("/welcome/"), "{banner}");
    for name in ["first-login.txt", "grafana.token"] {
        let mode = std::fs::metadata(collector.data().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(collector.program().stop().success(), "{}", collector.program().text());
}

#[test]
fn a_second_agent_by_the_printed_command_appears_in_the_api_and_on_the_fleet_page() {
    let collector = Collector::start_configured();
    let printed = collector.command(&["token", "enrol", "--site", "Lincoln High", "--uses", "1", "--expires", "7d"]);
    let printed = printed.success();
    let command = printed.lines().find(|line| line.contains("bellwether-agent enrol")).expect("a command to paste");
    let (enrol, run) = command.trim().split_once("&&").expect("enrol, then run");

    let folder = tempfile::tempdir().unwrap();
    let programs = program::built(agent::NAME);
    let path = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(folder.path()).env("PATH", &path);
        shell
    };
    let _ = program::run_command("enrol", &mut shell(enrol)).success();
    let mut running = Program::start("agent", &mut shell(&format!("exec {}", run.trim())));

    let token = collector.api_token();
    let device = wait::until("two devices that are seen", SOON, || {
        let devices = collector.client().list(&token, "/api/v1/devices")?;
        let here = devices.iter().find(|it| it["site"] == "Lincoln High" && !it["last_seen_at"].is_null());
        here.cloned().filter(|_| devices.len() == 2).ok_or_else(|| format!("{devices:?}"))
    });
    let id = device["id"].as_str().unwrap();
    let session = collector.log_in();
    let fleet = collector.client().get_page("/", &session).unwrap();
    assert_eq!(fleet.status, 200);
    assert!(fleet.text.contains(&format!("/devices/{id}")), "{}", fleet.text);
    assert!(fleet.text.contains("Lincoln High"));
    assert!(running.stop().success());
}

#[test]
fn a_restart_loses_nothing() {
    let mut collector = Collector::start("[own_agent]\ninterval = \"1s\"\n");
    let token = collector.grafana_token();
    let count = |collector: &Collector| {
        let query = r#"SELECT count("uptime") FROM "system" GROUP BY time(1s), "device_id" fill(none)"#;
        collector.client().points(&token, query)
    };
    wait::until("some points", SOON, || match count(&collector)? {
        points if points.len() >= 5 => Ok(()),
        points => Err(format!("{}", points.len())),
    });
    for _ in 0..3 {
        let api = collector.api_token();
        let devices = collector.client().list(&api, "/api/v1/devices").unwrap();
        let before = count(&collector).unwrap();
        assert!(collector.program().stop().success(), "{}", collector.program().text());
        collector.go();
        let after = count(&collector).unwrap();
        // The last second before the stop may have got more after it was looked at.
        let kept = before[..before.len() - 1].iter().filter(|point| after.contains(point)).count();
        assert_eq!(kept, before.len() - 1);
        let ids = |devices: &[serde_json::Value]| devices.iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
        let now = collector.client().list(&api, "/api/v1/devices").unwrap();
        assert_eq!(ids(&devices), ids(&now));
    }
}

#[test]
fn nothing_is_answered_without_a_token() {
    let collector = Collector::start(NO_OWN_AGENT);
    for path in ["/api/v1/devices", "/api/v1/tickets", "/query?db=bellwether&q=SHOW%20DATABASES"] {
        assert_eq!(collector.client().get(path, None).unwrap().status, 401, "{path}");
        let guess = collector.client().get(path, Some("Bearer guess")).unwrap();
        assert_eq!(guess.status, 401, "{path}");
    }
    let fleet = collector.client().get("/", None).unwrap();
    assert!(fleet.location.is_some_and(|to| to.starts_with("/login")), "{}", fleet.status);
    assert_eq!(collector.client().get("/ping", None).unwrap().status, 204);
}
