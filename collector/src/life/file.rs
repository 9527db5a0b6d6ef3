//! What is assumed, as files say it: the shipped one, and over it the school's own.

use std::path::Path;

use bellwether_logic::calendar::Date;
use bellwether_logic::device::Class;
use bellwether_logic::life::{ClassLife, OsEnd, PLANNED_YEARS_MAX, PRICE_MAX_CENTS, PartCost, Table, civil};
use serde::{Deserialize, Deserializer};

use crate::config::{ConfigError, parse_error};

/// The school's own file in the data folder; it need not exist.
pub const FILE: &str = "life.toml";

/// The shipped file.
const SHIPPED: &str = include_str!("../../life/assumed.toml");

/// The format of the files that this version reads.
const FORMAT: u32 = 1;

/// Entries of one kind in one file. More is no list that a person keeps.
const ENTRIES_MAX: usize = 1_000;

/// Minutes of one repair.
const MINUTES_MAX: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    as_of: Option<Day>,
    labor_per_hour: Option<Dollars>,
    #[serde(default)]
    class: Vec<ClassEntry>,
    #[serde(default)]
    repair: Vec<RepairEntry>,
    #[serde(default)]
    system: Vec<SystemEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassEntry {
    class: Class,
    years: Option<u8>,
    price: Option<Dollars>,
    #[serde(default)]
    erate: bool,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for whoever reads the file"))]
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepairEntry {
    category: String,
    #[serde(default)]
    part: String,
    price: Dollars,
    minutes: u32,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for whoever reads the file"))]
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemEntry {
    name: String,
    #[serde(default)]
    editions: Vec<String>,
    #[serde(default)]
    version: String,
    ends: Day,
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for whoever reads the file"))]
    source: String,
}

/// Whole dollars, or dollars with cents; kept in cents.
#[derive(Clone, Copy, Debug)]
struct Dollars(u32);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(from)?;
        let text = format!("{dollars:.2}");
        super::import::cents(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "expected dollars from 0 to {}, such as 350 or 62.50",
                PRICE_MAX_CENTS / 100
            ))
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Day(Date);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        civil::read(&text).map(Self).ok_or_else(|| serde::de::Error::custom("expected a date such as \"2027-06-30\""))
    }
}

/// What is assumed: the shipped file, and what the data folder's own says instead.
///
/// # Errors
/// When the folder's file can't be read or is not understood: which line, and what was expected.
pub fn load(data: &Path) -> Result<Table, ConfigError> {
    let mut table = Table::default();
    lay_over(&mut table, parse(Path::new("assumed.toml"), SHIPPED)?);
    let path = data.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => lay_over(&mut table, parse(&path, &text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(ConfigError::Read { path, source }),
    }
    Ok(table)
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| parse_error(path, text, &error))?;
    let wrong = |key: &'static str, value: String, expected: &'static str| ConfigError::Value {
        path: path.into(),
        key,
        value,
        expected,
    };
    if file.format != FORMAT {
        return Err(wrong("format", file.format.to_string(), "1"));
    }
    if [file.class.len(), file.repair.len(), file.system.len()].into_iter().any(|count| count > ENTRIES_MAX) {
        return Err(wrong("entries", "too many".into(), "at most 1000 of each kind"));
    }
    if let Some(entry) = file.class.iter().find(|entry| !(1..=PLANNED_YEARS_MAX).contains(&entry.years.unwrap_or(1))) {
        return Err(wrong("class.years", entry.years.unwrap_or(0).to_string(), "a number from 1 to 30"));
    }
    if let Some(entry) = file.repair.iter().find(|entry| entry.minutes > MINUTES_MAX || entry.category.is_empty()) {
        return Err(wrong("repair", entry.category.clone(), "a category, and at most 10000 minutes"));
    }
    if let Some(entry) = file.system.iter().find(|entry| entry.name.is_empty()) {
        return Err(wrong("system.name", entry.version.clone(), "how the system's name begins"));
    }
    Ok(file)
}

