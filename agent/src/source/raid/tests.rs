use super::*;

#[test]
fn what_controllers_print_is_read_whatever_is_cut_off() {
    let json = r#"{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success"},"Response Data":
        {"Virtual Drives":[{"DG/VD":"0/1","TYPE":"RAID5","State":"Pdgd","Name":"jane"}]}}]}"#;
    let arrays = controllers::megaraid(json).unwrap();
    assert_eq!((arrays[0].name.as_str(), arrays[0].state, arrays[0].degraded), ("c0/v1", State::Degraded, Some(1)));
    for end in 0..json.len() {
        assert_eq!(controllers::megaraid(&json[..end]), None);
    }
    let text = "Smart Array P440ar in Slot 0 (Embedded)\n   logicaldrive 1 (279.4 GB, RAID 1, OK)\n";
    assert_eq!(controllers::hpe(text).unwrap().len(), 1);
    assert_eq!(controllers::hpe(&text[..60]), None);
    assert_eq!(controllers::hpe("\nError: No controllers detected.\n"), Some(Vec::new()));
}

#[test]
fn a_drive_of_one_array_is_not_counted_to_another() {
    let text = "Smart Array P440ar in Slot 3\n\n   Array A (SAS)\n      logicaldrive 1 (279.4 GB, RAID 1, Interim Recovery Mode)\n\
                \x20     physicaldrive 1I:1:1 (port 1I:box 1:bay 1, SAS HDD, 300 GB, OK)\n\
                \x20     physicaldrive 1I:1:2 (port 1I:box 1:bay 2, SAS HDD, 300 GB, Failed)\n\
                \x20  Array B (SATA)\n      logicaldrive 2 (1.8 TB, RAID 5, Recovering, 20% complete)\n\
                \x20     physicaldrive 1I:1:3 (port 1I:box 1:bay 3, SATA HDD, 1 TB, OK)\n\
                \x20     physicaldrive 1I:1:4 (port 1I:box 1:bay 4, SATA HDD, 1 TB, OK, spare)\n";
    let arrays = controllers::hpe(text).unwrap();
    assert_eq!((arrays[0].state, arrays[0].devices, arrays[0].failed), (State::Degraded, Some(2), Some(1)));
    assert_eq!((arrays[1].state, arrays[1].devices, arrays[1].spare), (State::Rebuilding, Some(1), Some(1)));
    assert_eq!((arrays[1].name.as_str(), arrays[1].level.as_str()), ("slot3/2", "raid5"));
}

#[test]
fn the_device_mapper_s_letters_are_members() {
    let text = "vg-home: 0 2097152 raid raid6_zr 5 AADAA 2097152/2097152 idle 0 0 -\n\
                vg-jane: 0 4096 raid raid1 2 Aa 1024/4096 recover 0 0 -\nvg-odd: 0 2048 raid\nno device\n";
    let arrays = kernel::dm_arrays(text);
    assert_eq!(arrays.len(), 2);
    assert_eq!((arrays[0].state, arrays[0].degraded, arrays[0].active), (State::Degraded, Some(1), Some(4)));
    assert_eq!((arrays[1].state, arrays[1].sync_percent), (State::Rebuilding, Some(25.0)));
    assert_eq!(arrays[1].name, "lvm-2");
}
