//! Renewal: a certificate of ours and proof of its key for a certificate with another key.
//!
//! It comes without a client certificate at the TLS level, so that one which ended during the summer can be renewed. What
//! lets a machine in is therefore all said in the request and looked at here: the certificate is ours and did not end
//! longer ago than the grace, its key has signed the request, it is remembered and not revoked, its device is in the
//! inventory and neither lost nor retired, and the hardware is not another machine's. A request that is replayed gets
//! nothing: its key has a certificate already.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_logic::device::LifeState;
use bellwether_logic::identity::Hardware;
use bellwether_logic::time::Timestamp;
use bellwether_proto::trust::renewal_message;
use bellwether_proto::v1::{RenewReply, RenewRequest};
use rustls::pki_types::CertificateDer;
use tonic::Status;

use super::enrol::{Pace, unavailable};
use super::identity;
use crate::ca::{self, Bearer, Ring};
use crate::clock::Clock;
use crate::figures;
use crate::state::State;
use crate::state::certificates::{Certificate, RenewalRefusal};
use crate::tls;

/// The largest certificate that is looked at; ours are below 1 KiB.
const CERTIFICATE_BYTES_MAX: usize = 8 << 10;

/// What gives machines their next certificates.
#[derive(Debug)]
pub struct Renewals {
    state: Arc<State>,
    ring: Arc<Ring>,
    clock: Clock,
    grace: Duration,
    pace: Mutex<Pace>,
}

impl Renewals {
    /// Renews against `state`, until `grace` after a certificate's end, at most so many a minute.
    #[must_use]
    pub const fn new(state: Arc<State>, ring: Arc<Ring>, clock: Clock, grace: Duration, per_minute: u32) -> Self {
        Self { state, ring, clock, grace, pace: Mutex::new(Pace::new(per_minute, "renewals_per_minute")) }
    }

    /// Answers one request; what is refused is logged with its sentence.
    ///
    /// # Errors
    /// The sentence for the machine's log.
    pub async fn renew(&self, address: Option<SocketAddr>, request: RenewRequest) -> Result<RenewReply, Status> {
        let certificate = CertificateDer::from(request.certificate.clone());
        let result = self.try_renew(&certificate, request).await;
        let (address, device) = (address.map(tracing::field::display), Bearer::of(&certificate).map(|it| it.device));
        match &result {
            Ok(_) => {
                figures::renewal("renewed");
                tracing::info!(device, address, "a certificate was renewed");
            }
            Err(status) => {
                figures::renewal("refused");
                tracing::warn!(device, address, why = status.message(), "a renewal was refused");
            }
        }
        result
    }

    async fn try_renew(
        &self,
        certificate: &CertificateDer<'static>,
        request: RenewRequest,
    ) -> Result<RenewReply, Status> {
        let now = self.clock.now();
        if !self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Err(Status::resource_exhausted("too many renewals at once: try again in a minute"));
        }
        let bearer = self.prove(certificate, &request, now)?;
        ca::check_request(&request.csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (state, ring, grant) = (Arc::clone(&self.state), self.ring.standing(), bearer.clone());
        let hardware = Hardware::from(request.hardware.unwrap_or_default());
        let given = tokio::task::spawn_blocking(move || {
            judge_device(&state, &grant.device, &hardware, now)?;
            let issued = ring
                .current
                .issue(&request.csr, &grant.device, now)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            let new = Certificate {
                serial: issued.serial,
                device: grant.device,
                issued_at: now,
                not_after: issued.not_after,
                revoked_at: None,
                ca: ring.current.fingerprint(),
                key: issued.key,
            };
            state.renew_certificate(&grant.serial, &new, now).map_err(|refusal| refused(&refusal))?;
            Ok::<_, Status>(vec![issued.certificate.to_vec(), ring.current.certificate().to_vec()])
        });
        let chain = given.await.map_err(|error| unavailable("a certificate could not be renewed", &error))??;
        Ok(RenewReply { chain })
    }

    /// Who asks, if the request proves it.
    fn prove(
        &self,
        certificate: &CertificateDer<'static>,
        request: &RenewRequest,
        now: Timestamp,
    ) -> Result<Bearer, Status> {
        let foreign =
            || Status::permission_denied("this certificate is none of this collector's: enrol this machine again");
        if certificate.len() > CERTIFICATE_BYTES_MAX || !self.ring.issued(certificate) {
            return Err(foreign());
        }
        let (bearer, (_, until)) = Bearer::of(certificate).zip(ca::validity(certificate)).ok_or_else(foreign)?;
        if !tls::is_signed_by(certificate, &renewal_message(&request.csr), &request.signature) {
            return Err(Status::permission_denied("the request is not signed by the key of the certificate"));
        }
        if now > until + self.grace {
            let days = self.grace.as_secs() / 86_400;
            return Err(Status::permission_denied(format!(
                "this device's certificate ended more than {days} days ago: enrol it again"
            )));
        }
        Ok(bearer)
    }
}

/// Whether a device may have another certificate, and this is its machine.
fn judge_device(state: &State, device: &str, hardware: &Hardware, now: Timestamp) -> Result<(), Status> {
    let failed = |error| unavailable("a device could not be looked up", &error);
    match state.device(device).map_err(failed)?.map(|row| row.state) {
        None => return Err(Status::permission_denied(super::uplink::UNKNOWN)),
        Some(LifeState::Retired | LifeState::Lost) => {
            return Err(Status::permission_denied(
                "the inventory says that this device is lost or retired: it gets no other certificate",
            ));
        }
        Some(_) => {}
    }
    identity::judge(state, device, hardware, now)
}

fn refused(refusal: &RenewalRefusal) -> Status {
    let sentence = refusal.to_string();
    match refusal {
        RenewalRefusal::Unknown | RenewalRefusal::Revoked => Status::permission_denied(sentence),
        RenewalRefusal::KeyUsed => Status::already_exists(sentence),
        RenewalRefusal::TooOften(_) => {
            figures::refused("renewals_per_day");
            Status::resource_exhausted(sentence)
        }
        RenewalRefusal::State(error) => unavailable("a certificate could not be renewed", error),
    }
}

#[cfg(test)]
mod tests;
