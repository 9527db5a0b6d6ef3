//! School time of a building: the coming weeks, where each day comes from, and "closed today" by one tap.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::calendar::{Change, Date as Days, Day, DayKind};
use bellwether_logic::time::Timestamp;
use bellwether_logic::usual::UsualHours;
use bellwether_proto::record::v1::{CalendarSet, Closed, DayChanged, DayNote, Record, day_changed, record};
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::access::{Signed, Visitor};
use super::page::{PageError, Shell, encode, render};
use super::when::When;
use super::{Desk, words};
use crate::calendar::{CALENDAR, calendar_of, civil, days_since_epoch, zone_named};
use crate::state::State as Database;
use crate::state::calendar::DayWord;
use crate::state::people::Deed;

/// Days on the page: three weeks, from which a week's holiday can be seen coming.
const DAYS_SHOWN: i32 = 21;

/// How far ahead a day can be changed by hand; what is further away belongs into the calendar.
const CHANGE_AHEAD_DAYS: i32 = 60;

/// What people said that the page repeats.
const HISTORY_SHOWN: u32 = 12;

/// Buildings that one tap changes at once.
const SITES_MAX: usize = 2_000;

/// "Two hours late".
const LATE_MS: u32 = 2 * 3_600_000;

/// One day as it is now.
pub(super) struct DayRow {
    pub(super) date: Date,
    /// As school has it; none: closed.
    pub(super) day: Option<Day>,
    /// Why it is otherwise than others, and who says so.
    pub(super) note: Option<DayNote>,
    /// What a person said of it.
    pub(super) word: Option<DayWord>,
    /// Whether there would be school if nobody had said anything.
    pub(super) is_school_day: bool,
}

/// A building's school time.
pub(super) struct View {
    pub(super) building: String,
    pub(super) set: Option<CalendarSet>,
    pub(super) zone: TimeZone,
    pub(super) today: Date,
    pub(super) rows: Vec<DayRow>,
}

impl View {
    /// So many days of a building from today on. Pages show times in the building's zone, else in `zone`.
    pub(super) fn read(
        state: &Database,
        building: &str,
        now: Timestamp,
        zone: &TimeZone,
        count: i32,
    ) -> Result<Self, PageError> {
        let mut sets = state.calendars()?;
        let set = sets.remove(building).or_else(|| sets.remove(""));
        let zone = set.as_ref().and_then(|set| zone_named(&set.zone)).unwrap_or_else(|| zone.clone());
        let now = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
        let today = now.to_zoned(zone.clone()).date();
        let words: BTreeMap<Days, DayWord> = state
            .day_words(days_since_epoch(today))?
            .into_iter()
            .filter(|word| word.site == building && word.change.is_some())
            .map(|word| (word.date, word))
            .collect();
        let calendar = set.as_ref().and_then(calendar_of);
        let row = |date: Date| {
            let days = days_since_epoch(date);
            let planned = calendar.as_ref().and_then(|calendar| calendar.plain().day(days));
            let word = words.get(&days).cloned();
            let day = planned.and_then(|day| day.changed(word.as_ref().and_then(|word| word.change)));
            let note = set.as_ref().and_then(|set| set.notes.iter().find(|note| note.date == days.0)).cloned();
            DayRow { date, day, note, word, is_school_day: planned.is_some() }
        };
        let last = today.checked_add(Span::new().days(count)).unwrap_or(today);
        let rows = today.series(Span::new().days(1)).take_while(|date| *date < last).map(row).collect();
        Ok(Self { building: building.to_owned(), set, zone, today, rows })
    }

    /// A moment by the building's clock.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        at.to_zoned(self.zone.clone()).strftime("%-I:%M %p").to_string()
    }
}

/// A day on the page.
struct Shown {
    /// Days since 1970-01-01.
    number: i32,
    name: String,
    is_today: bool,
    hours: Option<String>,
    kind: &'static str,
    /// Why, and who says so.
    why: String,
    source: String,
    word: Option<(String, String, When)>,
    may_close: bool,
    may_delay: bool,
}

