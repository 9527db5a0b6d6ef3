//! Whether the agent ends because a newer one takes its place.
//!
//! A service manager tells a stop from nothing: an upgrade arrives as the same signal. So a package leaves a file in the
//! state folder before it restarts the service, and the goodbye says what happens. A file that a failed upgrade left is
//! removed at the next start, and so never colours a later stop.

use std::fs;
use std::path::{Path, PathBuf};

use crate::GoodbyeReason;
use crate::system_events::SystemEvent;

/// What packages leave; see `deploy/debian/postinst`.
const MARK: &str = "updating";

/// Looks for the mark when the agent is to end.
pub(super) struct Update {
    mark: PathBuf,
}

impl Update {
    /// From the start of an agent on.
    pub(super) fn watch(state_dir: &Path) -> Self {
        let update = Self { mark: state_dir.join(MARK) };
        update.was_marked();
        update
    }

    /// What an event means once the mark is known.
    pub(super) fn explain(&self, event: SystemEvent) -> SystemEvent {
        match event {
            SystemEvent::Stop(GoodbyeReason::GoodbyeStop) if self.was_marked() => {
                SystemEvent::Stop(GoodbyeReason::GoodbyeUpdate)
            }
            other => other,
        }
    }

    fn was_marked(&self) -> bool {
        fs::remove_file(&self.mark).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(update: &Update, reason: GoodbyeReason) -> GoodbyeReason {
        match update.explain(SystemEvent::Stop(reason)) {
            SystemEvent::Stop(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stop_is_an_update_if_a_package_says_so_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let update = Update::watch(dir.path());
        assert_eq!(reason(&update, GoodbyeReason::GoodbyeStop), GoodbyeReason::GoodbyeStop);
        fs::write(dir.path().join(MARK), "").unwrap();
        assert_eq!(reason(&update, GoodbyeReason::GoodbyeShutdown), GoodbyeReason::GoodbyeShutdown);
        assert_eq!(reason(&update, GoodbyeReason::GoodbyeStop), GoodbyeReason::GoodbyeUpdate);
        assert_eq!(reason(&update, GoodbyeReason::GoodbyeStop), GoodbyeReason::GoodbyeStop);
    }

    #[test]
    fn what_a_failed_upgrade_left_is_forgotten_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARK), "").unwrap();
        let update = Update::watch(dir.path());
        assert_eq!(reason(&update, GoodbyeReason::GoodbyeStop), GoodbyeReason::GoodbyeStop);
    }
}
