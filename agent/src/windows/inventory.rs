//! What the machine is made of, as the firmware's tables say, by Windows Management Instrumentation.

use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Row, number, text};
use super::smart;
use crate::hardware::meaningful;
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};
use crate::source::Source;

/// The source whose place this takes.
pub(super) const NAME: &str = "inventory";

const SYSTEM: &str = r"ROOT\CIMV2";

/// What Windows Management Instrumentation tells costs its service far more work than anything else here, and hardly
/// changes while a machine is on. The cards, which the system tells for nothing, are looked at each time.
const ASKED_APART: Duration = Duration::from_secs(6 * 3_600);

/// Disks, cards and modules of one machine, each.
const MAX_PARTS: usize = 64;

type Told = (&'static str, Option<Value>);

/// Keeps what was costly to ask.
pub(super) struct Inventory<F> {
    facts: F,
    /// The uptime at which it was asked, and what was answered.
    kept: Option<(Duration, Vec<Sample>)>,
}

impl<F> Inventory<F> {
    pub(super) const fn new(facts: F) -> Self {
        Self { facts, kept: None }
    }
}

impl<F: Facts> Source for Inventory<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let now = self.facts.uptime();
        let mut reading = match &self.kept {
            Some((asked, samples)) if now.saturating_sub(*asked) < ASKED_APART => {
                let samples = samples.iter().map(|sample| Sample { time, ..sample.clone() }).collect();
                Reading { samples, problems: Vec::new() }
            }
            _ => self.ask(now, time),
        };
        add(&mut reading, cards(&self.facts, time));
        reading
    }
}

impl<F: Facts> Inventory<F> {
    /// What could not be told is asked again with the next look.
    fn ask(&mut self, now: Duration, time: Timestamp) -> Reading {
        let mut reading = Reading::default();
        for part in [device, cpu, memory, disks] {
            add(&mut reading, part(&self.facts, time));
        }
        self.kept = reading.problems.is_empty().then(|| (now, reading.samples.clone()));
        reading
    }
}

fn add(reading: &mut Reading, part: Result<Vec<Sample>, Problem>) {
    match part {
        Ok(samples) => reading.samples.extend(samples),
        // What the firmware does not tell is nothing wrong.
        Err(problem) if problem.kind == ProblemKind::NothingHere => {}
        Err(problem) => reading.problems.push(problem),
    }
}

