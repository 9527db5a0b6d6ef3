use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_journal::{Journal, Options, Position};
use bellwether_logic::time::Timestamp;
use bellwether_series::{FieldValue, Point, Store};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A data folder with something of every kind, and a journal of several segments.
fn data(home: &Path) -> PathBuf {
    let data = home.join("data");
    let folder = crate::folder::Folder::open(&data).unwrap();
    fs::create_dir(folder.join("ca")).unwrap();
    fs::write(folder.join("ca/authority.pem"), "key").unwrap();
    fs::write(home.join("elsewhere.toml"), "[network]\n").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(home.join("elsewhere.toml"), folder.join("collector.toml")).unwrap();
    #[cfg(windows)]
    fs::copy(home.join("elsewhere.toml"), folder.join("collector.toml")).unwrap();
    fs::create_dir_all(folder.join("agent/spool")).unwrap();
    fs::write(folder.join("agent/spool/1.spool"), "spool").unwrap();
    fs::write(folder.join("series.sqlite.new"), "half").unwrap();
    drop(crate::state::State::open(&folder.join("state.sqlite")).unwrap());
    data
}

fn journal(data: &Path) -> Journal {
    Journal::open(data.join(JOURNAL), Options { segment_bytes: 1_000, max_bytes: 1 << 20, ..Options::default() })
        .unwrap()
        .0
}

fn put(store: &Store, position: u64, time: i64) {
    let fields = vec![("value".into(), FieldValue::Integer(time))];
    let points = [Point { measurement: "m".into(), tags: Vec::new(), fields, time }];
    store.apply(position, "bellwether", &points).unwrap();
}

#[test]
fn a_copy_has_everything_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let data = data(home.path());
    let (log, store) =
        (journal(&data), Store::open(&data.join("series"), bellwether_series::Options::default()).unwrap());
    for number in 0..100 {
        let next = log.append_blocking(number, vec![7; 100]).unwrap().wait().unwrap().next;
        put(&store, next.0, number);
    }
    store.checkpoint().unwrap();

    let to = home.path().join("copy");
    let copied = take(&data, &to, NOW).unwrap();
    let elsewhere = home.path().join("elsewhere");
    let (restored, begun) = restore(&to, &elsewhere).unwrap();
    assert_eq!((restored, begun), (copied, NOW));

    for (name, text) in
        [("ca/authority.pem", "key"), ("collector.toml", "[network]\n"), ("agent/spool/1.spool", "spool")]
    {
        assert_eq!(fs::read_to_string(elsewhere.join(name)).unwrap(), text);
    }
    for left_out in ["lock", "series.sqlite.new", "backup.json", "series/series.sqlite-wal"] {
        assert!(!elsewhere.join(left_out).exists(), "{left_out}");
    }
    crate::folder::check_existing(&elsewhere).unwrap();
    let again = Store::open(&elsewhere.join("series"), bellwether_series::Options::default()).unwrap();
    assert_eq!(again.position(), log.end().0);
    let kept = journal(&elsewhere);
    assert_eq!((kept.start(), kept.end()), (log.start(), log.end()));
    assert_eq!(kept.read(Position(0), 1 << 20).unwrap().len(), 100);
}

#[test]
fn a_copy_made_while_everything_moves_begins_where_its_databases_end_or_before() {
    let home = tempfile::tempdir().unwrap();
    let data = data(home.path());
    let (log, store) =
        (journal(&data), Store::open(&data.join("series"), bellwether_series::Options::default()).unwrap());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when something below fails: or the writer would go on for ever.
        let _end = End(&over);
        scope.spawn(|| {
            for number in 0.. {
                let next = log.append_blocking(number, vec![7; 100]).unwrap().wait().unwrap().next;
                put(&store, next.0, number);
                if number % 10 == 0 {
                    log.release("series", Position(store.checkpoint().unwrap()));
                }
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for round in 0..10 {
            let (to, elsewhere) =
                (home.path().join(format!("copy{round}")), home.path().join(format!("elsewhere{round}")));
            take(&data, &to, NOW).unwrap();
            restore(&to, &elsewhere).unwrap();
            let again = Store::open(&elsewhere.join("series"), bellwether_series::Options::default()).unwrap();
            let readers = [("series".to_owned(), Position(again.position()))].into();
            let options = Options { segment_bytes: 1_000, max_bytes: 1 << 20, readers, ..Options::default() };
            let (kept, recovery) = Journal::open(elsewhere.join(JOURNAL), options).unwrap();
            assert_eq!((recovery.missing_bytes, recovery.damaged_segments.len()), (0, 0), "{recovery:?}");
            assert!(
                kept.start().0 <= again.position() && again.position() <= kept.end().0,
                "no record is missing between them"
            );
        }
    });
}

/// Sets its flag when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_damaged_is_put_back() {
    let home = tempfile::tempdir().unwrap();
    let data = data(home.path());
    let to = home.path().join("copy");
    assert!(matches!(take(&data, &data.join("copy"), NOW), Err(BackupError::Inside { .. })));
    take(&data, &to, NOW).unwrap();
    assert!(matches!(take(&data, &to, NOW), Err(BackupError::Occupied { .. })));
    assert!(matches!(restore(&to, &data), Err(BackupError::Occupied { .. })));
    assert!(matches!(restore(home.path(), &home.path().join("new")), Err(BackupError::NoBackup { .. })));

    fs::write(to.join("collector.toml"), "[network]\nname = \"other\"\n").unwrap();
    let elsewhere = home.path().join("elsewhere");
    assert!(matches!(restore(&to, &elsewhere), Err(BackupError::Damaged { .. })));
    assert!(!elsewhere.exists(), "nothing half");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");

    fs::write(
        to.join("backup.json"),
        r#"{"format":1,"version":"1","begun_ms":0,"files":{"../key":{"bytes":0,"sha256":""}}}"#,
    )
    .unwrap();
    assert!(matches!(restore(&to, &elsewhere), Err(BackupError::Name { .. })));
    fs::write(to.join("backup.json"), r#"{"format":2,"version":"9","begun_ms":0,"files":{}}"#).unwrap();
    assert!(matches!(restore(&to, &elsewhere), Err(BackupError::Newer { found: 2, .. })));
}

#[cfg(unix)]
#[test]
fn a_backup_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("copy");
    take(&data(home.path()), &to, NOW).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&to), 0o700);
    assert_eq!(mode(&to.join("ca/authority.pem")), 0o600);
}
