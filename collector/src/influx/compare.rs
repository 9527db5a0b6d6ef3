//! While both stores are kept: whether they hold the same.
//!
//! Hour by hour, behind both readers' places, the counts of every field of our own series are compared, and the values of one
//! minute, another one each hour. What differs is looked at once more a little later, because a late point may have reached one
//! store before the other; only then it is counted, logged and shown.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_series::{Epoch, QueryOptions, Store};
use serde_json::Value;

use super::client::{Client, Unanswered};
use super::history::quoted;
use crate::clock::Clock;
use crate::figures;
use crate::health::{Health, chain};
use crate::points;
use crate::readers::INFLUX_STAMP;
use crate::state::State;

/// What this is called among what is in trouble.
pub const COMPARISON: &str = "influxdb comparison";

/// How often it is looked whether an hour can be compared.
const EVERY: Duration = Duration::from_secs(60);

/// How long after an hour's end its points may still be on their way in the ordinary course.
const GRACE_MS: i64 = 5 * 60_000;

/// How long to wait before a difference is looked at once more.
const AGAIN: Duration = Duration::from_secs(120);

/// Hours that are compared after the fact, when the server was away: two days. Older ones are passed over.
const BEHIND_MAX: i64 = 48;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// How long the server may take for a question, and how large its answer may be: a minute of all devices.
const LIMIT: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 64 << 20;

/// What is compared, and who is told.
pub struct Comparison {
    /// The embedded store.
    pub store: Arc<Store>,
    /// The InfluxDB.
    pub client: Client,
    /// Where it is written how far the InfluxDB has come.
    pub state: Arc<State>,
    /// The time.
    pub clock: Clock,
    /// Where a difference is shown.
    pub health: Arc<Health>,
}

/// What was found of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Cells of answers that are not the same.
    pub cells: usize,
    /// The first of them, in words.
    pub first: String,
}

/// Every value of an answer, by its series, time and column.
type Cells = BTreeMap<(String, i64, String), String>;

impl Comparison {
    /// Compares until it is dropped.
    pub async fn run(self) {
        let mut next = hour_of(self.clock.now().0 - HOUR_MS);
        loop {
            tokio::time::sleep(EVERY).await;
            let sent = match self.state.cursor(INFLUX_STAMP) {
                Ok(stamp) => stamp.unwrap_or_default().cast_signed(),
                Err(error) => {
                    tracing::error!(why = chain(&error), "it can't be told how far InfluxDB has come");
                    continue;
                }
            };
            next = next.max(hour_of(self.clock.now().0) - BEHIND_MAX * HOUR_MS);
            if sent < next + HOUR_MS + GRACE_MS {
                continue;
            }
            match self.look(next).await {
                Ok(difference) => self.tell(next, &difference),
                Err(error) => {
                    tracing::warn!(why = chain(&error), "an hour could not be compared with InfluxDB; trying again");
                    continue;
                }
            }
            next += HOUR_MS;
        }
    }

    async fn look(&self, hour: i64) -> Result<Difference, Unanswered> {
        let first = self.hour(hour).await?;
        if first.cells == 0 {
            return Ok(first);
        }
        tokio::time::sleep(AGAIN).await;
        self.hour(hour).await
    }

    fn tell(&self, hour: i64, difference: &Difference) {
        figures::influx("compared_hours", 1);
        if difference.cells == 0 {
            self.health.well(COMPARISON);
            return;
        }
        figures::influx("differences", difference.cells as u64);
        let from = jiff::Timestamp::from_millisecond(hour).unwrap_or_default();
        let Difference { cells, first } = difference;
        tracing::error!(%from, cells, first, "the embedded store and InfluxDB do not hold the same");
        self.health
            .trouble(COMPARISON, format!("in the hour from {from} {cells} counts or values differ, first {first}"));
    }

    /// Compares the hour that begins at `hour`, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn hour(&self, hour: i64) -> Result<Difference, Unanswered> {
        let minute = sampled_minute(hour);
        let mut difference = Difference::default();
        for measurement in self.measurements().await {
            let name = quoted(&measurement);
            let span = |of: Range<i64>| format!("time >= {}ms AND time < {}ms", of.start, of.end);
            let counts = format!("SELECT count(*) FROM {name} WHERE {}", span(hour..hour + HOUR_MS));
            let values = format!("SELECT * FROM {name} WHERE {} GROUP BY *", span(minute..minute + MINUTE_MS));
            for question in [counts, values] {
                let (ours, theirs) = (self.ours(question.clone()).await, self.theirs(&question).await?);
                difference.add(&ours, &theirs);
            }
        }
        Ok(difference)
    }

    async fn measurements(&self) -> Vec<String> {
        let answer = self.local("SHOW MEASUREMENTS".to_owned()).await;
        let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row[0].as_str().map(str::to_owned)).collect()
    }

    async fn ours(&self, question: String) -> Cells {
        cells(&self.local(question).await)
    }

    async fn local(&self, question: String) -> Value {
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let answer = tokio::task::spawn_blocking(move || ask(&store, &question, now)).await;
        answer.unwrap_or_default()
    }

    async fn theirs(&self, question: &str) -> Result<Cells, Unanswered> {
        let (database, policy) = self.client.own_place();
        let mut form = vec![("db", database), ("epoch", "ns"), ("q", question)];
        if !policy.is_empty() {
            form.push(("rp", policy));
        }
        let answer = self.client.whole(&form, LIMIT, ANSWER_BYTES).await?;
        Ok(cells(&answer))
    }
}

fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS) * HOUR_MS
}

/// Which minute of an hour is looked at closely: another one each hour, and the same when it is looked at again.
fn sampled_minute(hour: i64) -> i64 {
    let turn = (hour / HOUR_MS).wrapping_mul(37).rem_euclid(60);
    hour + turn * MINUTE_MS
}

fn ask(store: &Store, question: &str, now: Timestamp) -> Value {
    let options = QueryOptions { epoch: Epoch::Nanoseconds, ..QueryOptions::at(now.0.saturating_mul(1_000_000)) };
    let response = store.query(points::DATABASE, question, &options);
    serde_json::from_str(&response.to_json(false)).unwrap_or_default()
}

fn cells(answer: &Value) -> Cells {
    let mut cells = Cells::new();
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let tags = series["tags"].as_object().into_iter().flatten();
        // What line protocol can't say of a tag was left out on the way.
        let tag = |value: &Value| value.as_str().unwrap_or_default().trim_end_matches('\\').to_owned();
        let tags = tags.map(|(key, value)| (key, tag(value))).filter(|(_, value)| !value.is_empty());
        let name = tags.fold(series["name"].as_str().unwrap_or_default().to_owned(), |name, (key, value)| {
            name + "," + key + "=" + &value
        });
        let columns: Vec<&str> = series["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for row in series["values"].as_array().into_iter().flatten().filter_map(Value::as_array) {
            let at = row.first().and_then(Value::as_i64).unwrap_or_default();
            for (column, value) in columns.iter().zip(row).skip(1) {
                // A count's own time is the beginning of the span, or of all time.
                let time = if column.starts_with("count_") { 0 } else { at };
                if let Some(value) = shown(value) {
                    cells.insert((name.clone(), time, (*column).to_owned()), value);
                }
            }
        }
    }
    cells
}

/// A value such that 1 and 1.0 are the same. A count of nothing is nothing.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        Value::String(text) => Some(format!("\"{text}\"")),
        other => Some(other.to_string()),
    }
}

impl Difference {
    fn add(&mut self, ours: &Cells, theirs: &Cells) {
        let keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
        for key in keys {
            let (here, there) = (ours.get(key), theirs.get(key));
            let nothing = |value: Option<&String>| value.is_none_or(|value| value == "0");
            let is_count = key.2.starts_with("count_");
            if here == there || (is_count && nothing(here) && nothing(there)) {
                continue;
            }
            if self.cells == 0 {
                let word = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
                self.first = format!("{} {}: {} here, {} there", key.0, key.2, word(here), word(there));
            }
            self.cells += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &str) -> Cells {
        let text = format!(
            "{{\"results\":[{{\"series\":[{{\"name\":\"m\",\"tags\":{{\"p\":\"C:\"}},\"columns\":[\"time\",\"a\",\"b\"],\"values\":[{rows}]}}]}}]}}"
        );
        cells(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_same_values_are_the_same_however_they_are_written() {
        let mut difference = Difference::default();
        difference.add(&answer("[5,1,null],[6,2.5,\"x\"]"), &answer("[5,1.0,null],[6,2.5,\"x\"]"));
        assert_eq!(difference, Difference::default());
    }

    #[test]
    fn what_is_missing_or_another_is_found_and_named() {
        let mut difference = Difference::default();
        difference.add(&answer("[5,1,2],[6,3,4]"), &answer("[5,1,7]"));
        assert_eq!((difference.cells, difference.first.as_str()), (3, "m,p=C: b: 2 here, 7 there"));
    }

    #[test]
    fn each_hour_another_minute_is_looked_at_and_each_once_in_sixty() {
        let minutes: std::collections::BTreeSet<i64> =
            (0..60).map(|hour| sampled_minute(hour * HOUR_MS) - hour * HOUR_MS).collect();
        assert_eq!(minutes.len(), 60);
    }
}
