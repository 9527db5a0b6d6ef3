//! How much faster questions about a year are with roll-ups: the same points in two stores, of which one rolls up.
//!
//! `cargo run --release -p bellwether-series --example long`

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::time::{Duration, Instant};

use bellwether_series::{FieldValue, Keep, KeepRule, Options, Point, QueryOptions, Step, Store, Tier};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const START: i64 = 19_500 * DAY;
const DAYS: i64 = 365;
const HOSTS: usize = 10;

const QUESTIONS: [(&str, &str); 5] = [
    ("a year by days, of all", "SELECT mean(busy), max(busy) FROM m WHERE $range GROUP BY time(1d)"),
    ("a year by 6 h, by host", "SELECT mean(busy) FROM m WHERE $range GROUP BY time(6h), host"),
    (
        "a year by 15 min, one host",
        "SELECT mean(free), last(bytes) FROM m WHERE $range AND host = 'h3' GROUP BY time(15m)",
    ),
    (
        "traffic of a year by days",
        "SELECT non_negative_derivative(max(bytes), 1s) FROM m WHERE $range GROUP BY time(1d), host",
    ),
    ("the highest of a year", "SELECT max(busy), host FROM m WHERE $range"),
];

fn main() -> anyhow::Result<()> {
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let tier = |step, count| Tier { step, keep: days(count), timed: true };
    let tiers = vec![tier(Step::FiveMinutes, 400), tier(Step::Hour, 1825)];
    let keep = Keep { raw: days(400), tiers, newest: false };
    let keeping = vec![KeepRule { database: "bellwether".into(), measurement: None, tag: None, keep }];
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let points = Store::open(folders[0].path(), Options::default())?;
    let rolled = Store::open(folders[1].path(), Options { keeping, ..Options::default() })?;
    let mut spent = Duration::ZERO;
    let mut bytes = [0u64; HOSTS];
    for day in 0..DAYS {
        let mut all = Vec::new();
        for minute in 0..1440 {
            for (host, bytes) in bytes.iter_mut().enumerate() {
                all.push(point(START + day * DAY + minute * 60 * SECOND, host, bytes));
            }
        }
        for store in [&points, &rolled] {
            store.apply(day as u64 + 1, "bellwether", &all)?;
            store.checkpoint()?;
        }
        let began = Instant::now();
        rolled.keep(START + (day + 1) * DAY + 7200 * SECOND)?;
        spent += began.elapsed();
    }
    for store in [&points, &rolled] {
        store.seal_all()?;
        store.compact()?;
        store.vacuum()?;
    }
    let (without, with) = (points.stats()?, rolled.stats()?);
    println!("{} rows of points, {} of roll-ups", with.block_rows, with.rolled_rows);
    println!("disk: {} MB of points, {} MB with roll-ups", without.disk_bytes / 1_000_000, with.disk_bytes / 1_000_000);
    println!("rolling up took {:.2} ms for a stream and day", spent.as_secs_f64() * 1e3 / (DAYS as f64 * HOSTS as f64));
    let range = format!("time >= {START} AND time < {}", START + DAYS * DAY);
    for (name, question) in QUESTIONS {
        let text = question.replace("$range", &range);
        let time = |store: &Store| {
            let began = Instant::now();
            let response = store.query("bellwether", &text, &QueryOptions::at(START + DAYS * DAY));
            (began.elapsed().as_secs_f64() * 1e3, response.results[0].series.len())
        };
        time(&rolled);
        let ((slow, series), (fast, _)) = (time(&points), time(&rolled));
        println!(
            "{name}: {slow:.0} ms from points, {fast:.1} ms from roll-ups, {:.0} times ({series} series)",
            slow / fast
        );
    }
    Ok(())
}

/// A busy processor in percent, free memory, a counter, a state that hardly changes.
fn point(time: i64, host: usize, bytes: &mut u64) -> Point<'static> {
    // SplitMix64, by Sebastiano Vigna (public domain).
    let mut mixed = (time as u64 ^ host as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    *bytes += mixed % 1_000_000;
    let hour = (time / (3600 * SECOND)) % 24;
    let busy = if (8..15).contains(&hour) { (mixed % 6000) as f64 / 100.0 } else { (mixed % 300) as f64 / 100.0 };
    let fields = vec![
        ("busy".into(), FieldValue::Float(busy)),
        ("free".into(), FieldValue::Integer(8_000_000_000 - (mixed >> 40) as i64 % 4096 * 65_536)),
        ("bytes".into(), FieldValue::Integer(*bytes as i64)),
        ("state".into(), FieldValue::Integer(1)),
    ];
    Point { measurement: "m".into(), tags: vec![("host".into(), format!("h{host}").into())], time, fields }
}
