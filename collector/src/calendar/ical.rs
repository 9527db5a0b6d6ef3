//! iCalendar (RFC 5545) as calendars of schools use it, and what its events say of school days.
//!
//! The maintained crates for it bring a second library for civil time with a second time-zone database; this reads what
//! school calendars hold: events with dates, rules of repetition, exceptions and moved occurrences, in zones of IANA's or
//! Windows' names. What is not understood is a fault with its line, and the rest counts.

mod event;
mod rule;
mod words;

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

pub use event::{Event, Moment};
pub use rule::{Rule, RuleError};
pub use words::{Meaning, Words};

/// Events of one calendar: a busy district has some thousand a year.
const EVENTS_MAX: usize = 50_000;

/// Faults that are told; the others are like them.
const FAULTS_MAX: usize = 20;

/// Occurrences of one event that are looked at: each day of the time that is expanded.
const OCCURRENCES_MAX: usize = 1_000;

/// A calendar's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    events: Vec<Event>,
    /// What of it is not understood, with lines.
    pub faults: Vec<String>,
}

/// One time that an event takes place, in the building's own dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence<'events> {
    /// What it is called.
    pub summary: &'events str,
    /// Its first day.
    pub first: Date,
    /// Its last day, included.
    pub last: Date,
    /// Whether it takes whole days, or so much of one that nothing else happens.
    pub is_whole: bool,
}

/// One content line: its name, its parameters and its value.
pub(super) struct Line {
    number: usize,
    name: String,
    parameters: BTreeMap<String, String>,
    value: String,
}

/// Reads a calendar.
///
/// # Errors
/// When it is none at all.
pub fn read(text: &str) -> Result<Events, String> {
    let lines = unfold(text);
    if !lines.first().is_some_and(|(_, line)| line.trim().eq_ignore_ascii_case("BEGIN:VCALENDAR")) {
        return Err("it is no iCalendar: expected BEGIN:VCALENDAR in its first line".into());
    }
    if !lines.iter().any(|(_, line)| line.trim().eq_ignore_ascii_case("END:VCALENDAR")) {
        return Err("it is cut off: END:VCALENDAR is missing".into());
    }
    let mut reading = Reading::default();
    for (number, line) in lines {
        if let Some(line) = Line::parse(number, &line) {
            reading.take(line);
        }
    }
    Ok(reading.finish())
}

/// Lines as they were before they were folded, with their numbers.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push((at + 1, line.to_owned())),
        }
    }
    lines
}

impl Line {
    fn parse(number: usize, line: &str) -> Option<Self> {
        let mut quoted = false;
        let colon = line.char_indices().find(|(_, letter)| {
            quoted ^= *letter == '"';
            *letter == ':' && !quoted
        })?;
        let (head, value) = (&line[..colon.0], &line[colon.0 + 1..]);
        let mut parts = split_outside_quotes(head, ';').into_iter();
        let name = parts.next()?.to_ascii_uppercase();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| (key.to_ascii_uppercase(), value.trim_matches('"').to_owned()))
            .collect();
        Some(Self { number, name, parameters, value: value.to_owned() })
    }
}

fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|letter| {
        quoted ^= letter == '"';
        letter == at && !quoted
    })
    .collect()
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    /// The components around the line.
    stack: Vec<String>,
    /// The zones that the calendar itself names, by their names: what else they are known as.
    zones: BTreeMap<String, String>,
    /// The name of the zone that is being read.
    zone: String,
    open: Vec<Line>,
    raw: Vec<Vec<Line>>,
    faults: Vec<String>,
}

impl Reading {
    fn take(&mut self, line: Line) {
        match line.name.as_str() {
            "BEGIN" => {
                self.stack.push(line.value.trim().to_ascii_uppercase());
                if self.stack.last().is_some_and(|name| name == "VEVENT") {
                    self.open.clear();
                }
            }
            "END" => {
                let ended = self.stack.pop();
                if ended.is_some_and(|name| name == "VEVENT") {
                    let lines = std::mem::take(&mut self.open);
                    if self.raw.len() < EVENTS_MAX {
                        self.raw.push(lines);
                    } else {
                        self.fault(format!("more than {EVENTS_MAX} events: the others are left out"));
                    }
                }
            }
            name => match (self.stack.last().map(String::as_str), name) {
                (Some("VEVENT"), _) => self.open.push(line),
                (Some("VTIMEZONE"), "TZID") => self.zone = line.value.trim().to_owned(),
                (Some("VTIMEZONE"), "X-LIC-LOCATION") => {
                    self.zones.insert(self.zone.clone(), line.value.trim().to_owned());
                }
                _ => {}
            },
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn finish(mut self) -> Events {
        let mut events = Vec::new();
        for lines in std::mem::take(&mut self.raw) {
            match Event::of(&lines, &self.zones) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => {}
                Err(fault) => self.fault(fault),
            }
        }
        // An occurrence that was moved or called off stands in for one of its series.
        let mut moved: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for event in &events {
            if let Some(moment) = &event.stands_for {
                moved.entry(event.uid.clone()).or_default().push(moment.clone());
            }
        }
        // A series is one event: a second one of the same name gets none of them.
        for event in events.iter_mut().filter(|event| event.stands_for.is_none() && !event.uid.is_empty()) {
            event.except.extend(moved.remove(&event.uid).unwrap_or_default());
        }
        events.retain(|event| !event.is_cancelled);
        Events { events, faults: self.faults }
    }
}

impl Events {
    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What takes place on some days at a building in this zone.
    #[must_use]
    pub fn between(&self, first: Date, last: Date, zone: &TimeZone) -> Vec<Occurrence<'_>> {
        let mut found = Vec::new();
        for event in &self.events {
            let mut left = OCCURRENCES_MAX;
            for begin in event.begins(last) {
                if let Some(occurrence) = event.occurrence(begin, zone)
                    && occurrence.last >= first
                    && occurrence.first <= last
                {
                    found.push(occurrence);
                    left -= 1;
                }
                if left == 0 {
                    break;
                }
            }
        }
        found
    }
}

/// `20261126` or `20261126T083000`, without a zone.
fn civil(text: &str) -> Option<DateTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let date = Date::new(number(0, 4)?, i8::try_from(number(4, 6)?).ok()?, i8::try_from(number(6, 8)?).ok()?).ok()?;
    match text.get(8..).unwrap_or_default() {
        "" => Some(date.at(0, 0, 0, 0)),
        rest => {
            let part = |from: usize| rest.get(from..from + 2)?.parse::<i8>().ok();
            rest.starts_with('T').then_some(())?;
            // A leap second is the last one of its minute.
            let time = jiff::civil::Time::new(part(1)?, part(3)?, part(5)?.min(59), 0).ok()?;
            Some(date.to_datetime(time))
        }
    }
}

#[cfg(test)]
mod tests;
