//! What the journal promises, one story each.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bellwether_journal::{AppendError, Entry, Journal, JournalError, Options, Position};
use tempfile::TempDir;

/// Small segments, so that a few records make several.
fn small() -> Options {
    Options { segment_bytes: 200, max_bytes: 100_000, readers: BTreeMap::new(), ..Options::default() }
}

fn open(folder: &TempDir) -> Journal {
    Journal::open(folder.path(), small()).unwrap().0
}

/// Appends one after the other, each durable before the next.
fn append_all(journal: &Journal, texts: &[&str]) -> Vec<Position> {
    texts
        .iter()
        .map(|text| {
            let receipt = journal.append(1000, text.as_bytes().to_vec()).unwrap();
            receipt.wait().unwrap().position
        })
        .collect()
}

fn read_all(journal: &Journal) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut from = journal.start();
    loop {
        let more = journal.read(from, 1 << 20).unwrap();
        let Some(last) = more.last() else {
            return entries;
        };
        from = last.next;
        entries.extend(more);
    }
}

fn texts(journal: &Journal) -> Vec<String> {
    let entries = read_all(journal);
    let text = |entry: &Entry| String::from_utf8(entry.payload.clone()).unwrap();
    entries.iter().map(text).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "journal")).collect();
    paths.sort();
    paths
}

fn flip_last_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    append_all(&journal, &["one", "two", "three"]);
    drop(journal);
    let (journal, recovery) = Journal::open(folder.path(), small()).unwrap();
    assert_eq!(texts(&journal), ["one", "two", "three"]);
    assert_eq!(recovery.torn_bytes, 0);
    assert_eq!(recovery.end, journal.end());
}

#[test]
fn positions_go_on_where_they_were() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let first = append_all(&journal, &["one", "two"]);
    let end = journal.end();
    drop(journal);
    let journal = open(&folder);
    assert_eq!(journal.end(), end);
    let more = append_all(&journal, &["three"]);
    assert!(first[1] < more[0]);
    assert_eq!(more[0], end);
}

#[test]
fn a_stamp_never_goes_back_not_even_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    for stamp in [500, 400, 600] {
        journal.append(stamp, vec![1]).unwrap().wait().unwrap();
    }
    // Fill the segment, so that the restart finds an empty one whose header alone knows the last stamp.
    journal.append(700, vec![0; 400]).unwrap().wait().unwrap();
    drop(journal);
    let journal = open(&folder);
    let committed = journal.append(10, vec![2]).unwrap().wait().unwrap();
    assert_eq!(committed.stamp_ms, 700);
    drop(journal);
    let journal = open(&folder);
    let stamps: Vec<_> = read_all(&journal).iter().map(|it| it.stamp_ms).collect();
    assert_eq!(stamps, [500, 500, 600, 700, 700]);
}

#[test]
fn a_second_open_of_the_same_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let refused = Journal::open(folder.path(), small());
    assert!(matches!(refused, Err(JournalError::Locked { .. })));
    drop(journal);
    let _ = open(&folder);
}

#[test]
fn a_newer_format_is_refused_and_not_touched() {
    let folder = TempDir::new().unwrap();
    append_all(&open(&folder), &["one"]);
    let path = &segments(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[8] = 2;
    // And something that would be cut off as a torn tail.
    bytes.extend_from_slice(b"of another shape");
    fs::write(path, &bytes).unwrap();
    let refused = Journal::open(folder.path(), small());
    let error = refused.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("format 2"), "{error}");
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn many_threads_append_and_every_record_is_there_once() {
    let folder = TempDir::new().unwrap();
    let journal = Arc::new(open(&folder));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for number in 0..50 {
                    let text = format!("{thread}-{number:02}");
                    let receipt = journal.append_blocking(0, text.into_bytes()).unwrap();
                    receipt.wait().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut found = texts(&journal);
    for thread in 0..8 {
        let prefix = format!("{thread}-");
        let ours: Vec<_> = found.iter().filter(|it| it.starts_with(&prefix)).collect();
        assert!(ours.is_sorted(), "a thread's records keep their order");
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 400);
}

#[test]
fn a_receipt_can_be_awaited() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let mut receipt = std::pin::pin!(journal.append(1, b"one".to_vec()).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    assert!(journal.wait_beyond(Position(0), Duration::from_secs(60)));
    let committed = loop {
        if let Poll::Ready(outcome) = receipt.as_mut().poll(&mut context) {
            break outcome.unwrap();
        }
        std::thread::yield_now();
    };
    assert_eq!(committed.position, Position(0));
    assert_eq!(committed.next, journal.end());
}

#[test]
fn dropping_the_log_commits_what_was_queued() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let receipts: Vec<_> = (0..100).map(|number| journal.append(0, vec![number]).unwrap()).collect();
    drop(journal);
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    assert_eq!(read_all(&open(&folder)).len(), 100);
}

#[test]
fn wait_beyond_wakes_a_reader_and_gives_up_in_time() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    assert!(!journal.wait_beyond(Position(0), Duration::ZERO));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| journal.wait_beyond(Position(0), Duration::from_secs(60)));
        append_all(&journal, &["one"]);
        assert!(reader.join().unwrap());
    });
    assert!(!journal.wait_beyond(journal.end(), Duration::ZERO));
}

