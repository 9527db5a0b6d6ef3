//! What is left of the limits while a request runs.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Answer, QueryError, QueryOptions};
use crate::limits::QueryLimits;

/// Lives as long as one request.
pub(crate) struct Budget<'a> {
    pub(crate) limits: &'a QueryLimits,
    options: &'a QueryOptions,
    deadline: Instant,
    rows: Cell<usize>,
    held: Cell<usize>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limits: &'a QueryLimits, options: &'a QueryOptions) -> Self {
        let deadline = Instant::now() + limits.deadline;
        Self { limits, options, deadline, rows: Cell::new(0), held: Cell::new(0) }
    }

    /// To be asked between pieces of work.
    pub(crate) fn check(&self) -> Answer<()> {
        let cancelled = self.options.cancelled.as_ref();
        if cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
            return Err("query interrupted".into());
        }
        if Instant::now() > self.deadline {
            return Err("query-timeout limit exceeded".into());
        }
        Ok(())
    }

    /// Rows that become part of the answer.
    pub(crate) fn rows(&self, count: usize) -> Answer<()> {
        spend(&self.rows, count, self.limits.max_rows, "max-select-point limit exceeded")
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