#[derive(Template)]
#[template(path = "calendar.html")]
struct CalendarPage {
    shell: Shell,
    building: String,
    /// Each with its address and whether it is the one that is shown.
    choices: Vec<(String, String, bool)>,
    zone: String,
    source: String,
    is_assumed: bool,
    is_known: bool,
    may_change: bool,
    many: usize,
    today: Option<Shown>,
    rows: Vec<Shown>,
    history: Vec<(String, String, String, String, When)>,
    /// Kinds of devices and when they are usually on.
    usual: Vec<(&'static str, String)>,
    trouble: Option<String>,
}

/// What the page's address asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    building: Option<String>,
}

/// All buildings that have a device or a calendar.
fn buildings(state: &Database) -> Result<BTreeSet<String>, PageError> {
    let mut sites: BTreeSet<String> = state.sites()?.into_iter().collect();
    sites.extend(state.calendars()?.into_keys());
    sites.remove("");
    Ok(sites)
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (now, zone) = (desk.app.clock.now(), desk.zone.clone());
    let (view, sites, history, usual) = desk
        .with_state(move |state| {
            let sites = buildings(state)?;
            let first = sites.first().cloned().unwrap_or_default();
            let building = asked.building.filter(|building| sites.contains(building)).unwrap_or(first);
            let view = View::read(state, &building, now, &zone, DAYS_SHOWN)?;
            let usual = state.usual_hours(&view.building)?;
            Ok::<_, PageError>((view, sites, state.day_history(HISTORY_SHOWN)?, usual))
        })
        .await?;
    let trouble = desk.app.health.troubles().into_iter().find(|(part, _)| *part == CALENDAR).map(|(_, why)| why);
    let may_change = visitor.person.role.may(Deed::ChangeDay);
    let mut rows: Vec<Shown> = view.rows.iter().map(|row| shown(row, &view, now)).collect();
    let set = view.set.as_ref();
    Ok(render(&CalendarPage {
        shell: Shell::new("Calendar", "calendar", &visitor),
        choices: sites
            .iter()
            .map(|site| (site.clone(), format!("/calendar?building={}", encode(site)), *site == view.building))
            .collect(),
        zone: view.zone.iana_name().unwrap_or("UTC").to_owned(),
        source: set.map(|set| set.source.clone()).unwrap_or_default(),
        is_assumed: set.is_some_and(|set| set.assumed),
        is_known: set.is_some(),
        may_change,
        many: sites.len(),
        today: (!rows.is_empty()).then(|| rows.remove(0)),
        rows,
        history: history.iter().map(|word| told(word, now, &view.zone)).collect(),
        usual: usual.iter().map(|hours| (words::class(hours.class), told_hours(hours))).collect(),
        trouble: trouble.filter(|_| may_change),
        building: view.building,
    }))
}

fn shown(row: &DayRow, view: &View, now: Timestamp) -> Shown {
    let number = days_since_epoch(row.date).0;
    let hours = row.day.map(|day| format!("{} to {}", view.clock(day.opens), view.clock(day.closes)));
    let word =
        row.word.as_ref().map(|word| (said(word.change), word.actor.clone(), When::new(word.at, now, &view.zone)));
    let is_over = row.day.is_some_and(|day| day.closes <= now);
    let planned_late = row.day.is_some_and(|day| day.kind == DayKind::Late);
    Shown {
        number,
        name: row.date.strftime("%A, %B %-d").to_string(),
        is_today: row.date == view.today,
        hours,
        kind: row.day.map_or("Closed", |day| kind(day.kind)),
        why: row.note.as_ref().map(|note| note.why.clone()).unwrap_or_default(),
        source: row.note.as_ref().map(|note| note.source.clone()).unwrap_or_default(),
        may_close: row.is_school_day && word.is_none(),
        may_delay: row.is_school_day && word.is_none() && !is_over && !planned_late,
        word,
    }
}

