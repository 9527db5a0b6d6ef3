//! Rules of repetition (RFC 5545, 3.3.10) in civil time: every second Friday, the last Monday in May, until June.
//!
//! Parts that name times of day, weeks or days of the year are refused: no school calendar has them, and a rule that is
//! understood by half repeats on wrong days.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use super::civil;

/// Periods (days, weeks, months, years) that a rule is followed over: fifty years of days.
const PERIODS_MAX: u32 = 20_000;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    every: Every,
    interval: u32,
    count: Option<u32>,
    until: Option<DateTime>,
    days: Vec<(i8, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
    positions: Vec<i32>,
    week_begins: Weekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Every {
    Day,
    Week,
    Month,
    Year,
}

/// Why a rule is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A part that is not understood.
    #[error("`{0}` is not understood")]
    Part(String),
    /// It does not say how often.
    #[error("expected FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")]
    Frequency,
}

impl Rule {
    /// Reads a rule of an event in this zone.
    ///
    /// # Errors
    /// The first part that is not understood.
    pub fn parse(text: &str, zone: Option<&TimeZone>) -> Result<Self, RuleError> {
        let mut every = None;
        let mut rule = Self {
            every: Every::Day,
            interval: 1,
            count: None,
            until: None,
            days: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            positions: Vec::new(),
            week_begins: Weekday::Monday,
        };
        for part in text.trim().split(';').filter(|part| !part.is_empty()) {
            let wrong = || RuleError::Part(part.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(wrong)?;
            match key.to_ascii_uppercase().as_str() {
                "FREQ" => every = Some(frequency(value).ok_or(RuleError::Frequency)?),
                "INTERVAL" => rule.interval = value.parse().ok().filter(|interval| *interval > 0).ok_or_else(wrong)?,
                "COUNT" => rule.count = Some(value.parse().map_err(|_| wrong())?),
                "UNTIL" => rule.until = Some(until(value, zone).ok_or_else(wrong)?),
                "BYDAY" => rule.days = list(value, day).ok_or_else(wrong)?,
                "BYMONTHDAY" => rule.month_days = numbers(value, -31, 31).ok_or_else(wrong)?,
                "BYMONTH" => rule.months = numbers(value, 1, 12).ok_or_else(wrong)?,
                "BYSETPOS" => rule.positions = list(value, |text| text.parse().ok()).ok_or_else(wrong)?,
                "WKST" => rule.week_begins = weekday(value).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        rule.every = every.ok_or(RuleError::Frequency)?;
        let ordinals = rule.days.iter().any(|(nth, _)| *nth != 0);
        if ordinals && matches!(rule.every, Every::Day | Every::Week) {
            return Err(RuleError::Part("BYDAY with a number".into()));
        }
        Ok(rule)
    }

    /// The beginnings of an event that first began at `begin`, up to `last`.
    #[must_use]
    pub fn from(&self, begin: DateTime, last: DateTime) -> Vec<DateTime> {
        let last = self.until.map_or(last, |until| until.min(last));
        let mut found = Vec::new();
        let mut left = self.count.unwrap_or(u32::MAX);
        for period in 0..PERIODS_MAX {
            let steps = i32::try_from(period.saturating_mul(self.interval)).unwrap_or(i32::MAX);
            let Some(first) = self.period(begin.date(), steps) else { break };
            // A week begins up to six days before its first day that counts.
            if first > last.date() {
                break;
            }
            for date in self.of_period(first, begin.date()) {
                let at = date.to_datetime(begin.time());
                if at < begin {
                    continue;
                }
                if at > last || left == 0 {
                    return found;
                }
                found.push(at);
                left -= 1;
            }
        }
        found
    }

    /// The first day of the period so many steps after the one of the beginning.
    fn period(&self, begin: Date, steps: i32) -> Option<Date> {
        let added = |from: Date, span: Span| from.checked_add(span).ok();
        match self.every {
            Every::Day => added(begin, Span::new().try_days(steps).ok()?),
            Every::Week => {
                let back = begin.weekday().since(self.week_begins);
                added(begin.checked_sub(i64::from(back).days()).ok()?, Span::new().try_weeks(steps).ok()?)
            }
            Every::Month => added(begin.first_of_month(), Span::new().try_months(steps).ok()?),
            Every::Year => added(begin.first_of_year(), Span::new().try_years(steps).ok()?),
        }
    }

    /// The days of a period on which the event takes place, in order.
    fn of_period(&self, first: Date, begin: Date) -> Vec<Date> {
        let days: BTreeSet<Date> = match self.every {
            Every::Day => BTreeSet::from([first]),
            Every::Week => first
                .series(1.day())
                .take(7)
                .filter(|date| !self.days.is_empty() || date.weekday() == begin.weekday())
                .collect(),
            Every::Month => self.of_month(first, begin),
            Every::Year => self.of_year(first, begin),
        };
        let plain = matches!(self.every, Every::Day | Every::Week);
        let fits = |date: &Date| {
            (self.months.is_empty() || self.months.contains(&date.month()))
                && (!plain || self.days.is_empty() || self.days.iter().any(|(_, day)| *day == date.weekday()))
                && (self.every != Every::Day || self.month_days.is_empty() || self.is_month_day(*date))
        };
        let days: Vec<Date> = days.into_iter().filter(fits).collect();
        if self.positions.is_empty() {
            return days;
        }
        let count = i32::try_from(days.len()).unwrap_or(i32::MAX);
        let chosen = |at: &(usize, &Date)| {
            let at = i32::try_from(at.0).unwrap_or(i32::MAX);
            self.positions.contains(&(at + 1)) || self.positions.contains(&(at - count))
        };
        days.iter().enumerate().filter(chosen).map(|(_, date)| *date).collect()
    }

    fn of_month(&self, first: Date, begin: Date) -> BTreeSet<Date> {
        let all = first.series(1.day()).take(usize::try_from(first.days_in_month()).unwrap_or(31));
        if self.days.is_empty() && self.month_days.is_empty() {
            return all.filter(|date| date.day() == begin.day()).collect();
        }
        let fits = |date: &Date| {
            let ordinal = |(nth, day): &(i8, Weekday)| {
                *day == date.weekday()
                    && (*nth == 0 || date.nth_weekday_of_month(*nth, *day).is_ok_and(|found| found == *date))
            };
            (self.month_days.is_empty() || self.is_month_day(*date))
                && (self.days.is_empty() || self.days.iter().any(ordinal))
        };
        all.filter(fits).collect()
    }

    fn of_year(&self, first: Date, begin: Date) -> BTreeSet<Date> {
        let months = |wanted: &dyn Fn(i8) -> bool| -> BTreeSet<Date> {
            let each =
                (1..=12).filter(|month| wanted(*month)).filter_map(|month| Date::new(first.year(), month, 1).ok());
            each.flat_map(|month| self.of_month(month, begin)).collect()
        };
        if !self.months.is_empty() {
            return months(&|month| self.months.contains(&month));
        }
        if !self.month_days.is_empty() {
            return months(&|_| true);
        }
        if self.days.is_empty() {
            return months(&|month| month == begin.month());
        }
        // So many a year, not a month.
        let length = usize::try_from(first.days_in_year()).unwrap_or(366);
        let fits = |date: &Date| {
            let week = (date.day_of_year() - 1) / 7 + 1;
            let back = -((first.days_in_year() - date.day_of_year()) / 7 + 1);
            self.days.iter().any(|(nth, day)| {
                *day == date.weekday() && (*nth == 0 || i16::from(*nth) == week || i16::from(*nth) == back)
            })
        };
        first.series(1.day()).take(length).filter(fits).collect()
    }

    fn is_month_day(&self, date: Date) -> bool {
        self.month_days.contains(&date.day()) || self.month_days.contains(&(date.day() - date.days_in_month() - 1))
    }
}

fn frequency(text: &str) -> Option<Every> {
    Some(match text.to_ascii_uppercase().as_str() {
        "DAILY" => Every::Day,
        "WEEKLY" => Every::Week,
        "MONTHLY" => Every::Month,
        "YEARLY" => Every::Year,
        _ => return None,
    })
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|text| one(text.trim())).collect()
}

fn numbers(text: &str, from: i8, to: i8) -> Option<Vec<i8>> {
    list(text, |text| text.parse().ok().filter(|number| *number != 0 && (from..=to).contains(number)))
}

/// `MO`, `2FR`, `-1MO`.
fn day(text: &str) -> Option<(i8, Weekday)> {
    let at = text.len().checked_sub(2)?;
    let (nth, name) = text.split_at_checked(at)?;
    let nth = if nth.is_empty() { 0 } else { nth.parse().ok().filter(|nth| (-53..=53).contains(nth) && *nth != 0)? };
    Some((nth, weekday(name)?))
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// The end in the event's own civil time; a date ends with its last second.
fn until(text: &str, zone: Option<&TimeZone>) -> Option<DateTime> {
    let text = text.trim();
    if !text.contains('T') {
        return Some(civil(text)?.date().at(23, 59, 59, 0));
    }
    match (text.strip_suffix('Z'), zone) {
        (Some(utc), Some(zone)) => {
            Some(civil(utc)?.to_zoned(TimeZone::UTC).ok()?.with_time_zone(zone.clone()).datetime())
        }
        (utc, _) => civil(utc.unwrap_or(text)),
    }
}
