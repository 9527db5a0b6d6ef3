//! The plan of purchases as pages, programs and spreadsheets get it.

use std::collections::BTreeMap;

use bellwether_logic::calendar::Date;
use bellwether_logic::device::make;
use bellwether_logic::life::plan::{Budget, Item, Line, Slot, forecast};
use bellwether_logic::life::{Known, LEMON_DAYS, Repairs, Seen, Table, civil, repair_of};
use bellwether_logic::tickets::What;
use bellwether_logic::time::Timestamp;

use super::known_table;
use crate::state::devices::{DeviceRow, PAGE_MAX};
use crate::state::life::AllFacts;
use crate::state::{State, StateError};

/// Devices of one plan: as many as are watched.
const DEVICES_MAX: usize = bellwether_logic::engine::DEVICES_MAX;

/// A day, in ms.
const DAY_MS: i64 = 86_400_000;

/// The plan as it is today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The day.
    pub today: Date,
    /// How budget years run.
    pub budget: Budget,
    /// What is assumed.
    pub table: Table,
    /// A line for each device, by building, then by name.
    pub lines: Vec<Line>,
}

/// Which lines are asked for. What is none is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// This building.
    pub site: Option<String>,
    /// This model.
    pub model: Option<String>,
    /// This fund.
    pub fund: Option<String>,
    /// This place, as [`slot_word`] names it.
    pub year: Option<String>,
}

impl Filter {
    /// Whether a line is asked for.
    #[must_use]
    pub fn takes(&self, line: &Line) -> bool {
        let is = |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|asked| asked == found);
        is(&self.site, &line.item.site)
            && is(&self.model, &line.item.model)
            && is(&self.fund, &line.item.facts.fund)
            && is(&self.year, &slot_word(line.slot))
    }
}

/// A place of the plan in addresses: the calendar year in which a budget year begins, `later` or `unknown`.
#[must_use]
pub fn slot_word(slot: Slot) -> String {
    match slot {
        Slot::Year(year) => year.to_string(),
        Slot::Later => "later".into(),
        Slot::Unknown => "unknown".into(),
    }
}

/// The same for people.
#[must_use]
pub fn slot_label(slot: Slot, budget: Budget) -> String {
    match slot {
        Slot::Year(year) => budget.label(year),
        Slot::Later => "Later".into(),
        Slot::Unknown => "No purchase date".into(),
    }
}

impl Plan {
    /// Makes the plan of what is known. Blocks.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read(state: &State, now: Timestamp, budget: Budget) -> Result<Self, StateError> {
        let today = civil::day_of(now);
        let table = table(state)?;
        let (facts, told) = (state.life_facts()?, state.life_told()?);
        let repairs = repairs(state, &table, today, "")?;
        let item = |device: DeviceRow| {
            let (seen, repairs) = (told.get(&device.id), repairs.get(&device.id));
            item(device, &facts, seen, repairs, &table)
        };
        let items = all_devices(state)?.into_iter().map(item).collect();
        let mut lines = forecast(today, items, &table, budget);
        lines.sort_by(|one, other| {
            (&one.item.site, one.slot, &one.item.name).cmp(&(&other.item.site, other.slot, &other.item.name))
        });
        Ok(Self { today, budget, table, lines })
    }

    /// The plan of one device alone. Blocks.
    ///
    /// # Errors
    /// When the database fails.
    pub fn of_device(state: &State, now: Timestamp, budget: Budget, device: DeviceRow) -> Result<Self, StateError> {
        let today = civil::day_of(now);
        let table = table(state)?;
        let facts = state.life_facts_of(&device.id, &make(&device.vendor, &device.model))?;
        let seen = state.life_told_of(&device.id)?;
        let repairs = repairs(state, &table, today, &device.id)?;
        let repaired = repairs.get(&device.id).copied();
        let items = vec![item(device, &facts, seen.as_ref(), repaired.as_ref(), &table)];
        let lines = forecast(today, items, &table, budget);
        Ok(Self { today, budget, table, lines })
    }

    /// The lines that are asked for.
    pub fn filtered<'plan>(&'plan self, filter: &'plan Filter) -> impl Iterator<Item = &'plan Line> {
        self.lines.iter().filter(|line| filter.takes(line))
    }

    /// The places of the plan, in order.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        let first = self.budget.year_of(self.today);
        let years = (first..first + i32::from(self.budget.years)).map(Slot::Year);
        years.chain([Slot::Later, Slot::Unknown]).collect()
    }

    /// The lines that are asked for, for a spreadsheet. No cell of it is taken for a formula.
    #[must_use]
    pub fn csv(&self, filter: &Filter) -> String {
        let mut rows = vec![row(HEAD.map(String::from))];
        rows.extend(self.filtered(filter).map(|line| row(self.cells(line))));
        rows.concat()
    }

    fn cells(&self, line: &Line) -> [String; HEAD.len()] {
        let item = &line.item;
        let money =
            |cents: Option<u64>| cents.map(|cents| format!("{}.{:02}", cents / 100, cents % 100)).unwrap_or_default();
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let assumed: Vec<&str> = line.assumed.iter().map(|assumed| assumed.as_str()).collect();
        [
            slot_label(line.slot, self.budget),
            line.due.map(civil::shown).unwrap_or_default(),
            yes(line.is_overdue(self.today)),
            line.because.to_string(),
            item.site.clone(),
            item.room.clone(),
            item.name.clone(),
            item.class.to_string(),
            item.model.clone(),
            item.facts.fund.clone(),
            money(line.price_cents.map(u64::from)),
            yes(line.erate),
            yes(line.battery_cents.is_some()),
            money(line.battery_cents.map(u64::from)),
            item.battery_percent.map(|percent| percent.to_string()).unwrap_or_default(),
            item.repairs.count.to_string(),
            money(Some(item.repairs.cost_cents)),
            item.facts.purchased.map(civil::shown).unwrap_or_default(),
            item.facts.warranty_ends.map(civil::shown).unwrap_or_default(),
            item.os.as_ref().map(|(name, end)| format!("{name} until {}", civil::shown(*end))).unwrap_or_default(),
            assumed.join(", "),
        ]
    }
}