/// When a kind of device is usually on, in words.
fn told_hours(hours: &UsualHours) -> String {
    /// The hours of a school day begin so long before its opening.
    const BEFORE: i64 = 6;
    let count = |bits: u32| bits.count_ones();
    let school = match (count(hours.school_known), count(hours.school)) {
        (0, _) => "not known yet on school days".into(),
        (known, on) if known == on => "around the clock on school days".into(),
        (_, 0) => "mostly off on school days".into(),
        _ => {
            let first = i64::from(hours.school.trailing_zeros()) - BEFORE;
            let last = i64::from(31 - hours.school.leading_zeros()) + 1 - BEFORE;
            format!("on school days from {} to {}", beside_opening(first), beside_opening(last))
        }
    };
    let other = match (count(hours.other_known), count(hours.other)) {
        (0, _) => "",
        (known, on) if known == on => "; on all other days, too",
        (_, 0) => "; mostly off on other days",
        _ => "; on other days for a part of the day",
    };
    format!("{school}{other}")
}

fn beside_opening(hours: i64) -> String {
    let plural = if hours.abs() == 1 { "" } else { "s" };
    match hours {
        0 => "the opening".into(),
        1.. => format!("{hours} hour{plural} after the opening"),
        _ => format!("{} hour{plural} before the opening", -hours),
    }
}

const fn kind(kind: DayKind) -> &'static str {
    match kind {
        DayKind::Full => "School day",
        DayKind::Half => "Half day",
        DayKind::Late => "Late start",
        DayKind::Summer => "Summer",
    }
}

fn said(change: Option<Change>) -> String {
    match change {
        Some(Change::Closed) => "closed".into(),
        Some(Change::Late { by_ms }) => format!("{} late", super::when::span(u64::from(by_ms / 1_000))),
        None => "as planned".into(),
    }
}

fn told(word: &DayWord, now: Timestamp, zone: &TimeZone) -> (String, String, String, String, When) {
    let date = civil(word.date).map(|date| date.strftime("%A, %B %-d").to_string()).unwrap_or_default();
    (date, word.site.clone(), said(word.change), word.actor.clone(), When::new(word.at, now, zone))
}

/// What a person says of a day.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    building: String,
    date: i32,
    act: String,
    /// Sent when it is said of all buildings.
    everywhere: Option<String>,
}

/// "Closed", "two hours late", or as planned after all.
pub(super) async fn change(
    State(desk): State<Desk>,
    Signed(visitor, said): Signed<Said>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ChangeDay)?;
    let change = match said.act.as_str() {
        "closed" => Some(day_changed::Change::Closed(Closed {})),
        "late" => Some(day_changed::Change::LateMs(LATE_MS)),
        "planned" => None,
        _ => return Err(wrong("Say what is to be done with this day.")),
    };
    let (now, zone, building) = (desk.app.clock.now(), desk.zone.clone(), said.building.clone());
    let (sites, today) = desk
        .with_state(move |state| {
            let view = View::read(state, &building, now, &zone, 0)?;
            Ok::<_, PageError>((buildings(state)?, days_since_epoch(view.today).0))
        })
        .await?;
    if !sites.contains(&said.building) {
        return Err(wrong("There is no such building."));
    }
    // A page that was open over night still says what it means.
    if !(today - 1..=today + CHANGE_AHEAD_DAYS).contains(&said.date) {
        return Err(wrong("Only days from today on can be changed here, up to 60 days ahead. Reload the page."));
    }
    let chosen: Vec<String> = match said.everywhere {
        Some(_) => sites.into_iter().take(SITES_MAX).collect(),
        None => vec![said.building.clone()],
    };
    for site in chosen {
        let day = DayChanged { site, date: said.date, actor: visitor.person.login.clone(), change };
        desk.app.clicks.submit(Record { body: Some(record::Body::Day(day)) }).await?;
    }
    Ok(Redirect::to(&format!("/calendar?building={}", encode(&said.building))).into_response())
}

fn wrong(text: &str) -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text.into())
}
