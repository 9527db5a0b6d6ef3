//! What this machine is to watch, as it is kept on disk: a restart without the collector goes on where it was.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use bellwether_proto::v1::{Assignment, Assignments};
use prost::Message;

use crate::snmp::poll::Target;
use crate::snmp::settings::PORT;
use crate::state::replace_file;

const FILE: &str = "assignments";

/// What the file begins with; the rest is the message as it came.
const HEAD: &[u8] = b"bellwether assignments 1\n";

/// Devices that one closet watches at most: what was measured, four times.
pub(super) const TARGETS_MAX: usize = 20_000;

/// Keeps what the collector said; false if that is what is kept already.
pub(super) fn store(state_dir: &Path, assignments: &Assignments) -> bool {
    let mut bytes = HEAD.to_vec();
    bytes.extend(assignments.encode_to_vec());
    let path = state_dir.join(FILE);
    if std::fs::read(&path).is_ok_and(|kept| kept == bytes) {
        return false;
    }
    // Without the file the collector says it again with the next stream.
    if let Err(error) = replace_file(&path, &bytes, true) {
        tracing::warn!(%error, "what is to be watched can't be kept on disk");
    }
    true
}

/// What was kept; nothing if it can't be read.
pub(super) fn load(state_dir: &Path) -> Assignments {
    let bytes = std::fs::read(state_dir.join(FILE)).unwrap_or_default();
    let message = bytes.strip_prefix(HEAD).and_then(|bytes| Assignments::decode(bytes).ok());
    message.unwrap_or_default()
}

/// What can be watched of what was said; the rest is said in the log.
pub(super) fn targets(assignments: Vec<Assignment>) -> Vec<Target> {
    let number = assignments.len();
    let targets: Vec<Target> = assignments.into_iter().filter_map(target).take(TARGETS_MAX).collect();
    if targets.len() < number {
        tracing::warn!(assigned = number, watched = targets.len(), "not all that is assigned can be watched");
    }
    targets
}

fn target(said: Assignment) -> Option<Target> {
    let address = said.address.parse().ok();
    let address = address.or_else(|| said.address.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, PORT)))?;
    (!said.device_id.is_empty()).then(|| Target {
        id: said.device_id.into(),
        address,
        credential: said.credential.into(),
        witness: said.witness,
        serial: said.serial.into(),
        mac: said.mac.into(),
    })
}

/// An address as it is written: without the port if it is the usual one.
pub(super) fn written(address: SocketAddr) -> String {
    if address.port() == PORT { address.ip().to_string() } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(device_id: &str, address: &str) -> Assignment {
        Assignment { device_id: device_id.to_owned(), address: address.to_owned(), ..Assignment::default() }
    }

    #[test]
    fn what_is_kept_is_read_back_and_what_can_t_be_read_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), Assignments::default());
        let assignments =
            Assignments { assignments: vec![said("d1", "192.0.2.7")], managed_macs: vec!["x".to_owned()] };
        assert!(store(dir.path(), &assignments));
        assert!(!store(dir.path(), &assignments), "nothing new");
        assert_eq!(load(dir.path()), assignments);
        std::fs::write(dir.path().join(FILE), b"bellwether assignments 2\n").unwrap();
        assert_eq!(load(dir.path()), Assignments::default());
    }

    #[test]
    fn an_address_without_a_port_has_the_usual_one() {
        let all = ["192.0.2.7", "192.0.2.8:1161", "2001:db8::1", "[2001:db8::1]:1161", "switch.example", ""];
        let targets = targets(all.map(|address| said("d1", address)).to_vec());
        let found: Vec<String> = targets.iter().map(|target| target.address.to_string()).collect();
        assert_eq!(found, ["192.0.2.7:161", "192.0.2.8:1161", "[2001:db8::1]:161", "[2001:db8::1]:1161"]);
        let written: Vec<String> = targets.iter().map(|target| written(target.address)).collect();
        assert_eq!(written, all[..4]);
    }
}
