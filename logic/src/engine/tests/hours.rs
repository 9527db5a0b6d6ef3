//! Learned hours, as far as they decide.

use super::*;

const DAY: u32 = 24 * 60;

/// A server whose plug is pulled at 20:00 and put back at 6:00, each day; the story begins at noon.
fn live_through(engine: &mut Engine, days: core::ops::Range<u32>) {
    for at in days.start * DAY..days.end * DAY {
        let of_day = (at + 12 * 60) % DAY;
        let device = || "files".to_string();
        let generation = u64::from((at + 18 * 60) / DAY);
        match of_day {
            360 => engine.handle(minute(at), Input::Connected { device: device(), generation, interval: MINUTE }),
            1_200 => engine.handle(minute(at), Input::Left { device: device(), generation, reason: None }),
            361..1_200 => engine.handle(minute(at), live("files", vec![])),
            _ => engine.handle(minute(at), Input::Wake),
        }
        effects(engine);
    }
}

#[test]
fn what_is_off_each_night_is_missed_at_first_and_no_more_once_that_is_known() {
    let mut engine = watching(Settings::default());
    live_through(&mut engine, 0..5);
    let missed = engine.counters().incidents;
    assert!(missed >= 2, "nobody knows it yet: {missed}");
    live_through(&mut engine, 5..24);
    let missed = engine.counters().incidents;
    live_through(&mut engine, 24..30);
    assert_eq!(engine.counters().incidents, missed, "now it is known");
    // It does not come back in the morning.
    for at in 30 * DAY..31 * DAY {
        engine.handle(minute(at), Input::Wake);
    }
    assert_eq!(engine.counters().incidents, missed + 1);
}
