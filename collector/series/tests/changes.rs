//! Changes by others: what is written, altered and deleted is so after every crash, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use bellwether_series::{
    Change, Lines, NotTaken, Options, Precision, QueryOptions, ResultSeries, Store, Value, Writer,
};
use proptest::prelude::*;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// A store with a journal that outlives it.
struct House {
    folder: tempfile::TempDir,
    journal: Mutex<Vec<Vec<u8>>>,
    store: Store,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        Self { folder, journal: Mutex::default(), store }
    }

    fn ask(&self, text: &str) -> String {
        let response = self.store.query_and_change("db", text, &QueryOptions::at(NOW_NS), self);
        response.to_json(false).replace("{\"results\":[{\"statement_id\":0", "").replace("}]}", "")
    }

    fn write(&self, policy: &str, lines: &str) {
        let (database, policy) = ("db".to_owned(), policy.to_owned());
        let text = lines.as_bytes().to_vec().into();
        let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: NOW_NS, text };
        self.commit(Change::Lines(self.store.sift(lines).lines.unwrap())).unwrap();
    }

    /// Host, second and value of every row of `m`, by host.
    fn rows(&self) -> Vec<(String, i64, i64)> {
        let text = "SELECT v FROM m WHERE time < 1h GROUP BY host";
        let response = self.store.query("db", text, &QueryOptions::at(NOW_NS));
        let row = |series: &ResultSeries, row: &[Value]| match row {
            [Value::Time(time), Value::Integer(value)] => (series.tags[0].1.to_string(), time / 1_000_000_000, *value),
            other => panic!("{other:?}"),
        };
        let series = response.results[0].series.iter();
        series.flat_map(|series| series.values.iter().map(|values| row(series, values))).collect()
    }

    /// The program is gone and comes back: what the file has, and what the journal has behind it.
    fn crash(&mut self) {
        self.store = open(self.folder.path());
        let journal = self.journal.lock().unwrap();
        for (at, bytes) in journal.iter().enumerate().skip(self.store.position() as usize) {
            self.store.apply_change(at as u64 + 1, &Change::decode(bytes.clone()).unwrap()).unwrap();
        }
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Options { databases: Vec::new(), ..Options::default() }).unwrap()
}

impl Writer for House {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        let mut journal = self.journal.lock().unwrap();
        journal.push(change.encode());
        self.store.apply_change(journal.len() as u64, &change).unwrap();
        Ok(())
    }
}

#[test]
fn a_database_lives_and_dies_with_all_that_is_in_it() {
    let mut house = House::new();
    assert_eq!(house.ask("SELECT * FROM m"), ",\"error\":\"database not found: db\"");
    house.ask("CREATE DATABASE db");
    house.write("", "m,host=a v=1 1\nm,host=b v=2 2");
    house.crash();
    assert!(house.ask("SHOW SERIES").contains("m,host=b"));
    house.store.seal_all().unwrap();
    house.write("", "m,host=a v=3 3");
    assert_eq!(house.ask("DROP DATABASE db"), "");
    let nothing = house.store.stats().unwrap();
    assert_eq!((nothing.streams, nothing.blocks, nothing.head_values, nothing.measurements), (0, 0, 0, 0));
    // The position went with the deletion: a crash right after it brings nothing back.
    house.crash();
    assert_eq!(house.ask("SHOW MEASUREMENTS"), ",\"error\":\"database not found: db\"");
    // Made again it is empty, and a field may have another type.
    house.ask("CREATE DATABASE db");
    house.write("", "m,host=a v=\"text\" 1");
    house.crash();
    assert!(house.ask("SELECT * FROM m").contains("\"text\""));
}

