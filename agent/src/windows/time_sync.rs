//! Whether the clock is right: what `w32tm /query /status /verbose` prints. Its words are translated; the order of its
//! lines is not: leap indicator, stratum, precision, root delay, root dispersion, reference, last success, source, poll
//! interval, and then, apart, phase offset and more. The service's own source is not told: it is the name of a machine.

use std::time::Duration;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Problem, ProblemKind, Reading, millis, sample};

/// It answers within a second; while the machine is being updated it may take longer.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let said = match facts.run("w32tm", &["/query", "/status", "/verbose"], LIMIT) {
        Ok(said) => said,
        Err(problem) => return Reading::problem(problem),
    };
    // It fails when its service is not started, as on a machine that is in no domain, between two looks at the time.
    let status = if said.status == Some(0) { parse(&said.text) } else { Some(Status::default()) };
    let Some(status) = status else {
        return Reading::problem(Problem::new(ProblemKind::Failed, "w32tm: its answer is not understood"));
    };
    let mut fields = Vec::new();
    fields.extend(status.offset_ms.map(|offset| ("offset_ms", millis(offset))));
    fields.push(("source", Value::Text("w32time".to_owned())));
    fields.push(("synchronised", Value::Boolean(status.synchronised)));
    Reading { samples: vec![sample("time_sync", Vec::new(), time, fields)], problems: Vec::new() }
}

/// What is made of it.
#[derive(Debug, Default, PartialEq)]
struct Status {
    synchronised: bool,
    /// How far the clock is off, as the service reckons; above zero if it is slow.
    offset_ms: Option<f64>,
}

/// The line of the phase offset among those that are not empty.
const OFFSET_LINE: usize = 9;

fn parse(text: &str) -> Option<Status> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| line.contains(':')).collect();
    let leap = number(lines.first()?)?;
    // Further ones are farther from the clock that all follow; 0 is none at all.
    let stratum = number(lines.get(1)?)?;
    let offset = lines.get(OFFSET_LINE).and_then(|line| seconds(line));
    // 3 is the protocol's word for "not synchronised".
    let synchronised = leap != 3 && (1..16).contains(&stratum);
    Some(Status { synchronised, offset_ms: offset.filter(|_| synchronised).map(|seconds| seconds * 1_000.0) })
}

/// `Leap Indicator: 0(no warning)`
fn number(line: &str) -> Option<u32> {
    let (_, value) = line.split_once(':')?;
    let digits: String = value.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// `Phase Offset: -0.0001327s`; some languages write a comma.
fn seconds(line: &str) -> Option<f64> {
    let (_, value) = line.split_once(':')?;
    value.trim().strip_suffix('s')?.replace(',', ".").parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "\
Leap Indicator: 0(no warning)\r\nStratum: 4 (secondary reference - syncd by (S)NTP)\r\nPrecision: -23 (119.209ns per tick)\r
Root Delay: 0.0312500s\r\nRoot Dispersion: 0.0500000s\r\nReferenceId: 0x0A000005 (source IP:  10.0.0.5)\r
Last Successful Sync Time: 3/1/2026 6:12:34 AM\r\nSource: dc1.example.org\r\nPoll Interval: 10 (1024s)\r\n\r
Phase Offset: -0.0013270s\r\nClockRate: 0.0156250s\r\nState Machine: 2 (Sync)\r\n";

    #[test]
    fn a_machine_in_step_tells_by_how_much_it_is_off() {
        assert_eq!(parse(ENGLISH), Some(Status { synchronised: true, offset_ms: Some(-1.327) }));
        let german = ENGLISH.replace("Leap Indicator", "Sprungindikator").replace("-0.0013270s", "-0,0013270s");
        assert_eq!(parse(&german), parse(ENGLISH));
    }

    #[test]
    fn a_machine_out_of_step_has_no_offset() {
        let text = ENGLISH.replace("0(no warning)", "3(not synchronized)").replace("Stratum: 4", "Stratum: 0");
        assert_eq!(parse(&text), Some(Status { synchronised: false, offset_ms: None }));
    }

    #[test]
    fn what_is_no_status_is_nothing() {
        for text in ["", "The service has not been started. (0x80070426)", "a:b\nc:d", ":\n:"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
