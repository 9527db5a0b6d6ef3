//! A district's devices as the engine sees them: what each says in a round, of the measurements that rules look at.
//!
//! One device in two hundred has something wrong in a round, as a bad day has it; the rest is well, and says so with readings that
//! move a little.

use std::borrow::Cow;
use std::time::Duration;

use bellwether_logic::batch::Lane;
use bellwether_logic::device::{Class, Device, LifeState};
use bellwether_logic::engine::Input;
use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;

/// Of so many devices, in this order again and again, so many are of each class: a district's mix.
const MIX: [(Class, u32); 8] = [
    (Class::Laptop, 45),
    (Class::Desktop, 24),
    (Class::AccessPoint, 13),
    (Class::Switch, 7),
    (Class::Printer, 6),
    (Class::Server, 2),
    (Class::Ups, 2),
    (Class::Closet, 1),
];

/// Devices of a building.
const BUILDING: u32 = 250;

/// Models in use. House: a district buys a few a year and keeps them for eight.
const MODELS: u32 = 40;

/// Access ports of a switch.
const PORTS: u32 = 24;

/// One of so many devices has something wrong in a round.
const TROUBLED: u32 = 200;

/// For so many rounds it is wrong.
const SPELL: u32 = 180;

/// Between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// When the first round is: a Monday in term.
pub(super) const BEGIN: Timestamp = Timestamp(1_788_177_600_000);

/// The class of a device by its number.
fn class(number: u32) -> Class {
    let mut place = number % 100;
    for (class, share) in MIX {
        if place < share {
            return class;
        }
        place -= share;
    }
    Class::Laptop
}

/// A device of the inventory by its number.
pub(super) fn device(number: u32) -> Device {
    Device {
        id: id(number),
        name: format!("D-{number:06}"),
        class: class(number),
        site: format!("Building {}", number / BUILDING),
        room: format!("{}", 100 + number % BUILDING / 6),
        state: LifeState::InUse,
        model: format!("Model {}", number % MODELS),
    }
}

fn id(number: u32) -> String {
    format!("d{number:015x}")
}

/// What a device says in a round.
pub(super) fn batch(number: u32, round: u32) -> Input {
    let mut said = Said { time: time(round), samples: Vec::new(), number, round };
    said.all();
    Input::Samples { device: id(number), lane: Lane::Live, samples: said.samples }
}

/// When a round is.
pub(super) fn time(round: u32) -> Timestamp {
    BEGIN + INTERVAL.saturating_mul(round)
}

struct Said {
    time: Timestamp,
    samples: Vec<Sample>,
    number: u32,
    round: u32,
}

impl Said {
    fn all(&mut self) {
        match class(self.number) {
            Class::Laptop => {
                self.disks(1);
                self.battery();
                self.smart(1);
            }
            Class::Desktop => {
                self.disks(2);
                self.smart(1);
            }
            Class::Server => {
                self.disks(4);
                self.smart(4);
                self.raid();
            }
            Class::Closet => self.disks(1),
            Class::Switch => {
                self.snmp();
                self.ports();
                self.sensors(6);
            }
            Class::Printer => {
                self.snmp();
                self.printer();
            }
            Class::Ups => {
                self.snmp();
                self.ups();
            }
            _ => self.snmp(),
        }
    }

    /// Whether the device has something wrong in this round.
    const fn is_troubled(&self) -> bool {
        (self.number + self.round / SPELL).is_multiple_of(TROUBLED)
    }

    /// A reading that moves a little, from round to round and from device to device.
    fn near(&self, value: f64, width: f64) -> Value {
        let step = (self.number.wrapping_mul(31) ^ self.round.wrapping_mul(17)) % 100;
        Value::Float(((value + width * (f64::from(step) / 100.0 - 0.5)) * 100.0).round() / 100.0)
    }

