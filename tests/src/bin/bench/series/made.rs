//! The data, made from fixed seeds: the same for every server, in every run, on every machine.
//!
//! - A: a school's devices with about sixty fields each, a reading a minute: rounded gauges that follow the school day,
//!   counters, plateaus, and three floats of full precision (shares of two integers, a power meter).
//! - B: few devices with five fields, a reading a minute for a year.
//!
//! Values are those of a random walk or a counter, never noise alone: what real machines say is alike from minute to minute.

use std::borrow::Cow;
use std::fmt::Write as _;

use bellwether_series::{FieldValue, Point};

/// 2025-01-13T00:00:00Z, a Monday.
pub(super) const BEGIN_A_S: i64 = 1_736_726_400;
/// 2024-01-01T00:00:00Z.
pub(super) const BEGIN_B_S: i64 = 1_704_067_200;
pub(super) const MINUTE_S: i64 = 60;

const SEED_A: u64 = 0x5eed_000a;
const SEED_B: u64 = 0x5eed_000b;

/// Devices of one building.
const BUILDING: u64 = 50;
const GIB: i64 = 1 << 30;
const PAGE: i64 = 4096;

/// One row: measurement, own tags (sorted with those of the device), fields.
pub(super) struct Row {
    pub(super) measurement: &'static str,
    pub(super) tags: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) fields: Vec<(&'static str, FieldValue)>,
    pub(super) time_ns: i64,
}

impl Row {
    pub(super) fn point(&self) -> Point<'_> {
        Point {
            measurement: self.measurement.into(),
            tags: self.tags.iter().map(|(key, value)| ((*key).into(), value.as_ref().into())).collect(),
            time: self.time_ns,
            fields: self.fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        }
    }

    /// As line protocol, as Telegraf writes it.
    pub(super) fn line(&self, out: &mut String) {
        out.push_str(self.measurement);
        for (key, value) in &self.tags {
            let _ = write!(out, ",{key}={}", value.replace(' ', "\\ "));
        }
        for (at, (name, value)) in self.fields.iter().enumerate() {
            out.push(if at == 0 { ' ' } else { ',' });
            let _ = match value {
                FieldValue::Float(value) => write!(out, "{name}={value}"),
                FieldValue::Integer(value) => write!(out, "{name}={value}i"),
                FieldValue::Unsigned(value) => write!(out, "{name}={value}u"),
                FieldValue::Boolean(value) => write!(out, "{name}={value}"),
                FieldValue::Text(value) => write!(out, "{name}=\"{value}\""),
            };
        }
        let _ = writeln!(out, " {}", self.time_ns);
    }
}

/// `SplitMix64`: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to `range`, which is left out.
    fn below(&mut self, range: i64) -> i64 {
        i64::try_from(self.next() >> 1).unwrap_or(0) % range.max(1)
    }

    /// From `-range` to `range`.
    fn around(&mut self, range: i64) -> i64 {
        self.below(2 * range + 1) - range
    }

    fn one_in(&mut self, times: i64) -> bool {
        self.below(times) == 0
    }
}

/// A value that wanders between two ends in whole steps of its last digit.
struct Walk {
    at: i64,
    low: i64,
    high: i64,
}

impl Walk {
    fn new(dice: &mut Dice, low: i64, high: i64) -> Self {
        Self { at: low + dice.below(high - low + 1), low, high }
    }

    fn step(&mut self, dice: &mut Dice, most: i64) -> i64 {
        self.at = (self.at + dice.around(most)).clamp(self.low, self.high);
        self.at
    }

    /// Drawn towards a goal, by a part of the way.
    fn towards(&mut self, dice: &mut Dice, goal: i64, part: i64, most: i64) -> i64 {
        self.at += (goal - self.at) / part;
        self.step(dice, most)
    }
}

