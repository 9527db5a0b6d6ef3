//! A calendar file as people write it.

use std::path::{Path, PathBuf};

use bellwether_agent::config::shown;
use bellwether_logic::calendar::{NAME_MAX, PERIODS_MAX};
use jiff::civil::{Date, Time, Weekday};
use serde::Deserialize;
use toml::Spanned;

use super::{feed, ical, zones};
use crate::config::ConfigError;

/// Entries of one kind in a file; more is a list of something else.
const ENTRIES_MAX: usize = 500;

/// The longest range of dates: two years.
const RANGE_DAYS_MAX: i32 = 731;

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    /// For which buildings it is; empty: for all that have none of their own.
    pub sites: Vec<String>,
    /// Their time zone; none: that of the pages.
    pub zone: Option<Zone>,
    /// On which days of the week there is school.
    pub weekdays: Option<Vec<Day>>,
    /// From when to when.
    pub hours: Option<Hours>,
    /// The same on half days.
    pub half_day_hours: Option<Hours>,
    /// The same on days that begin late.
    pub late_start_hours: Option<Hours>,
    /// Whether federal holidays are days off.
    pub federal_holidays: Option<bool>,
    /// When there is school at all; none: all year.
    pub term: Vec<Term>,
    /// Days off.
    pub holiday: Vec<Entry>,
    /// Days that end early.
    pub half_day: Vec<Entry>,
    /// Days that begin late.
    pub late_start: Vec<Entry>,
    /// Days on which there is school although there would be none.
    pub school_day: Vec<Entry>,
    /// The time between two school years.
    pub summer: Vec<Summer>,
    /// When tests are held.
    pub testing: Vec<Testing>,
    /// Bell schedules.
    pub bells: Vec<Bells>,
    /// Calendars of others.
    pub feed: Vec<Feed>,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// As the school calls it.
    #[serde(default)]
    pub name: String,
    /// Its first and last day.
    pub days: DateRange,
}

/// Days of one kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Why.
    pub name: String,
    /// Which.
    pub days: DateRange,
    /// Other hours than this kind of day has.
    pub hours: Option<Hours>,
    /// Which bells, by the schedule's name.
    pub bells: Option<Spanned<String>>,
}

/// Summer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summer {
    /// As the school calls it.
    #[serde(default)]
    pub name: String,
    /// Which days.
    pub days: DateRange,
    /// Summer school; none: the building is closed.
    pub hours: Option<Hours>,
    /// On which days of the week; none: as during the year.
    pub weekdays: Option<Vec<Day>>,
}

/// A testing window.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Testing {
    /// As the school calls it.
    pub name: String,
    /// On which days, as far as there is school.
    pub days: DateRange,
    /// From when to when; none: all of the school day.
    pub hours: Option<Hours>,
}

/// A bell schedule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bells {
    /// What entries call it.
    pub name: String,
    /// The days of the week that follow it unless an entry says otherwise.
    #[serde(default)]
    pub weekdays: Vec<Day>,
    /// Each as `Name 08:00-08:50`.
    pub periods: Vec<Bell>,
}

/// Somebody else's calendar, as a file or from an address, and which of its words mean what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// A file in the folder.
    pub file: Option<PathBuf>,
    /// An address, `http://` or `https://`.
    pub url: Option<String>,
    /// Words that mean that there is no school, instead of the usual ones.
    pub no_school: Option<Vec<String>>,
    /// The same for half days.
    pub half_day: Option<Vec<String>>,
    /// The same for days that begin late.
    pub late_start: Option<Vec<String>>,
    /// The same for days on which there is school although there would be none.
    pub school_day: Option<Vec<String>>,
    /// Words that mean that an event says nothing of school time, whatever else it says.
    pub ignore: Option<Vec<String>>,
}

/// Dates from the first to the last, written `2026-12-21..2027-01-01`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DateRange {
    /// The first.
    pub first: Date,
    /// The last, included.
    pub last: Date,
}

/// From when to when on one day, written `08:00-15:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    /// The first moment.
    pub opens: Time,
    /// The end.
    pub closes: Time,
}

/// A period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bell {
    /// As the school calls it.
    pub name: String,
    /// When it is.
    pub hours: Hours,
}

/// A day of the week: `mon` or `Monday`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(pub Weekday);

/// A time zone by name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(pub jiff::tz::TimeZone);

impl DateRange {
    /// Whether a date is one of them.
    #[must_use]
    pub fn holds(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Date> {
        let one = jiff::Span::new().days(1);
        self.first.series(one).take_while(move |date| *date <= self.last)
    }
}

impl TryFrom<String> for DateRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected a date such as 2026-11-26, or two as in 2026-11-25..2026-11-27");
        let (first, last) = text.split_once("..").unwrap_or((&text, &text));
        let date = |text: &str| text.trim().parse::<Date>().map_err(|_| wrong());
        let (first, last) = (date(first)?, date(last)?);
        if last < first {
            return Err(format!("`{text}`: expected the earlier date first"));
        }
        let long = first.until(last).map_or(i32::MAX, |span| span.get_days());
        if long > RANGE_DAYS_MAX {
            return Err(format!("`{text}`: expected at most two years"));
        }
        Ok(Self { first, last })
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected two times of one day, the earlier first, such as 08:00-15:00");
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (opens, closes) = text.split_once('-').ok_or_else(wrong)?;
        let (opens, closes) = time(opens).zip(time(closes)).ok_or_else(wrong)?;
        if closes <= opens { Err(wrong()) } else { Ok(Self { opens, closes }) }
    }
}

