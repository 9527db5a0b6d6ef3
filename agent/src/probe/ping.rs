//! Echo requests to one target, as Telegraf's `ping`, and what a video call would feel of the way there.
//!
//! An ordinary target gets a few requests at each reading. One with `window = true` gets them all the time, and its row
//! also tells the worst 15 seconds of the interval, because that is how limits for calls are stated: less than 1 % loss
//! and less than 30 ms jitter in any 15 s (Microsoft, "Prepare your organization's network for Teams"). Jitter is the
//! mean absolute difference of the round trips of consecutive answered requests, RFC 3550's D without its smoothing.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use super::icmp::asks::{Ask, Outcome};
use super::settings::{Address, Bad, Fixed, within};
use crate::reading::{integer, millis, percent, sample, share};

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "ping",
    tags: &["url"],
    fields: &[
        time("average_response_ms", "Mean of the round trips."),
        time("jitter_ms", "Mean difference of consecutive round trips."),
        time("maximum_response_ms", "The longest round trip."),
        time("minimum_response_ms", "The shortest round trip."),
        count("packets_received", "Requests that were answered."),
        count("packets_transmitted", "Requests that were sent."),
        loss("percent_packet_loss", "Not answered."),
        count("result_code", "0: answered; 1: nobody of that name or no answer; 2: could not be sent."),
        time("standard_deviation_ms", "How much the round trips differ."),
        time("worst_15s_jitter_ms", "Jitter in the worst 15 seconds of the interval."),
        loss("worst_15s_loss_percent", "Not answered in the worst 15 seconds of the interval."),
    ],
    privacy: Privacy::Health,
    description: "Whether a target answers, and how fast. Its address is never sent.",
}];

const fn time(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "ms", description }
}

const fn count(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

const fn loss(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "percent", description }
}

/// Requests to an ordinary target at each reading: one lost packet of a busy network is not an outage.
const REQUESTS: u32 = 3;
/// Between two of them.
const APART: Duration = Duration::from_millis(200);
/// A school's network answers in a hundredth of it.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two requests to a target with windows: a hundred in 15 s, so that one is the 1 % which the limit means.
const DENSE_APART: Duration = Duration::from_millis(150);
/// The window of the limits.
const WINDOW: Duration = Duration::from_secs(15);
/// Between the last answer of one look and the first request of the next.
const WINDOW_REST: Duration = Duration::from_millis(500);
/// A target with windows keeps 4 bytes for each request of an interval: 8 KB at the longest.
pub const WINDOW_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// Its word in the configuration.
pub const KIND: &str = "ping";

/// What is pinged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Where it is.
    pub address: Address,
    /// How many requests at each reading; means nothing with windows.
    pub count: u32,
    /// Whether the worst 15 seconds are told.
    pub window: bool,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    count: Option<u32>,
    #[serde(default)]
    window: bool,
}

impl Ping {
    /// An ordinary target.
    #[must_use]
    pub const fn ordinary(address: Address) -> Self {
        Self { address, count: REQUESTS, window: false }
    }

    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        Ok(Self {
            address: Address::parse("address", &file.address)?,
            count: within("count", file.count.unwrap_or(REQUESTS), 1..=20, "1 to 20 requests")?,
            window: file.window,
        })
    }

    /// The requests of one look, of which the next begins after `interval`.
    #[must_use]
    pub fn ask(&self, to: SocketAddr, timeout: Duration, interval: Duration) -> Ask {
        if !self.window {
            return Ask { to, count: self.count, apart: APART, timeout, hops: None };
        }
        // The last answer is in before the next look begins.
        let sending = interval.min(WINDOW_INTERVAL_MAX).saturating_sub(timeout + WINDOW_REST);
        let count = u32::try_from(sending.as_millis() / DENSE_APART.as_millis()).unwrap_or(u32::MAX).max(1);
        Ask { to, count, apart: DENSE_APART, timeout, hops: None }
    }
}

/// The row of a target. Nobody of its name: no outcome.
#[must_use]
pub fn row(name: &str, at: Timestamp, window: bool, outcome: Option<&Outcome>) -> Sample {
    // The tag `target_id` is made of the sample's target by ingest, like everything that is identity.
    let mut row = sample("ping", vec![("url", name.to_owned())], at, fields(window, outcome));
    name.clone_into(&mut row.target);
    row
}

/// As Telegraf: without an answer there are no times, and a target that was not even asked has only a code.
fn fields(window: bool, outcome: Option<&Outcome>) -> Vec<(&'static str, Value)> {
    let Some(outcome) = outcome else { return vec![("result_code", integer(1))] };
    let sent = outcome.trips_ms.len() as u64;
    let answered: Vec<f64> =
        outcome.trips_ms.iter().filter(|trip| !trip.is_nan()).map(|trip| f64::from(*trip)).collect();
    let code = match (sent, answered.is_empty()) {
        (0, _) => 2,
        (_, true) => 1,
        (_, false) => 0,
    };
    let mut fields = vec![("result_code", integer(code))];
    if sent > 0 {
        let received = answered.len() as u64;
        fields.extend([
            ("packets_received", integer(received)),
            ("packets_transmitted", integer(sent)),
            ("percent_packet_loss", percent(share(sent.saturating_sub(received), sent))),
        ]);
    }
    fields.extend(times(&answered));
    if window && sent > 0 {
        let worst =
            worst_window(&outcome.trips_ms, usize::try_from(WINDOW.as_millis() / DENSE_APART.as_millis()).unwrap_or(1));
        fields.push(("worst_15s_loss_percent", percent(worst.loss_percent)));
        fields.extend(worst.jitter_ms.map(|jitter| ("worst_15s_jitter_ms", millis(jitter))));
    }
    crate::reading::by_name(&mut fields);
    fields
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand requests at most")]
fn times(trips: &[f64]) -> Vec<(&'static str, Value)> {
    if trips.is_empty() {
        return Vec::new();
    }
    let mean = trips.iter().sum::<f64>() / trips.len() as f64;
    let variance = trips.iter().map(|trip| (trip - mean).powi(2)).sum::<f64>() / trips.len() as f64;
    let mut fields = vec![
        ("average_response_ms", millis(mean)),
        ("maximum_response_ms", millis(trips.iter().copied().fold(f64::MIN, f64::max))),
        ("minimum_response_ms", millis(trips.iter().copied().fold(f64::MAX, f64::min))),
        ("standard_deviation_ms", millis(variance.sqrt())),
    ];
    if trips.len() > 1 {
        let differences: f64 = trips.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
        fields.push(("jitter_ms", millis(differences / (trips.len() - 1) as f64)));
    }
    fields
}

/// The worst of all windows; loss and jitter need not be worst in the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worst {
    loss_percent: f64,
    /// None if no window has two answers.
    jitter_ms: Option<f64>,
}

