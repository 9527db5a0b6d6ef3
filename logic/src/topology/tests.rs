//! Small networks with the facts of the field, one each; random ones and a school below.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use super::*;

mod random;
mod school;

fn mac(number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    Mac([0x8c, 0x04, 0xba, 0, high, low])
}

/// A device with the address of its number.
fn device(number: u16, id: &str, class: Class) -> Seen {
    Seen { id: id.into(), name: id.into(), class: Some(class), macs: vec![mac(number)], ..Seen::default() }
}

/// A switch that learned the addresses of these numbers on these ports.
fn switch(number: u16, id: &str, learned: &[(&str, u16)]) -> Seen {
    let learned = learned.iter().map(|(port, of)| ((*port).to_string(), mac(*of))).collect();
    Seen { view: View { learned, ..View::default() }, ..device(number, id, Class::Switch) }
}

/// An agent that names the device of this number as its gateway.
fn agent(number: u16, id: &str, gateway: u16) -> Seen {
    let view = View { gateway_mac: Some(mac(gateway)), ..View::default() };
    Seen { view, ..device(number, id, Class::Desktop) }
}

fn hears(mut switch: Seen, port: &str, chassis: &str, remote_port: &str) -> Seen {
    switch.view.neighbors.push(Neighbor {
        port: port.into(),
        chassis: chassis.into(),
        remote_port: remote_port.into(),
        ..Neighbor::default()
    });
    switch
}

/// `switch:port`, with `?` behind it if it is not sure, and all candidates if there is no one place.
fn told(map: &Map, id: &str) -> String {
    let write = |place: &Place| format!("{}:{}", place.switch, place.port);
    let Some(attachment) = map.attachments.get(id) else { return "nowhere".into() };
    let candidates = || attachment.candidates.iter().map(write).collect::<Vec<_>>().join(" or ");
    let place = attachment.place.as_ref().map_or_else(candidates, write);
    if attachment.sure { place } else { format!("{place}?") }
}

#[test]
fn a_device_hangs_on_the_lowest_of_the_switches_that_learned_it() {
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("1", 3), ("1", 5), ("1", 6), ("2", 4)]),
        switch(3, "edge", &[("48", 1), ("48", 2), ("48", 4), ("7", 5), ("8", 6)]),
        device(4, "printer", Class::Printer),
        agent(5, "desk", 1),
        device(6, "camera", Class::Camera),
    ];
    let map = map(&devices, &[]);
    assert_eq!(map.root.as_deref(), Some("router"));
    let told = ["edge", "printer", "desk", "camera"].map(|id| told(&map, id));
    assert_eq!(told, ["core:1", "core:2", "edge:7", "edge:8"]);
    assert_eq!(map.attachments["edge"].own_port, "48");
    assert_eq!(map.uplinks["core"], "24");
    assert_eq!(map.attachments["core"].how, How::Gateway);
    let path: Vec<&str> = map.path("desk").iter().map(|place| &*place.switch).collect();
    assert_eq!(path, ["edge", "core", "router"]);
}

#[test]
fn a_person_is_right_and_what_hangs_below_follows() {
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("1", 3), ("1", 5)]),
        switch(3, "edge", &[("48", 1), ("7", 5)]),
        agent(5, "desk", 1),
    ];
    let link = |device: &str, switch: &str, port: &str| Link {
        device: device.into(),
        switch: switch.into(),
        port: port.into(),
    };
    let drawn = map(&devices, &[link("desk", "core", "3"), link("router", "nowhere", "1"), link("edge", "edge", "1")]);
    assert_eq!(told(&drawn, "desk"), "core:3");
    assert_eq!(drawn.attachments["desk"].how, How::Person);
    assert_eq!(told(&drawn, "edge"), "core:1");
    // What people say in a circle is given up, and nothing loops.
    let circle = map(&devices, &[link("edge", "core", "1"), link("core", "edge", "2")]);
    assert!(circle.attachments.values().any(|attachment| !attachment.sure));
    assert!(circle.path("desk").len() <= 3);
}

#[test]
fn what_was_learned_in_two_places_is_in_doubt() {
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("1", 3), ("2", 4), ("1", 5)]),
        switch(3, "east", &[("48", 1), ("7", 5)]),
        switch(4, "west", &[("48", 1), ("9", 5)]),
        agent(5, "laptop", 1),
    ];
    let told = told(&map(&devices, &[]), "laptop");
    assert_eq!(told, "core:1 or east:7 or west:9?".replace("core:1 or ", ""));
}

#[test]
fn a_switch_that_has_forgotten_a_device_makes_it_doubtful_and_one_that_learns_nothing_does_not() {
    let mut devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("1", 3), ("1", 5)]),
        switch(3, "edge", &[("48", 1)]),
        agent(5, "desk", 1),
    ];
    assert_eq!(told(&map(&devices, &[]), "desk"), "core:1?");
    // Seen on its own way up, it hangs in between: a switch that nobody manages is there.
    devices[2] = switch(3, "edge", &[("48", 1), ("48", 5)]);
    assert_eq!(told(&map(&devices, &[]), "desk"), "core:1");
    devices[2] = device(3, "edge", Class::Switch);
    let silent = map(&devices, &[]);
    assert_eq!(told(&silent, "desk"), "core:1");
    assert_eq!(silent.attachments["desk"].through.as_deref(), Some("edge"));
}

