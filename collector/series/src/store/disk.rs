//! The SQLite file. Tables: `meta`, `database`, `policy`, `measurement`, `field`, `stream` (the catalogue), `head` (the packed heads of the
//! last checkpoint), `block` (sealed rows). Tags are stored as line protocol writes them, so any SQLite tool shows them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::catalog::{Catalog, Policy};
use super::head::Head;
use super::kept;
use super::{Memory, StoreError, lock};
use crate::codec::bits::Reader;
use crate::codec::block;
use crate::point::FieldKind;
use crate::store::catalog::Tag;

/// The format of the file as a whole; blocks have a format byte of their own.
pub(crate) const FORMAT: u32 = 3;
/// "bwsr": tells this file from any other SQLite file.
const APPLICATION: u32 = 0x6277_7372;
/// Where SQLite's file header has the two numbers.
const USER_VERSION_AT: usize = 60;
const APPLICATION_AT: usize = 68;

/// Small pages: the end of every block leaves a gap of half a page, and with SQLite's usual 4 KiB that is a sixth of the file.
const SCHEMA: &str = "
    PRAGMA page_size = 1024;
    PRAGMA application_id = 0x62777372;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    CREATE TABLE database (name TEXT PRIMARY KEY, default_policy TEXT NOT NULL) STRICT;
    CREATE TABLE policy (
        id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL, duration INTEGER NOT NULL,
        shard INTEGER NOT NULL) STRICT;
    CREATE TABLE measurement (
        id INTEGER PRIMARY KEY, policy INTEGER NOT NULL, name TEXT NOT NULL) STRICT;
    CREATE TABLE field (
        id INTEGER PRIMARY KEY, measurement INTEGER NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL) STRICT;
    CREATE TABLE stream (
        id INTEGER PRIMARY KEY, measurement INTEGER NOT NULL, tags TEXT NOT NULL) STRICT;
    CREATE TABLE head (part INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    CREATE TABLE block (
        id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, min_time INTEGER NOT NULL,
        max_time INTEGER NOT NULL, rows INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
    CREATE INDEX block_time ON block (stream, max_time, min_time);
    PRAGMA user_version = 2;
";

/// Format 2 knew no bounds of what is kept, and no roll-ups. A new file takes this step as well.
const FROM_FORMAT_2: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE kept (
        stream INTEGER NOT NULL, step INTEGER NOT NULL, from_time INTEGER NOT NULL, to_time INTEGER NOT NULL,
        timed INTEGER NOT NULL, PRIMARY KEY (stream, step)) STRICT, WITHOUT ROWID;
    CREATE TABLE rolled (
        id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, step INTEGER NOT NULL, min_time INTEGER NOT NULL,
        max_time INTEGER NOT NULL, rows INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
    CREATE INDEX rolled_time ON rolled (stream, step, max_time, min_time);
    PRAGMA user_version = 3;
    COMMIT;
";

/// Format 1 knew no policies: each database gets the one that it had without a name, under the database's own number.
const FROM_FORMAT_1: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE policy (
        id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL, duration INTEGER NOT NULL,
        shard INTEGER NOT NULL) STRICT;
    INSERT INTO policy SELECT id, name, 'autogen', 0, 604800000000000 FROM database;
    CREATE TABLE named (name TEXT PRIMARY KEY, default_policy TEXT NOT NULL) STRICT;
    INSERT INTO named SELECT name, 'autogen' FROM database;
    DROP TABLE database;
    ALTER TABLE named RENAME TO database;
    ALTER TABLE measurement RENAME COLUMN database TO policy;
    PRAGMA user_version = 2;
    COMMIT;
";

/// Makes an error of a step.
pub(crate) fn at(step: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sqlite { step, source }
}

/// Looks at the header of an existing file without opening it as a database: not even a lock file may appear beside a newer one.
pub(crate) fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let mut header = [0u8; 100];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // Shorter than a header: a start that was killed before the first commit.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
        Err(source) => return Err(StoreError::Folder { path: path.to_owned(), source }),
        Ok(()) => {}
    }
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !header.starts_with(b"SQLite format 3\0") || number(APPLICATION_AT) != APPLICATION {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    match number(USER_VERSION_AT) {
        found if found > FORMAT => Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT }),
        _ => Ok(()),
    }
}

