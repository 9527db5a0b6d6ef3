//! What the running agent proves itself with and whom it believes, and the task that renews the former.

use std::sync::Arc;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::v1::{Contacts, HardwareIdentity};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::contacts::{self, BadContacts, Checked};
use super::timers::Timer;
use super::{Agent, RunError, whole_chain};
use crate::renewal::{self, RenewError, Renewal};
use crate::state::{Credentials, Identity, StateDir};
use crate::tls::{self, ClientIdentity, Proof, Validity};

/// Keys and certificates of the running agent.
pub(super) struct Renewer {
    state: Arc<StateDir>,
    hardware: HardwareIdentity,
    proof: Arc<ClientIdentity>,
    /// Named by the collector since enrolment.
    trusted: Vec<CertificateDer<'static>>,
    /// By which the present stream was verified.
    verified_by: Option<CertificateDer<'static>>,
    decision: Renewal,
    task: Option<JoinHandle<()>>,
    done: mpsc::Sender<Result<Credentials, RenewError>>,
    pub(super) outcomes: mpsc::Receiver<Result<Credentials, RenewError>>,
    attempts: usize,
}

impl Renewer {
    pub(super) fn start(state: &Arc<StateDir>, hardware: HardwareIdentity, boot: Duration) -> Result<Self, RunError> {
        if let Err(error) = state.migrate() {
            // A disk that turned read-only: the agent goes on with what there is.
            tracing::warn!(error = whole_chain(&error), "the state folder could not be brought to this version's form");
        }
        let proof = Arc::new(ClientIdentity::new(&state.credentials()?)?);
        let (done, outcomes) = mpsc::channel(1);
        let trusted = state.trusted();
        let mut decision = Renewal::new(validity_of(&proof), rand::random());
        if let Some(issuing) = trusted.first() {
            decision.handle_issuer(*issuing == proof.ca(), boot);
        }
        Ok(Self {
            hardware,
            decision,
            proof,
            trusted,
            verified_by: None,
            task: None,
            done,
            outcomes,
            attempts: 0,
            state: Arc::clone(state),
        })
    }

    /// What the next stream is opened with.
    pub(super) fn proof(&self) -> Proof {
        Proof { identity: Arc::clone(&self.proof), roots: self.roots() }
    }

