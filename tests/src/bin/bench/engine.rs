//! What deciding costs, with the shipped rules.
//!
//! - `engine_values_per_s`: values that a rule reads, judged a second by one engine on one core, 5,000 devices with a reading a minute. What
//!   came beside them in the same rows is carried along, and not counted.
//! - `state_mib_100k_devices`: memory of an engine that has judged an hour of 100,000 devices.
//! - `breach_to_ticket_p99_ms`: from the moment that an agent sends the reading that breaks a rule to the moment that the ticket is
//!   committed in `state.sqlite`, with 5,000 agents connected that send a reading a minute each, all to a real collector.
//!
//! The peer of each is its bar: no program that we know does the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use bellwether_collector::rules;
use bellwether_logic::engine::{Engine, Input, Settings};
use bellwether_logic::rules::RuleSet;

use crate::Figure;

mod breach;
mod fleet;

/// The devices of a large district.
const DISTRICT: u32 = 5_000;

/// Rounds that are judged for the speed: four hours.
const ROUNDS: u32 = 240;

/// The devices for the memory: the most that an engine takes.
const MOST: u32 = 100_000;

/// Rounds of those: an hour, so that each disk was asked.
const MOST_ROUNDS: u32 = 61;

/// Inputs that are made at a time, so that making them is not measured and memory is not full of them.
const SLICE: usize = 500;

/// A value a microsecond.
const BAR_VALUES_PER_S: f64 = 1e6;
const BAR_MIB: f64 = 1024.0;
const BAR_MS: f64 = 1000.0;

pub(crate) fn run() -> Vec<Figure> {
    // First, while this process has held nothing else.
    let mib = state_mib();
    let values_per_s = values_per_s();
    let p99_ms = breach::p99_ms(DISTRICT);
    let figure =
        |name: &str, value, unit, peer_value| Figure { name: name.to_owned(), value, unit, peer: "bar", peer_value };
    vec![
        figure("engine_values_per_s", values_per_s, "values/s", BAR_VALUES_PER_S),
        figure("state_mib_100k_devices", mib, "MiB", BAR_MIB),
        figure("breach_to_ticket_p99_ms", p99_ms, "ms", BAR_MS),
    ]
}

fn shipped() -> RuleSet {
    rules::load(Path::new("/nonexistent")).expect("the shipped rules make sense").rules
}

fn values_per_s() -> f64 {
    let (_, judged, seconds) = judge(DISTRICT, ROUNDS);
    ratio(judged, seconds)
}

fn state_mib() -> f64 {
    let before = resident_mib();
    let (engine, ..) = judge(MOST, MOST_ROUNDS);
    let after = resident_mib();
    assert!(engine.ticket(1).is_some(), "an hour of so many devices makes tickets");
    after - before
}

/// Judges rounds of so many devices: the engine, how many values its rules read, and how long it took.
fn judge(devices: u32, rounds: u32) -> (Engine, u64, f64) {
    let rules = shipped();
    let read = fields_read(&rules);
    let mut engine = Engine::new(rules, Settings::default());
    engine.handle(fleet::BEGIN, Input::CollectorStarted);
    for number in 0..devices {
        engine.handle(fleet::BEGIN, Input::Device(fleet::device(number)));
    }
    let (mut judged, mut seconds) = (0, 0.0);
    let numbers: Vec<u32> = (0..devices).collect();
    for round in 1..=rounds {
        for slice in numbers.chunks(SLICE) {
            let made: Vec<Input> = slice.iter().map(|number| fleet::batch(*number, round)).collect();
            judged += made.iter().map(|input| values_read(input, &read)).sum::<u64>();
            let started = Instant::now();
            for input in made {
                engine.handle(fleet::time(round), input);
                while engine.poll_effect().is_some() {}
            }
            seconds += started.elapsed().as_secs_f64();
        }
    }
    (engine, judged, seconds)
}

/// Which fields of which measurements some rule looks at.
fn fields_read(rules: &RuleSet) -> BTreeSet<(String, String)> {
    let read = rules.iter().flat_map(|rule| rule.check.reads());
    read.map(|(measurement, field)| (measurement.to_owned(), field.to_owned())).collect()
}

fn values_read(input: &Input, read: &BTreeSet<(String, String)>) -> u64 {
    let Input::Samples { samples, .. } = input else { return 0 };
    let is_read = |measurement: &str, field: &str| read.contains(&(measurement.to_owned(), field.to_owned()));
    let count = samples
        .iter()
        .map(|sample| sample.fields.iter().filter(|(field, _)| is_read(&sample.measurement, field)).count() as u64);
    count.sum()
}

/// Memory of this process, in MiB.
#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("the kernel says it in KiB");
    kib as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
fn ratio(of: u64, by: f64) -> f64 {
    of as f64 / by
}
