//! Who may come in: each refusal has its own sentence, on both ends.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use bellwether_proto::token::EnrolToken;
use bellwether_tests::agent::{self, Agent};
use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};
use bellwether_tests::wait;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream};

use super::{NO_OWN_AGENT, SOON};

/// An enrolment that must be refused: `says` at the agent, `logged` at the collector.
fn refused(collector: &mut Collector, agent: &Agent, token: &str, says: &str, logged: &str) {
    let line = agent.enrol(&collector.grpc.to_string(), token, "desktop", "PC-1").one_clear_line();
    assert!(line.contains(says), "{line}");
    let _ = collector.program().wait_for_line(logged, SOON);
    assert!(!collector.program().text().contains(token), "a token in the log");
}

#[test]
fn a_token_that_nobody_gave_out_is_not_known() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut token: EnrolToken = collector.enrol_token("Lincoln High", 1).parse().unwrap();
    token.secret[0] ^= 1;
    let token = token.to_string();
    refused(&mut collector, &Agent::new(), &token, "this token is not known", "this token is not known");
}

#[test]
fn a_token_works_so_often_and_no_more() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let token = collector.enrol_token("Lincoln High", 2);
    for _ in 0..2 {
        let _ = Agent::new().enrol(&collector.grpc.to_string(), &token, "desktop", "PC").success();
    }
    refused(&mut collector, &Agent::new(), &token, "this token was used up (2 uses)", "this token was used up");
}

#[test]
fn a_token_expires() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let printed = collector.command(&["token", "enrol", "--site", "A", "--uses", "9", "--expires", "1s"]).success();
    let token = printed.split_whitespace().find(|word| word.starts_with("bw1.")).unwrap().to_owned();
    let line = wait::until("the token to expire", SOON, || {
        let agent = Agent::new();
        let ended = agent.enrol(&collector.grpc.to_string(), &token, "desktop", "PC");
        if ended.status.success() { Err(ended.text) } else { Ok(ended.one_clear_line()) }
    });
    assert!(line.contains("this token expired on"), "{line}");
    let _ = collector.program().wait_for_line("this token expired on", SOON);
}

#[test]
fn a_cut_token_is_no_token() {
    let collector = Collector::start(NO_OWN_AGENT);
    let token = collector.enrol_token("Lincoln High", 1);
    for cut in [&token[..token.len() - 4], &token[..20], "bw1", "x"] {
        let line = Agent::new().enrol(&collector.grpc.to_string(), cut, "desktop", "PC").one_clear_line();
        assert!(line.contains("copy the whole command"), "{line}");
    }
}

#[test]
fn a_token_of_another_collector_finds_no_trust_here() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let other = Collector::start(NO_OWN_AGENT);
    let token = other.enrol_token("Lincoln High", 1);
    let line = Agent::new().enrol(&collector.grpc.to_string(), &token, "desktop", "PC").one_clear_line();
    assert!(line.contains("not the collector that this machine knows"), "{line}");
    let _ = collector.program().wait_for_line("handshake", SOON);
}

#[test]
fn an_agent_of_another_collector_finds_no_trust_here_and_keeps_trying() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let other = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&other, "desktop", "PC-1");
    let identity = agent.state().join("agent.json");
    let text = std::fs::read_to_string(&identity).unwrap();
    std::fs::write(&identity, text.replace(&other.grpc.to_string(), &collector.grpc.to_string())).unwrap();
    agent.go();
    let _ = agent.program().wait_for_line("not the collector that this machine knows", SOON);
    let _ = collector.program().wait_for_line("handshake", SOON);
    assert!(agent.program().ended().is_none(), "an agent never ends because of its collector");
    agent.stop();
}

/// Lets a program see another time than the machine.
pub(super) fn with_clock(command: &mut Command, shift: &str) {
    let found = std::fs::read_dir("/usr/lib").unwrap().filter_map(|it| {
        let library = it.ok()?.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    let library = found.last().expect("libfaketime is installed: see tests/run");
    command.env("LD_PRELOAD", library).env("FAKETIME", shift).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

#[test]
fn a_machine_whose_clock_is_a_year_off_is_told_so() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    for (shift, says) in [("+365d", "365 days ahead"), ("-365d", "365 days behind")] {
        let token = collector.enrol_token("Lincoln High", 1);
        let agent = Agent::new();
        let mut command = agent.command("enrol");
        command.args(["--collector", &collector.grpc.to_string(), "--token", &token]);
        with_clock(&mut command, shift);
        let line = program::run_command("enrol", &mut command).one_clear_line();
        assert!(line.contains(says) && line.contains("set it and enrol again"), "{line}");
        let _ = collector.program().wait_for_line(says, SOON);
    }
}

#[test]
fn an_enrolled_machine_whose_clock_goes_a_year_off_still_streams_at_the_right_time() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "desktop", "PC-1");
    let mut command = agent.command("run");
    with_clock(&mut command, "+365d");
    let mut running = Program::start(agent::NAME, &mut command);
    let token = collector.grafana_token();
    let query = format!(
        r#"SELECT last("uptime") FROM "system" WHERE "device_id" = '{}' AND time > now() - 1m AND time < now() + 1m"#,
        agent.device_id()
    );
    wait::until("points at the right time", SOON, || match collector.client().points(&token, &query)?.len() {
        0 => Err(running.text()),
        _ => Ok(()),
    });
    let _ = collector.program().wait_for_line("clock is wrong", SOON);
    assert!(running.stop().success());
}

#[test]
fn a_revoked_machine_is_cut_off_and_told_why() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let mut agent = Agent::enrolled(&collector, "desktop", "PC-1");
    agent.go();
    let token = collector.api_token();
    wait::until("the device to be seen", SOON, || {
        let devices = collector.client().list(&token, "/api/v1/devices")?;
        devices.iter().any(|it| !it["last_seen_at"].is_null()).then_some(()).ok_or_else(|| format!("{devices:?}"))
    });
    let device = agent.device_id();
    let _ = collector.command(&["revoke", "--device", &device]).success();
    let _ = agent.program().wait_for_line("certificate was revoked: enrol it again", SOON);
    let _ = collector.program().wait_for_line("revoked", SOON);
    assert!(agent.program().ended().is_none());
    // A connection of its own, not a resumed one, and refused again; also after both have started anew.
    agent.stop();
    collector.program().stop();
    collector.go();
    agent.go();
    let _ = agent.program().wait_for_line("certificate was revoked: enrol it again", SOON);
}

/// Shakes hands as the agent whose state this is, with a memory for sessions, and reads what the collector offers.
fn shake_hands(config: &Arc<ClientConfig>, collector: &Collector) -> HandshakeKind {
    let name = ServerName::try_from(bellwether_proto::COLLECTOR_NAME).unwrap();
    let mut connection = ClientConnection::new(config.clone(), name).unwrap();
    let mut socket = TcpStream::connect(collector.grpc).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    // The collector's first bytes of HTTP/2 come after the tickets, if there are any.
    let mut settings = [0; 9];
    Stream::new(&mut connection, &mut socket).read_exact(&mut settings).unwrap();
    connection.handshake_kind().unwrap()
}

#[test]
fn a_session_is_never_resumed_so_every_connection_proves_who_it_is_anew() {
    let collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "desktop", "PC-1");
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(agent.state().join("credentials.pem")).unwrap().flatten().collect();
    let key = PrivateKeyDer::from_pem_file(agent.state().join("credentials.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(chain.last().unwrap().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = config.with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    for _ in 0..3 {
        assert_eq!(shake_hands(&config, &collector), HandshakeKind::Full);
    }
}
