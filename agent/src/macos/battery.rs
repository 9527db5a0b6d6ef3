//! How the battery is: `ioreg -r -c AppleSmartBattery -a`, a property list.
//!
//! Capacities are in mAh and the voltage of the cells is not told, so energies are left out; wear needs none. On Apple
//! silicon `MaxCapacity` is 100, and the raw one is the pack's.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample, share};

const LIMIT: Duration = Duration::from_secs(10);

/// As for other systems' packs: beyond these one of the numbers is garbage.
const WEAR: std::ops::RangeInclusive<f64> = 1.0..=150.0;
const CYCLES: std::ops::RangeInclusive<i64> = 1..=20_000;

/// In hundredths of a degree.
const TEMPERATURE: std::ops::RangeInclusive<i64> = -2_000..=10_000;

pub(super) fn read(host: &Host, time: Timestamp) -> Reading {
    let said = match host.run("ioreg", &["-r", "-c", "AppleSmartBattery", "-a"], LIMIT) {
        Ok(said) => said,
        Err(problem) => return Reading::problem(problem),
    };
    let values = properties(&said.text);
    let fields = fields(&values);
    if fields.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "the machine has no battery"));
    }
    Reading {
        samples: vec![sample("battery", vec![("battery", "BAT0".to_owned())], time, fields)],
        problems: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of at most six digits")]
fn fields(values: &BTreeMap<&str, i64>) -> Vec<(&'static str, Value)> {
    let value = |name: &str| values.get(name).copied();
    let positive = |name: &str| value(name).and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    let mut fields = Vec::new();
    let full = positive("AppleRawMaxCapacity").or_else(|| positive("MaxCapacity"));
    let wear = full.zip(positive("DesignCapacity")).map(|(full, design)| share(full, design));
    fields.extend(wear.filter(|wear| WEAR.contains(wear)).map(|wear| ("wear_percent", percent(wear))));
    let charge =
        positive("CurrentCapacity").zip(positive("MaxCapacity")).map(|(now, full)| share(now, full).min(100.0));
    fields.extend(charge.map(|charge| ("charge_percent", percent(charge))));
    let cycles = value("CycleCount").filter(|cycles| CYCLES.contains(cycles));
    fields.extend(cycles.map(|cycles| ("cycle_count", Value::Integer(cycles))));
    let temperature = value("Temperature").filter(|hundredths| TEMPERATURE.contains(hundredths));
    fields.extend(temperature.map(|hundredths| ("temperature_c", percent(hundredths as f64 / 100.0))));
    fields.extend(positive("Voltage").map(|millivolts| ("voltage", percent(millivolts as f64 / 1_000.0))));
    fields.extend(state(values).map(|state| ("state", Value::Text(state.to_owned()))));
    crate::reading::by_name(&mut fields);
    fields
}

fn state(values: &BTreeMap<&str, i64>) -> Option<&'static str> {
    let flag = |name: &str| values.get(name).map(|value| *value != 0);
    Some(match (flag("IsCharging")?, flag("ExternalConnected")?) {
        (true, _) => "charging",
        (_, false) => "discharging",
        _ if flag("FullyCharged")? => "full",
        _ => "not_charging",
    })
}

/// Numbers and truths of the outermost dictionary. The inner ones repeat names with other meanings.
fn properties(text: &str) -> BTreeMap<&str, i64> {
    let mut values = BTreeMap::new();
    let mut depth = 0_u32;
    let mut key = None;
    for element in text.split('<').skip(1) {
        let Some((tag, body)) = element.split_once('>') else { continue };
        match tag {
            "dict" => depth += 1,
            "/dict" => depth = depth.saturating_sub(1),
            "key" if depth == 1 => key = Some(body.trim()),
            "integer" | "true/" | "false/" if depth == 1 => {
                let value = match tag {
                    "true/" => Some(1),
                    "false/" => Some(0),
                    // Negative ones are written as 64 bits without a sign.
                    _ => body.trim().parse::<i64>().ok(),
                };
                if let Some((key, value)) = key.take().zip(value) {
                    values.insert(key, value);
                }
            }
            _ => {}
        }
    }
    values
}
