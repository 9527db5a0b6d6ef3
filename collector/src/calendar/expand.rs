//! From what is written to days with instants.

use std::collections::BTreeMap;

use bellwether_logic::calendar::{Calendar, CalendarError, Day, DayKind, Parts, Period, Schedule, Testing};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use super::form::{Entry, Form, Hours};
use super::ical::{Meaning, Words};
use super::record::{days_since_epoch, timestamp};
use super::{Plan, federal};

/// How far back days are expanded: last year's days decide nothing any more but are counted.
pub const BACK_DAYS: i32 = 400;

/// How far ahead: should nobody expand them again, a year of school is known.
pub const AHEAD_DAYS: i32 = 400;

/// What is assumed of a building of which nobody has said anything.
const ASSUMED: Hours = Hours { opens: Time::constant(7, 0, 0, 0), closes: Time::constant(16, 0, 0, 0) };

const WORKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

/// How late a day begins that begins late, where nobody says it.
const LATE: SignedDuration = SignedDuration::from_hours(2);

/// A building's days.
#[derive(Clone, Debug, PartialEq)]
pub struct Expanded {
    /// Its zone's name.
    pub zone: String,
    /// Where it comes from: a file's name, or empty for the assumed one.
    pub source: String,
    /// What the engine is told.
    pub calendar: Calendar,
    /// Why a day is otherwise than others of its weekday.
    pub notes: BTreeMap<Date, Note>,
}

/// Why a day is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In words.
    pub why: String,
    /// Who says so: a file, a feed, the law.
    pub source: String,
}

/// Why there is no calendar.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// Beyond what dates can say.
    #[error("the day is out of range")]
    Range(#[from] jiff::Error),
    /// Too much, or out of order.
    #[error("what is written makes no calendar")]
    Calendar(#[from] CalendarError),
}

/// One day while it is made.
#[derive(Clone, Debug)]
struct Made {
    kind: Option<DayKind>,
    hours: Hours,
    bells: Option<String>,
    note: Option<Note>,
}

pub(super) fn expand(plan: &Plan, fallback: &TimeZone, now: jiff::Timestamp) -> Result<Expanded, ExpandError> {
    let zone = plan.form.zone.as_ref().map_or(fallback, |zone| &zone.0).clone();
    let today = now.to_zoned(zone.clone()).date();
    let first = today.checked_sub(Span::new().days(BACK_DAYS))?;
    let last = today.checked_add(Span::new().days(AHEAD_DAYS))?;
    let source = plan.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let making = Making { form: &plan.form, source: &source, usual: plan.form.hours.unwrap_or(ASSUMED) };
    let mut made: BTreeMap<Date, Made> = first
        .series(Span::new().days(1))
        .take_while(|date| *date <= last)
        .map(|date| (date, making.regular(date)))
        .collect();
    making.add_federal(&mut made);
    for (feed, events) in plan.form.feed.iter().zip(&plan.feeds) {
        let Ok(events) = events else { continue };
        let words = Words::of(feed);
        let found = events.between(first, last, &zone);
        making.add_events(&mut made, &found, &words, &feed.name());
    }
    making.add_entries(&mut made);
    let notes = made.iter().filter_map(|(date, made)| Some((*date, made.note.clone()?))).collect();
    let mut parts = Parts {
        assumed: plan.form.is_assumed(),
        begins: instant(first, Time::midnight(), &zone)?,
        ends: instant(last.tomorrow()?, Time::midnight(), &zone)?,
        ..Parts::default()
    };
    for (date, made) in &made {
        making.put(&mut parts, *date, made, &zone)?;
    }
    making.put_tests(&mut parts, &made, &zone)?;
    let zone = zone.iana_name().unwrap_or("UTC").to_owned();
    Ok(Expanded { zone, source, calendar: Calendar::new(parts)?, notes })
}

fn instant(date: Date, time: Time, zone: &TimeZone) -> Result<bellwether_logic::time::Timestamp, jiff::Error> {
    // A time that a night on which clocks change leaves out is that much later, one that it repeats is the first.
    Ok(timestamp(date.to_datetime(time).to_zoned(zone.clone())?.timestamp()))
}

struct Making<'plan> {
    form: &'plan Form,
    source: &'plan str,
    usual: Hours,
}

