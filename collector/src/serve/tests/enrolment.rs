//! Who is let in, and what the others are told.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::token::EnrolToken;
use rcgen::KeyPair;
use tonic::Code;

use super::site::Site;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_is_refused_with_its_own_sentence() {
    let site = Site::start().await;
    let key = KeyPair::generate().unwrap();
    let unknown = EnrolToken { secret: [7; 16], ca_sha256: site.ca_sha256() };
    let foreign = EnrolToken { secret: [7; 16], ca_sha256: [9; 32] };
    let expired = site.token(1, Timestamp(0));
    let once = site.token(1, Timestamp(i64::MAX));
    site.ask(site.request(&once, &key)).await.unwrap();
    for (token, code, sentence) in [
        (&unknown, Code::Unauthenticated, "this token is not known"),
        (&foreign, Code::InvalidArgument, "this token belongs to another collector"),
        (&expired, Code::Unauthenticated, "this token expired on 1970-01-01"),
        (&once, Code::Unauthenticated, "this token was used up (1 uses)"),
    ] {
        let refused = site.ask(site.request(token, &key)).await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert!(refused.message().starts_with(sentence), "{}", refused.message());
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_or_a_bad_request_costs_no_use_of_the_token() {
    let site = Site::start().await;
    let key = KeyPair::generate().unwrap();
    let token = site.token(1, Timestamp(i64::MAX));
    let good = site.request(&token, &key);

    let ahead = bellwether_proto::v1::EnrolRequest { now_unix_ms: (site.now() + YEAR).0, ..good.clone() };
    let refused = site.ask(ahead).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let sentence = "this machine's clock is 365 days ahead of the collector's: set it and enrol again";
    assert_eq!(refused.message(), sentence);

    let scribble = bellwether_proto::v1::EnrolRequest { csr: b"scribble".to_vec(), ..good.clone() };
    let refused = site.ask(scribble).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "the certificate request is malformed");

    let cut = bellwether_proto::v1::EnrolRequest { token: "bw1.x".into(), ..good.clone() };
    assert_eq!(site.ask(cut).await.unwrap_err().code(), Code::InvalidArgument);

    site.ask(good).await.unwrap();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolled_machine_is_in_the_inventory_at_once() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let device = site.running().app.state.device(&machine.device).unwrap().unwrap();
    assert_eq!((device.name.as_str(), device.site.as_str(), device.room.as_str()), ("LHS-214", "Lincoln High", "214"));
    site.stop().await;
}