/// The one connection that writes, and how much of the catalogue it has written.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    saved: Saved,
    /// When the last checkpoint was, in the clock of whoever calls `maintain`.
    pub(crate) last_checkpoint: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Saved {
    measurements: usize,
    fields: usize,
    streams: usize,
}

impl Writer {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(at("open the file"))?;
        let version: u32 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(at("read the format"))?;
        if version == 0 {
            create(&connection).map_err(at("make the tables"))?;
        }
        if (1..FORMAT).contains(&version) {
            keep_copy(&connection, path, version)?;
            let steps = [FROM_FORMAT_1, FROM_FORMAT_2];
            for step in steps.iter().skip(version as usize - 1) {
                connection.execute_batch(step).map_err(at("bring the file to the new format"))?;
            }
        }
        // FULL: the journal drops what is before the position as soon as the checkpoint has returned.
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;")
            .map_err(at("set the mode"))?;
        Ok(Self { connection, saved: Saved::default(), last_checkpoint: None })
    }

    /// Reads the catalogue, the heads and the position. Heads that cannot be read are counted and named.
    pub(crate) fn load(&mut self) -> Result<(Memory, BTreeSet<i64>), StoreError> {
        let mut catalog = Catalog::default();
        for load in NAMES {
            load(&self.connection, &mut catalog).map_err(at("read the catalogue"))?;
        }
        load_ranges(&self.connection, &mut catalog).map_err(at("read the block index"))?;
        kept::load(&self.connection, &mut catalog).map_err(at("read what is kept"))?;
        let mut corrupt = BTreeSet::new();
        load_heads(&self.connection, &mut catalog, &mut corrupt).map_err(at("read the heads"))?;
        let position = self
            .connection
            .query_row("SELECT value FROM meta WHERE key = 'position'", [], |row| row.get::<_, i64>(0))
            .map_err(at("read the position"))?;
        self.saved = Saved::of(&catalog);
        let head_values = catalog.streams.iter().map(|stream| stream.head.cells() as u64).sum();
        let memory =
            Memory { catalog, head_values, applied: position as u64, durable: position as u64, ..Memory::default() };
        Ok((memory, corrupt))
    }

    /// Writes the part of the catalogue that is not on disk yet. The caller calls [`saved`](Self::saved) once the transaction is committed.
    pub(crate) fn save_catalog(
        transaction: &Transaction<'_>,
        catalog: &Catalog,
        from: SavedMark,
    ) -> rusqlite::Result<()> {
        let from = from.0;
        save_places(transaction, catalog)?;
        let mut insert = transaction.prepare_cached("INSERT INTO measurement VALUES (?1, ?2, ?3)")?;
        for (id, measurement) in catalog.measurements.iter().enumerate().skip(from.measurements) {
            if catalog.has_measurement(id as u32) {
                insert.execute(params![id as i64, measurement.policy, &*measurement.name])?;
            }
        }
        let mut insert = transaction.prepare_cached("INSERT INTO field VALUES (?1, ?2, ?3, ?4)")?;
        for (id, field) in catalog.fields.iter().enumerate().skip(from.fields) {
            if catalog.has_measurement(field.measurement) {
                insert.execute(params![id as i64, field.measurement, &*field.name, field.kind.code()])?;
            }
        }
        let mut insert = transaction.prepare_cached("INSERT INTO stream VALUES (?1, ?2, ?3)")?;
        for (id, stream) in catalog.streams.iter().enumerate().skip(from.streams) {
            if !stream.gone {
                insert.execute(params![id as i64, stream.measurement, tags_text(&stream.tags)])?;
            }
        }
        kept::save(transaction, catalog)
    }

    pub(crate) fn mark(&self) -> SavedMark {
        SavedMark(self.saved)
    }

    pub(crate) fn saved(&mut self, catalog: &Catalog) {
        self.saved = Saved::of(catalog);
    }
}

/// How much of the catalogue is on disk.
#[derive(Clone, Copy)]
pub(crate) struct SavedMark(Saved);

