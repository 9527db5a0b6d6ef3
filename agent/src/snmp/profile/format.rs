//! The form of a profile's file: what may be written, before it is checked.
//!
//! A cell says where a value is found and what it means. Everything in it but the place is optional, so that most cells
//! are one name and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::snmp::Oid;

/// A profile's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What it is for, for people.
    pub title: String,
    /// Where its numbers are from.
    pub source: String,
    /// What a device must be for the profile to apply.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Where two profiles say the same thing, the one of the higher rank is believed: 0 for what every device has, 10 for
    /// standards, 50 for a vendor, 60 for a family of a vendor.
    pub rank: u8,
    /// What it says about what the device is.
    #[serde(default)]
    pub fact: Vec<Fact>,
    /// What it says about how the device is.
    #[serde(default)]
    pub reading: Vec<Reading>,
}

/// What a device must be for a profile to apply: one of these is enough.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Every device.
    #[serde(default)]
    pub always: bool,
    /// The beginnings of its sysObjectID.
    #[serde(default)]
    pub object_ids: Vec<Oid>,
    /// Something at or below one of these is answered.
    #[serde(default)]
    pub answers: Vec<Oid>,
    /// The beginnings of its sysDescr, for what is built on Net-SNMP and has no sysObjectID of its own.
    #[serde(default)]
    pub descriptions: Vec<String>,
}

/// One thing that the device is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Which: kind, vendor, model, serial, firmware, name, location, mac, ports.
    pub is: String,
    /// A word that is known without asking.
    pub word: Option<String>,
    /// Where it is found. The first row that holds something is taken.
    #[serde(default)]
    pub from: Cells,
    /// Which rows count.
    #[serde(default, rename = "where")]
    pub conditions: Vec<Condition>,
    /// The number of the rows instead of what is in them.
    #[serde(default)]
    pub count: bool,
}

/// Rows of a measurement, or rows that are kept apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The measurement that it fills.
    pub measurement: Option<String>,
    /// Or the kind of rows: neighbour, forwarding, bridge_port.
    pub rows: Option<String>,
    /// How often: fast or slow.
    pub pace: Pace,
    /// Which rows count.
    #[serde(default, rename = "where")]
    pub conditions: Vec<Condition>,
    /// What becomes of rows with the same tags.
    #[serde(default)]
    pub same: Same,
    /// What tells its rows from each other.
    #[serde(default)]
    pub tags: BTreeMap<String, Cells>,
    /// What is read.
    pub fields: BTreeMap<String, Cells>,
}

/// How often something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// With every round: what counts and what is up.
    Fast,
    /// Every quarter of an hour to an hour: what hardly changes.
    Slow,
}

/// What becomes of rows with the same tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Same {
    /// The second is told from the first by a number.
    #[default]
    Apart,
    /// The first stays.
    First,
    /// They are one, and their numbers are added.
    Sum,
}

/// Which rows count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column that is looked at.
    pub oid: Oid,
    /// The parts of the row's index that lead to it, from 1; all of them if none are named.
    #[serde(default)]
    pub at: Vec<usize>,
    /// Columns on the way to it, each of which holds the index into the next.
    #[serde(default)]
    pub through: Vec<Oid>,
    /// It must be one of these.
    pub is: Option<Vec<i64>>,
    /// It must be none of these; a column that is not there is none of them.
    pub not: Option<Vec<i64>>,
    /// It must be one of these names, or below one.
    pub is_oid: Option<Vec<Oid>>,
    /// It must be at least this.
    pub least: Option<i64>,
    /// It must contain one of these texts, whatever the case.
    pub contains: Option<Vec<Folded>>,
    /// It must contain none of these texts, whatever the case.
    pub lacks: Option<Vec<Folded>>,
    /// It must begin with one of these texts, whatever the case.
    pub starts: Option<Vec<Folded>>,
    /// It must begin with none of these texts, whatever the case.
    pub starts_not: Option<Vec<Folded>>,
}

/// A text to compare with whatever the case: in small letters, made once and not for every row of every device.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Folded(String);

