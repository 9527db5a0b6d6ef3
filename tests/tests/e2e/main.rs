//! End to end, with the real programs: started, spoken to, killed and restarted as in a school.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod backup;
mod cause;
mod certificates;
mod clients;
mod closet;
mod disks;
mod doctor;
mod duty;
mod enrolment;
mod identity;
mod influxdb;
mod kills;
mod orders;
mod outage;
mod privacy;
mod refusals;
mod start;
mod tickets;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For what should take moments; long, because a busy machine with unoptimised programs is slow.
const SOON: Duration = Duration::from_secs(60);

/// A collector that watches nothing of its own, for tests that bring their own agents.
const NO_OWN_AGENT: &str = "[own_agent]\nenabled = false\n";

/// Every file below `folder` with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            files.extend(tree(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}
