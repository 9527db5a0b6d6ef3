use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use bellwether_proto::schema;
use proptest::prelude::*;

use super::*;
use crate::snmp::{look, measurements, recording};

/// Read once: it is asked for in every round of what is tried at random.
static SHELF: LazyLock<Shelf> = LazyLock::new(|| Shelf::built_in().unwrap());

const SMALL: &str = r#"
title = "A lamp"
source = "a page"
rank = 50
match = { answers = ["1.3.6.1.4.1.99"] }

[[fact]]
is = "kind"
word = "projector"

[[reading]]
measurement = "projector"
pace = "slow"
fields.lamp_hours = "1.3.6.1.4.1.99.1"
"#;

fn complaint(text: &str) -> String {
    Profile::parse("lamp", text).expect_err("it is wrong").to_string()
}

#[test]
fn every_built_in_profile_is_whole_and_says_where_its_numbers_are_from() {
    let shelf = Shelf::built_in().expect("all are right");
    let names: Vec<&str> = shelf.profiles().map(Profile::name).collect();
    assert!(names.is_sorted(), "the list is by name");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
    let files: BTreeSet<String> = toml_files(Path::new(folder))
        .unwrap()
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into())
        .collect();
    assert_eq!(files, names.iter().map(|name| (*name).to_owned()).collect(), "a file each");
    assert!(shelf.profiles().all(|profile| profile.source().len() > 4));
}

#[test]
fn what_is_wrong_is_named_with_file_key_value_and_what_was_expected() {
    let change = |from: &str, to: &str| complaint(&SMALL.replace(from, to));
    assert_eq!(
        change("lamp_hours", "lamp_houses"),
        "lamp.toml: reading[0].fields is `lamp_houses`, expected lamp_hours, power, temp"
    );
    assert!(
        change("measurement = \"projector\"", "measurement = \"lamp\"")
            .starts_with("lamp.toml: reading[0].measurement is `lamp`, expected ")
    );
    assert!(
        change("word = \"projector\"", "word = \"lamp\"")
            .starts_with("lamp.toml: fact[0].word is `lamp`, expected access_point, ")
    );
    assert!(
        change("is = \"kind\"", "is = \"owner\"")
            .starts_with("lamp.toml: fact[0].is is `owner`, expected kind, vendor, ")
    );
    assert!(change("pace = \"slow\"", "pace = \"daily\"").contains("line 13: unknown variant `daily`"));
    assert!(change("rank = 50", "rank = 50\nunits = 3").contains("unknown field `units`"));
    assert!(change("answers = [\"1.3.6.1.4.1.99\"]", "").contains("match is ``, expected always, object_ids"));
    let field = |cell: &str| change("\"1.3.6.1.4.1.99.1\"", cell);
    assert!(field("{ oid = \"1.3.6.x\" }").contains("\"1.3.6.x\" is no object identifier"));
    assert!(field("{ oid = \"1.3\", words = { 1 = \"on\" } }").contains("expected a number for a field that is one"));
    assert!(field("{ oid = \"1.3\", unit = \"s\" }").contains("expected the unit of the field, `h`"));
    assert!(field("{ scale = 2 }").contains("expected exactly one of oid, index, text"));
    assert!(field("{ oid = \"1.3\", of = \"1.4\" }").contains("expected a field in percent"));
    let names = change("word = \"projector\"", "from = { oid = \"1.3\", names = { \"1.3.6\" = \"lamp\" } }");
    assert!(names.starts_with("lamp.toml: fact[0].word is `lamp`, expected access_point, "), "{names}");
    let nothing = change("word = \"projector\"", "word = \"projector\"\nwhere = [{ oid = \"1.3\" }]");
    assert!(nothing.contains("expected is, not, is_oid, least, contains, lacks, starts or starts_not"), "{nothing}");
}