#[test]
fn a_policy_has_its_own_measurements_and_the_default_one_is_where_nobody_says_another() {
    let mut house = House::new();
    house.ask("CREATE DATABASE db");
    house.ask("CREATE RETENTION POLICY short ON db DURATION 2h REPLICATION 1");
    house.write("short", "m v=1i 1699999990");
    house.write("", "m v=\"x\" 1699999990");
    assert!(house.ask("SELECT v FROM short.m").contains(",1]"));
    assert!(house.ask("SELECT v FROM m").contains("\"x\""));
    house.ask("ALTER RETENTION POLICY short ON db DEFAULT");
    house.store.checkpoint().unwrap();
    house.crash();
    assert!(house.ask("SELECT v FROM m").contains(",1]"));
    let policies = house.ask("SHOW RETENTION POLICIES");
    assert!(
        policies.contains("[\"autogen\",\"0s\",\"168h0m0s\",1,false],[\"short\",\"2h0m0s\",\"1h0m0s\",1,true]"),
        "{policies}"
    );
    assert_eq!(house.ask("DROP RETENTION POLICY short ON db"), "");
    house.crash();
    assert!(house.ask("SHOW RETENTION POLICIES").contains("autogen"));
    assert!(house.ask("SELECT v FROM autogen.m").contains("\"x\""));
    let old = Lines {
        database: "db".into(),
        policy: "autogen".into(),
        precision: Precision::Seconds,
        now_ns: NOW_NS,
        text: b"m v=\"y\" 5".to_vec().into(),
    };
    assert_eq!(house.store.sift(old).old, 0);
}

#[test]
fn points_older_than_their_policy_are_not_taken() {
    let house = House::new();
    house.ask("CREATE DATABASE db WITH DURATION 1d");
    let text = b"m v=1 1699999990\nm v=2 1699900000".to_vec().into();
    let lines =
        Lines { database: "db".into(), policy: String::new(), precision: Precision::Seconds, now_ns: NOW_NS, text };
    let sifted = house.store.sift(lines);
    assert_eq!((sifted.points, sifted.old), (1, 1));
}

#[test]
fn of_many_bad_lines_a_few_are_named_and_all_are_counted() {
    let house = House::new();
    house.ask("CREATE DATABASE db");
    let (database, policy) = ("db".to_owned(), String::new());
    let text = format!("{}m v=1 1", "bad\n".repeat(100)).into_bytes().into();
    let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: NOW_NS, text };
    let sifted = house.store.sift(lines);
    assert_eq!((sifted.unreadable.len(), sifted.unreadable_lines, sifted.points), (20, 100, 1));
    assert_eq!(house.store.stats().unwrap().refused_points, 100);
}

#[test]
fn a_deletion_takes_the_rows_it_names_and_no_others() {
    let mut house = House::new();
    house.ask("CREATE DATABASE db");
    for at in 0..3000 {
        house.write("", &format!("m,host=a v={at} {at}\nm,host=b v={at} {at}"));
        if at == 2000 {
            house.store.seal_all().unwrap();
        }
    }
    let count = |house: &House| house.ask("SELECT count(v) FROM m WHERE time < 1h GROUP BY host");
    assert_eq!(house.ask("DELETE FROM m WHERE host = 'a' AND time >= 500s AND time < 2500s"), "");
    assert!(count(&house).contains(",1000]") && count(&house).contains(",3000]"), "{}", count(&house));
    house.crash();
    assert!(count(&house).contains(",1000]") && count(&house).contains(",3000]"));
    assert_eq!(house.ask("DELETE WHERE host = 'b' AND time < 1h"), "");
    assert_eq!(house.ask("SHOW TAG VALUES WITH KEY = host").matches("\"host\"").count(), 1);
    assert_eq!(
        house.ask("DELETE FROM m WHERE v > 1"),
        ",\"error\":\"fields not supported in WHERE clause during deletion\""
    );
    assert_eq!(house.ask("DROP MEASUREMENT m"), "");
    assert_eq!(house.ask("DROP MEASUREMENT m"), "");
    assert_eq!(house.store.stats().unwrap().blocks, 0);
}

