//! No query takes more than its share, and none brings the store down.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bellwether_series::{FieldValue, Options, Point, QueryLimits, QueryOptions, Store};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn store(query: QueryLimits) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options { query, ..Options::default() }).unwrap();
    let mut points = Vec::new();
    for at in 0..50i64 {
        for host in ["a", "b", ""] {
            let tags = if host.is_empty() { Vec::new() } else { vec![("host".into(), host.into())] };
            let fields = vec![
                ("f".into(), FieldValue::Float(at as f64 / 4.0)),
                ("i".into(), FieldValue::Integer(at % 7)),
                ("u".into(), FieldValue::Unsigned(at as u64)),
                ("b".into(), FieldValue::Boolean(at % 3 == 0)),
                ("s".into(), FieldValue::Text(Arc::from(format!("s{}", at % 4)))),
            ];
            points.push(Point { measurement: "m".into(), tags, time: at * 10 * SECOND, fields });
        }
    }
    store.apply(1, "bellwether", &points[..75]).unwrap();
    store.seal_all().unwrap();
    store.apply(2, "bellwether", &points[75..]).unwrap();
    (store, folder)
}

fn error(query: QueryLimits, text: &str) -> String {
    let (store, _folder) = store(query);
    let response = store.query("bellwether", text, &QueryOptions::at(600 * SECOND));
    response.error.or_else(|| response.results[0].error.clone()).unwrap_or_default()
}

#[test]
fn each_limit_is_a_clear_error() {
    let limits = QueryLimits::default;
    let cases = [
        (QueryLimits { max_rows: 10, ..limits() }, "SELECT f FROM m", "max-select-point limit exceeded"),
        (QueryLimits { max_buckets: 10, ..limits() }, "SELECT mean(f) FROM m GROUP BY time(1s)", "max-select-buckets"),
        (QueryLimits { max_series: 2, ..limits() }, "SELECT f FROM m GROUP BY host", "max-select-series"),
        (QueryLimits { max_held_values: 9, ..limits() }, "SELECT median(f) FROM m", "max-held-values"),
        (QueryLimits { max_query_bytes: 9, ..limits() }, "SELECT f FROM m", "longer than 9 bytes"),
        (QueryLimits { max_statements: 1, ..limits() }, "SHOW DATABASES; SHOW DATABASES", "at most 1 statements"),
        (QueryLimits { max_depth: 3, ..limits() }, "SELECT ((((f)))) FROM m", "nested more than 3"),
        (QueryLimits { deadline: Duration::ZERO, ..limits() }, "SELECT f FROM m", "query-timeout limit exceeded"),
    ];
    for (limits, text, expected) in cases {
        let got = error(limits, text);
        assert!(got.contains(expected), "{text}: {got}");
    }
}

#[test]
fn a_query_ends_when_nobody_waits_for_it() {
    let (store, _folder) = store(QueryLimits::default());
    let cancelled = Some(Arc::new(AtomicBool::new(true)));
    let options = QueryOptions { cancelled, ..QueryOptions::at(0) };
    let response = store.query("bellwether", "SELECT f FROM m", &options);
    assert_eq!(response.results[0].error.as_deref(), Some("query interrupted"));
}

