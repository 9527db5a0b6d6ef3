//! Lists that schools keep of what they own, as CSV: which columns are understood, which devices the rows mean, and what
//! would change.
//!
//! Columns that speak of people are not even read: they are named in the report, and that is all that is kept of them. One
//! cell that is not understood stops the whole import, with its row, its column and what was expected, so that a list is in
//! or it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bellwether_logic::calendar::Date;
use bellwether_logic::device::make;
use bellwether_logic::life::{FUND_MAX, Facts, PLANNED_YEARS_MAX, PRICE_MAX_CENTS, Subject, civil, dollars, model_key};
use bellwether_proto::record::v1::LifeFactsSet;

use super::record_entry;
use crate::state::devices::DeviceRow;
use crate::state::life::AllFacts;

mod columns;

use columns::Column;
pub use columns::{EXPECTED, cents};

/// The largest list that is read: some forty thousand devices with a hundred letters each.
pub const BYTES_MAX: usize = 4 << 20;

/// Rows of one list. A district of the design's largest size owns as many devices.
pub const ROWS_MAX: usize = 100_000;

/// Errors that are listed; a list with more is of something else.
pub const ERRORS_MAX: usize = 100;

/// Facts of one record, far below what a record may take.
const ENTRIES_A_RECORD: usize = 1_000;

/// The years of which dates are believed.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

/// Why a list is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is too large.
    #[error("the list has more than {} MiB or {ROWS_MAX} rows", BYTES_MAX >> 20)]
    TooLarge,
    /// It has no line of headers.
    #[error("the list is empty: its first line names the columns")]
    Empty,
    /// Nothing in it says which device a row means.
    #[error("no column says which device a row means: expected one of {}", Column::keys())]
    NoKey,
    /// No column has a fact.
    #[error("no column has something to keep: expected some of {EXPECTED}")]
    NoFacts,
    /// Two columns say the same.
    #[error("the columns `{first}` and `{second}` mean the same: leave one of them out")]
    Twice {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
}

/// A cell or a row that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The line in the file, from 1.
    pub row: u64,
    /// The column as the file names it; empty: the row as a whole.
    pub column: String,
    /// What it says.
    pub value: String,
    /// What it may say.
    pub expected: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, column, value, expected } = self;
        if column.is_empty() {
            return write!(f, "row {row}: {expected}");
        }
        write!(f, "row {row}, column \"{column}\": `{value}`: expected {expected}")
    }
}

/// What would change of one device or model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line in the file.
    pub row: u64,
    /// Its name on pages.
    pub who: String,
    /// Each fact: what it is called, what was known and what would be. Empty: not known.
    pub facts: Vec<(&'static str, String, String)>,
}

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// What would be known.
    pub entries: Vec<(Subject, Facts)>,
    /// What would change by that.
    pub changes: Vec<Change>,
    /// Rows that say what is known already.
    pub unchanged: usize,
    /// Columns about people: nothing of them was read.
    pub dropped: Vec<String>,
    /// Columns that mean nothing here.
    pub ignored: Vec<String>,
    /// Rows whose device is not known here, and how they name it.
    pub unmatched: Vec<(u64, String)>,
    /// What is not understood, at most [`ERRORS_MAX`]; then nothing is to be imported.
    pub errors: Vec<RowError>,
}

impl Import {
    /// Whether it may be imported.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// The records that say it.
    #[must_use]
    pub fn records(&self, actor: &str, source: &str) -> Vec<LifeFactsSet> {
        let set = |entries: &[(Subject, Facts)]| LifeFactsSet {
            entries: entries.iter().map(|(subject, facts)| record_entry(subject, facts)).collect(),
            actor: actor.into(),
            source: source.into(),
        };
        self.entries.chunks(ENTRIES_A_RECORD).map(set).collect()
    }
}

