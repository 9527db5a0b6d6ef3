//! What the CA gives, and what it never gives.

use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn authority() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), NOW).unwrap();
    (folder, authority)
}

fn request(params: CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn a_request_that_asks_to_be_a_ca_gets_an_agents_certificate() {
    let (_folder, authority) = authority();
    let mut greedy = CertificateParams::new(vec![COLLECTOR_NAME.to_owned()]).unwrap();
    greedy.distinguished_name = named("admin");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let csr = request(greedy);

    let issued = authority.issue(&csr, "d123456789", NOW).unwrap();

    let (_, parsed) = x509_parser::parse_x509_certificate(&issued.certificate).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject().to_string(), "CN=d123456789");
    assert!(parsed.subject_alternative_name().unwrap().is_none());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    let days = (parsed.validity().not_after.timestamp() - NOW.0 / 1000) / 86_400;
    assert_eq!(days, 30);
}

#[test]
fn the_same_key_gets_another_serial_number_each_time() {
    let (_folder, authority) = authority();
    let csr = request(CertificateParams::default());
    let first = authority.issue(&csr, "d123456789", NOW).unwrap();
    let second = authority.issue(&csr, "d123456789", NOW).unwrap();
    assert_ne!(first.serial, second.serial);
    let bearer = Bearer::of(&first.certificate).unwrap();
    assert_eq!(bearer, Bearer { device: "d123456789".into(), serial: first.serial });
}

#[test]
fn what_is_no_request_is_refused() {
    let (_folder, authority) = authority();
    assert!(matches!(authority.issue(b"hello", "d1", NOW), Err(CsrError::Malformed(_))));
    assert!(matches!(authority.issue(&[0; CSR_BYTES_MAX + 1], "d1", NOW), Err(CsrError::TooLarge(_))));
    let mut forged = request(CertificateParams::default());
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(authority.issue(&forged, "d1", NOW), Err(CsrError::Malformed(_))));
}

#[test]
fn the_ca_outlives_a_restart() {
    let (folder, authority) = authority();
    let again = Authority::open(folder.path(), NOW + days(100)).unwrap();
    assert_eq!(again.sha256(), authority.sha256());
}

#[test]
fn a_damaged_ca_is_never_replaced() {
    let (folder, authority) = authority();
    drop(authority);
    let path = folder.path().join(CA_FILE);
    std::fs::write(&path, "scribble").unwrap();
    assert!(Authority::open(folder.path(), NOW).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "scribble");
}

#[test]
fn the_server_certificate_is_kept_until_a_third_of_its_life_is_left() {
    let (folder, authority) = authority();
    let first = authority.server(&folder.path().join(SERVER_FILE), "", NOW).unwrap();
    assert_eq!(first.chain[1], *authority.certificate());
    let later = authority.server(&folder.path().join(SERVER_FILE), "", NOW + days(240)).unwrap();
    assert_eq!(first.chain, later.chain);
    let renewed = authority.server(&folder.path().join(SERVER_FILE), "", NOW + days(250)).unwrap();
    assert_ne!(first.chain, renewed.chain);
}

#[test]
fn a_new_name_gets_a_new_server_certificate() {
    let (folder, authority) = authority();
    let first = authority.server(&folder.path().join(SERVER_FILE), "", NOW).unwrap();
    let named = authority.server(&folder.path().join(SERVER_FILE), "Bellwether.School.example", NOW).unwrap();
    assert_ne!(first.chain[0], named.chain[0]);
    let same = authority.server(&folder.path().join(SERVER_FILE), "bellwether.school.example", NOW).unwrap();
    assert_eq!(named.chain, same.chain);
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, authority) = authority();
    authority.server(&folder.path().join(SERVER_FILE), "", NOW).unwrap();
    for file in [CA_FILE, SERVER_FILE] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_rotation_goes_one_step_after_the_other() {
    let (folder, first) = authority();
    let open = || Standing::open(folder.path(), NOW).unwrap();
    assert!(matches!(open().switch(folder.path(), NOW), Err(RotationError::NoNext)));
    assert!(matches!(open().finish(folder.path(), NOW), Err(RotationError::NoPrevious)));
    let announced = open().rotate(folder.path(), NOW).unwrap();
    let next = announced.next.as_ref().unwrap().sha256();
    assert_eq!((announced.current.sha256(), announced.contacts(&[]).cas.len()), (first.sha256(), 2));
    assert!(matches!(announced.rotate(folder.path(), NOW), Err(RotationError::UnderWay)));
    let switched = announced.switch(folder.path(), NOW).unwrap();
    assert_eq!(switched.current.sha256(), next);
    assert_eq!(switched.previous.as_ref().unwrap().sha256(), first.sha256());
    assert!(switched.next.is_none() && switched.token_refusal(&first.sha256()).is_none());
    let finished = switched.finish(folder.path(), NOW).unwrap();
    assert!(finished.previous.is_none());
    assert!(finished.token_refusal(&first.sha256()).unwrap().contains("before the collector's authority was replaced"));
    assert!(finished.token_refusal(&[7; 32]).unwrap().contains("another collector"));
    assert_eq!(open().current.sha256(), next);
}

#[test]
fn a_switch_that_a_crash_cut_off_can_be_done_again() {
    let (folder, first) = authority();
    let announced = Standing::open(folder.path(), NOW).unwrap().rotate(folder.path(), NOW).unwrap();
    std::fs::copy(folder.path().join(CA_FILE), folder.path().join("previous.pem")).unwrap();
    let cut_off = Standing::open(folder.path(), NOW).unwrap();
    assert!(cut_off.previous.is_none(), "an authority is not its own predecessor");
    let next = announced.next.unwrap().sha256();
    let switched = cut_off.switch(folder.path(), NOW).unwrap();
    assert_eq!((switched.current.sha256(), switched.previous.unwrap().sha256()), (next, first.sha256()));
}

#[test]
fn a_certificate_that_ended_is_still_known_to_be_ours_and_a_foreign_one_is_not() {
    let (folder, authority) = authority();
    let ring = Ring::open(folder.path(), "", Vec::new(), NOW).unwrap();
    let csr = request(CertificateParams::default());
    let ended = authority.issue(&csr, "d1", NOW - days(300)).unwrap();
    assert!(ring.issued(&ended.certificate));
    let (_other_folder, other) = self::authority();
    assert!(!ring.issued(&other.issue(&csr, "d1", NOW).unwrap().certificate));
    assert!(!ring.issued(&CertificateDer::from(b"scribble".to_vec())));
    let server = authority.server(&folder.path().join(SERVER_FILE), "", NOW).unwrap();
    assert!(!ring.issued(&server.chain[0]), "the server is no agent");
}
