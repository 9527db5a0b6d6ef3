//! A backup of a running collector, put back on another machine: agents come back by themselves, and what was known is known.

use std::collections::BTreeMap;

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::wait;

use super::NO_OWN_AGENT;
use super::SOON;
use super::kills::stored;

#[test]
fn restored_elsewhere_agents_come_back_by_themselves() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.configure("interval = \"2s\"\nping_gateway = false\n");
    agent.go();
    let (token, cookie, device) = (collector.grafana_token(), collector.log_in(), agent.device_id());
    let readings =
        |collector: &Collector| stored(collector.client(), &token, &device).unwrap_or_else(|_| BTreeMap::new());
    wait::until_true("readings", SOON, || readings(&collector).len() >= 3);

    let before = readings(&collector);
    let copy = collector.room().join("backups").join("monday");
    let said = collector.command(&["backup", "--to", copy.to_str().unwrap()]).success();
    assert!(said.contains("Backed up") && copy.join("backup.json").exists(), "{said}");
    let more = before.len() + 2;
    wait::until_true("readings after the backup", SOON, || readings(&collector).len() >= more);
    collector.program().kill();

    let mut elsewhere = collector.restored(&copy);
    drop(collector);
    elsewhere.go();
    let fleet = elsewhere.client().get_page("/", &cookie).unwrap();
    assert!(fleet.status == 200 && fleet.text.contains("PC-1"), "who was logged in still is: {}", fleet.status);
    wait::until_true("the agent to come back", 2 * SOON, || {
        let newest = readings(&elsewhere).into_keys().next_back();
        newest > before.keys().next_back().copied().map(|time| time + 10_000)
    });
    let after = readings(&elsewhere);
    let lost: Vec<_> = before.keys().filter(|time| !after.contains_key(time)).collect();
    assert!(lost.is_empty(), "readings from before the backup: {lost:?}");
    agent.program().stop();
}
