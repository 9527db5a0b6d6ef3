//! A collector that says what none should: nothing of it ends the agent, costs a reading or strands the machine.

use bellwether_proto::v1::collector_message::Body as ToAgent;
use bellwether_proto::v1::{Ack, Configuration, Contacts, Range, Receipt, SlowDown, Welcome};
use proptest::prelude::*;

use super::world::{MINUTE, World, pass};
use crate::state;

const QUIET: &str = "ping_gateway = false\ndns_servers = false\n";

fn contacts(endpoints: &[&str]) -> ToAgent {
    let endpoints = endpoints.iter().map(|text| (*text).to_owned()).collect();
    ToAgent::Contacts(Contacts { cas: Vec::new(), endpoints })
}

fn endpoints(world: &World) -> Vec<String> {
    state::read_identity(world.dir.path()).unwrap().endpoints
}

#[tokio::test(start_paused = true)]
async fn the_address_that_works_now_outlives_any_number_of_wrong_words() {
    let world = World::new(QUIET);
    world.far.say(vec![contacts(&["one:1"]), contacts(&["two:1", "three:1"]), contacts(&["four:1"])], None);
    world.run(async |_events| pass(MINUTE).await).await;
    assert_eq!(endpoints(&world), ["four:1", "there:7443"]);
    // A nonsensical one after them changes nothing, also where it is right in part.
    world.far.say(vec![contacts(&["five:1", "https://six:1"]), contacts(&[])], None);
    world.run(async |_events| pass(MINUTE).await).await;
    assert_eq!(endpoints(&world), ["four:1", "there:7443"]);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_acknowledges_the_future_costs_nothing() {
    let world = World::new(QUIET);
    let everything = |generation| Receipt { generation, ranges: vec![Range { first: 0, last: u64::MAX }] };
    world.run(async |_events| pass(2 * MINUTE).await).await;
    let known = world.far.heard().hellos[0].1.generation;
    world
        .run(async |_events| {
            pass(MINUTE).await;
            let generation = world.far.heard().hellos.last().unwrap().1.generation;
            let receipts = vec![everything(generation), everything(known), everything(7)];
            world.far.say(vec![ToAgent::Ack(Ack { receipts })], None);
            // The stream breaks, and the next one begins with that word.
            world.far.reachable(false);
            pass(MINUTE).await;
            world.far.reachable(true);
            pass(5 * MINUTE).await;
        })
        .await;
    let heard = world.far.heard();
    heard.assert_each_once();
    let minutes: std::collections::BTreeSet<i64> = heard.times("mem").iter().map(|time| time / 60_000).collect();
    // What waited when it was said to have arrived is gone: one minute. What came after is all there.
    assert!(minutes.len() >= 7, "{minutes:?}");
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX - 1), 0..20_u64, any::<u64>()]
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(i64::MIN), Just(i64::MAX), Just(super::world::BEGIN.0), any::<i64>()]
}

fn paces() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]
}

fn receipts() -> impl Strategy<Value = Vec<Receipt>> {
    let range = (numbers(), numbers()).prop_map(|(first, last)| Range { first, last });
    let receipt = (numbers(), proptest::collection::vec(range, 0..8));
    proptest::collection::vec(receipt.prop_map(|(generation, ranges)| Receipt { generation, ranges }), 0..4)
}

fn welcomes() -> impl Strategy<Value = Welcome> {
    (times(), ".{0,40}", receipts(), paces(), paces(), times()).prop_map(
        |(now_unix_ms, collector_version, received, backfill_window, backfill_per_s, clock_offset_ms)| Welcome {
            now_unix_ms,
            collector_version,
            received,
            backfill_window,
            backfill_per_s,
            clock_offset_ms,
        },
    )
}

fn configurations() -> impl Strategy<Value = Configuration> {
    let lines = [
        "interval = \"1s\"",
        "interval = \"0s\"",
        "interval = 7",
        "ping_gateway = false",
        "[[probe]]",
        "kind = \"ping\"",
        "[spool]",
        "max_bytes = 1",
        "\u{0}",
        "x",
    ];
    let text = prop_oneof![
        "\\PC{0,80}",
        proptest::collection::vec(proptest::sample::select(lines.to_vec()), 0..5).prop_map(|lines| lines.join("\n")),
        Just("x = 1\n".repeat(200_000)),
    ];
    (text, any::<bool>(), any::<u64>()).prop_map(|(toml, right, number)| {
        let revision = if right { bellwether_proto::configuration::revision(&toml) } else { number };
        Configuration { revision, toml }
    })
}

fn words() -> impl Strategy<Value = ToAgent> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..60);
    let endpoint = prop_oneof!["\\PC{0,30}", Just("there:7443".to_owned()), Just("elsewhere:1".to_owned())];
    prop_oneof![
        receipts().prop_map(|receipts| ToAgent::Ack(Ack { receipts })),
        welcomes().prop_map(ToAgent::Welcome),
        configurations().prop_map(ToAgent::Configuration),
        (paces(), paces()).prop_map(|(backfill_window, backfill_per_s)| {
            ToAgent::SlowDown(SlowDown { backfill_window, backfill_per_s })
        }),
        (proptest::collection::vec(bytes, 0..10), proptest::collection::vec(endpoint, 0..10))
            .prop_map(|(cas, endpoints)| ToAgent::Contacts(Contacts { cas, endpoints })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Afterwards it comes to its senses, and the agent is there, at most one interval of the longest kind later.
    #[test]
    fn whatever_a_collector_says_the_agent_goes_on(
        said in proptest::collection::vec(words(), 0..30),
        welcome in proptest::option::of(welcomes()),
        flaps in 0..4_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(QUIET);
            world.far.say(said, welcome);
            world.run(async |_events| {
                pass(2 * MINUTE).await;
                for _ in 0..flaps {
                    world.far.reachable(false);
                    pass(MINUTE / 2).await;
                    world.far.reachable(true);
                    pass(MINUTE / 2).await;
                }
                world.far.say(Vec::new(), None);
                world.far.reachable(false);
                // Longer than a trial, so that a configuration that is no good is gone.
                pass(12 * MINUTE).await;
                world.far.configure("");
                world.far.reachable(true);
                let before = world.far.heard().times("mem").len();
                pass(15 * MINUTE).await;
                let after = world.far.heard().times("mem").len();
                assert!(after >= before + 10, "{before} and {after}");
            }).await;
        });
    }
}
