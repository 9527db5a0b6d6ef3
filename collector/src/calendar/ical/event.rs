//! One event: when it begins, how long it takes, how it repeats.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use super::rule::Rule;
use super::{Line, Occurrence, civil};
use crate::calendar::zones::zone_named;

/// So long an event that has times takes the whole day: nobody is in class beside it.
const WHOLE: SignedDuration = SignedDuration::from_hours(6);

/// Dates that one event names by itself, to happen on or not.
const DATES_MAX: usize = 1_000;

/// Letters of a summary that are kept.
const SUMMARY_MAX: usize = 120;

/// A moment as it is written: a date, a time in some zone, or one that is the same wherever one is.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Without its zone.
    pub civil: DateTime,
    /// Whether it is a date alone.
    pub is_date: bool,
    /// Its zone; none: that of whoever reads it.
    pub zone: Option<TimeZone>,
}

/// One event of a calendar.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub(super) uid: String,
    summary: String,
    begin: Moment,
    /// How long it takes; of a date, in whole days.
    long: Long,
    rule: Option<Rule>,
    /// More beginnings.
    also: Vec<Moment>,
    pub(super) except: Vec<Moment>,
    /// The occurrence of its series that it stands in for.
    pub(super) stands_for: Option<Moment>,
    pub(super) is_cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Long {
    Days(i32),
    Time(SignedDuration),
}

impl Event {
    /// Reads one; nothing if it has no beginning, which says nothing of any day.
    pub(super) fn of(lines: &[Line], zones: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let find = |name: &str| lines.iter().find(|line| line.name == name);
        let Some(start) = find("DTSTART") else { return Ok(None) };
        let begin = Moment::of(start, &start.value, zones)?;
        let all = |name: &str| -> Result<Vec<Moment>, String> {
            let named = lines.iter().filter(|line| line.name == name);
            let each = named.flat_map(|line| line.value.split(',').map(move |value| (line, value)));
            each.take(DATES_MAX).map(|(line, value)| Moment::of(line, value, zones)).collect()
        };
        let rule = find("RRULE").map(|line| {
            Rule::parse(&line.value, begin.zone.as_ref())
                .map_err(|error| format!("line {}: `RRULE:{}`: {error}", line.number, line.value))
        });
        let whole_day = find("X-MICROSOFT-CDO-ALLDAYEVENT").is_some_and(|line| line.value.trim() == "TRUE");
        let long = match (find("DTEND"), find("DURATION")) {
            (Some(line), _) => begin.until(&Moment::of(line, &line.value, zones)?),
            (None, Some(line)) => duration(&line.value, begin.is_date)
                .ok_or_else(|| format!("line {}: `{}` is no duration, such as P1D", line.number, line.value))?,
            (None, None) if begin.is_date || whole_day => Long::Days(1),
            (None, None) => Long::Time(SignedDuration::ZERO),
        };
        Ok(Some(Self {
            uid: find("UID").map(|line| line.value.trim().to_owned()).unwrap_or_default(),
            summary: find("SUMMARY").map(|line| plain(&line.value)).unwrap_or_default(),
            long,
            rule: rule.transpose()?,
            also: all("RDATE")?,
            except: all("EXDATE")?,
            stands_for: find("RECURRENCE-ID").map(|line| Moment::of(line, &line.value, zones)).transpose()?,
            is_cancelled: find("STATUS").is_some_and(|line| line.value.trim().eq_ignore_ascii_case("CANCELLED")),
            begin,
        }))
    }

    /// Its beginnings up to a day, in its own civil time, without those that are called off.
    pub(super) fn begins(&self, last: Date) -> Vec<DateTime> {
        let until = last.tomorrow().unwrap_or(last).at(23, 59, 59, 0);
        let mut begins: BTreeSet<DateTime> = match &self.rule {
            Some(rule) => rule.from(self.begin.civil, until).into_iter().collect(),
            None => BTreeSet::from([self.begin.civil]),
        };
        begins.extend(self.also.iter().map(|moment| self.own(moment)));
        for except in &self.except {
            let except_at = self.own(except);
            // A date calls off whatever begins on it.
            begins.retain(|begin| *begin != except_at && !(except.is_date && begin.date() == except.civil.date()));
        }
        begins.into_iter().collect()
    }

