//! Who gets another certificate, on a clock of the test's own.

use super::*;
use crate::state::testing::fresh;
use bellwether_proto::record::v1::DeviceChanged;
use bellwether_proto::v1::HardwareIdentity;
use rcgen::{CertificateParams, KeyPair, SigningKey};
use tempfile::TempDir;
use tonic::Code;

const DAY: Duration = Duration::from_secs(86_400);
const DEVICE: &str = "d123456789";

/// A collector's part, with one device that was enrolled when the clock stood where it stands.
struct Office {
    _folders: (TempDir, TempDir),
    state: Arc<State>,
    ring: Arc<Ring>,
    clock: Clock,
    renewals: Renewals,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Office {
    fn open() -> Self {
        // TLS verifies by the machine's own clock: what ended is in its past.
        let begun = Clock::system().now() - 100 * DAY;
        let clock = Clock::manual(begun);
        let (state_folder, state) = fresh();
        let ca_folder = tempfile::tempdir().unwrap();
        let ring = Ring::open(ca_folder.path(), "", Vec::new(), begun).unwrap();
        let state = Arc::new(state);
        put_device(&state, "in_use");
        let key = KeyPair::generate().unwrap();
        let issued = ring.standing().current.issue(&csr(&key), DEVICE, begun).unwrap();
        let kept = Certificate {
            serial: issued.serial,
            device: DEVICE.into(),
            issued_at: begun,
            not_after: issued.not_after,
            revoked_at: None,
            ca: ring.standing().current.fingerprint(),
            key: issued.key,
        };
        state.add_certificate(&kept).unwrap();
        let renewals = Renewals::new(Arc::clone(&state), Arc::clone(&ring), clock.clone(), 180 * DAY, 600);
        let certificate = issued.certificate;
        Self { _folders: (state_folder, ca_folder), state, ring, clock, renewals, key, certificate }
    }

    fn pass(&self, days: u32) {
        self.clock.set(self.clock.now() + days * DAY);
    }

    /// A request as the agent makes it.
    fn request(&self) -> RenewRequest {
        let csr = csr(&KeyPair::generate().unwrap());
        let signature = self.key.sign(&renewal_message(&csr)).unwrap();
        RenewRequest { csr, certificate: self.certificate.to_vec(), signature, ..RenewRequest::default() }
    }

    async fn ask(&self, request: RenewRequest) -> Result<RenewReply, Status> {
        self.renewals.renew(None, request).await
    }

    async fn refusal(&self, request: RenewRequest) -> (Code, String) {
        let refused = self.ask(request).await.unwrap_err();
        (refused.code(), refused.message().to_owned())
    }
}

fn put_device(state: &State, life: &str) {
    let changed = DeviceChanged {
        device_id: DEVICE.into(),
        name: "LHS-214".into(),
        kind: "agent".into(),
        class: "laptop".into(),
        site: "Lincoln High".into(),
        state: life.into(),
        ..DeviceChanged::default()
    };
    state.commit_engine(|tx| tx.put_device(Timestamp(1), &changed)).unwrap();
}

fn csr(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

#[tokio::test]
async fn a_laptop_that_was_away_all_summer_gets_another_certificate() {
    let office = Office::open();
    office.pass(90);
    let chain = office.ask(office.request()).await.unwrap().chain;
    let bearer = Bearer::of(&CertificateDer::from(chain[0].clone())).unwrap();
    assert_eq!(bearer.device, DEVICE);
    assert_eq!(chain[1], office.ring.standing().current.certificate().to_vec());
    let kept = office.state.certificate(&bearer.serial).unwrap().unwrap();
    assert_eq!((kept.not_after.since(office.clock.now()) + Duration::from_secs(1)).as_secs() / 86_400, 30);
    office.pass(121);
    let (code, sentence) = office.refusal(office.request()).await;
    assert_eq!((code, sentence.contains("more than 180 days ago")), (Code::PermissionDenied, true));
}

#[tokio::test]
async fn only_who_holds_the_old_key_gets_a_new_one() {
    let office = Office::open();
    let good = office.request();
    let thief = KeyPair::generate().unwrap();
    let theirs = csr(&thief);
    let forged = [
        RenewRequest { signature: Vec::new(), ..good.clone() },
        RenewRequest { signature: thief.sign(&renewal_message(&good.csr)).unwrap(), ..good.clone() },
        // A request that was overheard, for another key.
        RenewRequest { csr: theirs.clone(), ..good.clone() },
        // A signature that the old key made for something else.
        RenewRequest { signature: office.key.sign(&theirs).unwrap(), csr: theirs, ..good.clone() },
    ];
    for request in forged {
        assert_eq!(office.refusal(request).await.0, Code::PermissionDenied);
    }
    for scribble in [Vec::new(), b"scribble".to_vec(), vec![0x30; CERTIFICATE_BYTES_MAX + 1]] {
        let (_, sentence) = office.refusal(RenewRequest { certificate: scribble, ..good.clone() }).await;
        assert!(sentence.contains("none of this collector's"), "{sentence}");
    }
    let server = office.ring.standing().current.server(&office._folders.1.path().join("x.pem"), "", office.clock.now());
    let of_the_server = RenewRequest { certificate: server.unwrap().chain[0].to_vec(), ..good.clone() };
    assert_eq!(office.refusal(of_the_server).await.0, Code::PermissionDenied);
    office.ask(good.clone()).await.unwrap();
    assert_eq!(office.refusal(good).await.0, Code::AlreadyExists, "the same request again gets nothing");
}

#[tokio::test]
async fn revoked_lost_retired_and_unknown_devices_get_none() {
    let office = Office::open();
    for life in ["lost", "retired"] {
        put_device(&office.state, life);
        let (code, sentence) = office.refusal(office.request()).await;
        assert_eq!((code, sentence.contains("lost or retired")), (Code::PermissionDenied, true));
    }
    put_device(&office.state, "in_use");
    office.ask(office.request()).await.unwrap();
    office.state.revoke_certificates(DEVICE, office.clock.now()).unwrap();
    let (code, sentence) = office.refusal(office.request()).await;
    assert_eq!((code, sentence.contains("revoked")), (Code::PermissionDenied, true));
    let stranger = Office { state: office.state, ..Office::open() };
    let stranger = Renewals::new(stranger.state, stranger.ring, stranger.clock, DAY, 10);
    let refused = stranger.renew(None, RenewRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_copy_on_another_machine_gets_none_and_is_noted() {
    let office = Office::open();
    let hardware = |serial: &str, mac: &str| {
        Some(HardwareIdentity {
            system_vendor: "Dell Inc.".into(),
            system_serial: serial.into(),
            mac_addresses: vec![mac.into()],
            ..HardwareIdentity::default()
        })
    };
    let own = RenewRequest { hardware: hardware("7XK2", "8c:04:ba:00:00:01"), ..office.request() };
    office.ask(own).await.unwrap();
    let copy = RenewRequest { hardware: hardware("9ZZ9", "8c:04:ba:00:00:02"), ..office.request() };
    let (code, sentence) = office.refusal(copy).await;
    assert_eq!((code, sentence.contains("belongs to another machine")), (Code::PermissionDenied, true));
    let noted = office.state.open_notes(Timestamp(0)).unwrap();
    assert!(noted[0].device == DEVICE && noted[0].detail.contains("Dell Inc. 9ZZ9"), "{noted:?}");
    let silent = RenewRequest { hardware: None, ..office.request() };
    office.ask(silent).await.unwrap();
}

#[tokio::test]
async fn a_greedy_request_gets_an_agents_certificate_of_its_own_device() {
    let office = Office::open();
    let mut greedy = CertificateParams::new(vec!["collector.bellwether".to_owned()]).unwrap();
    greedy.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let csr = greedy.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let signature = office.key.sign(&renewal_message(&csr)).unwrap();
    let chain = office.ask(RenewRequest { csr, signature, ..office.request() }).await.unwrap().chain;
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject().to_string(), format!("CN={DEVICE}"));
}

#[tokio::test]
async fn renewals_are_bounded_by_the_minute_and_by_the_day() {
    let office = Office::open();
    let strict = Renewals::new(Arc::clone(&office.state), Arc::clone(&office.ring), office.clock.clone(), DAY, 2);
    for _ in 0..2 {
        strict.renew(None, office.request()).await.unwrap();
    }
    assert_eq!(strict.renew(None, office.request()).await.unwrap_err().code(), Code::ResourceExhausted);
    office.ask(office.request()).await.unwrap();
    let (code, sentence) = office.refusal(office.request()).await;
    assert_eq!((code, sentence.contains("try again tomorrow")), (Code::ResourceExhausted, true));
}
