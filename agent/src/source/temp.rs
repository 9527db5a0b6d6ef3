//! Temperatures of the machine's own sensors with the limits that they know, as Telegraf.
//!
//! A rule compares a reading with the sensor's own limits, because no number is right for two models. Thermal zones are
//! asked only where there is no sensor, because they are mostly the same ones again. Reading a sensor may cost a command
//! to a disk or a call of the firmware, so it is done once a minute at most, on the thread for what takes long.

use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::hwmon::{self, Sensor};
use crate::reading::{Problem, ProblemKind, Reading, celsius, sample};

/// This source's line in the list. A little less than a minute: a round that comes a moment early is not left out.
pub const ENTRY: Entry = Entry {
    name: "temp",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(55)),
    make: |host, _| Box::new(Temp { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "temp",
    tags: &["sensor"],
    fields: &[
        degrees("crit", "Where the sensor says that damage begins."),
        degrees("max", "Where the sensor says that it is too hot."),
        degrees("temp", "Now."),
    ],
    privacy: Privacy::Health,
    description: "How hot each sensor of the machine is, and which limits it has.",
}];

const fn degrees(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "celsius", description }
}

/// In thousandths of a degree. No part of a machine in a school is colder or, while it runs, hotter; sensors that are
/// not connected say -128, -62, 126, 127.5, 255 and the like.
const BELIEVABLE: std::ops::RangeInclusive<i64> = -40_000..=125_000;

/// Limits of disks are as low as 60, those of processors up to 125; "no limit" is 0, -273 or 65,261.
const BELIEVABLE_LIMIT: std::ops::RangeInclusive<i64> = 20_000..=150_000;

/// More than any machine has.
const MAX_ZONES: usize = 64;

/// The kernel's own bound.
const MAX_TRIPS: usize = 12;

/// Reads `/sys/class/hwmon`, or else `/sys/class/thermal`.
pub struct Temp {
    host: Host,
}

impl Source for Temp {
    fn name(&self) -> &'static str {
        "temp"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let sensors = hwmon::sensors(&self.host, "temp").unwrap_or_default();
        let mut reading = Reading::default();
        for sensor in &sensors {
            match self.of_sensor(sensor, time) {
                Ok(sample) => reading.samples.push(sample),
                Err(problem) => reading.problems.push(problem),
            }
        }
        if sensors.is_empty() {
            reading = self.zones(time);
        }
        if reading.samples.is_empty() && reading.problems.is_empty() {
            let text = "this machine has no temperature sensor, or the kernel has no driver for it";
            reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
        }
        reading
    }
}

impl Temp {
    fn of_sensor(&self, sensor: &Sensor, time: Timestamp) -> Result<Sample, Problem> {
        let name = &sensor.name;
        if sensor.number(&self.host, "fault").is_some_and(|fault| fault != 0) {
            return Err(Problem::new(ProblemKind::NothingHere, format!("{name}: not connected, it says itself")));
        }
        let now = sensor.input(&self.host)?;
        let limit = |file| sensor.number(&self.host, file);
        row(name, now, limit("max"), limit("crit"), time)
    }

    fn zones(&self, time: Timestamp) -> Reading {
        let mut reading = Reading::default();
        let folders = self.host.list("sys/class/thermal", MAX_ZONES).unwrap_or_default();
        for zone in folders.iter().filter(|name| name.starts_with("thermal_zone")) {
            let folder = format!("sys/class/thermal/{zone}");
            let kind = self.host.word(&format!("{folder}/type")).unwrap_or_default();
            let known = hwmon::plain_label(&kind).or_else(|| ZONES.contains(&&*kind).then(|| hwmon::plain_name(&kind)));
            let mut name = known.unwrap_or_else(|| zone.trim_start_matches("thermal_").to_owned());
            if reading.samples.iter().any(|sample| sample.tags[0].1 == name) {
                name = format!("{name}_{}", zone.trim_start_matches("thermal_zone"));
            }
            let now = self.host.word(&format!("{folder}/temp")).ok_or("no answer, its device may be off");
            let now = now.and_then(|text| text.parse::<i64>().map_err(|_| "what it says is no number"));
            let now = now.map_err(|why| Problem::new(ProblemKind::NothingHere, format!("{name}: {why}")));
            match now.and_then(|now| row(&name, now, None, self.critical(&folder), time)) {
                Ok(sample) => reading.samples.push(sample),
                Err(problem) => reading.problems.push(problem),
            }
        }
        reading
    }

    /// Where the kernel switches the machine off.
    fn critical(&self, folder: &str) -> Option<i64> {
        let is = |trip: &usize| {
            self.host.word(&format!("{folder}/trip_point_{trip}_type")).is_some_and(|kind| kind == "critical")
        };
        let trip = (0..MAX_TRIPS).find(is)?;
        self.host.word(&format!("{folder}/trip_point_{trip}_temp"))?.parse().ok()
    }
}

/// Kinds of zones that are named by drivers with words that labels do not have.
const ZONES: &[&str] = &["acpitz", "x86_pkg_temp", "INT3400 Thermal", "iwlwifi_1", "bcm2835_thermal", "B0D4", "TCPU"];

/// One row, or why what a sensor says is not believed.
fn row(name: &str, now: i64, max: Option<i64>, crit: Option<i64>, time: Timestamp) -> Result<Sample, Problem> {
    if !BELIEVABLE.contains(&now) || now == 0 {
        let text = format!("{name}: says {} C, as sensors do that are not connected", now / 1_000);
        return Err(Problem::new(ProblemKind::NothingHere, text));
    }
    let limit = |limit: Option<i64>| limit.filter(|limit| BELIEVABLE_LIMIT.contains(limit)).map(celsius);
    let mut fields: Vec<(&'static str, Value)> = Vec::with_capacity(3);
    fields.extend(limit(crit).map(|value| ("crit", value)));
    fields.extend(limit(max).map(|value| ("max", value)));
    fields.push(("temp", celsius(now)));
    Ok(sample("temp", vec![("sensor", name.to_owned())], time, fields))
}
