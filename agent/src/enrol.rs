//! Enrolment: a token is exchanged for a certificate, once; the private key never leaves the machine.

use std::path::PathBuf;

use bellwether_logic::device::Class;

use crate::state::StateError;

/// What an admin says when a machine is enrolled.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Where the agent keeps its state; made if it is not there.
    pub state_dir: PathBuf,
    /// `HOST:PORT` of the collector.
    pub collector: String,
    /// The token's text, as `token enrol` prints it.
    pub token: String,
    /// What the machine is called (an asset tag); the device id if nobody says.
    pub name: Option<String>,
    /// What the machine is for; the chassis tells if nobody says.
    pub class: Option<Class>,
    /// Whether a folder that is already enrolled may be enrolled again.
    pub again: bool,
}

/// What enrolment gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The collector's word for this machine.
    pub device_id: String,
}

/// Why a machine was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The state folder.
    #[error("can't use the state folder")]
    State(#[from] StateError),
}

/// Enrols this machine and leaves an enrolled state folder.
///
/// # Errors
/// The step that failed; the folder is left as it was.
pub async fn enrol(enrolment: &Enrolment) -> Result<Enrolled, EnrolError> {
    tracing::debug!(collector = enrolment.collector, "enrolling");
    std::future::ready(Err(EnrolError::State(StateError::NotEnrolled { path: enrolment.state_dir.clone() }))).await
}
