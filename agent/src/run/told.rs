//! Which rows of `agent_source` are worth sending: how a source is doing hardly ever changes, and said with every round
//! it would be a third of all that an ordinary machine says.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;

use crate::reading::Status;
use crate::source::Report;

/// A source of which nothing changes is told again this often: so the last hour on a board has every source, and a row
/// that was dropped with a full spool is made up for.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// What was last said of each source.
#[derive(Debug, Default)]
pub(super) struct Told {
    sources: BTreeMap<&'static str, Last>,
}

#[derive(Debug)]
struct Last {
    time: Timestamp,
    what: What,
    /// The longest reading since.
    longest_ms: f64,
}

/// What makes a row news: how long a reading took is different each time.
#[derive(Debug, PartialEq, Eq)]
struct What {
    status: Status,
    problems: usize,
    samples: usize,
}

impl Told {
    /// The row that tells of this reading, if it is news. It tells the longest of the readings that were none.
    pub(super) fn row(&mut self, report: &mut Report, time: Timestamp) -> Option<Sample> {
        let reading = &report.reading;
        let what = What { status: reading.status(), problems: reading.problems.len(), samples: reading.samples.len() };
        if let Some(last) = self.sources.get_mut(report.source) {
            report.took_ms = report.took_ms.max(last.longest_ms);
            // A clock that was set back makes no source silent.
            let is_due = u128::from(time.0.abs_diff(last.time.0)) >= AGAIN.as_millis();
            if !is_due && last.what == what {
                last.longest_ms = report.took_ms;
                return None;
            }
        }
        self.sources.insert(report.source, Last { time, what, longest_ms: 0.0 });
        Some(report.sample(time))
    }

    /// What was said may not have left: everything is news again.
    pub(super) fn forget(&mut self) {
        self.sources.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Problem, ProblemKind, Reading, count, sample};
    use bellwether_logic::sample::Value;

    const fn at(minute: i64) -> Timestamp {
        Timestamp(1_788_264_000_000 + minute * 60_000)
    }

    fn report(took_ms: f64, rows: usize, kind: Option<ProblemKind>) -> Report {
        let samples = vec![sample("disk", Vec::new(), at(0), vec![("free", count(1))]); rows];
        let problems = kind.map(|kind| Problem::new(kind, "x")).into_iter().collect();
        Report { source: "disk", reading: Reading { samples, problems }, took_ms }
    }

    fn took(row: &Sample) -> Option<&Value> {
        row.fields.iter().find(|(name, _)| name == "took_ms").map(|(_, value)| value)
    }

    #[test]
    fn a_source_is_told_when_something_changes_and_otherwise_every_quarter_of_an_hour() {
        let mut told = Told::default();
        let mut news = |minute, rows, kind| told.row(&mut report(0.5, rows, kind), at(minute)).is_some();
        assert!(news(0, 2, None), "the first");
        assert!(!news(1, 2, None));
        assert!(news(2, 1, None), "a disk is gone");
        assert!(news(3, 1, Some(ProblemKind::Failed)), "and says why");
        assert!(news(4, 0, Some(ProblemKind::Failed)));
        assert!(news(5, 0, Some(ProblemKind::NoPermission)), "for another reason");
        assert!((6..20).all(|minute| !news(minute, 0, Some(ProblemKind::NoPermission))));
        assert!(news(20, 0, Some(ProblemKind::NoPermission)), "nothing changed");
        assert!(news(-600, 0, Some(ProblemKind::NoPermission)), "the clock was set back");
    }

    #[test]
    fn a_slow_reading_between_two_rows_is_told_with_the_next() {
        let mut told = Told::default();
        assert_eq!(took(&told.row(&mut report(0.5, 1, None), at(0)).unwrap()), Some(&Value::Float(0.5)));
        for (minute, took_ms) in [(1, 0.25), (2, 900.0), (3, 0.25)] {
            assert_eq!(told.row(&mut report(took_ms, 1, None), at(minute)), None);
        }
        let row = told.row(&mut report(0.125, 1, None), at(15)).unwrap();
        assert_eq!(took(&row), Some(&Value::Float(900.0)));
        let row = told.row(&mut report(0.125, 2, None), at(16)).unwrap();
        assert_eq!(took(&row), Some(&Value::Float(0.125)), "once");
    }

    #[test]
    fn what_was_forgotten_is_told_again() {
        let mut told = Told::default();
        assert!(told.row(&mut report(0.5, 1, None), at(0)).is_some());
        told.forget();
        assert!(told.row(&mut report(0.5, 1, None), at(1)).is_some());
    }
}
