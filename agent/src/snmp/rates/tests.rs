use bellwether_logic::time::Timestamp;
use proptest::prelude::*;

use super::*;

const GIGABIT: u64 = 1_000_000_000;

fn counts(octets: Counter, packets: u64, errors: u32) -> Counts {
    Counts {
        octets: Some(octets),
        packets: [Some(Counter::Long(packets)), None, None],
        errors: Some(Counter::Short(errors)),
        discards: Some(Counter::Short(0)),
    }
}

fn look(at_s: u64, uptime_s: u32, received: Counts) -> Look {
    let port = Port { speed: Some(GIGABIT), discontinuity: Some(0), received, sent: Counts::default() };
    Look { at_ms: at_s * 1_000, uptime: Some(uptime_s * 100), ports: [("Gi1/0/1".into(), port)].into() }
}

fn received(before: &Look, now: &Look) -> Rate {
    between(before, now).remove("Gi1/0/1").unwrap_or_default().received
}

#[test]
fn a_minute_of_traffic_is_a_rate_and_a_part_of_the_link() {
    let before = look(0, 1_000, counts(Counter::Long(0), 0, 0));
    let now = look(60, 1_060, counts(Counter::Long(750_000_000), 1_000_000, 10));
    let rate = received(&before, &now);
    assert_eq!(rate.bits_per_s, Some(100_000_000.0));
    assert_eq!(rate.use_percent, Some(10.0));
    assert_eq!(rate.errors_percent, Some(0.001), "one of 100,000 is where a cable begins to be bad");
    assert_eq!(rate.discards_percent, Some(0.0));
}

#[test]
fn a_short_counter_that_wrapped_once_is_read_across_the_wrap() {
    let before = look(0, 1_000, counts(Counter::Short(u32::MAX - 999), 0, 0));
    let now = look(10, 1_010, counts(Counter::Short(9_000), 0, 0));
    assert_eq!(received(&before, &now).bits_per_s, Some(8_000.0));
}

#[test]
fn a_short_counter_that_may_have_wrapped_twice_tells_nothing() {
    let before = look(0, 1_000, counts(Counter::Short(0), 0, 0));
    let now = look(60, 1_060, counts(Counter::Short(1_000), 0, 0));
    assert_eq!(received(&before, &now).bits_per_s, None, "at a gigabit it wraps every 34 seconds");
}

#[test]
fn a_device_that_restarted_tells_nothing_until_the_next_look() {
    let before = look(0, 90_000, counts(Counter::Long(5_000_000), 5_000, 0));
    let restarted = look(60, 20, counts(Counter::Long(6_000_000), 6_000, 0));
    assert_eq!(between(&before, &restarted), BTreeMap::new());
    let young = look(60, 40, counts(Counter::Long(6_000_000), 6_000, 0));
    let before = look(0, 30, counts(Counter::Long(5_000_000), 5_000, 0));
    assert_eq!(between(&before, &young), BTreeMap::new(), "it had run for 30 s and runs for 40 s a minute later");
}

#[test]
fn the_clock_of_a_device_that_wraps_after_497_days_is_no_restart() {
    let mut before = look(0, 0, counts(Counter::Long(0), 0, 0));
    before.uptime = Some(u32::MAX - 2_999);
    let mut now = look(60, 0, counts(Counter::Long(7_500), 0, 0));
    now.uptime = Some(3_000);
    assert_eq!(received(&before, &now).bits_per_s, Some(1_000.0));
}

#[test]
fn an_interface_whose_counters_began_anew_tells_nothing() {
    let before = look(0, 1_000, counts(Counter::Long(0), 0, 0));
    let mut now = look(60, 1_060, counts(Counter::Long(1_000), 0, 0));
    now.ports[0].1.discontinuity = Some(103_000);
    assert_eq!(between(&before, &now), BTreeMap::new());
    let now = look(60, 1_060, counts(Counter::Long(5), 0, 0));
    let before = look(0, 1_000, counts(Counter::Long(10), 0, 0));
    assert_eq!(received(&before, &now).bits_per_s, None, "64 bits don't go back");
}