fn row(
    measurement: &'static str,
    tags: Vec<(&'static str, String)>,
    time: Timestamp,
    told: Vec<Told>,
) -> Option<Sample> {
    let fields: Vec<_> = told.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    (!fields.is_empty()).then(|| sample(measurement, tags, time, fields))
}

/// A word that means something.
fn word(row: &Row, property: &str) -> Option<Value> {
    meaningful(text(row, property)?).map(Value::Text)
}

fn device(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let first = |class, properties| facts.rows(SYSTEM, class, properties).map(|rows| rows.into_iter().next());
    let product = first("Win32_ComputerSystemProduct", "IdentifyingNumber, Name, Vendor")?.unwrap_or_default();
    let case = first("Win32_SystemEnclosure", "SMBIOSAssetTag")?.unwrap_or_default();
    let board = first("Win32_BaseBoard", "Product")?.unwrap_or_default();
    let told = vec![
        ("asset_tag", word(&case, "SMBIOSAssetTag")),
        ("board", word(&board, "Product")),
        ("make", word(&product, "Vendor")),
        ("model", word(&product, "Name")),
        ("serial", word(&product, "IdentifyingNumber")),
    ];
    Ok(row("inventory_device", Vec::new(), time, told).into_iter().collect())
}

fn cpu(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let sockets = facts.rows(SYSTEM, "Win32_Processor", "Name, NumberOfCores, NumberOfLogicalProcessors")?;
    let sum = |property: &str| {
        let numbers: Vec<u64> = sockets.iter().filter_map(|socket| number(socket, property)).collect();
        (!numbers.is_empty()).then(|| integer(numbers.iter().fold(0, |sum, number| sum.saturating_add(*number))))
    };
    let told = vec![
        ("cores", sum("NumberOfCores")),
        ("model", sockets.first().and_then(|socket| word(socket, "Name"))),
        ("threads", sum("NumberOfLogicalProcessors")),
    ];
    Ok(row("inventory_cpu", Vec::new(), time, told).into_iter().collect())
}

/// Empty slots have no instance.
fn memory(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let modules = facts.rows(SYSTEM, "Win32_PhysicalMemory", "Capacity, Manufacturer, PartNumber, Speed")?;
    let rows = modules.iter().take(MAX_PARTS).enumerate().filter_map(|(place, module)| {
        let told = vec![
            ("make", word(module, "Manufacturer")),
            ("part", word(module, "PartNumber")),
            ("size_bytes", number(module, "Capacity").map(integer)),
            ("speed_mts", number(module, "Speed").filter(|speed| *speed > 0).map(integer)),
        ];
        row("inventory_memory", vec![("slot", (place + 1).to_string())], time, told)
    });
    Ok(rows.collect())
}

fn disks(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    /// `MediaType`: turns, does not.
    const MEDIA: [(u64, bool); 2] = [(3, true), (4, false)];
    let disks = smart::disks(facts)?;
    let rows = disks.iter().take(MAX_PARTS).filter_map(|disk| {
        let media = number(disk, "MediaType");
        let rotational = MEDIA.iter().find(|(kind, _)| Some(*kind) == media).map(|(_, turns)| Value::Boolean(*turns));
        let told = vec![
            ("model", word(disk, "FriendlyName")),
            ("rotational", rotational),
            ("serial", smart::serial(disk).and_then(meaningful).map(Value::Text)),
            ("size_bytes", number(disk, "Size").map(integer)),
        ];
        row("inventory_disk", vec![("device", smart::name(disk)?)], time, told)
    });
    Ok(rows.collect())
}

fn cards(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    /// As assigned by IANA.
    const WIRELESS: u32 = 71;
    let mut cards = facts.cards()?;
    cards.retain(|card| card.hardware && !card.filter && is_universal(&card.address));
    cards.sort_by(|one, other| one.address.cmp(&other.address));
    cards.dedup_by(|one, other| one.address == other.address);
    let rows = cards.iter().take(MAX_PARTS).filter_map(|card| {
        let told = vec![
            ("driver", meaningful(card.description.clone()).map(Value::Text)),
            ("wireless", Some(Value::Boolean(card.kind == WIRELESS))),
        ];
        row("inventory_nic", vec![("mac", card.address.clone())], time, told)
    });
    Ok(rows.collect())
}

/// Six bytes, of one card, given by a maker: made-up addresses tell nothing.
fn is_universal(address: &str) -> bool {
    let bytes: Vec<u8> = address.split(':').map_while(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.len() == 6 && bytes[0] & 0b11 == 0 && bytes.iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::recorded::Recorded;
    use super::*;

    fn machine(case: &str) -> Recorded {
        Recorded::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/windows").join(case))
    }

    #[test]
    fn what_is_costly_to_ask_is_kept_for_hours_while_the_cards_are_looked_at_each_time() {
        let laptop = || machine("a_laptop_in_order");
        let mut first = Inventory::new(laptop());
        let all = first.read(Timestamp(1)).samples;
        let mut soon = Inventory { facts: machine("nothing_is_answered"), kept: first.kept };
        let kept = soon.read(Timestamp(2)).samples;
        let expected: Vec<Sample> = all
            .iter()
            .filter(|sample| sample.measurement != "inventory_nic")
            .map(|sample| Sample { time: Timestamp(2), ..sample.clone() })
            .collect();
        assert_eq!(kept, expected);
        assert!(kept.len() < all.len());
        let mut later = Inventory { facts: laptop(), kept: Some((Duration::ZERO, Vec::new())) };
        assert!(later.facts.uptime() >= ASKED_APART);
        assert_eq!(later.read(Timestamp(1)).samples, all);
    }
}
