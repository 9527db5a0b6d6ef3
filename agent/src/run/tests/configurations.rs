//! What the collector wants the agent to do.

use std::time::Duration;

use bellwether_proto::configuration::revision;

use super::world::{MINUTE, World, pass};

const QUIET: &str = "ping_gateway = false\ndns_servers = false\n";

const FAST: &str = "interval = \"10s\"\n";

#[tokio::test(start_paused = true)]
async fn a_configuration_comes_into_force_without_a_restart() {
    let world = World::new(QUIET);
    world.far.configure(FAST);
    world.run(async |_events| pass(5 * MINUTE).await).await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let times = heard.times("mem");
    assert!(times.len() >= 27, "{}", times.len());
    let revisions: Vec<u64> = heard.hellos.iter().map(|(_, hello)| hello.config_revision).collect();
    assert_eq!(revisions, [0, revision(FAST)], "it was reached again with the new one");
    assert_eq!(heard.hellos[1].1.interval_s, 10);
    assert!(heard.results.iter().all(|result| result.revision == revision(FAST) && result.error.is_empty()));
    assert!(!heard.results.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_with_which_the_collector_is_out_of_reach_is_rolled_back_and_not_tried_again() {
    let world = World::new(QUIET);
    world.far.configure(FAST);
    world
        .run(async |_events| {
            pass(Duration::from_secs(1)).await;
            world.far.reachable(false);
            pass(Duration::from_secs(302)).await;
            // The one before was not the reason: soon after the roll-back it gets through.
            world.far.reachable(true);
            pass(3 * MINUTE).await;
        })
        .await;
    let hellos = {
        let heard = world.far.heard();
        let last = heard.hellos.last().unwrap();
        assert_eq!(last.1.config_revision, 0);
        let result = heard.results.last().unwrap();
        assert_eq!((result.revision, result.error.as_str()), (revision(FAST), super::super::configure::ROLLED_BACK));
        heard.hellos.len()
    };
    world.run(async |_events| pass(10 * MINUTE).await).await;
    let heard = world.far.heard();
    assert!(heard.hellos[hellos..].iter().all(|(_, hello)| hello.config_revision == 0), "after a restart neither");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_for_an_hour_is_no_reason_to_give_a_configuration_up() {
    let world = World::new(QUIET);
    world.far.configure(FAST);
    world
        .run(async |_events| {
            pass(Duration::from_secs(1)).await;
            world.far.reachable(false);
            pass(60 * MINUTE).await;
            world.far.reachable(true);
            pass(3 * MINUTE).await;
        })
        .await;
    assert_eq!(world.far.heard().hellos.last().unwrap().1.config_revision, revision(FAST));
}

#[tokio::test(start_paused = true)]
async fn a_bad_configuration_is_refused_with_its_reason_and_nothing_changes() {
    let world = World::new(QUIET);
    world.far.configure("interval = \"10s\"\n[spool]\nmax_mib = 0\n");
    world.run(async |_events| pass(3 * MINUTE).await).await;
    let heard = world.far.heard();
    assert!(heard.results[0].error.contains("spool.max_mib = 0: expected 1 to 4096 MiB"), "{:?}", heard.results);
    assert_eq!(heard.hellos.len(), 1);
    assert!(heard.times("mem").len() <= 4);
}

#[tokio::test(start_paused = true)]
async fn the_machine_s_own_interval_stays_what_it_says() {
    let world = World::new("ping_gateway = false\ndns_servers = false\ninterval = \"30s\"\n");
    world.far.configure(FAST);
    world.run(async |_events| pass(3 * MINUTE).await).await;
    assert_eq!(world.far.heard().hellos.last().unwrap().1.interval_s, 30);
}