#[test]
fn columns_that_are_kept_unpacked_show_nothing_that_was_deleted() {
    let house = House::new();
    house.ask("CREATE DATABASE db");
    house.write("", &(0..2000).map(|at| format!("m,host=a v={at} {at}\n")).collect::<String>());
    house.store.seal_all().unwrap();
    let count = || house.ask("SELECT count(v), min(v) FROM m WHERE time >= 10s AND time < 1h");
    assert!(count().contains(",1990,10]"), "{}", count());
    assert!(house.store.stats().unwrap().unpacked_bytes > 16_000);
    house.ask("DELETE FROM m WHERE time >= 5s AND time < 15s");
    assert!(count().contains(",1985,15]"), "{}", count());
    house.store.compact().unwrap();
    assert!(count().contains(",1985,15]"), "{}", count());
    house.ask("DELETE FROM m WHERE time >= 15s AND time < 20s");
    assert!(count().contains(",1980,20]"), "{}", count());
}

#[test]
fn an_answer_can_be_written_into_another_measurement() {
    let mut house = House::new();
    house.ask("CREATE DATABASE db");
    house.write("", "m,host=a v=1 1\nm,host=a v=3 2\nm,host=b v=5 3");
    let written = house.ask("SELECT mean(v) AS v INTO db..day FROM m GROUP BY *");
    assert!(written.contains("[\"time\",\"written\"]") && written.contains("[0,2]"), "{written}");
    house.crash();
    let day = house.ask("SELECT v FROM day GROUP BY host");
    assert!(day.contains("\"host\":\"a\"},\"columns\":[\"time\",\"v\"],\"values\":[[0,2]]"), "{day}");
}

#[test]
fn who_may_only_read_changes_nothing() {
    let house = House::new();
    let ask = |text: &str| house.store.query("db", text, &QueryOptions::at(NOW_NS)).results[0].error.clone();
    assert_eq!(ask("CREATE DATABASE db").unwrap(), "not allowed to write");
    house.ask("CREATE DATABASE db");
    house.write("", "m v=1 1");
    assert_eq!(ask("DROP MEASUREMENT m").unwrap(), "not allowed to write");
    assert_eq!(ask("SELECT v INTO n FROM m").unwrap(), "not allowed to write");
}

#[derive(Clone, Debug)]
enum Step {
    Write { host: u8, time: i64, value: i64 },
    Delete { host: Option<u8>, from: i64, to: i64 },
    DropSeries { host: u8 },
    Checkpoint,
    Seal,
    Compact,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let (host, time) = (0..3u8, 0..40i64);
    prop_oneof![
        8 => (host.clone(), time.clone(), any::<i64>()).prop_map(|(host, time, value)| Step::Write { host, time, value }),
        2 => (prop::option::of(host.clone()), time.clone(), time)
            .prop_map(|(host, from, to)| Step::Delete { host, from: from.min(to), to: from.max(to) }),
        1 => host.prop_map(|host| Step::DropSeries { host }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Seal),
        1 => Just(Step::Compact),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_history_of_writes_and_deletions_leaves_what_a_plain_map_would_have(steps in prop::collection::vec(step(), 1..60)) {
        let mut house = House::new();
        house.ask("CREATE DATABASE db");
        let mut expected: BTreeMap<(u8, i64), i64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write { host, time, value } => {
                    house.write("", &format!("m,host=h{host} v={value}i {time}"));
                    expected.insert((host, time), value);
                }
                Step::Delete { host, from, to } => {
                    let of = host.map_or(String::new(), |host| format!("host = 'h{host}' AND "));
                    house.ask(&format!("DELETE FROM m WHERE {of}time >= {from}s AND time <= {to}s"));
                    expected.retain(|(known, time), _| host.is_some_and(|host| host != *known) || !(from..=to).contains(time));
                }
                Step::DropSeries { host } => {
                    house.ask(&format!("DROP SERIES FROM m WHERE host = 'h{host}'"));
                    expected.retain(|(known, _), _| *known != host);
                }
                Step::Checkpoint => drop(house.store.checkpoint().unwrap()),
                Step::Seal => drop(house.store.seal_all().unwrap()),
                Step::Compact => drop(house.store.compact().unwrap()),
                Step::Crash => house.crash(),
            }
            let rows: Vec<_> = expected.iter().map(|((host, time), value)| (format!("h{host}"), *time, *value)).collect();
            prop_assert_eq!(house.rows(), rows);
        }
    }
}
