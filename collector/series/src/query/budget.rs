//! What is left of the limits while a request runs.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::sink::Gone;
use super::{Answer, QueryError, QueryOptions};
use crate::limits::QueryLimits;

/// Why a request ended before its answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody wanted the answer any more.
    Interrupted,
    /// It took too long.
    TooLong,
}

/// Lives as long as one request.
pub(crate) struct Budget<'a> {
    pub(crate) limits: &'a QueryLimits,
    options: &'a QueryOptions,
    deadline: Instant,
    rows: Cell<usize>,
    most_rows: usize,
    ended: Cell<Option<Ended>>,
    held: Cell<usize>,
}

impl<'a> Budget<'a> {
    /// `most_rows` are those of the answer, which depend on whether somebody holds them all.
    pub(crate) fn new(limits: &'a QueryLimits, options: &'a QueryOptions, most_rows: usize) -> Self {
        let deadline = Instant::now() + limits.deadline;
        let ended = Cell::new(None);
        Self { limits, options, deadline, rows: Cell::new(0), most_rows, ended, held: Cell::new(0) }
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    /// To be asked between pieces of work.
    pub(crate) fn check(&self) -> Answer<()> {
        let cancelled = self.options.cancelled.as_ref();
        if cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
            self.ended.set(Some(Ended::Interrupted));
            return Err(Gone.into());
        }
        if Instant::now() > self.deadline {
            self.ended.set(Some(Ended::TooLong));
            return Err("query-timeout limit exceeded".into());
        }
        Ok(())
    }

    /// Rows that become part of the answer.
    pub(crate) fn rows(&self, count: usize) -> Answer<()> {
        spend(&self.rows, count, self.most_rows, "max-select-point limit exceeded")
    }

    /// Values that must be held until their function can be answered.
    pub(crate) fn hold(&self, count: usize) -> Answer<()> {
        spend(&self.held, count, self.limits.max_held_values, "max-held-values limit exceeded")
    }

    /// They were let go again.
    pub(crate) fn release(&self) {
        self.held.set(0);
    }

    pub(crate) fn series(&self, count: usize) -> Answer<()> {
        over(count, self.limits.max_series, "max-select-series limit exceeded")
    }

    pub(crate) fn buckets(&self, count: usize) -> Answer<()> {
        over(count, self.limits.max_buckets, "max-select-buckets limit exceeded")
    }
}

fn spend(spent: &Cell<usize>, count: usize, most: usize, text: &str) -> Answer<()> {
    spent.set(spent.get() + count);
    over(spent.get(), most, text)
}

fn over(count: usize, most: usize, text: &str) -> Answer<()> {
    if count > most {
        return Err(QueryError::Refused(format!("{text}: ({count}/{most})")));
    }
    Ok(())
}
