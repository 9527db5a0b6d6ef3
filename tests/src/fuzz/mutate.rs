//! Makes bad packets of good ones: byte by byte, and along their structure with lengths that fit again, so that what is
//! inside is reached.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::snmp::message::{take, wrap};

/// Bytes at which readers stumble.
const ODD: [u8; 10] = [0, 1, 2, 0x7f, 0x80, 0x81, 0x84, 0x88, 0xfe, 0xff];
/// Tags that mean something in a packet, and some that don't.
const TAGS: [u8; 20] = [
    0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x80, 0x82, 0xa0, 0xa2, 0xa4, 0xa6, 0xa8,
    0x1f,
];

/// A packet as a tree.
#[derive(Clone, Debug)]
struct Node {
    tag: u8,
    inside: Inside,
}

#[derive(Clone, Debug)]
enum Inside {
    Bytes(Vec<u8>),
    Nodes(Vec<Node>),
}

/// A packet made worse in one way or several.
pub fn packet(rng: &mut StdRng, packet: &[u8]) -> Vec<u8> {
    let mut packet = match rng.random_range(0..3) {
        0 => packet.to_vec(),
        _ => structure(rng, packet),
    };
    if rng.random_range(0..2) == 0 {
        for _ in 0..rng.random_range(1..4) {
            bytes(rng, &mut packet);
        }
    }
    packet
}

/// Any bytes made worse in one way.
pub fn bytes(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let (one, other) = (rng.random_range(0..bytes.len()), rng.random_range(0..bytes.len()));
    let (first, last) = (one.min(other), one.max(other));
    match rng.random_range(0..7) {
        0 => bytes[one] ^= 1 << rng.random_range(0..8),
        1 => bytes[one] = ODD[rng.random_range(0..ODD.len())],
        2 => bytes.truncate(one),
        3 => drop(bytes.drain(first..last.min(first + 40))),
        4 => {
            let copy = bytes[first..last.min(first + 40)].to_vec();
            drop(bytes.splice(one..one, copy));
        }
        5 => {
            let mut noise = vec![0; rng.random_range(1..9)];
            rng.fill_bytes(&mut noise);
            drop(bytes.splice(one..one, noise));
        }
        _ => bytes[one] = rng.random(),
    }
}

fn structure(rng: &mut StdRng, packet: &[u8]) -> Vec<u8> {
    let Some(mut tree) = parse(packet, 0) else { return packet.to_vec() };
    for _ in 0..rng.random_range(1..3) {
        // A change may have left nothing.
        if tree.is_empty() {
            break;
        }
        let number = rng.random_range(0..count(&tree));
        change(rng, &mut tree, &mut { number });
    }
    tree.iter().flat_map(|node| written(rng, node)).collect()
}

fn parse(mut bytes: &[u8], depth: u32) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while !bytes.is_empty() {
        let (tag, content, rest) = take(bytes)?;
        // Octets may hold a packet, too: the security part of version 3 does.
        let holds = depth < 8 && !content.is_empty() && (tag & 0x20 != 0 || (tag == 4 && content[0] == 0x30));
        let nodes_inside = if holds { parse(content, depth + 1) } else { None };
        nodes.push(Node { tag, inside: nodes_inside.map_or_else(|| Inside::Bytes(content.to_vec()), Inside::Nodes) });
        bytes = rest;
    }
    Some(nodes)
}

fn count(nodes: &[Node]) -> usize {
    let inside = |node: &Node| if let Inside::Nodes(nodes) = &node.inside { count(nodes) } else { 0 };
    nodes.iter().map(|node| 1 + inside(node)).sum()
}

/// Changes the node of that number; whether it was below.
fn change(rng: &mut StdRng, nodes: &mut Vec<Node>, number: &mut usize) -> bool {
    for at in 0..nodes.len() {
        if *number == 0 {
            change_here(rng, nodes, at);
            return true;
        }
        *number -= 1;
        if let Inside::Nodes(inside) = &mut nodes[at].inside
            && change(rng, inside, number)
        {
            return true;
        }
    }
    false
}

fn change_here(rng: &mut StdRng, nodes: &mut Vec<Node>, at: usize) {
    match rng.random_range(0..7) {
        0 => nodes[at].tag = TAGS[rng.random_range(0..TAGS.len())],
        1 => drop(nodes.remove(at)),
        2 => {
            let times = rng.random_range(1..30);
            let copy = nodes[at].clone();
            drop(nodes.splice(at..at, std::iter::repeat_n(copy, times)));
        }
        3 => {
            let mut deep = nodes[at].clone();
            for _ in 0..rng.random_range(1..60) {
                deep = Node { tag: 0x30, inside: Inside::Nodes(vec![deep]) };
            }
            nodes[at] = deep;
        }
        4 => {
            let mut noise = vec![0; rng.random_range(0..300)];
            rng.fill_bytes(&mut noise);
            nodes[at].inside = Inside::Bytes(noise);
        }
        5 => nodes[at].inside = Inside::Bytes(vec![ODD[rng.random_range(0..ODD.len())]; rng.random_range(0..20)]),
        _ => {
            if let Inside::Bytes(inside) = &mut nodes[at].inside {
                bytes(rng, inside);
            }
        }
    }
}

fn written(rng: &mut StdRng, node: &Node) -> Vec<u8> {
    let content = match &node.inside {
        Inside::Bytes(bytes) => bytes.clone(),
        Inside::Nodes(nodes) => nodes.iter().flat_map(|node| written(rng, node)).collect(),
    };
    let mut bytes = wrap(node.tag, &content);
    // Now and then a length that lies.
    if rng.random_range(0..200) == 0 {
        bytes[1] = ODD[rng.random_range(0..ODD.len())];
    }
    bytes
}
