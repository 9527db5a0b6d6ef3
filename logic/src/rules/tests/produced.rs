//! Every shipped rule reads what something shipped produces, of devices that can produce it.

extern crate std;

use std::fs;
use std::path::Path;

use super::*;

/// Every shipped pack, by its file's name.
pub(super) fn packs() -> Vec<(String, Pack)> {
    files("../collector/rules", "toml").into_iter().map(|(name, text)| (name, parse(&text))).collect()
}

/// The files of a folder beside this crate's, by name.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A measurement as the public list has it.
#[derive(Debug, Default)]
struct Declared {
    tags: Vec<String>,
    fields: BTreeSet<String>,
}

/// `agent/schema.txt`, which a test of the agent holds equal to what its sources and probes declare.
fn declared() -> BTreeMap<String, Declared> {
    let text = include_str!("../../../../agent/schema.txt");
    let mut all: BTreeMap<String, Declared> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().skip_while(|line| !line.starts_with("agent_")) {
        if let Some(tags) = line.strip_prefix("  rows are told apart by: ") {
            all.get_mut(&name).unwrap().tags = tags.split(", ").map(ToString::to_string).collect();
        } else if let Some(field) = line.strip_prefix("  ") {
            let field = field.split_whitespace().next().unwrap();
            all.get_mut(&name).unwrap().fields.insert(field.to_string());
        } else if let Some((measurement, _)) = line.split_once(" [") {
            name = measurement.to_string();
            all.insert(name.clone(), Declared::default());
        }
    }
    all.insert("collector".to_string(), Declared { tags: Vec::new(), fields: of_the_collector() });
    assert!(all.len() > 60 && all["disk"].fields.contains("used_percent"), "the list was not understood");
    all
}

/// What the collector says of itself.
fn of_the_collector() -> BTreeSet<String> {
    let text = include_str!("../../../../collector/src/itself.rs");
    let declared = text.lines().filter_map(|line| {
        let line = line.trim();
        let kinds = ["integer(\"", "float(\"", "boolean(\""];
        kinds.iter().find_map(|kind| line.strip_prefix(kind))?.split('"').next()
    });
    let declared: BTreeSet<String> = declared.map(ToString::to_string).collect();
    assert!(declared.len() > 5 && declared.contains("broken_rules"), "the list was not understood");
    declared
}

/// The measurements that watching by SNMP fills.
fn by_snmp() -> BTreeSet<String> {
    let text = include_str!("../../../../agent/src/snmp/measurements.rs");
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
    names.map(ToString::to_string).collect()
}

/// What the profiles fill.
fn by_profiles() -> BTreeSet<(String, String)> {
    let mut filled = BTreeSet::new();
    for (name, text) in files("../agent/profiles", "toml") {
        let profile: toml::Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for reading in profile.get("reading").and_then(toml::Value::as_array).into_iter().flatten() {
            let (Some(measurement), Some(fields)) = (reading.get("measurement"), reading.get("fields")) else {
                continue;
            };
            let measurement = measurement.as_str().unwrap();
            filled.extend(fields.as_table().unwrap().keys().map(|field| (measurement.to_string(), field.clone())));
        }
    }
    assert!(filled.len() > 100);
    filled
}

/// The agent's own code of SNMP, apart from the list of what may be.
fn code_of_snmp() -> String {
    let folders = ["../agent/src/snmp", "../agent/src/snmp/poll", "../agent/src/run/closet"];
    let all = folders.into_iter().flat_map(|folder| files(folder, "rs"));
    all.filter(|(name, _)| name != "measurements").map(|(_, text)| text).collect()
}

/// What there is to read.
struct Produced {
    declared: BTreeMap<String, Declared>,
    snmp: BTreeSet<String>,
    filled: BTreeSet<(String, String)>,
    code: String,
}

impl Produced {
    fn read() -> Self {
        Self { declared: declared(), snmp: by_snmp(), filled: by_profiles(), code: code_of_snmp() }
    }
}

