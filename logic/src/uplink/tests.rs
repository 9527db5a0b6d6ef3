//! Stories of one agent's lanes.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

const OLD: u64 = 900;
const NOW: u64 = 7;
const PACE: Pace = Pace { window: 4, per_s: 10 };

fn at(ms: i64) -> Timestamp {
    Timestamp(1_000_000 + ms)
}

fn id(generation: u64, sequence: u64) -> BatchId {
    BatchId { generation, sequence }
}

fn receipt(generation: u64, range: RangeInclusive<u64>) -> Receipt {
    Receipt { generation, ranges: [range].into_iter().collect() }
}

/// An agent with six batches of an old generation and four of its own, in a welcomed stream.
fn welcomed() -> Uplink {
    let mut uplink = Uplink::new(NOW, 1);
    uplink.handle_held(OLD, [10..=15].into_iter().collect());
    for sequence in 1..=4 {
        uplink.handle_spooled(id(NOW, sequence));
    }
    let opening = uplink.begin_stream();
    assert_eq!(
        opening,
        Opening { generation: NOW, live_from: 5, held: vec![receipt(OLD, 10..=15), receipt(NOW, 1..=4)] }
    );
    uplink.handle_welcome(at(0), &[], PACE);
    uplink
}

fn drain(uplink: &mut Uplink, now: Timestamp) -> Vec<(BatchId, Lane)> {
    core::iter::from_fn(|| uplink.poll_send(now)).collect()
}

#[test]
fn nothing_goes_before_the_welcome() {
    let mut uplink = Uplink::new(NOW, 1);
    uplink.handle_spooled(id(NOW, 1));
    assert_eq!(uplink.poll_send(at(0)), None);
    uplink.begin_stream();
    assert_eq!(uplink.poll_send(at(0)), None);
    assert_eq!(uplink.poll_wake(), None);
}

#[test]
fn live_goes_first_and_ascending_whatever_is_owed() {
    let mut uplink = welcomed();
    assert_eq!(uplink.poll_send(at(0)), Some((id(OLD, 10), Lane::Backfill)));
    uplink.handle_spooled(id(NOW, 5));
    uplink.handle_spooled(id(NOW, 6));
    assert_eq!(uplink.poll_send(at(1000)), Some((id(NOW, 5), Lane::Live)));
    assert_eq!(uplink.poll_send(at(1000)), Some((id(NOW, 6), Lane::Live)));
    assert_eq!(uplink.poll_send(at(1000)), Some((id(OLD, 11), Lane::Backfill)));
}

#[test]
fn backfill_goes_ascending_oldest_generation_first_within_window_and_rate() {
    let mut uplink = welcomed();
    assert_eq!(drain(&mut uplink, at(0)), [(id(OLD, 10), Lane::Backfill)]);
    assert_eq!(uplink.poll_wake(), Some(at(100)));
    assert_eq!(drain(&mut uplink, at(99)), []);
    assert_eq!(drain(&mut uplink, at(100)), [(id(OLD, 11), Lane::Backfill)]);
    let more = drain(&mut uplink, at(5_000));
    assert_eq!(more, [(id(OLD, 12), Lane::Backfill), (id(OLD, 13), Lane::Backfill)]);
    assert_eq!(uplink.poll_wake(), None, "the window is full: only an acknowledgement helps");
    uplink.handle_ack(&[receipt(OLD, 10..=13)]);
    let rest: Vec<_> = drain(&mut uplink, at(10_000)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(rest, [id(OLD, 14), id(OLD, 15), id(NOW, 1), id(NOW, 2)]);
    uplink.handle_ack(&[receipt(OLD, 14..=15), receipt(NOW, 1..=2)]);
    let rest: Vec<_> = drain(&mut uplink, at(20_000)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(rest, [id(NOW, 3), id(NOW, 4)]);
    uplink.handle_ack(&[receipt(NOW, 3..=4)]);
    assert!(uplink.is_drained());
}

#[test]
fn what_the_collector_has_already_is_not_sent_again() {
    let mut uplink = welcomed();
    uplink.handle_disconnected();
    uplink.begin_stream();
    uplink.handle_welcome(at(0), &[receipt(OLD, 0..=u64::MAX), receipt(NOW, 1..=3)], PACE);
    assert_eq!(drain(&mut uplink, at(0)), [(id(NOW, 4), Lane::Backfill)]);
}

#[test]
fn what_a_lost_stream_left_unacknowledged_is_backfill_of_the_next() {
    let mut uplink = welcomed();
    uplink.handle_spooled(id(NOW, 5));
    assert_eq!(uplink.poll_send(at(0)), Some((id(NOW, 5), Lane::Live)));
    uplink.handle_disconnected();
    assert_eq!(uplink.poll_send(at(0)), None);
    assert_eq!(uplink.begin_stream().live_from, 6);
    uplink.handle_welcome(at(0), &[receipt(OLD, 10..=15), receipt(NOW, 1..=4)], PACE);
    assert_eq!(drain(&mut uplink, at(0)), [(id(NOW, 5), Lane::Backfill)]);
}

#[test]
fn live_is_bounded_by_its_window() {
    let mut uplink = Uplink::new(NOW, 0);
    uplink.begin_stream();
    uplink.handle_welcome(at(0), &[], Pace::default());
    for sequence in 0..200 {
        uplink.handle_spooled(id(NOW, sequence));
    }
    assert_eq!(drain(&mut uplink, at(0)).len(), LIVE_WINDOW);
    uplink.handle_ack(&[receipt(NOW, 0..=0)]);
    assert_eq!(drain(&mut uplink, at(0)), [(id(NOW, 64), Lane::Live)]);
}

#[test]
fn a_collector_that_wants_no_backfill_gets_none_until_it_asks() {
    let mut uplink = welcomed();
    uplink.handle_pace(Pace::default());
    assert_eq!(drain(&mut uplink, at(60_000)), []);
    assert_eq!(uplink.poll_wake(), None);
    uplink.handle_pace(PACE);
    assert_eq!(drain(&mut uplink, at(120_000)).len(), 4);
}

#[test]
fn what_the_spool_dropped_is_not_sent_and_frees_the_window() {
    let mut uplink = welcomed();
    assert_eq!(drain(&mut uplink, at(10_000)).len(), 4);
    for sequence in 10..=14 {
        uplink.handle_dropped(id(OLD, sequence));
    }
    assert_eq!(uplink.poll_send(at(20_000)), Some((id(OLD, 15), Lane::Backfill)));
}

#[test]
fn a_stepped_clock_begins_a_generation_and_owes_the_old_one() {
    let mut uplink = welcomed();
    uplink.handle_new_generation(1, 0);
    assert!(!uplink.is_up());
    uplink.handle_spooled(id(1, 0));
    let opening = uplink.begin_stream();
    assert_eq!((opening.generation, opening.live_from), (1, 1));
    assert_eq!(opening.held.len(), 3);
}

#[derive(Clone, Debug)]
enum Happens {
    Spools,
    Drops(usize),
    Acks(usize),
    Disconnects,
    Connects,
    Time(u64),
    Paces(u32, u32),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::Spools),
        1 => any::<usize>().prop_map(Happens::Drops),
        4 => any::<usize>().prop_map(Happens::Acks),
        1 => Just(Happens::Disconnects),
        2 => Just(Happens::Connects),
        4 => (0u64..5_000).prop_map(Happens::Time),
        1 => (0u32..6, 0u32..30).prop_map(|(window, per_s)| Happens::Paces(window, per_s)),
    ]
}

