//! kill -9, in mid-stream, with writes going on: what was acknowledged is there once, what was spooled arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bellwether_agent::config::SpoolConfig;
use bellwether_agent::spool::Spool;
use bellwether_agent::state::SPOOL_DIR;
use bellwether_logic::batch::BatchId;
use bellwether_tests::agent::Agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::{Sender, now_ms, numbered};
use bellwether_tests::http::Http;
use bellwether_tests::ledger::{self, Batches};
use bellwether_tests::wait;

use super::{NO_OWN_AGENT, SOON};

/// Of each side.
const KILLS: usize = 20;

/// Reconnecting waits with jitter, up to a minute at worst.
const ARRIVAL: Duration = Duration::from_secs(150);

/// Half a second to two: into connecting, welcoming, streaming, committing.
fn a_moment() {
    let deadline = Instant::now() + Duration::from_millis(rand::random_range(500..2000));
    wait::until_true("a moment to pass", Duration::from_secs(5), || Instant::now() >= deadline);
}

/// Times of one device's rows as the store answers them, each with how many values it has there.
pub(super) fn stored(client: &Http, token: &str, device: &str) -> Result<BTreeMap<i64, i64>, String> {
    let query = format!(
        r#"SELECT count("uptime") FROM "system" WHERE "device_id" = '{device}' AND time > now() - 1h GROUP BY time(1ms) fill(none)"#
    );
    let points = client.points(token, &query)?;
    Ok(points.into_iter().map(|point| (point.time_ms, point.value.as_i64().unwrap_or(-1))).collect())
}

/// The journal's rows and the store's are the same, each there once.
pub(super) fn assert_stored_once(batches: &Batches, stored: &BTreeMap<i64, i64>) {
    let times: Vec<i64> = batches.samples().filter(|it| it.measurement == "system").map(|it| it.time.0).collect();
    let set: BTreeSet<i64> = times.iter().copied().collect();
    assert_eq!(set, stored.keys().copied().collect::<BTreeSet<_>>());
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
}

/// Pours until told to stop, connecting again whenever the collector was killed.
async fn pour(mut sender: Sender, stop: &AtomicBool) -> Sender {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut line) = sender.connect().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) && sender.pour(&mut line, 20, numbered).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    sender
}

#[test]
fn twenty_kills_of_the_collector_lose_nothing_that_was_acknowledged_and_double_nothing() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agents = [Agent::enrolled(&collector, "laptop", "PC-1"), Agent::enrolled(&collector, "laptop", "PC-2")];
    agents.iter_mut().for_each(Agent::go);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let token = collector.enrol_token("Lincoln High", 1);
    let folder = collector.room().join("sender");
    let sender = runtime.block_on(Sender::enrol(&folder, &collector.grpc.to_string(), &token, "PC-3")).unwrap();
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let pouring = runtime.spawn(pour(sender, stop));

    for _ in 0..KILLS {
        a_moment();
        collector.program().kill();
        collector.go();
    }
    a_moment();
    stop.store(true, Ordering::Relaxed);
    let mut sender = runtime.block_on(pouring).unwrap();
    // Whatever was under way at the end arrives too.
    runtime.block_on(async {
        let mut line = sender.connect().await.unwrap();
        sender.pour(&mut line, 1, numbered).await.unwrap();
    });
    let devices: Vec<_> = agents.iter().map(Agent::device_id).collect();
    drained(&mut agents);

    let token = collector.grafana_token();
    let answers: Vec<_> = devices.iter().map(|id| stored(collector.client(), &token, id).unwrap()).collect();
    let values = poured_values(&collector, &token, &sender.device_id);
    collector.program().stop();
    let records = ledger::records(&collector.data());
    for (device, stored) in devices.iter().zip(&answers) {
        let batches = Batches::of(&records, device);
        batches.assert_each_once();
        batches.assert_no_gaps();
        assert_stored_once(&batches, stored);
    }
    let batches = Batches::of(&records, &sender.device_id);
    batches.assert_each_once();
    batches.assert_no_gaps();
    let acknowledged: Vec<_> = sender.acknowledged.iter().collect();
    assert_eq!(acknowledged.len(), 1, "{acknowledged:?}");
    let last = *acknowledged[0].end();
    assert!(last > 200, "only {last} batches: nothing was going on");
    for sequence in acknowledged[0].clone() {
        let id = BatchId { generation: sender.generation(), sequence };
        assert!(batches.by_id.contains_key(&id), "acknowledged and lost: {id:?}");
    }
    assert_eq!(values, i64::try_from(last).unwrap(), "the newest value that was acknowledged is the store's greatest");
}

