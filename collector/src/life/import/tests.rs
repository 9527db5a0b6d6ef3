use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::time::Timestamp;

use super::*;
use crate::state::devices::Presence;
use crate::state::life::FactsRow;

fn device(id: &str, name: &str, serial: &str) -> DeviceRow {
    DeviceRow {
        id: id.into(),
        name: name.into(),
        kind: "agent".into(),
        class: Class::Laptop,
        state: LifeState::InUse,
        site: "Lincoln".into(),
        room: String::new(),
        vendor: "Lenovo".into(),
        model: "100e".into(),
        serial: serial.into(),
        enrolled_at: Timestamp(0),
        updated_at: Timestamp(0),
        agent_version: String::new(),
        interval_s: 60,
        presence: Presence::Connected,
        presence_since: Timestamp(0),
        last_seen_at: None,
        clock_offset_ms: 0,
        config_revision: 0,
        config_refused: (0, String::new()),
        mac: String::new(),
        watch: None,
    }
}

fn school() -> Vec<DeviceRow> {
    vec![
        device("d1", "LHS-0001", "PF1"),
        device("d2", "LHS-0002", "PF2"),
        device("d3", "CART", "PF3"),
        device("d4", "CART", ""),
    ]
}

fn imported(text: &str) -> Import {
    read(text.as_bytes(), &school(), &AllFacts::default()).unwrap()
}

fn day(text: &str) -> Option<Date> {
    civil::read(text)
}

#[test]
fn a_list_as_schools_keep_it_is_understood() {
    let import = imported(
        "Asset Tag,Serial Number,Purchase Date,Purchase Cost,Funding Source,Warranty Expiration,AUE Date,E-Rate,Useful Life (years)\r\n\
         lhs-0001,,8/15/2023,\"$1,249.99\",Bond 2022,2026-08-14,2031-06-30,no,5\r\n\
         ,pf2,2024-08-15 00:00:00,350,,,,,\r\n",
    );
    assert_eq!(import.errors, []);
    let first = Facts {
        purchased: day("2023-08-15"),
        price_cents: Some(124_999),
        fund: "Bond 2022".into(),
        warranty_ends: day("2026-08-14"),
        planned_years: Some(5),
        updates_end: day("2031-06-30"),
        vendor_repairs: None,
        erate: Some(false),
    };
    let second = Facts { purchased: day("2024-08-15"), price_cents: Some(35_000), ..Facts::default() };
    let device = |id: &str| Subject::Device(id.into());
    assert_eq!(import.entries, [(device("d1"), first), (device("d2"), second)]);
    assert_eq!(import.changes[1].facts[0], ("Bought", String::new(), "2024-08-15".into()));
}

#[test]
fn columns_about_people_are_dropped_and_named() {
    let import = imported(
        "Asset Tag,Assigned To,Student Email,Price,Color,Homeroom\nLHS-0001,Dana Doe,dana@school.example,350,blue,12b\n",
    );
    assert_eq!(import.dropped, ["Assigned To", "Student Email", "Homeroom"]);
    assert_eq!(import.ignored, ["Color"]);
    let all = format!("{import:?}") + &format!("{:?}", import.records("kim", "list.csv"));
    assert!(!all.contains("Dana") && !all.contains("dana@") && !all.contains("12b"), "{all}");
}

#[test]
fn what_is_wrong_is_said_with_row_column_value_and_what_was_expected() {
    let import = imported(
        "Asset tag,Price,Purchase date,E-rate\nLHS-0001,a lot,15.8.2023,perhaps\n\nCART,5,,\nLHS-0002,5,,\nLHS-0002,6,,\n",
    );
    let said: Vec<String> = import.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "row 2, column \"Purchase date\": `15.8.2023`: expected a date from 1990 to 2100, such as 2026-06-30 or 6/30/2026",
            "row 2, column \"Price\": `a lot`: expected dollars from 0 to 1000000, such as 350 or $1,249.99",
            "row 2, column \"E-rate\": `perhaps`: expected yes or no",
            "row 4, column \"Asset tag\": `CART`: expected what only one device is called",
            "row 6: LHS-0002 is in the list twice",
        ]
    );
    assert!(!import.is_sound());
}