/// Reads a list. `devices` is all that the rows may mean, `known` what is known now.
///
/// # Errors
/// When it is no such list at all; what is wrong with single rows is in [`Import::errors`].
pub fn read(bytes: &[u8], devices: &[DeviceRow], known: &AllFacts) -> Result<Import, ImportError> {
    if bytes.len() > BYTES_MAX {
        return Err(ImportError::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(bytes))
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut records = reader.byte_records();
    let Some(Ok(head)) = records.next() else { return Err(ImportError::Empty) };
    let head: Vec<String> = head.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let mut list =
        List { columns: Vec::new(), index: Index::of(devices), known, import: Import::default(), met: BTreeSet::new() };
    list.take_head(&head)?;
    for (at, record) in records.enumerate() {
        if at >= ROWS_MAX {
            return Err(ImportError::TooLarge);
        }
        match record {
            Ok(record) => list.take_row(row_of(&record, bytes), &record),
            Err(error) => list.refuse(0, "", "", error.to_string()),
        }
        if list.import.errors.len() >= ERRORS_MAX {
            break;
        }
    }
    Ok(list.import)
}

/// The line in the file. The parser counts from the empty lines before a row that it skips.
fn row_of(record: &csv::ByteRecord, bytes: &[u8]) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
    position.line() + skipped.count() as u64
}

/// What separates columns: what the first line has most of.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    [b',', b';', b'\t'].into_iter().max_by_key(|wanted| (count(*wanted), *wanted == b',')).unwrap_or(b',')
}

/// Devices by what a row may call them; none where two are called the same.
struct Index<'a> {
    devices: BTreeMap<&'a str, &'a DeviceRow>,
    names: BTreeMap<String, Option<&'a DeviceRow>>,
    serials: BTreeMap<String, Option<&'a DeviceRow>>,
}

impl<'a> Index<'a> {
    fn of(devices: &'a [DeviceRow]) -> Self {
        let by = |key: fn(&DeviceRow) -> &str| {
            let mut map: BTreeMap<String, Option<&'a DeviceRow>> = BTreeMap::new();
            for device in devices.iter().filter(|device| !key(device).trim().is_empty()) {
                map.entry(key(device).trim().to_lowercase()).and_modify(|known| *known = None).or_insert(Some(device));
            }
            map
        };
        Self {
            devices: devices.iter().map(|device| (device.id.as_str(), device)).collect(),
            names: by(|device| &device.name),
            serials: by(|device| &device.serial),
        }
    }
}

/// A list that is being read.
struct List<'a> {
    /// Each column that is understood: where it is, and how the file names it.
    columns: Vec<(usize, Column, String)>,
    index: Index<'a>,
    known: &'a AllFacts,
    import: Import,
    met: BTreeSet<Subject>,
}

/// Whom a row means.
enum Meant<'a> {
    Device(&'a DeviceRow),
    Model(String),
    Nobody(String),
    Unclear(Column, String),
}

