//! Clocks that are wrong, and clocks that are set.

use std::sync::atomic::Ordering;

use bellwether_logic::sample::Value;

use super::world::{BEGIN, MINUTE, World, pass};

const QUIET: &str = "ping_gateway = false\ndns_servers = false\n";

/// What makes a clock show 1970.
fn unset() -> i64 {
    -BEGIN.0
}

#[tokio::test(start_paused = true)]
async fn readings_from_before_the_clock_was_ever_set_arrive_at_their_true_times() {
    let world = World::new(QUIET);
    world.far.reachable(false);
    world.clock_error_ms.store(unset(), Ordering::SeqCst);
    world
        .run(async |_events| {
            pass(10 * MINUTE).await;
            world.clock_error_ms.store(0, Ordering::SeqCst);
            world.far.reachable(true);
            pass(4 * MINUTE).await;
        })
        .await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let times = heard.times("mem");
    assert!(times.iter().all(|time| (BEGIN.0..BEGIN.0 + 14 * 60_000).contains(time)), "{times:?}");
    let minutes: std::collections::BTreeSet<i64> = times.iter().map(|time| (time - BEGIN.0) / 60_000).collect();
    assert!(minutes.len() >= 13, "{minutes:?}");
    assert_eq!(heard.hellos.len(), 1, "the clock is looked at before the hello, not after it");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_connected_begins_a_generation_and_loses_nothing() {
    let hour = 3_600_000;
    for error in [hour, -hour, 400 * 24 * hour] {
        let world = World::new(QUIET);
        world
            .run(async |_events| {
                pass(5 * MINUTE).await;
                world.clock_error_ms.store(error, Ordering::SeqCst);
                pass(5 * MINUTE).await;
            })
            .await;
        let heard = world.far.heard();
        heard.assert_each_once();
        assert_eq!(heard.hellos.len(), 2);
        assert_ne!(heard.hellos[0].1.generation, heard.hellos[1].1.generation);
        // The first generation was heard of: its times stay what they were, the second's bear the new clock.
        let second = heard.hellos[1].1.generation;
        for (id, (_, samples)) in &heard.batches {
            let off = samples[0].time.0 - BEGIN.0;
            let expected = if id.generation == second { error } else { 0 };
            assert!((off - expected).abs() < 11 * 60_000, "{off} and {expected}");
        }
        assert!(heard.times("mem").len() >= 10, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_while_the_collector_is_away_moves_what_waits_with_it() {
    let world = World::new(QUIET);
    world.far.reachable(false);
    world
        .run(async |_events| {
            pass(5 * MINUTE).await;
            // Somebody sets it wrong, and right again: whatever the hello will say, one clock holds for all that waits.
            world.clock_error_ms.store(-7_200_000, Ordering::SeqCst);
            pass(5 * MINUTE).await;
            world.clock_error_ms.store(0, Ordering::SeqCst);
            world.far.reachable(true);
            pass(3 * MINUTE).await;
        })
        .await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let times = heard.times("mem");
    assert!(times.iter().all(|time| (BEGIN.0..BEGIN.0 + 13 * 60_000).contains(time)), "{times:?}");
    assert!(times.len() >= 12, "{}", times.len());
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_left_that_never_said_hello_is_told_by_the_clock_of_the_next_one() {
    let world = World::new(QUIET);
    world.run(async |_events| pass(2 * MINUTE).await).await;
    world.far.reachable(false);
    world.run(async |_events| pass(2 * MINUTE).await).await;
    world.clock_error_ms.store(86_400_000, Ordering::SeqCst);
    world.far.reachable(true);
    world.run(async |_events| pass(3 * MINUTE).await).await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let generations: std::collections::BTreeSet<u64> = heard.batches.keys().map(|id| id.generation).collect();
    assert_eq!(generations.len(), 2);
    let times = heard.corrected("mem");
    assert!(times.iter().all(|time| (BEGIN.0..BEGIN.0 + 7 * 60_000).contains(time)), "{times:?}");
    assert!(times.len() >= 7, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn readings_of_an_agent_that_ended_before_the_clock_was_set_arrive_at_their_true_times() {
    for set_while_it_runs in [false, true] {
        let world = World::new(QUIET);
        world.far.reachable(false);
        world.clock_error_ms.store(unset(), Ordering::SeqCst);
        for _ in 0..2 {
            world.run(async |_events| pass(5 * MINUTE).await).await;
        }
        if !set_while_it_runs {
            world.clock_error_ms.store(0, Ordering::SeqCst);
        }
        world
            .run(async |_events| {
                pass(2 * MINUTE).await;
                world.clock_error_ms.store(0, Ordering::SeqCst);
                world.far.reachable(true);
                pass(4 * MINUTE).await;
            })
            .await;
        let heard = world.far.heard();
        heard.assert_each_once();
        let times = heard.times("mem");
        assert!(times.iter().all(|time| (BEGIN.0..BEGIN.0 + 16 * 60_000).contains(time)), "{times:?}");
        let minutes: std::collections::BTreeSet<i64> = times.iter().map(|time| (time - BEGIN.0) / 60_000).collect();
        assert!(minutes.len() >= 14, "{minutes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn readings_without_a_date_are_dropped_and_counted_once_the_machine_was_off() {
    let world = World::new(QUIET);
    world.far.reachable(false);
    world.clock_error_ms.store(unset(), Ordering::SeqCst);
    world.run(async |_events| pass(5 * MINUTE).await).await;
    world.reboot();
    // With a date, though nobody ever heard of this clock: that stays.
    world.clock_error_ms.store(0, Ordering::SeqCst);
    world.run(async |_events| pass(3 * MINUTE).await).await;
    world.reboot();
    world.far.reachable(true);
    world.run(async |_events| pass(3 * MINUTE).await).await;
    let heard = world.far.heard();
    let times = heard.times("mem");
    assert!(times.iter().all(|time| (BEGIN.0 + 5 * 60_000..BEGIN.0 + 11 * 60_000).contains(time)), "{times:?}");
    assert!(times.len() >= 6, "{times:?}");
    let dropped = heard.batches.values().flat_map(|(_, samples)| samples).find_map(|sample| {
        let dropped = sample.fields.iter().find(|(name, _)| name == "dropped");
        dropped.map(|(_, value)| value.clone()).filter(|value| *value != Value::Integer(0))
    });
    assert!(matches!(dropped, Some(Value::Integer(5..=6))), "{dropped:?}");
}

#[tokio::test(start_paused = true)]
async fn readings_whose_clock_the_collector_has_heard_of_wait_through_a_reboot() {
    let world = World::new(QUIET);
    world.clock_error_ms.store(unset(), Ordering::SeqCst);
    world
        .run(async |_events| {
            pass(2 * MINUTE).await;
            world.far.reachable(false);
            pass(3 * MINUTE).await;
        })
        .await;
    world.reboot();
    world.clock_error_ms.store(0, Ordering::SeqCst);
    world.far.reachable(true);
    world.run(async |_events| pass(3 * MINUTE).await).await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let times = heard.corrected("mem");
    assert!(times.iter().all(|time| (BEGIN.0..BEGIN.0 + 9 * 60_000).contains(time)), "{times:?}");
    assert!(times.len() >= 8, "{times:?}");
}