/// What is made of a device with this sysObjectID and sysDescr, and these lines more.
fn told(object_id: &str, description: &str, more: &str) -> look::Look {
    let text = format!("1.3.6.1.2.1.1.1.0|4|{description}\n1.3.6.1.2.1.1.2.0|6|{object_id}\n{more}");
    look::at_recording(&SHELF, text.as_bytes())
}

#[test]
fn the_longest_number_that_a_device_is_below_names_its_kind() {
    let kind = |object_id: &str| told(object_id, "", "").facts.kind.map(crate::snmp::facts::Kind::as_str);
    assert_eq!(kind("1.3.6.1.4.1.3808.1.1.1"), Some("ups"));
    assert_eq!(kind("1.3.6.1.4.1.3808.1.1.3"), Some("pdu"));
    assert_eq!(kind("1.3.6.1.4.1.38080"), None, "a number that only begins like another is another");
}

#[test]
fn the_name_of_a_machine_says_nothing_of_its_kind() {
    let kind = |description: &str| {
        let look = told("1.3.6.1.4.1.8072.3.2.10", description, "");
        look.facts.kind.map(crate::snmp::facts::Kind::as_str)
    };
    assert_eq!(kind("Linux switch-3 6.1.0 #1 SMP x86_64"), Some("server"));
    assert_eq!(kind("Linux ap-12 4.4.60 #1 SMP mips"), None, "a small appliance is no server");
    assert_eq!(kind("24-Port Gigabit SWITCH"), Some("switch"), "what it says of itself is believed first");
}

#[test]
fn what_stands_where_there_is_nothing_to_say_is_no_serial_number_and_no_place() {
    let chassis = |serial: &str| {
        let lines = format!("1.3.6.1.2.1.47.1.1.1.1.5.1|2|3\n1.3.6.1.2.1.47.1.1.1.1.11.1|4|{serial}");
        told("1.3.6.1.4.1.99999", "", &lines).facts.serial
    };
    for nothing in ["", "N/A", "Not Specified", "0123456789", "000000", "-", "\"\"", "Default string"] {
        assert_eq!(chassis(nothing), None, "{nothing:?}");
    }
    assert_eq!(chassis(" \"AB0001\" ").as_deref(), Some("AB0001"));
    let place = |place: &str| told("1.3.6.1.4.1.99999", "", &format!("1.3.6.1.2.1.1.6.0|4|{place}")).facts.location;
    assert_eq!(place("Unknown (edit /etc/snmp/snmpd.conf)"), None);
    assert_eq!(place("Sitting on the Dock of the Bay"), None);
    assert_eq!(place("Room 12").as_deref(), Some("Room 12"));
}

#[test]
fn an_address_of_a_card_that_no_card_has_is_none() {
    let mac = |octets: &str| {
        let lines = format!("1.3.6.1.2.1.2.2.1.3.1|2|6\n1.3.6.1.2.1.2.2.1.6.1|4x|{octets}");
        told("1.3.6.1.4.1.99999", "", &lines).facts.mac
    };
    for none in ["000000000000", "ffffffffffff", "202020202020", "01005e000001", ""] {
        assert_eq!(mac(none), None, "{none}");
    }
    assert_eq!(mac("001b21aabb0c").as_deref(), Some("00:1b:21:aa:bb:0c"));
}

#[test]
fn a_file_in_a_folder_stands_in_the_place_of_the_one_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ups.toml"), SMALL).unwrap();
    std::fs::write(folder.path().join("readme.txt"), "not a profile").unwrap();
    let shelf = Shelf::with_folder(folder.path()).unwrap();
    assert_eq!(shelf.profiles().count(), Shelf::built_in().unwrap().profiles().count());
    assert_eq!(shelf.profiles().find(|profile| profile.name() == "ups").unwrap().title(), "A lamp");
    std::fs::write(folder.path().join("ups.toml"), "title = 1").unwrap();
    assert!(Shelf::with_folder(folder.path()).is_err(), "nothing of a wrong folder is used");
    assert!(Shelf::with_folder(&folder.path().join("none")).is_ok());
}

