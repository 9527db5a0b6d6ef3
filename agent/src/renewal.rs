//! Renewal: when another certificate is asked for, and how.
//!
//! When: at two thirds of the certificate's life, by the collector's time and never by this machine's, whose clock may
//! be anywhere; at once when the collector says that the certificate has ended; and within hours when another CA issues
//! certificates now. Every machine has a spread of its own, and one that finds itself late waits a while first: a room of
//! machines that are frozen to one state comes back each morning with one old certificate each, all in the same minute.
//!
//! How: by a connection of its own, with proof of the old key and a new key each time. The stream goes on and is not
//! told; the next one uses the new key. Nothing is given up before the new certificate lies on the disk.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::trust::renewal_message;
use bellwether_proto::v1::collector_client::CollectorClient;
use bellwether_proto::v1::{HardwareIdentity, RenewRequest};
use rcgen::{CertificateParams, KeyPair, SigningKey};
use rustls::pki_types::CertificateDer;

use crate::clock;
use crate::enrol::{check_chain, sentence};
use crate::state::{Credentials, certificates_pem};
use crate::tls::{self, ConnectError, Trust, Validity};

/// A collector answers at once; a busy one within this.
const REPLY_WAIT: Duration = Duration::from_secs(30);

/// Renewals of one day's enrolments spread over this part of a life: 30 hours of 30 days.
const SPREAD_PART: i64 = 24;

/// Who is late when it learns the time waits up to this, so that a room does not ask in one minute.
const LATE_SPREAD: Duration = Duration::from_secs(30 * 60);

/// How long after a new CA took over a certificate of the old one is replaced: ten thousand machines are then not more
/// than one in two seconds.
const ISSUER_SPREAD: Duration = Duration::from_secs(6 * 3_600);

/// The first wait after a failure, doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(300);

/// The longest wait after a failure: a certificate has ten days left when renewal begins.
const RETRY_MAX: Duration = Duration::from_secs(6 * 3_600);

/// The same for a certificate that has ended: without a new one nothing is heard of this machine.
const EXPIRED_RETRY_MIN: Duration = Duration::from_secs(10);
const EXPIRED_RETRY_MAX: Duration = Duration::from_secs(900);

/// When to renew. `boot` is the clock that never steps; the collector's time is reckoned by it from the last welcome.
#[derive(Clone, Debug)]
pub struct Renewal {
    validity: Validity,
    /// Any evenly distributed number; one machine keeps one.
    random: u64,
    /// The collector's time, and the boot clock when it was said.
    told: Option<(Timestamp, Duration)>,
    /// The collector does not take the certificate any more.
    expired: bool,
    /// Since when another CA issues certificates.
    outdated: Option<Duration>,
    failures: u32,
    not_before: Duration,
}

impl Renewal {
    /// For a certificate with this validity.
    #[must_use]
    pub const fn new(validity: Validity, random: u64) -> Self {
        Self { validity, random, told: None, expired: false, outdated: None, failures: 0, not_before: Duration::ZERO }
    }

    /// The collector has welcomed this agent and said its time.
    pub fn handle_welcome(&mut self, collector: Timestamp, boot: Duration) {
        self.expired = false;
        self.told = Some((collector, boot));
        if collector >= self.due() {
            self.not_before = self.not_before.max(boot + self.spread(LATE_SPREAD));
        }
    }

    /// The collector has said that the certificate does not do any more.
    pub const fn handle_expired(&mut self) {
        self.expired = true;
    }

    /// The collector has said whether the CA of this certificate is the one that issues certificates now.
    pub fn handle_issuer(&mut self, is_current: bool, boot: Duration) {
        self.outdated = if is_current { None } else { self.outdated.or(Some(boot)) };
    }

    /// The collector has given another certificate.
    pub const fn handle_renewed(&mut self, validity: Validity) {
        *self = Self { told: self.told, ..Self::new(validity, self.random) };
    }

    /// An attempt has failed.
    pub fn handle_failed(&mut self, boot: Duration) {
        let (min, max) = if self.expired { (EXPIRED_RETRY_MIN, EXPIRED_RETRY_MAX) } else { (RETRY_MIN, RETRY_MAX) };
        let ceiling = min.saturating_mul(1 << self.failures.min(16)).min(max);
        self.failures = self.failures.saturating_add(1);
        // Between half and all of it.
        self.not_before = boot + ceiling / 2 + self.spread(ceiling / 2);
    }

