//! Records of the journal as work for an InfluxDB.

use std::collections::BTreeMap;

use bellwether_journal::Position;
use bellwether_series::{Change, Statement, lines};

use super::batch::{Batch, Place};
use super::{BATCH_BYTES, BATCH_POINTS};
use crate::readers::series::Content;
use crate::{figures, points};

/// One thing to do at the server, after all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// To write lines.
    Lines(Batch),
    /// To have a statement carried out.
    Statement(Statement),
}

/// What was read of the journal and is not sent yet.
#[derive(Debug, Default)]
pub struct Gathered {
    jobs: Vec<Job>,
    /// The batch of each place that still has room. Points of different places may pass one another; statements stand still.
    open: BTreeMap<Place, usize>,
    points: usize,
    bytes: usize,
    end: Option<(Position, i64)>,
}

impl Gathered {
    /// Whether there is anything to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether it is enough for a request.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.points >= BATCH_POINTS || self.bytes >= BATCH_BYTES
    }

    /// Where the journal goes on, and when the last record came, in milliseconds since 1970; none if no record was added.
    #[must_use]
    pub fn end(&self) -> Option<(Position, i64)> {
        self.end
    }

    /// Adds what a record has for the server.
    pub fn add(&mut self, content: Option<Content>, next: Position, stamp_ms: i64) {
        self.end = Some((next, stamp_ms));
        match content {
            None => {}
            Some(Content::Batch(received, samples)) => {
                let place = Place { database: points::DATABASE.to_owned(), policy: String::new() };
                let identity = received.identity.unwrap_or_default();
                for point in points::of(&identity, &received.targets, &samples) {
                    self.push(&place, &point);
                }
            }
            Some(Content::Change(Change::Lines(written))) => {
                let place = Place { database: written.database, policy: written.policy };
                for line in lines(&written.text, written.precision, written.now_ns).flatten().map(|line| line.point) {
                    self.push(&place, &line);
                }
            }
            Some(Content::Change(Change::Statement(statement))) => {
                self.open.clear();
                self.jobs.push(Job::Statement(statement));
            }
        }
    }

    /// Adds a point.
    pub fn push(&mut self, place: &Place, point: &bellwether_series::Point<'_>) {
        let at = match self.open.get(place) {
            Some(at) => *at,
            None => {
                self.jobs.push(Job::Lines(Batch::new(place.clone())));
                self.open.insert(place.clone(), self.jobs.len() - 1);
                self.jobs.len() - 1
            }
        };
        let Job::Lines(batch) = &mut self.jobs[at] else { return };
        let before = batch.text().len();
        if batch.push(point) {
            figures::influx("altered_points", 1);
        }
        self.points += 1;
        self.bytes += batch.text().len() - before;
        if batch.is_full() {
            self.open.remove(place);
        }
    }

    /// The jobs, in their order; nothing is left.
    pub fn take(&mut self) -> Vec<Job> {
        self.open.clear();
        (self.points, self.bytes) = (0, 0);
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain(|job| !matches!(job, Job::Lines(batch) if batch.is_empty()));
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_series::{Lines, Precision};

    fn written(database: &str, text: &str) -> Option<Content> {
        Some(Content::Change(Change::Lines(Lines {
            database: database.into(),
            policy: String::new(),
            precision: Precision::Seconds,
            now_ns: 9,
            text: text.to_owned().into(),
        })))
    }

    fn statement(text: &str) -> Option<Content> {
        let (database, text) = ("db".to_owned(), text.to_owned());
        Some(Content::Change(Change::Statement(Statement { database, text, now_ns: 0 })))
    }

    fn told(jobs: &[Job]) -> Vec<String> {
        let told = |job: &Job| match job {
            Job::Lines(batch) => format!("{} {}", batch.place.database, batch.text().replace('\n', ";")),
            Job::Statement(statement) => statement.text.clone(),
        };
        jobs.iter().map(told).collect()
    }

    #[test]
    fn points_of_one_place_share_a_request_and_a_statement_stands_between() {
        let mut gathered = Gathered::default();
        let records = [
            written("a", "m v=1 1\nm v=2"),
            written("b", "m v=3 1"),
            written("a", "m v=4 2"),
            statement("DROP x"),
            written("a", "m v=5 3"),
        ];
        for (record, at) in records.into_iter().zip(1..) {
            gathered.add(record, Position(at), 7);
        }
        assert_eq!(gathered.end(), Some((Position(5), 7)));
        let jobs = gathered.take();
        assert_eq!(
            told(&jobs),
            [
                "a m v=1.0 1000000000;m v=2.0 9;m v=4.0 2000000000;",
                "b m v=3.0 1000000000;",
                "DROP x",
                "a m v=5.0 3000000000;"
            ]
        );
        assert!(gathered.is_empty());
    }

    #[test]
    fn no_request_is_larger_than_five_thousand_points() {
        let text: String = (0..12_001).map(|time| format!("m v=1 {time}\n")).collect();
        let mut gathered = Gathered::default();
        gathered.add(written("a", &text), Position(1), 0);
        assert!(gathered.is_full());
        let sizes: Vec<_> =
            gathered.take().iter().map(|job| if let Job::Lines(batch) = job { batch.len() } else { 0 }).collect();
        assert_eq!(sizes, [5_000, 5_000, 2_001]);
    }
}
