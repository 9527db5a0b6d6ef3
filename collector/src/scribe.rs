//! People's acts and enrolments into the journal, and the answer back once their effects are committed.

use std::sync::Arc;

use bellwether_journal::{Journal, Receipt};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use prost::Message;
use tokio::sync::{mpsc, watch};

use crate::app::{CLICK_WAIT, CLICKS_MAX, Click, SubmitError};
use crate::clock::Clock;
use crate::refusals::Refusals;

/// What the scribe works with.
pub struct Scribe {
    /// Where acts go.
    pub journal: Arc<Journal>,
    /// Their stamp.
    pub clock: Clock,
    /// How far the engine reader has committed.
    pub applied: watch::Receiver<u64>,
    /// What the engine refused.
    pub refusals: Arc<Refusals>,
}

impl Scribe {
    /// Takes clicks until nobody can make any more.
    pub async fn run(self, mut clicks: mpsc::Receiver<Click>) {
        let mut waiting: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = waiting.next(), if !waiting.is_empty() => {}
                click = clicks.recv(), if waiting.len() < CLICKS_MAX => match click {
                    Some(click) => self.begin(click, &waiting),
                    None => break,
                },
            }
        }
        while waiting.next().await.is_some() {}
    }

    fn begin(&self, click: Click, waiting: &FuturesUnordered<BoxFuture<'static, ()>>) {
        let Click { record, done } = click;
        // Whoever clicked may have gone away: the act counts all the same.
        match self.journal.append(self.clock.now().0, record.encode_to_vec()) {
            Err(error) => drop(done.send(Err(SubmitError::Journal(error.to_string())))),
            Ok(receipt) => {
                let answer = answer(receipt, self.applied.clone(), Arc::clone(&self.refusals));
                waiting.push(Box::pin(async move { drop(done.send(answer.await)) }));
            }
        }
    }
}

async fn answer(
    receipt: Receipt,
    mut applied: watch::Receiver<u64>,
    refusals: Arc<Refusals>,
) -> Result<(), SubmitError> {
    let committed = receipt.await.map_err(|error| SubmitError::Journal(error.to_string()))?;
    let seen = applied.wait_for(|position| *position >= committed.next.0);
    match tokio::time::timeout(CLICK_WAIT, seen).await {
        Err(_) => Err(SubmitError::Slow),
        Ok(Err(_)) => Err(SubmitError::Stopping),
        Ok(Ok(_)) => refusals.take(committed.position).map_or(Ok(()), |because| Err(SubmitError::Refused(because))),
    }
}
