//! The store against a map that is far simpler than it, under random stories of writes, seals, checkpoints, crashes and compactions.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_series::{ConflictKind, FieldKind, FieldValue, Options, Point, QueryOptions, Store, StoreError, Value};
use proptest::prelude::*;

const DATABASE: &str = "bellwether";
const MEASUREMENTS: [&str; 2] = ["cpu", "mem"];
const FIELDS: [&str; 3] = ["a", "b", "c"];

/// (measurement, host, time) -> field -> value.
type Model = BTreeMap<(String, String, i64), BTreeMap<String, FieldValue>>;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(usize, u8, i64, usize, i16)>),
    /// More rows than fill a block, from this time on.
    Run(i64),
    Checkpoint,
    SealAll,
    Compact,
    /// Everything in memory is gone.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0..2usize, 0..3u8, 0..60i64, 0..3usize, any::<i16>());
    prop_oneof![
        6 => prop::collection::vec(write, 1..30).prop_map(Step::Write),
        1 => (0..2000i64).prop_map(Step::Run),
        2 => Just(Step::Checkpoint),
        2 => Just(Step::SealAll),
        1 => Just(Step::Compact),
        2 => Just(Step::Crash),
    ]
}

fn value(field: usize, number: i16) -> FieldValue {
    match field {
        0 => FieldValue::Integer(i64::from(number)),
        1 => FieldValue::Float(f64::from(number) / 100.0),
        _ => FieldValue::Text(Arc::from(format!("t{}", number % 5))),
    }
}

fn point(measurement: usize, host: u8, time: i64, field: usize, number: i16) -> Point<'static> {
    let mut tags = Vec::new();
    if host > 0 {
        tags.push(("host".into(), format!("h{host}").into()));
    }
    Point {
        measurement: MEASUREMENTS[measurement].into(),
        tags,
        time,
        fields: vec![(FIELDS[field].into(), value(field, number))],
    }
}

fn points(step: &Step) -> Vec<Point<'static>> {
    match step {
        Step::Write(writes) => writes.iter().map(|w| point(w.0, w.1, w.2, w.3, w.4)).collect(),
        Step::Run(from) => (0..1500).map(|at| point(0, 1, from + at, 1, at as i16)).collect(),
        _ => Vec::new(),
    }
}

fn remember(model: &mut Model, points: &[Point<'_>]) {
    for point in points {
        let host = point.tags.first().map_or("", |tag| &tag.1).to_owned();
        let row = model.entry((point.measurement.to_string(), host, point.time)).or_default();
        for (name, value) in &point.fields {
            row.insert(name.to_string(), value.clone());
        }
    }
}

/// All that the store answers, as the model has it.
fn content(store: &Store) -> Model {
    let mut content = Model::new();
    for measurement in MEASUREMENTS {
        let text = format!("SELECT * FROM {measurement} GROUP BY host");
        let response = store.query(DATABASE, &text, &QueryOptions::at(0));
        assert_eq!(response.results[0].error, None);
        for series in &response.results[0].series {
            let host = series.tags[0].1.to_string();
            for row in &series.values {
                let Value::Time(time) = row[0] else { panic!("no time") };
                let cells = series.columns.iter().zip(row).skip(1).filter_map(|(name, cell)| {
                    let value = match cell {
                        Value::Integer(number) => FieldValue::Integer(*number),
                        Value::Float(number) => FieldValue::Float(*number),
                        Value::Text(text) => FieldValue::Text(text.clone()),
                        _ => return None,
                    };
                    Some((name.to_string(), value))
                });
                let before = content.insert((measurement.to_owned(), host.clone(), time), cells.collect());
                assert!(before.is_none(), "one time twice");
            }
        }
    }
    content
}

fn open(folder: &std::path::Path) -> Store {
    Store::open(folder, Options::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_there_once_whatever_happens(steps in prop::collection::vec(step(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut model = Model::new();
        let mut journal: Vec<Vec<Point<'static>>> = Vec::new();
        for step in &steps {
            match step {
                Step::Write(_) | Step::Run(_) => {
                    let points = points(step);
                    remember(&mut model, &points);
                    journal.push(points);
                    store.apply(journal.len() as u64, DATABASE, &journal[journal.len() - 1]).unwrap();
                }
                Step::Checkpoint => assert_eq!(store.checkpoint().unwrap(), journal.len() as u64),
                Step::SealAll => assert_eq!(store.seal_all().unwrap(), journal.len() as u64),
                Step::Compact => { store.compact().unwrap(); }
                Step::Crash => {
                    drop(store);
                    store = open(folder.path());
                    for (at, points) in journal.iter().enumerate().skip(store.position() as usize) {
                        store.apply(at as u64 + 1, DATABASE, points).unwrap();
                    }
                }
            }
            prop_assert_eq!(&content(&store), &model);
        }
    }
}

fn row(host: u8, time: i64, number: i16) -> Point<'static> {
    point(0, host, time, 1, number)
}

#[test]
fn a_late_point_and_a_second_one_land_right_across_head_and_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut model = Model::new();
    let mut write = |position, points: Vec<Point<'static>>| {
        store.apply(position, DATABASE, &points).unwrap();
        remember(&mut model, &points);
        model.clone()
    };
    write(1, (0..3000).map(|at| row(1, at * 10, 1)).collect());
    store.checkpoint().unwrap();
    assert_eq!(store.stats().unwrap().blocks, 2);
    assert_eq!(store.stats().unwrap().head_values, 3000 - 2048);
    write(2, vec![row(1, 15, 7), row(1, 20, 8), row(1, 29_990, 9)]);
    store.seal_all().unwrap();
    let model = write(3, vec![row(1, 20, 10)]);
    assert_eq!(content(&store), model);
    store.seal_all().unwrap();
    store.compact().unwrap();
    assert_eq!(content(&store), model);
    drop(store);
    assert_eq!(content(&open(folder.path())), model);
}

#[test]
fn compaction_leaves_full_blocks_and_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut model = Model::new();
    for part in 0..20 {
        let points: Vec<_> = (0..100).map(|at| row(1, part * 100 + at, at as i16)).collect();
        remember(&mut model, &points);
        store.apply(part as u64 + 1, DATABASE, &points).unwrap();
        store.seal_all().unwrap();
    }
    assert_eq!(store.stats().unwrap().blocks, 20);
    // As the hourly round does it.
    store.keep(1_700_000_000_000_000_000).unwrap();
    assert!(store.stats().unwrap().blocks <= 3);
    assert_eq!(store.compact().unwrap(), 0, "nothing is left to do");
    assert_eq!(store.position(), 20);
    store.vacuum().unwrap();
    assert_eq!(content(&store), model);
}

