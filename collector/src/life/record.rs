//! Facts and assumptions as the journal holds them, and back.

use bellwether_logic::calendar::Date;
use bellwether_logic::life::{ClassLife, Facts, Known, OsEnd, PartCost, Subject, Table};
use bellwether_proto::record::v1::{self as wire, LifeEntry, LifeFacts, LifeFactsSet, LifeTableSet};

use crate::figures;

/// An entry as the deciders know it; none if it is about nothing.
#[must_use]
pub fn entry(entry: &LifeEntry) -> Option<(Subject, Facts)> {
    let subject = match (entry.device_id.as_str(), entry.model.as_str()) {
        ("", "") => return None,
        ("", model) => Subject::Model(model.to_owned()),
        (device, _) => Subject::Device(device.to_owned()),
    };
    let facts = entry.facts.clone().unwrap_or_default();
    let facts = Facts {
        purchased: facts.purchased.map(Date),
        price_cents: facts.price_cents,
        fund: facts.fund,
        warranty_ends: facts.warranty_ends.map(Date),
        planned_years: facts.planned_years.and_then(|years| u8::try_from(years).ok()),
        updates_end: facts.updates_end.map(Date),
        vendor_repairs: facts.vendor_repairs,
        erate: facts.erate,
    };
    Some((subject, facts))
}

/// The entry that says it.
#[must_use]
pub fn record_entry(subject: &Subject, facts: &Facts) -> LifeEntry {
    let (device_id, model) = match subject {
        Subject::Device(device) => (device.clone(), String::new()),
        Subject::Model(model) => (String::new(), model.clone()),
    };
    let facts = LifeFacts {
        purchased: facts.purchased.map(|date| date.0),
        price_cents: facts.price_cents,
        fund: facts.fund.clone(),
        warranty_ends: facts.warranty_ends.map(|date| date.0),
        planned_years: facts.planned_years.map(u32::from),
        updates_end: facts.updates_end.map(|date| date.0),
        vendor_repairs: facts.vendor_repairs,
        erate: facts.erate,
    };
    LifeEntry { device_id, model, facts: Some(facts) }
}

/// What a record says to the deciders.
#[must_use]
pub fn known_facts(set: &LifeFactsSet) -> Known {
    Known::Facts(set.entries.iter().filter_map(entry).collect())
}

/// What a record says to the deciders. A class that this version does not know is left out.
#[must_use]
pub fn known_table(set: &LifeTableSet) -> Known {
    let class = |class: &wire::ClassLife| {
        let years = class.years.and_then(|years| u8::try_from(years).ok());
        let life = ClassLife { years, price_cents: class.price_cents, erate: class.erate };
        let word = class.class.parse();
        if word.is_err() {
            figures::refused("unknown_word");
        }
        Some((word.ok()?, life))
    };
    let system = |end: &wire::SystemEnd| OsEnd {
        name: end.name.clone(),
        editions: end.editions.clone(),
        version: end.version.clone(),
        ends: Date(end.ends),
    };
    let repair = |repair: &wire::RepairCost| {
        let cost = PartCost { part: repair.part.clone(), cents: repair.cents, minutes: repair.minutes };
        (repair.category.clone(), cost)
    };
    Known::Table(Table {
        as_of: set.as_of.map(Date),
        labor_cents_per_hour: set.labor_cents_per_hour,
        classes: set.classes.iter().filter_map(class).collect(),
        systems: set.systems.iter().map(system).collect(),
        repairs: set.repairs.iter().map(repair).collect(),
    })
}

/// The record that says it.
#[must_use]
pub fn record_table(table: &Table) -> LifeTableSet {
    let class = |(class, life): (&bellwether_logic::device::Class, &ClassLife)| wire::ClassLife {
        class: class.to_string(),
        years: life.years.map(u32::from),
        price_cents: life.price_cents,
        erate: life.erate,
    };
    let system = |end: &OsEnd| wire::SystemEnd {
        name: end.name.clone(),
        editions: end.editions.clone(),
        version: end.version.clone(),
        ends: end.ends.0,
    };
    let repair = |(category, cost): (&String, &PartCost)| wire::RepairCost {
        category: category.clone(),
        part: cost.part.clone(),
        cents: cost.cents,
        minutes: cost.minutes,
    };
    LifeTableSet {
        as_of: table.as_of.map(|date| date.0),
        labor_cents_per_hour: table.labor_cents_per_hour,
        classes: table.classes.iter().map(class).collect(),
        systems: table.systems.iter().map(system).collect(),
        repairs: table.repairs.iter().map(repair).collect(),
    }
}
