//! Enrolment: a token and a certificate request for a certificate and a device id.
//!
//! Everything about a request is looked at before a use of its token is spent, and a use is given back when what comes
//! after fails: a machine with a wrong clock can simply try again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, Record, record};
use bellwether_proto::token::EnrolToken;
use bellwether_proto::v1::{DeviceClass, EnrolReply, EnrolRequest, HardwareIdentity};
use tonic::Status;

use crate::accept::shown;
use crate::app::{Clicks, SubmitError};
use crate::ca::{Authority, Issued};
use crate::clock::Clock;
use crate::figures;
use crate::state::State;
use crate::state::certificates::Certificate;
use crate::state::secret::SecretHash;
use crate::state::tokens::{Grant, TokenRefusal};

/// How far a machine's clock may be off when it enrols. Its certificate and its first readings depend on it.
pub const MAX_ENROL_SKEW: Duration = Duration::from_secs(300);

/// The longest name, serial number and the like; whatever is longer is cut.
const WORD_CHARS_MAX: usize = 64;

/// What makes devices of strangers' requests.
#[derive(Debug)]
pub struct Enrolment {
    state: Arc<State>,
    authority: Arc<Authority>,
    clicks: Clicks,
    clock: Clock,
    pace: Mutex<Pace>,
}

impl Enrolment {
    /// Enrols against `state`, at most so many a minute.
    #[must_use]
    pub const fn new(
        state: Arc<State>,
        authority: Arc<Authority>,
        clicks: Clicks,
        clock: Clock,
        per_minute: u32,
    ) -> Self {
        let pace = Mutex::new(Pace { per_minute, minute: 0, count: 0 });
        Self { state, authority, clicks, clock, pace }
    }

    /// Answers one request; what is refused is logged with its sentence.
    ///
    /// # Errors
    /// The sentence for the machine's log.
    pub async fn enrol(&self, address: Option<SocketAddr>, request: EnrolRequest) -> Result<EnrolReply, Status> {
        let result = self.try_enrol(request).await;
        let address = address.map(shown);
        match &result {
            Ok(reply) => {
                figures::enrolment("enrolled");
                tracing::info!(device = reply.device_id, address, "a machine was enrolled");
            }
            Err(status) => {
                figures::enrolment("refused");
                tracing::warn!(address, why = status.message(), "an enrolment was refused");
            }
        }
        result
    }

    async fn try_enrol(&self, request: EnrolRequest) -> Result<EnrolReply, Status> {
        let now = self.clock.now();
        let in_pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        if !in_pace {
            return Err(Status::resource_exhausted("too many enrolments at once: try again in a minute"));
        }
        let token: EnrolToken = request.token.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
        if token.ca_sha256 != self.authority.sha256() {
            return Err(Status::invalid_argument("this token belongs to another collector"));
        }
        if let Some(sentence) = clock_refusal(Timestamp(request.now_unix_ms), now) {
            return Err(Status::failed_precondition(sentence));
        }
        let device = new_device_id();
        let issued = self
            .authority
            .issue(&request.csr, &device, now)
            .map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let grant = self.spend(token, now).await?;
        let token_id = grant.token;
        let changed = describe(&device, &request, grant);
        if let Err(status) = self.settle(&device, &issued, changed, now).await {
            self.give_back(token_id).await;
            return Err(status);
        }
        let chain = vec![issued.certificate.to_vec(), self.authority.certificate().to_vec()];
        Ok(EnrolReply { chain, device_id: device })
    }

    /// Spends a use of the token.
    async fn spend(&self, token: EnrolToken, now: Timestamp) -> Result<Grant, Status> {
        let state = Arc::clone(&self.state);
        let hash = SecretHash::of_bytes(&token.secret);
        let spent = tokio::task::spawn_blocking(move || state.consume_enrol_token(hash, now)).await;
        match spent {
            Ok(Ok(grant)) => Ok(grant),
            Ok(Err(TokenRefusal::State(error))) => Err(unavailable("a token could not be looked up", &error)),
            Ok(Err(refusal)) => Err(Status::unauthenticated(refusal.to_string())),
            Err(error) => Err(unavailable("a token could not be looked up", &error)),
        }
    }

