//! What closets find, on its page.

use bellwether_logic::device::Class;
use bellwether_logic::discovery::Facts;
use bellwether_proto::record::v1::{DeviceFound, Watch};

use super::*;

impl School {
    /// A closet, a switch that it watches, and two devices that it has found.
    pub(super) fn fill_closet(&self) {
        let closet = DeviceChanged {
            device_id: "dcloset".into(),
            name: "PI-1".into(),
            class: "closet".into(),
            site: "Lincoln".into(),
            room: "MDF".into(),
            state: "in_use".into(),
            ..DeviceChanged::default()
        };
        let watch = Watch {
            agent: "dcloset".into(),
            address: "10.0.0.2".into(),
            credential: NASTY.into(),
            firmware: NASTY.into(),
            ports: 52,
            ..Watch::default()
        };
        let switch = DeviceChanged {
            device_id: "dswitch".into(),
            name: NASTY.into(),
            class: "switch".into(),
            watch: Some(watch),
            ..closet.clone()
        };
        let found = |address: &str, serial: &str, name: &str| {
            let facts = Facts { kind: "ups".into(), serial: serial.into(), name: name.into(), ..Facts::default() };
            DeviceFound {
                agent: "dcloset".into(),
                device_id: String::new(),
                address: address.into(),
                credential: "district".into(),
                facts: Some(facts.into()),
            }
        };
        self.state
            .commit_engine(|tx| {
                tx.put_device(NOW, &closet)?;
                tx.put_device(NOW, &switch)?;
                tx.put_found(NOW, &found("10.0.0.3", "AS1", "ups-mdf"))?;
                tx.put_found(NOW, &found("10.0.0.4", "AS2", NASTY)).map(drop)
            })
            .unwrap();
    }
}

#[tokio::test]
async fn a_coordinator_accepts_and_dismisses_what_closets_find_and_a_viewer_reads_it() {
    let school = School::new();
    school.fill_closet();
    let (viewer, coordinator) = (school.visitor(Role::Viewer), school.visitor(Role::Coordinator));
    let read = school.get("/discovered", Some(&viewer)).await;
    assert!(read.text.contains("ups-mdf") && read.text.contains("No. AS1") && !read.text.contains("name=\"pick\""));
    let form = "key.1=serial%2F%2FAS1&building.1=Lincoln&room.1=IDF+2&pick=1&act=";
    let refused = school.post("/discovered", &viewer, &format!("{form}accept")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let page = school.get("/discovered", Some(&coordinator)).await;
    assert!(page.text.contains("value=\"serial//AS1\"") && page.text.contains("value=\"MDF\""), "{}", page.text);
    let accepted = school.post("/discovered", &coordinator, &format!("{form}accept")).await;
    assert_eq!(accepted.header(header::LOCATION), "/discovered?accepted=1&gone=0");
    let again = school.post("/discovered", &coordinator, &format!("{form}accept")).await;
    assert_eq!(again.header(header::LOCATION), "/discovered?accepted=0&gone=1", "one device");
    let device = school.state.all_devices().unwrap().into_iter().find(|device| device.name == "ups-mdf").unwrap();
    let watch = device.watch.unwrap();
    assert_eq!((device.class, device.room.as_str(), watch.agent.as_str()), (Class::Ups, "IDF 2", "dcloset"));
    let other = "key.1=serial%2F%2FAS2&building.1=&room.1=&pick=1&act=";
    school.post("/discovered", &coordinator, &format!("{other}dismiss")).await;
    assert!(school.get("/discovered", Some(&coordinator)).await.text.contains("Nothing new"));
    assert!(school.get("/discovered?show=dismissed", Some(&coordinator)).await.text.contains("coordinator"));
    school.post("/discovered", &coordinator, &format!("{other}restore")).await;
    assert_eq!(school.state.proposal_count().unwrap(), 1);
    let nothing = school.post("/discovered", &coordinator, "act=accept").await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// What the switch of `fill_closet` tells of: an access point of a cloud on one port, and something that draws power.
fn told() -> bellwether_proto::v1::Neighborhood {
    use bellwether_proto::v1::{Neighbor, Neighborhood, Port};
    let ap = Neighbor {
        port: "9".into(),
        protocol: "lldp".into(),
        chassis: "8c:04:ba:00:00:09".into(),
        name: "ap-gym".into(),
        description: "Meraki MR36 Cloud Managed AP".into(),
        capabilities: vec!["access_point".into()],
        address: "10.0.0.9".into(),
        ..Neighbor::default()
    };
    let port = |name: &str| Port { name: name.into(), powers: true, up: true, ..Port::default() };
    Neighborhood { neighbors: vec![ap], ports: vec![port("9"), port("10")], ..Neighborhood::default() }
}

#[tokio::test]
async fn all_that_is_clear_is_accepted_at_once_and_what_is_not_stays_for_a_person() {
    let school = School::new();
    school.fill_closet();
    let seen =
        bellwether_proto::record::v1::NeighborhoodSeen { device_id: "dswitch".into(), neighborhood: Some(told()) };
    school
        .state
        .commit_engine(|tx| {
            tx.put_neighborhood(NOW, &seen)?;
            tx.draw_map(NOW)
        })
        .unwrap();
    let (viewer, coordinator) = (school.visitor(Role::Viewer), school.visitor(Role::Coordinator));
    let page = school.get("/discovered", Some(&coordinator)).await.text;
    for told in
        ["ap-gym", "Cisco Meraki MR36", "port <b>9</b>", "by LLDP", "by the power", "Accept all 3 that are clear"]
    {
        assert!(page.contains(told), "{told} in {page}");
    }
    assert_eq!(school.get("/discovered?confirm=all", Some(&viewer)).await.status, StatusCode::FORBIDDEN);
    let asked = school.get("/discovered?confirm=all", Some(&coordinator)).await.text;
    assert!(
        asked.contains("Accept 3 devices?") && asked.contains("1 other") && asked.contains("Access point"),
        "{asked}"
    );
    let sent = |until: i64| format!("act=accept_all&until={until}");
    let before = school.post("/discovered", &coordinator, &sent(NOW.0 - 1)).await;
    assert_eq!(before.header(header::LOCATION), "/discovered?accepted=0&gone=0", "found since is not meant");
    let all = school.post("/discovered", &coordinator, &sent(NOW.0)).await;
    assert_eq!(all.header(header::LOCATION), "/discovered?accepted=3&gone=0");
    let left: Vec<String> = school.state.proposals(false).unwrap().into_iter().map(|it| it.key).collect();
    assert_eq!(left, ["power/dswitch/10"]);
    let ap = school.state.all_devices().unwrap().into_iter().find(|device| device.name == "ap-gym").unwrap();
    let watch = ap.watch.unwrap();
    assert_eq!((ap.class, watch.agent.as_str(), watch.address.as_str()), (Class::AccessPoint, "dcloset", "10.0.0.9"));
    assert_eq!(
        (watch.credential.as_str(), ap.room.as_str()),
        ("", "MDF"),
        "it is only pinged, and stands where its switch does"
    );
}
