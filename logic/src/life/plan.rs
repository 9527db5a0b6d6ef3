//! What has to be bought when: five years by budget year.
//!
//! Each device that is in use stands in exactly one place: a budget year, later, or where its age is not known. What is only
//! assumed says so. A worn battery in a device that has life left is an expense of its own, now, instead of a device.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Facts, LEMON_REPAIRS, Repairs, Table, civil, dollars};
use crate::calendar::Date;
use crate::device::{Class, LifeState, words};

/// The month with which a budget year begins: July, as in most states.
pub const FIRST_MONTH: u8 = 7;

/// Budget years that are planned: E-rate's cycle and most technology plans have five.
pub const YEARS: u8 = 5;

/// The most years that can be asked for.
pub const YEARS_MAX: u8 = 15;

/// A battery that holds less than this of what it held when new, in percent, is worn: Intune's band of the most affected.
pub const BATTERY_WORN_PERCENT: u8 = 60;

/// A device that has no more days than this left gets no new battery. The same year that the battery rules' runbook says.
pub const BATTERY_LIFE_DAYS_MIN: i32 = 365;

/// The category of faults by which the table knows the price of a battery.
pub const BATTERY: &str = "battery";

/// How budget years run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The month with which one begins, from 1.
    pub first_month: u8,
    /// How many are planned.
    pub years: u8,
}

impl Default for Budget {
    fn default() -> Self {
        Self { first_month: FIRST_MONTH, years: YEARS }
    }
}

impl Budget {
    /// The budget year of a day, by the calendar year in which it begins.
    #[must_use]
    pub fn year_of(self, day: Date) -> i32 {
        let (year, month, _) = civil::civil(day);
        if month >= self.first_month { year } else { year - 1 }
    }

    /// The year as budgets write it, such as `2026-27`.
    #[must_use]
    pub fn label(self, year: i32) -> String {
        if self.first_month == 1 { format!("{year}") } else { format!("{year}-{:02}", (year + 1).rem_euclid(100)) }
    }
}

/// A device, as far as the plan needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: Class,
    /// Where it stands in its life.
    pub state: LifeState,
    /// The building.
    pub site: String,
    /// The room.
    pub room: String,
    /// Maker and model.
    pub model: String,
    /// What is known of it and its model.
    pub facts: Facts,
    /// What its battery holds of what it held when new.
    pub battery_percent: Option<u8>,
    /// Its operating system and the end of that's support.
    pub os: Option<(String, Date)>,
    /// Its repairs within a year.
    pub repairs: Repairs,
}

/// When a device is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// In the budget year that begins in this calendar year. What is overdue stands in the first.
    Year(i32),
    /// After the last year that is planned.
    Later,
    /// Its age is not known.
    Unknown,
}

words! {
    /// Why a device is due.
    Because, "reason" {
        /// It was repaired again and again.
        Lemon = "lemon",
        /// Its maker's updates end.
        Updates = "updates end",
        /// Its planned life ends.
        Planned = "planned life",
        /// Nothing is known by which it could be said.
        Nothing = "no purchase date",
    }
}

words! {
    /// What is assumed from the class.
    Assumed, "assumption" {
        /// How long it serves.
        Years = "planned life",
        /// What a new one costs.
        Price = "price",
        /// Whether E-rate pays.
        Erate = "E-rate",
    }
}

/// One device's line of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The device.
    pub item: Item,
    /// When.
    pub slot: Slot,
    /// The day on which it is due; a day that is past: it is overdue.
    pub due: Option<Date>,
    /// Why.
    pub because: Because,
    /// What a new one costs, in cents, if that is known or assumed.
    pub price_cents: Option<u32>,
    /// What a new battery costs now, in cents, if that is to be bought instead of a device.
    pub battery_cents: Option<u32>,
    /// Whether E-rate may pay a part.
    pub erate: bool,
    /// What is only assumed from its class.
    pub assumed: Vec<Assumed>,
}

impl Line {
    /// Whether it was due before that day.
    #[must_use]
    pub fn is_overdue(&self, today: Date) -> bool {
        self.due.is_some_and(|due| due < today)
    }

    /// Remarks for people.
    #[must_use]
    pub fn remarks(&self, today: Date) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(cents) = self.battery_cents {
            let holds = self.item.battery_percent.unwrap_or(0);
            all.push(format!("Replace the battery instead: it holds {holds}%, about {}", dollars(cents.into())));
        }
        if let Some((name, end)) = self.item.os.as_ref().filter(|(_, end)| *end < today) {
            all.push(format!("{name} has had no updates since {}", civil::shown(*end)));
        }
        let Repairs { count, cost_cents } = self.item.repairs;
        if count > 0 {
            let times = if count == 1 { "repair" } else { "repairs" };
            all.push(format!("{count} {times} within 12 months, {}", dollars(cost_cents)));
        }
        if !self.assumed.is_empty() {
            let words: Vec<&str> = self.assumed.iter().map(|assumed| assumed.as_str()).collect();
            all.push(format!("Assumed from class: {}", words.join(", ")));
        }
        all
    }
}