#[test]
fn clients_hang_on_the_access_point_and_a_computer_on_the_phone_before_it() {
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("5", 3), ("5", 4), ("5", 5), ("6", 6), ("6", 7)]),
        device(3, "ap", Class::AccessPoint),
        agent(4, "laptop", 1),
        device(5, "tablet", Class::Other),
        device(6, "phone", Class::Phone),
        agent(7, "desk", 1),
    ];
    let drawn = map(&devices, &[]);
    let through = |id: &str| drawn.attachments[id].through.as_deref();
    assert_eq!(["laptop", "tablet", "desk"].map(through), [Some("ap"), Some("ap"), Some("phone")]);
    assert_eq!(["ap", "phone"].map(through), [None, None]);
    assert_eq!(told(&drawn, "laptop"), "core:5");
}

#[test]
fn neighbors_are_heard_on_the_members_of_a_bundle_and_addresses_learned_on_the_whole() {
    let core = switch(2, "core", &[("24", 1), ("Trk1", 3), ("Trk1", 5)]);
    let core = hears(hears(core, "21", "8c:04:ba:00:00:03", "47"), "22", "8c:04:ba:00:00:03", "48");
    let edge = switch(3, "edge", &[("Trk9", 1), ("Trk9", 2), ("7", 5)]);
    let edge = hears(hears(edge, "47", "8c:04:ba:00:00:02", "21"), "48", "8c:04:ba:00:00:02", "22");
    let devices = [device(1, "router", Class::Router), core, edge, agent(5, "desk", 1)];
    let drawn = map(&devices, &[]);
    assert_eq!(["edge", "desk"].map(|id| told(&drawn, id)), ["core:Trk1", "edge:7"]);
    assert_eq!(drawn.attachments["edge"].how, How::Lldp);
    assert_eq!(drawn.attachments["edge"].own_port, "Trk9");
}

#[test]
fn addresses_that_are_nobodys_and_those_that_two_claim_say_nothing() {
    let nobodys =
        ["01:00:5e:00:00:fb", "da:a1:19:01:02:03", "00:00:5e:00:01:0a", "00:00:0c:07:ac:01", "00:00:00:00:00:00"];
    for text in nobodys.iter().chain(&["00:00:0c:9f:f0:01", "00:07:b4:00:01:01"]) {
        assert!(text.parse::<Mac>().unwrap().is_nobodys(), "{text}");
    }
    assert!(!mac(1).is_nobodys());
    assert_eq!("8C-04-BA-00-00-01".parse(), Ok(mac(1)));
    for text in
        ["", "8c:04:ba:00:00", "8c:04:ba:00:00:01:02", "8c:04:ba:00:00:+1", "8c04.ba00.0001", "é:04:ba:00:00:01"]
    {
        assert!(text.parse::<Mac>().is_err(), "{text}");
    }
    // A docking station's address, seen with two laptops.
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("5", 9)]),
        Seen { macs: vec![mac(3), mac(9)], ..agent(3, "one", 1) },
        Seen { macs: vec![mac(4), mac(9)], ..agent(4, "two", 1) },
    ];
    let drawn = map(&devices, &[]);
    assert_eq!(["one", "two"].map(|id| told(&drawn, id)), ["nowhere", "nowhere"]);
}

#[test]
fn a_gateway_that_nobody_manages_leads_up_all_the_same() {
    let devices = [
        switch(2, "core", &[("24", 1), ("1", 3), ("1", 5)]),
        switch(3, "edge", &[("48", 1), ("7", 5)]),
        agent(5, "desk", 1),
    ];
    let drawn = map(&devices, &[]);
    assert_eq!(drawn.root, None);
    assert_eq!(["core", "edge", "desk"].map(|id| told(&drawn, id)), ["", "core:1", "edge:7"]);
    // Without an agent's word, the switch that sees the others is the top.
    let mut silent = devices;
    silent[2] = device(5, "desk", Class::Desktop);
    silent[0] = switch(2, "core", &[("1", 3), ("1", 5), ("2", 6)]);
    silent[1] = switch(3, "edge", &[("48", 2), ("7", 5)]);
    let drawn = map(&[silent.to_vec(), vec![switch(6, "west", &[("1", 2)])]].concat(), &[]);
    assert_eq!(drawn.root.as_deref(), Some("core"));
    assert_eq!(["edge", "west", "desk"].map(|id| told(&drawn, id)), ["core:1", "core:2", "edge:7"]);
}

#[test]
fn of_several_ports_the_one_that_gives_power_has_the_camera() {
    let mut east = switch(3, "east", &[("48", 1), ("7", 5)]);
    east.view.ports.push(Port { name: "7".into(), powers: true, others: 0 });
    let devices = [
        device(1, "router", Class::Router),
        switch(2, "core", &[("24", 1), ("1", 3), ("2", 4), ("1", 5)]),
        east,
        switch(4, "west", &[("48", 1), ("9", 5)]),
        device(5, "camera", Class::Camera),
        agent(6, "desk", 1),
    ];
    let drawn = map(&devices, &[]);
    assert_eq!(told(&drawn, "camera"), "east:7?");
    assert_eq!(drawn.attachments["camera"].how, How::Power);
    assert_eq!(drawn.attachments["camera"].candidates, [Place { switch: "west".into(), port: "9".into() }]);
}

#[test]
fn what_is_heard_of_and_nobody_manages_is_told() {
    let core = hears(switch(2, "core", &[("24", 1)]), "9", "8c:04:ba:00:00:63", "eth0");
    let drawn = map(&[device(1, "router", Class::Router), hears(core, "24", "ROUTER.school.example", "1")], &[]);
    let [stranger] = &*drawn.strangers else { panic!("{:?}", drawn.strangers) };
    assert_eq!((&*stranger.switch, &*stranger.said.port), ("core", "9"));
}
