//! The collector's configuration: taken whole, put in force without a restart, and given back if the collector can't be
//! reached with it.

use std::time::Duration;

use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::{Configuration, ConfigurationResult};

use super::ticks::Ticks;
use super::timers::Timer;
use super::{Agent, FIRST_READING};
use crate::config::Config;
use crate::remote::Offer;
use crate::uplink;

/// Without the collector for so long after a new configuration the one before comes back; and as long again without it
/// with the one before means that the configuration was not the reason.
pub(super) const TRIAL: Duration = Duration::from_secs(300);

/// After a new configuration the agent calls anew within this, each at its own time: a change for a whole district must
/// not bring all of it to the door in one second.
const CALL_WITHIN_MS: u64 = 20_000;

/// What is said of a configuration that was given back.
pub(super) const ROLLED_BACK: &str = "rolled back: the collector could not be reached within 5 minutes";

impl Agent {
    pub(super) fn handle_configuration(&mut self, sent: &Configuration) {
        let error = match self.remote.offer(sent.revision, &sent.toml) {
            Offer::InForce => String::new(),
            Offer::Refused(refused) => refused.why,
            Offer::Good(config) => {
                tracing::info!(revision = sent.revision, "the collector's configuration is taken, on trial");
                self.remote.take(&sent.toml);
                self.put_in_force(*config);
                self.timers.set(Timer::Trial, TRIAL);
                self.timers.set(Timer::Call, Duration::from_millis(rand::random::<u64>() % CALL_WITHIN_MS));
                // The answer follows when the collector was reached with it.
                return;
            }
        };
        if !error.is_empty() && self.complaints.is_new(&error) {
            tracing::warn!(revision = sent.revision, why = error, "the collector's configuration is not used");
        }
        self.report_configuration(sent.revision, error);
    }

    /// The collector was reached with what is in force.
    pub(super) fn confirm_configuration(&mut self) {
        self.timers.clear(Timer::Trial);
        if self.remote.is_on_trial() {
            tracing::info!(revision = self.remote.revision(), "the collector's configuration is in force");
            self.remote.confirm();
            self.report_configuration(self.remote.revision(), String::new());
        }
    }

    /// The collector was not reached for as long as a trial lasts.
    pub(super) fn end_trial(&mut self) {
        if !self.remote.is_on_trial() {
            self.remote.acquit();
            return;
        }
        tracing::warn!(revision = self.remote.revision(), "the collector's configuration is rolled back");
        self.remote.roll_back(ROLLED_BACK);
        match self.remote.config() {
            Ok(config) => self.put_in_force(config),
            Err(error) => tracing::error!(%error, "the configuration of before can't be read"),
        }
        self.timers.set(Timer::Trial, TRIAL);
        self.timers.set(Timer::Call, Duration::ZERO);
    }

    /// Everything that was built from the configuration is built again.
    fn put_in_force(&mut self, mut config: Config) {
        self.close_round();
        config.interval = self.interval_override.unwrap_or(config.interval);
        match (self.hands.read)(&self.hands.host, &config) {
            Ok(reader) => self.reader = reader,
            Err(error) => tracing::error!(%error, "the sources are read as before: the system gives no thread"),
        }
        self.spool.handle_config(config.spool.clone());
        self.ticks = Ticks::new(config.interval, &self.identity.device_id);
        self.config = config;
        self.ticked = false;
        self.place = self.look_around();
        self.look_at_others();
        self.prime(self.hands.clock.now().wall);
        self.timers.set(Timer::Tick, FIRST_READING);
        self.timers.set(Timer::Sync, self.config.spool.sync);
    }

    fn report_configuration(&mut self, revision: u64, error: String) {
        let result = ConfigurationResult { revision, error };
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.as_ref());
        if let Some(outgoing) = outgoing
            && outgoing.try_send(uplink::message(ToCollector::ConfigurationResult(result))).is_err()
        {
            // The collector sends a configuration again with each stream, and hears the answer then.
            tracing::debug!("no room to say what became of the configuration");
        }
    }
}