/// Whether a device of this state is planned for: what is in storage, lost or retired is not replaced, and a spare is not
/// either.
#[must_use]
pub const fn is_planned_for(state: LifeState) -> bool {
    matches!(state, LifeState::InUse | LifeState::Loaner | LifeState::InRepair)
}

/// The plan: a line for each device that is planned for, in the order of `items`.
#[must_use]
pub fn forecast(today: Date, items: Vec<Item>, table: &Table, budget: Budget) -> Vec<Line> {
    let planned = items.into_iter().filter(|item| is_planned_for(item.state));
    planned.map(|item| line(today, item, table, budget)).collect()
}

fn line(today: Date, item: Item, table: &Table, budget: Budget) -> Line {
    let class = table.classes.get(&item.class).copied().unwrap_or_default();
    let facts = &item.facts;
    let mut assumed = Vec::new();
    let years = facts.planned_years.or(class.years);
    let ends = facts.purchased.zip(years).map(|(bought, years)| civil::years_later(bought, years));
    let (due, because) = match (item.repairs.count >= LEMON_REPAIRS, facts.updates_end, ends) {
        (true, ..) => (Some(today), Because::Lemon),
        (_, Some(updates), Some(ends)) if updates <= ends => (Some(updates), Because::Updates),
        (_, _, Some(ends)) => (Some(ends), Because::Planned),
        (_, Some(updates), None) => (Some(updates), Because::Updates),
        (_, None, None) => (None, Because::Nothing),
    };
    if because == Because::Planned && facts.planned_years.is_none() {
        assumed.push(Assumed::Years);
    }
    let price_cents = facts.price_cents.or(class.price_cents);
    if facts.price_cents.is_none() && price_cents.is_some() {
        assumed.push(Assumed::Price);
    }
    let erate = facts.erate.unwrap_or(class.erate);
    if facts.erate.is_none() && erate {
        assumed.push(Assumed::Erate);
    }
    let slot = slot(today, due, budget);
    let worn = item.battery_percent.is_some_and(|percent| percent < BATTERY_WORN_PERCENT);
    let has_life = due.is_some_and(|due| due.0.saturating_sub(today.0) > BATTERY_LIFE_DAYS_MIN);
    let battery = table.repairs.get(BATTERY).filter(|_| worn && has_life);
    let battery_cents = battery.map(|battery| table.repair_cents(battery));
    Line { slot, due, because, price_cents, battery_cents, erate, assumed, item }
}

fn slot(today: Date, due: Option<Date>, budget: Budget) -> Slot {
    let Some(due) = due else { return Slot::Unknown };
    let first = budget.year_of(today);
    let year = budget.year_of(due).max(first);
    if year >= first + i32::from(budget.years) { Slot::Later } else { Slot::Year(year) }
}

/// What a group of devices comes to in one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Devices to replace.
    pub devices: u64,
    /// Those that are overdue.
    pub overdue: u64,
    /// What they cost, in cents, as far as prices are known or assumed.
    pub cost_cents: u64,
    /// Those of which no price is known.
    pub unpriced: u64,
    /// What of the cost E-rate may pay a part of.
    pub erate_cents: u64,
    /// Batteries to replace now.
    pub batteries: u64,
    /// What they cost, in cents.
    pub battery_cents: u64,
}

impl Total {
    fn add(&mut self, line: &Line, today: Date) {
        self.devices += 1;
        self.overdue += u64::from(line.is_overdue(today));
        match line.price_cents {
            Some(cents) => {
                self.cost_cents += u64::from(cents);
                self.erate_cents += if line.erate { u64::from(cents) } else { 0 };
            }
            None => self.unpriced += 1,
        }
    }
}

/// By what the plan is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Everything in one.
    All,
    /// Each building.
    Site,
    /// Each model.
    Model,
    /// Each fund.
    Fund,
    /// Each class.
    Class,
}

impl By {
    fn key(self, line: &Line) -> String {
        match self {
            Self::All => String::new(),
            Self::Site => line.item.site.clone(),
            Self::Model => line.item.model.clone(),
            Self::Fund => line.item.facts.fund.clone(),
            Self::Class => line.item.class.as_str().into(),
        }
    }
}

/// Sums for each group, and in each for each slot. Batteries stand in the first budget year, which is now.
#[must_use]
pub fn totals(today: Date, lines: &[Line], by: By, budget: Budget) -> BTreeMap<String, BTreeMap<Slot, Total>> {
    let mut groups: BTreeMap<String, BTreeMap<Slot, Total>> = BTreeMap::new();
    let now = Slot::Year(budget.year_of(today));
    for line in lines {
        let group = groups.entry(by.key(line)).or_default();
        group.entry(line.slot).or_default().add(line, today);
        if let Some(cents) = line.battery_cents {
            let total = group.entry(now).or_default();
            total.batteries += 1;
            total.battery_cents += u64::from(cents);
        }
    }
    groups
}

#[cfg(test)]
mod tests;
