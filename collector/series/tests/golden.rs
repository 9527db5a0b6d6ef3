//! Answers recorded from a real InfluxDB 1.6.7 (`tests/golden/*.json`): ours are the same, in heads, in blocks, and in both.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use bellwether_series::{Epoch, Options, QueryOptions, Store};
use serde_json::Value;

/// Beyond every time in the cases.
const NOW_NS: i64 = 1_700_100_000_000_000_000;

fn run(path: &std::path::Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let mut position = 0;
    for write in golden["writes"].as_array().unwrap() {
        let database = write["db"].as_str().unwrap();
        store.create_database(database);
        let points = support::points(write["data"].as_str().unwrap());
        // Half of what came is in blocks when the other half comes.
        for part in points.chunks(points.len() / 2 + 1) {
            position += 1;
            assert_eq!(store.apply(position, database, part).unwrap().refused_values, 0);
            if position % 2 == 1 {
                store.seal_all().unwrap();
            }
        }
    }
    let (mut passed, mut failed) = (0, Vec::new());
    for case in golden["cases"].as_array().unwrap() {
        let skipped = ["unstable", "uses_now", "quirk"];
        if skipped.iter().any(|mark| case.get(mark).is_some()) {
            continue;
        }
        let command = case["command"].as_str().unwrap();
        let parameter = |name: &str| case["params"][name].as_str().unwrap_or("").to_owned();
        let options = QueryOptions { epoch: Epoch::from_parameter(&parameter("epoch")), ..QueryOptions::at(NOW_NS) };
        let response = store.query(&parameter("db"), command, &options);
        let got: Value = serde_json::from_str(&response.to_json(false)).unwrap();
        let expected: Value = serde_json::from_str(case["exp"].as_str().unwrap()).unwrap();
        if same(&got, &expected) {
            passed += 1;
        } else {
            failed.push(format!("{command}\n  expected {expected}\n  got      {got}"));
        }
    }
    (passed, failed)
}

/// Numbers are compared as numbers: `1` and `1.0` are one answer.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[test]
fn answers_are_those_of_influxdb() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.extend(std::env::var_os("SERIES_GOLDEN").map(std::path::PathBuf::from));
    let mut all = Vec::new();
    let mut total = 0;
    for file in files {
        let (passed, failed) = run(&file);
        total += passed;
        all.extend(failed);
    }
    assert!(all.is_empty(), "{} of {} differ:\n{}", all.len(), all.len() + total, all.join("\n"));
    assert!(total > 0);
}