    /// How long until another certificate is to be asked for; none while nobody has said the time.
    #[must_use]
    pub fn wait(&self, boot: Duration) -> Option<Duration> {
        let at_least = self.not_before.saturating_sub(boot);
        if self.expired {
            return Some(at_least);
        }
        let (collector, said) = self.told?;
        let now = collector + boot.saturating_sub(said);
        let due = if self.due() > now { self.due().since(now) } else { Duration::ZERO };
        let outdated = self.outdated.map(|since| (since + self.spread(ISSUER_SPREAD)).saturating_sub(boot));
        Some(outdated.map_or(due, |outdated| outdated.min(due)).max(at_least))
    }

    /// Two thirds of the life, and the machine's own spread.
    fn due(&self) -> Timestamp {
        let life = self.validity.until.0.saturating_sub(self.validity.from.0).max(0);
        let spread = i64::try_from(self.random % 1_000).unwrap_or(0) * (life / SPREAD_PART) / 1_000;
        Timestamp(self.validity.from.0.saturating_add(life / 3 * 2).saturating_add(spread))
    }

    fn spread(&self, over: Duration) -> Duration {
        // Other digits than those of the day, or machines of one hour would share their minute.
        over.mul_f64((self.random / 1_000 % 1_000) as f64 / 1_000.0)
    }
}

