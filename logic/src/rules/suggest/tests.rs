//! Readings suggest how long to wait and where to call it over, and say nothing while they are few.

use super::*;
use crate::rules::tests::threshold_on;
use crate::rules::{Pack, RuleSet};
use crate::sample::Value;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;

/// Above 10 for a minute opens, below 5 ends.
fn rules() -> RuleSet {
    let text = r#"
format = 1
[[rule]]
id = "r"
title = "x"
advice = "x"
severity = "minor"
ticket = "REPAIR"
category = "c"
classes = ["server"]
runbook = "x"
source = "House."
[rule.check.threshold]
measurement = "m"
open = [{ field = "a", above = 10 }]
clear = [{ field = "a", below = 5 }]
for = "1m"
evidence = []
"#;
    let pack: Pack = toml::from_str(text).unwrap();
    RuleSet::merge(pack.rule, vec![]).unwrap()
}

fn sample(minute: i64, value: f64) -> Sample {
    Sample {
        measurement: "m".into(),
        tags: vec![],
        target: String::new(),
        time: Timestamp(minute * MINUTE),
        fields: vec![("a".into(), Value::Float(value))],
    }
}

fn studied(values: impl Iterator<Item = f64>) -> Vec<Suggestion> {
    let rules = rules();
    let mut study = Study::of(&rules);
    for (minute, value) in (0..).zip(values) {
        study.note("d", &[sample(minute, value)]);
    }
    study.suggest(&rules)
}

#[test]
fn stretches_that_end_by_themselves_within_minutes_ask_for_a_longer_wait() {
    let values = (0..60 * 30).map(|minute| if minute % 60 < 7 { 20.0 } else { 1.0 });
    let found = studied(values);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].rule.as_str(), found[0].stretches, found[0].short), ("r", 30, 30));
    assert_eq!(found[0].wait, Some(Span::from_mins(10)), "seven minutes, in the lengths in which people think");
}

#[test]
fn few_stretches_and_long_ones_ask_for_nothing() {
    assert_eq!(studied((0..300).map(|minute| if minute % 60 < 7 { 20.0 } else { 1.0 })), vec![]);
    assert_eq!(studied((0..60 * 600).map(|minute| if minute % 600 < 300 { 20.0 } else { 1.0 })), vec![]);
}

#[test]
fn readings_that_jump_ask_for_an_end_further_away() {
    let found = studied((0..2_000).map(|minute| if minute % 2 == 0 { 12.0 } else { 3.0 }));
    let (field, limit) = found[0].clear.clone().unwrap();
    assert_eq!(field, "a");
    assert!((-1.0..1.0).contains(&limit), "steps of 9 ask for an end near 1, told in buckets: {limit}");
    assert!(found[0].noise.unwrap() >= 9.0);
}

#[test]
fn readings_that_hardly_differ_ask_for_nothing() {
    assert_eq!(studied((0..2_000).map(|minute| 8.0 + f64::from(minute % 2))), vec![]);
    assert_eq!(threshold_on("a").open.len(), 1);
}

proptest! {
    /// The reference sorts everything.
    #[test]
    fn a_part_of_all_is_told_within_a_fifth(sizes in prop::collection::vec(0.01f64..1e9, 1..200), part in 0.05f64..0.95) {
        let mut histogram = Histogram::new();
        sizes.iter().for_each(|size| histogram.note(*size));
        let mut sorted = sizes;
        sorted.sort_unstable_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
        let at = ((sorted.len() as f64 * part).ceil() as usize).max(1) - 1;
        let found = histogram.below(part).unwrap();
        prop_assert!(found >= sorted[at] && found <= sorted[at] * 1.2, "{}", format!("{found} {}", sorted[at]));
    }
}
