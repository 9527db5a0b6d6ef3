//! Reads what a device answered, by the profiles that apply to it: facts, samples, and rows that are kept apart.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, Measurement};

use super::check::{CheckedFact, CheckedReading};
use super::format::{Cell, Pace, Same};
use super::{Choice, cell};
use crate::gather::Gather;
use crate::snmp::Answers;
use crate::snmp::facts::{FactName, Facts};

/// The most rows that one reading may have: a core switch of ten boxes with all its VLANs has fewer ports, and a table of
/// forwarding has more, of which a closet has no use.
const ROWS_MAX: usize = 8_192;

/// The most rows of a table that is kept apart: what a core switch of a large school learned. What nobody manages is dropped
/// from it afterwards.
const APART_MAX: usize = 32_768;

/// What was read of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// What goes to the collector.
    pub samples: Vec<Sample>,
    /// What the map is made of: neighbours, forwarding tables.
    pub rows: Vec<Row>,
    /// Rows beyond what a reading may have, and rows without a name.
    pub dropped: usize,
}

/// A row that is kept apart from samples.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What kind of row: a name of `measurements::ROWS`.
    pub kind: &'static str,
    /// What it holds.
    pub columns: BTreeMap<&'static str, String>,
}

type Tags = Vec<(Name, String)>;