proptest! {
    /// Whatever happens: nothing is sent twice in one stream, live ascends, back-fill keeps its window, and once the
    /// collector listens for long enough everything that was spooled and not dropped is sent.
    #[test]
    fn everything_arrives_once_a_stream(steps in prop::collection::vec(happens(), 1..120)) {
        let mut uplink = Uplink::new(NOW, 0);
        let mut spool: BTreeSet<u64> = BTreeSet::new();
        let mut sent: Vec<(BatchId, Lane)> = Vec::new();
        let (mut clock, mut sequence, mut pace) = (0i64, 0u64, PACE);
        let pick = |set: &BTreeSet<u64>, at: usize| set.iter().nth(at % set.len().max(1)).copied();
        for step in steps {
            match step {
                Happens::Spools => { uplink.handle_spooled(id(NOW, sequence)); spool.insert(sequence); sequence += 1; }
                Happens::Drops(at) => if let Some(gone) = pick(&spool, at) {
                    spool.remove(&gone);
                    uplink.handle_dropped(id(NOW, gone));
                },
                Happens::Acks(at) => if !sent.is_empty() {
                    let (acked, _) = sent[at % sent.len()];
                    spool.remove(&acked.sequence);
                    uplink.handle_ack(&[receipt(NOW, acked.sequence..=acked.sequence)]);
                },
                Happens::Disconnects => { uplink.handle_disconnected(); sent.clear(); }
                Happens::Connects => {
                    sent.clear();
                    prop_assert_eq!(uplink.begin_stream().live_from, sequence);
                    uplink.handle_welcome(at(clock), &[], pace);
                }
                Happens::Time(ms) => clock += i64::try_from(ms).unwrap(),
                Happens::Paces(window, per_s) => { pace = Pace { window, per_s }; uplink.handle_pace(pace); }
            }
            for (batch, lane) in drain(&mut uplink, at(clock)) {
                prop_assert!(spool.contains(&batch.sequence), "only what the spool holds");
                prop_assert!(!sent.iter().any(|(other, _)| *other == batch), "twice in one stream");
                let last = sent.iter().rev().find(|(_, other)| *other == lane);
                prop_assert!(last.is_none_or(|(other, _)| other.sequence < batch.sequence), "not ascending");
                sent.push((batch, lane));
            }
            prop_assert!(uplink.count(Lane::Live) <= LIVE_WINDOW);
        }
        uplink.begin_stream();
        uplink.handle_welcome(at(clock), &[], PACE);
        let mut now = at(clock);
        for _ in 0..10_000 {
            for (batch, _) in drain(&mut uplink, now) {
                spool.remove(&batch.sequence);
                uplink.handle_ack(&[receipt(NOW, batch.sequence..=batch.sequence)]);
            }
            let Some(wake) = uplink.poll_wake() else { break };
            prop_assert!(wake > now, "a wake in the past would spin");
            now = wake;
        }
        prop_assert!(spool.is_empty() && uplink.is_drained());
    }

    #[test]
    fn backfill_keeps_its_rate(per_s in 1u32..50, pauses in prop::collection::vec(1u64..400, 1..100)) {
        let mut uplink = Uplink::new(NOW, 0);
        uplink.handle_held(OLD, [0..=100_000].into_iter().collect());
        uplink.begin_stream();
        uplink.handle_welcome(at(0), &[], Pace { window: u32::MAX, per_s });
        let mut now = at(0);
        let mut count = drain(&mut uplink, now).len();
        for pause in pauses {
            now = now + Duration::from_millis(pause);
            count += drain(&mut uplink, now).len();
        }
        let allowed = u128::from(per_s) * now.since(at(0)).as_millis() / 1000 + u128::from(per_s).max(1) + 1;
        prop_assert!(u128::try_from(count).unwrap() <= allowed, "{count} of {allowed}");
    }
}