fn complaints(rule: &Rule, produced: &Produced) -> Vec<String> {
    let mut wrong = Vec::new();
    let Produced { declared, snmp, filled, code } = produced;
    for (measurement, field) in rule.check.reads() {
        let Some(found) = declared.get(measurement) else {
            wrong.push(std::format!("{}: nothing produces the measurement {measurement}", rule.id));
            continue;
        };
        let is_filled = !snmp.contains(measurement)
            || filled.contains(&(measurement.to_string(), field.to_string()))
            || code.contains(&std::format!("\"{field}\""));
        if !found.fields.contains(field) || !is_filled {
            wrong.push(std::format!("{}: nothing produces the field {field} of {measurement}", rule.id));
        }
    }
    wrong
}

#[test]
fn every_shipped_pack_is_sound_and_no_id_is_in_two() {
    let mut all = Vec::new();
    for (name, pack) in packs() {
        pack.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        for rule in &pack.rule {
            assert!(rule.source.contains("ouse"), "{}: source marks no house number", rule.id);
            assert!(rule.runbook.trim().lines().count() >= 3, "{}: a runbook of few lines", rule.id);
        }
        all.extend(pack.rule);
    }
    let count = all.len();
    assert!(count >= 60, "{count} rules");
    assert_eq!(RuleSet::merge(all, vec![]).unwrap().len(), count);
}

#[test]
fn every_rule_reads_what_a_source_a_probe_or_a_profile_produces() {
    let produced = Produced::read();
    let rules = packs().into_iter().flat_map(|(_, pack)| pack.rule);
    let wrong: Vec<String> = rules.flat_map(|rule| complaints(&rule, &produced)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_rule_on_what_nobody_produces_is_found() {
    let produced = Produced::read();
    let complains = |old: &str, new: &str| {
        let rule = with(old, new).unwrap().rule.remove(0);
        complaints(&rule, &produced)
    };
    assert_eq!(complains("disk", "disk"), Vec::<String>::new());
    let wrong = complains("measurement = \"disk\"", "measurement = \"moon\"");
    assert!(wrong[0].contains("nothing produces the measurement moon"), "{wrong:?}");
    let wrong = complains(
        "clear = [{ field = \"used_percent\"",
        "clear = [{ field = \"used_percent\", below = 1 }, { field = \"phase\"",
    );
    assert!(wrong[0].contains("nothing produces the field phase of disk"), "{wrong:?}");
}

#[test]
fn every_tag_and_every_further_field_of_a_rule_is_there() {
    let declared = declared();
    for rule in packs().into_iter().flat_map(|(_, pack)| pack.rule) {
        let Some(threshold) = rule.check.threshold() else { continue };
        let measurements = rule.check.measurements();
        let has_field = |field: &String| measurements.iter().any(|it| declared[*it].fields.contains(field));
        let has_tag = |tag: &String| measurements.iter().all(|it| declared[*it].tags.contains(tag));
        for tag in threshold.by.iter().chain(threshold.tags.keys()).chain(threshold.without.keys()) {
            assert!(has_tag(tag), "{}: no tag {tag}", rule.id);
        }
        for field in &threshold.also {
            let is_known = has_field(field) || has_tag(field) || rule.check.added().contains(&field.as_str());
            assert!(is_known, "{}: no field {field}", rule.id);
        }
    }
}

#[test]
fn every_rule_looks_at_classes_that_can_say_what_it_reads() {
    const AGENTS: [Class; 5] = [Class::Server, Class::Desktop, Class::Laptop, Class::Closet, Class::Other];
    const AGENTS_ALONE: [Class; 3] = [Class::Desktop, Class::Laptop, Class::Closet];
    let snmp = by_snmp();
    for rule in packs().into_iter().flat_map(|(_, pack)| pack.rule) {
        let watched = rule.check.measurements().iter().any(|measurement| snmp.contains(*measurement));
        for class in &rule.classes {
            let can = if watched { !AGENTS_ALONE.contains(class) } else { AGENTS.contains(class) };
            assert!(can, "{}: a {class} never says what it reads", rule.id);
        }
    }
}
