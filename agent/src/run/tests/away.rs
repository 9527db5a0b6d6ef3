//! The collector is away, or the machine.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{BEGIN, MINUTE, World, pass};
use crate::GoodbyeReason;
use crate::config::Config;
use crate::spool::Spool;
use crate::system_events::{Hold, SystemEvent};

const DAY: Duration = Duration::from_secs(86_400);

const QUIET: &str = "ping_gateway = false\ndns_servers = false\n[spool]\nsync_s = 600\n";

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_for_seven_days_then_gets_every_minute_of_them_once() {
    let world = World::new(QUIET);
    world.far.reachable(false);
    world.run(async |_events| pass(7 * DAY).await).await;
    assert!(world.far.heard().batches.is_empty());
    let (spool, found) = Spool::open(&world.dir.path().join("spool"), Config::default().spool).unwrap();
    assert!(found.batches > 7 * 1_440 - 2);
    assert!(spool.index_entries() < 64, "{} entries in memory for {} batches", spool.index_entries(), found.batches);
    assert!(spool.status().bytes < 8 << 20, "{:?}", spool.status());
    drop(spool);

    world.far.reachable(true);
    // At the collector's pace of twenty a second.
    world.run(async |_events| pass(Duration::from_secs(7 * 1_440 / 20) + 2 * MINUTE).await).await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let times = heard.times("mem");
    // The first reading of each start comes out of turn and bears its own second.
    let minutes: BTreeSet<i64> = times.iter().map(|time| (time - BEGIN.0) / 60_000).collect();
    assert!(minutes.iter().copied().eq(0..=7 * 1_440 + 8 + 2), "a minute is missing");
    assert!(times.len() <= minutes.len() + 2, "a minute is double");
    assert_eq!(heard.hellos.len(), 1);
    let held: usize = heard.hellos[0].1.held.iter().map(|receipt| receipt.ranges.len()).sum();
    assert_eq!(held, 1, "what waits is named by ranges, not one by one");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_goes_to_sleep_says_so_and_is_heard_at_once_when_it_wakes() {
    let world = World::new(QUIET);
    world
        .run(async |events| {
            pass(3 * MINUTE + Duration::from_secs(10)).await;
            let (guard, mut held) = tokio::sync::oneshot::channel::<()>();
            let sleep = SystemEvent::Sleep { reason: GoodbyeReason::GoodbyeSleep, hold: Hold::new(guard) };
            events.send(sleep).await.unwrap();
            let let_go = tokio::time::timeout(Duration::from_secs(5), &mut held).await;
            assert!(let_go.unwrap().is_err(), "the machine may sleep when the goodbye is out");
            assert_eq!(world.far.heard().goodbyes.len(), 1);
            pass(Duration::from_secs(15)).await;
            assert_eq!(world.far.heard().hellos.len(), 1, "nobody calls from a machine that is about to sleep");
            events.send(SystemEvent::Woke).await.unwrap();
            pass(Duration::from_secs(1)).await;
            let heard = world.far.heard();
            assert_eq!(heard.hellos.len(), 2);
            let last = *heard.times("mem").last().unwrap();
            assert!(world.far.now().0 - last < 2_000, "the first reading comes at once");
        })
        .await;
    let heard = world.far.heard();
    assert_eq!(heard.goodbyes[0].1, GoodbyeReason::GoodbyeSleep);
    heard.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn sleep_that_comes_to_nothing_does_not_leave_the_machine_silent() {
    let world = World::new(QUIET);
    world
        .run(async |events| {
            pass(MINUTE).await;
            events.send(SystemEvent::Sleep { reason: GoodbyeReason::GoodbyeSleep, hold: Hold::none() }).await.unwrap();
            pass(2 * MINUTE).await;
            assert_eq!(world.far.heard().hellos.len(), 2);
        })
        .await;
}
