//! The committer's answer to one append: waited for by a thread, or awaited by a task of any runtime.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{CommitError, Position};

/// Where a durable record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where it begins.
    pub position: Position,
    /// Where the record after it will begin.
    pub next: Position,
    /// Its stamp, after clamping.
    pub stamp_ms: i64,
}

/// Resolves once the record is on the disk, or will never be. May be dropped: the record is written all the same.
#[derive(Debug)]
#[must_use = "a record is durable only once its receipt has resolved"]
pub struct Receipt {
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<Answer>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Answer {
    outcome: Option<Result<Committed, CommitError>>,
    waker: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receipt {
    /// Blocks until the record is durable.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn wait(self) -> Result<Committed, CommitError> {
        let mut answer = self.slot.lock();
        loop {
            if let Some(outcome) = answer.outcome.take() {
                return outcome;
            }
            answer = self.slot.changed.wait(answer).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Receipt {
    type Output = Result<Committed, CommitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.slot.lock();
        // The outcome stays, so that a future polled again after it was ready answers instead of hanging.
        if let Some(outcome) = &answer.outcome {
            return Poll::Ready(outcome.clone());
        }
        answer.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// The committer's end. Dropped without an answer, the receipt fails.
#[derive(Debug)]
pub(crate) struct Promise {
    slot: Arc<Slot>,
}

/// Both ends of one answer.
pub(crate) fn promise() -> (Promise, Receipt) {
    let slot = Arc::new(Slot::default());
    (Promise { slot: slot.clone() }, Receipt { slot })
}

impl Promise {
    pub(crate) fn resolve(self, outcome: Result<Committed, CommitError>) {
        self.answer(outcome);
    }

    fn answer(&self, outcome: Result<Committed, CommitError>) {
        let mut answer = self.slot.lock();
        if answer.outcome.is_some() {
            return;
        }
        answer.outcome = Some(outcome);
        let waker = answer.waker.take();
        drop(answer);
        self.slot.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        // After `wait` took a real answer this leaves one that nobody will look at.
        self.answer(Err(CommitError::Closed));
    }
}
