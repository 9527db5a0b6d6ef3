//! Formats of `state.sqlite`, and the way from each to the next.
//!
//! The format is SQLite's `user_version`, beside an `application_id` of our own. It is read from the file's first
//! bytes before SQLite opens the file, because opening alone may already write: a newer file stays untouched. That
//! works only while those bytes are current, so a migration ends with a full checkpoint.

use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::{During, StateError};

/// The newest format that this program reads, and the one that it writes.
pub const FORMAT: u32 = STEPS.len() as u32;

/// `BWst` in ASCII.
const APPLICATION_ID: u32 = 0x4257_7374;

/// The change from format n to n + 1 is entry n. Entries are only added.
const STEPS: &[&str] = &[
    include_str!("format_1.sql"),
    include_str!("format_2.sql"),
    include_str!("format_3.sql"),
    include_str!("format_4.sql"),
    include_str!("format_5.sql"),
    include_str!("format_6.sql"),
    include_str!("format_7.sql"),
    include_str!("format_8.sql"),
    include_str!("format_9.sql"),
    include_str!("format_10.sql"),
];

/// Length of SQLite's file header, and where it keeps the two numbers, big-endian.
const HEADER_BYTES: u64 = 100;
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Refuses a file that this program must not touch; an absent or empty one is fine.
pub(super) fn refuse_unknown(path: &Path) -> Result<(), StateError> {
    let Some(header) = read_header(path)? else {
        return Ok(());
    };
    let number = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let foreign = || StateError::Foreign { path: path.to_owned() };
    let application = number(APPLICATION_ID_AT).ok_or_else(foreign)?;
    let found = number(USER_VERSION_AT).ok_or_else(foreign)?;
    // A crash before the first migration leaves a database with neither number: it is ours and empty.
    let unfinished = application == 0 && found == 0;
    if application != APPLICATION_ID && !unfinished {
        return Err(foreign());
    }
    if found > FORMAT {
        return Err(StateError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(())
}

fn read_header(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let failed = |source| StateError::File { step: "read", path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut header = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut header).map_err(failed)?;
    Ok((!header.is_empty()).then_some(header))
}

/// Runs the steps that are missing, in one transaction, after a copy of a file that holds anything.
pub(super) fn bring_up_to_date(path: &Path, writer: &mut Connection) -> Result<(), StateError> {
    let from = format_of(writer)?;
    if from == FORMAT {
        return Ok(());
    }
    if from > 0 {
        copy(path, from, writer)?;
    }
    migrate(writer, STEPS).map_err(|source| StateError::Migrate { path: path.to_owned(), from, to: FORMAT, source })?;
    writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).during("write the new format to the file")
}

fn format_of(connection: &Connection) -> Result<u32, StateError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).during("read the format")
}