impl TryFrom<String> for Bell {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, hours) =
            text.trim().rsplit_once(' ').ok_or_else(|| format!("`{text}`: expected such as `Period 1 08:00-08:50`"))?;
        if name.chars().count() > NAME_MAX {
            return Err(format!("`{text}`: expected a name of at most {NAME_MAX} letters"));
        }
        Ok(Self { name: name.trim().to_owned(), hours: Hours::try_from(hours.to_owned())? })
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const DAYS: [(&str, Weekday); 7] = [
            ("monday", Weekday::Monday),
            ("tuesday", Weekday::Tuesday),
            ("wednesday", Weekday::Wednesday),
            ("thursday", Weekday::Thursday),
            ("friday", Weekday::Friday),
            ("saturday", Weekday::Saturday),
            ("sunday", Weekday::Sunday),
        ];
        let lower = text.to_ascii_lowercase();
        let found = DAYS.iter().find(|(name, _)| *name == lower || name[..3] == lower);
        found
            .map(|(_, day)| Self(*day))
            .ok_or_else(|| format!("`{text}`: expected one of mon, tue, wed, thu, fri, sat, sun"))
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = zones::zone_named(&text);
        found.map(Self).ok_or_else(|| format!("`{text}`: expected a time zone such as America/Chicago"))
    }
}

impl Feed {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.file, &self.url) {
            (Some(file), _) => file.display().to_string(),
            // What comes behind the host may be a secret that opens the calendar.
            (_, Some(url)) => feed::host_of(url),
            _ => String::new(),
        }
    }

    /// Its events as they are on the disk: its file, or the last good copy of its address.
    pub(super) fn read(&self, folder: &Path) -> Result<ical::Events, String> {
        let path = match (&self.file, &self.url) {
            (Some(file), _) => folder.join(file),
            (_, Some(url)) => feed::copy_of(folder, url),
            _ => return Err("it names neither a file nor an address".into()),
        };
        match feed::read_bounded(&path) {
            Ok(text) => ical::read(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.url.is_some() => {
                Err("it has not been fetched yet".into())
            }
            Err(error) => Err(format!("cannot read it: {error}")),
        }
    }
}

impl Form {
    /// Whether nothing was entered but where it is: what is assumed then is shown as such.
    #[must_use]
    pub fn is_assumed(&self) -> bool {
        let Self { sites: _, zone: _, federal_holidays: _, .. } = self;
        let bare = Self {
            sites: self.sites.clone(),
            zone: self.zone.clone(),
            federal_holidays: self.federal_holidays,
            ..Self::default()
        };
        *self == bare
    }

    /// Refuses what is understood line by line but not together.
    pub(super) fn check(&self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let value = |key: &'static str, value: String, expected: &'static str| {
            Err(ConfigError::Value { path: path.into(), key, value, expected })
        };
        let entries = [&self.holiday, &self.half_day, &self.late_start, &self.school_day];
        let counts = entries.map(Vec::len).into_iter().chain([self.term.len(), self.summer.len(), self.testing.len()]);
        if let Some(count) = counts.into_iter().find(|count| *count > ENTRIES_MAX) {
            return value("entries of one kind", count.to_string(), "at most 500");
        }
        for bells in &self.bells {
            if bells.periods.len() > PERIODS_MAX {
                return value("bells.periods", bells.periods.len().to_string(), "at most 32");
            }
            if !bells.periods.windows(2).all(|pair| pair[0].hours.closes <= pair[1].hours.opens) {
                return value("bells.periods", bells.name.clone(), "periods in order, none over another");
            }
        }
        for bells in entries.into_iter().flatten().filter_map(|entry| entry.bells.as_ref()) {
            if !self.bells.iter().any(|known| known.name == *bells.get_ref()) {
                return Err(at(path, text, bells.span().start, "expected the name of one of this file's [[bells]]"));
            }
        }
        for feed in &self.feed {
            let one = feed.file.is_some() != feed.url.is_some();
            let address =
                feed.url.as_deref().is_none_or(|url| url.starts_with("http://") || url.starts_with("https://"));
            if !one || !address {
                let said = feed.url.clone().unwrap_or_default();
                return value("feed.url", said, "either `file`, or `url` with an address of http:// or https://");
            }
        }
        Ok(())
    }
}

/// A line that is not understood in the light of others.
fn at(path: &Path, text: &str, start: usize, message: &str) -> ConfigError {
    let before = &text.as_bytes()[..start.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    ConfigError::Parse { path: path.into(), line: line + 1, text: shown(text, line), message: message.into() }
}