fn decimal(whole: i64, scale: f64) -> FieldValue {
    FieldValue::Float(exact(whole) / scale)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn exact(whole: i64) -> f64 {
    whole as f64
}

const fn whole(value: i64) -> FieldValue {
    FieldValue::Integer(value)
}

/// A device of data A.
pub(super) struct Device {
    number: u64,
    dice: Dice,
    minute: i64,
    user: Walk,
    system: Walk,
    wait: Walk,
    used: Walk,
    cached: Walk,
    buffered: Walk,
    written: i64,
    inodes: i64,
    io: [i64; 7],
    net: [i64; 6],
    load: [Walk; 3],
    users: i64,
    round_trip: Walk,
    temperature: Walk,
    fan: i64,
    battery: i64,
    watts: Walk,
    reallocated: i64,
}

/// Values of one reading of a device of data A.
pub(super) const VALUES_A: u64 = 62;
/// Its rows.
pub(super) const ROWS_A: u64 = 8;

impl Device {
    pub(super) fn new(number: u64) -> Self {
        let mut dice = Dice(SEED_A ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let walk = |dice: &mut Dice, low, high| Walk::new(dice, low, high);
        Self {
            number,
            minute: 0,
            user: walk(&mut dice, 50, 9_000),
            system: walk(&mut dice, 20, 3_000),
            wait: walk(&mut dice, 0, 400),
            used: walk(&mut dice, 2 * GIB / PAGE, 7 * GIB / PAGE),
            cached: walk(&mut dice, GIB / PAGE / 2, 2 * GIB / PAGE),
            buffered: walk(&mut dice, 1_000, 60_000),
            written: dice.below(60 * GIB / PAGE),
            inodes: dice.below(4_000_000),
            io: std::array::from_fn(|_| dice.below(1 << 34)),
            net: std::array::from_fn(|_| dice.below(1 << 36)),
            load: std::array::from_fn(|_| Walk::new(&mut dice, 0, 400)),
            users: dice.below(3),
            round_trip: walk(&mut dice, 300, 9_000),
            temperature: walk(&mut dice, 320, 780),
            fan: 1_200 + 100 * dice.below(20),
            battery: 60 + dice.below(41),
            watts: walk(&mut dice, 6_000, 60_000),
            reallocated: if dice.one_in(20) { dice.below(50) } else { 0 },
            dice,
        }
    }

    /// 0 at night to 10 in lessons.
    fn bustle(&self) -> i64 {
        match self.minute / 60 % 24 {
            8..=15 => 10,
            7 | 16 => 5,
            17..=21 => 2,
            _ => 0,
        }
    }

    fn tags(&self, own: &[(&'static str, &'static str)]) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut tags = vec![
            ("building", format!("School {:02}", self.number / BUILDING).into()),
            ("class", Cow::Borrowed(if self.number.is_multiple_of(3) { "desktop" } else { "laptop" })),
            ("device", name(self.number).into()),
        ];
        tags.extend(own.iter().map(|(key, value)| (*key, Cow::Borrowed(*value))));
        tags
    }

    /// The next minute's reading.
    pub(super) fn read(&mut self) -> Vec<Row> {
        let time_ns = (BEGIN_A_S + self.minute * MINUTE_S) * 1_000_000_000;
        let rows = [
            ("cpu", &[("unit", "total")][..], self.cpu()),
            ("mem", &[], self.mem()),
            ("disk", &[("path", "/")], self.disk()),
            ("diskio", &[("name", "sda")], self.diskio()),
            ("net", &[("interface", "eth0")], self.net()),
            ("system", &[], self.system()),
            ("ping", &[("url", "gateway")], self.ping()),
            ("health", &[], self.health()),
        ];
        self.minute += 1;
        let row = |(measurement, own, fields): (&'static str, &[_], _)| Row {
            measurement,
            tags: self.tags(own),
            fields,
            time_ns,
        };
        rows.into_iter().map(row).collect()
    }

    fn cpu(&mut self) -> Vec<(&'static str, FieldValue)> {
        let bustle = self.bustle();
        let user = self.user.towards(&mut self.dice, 100 + 300 * bustle, 8, 20 + 40 * bustle);
        let system = self.system.towards(&mut self.dice, 50 + 60 * bustle, 8, 10 + 10 * bustle);
        let wait = self.wait.towards(&mut self.dice, 5 * bustle, 4, 3 + bustle);
        let soft = self.dice.below(2 + bustle);
        let idle = (10_000 - user - system - wait - soft).max(0);
        vec![
            ("usage_guest", decimal(0, 100.0)),
            ("usage_guest_nice", decimal(0, 100.0)),
            ("usage_idle", decimal(idle, 100.0)),
            ("usage_iowait", decimal(wait, 100.0)),
            ("usage_irq", decimal(0, 100.0)),
            ("usage_nice", decimal(0, 100.0)),
            ("usage_softirq", decimal(soft, 100.0)),
            ("usage_steal", decimal(0, 100.0)),
            ("usage_system", decimal(system, 100.0)),
            ("usage_user", decimal(user, 100.0)),
        ]
    }

    fn mem(&mut self) -> Vec<(&'static str, FieldValue)> {
        let total = 8 * GIB;
        let bustle = self.bustle();
        let used = PAGE * self.used.step(&mut self.dice, 200 + 1_500 * bustle);
        let cached = PAGE * self.cached.step(&mut self.dice, 50 + 200 * bustle);
        let buffered = PAGE * self.buffered.step(&mut self.dice, 10 + 5 * bustle);
        let free = (total - used - cached - buffered).max(0);
        let available = total - used;
        vec![
            ("available", whole(available)),
            ("available_percent", decimal(available / (total / 10_000), 100.0)),
            ("buffered", whole(buffered)),
            ("cached", whole(cached)),
            ("free", whole(free)),
            ("total", whole(total)),
            ("used", whole(used)),
            ("used_percent", FieldValue::Float(100.0 * exact(used) / exact(total))),
        ]
    }

    fn disk(&mut self) -> Vec<(&'static str, FieldValue)> {
        let (total, bustle) = (240 * GIB, self.bustle());
        self.written += self.dice.below(30 + 200 * bustle);
        self.inodes += if self.dice.one_in(3) { self.dice.around(4) } else { 0 };
        let used = 60 * GIB + PAGE * self.written;
        vec![
            ("free", whole(total - used)),
            ("inodes_free", whole(15_728_640 - self.inodes)),
            ("inodes_total", whole(15_728_640)),
            ("inodes_used", whole(self.inodes)),
            ("total", whole(total)),
            ("used", whole(used)),
            ("used_percent", FieldValue::Float(100.0 * exact(used) / exact(total))),
        ]
    }

    fn diskio(&mut self) -> Vec<(&'static str, FieldValue)> {
        let bustle = self.bustle();
        let (reads, writes) = (self.dice.below(5 + 120 * bustle), 10 + self.dice.below(60 + 200 * bustle));
        let more = [reads, writes, reads * PAGE * 3, writes * PAGE * 2, reads / 3, writes / 2, (reads + writes) / 4];
        for (counter, more) in self.io.iter_mut().zip(more) {
            *counter += more;
        }
        let [reads, writes, read_bytes, write_bytes, read_time, write_time, io_time] = self.io;
        vec![
            ("io_time", whole(io_time)),
            ("iops_in_progress", whole(if self.dice.one_in(12) { self.dice.below(3) } else { 0 })),
            ("read_bytes", whole(read_bytes)),
            ("read_time", whole(read_time)),
            ("reads", whole(reads)),
            ("write_bytes", whole(write_bytes)),
            ("write_time", whole(write_time)),
            ("writes", whole(writes)),
        ]
    }

    fn net(&mut self) -> Vec<(&'static str, FieldValue)> {
        let bustle = self.bustle();
        let (taken, sent) = (20 + self.dice.below(40 + 3_000 * bustle), 15 + self.dice.below(30 + 1_200 * bustle));
        let rare = |dice: &mut Dice| i64::from(dice.one_in(500));
        let taken_bytes = taken * (200 + self.dice.below(700));
        let sent_bytes = sent * (90 + self.dice.below(200));
        let more = [taken_bytes, sent_bytes, taken, sent, rare(&mut self.dice), rare(&mut self.dice)];
        for (counter, more) in self.net.iter_mut().zip(more) {
            *counter += more;
        }
        let [bytes_recv, bytes_sent, packets_recv, packets_sent, drop_in, err_in] = self.net;
        vec![
            ("bytes_recv", whole(bytes_recv)),
            ("bytes_sent", whole(bytes_sent)),
            ("drop_in", whole(drop_in)),
            ("drop_out", whole(0)),
            ("err_in", whole(err_in)),
            ("err_out", whole(0)),
            ("packets_recv", whole(packets_recv)),
            ("packets_sent", whole(packets_sent)),
        ]
    }

    fn system(&mut self) -> Vec<(&'static str, FieldValue)> {
        let bustle = self.bustle();
        let [one, five, fifteen] = &mut self.load;
        let one = one.towards(&mut self.dice, 5 + 12 * bustle, 3, 3 + 4 * bustle);
        let five = five.towards(&mut self.dice, one, 6, 2);
        let fifteen = fifteen.towards(&mut self.dice, five, 16, 1);
        if self.dice.one_in(90) {
            self.users = self.dice.below(3);
        }
        vec![
            ("load1", decimal(one, 100.0)),
            ("load15", decimal(fifteen, 100.0)),
            ("load5", decimal(five, 100.0)),
            ("n_cpus", whole(4)),
            ("n_users", whole(self.users)),
            ("uptime", whole(86_400 + MINUTE_S * self.minute)),
        ]
    }

    fn ping(&mut self) -> Vec<(&'static str, FieldValue)> {
        let average = self.round_trip.step(&mut self.dice, 250);
        let lost = if self.dice.one_in(200) { 1 + self.dice.below(2) } else { 0 };
        let spread = 40 + self.dice.below(300);
        vec![
            ("average_response_ms", decimal(average, 1e3)),
            ("maximum_response_ms", decimal(average + 2 * spread, 1e3)),
            ("minimum_response_ms", decimal((average - spread).max(100), 1e3)),
            ("packets_received", whole(10 - lost)),
            ("packets_transmitted", whole(10)),
            ("percent_packet_loss", decimal(10 * lost, 1.0)),
            ("ttl", whole(64)),
        ]
    }

    fn health(&mut self) -> Vec<(&'static str, FieldValue)> {
        let bustle = self.bustle();
        let temperature = self.temperature.towards(&mut self.dice, 350 + 20 * bustle, 10, 4);
        if self.dice.one_in(15) {
            self.fan = 1_200 + 100 * self.dice.below(20);
        }
        self.battery = (self.battery + if self.dice.one_in(6) { self.dice.around(1) } else { 0 }).clamp(20, 100);
        let watts = self.watts.towards(&mut self.dice, 8_000 + 3_000 * bustle, 10, 700);
        vec![
            ("battery_cycles", whole(self.number.cast_signed() % 400)),
            ("battery_percent", whole(self.battery)),
            ("fan_rpm", whole(self.fan)),
            ("health_ok", FieldValue::Boolean(self.reallocated < 40)),
            ("power_on_hours", whole(4_000 + self.minute / 60)),
            ("power_watts", FieldValue::Float((exact(watts) * exact(900 + self.dice.below(200))).sqrt() / 97.0)),
            ("reallocated", whole(self.reallocated)),
            ("temp_c", decimal(temperature, 10.0)),
        ]
    }
}

/// The tag by which a device is asked for.
pub(super) fn name(number: u64) -> String {
    format!("d{number:09}")
}

/// Where a device of data A stands.
pub(super) fn building(number: u64) -> String {
    format!("School {number:02}")
}

/// A device of data B.
pub(super) struct Meter {
    number: u64,
    dice: Dice,
    minute: i64,
    temperature: Walk,
    usage: Walk,
    round_trip: Walk,
    octets: i64,
    state: i64,
}

/// Values of one reading of a device of data B.
pub(super) const VALUES_B: u64 = 5;

impl Meter {
    pub(super) fn new(number: u64) -> Self {
        let mut dice = Dice(SEED_B ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self {
            number,
            minute: 0,
            temperature: Walk::new(&mut dice, 150, 310),
            usage: Walk::new(&mut dice, 0, 10_000),
            round_trip: Walk::new(&mut dice, 200, 20_000),
            octets: dice.below(1 << 40),
            state: 1,
            dice,
        }
    }

    pub(super) fn read(&mut self) -> Row {
        let time_ns = (BEGIN_B_S + self.minute * MINUTE_S) * 1_000_000_000;
        let busy = i64::from((8..17).contains(&(self.minute / 60 % 24)));
        let temperature = self.temperature.towards(&mut self.dice, 200 + 40 * busy, 60, 1);
        let usage = self.usage.towards(&mut self.dice, 500 + 4_000 * busy, 20, 150);
        let round_trip = self.round_trip.step(&mut self.dice, 300);
        self.octets += 1_000 + self.dice.below(4_000 + 2_000_000 * busy);
        if self.dice.one_in(2_000) {
            self.state = 1 - self.state;
        }
        self.minute += 1;
        Row {
            measurement: "meter",
            tags: vec![("device", name(self.number).into()), ("kind", Cow::Borrowed("switch"))],
            fields: vec![
                ("octets", whole(self.octets)),
                ("rtt_ms", decimal(round_trip, 1e3)),
                ("state", whole(self.state)),
                ("temp_c", decimal(temperature, 10.0)),
                ("usage", decimal(usage, 100.0)),
            ],
            time_ns,
        }
    }
}
