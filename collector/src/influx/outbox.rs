//! What is to be sent, in its order, and what becomes of it when the server refuses.
//!
//! One request at a time, because the order of writes decides which value of a point stands. A batch whose lines are refused is
//! taken apart: first the lines that the server's words point at are sent alone; if they are refused as well they are rejected,
//! and the rest is sent again, in order. Otherwise the batch is halved until the bad lines stand alone. Whatever happens in
//! between, the outbox holds exactly what is neither stored nor rejected.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_series::Statement;

use super::answer::{Answer, REFUSED_WAIT, Verdict, Words, judge};
use super::batch::{Batch, Place};
use super::gather::Job;
use super::rejects::Rejects;
use crate::{figures, points};

/// Who is written to.
pub trait Remote {
    /// Why there is no answer.
    type Away: Error + Send + Sync + 'static;

    /// Writes lines.
    ///
    /// # Errors
    /// When there is no whole answer.
    fn write(&mut self, batch: &Batch) -> Result<Answer, Self::Away>;

    /// Has a statement carried out.
    ///
    /// # Errors
    /// When there is no whole answer.
    fn tell(&mut self, statement: &Statement) -> Result<Answer, Self::Away>;

    /// Makes the database of a place.
    ///
    /// # Errors
    /// When there is no whole answer.
    fn create(&mut self, place: &Place) -> Result<Answer, Self::Away>;
}

/// Why nothing could be sent just now. It is still in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// There was no answer.
    #[error("nothing can be sent")]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// The answer was: not now.
    #[error("InfluxDB does not take what it is sent: {why}")]
    Later {
        /// Why.
        why: String,
        /// How long to wait at least.
        wait: Duration,
    },
}

impl NotSent {
    /// How long to wait at least.
    #[must_use]
    pub fn wait(&self) -> Duration {
        match self {
            Self::Away(_) => Duration::ZERO,
            Self::Later { wait, .. } => *wait,
        }
    }

    fn away(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Away(Box::new(error))
    }
}

/// One step of the work.
#[derive(Debug)]
enum Work {
    /// To write lines. `hinted`: what the server's words pointed at was no help.
    Send { batch: Batch, hinted: bool },
    /// To write suspects of the batch behind this, to see whether they are what was refused.
    Probe { suspects: BTreeSet<usize>, batch: Batch },
    /// To have a statement carried out.
    Tell(Statement),
}

/// What is to be sent.
#[derive(Debug)]
pub struct Outbox {
    work: VecDeque<Work>,
    rejects: Rejects,
    /// Places of which something was taken since the start: there, what is refused is refused for its own sake.
    proven: BTreeSet<Place>,
    /// Places whose database was asked for since the start: once is enough.
    created: BTreeSet<Place>,
}

impl Outbox {
    /// Empty.
    #[must_use]
    pub const fn new(rejects: Rejects) -> Self {
        Self { work: VecDeque::new(), rejects, proven: BTreeSet::new(), created: BTreeSet::new() }
    }

    /// Whether everything is stored or rejected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// Adds work behind what is there.
    pub fn add(&mut self, jobs: Vec<Job>) {
        self.work.extend(jobs.into_iter().map(|job| match job {
            Job::Lines(batch) => Work::Send { batch, hinted: false },
            Job::Statement(statement) => Work::Tell(statement),
        }));
    }

    /// Makes one request.
    ///
    /// # Errors
    /// When it must be made again later; nothing is lost.
    pub fn send(&mut self, remote: &mut impl Remote, now: Timestamp) -> Result<(), NotSent> {
        let answer = match self.work.front() {
            None => return Ok(()),
            Some(Work::Tell(statement)) => {
                let answer = remote.tell(statement).map_err(NotSent::away)?;
                return self.told(&answer);
            }
            Some(Work::Send { batch, .. } | Work::Probe { batch, .. }) => remote.write(batch).map_err(NotSent::away)?,
        };
        figures::influx("requests", 1);
        match self.work.pop_front() {
            Some(Work::Send { batch, hinted }) => self.sent(remote, batch, hinted, &answer, now),
            Some(Work::Probe { suspects, batch }) => self.probed(suspects, batch, &answer, now),
            Some(Work::Tell(_)) | None => Ok(()),
        }
    }

