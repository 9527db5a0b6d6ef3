//! What rules would have done with the readings that are stored: the store's part of a back-test.
//!
//! Readings are taken slice by slice, so that a year takes no more memory than an hour, in the order of their time, with the
//! devices, calendars and places of today. What the store does not have can't be played: goodbyes (a machine that was shut down
//! counts as silent), what people did to tickets, and readings that came late, which live decided nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use bellwether_agent::schema;
use bellwether_logic::backtest::{BackTest, Report};
use bellwether_logic::batch::Lane;
use bellwether_logic::calendar::Date;
use bellwether_logic::device::{Device, make};
use bellwether_logic::engine::{Input, Settings};
use bellwether_logic::rules::{Check, RuleSet, Suggestion};
use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_series::{Epoch, QueryOptions, ResultSeries, Store};

use crate::calendar::calendar_of;
use crate::points::DATABASE;
use crate::state::{State, StateError};

/// What is read at once of single points, and of roll-ups.
const SLICE: Duration = Duration::from_secs(60 * 60);
const ROLLED_SLICE: Duration = Duration::from_secs(12 * 60 * 60);

/// A slice that is too large for one answer is halved, to no less than this.
const SLICE_MIN: Duration = Duration::from_secs(60);

/// The roll-ups that are finest.
const ROLLED: Duration = Duration::from_secs(5 * 60);

/// What says that an agent was there, for rules about silence.
const LIFE: (&str, &str) = ("agent_self", "uptime");

/// Tags that the collector puts on; everything else is the sample's own.
const STAMPED: [&str; 7] = ["agent_host", "class", "device_id", "host", "room", "site", "target_id"];

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The rules that are tried, and no others.
    pub rules: RuleSet,
    /// How the engine decides.
    pub settings: Settings,
    /// From when on.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// From when on single points are kept; before it roll-ups are read.
    pub single_from: Timestamp,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackTestError {
    /// The devices or calendars.
    #[error("cannot read devices and calendars")]
    State(#[from] StateError),
    /// The readings.
    #[error("cannot read {measurement}: {why}")]
    Series {
        /// Of what.
        measurement: String,
        /// What the store says.
        why: String,
    },
}

/// The devices, places and calendars of today.
#[derive(Debug, Default)]
pub struct School {
    devices: Vec<(Device, Duration)>,
    calendars: Vec<Input>,
    hanging: Vec<(String, Option<String>)>,
}

impl School {
    /// As the collector knows them.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn read(state: &State, since: Timestamp) -> Result<Self, StateError> {
        let mut calendars = Vec::new();
        for (site, set) in state.calendars()? {
            calendars.extend(calendar_of(&set).map(|calendar| Input::Calendar { site, calendar: Some(calendar) }));
        }
        let first = Date(i32::try_from(since.0.div_euclid(86_400_000)).unwrap_or(i32::MAX) - 1);
        let said = state.day_words(first)?;
        calendars.extend(said.into_iter().map(|word| Input::DayChanged {
            site: word.site,
            date: word.date,
            change: word.change,
        }));
        let devices = state.all_devices()?.into_iter().map(|row| {
            let interval = Duration::from_secs(u64::from(row.interval_s));
            let model = make(&row.vendor, &row.model);
            let (id, name, class, site, room) = (row.id, row.name, row.class, row.site, row.room);
            (Device { id, name, class, site, room, state: row.state, model }, interval)
        });
        let hanging = state.parents()?.into_iter().map(|(device, on)| (device, Some(on)));
        Ok(Self { devices: devices.collect(), calendars, hanging: hanging.collect() })
    }
}

/// Plays the question through; `progress` is told after each slice how far it has come.
///
/// # Errors
/// When readings can't be read.
pub fn run(
    store: &Store,
    school: School,
    question: Question,
    progress: impl FnMut(Timestamp),
) -> Result<Report, BackTestError> {
    play(store, school, question, progress).map(BackTest::finish)
}

/// The same, with the tickets that are there at the end.
pub(crate) fn play(
    store: &Store,
    school: School,
    question: Question,
    mut progress: impl FnMut(Timestamp),
) -> Result<BackTest, BackTestError> {
    let wanted = wanted(&question.rules);
    let Question { rules, settings, since, until, single_from } = question;
    let mut play = Play { test: BackTest::new(rules, settings), intervals: BTreeMap::new(), met: BTreeSet::new() };
    play.begin(since, school);
    let mut at = since;
    while at < until {
        let rolled = at < single_from;
        let end = if rolled { (at + ROLLED_SLICE).min(single_from) } else { at + SLICE }.min(until);
        for (time, batch) in slice(store, &wanted, at, end, rolled)? {
            play.feed(time, batch, rolled);
        }
        at = end;
        progress(at);
    }
    Ok(play.test)
}

