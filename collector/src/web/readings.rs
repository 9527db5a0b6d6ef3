//! What pages ask the series store: the latest readings of all devices, and a day of one device.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_series::{Epoch, QueryOptions, ResultSeries, Store, Value};

use super::Desk;
use super::page::PageError;
use crate::points::DATABASE;

/// Readings older than this are no live readings: ten intervals of a fleet's agent.
const LIVE: &str = "10m";
/// How long the fleet's latest readings are shown again before they are asked for anew: many may look at once.
const LATEST_KEPT: Duration = Duration::from_secs(5);
/// What the agent calls its default gateway.
const GATEWAY: &str = "gateway";

/// Whoever answers InfluxQL. The series store does; a test may.
pub trait Series: Send + Sync + 'static {
    /// The answer to one SELECT; empty when there is none. Blocks.
    fn ask(&self, query: &str, now: Timestamp) -> Vec<Rows>;

    /// The same, for what is not only numbers.
    fn tell(&self, query: &str, now: Timestamp) -> Vec<Told>;

    /// Whether what is asked for has no answer just now, so that nothing is shown where there may be something.
    fn is_away(&self) -> bool {
        false
    }
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The tags that it was grouped by.
    pub tags: BTreeMap<String, String>,
    /// Times in ms, and a number for each field where there was one.
    pub rows: Vec<(i64, Vec<Option<f64>>)>,
}

/// One series of an answer, in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The tags that it was grouped by.
    pub tags: BTreeMap<String, String>,
    /// Times in ms, and the fields that had a value.
    pub rows: Vec<(i64, BTreeMap<String, String>)>,
}

impl Series for Store {
    fn ask(&self, query: &str, now: Timestamp) -> Vec<Rows> {
        let rows = |series: &ResultSeries| series.values.iter().filter_map(|row| numbers(row)).collect();
        answer(self, query, now).iter().map(|series| Rows { tags: tags(series), rows: rows(series) }).collect()
    }

    fn tell(&self, query: &str, now: Timestamp) -> Vec<Told> {
        let rows = |series: &ResultSeries| series.values.iter().filter_map(|row| words(&series.columns, row)).collect();
        answer(self, query, now).iter().map(|series| Told { tags: tags(series), rows: rows(series) }).collect()
    }
}

fn answer(store: &Store, query: &str, now: Timestamp) -> Vec<ResultSeries> {
    let options = QueryOptions { epoch: Epoch::Milliseconds, ..QueryOptions::at(now.0.saturating_mul(1_000_000)) };
    let response = store.query(DATABASE, query, &options);
    let error = response.error.iter().chain(response.results.iter().filter_map(|result| result.error.as_ref()));
    for error in error {
        tracing::warn!(error, query, "a page's question to the series store failed");
    }
    response.results.into_iter().flat_map(|result| result.series).collect()
}

fn tags(series: &ResultSeries) -> BTreeMap<String, String> {
    series.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn words(columns: &[Arc<str>], row: &[Value]) -> Option<(i64, BTreeMap<String, String>)> {
    let (Value::Time(ns), values) = row.split_first()? else { return None };
    let word = |value: &Value| match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Integer(value) => Some(value.to_string()),
        Value::Unsigned(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Null | Value::Time(_) => None,
    };
    let fields = columns.iter().skip(1).zip(values);
    Some((ns / 1_000_000, fields.filter_map(|(name, value)| Some((name.to_string(), word(value)?))).collect()))
}

fn numbers(row: &[Value]) -> Option<(i64, Vec<Option<f64>>)> {
    let (Value::Time(ns), values) = row.split_first()? else { return None };
    Some((ns / 1_000_000, values.iter().map(Value::as_f64).collect()))
}

/// The newest readings of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Live {
    /// In use, percent.
    pub(super) cpu: Option<f64>,
    /// In use, percent.
    pub(super) memory: Option<f64>,
    /// Each path and how much of it is used, percent; the fullest first.
    pub(super) disks: Vec<(String, f64)>,
    /// Round trip to the gateway, ms; none when it does not answer.
    pub(super) ping_ms: Option<f64>,
    /// Requests to the gateway that were not answered, percent.
    pub(super) loss: Option<f64>,
}

impl Live {
    /// The fullest path.
    pub(super) fn fullest(&self) -> Option<&(String, f64)> {
        self.disks.first()
    }
}

/// The newest readings of every device, and when they were asked for.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    at: Timestamp,
    pub(super) devices: Arc<BTreeMap<String, Live>>,
}

impl Desk {
    /// The newest readings of every device.
    pub(super) async fn latest(&self) -> Result<Latest, PageError> {
        let now = self.app.clock.now();
        let kept = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| now >= kept.at && now.since(kept.at) < LATEST_KEPT) {
            return Ok(kept);
        }
        let series = Arc::clone(&self.series);
        let devices = tokio::task::spawn_blocking(move || ask_latest(&*series, "", now)).await?;
        let latest = Latest { at: now, devices: Arc::new(devices) };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest.clone());
        Ok(latest)
    }
}

/// Puts the newest values of a row into a device's readings.
type Put<'a> = &'a mut dyn FnMut(&mut Live, &Rows, &[Option<f64>]);

/// The newest readings; `only` narrows them, as the end of a WHERE clause.
pub(super) fn ask_latest(series: &dyn Series, only: &str, now: Timestamp) -> BTreeMap<String, Live> {
    let mut devices: BTreeMap<String, Live> = BTreeMap::new();
    let mut each = |fields: &str, from: &str, by: &str, put: Put<'_>| {
        let query = format!("SELECT {fields} FROM {from} AND time > now() - {LIVE}{only} GROUP BY \"device_id\"{by}");
        for rows in series.ask(&query, now) {
            let (Some(device), Some((_, values))) = (rows.tags.get("device_id"), rows.rows.last()) else { continue };
            put(devices.entry(device.clone()).or_default(), &rows, values);
        }
    };
    each("last(\"usage_idle\")", "\"cpu\" WHERE \"cpu\" = 'cpu-total'", "", &mut |live, _, values| {
        live.cpu = values.first().copied().flatten().map(|idle| 100.0 - idle);
    });
    each("last(\"used_percent\")", "\"mem\" WHERE \"device_id\" != ''", "", &mut |live, _, values| {
        live.memory = values.first().copied().flatten();
    });
    each("last(\"used_percent\")", "\"disk\" WHERE \"device_id\" != ''", ", \"path\"", &mut |live, rows, values| {
        let path = rows.tags.get("path").cloned().unwrap_or_default();
        live.disks.extend(values.first().copied().flatten().map(|used| (path, used)));
    });
    let ping = format!("\"ping\" WHERE \"target_id\" = '{GATEWAY}'");
    each("last(\"percent_packet_loss\")", &ping, "", &mut |live, _, values| {
        live.loss = values.first().copied().flatten();
    });
    each("last(\"average_response_ms\")", &ping, "", &mut |live, _, values| {
        live.ping_ms = values.first().copied().flatten().filter(|_| live.loss.is_none_or(|loss| loss < 100.0));
    });
    for live in devices.values_mut() {
        live.disks.sort_by(|(a, full), (b, fuller)| fuller.total_cmp(full).then_with(|| a.cmp(b)));
    }
    devices
}

/// The end of a WHERE clause that picks one device. Ids are checked where they enter: letters and digits only.
pub(super) fn only(device: &str) -> String {
    format!(" AND \"device_id\" = '{}'", device.replace('\\', "\\\\").replace('\'', "\\'"))
}
