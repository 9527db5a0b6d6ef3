//! A small school on its pages: what hangs where, and what a person says about it.

use bellwether_proto::record::v1::NeighborhoodSeen;
use bellwether_proto::v1::{Learned, Neighbor, Neighborhood, Port};

use super::*;

fn mac(number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("8c:04:ba:00:{high:02x}:{low:02x}")
}

fn device(number: u16, name: &str, class: &str, room: &str) -> DeviceChanged {
    DeviceChanged {
        device_id: format!("d{number}"),
        name: name.into(),
        class: class.into(),
        site: "Lincoln High".into(),
        room: room.into(),
        state: "in_use".into(),
        mac: mac(number),
        ..DeviceChanged::default()
    }
}

fn seen(number: u16, neighborhood: Neighborhood) -> NeighborhoodSeen {
    NeighborhoodSeen { device_id: format!("d{number}"), neighborhood: Some(neighborhood) }
}

/// A switch of 24 ports that learned these numbers on these ports.
fn switch(learned: &[(u16, u16)], others: &[(u16, u32)]) -> Neighborhood {
    let learned = learned.iter().map(|(port, of)| Learned { port: format!("Gi1/0/{port}"), mac: mac(*of), vlan: 10 });
    let port = |number: u16| Port {
        name: format!("Gi1/0/{number}"),
        up: !number.is_multiple_of(5),
        others: others.iter().find(|(port, _)| *port == number).map_or(0, |(_, count)| *count),
        powers: number < 8,
        alias: String::new(),
    };
    Neighborhood { learned: learned.collect(), ports: (1..=24).map(port).collect(), ..Neighborhood::default() }
}

impl School {
    /// A firewall, a core with two closets below, an access point with a laptop, a printer, a desktop behind a phone.
    fn cable(&self) {
        let devices = [
            device(1, "LHS-FW", "firewall", "MDF 101"),
            device(2, "LHS-CORE", "switch", "MDF 101"),
            device(3, "LHS-IDF-A", "switch", "IDF 210"),
            device(4, "LHS-IDF-B", "switch", "IDF 330"),
            device(5, "LHS-AP-201", "access_point", "201"),
            device(6, "LHS-LT-017", "laptop", "201"),
            device(7, "LHS-PRN-LIB", "printer", "Library"),
            device(8, "LHS-PHONE-9", "phone", "Office"),
            device(9, "LHS-PC-OFFICE", "desktop", "Office"),
            device(10, "LHS-PC-LAB", "desktop", "Lab"),
        ];
        let core = switch(&[(24, 1), (1, 3), (1, 5), (1, 6), (1, 7), (2, 4), (2, 8), (2, 9), (2, 10)], &[(1, 80)]);
        let mut east = switch(&[(24, 1), (24, 2), (3, 5), (3, 6), (7, 7)], &[(3, 21), (24, 90), (9, 6)]);
        east.neighbors.push(Neighbor {
            port: "Gi1/0/9".into(),
            protocol: "lldp".into(),
            chassis: "8c:04:ba:99:00:01".into(),
            name: "gym-ap".into(),
            description: "Cloud access point".into(),
            capabilities: vec!["access_point".into()],
            ..Neighbor::default()
        });
        let west = switch(&[(24, 1), (24, 2), (4, 8), (4, 9)], &[]);
        let own = vec![Port { name: "eth0".into(), up: true, ..Port::default() }];
        let printer = Neighborhood { ports: own, ..Neighborhood::default() };
        let agent = Neighborhood { gateway_mac: mac(1), macs: vec![mac(9)], ..Neighborhood::default() };
        self.state
            .commit_engine(|tx| {
                devices.iter().try_for_each(|device| tx.put_device(NOW, device))?;
                for (number, neighborhood) in [(2, core), (3, east), (4, west), (7, printer), (9, agent)] {
                    tx.put_neighborhood(NOW, &seen(number, neighborhood))?;
                }
                tx.draw_map(NOW)?;
                tx.put_map_clock(false, NOW)
            })
            .unwrap();
    }
}

