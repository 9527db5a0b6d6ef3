//! Ends of the system that nobody wanted, out of its log: only how many, and the code of a stop error.

use std::time::Duration;

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Problem, ProblemKind, Reading, count, sample};

/// The log is searched by its index; on a slow disk that takes seconds.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let said = match facts.run("wevtutil", ARGUMENTS, LIMIT) {
        Ok(said) if said.status == Some(0) => said,
        Ok(_) => {
            return Reading::problem(Problem::new(ProblemKind::Failed, "wevtutil: the system's log can't be read"));
        }
        Err(problem) => return Reading::problem(problem),
    };
    let ends = parse(&said.text);
    let stops: Vec<u64> = ends.iter().copied().filter(|code| *code != 0).collect();
    let mut fields = Vec::new();
    fields.extend(stops.first().map(|code| ("last_stop_code", Value::Text(format!("{code:#010x}")))));
    fields.push(("shutdowns", count(ends.len())));
    fields.push(("stop_errors", count(stops.len())));
    Reading { samples: vec![sample("unexpected", Vec::new(), time, fields)], problems: Vec::new() }
}

/// Kernel-Power 41 is written at the next start, after a crash as after a pulled plug; 6008 says the same again. The
/// last seven days, the newest first.
const ARGUMENTS: &[&str] = &[
    "qe",
    "System",
    "/q:*[System[Provider[@Name='Microsoft-Windows-Kernel-Power'] and (EventID=41) and TimeCreated[timediff(@SystemTime)<=604800000]]]",
    "/f:xml",
    "/rd:true",
    "/c:200",
];

/// The stop code of each; 0 if there was none, as when the power went.
fn parse(xml: &str) -> Vec<u64> {
    xml.split("<Event ").skip(1).map(|event| stop_code(event).unwrap_or(0)).collect()
}

/// `<Data Name='BugcheckCode'>159</Data>`
fn stop_code(event: &str) -> Option<u64> {
    let (_, rest) = event.split_once("BugcheckCode")?;
    let (digits, _) = rest.split_once('>')?.1.split_once('<')?;
    digits.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
        <Provider Name='Microsoft-Windows-Kernel-Power' Guid='{331c3b3a-2005-44c2-ac5e-77220c37d6b4}'/>\
        <EventID>41</EventID></System><EventData><Data Name='BugcheckCode'>CODE</Data>\
        <Data Name='BugcheckParameter1'>0x3</Data></EventData></Event>";

    #[test]
    fn a_crash_has_its_code_and_a_pulled_plug_none() {
        let log = format!("{}\r\n{}\r\n", EVENT.replace("CODE", "159"), EVENT.replace("CODE", "0"));
        assert_eq!(parse(&log), [159, 0]);
        assert!(parse("").is_empty());
        assert_eq!(parse("<Event xmlns='x'><System/></Event>"), [0]);
    }

    #[test]
    fn what_is_no_log_is_no_panic() {
        for text in ["<Event ", "<Event BugcheckCode", "<Event BugcheckCode>", "<Event BugcheckCode>x<", "\u{feff}"] {
            parse(text);
        }
    }
}
