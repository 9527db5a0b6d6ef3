//! What the collector counts about itself, for `/metrics`: each figure's name stands here once.
//!
//! Whatever is refused or dropped anywhere is counted under `bellwether_refused_total` with the bound that it met.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bellwether_logic::engine::Counters;
use metrics::{SetRecorderError, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const REFUSED: &str = "bellwether_refused_total";
const BATCHES: &str = "bellwether_batches_total";
const VALUES: &str = "bellwether_values_total";
const STREAMS: &str = "bellwether_streams";
const ENROLMENTS: &str = "bellwether_enrolments_total";
const RENEWALS: &str = "bellwether_renewals_total";
const BROKEN_RULES: &str = "bellwether_broken_rules";
const CLONES: &str = "bellwether_clones";
const READER_POSITION: &str = "bellwether_reader_position_bytes";
const READER_FAILURES: &str = "bellwether_reader_failures_total";
const JOURNAL_END: &str = "bellwether_journal_end_bytes";
const JOURNAL_STORED: &str = "bellwether_journal_stored_bytes";
const JOURNAL_DAMAGED: &str = "bellwether_journal_damaged_places";
const ACKNOWLEDGE: &str = "bellwether_acknowledge_seconds";
const EFFECTS: &str = "bellwether_effects_total";
const ENGINE: &str = "bellwether_engine_total";
const SERIES: &str = "bellwether_series_total";
const INFLUX: &str = "bellwether_influxdb_total";

/// Where the figures are kept; begins counting for the whole process at the first call. A second collector in one
/// process, which happens in tests alone, shares them.
///
/// # Errors
/// When something else in the process counts already.
pub fn install() -> Result<PrometheusHandle, SetRecorderError<()>> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _guard = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| SetRecorderError(()))?;
    describe();
    Ok(HANDLE.get_or_init(|| handle).clone())
}

fn describe() {
    describe_counter!(REFUSED, "Connections, messages, batches and samples that were refused or dropped, by reason");
    describe_counter!(BATCHES, "Batches that agents sent, by what became of them");
    describe_counter!(VALUES, "Values that were taken into the journal");
    describe_gauge!(STREAMS, "Agents that are connected");
    describe_counter!(ENROLMENTS, "Enrolments, by outcome");
    describe_counter!(RENEWALS, "Renewals of agents' certificates, by outcome");
    describe_gauge!(BROKEN_RULES, "Rules of the school's own folder that are left out because they are broken");
    describe_gauge!(CLONES, "Devices whose certificate another machine has shown in the last day");
    describe_gauge!(READER_POSITION, "How far each reader of the journal has come");
    describe_counter!(READER_FAILURES, "Steps of a reader of the journal that failed and were tried again");
    describe_gauge!(JOURNAL_END, "Where the journal ends");
    describe_gauge!(JOURNAL_STORED, "Bytes of the journal on the disk");
    describe_gauge!(JOURNAL_DAMAGED, "Places where the journal was damaged and skipped");
    describe_histogram!(ACKNOWLEDGE, "Time from a batch's arrival to its acknowledgement");
    describe_counter!(ENGINE, "What the engine has looked at, and what it has refused");
    describe_counter!(SERIES, "What the series store has refused or lost");
    describe_counter!(INFLUX, "What was sent to InfluxDB, and what became of it");
    describe_counter!(EFFECTS, "Effects of the engine that were performed");
}

/// What the collector measures of itself, too, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections and machines that were refused.
    pub refused_connections: u64,
    /// Points that InfluxDB refused.
    pub influx_rejected: u64,
    /// Journal that InfluxDB did not get.
    pub influx_lost_bytes: u64,
    /// Parts of the journal that were found lost at a start or by a reader.
    pub journal_lost: u64,
}

static REFUSED_CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static INFLUX_REJECTED: AtomicU64 = AtomicU64::new(0);
static INFLUX_LOST_BYTES: AtomicU64 = AtomicU64::new(0);
static JOURNAL_LOST: AtomicU64 = AtomicU64::new(0);

/// Reasons for which a machine or a connection is refused.
const CONNECTION_REASONS: [&str; 9] = [
    "accept",
    "certificate",
    "clone",
    "connections",
    "ended_certificate",
    "handshake",
    "no_certificate",
    "strangers",
    "twin",
];

/// What was counted so far.
#[must_use]
pub fn tally() -> Tally {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Tally {
        refused_connections: of(&REFUSED_CONNECTIONS),
        influx_rejected: of(&INFLUX_REJECTED),
        influx_lost_bytes: of(&INFLUX_LOST_BYTES),
        journal_lost: of(&JOURNAL_LOST),
    }
}

/// Something was refused or dropped, because of this bound.
pub fn refused(reason: &'static str) {
    refused_many(reason, 1);
}

