//! The collector as a thing that is watched: what it measures of itself goes the way of every reading, as one of the machine on
//! which it runs, and so do its tickets.
//!
//! Without its own agent that machine is no device, and nothing is measured; `/healthz` and `/metrics` speak all the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_journal::{Journal, Receipt};
use bellwether_logic::batch::BatchId;
use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use tokio::sync::watch;

use crate::app::App;
use crate::ca::Ring;
use crate::calendar::CALENDAR;
use crate::health::chain;
use crate::ingest::{Ingest, Taken};
use crate::{disk, figures};

/// From one reading to the next; the default of agents.
const EVERY: Duration = Duration::from_secs(60);

/// Before the first: the own agent enrols in the meantime.
const FIRST: Duration = Duration::from_secs(5);

/// What the collector says of itself, and no agent may.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "collector",
    tags: &[],
    fields: &[
        integer("broken_rules", "", "Rules of the school's own that are left out."),
        boolean("calendar_failing", "A calendar is not understood or can't be fetched."),
        float("ca_days_left", "d", "How long its authority is still good."),
        float("disk_free_percent", "percent", "Free on the disk of its data folder."),
        integer("engine_behind_bytes", "bytes", "What the deciders have not read of the journal."),
        integer("influx_lost_bytes", "bytes", "Journal that InfluxDB did not get, since the start."),
        integer("influx_rejected", "", "Points that InfluxDB refused, since the start."),
        integer("journal_lost_places", "", "Parts of the journal that were damaged or lost, since the start."),
        float("journal_used_percent", "percent", "How full the journal is, of what it may take."),
        integer("refused_connections", "", "Connections and machines that were refused, since the start."),
        integer("troubles", "", "Parts that can't do their work just now, apart from rules and calendars."),
    ],
    privacy: Privacy::Own,
    description: "How the collector itself is doing.",
}];

const fn integer(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

const fn float(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit, description }
}

const fn boolean(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Boolean, unit: "", description }
}

/// What is looked at.
pub struct Itself {
    /// Configuration, rules, health, clock.
    pub app: Arc<App>,
    /// How full it is.
    pub journal: Arc<Journal>,
    /// How much it may hold.
    pub journal_max_bytes: u64,
    /// How far the deciders have come.
    pub decided: watch::Receiver<u64>,
    /// How long its authority is good.
    pub ring: Arc<Ring>,
    /// Where readings go.
    pub ingest: Ingest,
    /// The data folder.
    pub folder: PathBuf,
    /// Where the own agent keeps who it is.
    pub agent_folder: PathBuf,
}

impl Itself {
    /// Reads and hands on, until it is cut off.
    pub async fn run(self) {
        let generation = rand::random();
        let this = Arc::new(self);
        tokio::time::sleep(FIRST).await;
        for sequence in 0.. {
            let asked = Arc::clone(&this);
            let id = BatchId { generation, sequence };
            match tokio::task::spawn_blocking(move || asked.hand_on(id)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tracing::warn!(why, "the collector's reading of itself was not taken"),
                Err(error) => tracing::error!(%error, "the collector could not read itself"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn hand_on(&self, id: BatchId) -> Result<(), String> {
        let Ok(own) = bellwether_agent::state::read_identity(&self.agent_folder) else { return Ok(()) };
        let Some(identity) = self.ingest.inventory.get(&own.device_id) else { return Ok(()) };
        let ledger = self.ingest.ledgers.of(&own.device_id);
        let taken = self.ingest.take_own(MEASUREMENTS, &identity, &ledger, id, self.read());
        match taken.map_err(|error| chain(&error))? {
            Taken::Queued(receipt) => {
                Receipt::wait(receipt).map_err(|error| chain(&error))?;
                ledger.committed(id);
            }
            Taken::Duplicate => {}
        }
        Ok(())
    }

    /// All of it as one reading.
    fn read(&self) -> Sample {
        let statistics = self.journal.statistics();
        let behind = self.journal.end().0.saturating_sub(*self.decided.borrow());
        let troubles = self.app.health.troubles();
        let is_ours = |part: &str| part != CALENDAR && part != crate::rules::RULES;
        let now = self.app.clock.now();
        let tally = figures::tally();
        let days_left = self.ring.standing().current.not_after().since(now).as_secs() / 86_400;
        let mut fields: Vec<(Name, Value)> = vec![
            ("broken_rules".into(), count(self.app.rules.broken.len() as u64)),
            ("calendar_failing".into(), Value::Boolean(troubles.iter().any(|(part, _)| *part == CALENDAR))),
            ("ca_days_left".into(), number(days_left)),
            ("engine_behind_bytes".into(), count(behind)),
            ("influx_lost_bytes".into(), count(tally.influx_lost_bytes)),
            ("influx_rejected".into(), count(tally.influx_rejected)),
            ("journal_lost_places".into(), count(statistics.damaged_places.saturating_add(tally.journal_lost))),
            ("journal_used_percent".into(), Value::Float(percent(statistics.stored_bytes, self.journal_max_bytes))),
            ("refused_connections".into(), count(tally.refused_connections)),
            ("troubles".into(), count(troubles.iter().filter(|(part, _)| is_ours(part)).count() as u64)),
        ];
        if let Some((free, total)) = disk::space(&self.folder) {
            fields.push(("disk_free_percent".into(), Value::Float(percent(free, total))));
        }
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Sample { measurement: "collector".into(), tags: Vec::new(), target: String::new(), time: now, fields }
    }
}

fn count(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "days of some years")]
fn number(days: u64) -> Value {
    Value::Float(days as f64)
}

/// To two decimals, as everything in percent.
#[expect(clippy::cast_precision_loss, reason = "a part to be looked at")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 100.0 }
}