#[test]
fn a_read_stays_within_its_budget_but_always_moves() {
    let folder = TempDir::new().unwrap();
    let options =
        Options { segment_bytes: 1 << 20, max_bytes: 8 << 20, readers: BTreeMap::new(), ..Options::default() };
    let (journal, _) = Journal::open(folder.path(), options).unwrap();
    for _ in 0..20 {
        journal.append(0, vec![7; 1000]).unwrap().wait().unwrap();
    }
    let some = journal.read(Position(0), 5000).unwrap();
    assert!((3..=5).contains(&some.len()), "{} records", some.len());
    let one = journal.read(some[0].next, 1).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0], some[1]);
}

#[test]
fn a_segment_goes_when_its_last_reader_has_released_it() {
    let folder = TempDir::new().unwrap();
    let readers = ["engine", "store"].map(|name| (name.to_owned(), Position(0)));
    let options = Options { readers: BTreeMap::from(readers), ..small() };
    let (journal, _) = Journal::open(folder.path(), options).unwrap();
    append_all(&journal, &["a long enough record to fill up segments"; 20]);
    let before = segments(folder.path()).len();
    assert!(before > 3);
    journal.release("store", journal.end());
    assert_eq!(segments(folder.path()).len(), before, "engine has not");
    let half = Position(journal.end().0 / 2);
    journal.release("engine", half);
    let after = segments(folder.path()).len();
    assert!(after < before && after > 1);
    assert!(journal.start() <= half);
    assert!(matches!(journal.read(Position(0), 1000), Err(JournalError::Released { .. })));
    assert_eq!(journal.read(half.max(journal.start()), 1).unwrap().len(), 1);
    journal.forget("engine");
    assert_eq!(segments(folder.path()).len(), 1, "the one being written stays");
    assert_eq!(journal.statistics().segments, 1);
}

#[test]
fn a_cursor_beyond_the_end_keeps_what_is_still_to_come() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    journal.release("store", Position(1_000_000));
    append_all(&journal, &["a long enough record to fill up segments"; 20]);
    journal.release("store", Position(0));
    assert_eq!(read_all(&journal).len(), 20);
}

#[test]
fn a_full_log_refuses_until_its_readers_catch_up() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        segment_bytes: 500,
        max_bytes: 2000,
        readers: BTreeMap::from([("store".to_owned(), Position(0))]),
        ..Options::default()
    };
    let (journal, _) = Journal::open(folder.path(), options).unwrap();
    let mut taken = 0;
    let refusal = loop {
        match journal.append(0, vec![0; 50]) {
            Ok(receipt) => taken += usize::from(receipt.wait().is_ok()),
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, AppendError::Full { max: 2000, .. }));
    assert!(journal.statistics().stored_bytes <= 2000);
    assert_eq!(read_all(&journal).len(), taken, "nothing was lost");
    journal.release("store", journal.end());
    let receipt = journal.append(0, vec![0; 50]).unwrap();
    receipt.wait().unwrap();
}

#[test]
fn a_reader_that_yields_loses_the_oldest_segments_of_a_full_log_and_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let readers = ["store", "remote"].map(|reader| (reader.to_owned(), Position(0)));
    let yielding = BTreeSet::from(["remote".to_owned()]);
    let options = Options { segment_bytes: 500, max_bytes: 2000, readers: BTreeMap::from(readers), yielding };
    let (journal, _) = Journal::open(folder.path(), options).unwrap();
    for _ in 0..100 {
        let committed = journal.append(0, vec![0; 50]).unwrap().wait().unwrap();
        journal.release("store", committed.next);
    }
    assert!(journal.statistics().stored_bytes <= 2000);
    let lost = journal.statistics().yielded_bytes;
    assert!(lost > 0);
    assert!(matches!(journal.read(Position(0), 100), Err(JournalError::Released { start, .. }) if start.0 > 0));
    assert!(!read_all(&journal).is_empty(), "the newest is still there for it");
    // Those that do not yield are waited for, as ever.
    while let Ok(receipt) = journal.append(0, vec![0; 50]) {
        receipt.wait().unwrap();
    }
    assert!(journal.append(0, vec![0; 50]).is_err());
}

