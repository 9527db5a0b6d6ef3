//! Asks on another thread and stops waiting after a while, because a system call has no time limit.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One question at a time: while one is not answered, the next are not even asked, so at most one thread hangs.
#[derive(Debug, Default)]
pub(super) struct Patience {
    hung: Option<JoinHandle<()>>,
}

impl Patience {
    /// The answer; none if it, or an earlier one, does not come.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        limit: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.hung.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return None;
        }
        self.hung = None;
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("patience".to_owned()).spawn(move || {
            // Nobody listens any more if it took too long.
            let _ = sender.send(question());
        });
        let thread = thread.ok()?;
        let answer = receiver.recv_timeout(limit).ok();
        if answer.is_none() {
            self.hung = Some(thread);
        }
        answer
    }
}