    /// Writes the certificate down, and the device into the inventory.
    async fn settle(
        &self,
        device: &str,
        issued: &Issued,
        changed: DeviceChanged,
        now: Timestamp,
    ) -> Result<(), Status> {
        let certificate = Certificate {
            serial: issued.serial.clone(),
            device: device.to_owned(),
            issued_at: now,
            not_after: issued.not_after,
            revoked_at: None,
        };
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || state.add_certificate(&certificate))
            .await
            .map_err(|error| unavailable("a certificate could not be kept", &error))?
            .map_err(|error| unavailable("a certificate could not be kept", &error))?;
        match self.clicks.submit(Record { body: Some(record::Body::Device(changed)) }).await {
            // Stored for good: the inventory will show it, only later.
            Ok(()) | Err(SubmitError::Slow) => Ok(()),
            Err(error) => Err(unavailable("a device could not be kept", &error)),
        }
    }

    async fn give_back(&self, token: i64) {
        let state = Arc::clone(&self.state);
        let returned = tokio::task::spawn_blocking(move || state.return_enrol_use(token)).await;
        if !matches!(returned, Ok(Ok(()))) {
            tracing::error!(token, "a use of a token could not be given back");
        }
    }
}

/// The machine is told to try again; the reason is for this side's log.
fn unavailable(what: &'static str, error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "{what}");
    Status::unavailable("the collector can't store this just now: try again later")
}

/// Says so if the clock is too far off.
fn clock_refusal(machine: Timestamp, collector: Timestamp) -> Option<String> {
    let (off, direction) =
        if machine > collector { (machine.since(collector), "ahead of") } else { (collector.since(machine), "behind") };
    (off > MAX_ENROL_SKEW).then(|| {
        format!("this machine's clock is {} {direction} the collector's: set it and enrol again", in_words(off))
    })
}

/// A difference in the unit in which a person would say it.
fn in_words(span: Duration) -> String {
    // To the nearest: the answer takes a moment, and "364 days" would be a riddle.
    let minutes = (span.as_secs() + 30) / 60;
    let (count, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// What the inventory begins with.
fn describe(device: &str, request: &EnrolRequest, grant: Grant) -> DeviceChanged {
    let none = HardwareIdentity::default();
    let hardware = request.hardware.as_ref().unwrap_or(&none);
    let name = word(&request.name);
    let said = DeviceClass::try_from(request.class).unwrap_or(DeviceClass::Unspecified);
    DeviceChanged {
        device_id: device.to_owned(),
        name: if name.is_empty() { device.to_owned() } else { name },
        kind: "agent".into(),
        class: grant.class.unwrap_or(Class::from(said)).as_str().into(),
        site: grant.site,
        room: grant.room,
        state: LifeState::InUse.as_str().into(),
        vendor: word(&hardware.system_vendor),
        model: word(&hardware.system_model),
        serial: word(&hardware.system_serial),
        actor: "enrolment".into(),
    }
}

/// A word as a machine says it, without what would upset a page or a tag.
fn word(text: &str) -> String {
    let clean = text.chars().filter(|letter| !letter.is_control()).take(WORD_CHARS_MAX);
    clean.collect::<String>().trim().to_owned()
}

/// `d` and nine random characters that nobody confuses when reading them aloud.
fn new_device_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes: [u8; 9] = rand::random();
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
    std::iter::once('d').chain(letters).collect()
}

/// A bound on enrolments in each minute of the clock: each costs two signatures and two transactions.
#[derive(Debug)]
struct Pace {
    per_minute: u32,
    minute: i64,
    count: u32,
}

impl Pace {
    fn take(&mut self, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000);
        if minute != self.minute {
            (self.minute, self.count) = (minute, 0);
        }
        let free = self.count < self.per_minute;
        if free {
            self.count += 1;
        } else {
            figures::refused("enrolments_per_minute");
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn a_clock_a_year_off_is_refused_in_a_sentence() {
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(
            clock_refusal(NOW + year, NOW).unwrap(),
            "this machine's clock is 365 days ahead of the collector's: set it and enrol again"
        );
        assert_eq!(
            clock_refusal(NOW - Duration::from_secs(7_200), NOW).unwrap(),
            "this machine's clock is 2 hours behind the collector's: set it and enrol again"
        );
        assert_eq!(clock_refusal(NOW + MAX_ENROL_SKEW, NOW), None);
    }

    #[test]
    fn names_are_cleaned_and_cut() {
        assert_eq!(word(" LHS\n-214 "), "LHS-214");
        assert_eq!(word(&"x".repeat(200)).len(), WORD_CHARS_MAX);
    }

    #[test]
    fn device_ids_are_ten_letters_that_begin_with_d() {
        let id = new_device_id();
        assert_eq!(id.len(), 10);
        assert!(id.starts_with('d') && !id.contains(['i', 'l', 'o', 'u']));
    }

    #[test]
    fn enrolments_are_bounded_by_the_minute() {
        let mut pace = Pace { per_minute: 2, minute: 0, count: 0 };
        assert!(pace.take(NOW) && pace.take(NOW) && !pace.take(NOW));
        assert!(pace.take(NOW + Duration::from_secs(60)));
    }
}