#[test]
fn never_the_whole_tree_is_asked_for() {
    let shelf = Shelf::built_in().unwrap();
    let everything = Choice { profiles: shelf.profiles.clone() };
    for pace in [Pace::Fast, Pace::Slow] {
        let wanted = everything.wanted(pace);
        assert!(wanted.is_sorted() && wanted.windows(2).all(|pair| !pair[1].starts_with(&pair[0])));
        assert!(wanted.iter().all(|column| column.arcs().len() >= 8), "a column, not a tree");
    }
    assert!(shelf.first().next.len() < 60, "each is a question to every new device");
}

/// Every case is a recording in `fixtures/snmp/PROFILE`, and beside it what is made of it.
#[test]
fn what_devices_answer_means_what_the_cases_say() {
    let shelf = Shelf::built_in().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snmp");
    let mut cases: Vec<PathBuf> = Vec::new();
    for profile in std::fs::read_dir(folder).unwrap() {
        let files = std::fs::read_dir(profile.unwrap().path()).unwrap().map(|file| file.unwrap().path());
        cases.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "snmprec")));
    }
    assert!(cases.len() >= 20);
    for case in cases {
        let profile = case.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let look = look::at_recording(&shelf, &std::fs::read(&case).unwrap());
        assert!(look.profiles.contains(&profile), "{} is no case of {profile}: {:?}", case.display(), look.profiles);
        for sample in &look.samples {
            let declared: Vec<_> = measurements::MEASUREMENTS.iter().collect();
            schema::check(&declared, sample).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
            assert!(sample.tags.is_sorted() && sample.tags.iter().all(|(_, value)| !value.is_empty()));
        }
        let expected = case.with_extension("expected");
        let page = page(&look);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &page).unwrap();
        }
        let told = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(page == told, "{}:\n{page}", case.display());
    }
}

/// All of it: the page for people, and every row of every interface.
fn page(look: &look::Look) -> String {
    let mut page = look.page();
    page.push('\n');
    for sample in look.samples.iter().filter(|sample| sample.measurement == "interface") {
        let _ = writeln!(page, "{:?} {:?}", sample.tags, sample.fields);
    }
    for row in look.rows.iter().filter(|row| row.kind != "neighbor") {
        let _ = writeln!(page, "{} {:?}", row.kind, row.columns);
    }
    page
}

proptest! {
    /// Whatever stands in a recording, it is read to its end, and what is told is declared.
    #[test]
    fn any_recording_is_read(lines in prop::collection::vec(line(), 0..40)) {
        let text = lines.concat();
        let look = look::at_recording(&SHELF, &text);
        let declared: Vec<_> = measurements::MEASUREMENTS.iter().collect();
        for sample in &look.samples {
            prop_assert!(schema::check(&declared, sample).is_ok());
        }
        prop_assert!(!look.page().is_empty());
        prop_assert_eq!(recording::read(&text, &[]).left_out, 0);
    }
}

/// A line as of a recording: a name that some profile asks for, any type, any octets.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let everything = Choice { profiles: SHELF.profiles.clone() };
    let columns = [everything.wanted(Pace::Fast), everything.wanted(Pace::Slow)].concat();
    let kinds = ["2", "4", "4x", "6", "64", "64x", "65", "66", "67", "70", "2:numeric", "99", ""];
    let raw = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (-3_i64..20).prop_map(|number| number.to_string().into_bytes()),
    ];
    let index = prop::collection::vec(0_u32..4, 0..8);
    (prop::sample::select(columns), index, prop::sample::select(kinds.to_vec()), raw).prop_map(
        |(column, index, kind, raw)| {
            let index: String = index.iter().map(|part| format!(".{part}")).collect();
            let mut line = format!("{column}{index}|{kind}|").into_bytes();
            line.extend(raw);
            line.push(b'\n');
            line
        },
    )
}
