//! Two weeks of a small district: the short form of `tests/sim year`.

use std::path::Path;

use bellwether_school::play::{Play, Script};
use bellwether_school::rules;
use bellwether_school::score::Figures;
use bellwether_school::watch::Watch;

fn played(seed: u64) -> (Figures, Figures, String) {
    let script = Script::weeks(seed);
    let rules = rules::shipped(Path::new(rules::FOLDER));
    let mut play = Play::new(script, |world, _| Watch::new(rules, true, world));
    play.run();
    let Play { world, year, truth, watch, .. } = &play;
    let (_, plain) = watch.plain.as_ref().expect("it was asked for");
    let figures = watch.ledger.figures(world, truth, year, script.end());
    let explained = watch.ledger.explain(world, truth, script.end());
    (figures, plain.figures(world, truth, year, script.end()), explained)
}

#[test]
fn two_weeks_of_a_small_district_make_few_and_true_tickets() {
    let (ours, plain, explained) = played(1);
    assert!(ours.true_tickets > 0, "{explained}");
    assert_eq!(ours.child_tickets, 0, "{explained}");
    assert!(ours.missed_ratio < 0.02, "{explained}");
    assert!(ours.day_p95 <= 8, "{explained}");
    assert!(ours.false_ratio < plain.false_ratio, "{explained}");
}
