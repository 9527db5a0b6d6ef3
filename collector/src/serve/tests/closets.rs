//! Closets at the collector's door: what they find, who is told to ask it, and whose readings are taken.

use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::v1::{Assignments, DeviceFacts, Found, agent_message};

use super::site::{Site, Stream};

fn found(address: &str, serial: &str) -> agent_message::Body {
    let facts = DeviceFacts {
        kind: "switch".into(),
        vendor: "Aruba".into(),
        serial: serial.into(),
        name: "idf2.school.example".into(),
        ..DeviceFacts::default()
    };
    agent_message::Body::Found(Found { address: address.into(), credential: "district".into(), facts: Some(facts) })
}

/// Waits for a list of what to watch that holds something.
async fn told(stream: &mut Stream) -> Assignments {
    loop {
        let list = stream.assignments().await;
        if !list.assignments.is_empty() {
            return list;
        }
    }
}

fn answered(site: &Site, target: &str) -> Sample {
    Sample {
        measurement: "snmp".into(),
        tags: Vec::new(),
        target: target.into(),
        time: site.now(),
        fields: vec![("answered".into(), Value::Boolean(true))],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_closets_that_find_one_device_at_once_make_one_and_only_one_of_them_speaks_for_it() {
    let site = Site::start().await;
    let accept = "[own_agent]\nenabled = false\n[discovery]\naccept = [\"switch\"]\n";
    let site = site.restart_after(|data| std::fs::write(data.join("collector.toml"), accept).unwrap()).await;
    let machines = [site.machine().await, site.machine().await];
    let mut streams = Vec::new();
    for (machine, address) in machines.iter().zip(["10.0.0.2", "10.9.0.2"]) {
        let stream = site.stream(machine, 1).await.unwrap();
        stream.send(found(address, "CN1")).await;
        streams.push(stream);
    }
    let mut lists = Vec::new();
    for stream in &mut streams {
        lists.push(told(stream).await.assignments);
    }
    let all = site.running().app.state.all_devices().unwrap();
    let switches: Vec<_> = all.iter().filter(|device| device.watch.is_some()).collect();
    assert_eq!(switches.len(), 1, "{switches:?}");
    let switch = switches[0];
    assert_eq!((switch.name.as_str(), switch.site.as_str()), ("idf2", "Lincoln High"));
    assert!(lists.iter().flatten().all(|one| one.device_id == switch.id && one.serial == "CN1"));
    assert_eq!(lists.iter().flatten().filter(|one| !one.witness).count(), 1, "{lists:?}");

    let holder = machines.iter().position(|machine| machine.device == switch.watch.as_ref().unwrap().agent).unwrap();
    for stream in &mut streams {
        stream.batch(0, &[answered(&site, &switch.id)]).await;
        while stream.replies_with_ack().await.is_none() {}
    }
    let seen =
        site.query(r#"SELECT count("answered") FROM "snmp" GROUP BY "host", "device_id", "agent_host", "class""#).await;
    let address = ["10.0.0.2", "10.9.0.2"][holder];
    for part in [r#""host":"idf2""#, &format!(r#""agent_host":"{address}""#), r#""class":"switch""#, ",1]"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert!(!seen.contains("LHS-214"), "{seen}");

    // Another address of the same device, and another device at the old address.
    streams[holder].send(found("10.0.0.77", "CN1")).await;
    streams[holder].send(found(address, "CN9")).await;
    let next = loop {
        let list = told(&mut streams[holder]).await.assignments;
        if list.iter().any(|one| one.address == "10.0.0.77") && list.len() == 2 {
            break list;
        }
    };
    let of = |serial: &str| next.iter().find(|one| one.serial == serial).unwrap();
    assert_eq!((of("CN1").device_id.as_str(), of("CN9").address.as_str()), (switch.id.as_str(), address));
    assert_ne!(of("CN9").device_id, switch.id);
    site.stop().await;
}
