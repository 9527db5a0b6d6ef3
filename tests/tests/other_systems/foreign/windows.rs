//! The programs for Windows, under Wine: what of Windows can be had on this machine. Real counters, Windows Management
//! Instrumentation, power events and access rights are not Wine's to show.

use std::path::Path;

use bellwether_proto::record::v1::{Record, record};
use bellwether_proto::v1::GoodbyeReason;
use bellwether_tests::collector::{self, Collector};
use bellwether_tests::http::Http;
use bellwether_tests::ledger;
use bellwether_tests::wait;
use bellwether_tests::wine::{Running, Wine};

use super::{NO_OWN_AGENT, SOON, built};

/// One after the other in one Windows folder, because making one takes longer than each of them.
#[test]
fn the_windows_programs_do_under_wine_what_they_are_for() {
    let (agent, collector) = (built("BELLWETHER_AGENT_WINDOWS"), built("BELLWETHER_COLLECTOR_WINDOWS"));
    let wine = Wine::start();
    show_on_windows_lists_every_source_with_values_or_the_reason(&wine, &agent);
    the_windows_agent_enrols_streams_and_says_goodbye(&wine, &agent);
    the_windows_service_is_registered_started_and_stopped_by_the_service_manager(&wine, &agent);
    the_windows_collector_serves_its_pages_on_loopback(&wine, &collector);
}

/// Enrols the Windows agent with its state in `C:\\FOLDER`, and has it read every second. Its device id.
fn enrol(wine: &Wine, agent: &Path, collector: &Collector, folder: &str) -> String {
    let token = collector.enrol_token("Lincoln High", 1);
    let (address, state) = (collector.grpc.to_string(), format!("C:\\{folder}"));
    let place = ["enrol", "--state", &state, "--collector", &address, "--token", &token];
    let said = wine.command(agent, &[&place[..], &["--name", folder, "--class", "laptop"]].concat()).success();
    let id = said.split("enrolled as ").nth(1).and_then(|rest| rest.split(';').next());
    let id = id.unwrap_or_else(|| panic!("no device id in: {said}")).to_owned();
    let configuration = "interval = \"1s\"\nping_gateway = false\n";
    std::fs::write(wine.drive(folder).join("agent.toml"), configuration).expect("an agent's folder takes a file");
    id
}

/// The newest value of a field of the device, once there is one.
fn newest(
    collector: &Collector,
    token: &str,
    field: &str,
    measurement: &str,
    device: &str,
    text: &dyn Fn() -> String,
) -> f64 {
    let query = format!(r#"SELECT last("{field}") FROM "{measurement}" WHERE "device_id" = '{device}'"#);
    wait::until(&format!("{measurement}.{field} of the Windows agent"), SOON, || {
        let points = collector.client().points(token, &query)?;
        points.first().and_then(|point| point.value.as_f64()).ok_or_else(text)
    })
}

fn goodbyes(records: &[(i64, Record)]) -> Vec<GoodbyeReason> {
    let goodbye = |(_, record): &(i64, Record)| match &record.body {
        Some(record::Body::Left(said)) => Some(said.reason()),
        _ => None,
    };
    records.iter().filter_map(goodbye).collect()
}

fn the_windows_agent_enrols_streams_and_says_goodbye(wine: &Wine, agent: &Path) {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let device = enrol(wine, agent, &collector, "agent");
    let mut running = wine.spawn(agent, &["run", "--state", "C:\\agent"]);
    let token = collector.grafana_token();
    let text = || running.text();
    let value = |field, measurement| newest(&collector, &token, field, measurement, &device, &text);
    assert!(value("uptime", "system") > 0.0);
    assert!(value("n_cpus", "system") >= 1.0);
    assert!(value("total", "mem") > 1e8);
    let idle = value("usage_idle", "cpu");
    assert!((0.0..=100.0).contains(&idle), "{idle}");
    assert!(value("total", "disk") > 1e9);
    assert!(value("total", "processes") >= 2.0);
    running.interrupt();
    collector.program().stop();
    assert_eq!(goodbyes(&ledger::records(&collector.data())), [GoodbyeReason::GoodbyeStop], "{}", running.text());
}

fn the_windows_service_is_registered_started_and_stopped_by_the_service_manager(wine: &Wine, agent: &Path) {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let device = enrol(wine, agent, &collector, "service");
    let _ = wine.command(agent, &["service", "install", "--state", "C:\\service"]).success();
    let _ = wine.system(&["net", "start", "BellwetherAgent"]).success();
    let token = collector.grafana_token();
    let log = || std::fs::read_to_string(wine.drive("service/agent.log")).unwrap_or_default();
    assert!(newest(&collector, &token, "uptime", "system", &device, &log) > 0.0);
    let _ = wine.system(&["net", "stop", "BellwetherAgent"]).success();
    wait::until("the log's last line", SOON, || {
        let text = log();
        if text.contains("the agent stops") { Ok(()) } else { Err(text) }
    });
    let _ = wine.command(agent, &["service", "uninstall"]).success();
    collector.program().stop();
    assert_eq!(goodbyes(&ledger::records(&collector.data())), [GoodbyeReason::GoodbyeStop], "{}", log());
}

fn show_on_windows_lists_every_source_with_values_or_the_reason(wine: &Wine, agent: &Path) {
    let said = wine.command(agent, &["show"]).success();
    let (_, looked) = said.split_once("What was looked at:").expect("the list of sources");
    for source in bellwether_agent::source::ALL {
        let line = looked.lines().find(|line| line.split_whitespace().next() == Some(source.name));
        let line = line.unwrap_or_else(|| panic!("{} is not listed: {said}", source.name));
        let told = line.trim_start().trim_start_matches(source.name).trim_start();
        let words = ["ok", "nothing here", "unsupported", "no permission"];
        assert!(words.iter().any(|word| told.starts_with(word)), "{line}\n{said}");
        let native = ["cpu", "disk", "mem", "net", "own", "processes", "system"];
        assert!(told.starts_with("ok") || !native.contains(&source.name), "{line}\n{said}");
    }
}

fn the_windows_collector_serves_its_pages_on_loopback(wine: &Wine, program: &Path) {
    let (http, grpc) = (collector::free(), collector::free());
    std::fs::create_dir_all(wine.drive("collector")).expect("the drive takes a folder");
    std::fs::write(wine.drive("collector/collector.toml"), NO_OWN_AGENT).expect("a folder takes a file");
    let (http_text, grpc_text) = (http.to_string(), grpc.to_string());
    let arguments = [
        "serve",
        "--data",
        "C:\\collector\\data",
        "--config",
        "C:\\collector\\collector.toml",
        "--http",
        &http_text,
        "--grpc",
        &grpc_text,
    ];
    let mut running: Running = wine.spawn(program, &arguments);
    let client = Http::new(http);
    wait::until("/healthz of the Windows collector", SOON, || match client.get("/healthz", None) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}: {}", running.text())),
    });
    let page = client.get("/login", None).expect("an answer");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<form") && page.text.contains("password"), "{}", page.text);
    assert_eq!(client.get("/api/v1/devices", None).expect("an answer").status, 401);
    running.interrupt();
    // What it left can be taken up again.
    let mut running = wine.spawn(program, &arguments);
    wait::until("/healthz after a restart", SOON, || match client.get("/healthz", None) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}: {}", running.text())),
    });
    running.interrupt();
}
