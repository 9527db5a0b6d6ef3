//! The wireless link of now: how strong, how fast, on which channel. Never a scan, never a neighbour, no network's name.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::facts::{Card, Facts, Radio};
use super::net;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample};

/// Weaker is none, and stronger only beside the antenna.
const LEVEL_DBM: std::ops::RangeInclusive<i64> = -110..=0;

/// Faster than any card; in kbit/s.
const RATE_KBIT: std::ops::RangeInclusive<u32> = 1..=100_000_000;

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let (radios, cards) = match (facts.radios(), facts.cards()) {
        (Ok(radios), Ok(cards)) => (radios, cards),
        (Err(problem), _) | (_, Err(problem)) => return Reading::problem(problem),
    };
    if radios.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "this machine has no wireless card"));
    }
    let samples: Vec<_> = radios
        .iter()
        .filter_map(|radio| {
            let fields = fields(radio);
            let tags = vec![("interface", name(radio, &cards)?)];
            (!fields.is_empty()).then(|| sample("wireless", tags, time, fields))
        })
        .collect();
    if samples.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "no wireless card is connected"));
    }
    Reading { samples, problems: Vec::new() }
}

/// As the source of the network cards calls it.
fn name(radio: &Radio, cards: &[Card]) -> Option<String> {
    cards.iter().find(|card| card.guid == radio.guid && !card.filter).map(net::name)
}

fn fields(radio: &Radio) -> Vec<(&'static str, Value)> {
    let rate = |kbit: u32| RATE_KBIT.contains(&kbit).then(|| percent(f64::from(kbit) / 1_000.0));
    // Windows' percentage stands for -100 to -50 dBm.
    let level = radio.level_dbm.map(i64::from).or_else(|| Some(i64::from(radio.quality_percent?.min(100)) / 2 - 100));
    let level = level.filter(|level| LEVEL_DBM.contains(level));
    let channel = radio.channel.filter(|channel| (1..=233).contains(channel));
    let mut fields = Vec::new();
    fields.extend(channel.map(|channel| ("channel", Value::Integer(i64::from(channel)))));
    fields.extend(level.map(|level| ("level", Value::Integer(level))));
    fields.extend(level.map(|level| ("link", Value::Integer((level + 110).clamp(0, 70)))));
    fields.extend(radio.receives_kbit.and_then(rate).map(|rate| ("rx_rate_mbit", rate)));
    fields.extend(radio.sends_kbit.and_then(rate).map(|rate| ("tx_rate_mbit", rate)));
    fields
}
