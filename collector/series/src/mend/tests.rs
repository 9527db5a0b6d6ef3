use std::os::unix::fs::FileExt;

use super::*;
use crate::{FieldValue, Options, Point, Store};

/// A store with four streams of sealed rows, and some rows in heads.
fn filled(folder: &Path) {
    let store = Store::open(folder, Options::default()).unwrap();
    for stream in 0..4 {
        let row = |time: i64| Point {
            measurement: "cpu".into(),
            tags: vec![("host".into(), format!("h{stream}").into())],
            time: time * 1_000_000_000,
            fields: vec![("usage".into(), FieldValue::Float(time as f64 / 7.0))],
        };
        let rows: Vec<_> = (0..3_000).map(row).collect();
        store.apply(rows.len() as u64, "db", &rows).unwrap();
    }
    store.seal_all().unwrap();
    let late = Point {
        measurement: "cpu".into(),
        tags: vec![("host".into(), "h0".into())],
        time: 4_000_000_000_000,
        fields: vec![("usage".into(), FieldValue::Float(1.0))],
    };
    store.apply(20_000, "db", &[late]).unwrap();
    store.checkpoint().unwrap();
}

fn count(folder: &Path) -> String {
    let store = Store::open(folder, Options::default()).unwrap();
    let answer = store.query("db", "SELECT count(usage) FROM cpu GROUP BY host", &crate::QueryOptions::at(0));
    let counts = answer.results[0].series.iter().map(|series| format!("{:?}", series.values[0][1]));
    counts.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_sound_store_is_found_sound_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let findings = inspect(folder.path()).unwrap();
    assert!(findings.is_sound(), "{findings:?}");
    assert_eq!(findings.rows, 12_001);
    let (again, damaged) = repair(folder.path()).unwrap();
    assert_eq!((again, damaged), (findings, None));
}

#[test]
fn a_block_that_was_overwritten_is_named_with_its_series_and_times_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let before = count(folder.path());
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let sql = "UPDATE block SET data = zeroblob(length(data)) WHERE id = (SELECT min(id) FROM block WHERE stream = 2)";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);

    let findings = inspect(folder.path()).unwrap();
    assert!(findings.file.is_empty() && findings.damaged_blocks == 1, "{findings:?}");
    let lost = &findings.damaged[0];
    assert_eq!((lost.table, lost.series.as_str(), lost.times.unwrap().0), ("block", "cpu,host=h2", 0));
    let (repaired, damaged) = repair(folder.path()).unwrap();
    assert_eq!(repaired, findings);
    assert!(damaged.unwrap().exists());
    assert!(inspect(folder.path()).unwrap().is_sound());
    let after = count(folder.path());
    assert_ne!(before, after);
    assert_eq!(findings.rows + lost.rows, 12_001);
    assert_eq!(Store::open(folder.path(), Options::default()).unwrap().position(), 20_000);
}

/// Whatever page is torn: what lies in others is there afterwards, and the store opens. Only a page that leads to others takes
/// them with it, as does the list of the tables.
#[test]
fn torn_pages_cost_what_was_in_them_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let whole = std::fs::read(folder.path().join(FILE)).unwrap();
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let pages = whole.len() as u64 / size as u64;
    let leading = "SELECT pageno FROM dbstat WHERE pagetype = 'internal'
        OR name IN ('sqlite_schema', 'policy', 'measurement', 'field', 'stream')";
    let mut select = connection.prepare(leading).unwrap();
    let leading: Vec<i64> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut lost_some = 0;
    // The first page has the file's header and the list of its tables: without it SQLite has no file.
    for page in 1..pages {
        let torn = tempfile::tempdir().unwrap();
        let path = torn.path().join(FILE);
        std::fs::write(&path, &whole).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&vec![0x5a; size as usize], page * size as u64).unwrap();
        drop(file);
        let (findings, _) = repair(torn.path()).unwrap_or_else(|error| panic!("page {page}: {error:?}"));
        assert!(inspect(torn.path()).unwrap().is_sound(), "page {page}: {findings:?}");
        Store::open(torn.path(), Options::default()).unwrap();
        lost_some += u64::from(findings.rows < 12_001);
        let leads = leading.contains(&(page as i64 + 1));
        assert!(leads || findings.rows >= 12_001 - 2 * 1_024, "page {page}: {findings:?}");
    }
    assert!(lost_some > pages / 8, "{lost_some} of {pages}: the test says nothing");
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), vec![7; 4_096]).unwrap();
    assert!(matches!(inspect(folder.path()), Err(StoreError::Foreign { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(inspect(empty.path()), Err(StoreError::Sqlite { .. })));
    assert!(!empty.path().join(FILE).exists(), "nothing is made");
}
