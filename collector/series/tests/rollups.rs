//! Roll-ups never change an answer: the same questions to a store that has them and to one that has only points.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_series::{
    Change, FieldValue, Keep, KeepRule, Options, Point, QueryOptions, Response, Statement, Step, Store, Tier, Value,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 1440 * MINUTE;
/// 2023-10-30, midnight: the clocks of Chicago go back in the week that follows.
const START: i64 = 19_660 * DAY;
const DAYS: i64 = 9;

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

fn options(raw: u64, steps: &[Step]) -> Options {
    let tiers = steps.iter().map(|step| Tier { step: *step, keep: days(4000), timed: *step != Step::Day }).collect();
    let keep = Keep { raw: days(raw), tiers, newest: false };
    let keeping = vec![KeepRule { database: "db".into(), measurement: None, tag: None, keep }];
    Options { databases: vec!["db".into()], keeping, ..Options::default() }
}

fn plain() -> Options {
    Options { databases: vec!["db".into()], ..Options::default() }
}

/// Two stores with the same points, of which one rolls up.
struct Twins {
    folders: [tempfile::TempDir; 2],
    stores: [Store; 2],
    rolling: Options,
    dice: StdRng,
    position: u64,
    now: i64,
    /// What has been applied since the last checkpoint of the one that rolls up.
    journal: Vec<Entry>,
}

#[derive(Clone)]
enum Entry {
    Points(u64, Vec<Point<'static>>),
    Change(u64, Change),
}

fn open(folder: &Path, options: &Options) -> Store {
    Store::open(folder, options.clone()).unwrap()
}

fn apply(store: &Store, entry: &Entry) {
    match entry {
        Entry::Points(position, points) => drop(store.apply(*position, "db", points).unwrap()),
        Entry::Change(position, change) => drop(store.apply_change(*position, change).unwrap()),
    }
}

impl Twins {
    fn new(seed: u64, raw: u64, steps: &[Step]) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let rolling = options(raw, steps);
        let stores = [open(folders[0].path(), &rolling), open(folders[1].path(), &plain())];
        let dice = StdRng::seed_from_u64(seed);
        Self { folders, stores, rolling, dice, position: 0, now: START, journal: Vec::new() }
    }

    fn both(&mut self, entry: Entry) {
        self.stores.iter().for_each(|store| apply(store, &entry));
        self.journal.push(entry);
    }

    fn write(&mut self, points: Vec<Point<'static>>) {
        self.position += 1;
        self.both(Entry::Points(self.position, points));
    }

