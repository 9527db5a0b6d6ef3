//! School calendars as people write them: TOML and iCalendar files, dates and time zones.
//!
//! What is written is expanded to days with instants for four hundred days back and ahead, and goes into the journal as
//! one record a building; the engine and the pages know no other. Nothing written yet is a calendar, too: an assumed one.
//!
//! What it keeps:
//! - a broken file never stops the collector: what was recorded last stays in force, and the fault is shown;
//! - times are civil until the very end: a day opens at the same hour before and after a night on which clocks change.

mod expand;
pub mod federal;
mod feed;
mod form;
pub mod ical;
mod keeper;
mod record;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::config::{ConfigError, parse_error};
use crate::folder::toml_files;

pub use expand::{AHEAD_DAYS, BACK_DAYS, ExpandError, Expanded, Note};
pub use feed::{Fetched, Fetcher};
pub use form::{DateRange, Form, Hours};
pub use keeper::{CALENDAR, Keeper};
pub use record::{calendar_of, change_of, civil, days_since_epoch, record_of};
pub use zones::zone_named;

/// The folder in the data folder.
pub const FOLDER: &str = "calendars";

/// Files in the folder. Whoever has more has a folder of something else.
const FILES_MAX: usize = 1_000;

/// Why calendars are not used.
#[derive(Debug, thiserror::Error)]
pub enum CalendarsError {
    /// The folder could not be listed.
    #[error("cannot read the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds too much.
    #[error("the folder {} holds more than {FILES_MAX} files: is it the right one?", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not understood.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// Two files are for one building.
    #[error("{} and {} are both for {}: expected one file a building", first.display(), second.display(), building(site))]
    Twice {
        /// The building; empty: all others.
        site: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// What is written makes no calendar.
    #[error("{}", path.display())]
    Expand {
        /// Which file.
        path: PathBuf,
        /// What about it.
        source: ExpandError,
    },
}

fn building(site: &str) -> String {
    if site.is_empty() { "all buildings without one of their own".into() } else { format!("building `{site}`") }
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where it is; empty for the assumed one.
    pub path: PathBuf,
    /// What it says.
    pub form: Form,
    /// Its feeds' events, where they could be read, in the order of the feeds.
    pub feeds: Vec<Result<ical::Events, String>>,
}

/// What a folder says, by building; that of the empty name is for all that have none of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendars {
    plans: BTreeMap<String, Plan>,
    zone: TimeZone,
}

impl Calendars {
    /// Reads a folder, which need not exist. `zone` is that of buildings that name none.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and what was expected.
    pub fn load(folder: &Path, zone: TimeZone) -> Result<Self, CalendarsError> {
        let files = toml_files(folder, FILES_MAX)
            .map_err(|source| CalendarsError::Folder { path: folder.into(), source })?
            .ok_or_else(|| CalendarsError::TooMany { path: folder.into() })?;
        let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
        for path in files {
            let text =
                std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            let form: Form = toml::from_str(&text).map_err(|error| parse_error(&path, &text, &error))?;
            form.check(&path, &text)?;
            let feeds = form.feed.iter().map(|feed| feed.read(folder)).collect();
            let plan = Plan { path: path.clone(), form, feeds };
            let sites = plan.form.sites.clone();
            for site in if sites.is_empty() { vec![String::new()] } else { sites } {
                if let Some(other) = plans.insert(site.clone(), plan.clone()) {
                    return Err(CalendarsError::Twice { site, first: other.path, second: path });
                }
            }
        }
        plans.entry(String::new()).or_insert_with(|| Plan {
            path: PathBuf::new(),
            form: Form::default(),
            feeds: Vec::new(),
        });
        Ok(Self { plans, zone })
    }

    /// The buildings with a calendar of their own, and the empty name.
    pub fn sites(&self) -> impl Iterator<Item = &str> + '_ {
        self.plans.keys().map(String::as_str)
    }

    /// The addresses from which feeds are fetched.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let feeds = self.plans.values().flat_map(|plan| &plan.form.feed);
        let mut urls: Vec<String> = feeds.filter_map(|feed| feed.url.clone()).collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// A building's calendar around a day; that of the empty name if it has none of its own.
    ///
    /// # Errors
    /// When it is too much for a calendar.
    pub fn expand(&self, site: &str, today: jiff::Timestamp) -> Result<Expanded, CalendarsError> {
        let plan = self.plans.get(site).or_else(|| self.plans.get("")).expect("there is always one for all others");
        expand::expand(plan, &self.zone, today)
            .map_err(|source| CalendarsError::Expand { path: plan.path.clone(), source })
    }

    /// The feeds of a building's calendar that can't be read, by name.
    #[must_use]
    pub fn lacking_feeds(&self, site: &str) -> BTreeSet<String> {
        let plan = self.plans.get(site).or_else(|| self.plans.get(""));
        let feeds = plan.into_iter().flat_map(|plan| plan.form.feed.iter().zip(&plan.feeds));
        feeds.filter(|(_, read)| read.is_err()).map(|(feed, _)| feed.name()).collect()
    }

    /// The same with feeds as they are on the disk now; one that can't be read any more stays as it was.
    #[must_use]
    pub fn with_feeds_of(&self, folder: &Path) -> Self {
        let mut now = self.clone();
        for plan in now.plans.values_mut() {
            for (feed, known) in plan.form.feed.iter().zip(&mut plan.feeds) {
                let read = feed.read(folder);
                if read.is_ok() || known.is_err() {
                    *known = read;
                }
            }
        }
        now
    }

    /// What is wrong with feeds, which stops nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for plan in self.plans.values() {
            for (feed, read) in plan.form.feed.iter().zip(&plan.feeds) {
                match read {
                    Ok(events) => faults.extend(events.faults.iter().map(|fault| format!("{}: {fault}", feed.name()))),
                    Err(fault) => faults.push(format!("{}: {fault}", feed.name())),
                }
            }
        }
        faults.sort();
        faults.dedup();
        faults
    }
}

#[cfg(test)]
mod tests;
