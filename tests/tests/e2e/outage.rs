//! The collector is away for a while and the agent is killed meanwhile: afterwards every interval in which the agent ran
//! is there, once.

use std::time::{Duration, Instant};

use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::now_ms;
use bellwether_tests::ledger::{self, Batches};
use bellwether_tests::wait;

use super::NO_OWN_AGENT;
use super::kills::{assert_stored_once, drained, stored};

/// How long the collector is away, in seconds; with 600 it is the ten minutes that were promised.
const OUTAGE: &str = "BELLWETHER_OUTAGE_S";
const OUTAGE_S: u64 = 40;

const KILLS: u64 = 5;

/// From one reading to the next.
const INTERVAL_MS: i64 = 2_000;

/// A start takes a moment until the first reading, and a kill may come between a reading and the spool.
const MARGIN_MS: i64 = 5_000;

fn pass(time: Duration) {
    let deadline = Instant::now() + time;
    wait::until_true("time to pass", time + Duration::from_secs(5), || Instant::now() >= deadline);
}

#[test]
fn every_interval_in_which_the_agent_ran_is_there_once_after_an_outage_with_five_kills() {
    let outage_s = std::env::var(OUTAGE).ok().and_then(|text| text.parse().ok()).unwrap_or(OUTAGE_S);
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.configure("interval = \"2s\"\nping_gateway = false\n");
    let mut ran = Vec::new();
    let mut since = now_ms();
    agent.go();
    pass(Duration::from_secs(6));
    collector.program().stop();
    for _ in 0..KILLS {
        pass(Duration::from_secs(outage_s / (KILLS + 1)));
        agent.program().kill();
        ran.push((since, now_ms()));
        since = now_ms();
        agent.go();
    }
    pass(Duration::from_secs(outage_s / (KILLS + 1)));
    collector.go();
    // Reconnecting waits up to a minute; what was spooled follows at the collector's pace.
    pass(Duration::from_secs(75));
    ran.push((since, now_ms()));
    let device = agent.device_id();
    drained(std::slice::from_mut(&mut agent));
    let token = collector.grafana_token();
    let stored = stored(collector.client(), &token, &device).unwrap();
    collector.program().stop();
    let batches = Batches::of(&ledger::records(&collector.data()), &device);
    batches.assert_each_once();
    batches.assert_no_gaps();
    assert_stored_once(&batches, &stored);

    let mut missing = Vec::new();
    let mut expected = 0;
    for (from, until) in ran {
        let first = ((from + MARGIN_MS) / INTERVAL_MS + 1) * INTERVAL_MS;
        for time in (first..until - MARGIN_MS).step_by(usize::try_from(INTERVAL_MS).unwrap()) {
            expected += 1;
            missing.extend((!stored.contains_key(&time)).then_some(time));
        }
    }
    assert!(expected > outage_s / 4, "{expected} intervals: the test says nothing");
    assert!(missing.is_empty(), "{} of {expected} intervals are missing: {missing:?}", missing.len());
}