/// In the order of their names.
type Fields = Vec<(&'static str, Value)>;

/// The rows of measurements, by name and tags: what several profiles say about one thing comes together here.
type Table = BTreeMap<(&'static str, Tags), Fields>;

impl Choice {
    /// What the device is.
    #[must_use]
    pub fn facts(&self, answers: &Answers) -> Facts {
        let mut facts = Facts::default();
        for fact in self.profiles.iter().flat_map(|profile| &profile.facts) {
            if !facts.has(fact.is)
                && let Some(text) = fact_of(fact, answers)
            {
                facts.put(fact.is, &text);
            }
        }
        facts
    }

    /// How the device is: everything of this pace. Samples bear `target` and `time`.
    #[must_use]
    pub fn read(&self, answers: &Answers, pace: Pace, target: &str, time: Timestamp) -> Read {
        let mut read = Read::default();
        let mut table = Table::new();
        for reading in self.profiles.iter().flat_map(|profile| &profile.readings).filter(|it| it.pace == pace) {
            read.dropped += add(reading, answers, &mut table, &mut read.rows);
        }
        read.samples = table
            .into_iter()
            .filter(|(_, fields)| !fields.is_empty())
            .map(|((measurement, tags), fields)| Sample {
                measurement: Name::Borrowed(measurement),
                tags,
                target: target.to_owned(),
                time,
                fields: fields.into_iter().map(|(name, value)| (Name::Borrowed(name), value)).collect(),
            })
            .collect();
        read
    }
}

fn fact_of(fact: &CheckedFact, answers: &Answers) -> Option<String> {
    if let Some(word) = &fact.word {
        return cell::holds(&fact.conditions, answers, &[0]).then(|| word.clone());
    }
    fact.from.iter().find_map(|from| {
        let column = from.oid.as_ref()?;
        let rows = || answers.column(column).filter(|(index, _)| cell::holds(&fact.conditions, answers, index.arcs()));
        if fact.count {
            let count = rows().count();
            return (count > 0).then(|| count.to_string());
        }
        rows().find_map(|(index, _)| {
            let mut text = cell::text(std::slice::from_ref(from), answers, index.arcs())?;
            if fact.is == FactName::Serial {
                // Some printers send it packed, with octets before it that are no text.
                text.retain(|c| c.is_ascii_graphic() || c == ' ');
                if tells_none_apart(&text) {
                    return None;
                }
            }
            (!says_nothing(&text)).then_some(text)
        })
    })
}

/// What many devices have for a serial number: a digit again and again, or what somebody put in its place. As an identity
/// it would make one device of all of them.
fn tells_none_apart(serial: &str) -> bool {
    const SAME_MIN: usize = 4;
    let mut bytes = serial.trim().bytes();
    let first = bytes.next();
    (serial.len() >= SAME_MIN && bytes.all(|byte| Some(byte) == first)) || serial.starts_with(['<', '('])
}

/// What devices write where they have nothing to say.
fn says_nothing(text: &str) -> bool {
    const EMPTY: &[&str] = &[
        "n/a",
        "na",
        "none",
        "null",
        "not available",
        "not specified",
        "unknown",
        "unset",
        "default string",
        "(none)",
        "to be filled by o.e.m.",
        "no asset tag",
        "uninitialized",
        "undefined",
        "unknow",
        "not set",
        "not configured",
        "location",
        "agent location",
        "system location",
        "end user premise.",
        "right here, right now.",
        "sitting on the dock of the bay",
        "0123456789",
        "1234567890",
        "123456789",
        "system serial number",
    ];
    let text = text.trim();
    text.chars().all(|c| matches!(c, '-' | '.' | '?' | '*' | ' ' | 'x' | 'X' | '0' | '"'))
        || EMPTY.iter().any(|empty| text.eq_ignore_ascii_case(empty))
        // What Net-SNMP is delivered with.
        || text.contains("(edit /etc/snmp")
}

/// Adds the rows of one reading, and says how many it left out.
fn add(reading: &CheckedReading, answers: &Answers, table: &mut Table, rows: &mut Vec<Row>) -> usize {
    let mut dropped = 0;
    let mut seen: BTreeMap<Tags, usize> = BTreeMap::new();
    let mut here = Table::new();
    // Of the columns that a profile knows most devices have a few: the others are not looked for in every row.
    let mut there: Vec<_> = reading.fields.iter().filter(|(_, cells)| cell::is_there(cells, answers)).collect();
    there.sort_unstable_by_key(|(field, _)| field.name);
    for (number, index) in indexes(reading, answers).into_iter().enumerate() {
        if !cell::holds(&reading.conditions, answers, &index) {
            continue;
        }
        let fields = fields(&there, answers, &index);
        let Some(mut tags) = tags(reading, answers, &index) else {
            dropped += usize::from(!fields.is_empty());
            continue;
        };
        if number >= if reading.apart { APART_MAX } else { ROWS_MAX } {
            dropped += 1;
            continue;
        }
        if fields.is_empty() {
            continue;
        }
        if reading.apart {
            rows.push(row(reading.measurement, fields));
            continue;
        }
        if reading.same == Same::Apart {
            let before = seen.entry(tags.clone()).or_default();
            *before += 1;
            if *before > 1 {
                tell_apart(&mut tags, *before);
            }
        }
        match here.entry((reading.measurement.name, tags)) {
            Entry::Vacant(place) => drop(place.insert(fields)),
            Entry::Occupied(known) => combine(known.into_mut(), fields, reading.same),
        }
    }
    for (key, fields) in here {
        match table.entry(key) {
            Entry::Vacant(place) => drop(place.insert(fields)),
            Entry::Occupied(known) => {
                combine(known.into_mut(), fields, Same::First);
            }
        }
    }
    dropped
}

/// Rows without tags are one row.
fn tell_apart(tags: &mut Tags, number: usize) {
    if let Some((_, value)) = tags.first_mut() {
        *value = format!("{value} #{number}");
    }
}

/// Adds numbers, or lets the first stay: of words, and of rows that are not to be added.
fn combine(known: &mut Fields, fields: Fields, same: Same) {
    for (name, value) in fields {
        let place = match known.binary_search_by_key(&name, |(known, _)| known) {
            Ok(place) => place,
            Err(place) => {
                known.insert(place, (name, value));
                continue;
            }
        };
        match (&mut known[place].1, value) {
            (Value::Integer(sum), Value::Integer(more)) if same == Same::Sum => *sum = sum.saturating_add(more),
            (Value::Float(sum), Value::Float(more)) if same == Same::Sum => *sum += more,
            _ => {}
        }
    }
}

fn row(kind: &'static Measurement, fields: Fields) -> Row {
    let text = |value| match value {
        Value::Text(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
    };
    Row { kind: kind.name, columns: fields.into_iter().map(|(name, value)| (name, text(value))).gather() }
}

/// The indexes of all rows: those of its fields' own columns.
fn indexes(reading: &CheckedReading, answers: &Answers) -> BTreeSet<Box<[u32]>> {
    let cells = reading.fields.iter().flat_map(|(_, cells)| cells);
    let own = cells.filter(|cell| cell.at.is_empty() && cell.through.is_empty());
    let mut indexes: BTreeSet<Box<[u32]>> = BTreeSet::new();
    for cell in own {
        if cell.count {
            indexes.insert(Box::from([0].as_slice()));
        } else if let Some(oid) = &cell.oid {
            // The columns of a table have the same rows: few of these are new.
            for index in answers.below(oid).filter_map(|(name, _)| name.arcs().strip_prefix(oid.arcs())) {
                if !indexes.contains(index) {
                    indexes.insert(Box::from(index));
                }
            }
        }
    }
    indexes
}

/// What tells the row from others; none if it should have a name and has not.
fn tags(reading: &CheckedReading, answers: &Answers, index: &[u32]) -> Option<Tags> {
    let found = reading
        .tags
        .iter()
        .filter_map(|(name, cells)| Some((Name::Borrowed(*name), cell::text(cells, answers, index)?)));
    let mut tags: Tags = found.collect();
    tags.sort_unstable();
    (reading.tags.is_empty() || !tags.is_empty()).then_some(tags)
}

fn fields(there: &[&(&'static Field, Vec<Cell>)], answers: &Answers, index: &[u32]) -> Fields {
    let found = there.iter();
    found.filter_map(|(field, cells)| Some((field.name, cell::value(cells, answers, index, field)?))).collect()
}
