use bellwether_logic::topology::How;
use bellwether_proto::record::v1::DeviceChanged;
use bellwether_proto::v1::{Learned, Neighbor};

use super::*;
use crate::state::testing::fresh;

const ROUTER: &str = "8c:04:ba:00:00:01";

fn device(id: &str, class: &str, mac: &str) -> DeviceChanged {
    DeviceChanged {
        device_id: id.into(),
        name: id.into(),
        class: class.into(),
        state: "in_use".into(),
        mac: mac.into(),
        ..DeviceChanged::default()
    }
}

fn learned(port: &str, mac: &str) -> Learned {
    Learned { port: port.into(), mac: mac.into(), vlan: 1 }
}

fn says(device: &str, neighborhood: Neighborhood) -> NeighborhoodSeen {
    NeighborhoodSeen { device_id: device.into(), neighborhood: Some(neighborhood) }
}

/// A router, a switch, a printer and a laptop; the printer hangs on this port.
fn school(printer: &str, laptop: &str) -> (tempfile::TempDir, State) {
    let (folder, state) = fresh();
    state
        .commit_engine(|tx| {
            tx.put_device(Timestamp(1), &device("router", "router", ROUTER))?;
            tx.put_device(Timestamp(1), &device("switch", "switch", "8c:04:ba:00:00:02"))?;
            tx.put_device(Timestamp(1), &device("printer", "printer", "8c:04:ba:00:00:03"))?;
            tx.put_device(Timestamp(1), &device("laptop", "laptop", "8c:04:ba:00:00:04"))?;
            let gateway = Neighborhood { gateway_mac: ROUTER.into(), ..Neighborhood::default() };
            tx.put_neighborhood(Timestamp(2), &says("laptop", gateway))
        })
        .unwrap();
    hang(&state, 10, printer, laptop);
    (folder, state)
}

fn hang(state: &State, at: i64, printer: &str, laptop: &str) {
    let mut learned = vec![learned("48", ROUTER)];
    let hangs = [(printer, "8c:04:ba:00:00:03"), (laptop, "8c:04:ba:00:00:04")];
    learned.extend(hangs.iter().filter(|(port, _)| !port.is_empty()).map(|(port, mac)| self::learned(port, mac)));
    let capabilities = vec!["access_point".to_owned()];
    let stranger = Neighbor { port: "9".into(), name: "ap-gym".into(), capabilities, ..Neighbor::default() };
    let neighbors = vec![stranger, Neighbor { port: "8".into(), name: "phone-7".into(), ..Neighbor::default() }];
    state
        .commit_engine(|tx| {
            tx.put_neighborhood(
                Timestamp(at),
                &says("switch", Neighborhood { learned, neighbors, ..Neighborhood::default() }),
            )?;
            tx.draw_map(Timestamp(at))
        })
        .unwrap();
}

fn told(state: &State, device: &str) -> Vec<(String, i64, Option<i64>)> {
    let of = |hanging: Hanging| (hanging.place.port, hanging.since.0, hanging.until.map(|until| until.0));
    state.places_of(device).unwrap().into_iter().map(of).collect()
}

#[test]
fn a_device_that_is_moved_keeps_its_history_and_a_laptop_only_its_place() {
    let (_folder, state) = school("7", "5");
    hang(&state, 20, "7", "5");
    hang(&state, 30, "8", "6");
    assert_eq!(told(&state, "printer"), [("8".to_owned(), 30, None), ("7".to_owned(), 10, Some(30))]);
    assert_eq!(told(&state, "laptop"), [("6".to_owned(), 30, None)]);
    assert_eq!(state.hanging_on("switch").unwrap().len(), 2);
    let (at, drawn) = state.drawn().unwrap();
    assert_eq!((at.0, drawn.root.as_deref()), (0, Some("router")));
    assert_eq!(drawn.uplinks.get("switch").map(String::as_str), Some("48"));
    let strangers: Vec<&str> = drawn.strangers.iter().map(|stranger| &*stranger.said.name).collect();
    assert_eq!(strangers, ["ap-gym"]);
}

#[test]
fn what_is_switched_off_for_the_night_keeps_its_place_and_says_since_when_it_is_not_seen() {
    let (_folder, state) = school("7", "5");
    hang(&state, 20, "", "5");
    let gone = &state.places_of("printer").unwrap()[0];
    assert_eq!((gone.place.port.as_str(), gone.gone_at), ("7", Some(Timestamp(20))));
    hang(&state, 30, "7", "5");
    let back = &state.places_of("printer").unwrap()[0];
    assert_eq!((back.since, back.gone_at), (Timestamp(10), None));
}