/// What a person reads, without the tags, in one line.
fn read(page: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for letter in page.chars() {
        match letter {
            '<' => tag = true,
            '>' => (tag, text) = (false, text + " "),
            _ if !tag => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",").replace(" .", ".")
}

#[tokio::test]
async fn the_network_is_a_tree_of_buildings_rooms_switches_and_ports() {
    let school = School::new();
    school.cable();
    let viewer = school.visitor(Role::Viewer);
    let page = school.get("/network", Some(&viewer)).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = read(&page.text);
    for part in [
        "the way out is LHS-FW",
        "Lincoln High IDF 210 LHS-IDF-A",
        "Uplink on port Gi1/0/24 to LHS-CORE, port Gi1/0/1",
        "LHS-AP-201 Access point LHS-LT-017 Laptop and 21 others",
        "LHS-PHONE-9 Phone LHS-PC-OFFICE Desktop",
        "gym-ap not managed yet",
        "gym-ap Access point · Cloud access point by LLDP at LHS-IDF-A, port Gi1/0/9",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let doubtful = text.split("Not certain").nth(1).unwrap();
    assert!(doubtful.contains("LHS-PC-LAB") && !doubtful.contains("LHS-PRN-LIB"), "{doubtful}");
    assert!(school.get("/network?building=Lincoln+High", Some(&viewer)).await.text.contains("LHS-CORE"));
    assert_eq!(school.get("/network", None).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_device_says_where_it_hangs_and_a_switch_what_hangs_on_it() {
    let school = School::new();
    school.cable();
    let viewer = school.visitor(Role::Viewer);
    let laptop = read(&school.get("/devices/d6", Some(&viewer)).await.text);
    assert!(laptop.contains("Hangs on LHS-IDF-A, port Gi1/0/3, probably through LHS-AP-201"), "{laptop}");
    assert!(laptop.contains("with 1 other device and 21 that nobody manages"), "{laptop}");
    assert!(laptop.contains("LHS-IDF-A port Gi1/0/3 → LHS-CORE port Gi1/0/1 → LHS-FW"), "{laptop}");
    assert!(!laptop.contains("Say where it hangs"), "a viewer changes nothing");
    let switch = read(&school.get("/devices/d3", Some(&viewer)).await.text);
    assert!(
        switch.contains("What hangs on each port") && switch.contains("Gi1/0/7 Power LHS-PRN-LIB Printer"),
        "{switch}"
    );
    let idle = switch.split_once("Nothing seen ").map(|(_, after)| after).unwrap_or_default();
    assert!(idle.starts_with("Gi1/0/") && idle.contains("Gi1/0/10, "), "ports without anything are one line: {switch}");
    let printer = read(&school.get("/devices/d7", Some(&viewer)).await.text);
    assert!(!printer.contains("What hangs on each port"), "nothing hangs on a printer: {printer}");
    let lab = read(&school.get("/devices/d10", Some(&viewer)).await.text);
    assert!(lab.contains("not certain") && lab.contains("LHS-IDF-B"), "{lab}");
}

#[tokio::test]
async fn what_a_technician_says_counts_until_it_is_taken_back() {
    let school = School::new();
    school.cable();
    let (technician, champion) = (school.visitor(Role::Technician), school.visitor(Role::Champion));
    let form = "switch=d4&port=Gi1%2F0%2F9";
    assert_eq!(school.post("/devices/d10/link", &champion, form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(school.post("/devices/d10/link", &technician, form).await.status, StatusCode::SEE_OTHER);
    let page = read(&school.get("/devices/d10", Some(&technician)).await.text);
    assert!(page.contains("Hangs on LHS-IDF-B, port Gi1/0/9.") && page.contains("Entered by hand"), "{page}");
    // Not on a printer, not on itself, not in a circle.
    for (device, on) in [("d10", "d7"), ("d10", "d10"), ("d4", "d4"), ("d10", "nobody")] {
        let answer = school.post(&format!("/devices/{device}/link"), &technician, &format!("switch={on}&port=1")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{device} on {on}");
    }
    assert_eq!(school.post("/devices/d3/link", &technician, "switch=d4&port=1").await.status, StatusCode::SEE_OTHER);
    let circle = school.post("/devices/d4/link", &technician, "switch=d3&port=1").await;
    assert_eq!(circle.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(school.post("/devices/d10/link", &technician, "switch=&port=").await.status, StatusCode::SEE_OTHER);
    let page = read(&school.get("/devices/d10", Some(&technician)).await.text);
    assert!(!page.contains("Entered by hand") && page.contains("not certain"), "{page}");
}

#[tokio::test]
async fn the_api_tells_the_map_and_what_is_proposed_with_the_facts_of_the_pages() {
    let school = School::new();
    school.cable();
    let token = school.state.add_api_token("map", Role::Viewer, NOW, None).unwrap();
    let ask = |path: &str| {
        let bearer = format!("Bearer {}", token.reveal());
        Request::get(path).header(header::AUTHORIZATION, bearer).body(Body::empty()).unwrap()
    };
    let json = |answer: &Answer| -> serde_json::Value { serde_json::from_str(&answer.text).unwrap() };
    let map = json(&school.send(ask("/api/v1/map?site=Lincoln%20High")).await);
    let find = |id: &str| map["devices"].as_array().unwrap().iter().find(|it| it["device"] == id).unwrap().clone();
    assert_eq!((map["root"].as_str(), map["total"].as_u64()), (Some("d1"), Some(10)));
    let laptop = find("d6");
    assert_eq!(laptop["on"], serde_json::json!({ "switch": "d3", "port": "Gi1/0/3" }));
    assert_eq!((laptop["certainty"].as_str(), laptop["how"].as_str()), (Some("sure"), Some("forwarding")));
    assert_eq!((laptop["through"].as_str(), laptop["since"].is_string()), (Some("d5"), true));
    let path: Vec<_> = laptop["path"].as_array().unwrap().iter().map(|step| step["switch"].as_str().unwrap()).collect();
    assert_eq!(path, ["d3", "d2", "d1"]);
    let east = find("d3");
    assert_eq!((east["uplink"].as_str(), east["room"].as_str()), (Some("Gi1/0/24"), Some("IDF 210")));
    let port = &east["ports"][2];
    assert_eq!((&port["devices"], &port["others"]), (&serde_json::json!(["d5", "d6"]), &serde_json::json!(21)));
    assert!(laptop["ports"].is_null());
    let one = json(&school.send(ask("/api/v1/map?limit=1&offset=2")).await);
    assert_eq!((one["devices"].as_array().unwrap().len(), one["total"].as_u64()), (1, Some(10)));
    assert_eq!(json(&school.send(ask("/api/v1/map?site=Nowhere")).await)["total"], 0);

    let proposed = json(&school.send(ask("/api/v1/discovered")).await);
    let ap = proposed["proposals"].as_array().unwrap().iter().find(|it| it["name"] == "gym-ap").unwrap();
    assert_eq!((ap["kind"].as_str(), ap["how"].as_str()), (Some("access_point"), Some("lldp")));
    assert_eq!(ap["on"], serde_json::json!({ "switch": "d3", "port": "Gi1/0/9" }));
    for path in ["/api/v1/map", "/api/v1/discovered"] {
        assert_eq!(school.get(path, None).await.status, StatusCode::UNAUTHORIZED);
    }
}