#[test]
fn a_checkpoint_is_made_when_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let second = 1_000_000_000;
    assert_eq!(store.maintain(0).unwrap(), None);
    store.apply(5, DATABASE, &[row(1, 1, 1)]).unwrap();
    assert_eq!(store.maintain(299 * second).unwrap(), None);
    assert_eq!(store.maintain(300 * second).unwrap(), Some(5));
    store.advance(9);
    assert_eq!(store.maintain(400 * second).unwrap(), None);
    assert_eq!(store.maintain(600 * second).unwrap(), Some(9));
    // A clock that was set back puts nothing off.
    assert_eq!(store.maintain(0).unwrap(), Some(9));
    // A stream that fell silent leaves memory after a day.
    assert_eq!(store.stats().unwrap().head_values, 1);
    store.maintain(2 * 24 * 3600 * second).unwrap();
    assert_eq!(store.stats().unwrap().head_values, 0);
}

#[test]
fn heads_never_grow_beyond_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_head_values: 1000, ..Options::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let mut model = Model::new();
    for batch in 0..100i64 {
        let points: Vec<_> = (0..50).map(|at| row((at % 2) as u8, batch * 50 + at, 1)).collect();
        remember(&mut model, &points);
        store.apply(batch as u64, DATABASE, &points).unwrap();
        assert!(store.stats().unwrap().head_values < 1050);
    }
    assert_eq!(content(&store), model);
}

#[test]
fn a_conflict_is_named_before_and_refused_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let with = |value| Point { fields: vec![("x".into(), value)], ..row(1, 1, 1) };
    let good = [with(FieldValue::Float(1.0))];
    store.check(DATABASE, &good).unwrap();
    // Inside one call as well.
    let both = [with(FieldValue::Float(1.0)), with(FieldValue::Integer(1))];
    assert_eq!(store.check(DATABASE, &both).unwrap_err()[0].point, 1);
    store.apply(1, DATABASE, &good).unwrap();
    let bad = [with(FieldValue::Text("t".into())), with(FieldValue::Float(f64::NAN))];
    let conflicts = store.check(DATABASE, &bad).unwrap_err();
    assert_eq!(
        conflicts[0].to_string(),
        "field type conflict: input field \"x\" on measurement \"cpu\" is type string, already exists as type float"
    );
    assert!(matches!(conflicts[0].kind, ConflictKind::Type { stored: FieldKind::Float, .. }));
    assert!(matches!(conflicts[1].kind, ConflictKind::NotFinite { .. }));
    assert_eq!(store.apply(2, DATABASE, &bad).unwrap().refused_values, 2);
    assert_eq!(store.stats().unwrap().refused_values, 2);
    let unsorted = Point { tags: vec![("b".into(), "1".into()), ("a".into(), "1".into())], ..row(1, 1, 1) };
    assert!(matches!(store.check(DATABASE, &[unsorted]).unwrap_err()[0].kind, ConflictKind::Malformed(_)));
}

