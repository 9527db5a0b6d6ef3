//! Rules that make sense are taken, all others refused with what was expected; the shipped packs are among the former.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::sample::{Sample, Value};
use crate::time::Timestamp;

mod produced;

const SHIPPED: [(&str, &str); 5] = [
    ("disk_health", include_str!("../../../collector/rules/disk_health.toml")),
    ("disks", include_str!("../../../collector/rules/disks.toml")),
    ("laptops", include_str!("../../../collector/rules/laptops.toml")),
    ("raid", include_str!("../../../collector/rules/raid.toml")),
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
    assert_eq!(ids.len(), SHIPPED.iter().map(|(_, text)| parse(text).rule.len()).sum::<usize>(), "{ids:?}");
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
        if threshold.measurement != "disk" {
            continue;
        }
        assert!(threshold.looks_at(&ordinary), "{}", rule.id);
        let lookup = |name: &str| threshold.shown(&ordinary, name).or_else(|| of_device(name));
        let title = rule.title.render(lookup);
        assert!(!title.contains('?'), "{title}");
        let evidence: Vec<String> = threshold.evidence.iter().map(|template| template.render(lookup)).collect();
        assert_eq!(evidence, ["94.2% used", "1.1 GB free of 20 GB", "path /data"]);
    }
}

#[test]
fn every_shipped_rule_opens_on_what_it_is_for_and_says_so_without_gaps() {
    let mut ordinary = sample(
        &[
            ("available_spare", Value::Integer(4)),
            ("command_timeout", Value::Integer(900)),
            ("critical_warning", Value::Integer(3)),
            ("cycle_count", Value::Integer(1_200)),
            ("degraded", Value::Integer(1)),
            ("devices", Value::Integer(2)),
            ("energy_full_design_wh", Value::Float(50.0)),
            ("energy_full_wh", Value::Float(20.0)),
            ("exit_status", Value::Integer(72)),
            ("free", Value::Integer(1_000_000)),
            ("grown_defects", Value::Integer(900)),
            ("health", Value::Text("dead".to_string())),
            ("media_errors", Value::Integer(900)),
            ("pending_sector_count", Value::Integer(8)),
            ("percentage_used", Value::Integer(101)),
            ("power_on_hours", Value::Integer(30_000)),
            ("reallocated_sectors_count", Value::Integer(900)),
            ("last_stop_code", Value::Text("0x9f".to_string())),
            ("stop_errors", Value::Integer(5)),
            ("state", Value::Text("degraded".to_string())),
            ("temp_c", Value::Integer(71)),
            ("total", Value::Integer(20_000_000)),
            ("udma_crc_errors", Value::Integer(900)),
            ("uncorrectable_errors", Value::Integer(900)),
            ("uncorrectable_sector_count", Value::Integer(8)),
            ("used_percent", Value::Float(99.0)),
        ],
        &[
            ("array", "md0"),
            ("battery", "BAT0"),
            ("level", "raid1"),
            ("model", "ST1000"),
            ("path", "/data"),
            ("serial_no", "Z1"),
        ],
    );
    let of_device = |name: &str| (name == "device").then(|| Shown::Text("X".to_string()));
    for rule in shipped() {
        let Some(threshold) = rule.check.threshold() else { continue };
        ordinary.measurement = threshold.measurement.clone().into();
        let mut fit = ordinary.clone();
        let wear = if rule.id == "battery.replace_soon" { 55.0 } else { 40.0 };
        fit.fields.push(("wear_percent".into(), Value::Float(wear)));
        for (added, value) in [(RISE, 500.0), (DAYS_LEFT, 3.0), (TIMES, 20.0)] {
            fit.fields.push((added.into(), Value::Float(value)));
        }
        assert!(threshold.looks_at(&fit), "{}", rule.id);
        assert_eq!(threshold.verdict(&fit), Verdict::Open, "{}", rule.id);
        let lookup = |name: &str| threshold.shown(&fit, name).or_else(|| of_device(name));
        let texts = threshold.evidence.iter().chain([&rule.title]).map(|template| template.render(lookup));
        texts.for_each(|text| assert!(!text.contains('?'), "{}: {text}", rule.id));
    }
}

/// A threshold that opens when a field is above 10, and clears below 5, as it is written.
fn written(field: &str) -> String {
    format!(
        "measurement = \"m\"\nopen = [{{ field = \"{field}\", above = 10 }}]\n\
         clear = [{{ field = \"{field}\", below = 5 }}]\nevidence = [\"{{{field}}}\"]\n"
    )
}

pub(crate) fn threshold_on(field: &str) -> Threshold {
    toml::from_str(&written(field)).unwrap()
}