    /// The CAs that the next connection believes: what the collector has named, and the issuer of the certificate.
    fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.proof.roots(&self.trusted)
    }

    /// The hashes of these, for the hello.
    pub(super) fn trusted_cas(&self) -> Vec<Vec<u8>> {
        self.roots().iter().map(|ca| Sha256::digest(ca).to_vec()).collect()
    }

    pub(super) const fn hardware(&self) -> &HardwareIdentity {
        &self.hardware
    }

    pub(super) fn handle_verified(&mut self, ca: CertificateDer<'static>) {
        self.verified_by = Some(ca);
    }

    pub(super) fn handle_welcome(&mut self, collector: Timestamp, boot: Duration) {
        self.decision.handle_welcome(collector, boot);
    }

    /// The collector does not take the certificate any more.
    pub(super) const fn handle_expired(&mut self) {
        self.decision.handle_expired();
    }

    /// The collector, called at `called`, names CAs and endpoints; what this stream stands on is kept. Returns the endpoints
    /// if they changed.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub(super) fn handle_contacts(
        &mut self,
        contacts: &Contacts,
        identity: &Identity,
        called: &str,
        boot: Duration,
    ) -> Result<Option<Vec<String>>, BadContacts> {
        let Checked { cas, mut endpoints } = contacts::check(contacts)?;
        self.believe(cas, boot);
        if endpoints.is_empty() {
            return Ok(None);
        }
        // The way that works now comes last: a wrong word must not strand the machine.
        if !endpoints.iter().any(|named| named == called) {
            endpoints.push(called.to_owned());
        }
        if endpoints == identity.endpoints {
            return Ok(None);
        }
        let changed = Identity { endpoints: endpoints.clone(), ..identity.clone() };
        self.keep("endpoints", self.state.rename_to(&changed));
        tracing::info!(endpoints = endpoints.join(" "), "the collector has said where to call from now on");
        Ok(Some(endpoints))
    }

    fn believe(&mut self, mut cas: Vec<CertificateDer<'static>>, boot: Duration) {
        let Some(first) = cas.first() else { return };
        self.decision.handle_issuer(*first == self.proof.ca(), boot);
        if let Some(verified_by) = self.verified_by.clone().filter(|ca| !cas.contains(ca)) {
            cas.push(verified_by);
        }
        if cas != self.trusted {
            self.keep("authorities", self.state.trust(&cas));
            tracing::info!(count = cas.len(), "the collector has named its certificate authorities");
            self.trusted = cas;
        }
    }

    fn keep(&self, what: &'static str, result: Result<(), crate::state::StateError>) {
        if let Err(error) = result {
            tracing::warn!(what, error = whole_chain(&error), "what the collector said could not be kept");
        }
    }

    /// How long until another certificate is to be asked for; none while there is nothing to ask or one is asked for.
    pub(super) fn wait(&self, boot: Duration) -> Option<Duration> {
        if self.task.is_some() { None } else { self.decision.wait(boot) }
    }

    /// Asks for another certificate, in a task of its own.
    pub(super) fn begin(&mut self, endpoints: &[String]) {
        let endpoint = endpoints.get(self.attempts % endpoints.len().max(1));
        let (Some(endpoint), None) = (endpoint.cloned(), &self.task) else { return };
        let credentials = self.state.credentials();
        let (certificate, roots, hardware) = (self.proof.chain[0].clone(), self.roots(), self.hardware.clone());
        let done = self.done.clone();
        self.task = Some(tokio::spawn(async move {
            let outcome = match credentials {
                Ok(credentials) => renewal::renew(&endpoint, &credentials, &certificate, roots, hardware).await,
                Err(_) => Err(RenewError::Reply("the old key can't be read")),
            };
            // The loop is gone: so is the need.
            let _ = done.send(outcome).await;
        }));
    }

    /// Takes what came of it.
    ///
    /// # Errors
    /// Why the certificate is still the old one.
    pub(super) fn handle_outcome(
        &mut self,
        outcome: Result<Credentials, RenewError>,
        boot: Duration,
    ) -> Result<(), String> {
        self.task = None;
        let renewed = outcome.map_err(|error| whole_chain(&error)).and_then(|credentials| {
            let proof = ClientIdentity::new(&credentials).map_err(|error| whole_chain(&error))?;
            // What is not on the disk is not used: a restart would fall back to the old one without anybody knowing.
            self.state.renew(&credentials).map_err(|error| whole_chain(&error))?;
            Ok(proof)
        });
        match renewed {
            Ok(proof) => {
                self.attempts = 0;
                self.proof = Arc::new(proof);
                self.decision.handle_renewed(validity_of(&self.proof));
                tracing::info!("this agent's certificate was renewed");
                Ok(())
            }
            Err(why) => {
                self.attempts += 1;
                self.decision.handle_failed(boot);
                Err(why)
            }
        }
    }
}

/// What the loop does about it.
impl Agent {
    /// Sets the timer to what the renewer says now.
    pub(super) fn plan_renewal(&mut self) {
        match self.renewer.wait(self.hands.clock.now().boot) {
            Some(wait) => self.timers.set(Timer::Renew, wait),
            None => self.timers.clear(Timer::Renew),
        }
    }

    pub(super) fn begin_renewal(&mut self) {
        if self.renewer.wait(self.hands.clock.now().boot).is_some_and(|wait| wait.is_zero()) {
            self.renewer.begin(&self.identity.endpoints);
        }
        self.plan_renewal();
    }

    pub(super) fn handle_renewed(&mut self, outcome: Result<Credentials, RenewError>) {
        match self.renewer.handle_outcome(outcome, self.hands.clock.now().boot) {
            // A stream that is up goes on; one that was refused for its certificate is tried again.
            Ok(()) if self.link.is_none() => {
                self.timers.clear(Timer::Call);
                self.call();
            }
            Ok(()) => {}
            Err(why) => {
                if self.complaints.is_new(&why) {
                    tracing::warn!(error = why, "this agent's certificate could not be renewed; trying again");
                }
            }
        }
        self.plan_renewal();
    }

    pub(super) fn handle_contacts(&mut self, contacts: &Contacts) {
        let boot = self.hands.clock.now().boot;
        match self.renewer.handle_contacts(contacts, &self.identity, &self.called, boot) {
            Ok(Some(endpoints)) => self.identity.endpoints = endpoints,
            Ok(None) => {}
            Err(bad) => {
                let why = bad.to_string();
                if self.complaints.is_new(&why) {
                    tracing::warn!(why, "what the collector says of its addresses and authorities is not believed");
                }
            }
        }
        self.plan_renewal();
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A certificate that can't be read is never due by itself: the collector will say what it thinks of it.
fn validity_of(proof: &ClientIdentity) -> Validity {
    let never = Validity { from: Timestamp(0), until: Timestamp(i64::MAX / 4) };
    tls::validity(&[&proof.chain[0]]).unwrap_or(never)
}
