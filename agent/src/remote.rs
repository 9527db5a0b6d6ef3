//! The configuration that the collector sends, as it is kept on disk.
//!
//! One file, `remote.json`, replaced whole, so that no power cut leaves one text without the other: the text in force,
//! the one before it while the new one is on trial, and the one that is not tried again. A text is on trial until the
//! collector has been reached with it; without that, the one before comes back. It has the form of `agent.toml` and can
//! say nothing else: there is no way to have an agent run, fetch or write anything.

use std::path::{Path, PathBuf};

use bellwether_proto::configuration::{MAX_BYTES, revision};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError, Layer};
use crate::state::{CONFIG_FILE, replace_file};

const FILE: &str = "remote.json";

/// What messages call the text.
const NAME: &str = "the collector's configuration";

/// The longest reason that is kept and sent.
const MAX_REASON_CHARS: usize = 500;

/// What was sent, and what became of it.
#[derive(Debug)]
pub struct Remote {
    dir: PathBuf,
    kept: Kept,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// In force.
    text: String,
    /// In force before, while `text` is on trial.
    previous: Option<String>,
    /// Not to be tried again.
    refused: Option<Refused>,
}

/// A text that is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub revision: u64,
    /// Why, for the admin.
    pub why: String,
}

/// What to do with a text that was sent.
#[derive(Debug)]
pub enum Offer {
    /// It is in force already.
    InForce,
    /// It is not used, and why.
    Refused(Refused),
    /// It is good: take it.
    Good(Box<Config>),
}

impl Remote {
    /// What a state folder has; a file that can't be read is as if nothing had been sent.
    #[must_use]
    pub fn load(dir: &Path) -> Self {
        let kept = std::fs::read_to_string(dir.join(FILE)).ok().and_then(|text| serde_json::from_str(&text).ok());
        Self { dir: dir.to_owned(), kept: kept.unwrap_or_default() }
    }

