//! Enrolment: a token and a certificate request for a certificate and a device id.
//!
//! Everything about a request is looked at before a use of its token is spent, and a use is given back when what comes
//! after fails: a machine with a wrong clock can simply try again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::identity::Hardware;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{DeviceChanged, Record, record};
use bellwether_proto::token::EnrolToken;
use bellwether_proto::v1::{DeviceClass, EnrolReply, EnrolRequest, HardwareIdentity};
use tonic::Status;

use super::identity::{self, Newcomer};
use super::registry::Registry;
use crate::accept::shown;
use crate::app::{Clicks, SubmitError};
use crate::ca::{self, Issued, Ring};
use crate::clock::Clock;
use crate::figures;
use crate::state::State;
use crate::state::certificates::Certificate;
use crate::state::devices::DeviceRow;
use crate::state::machines::{Machine, NoteKind};
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
    ring: Arc<Ring>,
    registry: Arc<Registry>,
    clicks: Clicks,
    clock: Clock,
    pace: Mutex<Pace>,
}

impl Enrolment {
    /// Enrols against `state`, at most so many a minute.
    #[must_use]
    pub const fn new(
        state: Arc<State>,
        ring: Arc<Ring>,
        registry: Arc<Registry>,
        clicks: Clicks,
        clock: Clock,
        per_minute: u32,
    ) -> Self {
        let pace = Mutex::new(Pace::new(per_minute, "enrolments_per_minute"));
        Self { state, ring, registry, clicks, clock, pace }
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
        if let Some(sentence) = self.ring.standing().token_refusal(&token.ca_sha256) {
            return Err(Status::invalid_argument(sentence));
        }
        if let Some(sentence) = clock_refusal(Timestamp(request.now_unix_ms), now) {
            return Err(Status::failed_precondition(sentence));
        }
        ca::check_request(&request.csr).map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let hash = SecretHash::of_bytes(&token.secret);
        let grant = self.look_up(hash, now).await?;
        let hardware = Hardware::from(request.hardware.clone().unwrap_or_default());
        let newcomer = self.recognise(hardware.clone(), grant.clone()).await?;
        // One that comes back by the token that it came by takes no other use: its reply was lost, or it is frozen to a
        // state in which it was never enrolled.
        let is_free = matches!(newcomer, Newcomer::Known { comes_again: true, .. });
        if !is_free {
            self.spend(hash, now).await?;
        }
        let token_id = grant.token;
        let enrolled = self.enrol_as(&request, hardware, newcomer, grant, now).await;
        if enrolled.is_err() && !is_free {
            self.give_back(token_id).await;
        }
        enrolled
    }

    /// Gives the machine its certificate.
    async fn enrol_as(
        &self,
        request: &EnrolRequest,
        hardware: Hardware,
        newcomer: Newcomer,
        grant: Grant,
        now: Timestamp,
    ) -> Result<EnrolReply, Status> {
        let token = grant.token;
        let changed = match &newcomer {
            Newcomer::Known { device, .. } => describe_again(device, request),
            Newcomer::New | Newcomer::Perhaps(..) => describe(&new_device_id(), request, grant),
        };
        let device = changed.device_id.clone();
        let ring = self.ring.standing();
        let issued = ring
            .current
            .issue(&request.csr, &device, now)
            .map_err(|error| Status::invalid_argument(format!("{error}")))?;
        self.settle(&device, &issued, changed, now).await?;
        self.remember(Machine { device: device.clone(), hardware, cas: Vec::new(), token: Some(token) }, newcomer, now)
            .await;
        let chain = vec![issued.certificate.to_vec(), ring.current.certificate().to_vec()];
        Ok(EnrolReply { chain, device_id: device })
    }

