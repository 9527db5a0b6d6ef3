//! Rules that make sense are taken, all others refused with what was expected; the shipped packs are among the former.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::sample::{Sample, Value};
use crate::time::Timestamp;

const SHIPPED: [(&str, &str); 2] = [
    ("disks", include_str!("../../../collector/rules/disks.toml")),
    ("reachability", include_str!("../../../collector/rules/reachability.toml")),
];

fn parse(text: &str) -> Pack {
    toml::from_str(text).unwrap()
}

fn shipped() -> Vec<Rule> {
    SHIPPED.iter().flat_map(|(_, text)| parse(text).rule).collect()
}

/// A sound threshold rule, with one line replaced.
fn with(old: &str, new: &str) -> Result<Pack, toml::de::Error> {
    let text = r#"
format = 1
[[rule]]
id = "test.rule"
title = "{device}: {path} at {value:percent}"
advice = "Do."
severity = "minor"
ticket = "REPAIR"
category = "disk"
classes = ["laptop"]
runbook = "Read."
source = "House."
[rule.check.threshold]
measurement = "disk"
by = ["path"]
open = [{ field = "used_percent", above = 90 }]
clear = [{ field = "used_percent", below = 85 }]
for = "2m"
evidence = ["{used_percent:percent} used"]
"#;
    assert!(text.contains(old), "{old}");
    toml::from_str(&text.replace(old, new))
}

fn refusal(old: &str, new: &str) -> String {
    match with(old, new) {
        Ok(pack) => pack.validate().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

fn sample(fields: &[(&'static str, Value)], tags: &[(&'static str, &str)]) -> Sample {
    Sample {
        measurement: "disk".into(),
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).to_string())).collect(),
        target: String::new(),
        time: Timestamp(0),
        fields: fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
    }
}

#[test]
fn every_shipped_pack_is_sound_and_says_which_numbers_are_ours() {
    for (name, text) in SHIPPED {
        let pack = parse(text);
        pack.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        for rule in pack.rule {
            assert!(rule.source.contains("House"), "{}: source marks no house number", rule.id);
            assert!(rule.runbook.trim().lines().count() >= 3, "{}: a runbook of few lines", rule.id);
        }
    }
    let ids: Vec<String> = RuleSet::merge(shipped(), vec![]).unwrap().iter().map(|rule| rule.id.clone()).collect();
    let expected = ["disk.full.client", "disk.full.server", "silence.closet", "silence.desktop", "silence.server"];
    assert_eq!(ids, expected);
}

#[test]
fn every_placeholder_of_a_shipped_rule_is_known_from_an_ordinary_sample() {
    let ordinary = sample(
        &[
            ("used_percent", Value::Float(94.2)),
            ("free", Value::Integer(1_100_000_000)),
            ("total", Value::Integer(20_000_000_000)),
        ],
        &[("path", "/data"), ("mode", "rw")],
    );
    let of_device = |name: &str| PLACEHOLDERS.contains(&name).then(|| Shown::Text("X".to_string()));
    for rule in shipped() {
        let Check::Threshold(threshold) = &rule.check else { continue };
        assert!(threshold.looks_at(&ordinary), "{}", rule.id);
        let lookup = |name: &str| threshold.shown(&ordinary, name).or_else(|| of_device(name));
        let title = rule.title.render(lookup);
        assert!(!title.contains('?'), "{title}");
        let evidence: Vec<String> = threshold.evidence.iter().map(|template| template.render(lookup)).collect();
        assert_eq!(evidence, ["94.2% used", "1.1 GB free of 20 GB", "path /data"]);
    }
}

#[test]
fn the_client_rule_wants_both_few_percent_and_few_gigabytes() {
    let rules = RuleSet::merge(shipped(), vec![]).unwrap();
    let Check::Threshold(client) = &rules.get("disk.full.client").unwrap().check else { panic!("no threshold") };
    let verdict = |used: f64, free: i64| {
        client.verdict(&sample(&[("used_percent", Value::Float(used)), ("free", Value::Integer(free))], &[]))
    };
    assert_eq!(verdict(95.0, 5_000_000_000), Verdict::Open);
    assert_eq!(verdict(95.0, 50_000_000_000), Verdict::Between);
    assert_eq!(verdict(88.0, 5_000_000_000), Verdict::Between);
    assert_eq!(verdict(80.0, 5_000_000_000), Verdict::Clear);
    assert_eq!(client.verdict(&sample(&[("used_percent", Value::Float(95.0))], &[])), Verdict::Unknown);
    assert!(!client.looks_at(&sample(&[], &[("path", "/snap"), ("mode", "ro")])));
}