impl Making<'_> {
    fn note(&self, why: &str) -> Note {
        Note { why: why.to_owned(), source: self.source.to_owned() }
    }

    /// The day as terms, summer and days of the week have it.
    fn regular(&self, date: Date) -> Made {
        let on = |days: Option<&Vec<super::form::Day>>| match days {
            Some(days) => days.iter().any(|day| day.0 == date.weekday()),
            None => WORKDAYS.contains(&date.weekday()),
        };
        let usual_days = self.form.weekdays.as_ref();
        if let Some(summer) = self.form.summer.iter().find(|summer| summer.days.holds(date)) {
            let is_open = on(summer.weekdays.as_ref().or(usual_days));
            let name = if summer.name.is_empty() { "Summer" } else { &summer.name };
            return Made {
                kind: summer.hours.filter(|_| is_open).map(|_| DayKind::Summer),
                hours: summer.hours.unwrap_or(self.usual),
                bells: None,
                note: is_open.then(|| self.note(name)),
            };
        }
        let in_term = self.form.term.is_empty() || self.form.term.iter().any(|term| term.days.holds(date));
        let is_open = in_term && on(usual_days);
        let outside = !in_term && on(usual_days);
        Made {
            kind: is_open.then_some(DayKind::Full),
            hours: self.usual,
            bells: None,
            note: outside.then(|| self.note("Outside of all terms")),
        }
    }

    fn add_federal(&self, made: &mut BTreeMap<Date, Made>) {
        if !self.form.federal_holidays.unwrap_or_else(|| self.form.is_assumed()) {
            return;
        }
        let (Some(first), Some(last)) = (made.keys().next().copied(), made.keys().next_back().copied()) else { return };
        for (date, name) in (first.year()..=last.year()).flat_map(federal::holidays) {
            if let Some(day) = made.get_mut(&date)
                && day.kind.is_some()
            {
                day.kind = None;
                day.note = Some(Note { why: name.to_owned(), source: "federal holidays".to_owned() });
            }
        }
    }

    fn add_events(
        &self,
        made: &mut BTreeMap<Date, Made>,
        found: &[super::ical::Occurrence<'_>],
        words: &Words,
        source: &str,
    ) {
        let mut said: BTreeMap<Date, (Meaning, &str)> = BTreeMap::new();
        for occurrence in found {
            let Some(meaning) = words.meaning(occurrence.summary) else { continue };
            // A concert of two hours closes no school, whatever it is called.
            if meaning == Meaning::NoSchool && !occurrence.is_whole {
                continue;
            }
            for (date, _) in made.range(occurrence.first..=occurrence.last) {
                let known = said.entry(*date).or_insert((meaning, occurrence.summary));
                if meaning > known.0 {
                    *known = (meaning, occurrence.summary);
                }
            }
        }
        for (date, (meaning, summary)) in said {
            let Some(day) = made.get_mut(&date) else { continue };
            let (kind, hours) = match meaning {
                Meaning::NoSchool => (None, day.hours),
                Meaning::HalfDay => (Some(DayKind::Half), self.half()),
                Meaning::LateStart => (Some(DayKind::Late), self.late()),
                Meaning::SchoolDay => (Some(DayKind::Full), self.usual),
            };
            // Nothing begins late or ends early on a day off.
            if day.kind.is_none() && meaning != Meaning::SchoolDay {
                continue;
            }
            *day = Made {
                kind,
                hours,
                bells: None,
                note: Some(Note { why: summary.to_owned(), source: source.to_owned() }),
            };
        }
    }

    /// What the file itself says of single days, above everything else.
    fn add_entries(&self, made: &mut BTreeMap<Date, Made>) {
        let kinds = [
            (&self.form.school_day, Some(DayKind::Full), self.usual, false),
            (&self.form.late_start, Some(DayKind::Late), self.late(), true),
            (&self.form.half_day, Some(DayKind::Half), self.half(), true),
            (&self.form.holiday, None, self.usual, true),
        ];
        for (entries, kind, hours, only_open) in kinds {
            for entry in entries {
                self.add_entry(made, entry, kind, hours, only_open);
            }
        }
    }

    fn add_entry(
        &self,
        made: &mut BTreeMap<Date, Made>,
        entry: &Entry,
        kind: Option<DayKind>,
        hours: Hours,
        only_open: bool,
    ) {
        for (_, day) in made.range_mut(entry.days.first..=entry.days.last) {
            // A range of days off has weekends in it, which are none of its doing.
            if only_open && day.kind.is_none() {
                continue;
            }
            let bells = entry.bells.as_ref().map(|bells| bells.get_ref().clone());
            *day = Made { kind, hours: entry.hours.unwrap_or(hours), bells, note: Some(self.note(&entry.name)) };
        }
    }

    fn half(&self) -> Hours {
        self.form.half_day_hours.unwrap_or_else(|| {
            let middle = self.usual.closes.duration_since(self.usual.opens) / 2;
            Hours { closes: self.usual.opens.saturating_add(middle), ..self.usual }
        })
    }

    fn late(&self) -> Hours {
        self.form.late_start_hours.unwrap_or_else(|| {
            let opens = self.usual.opens.saturating_add(LATE).min(self.usual.closes);
            Hours { opens, ..self.usual }
        })
    }

    fn put(&self, parts: &mut Parts, date: Date, made: &Made, zone: &TimeZone) -> Result<(), ExpandError> {
        let Some(kind) = made.kind else { return Ok(()) };
        let (opens, closes) = (instant(date, made.hours.opens, zone)?, instant(date, made.hours.closes, zone)?);
        if closes <= opens {
            return Ok(());
        }
        let schedule = self.schedule(date, made, zone)?;
        let schedule = schedule.map(|schedule| {
            parts.schedules.iter().position(|known| *known == schedule).unwrap_or_else(|| {
                parts.schedules.push(schedule);
                parts.schedules.len() - 1
            })
        });
        let schedule = schedule.and_then(|at| u16::try_from(at).ok());
        parts.days.push(Day { date: days_since_epoch(date), opens, closes, kind, schedule });
        Ok(())
    }

    /// The bells of a day, from its opening on.
    fn schedule(&self, date: Date, made: &Made, zone: &TimeZone) -> Result<Option<Schedule>, ExpandError> {
        let named = made.bells.as_ref().and_then(|name| self.form.bells.iter().find(|bells| bells.name == *name));
        let usual = || {
            let follows = |bells: &&super::form::Bells| bells.weekdays.iter().any(|day| day.0 == date.weekday());
            self.form.bells.iter().find(follows).filter(|_| made.kind == Some(DayKind::Full))
        };
        let Some(bells) = named.or_else(usual) else { return Ok(None) };
        let opens = instant(date, made.hours.opens, zone)?;
        let mut schedule = Schedule::default();
        for bell in &bells.periods {
            let begins_ms = instant(date, bell.hours.opens, zone)?.0 - opens.0;
            let ends_ms = instant(date, bell.hours.closes, zone)?.0 - opens.0;
            if begins_ms >= 0 && ends_ms > begins_ms {
                schedule.periods.push(Period { name: bell.name.clone(), begins_ms, ends_ms });
            }
        }
        Ok(Some(schedule))
    }

    fn put_tests(&self, parts: &mut Parts, made: &BTreeMap<Date, Made>, zone: &TimeZone) -> Result<(), ExpandError> {
        for testing in &self.form.testing {
            for (date, day) in made.range(testing.days.first..=testing.days.last) {
                if day.kind.is_none() {
                    continue;
                }
                let hours = testing.hours.unwrap_or(day.hours);
                let (begins, ends) = (instant(*date, hours.opens, zone)?, instant(*date, hours.closes, zone)?);
                if begins < ends {
                    parts.tests.push(Testing { name: testing.name.clone(), begins, ends });
                }
            }
        }
        parts.tests.sort_by_key(|test| test.begins);
        Ok(())
    }
}
