//! The machine itself: thin hands that ask Windows and answer in [`Facts`]' words. Nothing here decides.
//!
//! What can hang (a dying disk, a damaged WMI repository) is asked on threads with a limit on the wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::facts::{Card, Facts, Memory, PageFile, Processors, Radio, Row, Tasks, Updates, Volume};
use crate::host::{Host, Said};
use crate::reading::{Problem, ProblemKind};
use patience::Patience;

mod echo;
mod interfaces;
mod kernel;
mod management;
mod patience;
mod radio;
mod registry;
mod routes;
mod updates;
mod volumes;

pub(crate) use echo::{Echo, check as check_echo, echo};
pub(crate) use kernel::uptime;
pub(crate) use routes::{gateway, name_servers};

/// Volumes answer in microseconds; a sleeping disk needs some seconds to spin up.
const VOLUMES_LIMIT: Duration = Duration::from_secs(5);

/// Providers are started when they are first asked, and antivirus programs slow that down.
const ROWS_LIMIT: Duration = Duration::from_secs(30);

/// Its own search reads a database of some hundred megabytes; on a slow disk that takes minutes.
const UPDATES_LIMIT: Duration = Duration::from_secs(180);

/// This machine. Clones share their patience.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    host: Host,
    disks: Arc<Mutex<Patience>>,
    management: Arc<Mutex<Patience>>,
}

impl Live {
    /// This machine, with the programs that `host` finds.
    pub(crate) fn new(host: Host) -> Self {
        Self { host, disks: Arc::default(), management: Arc::default() }
    }
}

impl Facts for Live {
    fn processors(&self) -> Result<Processors, Problem> {
        kernel::processors()
    }

    fn memory(&self) -> Result<Memory, Problem> {
        kernel::memory()
    }

    fn page_files(&self) -> Result<Vec<PageFile>, Problem> {
        kernel::page_files()
    }

    fn tasks(&self) -> Result<Tasks, Problem> {
        kernel::tasks()
    }

    fn uptime(&self) -> Duration {
        kernel::uptime()
    }

    fn volumes(&self) -> Result<Vec<Volume>, Problem> {
        patiently(&self.disks, "the volumes", VOLUMES_LIMIT, || Ok(volumes::all()))
    }

    fn cards(&self) -> Result<Vec<Card>, Problem> {
        interfaces::cards()
    }

    fn rows(
        &self,
        namespace: &'static str,
        class: &'static str,
        properties: &'static str,
    ) -> Result<Vec<Row>, Problem> {
        patiently(&self.management, class, ROWS_LIMIT, move || management::rows(namespace, class, properties))
    }

    fn radios(&self) -> Result<Vec<Radio>, Problem> {
        radio::radios()
    }

    fn updates(&self) -> Result<Updates, Problem> {
        patiently(&self.management, "Windows Update", UPDATES_LIMIT, updates::updates)
    }

    fn registry(&self, key: &str, name: &str) -> Option<Value> {
        registry::value(key, name)
    }

    fn has_key(&self, key: &str) -> bool {
        registry::has_key(key)
    }

    fn run(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Said, Problem> {
        self.host.run(program, arguments, limit)
    }
}

/// The number that the memory manager gives each boot; empty where it does not count.
pub(crate) fn boot_id() -> String {
    const KEY: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters";
    registry::value(KEY, "BootId").map(|number| number.to_string()).unwrap_or_default()
}

fn patiently<T: Send + 'static>(
    patience: &Mutex<Patience>,
    what: &str,
    limit: Duration,
    question: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let answer = patience.lock().unwrap_or_else(PoisonError::into_inner).ask(limit, question);
    answer.unwrap_or_else(|| Err(Problem::new(ProblemKind::Failed, format!("{what}: the system does not answer"))))
}

/// What the system said no with, at `what`.
fn refused(what: &str, error: &windows::core::Error) -> Problem {
    // What comes from the classic interface is wrapped: the lower half is its own number, which has a kind.
    const WRAPPED: u32 = 0x8007_0000;
    let code = error.code().0.cast_unsigned();
    let number = if code & 0xffff_0000 == WRAPPED { code & 0xffff } else { code };
    /// `E_NOTIMPL`.
    const NOT_IMPLEMENTED: u32 = 0x8000_4001;
    if matches!(number, 0 | NOT_IMPLEMENTED) {
        return Problem::new(ProblemKind::Unsupported, format!("{what}: this system does not tell"));
    }
    Problem::from_io(what, &std::io::Error::from_raw_os_error(number.cast_signed()))
}
