//! What must be looked after while the collector runs: revocations, the server's certificate, the clock, figures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_agent::clock as machine;
use bellwether_journal::Journal;
use bellwether_logic::receipts::CLOCK_TOLERANCE;
use bellwether_proto::record::v1::{AgentRevoked, record};
use bellwether_series::Store;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::ca::Ring;
use crate::clock::Clock;
use crate::grpc::Registry;
use crate::health::chain;
use crate::state::machines::NoteKind;
use crate::state::{State, StateError};
use crate::{figures, ingest};

/// How often revocations are looked up: `revoke` runs in a process of its own and leaves its word in the database.
const REVOCATIONS_EVERY: Duration = Duration::from_secs(2);

/// How often the server's certificate is looked at. It is renewed months before it ends; but a machine that starts
/// without a clock makes one that no agent believes, and needs another soon after its clock is set.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60);

/// How often the authority's folder is looked at: the commands beside a running collector leave their word there.
const AUTHORITIES_EVERY: Duration = Duration::from_secs(2);

/// A device counts as copied so long after its copy was heard of: copies knock again every minute.
const CLONES_COUNTED: Duration = Duration::from_secs(86_400);

/// How often this machine's wall clock is compared with the one that never steps.
const CLOCK_EVERY: Duration = Duration::from_secs(5);

/// How often figures are taken; as often as Prometheus asks by default.
const FIGURES_EVERY: Duration = Duration::from_secs(15);

/// Cuts the streams of revoked certificates.
pub(super) async fn revocations(state: Arc<State>, journal: Arc<Journal>, registry: Arc<Registry>, clock: Clock) {
    // Nobody said to the engine what was revoked while no collector ran. Saying it again is harmless, and certificates
    // that have ended are no longer among them.
    let mut told = BTreeSet::new();
    loop {
        let asked = Arc::clone(&state);
        let now = clock.now();
        let serials = tokio::task::spawn_blocking(move || asked.revoked_serials(now)).await;
        match serials {
            Ok(Ok(serials)) => {
                let serials: BTreeSet<String> = serials.into_iter().collect();
                let cut = registry.end_revoked(|serial| serials.contains(serial));
                if cut > 0 {
                    tracing::warn!(cut, "streams of revoked certificates were cut");
                }
                told.retain(|serial| serials.contains(serial));
                let new: Vec<String> = serials.difference(&told).cloned().collect();
                if !new.is_empty() && tell_engine(&state, &journal, &clock, new.clone()).await {
                    told.extend(new);
                }
            }
            Ok(Err(error)) => tracing::error!(why = chain(&error), "revocations could not be looked up"),
            Err(error) => tracing::error!(%error, "revocations could not be looked up"),
        }
        tokio::time::sleep(REVOCATIONS_EVERY).await;
    }
}

/// Writes new revocations into the journal: the silence of a revoked device means nothing. Says whether all are there.
async fn tell_engine(state: &Arc<State>, journal: &Journal, clock: &Clock, serials: Vec<String>) -> bool {
    let asked = Arc::clone(state);
    let devices = tokio::task::spawn_blocking(move || {
        let found = serials.iter().map(|serial| asked.certificate(serial));
        found.filter_map(Result::transpose).map(|found| Ok(found?.device)).collect::<Result<BTreeSet<_>, StateError>>()
    });
    let Ok(Ok(devices)) = devices.await else {
        tracing::error!("the devices of revoked certificates could not be looked up");
        return false;
    };
    for device_id in devices {
        let revoked = AgentRevoked { device_id, actor: "revoke".into() };
        let written = match ingest::append(journal, clock.now(), record::Body::Revoked(revoked)) {
            Ok(receipt) => receipt.await.map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = written {
            tracing::error!(why, "a revocation could not be written down; trying again");
            return false;
        }
    }
    true
}

/// Renews the server's certificate when its time has come, and takes up what `ca rotate`, `switch` and `finish` left in
/// the authority's folder, without a restart.
pub(super) async fn authorities(ring: Arc<Ring>, clock: Clock) {
    let mut renewed_at = Instant::now();
    loop {
        tokio::time::sleep(AUTHORITIES_EVERY).await;
        if !ring.is_outdated() && renewed_at.elapsed() < CERTIFICATE_EVERY {
            continue;
        }
        renewed_at = Instant::now();
        let (refreshed, now) = (Arc::clone(&ring), clock.now());
        let result = tokio::task::spawn_blocking(move || refreshed.refresh(now)).await;
        match result.map_err(|error| chain(&error)).and_then(|result| result.map_err(|error| chain(&error))) {
            Ok(()) => {}
            Err(why) => tracing::error!(why, "the authority's files could not be used; trying again in a minute"),
        }
    }
}

/// Forgets certificates by which nothing can be had any more, and counts the devices that have copies.
pub(super) async fn identities(state: Arc<State>, grace: Duration, clock: Clock) {
    loop {
        let (asked, now) = (Arc::clone(&state), clock.now());
        let result = tokio::task::spawn_blocking(move || {
            asked.forget_certificates(now - grace)?;
            let notes = asked.open_notes(now - CLONES_COUNTED)?;
            let copies = notes.iter().filter(|note| matches!(note.kind, NoteKind::Clone | NoteKind::Twin));
            Ok::<_, StateError>(copies.map(|note| &note.device).collect::<BTreeSet<_>>().len())
        });
        match result.await {
            Ok(Ok(clones)) => figures::clones(clones),
            Ok(Err(error)) => tracing::error!(why = chain(&error), "certificates could not be looked through"),
            Err(error) => tracing::error!(%error, "certificates could not be looked through"),
        }
        tokio::time::sleep(CERTIFICATE_EVERY).await;
    }
}

/// Ends the streams when this machine's clock was set: what was measured of the agents' clocks holds no longer.
pub(super) async fn own_clock(registry: Arc<Registry>) {
    let mut before = machine::now();
    loop {
        tokio::time::sleep(CLOCK_EVERY).await;
        let now = machine::now();
        let step_ms = machine::step_ms(before, now);
        if u128::from(step_ms.unsigned_abs()) > CLOCK_TOLERANCE.as_millis() {
            tracing::warn!(step_ms, "this machine's clock was set: agents are asked for their time again");
            registry.end_for_clock();
        }
        before = now;
    }
}

/// Takes the figures of journal and store, and lets the counters drop what they have summed up.
pub(super) async fn figures_of(journal: Arc<Journal>, series: Arc<Store>, kept: PrometheusHandle) {
    loop {
        let statistics = journal.statistics();
        figures::journal(journal.end().0, statistics.stored_bytes, statistics.damaged_places);
        let asked = Arc::clone(&series);
        if let Ok(Ok(stats)) = tokio::task::spawn_blocking(move || asked.stats()).await {
            figures::series(&stats);
        }
        kept.run_upkeep();
        tokio::time::sleep(FIGURES_EVERY).await;
    }
}
