//! A look at every byte of a store's file, and a new file of all that can be read in a damaged one.
//!
//! Both read the file themselves, row by row, because a damaged page must not hide what lies behind it. A page that leads to
//! others takes them with it: what it led to is in a backup, or nowhere.

mod walk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use self::walk::{Block, Table};
use crate::codec::block;
use crate::keeping::{DAY, floor};
use crate::store::disk::{self, at};
use crate::store::{Catalog, FILE, StoreError};

/// Damaged blocks that are named; more are counted.
const NAMED_MAX: usize = 100;
/// Sentences of SQLite's own check.
const SENTENCES_MAX: usize = 20;

/// What a look at every byte has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What SQLite's own check says, the first twenty sentences; none if the file is sound.
    pub file: Vec<String>,
    /// Blocks that can be read, with those of roll-ups and of the last checkpoint.
    pub blocks: u64,
    /// Their rows.
    pub rows: u64,
    /// The first hundred blocks that can't be read.
    pub damaged: Vec<Damaged>,
    /// How many there are.
    pub damaged_blocks: u64,
}

/// A block that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The table that it is in: `block`, `rolled` (roll-ups) or `head` (the rows of the last checkpoint).
    pub table: &'static str,
    /// Its number there.
    pub id: i64,
    /// Measurement and tags, where they can be told.
    pub series: String,
    /// The times between which rows are lost, in nanoseconds since 1970, where they can be told.
    pub times: Option<(i64, i64)>,
    /// How many rows are lost, where it can be told.
    pub rows: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Findings {
    /// Whether there is nothing to repair.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.file.is_empty() && self.damaged_blocks == 0
    }

    fn add(&mut self, damaged: Damaged) {
        self.damaged_blocks += 1;
        if self.damaged.len() < NAMED_MAX {
            self.damaged.push(damaged);
        }
    }
}

/// Looks at every byte of the store in `folder` and changes nothing. A store that is in use may be looked at.
///
/// # Errors
/// When there is no store, or it is a newer program's.
pub fn inspect(folder: &Path) -> Result<Findings, StoreError> {
    let source = Source::open(folder)?;
    let mut findings = Findings { file: source.sentences(), ..Findings::default() };
    source.blocks(&mut findings, |_, _, _| Ok(())).map_err(at("read blocks"))?;
    Ok(findings)
}