#[test]
fn more_than_the_line_carries_is_not_believed() {
    let before = look(0, 1_000, counts(Counter::Long(0), 0, 0));
    let now = look(60, 1_060, counts(Counter::Long(9_000_000_000), 100_000_000, 0));
    assert_eq!(received(&before, &now), Rate::default(), "1.2 Gbit/s on a gigabit, and more frames than fit");
}

#[test]
fn a_link_that_changed_its_speed_has_a_rate_and_no_part() {
    let before = look(0, 1_000, counts(Counter::Long(0), 0, 0));
    let mut now = look(60, 1_060, counts(Counter::Long(7_500_000), 0, 0));
    now.ports[0].1.speed = Some(100_000_000);
    let rate = received(&before, &now);
    assert_eq!((rate.bits_per_s, rate.use_percent), (Some(1_000_000.0), None));
}

#[test]
fn a_few_packets_say_nothing_about_a_cable() {
    let before = look(0, 1_000, counts(Counter::Long(0), 0, 0));
    let now = look(60, 1_060, counts(Counter::Long(64_000), 900, 9));
    assert_eq!(received(&before, &now).errors_percent, None);
}

#[test]
fn interfaces_go_by_name_whatever_their_number_is() {
    let row = |name: &str, octets: i64| Sample {
        measurement: "interface".into(),
        tags: vec![("ifName".into(), name.to_owned())],
        target: String::new(),
        time: Timestamp(0),
        fields: vec![("ifHCInOctets".into(), Value::Integer(octets)), ("ifHighSpeed".into(), Value::Integer(1_000))],
    };
    let before = Look::of(&[row("A1", 0), row("A2", 8_000_000)], 0);
    let mut rows = vec![row("A2", 8_750_000), row("A1", 7_500_000)];
    let rates = between(&before, &Look::of(&rows, 60_000));
    add(&rates, &mut rows);
    let bits = |row: &Sample| field(row, "in_bits_per_s").cloned();
    assert_eq!(bits(&rows[0]), Some(Value::Float(100_000.0)));
    assert_eq!(bits(&rows[1]), Some(Value::Float(1_000_000.0)));
}

proptest! {
    /// Whatever a device says, what is told is finite, not below zero, and not above the line.
    #[test]
    fn nothing_impossible_is_told(
        old in any::<u64>(), new in any::<u64>(), short in any::<bool>(), apart_s in 0_u64..10_000,
        uptimes in any::<(u32, u32)>(), speed in prop::option::of(0_u64..400_000_000_000), errors in any::<(u32, u32)>(),
    ) {
        let width = |value: u64| if short { Counter::Short(value as u32) } else { Counter::Long(value) };
        let look = |at_s: u64, uptime, value, errors| {
            let port = Port { speed, discontinuity: None, received: counts(width(value), value, errors), sent: Counts::default() };
            Look { at_ms: at_s * 1_000, uptime: Some(uptime), ports: [("p".into(), port)].into() }
        };
        let rates = between(&look(5, uptimes.0, old, errors.0), &look(5 + apart_s, uptimes.1, new, errors.1));
        for rate in rates.values().map(|rates| &rates.received) {
            for percent in [rate.use_percent, rate.errors_percent, rate.discards_percent].into_iter().flatten() {
                prop_assert!((0.0..=100.0).contains(&percent));
            }
            if let Some(bits) = rate.bits_per_s {
                prop_assert!(bits.is_finite() && bits >= 0.0);
                if let Some(speed) = speed.filter(|speed| *speed > 0) {
                    prop_assert!(bits <= speed as f64 * SLACK + 1.0);
                }
            }
        }
    }

    /// What a steady device counted is what is told, wherever its counter stood and however often it wrapped by itself.
    #[test]
    fn a_steady_rate_is_told_from_any_start(start in any::<u32>(), octets in 0_u32..75_000_000) {
        let before = look(0, 1_000, counts(Counter::Short(start), 0, 0));
        let now = look(10, 1_010, counts(Counter::Short(start.wrapping_add(octets)), 0, 0));
        prop_assert_eq!(received(&before, &now).bits_per_s, Some((f64::from(octets) * 0.8).round()));
    }
}