impl Saved {
    fn of(catalog: &Catalog) -> Self {
        Self { measurements: catalog.measurements.len(), fields: catalog.fields.len(), streams: catalog.streams.len() }
    }
}

/// Databases and policies are few, and change: they are written anew each time.
fn save_places(transaction: &Transaction<'_>, catalog: &Catalog) -> rusqlite::Result<()> {
    transaction.execute_batch("DELETE FROM database; DELETE FROM policy;")?;
    let mut database_row = transaction.prepare_cached("INSERT INTO database VALUES (?1, ?2)")?;
    let mut policy_row = transaction.prepare_cached("INSERT INTO policy VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (database, content) in &catalog.databases {
        database_row.execute(params![&**database, &*content.default_policy])?;
        for (name, policy) in &content.policies {
            policy_row.execute(params![policy.id, &**database, &**name, policy.duration, policy.shard])?;
        }
    }
    Ok(())
}

/// A copy of a file that is about to be brought to a new format stays beside it, for the program that knows the old one.
fn keep_copy(connection: &Connection, path: &Path, version: u32) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".format-{version}"));
    let copy = PathBuf::from(name);
    if copy.exists() {
        return Ok(());
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").map_err(at("settle the old file"))?;
    let failed = |source| StoreError::Folder { path: copy.clone(), source };
    let unfinished = copy.with_extension("unfinished");
    std::fs::copy(path, &unfinished).map_err(failed)?;
    std::fs::rename(&unfinished, &copy).map_err(failed)
}

/// In the old journal mode, so that the format number is in the file's header, where a look at the header finds it.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA page_size = 1024; BEGIN IMMEDIATE;")?;
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch("INSERT INTO meta VALUES ('position', 0); COMMIT;")?;
    connection.execute_batch(FROM_FORMAT_2)
}

/// Reads one table of names.
type LoadNames = fn(&Connection, &mut Catalog) -> rusqlite::Result<()>;

/// The tables of names, in the order in which they lean on each other.
pub(crate) const NAMES: [LoadNames; 5] = [load_databases, load_policies, load_measurements, load_fields, load_streams];

fn load_databases(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT name, default_policy FROM database")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        catalog.load_database(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?);
    }
    Ok(())
}

fn load_policies(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, database, name, duration, shard FROM policy")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let policy =
            Policy { id: row.get(0)?, duration: row.get(3)?, shard: row.get(4)?, measurements: Default::default() };
        catalog.load_policy(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?, policy);
    }
    Ok(())
}

fn load_measurements(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, policy, name FROM measurement ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        catalog.load_measurement(row.get::<_, u32>(0)? as usize, row.get(1)?, &row.get::<_, String>(2)?);
    }
    Ok(())
}

/// What belongs to a measurement that is not there is left out: a repair leaves such, if the page with the measurement was torn.
fn load_fields(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, measurement, name, kind FROM field ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        catalog.skip_fields(row.get::<_, u32>(0)? as usize);
        let kind = FieldKind::from_code(row.get(3)?).unwrap_or(FieldKind::Float);
        if catalog.has_measurement(row.get(1)?) {
            catalog.field_or_new(row.get(1)?, &row.get::<_, String>(2)?, kind);
        }
    }
    Ok(())
}

fn load_streams(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let known: Vec<bool> = (0..catalog.measurements.len() as u32).map(|id| catalog.has_measurement(id)).collect();
    let mut select = connection.prepare("SELECT id, measurement, tags FROM stream ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        catalog.skip_streams(row.get::<_, u32>(0)? as usize);
        let (measurement, text): (u32, String) = (row.get(1)?, row.get(2)?);
        if known.get(measurement as usize) == Some(&true) {
            let tags = tags_from_text(&text);
            let hash = catalog.hash(measurement, tags.iter().map(|(k, v)| (&**k, &**v)));
            catalog.add_stream(hash, measurement, &tags);
        }
    }
    Ok(())
}

fn load_ranges(connection: &Connection, catalog: &mut Catalog) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT stream, min(min_time), max(max_time) FROM block GROUP BY stream")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(stream) = catalog.streams.get_mut(row.get::<_, u32>(0)? as usize) {
            stream.sealed = Some((row.get(1)?, row.get(2)?));
        }
    }
    Ok(())
}

