//! The table of what happens to machines in schools, and what each time must come out.

use super::*;
use alloc::vec;

fn laptop() -> Hardware {
    Hardware {
        vendor: "LENOVO".into(),
        model: "20XXS0ABCD".into(),
        serial: "PF2ABCD1".into(),
        board_serial: "L1HF123456".into(),
        uuid: "4c8a1bcc-2f1d-11ec-9ed1-f1a2b3c4d5e6".into(),
        tpm: "ab".repeat(32),
        disks: ["S4EVNX0R123456".into()].into(),
        macs: ["8c:04:ba:01:02:03".into(), "8c:04:ba:01:02:04".into()].into(),
    }
    .cleaned()
}

/// Another of the same delivery.
fn its_neighbour() -> Hardware {
    Hardware {
        serial: "PF2ABCD2".into(),
        board_serial: "L1HF123457".into(),
        uuid: "4c8a1bcc-2f1d-11ec-9ed1-f1a2b3c4d5e7".into(),
        tpm: "cd".repeat(32),
        disks: ["S4EVNX0R123457".into()].into(),
        macs: ["8c:04:ba:01:02:05".into(), "8c:04:ba:01:02:06".into()].into(),
        ..laptop()
    }
}

fn with(change: impl FnOnce(&mut Hardware)) -> Hardware {
    let mut hardware = laptop();
    change(&mut hardware);
    hardware.cleaned()
}

/// What an agent sees that runs without rights: no serial numbers of the firmware.
fn without_rights(hardware: Hardware) -> Hardware {
    Hardware { serial: String::new(), board_serial: String::new(), uuid: String::new(), tpm: String::new(), ..hardware }
}

fn new_board(hardware: &mut Hardware) {
    hardware.board_serial = "L1HF999999".into();
    hardware.uuid = "99999999-2f1d-11ec-9ed1-f1a2b3c4d5e6".into();
    hardware.tpm = "ef".repeat(32);
    hardware.macs = ["8c:04:ba:09:09:09".into(), "8c:04:ba:01:02:04".into()].into();
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Same { .. } => "same",
        Verdict::Unsure { .. } => "unsure",
        Verdict::Different { .. } if verdict.is_another() => "another",
        Verdict::Different { .. } => "different",
    }
}

#[test]
fn what_happens_to_machines_in_schools() {
    let none = Hardware::default();
    let cases = vec![
        ("re-imaged", laptop(), laptop(), "same"),
        ("its neighbour in the cart", laptop(), its_neighbour(), "another"),
        ("a new disk", laptop(), with(|it| it.disks = ["WD-1".into()].into()), "same"),
        ("a new board, the serial number written into it", laptop(), with(new_board), "same"),
        (
            "a new board without the serial number",
            laptop(),
            with(|it| {
                new_board(it);
                it.serial = "To be filled by O.E.M.".into();
            }),
            "unsure",
        ),
        (
            "a new board with a serial number of its own",
            laptop(),
            with(|it| {
                new_board(it);
                it.serial = "PF9ZZZZZ".into();
            }),
            "another",
        ),
        ("its disk in its neighbour", laptop(), Hardware { disks: laptop().disks, ..its_neighbour() }, "another"),
        (
            "its network card in its neighbour",
            laptop(),
            Hardware { macs: ["8c:04:ba:01:02:03".into(), "8c:04:ba:01:02:05".into()].into(), ..its_neighbour() },
            "another",
        ),
        ("two that say nothing", none.clone(), none.clone(), "different"),
        ("one that says nothing any more", laptop(), none, "different"),
        ("re-imaged, read without rights", without_rights(laptop()), without_rights(laptop()), "same"),
        ("enrolled with rights, read without", laptop(), without_rights(laptop()), "same"),
        ("its neighbour, read without rights", without_rights(laptop()), without_rights(its_neighbour()), "different"),
        (
            "a new disk, read without rights",
            without_rights(laptop()),
            without_rights(with(|it| it.disks = ["WD-1".into()].into())),
            "unsure",
        ),
        (
            "a delivery with one serial number and one board number",
            laptop(),
            Hardware {
                serial: laptop().serial,
                board_serial: laptop().board_serial,
                tpm: String::new(),
                ..its_neighbour()
            },
            "unsure",
        ),
        (
            "a firmware update that changes the UUID",
            laptop(),
            with(|it| it.uuid = "11111111-2f1d-11ec-9ed1-f1a2b3c4d5e6".into()),
            "same",
        ),
    ];
    for (what, old, new, expected) in cases {
        let verdict = compare(&old, &new, &BTreeSet::new());
        assert_eq!(word(&verdict), expected, "{what}: {verdict:?}");
        assert_eq!(word(&compare(&new, &old, &BTreeSet::new())), expected, "{what}, the other way round");
    }
}