/// What a check of this kind makes of readings of `a` and `b`, a minute apart.
fn measured(check: &str, readings: &[(f64, f64)], added: &str) -> Vec<Option<f64>> {
    let threshold = written(added);
    let (kind, keys) = check.split_once('|').unwrap();
    let text = format!("[{kind}]\n{keys}\n[{kind}.threshold]\n{threshold}");
    let check: Check = toml::from_str(&text).unwrap();
    let mut track = Track::default();
    let look = |(minute, (a, b)): (usize, &(f64, f64))| {
        let mut sample = sample(&[("a", Value::Float(*a)), ("b", Value::Float(*b))], &[]);
        sample.time = Timestamp(i64::try_from(minute).unwrap() * 60_000);
        let measured = check.measure(&sample, Duration::from_secs(60), |_| Some(&mut track))?;
        measured.fields.iter().find(|(name, _)| name == added).and_then(|(_, value)| value.as_number())
    };
    readings.iter().enumerate().map(look).collect()
}

#[test]
fn a_part_is_told_of_a_whole_that_is_large_enough() {
    let readings = [(1.0, 50.0), (5.0, 9.0), (0.0, 0.0), (3.0, 10.0), (-1.0, 50.0)];
    let found = measured("ratio|of = \"a\"\nto = \"b\"\nat_least = 10", &readings, PART_PERCENT);
    assert_eq!(found, [Some(2.0), None, None, Some(30.0), None]);
}

#[test]
fn a_rate_is_told_once_the_span_is_known_whole_and_not_of_a_counter_that_was_set_back() {
    let readings: Vec<(f64, f64)> = [0.0, 60.0, 180.0, 240.0, 240.0, 10.0, 70.0, 130.0].map(|a| (a, 0.0)).to_vec();
    let found = measured("rate|field = \"a\"\nwithin = \"2m\"", &readings, PER_SECOND);
    assert_eq!(found, [None, None, Some(1.5), Some(1.5), Some(0.5), None, None, Some(1.0)]);
}

#[test]
fn what_begins_again_and_again_is_counted_and_what_lasts_is_not() {
    let readings: Vec<(f64, f64)> = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0].map(|a| (a, 0.0)).to_vec();
    let check = "count|within = \"4m\"\nwhen = [{ field = \"a\", above = 0.5 }]";
    let found = measured(check, &readings, TIMES);
    assert_eq!(found, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0].map(Some));
}

#[test]
fn a_kind_that_adds_a_field_and_does_not_ask_for_it_is_refused() {
    let threshold = written("other");
    for (kind, keys, added) in [
        ("ratio", "of = \"a\"\nto = \"b\"", PART_PERCENT),
        ("rate", "field = \"a\"\nwithin = \"2m\"", PER_SECOND),
        ("count", "within = \"4m\"\nwhen = [{ field = \"a\", above = 0.5 }]", TIMES),
        ("forecast", "field = \"a\"\nlimit = 100\ntowards = \"rising\"\nwithin = \"14d\"", DAYS_LEFT),
        ("change", "field = \"a\"\nwithin = \"1d\"", RISE),
    ] {
        let mut pack = with("", "").unwrap();
        let text = format!("[{kind}]\n{keys}\n[{kind}.threshold]\n{threshold}");
        pack.rule[0].check = toml::from_str(&text).unwrap();
        let flaw = pack.validate().unwrap_err();
        assert_eq!((flaw.key, flaw.expected), ("open", format!("a condition on `{added}`")), "{kind}");
    }
}

#[test]
fn bits_are_told_apart_however_they_add_up() {
    let parse = |text: &str| toml::from_str::<Comparison>(text);
    let spare = parse("field = \"critical_warning\"\nany_bit = 61").unwrap();
    let fine = parse("field = \"critical_warning\"\nno_bit = 61").unwrap();
    for (bits, bad) in [(0, false), (1, true), (2, false), (3, true), (8, true), (64, false)] {
        let sample = sample(&[("critical_warning", Value::Integer(bits))], &[]);
        assert_eq!((spare.holds(&sample), fine.holds(&sample)), (Some(bad), Some(!bad)), "{bits}");
    }
    let odd = sample(&[("critical_warning", Value::Float(3.0))], &[]);
    assert_eq!(spare.holds(&odd), None);
    assert!(parse("field = \"x\"\nany_bit = 0").is_err());
    assert!(parse("field = \"x\"\nany_bit = 1\nno_bit = 2").is_err());
    let overlap = refusal(
        r#"open = [{ field = "used_percent", above = 90 }]
clear = [{ field = "used_percent", below = 85 }]"#,
        r#"open = [{ field = "used_percent", any_bit = 6 }]
clear = [{ field = "used_percent", no_bit = 2 }]"#,
    );
    assert!(overlap.contains("leaves room to `open` (used_percent with a bit of 6)"), "{overlap}");
}

