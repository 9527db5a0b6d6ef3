//! Random trees of switches: some answer, some are silent, some nobody manages. Tables are derived from the tree, with
//! entries missing as they do in life. What the map calls sure must be true.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answers,
    Silent,
    Unmanaged,
    Host,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    parent: Option<usize>,
    /// Speaks LLDP.
    lldp: bool,
    /// What was forgotten of it, a bit for each switch.
    forgotten: u64,
    /// What is known of it by those that are not on its way, a bit for each switch.
    shouted: u64,
}

fn node(hosts: bool) -> impl Strategy<Value = (Kind, Index, bool, u64, u64)> {
    let kind = if hosts {
        Just(Kind::Host).boxed()
    } else {
        prop_oneof![4 => Just(Kind::Answers), 1 => Just(Kind::Silent), 1 => Just(Kind::Unmanaged)].boxed()
    };
    let rarely = prop_oneof![3 => Just(0), 1 => any::<u64>()];
    (kind, any::<Index>(), any::<bool>(), rarely, any::<u64>())
}

/// The gateway is node 0; the others hang on earlier ones that are no hosts.
fn world() -> impl Strategy<Value = Vec<Node>> {
    (prop::collection::vec(node(false), 1..12), prop::collection::vec(node(true), 0..20)).prop_map(|(gear, hosts)| {
        let mut nodes = vec![Node { kind: Kind::Silent, parent: None, lldp: false, forgotten: 0, shouted: u64::MAX }];
        let switches = gear.len();
        for (number, (kind, parent, lldp, forgotten, shouted)) in gear.into_iter().chain(hosts).enumerate() {
            let parents = number.min(switches);
            let parent = if number == 0 { 0 } else { 1 + parent.index(parents) };
            nodes.push(Node { kind, parent: Some(parent), lldp, forgotten, shouted });
        }
        nodes
    })
}

/// Its way up, itself first.
fn way(nodes: &[Node], from: usize) -> Vec<usize> {
    core::iter::successors(Some(from), |at| nodes[*at].parent).collect()
}

/// The port of a switch behind which a node sits: its child's number, or `up`.
fn port(nodes: &[Node], switch: usize, to: usize) -> String {
    let way = way(nodes, to);
    match way.iter().position(|on| *on == switch) {
        Some(place) => format!("p{}", way[place - 1]),
        None => "up".into(),
    }
}

fn id(node: usize) -> String {
    format!("n{node}")
}

fn view(nodes: &[Node], switch: usize) -> View {
    let bit = 1 << (switch % 64);
    let mut view = View::default();
    for (to, node) in nodes.iter().enumerate().filter(|(to, node)| *to != switch && node.kind != Kind::Unmanaged) {
        let below = way(nodes, to).contains(&switch);
        // Switches are asked all the time: those on the way never forget them.
        let remembered = node.forgotten & bit == 0 || (below && node.kind != Kind::Host);
        if remembered && (below || node.shouted & bit != 0) {
            view.learned.push((port(nodes, switch, to), mac(u16::try_from(to).unwrap())));
        }
    }
    for (to, node) in nodes.iter().enumerate().filter(|_| nodes[switch].lldp) {
        let near = node.parent == Some(switch) || nodes[switch].parent == Some(to);
        if near && node.lldp && matches!(node.kind, Kind::Answers | Kind::Silent) {
            view.neighbors.push(Neighbor {
                port: port(nodes, switch, to),
                chassis: mac(u16::try_from(to).unwrap()).to_string(),
                remote_port: port(nodes, to, switch),
                ..Neighbor::default()
            });
        }
    }
    view
}

