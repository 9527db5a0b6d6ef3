//! How a device stands with what its agent is told to do.

use serde_json::{Value, json};

use crate::app::App;
use crate::state::devices::DeviceRow;

/// What an agent is told, what it runs with, and what it refused.
pub(super) struct Configuration {
    in_force: u64,
    wanted: u64,
    refused: Option<String>,
}

/// How `device` stands.
pub(super) fn of(app: &App, device: &DeviceRow) -> Configuration {
    // What is watched from a closet has no agent that could be told anything.
    let wanted = match device.watch {
        Some(_) => device.config_revision,
        None => app.agents.borrow().of(&device.site, device.class.as_str()).revision,
    };
    let (revision, why) = &device.config_refused;
    let refused = (*revision == wanted && wanted != device.config_revision && !why.is_empty()).then(|| why.clone());
    Configuration { in_force: device.config_revision, wanted, refused }
}

impl Configuration {
    fn is_pending(&self) -> bool {
        self.in_force != self.wanted && self.refused.is_none()
    }

    /// For a page; empty where there is nothing to say.
    pub(super) fn sentence(&self) -> String {
        let name = |revision| match revision {
            0 => "the machine's own file".to_owned(),
            revision => short(revision),
        };
        match &self.refused {
            _ if self.in_force == self.wanted && self.wanted == 0 => String::new(),
            Some(why) => format!("{} was refused: {why}. In force: {}", short(self.wanted), name(self.in_force)),
            None if self.is_pending() => format!("{} is pending. In force: {}", name(self.wanted), name(self.in_force)),
            None => format!("{} in force", short(self.in_force)),
        }
    }

    /// For the API.
    pub(super) fn json(&self) -> Value {
        json!({
            "revision": short(self.in_force),
            "wanted": short(self.wanted),
            "pending": self.is_pending(),
            "error": self.refused,
        })
    }
}

/// As it stands in the agent's log, too, and short enough to compare by eye.
fn short(revision: u64) -> String {
    format!("{revision:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_reads_what_is_in_force_what_is_pending_and_what_was_refused() {
        let said = |in_force, wanted, refused: Option<&str>| {
            Configuration { in_force, wanted, refused: refused.map(str::to_owned) }.sentence()
        };
        assert_eq!(said(0, 0, None), "");
        assert_eq!(said(5, 5, None), "0000000000000005 in force");
        assert_eq!(said(0, 5, None), "0000000000000005 is pending. In force: the machine's own file");
        assert_eq!(said(5, 0, None), "the machine's own file is pending. In force: 0000000000000005");
        assert_eq!(said(4, 5, Some("no")), "0000000000000005 was refused: no. In force: 0000000000000004");
    }
}