    fn say(
        &mut self,
        measurement: &'static str,
        tags: Vec<(&'static str, String)>,
        fields: Vec<(&'static str, Value)>,
    ) {
        let name = |name: &'static str| -> Name { Cow::Borrowed(name) };
        self.samples.push(Sample {
            measurement: name(measurement),
            tags: tags.into_iter().map(|(key, value)| (name(key), value)).collect(),
            target: String::new(),
            time: self.time,
            fields: fields.into_iter().map(|(field, value)| (name(field), value)).collect(),
        });
    }

    fn disks(&mut self, count: u32) {
        for disk in 0..count {
            let used = if self.is_troubled() { 97.0 } else { 40.0 };
            let tags = vec![
                ("device", format!("sda{disk}")),
                ("fstype", "ext4".to_owned()),
                ("mode", "rw".to_owned()),
                ("path", format!("/data{disk}")),
            ];
            let fields = vec![
                ("free", Value::Integer(120_000_000_000)),
                ("inodes_free", Value::Integer(9_000_000)),
                ("inodes_total", Value::Integer(10_000_000)),
                ("inodes_used", Value::Integer(1_000_000)),
                ("inodes_used_percent", self.near(10.0, 1.0)),
                ("total", Value::Integer(200_000_000_000)),
                ("used", Value::Integer(80_000_000_000)),
                ("used_percent", self.near(used, 2.0)),
            ];
            self.say("disk", tags, fields);
        }
    }

    fn battery(&mut self) {
        let fields = vec![
            ("charge_percent", self.near(70.0, 40.0)),
            ("cycle_count", Value::Integer(210)),
            ("energy_full_design_wh", Value::Float(45.0)),
            ("energy_full_wh", Value::Float(40.2)),
            ("state", Value::Text("discharging".to_owned())),
            ("temperature_c", self.near(30.0, 8.0)),
            ("voltage", self.near(11.4, 0.5)),
            ("wear_percent", Value::Float(if self.is_troubled() { 55.0 } else { 12.0 })),
        ];
        self.say("battery", vec![("battery", "BAT0".to_owned())], fields);
    }

    /// Disks are asked once an hour.
    fn smart(&mut self, count: u32) {
        if !(self.round + self.number).is_multiple_of(60) {
            return;
        }
        for disk in 0..count {
            let pending = i64::from(self.is_troubled()) * 8;
            let fields = vec![
                ("exit_status", Value::Integer(0)),
                ("health_ok", Value::Boolean(true)),
                ("failing", Value::Boolean(false)),
                ("pending_sector_count", Value::Integer(pending)),
                ("power_cycle_count", Value::Integer(400)),
                ("power_on_hours", Value::Integer(9_000 + i64::from(self.round) / 60)),
                ("reallocated_sectors_count", Value::Integer(0)),
                ("temp_c", Value::Integer(35)),
                ("udma_crc_errors", Value::Integer(3)),
                ("uncorrectable_errors", Value::Integer(0)),
                ("uncorrectable_sector_count", Value::Integer(0)),
                ("command_timeout", Value::Integer(0)),
            ];
            self.say("smart_device", vec![("device", format!("sd{disk}")), ("device_type", "ata".to_owned())], fields);
        }
    }

    fn raid(&mut self) {
        let degraded = i64::from(self.is_troubled());
        let fields = vec![
            ("active", Value::Integer(4 - degraded)),
            ("degraded", Value::Integer(degraded)),
            ("devices", Value::Integer(4)),
            ("failed", Value::Integer(0)),
            ("spare", Value::Integer(0)),
            ("state", Value::Text(if degraded == 0 { "ok" } else { "degraded" }.to_owned())),
        ];
        self.say("raid", vec![("array", "md0".to_owned()), ("level", "raid5".to_owned())], fields);
    }

    fn snmp(&mut self) {
        let fields = vec![
            ("answered", Value::Boolean(true)),
            ("pings", Value::Boolean(true)),
            ("response_ms", self.near(4.0, 3.0)),
            ("uptime_s", Value::Integer(1_000_000 + i64::from(self.round) * 60)),
        ];
        self.say("snmp", Vec::new(), fields);
    }

    fn ports(&mut self) {
        for port in 1..=PORTS {
            let octets = i64::from(self.round) * 1_000_000 + i64::from(port);
            let name = vec![("ifName", format!("Gi1/0/{port}"))];
            let fields = vec![
                ("full_duplex", Value::Boolean(true)),
                ("ifAdminStatus", Value::Integer(1)),
                ("ifHCInOctets", Value::Integer(octets)),
                ("ifHCOutOctets", Value::Integer(octets * 3)),
                ("ifHighSpeed", Value::Integer(1000)),
                ("ifInErrors", Value::Integer(0)),
                ("ifOperStatus", Value::Integer(1)),
                ("in_bits_per_s", self.near(2e6, 1e6)),
                ("in_use_percent", self.near(0.2, 0.1)),
                ("out_bits_per_s", self.near(6e6, 3e6)),
                ("out_use_percent", self.near(0.6, 0.3)),
            ];
            self.say("interface", name.clone(), fields);
            let fields = vec![
                ("class", Value::Integer(3)),
                ("overload_count", Value::Integer(0)),
                ("power_w", self.near(6.0, 2.0)),
                ("short_count", Value::Integer(0)),
                ("status", Value::Text("delivering".to_owned())),
            ];
            self.say("poe", name, fields);
        }
        let fields = vec![("budget_w", Value::Float(370.0)), ("used_percent", self.near(40.0, 4.0))];
        self.say("poe_supply", vec![("group", "1".to_owned())], fields);
    }

    fn sensors(&mut self, count: u32) {
        for sensor in 0..count {
            let temp = if self.is_troubled() { 70.0 } else { 38.0 };
            let status = Value::Text("ok".to_owned());
            let fields = vec![("status", status), ("temp", self.near(temp, 4.0)), ("temp_limit", Value::Float(65.0))];
            self.say("sensor", vec![("sensor", format!("Sensor {sensor}"))], fields);
        }
    }

    fn printer(&mut self) {
        for color in ["black", "cyan", "magenta", "yellow"] {
            let level = if self.is_troubled() { 4.0 } else { 60.0 };
            let fields = vec![
                ("class", Value::Text("consumed".to_owned())),
                ("level_percent", Value::Float(level)),
                ("type", Value::Text("toner".to_owned())),
            ];
            self.say("printer_supply", vec![("supply", format!("{color} toner"))], fields);
        }
        let no = || Value::Boolean(false);
        let fields = vec![
            ("door_open", no()),
            ("jammed", Value::Boolean(self.is_troubled())),
            ("low_paper", no()),
            ("maintenance_overdue", no()),
            ("no_paper", no()),
            ("offline", no()),
            ("pages", Value::Integer(100_000 + i64::from(self.round))),
            ("service_requested", no()),
            ("status", Value::Text("idle".to_owned())),
        ];
        self.say("printer_status", Vec::new(), fields);
    }

    fn ups(&mut self) {
        let source = if self.is_troubled() { "battery" } else { "normal" };
        let fields = vec![
            ("battery_charge_percent", self.near(98.0, 4.0)),
            ("battery_replace", Value::Boolean(false)),
            ("battery_status", Value::Text("normal".to_owned())),
            ("battery_temperature", self.near(26.0, 3.0)),
            ("input_voltage", self.near(230.0, 4.0)),
            ("load_percent", self.near(30.0, 6.0)),
            ("output_source", Value::Text(source.to_owned())),
            ("time_left_s", Value::Integer(2_400)),
        ];
        self.say("ups", Vec::new(), fields);
    }
}
