//! How fast the fans turn.
//!
//! A board has more connectors for fans than fans, and each unused one says "0" for ever. So a fan is told from the
//! first time that it was seen to turn, or if firmware or driver have a label for it; one that stops then is seen to
//! have stopped. A fan without a label that was dead before the agent started can't be told from no fan.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::hwmon::{self, Sensor};
use crate::reading::{Problem, ProblemKind, Reading, sample};

/// This source's line in the list. A little less than a minute: a round that comes a moment early is not left out.
pub const ENTRY: Entry = Entry {
    name: "fans",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(55)),
    make: |host, _| Box::new(Fans { host: host.clone(), turned: BTreeSet::new() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "fan",
    tags: &["fan"],
    fields: &[
        Field {
            name: "alarm",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether the chip says that it turns too slowly.",
        },
        Field { name: "min", kind: FieldKind::Integer, unit: "rpm", description: "Slower is too slow for the chip." },
        Field { name: "rpm", kind: FieldKind::Integer, unit: "rpm", description: "Turns a minute." },
    ],
    privacy: Privacy::Health,
    description: "How fast each fan turns.",
}];

/// No fan of a machine turns faster; 65,535 is what a controller says that was not asked in time.
const BELIEVABLE_RPM: std::ops::RangeInclusive<i64> = 0..=40_000;

/// Reads `/sys/class/hwmon`.
pub struct Fans {
    host: Host,
    turned: BTreeSet<String>,
}

impl Source for Fans {
    fn name(&self) -> &'static str {
        "fans"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let sensors = hwmon::sensors(&self.host, "fan").unwrap_or_default();
        let mut reading = Reading::default();
        for sensor in &sensors {
            match self.of_sensor(sensor, time) {
                Ok(sample) => reading.samples.push(sample),
                Err(problem) => reading.problems.push(problem),
            }
        }
        if sensors.is_empty() {
            let text = "this machine has no fan, or the kernel has no driver for its controller";
            reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
        }
        reading
    }
}

impl Fans {
    fn of_sensor(&mut self, sensor: &Sensor, time: Timestamp) -> Result<Sample, Problem> {
        let name = &sensor.name;
        let nothing = |why: String| Err(Problem::new(ProblemKind::NothingHere, format!("{name}: {why}")));
        if sensor.number(&self.host, "fault").is_some_and(|fault| fault != 0) {
            return nothing("not connected, it says itself".to_owned());
        }
        let rpm = match sensor.input(&self.host) {
            Ok(rpm) if BELIEVABLE_RPM.contains(&rpm) => rpm,
            Ok(rpm) => return nothing(format!("says {rpm} turns a minute, which no fan does")),
            Err(problem) => return Err(problem),
        };
        if rpm > 0 {
            self.turned.insert(name.clone());
        } else if !sensor.is_labelled && !self.turned.contains(name) {
            return nothing("no fan was ever seen to turn there".to_owned());
        }
        let mut fields = Vec::with_capacity(3);
        let alarm = sensor.number(&self.host, "alarm").map(|alarm| ("alarm", Value::Boolean(alarm != 0)));
        fields.extend(alarm);
        let min = sensor.number(&self.host, "min").filter(|min| *min > 0 && BELIEVABLE_RPM.contains(min));
        fields.extend(min.map(|min| ("min", Value::Integer(min))));
        fields.push(("rpm", Value::Integer(rpm)));
        Ok(sample("fan", vec![("fan", name.clone())], time, fields))
    }
}
