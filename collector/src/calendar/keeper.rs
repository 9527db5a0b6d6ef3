//! Keeps the recorded calendars as what is written says: at the start, when it is read again, when a feed brings something
//! new, and with each new day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_journal::Journal;
use bellwether_proto::record::v1::{CalendarSet, record};
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::feed::{Fetched, Fetcher};
use super::record::keep_days_of;
use super::{Calendars, CalendarsError, FOLDER, record_of};
use crate::clock::Clock;
use crate::health::{Health, chain};
use crate::ingest;
use crate::state::State;

/// The part's name where troubles are shown.
pub const CALENDAR: &str = "calendar";

/// How often it is looked whether a day has begun somewhere: cheap, and soon enough for four hundred days ahead.
const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);

/// How often feeds are fetched: a district changes its calendar some times a year.
const FETCH_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// How soon after one that failed: a snowy morning is no time to wait.
const FETCH_AGAIN: Duration = Duration::from_secs(30 * 60);

/// Looks after the calendars.
#[derive(Debug)]
pub struct Keeper {
    /// The data folder's calendars.
    folder: PathBuf,
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
    /// What is in force; none until a folder was understood.
    calendars: Option<Arc<Calendars>>,
    /// What was appended: it may not be in the tables yet.
    told: BTreeMap<String, CalendarSet>,
    /// Why the folder is not understood.
    folder_fault: Option<String>,
    /// Why feeds are not fetched.
    fetch_faults: Vec<String>,
}

impl Keeper {
    /// For a data folder; `zone` is that of buildings that name none.
    #[must_use]
    pub fn new(
        data: &std::path::Path,
        zone: TimeZone,
        state: Arc<State>,
        journal: Arc<Journal>,
        clock: Clock,
        health: Arc<Health>,
    ) -> Self {
        let folder = data.join(FOLDER);
        Self { folder, zone, state, journal, clock, health, work: Mutex::default(), bell: Notify::new() }
    }

    /// Reads what is written, and changes nothing.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(&self) -> Result<Calendars, CalendarsError> {
        Calendars::load(&self.folder, self.zone.clone())
    }

    /// Puts what was read in force. Says whether it is another than before.
    pub fn take(&self, calendars: Calendars) -> bool {
        let mut work = self.work();
        let is_new = work.calendars.as_deref() != Some(&calendars);
        work.calendars = Some(Arc::new(calendars));
        work.folder_fault = None;
        drop(work);
        self.bell.notify_one();
        is_new
    }

    /// What was read is not understood: what is in force stays, and why is shown.
    pub fn refuse(&self, why: String) {
        self.work().folder_fault = Some(why);
        self.bell.notify_one();
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after them for as long as the collector runs.
    pub async fn run(self: Arc<Self>) {
        self.load().await;
        let fetcher = Fetcher::new(&self.folder)
            .inspect_err(|error| tracing::error!(why = chain(error), "no calendar can be fetched"))
            .ok();
        let mut fetch_at = Instant::now();
        loop {
            self.tell().await;
            if let Some(fetcher) = &fetcher
                && Instant::now() >= fetch_at
            {
                let well = self.fetch(fetcher).await;
                fetch_at = Instant::now() + if well { FETCH_EVERY } else { FETCH_AGAIN };
                self.tell().await;
            }
            tokio::select! {
                () = self.bell.notified() => {
                    // What was just read may name another address.
                    if self.urls().iter().any(|url| !super::feed::copy_of(&self.folder, url).exists()) {
                        fetch_at = Instant::now();
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn load(self: &Arc<Self>) {
        let keeper = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || keeper.read()).await;
        match read {
            Ok(Ok(calendars)) => drop(self.take(calendars)),
            Ok(Err(error)) => {
                let why = chain(&error);
                tracing::error!(why, "the calendars are not understood: what was recorded last stays in force");
                self.refuse(why);
            }
            Err(error) => self.refuse(error.to_string()),
        }
    }

    fn urls(&self) -> Vec<String> {
        self.work().calendars.as_ref().map(|calendars| calendars.urls()).unwrap_or_default()
    }

    /// Fetches all feeds; says whether all were to be had.
    async fn fetch(self: &Arc<Self>, fetcher: &Fetcher) -> bool {
        let mut faults = Vec::new();
        let mut any_new = false;
        for url in self.urls() {
            match fetcher.fetch(&url).await {
                Fetched::Same => {}
                Fetched::New => any_new = true,
                Fetched::Fault(fault) => {
                    tracing::warn!(why = fault, "a calendar could not be fetched; trying again in half an hour");
                    faults.push(fault);
                }
            }
        }
        let well = faults.is_empty();
        self.work().fetch_faults = faults;
        let before = self.work().calendars.clone();
        if let (true, Some(before)) = (any_new, before) {
            let folder = self.folder.clone();
            if let Ok(now) = tokio::task::spawn_blocking(move || before.with_feeds_of(&folder)).await {
                self.take(now);
            }
        }
        well
    }

    /// Records what is other than what is recorded.
    async fn tell(self: &Arc<Self>) {
        let keeper = Arc::clone(self);
        let outcome = tokio::task::spawn_blocking(move || keeper.outcome()).await;
        let (sets, mut faults) = outcome.unwrap_or_else(|error| (Vec::new(), vec![error.to_string()]));
        for set in sets {
            let (site, told) = (set.site.clone(), set.clone());
            let written = match ingest::append(&self.journal, self.clock.now(), record::Body::Calendar(set)) {
                Ok(receipt) => receipt.await.map(drop).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match written {
                Ok(()) => {
                    tracing::info!(site, "a calendar was recorded");
                    self.work().told.insert(site, told);
                }
                Err(why) => faults.push(format!("a calendar could not be recorded: {why}")),
            }
        }
        if faults.is_empty() {
            self.health.well(CALENDAR);
        } else {
            self.health.trouble(CALENDAR, faults.join("; "));
        }
    }

    /// What is to be recorded, and what is wrong.
    fn outcome(&self) -> (Vec<CalendarSet>, Vec<String>) {
        let (calendars, mut faults) = {
            let work = self.work();
            let faults: Vec<String> = work.folder_fault.iter().chain(&work.fetch_faults).cloned().collect();
            (work.calendars.clone(), faults)
        };
        let Some(calendars) = calendars else { return (Vec::new(), faults) };
        faults.extend(calendars.faults());
        let recorded = match self.state.calendars() {
            Ok(mut recorded) => {
                recorded.extend(self.work().told.clone());
                recorded.retain(|_, set| !set.removed);
                recorded
            }
            Err(error) => {
                faults.push(chain(&error));
                return (Vec::new(), faults);
            }
        };
        let now = self.clock.now();
        let Ok(today) = jiff::Timestamp::from_millisecond(now.0) else { return (Vec::new(), faults) };
        let mut sets = Vec::new();
        for site in calendars.sites() {
            let mut set = match calendars.expand(site, today) {
                Ok(expanded) => record_of(site, &expanded),
                Err(error) => {
                    faults.push(chain(&error));
                    continue;
                }
            };
            let known = recorded.get(site);
            if let Some(known) = known.filter(|known| known.source == set.source) {
                keep_days_of(&mut set, known, &calendars.lacking_feeds(site));
            }
            if known != Some(&set) {
                sets.push(set);
            }
        }
        let named: BTreeSet<&str> = calendars.sites().collect();
        for site in recorded.keys().filter(|site| !named.contains(site.as_str())) {
            sets.push(CalendarSet { site: site.clone(), removed: true, ..CalendarSet::default() });
        }
        (sets, faults)
    }
}
