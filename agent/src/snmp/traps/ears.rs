//! Takes traps in and carries out what is decided of them. The socket is emptied whether or not anybody takes the rows.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Nudge, Traps};
use crate::gather::Gather;
use crate::reading::{integer, sample};
use crate::snmp::ask::Trouble;
use crate::snmp::client::receiver::{Heard, Receiver};
use crate::snmp::credential::Credential;

/// Traps that wait: a second of a storm. What comes beyond is counted and dropped.
const WAITING_MAX: usize = 1_024;
/// After the socket failed.
const REST: Duration = Duration::from_secs(1);

/// Whose word counts: devices by their addresses. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Assigned(Arc<RwLock<BTreeMap<IpAddr, String>>>);

/// Where and for whom traps are taken in.
#[derive(Debug, Clone)]
pub struct Ears {
    /// Where.
    pub address: SocketAddr,
    /// Who may sign; those of versions 1 and 2c say nothing here.
    pub credentials: Vec<Credential>,
    /// The file in which the engine's ID and the number of its starts are kept: informs of version 3 are addressed to it.
    pub engine: PathBuf,
    /// Whose word counts.
    pub assigned: Assigned,
    /// From one row to the next.
    pub interval: Duration,
}

/// An open port.
pub struct Open {
    ears: Ears,
    receiver: Receiver,
    dropped: AtomicU64,
}

/// Where what was heard goes.
#[derive(Debug, Clone)]
pub struct Mouths {
    /// Rows.
    pub samples: mpsc::Sender<Vec<Sample>>,
    /// Whom to ask at once. One that finds no room is dropped: the device is asked in its turn.
    pub nudges: mpsc::Sender<Nudge>,
}

impl Assigned {
    /// From now on these.
    pub fn set(&self, devices: impl IntoIterator<Item = (IpAddr, String)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = devices.into_iter().gather();
    }

    /// The device of that address.
    #[must_use]
    pub fn device(&self, address: IpAddr) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }
}

impl Ears {
    /// Opens the port.
    ///
    /// # Errors
    /// If the port can't be had, or the engine's file can't be written.
    pub async fn open(self) -> Result<Open, Trouble> {
        let assigned = self.assigned.clone();
        let known = move |address| assigned.device(address).is_some();
        let receiver = Receiver::open(self.address, &self.credentials, &self.engine, known).await?;
        Ok(Open { ears: self, receiver, dropped: AtomicU64::new(0) })
    }
}

impl Open {
    /// Listens until whoever takes the rows is gone.
    pub async fn run(self, mouths: Mouths, clock: fn() -> Timestamp) {
        let (sender, heard) = mpsc::channel(WAITING_MAX);
        tokio::select! {
            () = take(&self.receiver, sender, &self.dropped) => {}
            () = self.tell(heard, &mouths, clock) => {}
        }
    }

    async fn tell(&self, mut heard: mpsc::Receiver<Heard>, mouths: &Mouths, clock: fn() -> Timestamp) {
        let mut ticks = interval(self.ears.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut traps, mut believed) = (Traps::default(), 0);
        loop {
            tokio::select! {
                Some(Heard { from, trap }) = heard.recv() => {
                    // It may have been taken from this closet since.
                    let Some(device) = self.ears.assigned.device(from) else { continue };
                    believed += 1;
                    if let Some(nudge) = traps.handle_trap(&device, &trap, clock()) {
                        let _ = mouths.nudges.try_send(nudge);
                    }
                }
                _ = ticks.tick() => {
                    let now = clock();
                    let mut samples = traps.poll_samples(now);
                    samples.push(self.counted(believed, now));
                    if mouths.samples.send(samples).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn counted(&self, believed: u64, time: Timestamp) -> Sample {
        let fields = vec![
            ("believed", integer(believed)),
            ("dropped", integer(self.dropped.load(Ordering::Relaxed))),
            ("refused_sender", integer(self.receiver.refused_senders())),
            ("refused_source", integer(self.receiver.refused_sources())),
        ];
        sample("snmp_receiver", Vec::new(), time, fields)
    }
}

/// Takes in what comes, and drops what nobody has time for.
async fn take(receiver: &Receiver, sender: mpsc::Sender<Heard>, dropped: &AtomicU64) {
    loop {
        match receiver.next().await {
            Ok(heard) => match sender.try_send(heard) {
                Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(_)) => drop(dropped.fetch_add(1, Ordering::Relaxed)),
                Ok(()) => {}
            },
            Err(trouble) => {
                tracing::warn!(%trouble, "traps can't be taken in");
                sleep(REST).await;
            }
        }
    }
}
