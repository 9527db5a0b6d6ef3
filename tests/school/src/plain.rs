//! A plain monitor: fixed thresholds, and a mail at each breach. It is set up as such tools come out of the box:
//!
//! - a device counts as down when two looks in a row fail (one retry), the agent of a server or closet when it was not heard
//!   of for ten minutes; computers of people are not watched for that, as tools for managing machines have it for
//!   workstations, because each evening would be a mail for each;
//! - a reading beyond its limit is a breach at once, and over as soon as it is not beyond it;
//! - each breach is one mail at its beginning, at any hour, to whoever has the building;
//! - it knows nothing of what hangs on what, of school days, or of goodbyes, and what comes late is as good as new.
//!
//! Limits are the common ones (domain facts on disks, batteries, UPSes, temperatures and printers).

use std::collections::HashMap;

use bellwether_logic::device::Class;
use bellwether_logic::engine::Input;
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use crate::dates::{MINUTE, Sec};
use crate::problem::Sign;
use crate::score::Report;
use crate::world::World;

/// How a field breaches.
#[derive(Clone, Copy)]
enum Limit {
    Above(f64),
    Below(f64),
    Is(&'static str),
    IsTrue,
}

/// Measurement, field, limit, what it speaks of.
const LIMITS: [(&str, &str, Limit, Sign); 16] = [
    ("disk", "used_percent", Limit::Above(90.0), Sign::Room),
    ("battery", "wear_percent", Limit::Below(60.0), Sign::Battery),
    ("battery", "health", Limit::Is("dead"), Sign::Battery),
    ("smart_device", "pending_sector_count", Limit::Above(0.0), Sign::Disk),
    ("smart_device", "reallocated_sectors_count", Limit::Above(0.0), Sign::Disk),
    ("smart_device", "udma_crc_errors", Limit::Above(0.0), Sign::Disk),
    ("smart_device", "percentage_used", Limit::Above(89.0), Sign::Disk),
    ("raid", "degraded", Limit::Above(0.0), Sign::Disk),
    ("nas_volume", "status", Limit::Is("degraded"), Sign::Disk),
    ("sensor", "temp", Limit::Above(30.0), Sign::Heat),
    ("sensor", "status", Limit::Is("failed"), Sign::Part),
    ("ups", "output_source", Limit::Is("battery"), Sign::Power),
    ("ups", "battery_replace", Limit::IsTrue, Sign::Power),
    ("printer_status", "jammed", Limit::IsTrue, Sign::Printer),
    ("printer_status", "service_requested", Limit::IsTrue, Sign::Printer),
    ("printer_supply", "level_percent", Limit::Below(10.0), Sign::Supply),
];

#[derive(Clone, Default)]
struct Seen {
    failed: u32,
    down: bool,
    /// When its agent was last heard of.
    heard: Option<Sec>,
    silence: Sec,
    /// Limits that are breached, each with its subject.
    breached: Vec<(usize, String)>,
}

/// The monitor.
pub struct Plain {
    seen: Vec<Seen>,
    mails: u64,
    looked_at: Sec,
}

impl Plain {
    /// One that has heard nothing.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self { seen: vec![Seen::default(); world.things.len()], mails: 0, looked_at: 0 }
    }

    /// Takes in what happened; says what it mails about.
    pub fn hear(
        &mut self,
        now: Timestamp,
        input: &Input,
        things: &HashMap<String, usize>,
        world: &World,
    ) -> Vec<Report> {
        let now = now.0 / 1_000;
        let mut reports = Vec::new();
        match input {
            Input::CollectorStarted => {
                // It was away itself: that much each of them knows.
                self.seen.iter_mut().filter_map(|seen| seen.heard.as_mut()).for_each(|heard| *heard = now);
            }
            Input::Connected { device, interval, .. } => {
                if let Some(thing) = things.get(device) {
                    let seen = &mut self.seen[*thing];
                    seen.silence = (10 * MINUTE).max(3 * interval.as_secs() as Sec);
                    (seen.heard, seen.down) = (Some(now), false);
                }
            }
            Input::Samples { device, samples, .. } => {
                if let Some(thing) = things.get(device) {
                    samples.iter().for_each(|sample| self.look(*thing, now, sample, world, &mut reports));
                    if self.seen[*thing].heard.is_some() {
                        (self.seen[*thing].heard, self.seen[*thing].down) = (Some(now), false);
                    }
                }
            }
            _ => {}
        }
        if now >= self.looked_at + MINUTE {
            self.looked_at = now;
            self.miss(now, world, &mut reports);
        }
        reports
    }

    fn mail(&mut self, at: Sec, thing: usize, sign: Sign, title: String, world: &World) -> Report {
        self.mails += 1;
        let signs = match sign {
            Sign::Reach => vec![Sign::Reach, Sign::Link, Sign::Mute, Sign::Power],
            sign => vec![sign],
        };
        let building = Some(world.things[thing].building);
        Report { at, number: self.mails, signs, things: vec![thing], building, is_wide: false, title }
    }

    /// Agents that were not heard of for too long.
    fn miss(&mut self, now: Sec, world: &World, reports: &mut Vec<Report>) {
        for thing in 0..self.seen.len() {
            let seen = &mut self.seen[thing];
            let silent = seen.heard.is_some_and(|heard| now > heard + seen.silence);
            if silent && !seen.down && !is_of_people(world.things[thing].device.class) {
                seen.down = true;
                let title = format!("{} is down", world.things[thing].device.name);
                reports.push(self.mail(now, thing, Sign::Reach, title, world));
            }
        }
    }

    fn look(&mut self, thing: usize, now: Sec, sample: &Sample, world: &World, reports: &mut Vec<Report>) {
        if sample.measurement == "snmp" {
            let answered =
                sample.fields.iter().any(|(name, value)| name == "answered" && *value == Value::Boolean(true));
            let seen = &mut self.seen[thing];
            seen.failed = if answered { 0 } else { seen.failed + 1 };
            if seen.failed == 2 {
                let title = format!("{} is down", world.things[thing].device.name);
                reports.push(self.mail(now, thing, Sign::Reach, title, world));
            }
            return;
        }
        for (number, (measurement, field, limit, sign)) in LIMITS.iter().enumerate() {
            if sample.measurement != *measurement {
                continue;
            }
            let Some((_, value)) = sample.fields.iter().find(|(name, _)| name == field) else { continue };
            let subject = sample.tags.first().map_or("", |(_, value)| value.as_str());
            let seen = &mut self.seen[thing];
            let known = seen.breached.iter().position(|(at, of)| *at == number && of == subject);
            match (breaches(*limit, value), known) {
                (true, None) => {
                    seen.breached.push((number, subject.to_owned()));
                    let title = format!("{}: {measurement} {field} {value:?}", world.things[thing].device.name);
                    reports.push(self.mail(now, thing, *sign, title, world));
                }
                (false, Some(known)) => {
                    seen.breached.swap_remove(known);
                }
                _ => {}
            }
        }
    }
}

const fn is_of_people(class: Class) -> bool {
    matches!(class, Class::Laptop | Class::Desktop)
}

fn breaches(limit: Limit, value: &Value) -> bool {
    match (limit, value) {
        (Limit::Above(limit), value) => value.as_number().is_some_and(|number| number > limit),
        (Limit::Below(limit), value) => value.as_number().is_some_and(|number| number < limit),
        (Limit::Is(word), Value::Text(text)) => text == word,
        (Limit::IsTrue, value) => *value == Value::Boolean(true),
        (Limit::Is(_), _) => false,
    }
}