impl From<String> for Folded {
    fn from(text: String) -> Self {
        Self(text.to_lowercase())
    }
}

impl Folded {
    /// In small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a value is found and what it means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Its column. A thing that is no table is a column with one row.
    pub oid: Option<Oid>,
    /// Instead: a part of the row's index, from 1.
    pub index: Option<usize>,
    /// Instead: a text that is always the same.
    pub text: Option<String>,
    /// The parts of the row's index that lead to it, from 1; all of them if none are named.
    #[serde(default)]
    pub at: Vec<usize>,
    /// Columns on the way to it, each of which holds the index into the next.
    #[serde(default)]
    pub through: Vec<Oid>,
    /// How octets are written: text, mac, hex, identifier (a MAC address if it is one, else text) index_mac (the last
    /// six parts of the index) or index_address (the IP address at its end).
    #[serde(default)]
    pub form: Form,
    /// Only what stands behind the first of this, or of the first of these that is there.
    #[serde(default)]
    pub after: Texts,
    /// Only what stands before the first of this, or of each of these.
    #[serde(default)]
    pub until: Texts,
    /// Only texts that begin with one of these.
    pub starts: Option<Vec<String>>,
    /// Only texts in which none of these stands, whatever the case.
    #[serde(default)]
    pub lacks: Texts,
    /// Only texts with a digit, as names of models have.
    #[serde(default)]
    pub digit: bool,
    /// What names of things mean: the longest one that the value is, or is below. What is not here is no value.
    pub names: Option<BTreeMap<Oid, String>>,
    /// Numbers are multiplied by this.
    pub scale: Option<f64>,
    /// This is added before.
    pub offset: Option<f64>,
    /// The unit that comes out, which must be that of the field.
    pub unit: Option<String>,
    /// Numbers that mean that there is no value.
    #[serde(default)]
    pub ignore: Vec<i64>,
    /// From and to: what is outside, after scaling, is no value.
    pub between: Option<(f64, f64)>,
    /// What numbers mean. What is not here is no value.
    pub words: Option<BTreeMap<String, String>>,
    /// Numbers that mean yes.
    pub yes: Option<Vec<i64>>,
    /// Numbers that mean no.
    pub no: Option<Vec<i64>>,
    /// The bit of a string of bits that means yes; 0 is the highest of the first octet.
    pub bit: Option<usize>,
    /// The column of which it is a part: gives percent.
    pub of: Option<Oid>,
    /// The column of the rest of which both are the whole: gives percent.
    pub rest: Option<Oid>,
    /// The column by which it is multiplied.
    pub times: Option<Oid>,
    /// The columns of scale and precision as ENTITY-SENSOR-MIB has them.
    pub entity_scale: Option<(Oid, Oid)>,
    /// The number of rows in the column.
    #[serde(default)]
    pub count: bool,
}

/// How octets are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As text.
    #[default]
    Text,
    /// As a MAC address.
    Mac,
    /// As hexadecimal digits.
    Hex,
    /// As a MAC address if it is one, as text otherwise.
    Identifier,
    /// The last six parts of the row's index, as a MAC address.
    IndexMac,
    /// The IP address at the end of the row's index, behind its kind and length; none of a single link.
    IndexAddress,
}

/// One, or several of which the first that holds something is taken. A bare name is a cell with that column.
#[derive(Clone, Debug, Default)]
pub struct Cells(pub Vec<Cell>);

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellsVisitor)
    }
}

/// By hand, because the derived reader of such a choice hides what is wrong inside it.
struct CellsVisitor;

impl<'de> Visitor<'de> for CellsVisitor {
    type Value = Cells;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object identifier, a table, or a list of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cells, E> {
        let oid = text.parse().map_err(E::custom)?;
        Ok(Cells(vec![Cell { oid: Some(oid), ..Cell::default() }]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cells, A::Error> {
        Ok(Cells(vec![Cell::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cells, A::Error> {
        let mut cells = Vec::new();
        while let Some(Cells(more)) = list.next_element()? {
            cells.extend(more);
        }
        Ok(Cells(cells))
    }
}

/// A text, or several.
#[derive(Clone, Debug, Default)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}