#[test]
fn a_dock_between_two_laptops_makes_them_no_one_machine() {
    let docked = |hardware: Hardware| {
        let mut hardware = without_rights(hardware);
        hardware.disks.clear();
        hardware.macs = ["a0:ce:c8:00:00:01".into()].into_iter().chain(hardware.macs.into_iter().take(1)).collect();
        hardware
    };
    let verdict = compare(&docked(laptop()), &docked(its_neighbour()), &BTreeSet::new());
    assert_eq!(word(&verdict), "different", "{verdict:?}");
    let known_dock = Hardware { macs: ["00:50:b6:12:34:56".into()].into(), ..Hardware::default() }.cleaned();
    assert!(known_dock.says_nothing());
}

#[test]
fn junk_makes_no_two_machines_one() {
    for junk in ["To be filled by O.E.M.", "Default string", "........", "0000000", "System Serial Number", "", " "] {
        let of = |mac: &str| {
            Hardware {
                serial: junk.into(),
                board_serial: junk.into(),
                macs: [mac.into()].into(),
                ..Hardware::default()
            }
            .cleaned()
        };
        let verdict = compare(&of("8c:04:ba:01:02:03"), &of("8c:04:ba:01:02:04"), &BTreeSet::new());
        assert_eq!(word(&verdict), "different", "{junk}");
    }
    for junk in [
        "03000200-0400-0500-0006-000700080009",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "00000000-0000-0000-0000-000000000000",
        "not a uuid",
        "",
    ] {
        assert!(Hardware { uuid: junk.into(), ..Hardware::default() }.cleaned().says_nothing(), "{junk}");
    }
    for junk in ["02:fc:00:00:00:01", "da:a1:19:00:00:01", "01:00:5e:00:00:01", "00:00:00:00:00:00", "00:15:5d:1", "x"]
    {
        assert!(is_shared_address(junk), "{junk}");
    }
}

#[test]
fn a_word_that_many_devices_bear_counts_for_nothing() {
    let machine = |mac: &str| Hardware {
        vendor: "No Name".into(),
        serial: "AB-2024".into(),
        macs: [mac.into()].into(),
        ..Hardware::default()
    };
    let (one, other) = (machine("8c:04:ba:01:02:03"), machine("8c:04:ba:01:02:04"));
    assert_eq!(word(&compare(&one, &other, &BTreeSet::new())), "unsure", "nobody knows yet");
    let common = [Mark { kind: MarkKind::Serial, value: "no name ab-2024".into() }].into();
    assert_eq!(word(&compare(&one, &other, &common)), "different");
}

#[test]
fn virtual_machines_are_told_by_what_is_their_own() {
    let vm = Hardware {
        vendor: "VMware, Inc.".into(),
        model: "VMware Virtual Platform".into(),
        serial: "VMware-56 4d aa".into(),
        uuid: "564daa11-2233-4455-6677-8899aabbccdd".into(),
        macs: ["00:0c:29:01:02:03".into()].into(),
        ..Hardware::default()
    }
    .cleaned();
    assert_eq!(word(&compare(&vm, &vm, &BTreeSet::new())), "same", "re-installed");
    let copied = Hardware { uuid: "564daa11-2233-4455-6677-8899aabbccde".into(), ..vm.clone() };
    let verdict = compare(&vm, &copied, &BTreeSet::new());
    assert!(verdict.is_another(), "a copy that the hypervisor gave a UUID of its own: {verdict:?}");
}

#[test]
fn whoever_sends_ten_thousand_addresses_is_heard_for_a_few() {
    let macs = (0..10_000_u32)
        .map(|number| format!("8c:04:{:02x}:{:02x}:{:02x}:01", number >> 16, number >> 8 & 255, number & 255));
    let disks = (0..10_000).map(|number| format!("{number}").repeat(100));
    let flood = Hardware { macs: macs.collect(), disks: disks.collect(), ..laptop() }.cleaned();
    assert!(flood.marks().len() <= MARKS_MAX, "{}", flood.marks().len());
    assert!(flood.disks.iter().all(|disk| disk.len() <= WORD_CHARS_MAX));
}