    fn point(&mut self, time: i64) -> Point<'static> {
        let host = self.dice.random_range(0..3);
        let mut fields = vec![("n".into(), FieldValue::Integer(self.dice.random_range(-50..50)))];
        if self.dice.random_bool(0.7) {
            fields.push(("f".into(), FieldValue::Float(f64::from(self.dice.random_range(-5000..5000)) / 7.0)));
        }
        if self.dice.random_bool(0.3) {
            let huge = [i64::MAX, i64::MIN, 3, -4][self.dice.random_range(0..4)];
            fields.push(("big".into(), FieldValue::Integer(huge)));
        }
        if self.dice.random_bool(0.4) {
            let text = format!("t{}", self.dice.random_range(0..4));
            fields.push(("s".into(), FieldValue::Text(Arc::from(text))));
            fields.push(("b".into(), FieldValue::Boolean(self.dice.random_bool(0.5))));
        }
        if self.dice.random_bool(0.5) {
            fields.push(("u".into(), FieldValue::Unsigned(self.dice.random_range(0..9))));
            fields.push(("still".into(), FieldValue::Float(0.1)));
        }
        let tags = vec![("host".into(), format!("h{host}").into())];
        Point { measurement: "m".into(), tags, time, fields }
    }

    /// A day of points, some of them late, and what a day brings besides.
    fn live(&mut self) {
        let begin = self.now;
        self.now += DAY;
        for _ in 0..12 {
            let points = (0..40)
                .map(|_| {
                    let late = if self.dice.random_bool(0.02) { self.dice.random_range(0..4) * DAY } else { 0 };
                    let time = begin + self.dice.random_range(0..DAY / MINUTE) * MINUTE - late;
                    self.point(time.max(START))
                })
                .collect();
            self.write(points);
        }
        match self.dice.random_range(0..5) {
            0 => drop(self.stores[0].seal_all().unwrap()),
            1 => drop(self.stores[0].checkpoint().unwrap()),
            2 => drop(self.stores[0].compact().unwrap()),
            3 => {
                let from = START + self.dice.random_range(0..(self.now - START) / MINUTE) * MINUTE;
                let text = format!(
                    "DELETE FROM m WHERE host = 'h1' AND time >= {from} AND time < {}",
                    from + self.dice.random_range(1..600) * MINUTE
                );
                self.position += 1;
                let change = Change::Statement(Statement { database: "db".into(), text, now_ns: self.now });
                self.both(Entry::Change(self.position, change));
            }
            _ => self.crash(),
        }
        self.stores[0].keep(self.now + 2 * 60 * MINUTE).unwrap();
        if self.dice.random_bool(0.3) {
            self.crash();
        }
    }

    fn crash(&mut self) {
        self.stores[0] = open(self.folders[0].path(), &self.rolling);
        let position = self.stores[0].position();
        for entry in &self.journal {
            let (Entry::Points(at, _) | Entry::Change(at, _)) = entry;
            if *at > position {
                apply(&self.stores[0], entry);
            }
        }
    }

    fn ask(&self, which: usize, text: &str) -> Response {
        self.stores[which].query("db", text, &QueryOptions::at(self.now))
    }

    fn number(&mut self) -> &'static str {
        ["n", "f", "big", "u", "still"][self.dice.random_range(0..5)]
    }

    fn call(&mut self) -> String {
        let number = self.number();
        let field = ["n", "f", "s", "b", "u", "big"][self.dice.random_range(0..6)];
        match self.dice.random_range(0..14) {
            0 => format!("count({field})"),
            1 => format!("first({field})"),
            2 => format!("last({field})"),
            3 => format!("sum({number})"),
            4 => format!("min({number})"),
            5 => format!("max({number})"),
            6 => format!("spread({number})"),
            7 => format!("mean({number}) * 2"),
            8 => format!("median({number})"),
            9 => format!("max({field})").replace("max(s)", "max(b)"),
            10 => format!("mean({number}::float)"),
            _ => format!("mean({number})"),
        }
    }

    fn range(&mut self) -> String {
        let unit = [MINUTE, 5 * MINUTE, 60 * MINUTE, DAY, 7 * SECOND][self.dice.random_range(0..5)];
        let from = START + self.dice.random_range(0..DAYS * DAY / unit) * unit;
        let to = from + self.dice.random_range(1..DAYS * DAY / unit) * unit;
        match self.dice.random_range(0..8) {
            0 => format!("time <= {to}"),
            1 => format!("time > {from}"),
            _ => format!("time >= {from} AND time < {to}"),
        }
    }

    fn question(&mut self) -> String {
        let mut calls: Vec<String> = (0..self.dice.random_range(1..4)).map(|_| self.call()).collect();
        let range = self.range();
        let mut condition = match self.dice.random_range(0..8) {
            0 => " AND host = 'h1'",
            1 => " AND host =~ /h[02]/",
            2 => " AND n > 0",
            _ => "",
        };
        let every = ["1m", "5m", "15m", "20m", "1h", "7m", "2h", "6h", "1d", "1d, 5m", "1h, 20m"];
        let mut groups: Vec<String> = Vec::new();
        let windowed = self.dice.random_bool(0.7);
        if windowed {
            groups.push(format!("time({})", every[self.dice.random_range(0..every.len())]));
        }
        if self.dice.random_bool(0.5) {
            groups.push("host".into());
        }
        let grouped = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
        let fill = match windowed {
            true => ["", " fill(none)", " fill(previous)", " fill(0)"][self.dice.random_range(0..4)],
            false => "",
        };
        let order = if self.dice.random_bool(0.3) { " ORDER BY time DESC" } else { "" };
        let zone = ["", "", " tz('America/Chicago')", " tz('Asia/Kathmandu')"][self.dice.random_range(0..4)];
        match self.dice.random_range(0..6) {
            0 => {
                let function = ["min", "max", "first", "last"][self.dice.random_range(0..4)];
                let beside = ["", ", host", ", s"][self.dice.random_range(0..3)];
                calls = vec![format!("{function}({}){beside}", self.number())];
            }
            1 if windowed => calls = vec![format!("non_negative_derivative({}, 1m)", self.call().replace(" * 2", ""))],
            2 => {
                condition = "";
                let call = self.call();
                return format!("SELECT sum(x) FROM (SELECT {call} AS x FROM m WHERE {range} GROUP BY time(1h), host) WHERE {range}{condition} GROUP BY time(6h)")
                    .replace("count(s)", "count(n)").replace("(s)", "(n)").replace("(b)", "(n)");
            }
            _ => {}
        }
        format!("SELECT {} FROM m WHERE {range}{condition}{grouped}{fill}{order}{zone}", calls.join(", "))
    }
}

/// Equal, floats to 1e-12 of the greatest number that was added.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(100_000.0),
        (a, b) => a == b,
    }
}

fn compare(rolled: &Response, points: &Response, text: &str) {
    assert_eq!(rolled.error, points.error, "{text}");
    for (ours, theirs) in rolled.results.iter().zip(&points.results) {
        assert_eq!((&ours.error, ours.messages.len()), (&theirs.error, 0), "{text}");
        assert_eq!(ours.series.len(), theirs.series.len(), "{text}");
        for (ours, theirs) in ours.series.iter().zip(&theirs.series) {
            assert_eq!(
                (&ours.name, &ours.tags, &ours.columns),
                (&theirs.name, &theirs.tags, &theirs.columns),
                "{text}"
            );
            assert_eq!(ours.values.len(), theirs.values.len(), "{text}\n{ours:?}\n{theirs:?}");
            for (row, other) in ours.values.iter().zip(&theirs.values) {
                let equal = row.len() == other.len() && row.iter().zip(other).all(|(a, b)| same(a, b));
                assert!(equal, "{text}\nrolled up: {row:?}\npoints:    {other:?}");
            }
        }
    }
}