#[test]
fn a_rule_whose_conditions_overlap_or_touch_is_refused() {
    for clear in [
        r#"clear = [{ field = "used_percent", above = 90 }]"#,
        r#"clear = [{ field = "used_percent", below = 95 }]"#,
        r#"clear = [{ field = "used_percent", below = 90 }]"#,
        r#"clear = [{ field = "free", above = 5 }]"#,
    ] {
        let error = refusal(r#"clear = [{ field = "used_percent", below = 85 }]"#, clear);
        assert!(error.starts_with("rule `test.rule`: key `clear` is `"), "{error}");
        assert!(error.contains("leaves room to `open` (used_percent above 90)"), "{error}");
    }
}

#[test]
fn a_rule_that_contradicts_itself_is_refused_by_key_value_and_what_was_expected() {
    let cases = [
        (
            r#"below = 85 }]"#,
            r#"below = 85 }, { field = "used_percent", above = 85 }]"#,
            "key `clear` is `used_percent",
        ),
        (r#"clear = [{ field = "used_percent", below = 85 }]"#, "clear = []", "key `clear` is empty"),
        (r#"clear = [{ field = "used_percent", below = 85 }]"#, "", "missing field `clear`"),
        (
            "{path}",
            "{paht}",
            "key `title` is `{device}: {paht} at {value:percent}` with the unknown placeholder `{paht}`",
        ),
        ("{used_percent:percent} used", "{free}", "key `evidence` is `{free}` with the unknown placeholder `{free}`"),
        ("{path}", "{path", "is no placeholder"),
        ("{path}", "path}", "a brace without its partner"),
        ("{value:percent}", "{value:furlongs}", "unknown unit `furlongs`: expected one of number, percent"),
        (r#"for = "2m""#, r#"for = "2 minutes""#, "`2 minutes` is no length of time"),
        (r#"for = "2m""#, r#"fore = "2m""#, "unknown field `fore`"),
        (r#"above = 90"#, r#"above = nan"#, "needs exactly one of"),
        (r#"above = 90"#, r#"above = 90, below = 95"#, "needs exactly one of"),
        (r#"classes = ["laptop"]"#, "classes = []", "key `classes` is empty: expected at least one device class"),
        (r#"classes = ["laptop"]"#, r#"classes = ["toaster"]"#, "toaster"),
        (r#"id = "test.rule""#, r#"id = "Test Rule""#, "key `id` is `Test Rule`: expected lower-case words"),
        (r#"advice = "Do.""#, r#"advice = " ""#, "key `advice` is empty: expected a sentence"),
        ("format = 1", "format = 2", "rule `(pack)`: key `format` is 2: expected 1"),
    ];
    for (old, new, expected) in cases {
        let error = refusal(old, new);
        assert!(error.contains(expected), "{new}: {error}");
    }
}

#[test]
fn a_silence_of_no_time_is_refused() {
    let text = SHIPPED[1].1.replace(r#"for = "30m""#, r#"for = "0s""#);
    let error = parse(&text).validate().unwrap_err().to_string();
    assert!(error.starts_with("rule `silence.desktop`: key `for` is `0s`: expected a length of time"), "{error}");
}

#[test]
fn a_folder_overrides_a_shipped_rule_by_its_id_and_adds_its_own() {
    let mut louder = shipped().swap_remove(0);
    louder.severity = Severity::Critical;
    let mut own = louder.clone();
    own.id = "our.rule".to_string();
    let mut off = shipped().swap_remove(1);
    off.enabled = false;
    let rules = RuleSet::merge(shipped(), vec![louder, own, off]).unwrap();
    assert_eq!(rules.get("disk.full.client").unwrap().severity, Severity::Critical);
    assert!(rules.get("our.rule").is_some());
    assert!(rules.get("disk.full.server").is_none());
    assert_eq!(rules.len(), 5);
}

#[test]
fn an_id_that_is_given_twice_is_refused() {
    let twins = vec![shipped().swap_remove(0), shipped().swap_remove(0)];
    let error = RuleSet::merge(vec![], twins).unwrap_err().to_string();
    assert_eq!(error, "rule `disk.full.client`: key `id` is `disk.full.client` twice: expected each id once");
}

#[test]
fn a_pack_is_written_as_it_was_read() {
    for (_, text) in SHIPPED {
        let pack = parse(text);
        let written = serde_json::to_string(&pack).unwrap();
        assert_eq!(serde_json::from_str::<Pack>(&written).unwrap(), pack);
    }
}

#[test]
fn people_read_numbers_in_their_unit() {
    for (unit, number, text) in [
        (Unit::Percent, 94.25, "94.2%"),
        (Unit::Percent, 90.0, "90%"),
        (Unit::Bytes, 1_100_000_000.0, "1.1 GB"),
        (Unit::Bytes, 20e12, "20 TB"),
        (Unit::Bytes, 512.0, "512 bytes"),
        (Unit::Seconds, 7200.0, "2 hours"),
        (Unit::Seconds, -1.0, "0 seconds"),
        (Unit::Seconds, f64::MAX, "213503982334601 days"),
        (Unit::Milliseconds, 12.34, "12.3 ms"),
        (Unit::Celsius, 29.0, "29 °C"),
        (Unit::Number, 0.126, "0.13"),
    ] {
        assert_eq!(unit.write(number), text);
    }
}
