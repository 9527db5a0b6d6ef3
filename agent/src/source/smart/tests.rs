use super::*;
use crate::reading::Status;

const DISK: &str = "{\"smartctl\":{\"exit_status\":0},\"model_name\":\"M\",\"serial_number\":\"S\",\
                    \"smart_status\":{\"passed\":true},\"temperature\":{\"current\":30},\
                    \"ata_smart_attributes\":{\"table\":[{\"id\":5,\"raw\":{\"value\":7,\"string\":\"7\"}}]}}";

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new(scan: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(machine.folder.path().join("programs")).unwrap();
        machine.says("--scan-open --json=c", scan);
        machine
    }

    fn says(&self, arguments: &str, text: &str) {
        std::fs::write(self.folder.path().join(format!("programs/smartctl {arguments}")), text).unwrap();
    }

    fn smart(&self, config: SmartConfig) -> Smart {
        Smart::new(Host::at(self.folder.path()), config)
    }
}

const SDA: &str = "--json=c -a -n standby -d sat _dev_sda";
const ONE: &str = r#"{"smartctl":{},"devices":[{"name":"/dev/sda","type":"sat"}]}"#;

#[test]
fn a_disk_that_hung_is_left_alone_for_four_hours_and_then_asked_again() {
    let machine = Machine::new(ONE);
    machine.says(SDA, DISK);
    machine.says(&format!("{SDA}.hangs"), "");
    let mut smart = machine.smart(SmartConfig::default());
    let first = smart.read(Timestamp(0));
    assert!(first.problems[0].text.contains("did not answer within 30 s"), "{first:?}");
    std::fs::remove_file(machine.folder.path().join(format!("programs/smartctl {SDA}.hangs"))).unwrap();
    for _ in 0..REST_AFTER_HANG {
        let reading = smart.read(Timestamp(0));
        assert_eq!(reading.status(), Status::Nothing(ProblemKind::Failed));
        assert!(reading.problems[0].text.contains("left alone"), "{reading:?}");
    }
    assert_eq!(smart.read(Timestamp(0)).status(), Status::Ok);
}

#[test]
fn a_disk_that_the_admin_names_is_never_asked() {
    let machine = Machine::new(ONE);
    machine.says(SDA, DISK);
    let config = SmartConfig { skip: vec!["sda".to_owned()], ..SmartConfig::default() };
    assert_eq!(machine.smart(config).read(Timestamp(0)), Reading::default());
    assert_eq!(machine.smart(SmartConfig::default()).read(Timestamp(0)).samples.len(), 1);
}

#[test]
fn of_very_many_disks_only_so_many_are_asked() {
    let listed: Vec<String> =
        (0..100).map(|number| format!(r#"{{"name":"/dev/bus/0","type":"megaraid,{number}"}}"#)).collect();
    let machine = Machine::new(&format!(r#"{{"smartctl":{{}},"devices":[{}]}}"#, listed.join(",")));
    for number in 0..100 {
        let disk = DISK.replace("\"S\"", &format!("\"S{number}\""));
        machine.says(&format!("--json=c -a -n standby -d megaraid,{number} _dev_bus_0"), &disk);
    }
    let reading = machine.smart(SmartConfig::default()).read(Timestamp(0));
    assert_eq!(reading.samples.len(), MAX_DISKS);
    assert_eq!(reading.problems[0].text, "100 disks: only the first 64 are asked");
}

#[test]
fn every_bit_of_the_exit_status_says_something() {
    let listed = Listed { name: "/dev/sda".to_owned(), kind: "sat".to_owned(), open_error: None };
    for (bit, name) in [
        (2, "command_failed"),
        (3, "failing"),
        (4, "prefail_now"),
        (5, "prefail_past"),
        (6, "errors_logged"),
        (7, "self_test_failed"),
    ] {
        let text = DISK.replace("\"exit_status\":0", &format!("\"exit_status\":{}", 1 << bit));
        let told = disk::tell(&output::report(&text).unwrap(), &listed, None);
        let set: Vec<&str> = told
            .fields
            .iter()
            .filter(|(name, value)| *name != "health_ok" && *value == bellwether_logic::sample::Value::Boolean(true))
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(set, [name]);
        assert_eq!(told.problems.len(), usize::from(bit == 2));
    }
    for bit in [0, 1] {
        let text = DISK.replace("\"exit_status\":0", &format!("\"exit_status\":{}", 1 << bit));
        let told = disk::tell(&output::report(&text).unwrap(), &listed, None);
        assert!(told.fields.is_empty() && told.problems.len() == 1, "{told:?}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_smartctl_could_print_makes_the_source_fall_over(
        at in 0..DISK.len(), bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let mut text = DISK.as_bytes().to_vec();
        let end = (at + bytes.len()).min(text.len());
        text.splice(at..end, bytes);
        let listed = Listed { name: "/dev/sda".to_owned(), kind: "sat".to_owned(), open_error: None };
        if let Some(report) = output::report(&String::from_utf8_lossy(&text)) {
            let told = disk::tell(&report, &listed, Some(0));
            assert!(told.fields.is_sorted_by_key(|(name, _)| *name));
        }
        let _ = output::report(&DISK[..at]);
    }
}
