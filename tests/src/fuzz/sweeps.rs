//! A sweep of many columns with whatever answers, and the next ones with what is remembered of it: each ends, asks no more
//! than it may, and keeps only what was asked for, in order.

use bellwether_agent::snmp::Oid;
use bellwether_agent::snmp::ask::{Binding, Request};
use bellwether_agent::snmp::sweep::{Memory, Sweep};
use bellwether_agent::snmp::walk::REQUESTS_MAX;
use rand::RngExt;
use rand::rngs::StdRng;

use super::walks::{held, next, oid, trouble};

/// Questions that the fuzzer answers with something new; after that nothing comes.
const ANSWERS_MAX: u32 = 2_000;

pub fn run(rng: &mut StdRng) {
    for _ in 0..10 {
        let columns = columns(rng);
        let mut memory = Memory::new(rng.random_range(0..=columns.len()));
        for _ in 0..rng.random_range(1..4) {
            one(rng, &columns, &mut memory);
        }
    }
}

/// In order, none below another, as profiles want them.
fn columns(rng: &mut StdRng) -> Vec<Oid> {
    let mut columns: Vec<Oid> = (0..rng.random_range(0..40)).map(|_| oid(rng, &Oid::from([1, 3, 6]))).collect();
    columns.sort();
    columns.dedup_by(|later, earlier| later.starts_with(earlier));
    columns
}

fn one(rng: &mut StdRng, columns: &[Oid], memory: &mut Memory) {
    let mut sweep = Sweep::new(columns, memory, rng.random());
    let mut asked = 0;
    // Most devices are mostly right.
    let (wrong, lost) = (rng.random_range(5..300), rng.random_range(3..100));
    while let Some(request) = sweep.poll_request() {
        asked += 1;
        assert!(asked <= REQUESTS_MAX, "it asks for ever");
        if asked > ANSWERS_MAX || rng.random_range(0..lost) == 0 {
            sweep.handle_trouble(trouble(rng));
            continue;
        }
        let bindings = answer(rng, &request, wrong);
        sweep.handle_answer(bindings, rng.random_range(0..10) == 0);
    }
    let swept = sweep.finish();
    assert!(swept.requests <= REQUESTS_MAX && swept.cut <= columns.len(), "{} of {}", swept.cut, columns.len());
    let names: Vec<&Oid> = swept.answers.iter().map(|(name, _)| name).collect();
    let wanted = |name: &&Oid| columns.iter().any(|column| name.starts_with(column));
    assert!(names.iter().all(wanted), "only what is below a column");
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "in order");
}

fn answer(rng: &mut StdRng, request: &Request, wrong: u32) -> Vec<Binding> {
    let (names, rounds) = match request {
        Request::Get(names) | Request::GetNext(names) => (names, 1),
        Request::GetBulk { after, repetitions } => (after, (*repetitions).min(20)),
    };
    let mut last = names.clone();
    let mut bindings = Vec::new();
    for _ in 0..rounds {
        for name in &mut last {
            match rng.random_range(0..wrong) {
                0 => *name = oid(rng, &Oid::from([1])),
                1 => return bindings,
                _ if matches!(request, Request::Get(_)) => {}
                _ => *name = next(rng, name),
            }
            bindings.push(Binding { name: name.clone(), held: held(rng) });
        }
    }
    bindings
}
