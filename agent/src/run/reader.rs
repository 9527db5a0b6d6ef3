//! The thread that reads the sources: a source that hangs must not hang the agent.

use std::sync::mpsc as std_mpsc;
use std::thread;

use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::host::Host;
use crate::source::{self, Report};

/// What one reading of all sources gave.
pub(super) struct Readings {
    /// The time that the samples bear.
    pub time: Timestamp,
    pub reports: Vec<Report>,
}

/// The loop's end of the thread, which ends when this is dropped.
pub(super) struct Reader {
    requests: std_mpsc::SyncSender<Timestamp>,
    pub readings: mpsc::Receiver<Readings>,
}

impl Reader {
    pub(super) fn start(host: &Host, config: &Config) -> std::io::Result<Self> {
        let mut sources: Vec<_> = source::ALL.iter().map(|entry| (entry.make)(host, config)).collect();
        let (requests, to_read) = std_mpsc::sync_channel::<Timestamp>(1);
        let (sender, readings) = mpsc::channel(1);
        thread::Builder::new().name("sources".to_owned()).stack_size(256 << 10).spawn(move || {
            while let Ok(time) = to_read.recv() {
                let reports = sources.iter_mut().map(|source| source::read(source.as_mut(), time)).collect();
                if sender.blocking_send(Readings { time, reports }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, readings })
    }

    /// Asks for a reading; false if the last one is not done yet.
    pub(super) fn ask(&self, time: Timestamp) -> bool {
        self.requests.try_send(time).is_ok()
    }
}