/// Several things were refused or dropped, because of this bound.
pub fn refused_many(reason: &'static str, count: usize) {
    counter!(REFUSED, "reason" => reason).increment(count as u64);
    if CONNECTION_REASONS.contains(&reason) {
        REFUSED_CONNECTIONS.fetch_add(count as u64, Ordering::Relaxed);
    } else if matches!(reason, "lost_journal" | "released_record") {
        JOURNAL_LOST.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A batch came, and this became of it.
pub fn batch(outcome: &'static str) {
    counter!(BATCHES, "outcome" => outcome).increment(1);
}

/// Values went into the journal.
pub fn values(count: usize) {
    counter!(VALUES).increment(count as u64);
}

/// The number of connected agents.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn streams(count: usize) {
    gauge!(STREAMS).set(count as f64);
}

/// An enrolment ended like this.
pub fn enrolment(outcome: &'static str) {
    counter!(ENROLMENTS, "outcome" => outcome).increment(1);
}

/// A renewal ended like this.
pub fn renewal(outcome: &'static str) {
    counter!(RENEWALS, "outcome" => outcome).increment(1);
}

/// So many of the school's own rules are left out.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn broken_rules(count: usize) {
    gauge!(BROKEN_RULES).set(count as f64);
}

/// So many devices have copies.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn clones(count: usize) {
    gauge!(CLONES).set(count as f64);
}

/// A reader has come this far.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub fn reader_position(reader: &'static str, position: u64) {
    gauge!(READER_POSITION, "reader" => reader).set(position as f64);
}

/// A reader's step failed and will be tried again.
pub fn reader_failure(reader: &'static str) {
    counter!(READER_FAILURES, "reader" => reader).increment(1);
}

/// The journal as it is.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub fn journal(end: u64, stored: u64, damaged: u64) {
    gauge!(JOURNAL_END).set(end as f64);
    gauge!(JOURNAL_STORED).set(stored as f64);
    gauge!(JOURNAL_DAMAGED).set(damaged as f64);
}

/// A batch was acknowledged so long after it came.
pub fn acknowledged(after: std::time::Duration) {
    histogram!(ACKNOWLEDGE).record(after.as_secs_f64());
}

/// What the engine has looked at and refused, since its memory began.
pub fn engine(counters: &Counters) {
    for (what, count) in [
        ("samples", counters.samples),
        ("samples_backfilled", counters.samples_backfilled),
        ("samples_late", counters.samples_late),
        ("samples_ahead", counters.samples_ahead),
        ("unknown_device", counters.unknown_device),
        ("devices_refused", counters.devices_refused),
        ("holds_refused", counters.holds_refused),
        ("tickets_refused", counters.tickets_refused),
        ("incidents", counters.incidents),
        ("outages_explained", counters.outages_explained),
        ("tickets_raised", counters.tickets_raised),
        ("rooms_out", counters.rooms_out),
        ("buildings_out", counters.buildings_out),
        ("cohorts", counters.cohorts),
        ("lines_joined", counters.lines_joined),
        ("lines_left_behind", counters.lines_left_behind),
        ("lines_taken_off", counters.lines_taken_off),
        ("floods", counters.floods),
        ("tickets_flooded", counters.tickets_flooded),
        ("tickets_deferred", counters.tickets_deferred),
        ("tickets_released", counters.tickets_released),
        ("listed", counters.listed),
        ("silenced", counters.silenced),
        ("plans_refused", counters.plans_refused),
        ("flapping", counters.flapping),
        ("to_find", counters.to_find),
        ("outages_inferred", counters.outages_inferred),
        ("actions_refused", counters.actions_refused),
        ("calendars_refused", counters.calendars_refused),
        ("matrices_refused", counters.matrices_refused),
        ("withdrawn", counters.withdrawn),
        ("own_pauses", counters.own_pauses),
    ] {
        counter!(ENGINE, "what" => what).absolute(count);
    }
}

/// What the series store has refused, let go of or lost since it was opened, and the queries that ended before their answers did.
pub fn series(stats: &bellwether_series::Stats) {
    for (what, count) in [
        ("refused_points", stats.refused_points),
        ("refused_values", stats.refused_values),
        ("old_points", stats.old_points),
        ("refused_changes", stats.refused_changes),
        ("removed_rows", stats.removed_rows),
        ("corrupt_blocks", stats.corrupt_blocks),
        ("interrupted_queries", stats.interrupted_queries),
        ("overlong_queries", stats.overlong_queries),
    ] {
        counter!(SERIES, "what" => what).absolute(count);
    }
}

/// Something happened on the way to InfluxDB, so many times.
pub fn influx(what: &'static str, count: u64) {
    counter!(INFLUX, "what" => what).increment(count);
    match what {
        "rejected_points" => drop(INFLUX_REJECTED.fetch_add(count, Ordering::Relaxed)),
        "lost_bytes" => drop(INFLUX_LOST_BYTES.fetch_add(count, Ordering::Relaxed)),
        _ => {}
    }
}

/// Effects were performed.
pub fn effects(count: usize) {
    counter!(EFFECTS).increment(count as u64);
}