#[test]
fn a_record_that_is_too_large_is_refused() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let size = bellwether_journal::MAX_RECORD_BYTES + 1;
    let refused = journal.append(0, vec![0; size]).map(|_| ());
    assert_eq!(refused, Err(AppendError::TooLarge { size }));
}

#[test]
fn damage_in_an_older_segment_costs_the_rest_of_that_segment_only() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let record = "a record of some length, number";
    let written: Vec<_> = (0..20).map(|number| format!("{record} {number:02}")).collect();
    append_all(&journal, &written.iter().map(String::as_str).collect::<Vec<_>>());
    drop(journal);
    flip_last_byte(&segments(folder.path())[1]);
    let journal = open(&folder);
    let found = texts(&journal);
    assert_eq!(found.len(), 19);
    assert!(found.iter().all(|text| written.contains(text)));
    assert_eq!(journal.statistics().damaged_places, 1);
    let _ = texts(&journal);
    assert_eq!(journal.statistics().damaged_places, 1, "reported once");
}

#[test]
fn an_older_segment_without_a_header_is_stepped_over() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    append_all(&journal, &["a long enough record to fill up segments"; 20]);
    let end = journal.end();
    drop(journal);
    let path = &segments(folder.path())[1];
    let mut bytes = fs::read(path).unwrap();
    bytes[..8].fill(0);
    fs::write(path, bytes).unwrap();
    let (journal, recovery) = Journal::open(folder.path(), small()).unwrap();
    assert_eq!(recovery.damaged_segments.len(), 1);
    assert_eq!(journal.end(), end);
    assert!((10..20).contains(&read_all(&journal).len()));
}

#[test]
fn a_missing_segment_is_reported_and_stepped_over() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    append_all(&journal, &["a long enough record to fill up segments"; 20]);
    drop(journal);
    fs::remove_file(&segments(folder.path())[2]).unwrap();
    let (journal, recovery) = Journal::open(folder.path(), small()).unwrap();
    assert!(recovery.missing_bytes > 0);
    assert!((10..20).contains(&read_all(&journal).len()));
}

#[test]
fn a_crash_while_a_segment_was_begun_leaves_no_trace() {
    for leftover in [&b""[..], b"bwjour", &[0; 40]] {
        let folder = TempDir::new().unwrap();
        let journal = open(&folder);
        append_all(&journal, &["one"]);
        let end = journal.end();
        drop(journal);
        let name = format!("{:020}.journal", end.0);
        fs::write(folder.path().join(name), leftover).unwrap();
        let journal = open(&folder);
        assert_eq!(journal.end(), end);
        append_all(&journal, &["two"]);
        assert_eq!(texts(&journal), ["one", "two"]);
    }
}

#[test]
fn a_log_that_lost_what_a_reader_knows_gives_those_positions_to_nobody_else() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    append_all(&journal, &["one", "two"]);
    let cursor = journal.end();
    drop(journal);
    // The disk forgot the second record.
    flip_last_byte(&segments(folder.path())[0]);
    let options = Options { readers: BTreeMap::from([("store".to_owned(), cursor)]), ..small() };
    let (journal, recovery) = Journal::open(folder.path(), options.clone()).unwrap();
    assert_eq!(recovery.end, cursor);
    assert!(recovery.torn_bytes > 0 && recovery.missing_bytes > 0);
    let position = append_all(&journal, &["three"])[0];
    assert!(position >= cursor);
    assert_eq!(journal.read(cursor, 1000).unwrap()[0].payload, b"three");
    drop(journal);
    let (journal, _) = Journal::open(folder.path(), options).unwrap();
    assert_eq!(journal.read(cursor, 1000).unwrap()[0].payload, b"three");
}

#[test]
fn damage_under_the_feet_of_a_running_log_is_passed_with_the_next_record() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    append_all(&journal, &["one", "two"]);
    flip_last_byte(&segments(folder.path())[0]);
    let one = journal.read(Position(0), 1000).unwrap();
    assert_eq!(one.len(), 1, "what is before the damage is an answer");
    let stuck = journal.read(one[0].next, 1000);
    assert!(matches!(stuck, Err(JournalError::Damaged { .. })));
    append_all(&journal, &["three"]);
    assert_eq!(journal.read(one[0].next, 1000).unwrap()[0].payload, b"three");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = TempDir::new().unwrap();
    for name in ["notes.txt", "7.journal", "99999999999999999999.journal"] {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    let journal = open(&folder);
    append_all(&journal, &["one"]);
    assert_eq!(texts(&journal), ["one"]);
    assert_eq!(fs::read(folder.path().join("7.journal")).unwrap(), b"mine");
}