#[test]
fn a_change_rule_needs_a_span_a_counter_and_the_rise() {
    let pack = SHIPPED[0].1;
    for (old, new, expected) in [
        ("within = \"7d\"", "within = \"0s\"", "key `within` is `0s`: expected a length of time"),
        ("field = \"reallocated_sectors_count\"", "field = \"\"", "key `field` is empty"),
        (
            "open = [{ field = \"rise\", above = 0.5 }]",
            "open = [{ field = \"x\", above = 0.5 }]",
            "without the field `rise`",
        ),
        ("clear = [{ field = \"rise\", is = 0 }]", "clear = [{ field = \"rise\", is = 1 }]", "leaves room to `open`"),
    ] {
        assert!(pack.contains(old), "{old}");
        let error = parse(&pack.replacen(old, new, 1)).validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{new}: {error}");
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
        ("{value:percent}", "{value:furlongs}", "unknown unit `furlongs`: expected one of number, whole, percent"),
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
    let text = SHIPPED[4].1.replace(r#"for = "2h""#, r#"for = "0s""#);
    let error = parse(&text).validate().unwrap_err().to_string();
    assert!(error.starts_with("rule `silence.desktop`: key `for` is `0s`: expected a length of time"), "{error}");
}

#[test]
fn a_silence_that_counts_from_each_opening_is_shorter_than_a_half_day_and_says_school_once() {
    let refusal = |length: &str| {
        let text = SHIPPED[4].1.replace(r#"for = "2h""#, length);
        parse(&text).validate().unwrap_err().to_string()
    };
    let error = refusal(r#"for = "5h""#);
    assert!(error.contains("key `for` is `5h`: expected at most `4h`"), "{error}");
    let error = refusal(r#"for = "2h school""#);
    assert!(error.contains("key `for` is `2h school`: expected a plain length of time"), "{error}");
}

#[test]
fn a_folder_overrides_a_shipped_rule_by_its_id_and_adds_its_own() {
    let named = |id: &str| shipped().into_iter().find(|rule| rule.id == id).unwrap();
    let mut louder = named("disk.full.client");
    louder.severity = Severity::Critical;
    let mut own = louder.clone();
    own.id = "our.rule".to_string();
    let mut off = named("disk.full.server");
    off.enabled = false;
    let rules = RuleSet::merge(shipped(), vec![louder, own, off]).unwrap();
    assert_eq!(rules.get("disk.full.client").unwrap().severity, Severity::Critical);
    assert!(rules.get("our.rule").is_some());
    assert!(rules.get("disk.full.server").is_none());
    assert_eq!(rules.len(), shipped().len());
}

#[test]
fn an_id_that_is_given_twice_is_refused() {
    let twins = vec![shipped().swap_remove(0), shipped().swap_remove(0)];
    let error = RuleSet::merge(vec![], twins).unwrap_err().to_string();
    assert_eq!(error, "rule `disk.failing`: key `id` is `disk.failing` twice: expected each id once");
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

#[test]
fn a_rule_says_which_fields_decide_and_leaves_out_what_it_adds_itself() {
    let reads = |check: &str| -> Vec<(String, String)> {
        let check: Check = toml::from_str(check).unwrap();
        check.reads().into_iter().map(|(measurement, field)| (measurement.into(), field.into())).collect()
    };
    let of = |measurement: &str, fields: &[&str]| -> Vec<(String, String)> {
        fields.iter().map(|field| (measurement.to_string(), field.to_string())).collect()
    };
    let count = "[count]\nwhen = [{ field = \"jammed\", is = true }]\nwithin = \"7d\"\n[count.threshold]\n\
                 measurement = \"printer_status\"\nopen = [{ field = \"times\", above = 4 }]\n\
                 clear = [{ field = \"times\", below = 2 }]\nevidence = []\n";
    assert_eq!(reads(count), of("printer_status", &["jammed"]));
    let ratio = "[ratio]\nof = \"errors\"\nto = \"packets\"\nat_least = 10000\n[ratio.threshold]\nmeasurement = \"net\"\n\
                 open = [{ field = \"part_percent\", above = 1 }]\nclear = [{ field = \"part_percent\", below = 0.5 }]\n\
                 evidence = []\n";
    assert_eq!(reads(ratio), of("net", &["errors", "packets"]));
    let both = "[all_of]\nevidence = []\n[[all_of.part]]\nmeasurement = \"mem\"\nopen = [{ field = \"free\", below = 1 }]\n\
                clear = [{ field = \"free\", above = 2 }]\n[[all_of.part]]\nmeasurement = \"cpu\"\n\
                open = [{ field = \"busy\", above = 9 }]\nclear = [{ field = \"busy\", below = 8 }]\n";
    assert_eq!(reads(both), [of("cpu", &["busy"]), of("mem", &["free"])].concat());
    assert_eq!(reads("[absence]\nfor = \"5m\"\nclear_for = \"5m\"\n"), []);
}