#[test]
fn streams_above_the_limit_are_refused_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options { max_streams: 2, ..Options::default() }).unwrap();
    let points = [row(0, 1, 1), row(1, 1, 1), row(2, 1, 1)];
    assert_eq!(store.check(DATABASE, &points).unwrap_err().len(), 1);
    assert_eq!(store.apply(1, DATABASE, &points).unwrap().refused_points, 1);
    assert_eq!(store.stats().unwrap().refused_points, 1);
    store.check(DATABASE, &points[..2]).unwrap();
}

#[test]
fn a_corrupt_block_is_skipped_and_counted_and_the_rest_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(1, DATABASE, &(0..2048).map(|at| row(1, at, 1)).collect::<Vec<_>>()).unwrap();
    store.checkpoint().unwrap();
    store.apply(2, DATABASE, &[row(2, 5, 1), row(1, 5000, 1)]).unwrap();
    let file = rusqlite::Connection::open(folder.path().join("series.sqlite")).unwrap();
    file.execute("UPDATE block SET data = zeroblob(length(data)) WHERE id = 1", []).unwrap();
    drop(file);
    let seen = content(&store);
    assert_eq!(seen.len(), 1024 + 2);
    assert_eq!(content(&store), seen);
    assert_eq!(store.stats().unwrap().corrupt_blocks, 1);
    store.compact().unwrap();
    assert_eq!(content(&store), seen);
}

#[test]
fn a_newer_file_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let path = folder.path().join("series.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&4u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let error = Store::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(files(), before);
    std::fs::write(&path, vec![7; 5000]).unwrap();
    assert!(matches!(Store::open(folder.path(), Options::default()), Err(StoreError::Foreign { .. })));
}

/// Takes a file back to the format before policies.
const TO_FORMAT_1: &str = "
    CREATE TABLE old (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    INSERT INTO old SELECT id, database FROM policy;
    DROP TABLE database; DROP TABLE policy;
    ALTER TABLE old RENAME TO database;
    ALTER TABLE measurement RENAME COLUMN policy TO database;
    DROP TABLE kept; DROP TABLE rolled;
    PRAGMA user_version = 1;
";

#[test]
fn a_file_of_the_first_format_is_brought_to_the_new_one_and_a_copy_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let points: Vec<_> = (0..2000).map(|at| row(1, at, 1)).collect();
    store.apply(1, DATABASE, &points).unwrap();
    store.checkpoint().unwrap();
    let before = content(&store);
    drop(store);
    let path = folder.path().join("series.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch(TO_FORMAT_1).unwrap();
    let store = open(folder.path());
    assert_eq!((content(&store), store.position()), (before, 1));
    let copy = rusqlite::Connection::open(folder.path().join("series.sqlite.format-1")).unwrap();
    let version: i64 = copy.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    drop(store);
    assert_eq!(open(folder.path()).stats().unwrap().streams, 1);
}

/// The rows that a query sees now.
fn count(store: &Store) -> i64 {
    let response = store.query(DATABASE, "SELECT count(b) FROM cpu", &QueryOptions::at(0));
    match response.results[0].series.first().map(|series| &series.values[0][1]) {
        Some(Value::Integer(count)) => *count,
        None => 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_row_is_ever_missing_while_heads_move_to_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let written = std::sync::atomic::AtomicI64::new(0);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for batch in 0..200i64 {
                let points: Vec<_> = (0..20).map(|at| row(1, batch * 20 + at, 1)).collect();
                store.apply(batch as u64, DATABASE, &points).unwrap();
                written.store((batch + 1) * 20, std::sync::atomic::Ordering::SeqCst);
                match batch % 9 {
                    2 => store.seal_all().map(|_| ()).unwrap(),
                    5 => store.checkpoint().map(|_| ()).unwrap(),
                    8 => store.compact().map(|_| ()).unwrap(),
                    _ => {}
                }
            }
        });
        while !writer.is_finished() {
            let least = written.load(std::sync::atomic::Ordering::SeqCst);
            assert!(count(&store) >= least);
        }
    });
    assert_eq!(count(&store), 4000);
}
