use super::*;

fn agent(id: &str) -> DeviceChanged {
    DeviceChanged {
        device_id: id.into(),
        name: id.into(),
        kind: "agent".into(),
        class: "closet".into(),
        state: "in_use".into(),
        ..DeviceChanged::default()
    }
}

fn switch(holder: &str, address: &str) -> DeviceChanged {
    DeviceChanged {
        kind: "switch".into(),
        class: "switch".into(),
        vendor: "Aruba".into(),
        serial: "CN1".into(),
        mac: "3c:52:82:00:00:01".into(),
        watch: Some(Watch {
            agent: holder.into(),
            address: address.into(),
            credential: "district".into(),
            ..Watch::default()
        }),
        ..agent("sw")
    }
}

fn district() -> Inventory {
    let inventory = Inventory::default();
    for id in ["d1", "d2"] {
        inventory.put(Timestamp(0), &agent(id));
    }
    inventory.put(Timestamp(0), &switch("d1", "10.0.0.2"));
    let reach = |agent: &str, address: &str| Reach {
        agent: agent.into(),
        address: address.into(),
        credential: "district".into(),
        found_at: Timestamp(0),
    };
    inventory.put_reaches("sw", vec![reach("d1", "10.0.0.2"), reach("d2", "10.9.0.2")]);
    inventory
}

#[test]
fn one_agent_asks_a_device_and_another_that_reaches_it_bears_witness() {
    let inventory = district();
    let told = |agent: &str| {
        let list = inventory.assignments(agent);
        list.into_iter().map(|one| (one.device_id, one.address, one.witness, one.serial)).collect::<Vec<_>>()
    };
    assert_eq!(told("d1"), [("sw".into(), "10.0.0.2".into(), false, "CN1".into())]);
    assert_eq!(told("d2"), [("sw".into(), "10.9.0.2".into(), true, "CN1".into())]);
    assert_eq!(told("sw"), []);
    assert!(inventory.is_closet("d2") && !inventory.is_closet("sw"));
}

#[test]
fn only_the_holder_writes_and_the_former_one_what_it_read_before_the_lease_moved() {
    let inventory = district();
    let may = |agent: &str, at: i64| inventory.target(agent, "sw", Timestamp(at)).map(|target| target.address);
    assert_eq!(may("d1", 5), Some("10.0.0.2".into()));
    assert_eq!(may("d2", 5), None);
    inventory.put(Timestamp(1_000_000), &switch("d2", "10.9.0.2"));
    assert_eq!(may("d2", 2_000_000), Some("10.9.0.2".into()));
    assert_eq!(may("d1", 900_000), Some("10.0.0.2".into()), "it was read before");
    assert_eq!(may("d1", 2_000_000), None);
    assert!(inventory.is_closet("d1"), "it must be told that it asks nothing any more");
}

#[test]
fn a_retired_device_is_asked_by_nobody() {
    let inventory = district();
    inventory.put(Timestamp(9), &DeviceChanged { state: "retired".into(), ..switch("d1", "10.0.0.2") });
    assert_eq!(inventory.assignments("d1"), []);
    assert_eq!(inventory.assignments("d2"), []);
}

#[test]
fn a_device_is_found_by_serial_number_by_address_and_by_place() {
    let inventory = district();
    let find = |serial: &str, mac: &str, address: &str| {
        let facts = Facts { vendor: "Aruba".into(), serial: serial.into(), mac: mac.into(), ..Facts::default() };
        inventory.find("d1", address, &facts).map(|found| found.device)
    };
    assert_eq!(find("CN1", "", "10.0.0.77"), Some("sw".into()));
    assert_eq!(find("", "3c:52:82:00:00:01", "10.0.0.77"), Some("sw".into()));
    assert_eq!(find("CN2", "", "10.0.0.2"), None, "another device has its address");
    assert_eq!(find("", "", "10.0.0.2"), None);
    let dumb = DeviceChanged { serial: String::new(), mac: String::new(), ..switch("d1", "10.0.0.2") };
    inventory.put(Timestamp(9), &dumb);
    assert_eq!(find("", "", "10.0.0.2"), Some("sw".into()));
    assert_eq!(find("CN1", "", "10.0.0.77"), None);
    inventory.put_machines([("3c:52:82:00:00:09".to_owned(), "d2".to_owned())].into());
    assert_eq!(find("", "3c:52:82:00:00:09", "10.0.0.3"), Some("d2".into()), "it has an agent");
}

#[test]
fn whatever_is_managed_is_told_and_changes_are_announced() {
    let inventory = district();
    let mut changes = inventory.changes();
    assert_eq!(&*inventory.managed_macs(), ["3c:52:82:00:00:01"]);
    inventory.put_machines([("3c:52:82:00:00:09".to_owned(), "d2".to_owned())].into());
    assert!(changes.has_changed().unwrap());
    assert_eq!(&*inventory.managed_macs(), ["3c:52:82:00:00:01", "3c:52:82:00:00:09"]);
    changes.mark_unchanged();
    inventory.put_machines([("3c:52:82:00:00:09".to_owned(), "d2".to_owned())].into());
    assert!(!changes.has_changed().unwrap(), "nothing new");
}

#[test]
fn silence_of_a_device_begins_once() {
    let inventory = district();
    inventory.note_answer("sw", true, Timestamp(1));
    assert!(inventory.silent().is_empty());
    for at in [2, 3] {
        inventory.note_answer("sw", false, Timestamp(at));
    }
    let silent = inventory.silent();
    assert_eq!((silent[0].silent_since, silent[0].others.len()), (Some(Timestamp(2)), 1));
    inventory.note_answer("sw", true, Timestamp(4));
    assert!(inventory.silent().is_empty());
}
