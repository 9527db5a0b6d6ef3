//! A walk with whatever answers: it ends, keeps names in order and below its root, and asks no more than it may.

use bellwether_agent::snmp::ask::{Binding, Held, Request, Trouble};
use bellwether_agent::snmp::walk::{REQUESTS_MAX, Walk};
use bellwether_agent::snmp::{Oid, Value};
use rand::RngExt;
use rand::rngs::StdRng;

/// Questions that the fuzzer answers with something new; after that nothing comes.
const ANSWERS_MAX: u32 = 5_000;

pub fn run(rng: &mut StdRng) {
    for _ in 0..20 {
        one(rng);
    }
}

fn one(rng: &mut StdRng) {
    let root = oid(rng, &Oid::from([1, 3]));
    let mut walk = Walk::new(root.clone(), rng.random());
    let mut asked = 0;
    while let Some(request) = walk.poll_request() {
        asked += 1;
        assert!(asked <= REQUESTS_MAX, "it asks for ever");
        let (Request::Get(names) | Request::GetNext(names) | Request::GetBulk { after: names, .. }) = &request;
        if asked > ANSWERS_MAX || rng.random_range(0..12) == 0 {
            walk.handle_trouble(trouble(rng));
            continue;
        }
        let mut last = names[0].clone();
        let mut bindings = Vec::new();
        for _ in 0..rng.random_range(0..40) {
            last = if rng.random_range(0..300) == 0 { oid(rng, &root) } else { next(rng, &last) };
            bindings.push(Binding { name: last.clone(), held: held(rng) });
        }
        walk.handle_answer(bindings, rng.random_range(0..10) == 0);
    }
    let walked = walk.finish();
    let names: Vec<&Oid> = walked.answers.iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.starts_with(&root)), "only what is below the root");
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "in order");
}

pub(super) fn oid(rng: &mut StdRng, below: &Oid) -> Oid {
    let arcs: Vec<u32> = (0..rng.random_range(0..6)).map(|_| arc(rng)).collect();
    below.join(&arcs).unwrap_or_else(|_| below.clone())
}

fn arc(rng: &mut StdRng) -> u32 {
    match rng.random_range(0..8) {
        0 => u32::MAX,
        1 => rng.random(),
        _ => rng.random_range(0..5),
    }
}

/// A name that mostly comes after another.
pub(super) fn next(rng: &mut StdRng, name: &Oid) -> Oid {
    let mut arcs = name.arcs().to_vec();
    let (kind, long, step) = (rng.random_range(0..6), arcs.len() > 3, rng.random_range(1..4));
    match (kind, arcs.last_mut()) {
        (1, Some(_)) if long => drop(arcs.pop()),
        (2, Some(last)) => *last = last.saturating_sub(1),
        (3.., Some(last)) => *last = last.saturating_add(step),
        _ => arcs.push(arc(rng)),
    }
    Oid::new(&arcs).unwrap_or_else(|_| name.clone())
}

pub(super) fn held(rng: &mut StdRng) -> Held {
    match rng.random_range(0..60) {
        0 => Held::EndOfView,
        1 => Held::NoSuchObject,
        2 => Held::NoSuchInstance,
        3 => Held::Odd,
        4..20 => Held::Value(Value::Octets(vec![rng.random(); rng.random_range(0..100)])),
        20..24 => Held::Value(Value::Opaque(vec![0x9f, 0x78, 4, rng.random(), 0, 0, 0])),
        _ => Held::Value(Value::Counter64(rng.random())),
    }
}

pub(super) fn trouble(rng: &mut StdRng) -> Trouble {
    match rng.random_range(0..9) {
        0 => Trouble::TooBig,
        1 => Trouble::NoSuchName,
        2 => Trouble::DeviceFailed,
        3 => Trouble::Status(rng.random()),
        4 => Trouble::Garbled,
        5 => Trouble::NotInTimeWindow,
        6 => Trouble::UnknownEngine,
        _ => Trouble::NoAnswer,
    }
}
