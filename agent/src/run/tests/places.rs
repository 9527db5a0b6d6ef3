//! At school and elsewhere.

use std::time::Duration;

use super::world::{BEGIN, MINUTE, World, pass};

const SCHOOL: &str = "ping_gateway = false\ndns_servers = false\nschool.networks = [\"10.0.0.0/8\"]\n";

const CAMPUS: &str = "02:00:00:00:00:01";
const HOME: &str = "02:00:00:00:00:02";

const HOUR: Duration = Duration::from_secs(3_600);

const DAY_MS: i64 = 86_400_000;

#[tokio::test(start_paused = true)]
async fn a_laptop_at_home_says_one_value_a_day_without_its_time_and_then_goes() {
    let world = World::new(SCHOOL);
    world.carry(HOME);
    world.far.ends("10.0.0.7", "203.0.113.9");
    world.run(async |_events| pass(73 * HOUR).await).await;
    let heard = world.far.heard();
    let samples: Vec<_> = heard.batches.values().flat_map(|(_, samples)| samples).collect();
    assert!(samples.iter().all(|sample| sample.measurement == "disk"), "{samples:?}");
    assert!(samples.iter().all(|sample| sample.fields.len() == 1 && sample.time.0 % DAY_MS == 0), "{samples:?}");
    let days: Vec<i64> = heard.times("disk").iter().map(|time| (time - BEGIN.0).div_euclid(DAY_MS)).collect();
    assert_eq!(days, [-1, 0, 1, 2]);
    assert!(heard.hellos.len() <= 5, "{} calls in three days", heard.hellos.len());
    assert_eq!(heard.goodbyes.len(), heard.hellos.len(), "it does not stay to be seen");
}

#[tokio::test(start_paused = true)]
async fn at_school_everything_is_said_also_while_the_collector_is_away() {
    let world = World::new(SCHOOL);
    world.carry(CAMPUS);
    world.far.ends("10.0.0.7", "10.9.9.9");
    world
        .run(async |_events| {
            pass(5 * MINUTE).await;
            world.far.reachable(false);
            pass(2 * HOUR).await;
            world.far.reachable(true);
            pass(5 * MINUTE).await;
        })
        .await;
    let heard = world.far.heard();
    heard.assert_each_once();
    assert!(heard.times("mem").len() >= 129, "{}", heard.times("mem").len());
}

#[tokio::test(start_paused = true)]
async fn what_a_laptop_does_at_home_does_not_wait_in_the_spool_for_the_morning() {
    let world = World::new(SCHOOL);
    world.carry(CAMPUS);
    world.far.ends("10.0.0.7", "10.9.9.9");
    let mut left_at = 0;
    world
        .run(async |_events| {
            pass(5 * MINUTE).await;
            left_at = world.far.now().0;
            world.far.reachable(false);
            world.carry(HOME);
            pass(6 * HOUR).await;
            world.carry(CAMPUS);
            world.far.reachable(true);
            pass(10 * MINUTE).await;
        })
        .await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let at_home = left_at + 60_000..left_at + 6 * 3_600_000;
    let times = heard.times("mem");
    assert!(!times.iter().any(|time| at_home.contains(time)), "{times:?}");
    assert!(times.iter().filter(|time| **time >= at_home.end).count() >= 8, "back at school it is heard: {times:?}");
    let disks = heard.times("disk");
    assert!(disks.iter().any(|time| time % DAY_MS == 0), "free space of the day: {disks:?}");
    assert!(!disks.iter().any(|time| at_home.contains(time)), "{disks:?}");
}

#[tokio::test(start_paused = true)]
async fn the_gateway_of_the_school_is_said_once_a_stream_and_when_it_changes_and_that_of_a_home_never() {
    const CORE: &str = "8c:04:ba:00:00:01";
    const OTHER: &str = "8c:04:ba:00:00:02";
    let world = World::new(SCHOOL);
    world.carry(CORE);
    world.far.ends("10.0.0.7", "10.9.9.9");
    world
        .run(async |_events| {
            pass(5 * MINUTE).await;
            world.carry(OTHER);
            world.far.ends("10.0.0.7", "10.9.9.9");
            world.far.reachable(false);
            pass(5 * MINUTE).await;
            world.far.reachable(true);
            pass(10 * MINUTE).await;
            world.carry(HOME);
            world.far.ends("10.0.0.7", "203.0.113.9");
            pass(2 * HOUR).await;
        })
        .await;
    let heard = world.far.heard();
    let said: Vec<(&str, &str)> =
        heard.surroundings.iter().map(|seen| (&*seen.gateway_mac, &*seen.gateway_address)).collect();
    assert_eq!(said, [(CORE, "10.0.0.1"), (OTHER, "10.0.0.1")]);
    assert!(!heard.bytes.windows(HOME.len()).any(|part| part == HOME.as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn where_no_school_is_listed_only_what_is_never_carried_says_its_gateway() {
    for (case, says) in [("3", 1), ("10", 0), ("", 0)] {
        let world = World::new("ping_gateway = false\ndns_servers = false\n");
        world.carry("8c:04:ba:00:00:01");
        let dmi = world.machine.path().join("sys/class/dmi/id");
        std::fs::create_dir_all(&dmi).unwrap();
        std::fs::write(dmi.join("chassis_type"), case).unwrap();
        world.run(async |_events| pass(30 * MINUTE).await).await;
        assert_eq!(world.far.heard().surroundings.len(), says, "chassis {case:?}");
    }
}
