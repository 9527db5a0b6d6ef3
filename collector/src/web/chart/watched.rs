//! The charts of a device that closets watch.

use std::collections::BTreeMap;

use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;

use super::{Ask, Chart, Frame, Points, Unit, Window, named};
use crate::web::readings::{Series, only};

/// Ports whose traffic is drawn: each has two lines, and a chart has six.
const PORTS_MAX: usize = 3;

/// All charts of a watched device that have anything to show.
pub(in crate::web) fn all(
    series: &dyn Series,
    device: &str,
    window: Window,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Chart> {
    let ask = Ask { series, only: only(device), window, now };
    let from = |measurement: &str| format!("\"{measurement}\" WHERE \"device_id\" != ''");
    let one = |field: &str, measurement: &str, name: &str| named(ask.gauge(field, &from(measurement), None), name);
    let each = |field: &str, measurement: &str, tag: &str| ask.gauge(field, &from(measurement), Some(tag));
    let mut battery = one("battery_charge_percent", "ups", "charge");
    battery.extend(one("load_percent", "ups", "load"));
    let mut answers = one("response_ms", "snmp", "to SNMP");
    answers.extend(one("response_ms", "ping_only", "to a ping"));
    let charts = [
        ("Battery and load", Unit::Percent, battery),
        ("Time left on battery", Unit::Minutes, minutes(one("time_left_s", "ups", "left"))),
        ("Busiest ports", Unit::BitsPerSecond, busiest(&each)),
        ("Connected devices", Unit::Count, each("clients", "ap_radio", "radio")),
        ("Power given (PoE)", Unit::Percent, alone(each("used_percent", "poe_supply", "group"))),
        ("Processor", Unit::Percent, alone(each("used_percent", "device_cpu", "cpu"))),
        ("Temperature", Unit::Celsius, each("temp", "sensor", "sensor")),
        ("Answers within", Unit::Milliseconds, answers),
    ];
    let frame = Frame { window, now, zone };
    charts.into_iter().filter_map(|(title, unit, lines)| frame.draw(title, unit, lines)).collect()
}

/// The only one of its kind needs no number.
fn alone(lines: BTreeMap<String, Points>) -> BTreeMap<String, Points> {
    if lines.len() == 1 { named(lines, "in use") } else { lines }
}

fn minutes(lines: BTreeMap<String, Points>) -> BTreeMap<String, Points> {
    let minutes = |points: Points| {
        points.into_iter().map(|(at, mean, min, max)| (at, mean / 60.0, min / 60.0, max / 60.0)).collect()
    };
    lines.into_iter().map(|(name, points)| (name, minutes(points))).collect()
}

/// The traffic of the ports that carry most, in and out.
fn busiest(each: &impl Fn(&str, &str, &str) -> BTreeMap<String, Points>) -> BTreeMap<String, Points> {
    let ways =
        [("in", each("in_bits_per_s", "interface", "ifName")), ("out", each("out_bits_per_s", "interface", "ifName"))];
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (port, points) in ways.iter().flat_map(|(_, ports)| ports) {
        *sums.entry(port).or_default() += points.iter().map(|point| point.1).sum::<f64>();
    }
    let mut order: Vec<(&str, f64)> = sums.into_iter().filter(|(_, sum)| *sum > 0.0).collect();
    order.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let chosen = order.iter().take(PORTS_MAX).flat_map(|(port, _)| {
        ways.iter().filter_map(move |(way, ports)| Some((format!("{port} {way}"), ports.get(*port)?.clone())))
    });
    chosen.collect()
}