fn lay_over(table: &mut Table, file: File) {
    table.as_of = file.as_of.map(|day| day.0).or(table.as_of);
    table.labor_cents_per_hour = file.labor_per_hour.map_or(table.labor_cents_per_hour, |labor| labor.0);
    for entry in file.class {
        let ClassEntry { class, years, price, erate, source: _ } = entry;
        let life = ClassLife { years, price_cents: price.map(|price| price.0), erate };
        table.classes.insert(class, life);
    }
    for entry in file.repair {
        let RepairEntry { category, part, price, minutes, source: _ } = entry;
        table.repairs.insert(category, PartCost { part, cents: price.0, minutes });
    }
    let ends = file.system.into_iter().map(|entry| {
        let SystemEntry { name, editions, version, ends, source: _ } = entry;
        OsEnd { name, editions, version, ends: ends.0 }
    });
    let mut systems: Vec<OsEnd> = ends.collect();
    let same = |one: &OsEnd, other: &OsEnd| {
        (&one.name, &one.editions, &one.version) == (&other.name, &other.editions, &other.version)
    };
    // The later file's come first: the first that fits counts.
    let before = std::mem::take(&mut table.systems);
    let kept: Vec<OsEnd> = before.into_iter().filter(|old| !systems.iter().any(|new| same(old, new))).collect();
    systems.extend(kept);
    table.systems = systems;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    fn shipped() -> File {
        parse(Path::new("assumed.toml"), SHIPPED).unwrap()
    }

    #[test]
    fn every_shipped_number_has_a_source() {
        let file = shipped();
        let sources = file.class.iter().map(|entry| &entry.source);
        let sources = sources.chain(file.repair.iter().map(|entry| &entry.source));
        for source in sources.chain(file.system.iter().map(|entry| &entry.source)) {
            assert!(!source.is_empty());
        }
    }

    #[test]
    fn microsoft_ends_support_on_tuesdays() {
        for system in shipped().system.iter().filter(|system| system.name.starts_with("Windows")) {
            // 1970-01-01 was a Thursday.
            assert_eq!((system.ends.0.0 + 3).rem_euclid(7), 1, "{} {}", system.name, system.version);
        }
    }

    #[test]
    fn every_part_is_of_a_category_that_a_shipped_rule_has() {
        let rules = rules::load(Path::new("/nonexistent")).unwrap();
        for repair in shipped().repair {
            assert!(rules.rules.iter().any(|rule| rule.category == repair.category), "{}", repair.category);
        }
    }

    #[test]
    fn the_folders_own_file_stands_above_the_shipped_one() {
        let folder = tempfile::tempdir().unwrap();
        let plain = load(folder.path()).unwrap();
        let text = "format = 1\nlabor_per_hour = 42.5\n[[class]]\nclass = \"laptop\"\nyears = 6\nprice = 299.99\n\
                    [[system]]\nname = \"Windows 10\"\nends = \"2026-10-13\"\n";
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let own = load(folder.path()).unwrap();
        assert_eq!(own.labor_cents_per_hour, 4_250);
        assert_eq!(own.classes[&Class::Laptop], ClassLife { years: Some(6), price_cents: Some(29_999), erate: false });
        assert_eq!(own.classes[&Class::Switch], plain.classes[&Class::Switch]);
        assert_eq!(own.os_end("Windows 10 Pro", "22H2"), civil::read("2026-10-13"));
        assert_eq!(plain.os_end("Windows 10 Pro", "22H2"), civil::read("2025-10-14"));
        assert_eq!(plain.os_end("Windows 10 Enterprise LTSC 2021", "21H2"), civil::read("2027-01-12"));
        assert_eq!(plain.os_end("Windows 11 Education", "24H2"), civil::read("2027-10-12"));
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_line() {
        for (text, said) in [
            ("format = 2\n", "expected 1"),
            ("format = 1\n[[class]]\nclass = \"tablet\"\n", "tablet"),
            ("format = 1\n[[class]]\nclass = \"laptop\"\nyears = 99\n", "a number from 1 to 30"),
            ("format = 1\n[[class]]\nclass = \"laptop\"\nprice = -3\n", "expected dollars"),
            ("format = 1\n[[system]]\nname = \"x\"\nends = \"soon\"\n", "expected a date"),
            ("format = 1\nlabour = 3\n", "labour"),
        ] {
            let error = crate::health::chain(&parse(Path::new("life.toml"), text).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
