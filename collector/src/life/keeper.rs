//! Keeps what is recorded of devices' lives as what is written says: the file of assumptions at the start and when it is read
//! again, and what a command has left to be imported.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_journal::Journal;
use bellwether_logic::life::Table;
use bellwether_proto::record::v1::{LifeTableSet, record};
use tokio::sync::Notify;

use super::{load, record_table};
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::health::{Health, chain};
use crate::ingest;
use crate::state::State;

/// The part's name where troubles are shown.
pub const LIFE: &str = "life of devices";

/// How often it is looked whether something was left to be imported: who has just typed the command waits for it.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Looks after it.
#[derive(Debug)]
pub struct Keeper {
    data: PathBuf,
    state: Arc<State>,
    journal: Arc<Journal>,
    clock: Clock,
    health: Arc<Health>,
    work: Mutex<Work>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Work {
    /// What is in force; none until a file was understood.
    table: Option<Table>,
    /// What was appended: it may not be in the tables yet.
    told: Option<LifeTableSet>,
    /// Why the file is not understood.
    fault: Option<String>,
}

impl Keeper {
    /// For a data folder.
    #[must_use]
    pub fn new(data: PathBuf, state: Arc<State>, journal: Arc<Journal>, clock: Clock, health: Arc<Health>) -> Self {
        Self { data, state, journal, clock, health, work: Mutex::default(), bell: Notify::new() }
    }

    /// Reads what is written, and changes nothing.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(&self) -> Result<Table, ConfigError> {
        load(&self.data)
    }

    /// Puts what was read in force.
    pub fn take(&self, table: Table) {
        let mut work = self.work();
        (work.table, work.fault) = (Some(table), None);
        drop(work);
        self.bell.notify_one();
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
            Ok(Ok(table)) => self.take(table),
            Ok(Err(error)) => {
                let why = chain(&error);
                tracing::error!(
                    why,
                    "what is assumed of devices is not understood: what was recorded last stays in force"
                );
                self.refuse(why);
            }
            Err(error) => self.refuse(error.to_string()),
        }
        loop {
            let fault = match self.tell().await {
                Ok(()) => self.work().fault.clone(),
                Err(why) => Some(why),
            };
            match fault {
                None => self.health.well(LIFE),
                Some(why) => self.health.trouble(LIFE, why),
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Records what is other than what is recorded, and what was left to be imported.
    async fn tell(self: &Arc<Self>) -> Result<(), String> {
        let keeper = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            let recorded = keeper.state.life_table()?;
            Ok::<_, crate::state::StateError>((recorded, keeper.state.posted_life_facts()?))
        });
        let (recorded, posted) = looked.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
        let wanted = self.work().table.as_ref().map(record_table);
        let known = self.work().told.clone().or(recorded);
        if let Some(set) = wanted.filter(|set| known.as_ref() != Some(set)) {
            self.append(record::Body::LifeTable(set.clone())).await?;
            tracing::info!("what is assumed of devices was recorded");
            self.work().told = Some(set);
        }
        for (id, set) in posted {
            let entries = set.entries.len();
            self.append(record::Body::LifeFacts(set)).await?;
            tracing::info!(entries, "what was imported of devices was recorded");
            let state = Arc::clone(&self.state);
            let forgotten = tokio::task::spawn_blocking(move || state.forget_posted(id)).await;
            forgotten.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    async fn append(&self, body: record::Body) -> Result<(), String> {
        let receipt = ingest::append(&self.journal, self.clock.now(), body).map_err(|error| chain(&error))?;
        receipt.await.map(drop).map_err(|error| chain(&error))
    }
}