    /// The revision in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        revision(&self.kept.text)
    }

    /// Whether the collector has not been reached with it yet.
    #[must_use]
    pub const fn is_on_trial(&self) -> bool {
        self.kept.previous.is_some()
    }

    /// What is not tried again.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        self.kept.refused.as_ref()
    }

    /// The configuration in force: what is shipped, what was sent, and over both the machine's own file. A text that this
    /// version does not take, as after a step back to an older one, is put aside.
    ///
    /// # Errors
    /// When the machine's own file is bad.
    pub fn config(&mut self) -> Result<Config, ConfigError> {
        let own = crate::config::read(&self.own_path())?;
        let alone = self.layered("", &own)?;
        match self.layered(&self.kept.text, &own) {
            Ok(config) => Ok(config),
            Err(error) => {
                tracing::warn!(%error, "the collector's configuration is put aside");
                self.refuse(self.revision(), error.to_string());
                let before = self.kept.previous.take().unwrap_or_default();
                let (text, config) = match self.layered(&before, &own) {
                    Ok(config) => (before, config),
                    Err(_) => (String::new(), alone),
                };
                self.kept.text = text;
                self.store();
                Ok(config)
            }
        }
    }

    /// Looks at a text that the collector sent.
    pub fn offer(&mut self, named: u64, text: &str) -> Offer {
        if named == self.revision() {
            return Offer::InForce;
        }
        if let Some(refused) = self.kept.refused.as_ref().filter(|refused| refused.revision == named) {
            return Offer::Refused(refused.clone());
        }
        match self.judge(named, text) {
            Ok(config) => Offer::Good(Box::new(config)),
            Err(why) => {
                self.refuse(named, why);
                self.store();
                Offer::Refused(self.kept.refused.clone().expect("just refused"))
            }
        }
    }

    /// A good text comes into force, on trial.
    pub fn take(&mut self, text: &str) {
        // What was never proven good is nothing to come back to.
        let before = std::mem::replace(&mut self.kept.text, text.to_owned());
        self.kept.previous.get_or_insert(before);
        self.store();
    }

    /// The collector was reached with it.
    pub fn confirm(&mut self) {
        if self.kept.previous.take().is_some() {
            self.kept.refused = None;
            self.store();
        }
    }

    /// The collector could not be reached with it: the one before is in force again.
    pub fn roll_back(&mut self, why: &str) {
        self.refuse(self.revision(), why.to_owned());
        self.kept.text = self.kept.previous.take().unwrap_or_default();
        self.store();
    }

    /// The one that was rolled back was not the reason: it may be tried again.
    pub fn acquit(&mut self) {
        self.kept.refused = None;
        self.store();
    }

    fn judge(&self, named: u64, text: &str) -> Result<Config, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("{NAME} has {} bytes: expected at most {MAX_BYTES}", text.len()));
        }
        if revision(text) != named {
            return Err(format!("{NAME} is not what its revision names"));
        }
        let own = crate::config::read(&self.own_path()).map_err(|error| error.to_string())?;
        self.layered(text, &own).map_err(|error| error.to_string())
    }

    fn layered(&self, text: &str, own: &str) -> Result<Config, ConfigError> {
        let own_path = self.own_path();
        Config::layered(&[Layer { path: Path::new(NAME), text }, Layer { path: &own_path, text: own }])
    }

    fn own_path(&self) -> PathBuf {
        self.dir.join(CONFIG_FILE)
    }

    fn refuse(&mut self, revision: u64, why: String) {
        self.kept.refused = Some(Refused { revision, why: why.chars().take(MAX_REASON_CHARS).collect() });
    }

    /// A disk that does not take it costs the text at the next start, when the collector sends it again.
    fn store(&self) {
        let text = serde_json::to_string(&self.kept).expect("texts are plain");
        if let Err(error) = replace_file(&self.dir.join(FILE), text.as_bytes(), true) {
            tracing::warn!(%error, "the collector's configuration can't be kept on disk");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: &str = "interval = \"10s\"\n";
    const SLOW: &str = "interval = \"5m\"\n";

    fn seconds(remote: &mut Remote) -> u64 {
        remote.config().unwrap().interval.as_secs()
    }

    #[test]
    fn what_was_reached_with_stays_and_what_was_not_goes_and_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut remote = Remote::load(dir.path());
        assert!(matches!(remote.offer(revision(FAST), FAST), Offer::Good(_)));
        remote.take(FAST);
        remote.confirm();
        remote.take(SLOW);
        // A restart in the middle of the trial is still the trial.
        let mut remote = Remote::load(dir.path());
        assert!(remote.is_on_trial());
        assert_eq!(seconds(&mut remote), 300);
        remote.roll_back("not reached");
        let mut remote = Remote::load(dir.path());
        assert_eq!((seconds(&mut remote), remote.revision()), (10, revision(FAST)));
        let Offer::Refused(refused) = remote.offer(revision(SLOW), SLOW) else { panic!("tried again") };
        assert_eq!(refused.why, "not reached");
        let other = "interval = \"6m\"\n";
        assert!(matches!(remote.offer(revision(other), other), Offer::Good(_)), "another revision is another text");
    }

    #[test]
    fn two_new_texts_in_a_row_come_back_to_the_one_that_was_proven() {
        let dir = tempfile::tempdir().unwrap();
        let mut remote = Remote::load(dir.path());
        remote.take(FAST);
        remote.confirm();
        remote.take(SLOW);
        remote.take("interval = \"6m\"\n");
        remote.roll_back("not reached");
        assert_eq!(remote.revision(), revision(FAST));
    }

    #[test]
    fn a_bad_text_is_refused_whole_with_its_reason_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut remote = Remote::load(dir.path());
        let bad = "interval = \"10s\"\n[spool]\nmax_mib = 0\n";
        let Offer::Refused(refused) = remote.offer(revision(bad), bad) else { panic!("taken") };
        assert_eq!(refused.why, "the collector's configuration: spool.max_mib = 0: expected 1 to 4096 MiB");
        assert_eq!(seconds(&mut remote), 60);
        let Offer::Refused(refused) = remote.offer(7, FAST) else { panic!("taken") };
        assert!(refused.why.contains("not what its revision names"), "{}", refused.why);
    }

    #[test]
    fn a_text_that_an_older_version_does_not_take_is_put_aside_at_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut remote = Remote::load(dir.path());
        remote.take(FAST);
        remote.confirm();
        remote.kept.text = "a_newer_key = 1\n".to_owned();
        remote.store();
        let mut remote = Remote::load(dir.path());
        assert_eq!(seconds(&mut remote), 60);
        assert_eq!(remote.revision(), 0);
        assert!(remote.refused().unwrap().why.contains("a_newer_key"));
    }

    #[test]
    fn the_machine_s_own_file_stands_above() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), "interval = \"7s\"\n").unwrap();
        let mut remote = Remote::load(dir.path());
        remote.take("interval = \"10s\"\nping_gateway = false\ndns_servers = false\n");
        let config = remote.config().unwrap();
        assert_eq!((config.interval.as_secs(), config.ping_gateway), (7, false));
        std::fs::write(dir.path().join(CONFIG_FILE), "interval = 7\n").unwrap();
        assert!(remote.config().is_err(), "the machine's own file stops the agent at its start");
    }

    #[test]
    fn a_file_of_nonsense_is_as_if_nothing_had_been_sent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), b"\xff{").unwrap();
        assert_eq!(Remote::load(dir.path()).revision(), 0);
    }
}
