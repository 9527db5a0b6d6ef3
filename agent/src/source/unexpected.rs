//! How often the machine went down without a shutdown, and how often the kernel stopped.
//!
//! The first is read from the system's own record of starts and shutdowns: a start after a start is one that nobody
//! announced. `last` is asked for those two kinds of entry alone, so that logons of people are never seen.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, count, sample};

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "unexpected",
    measurements: MEASUREMENTS,
    pace: Pace::Slow(Duration::from_secs(3_600)),
    make: |host, _| Box::new(Unexpected { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "unexpected",
    tags: &[],
    fields: &[
        Field {
            name: "last_stop_code",
            kind: FieldKind::Text,
            unit: "",
            description: "The code of the last stop error, where the system has such codes.",
        },
        Field {
            name: "shutdowns",
            kind: FieldKind::Integer,
            unit: "",
            description: "In the last 7 days: ends without a shutdown.",
        },
        Field {
            name: "stop_errors",
            kind: FieldKind::Integer,
            unit: "",
            description: "In the last 7 days: stops of the kernel that left a record.",
        },
    ],
    privacy: Privacy::Health,
    description: "How often the machine went down by itself.",
}];

/// The span that counts, as in the rule for repeated crashes.
const SPAN_S: i64 = 7 * 86_400;

/// How long `last` may take; its file can be large.
const LIMIT: Duration = Duration::from_secs(20);

/// Where the kernel's last words are kept, and where systemd moves them.
const RECORDS: &[&str] = &["sys/fs/pstore", "var/lib/systemd/pstore", "var/crash"];

/// Asks `last`, and counts what the kernel left.
pub struct Unexpected {
    host: Host,
}

impl Source for Unexpected {
    fn name(&self) -> &'static str {
        "unexpected"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        if !cfg!(target_os = "linux") {
            return Reading::problem(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone"));
        }
        let now = time.0 / 1_000;
        let mut reading = Reading::default();
        let mut fields = Vec::new();
        let question = ["-x", "--time-format", "iso", "reboot", "shutdown"];
        match self.host.run("last", &question, LIMIT) {
            Ok(said) if said.status == Some(0) => fields.push(("shutdowns", count(unannounced(&said.text, now)))),
            Ok(_) => {
                let text = "last: the system keeps no record of starts and shutdowns";
                reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
            }
            Err(problem) => reading.problems.push(problem),
        }
        match self.records(now) {
            Ok(records) => fields.extend(records.map(|records| ("stop_errors", count(records)))),
            Err(problem) => reading.problems.push(problem),
        }
        if !fields.is_empty() {
            reading.samples.push(sample("unexpected", Vec::new(), time, fields));
        }
        reading
    }
}

impl Unexpected {
    /// Records of stops of the last days; none if the system keeps none. The parts of one stop bear one time.
    fn records(&self, now: i64) -> Result<Option<usize>, Problem> {
        let mut times = std::collections::BTreeSet::new();
        let mut any = false;
        for folder in RECORDS {
            let entries = match fs::read_dir(self.host.path(folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Problem::from_io(&format!("/{folder}"), &error)),
            };
            any = true;
            for entry in entries.flatten().take(1_024) {
                let changed = entry.metadata().ok().and_then(|data| data.modified().ok());
                let changed = changed.and_then(|at| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok());
                times.extend(changed.filter(|at| now - at < SPAN_S).map(|at| at / 60));
            }
        }
        Ok(any.then_some(times.len()))
    }
}

/// Starts that follow a start: the newest line comes first, so it is the line below that must be a shutdown.
/// `reboot   system boot  6.1.0-44-amd64   2026-11-20T08:01:02+00:00   still running`
fn unannounced(text: &str, now: i64) -> usize {
    let entries: Vec<(bool, Option<i64>)> = text
        .lines()
        .filter(|line| line.starts_with("reboot") || line.starts_with("shutdown"))
        .map(|line| (line.starts_with("reboot"), line.split_whitespace().find_map(seconds)))
        .collect();
    let pairs = entries.windows(2).filter(|pair| pair[0].0 && pair[1].0);
    pairs.filter(|pair| pair[0].1.is_some_and(|at| now - at < SPAN_S)).count()
}

/// `2026-11-20T08:01:02+01:00` in seconds since 1970.
pub(super) fn seconds(word: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| word.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    (word.as_bytes().get(10) == Some(&b'T') && (1..=12).contains(&month)).then_some(())?;
    let clock = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let zone = match word.as_bytes().get(19) {
        Some(b'+') => number(20..22)? * 3_600 + number(23..25).unwrap_or(0) * 60,
        Some(b'-') => -(number(20..22)? * 3_600 + number(23..25).unwrap_or(0) * 60),
        _ => 0,
    };
    // Days since 1970, with years that begin in March so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
            - 1
            - 719_468;
    Some(days * 86_400 + clock - zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_after_a_start_was_not_announced() {
        let text = "reboot   system boot  6.1.0-44-amd64   2026-11-20T08:01:02+00:00   still running\n\
                    reboot   system boot  6.1.0-44-amd64   2026-11-19T08:00:00+00:00 - crash (1+00:01)\n\
                    shutdown system down  6.1.0-44-amd64   2026-11-18T16:00:00+00:00 - 2026-11-19T08:00:00+00:00  (16:00)\n\
                    reboot   system boot  6.1.0-44-amd64   2026-11-18T08:00:00+00:00 - 2026-11-18T16:00:00+00:00  (08:00)\n\
                    reboot   system boot  6.1.0-44-amd64   2026-09-01T08:00:00+00:00 - 2026-11-18T16:00:00+00:00  (78+08:00)\n\
                    \nwtmp begins 2026-09-01T08:00:00+00:00\n";
        let now = seconds("2026-11-20T09:00:00+00:00").unwrap();
        assert_eq!(unannounced(text, now), 2);
        assert_eq!(unannounced(text, now + 6 * 86_400), 1, "what is older than a week does not count");
        assert_eq!(unannounced("", now), 0);
    }

    #[test]
    fn times_of_the_record_are_understood_in_every_zone() {
        assert_eq!(seconds("1970-01-01T00:00:00+00:00"), Some(0));
        assert_eq!(seconds("2000-02-29T12:00:00+00:00"), Some(951_825_600));
        assert_eq!(seconds("2026-11-22T01:00:00+01:00"), seconds("2026-11-21T18:00:00-06:00"));
        for odd in ["", "reboot", "2026-13-01T00:00:00", "2026-11-2", "2026-11-22 01:00:00", "\u{e9}\u{e9}\u{e9}"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }
}
