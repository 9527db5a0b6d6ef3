//! How long things are kept, and that nothing else goes.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bellwether_series::{
    Change, FieldValue, Keep, KeepRule, Lines, NotTaken, Options, Point, Precision, QueryOptions, Store, Value, Writer,
};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2023-11-14, midnight.
const TODAY: i64 = 19_675 * DAY;

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

fn rule(measurement: &str, keep: Keep) -> KeepRule {
    KeepRule { database: "own".into(), measurement: Some(measurement.into()), tag: None, keep }
}

fn options() -> Options {
    let raw = Keep { raw: days(30), tiers: Vec::new(), newest: false };
    let facts = Keep { newest: true, ..raw.clone() };
    Options {
        databases: vec!["own".into()],
        closed: vec!["own".into()],
        keeping: vec![rule("load", raw), rule("facts", facts)],
        max_databases: 3,
        max_policies: 2,
        max_streams_of_one: 4,
        ..Options::default()
    }
}

struct House {
    folder: tempfile::TempDir,
    journal: Mutex<Vec<Change>>,
    store: Store,
}

fn open(folder: &Path) -> Store {
    Store::open(folder, options()).unwrap()
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        Self { folder, journal: Mutex::default(), store }
    }

    fn ask(&self, now: i64, text: &str) -> String {
        let response = self.store.query_and_change("db", text, &QueryOptions::at(now), self);
        response.to_json(false).replace("{\"results\":[{\"statement_id\":0", "").replace("}]}", "")
    }

    fn write(&self, now_ns: i64, text: &str) {
        let (database, policy, text) = ("db".to_owned(), String::new(), text.as_bytes().to_vec().into());
        let lines = Lines { database, policy, precision: Precision::Seconds, now_ns, text };
        self.commit(Change::Lines(self.store.sift(lines).lines.unwrap())).unwrap();
    }

    fn own(&self, position: u64, measurement: &str, time: i64, field: &str, value: i64) -> u64 {
        let fields = vec![(field.into(), FieldValue::Integer(value))];
        let point = Point { measurement: measurement.into(), tags: Vec::new(), time, fields };
        self.store.apply(position, "own", &[point]).unwrap().old_points
    }

    /// The single number that a question has for its answer; 0 for none.
    fn number(&self, now: i64, text: &str) -> i64 {
        let response = self.store.query("own", text, &QueryOptions::at(now));
        match response.results[0].series.first().map(|series| series.values[0][1].clone()) {
            Some(Value::Integer(number)) => number,
            None => 0,
            other => panic!("{other:?} of {response:?}"),
        }
    }

    fn crash(&mut self) {
        self.store = open(self.folder.path());
        for (at, change) in self.journal.lock().unwrap().iter().enumerate().skip(self.store.position() as usize) {
            self.store.apply_change(at as u64 + 1, change).unwrap();
        }
    }

    /// The file as any tool sees it.
    fn disk(&self, sql: &str) -> i64 {
        let path = self.folder.path().join("series.sqlite");
        rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Writer for House {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        let mut journal = self.journal.lock().unwrap();
        self.store.apply_change(journal.len() as u64 + 1, &change).unwrap();
        journal.push(change);
        Ok(())
    }
}

#[test]
fn what_a_policy_has_outlived_is_hidden_at_once_and_gone_from_the_disk_soon() {
    let mut house = House::new();
    house.ask(TODAY, "CREATE DATABASE db WITH DURATION 10d");
    let minutes = 9 * 24 * 60;
    let lines: Vec<String> =
        (0..minutes).map(|at| format!("m,host=a v={at}i {}", TODAY / SECOND - (minutes - at) * 60)).collect();
    // A stream that is there: many points of a new one look like many streams to the small limit of this house.
    house.write(TODAY, &lines[0]);
    house.write(TODAY, &lines.join("\n"));
    house.store.seal_all().unwrap();
    let count = |house: &House, now: i64| house.ask(now, "SELECT count(v) FROM m");
    assert!(count(&house, TODAY).contains(&format!(",{minutes}]")), "{}", count(&house, TODAY));
    // To the minute, and although nothing was taken away yet.
    let later = TODAY + 5 * DAY;
    assert!(count(&house, later).contains(&format!(",{}]", 5 * 24 * 60)), "{}", count(&house, later));
    let rows = house.disk("SELECT sum(rows) FROM block");
    house.write(later, &format!("m,host=a v=1i {}", later / SECOND));
    (0..20).for_each(|_| house.store.keep(later).unwrap());
    let (left, stats) = (house.disk("SELECT sum(rows) FROM block"), house.store.stats().unwrap());
    assert!((5 * 24 * 60..6 * 24 * 60 + 1024).contains(&left), "{left} of {rows}");
    assert!(stats.removed_rows >= 2 * 1024, "{stats:?}");
    house.crash();
    assert!(count(&house, later).contains(&format!(",{}]", 5 * 24 * 60 + 1)), "{}", count(&house, later));
    // And when all is too old, the stream goes too.
    let end = later + 20 * DAY;
    house.ask(later, "CREATE DATABASE other");
    house.own(house.store.applied(), "load", end, "v", 1);
    house.store.seal_all().unwrap();
    (0..30).for_each(|_| house.store.keep(end).unwrap());
    assert_eq!(house.ask(end, "SHOW SERIES"), "");
    assert_eq!(house.disk("SELECT count(*) FROM stream WHERE tags LIKE '%host%'"), 0);
    assert_eq!(house.disk("SELECT count(*) FROM block WHERE max_time < 1700000000000000000"), 0);
}