fn migrate(writer: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the write lock: a second process may have been faster.
    let from: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (to, step) in (1_u32..).zip(steps) {
        if to > from {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// Where the copy made before leaving `format` is kept.
fn copy_path(path: &Path, format: u32) -> PathBuf {
    path.with_extension(format!("format-{format}.sqlite"))
}

fn copy(path: &Path, format: u32, writer: &Connection) -> Result<(), StateError> {
    let copy = copy_path(path, format);
    // An earlier attempt may have left one: the file as it is now counts.
    match std::fs::remove_file(&copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StateError::File { step: "replace", path: copy, source: error });
        }
        _ => {}
    }
    writer
        .execute("VACUUM INTO ?1", [copy.to_string_lossy().as_ref()])
        .during("copy the database before its migration")?;
    super::restrict_to_owner(&copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn path(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("state.sqlite")
    }

    #[test]
    fn a_file_of_a_newer_format_is_refused_and_not_one_byte_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        drop(State::open(&path).unwrap());
        let newer = Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        newer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(newer);
        let before = (std::fs::read(&path).unwrap(), listing(&folder));
        let refused = State::open(&path).unwrap_err();
        assert!(matches!(refused, StateError::Newer { found, .. } if found == FORMAT + 1));
        assert_eq!((std::fs::read(&path).unwrap(), listing(&folder)), before);
    }

    fn listing(folder: &tempfile::TempDir) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        std::fs::write(&path, "a letter to the school board".repeat(10)).unwrap();
        assert!(matches!(State::open(&path), Err(StateError::Foreign { .. })));
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(State::open(&path), Err(StateError::Foreign { .. })));
    }

    #[test]
    fn a_database_of_format_1_keeps_its_certificates_and_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut old = Connection::open(&path).unwrap();
        migrate(&mut old, &STEPS[..1]).unwrap();
        old.execute("INSERT INTO certificates VALUES ('0a', 'd1', 5, 1000, NULL)", []).unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        let kept = state.certificate("0a").unwrap().unwrap();
        assert_eq!((kept.device.as_str(), kept.ca.as_str(), kept.not_after.0), ("d1", "", 1000));
        assert!(copy_path(&path, 1).exists());
    }

    #[test]
    fn a_database_of_format_3_keeps_its_devices_and_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut old = Connection::open(&path).unwrap();
        migrate(&mut old, &STEPS[..3]).unwrap();
        old.execute(
            "INSERT INTO devices (id, name, kind, class, state, site, room, vendor, model, serial, enrolled_at, updated_at, presence_since)
             VALUES ('d1', 'LHS-1', 'agent', 'server', 'in_use', 'Lincoln', '', 'Dell', 'T140', 'S1', 1, 1, 1)",
            [],
        )
        .unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        let kept = state.device("d1").unwrap().unwrap();
        assert_eq!((kept.serial.as_str(), kept.mac.as_str(), kept.watch), ("S1", "", None));
        assert!(copy_path(&path, 3).exists());
    }

    #[test]
    fn a_database_of_format_4_gets_an_empty_map() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut old = Connection::open(&path).unwrap();
        migrate(&mut old, &STEPS[..4]).unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        assert_eq!(state.map_clock().unwrap(), (true, bellwether_logic::time::Timestamp(0)));
        assert_eq!(state.drawn().unwrap().1, crate::state::network::Drawn::default());
        assert!(copy_path(&path, 4).exists());
    }

    #[test]
    fn a_database_of_format_7_gets_an_empty_planning_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut old = Connection::open(&path).unwrap();
        migrate(&mut old, &STEPS[..7]).unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        assert_eq!((state.listing_count().unwrap(), state.listings().unwrap().len()), (0, 0));
        assert!(copy_path(&path, 7).exists());
    }

    #[test]
    fn a_database_of_format_6_keeps_its_tickets_and_who_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut old = Connection::open(&path).unwrap();
        migrate(&mut old, &STEPS[..6]).unwrap();
        old.execute_batch(
            "INSERT INTO tickets VALUES (1, 'd1', 'Oak', 'assigned', 'major', 1, 1, NULL, '{\"assignee\":\"kim\"}');
             INSERT INTO tickets VALUES (2, 'd1', 'Oak', 'new', 'major', 1, 1, NULL, '{\"assignee\":null}');",
        )
        .unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        let rows = |sql: &str| state.writer().query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
        assert_eq!(rows("SELECT number FROM tickets WHERE assignee = 'kim' AND priority = 'P3'"), 1);
        assert_eq!(rows("SELECT number FROM tickets WHERE assignee = ''"), 2);
        assert_eq!(state.responsibilities().unwrap(), None);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_format_and_its_rows() {
        let mut writer = Connection::open_in_memory().unwrap();
        migrate(&mut writer, &["CREATE TABLE a (x)"]).unwrap();
        writer.execute("INSERT INTO a VALUES (1)", []).unwrap();
        let steps = ["CREATE TABLE a (x)", "DELETE FROM a; CREATE TABLE a (y)"];
        migrate(&mut writer, &steps).unwrap_err();
        let rows: u32 = writer.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((format_of(&writer).unwrap(), rows), (1, 1));
    }

    #[test]
    fn the_copy_before_a_migration_holds_what_was_only_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let state = State::open(&path).unwrap();
        let writer = state.writer();
        writer.execute("INSERT INTO cursors VALUES ('engine', 7)", []).unwrap();
        copy(&path, 1, &writer).unwrap();
        copy(&path, 1, &writer).unwrap();
        let copied = Connection::open(copy_path(&path, 1)).unwrap();
        let position: i64 = copied.query_row("SELECT position FROM cursors", [], |row| row.get(0)).unwrap();
        assert_eq!(position, 7);
    }

    #[test]
    fn opening_twice_at_once_is_one_database() {
        let folder = tempfile::tempdir().unwrap();
        let first = State::open(&path(&folder)).unwrap();
        let second = State::open(&path(&folder)).unwrap();
        first.writer().execute("INSERT INTO cursors VALUES ('engine', 7)", []).unwrap();
        assert_eq!(second.cursor("engine").unwrap(), Some(7));
    }
}