/// For people, by rule and building, the busiest first.
#[must_use]
pub fn tell(report: &Report, rolled: bool) -> String {
    let mut said = format!(
        "{} tickets of {} faults from {} readings.\n",
        report.tickets,
        report.by_rule.values().map(|tally| tally.faults).sum::<usize>(),
        report.samples
    );
    if report.listed > 0 {
        let _ = writeln!(said, "{} faults were there when it began, or are only planned by.", report.listed);
    }
    if report.more > 0 {
        let _ = writeln!(said, "{} further tickets were not looked through.", report.more);
    }
    let mut rows: Vec<_> = report.by_rule.iter().collect();
    rows.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.faults));
    if !rows.is_empty() {
        let _ = writeln!(
            said,
            "\n{:<32} {:<24} {:>7} {:>13} {:>9}",
            "rule", "building", "faults", "over in 10min", "days off"
        );
    }
    for ((rule, site), tally) in rows {
        let _ =
            writeln!(said, "{rule:<32} {site:<24} {:>7} {:>13} {:>9}", tally.faults, tally.soon_over, tally.off_days);
    }
    for suggestion in &report.suggestions {
        let _ = writeln!(said, "\n{}", sentence(suggestion));
    }
    said.push_str("\nNobody closed tickets in this play, goodbyes are not stored (a machine that was shut down counts as silent), and\ndevices and places are those of today.");
    if rolled {
        said.push_str(" Where single points are no longer kept, the last of each five minutes was played.");
    }
    said
}

/// What is suggested, and from what.
#[must_use]
pub fn sentence(suggestion: &Suggestion) -> String {
    let mut said = format!("{}:", suggestion.rule);
    if let Some(wait) = suggestion.wait {
        let (short, all) = (suggestion.short, suggestion.stretches);
        let _ = write!(
            said,
            " try for = \"{wait}\": {short} of {all} times it was over by itself within an hour, nine in ten of these sooner than that."
        );
    }
    if let (Some((field, limit)), Some(noise)) = (&suggestion.clear, suggestion.noise) {
        let _ = write!(
            said,
            " Try clear at {field} {limit:.2}: one reading differs from the next by up to {noise:.2} (19 in 20)."
        );
    }
    said
}

/// The fields that rules read or show, by measurement.
fn wanted(rules: &RuleSet) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |measurement: &str, field: &str| {
        let declared = schema::all().chain(crate::itself::MEASUREMENTS).find(|found| found.name == measurement);
        if declared.is_some_and(|found| found.fields.iter().any(|known| known.name == field)) {
            wanted.entry(measurement.to_owned()).or_default().insert(field.to_owned());
        }
    };
    for rule in rules.iter() {
        rule.check.reads().into_iter().for_each(|(measurement, field)| add(measurement, field));
        for measurement in rule.check.measurements() {
            let also = rule.check.threshold().into_iter().flat_map(|threshold| &threshold.also);
            also.for_each(|field| add(measurement, field));
        }
        if matches!(rule.check, Check::Absence(_)) {
            add(LIFE.0, LIFE.1);
        }
    }
    wanted
}

/// The engine, and what it was told of devices.
struct Play {
    test: BackTest,
    intervals: BTreeMap<String, Duration>,
    /// Agents that were heard, and whether their readings were single then.
    met: BTreeSet<(String, bool)>,
}

/// One device's samples of one moment.
type Batch = (String, Vec<Sample>);

impl Play {
    fn begin(&mut self, at: Timestamp, school: School) {
        school.calendars.into_iter().for_each(|input| self.test.feed(at, input));
        for (device, interval) in school.devices {
            self.intervals.insert(device.id.clone(), interval);
            self.test.feed(at, Input::Device(device));
        }
        self.test.feed(at, Input::Hanging(school.hanging));
    }

    fn feed(&mut self, at: Timestamp, (device, samples): Batch, rolled: bool) {
        let interval = self.intervals.get(&device).copied().unwrap_or_default();
        if !interval.is_zero() && self.met.insert((device.clone(), rolled)) {
            let interval = if rolled { interval.max(ROLLED) } else { interval };
            let connected = Input::Connected { device: device.clone(), generation: u64::from(!rolled), interval };
            self.test.feed(at, connected);
        }
        self.test.feed(at, Input::Samples { device, lane: Lane::Live, samples });
    }
}

