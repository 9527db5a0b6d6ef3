//! Checks a profile whole, and makes of its names what they name.

use super::ProfileError;
use super::format::{Cell, Cells, Condition, Fact, File, Match, Pace, Reading, Same};
use crate::snmp::facts::{FactName, Kind};
use crate::snmp::{Answers, Oid, measurements};
use bellwether_proto::schema::{Field, FieldKind, Measurement};

/// sysDescr: what the device says that it is.
pub fn sys_descr() -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 1, 1, 0])
}

/// sysObjectID: what the vendor calls the model.
pub fn sys_object_id() -> Oid {
    Oid::from([1, 3, 6, 1, 2, 1, 1, 2, 0])
}

/// A profile that has been checked.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    title: String,
    source: String,
    rank: u8,
    matches: Match,
    /// What it says about what the device is.
    pub(super) facts: Vec<CheckedFact>,
    /// What it says about how the device is.
    pub(super) readings: Vec<CheckedReading>,
}

/// One thing that the device is.
#[derive(Clone, Debug)]
pub(super) struct CheckedFact {
    pub(super) is: FactName,
    pub(super) word: Option<String>,
    pub(super) from: Vec<Cell>,
    pub(super) conditions: Vec<Condition>,
    pub(super) count: bool,
}

/// Rows of a measurement, or rows that are kept apart.
#[derive(Clone, Debug)]
pub(super) struct CheckedReading {
    pub(super) measurement: &'static Measurement,
    /// Whether its rows are kept apart from samples.
    pub(super) apart: bool,
    pub(super) pace: Pace,
    pub(super) conditions: Vec<Condition>,
    pub(super) same: Same,
    pub(super) tags: Vec<(&'static str, Vec<Cell>)>,
    pub(super) fields: Vec<(&'static Field, Vec<Cell>)>,
}

impl Profile {
    /// Reads a profile and checks it whole.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file, the key, the value and what was expected.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let form = |error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| text.as_bytes()[..span.start].iter().filter(|b| **b == b'\n').count() + 1);
            ProfileError::Form { file: format!("{name}.toml"), problem: format!("line {line}: {}", error.message()) }
        };
        let file: File = toml::from_str(text).map_err(form)?;
        let check = Check { file: format!("{name}.toml") };
        check.not_empty("title", &file.title)?;
        check.not_empty("source", &file.source)?;
        check.matches(&file.matches)?;
        let facts = file.fact.into_iter().enumerate().map(|(at, fact)| check.fact(&format!("fact[{at}]"), fact));
        let readings =
            file.reading.into_iter().enumerate().map(|(at, reading)| check.reading(&format!("reading[{at}]"), reading));
        Ok(Self {
            name: name.to_owned(),
            facts: facts.collect::<Result<_, _>>()?,
            readings: readings.collect::<Result<_, _>>()?,
            title: file.title,
            source: file.source,
            rank: file.rank,
            matches: file.matches,
        })
    }

    /// Its name, which is its file's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where its numbers are from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its rank: of two that say the same thing the higher is believed.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        self.rank
    }

    /// What must be answered for it to apply.
    pub(super) fn signs(&self) -> impl Iterator<Item = &Oid> {
        self.matches.answers.iter()
    }

    /// Whether it is for the device that answered this.
    pub(super) fn applies(&self, answers: &Answers) -> bool {
        let matches = &self.matches;
        let object_id = answers.get(&sys_object_id()).and_then(|value| value.as_oid().cloned());
        let description = answers.get(&sys_descr()).and_then(|value| value.as_text());
        matches.always
            || object_id.is_some_and(|id| matches.object_ids.iter().any(|prefix| id.starts_with(prefix)))
            || description.is_some_and(|text| matches.descriptions.iter().any(|start| text.starts_with(start)))
            || matches.answers.iter().any(|prefix| answers.below(prefix).next().is_some())
    }

    /// The columns that say what the device is.
    pub(super) fn fact_columns(&self) -> impl Iterator<Item = &Oid> {
        self.facts.iter().flat_map(|fact| of_cells(&fact.from).chain(of_conditions(&fact.conditions)))
    }

    /// The columns that it asks for at this pace.
    pub(super) fn columns(&self, pace: Pace) -> impl Iterator<Item = &Oid> {
        let facts = (pace == Pace::Slow).then(|| self.fact_columns()).into_iter().flatten();
        let readings = self.readings.iter().filter(move |reading| reading.pace == pace);
        facts.chain(readings.flat_map(|reading| {
            let tags = reading.tags.iter().flat_map(|(_, cells)| of_cells(cells));
            let fields = reading.fields.iter().flat_map(|(_, cells)| of_cells(cells));
            tags.chain(fields).chain(of_conditions(&reading.conditions))
        }))
    }
}

