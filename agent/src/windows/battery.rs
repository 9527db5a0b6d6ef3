//! How the batteries are, as their miniport drivers tell Windows Management Instrumentation.
//!
//! | class of `ROOT\WMI` | what |
//! | --- | --- |
//! | `BatteryStaticData` | the charge that it was made for |
//! | `BatteryFullChargedCapacity` | the charge that it takes now |
//! | `BatteryStatus` | the charge that it has, its voltage, what it does |
//! | `BatteryCycleCount` | full charges so far |
//!
//! They are joined by `InstanceName`; which pack is which number follows from the order of these names. Sums over packs
//! are made by whoever asks, before dividing. A gauge says strange things: what cannot be is left out, never guessed.

use std::collections::BTreeMap;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Row, flag, number, text};
use crate::reading::{Problem, ProblemKind, Reading, percent, sample, share};

const NAMESPACE: &str = r"ROOT\WMI";

/// More packs than any laptop has.
const MAX_PACKS: usize = 8;

/// A new pack may hold somewhat more than it promises; beyond this one of the two numbers is garbage.
const MAX_WEAR: f64 = 150.0;

/// Below this a pack would be dead, and its gauge has only forgotten what a full charge is.
const MIN_WEAR: f64 = 1.0;

/// In mWh. The largest pack of a laptop has 100 Wh, because airlines allow no more.
const CAPACITY: std::ops::RangeInclusive<u64> = 1_000..=500_000;

/// Charges that no pack survives; gauges that do not count say 0 or 65535.
const CYCLES: std::ops::RangeInclusive<u64> = 1..=20_000;

/// In mV, from one cell to the packs of a mobile workstation.
const VOLTAGE: std::ops::RangeInclusive<u64> = 1_000..=60_000;

/// What is known of one pack.
#[derive(Default)]
struct Pack {
    design_mwh: Option<u64>,
    full_mwh: Option<u64>,
    cycles: Option<u64>,
    status: Option<Row>,
}

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let (packs, problems) = packs(facts);
    let mut samples: Vec<Sample> = Vec::new();
    for (number, pack) in packs.values().take(MAX_PACKS).enumerate() {
        let fields = pack.fields();
        if !fields.is_empty() {
            samples.push(sample("battery", vec![("battery", format!("BAT{number}"))], time, fields));
        }
    }
    if samples.is_empty() && problems.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "the machine has no battery"));
    }
    Reading { samples, problems }
}

/// Machines without a pack have the classes and no instances, or not even the classes.
fn packs(facts: &dyn Facts) -> (BTreeMap<String, Pack>, Vec<Problem>) {
    let mut packs: BTreeMap<String, Pack> = BTreeMap::new();
    let mut problems: Vec<Problem> = Vec::new();
    let mut each = |class, properties, note: fn(&mut Pack, Row)| match facts.rows(NAMESPACE, class, properties) {
        Ok(rows) => {
            for row in rows {
                if let Some(name) = text(&row, "InstanceName") {
                    note(packs.entry(name).or_default(), row);
                }
            }
        }
        Err(problem) if matches!(problem.kind, ProblemKind::NothingHere | ProblemKind::Unsupported) => {}
        Err(problem) => problems.push(problem),
    };
    each("BatteryStaticData", "InstanceName, DesignedCapacity", |pack, row| {
        pack.design_mwh = number(&row, "DesignedCapacity").filter(|capacity| CAPACITY.contains(capacity));
    });
    each("BatteryFullChargedCapacity", "InstanceName, FullChargedCapacity", |pack, row| {
        pack.full_mwh = number(&row, "FullChargedCapacity").filter(|capacity| CAPACITY.contains(capacity));
    });
    each("BatteryCycleCount", "InstanceName, CycleCount", |pack, row| {
        pack.cycles = number(&row, "CycleCount").filter(|cycles| CYCLES.contains(cycles));
    });
    each(
        "BatteryStatus",
        "InstanceName, Charging, Discharging, PowerOnline, RemainingCapacity, Voltage",
        |pack, row| pack.status = Some(row),
    );
    (packs, problems)
}

impl Pack {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::new();
        let watt_hours = |mwh: u64| percent(milli(mwh));
        let cycles = self.cycles.and_then(|cycles| i64::try_from(cycles).ok());
        fields.extend(cycles.map(|cycles| ("cycle_count", Value::Integer(cycles))));
        fields.extend(self.design_mwh.map(|mwh| ("energy_full_design_wh", watt_hours(mwh))));
        fields.extend(self.full_mwh.map(|mwh| ("energy_full_wh", watt_hours(mwh))));
        if let (Some(full), Some(design)) = (self.full_mwh, self.design_mwh) {
            let wear = share(full, design);
            fields.extend((MIN_WEAR..=MAX_WEAR).contains(&wear).then(|| ("wear_percent", percent(wear))));
        }
        if let Some(status) = &self.status {
            fields.extend(self.charge(status).map(|charge| ("charge_percent", percent(charge))));
            fields.extend(self.state(status).map(|state| ("state", Value::Text(state.to_owned()))));
            let voltage = number(status, "Voltage").filter(|voltage| VOLTAGE.contains(voltage));
            fields.extend(voltage.map(|millivolts| ("voltage", percent(milli(millivolts)))));
        }
        crate::reading::by_name(&mut fields);
        fields
    }

    fn charge(&self, status: &Row) -> Option<f64> {
        // A gauge that has just been calibrated may say a little more than full.
        Some(share(number(status, "RemainingCapacity")?, self.full_mwh?).min(100.0))
    }

    fn state(&self, status: &Row) -> Option<&'static str> {
        Some(match (flag(status, "Charging")?, flag(status, "Discharging")?) {
            (true, _) => "charging",
            (_, true) => "discharging",
            _ if self.charge(status)? >= 99.0 => "full",
            _ => "not_charging",
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "capacities and voltages have at most six digits")]
fn milli(thousandths: u64) -> f64 {
    thousandths as f64 / 1_000.0
}