fn any_history(seed: u64, steps: &[Step], questions: usize) -> usize {
    let mut twins = Twins::new(seed, 30, steps);
    let mut used = 0;
    for day in 0..DAYS {
        twins.live();
        for _ in 0..questions {
            let text = twins.question();
            compare(&twins.ask(0, &text), &twins.ask(1, &text), &format!("seed {seed}, day {day}: {text}"));
            used += usize::from(twins.ask(0, &format!("EXPLAIN {text}")).to_json(false).contains("ROLL-UPS"));
        }
    }
    assert!(twins.stores[0].stats().unwrap().rolled_rows > 10);
    used
}

#[test]
fn any_question_after_any_history_has_the_answer_that_the_points_have() {
    let mut used = 0;
    // More of them by hand: `ROLLUP_SEEDS=50`.
    let seeds = std::env::var("ROLLUP_SEEDS").map_or(2, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        used += any_history(seed, &[Step::FiveMinutes, Step::Hour], 25);
        used += any_history(100 + seed, &[Step::Day], 12);
        used += any_history(200 + seed, &[Step::FiveMinutes, Step::Hour, Step::Day], 12);
    }
    // Or the test would compare points with points.
    assert!(used > 150, "{used}");
}

#[test]
fn past_the_points_whole_buckets_answer_as_before_and_the_rest_is_said() {
    let mut twins = Twins::new(7, 3, &[Step::FiveMinutes, Step::Hour]);
    for _ in 0..DAYS {
        twins.live();
    }
    // Nothing late after this: a late point that is too old is refused by one of the two.
    let stats = twins.stores[0].stats().unwrap();
    assert!(stats.rolled_rows > 100, "{stats:?}");
    let messages = |text: &str| twins.ask(0, text).results[0].messages.clone();
    let (from, to) = (START, START + 4 * DAY);
    let range = format!("time >= {from} AND time < {to}");
    assert!(messages(&format!("SELECT mean(n), last(f) FROM m WHERE {range} GROUP BY time(1h), host")).is_empty());
    assert!(messages("SELECT max(n) FROM m").is_empty());
    let gone = messages(&format!("SELECT median(n) FROM m WHERE {range}"));
    assert!(gone[0].level == "warning" && gone[0].text.contains("no longer kept one by one"), "{gone:?}");
    assert_eq!(messages(&format!("SELECT n FROM m WHERE {range}")).len(), 1);
    let widened = messages(&format!("SELECT sum(n) FROM m WHERE time >= {} AND time < {to}", from + MINUTE));
    assert!(widened[0].text.contains("whole roll-ups"), "{widened:?}");
    let edge = |from: i64, to: i64| {
        let text = format!("SELECT count(n) FROM m WHERE time >= {from} AND time < {to}");
        twins
            .ask(0, &text)
            .to_json(false)
            .split("\"messages\"")
            .next()
            .unwrap()
            .split("values")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let cut = |text: String| text.split(',').nth(1).unwrap().trim_end_matches([']', '}']).to_owned();
    assert_eq!(cut(edge(from + MINUTE, to - MINUTE)), cut(edge(from, to)));
}

#[test]
fn roll_ups_outlive_the_points_and_say_the_same() {
    for seed in 20..24 {
        let mut twins = Twins::new(seed, 30, &[Step::FiveMinutes, Step::Hour]);
        for _ in 0..DAYS {
            twins.live();
        }
        let whole: Vec<String> = ["1h", "2h", "1d"]
            .into_iter()
            .flat_map(|every| {
                [
                    "mean(f)",
                    "sum(n)",
                    "count(s)",
                    "min(n)",
                    "max(f)",
                    "first(s)",
                    "last(b)",
                    "spread(u)",
                    "sum(big)",
                    "mean(big)",
                ]
                .map(|call| {
                    format!(
                        "SELECT {call} FROM m WHERE time >= {START} AND time < {} GROUP BY time({every}), host",
                        START + 6 * DAY
                    )
                })
            })
            .chain(
                ["max(n)", "min(f)", "first(b)", "last(s)"]
                    .map(|call| format!("SELECT {call}, host FROM m WHERE time < {}", START + 6 * DAY)),
            )
            .collect();
        twins.rolling = options(1, &[Step::FiveMinutes, Step::Hour]);
        twins.crash();
        (0..DAYS).for_each(|_| twins.stores[0].keep(twins.now + 120 * MINUTE).unwrap());
        twins.crash();
        assert!(twins.ask(0, "SELECT count(distinct(n)) FROM m").results[0].messages.len() == 1);
        for text in whole {
            compare(&twins.ask(0, &text), &twins.ask(1, &text), &text);
        }
    }
}