/// Looks at every run of `length` consecutive requests; a shorter story is one window.
fn worst_window(trips: &[f32], length: usize) -> Worst {
    let mut worst = Worst { loss_percent: 0.0, jitter_ms: None };
    for window in trips.windows(length.clamp(1, trips.len().max(1))) {
        let lost = window.iter().filter(|trip| trip.is_nan()).count();
        worst.loss_percent = worst.loss_percent.max(share(lost as u64, window.len() as u64));
        if let Some(jitter) = jitter(window) {
            worst.jitter_ms = Some(worst.jitter_ms.map_or(jitter, |worst| worst.max(jitter)));
        }
    }
    worst
}

fn jitter(trips: &[f32]) -> Option<f64> {
    let (mut sum, mut count, mut before) = (0.0, 0.0, None);
    for trip in trips.iter().filter(|trip| !trip.is_nan()).map(|trip| f64::from(*trip)) {
        if let Some(before) = before.replace(trip) {
            let difference: f64 = trip - before;
            sum += difference.abs();
            count += 1.0;
        }
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(trips_ms: &[f32]) -> Outcome {
        Outcome { trips_ms: trips_ms.to_vec(), ..Outcome::default() }
    }

    fn named(window: bool, outcome: Option<&Outcome>) -> Vec<(String, Value)> {
        let row = row("library-switch", Timestamp(0), window, outcome);
        row.fields.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }

    #[test]
    fn round_trips_become_telegrafs_fields() {
        let expected = [
            ("average_response_ms", Value::Float(2.0)),
            ("jitter_ms", Value::Float(2.0)),
            ("maximum_response_ms", Value::Float(3.0)),
            ("minimum_response_ms", Value::Float(1.0)),
            ("packets_received", Value::Integer(2)),
            ("packets_transmitted", Value::Integer(3)),
            ("percent_packet_loss", Value::Float(33.33)),
            ("result_code", Value::Integer(0)),
            ("standard_deviation_ms", Value::Float(1.0)),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(named(false, Some(&outcome(&[1.0, f32::NAN, 3.0]))), expected);
    }

    #[test]
    fn silence_has_loss_and_no_times_and_an_unknown_name_only_a_code() {
        let names = |outcome| named(false, outcome).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let silence = outcome(&[f32::NAN; 3]);
        assert_eq!(
            names(Some(&silence)),
            ["packets_received", "packets_transmitted", "percent_packet_loss", "result_code"]
        );
        assert_eq!(named(false, None), [("result_code".to_owned(), Value::Integer(1))]);
        assert_eq!(named(false, Some(&outcome(&[]))), [("result_code".to_owned(), Value::Integer(2))]);
    }

    #[test]
    fn the_target_is_named_and_its_address_is_not_sent() {
        let row = row("gateway", Timestamp(0), false, Some(&outcome(&[0.5])));
        assert_eq!(row.target, "gateway");
        assert_eq!(row.tags, [("url".into(), "gateway".to_owned())]);
    }

    #[test]
    fn the_worst_fifteen_seconds_are_told_even_in_a_good_minute() {
        // Four windows' worth of requests; in the third of them ten are lost and the rest jitters by 40 ms.
        let mut trips = vec![5.0_f32; 400];
        for (place, trip) in trips.iter_mut().enumerate().skip(200).take(100) {
            *trip = if place % 10 == 0 { f32::NAN } else { 5.0 + 40.0 * f32::from(u8::from(place % 2 == 0)) };
        }
        let worst = worst_window(&trips, 100);
        assert!((worst.loss_percent - 10.0).abs() < 1e-9, "{worst:?}");
        assert!(worst.jitter_ms.is_some_and(|jitter| jitter > 30.0), "{worst:?}");
        let whole = share(10, 400);
        assert!(whole < 3.0, "the whole minute hides it: {whole}");
    }

    #[test]
    fn a_window_without_answers_has_loss_and_no_jitter() {
        assert_eq!(worst_window(&[f32::NAN; 5], 100), Worst { loss_percent: 100.0, jitter_ms: None });
        assert_eq!(worst_window(&[2.0], 100), Worst { loss_percent: 0.0, jitter_ms: None });
    }

    #[test]
    fn a_target_with_windows_is_asked_all_the_time() {
        let ping = Ping { window: true, ..Ping::ordinary(Address::Ip("127.0.0.1".parse().unwrap())) };
        let ask = ping.ask("127.0.0.1:0".parse().unwrap(), TIMEOUT, Duration::from_secs(60));
        assert_eq!((ask.count, ask.apart), (390, DENSE_APART));
    }
}