/// Each part is a run of (stream, length, block). A head that is corrupt is lost alone; it is counted under a negative number.
fn load_heads(connection: &Connection, catalog: &mut Catalog, corrupt: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT data FROM head ORDER BY part")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(0)?.as_blob().unwrap_or_default();
        let mut input = Reader::new(data);
        while !input.is_empty() {
            let entry = (|| {
                let stream = input.varint()?;
                let length = input.length(data.len())?;
                Ok::<_, crate::codec::CodecError>((stream, input.take(length)?))
            })();
            let Ok((stream, bytes)) = entry else {
                lose_head(corrupt, "the rest of a part of the checkpoint");
                break;
            };
            let slot = catalog.streams.get_mut(stream as usize);
            match (block::decode(bytes, |_| true), slot) {
                (Ok(rows), Some(slot)) => slot.head = Head::from_sorted(rows),
                _ => lose_head(corrupt, "one head of the checkpoint"),
            }
        }
    }
    Ok(())
}

/// How many rows a part of the packed heads has.
///
/// # Errors
/// What of it can't be read.
pub(crate) fn rows_of_heads(data: &[u8], catalog: &Catalog) -> Result<u64, &'static str> {
    let (mut input, mut rows) = (Reader::new(data), 0);
    while !input.is_empty() {
        let stream = input.varint().map_err(|_| "its parts can't be told apart")?;
        let length = input.length(data.len()).map_err(|_| "its parts can't be told apart")?;
        let bytes = input.take(length).map_err(|_| "its parts can't be told apart")?;
        let head = block::decode(bytes, |_| true).map_err(|_| "a head in it can't be read")?;
        catalog.streams.get(stream as usize).ok_or("nothing is known of a series in it")?;
        rows += head.times.len() as u64;
    }
    Ok(rows)
}

fn lose_head(corrupt: &mut BTreeSet<i64>, what: &'static str) {
    let number = -1 - corrupt.len() as i64;
    corrupt.insert(number);
    tracing::error!(what, "rows in the checkpoint are corrupt and were skipped");
}

/// `key=value,key=value` with backslashes before commas, equal signs, spaces and backslashes.
fn tags_text(tags: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> String {
    let mut text = String::new();
    for (key, value) in tags {
        if !text.is_empty() {
            text.push(',');
        }
        escape(&mut text, key);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        if matches!(letter, ',' | '=' | ' ' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
}

fn tags_from_text(text: &str) -> Vec<Tag<'static>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    if text.is_empty() {
        return Vec::new();
    }
    let (mut key, mut part) = (None, String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => part.extend(letters.next()),
            '=' if key.is_none() => key = Some(std::mem::take(&mut part)),
            ',' => tags.push((key.take().unwrap_or_default(), std::mem::take(&mut part))),
            other => part.push(other),
        }
    }
    tags.push((key.unwrap_or_default(), part));
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// Connections that read. They are opened when needed, and `most` of them are kept.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    most: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, most: usize) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), most }
    }

    /// Runs `read` inside one read transaction: it sees one state of the file, whatever is written meanwhile.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = self.begin()?;
        let result = read(&connection);
        self.end(connection);
        result.map_err(at("read blocks"))
    }

    /// A connection inside a read transaction.
    pub(crate) fn begin(&self) -> Result<Connection, StoreError> {
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().map_err(at("open a reader"))?,
        };
        connection.execute_batch("BEGIN").map_err(at("begin to read"))?;
        Ok(connection)
    }

    /// Ends its transaction, and keeps it for the next reader.
    pub(crate) fn end(&self, connection: Connection) {
        let ended = connection.execute_batch("COMMIT");
        let mut idle = lock(&self.idle);
        if ended.is_ok() && idle.len() < self.most {
            idle.push(connection);
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(connection)
    }
}

pub(crate) fn count_blocks(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row("SELECT count(*), coalesce(sum(rows), 0) FROM block", [], |row| {
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
    })
}

pub(crate) fn bytes_on_disk(path: &Path) -> u64 {
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    size(path.to_owned()) + size(beside("-wal"))
}