fn of_cells(cells: &[Cell]) -> impl Iterator<Item = &Oid> {
    cells.iter().flat_map(|cell| {
        let scales = cell.entity_scale.iter().flat_map(|(scale, precision)| [scale, precision]);
        cell.oid.iter().chain(&cell.through).chain(&cell.of).chain(&cell.rest).chain(&cell.times).chain(scales)
    })
}

fn of_conditions(conditions: &[Condition]) -> impl Iterator<Item = &Oid> {
    conditions.iter().flat_map(|condition| condition.through.iter().chain([&condition.oid]))
}

/// Checks one file.
struct Check {
    file: String,
}

impl Check {
    fn wrong(&self, key: impl Into<String>, value: impl Into<String>, expected: impl Into<String>) -> ProfileError {
        let (key, value, expected) = (key.into(), value.into(), expected.into());
        ProfileError::Value { file: self.file.clone(), key, value, expected }
    }

    fn not_empty(&self, key: &str, text: &str) -> Result<(), ProfileError> {
        if text.trim().is_empty() { Err(self.wrong(key, text, "a sentence")) } else { Ok(()) }
    }

    fn matches(&self, matches: &Match) -> Result<(), ProfileError> {
        let none = matches.object_ids.is_empty() && matches.answers.is_empty() && matches.descriptions.is_empty();
        if none && !matches.always {
            return Err(self.wrong("match", "", "always, object_ids, answers or descriptions"));
        }
        // It would be taken for every device.
        if matches.descriptions.iter().any(String::is_empty) {
            return Err(self.wrong("match.descriptions", "", "the beginning of a description"));
        }
        Ok(())
    }

    fn fact(&self, key: &str, fact: Fact) -> Result<CheckedFact, ProfileError> {
        let is = FactName::named(&fact.is)
            .ok_or_else(|| self.wrong(format!("{key}.is"), &fact.is, FactName::ALL.map(FactName::as_str).join(", ")))?;
        if fact.word.is_some() != fact.from.0.is_empty() {
            return Err(self.wrong(key, &fact.is, "either word or from"));
        }
        let named = fact.from.0.iter().flat_map(|cell| cell.names.iter().flat_map(|names| names.values()));
        if let (Some(word), FactName::Kind) =
            (fact.word.iter().chain(named).find(|word| Kind::named(word).is_none()), is)
        {
            let kinds = Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
            return Err(self.wrong(format!("{key}.word"), word, kinds.join(", ")));
        }
        if fact.count != (is == FactName::Ports) {
            return Err(self.wrong(
                format!("{key}.count"),
                fact.count.to_string(),
                "true for ports, and for nothing else",
            ));
        }
        self.conditions(key, &fact.conditions)?;
        for (at, cell) in fact.from.0.iter().enumerate() {
            self.place(&format!("{key}.from[{at}]"), cell)?;
        }
        Ok(CheckedFact { is, word: fact.word, from: fact.from.0, conditions: fact.conditions, count: fact.count })
    }