/// Makes a new file of everything that can be read, if anything can't be, and says where the damaged one is now. Nobody else may
/// have the store open.
///
/// # Errors
/// When there is no store, it is a newer program's, or the new file can't be written; then the old one is where it was.
pub fn repair(folder: &Path) -> Result<(Findings, Option<PathBuf>), StoreError> {
    let found = inspect(folder)?;
    if found.is_sound() {
        return Ok((found, None));
    }
    let (path, new) = (folder.join(FILE), folder.join(format!("{FILE}.repaired")));
    let file_error = |source| StoreError::Folder { path: new.clone(), source };
    if new.exists() {
        fs::remove_file(&new).map_err(file_error)?;
    }
    let findings = rewrite(&Source::open(folder)?, &new)?;
    let damaged = free_name(folder);
    // What SQLite left beside the old file must not be taken for the new one's.
    for suffix in ["-wal", "-shm"] {
        let (from, to) = (beside(&path, suffix), beside(&damaged, suffix));
        if from.exists() {
            fs::rename(from, to).map_err(file_error)?;
        }
    }
    // At no instant there is no file: a start would take that for a new store.
    fs::hard_link(&path, &damaged).map_err(file_error)?;
    fs::rename(&new, &path).map_err(file_error)?;
    Ok((findings, Some(damaged)))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An older damaged file is not overwritten.
fn free_name(folder: &Path) -> PathBuf {
    let names = (1..).map(|number| folder.join(format!("{FILE}.damaged-{number}")));
    names.into_iter().find(|name| !name.exists()).expect("there is no end of numbers")
}

/// A file that is read as far as that is possible.
struct Source {
    connection: Connection,
    /// Names of streams and fields, as far as they can be read.
    catalog: Catalog,
}

impl Source {
    fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        disk::refuse_foreign(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(at("open the file"))?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(at("open the file"))?;
        let mut catalog = Catalog::default();
        for load in disk::NAMES {
            // What is missing is said where its blocks are judged.
            let _ = load(&connection, &mut catalog);
        }
        Ok(Self { connection, catalog })
    }

    fn sentences(&self) -> Vec<String> {
        let check = || -> rusqlite::Result<Vec<String>> {
            let mut select = self.connection.prepare(&format!("PRAGMA integrity_check({SENTENCES_MAX})"))?;
            let rows = select.query_map([], |row| row.get(0))?;
            rows.collect()
        };
        let mut sentences = check().unwrap_or_else(|error| vec![error.to_string()]);
        sentences.retain(|sentence| sentence != "ok");
        sentences
    }

    /// Judges every block, and tells `each` of it, as far as it is there, and whether it can be read.
    fn blocks(
        &self,
        findings: &mut Findings,
        mut each: impl FnMut(Table, Option<&Block>, bool) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        for table in [Table::Block, Table::Rolled, Table::Head] {
            walk::each(&self.connection, table, |found| {
                let judged = found.as_ref().map_err(|(_, why)| why.clone()).and_then(|block| self.judge(table, block));
                let block = found.as_ref().ok();
                match judged {
                    Ok(rows) => {
                        findings.blocks += 1;
                        findings.rows += rows;
                        each(table, block, true)
                    }
                    Err(why) => {
                        let id = found.as_ref().map_or_else(|(id, _)| *id, |block| block.id);
                        findings.add(self.damaged(table, id, block, why));
                        each(table, block, false)
                    }
                }
            })?;
        }
        Ok(())
    }

    /// How many rows a block has, or why it can't be read.
    fn judge(&self, table: Table, found: &Block) -> Result<u64, String> {
        let data = found.data.as_ref().map_err(Clone::clone)?;
        if table == Table::Head {
            return disk::rows_of_heads(data, &self.catalog).map_err(str::to_owned);
        }
        if self.catalog.streams.get(found.stream as usize).is_none_or(|stream| stream.gone) {
            return Err("nothing is known of its series".to_owned());
        }
        let rows = block::decode(data, |_| true).map_err(|error| error.to_string())?;
        let times = (rows.times.first().copied(), rows.times.last().copied(), rows.times.len() as u64);
        if times != (Some(found.min), Some(found.max), found.rows) {
            return Err("its rows are not those that the index promises".to_owned());
        }
        Ok(found.rows)
    }

    fn damaged(&self, table: Table, id: i64, block: Option<&Block>, why: String) -> Damaged {
        let nothing = Damaged { table: table.name(), id, series: "unknown".to_owned(), times: None, rows: 0, why };
        match block.filter(|_| table != Table::Head) {
            None => nothing,
            Some(block) => Damaged {
                series: self.catalog.key(block.stream),
                times: Some((block.min, block.max)),
                rows: block.rows,
                ..nothing
            },
        }
    }
}

/// Copies what can be read to a new file.
fn rewrite(source: &Source, new: &Path) -> Result<Findings, StoreError> {
    let mut target = Connection::open(new).map_err(at("make the new file"))?;
    disk::create(&target).map_err(at("make the new file"))?;
    let mut findings = Findings { file: source.sentences(), ..Findings::default() };
    let transaction = target.transaction().map_err(at("write the new file"))?;
    let copied = (|| {
        walk::copy_small(&source.connection, &transaction, &mut findings.file)?;
        let mut unrolled = Unrolled::default();
        source.blocks(&mut findings, |table, block, is_good| match (is_good, block) {
            (true, Some(block)) => walk::insert(&transaction, table, block),
            (false, block) if table == Table::Rolled => {
                unrolled.add(block);
                Ok(())
            }
            _ => Ok(()),
        })?;
        unrolled.roll_again(&transaction)
    })();
    copied.map_err(at("write the new file"))?;
    transaction.commit().map_err(at("write the new file"))?;
    target.close().map_err(|(_, error)| at("write the new file")(error))?;
    let synced = fs::File::open(new).and_then(|file| file.sync_all());
    synced.map_err(|source| StoreError::Folder { path: new.into(), source })?;
    Ok(findings)
}

/// From which day on roll-ups are lost, by stream: they are made anew as far as their points are kept.
#[derive(Default)]
struct Unrolled {
    days: BTreeMap<u32, i64>,
    /// There are some of which nothing is known.
    all: bool,
}

impl Unrolled {
    fn add(&mut self, block: Option<&Block>) {
        match block {
            None => self.all = true,
            Some(block) => {
                let day = self.days.entry(block.stream).or_insert(i64::MAX);
                *day = floor(block.min, DAY).min(*day);
            }
        }
    }

    fn roll_again(&self, target: &Connection) -> rusqlite::Result<()> {
        // The bounds of single points stand under step 0.
        const BACK: &str = "UPDATE kept SET to_time = min(to_time, coalesce(max(?1, (
            SELECT points.from_time FROM kept AS points WHERE points.stream = kept.stream AND points.step = 0)), ?1))";
        if self.all {
            return target.execute(BACK, [i64::MIN]).map(|_| ());
        }
        for (stream, day) in &self.days {
            target.execute(&format!("{BACK} WHERE stream = ?2"), params![day, stream])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
