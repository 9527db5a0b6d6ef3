//! Load, processors and uptime.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::sysctl;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, percent, sample};

pub(super) fn read(host: &Host, time: Timestamp) -> Reading {
    let values = match sysctl::ask(host, &["hw.logicalcpu", "kern.boottime", "vm.loadavg"]) {
        Ok(values) => values,
        Err(problem) => return Reading::problem(problem),
    };
    let value = |name: &str| values.get(name).map(String::as_str);
    let mut fields = Vec::new();
    fields.extend(value("vm.loadavg").and_then(load).into_iter().flatten());
    let cores = value("hw.logicalcpu").and_then(|word| word.parse::<i64>().ok()).filter(|cores| *cores > 0);
    fields.extend(cores.map(|cores| ("n_cpus", Value::Integer(cores))));
    let uptime = value("kern.boottime").and_then(|text| uptime_s(text, time));
    fields.extend(uptime.map(|seconds| ("uptime", Value::Integer(seconds))));
    if fields.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::Failed, "sysctl: not understood"));
    }
    crate::reading::by_name(&mut fields);
    Reading { samples: vec![sample("system", Vec::new(), time, fields)], problems: Vec::new() }
}

/// `{ 1.52 1.61 1.70 }`
fn load(text: &str) -> Option<[(&'static str, Value); 3]> {
    let numbers = text.trim_matches(['{', '}', ' ']).split_whitespace().map_while(|word| word.parse().ok());
    let loads: Vec<f64> = numbers.filter(|load: &f64| load.is_finite() && *load >= 0.0).collect();
    let [one, five, fifteen] = loads[..] else { return None };
    Some([("load1", percent(one)), ("load5", percent(five)), ("load15", percent(fifteen))])
}

/// `{ sec = 1772272800, usec = 123456 } Sat Feb 28 10:00:00 2026`
fn uptime_s(text: &str, now: Timestamp) -> Option<i64> {
    let digits = text.split_once("sec = ")?.1.split(',').next()?;
    let boot: i64 = digits.trim().parse().ok()?;
    Some(now.0 / 1_000 - boot).filter(|seconds| *seconds >= 0)
}