    fn reading(&self, key: &str, reading: Reading) -> Result<CheckedReading, ProfileError> {
        let (measurement, apart) = self.target(key, &reading)?;
        self.conditions(key, &reading.conditions)?;
        if reading.fields.is_empty() {
            return Err(self.wrong(format!("{key}.fields"), "", "at least one field"));
        }
        let tags = reading.tags.into_iter().map(|(name, cells)| self.tag(key, measurement, &name, cells));
        let fields = reading.fields.into_iter().map(|(name, cells)| self.field(key, measurement, &name, cells));
        Ok(CheckedReading {
            measurement,
            apart,
            pace: reading.pace,
            conditions: reading.conditions,
            same: reading.same,
            tags: tags.collect::<Result<_, _>>()?,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }

    fn target(&self, key: &str, reading: &Reading) -> Result<(&'static Measurement, bool), ProfileError> {
        let (list, apart, name) = match (&reading.measurement, &reading.rows) {
            (Some(name), None) => (measurements::MEASUREMENTS, false, name),
            (None, Some(name)) => (measurements::ROWS, true, name),
            _ => return Err(self.wrong(key, "", "either measurement or rows")),
        };
        let what = if apart { "rows" } else { "measurement" };
        let known = || list.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
        let found = list.iter().find(|known| known.name == name);
        Ok((found.ok_or_else(|| self.wrong(format!("{key}.{what}"), name, known()))?, apart))
    }

    fn tag(
        &self,
        key: &str,
        measurement: &'static Measurement,
        name: &str,
        cells: Cells,
    ) -> Result<(&'static str, Vec<Cell>), ProfileError> {
        let tag = measurement.tags.iter().find(|tag| **tag == name);
        let tag = tag.ok_or_else(|| self.wrong(format!("{key}.tags"), name, measurement.tags.join(", ")))?;
        for (at, cell) in cells.0.iter().enumerate() {
            self.place(&format!("{key}.tags.{name}[{at}]"), cell)?;
        }
        Ok((tag, cells.0))
    }

    fn field(
        &self,
        key: &str,
        measurement: &'static Measurement,
        name: &str,
        cells: Cells,
    ) -> Result<(&'static Field, Vec<Cell>), ProfileError> {
        let known = || measurement.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
        let field = measurement.fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| self.wrong(format!("{key}.fields"), name, known()))?;
        for (at, cell) in cells.0.iter().enumerate() {
            let key = format!("{key}.fields.{name}[{at}]");
            self.place(&key, cell)?;
            self.meaning(&key, cell, field)?;
        }
        Ok((field, cells.0))
    }

    /// A cell is found in exactly one way.
    fn place(&self, key: &str, cell: &Cell) -> Result<(), ProfileError> {
        let index_mac = cell.form == super::format::Form::IndexMac;
        let places = [cell.oid.is_some(), cell.index.is_some(), cell.text.is_some(), index_mac];
        if places.iter().filter(|place| **place).count() != 1 {
            return Err(self.wrong(key, "", "exactly one of oid, index, text, and the form index_mac"));
        }
        if cell.index == Some(0) || cell.at.contains(&0) {
            return Err(self.wrong(key, "0", "parts of an index, counted from 1"));
        }
        Ok(())
    }

    /// What a cell makes of its value must be what its field holds.
    fn meaning(&self, key: &str, cell: &Cell, field: &Field) -> Result<(), ProfileError> {
        let yes_or_no = cell.bit.is_some() || (cell.yes.is_some() && cell.no.is_some());
        let arithmetic = cell.scale.is_some()
            || cell.offset.is_some()
            || cell.of.is_some()
            || cell.rest.is_some()
            || cell.times.is_some();
        let fits = match field.kind {
            FieldKind::Boolean => yes_or_no && cell.words.is_none() && !arithmetic,
            FieldKind::Text => !yes_or_no && !arithmetic && cell.between.is_none(),
            FieldKind::Integer | FieldKind::Float => !yes_or_no && cell.words.is_none() && cell.text.is_none(),
        };
        if !fits {
            let expected = match field.kind {
                FieldKind::Boolean => "bit, or yes and no, for a field that is true or false",
                FieldKind::Text => "words or a text for a field that is a word",
                FieldKind::Integer | FieldKind::Float => "a number for a field that is one",
            };
            return Err(self.wrong(key, "another meaning", expected));
        }
        if (cell.of.is_some() || cell.rest.is_some()) && field.unit != "percent" {
            return Err(self.wrong(format!("{key}.of"), field.unit, "a field in percent"));
        }
        if let Some(unit) = &cell.unit
            && unit != field.unit
        {
            return Err(self.wrong(format!("{key}.unit"), unit, format!("the unit of the field, `{}`", field.unit)));
        }
        let number = |word: &&String| word.parse::<i64>().is_err();
        if let Some(word) = cell.words.iter().flat_map(|words| words.keys()).find(number) {
            return Err(self.wrong(format!("{key}.words"), word, "numbers as keys"));
        }
        Ok(())
    }

    fn conditions(&self, key: &str, conditions: &[Condition]) -> Result<(), ProfileError> {
        for (at, condition) in conditions.iter().enumerate() {
            let asks = [
                condition.is.is_some(),
                condition.not.is_some(),
                condition.is_oid.is_some(),
                condition.least.is_some(),
                condition.contains.is_some(),
                condition.lacks.is_some(),
                condition.starts.is_some(),
                condition.starts_not.is_some(),
            ];
            if !asks.contains(&true) || condition.at.contains(&0) {
                return Err(self.wrong(
                    format!("{key}.where[{at}]"),
                    "",
                    "is, not, is_oid, least, contains, lacks, starts or starts_not",
                ));
            }
        }
        Ok(())
    }
}
