//! Random questions in the grammar that dashboards use, and beyond.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::data::{Data, SECONDS, START};

pub struct Questions {
    dice: StdRng,
}

impl Questions {
    pub fn new(seed: u64, _data: &Data) -> Self {
        Self { dice: StdRng::seed_from_u64(seed.wrapping_mul(7919)) }
    }
}

impl Iterator for Questions {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let descending = self.one_in(5);
        let mut text = match self.dice.random_range(0..21) {
            20 => self.area(descending),
            0..=1 | 10..=11 => self.raw(descending),
            2..=5 | 12..=15 => self.buckets(descending),
            6 | 16 => self.selected(descending),
            7 | 17 => self.ranked(descending),
            _ => self.nested(descending),
        };
        if self.one_in(40) {
            text.push(' ');
        }
        Some(text)
    }
}

impl Questions {
    fn one_in(&mut self, count: u32) -> bool {
        self.dice.random_range(0..count) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.dice.random_range(0..of.len())]
    }

    fn number(&mut self) -> &'static str {
        self.pick(&["f", "i", "n"])
    }

    fn field(&mut self) -> &'static str {
        self.pick(&["f", "i", "n", "s", "b"])
    }

    fn from(&mut self) -> &'static str {
        self.pick(&["cpu", "cpu", "mem", "mem", "/./", "cpu, mem"])
    }

    fn order(descending: bool) -> &'static str {
        if descending { " ORDER BY time DESC" } else { "" }
    }

    /// With ends that stand on a bucket's edge, or do not.
    fn time(&mut self) -> String {
        let from = START - 60 + self.dice.random_range(0..40) * 15;
        let to = START + SECONDS + 60 - self.dice.random_range(0..60) * 15;
        let (above, below) = (self.pick(&[">", ">="]), self.pick(&["<", "<="]));
        match self.dice.random_range(0..8) {
            0 => format!(
                "{from}000ms <= time AND time {below} '2023-11-14T10:{:02}:00Z'",
                self.dice.random_range(20..40)
            ),
            _ => format!("time {above} {from}s AND time {below} {to}s"),
        }
    }

    fn condition(&mut self) -> String {
        let time = self.time();
        let host = self.dice.random_range(0..3);
        let number = self.number();
        match self.dice.random_range(0..16) {
            0 => format!("{time} AND host = 'h{host}'"),
            1 => format!("{time} AND host =~ /h[0{host}]/"),
            2 => format!("{time} AND region != 'east'"),
            3 => format!("region = '' AND {time}"),
            4 => format!("{time} AND {number} > 20"),
            5 => format!("{time} AND ({number} < 100 OR host = 'h0')"),
            6 => format!("{time} AND s = 'up'"),
            7 => format!("{time} AND s =~ /^up/ AND b = true"),
            8 => format!("{time} AND region !~ /st$/"),
            9 => format!("{time} AND f + i > 300 AND nosuch = ''"),
            _ => time,
        }
    }

    fn tags(&mut self) -> String {
        self.pick(&["", "", "host", "host, region", "region", "*", "/^h/"]).to_owned()
    }

    fn window(&mut self) -> (String, i64) {
        let every = [20, 30, 60, 90, 300, 1000][self.dice.random_range(0..6)];
        let offset = match self.dice.random_range(0..6) {
            0 => ", 7s",
            1 => ", -13s",
            _ => "",
        };
        (format!("time({every}s{offset})"), every)
    }

    fn fill(&mut self) -> &'static str {
        self.pick(&[
            "",
            "",
            " fill(none)",
            " fill(0)",
            " fill(previous)",
            " fill(linear)",
            " fill(-1.5)",
            " fill(null)",
        ])
    }

    fn page(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(5) {
            text.push_str(&format!(" LIMIT {}", self.dice.random_range(1..9)));
            if self.one_in(2) {
                text.push_str(&format!(" OFFSET {}", self.dice.random_range(1..5)));
            }
        }
        if self.one_in(12) {
            text.push_str(&format!(" SLIMIT {}", self.dice.random_range(1..3)));
            if self.one_in(2) {
                text.push_str(" SOFFSET 1");
            }
        }
        text
    }

    fn zone(&mut self) -> &'static str {
        self.pick(&["", "", "", "", "", " tz('America/Chicago')"])
    }

    fn grouped(&mut self, window: Option<&str>) -> String {
        let tags = self.tags();
        match (window, tags.as_str()) {
            (None, "") => String::new(),
            (None, tags) => format!(" GROUP BY {tags}"),
            (Some(window), "") => format!(" GROUP BY {window}"),
            (Some(window), tags) => format!(" GROUP BY {window}, {tags}"),
        }
    }

    fn raw(&mut self, descending: bool) -> String {
        let fields = match self.dice.random_range(0..8) {
            0 => "*".to_owned(),
            1 => "*::field, host".to_owned(),
            2 => format!("{} * 2 + 1", self.number()),
            3 => "i / n, i % 7, f - i".to_owned(),
            4 => format!("{}, /^[bs]$/", self.number()),
            5 => format!("{}::integer, {}::float AS x", self.number(), self.number()),
            6 => format!("{}, host, region", self.field()),
            _ => format!("{}, {}", self.field(), self.field()),
        };
        let (from, condition, grouped) = (self.from(), self.condition(), self.grouped(None));
        let (order, page) = (Self::order(descending), self.page());
        format!("SELECT {fields} FROM {from} WHERE {condition}{grouped}{order}{page}")
    }

    fn aggregate(&mut self) -> String {
        let number = self.number();
        match self.dice.random_range(0..16) {
            0 => format!("count({})", self.field()),
            1 => format!("count(distinct({}))", self.field()),
            2 => format!("first({})", self.field()),
            3 => format!("last({})", self.field()),
            4 => format!("percentile({number}, {})", self.pick(&["50", "66", "95", "99.9", "100"])),
            5 => format!("mode({})", self.field()),
            6 => format!("stddev({number})"),
            7 => format!("spread({number})"),
            8 => format!("median({number})"),
            9 => format!("min({number})"),
            10 => format!("max({number})"),
            11 => format!("sum({number}) / count({number})"),
            12 => format!("mean({number}) * -1 + 100"),
            13 => format!("sum({number})"),
            _ => format!("mean({number})"),
        }
    }

    fn transformed(&mut self) -> String {
        let number = self.number();
        let inner = self.pick(&["mean", "max", "last", "sum", "first", "count"]);
        let inner = format!("{inner}({number})");
        match self.dice.random_range(0..8) {
            0 => format!("derivative({inner}, 10s)"),
            1 => format!("non_negative_derivative({inner}, 1s) * 8"),
            2 => format!("difference({inner})"),
            3 => format!("non_negative_difference({inner})"),
            4 => format!("moving_average({inner}, {})", self.dice.random_range(2..5)),
            5 => format!("cumulative_sum({inner})"),
            6 => format!("elapsed({inner}, 1s)"),
            _ => format!("derivative({inner})"),
        }
    }

    fn buckets(&mut self, descending: bool) -> String {
        let windowed = !self.one_in(4);
        let mut calls = Vec::new();
        for _ in 0..self.dice.random_range(1..4) {
            calls.push(if windowed && self.one_in(3) { self.transformed() } else { self.aggregate() });
        }
        if self.one_in(8) {
            let several = ["mean(*)", "count(*)", "max(/^[fi]$/)", "last(*)", "distinct(n)", "distinct(s)"];
            calls = vec![self.pick(&several).to_owned()];
        }
        let (window, _) = self.window();
        let grouped = self.grouped(windowed.then_some(window.as_str()));
        let fill = if windowed { self.fill() } else { "" };
        let (from, condition) = (self.from(), self.condition());
        let (order, mut page, zone) = (Self::order(descending), self.page(), self.zone());
        let calls = calls.join(", ");
        // InfluxDB cuts each column by itself, so that their rows no longer fit together; and distinct values have no order.
        if calls.contains([',', '*', '/']) || calls.contains("distinct") {
            page.clear();
        }
        format!("SELECT {calls} FROM {from} WHERE {condition}{grouped}{fill}{order}{page}{zone}")
    }

    /// Of one series: points of several with one time InfluxDB takes in no certain order. Of integers without buckets: behind
    /// each cut it goes on from a value that is not on the line. Newest first only with buckets: else it answers twice.
    fn area(&mut self, descending: bool) -> String {
        let (from, time) = (self.pick(&["cpu", "mem"]), self.time());
        let (window, order) = (self.window().0, Self::order(descending));
        if !descending && self.one_in(3) {
            let number = self.number();
            return format!("SELECT integral({number}, 10s) FROM {from} WHERE {time} AND host = 'h0'");
        }
        format!("SELECT integral(f, 10s) FROM {from} WHERE {time} AND host = 'h0' GROUP BY {window}{order}")
    }

    fn selected(&mut self, descending: bool) -> String {
        let number = self.number();
        let function = self.pick(&["max", "min", "first", "last"]);
        let call = if self.one_in(5) { format!("percentile({number}, 90)") } else { format!("{function}({number})") };
        let beside = self.pick(&[", host", ", f", ", s, region", ", *::tag", ""]);
        let (window, _) = self.window();
        let windowed = self.one_in(2);
        let grouped = self.grouped(windowed.then_some(window.as_str()));
        let fill = if windowed { self.pick(&["", " fill(none)", " fill(previous)", " fill(3)"]) } else { "" };
        let (from, condition) = (self.pick(&["cpu", "mem"]), self.condition());
        let (order, mut page) = (Self::order(descending), self.page());
        if fill.contains("previous") {
            // Behind an OFFSET InfluxDB has forgotten what stood beside the previous one.
            page.clear();
        }
        format!("SELECT {call}{beside} FROM {from} WHERE {condition}{grouped}{fill}{order}{page}")
    }

    fn ranked(&mut self, descending: bool) -> String {
        let (function, number) = (self.pick(&["top", "bottom"]), self.number());
        let count = self.dice.random_range(1..5);
        let apart = self.pick(&["", "", ", host", ", host, region"]);
        let beside = self.pick(&["", "", ", s", ", host"]);
        let (window, _) = self.window();
        let windowed = self.one_in(2);
        let grouped = match windowed {
            true if self.one_in(2) && apart.is_empty() => format!(" GROUP BY {window}, host"),
            true => format!(" GROUP BY {window}"),
            false => String::new(),
        };
        let (from, condition) = (self.pick(&["cpu", "mem"]), self.condition());
        let order = Self::order(descending);
        format!("SELECT {function}({number}{apart}, {count}){beside} FROM {from} WHERE {condition}{grouped}{order}")
    }

    /// From the edge of every bucket on: an InfluxDB whose inner bucket begins before the range answers nothing.
    fn aligned(&mut self) -> String {
        let from = START - START % 900 + self.dice.random_range(0..2) * 900;
        let to = START + SECONDS + 60 - self.dice.random_range(0..40) * 15;
        format!("time >= {from}s AND time < {to}s")
    }

    fn aligned_window(&mut self) -> &'static str {
        self.pick(&["time(20s)", "time(30s)", "time(60s)", "time(90s)", "time(5m)"])
    }

    fn nested(&mut self, descending: bool) -> String {
        let number = self.number();
        let (from, time) = (self.pick(&["cpu", "mem"]), self.aligned());
        let (window, outer_window) = (self.aligned_window(), self.aligned_window());
        let function = self.pick(&["mean", "max", "min", "sum", "count", "last", "first"]);
        let outer = self.pick(&["mean", "max", "min", "sum", "count", "last", "first", "median", "spread"]);
        let order = Self::order(descending);
        match self.dice.random_range(0..9) {
            0 => format!(
                "SELECT {outer}(x) FROM (SELECT {function}({number}) AS x FROM {from} WHERE {time} GROUP BY {window}, host) GROUP BY region{order}"
            ),
            1 => format!(
                "SELECT {outer}(x) FROM (SELECT {function}({number}) AS x FROM {from} GROUP BY {window}, host) WHERE {time} GROUP BY {outer_window}{order}"
            ),
            2 => format!(
                "SELECT x, host FROM (SELECT {number} * 2 AS x, f FROM {from} WHERE {time} GROUP BY host) WHERE f > 50{order}"
            ),
            3 => format!(
                "SELECT {outer}({function}) FROM (SELECT {function}({number}) FROM {from} GROUP BY host) WHERE {time}{order}"
            ),
            4 => format!(
                "SELECT sum(d) FROM (SELECT non_negative_derivative({function}({number}), 1s) AS d FROM {from} WHERE {time} GROUP BY {window}, host) WHERE {time} GROUP BY {outer_window} fill(none){order}"
            ),
            5 => format!(
                "SELECT {outer}(p) FROM (SELECT f / 3 AS p FROM {from} WHERE host = 'h0') WHERE {time} GROUP BY {outer_window}{order}"
            ),
            6 => format!(
                "SELECT * FROM (SELECT {function}({number}) AS x FROM {from} GROUP BY {window}, host fill(0)) WHERE {time} GROUP BY host{order}"
            ),
            7 => format!(
                "SELECT {outer}(x) / 2 FROM (SELECT top(f, 3) AS x FROM {from} WHERE {time} GROUP BY host) WHERE {time} GROUP BY host{order}"
            ),
            _ => format!(
                "SELECT max(y) FROM (SELECT mean(x) AS y FROM (SELECT {function}({number}) AS x FROM {from} WHERE {time} GROUP BY {window}, host) WHERE {time} GROUP BY {outer_window}) WHERE {time}{order}"
            ),
        }
    }
}
