//! `calendar`: what the calendar files say, in plain words, without a running collector.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::DEFAULT_DATA;
use crate::calendar::{Calendars, Expanded, FOLDER, days_since_epoch, zone_named};
use crate::clock::Clock;
use crate::config::{Config, FILE};

/// What is asked of calendars.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Say whether the files are understood, and which building has which calendar
    Check(At),
    /// Show a building's coming days
    Show(Show),
}

/// Where the files are.
#[derive(Debug, Args)]
pub struct At {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Which days are shown.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    at: At,
    /// The building; all that have no calendar of their own when it is left out
    #[arg(long, value_name = "NAME", default_value = "")]
    site: String,
    /// The first day; today when it is left out
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// How many days
    #[arg(long, value_name = "N", default_value_t = 28, value_parser = clap::value_parser!(i32).range(1..=400))]
    days: i32,
}

impl Step {
    /// Answers.
    ///
    /// # Errors
    /// The first thing that is not understood.
    pub fn run(&self) -> anyhow::Result<String> {
        let now = jiff::Timestamp::from_millisecond(Clock::system().now().0)?;
        match self {
            Self::Check(at) => check(&at.load()?, now),
            Self::Show(show) => show.days(&show.at.load()?, now),
        }
    }
}

impl At {
    fn load(&self) -> anyhow::Result<Calendars> {
        load(&self.data)
    }
}

fn load(data: &Path) -> anyhow::Result<Calendars> {
    let config = Config::load(&data.join(FILE), false)?;
    let zone = config.pages.time_zone().unwrap_or(TimeZone::UTC);
    Ok(Calendars::load(&data.join(FOLDER), zone)?)
}

fn check(calendars: &Calendars, now: jiff::Timestamp) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for site in calendars.sites() {
        let expanded = calendars.expand(site, now)?;
        let who = if site.is_empty() { "All buildings without one of their own" } else { site };
        let whence = match (expanded.calendar.parts().assumed, expanded.source.as_str()) {
            (true, _) => "assumed: weekdays from 7:00 to 16:00, except federal holidays".to_owned(),
            (false, source) => format!("from {source}"),
        };
        let days = expanded.calendar.parts().days.len();
        lines.push(format!("{who}: {whence}; {}; {days} school days are known", expanded.zone));
    }
    let faults = calendars.faults();
    if faults.is_empty() {
        lines.push("Everything is understood.".into());
    } else {
        lines.push("Not understood, and left out:".into());
        lines.extend(faults.into_iter().map(|fault| format!("  {fault}")));
    }
    Ok(lines.join("\n"))
}

impl Show {
    fn days(&self, calendars: &Calendars, now: jiff::Timestamp) -> anyhow::Result<String> {
        let expanded = calendars.expand(&self.site, now)?;
        let zone = zone_named(&expanded.zone).unwrap_or(TimeZone::UTC);
        let first = self.from.unwrap_or_else(|| now.to_zoned(zone.clone()).date());
        let mut text = format!("By the clock of {}. What people said on the page is not in it.", expanded.zone);
        let days = first.series(Span::new().days(1)).take(usize::try_from(self.days).unwrap_or(0));
        for date in days {
            let _ = write!(text, "\n{}", line(&expanded, date, &zone));
        }
        Ok(text)
    }
}

fn line(expanded: &Expanded, date: Date, zone: &TimeZone) -> String {
    let clock = |at: bellwether_logic::time::Timestamp| {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
    };
    let school = match expanded.calendar.plain().day(days_since_epoch(date)) {
        Some(day) => format!("{:<6} {}-{}", day.kind.as_str(), clock(day.opens), clock(day.closes)),
        None => "closed".to_owned(),
    };
    let why = expanded.notes.get(&date).map(|note| format!("  {} ({})", note.why, note.source)).unwrap_or_default();
    format!("{}  {school:<18}{why}", date.strftime("%a %Y-%m-%d")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_told_in_plain_words() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(data.path().join(FILE), "[pages]\nzone = \"America/Chicago\"\n").unwrap();
        let text = "sites = [\"Lincoln\"]\nhours = \"08:00-15:00\"\n[[half_day]]\nname = \"Conferences\"\n\
                    days = \"2026-12-04\"\n[[feed]]\nfile = \"missing.ics\"\n";
        std::fs::write(folder.join("lincoln.toml"), text).unwrap();
        let now: jiff::Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        let calendars = load(data.path()).unwrap();
        let said = check(&calendars, now).unwrap();
        assert!(
            said.starts_with("All buildings without one of their own: assumed: weekdays from 7:00 to 16:00"),
            "{said}"
        );
        assert!(said.contains("\nLincoln: from lincoln.toml; America/Chicago; "), "{said}");
        assert!(said.contains("\n  missing.ics: cannot read it: "), "{said}");
        let show = Show {
            at: At { data: data.path().into() },
            site: "Lincoln".into(),
            from: Some("2026-12-04".parse().unwrap()),
            days: 2,
        };
        let said = show.days(&calendars, now).unwrap();
        let lines: Vec<_> = said.lines().skip(1).collect();
        assert_eq!(lines, ["Fri 2026-12-04  half   08:00-11:30  Conferences (lincoln.toml)", "Sat 2026-12-05  closed"]);
    }
}
