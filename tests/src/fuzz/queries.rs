//! Questions in InfluxQL: any text is answered or refused, soon, and the answer is JSON.

use std::sync::LazyLock;
use std::time::Duration;

use bellwether_series::{Options, Parameters, QueryLimits, QueryOptions, Store, lines};
use rand::RngExt;
use rand::rngs::StdRng;

use super::{mutate, texts};

static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let commands = texts::read_all("collector/series/tests/golden", "json").into_iter().flat_map(|file| {
        let file: serde_json::Value = serde_json::from_slice(&file).expect("a recording");
        let cases = file["cases"].as_array().cloned().unwrap_or_default();
        cases.into_iter().filter_map(|case| Some(case["command"].as_str()?.to_owned())).collect::<Vec<_>>()
    });
    commands.collect()
});

const WORDS: &[&str] = &[
    "SELECT",
    "mean(",
    "top(v,2)",
    "holt_winters(mean(v),3,2)",
    "derivative(",
    ")",
    "\"v\"",
    "*",
    "FROM",
    "/c.*/",
    "cpu",
    "WHERE",
    "time",
    ">",
    "now()",
    "- 1h",
    "5",
    "1.5e308",
    "-9223372036854775808",
    "'2023-11-14T22:13:20Z'",
    "AND",
    "OR",
    "=~",
    "!~",
    "GROUP BY",
    "time(1m,-7s)",
    "time(1ns)",
    "fill(linear)",
    "ORDER BY time DESC",
    "LIMIT 2",
    "OFFSET 1",
    "SLIMIT 1",
    ",",
    ";",
    "::integer",
    "tz('Europe/Berlin')",
    "SHOW",
    "TAG VALUES",
    "SERIES",
    "CARDINALITY",
    "WITH KEY IN",
    "(",
    "%",
    "/",
    "+",
    "EXPLAIN",
    "INTO",
    "DELETE",
    "$p",
    "'",
    "/*",
    "--",
    "\n",
    "distinct(v)",
    "host",
    "integral(v)",
    "percentile(v, 101)",
    "sample(v,2)",
    "elapsed(v,1ns)",
    "kaufmans_adaptive_moving_average(v,2)",
];

/// The data, in memory and small: what is tried is the language and what follows from it.
struct House {
    store: Store,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let deadline = Duration::from_secs(5);
        let query = QueryLimits { deadline, max_buckets: 2000, max_held_values: 20_000, ..QueryLimits::default() };
        let store = Store::open(folder.path(), Options { query, ..Options::default() }).expect("a store");
        let mut text = String::new();
        for at in 0..60_i64 {
            let (host, time) = (at % 3, 1_700_000_000_000_000_000 + at / 3 * 10_000_000_000);
            let value = at * at % 17;
            text.push_str(&format!("cpu,host=h{host} v={value},i={at}i,s=\"{value}\",b={} {time}\n", at % 2 == 0));
            text.push_str(&format!("mem,host=h{host} v={value}i {time}\n"));
        }
        let points = lines(text.as_bytes(), Default::default(), 0).map(|line| line.expect("a good line").point);
        store.apply(1, "bellwether", &points.collect::<Vec<_>>()).expect("applied");
        Self { store, _folder: folder }
    }
}

pub fn run(rng: &mut StdRng) {
    let house = House::new();
    for _ in 0..100 {
        let text = question(rng);
        let parameters = Parameters::from_json("{\"p\": 3}").expect("parameters");
        let options = QueryOptions { parameters, ..QueryOptions::at(1_700_000_600_000_000_000) };
        let answer = house.store.query("bellwether", &text, &options).to_json(rng.random_range(0..5) == 0);
        assert!(serde_json::from_str::<serde_json::Value>(&answer).is_ok(), "{text:?} was answered by {answer}");
    }
}

fn question(rng: &mut StdRng) -> String {
    if rng.random_range(0..3) == 0 {
        let words = (0..rng.random_range(1..25)).map(|_| WORDS[rng.random_range(0..WORDS.len())]);
        return words.collect::<Vec<_>>().join(if rng.random_range(0..4) == 0 { "" } else { " " });
    }
    let mut text = GOOD[rng.random_range(0..GOOD.len())].clone();
    // Recorded questions are about other names.
    for name in ["gold", "uplink", "battery"] {
        text = text.replace(name, "cpu");
    }
    for _ in 0..rng.random_range(0..4) {
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let at = rng.random_range(0..words.len().max(1));
        let word = WORDS[rng.random_range(0..WORDS.len())];
        let keep = usize::from(rng.random_range(0..2) == 0);
        text = words[..at].concat() + word + " " + &words[(at + keep).min(words.len())..].concat();
    }
    let mut bytes = text.into_bytes();
    for _ in 0..rng.random_range(0..3) {
        mutate::bytes(rng, &mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
