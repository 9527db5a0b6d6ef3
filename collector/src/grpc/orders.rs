//! What one agent is told to do, and what it answers.

use std::sync::Arc;

use bellwether_proto::record::v1::{AgentConfigured, Identity, record};
use bellwether_proto::v1::{CollectorMessage, Configuration, ConfigurationResult, collector_message};
use tokio::sync::watch;

use crate::agents::Shared;
use crate::ingest::Ingest;
use crate::inventory::Inventory;

/// The longest reason that is kept.
const REASON_CHARS_MAX: usize = 500;

/// The orders of one stream.
pub(super) struct Orders {
    agents: watch::Receiver<Shared>,
    /// Whose they are.
    identity: Option<Arc<Identity>>,
    /// What the agent runs with, or was told.
    told: u64,
    due: Option<Configuration>,
}

impl Orders {
    /// For an agent that runs with the configuration of this revision.
    pub(super) const fn new(agents: watch::Receiver<Shared>, revision: u64) -> Self {
        Self { agents, identity: None, told: revision, due: None }
    }

    /// Resolves when there may be other orders.
    pub(super) async fn changed(&mut self) {
        // The collector stops: there will be none.
        if self.agents.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Looks up what this device is told.
    pub(super) fn look_up(&mut self, inventory: &Inventory, device: &str) {
        self.identity = inventory.get(device);
        self.judge();
    }

    /// The device is this one now.
    pub(super) fn follow(&mut self, identity: &Arc<Identity>) {
        let belongs = |known: &Arc<Identity>| known.site == identity.site && known.class == identity.class;
        if !self.identity.as_ref().is_some_and(belongs) {
            self.identity = Some(Arc::clone(identity));
            self.judge();
        }
    }

    /// Whether there is something to say.
    pub(super) const fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// What to say.
    pub(super) fn take(&mut self) -> Option<CollectorMessage> {
        let configuration = self.due.take()?;
        self.told = configuration.revision;
        Some(CollectorMessage { body: Some(collector_message::Body::Configuration(configuration)) })
    }

    fn judge(&mut self) {
        let Some(identity) = &self.identity else { return };
        let wanted = self.agents.borrow_and_update().of(&identity.site, &identity.class);
        self.due = (wanted.revision != self.told).then_some(wanted);
    }
}

/// Writes down what became of a configuration.
pub(super) fn note_result(ingest: &Ingest, device: &str, result: ConfigurationResult) {
    let error: String = result.error.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect();
    if error.is_empty() {
        tracing::info!(device, revision = result.revision, "an agent runs with its new configuration");
    } else {
        tracing::warn!(device, revision = result.revision, why = error, "an agent does not use its configuration");
    }
    let configured = AgentConfigured { device_id: device.to_owned(), revision: result.revision, error };
    if let Err(error) = ingest.append(record::Body::Configured(configured)) {
        // The agent says it again with its next stream.
        tracing::warn!(device, %error, "what became of a configuration could not be stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::AgentConfigs;

    fn identity(site: &str) -> Arc<Identity> {
        Arc::new(Identity { site: site.into(), class: "laptop".into(), ..Identity::default() })
    }

    #[tokio::test]
    async fn an_agent_is_told_once_and_again_when_its_building_or_the_files_change() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            std::fs::write(folder.path().join("a.toml"), text).unwrap();
            Arc::new(AgentConfigs::load(folder.path()).unwrap())
        };
        let (sender, receiver) = watch::channel(write("sites = [\"Lincoln\"]\n[agent]\ninterval = \"10s\"\n"));
        let mut orders = Orders::new(receiver, 0);
        orders.follow(&identity("Adams"));
        assert!(orders.take().is_none(), "nothing is told to other buildings");
        orders.follow(&identity("Lincoln"));
        assert!(orders.is_due());
        assert!(orders.take().is_some());
        orders.follow(&identity("Lincoln"));
        assert!(orders.take().is_none(), "told once");
        sender.send_replace(write("[agent]\ninterval = \"20s\"\n"));
        orders.changed().await;
        orders.judge();
        assert!(orders.take().is_some());
        sender.send_replace(Arc::default());
        orders.changed().await;
        orders.judge();
        let body = orders.take().unwrap().body;
        let none = Configuration { revision: 0, toml: String::new() };
        assert_eq!(body, Some(collector_message::Body::Configuration(none)), "back to the machine's own file");
    }
}
