//! Stories of one device's receipts.

use alloc::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn id(generation: u64, sequence: u64) -> BatchId {
    BatchId { generation, sequence }
}

#[test]
fn a_batch_is_accepted_once() {
    let mut receipts = Receipts::default();
    assert_eq!(receipts.offer(id(1, 5)), Offer::Accept);
    assert_eq!(receipts.offer(id(1, 5)), Offer::InFlight, "by another stream, meanwhile");
    receipts.committed(id(1, 5));
    assert_eq!(receipts.offer(id(1, 5)), Offer::Duplicate);
    assert_eq!(receipts.received([1, 2]), [Receipt { generation: 1, ranges: [5..=5].into_iter().collect() }]);
}

#[test]
fn a_batch_that_could_not_be_appended_may_come_again() {
    let mut receipts = Receipts::default();
    assert_eq!(receipts.offer(id(1, 5)), Offer::Accept);
    receipts.abandoned(id(1, 5));
    assert_eq!(receipts.offer(id(1, 5)), Offer::Accept);
    assert!(receipts.received([1]).is_empty(), "nothing is durable yet");
}

#[test]
fn what_is_pending_dies_with_the_process() {
    let mut receipts = Receipts::default();
    receipts.committed(id(1, 4));
    receipts.offer(id(1, 5));
    let text = serde_json::to_string(&receipts).unwrap();
    let mut restored: Receipts = serde_json::from_str(&text).unwrap();
    assert_eq!(restored.offer(id(1, 4)), Offer::Duplicate);
    assert_eq!(restored.offer(id(1, 5)), Offer::Accept);
}

#[test]
fn a_generation_has_one_clock_measured_at_its_first_hello() {
    let mut receipts = Receipts::default();
    let noon = Timestamp(1_000_000_000);
    let slow = noon - Duration::from_secs(3600);
    assert_eq!(receipts.hello(1, slow, noon), 3_600_000);
    assert_eq!(receipts.hello(1, slow - Duration::from_secs(3), noon), 3_600_000, "a slow line is no other clock");
    assert_eq!(receipts.hello(2, noon + Duration::from_secs(2), noon), 0);
    assert_eq!(receipts.hello(3, noon + Duration::from_millis(2001), noon), -2001);
    assert_eq!(receipts.clock_offset_ms(1), 3_600_000);
    assert_eq!(receipts.clock_offset_ms(9), 0);
    assert_eq!(receipts.hello(4, Timestamp(i64::MIN), noon), i64::MAX);
}

#[test]
fn a_collector_whose_clock_was_set_measures_anew() {
    let mut receipts = Receipts::default();
    let noon = Timestamp(1_000_000_000);
    let early = noon - Duration::from_secs(3600);
    assert_eq!(receipts.hello(1, noon, early), -3_600_000, "the collector started before its clock was set");
    assert_eq!(receipts.hello(1, noon, noon), 0);
    assert_eq!(receipts.clock_offset_ms(1), 0);
}

#[test]
fn a_clock_at_the_edge_of_the_tolerance_does_not_move_with_each_stream() {
    let mut receipts = Receipts::default();
    let noon = Timestamp(1_000_000_000);
    let mut hello = |off_ms: u64| receipts.hello(1, noon - Duration::from_millis(off_ms), noon);
    assert_eq!([hello(1_900), hello(2_100), hello(1_900)], [0, 0, 0]);
}

#[test]
fn the_generation_used_longest_ago_makes_room() {
    let mut receipts = Receipts::default();
    let most = u64::try_from(GENERATIONS_MAX).unwrap();
    for generation in 0..most {
        receipts.committed(id(generation, 0));
    }
    receipts.committed(id(0, 1));
    receipts.committed(id(most, 0));
    assert_eq!(receipts.dropped(), 1);
    assert_eq!(receipts.iter().count(), GENERATIONS_MAX);
    assert_eq!(receipts.received([0]).len(), 1);
    assert!(receipts.received([1]).is_empty());
}

#[test]
fn limits_refuse_instead_of_growing() {
    let mut receipts = Receipts::default();
    let most = u64::try_from(RANGES_MAX).unwrap();
    for sequence in 0..most {
        receipts.committed(id(1, sequence * 2));
    }
    assert_eq!(receipts.offer(id(1, most * 2)), Offer::Refused);
    assert_eq!(receipts.offer(id(1, 2)), Offer::Duplicate);
    for sequence in 0..u64::try_from(PENDING_MAX).unwrap() {
        assert_eq!(receipts.offer(id(2, sequence)), Offer::Accept);
    }
    assert_eq!(receipts.offer(id(3, 0)), Offer::Refused);
}

proptest! {
    #[test]
    fn exactly_once_under_any_order(offers in prop::collection::vec((0u64..3, 0u64..20, 0u8..3), 0..200)) {
        let mut receipts = Receipts::default();
        let mut appended = BTreeSet::new();
        for (generation, sequence, fate) in offers {
            let batch = id(generation, sequence);
            match (receipts.offer(batch), fate) {
                (Offer::Accept, 0) => {
                    prop_assert!(appended.insert(batch), "appended twice");
                    receipts.committed(batch);
                }
                (Offer::Accept, 1) => receipts.abandoned(batch),
                (Offer::Duplicate, _) => prop_assert!(appended.contains(&batch)),
                (Offer::Accept | Offer::InFlight, _) => prop_assert!(!appended.contains(&batch)),
                (Offer::Refused, _) => prop_assert!(false, "no limit is near"),
            }
        }
    }
}
