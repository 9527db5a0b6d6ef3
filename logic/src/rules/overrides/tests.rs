//! An override holds for whom it names, the most specific first, and must be as sound as a rule.

use super::*;
use crate::device::LifeState;
use crate::rules::{Pack, RuleSet};
use alloc::vec;

fn rule() -> Rule {
    let text = include_str!("../../../../collector/rules/closets.toml");
    let pack: Pack = toml::from_str(text).unwrap();
    pack.rule.into_iter().find(|rule| rule.id == "sensor.hot_closet").unwrap()
}

fn change(text: &str) -> Override {
    toml::from_str(&alloc::format!("rule = \"sensor.hot_closet\"\n{text}")).unwrap()
}

fn device(id: &str, site: &str, class: Class) -> Device {
    Device {
        id: id.into(),
        name: id.into(),
        class,
        site: site.into(),
        room: String::new(),
        state: LifeState::InUse,
        model: String::new(),
    }
}

/// For how many minutes it waits for a device; none if it does not look.
fn waits(rule: &Rule, device: &Device) -> Option<u64> {
    Some(rule.of(device)?.check.threshold()?.r#for.span.as_secs() / 60)
}

#[test]
fn the_most_specific_holds_and_of_equals_the_later() {
    let mut rule = rule();
    for text in [
        "classes = [\"ups\"]\nfor = \"10m\"",
        "buildings = [\"Lincoln\"]\nfor = \"20m\"",
        "buildings = [\"Lincoln\"]\nclasses = [\"ups\"]\nfor = \"40m\"",
        "devices = [\"d1\"]\nfor = \"50m\"",
        "devices = [\"d1\", \"d9\"]\nfor = \"60m\"",
        "buildings = [\"Adams\"]\nenabled = false",
    ] {
        rule.vary(change(text), "ours.toml, line 1").unwrap();
    }
    assert_eq!(waits(&rule, &device("d0", "Grant", Class::Sensor)), Some(30), "as it is shipped");
    assert_eq!(waits(&rule, &device("d0", "Grant", Class::Ups)), Some(10));
    assert_eq!(waits(&rule, &device("d0", "Lincoln", Class::Sensor)), Some(20));
    assert_eq!(waits(&rule, &device("d0", "Lincoln", Class::Ups)), Some(40));
    assert_eq!(waits(&rule, &device("d1", "Lincoln", Class::Ups)), Some(60));
    assert_eq!(waits(&rule, &device("d0", "Adams", Class::Sensor)), None);
    assert_eq!(waits(&rule, &device("d9", "Adams", Class::Sensor)), Some(60), "a device before its building");
    assert_eq!(waits(&rule, &device("d0", "Grant", Class::Laptop)), None, "not a class that it looks at");
}

#[test]
fn what_does_not_make_sense_is_refused_with_what_was_expected() {
    let refused = |text: &str| rule().vary(change(text), "").unwrap_err();
    let error = refused("for = \"1h\"");
    assert!(error.expected.contains("`buildings`, `classes` or `devices`"), "{error}");
    let error = refused("buildings = [\"Lincoln\"]\nclear = [{ field = \"temp\", below = 40 }]");
    assert_eq!(error.key, "clear", "{error}");
    let mut silence = rule();
    silence.check = toml::from_str("[absence]\nfor = \"5m\"").unwrap();
    let error = silence.vary(change("buildings = [\"Lincoln\"]\nreadings = 3"), "").unwrap_err();
    assert_eq!((error.key, error.expected.as_str()), ("readings", "a key that a rule of the kind `absence` has"));
}

#[test]
fn a_rule_that_is_off_but_for_some_stays_in_the_set() {
    let mut off = rule();
    off.enabled = false;
    assert!(RuleSet::merge(vec![off.clone()], vec![]).unwrap().is_empty());
    let (set, refused) = RuleSet::vary(
        vec![off],
        vec![],
        vec![
            (change("buildings = [\"Lincoln\"]\nenabled = true"), "x".into()),
            (change("devices = [\"d\"]\ngap = \"0s\""), "y".into()),
        ],
    )
    .unwrap();
    assert_eq!(set.len(), 1);
    let one = set.iter().next().unwrap();
    assert!(one.of(&device("d", "Lincoln", Class::Ups)).is_some());
    assert!(one.of(&device("d", "Grant", Class::Ups)).is_none());
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].0, refused[0].1.key), (1, "gap"));
    let text = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<RuleSet>(&text).unwrap(), set);
}