#[test]
fn a_block_that_is_partly_too_old_is_rewritten_without_what_is() {
    let house = House::new();
    house.ask(TODAY, "CREATE DATABASE db WITH DURATION 10d");
    let lines: Vec<String> = (0..90).map(|at| format!("m v={at}i {}", TODAY / SECOND - (90 - at) * 7200)).collect();
    // A stream that is there: many points of a new one look like many streams to the small limit of this house.
    house.write(TODAY, &lines[0]);
    house.write(TODAY, &lines.join("\n"));
    house.store.seal_all().unwrap();
    let later = TODAY + 5 * DAY;
    house.write(later, &format!("m v=1i {}", later / SECOND));
    (0..20).for_each(|_| house.store.keep(later).unwrap());
    assert!(house.disk("SELECT min(min_time) FROM block") >= later - 11 * DAY);
    assert!(house.ask(later, "SELECT count(v) FROM m").contains(",61]"));
}

#[test]
fn a_clock_of_another_decade_does_not_wipe_the_store() {
    let house = House::new();
    for day in 0..29 {
        house.own(1, "load", TODAY - day * DAY, "v", day);
    }
    house.store.seal_all().unwrap();
    let year_2040 = TODAY + 16 * 365 * DAY;
    // The machine has booted without a clock, and its own agent writes by it.
    house.own(2, "load", year_2040, "v", 0);
    for minute in 0..120 {
        house.store.maintain(year_2040 + minute * 60 * SECOND).unwrap();
    }
    assert_eq!(house.number(TODAY, "SELECT count(v) FROM load WHERE time < now() + 1d"), 29);
    // Its clock is set again: nothing is refused, and nothing goes that should not.
    for hour in 0..48 {
        house.store.maintain(TODAY + hour * HOUR).unwrap();
    }
    assert_eq!(house.own(3, "load", TODAY + DAY, "v", 1), 0);
    assert_eq!(house.number(TODAY, "SELECT count(v) FROM load WHERE time < now() + 2d"), 30);
}

#[test]
fn what_was_said_once_stays_however_long_ago() {
    let mut house = House::new();
    house.own(1, "facts", TODAY - 3 * DAY, "serial", 7);
    house.own(2, "facts", TODAY - 2 * DAY, "model", 1);
    house.own(3, "facts", TODAY - DAY, "model", 2);
    house.own(4, "load", TODAY, "v", 1);
    house.store.seal_all().unwrap();
    for day in 0..200 {
        house.own(5, "load", TODAY + day * DAY, "v", 1);
        house.store.keep(TODAY + day * DAY).unwrap();
    }
    let now = TODAY + 200 * DAY;
    // The clock began three days back, with the oldest point.
    (0..3).for_each(|_| house.store.keep(now).unwrap());
    house.store.checkpoint().unwrap();
    house.crash();
    assert_eq!(house.number(now, "SELECT last(serial) FROM facts"), 7);
    assert_eq!(house.number(now, "SELECT model FROM facts WHERE time > now() - 400d ORDER BY time DESC LIMIT 1"), 2);
    assert_eq!(house.number(now, "SELECT count(v) FROM load"), 30);
}

#[test]
fn a_point_older_than_what_is_kept_is_refused_and_counted_also_after_a_crash() {
    let mut house = House::new();
    for day in 0..60 {
        house.own(1, "load", TODAY + day * DAY, "v", 1);
        house.store.seal_all().unwrap();
        house.store.keep(TODAY + day * DAY).unwrap();
    }
    let now = TODAY + 59 * DAY;
    assert_eq!(house.own(2, "load", TODAY, "v", 1), 1);
    house.crash();
    assert_eq!(house.own(2, "load", TODAY, "v", 1), 1);
    assert_eq!(house.own(2, "load", now - 30 * DAY, "v", 1), 0);
    assert_eq!(house.store.stats().unwrap().old_points, 1);
    assert_eq!(house.number(now, "SELECT count(v) FROM load"), 31);
}

#[test]
fn nobody_makes_databases_policies_or_streams_without_end() {
    let house = House::new();
    let error = |text: &str| house.ask(TODAY, text);
    assert_eq!(error("CREATE DATABASE db; CREATE DATABASE more").matches("error").count(), 0);
    let refused = error("CREATE DATABASE third");
    assert!(refused.contains("there are 3 databases, the most that there may be; drop one first"), "{refused}");
    // One that is there is no new one.
    assert_eq!(error("CREATE DATABASE db"), "");
    assert_eq!(error("CREATE RETENTION POLICY a ON db DURATION 2h REPLICATION 1"), "");
    let refused = error("CREATE RETENTION POLICY b ON db DURATION 2h REPLICATION 1");
    assert!(refused.contains("there are 2 retention policies, the most that a database may have"), "{refused}");
    assert_eq!(house.store.stats().unwrap().refused_changes, 2);
    let text: String = (0..6).map(|at| format!("m,host=h{at} v=1 1700000000\n")).collect();
    let (database, policy, text) = ("db".to_owned(), String::new(), text.into_bytes().into());
    let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: TODAY, text };
    let sifted = house.store.sift(lines);
    assert_eq!((sifted.points, sifted.conflicts.len()), (4, 2));
    assert!(sifted.conflicts[0].contains("max-series-per-database limit exceeded: (4)"), "{:?}", sifted.conflicts);
    // The owner's own devices have their room all the same.
    for host in 0..9 {
        let tags = vec![("host".into(), format!("h{host}").into())];
        let point =
            Point { measurement: "load".into(), tags, time: TODAY, fields: vec![("v".into(), FieldValue::Integer(1))] };
        assert_eq!(house.store.apply(1, "own", &[point]).unwrap().refused_points, 0);
    }
}
