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