/// The first line of the spreadsheet.
const HEAD: [&str; 21] = [
    "Budget year",
    "Due",
    "Overdue",
    "Because",
    "Building",
    "Room",
    "Device",
    "Class",
    "Model",
    "Fund",
    "Price",
    "E-rate",
    "Replace the battery instead",
    "Battery cost",
    "Battery holds %",
    "Repairs in 12 months",
    "Repair cost in 12 months",
    "Bought",
    "Warranty until",
    "OS support",
    "Assumed from class",
];

/// One line. A cell that a spreadsheet would take for a formula is text there by the apostrophe before it.
fn row(cells: [String; HEAD.len()]) -> String {
    let cell = |text: String| {
        let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text };
        let quotes = text.contains([',', '"', '\n', '\r', ';', '\t']);
        if quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.map(cell).join(",") + "\r\n"
}

/// What is assumed, as it was recorded.
fn table(state: &State) -> Result<Table, StateError> {
    Ok(match state.life_table()?.as_ref().map(known_table) {
        Some(Known::Table(table)) => table,
        _ => Table::default(),
    })
}

fn item(device: DeviceRow, facts: &AllFacts, seen: Option<&Seen>, repairs: Option<&Repairs>, table: &Table) -> Item {
    let model = make(&device.vendor, &device.model);
    Item {
        facts: facts.of(&device.id, &model),
        battery_percent: seen.and_then(|seen| seen.battery_percent),
        os: seen.and_then(|seen| Some((seen.os_text(), table.os_end(&seen.os, &seen.os_version)?))),
        repairs: repairs.copied().unwrap_or_default(),
        device: device.id,
        name: device.name,
        class: device.class,
        state: device.state,
        site: device.site,
        room: device.room,
        model,
    }
}

/// All devices, a page at a time.
pub(crate) fn all_devices(state: &State) -> Result<Vec<DeviceRow>, StateError> {
    let mut all = Vec::new();
    loop {
        let page = state.devices(PAGE_MAX, u32::try_from(all.len()).unwrap_or(u32::MAX))?;
        let is_last = page.len() < PAGE_MAX as usize;
        all.extend(page);
        if is_last || all.len() >= DEVICES_MAX {
            return Ok(all);
        }
    }
}

/// What repairs came to within a year, by device; of one alone unless it is empty.
fn repairs(state: &State, table: &Table, today: Date, device: &str) -> Result<BTreeMap<String, Repairs>, StateError> {
    let since = Timestamp(i64::from(today.0 - LEMON_DAYS) * DAY_MS);
    let mut all: BTreeMap<String, Repairs> = BTreeMap::new();
    for (ticket, event) in state.closings(since, device)? {
        let What::Closed { note } = &event.what else { continue };
        if let Some(repair) = repair_of(table, &ticket, note, event.at) {
            let sum = all.entry(ticket.device).or_default();
            sum.count += 1;
            sum.cost_cents += u64::from(repair.cost_cents);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_taken_for_a_formula() {
        let mut cells = HEAD.map(String::from);
        cells[0] = "=HYPERLINK(\"http://evil.example\")".into();
        cells[1] = "+1".into();
        cells[2] = "-1".into();
        cells[3] = "@SUM(A1)".into();
        cells[4] = "Lincoln, \"old\" wing".into();
        let line = row(cells);
        let begin =
            "\"'=HYPERLINK(\"\"http://evil.example\"\")\",'+1,'-1,'@SUM(A1),\"Lincoln, \"\"old\"\" wing\",Room,";
        assert!(line.starts_with(begin), "{line}");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let read = reader.records().next().unwrap().unwrap();
        assert_eq!((read.len(), &read[4]), (HEAD.len(), "Lincoln, \"old\" wing"));
    }
}