fn expression() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["f", "i", "u", "b", "s", "host", "nosuch", "*", "/./", "time", "5", "1.5"]);
    let leaf = name.prop_map(str::to_owned);
    leaf.prop_recursive(3, 8, 2, |inner| {
        let function = prop::sample::select(vec![
            "mean",
            "sum",
            "count",
            "min",
            "max",
            "first",
            "last",
            "spread",
            "median",
            "mode",
            "stddev",
            "distinct",
            "derivative",
            "difference",
            "non_negative_derivative",
            "cumulative_sum",
            "elapsed",
            "abs",
            "round",
            "top",
        ]);
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^"]);
        prop_oneof![
            4 => (function, inner.clone()).prop_map(|(name, inner)| format!("{name}({inner})")),
            1 => inner.clone().prop_map(|inner| format!("percentile({inner}, 50)")),
            1 => inner.clone().prop_map(|inner| format!("moving_average({inner}, 2)")),
            2 => (inner.clone(), op, inner).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "WHERE time > 100s",
        "WHERE time > 300s AND time < 200s",
        "WHERE host = 'a' AND time <= 9223372036854775807",
        "WHERE f > 3 AND host != ''",
        "WHERE s =~ /1|2/ OR i = 3",
        "WHERE time >= -9223372036854775807 AND time < 1e30",
        "WHERE host =~ /./ AND (b = true OR f / 0 = 0)",
        "WHERE time > now() - 5m",
        "WHERE time = 50s",
    ])
}

fn grouping() -> impl Strategy<Value = String> {
    let dimensions = prop::sample::select(vec![
        "",
        "GROUP BY host",
        "GROUP BY *",
        "GROUP BY time(1m)",
        "GROUP BY time(33s, 7s), host",
        "GROUP BY time(1m, -5s)",
        "GROUP BY time(106751d)",
        "GROUP BY time(1d), /h/",
    ]);
    let fill = prop::sample::select(vec!["", "fill(none)", "fill(previous)", "fill(linear)", "fill(3)"]);
    let order = prop::sample::select(vec!["", "ORDER BY time DESC", "LIMIT 2", "LIMIT 3 OFFSET 1 SLIMIT 1"]);
    (dimensions, fill, order).prop_map(|(dimensions, fill, order)| {
        let fill = if dimensions.is_empty() { "" } else { fill };
        format!("{dimensions} {fill} {order} {}", if order.is_empty() { "tz('Europe/Berlin')" } else { "" })
    })
}

#[test]
fn no_query_makes_the_store_panic() {
    let (store, _folder) = store(QueryLimits { max_buckets: 2000, ..QueryLimits::default() });
    let stories = (prop::collection::vec(expression(), 1..3), condition(), grouping());
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&stories, |(fields, condition, grouping)| {
            let text = format!("SELECT {} FROM m {condition} {grouping}", fields.join(", "));
            let json = store.query("bellwether", &text, &QueryOptions::at(600 * SECOND)).to_json(false);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{text}: {json}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn times_at_both_ends_of_the_line_are_stored_and_asked_for_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    for (position, time) in (1..).zip([0, i64::MAX, i64::MIN, i64::MIN + 1, i64::MAX - 1, 60 * SECOND]) {
        let fields = vec![("idle".into(), FieldValue::Float(1.5))];
        let point = Point { measurement: "cpu".into(), tags: vec![("host".into(), "a".into())], time, fields };
        let applied = store.apply(position, "bellwether", &[point]).unwrap();
        assert_eq!(applied.values, 1);
    }
    for sealed in [false, true] {
        if sealed {
            assert_eq!(store.seal_all().unwrap(), 6);
        } else {
            assert_eq!(store.checkpoint().unwrap(), 6);
        }
        let options = QueryOptions::at(60 * SECOND);
        for text in [
            "SELECT idle FROM cpu",
            "SELECT count(idle) FROM cpu",
            "SELECT mean(idle) FROM cpu GROUP BY time(10s)",
            "SELECT last(idle) FROM cpu WHERE time > now() - 1h GROUP BY time(10s) fill(none)",
            "SELECT mean(idle) FROM cpu WHERE time < now() GROUP BY time(1000w) fill(linear)",
            "SELECT first(idle), last(idle) FROM cpu WHERE time >= -9223372036854775808 AND time <= 9223372036854775807 GROUP BY time(7d, 3d)",
            "SELECT idle FROM cpu ORDER BY time DESC LIMIT 2",
        ] {
            let answer = store.query("bellwether", text, &options).to_json(false);
            assert!(answer.contains("results"), "{text}: {answer}");
        }
    }
}