    /// A moment in the event's own civil time.
    fn own(&self, moment: &Moment) -> DateTime {
        match (&moment.zone, &self.begin.zone) {
            (Some(zone), Some(own)) if zone != own => {
                moment.civil.to_zoned(zone.clone()).map_or(moment.civil, |at| at.with_time_zone(own.clone()).datetime())
            }
            _ => moment.civil,
        }
    }

    /// Its days at a building in this zone when it begins then.
    pub(super) fn occurrence(&self, begin: DateTime, zone: &TimeZone) -> Option<Occurrence<'_>> {
        let there = |civil: DateTime| match self.begin.zone.as_ref().filter(|own| *own != zone && !self.begin.is_date) {
            Some(own) => Some(civil.to_zoned(own.clone()).ok()?.with_time_zone(zone.clone()).datetime()),
            None => Some(civil),
        };
        let (first, last, is_whole) = match self.long {
            Long::Days(days) => {
                let first = there(begin)?.date();
                (first, first.checked_add(Span::new().try_days(days.max(1) - 1).ok()?).ok()?, true)
            }
            Long::Time(long) => {
                // An end at midnight is that of the day before.
                let end = begin.checked_add(long).ok()?;
                let last = end.checked_sub(SignedDuration::from_secs(i64::from(long.is_positive()))).ok()?;
                (there(begin)?.date(), there(last)?.date(), long >= WHOLE)
            }
        };
        Some(Occurrence { summary: &self.summary, first, last, is_whole })
    }
}

impl Moment {
    fn of(line: &Line, value: &str, zones: &BTreeMap<String, String>) -> Result<Self, String> {
        let value = value.trim();
        // Of a period only the beginning matters here.
        let value = value.split('/').next().unwrap_or(value);
        let (value, is_utc) = value.strip_suffix('Z').map_or((value, false), |rest| (rest, true));
        let civil = civil(value).ok_or_else(|| {
            format!("line {}: `{}` is no date, such as 20261126 or 20261126T083000", line.number, line.value)
        })?;
        let is_date = !value.contains('T');
        let zone = match line.parameters.get("TZID") {
            _ if is_date => None,
            _ if is_utc => Some(TimeZone::UTC),
            None => None,
            Some(name) => {
                let found = zone_named(name).or_else(|| zone_named(zones.get(name)?));
                Some(found.ok_or_else(|| {
                    format!("line {}: time zone `{name}` is not known: expected such as America/Chicago", line.number)
                })?)
            }
        };
        Ok(Self { civil, is_date, zone })
    }

    fn until(&self, end: &Self) -> Long {
        if self.is_date {
            return Long::Days(self.civil.date().until(end.civil.date()).map_or(1, |span| span.get_days()));
        }
        let instant = |moment: &Self| {
            let zone = moment.zone.clone().unwrap_or(TimeZone::UTC);
            moment.civil.to_zoned(zone).map(|at| at.timestamp())
        };
        match (instant(self), instant(end)) {
            // Civil, so that a day on which clocks change is a day.
            _ if self.zone == end.zone => Long::Time(end.civil.duration_since(self.civil)),
            (Ok(begin), Ok(end)) => Long::Time(end.duration_since(begin)),
            _ => Long::Time(SignedDuration::ZERO),
        }
    }
}

/// `P1D`, `PT2H30M`, `P1W`.
fn duration(text: &str, is_date: bool) -> Option<Long> {
    let span: Span = text.trim().trim_start_matches('+').parse().ok()?;
    if is_date {
        return Some(Long::Days(span.get_days() + 7 * span.get_weeks()));
    }
    let days = i64::from(span.get_days() + 7 * span.get_weeks());
    let hours = SignedDuration::from_hours(24 * days + i64::from(span.get_hours()));
    Some(Long::Time(
        hours + SignedDuration::from_mins(span.get_minutes()) + SignedDuration::from_secs(span.get_seconds()),
    ))
}

/// A text without the marks that iCalendar puts before commas and the like.
fn plain(value: &str) -> String {
    let mut text = String::new();
    let mut letters = value.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => text.push(' '),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text.chars().take(SUMMARY_MAX).collect()
}
