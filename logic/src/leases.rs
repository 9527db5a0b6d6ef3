//! Who asks a watched device: one agent does, others that reach it bear witness by a ping.
//!
//! A lease stays where it is. It moves when its holder has been gone for a while, or when the device has not answered
//! the holder for a while and another agent has found it since; and it does not come back by itself.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use crate::time::Timestamp;

/// How long a holder must be gone before another agent asks. A restart, an update or a blink of the uplink is shorter,
/// and what is read meanwhile waits in its spool.
pub const GONE_FOR: Duration = Duration::from_secs(5 * 60);

/// How long a device must have been silent to its holder before a witness that has found it since takes over: fifteen
/// polls of the default interval. Most silences are the device's own.
pub const SILENT_FOR: Duration = Duration::from_secs(15 * 60);

/// An agent that reaches a device and does not ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness<'a> {
    /// The agent's device id.
    pub agent: &'a str,
    /// Whether it is connected now.
    pub is_connected: bool,
    /// When it last said that the device answers it.
    pub found_at: Timestamp,
}

/// One device's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Since when its holder has been gone; none: it is connected.
    pub gone_since: Option<Timestamp>,
    /// Since when the device has not answered its holder; none: it answers.
    pub silent_since: Option<Timestamp>,
}

/// Who asks the device from now on, if another than before: of those that may, the one that found it last.
#[must_use]
pub fn successor<'a>(now: Timestamp, lease: Lease, witnesses: &[Witness<'a>]) -> Option<&'a str> {
    let is_gone = lease.gone_since.is_some_and(|since| now.since(since) >= GONE_FOR);
    let silent = lease.silent_since.filter(|since| now.since(*since) >= SILENT_FOR);
    witnesses
        .iter()
        .filter(|witness| witness.is_connected)
        .filter(|witness| is_gone || silent.is_some_and(|since| witness.found_at > since))
        .max_by(|one, other| one.found_at.cmp(&other.found_at).then_with(|| other.agent.cmp(one.agent)))
        .map(|witness| witness.agent)
}

/// Since when agents that hold leases have been gone.
#[derive(Clone, Debug, Default)]
pub struct Attendance(BTreeMap<String, Timestamp>);

impl Attendance {
    /// An agent is connected or not; says since when it is not.
    pub fn note(&mut self, now: Timestamp, agent: &str, is_connected: bool) -> Option<Timestamp> {
        if is_connected {
            self.0.remove(agent);
            return None;
        }
        Some(*self.0.entry(agent.to_owned()).or_insert(now))
    }

    /// Forgets agents that hold nothing any more.
    pub fn keep(&mut self, holds: impl Fn(&str) -> bool) {
        self.0.retain(|agent, _| holds(agent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * MINUTE)
    }

    fn witness(agent: &str, is_connected: bool, found: i64) -> Witness<'_> {
        Witness { agent, is_connected, found_at: at(found) }
    }

    #[test]
    fn a_lease_moves_after_five_minutes_to_the_connected_witness_that_found_it_last() {
        let lease = Lease { gone_since: Some(at(100)), silent_since: None };
        let witnesses = [witness("d2", true, 10), witness("d3", true, 20), witness("d4", false, 90)];
        assert_eq!(successor(at(104), lease, &witnesses), None);
        assert_eq!(successor(at(105), lease, &witnesses), Some("d3"));
        assert_eq!(successor(at(105), lease, &witnesses[2..]), None);
    }

    #[test]
    fn a_lease_stays_while_its_holder_is_there_whoever_else_reaches_the_device() {
        let lease = Lease { gone_since: None, silent_since: None };
        assert_eq!(successor(at(1_000), lease, &[witness("d2", true, 999)]), None);
    }

    #[test]
    fn a_holder_that_blinks_keeps_what_it_has() {
        let mut attendance = Attendance::default();
        let witnesses = [witness("d2", true, 0)];
        for minute in 0..1_000 {
            let gone_since = attendance.note(at(minute), "d1", minute % 5 == 0);
            assert_eq!(successor(at(minute), Lease { gone_since, silent_since: None }, &witnesses), None);
        }
    }

    #[test]
    fn a_device_that_moved_is_asked_by_the_closet_that_found_it_since() {
        let lease = Lease { gone_since: None, silent_since: Some(at(100)) };
        assert_eq!(successor(at(120), lease, &[witness("d2", true, 90)]), None, "it found it before");
        assert_eq!(successor(at(114), lease, &[witness("d2", true, 110)]), None);
        assert_eq!(successor(at(115), lease, &[witness("d2", true, 110)]), Some("d2"));
    }
}