/// Why there is no new certificate. The old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The old key or a new one.
    #[error("can't make a request for a certificate")]
    Key(#[source] rcgen::Error),
    /// No connection.
    #[error("can't reach the collector")]
    Connect(#[from] ConnectError),
    /// The collector said no, in its own words.
    #[error("the collector refused: {0}")]
    Refused(String),
    /// It did not answer.
    #[error("the collector did not answer within {} s", REPLY_WAIT.as_secs())]
    Silence,
    /// The answer is not what a collector answers.
    #[error("the collector's answer can't be used: {0}")]
    Reply(&'static str),
}

/// Asks a collector for another certificate.
///
/// # Errors
/// The step that failed.
pub async fn renew(
    endpoint: &str,
    credentials: &Credentials,
    certificate: &CertificateDer<'static>,
    roots: Vec<CertificateDer<'static>>,
    hardware: HardwareIdentity,
) -> Result<Credentials, RenewError> {
    let key = KeyPair::generate().map_err(RenewError::Key)?;
    let csr = CertificateParams::default().serialize_request(&key).map_err(RenewError::Key)?.der().to_vec();
    let old = KeyPair::from_pem(&credentials.key_pem).map_err(RenewError::Key)?;
    let signature = old.sign(&renewal_message(&csr)).map_err(RenewError::Key)?;
    // Without a client certificate: TLS would refuse one that has ended.
    let connection = tls::connect(endpoint, Trust::Cas(roots), None).await?;
    let request = RenewRequest {
        csr,
        certificate: certificate.to_vec(),
        signature,
        now_unix_ms: clock::now().wall.0,
        hardware: Some(hardware),
    };
    let mut client = CollectorClient::new(connection.channel)
        .max_decoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(bellwether_proto::MAX_MESSAGE_BYTES);
    let reply = tokio::time::timeout(REPLY_WAIT, client.renew(request)).await.map_err(|_| RenewError::Silence)?;
    let chain = reply.map_err(|status| RenewError::Refused(sentence(&status)))?.into_inner().chain;
    let issuer = check_chain(&chain, &key).map_err(RenewError::Reply)?;
    // It may be the next CA, of which this machine has not heard: who gave it was verified by one that it knows.
    if !x509_parser::parse_x509_certificate(issuer).is_ok_and(|(_, certificate)| certificate.is_ca()) {
        return Err(RenewError::Reply("its last certificate is no CA"));
    }
    let chain_pem = certificates_pem(chain.iter().map(Vec::as_slice));
    Ok(Credentials { key_pem: key.serialize_pem(), chain_pem })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const BEGIN: Timestamp = Timestamp(1_790_000_000_000);

    fn month() -> Validity {
        Validity { from: BEGIN, until: BEGIN + 30 * DAY }
    }

    /// Lives through `days` of collector time by the virtual clock; says at which hours it asked.
    fn live(renewal: &mut Renewal, days: u32, answer: impl Fn(u32) -> bool) -> Vec<u64> {
        let (mut boot, end, mut asked) = (Duration::ZERO, days * DAY, Vec::new());
        renewal.handle_welcome(BEGIN, boot);
        while let Some(wait) = renewal.wait(boot).filter(|wait| boot + *wait < end) {
            boot += wait;
            asked.push(boot.as_secs() / 3_600);
            assert!(asked.len() < 1_000, "an endless loop");
            if answer(u32::try_from(asked.len()).unwrap()) {
                let now = BEGIN + boot;
                renewal.handle_renewed(Validity { from: now, until: now + 30 * DAY });
            } else {
                renewal.handle_failed(boot);
            }
        }
        asked
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_a_little() {
        for random in [0, 999, 500_500, u64::MAX] {
            let asked = live(&mut Renewal::new(month(), random), 100, |_| true);
            assert!(asked.len() >= 4 && asked.len() <= 5, "{asked:?}");
            assert!((20 * 24..=22 * 24).contains(&asked[0]), "{asked:?}");
        }
    }

    #[test]
    fn a_collector_that_says_no_is_asked_again_and_not_hammered() {
        let asked = live(&mut Renewal::new(month(), 500_500), 30, |_| false);
        // Nine and a half days, six hours at most between two.
        assert!((40..=110).contains(&asked.len()), "{}", asked.len());
    }

    #[test]
    fn this_machines_own_clock_decides_nothing() {
        let mut renewal = Renewal::new(month(), 7);
        assert_eq!(renewal.wait(DAY), None, "nobody has said the time");
        renewal.handle_welcome(BEGIN + DAY, DAY);
        assert!(renewal.wait(DAY).unwrap() >= 19 * DAY);
    }

    #[test]
    fn a_certificate_that_the_collector_does_not_take_is_renewed_at_once() {
        let mut renewal = Renewal::new(month(), 7);
        renewal.handle_expired();
        assert_eq!(renewal.wait(DAY), Some(Duration::ZERO));
        renewal.handle_failed(DAY);
        let wait = renewal.wait(DAY).unwrap();
        assert!(wait >= EXPIRED_RETRY_MIN / 2 && wait <= EXPIRED_RETRY_MIN, "{wait:?}");
        renewal.handle_renewed(Validity { from: BEGIN + 90 * DAY, until: BEGIN + 120 * DAY });
        assert_eq!(renewal.wait(DAY), None);
    }

    #[test]
    fn a_room_that_is_frozen_to_one_state_does_not_ask_in_one_minute() {
        let waits = (0..200_u64).map(|number| {
            // Evenly distributed numbers, the same at each run.
            let digest = <sha2::Sha256 as sha2::Digest>::digest(number.to_le_bytes());
            let random = u64::from_le_bytes(digest[..8].try_into().unwrap());
            let mut renewal = Renewal::new(month(), random);
            renewal.handle_welcome(BEGIN + 25 * DAY, Duration::from_secs(60));
            renewal.wait(Duration::from_secs(60)).unwrap().as_secs() / 60
        });
        let minutes: std::collections::BTreeSet<u64> = waits.collect();
        assert!(minutes.len() > 20, "{minutes:?}");
        assert!(minutes.iter().all(|minute| *minute <= 30));
    }

    #[test]
    fn a_certificate_of_the_ca_before_is_replaced_within_hours() {
        let mut renewal = Renewal::new(month(), 999_999);
        renewal.handle_welcome(BEGIN + DAY, DAY);
        renewal.handle_issuer(false, DAY);
        assert!(renewal.wait(DAY).unwrap() <= ISSUER_SPREAD);
        renewal.handle_issuer(false, 2 * DAY);
        assert_eq!(renewal.wait(2 * DAY), Some(Duration::ZERO), "the day counts from when it was first said");
        renewal.handle_issuer(true, 2 * DAY);
        assert!(renewal.wait(2 * DAY).unwrap() > 10 * DAY);
    }
}
