//! Enrolment at the first start: what an image or a package leaves behind, used when the agent runs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bellwether_logic::backoff::Backoff;
use bellwether_logic::device::Class;
use bellwether_proto::token::{BadToken, EnrolToken};
use serde::Deserialize;
use tokio_stream::{Stream, StreamExt};

use super::{EnrolError, Enrolment, check_address, enrol};
use crate::run::{Complaints, Settings, whole_chain};
use crate::state::{self, StateDir, StateError};
use crate::system_events::SystemEvent;

/// The file's name in the state folder. It holds a token: readable by its owner alone, and removed once it was used.
pub const LATER_FILE: &str = "enrol.toml";

/// What the first start enrols with.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// `HOST:PORT` of the collector.
    pub collector: String,
    /// The token's text.
    pub token: String,
    /// What the machine is called; an image leaves it to the collector.
    pub name: Option<String>,
    /// What the machine is for; its case tells if nobody says.
    pub class: Option<Class>,
}

/// Without the token, which must not end up in a log.
impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Later").field("collector", &self.collector).finish_non_exhaustive()
    }
}

/// Why `enrol.toml` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LaterError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not understood. Its lines are not shown, since one of them is a secret.
    #[error("{} is not understood: expected collector and token, and perhaps name and class", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
    },
    /// The token is no token.
    #[error("can't use the token")]
    Token(#[from] BadToken),
    /// The address is none.
    #[error("{0}: expected HOST:PORT")]
    Address(String),
}

impl Later {
    /// Leaves it in a state folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it makes no sense, the folder can't be written, is enrolled, or an agent runs on it.
    pub fn leave(&self, folder: &Path) -> Result<(), LaterError> {
        let _: EnrolToken = self.token.parse()?;
        check_address(&self.collector).map_err(|_| LaterError::Address(self.collector.clone()))?;
        let state = StateDir::take(folder, true)?;
        match state.identity() {
            Err(StateError::NotEnrolled { .. }) => {}
            Ok(identity) => {
                let (path, device_id) = (folder.to_owned(), identity.device_id);
                return Err(StateError::AlreadyEnrolled { path, device_id }.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(state.replace(LATER_FILE, self.text().as_bytes())?)
    }

    /// As TOML; a string of JSON is one of TOML, too.
    fn text(&self) -> String {
        let class = self.class.map(Class::as_str);
        let words = [
            ("collector", Some(self.collector.as_str())),
            ("token", Some(&self.token)),
            ("name", self.name.as_deref()),
            ("class", class),
        ];
        let line =
            |(key, word): (&str, Option<&str>)| word.map(|word| format!("{key} = {}\n", serde_json::json!(word)));
        words.into_iter().filter_map(line).collect()
    }

    fn read(folder: &Path) -> Result<Option<Self>, LaterError> {
        let path = folder.join(LATER_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|_| LaterError::Parse { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LaterError::Read { path, source }),
        }
    }
}

/// Enrols a folder that was left to be enrolled, however long it takes; returns at once where there is nothing to do.
/// False: the system said stop before it was enrolled.
///
/// # Errors
/// When the file or the folder can't be used. What collector and network say is no error: it is logged, and tried again.
pub(crate) async fn later(
    settings: &Settings,
    mut events: Pin<&mut (impl Stream<Item = SystemEvent> + Send)>,
) -> Result<bool, LaterError> {
    let folder = &settings.state_dir;
    let is_enrolled = !matches!(state::read_identity(folder), Err(StateError::NotEnrolled { .. }));
    // A file beside an identity is what a power cut left between the two last steps.
    let waits =
        if is_enrolled { folder.join(LATER_FILE).exists().then_some(None) } else { Later::read(folder)?.map(Some) };
    let Some(later) = waits else { return Ok(true) };
    if let Some(later) = later {
        let Later { collector, token, name, class } = later;
        let (state_dir, hardware) = (folder.clone(), settings.hardware.clone());
        let enrolment = Enrolment { state_dir, collector, token, name, class, again: false, hardware };
        tokio::select! {
            biased;
            () = stop(events.as_mut()) => return Ok(false),
            enrolled = persist(&enrolment) => enrolled?,
        }
    }
    StateDir::take(folder, false)?.remove(LATER_FILE)?;
    Ok(true)
}

/// Resolves when the system says stop. A machine that goes to sleep before it is enrolled has nobody to say goodbye to.
async fn stop(mut events: Pin<&mut (impl Stream<Item = SystemEvent> + Send)>) {
    while let Some(event) = events.next().await {
        if matches!(event, SystemEvent::Stop(_)) {
            return;
        }
    }
    std::future::pending().await
}

async fn persist(enrolment: &Enrolment) -> Result<(), LaterError> {
    let (mut backoff, mut complaints) = (Backoff::new(), Complaints::default());
    tracing::info!(collector = enrolment.collector, "this machine is not enrolled yet: enrolling it");
    loop {
        match enrol(enrolment).await {
            Ok(enrolled) => {
                tracing::info!(device = enrolled.device_id, "this machine is enrolled");
                return Ok(());
            }
            Err(EnrolError::State(error)) => return Err(error.into()),
            Err(error) => {
                let text = whole_chain(&error);
                if complaints.is_new(&text) {
                    tracing::warn!(error = text, "not enrolled; trying again");
                }
            }
        }
        tokio::time::sleep(backoff.next_wait(rand::random())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later_than_now() -> Later {
        let token = EnrolToken { secret: [7; 16], ca_sha256: [9; 32] }.to_string();
        Later {
            collector: "collector.example.org:7443".into(),
            token,
            name: Some("Ünit \"7\"".into()),
            class: Some(Class::Laptop),
        }
    }

    #[test]
    fn what_is_left_is_found_and_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("agent");
        later_than_now().leave(&folder).unwrap();
        assert_eq!(Later::read(&folder).unwrap(), Some(later_than_now()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.join(LATER_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!format!("{:?}", later_than_now()).contains("bw1"));
    }

    #[test]
    fn a_file_that_is_not_understood_is_an_error_that_shows_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LATER_FILE), "collector = \"h:1\"\ntoken = \"bw1.secret\"\nroom = 1\n").unwrap();
        let error = Later::read(dir.path()).unwrap_err();
        assert!(matches!(error, LaterError::Parse { .. }));
        assert!(!whole_chain(&error).contains("secret"));
        let cut = Later { token: "bw1.x".into(), ..later_than_now() };
        assert!(matches!(cut.leave(dir.path()), Err(LaterError::Token(_))));
    }
}
