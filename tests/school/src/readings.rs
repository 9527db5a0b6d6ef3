//! What devices say of themselves, and closets of what they ask: the condition of a thing as samples, with the names and
//! fields that agents send. Only fields that some rule reads, because a year is long.

use bellwether_logic::device::Class;
use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;

use crate::condition::{Condition, Conditions, RIDE};
use crate::dates::{MINUTE, Sec, at, date_at};
use crate::dice::Dice;
use crate::world::{Storage, Thing, World};

/// What every computer's disk holds, in bytes.
const DISK: f64 = 256e9;

/// One row.
fn row(measurement: &'static str, tag: Option<(&'static str, &str)>, time: Sec) -> Sample {
    Sample {
        measurement: Name::Borrowed(measurement),
        tags: tag.into_iter().map(|(key, value)| (Name::Borrowed(key), value.to_owned())).collect(),
        target: String::new(),
        time: Timestamp(time * 1_000),
        fields: Vec::with_capacity(4),
    }
}

trait With: Sized {
    fn with(self, name: &'static str, value: Value) -> Self;

    fn float(self, name: &'static str, value: f64) -> Self {
        self.with(name, Value::Float((value * 100.0).round() / 100.0))
    }

    fn integer(self, name: &'static str, value: i64) -> Self {
        self.with(name, Value::Integer(value))
    }

    fn boolean(self, name: &'static str, value: bool) -> Self {
        self.with(name, Value::Boolean(value))
    }

    fn word(self, name: &'static str, value: &str) -> Self {
        self.with(name, Value::Text(value.into()))
    }
}

impl With for Sample {
    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.fields.push((Name::Borrowed(name), value));
        self
    }
}

/// What a closet says of one device once a minute: whether it answers, and at every fifth and sixtieth minute more.
pub fn watched(
    world: &World,
    all: &Conditions,
    index: usize,
    now: Sec,
    lost: bool,
    dice: &mut Dice,
    samples: &mut Vec<Sample>,
) {
    let thing = &world.things[index];
    let this = &all.things[index];
    let answers = all.is_seen(world, index) && !lost;
    let mut said = row("snmp", None, now).boolean("answered", answers && this.mute == 0);
    if !answers || this.mute > 0 {
        said = said.boolean("pings", answers);
        samples.push(said);
        return;
    }
    // Rules know network gear, UPSes and stores by their answers, printers by what they say.
    if thing.device.class != Class::Printer {
        samples.push(said);
    }
    let minute = now / MINUTE;
    let every = |minutes: i64| (minute + index as i64) % minutes == 0;
    match thing.device.class {
        Class::Ups => samples.push(ups(all, thing, this, now, dice)),
        Class::Sensor => {
            let degrees = all.degrees(thing.building, now - at(date_at(now), 0)) + 0.3 * dice.around();
            samples.push(row("sensor", Some(("sensor", "closet")), now).float("temp", degrees));
        }
        Class::Switch | Class::Router if every(5) => {
            let status = if this.part { "failed" } else { "ok" };
            samples.push(row("sensor", Some(("sensor", "fan 1")), now).word("status", status));
        }
        Class::Nas if every(5) => {
            let status = if this.array { "degraded" } else { "normal" };
            samples.push(row("nas_volume", Some(("volume", "volume1")), now).word("status", status));
        }
        Class::Printer if every(5) => {
            let said = row("printer_status", None, now);
            samples.push(said.boolean("jammed", this.jammed > 0).boolean("service_requested", this.service));
            if every(60) {
                for (supply, level) in ["Black toner", "Color toner"].iter().zip(this.toner) {
                    let said = row("printer_supply", Some(("supply", supply)), now);
                    samples.push(said.word("type", "toner").float("level_percent", level.round()));
                }
            }
        }
        _ => {}
    }
}

fn ups(all: &Conditions, thing: &Thing, this: &Condition, now: Sec, dice: &mut Dice) -> Sample {
    let place = &all.places[thing.building];
    let off = place.mains_off > 0;
    let left = if off { (place.dark_since + RIDE - now).max(0) } else { RIDE };
    row("ups", None, now)
        .word("output_source", if off { "battery" } else { "normal" })
        .float("time_left_s", left as f64)
        .float("battery_temperature", 25.0 + place.heat / 2.0 + 0.5 * dice.around())
        .boolean("battery_replace", this.replace)
}

/// What a computer says of itself: its disk each time, its battery and its disk's health when `slow`.
pub fn computer(thing: &Thing, this: &Condition, now: Sec, slow: bool, dice: &mut Dice, samples: &mut Vec<Sample>) {
    let used = (this.disk_at(now) + 0.05 * dice.around()).min(99.9);
    let time = now + this.clock;
    let free = (DISK * (100.0 - used) / 100.0).round();
    let disk = row("disk", Some(("path", "/")), time).float("used_percent", used);
    samples.push(disk.with("free", Value::Integer(free as i64)));
    if matches!(thing.device.class, Class::Server) {
        samples.push(row("raid", Some(("array", "md0")), time).integer("degraded", i64::from(this.array)));
    }
    if !slow {
        return;
    }
    if thing.device.class == Class::Laptop {
        let shown = (this.battery + 0.4 * dice.around()).clamp(0.0, 100.0);
        let health = if this.battery_dead { "dead" } else { "good" };
        let said = row("battery", Some(("battery", "BAT0")), time).float("wear_percent", shown);
        samples.push(said.integer("cycle_count", this.cycles as i64).word("health", health));
    }
    let said = row("smart_device", Some(("serial_no", &thing.device.id)), time).integer("exit_status", 0);
    samples.push(match thing.storage {
        Storage::Hdd => said
            .integer("pending_sector_count", this.pending)
            .integer("uncorrectable_sector_count", 0)
            .integer("reallocated_sectors_count", this.reallocated)
            .integer("udma_crc_errors", this.crc)
            .float("temp_c", 34.0 + 2.0 * dice.around()),
        Storage::Ssd => said
            .integer("percentage_used", this.worn as i64)
            .integer("critical_warning", 0)
            .integer("available_spare", 100)
            .integer("media_errors", 0)
            .float("temp_c", 42.0 + 3.0 * dice.around()),
    });
}