/// What was read between two moments, in the order of time.
fn slice(
    store: &Store,
    wanted: &BTreeMap<String, BTreeSet<String>>,
    from: Timestamp,
    to: Timestamp,
    rolled: bool,
) -> Result<Vec<(Timestamp, Batch)>, BackTestError> {
    let mut rows: BTreeMap<(Timestamp, String), Vec<Sample>> = BTreeMap::new();
    for (measurement, fields) in wanted {
        let answer = ask(store, measurement, fields, from, to, rolled);
        let series = match answer {
            Ok(series) => series,
            Err(_) if to.since(from) > SLICE_MIN => return halves(store, wanted, from, to, rolled),
            Err(why) => return Err(BackTestError::Series { measurement: measurement.clone(), why }),
        };
        for one in &series {
            for (device, sample) in samples(measurement, one) {
                rows.entry((sample.time, device)).or_default().push(sample);
            }
        }
    }
    Ok(rows.into_iter().map(|((time, device), samples)| (time, (device, samples))).collect())
}

/// A slice that is too much for one answer.
fn halves(
    store: &Store,
    wanted: &BTreeMap<String, BTreeSet<String>>,
    from: Timestamp,
    to: Timestamp,
    rolled: bool,
) -> Result<Vec<(Timestamp, Batch)>, BackTestError> {
    let middle = from + to.since(from) / 2;
    let mut all = slice(store, wanted, from, middle, rolled)?;
    all.extend(slice(store, wanted, middle, to, rolled)?);
    Ok(all)
}

fn ask(
    store: &Store,
    measurement: &str,
    fields: &BTreeSet<String>,
    from: Timestamp,
    to: Timestamp,
    rolled: bool,
) -> Result<Vec<ResultSeries>, String> {
    let columns: Vec<String> = fields
        .iter()
        .map(|field| if rolled { format!("last(\"{field}\") AS \"{field}\"") } else { format!("\"{field}\"") })
        .collect();
    let by = if rolled { format!("time({}s), * fill(none)", ROLLED.as_secs()) } else { "*".to_owned() };
    let (columns, from, to) = (columns.join(", "), from.0, to.0);
    let query =
        format!("SELECT {columns} FROM \"{measurement}\" WHERE time >= {from}ms AND time < {to}ms GROUP BY {by}");
    let options = QueryOptions { epoch: Epoch::Milliseconds, ..QueryOptions::at(to.saturating_mul(1_000_000)) };
    let response = store.query(DATABASE, &query, &options);
    let result = response.results.into_iter().next();
    match response.error.or_else(|| result.as_ref().and_then(|result| result.error.clone())) {
        Some(why) => Err(why),
        None => Ok(result.map(|result| result.series).unwrap_or_default()),
    }
}

/// The rows of one series as the samples that they were, each with its device.
fn samples<'answer>(
    measurement: &'answer str,
    series: &'answer ResultSeries,
) -> impl Iterator<Item = (String, Sample)> + 'answer {
    let tag = |wanted: &str| {
        let found = series.tags.iter().find(|(key, _)| **key == *wanted);
        found.map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    let (device, target) = (tag("device_id"), tag("target_id"));
    let tags: Vec<(Name, String)> = series
        .tags
        .iter()
        .filter(|(key, value)| !STAMPED.contains(&&**key) && !value.is_empty())
        .map(|(key, value)| (Name::from(key.to_string()), value.to_string()))
        .collect();
    series.values.iter().filter_map(move |row| {
        let (bellwether_series::Value::Time(ns), cells) = row.split_first()? else { return None };
        let fields: Vec<(Name, Value)> = series
            .columns
            .iter()
            .skip(1)
            .zip(cells)
            .filter_map(|(name, cell)| Some((Name::from(name.to_string()), value(cell)?)))
            .collect();
        let time = Timestamp(ns.div_euclid(1_000_000));
        let sample = Sample {
            measurement: measurement.to_owned().into(),
            tags: tags.clone(),
            target: target.clone(),
            time,
            fields,
        };
        (!sample.fields.is_empty() && !device.is_empty()).then(|| (device.clone(), sample))
    })
}

fn value(cell: &bellwether_series::Value) -> Option<Value> {
    use bellwether_series::Value as Cell;
    Some(match cell {
        Cell::Float(number) => Value::Float(*number),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Unsigned(number) => Value::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
        Cell::Boolean(flag) => Value::Boolean(*flag),
        Cell::Text(text) => Value::Text(text.to_string()),
        Cell::Null | Cell::Time(_) => return None,
    })
}