fn seen(nodes: &[Node]) -> Vec<Seen> {
    let one = |(number, node): (usize, &Node)| {
        let plain = |class| device(u16::try_from(number).unwrap(), &id(number), class);
        match node.kind {
            _ if number == 0 => Some(plain(Class::Router)),
            Kind::Answers => Some(Seen { view: view(nodes, number), ..plain(Class::Switch) }),
            Kind::Silent => Some(plain(Class::Switch)),
            Kind::Unmanaged => None,
            Kind::Host => Some(agent(u16::try_from(number).unwrap(), &id(number), 0)),
        }
    };
    nodes.iter().enumerate().filter_map(one).collect()
}

/// What must be said of a node: the first switch on its way up that answers, or the very next one if they heard each other.
fn truth(nodes: &[Node], node: usize, how: How) -> Option<Place> {
    let next = match how {
        How::Lldp => nodes[node].parent,
        _ => way(nodes, node).into_iter().skip(1).find(|on| nodes[*on].kind == Kind::Answers),
    };
    next.map(|switch| Place { switch: id(switch), port: port(nodes, switch, node) })
}

fn check(nodes: &[Node], map: &Map) -> Result<usize, TestCaseError> {
    let mut sure = 0;
    for (number, _) in nodes.iter().enumerate().skip(1) {
        let Some(attachment) = map.attachments.get(&id(number)).filter(|attachment| attachment.sure) else { continue };
        sure += 1;
        let truth = truth(nodes, number, attachment.how);
        let top = |place: &Place| place.switch == id(0) && truth.is_none();
        let right = attachment.place == truth || attachment.place.as_ref().is_none_or(top) && truth.is_none();
        prop_assert!(right, "{}: {attachment:?}, in truth {truth:?}", id(number));
    }
    Ok(sure)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_called_sure_is_true(nodes in world()) {
        check(&nodes, &map(&seen(&nodes), &[]))?;
    }

    #[test]
    fn with_nothing_forgotten_and_all_heard_everything_has_its_place(mut nodes in world()) {
        for node in &mut nodes {
            (node.forgotten, node.shouted) = (0, u64::MAX);
        }
        let map = map(&seen(&nodes), &[]);
        check(&nodes, &map)?;
        for (number, _) in nodes.iter().enumerate().skip(1).filter(|(_, node)| node.kind == Kind::Host) {
            let truth = truth(&nodes, number, How::Forwarding);
            let attachment = map.attachments.get(&id(number));
            let sure = attachment.is_some_and(|attachment| attachment.sure);
            prop_assert!(sure || truth.is_none(), "{attachment:?}, in truth {truth:?}");
        }
    }

    #[test]
    fn nonsense_neither_loops_nor_panics(
        learned in prop::collection::vec((0_u16..8, 0_u8..4, 0_u16..9), 0..60),
        heard in prop::collection::vec((0_u16..8, 0_u8..4, 0_u16..9), 0..20),
        links in prop::collection::vec((0_u16..9, 0_u16..9), 0..6),
        gateway in 0_u16..9,
    ) {
        let mut devices: Vec<Seen> = (0..8).map(|number| switch(number, &format!("n{number}"), &[])).collect();
        for (on, port, whom) in learned {
            devices[usize::from(on)].view.learned.push((port.to_string(), mac(whom)));
        }
        for (on, port, whom) in heard {
            let switch = devices[usize::from(on)].clone();
            devices[usize::from(on)] = hears(switch, &port.to_string(), &mac(whom).to_string(), "1");
        }
        devices.push(agent(8, "n8", gateway));
        let links: Vec<Link> = links
            .iter()
            .map(|(device, switch)| Link { device: format!("n{device}"), switch: format!("n{switch}"), port: "1".into() })
            .collect();
        let drawn = map(&devices, &links);
        for device in &devices {
            let path = drawn.path(&device.id);
            prop_assert!(path.len() <= devices.len());
            prop_assert!(path.iter().all(|place| place.switch != device.id), "a circle");
        }
        devices.reverse();
        if links.iter().map(|link| &link.device).collect::<alloc::collections::BTreeSet<_>>().len() == links.len() {
            prop_assert_eq!(drawn, map(&devices, &links));
        }
    }
}
