//! What dashboards ask: the texts, the times, and whether two servers say the same.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::made::{BEGIN_A_S, BEGIN_B_S, building, name};
use super::servers::Server;
use super::{DEVICES_A, DEVICES_B};

const SEED: u64 = 0x5eed_000c;

/// The one whose answer may differ where values are equal.
const WORST: &str = "fleet_worst_first";

/// How often each is asked, each time for another device or another time.
const ROUNDS: usize = 40;

/// Before the clock counts.
const WARM_UP: usize = 3;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// A dashboard's query: its name in the figures, and its texts.
pub(super) struct Asked {
    pub(super) name: &'static str,
    texts: Vec<String>,
}

/// How long it took, and what came.
pub(super) struct Answered {
    pub(super) name: &'static str,
    pub(super) p95_ms: f64,
    answers: Vec<String>,
}

/// A range of time that ends at a random minute and is as long as it can be up to `length`.
fn within(dice: &mut StdRng, begin: i64, total: i64, length: i64) -> String {
    let length = length.min(total);
    let free = (total - length) / 60;
    let from = begin + 60 * if free > 0 { dice.random_range(0..=free) } else { 0 };
    format!("time >= {from}s AND time < {}s", from + length)
}

/// Of data A of so many seconds.
pub(super) fn of_devices(total: i64) -> Vec<Asked> {
    let mut dice = StdRng::seed_from_u64(SEED);
    let last_hour = |dice: &mut StdRng| {
        let device = name(dice.random_range(0..DEVICES_A));
        let range = within(dice, BEGIN_A_S, total, HOUR_S);
        format!(
            "SELECT mean(\"usage_user\"), mean(\"usage_system\"), mean(\"usage_iowait\"), max(\"usage_idle\") FROM \"cpu\" \
             WHERE \"device\" = '{device}' AND {range} GROUP BY time(1m) fill(none)"
        )
    };
    let worst = |dice: &mut StdRng| {
        let range = within(dice, BEGIN_A_S, total, HOUR_S);
        format!(
            "SELECT top(\"worst\", \"device\", 20) FROM (SELECT max(\"used_percent\") AS \"worst\" FROM \"mem\" \
             WHERE {range} GROUP BY \"device\")"
        )
    };
    let by_building = |dice: &mut StdRng| {
        let range = within(dice, BEGIN_A_S, total, DAY_S);
        let chosen = building(dice.random_range(0..DEVICES_A / 50));
        format!(
            "SELECT mean(\"usage_user\") FROM \"cpu\" WHERE \"building\" != '{chosen}' AND {range} \
             GROUP BY time(10m), \"building\" fill(none)"
        )
    };
    vec![
        asked("last_hour_of_device", &mut dice, last_hour),
        asked(WORST, &mut dice, worst),
        asked("day_by_building", &mut dice, by_building),
    ]
}

/// Of data B of so many seconds.
pub(super) fn of_meters(total: i64) -> Vec<Asked> {
    let mut dice = StdRng::seed_from_u64(SEED);
    let month = |dice: &mut StdRng| {
        let device = name(dice.random_range(0..DEVICES_B));
        let range = within(dice, BEGIN_B_S, total, 30 * DAY_S);
        format!(
            "SELECT mean(\"usage\") FROM \"meter\" WHERE \"device\" = '{device}' AND {range} GROUP BY time(1h) fill(none)"
        )
    };
    let year = |dice: &mut StdRng| {
        let device = name(dice.random_range(0..DEVICES_B));
        let range = within(dice, BEGIN_B_S, total, 365 * DAY_S);
        format!(
            "SELECT mean(\"temp_c\"), max(\"temp_c\") FROM \"meter\" WHERE \"device\" = '{device}' AND {range} \
             GROUP BY time(1d) fill(none)"
        )
    };
    vec![asked("month_of_field", &mut dice, month), asked("year", &mut dice, year)]
}

fn asked(name: &'static str, dice: &mut StdRng, text: impl Fn(&mut StdRng) -> String) -> Asked {
    Asked { name, texts: (0..WARM_UP + ROUNDS).map(|_| text(dice)).collect() }
}

pub(super) fn ask(server: &Server, all: &[Asked]) -> Vec<Answered> {
    let one = |asked: &Asked| {
        let mut took = Vec::new();
        let mut answers = Vec::new();
        for text in &asked.texts {
            let begun = Instant::now();
            let answer = server.query(text).expect("an answer");
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            answers.push(answer);
        }
        took.drain(..WARM_UP);
        took.sort_by(f64::total_cmp);
        Answered { name: asked.name, p95_ms: took[took.len() * 95 / 100], answers }
    };
    all.iter().map(one).collect()
}

/// A server that is fast because it is wrong wins nothing.
pub(super) fn assert_same(ours: &Answered, theirs: &Answered, asked: &Asked) {
    for (at, (one, other)) in ours.answers.iter().zip(&theirs.answers).enumerate() {
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let (one, other) = (read(one), read(other));
        assert!(one.pointer("/results/0/series/0/values/0").is_some(), "no rows: {} {one}", asked.texts[at]);
        let fits = if asked.name == WORST { alike_but_for_ties(&one, &other) } else { alike(&one, &other) };
        assert!(fits, "the answers differ: {}\nours {one}\ntheirs {other}", asked.texts[at]);
    }
}

/// Of points of one value either server may show any, in any order, where not all have a place.
fn alike_but_for_ties(one: &Value, other: &Value) -> bool {
    let rows = |answer: &Value| -> Vec<(f64, String)> {
        let rows = answer.pointer("/results/0/series/0/values").and_then(Value::as_array).into_iter().flatten();
        let mut rows: Vec<_> = rows.map(|row| (row[1].as_f64().expect("a number"), row.to_string())).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        rows
    };
    let (one, other) = (rows(one), rows(other));
    let least = one.first().map_or(f64::NAN, |(value, _)| *value);
    let same = |(a, b): (&(f64, String), &(f64, String))| {
        a == b || (a.0.total_cmp(&least).is_eq() && b.0.total_cmp(&least).is_eq())
    };
    one.len() == other.len() && one.iter().zip(&other).all(same)
}

/// The last digit of a mean depends on the order of additions.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| alike(value, other)))
        }
        (a, b) => a == b,
    }
}
