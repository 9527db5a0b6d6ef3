//! Whatever a device, a file or a network brings: nothing may end in a panic or run for ever. Each case is made of a number
//! alone, so that a finding is repeated by its number.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError, mpsc};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

mod blocks;
mod heard;
mod lines;
pub mod mutate;
mod packets;
mod queries;
mod segments;
mod sweeps;
mod texts;
mod traps;
mod walks;
mod wire;

/// Longer than any case may take: the most is a device of version 3 that says nothing to some questions.
const CASE_MAX: Duration = Duration::from_secs(300);

/// What is tried.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    run: fn(&mut StdRng),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "blocks", run: blocks::run },
    Target { name: "heard", run: heard::run },
    Target { name: "lines", run: lines::run },
    Target { name: "packets", run: packets::run },
    Target { name: "profiles", run: texts::profiles },
    Target { name: "queries", run: queries::run },
    Target { name: "recordings", run: texts::recordings },
    Target { name: "segments", run: segments::run },
    Target { name: "sweeps", run: sweeps::run },
    Target { name: "traps", run: traps::run },
    Target { name: "walks", run: walks::run },
    Target { name: "wire", run: wire::run },
];

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// It panicked, or what it must keep was not kept.
    #[error("{target} {seed}: {said}")]
    Panic {
        /// Of what.
        target: &'static str,
        /// The case.
        seed: u64,
        /// What the panic said.
        said: String,
    },
    /// It did not end.
    #[error("{target} {seed}: still running after {} s", CASE_MAX.as_secs())]
    Hangs {
        /// Of what.
        target: &'static str,
        /// The case.
        seed: u64,
    },
}

impl Target {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Tries one case.
    ///
    /// # Errors
    /// The finding.
    pub fn case(&'static self, seed: u64) -> Result<(), Finding> {
        listen_for_panics();
        let (sender, ended) = mpsc::channel();
        // A case that hangs can't be ended: its thread is left, and the program ends with the finding.
        std::thread::spawn(move || {
            let run = AssertUnwindSafe(|| (self.run)(&mut StdRng::seed_from_u64(seed)));
            let _ = sender.send(catch_unwind(run).map_err(|panic| said(panic.as_ref())));
        });
        match ended.recv_timeout(CASE_MAX) {
            // One in a task of its own would otherwise look like a silent device.
            Ok(Ok(())) => match std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner)) {
                said if said.is_empty() => Ok(()),
                said => Err(Finding::Panic { target: self.name, seed, said }),
            },
            Ok(Err(said)) => Err(Finding::Panic { target: self.name, seed, said }),
            Err(_) => Err(Finding::Hangs { target: self.name, seed }),
        }
    }
}

/// What panics said, wherever they were.
static PANICS: Mutex<String> = Mutex::new(String::new());

fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            // Its decoder panics at what is no block of it, and the store catches that.
            if panic.location().is_some_and(|place| place.file().contains("/pco-")) {
                return;
            }
            let mut said = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            if said.is_empty() {
                *said = panic.to_string();
            }
        }));
    });
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
