//! The journal's readers: each on a thread of its own, with a place that it commits together with what it made of the
//! records. A reader that fails tries again, calmly: what it has not done waits in the journal.

pub mod engine;
pub mod influx;
pub mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::figures;
use crate::health::{Health, chain};

/// The engine reader's name, in the journal and in `state.sqlite`.
pub const ENGINE: &str = "engine";

/// The engine reader's committed place, as the journal knows it beside the snapshot's.
pub const EFFECTS: &str = "effects";

/// The series reader's name in the journal; its place is in the store's own file.
pub const SERIES: &str = "series";

/// The InfluxDB reader's name, in the journal and in `state.sqlite`.
pub const INFLUX: &str = "influxdb";

/// When what the InfluxDB reader last sent was received, in milliseconds since 1970, beside its place.
pub const INFLUX_STAMP: &str = "influxdb_stamp";

/// What is read of the journal at a time: enough for a good transaction, little enough that a page does not wait.
const READ_BYTES: usize = 1 << 20;

/// How long a reader with nothing to do waits before it looks around.
const IDLE: Duration = Duration::from_millis(250);

/// The first and the longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// How often a waiting reader looks whether it should stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Records were read.
    Moved,
    /// There are none that were not read.
    Idle,
}

/// One reader.
pub trait Reader: Send + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Whether it is let read to the end of the journal when the program ends.
    const READS_TO_THE_END: bool = true;
    /// Why a step can fail.
    type Error: std::error::Error;

    /// Reads on, or waits a moment for something to read. A step that failed is called again.
    ///
    /// # Errors
    /// When the records or what is made of them can't be read or written just now.
    fn step(&mut self) -> Result<Step, Self::Error>;

    /// Everything is read and the program ends: leaves as little as possible to be read again.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    fn finish(&mut self) -> Result<(), Self::Error>;

    /// How long to wait at least after such a failure, whatever the pace.
    fn least_wait(_error: &Self::Error) -> Duration {
        Duration::ZERO
    }
}

/// A reader on its thread.
#[derive(Debug)]
pub struct Driven {
    name: &'static str,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Driven {
    /// Starts a reader on a thread that bears its name.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<R: Reader>(reader: R, health: Arc<Health>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name(format!("{} reader", R::NAME)).spawn(move || {
            let _guard = Fallen { name: R::NAME, health: Arc::clone(&health) };
            drive(reader, &health, &told);
        })?;
        Ok(Self { name: R::NAME, stop, thread })
    }

    /// Lets the reader read to the end of the journal, then ends it. Says whether it did so until `deadline`.
    #[must_use]
    pub fn stop(self, deadline: Instant) -> bool {
        self.stop.store(true, Ordering::SeqCst);
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!(
                    reader = self.name,
                    "a reader of the journal did not finish in time; it will read on at the next start"
                );
                return false;
            }
            std::thread::sleep(STOP_POLL);
        }
        if self.thread.join().is_err() {
            tracing::error!(reader = self.name, "a reader of the journal had ended before");
        }
        true
    }
}

/// Says aloud that a reader's thread has panicked: the journal waits for it until it is full, and nothing else would tell.
struct Fallen {
    name: &'static str,
    health: Arc<Health>,
}

impl Drop for Fallen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            figures::reader_failure(self.name);
            tracing::error!(reader = self.name, "a reader of the journal ended by a fault: restart the collector");
            self.health.trouble(self.name, "it ended by a fault of the program: restart the collector".into());
        }
    }
}

fn drive<R: Reader>(mut reader: R, health: &Health, stop: &AtomicBool) {
    let mut wait = RETRY_FIRST;
    loop {
        match reader.step() {
            Ok(Step::Moved) => {
                recovered::<R>(health, &mut wait);
                if !R::READS_TO_THE_END && stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            Ok(Step::Idle) => {
                recovered::<R>(health, &mut wait);
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            Err(error) => {
                failed::<R>(health, &error);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                pause(wait.max(R::least_wait(&error)), stop);
                wait = (wait * 2).min(RETRY_LONGEST);
            }
        }
    }
    if let Err(error) = reader.finish() {
        failed::<R>(health, &error);
    }
}

fn recovered<R: Reader>(health: &Health, wait: &mut Duration) {
    if *wait != RETRY_FIRST {
        *wait = RETRY_FIRST;
        health.well(R::NAME);
        tracing::info!(reader = R::NAME, "a reader of the journal goes on");
    }
}

fn failed<R: Reader>(health: &Health, error: &R::Error) {
    figures::reader_failure(R::NAME);
    let why = chain(error);
    tracing::error!(reader = R::NAME, why, "a reader of the journal failed; it tries again");
    health.trouble(R::NAME, why);
}

fn pause(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while Instant::now() < until && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(STOP_POLL.min(until.saturating_duration_since(Instant::now())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Faulty;

    impl Reader for Faulty {
        const NAME: &'static str = "faulty";
        type Error = std::io::Error;

        fn step(&mut self) -> Result<Step, std::io::Error> {
            panic!("a fault of the program");
        }

        fn finish(&mut self) -> Result<(), std::io::Error> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_ended_by_a_fault_is_a_trouble_that_is_shown() {
        let health = Arc::new(Health::default());
        let driven = Driven::start(Faulty, Arc::clone(&health)).unwrap();
        let _ = driven.stop(Instant::now() + Duration::from_secs(10));
        assert_eq!(health.troubles().len(), 1);
        assert_eq!(health.troubles()[0].0, "faulty");
    }
}
