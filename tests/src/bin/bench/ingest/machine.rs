//! A made-up machine whose readings look like those of a real one: rounded gauges that wander, counters that grow, much
//! that stands still. Nothing is random: the same machine says the same at the same time.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

const GIB: i64 = 1 << 30;

pub(super) struct Machine {
    seed: u64,
}

impl Machine {
    pub(super) const fn new(number: u64) -> Self {
        Self { seed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Every row of one reading.
    pub(super) fn read(&self, number: u64, time_ms: i64) -> Vec<Sample> {
        let time = Timestamp(time_ms);
        let row =
            |measurement: &'static str, tags: &[(&'static str, &str)], fields: Vec<(&'static str, Value)>| Sample {
                measurement: measurement.into(),
                tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).to_owned())).collect(),
                target: String::new(),
                time,
                fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            };
        let mut rows: Vec<_> = ["cpu-total", "cpu0", "cpu1", "cpu2", "cpu3"]
            .iter()
            .map(|cpu| row("cpu", &[("cpu", cpu)], self.cpu(number, cpu)))
            .collect();
        rows.push(row("mem", &[], self.mem(number)));
        let root = [("device", "sda2"), ("fstype", "ext4"), ("mode", "rw"), ("path", "/")];
        rows.push(row("disk", &root, self.disk(number)));
        rows.push(row("net", &[("interface", "eth0")], self.net(number)));
        rows.push(row("system", &[], self.system(number)));
        rows
    }

    /// Any number below `range`, steady for `steady` readings.
    fn noise(&self, what: &str, number: u64, steady: u64, range: i64) -> i64 {
        let mut x = what.bytes().fold(self.seed, |x, byte| (x ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        x ^= (number / steady).wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^= x >> 32;
        x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^= x >> 32;
        i64::try_from(x >> 1).unwrap_or(0) % range
    }

    /// A gauge in hundredths that wanders slowly and trembles a little.
    fn gauge(&self, what: &str, number: u64, low: i64, wander: i64, tremble: i64) -> Value {
        let hundredths = low + self.noise(what, number, 30, wander) + self.noise(what, number, 1, tremble);
        Value::Float(f64::from(i32::try_from(hundredths).unwrap_or(0)) / 100.0)
    }

    fn counter(&self, what: &str, number: u64, each: i64) -> Value {
        let number = i64::try_from(number).unwrap_or(0);
        Value::Integer(self.noise(what, 0, 1, 1 << 40) + number * each + self.noise(what, 1, 1, each.max(1)))
    }

    fn cpu(&self, number: u64, cpu: &str) -> Vec<(&'static str, Value)> {
        let of = |name: &str| format!("{cpu}{name}");
        vec![
            ("usage_guest", Value::Float(0.0)),
            ("usage_guest_nice", Value::Float(0.0)),
            ("usage_idle", self.gauge(&of("idle"), number, 7000, 2000, 900)),
            ("usage_iowait", self.gauge(&of("iowait"), number, 0, 20, 30)),
            ("usage_irq", Value::Float(0.0)),
            ("usage_nice", Value::Float(0.0)),
            ("usage_softirq", self.gauge(&of("softirq"), number, 0, 10, 20)),
            ("usage_steal", Value::Float(0.0)),
            ("usage_system", self.gauge(&of("system"), number, 100, 200, 300)),
            ("usage_user", self.gauge(&of("user"), number, 300, 900, 700)),
        ]
    }

    fn mem(&self, number: u64) -> Vec<(&'static str, Value)> {
        let pages = |what: &str, low: i64, range: i64| {
            Value::Integer(low + 4096 * (self.noise(what, number, 20, range / 4096) + self.noise(what, number, 1, 500)))
        };
        vec![
            ("available", pages("available", 3 * GIB, GIB)),
            ("available_percent", self.gauge("available", number, 4000, 1500, 20)),
            ("buffered", pages("buffered", GIB / 8, GIB / 16)),
            ("cached", pages("cached", 2 * GIB, GIB / 2)),
            ("free", pages("free", GIB / 2, GIB / 4)),
            ("total", Value::Integer(8 * GIB)),
            ("used", pages("used", 4 * GIB, GIB)),
            ("used_percent", self.gauge("used", number, 4500, 1500, 20)),
        ]
    }

    fn disk(&self, number: u64) -> Vec<(&'static str, Value)> {
        let written = 4096 * (i64::try_from(number).unwrap_or(0) * 40 + self.noise("disk", number, 1, 60));
        let free = 120 * GIB - written;
        vec![
            ("free", Value::Integer(free)),
            ("inodes_free", Value::Integer(15_000_000 - self.noise("inodes", number, 10, 3000))),
            ("inodes_total", Value::Integer(15_728_640)),
            ("total", Value::Integer(240 * GIB)),
            ("used", Value::Integer(240 * GIB - free)),
            ("used_percent", self.gauge("disk", number, 5000, 30, 1)),
        ]
    }

    fn net(&self, number: u64) -> Vec<(&'static str, Value)> {
        vec![
            ("bytes_recv", self.counter("recv", number, 700_000 + self.noise("recv", number, 30, 400_000))),
            ("bytes_sent", self.counter("sent", number, 90_000 + self.noise("sent", number, 30, 60_000))),
            ("drop_in", Value::Integer(0)),
            ("drop_out", Value::Integer(0)),
            ("err_in", Value::Integer(self.noise("err", number, 1_000, 3))),
            ("err_out", Value::Integer(0)),
            ("packets_recv", self.counter("packets_recv", number, 900)),
            ("packets_sent", self.counter("packets_sent", number, 400)),
        ]
    }

    fn system(&self, number: u64) -> Vec<(&'static str, Value)> {
        vec![
            ("load1", self.gauge("load1", number, 10, 60, 40)),
            ("load15", self.gauge("load15", number, 20, 20, 3)),
            ("load5", self.gauge("load5", number, 15, 40, 10)),
            ("n_cpus", Value::Integer(4)),
            ("uptime", Value::Integer(86_400 + 60 * i64::try_from(number).unwrap_or(0))),
        ]
    }
}
