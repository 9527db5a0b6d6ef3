//! Where the collector's parts meet: what pages, API and streams share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_proto::record::v1::Record;
use bellwether_proto::token::EnrolToken;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch};

use crate::agents::Shared;
use crate::ca::Ring;
use crate::clock::Clock;
use crate::config::Config;
use crate::health::Health;
use crate::rules::Loaded;
use crate::state::State;

/// What every request handler is given, behind an `Arc`.
#[derive(Debug)]
pub struct App {
    /// People, secrets, devices, tickets, cursors.
    pub state: Arc<State>,
    /// Where people's acts go.
    pub clicks: Clicks,
    /// The configuration in force.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// How machines are connected.
    pub connect: Connect,
    /// What is wrong with the collector itself just now.
    pub health: Arc<Health>,
    /// What agents are told to do.
    pub agents: watch::Receiver<Shared>,
    /// The rules in force.
    pub rules: Arc<Loaded>,
}

/// How long a click waits until its effect can be seen. Longer means that the engine is stuck, which the page then says.
pub const CLICK_WAIT: Duration = Duration::from_secs(5);

/// Clicks that may be under way at once; more are refused, since nobody clicks that fast.
pub const CLICKS_MAX: usize = 256;

/// People's acts and enrolments, on their way into the journal.
///
/// Facts about devices and tickets change by journal records only, so that a replay comes to the same inventory and
/// the same tickets. A submitted record has been applied, and committed to `state.sqlite`, when `submit` returns.
#[derive(Clone)]
pub struct Clicks {
    sender: mpsc::Sender<Click>,
    editing: Arc<Mutex<()>>,
}

/// One submitted record and who waits for it.
#[derive(Debug)]
pub struct Click {
    /// What to append.
    pub record: Record,
    /// Told once the record is applied, or why it was not.
    pub done: oneshot::Sender<Result<(), SubmitError>>,
}

/// Why a click had no effect, or none that could be seen yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many at once.
    #[error("too many changes at once: try again in a moment")]
    Busy,
    /// The journal did not take it.
    #[error("the change could not be stored: {0}")]
    Journal(String),
    /// It was understood and does not make sense: the ticket is closed already, and the like.
    #[error("{0}")]
    Refused(String),
    /// It is stored, but the engine has not come to it.
    #[error("the change is stored but takes longer than usual to show")]
    Slow,
    /// The collector is stopping.
    #[error("the collector is stopping")]
    Stopping,
}

impl Clicks {
    /// The sending half, for pages and enrolment, and the half that feeds the journal.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Click>) {
        let (sender, receiver) = mpsc::channel(CLICKS_MAX);
        (Self { sender, editing: Arc::default() }, receiver)
    }

    /// Waits until nobody else changes watched devices: for whoever reads one, changes a part and submits the whole.
    pub async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.editing).lock_owned().await
    }

    /// Appends a record to the journal and waits, at most [`CLICK_WAIT`], until its effects are committed.
    ///
    /// # Errors
    /// When the record was refused, or its effects could not be awaited.
    pub async fn submit(&self, record: Record) -> Result<(), SubmitError> {
        let (done, told) = oneshot::channel();
        self.sender.try_send(Click { record, done }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopping,
        })?;
        match tokio::time::timeout(CLICK_WAIT, told).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SubmitError::Stopping),
            Err(_) => Err(SubmitError::Slow),
        }
    }
}

impl fmt::Debug for Clicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clicks")
    }
}

/// What it takes to connect a machine: where agents call, and which CA they must find there.
#[derive(Clone, Debug)]
pub struct Connect {
    /// `host:port` for agents.
    pub endpoint: String,
    /// Whether other machines can reach it at all; until `setup` has run they cannot.
    pub this_machine_only: bool,
    /// The CA; its hash is the last part of every token.
    pub pin: Pin,
}

/// Which CA a token pins: the one that issues certificates when the token is made.
#[derive(Clone, Debug)]
pub enum Pin {
    /// This one, by the SHA-256 of its certificate.
    Fixed([u8; 32]),
    /// The one that issues now.
    Ring(Arc<Ring>),
}

impl Pin {
    /// SHA-256 of the CA certificate, DER.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Fixed(sha256) => *sha256,
            Self::Ring(ring) => ring.standing().current.sha256(),
        }
    }
}

impl Connect {
    /// The token as people paste it, from the secret that only now is known.
    #[must_use]
    pub fn token(&self, secret: [u8; 16]) -> EnrolToken {
        EnrolToken { secret, ca_sha256: self.pin.sha256() }
    }

    /// The whole commands that connect a machine, one of which is pasted on it.
    #[must_use]
    pub fn commands(&self, secret: [u8; 16]) -> Commands {
        let (endpoint, token, version) = (&self.endpoint, self.token(secret), env!("CARGO_PKG_VERSION"));
        let enrol = format!("bellwether-agent enrol --collector {endpoint} --token {token}");
        let package = "/var/lib/bellwether-agent";
        let here = "./bellwether-agent";
        Commands {
            linux: format!("sudo {enrol} --state {package} && sudo systemctl start bellwether-agent"),
            windows: format!("msiexec /i bellwether-agent-{version}-x64.msi /qn COLLECTOR={endpoint} TOKEN={token}"),
            by_hand: format!("{enrol} --state {here} && bellwether-agent run --state {here}"),
        }
    }
}

/// Ways to connect a machine, by how the agent came on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// By the package for Debian and its kin, or the one for Red Hat's.
    pub linux: String,
    /// By the package for Windows.
    pub windows: String,
    /// The program alone, in a folder that nothing else is in.
    pub by_hand: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_click_returns_when_it_was_applied() {
        let (clicks, mut queue) = Clicks::channel();
        let (result, ()) = tokio::join!(clicks.submit(Record::default()), async {
            let click = queue.recv().await.unwrap();
            click.done.send(Ok(())).unwrap();
        });
        assert_eq!(result, Ok(()));
    }

    #[tokio::test]
    async fn a_click_at_a_stopped_collector_says_so() {
        let (clicks, queue) = Clicks::channel();
        drop(queue);
        assert_eq!(clicks.submit(Record::default()).await, Err(SubmitError::Stopping));
    }

    #[test]
    fn the_token_ends_in_the_hash_of_the_ca() {
        let connect =
            Connect { endpoint: "bw.example:7443".into(), this_machine_only: false, pin: Pin::Fixed([0; 32]) };
        let Commands { linux, windows, by_hand } = connect.commands([7; 16]);
        for command in [&linux, &by_hand] {
            assert!(command.contains(&format!(".{} ", "A".repeat(43))), "{command}");
            assert!(command.contains("--collector bw.example:7443 "), "{command}");
        }
        assert!(linux.contains("--state /var/lib/bellwether-agent "), "{linux}");
        assert!(windows.contains("COLLECTOR=bw.example:7443 TOKEN=bw1."), "{windows}");
    }
}