#[test]
fn a_person_is_believed_until_they_take_it_back() {
    let (_folder, state) = school("7", "5");
    let link = |switch: &str| LinkSet {
        device_id: "printer".into(),
        switch_id: switch.into(),
        port: "3".into(),
        actor: "kim".into(),
    };
    for (at, switch) in [(20, "switch"), (30, "")] {
        state
            .commit_engine(|tx| {
                tx.put_link(Timestamp(at), &link(switch))?;
                tx.draw_map(Timestamp(at))
            })
            .unwrap();
        assert_eq!(state.links().unwrap().len(), usize::from(!switch.is_empty()));
    }
    let ports: Vec<String> = told(&state, "printer").into_iter().map(|(port, ..)| port).collect();
    assert_eq!(ports, ["7", "3", "7"]);
    assert_eq!(state.places_of("printer").unwrap()[1].attachment.how, How::Person);
}

#[test]
fn own_addresses_and_gateways_are_managed() {
    let (_folder, state) = school("7", "5");
    let managed = state.managed_wire_macs().unwrap();
    assert!(managed.contains(&ROUTER.parse().unwrap()));
    assert_eq!(managed.len(), 4);
    assert_eq!(state.neighborhood("switch").unwrap().unwrap().0, Timestamp(10));
    assert_eq!(state.neighborhoods().unwrap().len(), 2);
}

/// What a switch heard and what draws its power is proposed, adopted, and followed to another address.
#[test]
fn gear_that_only_switches_tell_of_is_proposed_until_it_is_ours_or_gone() {
    let (_folder, state) = fresh();
    let watch =
        |agent: &str, address: &str| Some(Watch { agent: agent.into(), address: address.into(), ..Watch::default() });
    let switch =
        DeviceChanged { watch: watch("closet", "10.0.0.2"), ..device("switch", "switch", "8c:04:ba:00:00:02") };
    let ap = |address: &str| Neighbor {
        port: "9".into(),
        chassis: "8c:04:ba:00:00:09".into(),
        name: "ap-gym".into(),
        capabilities: vec!["access_point".to_owned()],
        address: address.into(),
        ..Neighbor::default()
    };
    let port = |name: &str| bellwether_proto::v1::Port { name: name.into(), powers: true, ..Default::default() };
    let tell = |at: i64, neighbors: Vec<Neighbor>| {
        let (ports, learned) = (vec![port("9"), port("10")], vec![learned("48", ROUTER)]);
        let said = Neighborhood { neighbors, ports, learned, ..Neighborhood::default() };
        state
            .commit_engine(|tx| {
                tx.put_device(Timestamp(1), &DeviceChanged { watch: watch("closet", "10.0.0.2"), ..switch.clone() })?;
                tx.put_neighborhood(Timestamp(at), &says("switch", said))?;
                tx.draw_map(Timestamp(at))
            })
            .unwrap();
    };
    let keys = || state.proposals(false).unwrap().into_iter().map(|it| it.key).collect::<Vec<_>>();
    tell(10, vec![ap("10.0.0.9")]);
    assert_eq!(keys(), ["mac/8c:04:ba:00:00:09", "power/switch/10"]);
    let proposal = state.proposal("mac/8c:04:ba:00:00:09").unwrap().unwrap();
    let reach = &proposal.reaches[0];
    assert_eq!((&*reach.agent, &*reach.address, &*reach.credential), ("closet", "10.0.0.9", ""));
    assert_eq!(proposal.heard.as_ref().map(|heard| &*heard.on.port), Some("9"));
    assert!(state.said_macs().unwrap().contains(&proposal.facts.mac), "closets are to look up its address");

    state.commit_engine(|tx| tx.forget_found(Timestamp(900))).unwrap();
    assert_eq!(keys().len(), 2, "it is told of still");
    tell(20, Vec::new());
    assert_eq!(keys(), ["power/switch/10", "power/switch/9"], "nobody tells of it, and something draws the power");

    tell(30, vec![ap("10.0.0.9")]);
    let ours =
        DeviceChanged { watch: watch("closet", "10.0.0.9"), ..device("ap", "access_point", &proposal.facts.mac) };
    state.commit_engine(|tx| tx.put_device(Timestamp(31), &ours)).unwrap();
    assert_eq!(keys(), ["power/switch/10"]);
    tell(40, vec![ap("10.0.0.77")]);
    let pinged = state.pinged().unwrap().into_iter().find(|it| it.device == "ap").unwrap();
    assert_eq!((pinged.address.as_deref(), &*pinged.near), (Some("10.0.0.77"), "closet"));
    assert_eq!(keys(), ["power/switch/10"]);
}

#[test]
fn what_a_closet_found_itself_is_not_proposed_twice() {
    let (_folder, state) = school("7", "5");
    assert_eq!(state.proposals(false).unwrap().len(), 1, "ap-gym");
    let facts =
        bellwether_logic::discovery::Facts { name: "ap-gym".into(), serial: "AP1".into(), ..Default::default() };
    let found = bellwether_proto::record::v1::DeviceFound {
        agent: "closet".into(),
        address: "10.0.0.9".into(),
        facts: Some(facts.into()),
        ..Default::default()
    };
    state.commit_engine(|tx| tx.put_found(Timestamp(15), &found).map(drop)).unwrap();
    hang(&state, 20, "7", "5");
    let keys: Vec<String> = state.proposals(false).unwrap().into_iter().map(|it| it.key).collect();
    assert_eq!(keys, ["serial//AP1"]);
}
