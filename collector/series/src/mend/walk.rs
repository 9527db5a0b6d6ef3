//! Goes over the rows of a table that may be damaged: behind a page that can't be read it goes on with the next number that can.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

/// Tables of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Points.
    Block,
    /// Roll-ups.
    Rolled,
    /// The heads of the last checkpoint.
    Head,
}

/// A row of one.
pub(super) struct Block {
    pub(super) id: i64,
    pub(super) stream: u32,
    /// Of roll-ups, in nanoseconds.
    pub(super) step: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) rows: u64,
    /// What is packed, or why it can't be read.
    pub(super) data: Result<Vec<u8>, String>,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Rolled => "rolled",
            Self::Head => "head",
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::Block => "SELECT id, stream, 0, min_time, max_time, rows, data FROM block WHERE id",
            Self::Rolled => "SELECT id, stream, step, min_time, max_time, rows, data FROM rolled WHERE id",
            Self::Head => "SELECT part, 0, 0, 0, 0, 0, data FROM head WHERE part",
        }
    }
}

/// A row, or the number and the reason of one that can't be read.
type Found = Result<Block, (i64, String)>;

/// Calls `each` with every row, in the order of their numbers.
pub(super) fn each(
    connection: &Connection,
    table: Table,
    mut each: impl FnMut(Found) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let last = last_number(connection, table);
    let mut next = 0;
    while let Some(why) = run(connection, table, &mut next, &mut each)? {
        each(Err((next, why)))?;
        next += 1;
        // The page has more rows than this one, and all of them would say the same.
        while next <= last && one(connection, table, next).is_err() {
            next += 1;
        }
        if next > last {
            break;
        }
    }
    Ok(())
}

/// Reads on from number `next` until there are no more, or one can't be read: then the reason.
fn run(
    connection: &Connection,
    table: Table,
    next: &mut i64,
    each: &mut impl FnMut(Found) -> rusqlite::Result<()>,
) -> rusqlite::Result<Option<String>> {
    let sql = format!("{} >= ?1 ORDER BY 1", table.select());
    let mut select = match connection.prepare(&sql) {
        Ok(select) => select,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let mut rows = select.query([*next])?;
    loop {
        match rows.next().and_then(|row| row.map(block).transpose()) {
            Ok(None) => return Ok(None),
            Ok(Some(found)) => {
                *next = found.id + 1;
                each(Ok(found))?;
            }
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

fn one(connection: &Connection, table: Table, id: i64) -> rusqlite::Result<Option<Block>> {
    connection.query_row(&format!("{} = ?1", table.select()), [id], block).optional()
}

fn block(row: &Row<'_>) -> rusqlite::Result<Block> {
    // What is packed may lie in other pages than the rest.
    let data = row.get::<_, Vec<u8>>(6).map_err(|error| error.to_string());
    let rows = row.get::<_, i64>(5)?.unsigned_abs();
    Ok(Block {
        id: row.get(0)?,
        stream: row.get(1)?,
        step: row.get(2)?,
        min: row.get(3)?,
        max: row.get(4)?,
        rows,
        data,
    })
}

/// The highest number that a row may have: beyond it nothing is looked for.
fn last_number(connection: &Connection, table: Table) -> i64 {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
    match table {
        Table::Head => number("SELECT max(part) FROM head"),
        Table::Block => number("SELECT seq FROM sqlite_sequence WHERE name = 'block'"),
        Table::Rolled => number("SELECT seq FROM sqlite_sequence WHERE name = 'rolled'"),
    }
}

/// Tables of names and bounds: small, and copied as they are.
const SMALL: [&str; 7] = ["meta", "database", "policy", "measurement", "field", "stream", "kept"];

/// Copies the small tables; what of one can't be read is said in `sentences`.
pub(super) fn copy_small(from: &Connection, to: &Connection, sentences: &mut Vec<String>) -> rusqlite::Result<()> {
    for table in SMALL {
        if let Err(Lost(why)) = copy_table(from, to, table)? {
            sentences.push(format!("the rest of the table {table} is lost: {why}"));
        }
    }
    Ok(())
}

/// Why reading ended early.
struct Lost(String);

fn copy_table(from: &Connection, to: &Connection, table: &str) -> rusqlite::Result<Result<(), Lost>> {
    let lost = |error: rusqlite::Error| Ok(Err(Lost(error.to_string())));
    let mut select = match from.prepare(&format!("SELECT * FROM {table}")) {
        Ok(select) => select,
        Err(error) => return lost(error),
    };
    let columns = select.column_count();
    let places = vec!["?"; columns].join(", ");
    let mut insert = to.prepare(&format!("INSERT OR REPLACE INTO {table} VALUES ({places})"))?;
    let mut rows = select.query([])?;
    loop {
        let row = match rows.next() {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(row)) => (0..columns).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>(),
            Err(error) => Err(error),
        };
        match row {
            Ok(values) => drop(insert.execute(params_from_iter(values))?),
            Err(error) => return lost(error),
        }
    }
}

pub(super) fn insert(target: &Connection, table: Table, block: &Block) -> rusqlite::Result<()> {
    let Block { id, stream, step, min, max, rows, data } = block;
    let (rows, data) = (*rows as i64, data.as_deref().unwrap_or_default());
    match table {
        Table::Block => target
            .prepare_cached("INSERT INTO block (id, stream, min_time, max_time, rows, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![id, stream, min, max, rows, data])?,
        Table::Rolled => target
            .prepare_cached("INSERT INTO rolled (id, stream, step, min_time, max_time, rows, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![id, stream, step, min, max, rows, data])?,
        Table::Head => {
            target.prepare_cached("INSERT INTO head (part, data) VALUES (?1, ?2)")?.execute(params![id, data])?
        }
    };
    Ok(())
}
