//! What the folder says holds over what is shipped, and what is broken in it costs no more than itself.

use super::*;

/// A folder with one file.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ours.toml"), text).unwrap();
    folder
}

/// The shipped rule of this id, as text of its own.
fn text_of(id: &str) -> String {
    let named = format!("id = \"{id}\"\n");
    let (_, pack) = SHIPPED.iter().find(|(_, text)| text.contains(&named)).unwrap();
    let rule = pack.split("[[rule]]\n").find(|rule| rule.starts_with(&named)).unwrap();
    format!("[[rule]]\n{rule}")
}

fn shipped_alone() -> Loaded {
    load(Path::new("/nonexistent")).unwrap()
}

#[test]
fn every_shipped_pack_is_listed_and_makes_sense() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let names: Vec<_> = files(&folder).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let loaded = shipped_alone();
    assert!(!loaded.rules.is_empty());
    assert_eq!(loaded.origins.len(), loaded.rules.len());
}

#[test]
fn a_rule_in_the_folder_replaces_the_shipped_one() {
    let text = text_of("disk.full.server");
    let off = text.replacen("id = \"disk.full.server\"\n", "id = \"disk.full.server\"\nenabled = false\n", 1);
    let merged = load(folder(&format!("format = 1\n{off}")).path()).unwrap();
    assert_eq!(merged.rules.len(), shipped_alone().rules.len() - 1);
    assert!(merged.rules.get("disk.full.server").is_none());

    let tighter = text.replacen("above = 90", "above = 95", 1);
    let merged = load(folder(&format!("format = 1\n{tighter}")).path()).unwrap();
    assert_eq!(merged.rules.len(), shipped_alone().rules.len());
    assert_eq!(merged.origins["disk.full.server"].to_string(), "ours.toml, line 2");
}

#[test]
fn a_broken_rule_is_named_with_file_line_and_what_was_expected_and_the_rest_runs() {
    let broken = text_of("disk.full.server").replacen("below = 85", "below = 95", 1);
    let misspelt = text_of("disk.full.client").replacen("severity", "severty", 1);
    let own = text_of("silence.server").replacen("silence.server", "silence.ours", 1);
    let text = format!("format = 1\n{broken}{misspelt}{own}");
    let folder = folder(&text);
    let loaded = load(folder.path()).unwrap();
    let told: Vec<String> = loaded.broken.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let expected = format!("ours.toml, line {}: `clear = [", line("below = 95"));
    assert!(told[0].contains(&expected) && told[0].contains("key `clear` is"), "{}", told[0]);
    assert!(told[0].contains("expected a condition that leaves room to `open`"), "{}", told[0]);
    let expected = format!("ours.toml, line {}: `severty = ", line("severty"));
    assert!(told[1].contains(&expected) && told[1].contains("expected one of"), "{}", told[1]);
    assert_eq!(
        loaded.broken.iter().map(|broken| &*broken.rule).collect::<Vec<_>>(),
        ["disk.full.server", "disk.full.client"]
    );

    let shipped = shipped_alone();
    assert_eq!(loaded.rules.len(), shipped.rules.len() + 1);
    assert!(loaded.rules.get("silence.ours").is_some());
    assert_eq!(loaded.rules.get("disk.full.server"), shipped.rules.get("disk.full.server"));
    assert_eq!(loaded.origins["disk.full.server"].to_string(), "shipped, disks.toml");
}

#[test]
fn a_file_that_is_no_toml_says_every_place_and_costs_only_itself() {
    let folder = folder("format = 1\n[[rule]\nid = \"x\nseverity = = 3\n");
    let own = text_of("silence.server").replacen("silence.server", "silence.ours", 1);
    std::fs::write(folder.path().join("theirs.toml"), format!("format = 1\n{own}")).unwrap();
    std::fs::write(folder.path().join("binary.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert!(loaded.broken.len() >= 3, "{:?}", loaded.broken);
    assert!(loaded.broken[0].to_string().contains("binary.toml: cannot be read"), "{}", loaded.broken[0]);
    assert!(loaded.broken[1].to_string().contains("ours.toml, line 2"), "{}", loaded.broken[1]);
    assert!(loaded.rules.get("silence.ours").is_some());
}

#[test]
fn unknown_keys_another_format_and_an_id_that_is_there_twice_are_said() {
    let own = text_of("silence.server").replacen("silence.server", "silence.ours", 1);
    let loaded = load(folder(&format!("format = 1\n{own}{own}[[rules]]\nid = \"x\"\n")).path()).unwrap();
    let told: Vec<String> = loaded.broken.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("unknown key `rules`: expected `format`, `[[rule]]` and `[[override]]`"), "{told:?}");
    assert!(told[1].contains("twice: expected each id once; the first is in ours.toml, line 2"), "{told:?}");
    assert!(loaded.rules.get("silence.ours").is_some());

    let loaded = load(folder("format = 2\n").path()).unwrap();
    assert!(
        loaded.broken[0].to_string().contains("line 1: `format = 2`: expected `format = 1`"),
        "{:?}",
        loaded.broken
    );
}

#[test]
fn health_tells_of_broken_rules_until_they_are_mended() {
    let health = Health::default();
    load(folder("format = 2\n").path()).unwrap().tell(&health);
    assert!(health.troubles()[0].1.contains("ours.toml, line 1"), "{:?}", health.troubles());
    shipped_alone().tell(&health);
    assert!(health.troubles().is_empty());
}

#[test]
fn an_override_holds_for_whom_it_names_and_a_broken_one_is_left_out() {
    let text = "format = 1\n\
                [[override]]\nrule = \"sensor.hot_closet\"\nbuildings = [\"Lincoln\"]\nfor = \"2h\"\n\
                [[override]]\nrule = \"sensor.hot\"\nbuildings = [\"Lincoln\"]\nfor = \"2h\"\n\
                [[override]]\nrule = \"sensor.hot_closet\"\nbuilding = \"Lincoln\"\n";
    let loaded = load(folder(text).path()).unwrap();
    let told: Vec<String> = loaded.broken.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("ours.toml, line 12") && told[0].contains("unknown field `building`"), "{told:?}");
    assert!(told[1].contains("ours.toml, line 6") && told[1].contains("the id of a rule that there is"), "{told:?}");
    let rule = loaded.rules.get("sensor.hot_closet").unwrap();
    assert_eq!(rule.variants.iter().map(|variant| &*variant.from).collect::<Vec<_>>(), ["ours.toml, line 2"]);
}

#[test]
fn an_own_rule_that_breaks_goes_on_as_it_was_and_one_that_is_taken_away_does_not() {
    let own = text_of("disk.full.server").replace("disk.full.server", "disk.full.ours");
    let kept = |text: &str, before: &RuleSet| {
        let folder = folder(text);
        let loaded = load(folder.path()).unwrap();
        let mut rules = loaded.rules.clone();
        rules.keep(before, |id| loaded.leaves_out(id));
        rules
    };
    let before = kept(&own, &RuleSet::default());
    let ours = before.get("disk.full.ours").expect("it is sound");
    for broken in [own.replacen("severity = ", "severity = 5 #", 1), own.replacen("[[rule]]", "[[rule", 1)] {
        assert_eq!(kept(&broken, &before).get("disk.full.ours"), Some(ours), "{broken}");
    }
    assert!(kept("format = 1\n", &before).get("disk.full.ours").is_none());
}