/// The greatest value that the store has of a sender, which is the number of its last batch.
fn poured_values(collector: &Collector, token: &str, device: &str) -> i64 {
    let query = format!(r#"SELECT max("uptime") FROM "system" WHERE "device_id" = '{device}'"#);
    collector.client().points(token, &query).unwrap()[0].value.as_i64().unwrap()
}

/// Stops agents once the collector has everything that they had spooled.
pub(super) fn drained(agents: &mut [Agent]) {
    for agent in agents {
        let state = agent.state();
        agent.stop();
        // What a clean stop left behind is brought by the next start.
        for _ in 0..3 {
            if held(&state.join(SPOOL_DIR)).is_empty() {
                break;
            }
            agent.go();
            let deadline = Instant::now() + Duration::from_secs(20);
            wait::until_true("the back-fill", SOON, || Instant::now() >= deadline);
            agent.stop();
        }
        assert!(held(&state.join(SPOOL_DIR)).is_empty(), "{}", agent.program().text());
    }
}

/// What lies in a spool that no agent has open.
fn held(folder: &std::path::Path) -> BTreeSet<BatchId> {
    let (spool, _) = Spool::open(folder, SpoolConfig::default()).unwrap();
    let held = spool.held();
    let ids = held.iter().flat_map(|receipt| {
        let sequences = receipt.ranges.iter().flatten();
        sequences.map(|sequence| BatchId { generation: receipt.generation, sequence })
    });
    ids.collect()
}

#[test]
fn twenty_kills_of_the_agent_lose_nothing_that_was_spooled_and_double_nothing() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&collector, "laptop", "PC-1");
    let device = agent.device_id();
    let mut spooled = BTreeSet::new();
    for kill in 0..KILLS {
        agent.go();
        a_moment();
        a_moment();
        // Some of the time nobody answers, so that more than a batch is in the spool.
        if kill % 5 == 3 {
            collector.program().kill();
            a_moment();
            a_moment();
            agent.program().kill();
            collector.go();
        } else {
            agent.program().kill();
        }
        spooled.extend(held(&agent.state().join(SPOOL_DIR)));
    }
    let since = now_ms();
    agent.go();
    let token = collector.grafana_token();
    wait::until("the spool to empty", ARRIVAL, || {
        let query = format!(
            r#"SELECT last("batches") FROM "agent_spool" WHERE "device_id" = '{device}' AND time >= {since}ms"#
        );
        match collector.client().points(&token, &query)?.first() {
            // The reading that says so is itself in the spool, or not, when it is read.
            Some(point) if point.value.as_i64().is_some_and(|waiting| waiting <= 1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    drained(std::slice::from_mut(&mut agent));
    let stored = stored(collector.client(), &token, &device).unwrap();
    collector.program().stop();
    let batches = Batches::of(&ledger::records(&collector.data()), &device);
    batches.assert_each_once();
    batches.assert_no_gaps();
    assert_stored_once(&batches, &stored);
    let lost: Vec<_> = spooled.iter().filter(|id| !batches.by_id.contains_key(id)).collect();
    assert!(lost.is_empty(), "spooled and lost: {lost:?}");
    assert!(!spooled.is_empty(), "no kill left anything in the spool: the test says nothing");
}