    async fn recognise(&self, hardware: Hardware, grant: Grant) -> Result<Newcomer, Status> {
        let (state, registry) = (Arc::clone(&self.state), Arc::clone(&self.registry));
        let known = move || identity::recognise(&state, &hardware, &grant, |device| registry.is_connected(device));
        tokio::task::spawn_blocking(known)
            .await
            .map_err(|error| unavailable("a machine could not be looked up", &error))?
            .map_err(|error| unavailable("a machine could not be looked up", &error))
    }

    /// Keeps what the machine is known by, and what was noticed. The machine is enrolled whether that works or not.
    async fn remember(&self, machine: Machine, newcomer: Newcomer, now: Timestamp) {
        let state = Arc::clone(&self.state);
        let kept = tokio::task::spawn_blocking(move || {
            state.put_machine(&machine, now)?;
            match newcomer {
                Newcomer::New => Ok(()),
                Newcomer::Perhaps(detail) => state.note(&machine.device, NoteKind::Perhaps, &detail, now),
                Newcomer::Known { reasons, .. } => {
                    let detail = format!("connected anew, and known by: {reasons}");
                    state.note(&machine.device, NoteKind::Returned, &detail, now)
                }
            }
        });
        if !matches!(kept.await, Ok(Ok(()))) {
            tracing::error!("what a machine is known by could not be kept");
        }
    }

    /// Spends a use of the token.
    async fn spend(&self, hash: SecretHash, now: Timestamp) -> Result<Grant, Status> {
        self.ask_for_grant(move |state| state.consume_enrol_token(hash, now)).await
    }

    /// What a token grants, whether a use is left or not; none is spent.
    async fn look_up(&self, hash: SecretHash, now: Timestamp) -> Result<Grant, Status> {
        self.ask_for_grant(move |state| state.enrol_token(hash, now)).await
    }

    async fn ask_for_grant(
        &self,
        ask: impl FnOnce(&State) -> Result<Grant, TokenRefusal> + Send + 'static,
    ) -> Result<Grant, Status> {
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || ask(&state)).await {
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
            ca: self.ring.standing().current.fingerprint(),
            key: issued.key.clone(),
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
pub(super) fn unavailable(what: &'static str, error: &dyn std::error::Error) -> Status {
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
        mac: String::new(),
        watch: None,
    }
}

/// What the inventory says of a device that came back: what people wrote into it stays. Who holds a token has the device
/// in hand, so it is neither lost nor retired.
fn describe_again(device: &DeviceRow, request: &EnrolRequest) -> DeviceChanged {
    let hardware = request.hardware.clone().unwrap_or_default();
    let said = word(&request.name);
    let unnamed = device.name == device.id && !said.is_empty();
    let or = |new: &str, old: &str| Some(word(new)).filter(|new| !new.is_empty()).unwrap_or_else(|| old.to_owned());
    let state = match device.state {
        LifeState::Lost | LifeState::Retired => LifeState::InUse,
        state => state,
    };
    DeviceChanged {
        name: if unnamed { said } else { device.name.clone() },
        state: state.as_str().into(),
        vendor: or(&hardware.system_vendor, &device.vendor),
        model: or(&hardware.system_model, &device.model),
        serial: or(&hardware.system_serial, &device.serial),
        ..device.to_change("enrolment")
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

/// A bound on what strangers may ask in each minute of the clock: each costs two signatures and two transactions.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: u32,
    /// Under which it is counted.
    bound: &'static str,
    minute: i64,
    count: u32,
}

impl Pace {
    pub(super) const fn new(per_minute: u32, bound: &'static str) -> Self {
        Self { per_minute, bound, minute: 0, count: 0 }
    }

    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000);
        if minute != self.minute {
            (self.minute, self.count) = (minute, 0);
        }
        let free = self.count < self.per_minute;
        if free {
            self.count += 1;
        } else {
            figures::refused(self.bound);
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
        let mut pace = Pace::new(2, "test");
        assert!(pace.take(NOW) && pace.take(NOW) && !pace.take(NOW));
        assert!(pace.take(NOW + Duration::from_secs(60)));
    }
}
