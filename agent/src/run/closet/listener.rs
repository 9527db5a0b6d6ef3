//! What devices tell by themselves: the port of traps, open for as long as the closet is.

use std::path::Path;
use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::devices::Devices;
use crate::snmp::settings::Snmp;
use crate::snmp::traps::Nudge;
use crate::snmp::traps::ears::{Assigned, Ears, Mouths};

/// The file of the state folder in which the engine's ID and the number of its starts are kept.
const ENGINE: &str = "snmp-engine";
/// Devices that wait to be asked at once; whoever finds no room is asked in turn.
const NUDGES_MAX: usize = 256;
/// After the port could not be had: whoever has it may go.
const REST: Duration = Duration::from_secs(60);

/// An open port, or one that is tried again.
pub(super) struct Listener {
    assigned: Assigned,
    samples: mpsc::Receiver<Vec<Sample>>,
    nudges: mpsc::Receiver<Nudge>,
    task: JoinHandle<()>,
}

/// What was heard.
pub(super) enum Told {
    Rows(Vec<Sample>),
    Nudge(Nudge),
}

impl Listener {
    /// Listens where the settings say, if they do.
    pub(super) fn start(state_dir: &Path, settings: &Snmp, clock: fn() -> Timestamp) -> Option<Self> {
        let assigned = Assigned::default();
        let ears = Ears {
            address: settings.traps?,
            credentials: settings.credentials.iter().map(|named| named.credential.clone()).collect(),
            engine: state_dir.join(ENGINE),
            assigned: assigned.clone(),
            interval: settings.interval,
        };
        let (to_samples, samples) = mpsc::channel(1);
        let (to_nudges, nudges) = mpsc::channel(NUDGES_MAX);
        let mouths = Mouths { samples: to_samples, nudges: to_nudges };
        Some(Self { assigned, samples, nudges, task: tokio::spawn(listen(ears, mouths, clock)) })
    }

    /// From now on the word of these devices counts.
    pub(super) fn assign(&self, devices: &Devices) {
        let own = devices.iter().filter(|device| !device.target.witness);
        self.assigned.set(own.map(|device| (device.target.address.ip(), device.target.id.to_string())));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(ears: Ears, mouths: Mouths, clock: fn() -> Timestamp) {
    loop {
        match ears.clone().open().await {
            Ok(open) => return open.run(mouths, clock).await,
            Err(error) => tracing::warn!(address = %ears.address, %error, "traps can't be listened for"),
        }
        sleep(REST).await;
    }
}

/// Waits for what is heard; without a port, for ever.
pub(super) async fn told(listener: &mut Option<Listener>) -> Told {
    if let Some(listener) = listener {
        tokio::select! {
            Some(samples) = listener.samples.recv() => return Told::Rows(samples),
            Some(nudge) = listener.nudges.recv() => return Told::Nudge(nudge),
            else => {}
        }
    }
    std::future::pending().await
}