impl<'a> List<'a> {
    fn take_head(&mut self, head: &[String]) -> Result<(), ImportError> {
        for (at, name) in head.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let Some(column) = Column::named(name) else {
                let list =
                    if columns::is_about_people(name) { &mut self.import.dropped } else { &mut self.import.ignored };
                list.push(name.clone());
                continue;
            };
            if let Some((_, _, first)) = self.columns.iter().find(|(_, known, _)| *known == column) {
                return Err(ImportError::Twice { first: first.clone(), second: name.clone() });
            }
            self.columns.push((at, column, name.clone()));
        }
        if head.iter().all(String::is_empty) {
            return Err(ImportError::Empty);
        }
        if !self.columns.iter().any(|(_, column, _)| column.is_key()) {
            return Err(ImportError::NoKey);
        }
        if !self.columns.iter().any(|(_, column, _)| column.is_fact()) {
            return Err(ImportError::NoFacts);
        }
        Ok(())
    }

    fn refuse(&mut self, row: u64, column: &str, value: &str, expected: impl Into<String>) {
        let shown = value.chars().take(60).collect();
        self.import.errors.push(RowError { row, column: column.into(), value: shown, expected: expected.into() });
    }

    fn take_row(&mut self, row: u64, record: &csv::ByteRecord) {
        let mut cells: BTreeMap<Column, (String, String)> = BTreeMap::new();
        for (at, column, name) in &self.columns {
            let Some(cell) = record.get(*at).filter(|cell| !cell.is_empty()) else { continue };
            let Ok(text) = std::str::from_utf8(cell) else {
                let (name, lossy) = (name.clone(), String::from_utf8_lossy(cell).into_owned());
                self.refuse(row, &name, &lossy, "text in UTF-8: save the list as \"CSV UTF-8\"");
                return;
            };
            cells.insert(*column, (name.clone(), text.to_owned()));
        }
        if cells.is_empty() {
            return;
        }
        let (subject, who, before) = match self.meant(&cells) {
            Meant::Device(device) => {
                let before = self.known.devices.get(&device.id).map(|row| row.facts.clone());
                (Subject::Device(device.id.clone()), device.name.clone(), before)
            }
            Meant::Model(model) => {
                let before = self.known.models.get(&model_key(&model)).map(|row| row.facts.clone());
                (Subject::Model(model_key(&model)), format!("Model {model}"), before)
            }
            Meant::Nobody(said) => {
                self.import.unmatched.push((row, said));
                return;
            }
            Meant::Unclear(column, said) => {
                let name = cells[&column].0.clone();
                self.refuse(row, &name, &said, "what only one device is called");
                return;
            }
        };
        let before = before.unwrap_or_default();
        let Some(after) = self.facts(row, &cells, &before) else { return };
        if !self.met.insert(subject.clone()) {
            self.refuse(row, "", "", format!("{who} is in the list twice"));
            return;
        }
        let facts = differences(&before, &after);
        if facts.is_empty() {
            self.import.unchanged += 1;
            return;
        }
        self.import.changes.push(Change { row, who, facts });
        self.import.entries.push((subject, after));
    }

    /// By the surest that the row says: the id, then the asset tag, then the serial number, then the model alone.
    fn meant(&self, cells: &BTreeMap<Column, (String, String)>) -> Meant<'a> {
        let said = |column: Column| cells.get(&column).map(|(_, text)| text.as_str());
        let mut calls = Vec::new();
        if let Some(id) = said(Column::DeviceId) {
            if let Some(device) = self.index.devices.get(id) {
                return Meant::Device(device);
            }
            calls.push(id);
        }
        for (column, map) in [(Column::AssetTag, &self.index.names), (Column::Serial, &self.index.serials)] {
            let Some(text) = said(column) else { continue };
            match map.get(&text.to_lowercase()) {
                Some(Some(device)) => return Meant::Device(device),
                Some(None) => return Meant::Unclear(column, text.into()),
                None => calls.push(text),
            }
        }
        match said(Column::Model) {
            Some(model) if calls.is_empty() => Meant::Model(make(said(Column::Vendor).unwrap_or_default(), model)),
            _ => Meant::Nobody(calls.join(", ")),
        }
    }

    /// The facts as the row leaves them; none if a cell is not understood.
    fn facts(&mut self, row: u64, cells: &BTreeMap<Column, (String, String)>, before: &Facts) -> Option<Facts> {
        let mut facts = before.clone();
        let mut is_sound = true;
        for (column, (name, text)) in cells.iter().filter(|(column, _)| column.is_fact()) {
            if let Err(expected) = column.put(&mut facts, text) {
                self.refuse(row, name, text, expected);
                is_sound = false;
            }
        }
        is_sound.then_some(facts)
    }
}

/// Puts what a form says among the facts, by the same names and words as a list; other names mean nothing.
///
/// # Errors
/// What was expected instead.
pub fn put(facts: &mut Facts, name: &str, text: &str) -> Result<(), String> {
    Column::named(name).map_or(Ok(()), |column| column.put(facts, text))
}

/// What is otherwise, fact by fact, in words.
#[must_use]
pub fn differences(before: &Facts, after: &Facts) -> Vec<(&'static str, String, String)> {
    let told = told(before).into_iter().zip(told(after));
    told.filter(|((_, old), (_, new))| old != new).map(|((name, old), (_, new))| (name, old, new)).collect()
}

/// All facts in words; empty: not known.
#[must_use]
pub fn told(facts: &Facts) -> Vec<(&'static str, String)> {
    let date = |date: Option<Date>| date.map(civil::shown).unwrap_or_default();
    let flag = |flag: Option<bool>| flag.map_or("", |flag| if flag { "yes" } else { "no" }).to_owned();
    vec![
        ("Bought", date(facts.purchased)),
        ("Price", facts.price_cents.map(|cents| dollars(cents.into())).unwrap_or_default()),
        ("Fund", facts.fund.clone()),
        ("Warranty until", date(facts.warranty_ends)),
        ("Planned life", facts.planned_years.map(|years| format!("{years} years")).unwrap_or_default()),
        ("Updates until", date(facts.updates_end)),
        ("Repaired by vendor", flag(facts.vendor_repairs)),
        ("E-rate", flag(facts.erate)),
    ]
}

#[cfg(test)]
mod tests;