#[test]
fn rows_of_devices_that_are_not_known_are_listed_and_stop_nothing() {
    let import = imported("Asset tag;Serial;Price\nLHS-9999;XX;350\nLHS-0001;;350\n");
    assert_eq!(import.unmatched, [(2, "LHS-9999, XX".into())]);
    assert!(import.is_sound() && import.entries.len() == 1);
}

#[test]
fn a_row_with_a_model_alone_is_of_the_model() {
    let import = imported("Make,Model,Asset tag,Updates end,Price\nLenovo,100e  Chromebook,,2032-06-30,310\n");
    let facts = Facts { updates_end: day("2032-06-30"), price_cents: Some(31_000), ..Facts::default() };
    assert_eq!(import.entries, [(Subject::Model("lenovo 100e chromebook".into()), facts)]);
}

#[test]
fn an_empty_cell_leaves_what_is_known_and_none_takes_it_away() {
    let facts = Facts { fund: "Bond".into(), price_cents: Some(35_000), ..Facts::default() };
    let mut known = AllFacts::default();
    known.devices.insert("d1".into(), FactsRow { facts, ..FactsRow::default() });
    let read = |text: &str| read(text.as_bytes(), &school(), &known).unwrap();
    let import = read("Asset tag,Fund,Price\nLHS-0001,none,\n");
    assert_eq!(import.entries[0].1, Facts { price_cents: Some(35_000), ..Facts::default() });
    assert_eq!(import.changes[0].facts, [("Fund", "Bond".into(), String::new())]);
    let same = read("Asset tag,Fund,Price\nLHS-0001,Bond,$350.00\n");
    assert_eq!((same.entries.len(), same.unchanged), (0, 1));
}

#[test]
fn what_is_no_list_is_refused_whole() {
    let refused = |text: &[u8]| read(text, &school(), &AllFacts::default()).unwrap_err();
    assert_eq!(refused(b""), ImportError::Empty);
    assert_eq!(refused(b"Price,Fund\n1,2\n"), ImportError::NoKey);
    assert_eq!(refused(b"Asset tag,Color\n1,2\n"), ImportError::NoFacts);
    assert_eq!(
        refused(b"Asset tag,Price,Cost\n1,2,3\n"),
        ImportError::Twice { first: "Price".into(), second: "Cost".into() }
    );
    assert_eq!(refused(&vec![b'a'; BYTES_MAX + 1]), ImportError::TooLarge);
}

#[test]
fn a_list_that_is_not_in_utf_8_is_said_to_be_so() {
    let text = b"Asset tag,Fund\nLHS-0001,Caf\xe9\n";
    let import = read(text, &school(), &AllFacts::default()).unwrap();
    assert!(import.errors[0].expected.contains("CSV UTF-8"), "{:?}", import.errors);
}

#[test]
fn money_is_read_as_people_write_it() {
    for (text, sum) in [
        ("350", Some(35_000)),
        ("$ 1,249.9", Some(124_990)),
        ("0", Some(0)),
        ("1,24", None),
        ("12.345", None),
        ("-5", None),
        ("1e3", None),
        ("", None),
        ("99999999999", None),
        ("1000000.01", None),
    ] {
        assert_eq!(cents(text), sum, "{text}");
    }
}

#[test]
fn a_long_list_becomes_several_records() {
    let devices: Vec<DeviceRow> = (0..2_500).map(|at| device(&format!("d{at}"), &format!("L{at}"), "")).collect();
    let rows: String = (0..2_500).map(|at| format!("L{at},350\n")).collect();
    let import = read(format!("Asset tag,Price\n{rows}").as_bytes(), &devices, &AllFacts::default()).unwrap();
    let sizes: Vec<usize> = import.records("kim", "list.csv").iter().map(|set| set.entries.len()).collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}