    fn sent(
        &mut self,
        remote: &mut impl Remote,
        batch: Batch,
        hinted: bool,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<(), NotSent> {
        match judge(answer) {
            Verdict::Taken => {
                figures::influx("points", batch.len() as u64);
                self.proven.insert(batch.place);
                Ok(())
            }
            Verdict::TooLarge if batch.len() < 2 => {
                self.rejects.put(&batch, "413: the line is too large", now);
                Ok(())
            }
            Verdict::TooLarge => {
                figures::influx("splits", 1);
                self.halve(&batch);
                Ok(())
            }
            Verdict::Bad(words) => self.refused(remote, batch, hinted, &words, now),
            Verdict::Missing(words) => self.missing(remote, batch, &words, now),
            Verdict::Later { why, wait } => {
                self.work.push_front(Work::Send { batch, hinted });
                Err(NotSent::Later { why, wait })
            }
        }
    }

    /// Some lines are bad, or the request as such is.
    fn refused(
        &mut self,
        remote: &mut impl Remote,
        batch: Batch,
        hinted: bool,
        words: &Words,
        now: Timestamp,
    ) -> Result<(), NotSent> {
        if !words.sure && !self.proven.contains(&batch.place) && !self.prove(remote, &batch)? {
            let why = format!("it refuses every line (400 {}): look at store.influxdb", words.shown());
            self.work.push_front(Work::Send { batch, hinted });
            return Err(NotSent::Later { why, wait: REFUSED_WAIT });
        }
        if batch.len() < 2 || words.covers(&batch) {
            self.rejects.put(&batch, &words.shown(), now);
            return Ok(());
        }
        let suspects = words.suspects(&batch);
        if hinted || suspects.is_empty() || suspects.len() == batch.len() {
            figures::influx("splits", 1);
            self.halve(&batch);
            return Ok(());
        }
        let probe = Work::Probe { batch: batch.only(|at| suspects.contains(&at)), suspects };
        self.work.push_front(Work::Send { batch, hinted: false });
        self.work.push_front(probe);
        Ok(())
    }

    /// Sends the first and the last line alone: if neither is taken, it may well be the settings that are wrong, and lines
    /// must not be rejected for that.
    fn prove(&mut self, remote: &mut impl Remote, batch: &Batch) -> Result<bool, NotSent> {
        let last = batch.len() - 1;
        for at in [0, last].into_iter().take(batch.len()) {
            let answer = remote.write(&batch.part(at..at + 1)).map_err(NotSent::away)?;
            if judge(&answer) == Verdict::Taken {
                self.proven.insert(batch.place.clone());
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn probed(
        &mut self,
        suspects: BTreeSet<usize>,
        batch: Batch,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<(), NotSent> {
        let verdict = judge(answer);
        if let Verdict::Later { why, wait } = verdict {
            self.work.push_front(Work::Probe { suspects, batch });
            return Err(NotSent::Later { why, wait });
        }
        let Some(Work::Send { batch: whole, hinted }) = self.work.front_mut() else { return Ok(()) };
        match verdict {
            Verdict::Bad(words) if batch.len() < 2 || words.covers(&batch) => {
                *whole = whole.only(|at| !suspects.contains(&at));
                self.rejects.put(&batch, &words.shown(), now);
            }
            _ => *hinted = true,
        }
        Ok(())
    }

    /// There is no such database or bucket.
    fn missing(
        &mut self,
        remote: &mut impl Remote,
        batch: Batch,
        words: &Words,
        now: Timestamp,
    ) -> Result<(), NotSent> {
        let place = batch.place.clone();
        if words.text.contains("database not found") && self.created.insert(place.clone()) {
            self.work.push_front(Work::Send { batch, hinted: false });
            let answer = remote.create(&place).map_err(NotSent::away)?;
            tracing::info!(database = place.database, status = answer.status, "asked InfluxDB to make a database");
            return Ok(());
        }
        if place.database != points::DATABASE && words.text.contains("not found") {
            self.rejects.put(&batch, &words.shown(), now);
            return Ok(());
        }
        self.created.remove(&place);
        self.work.push_front(Work::Send { batch, hinted: false });
        let why = format!("it has no place for our points (404 {}): make it, or correct store.influxdb", words.shown());
        Err(NotSent::Later { why, wait: REFUSED_WAIT })
    }

    /// What became of a statement. One that the server can't carry out is named, and holds nothing up.
    fn told(&mut self, answer: &Answer) -> Result<(), NotSent> {
        if let (401 | 408 | 429 | 500..=599, Verdict::Later { why, wait }) = (answer.status, judge(answer)) {
            return Err(NotSent::Later { why, wait });
        }
        let Some(Work::Tell(statement)) = self.work.pop_front() else { return Ok(()) };
        if answer.status == 200 && !answer.body.contains("\"error\"") {
            figures::influx("statements", 1);
            return Ok(());
        }
        figures::influx("statements_refused", 1);
        let why = if answer.body.is_empty() { answer.status.to_string() } else { answer.body.trim().to_owned() };
        let Statement { database, text, .. } = statement;
        tracing::error!(
            database,
            statement = text,
            why,
            "InfluxDB did not carry out a statement: carry it out there by hand"
        );
        Ok(())
    }

    fn halve(&mut self, batch: &Batch) {
        for half in batch.halves().into_iter().rev() {
            self.work.push_front(Work::Send { batch: half, hinted: false });
        }
    }
}

/// A statement as it is to be understood whenever it arrives: `now()` is the time when it was asked for.
#[must_use]
pub fn pinned(statement: &Statement) -> Statement {
    let (mut text, mut quote, mut rest) = (String::new(), None, statement.text.as_str());
    let now = jiff::Timestamp::from_nanosecond(i128::from(statement.now_ns)).unwrap_or_default();
    while let Some(letter) = rest.chars().next() {
        let head = rest.as_bytes().get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"now()"));
        if quote.is_none() && head {
            text.push_str(&format!("'{now}'"));
            rest = &rest[5..];
            continue;
        }
        match (letter, quote) {
            ('\\', Some(_)) => {
                text.push(letter);
                rest = &rest[1..];
                text.extend(rest.chars().next());
                rest = rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
                continue;
            }
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => {}
        }
        text.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    Statement { text, ..statement.clone() }
}

#[cfg(test)]
mod tests;
