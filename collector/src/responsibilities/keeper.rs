//! Keeps what is recorded of responsibilities as what is written says: at the start, and when it is read again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_journal::Journal;
use bellwether_logic::responsibilities::Responsibilities;
use bellwether_proto::record::v1::{ResponsibilitiesSet, record};
use jiff::tz::TimeZone;
use tokio::sync::Notify;

use super::{load, record_of};
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::health::{Health, chain};
use crate::ingest;
use crate::state::State;

/// The part's name where troubles are shown.
pub const RESPONSIBILITIES: &str = "responsibilities";

/// How soon it is tried again when the journal did not take it.
const AGAIN: Duration = Duration::from_secs(60);

/// Looks after the record of responsibilities.
#[derive(Debug)]
pub struct Keeper {
    data: PathBuf,
    zone: TimeZone,
    state: Arc<State>,
    journal: Arc<Journal>,
    clock: Clock,
    health: Arc<Health>,
    work: Mutex<Work>,
    /// Rung when there is something new to tell.
    bell: Notify,
}

#[derive(Debug, Default)]
struct Work {
    /// What is to be in force; none until the file was understood.
    wanted: Option<ResponsibilitiesSet>,
    /// What was appended last: it may not be in the tables yet.
    told: Option<ResponsibilitiesSet>,
    /// Why the file is not understood.
    fault: Option<String>,
}

impl Keeper {
    /// For a data folder; contracts end at midnight of `zone`.
    #[must_use]
    pub fn new(
        data: &Path,
        zone: TimeZone,
        state: Arc<State>,
        journal: Arc<Journal>,
        clock: Clock,
        health: Arc<Health>,
    ) -> Self {
        let bell = Notify::new();
        Self { data: data.into(), zone, state, journal, clock, health, work: Mutex::default(), bell }
    }

    /// Reads what is written, and changes nothing.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(&self) -> Result<Responsibilities, ConfigError> {
        load(&self.data, &self.zone)
    }

    /// Puts what was read in force. Says whether it is another than before.
    pub fn take(&self, matrix: &Responsibilities) -> bool {
        let set = record_of(matrix);
        let mut work = self.work();
        let is_new = work.wanted.as_ref() != Some(&set);
        work.wanted = Some(set);
        work.fault = None;
        drop(work);
        self.bell.notify_one();
        is_new
    }

    /// What was read is not understood: what is in force stays, and why is shown.
    pub fn refuse(&self, why: String) {
        self.work().fault = Some(why);
        self.bell.notify_one();
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after it for as long as the collector runs.
    pub async fn run(self: Arc<Self>) {
        let keeper = Arc::clone(&self);
        match tokio::task::spawn_blocking(move || keeper.read()).await {
            Ok(Ok(matrix)) => drop(self.take(&matrix)),
            Ok(Err(error)) => {
                let why = chain(&error);
                tracing::error!(why, "the responsibilities are not understood: what was recorded last stays in force");
                self.refuse(why);
            }
            Err(error) => self.refuse(error.to_string()),
        }
        loop {
            match self.tell().await {
                Ok(()) => self.bell.notified().await,
                Err(why) => {
                    self.health.trouble(RESPONSIBILITIES, why);
                    let _ = tokio::time::timeout(AGAIN, self.bell.notified()).await;
                }
            }
        }
    }

    /// Records what is written if that is other than what is recorded.
    async fn tell(self: &Arc<Self>) -> Result<(), String> {
        let keeper = Arc::clone(self);
        let recorded = tokio::task::spawn_blocking(move || keeper.state.responsibilities());
        let recorded = recorded.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
        let (wanted, fault) = {
            let work = self.work();
            let recorded = work.told.clone().or(recorded);
            let is_known = |set: &ResponsibilitiesSet| match &recorded {
                Some(recorded) => recorded == set,
                None => set.assumed,
            };
            (work.wanted.clone().filter(|set| !is_known(set)), work.fault.clone())
        };
        if let Some(set) = wanted {
            let body = record::Body::Responsibilities(set.clone());
            let receipt = ingest::append(&self.journal, self.clock.now(), body).map_err(|error| error.to_string())?;
            receipt.await.map_err(|error| error.to_string())?;
            tracing::info!(rows = set.rows.len(), assumed = set.assumed, "the responsibilities were recorded");
            self.work().told = Some(set);
        }
        match fault {
            Some(fault) => self.health.trouble(RESPONSIBILITIES, fault),
            None => self.health.well(RESPONSIBILITIES),
        }
        Ok(())
    }
}
